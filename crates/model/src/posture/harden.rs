//! What to write so that hard deletion is guarded.
//!
//! Owns the choice of the least that is necessary, and the order in which it is safe: a
//! context is there and published before a policy is for it, a policy only reports
//! before it is enabled, and an action is protected by a context only after an enabled
//! policy is for that. Nothing that is there is ever loosened, and a policy that people
//! own is at most enabled: what it lacks, another one beside it asks for. What a person
//! has to do is said as they would do it.
//!
//! It yields an ordinary plan; see [`crate::plan`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::chain::{LeftOut, bound};
use super::controls::PHISHING_RESISTANT;
use super::guard::{self, Context, Enabled, Guard};
use super::reach::{self, Holders};
use super::table::{HARD_DELETE, OTHERS};
use super::{Action as Protectable, BreakGlass, Known, Seen, Unread, coverage};
use crate::call::{Call, HttpMethod};
use crate::canonical;
use crate::catalogue::{Class, ObjectType, TypeSpec};
use crate::diff::{AttributeChange, Obstacle, attribute_changes};
use crate::id::ObjectId;
use crate::lockout::texts;
use crate::object::{Object, ObjectRef};
use crate::permission;
use crate::plan::{self, Exclusion, Guard as Expected, Lockout, Plan, Step};

/// The name of the context that is made where there is none to use.
pub const CONTEXT_NAME: &str = "High-Security Ops";
/// The application permission that setting a protected action is taken to need.
///
/// Microsoft's reference names none: the page of the update is a stub. It is the one
/// that reads as if it did; where Graph refuses all the same, a person is told.
pub const TO_PROTECT: &str = "RoleManagement.ReadWrite.Directory";

const ACTIONS: &str =
    "/roleManagement/directory/resourceNamespaces/microsoft.directory/resourceActions";
const ENABLED: &str = "enabled";
const DISABLED: &str = "disabled";
const REPORT_ONLY: &str = "enabledForReportingButNotEnforced";
/// Contexts are `c1` to `c99`.
const LAST_CONTEXT: u32 = 99;

type Body = Map<String, Value>;

/// What a plan that protects is made from.
#[derive(Debug)]
pub struct Wish<'a> {
    /// The tenant as it was read right now.
    pub seen: &'a Seen,
    /// The rule that describes administrators' workstations, where only those are to be
    /// let through; see [`is_workstation_rule`].
    pub workstations: Option<&'a str>,
    /// Whether to go on without a break-glass account that can be used.
    pub lockout: Lockout,
    /// The permissions of the application that writes; `None` where its token does not
    /// tell.
    pub granted: Option<&'a BTreeSet<String>>,
}

/// Whether a rule describes devices so that all others, unknown ones among them, are
/// kept out by a policy whose filter excludes it.
#[must_use]
pub fn is_workstation_rule(rule: &str) -> bool {
    coverage::lets_through_described_only(("exclude", rule))
}

/// Plans the least that leads to a tenant which is guarded. `new_id` gives the ids that
/// stand for policies until they are made.
///
/// # Errors
/// The [`Unread`] part without which nothing can be planned.
pub fn harden(wish: &Wish<'_>, new_id: &mut dyn FnMut() -> ObjectId) -> Result<Plan, Unread> {
    let seen = wish.seen;
    let known = |part: &Known<Vec<Object>>| part.as_ref().map(Vec::len).map_err(Clone::clone);
    known(&seen.contexts)?;
    known(&seen.policies)?;
    let draft = Draft {
        wish,
        actions: seen.actions.as_ref().map_err(Clone::clone)?,
        break_glass: seen.break_glass.as_ref().map_err(Clone::clone)?,
        holders: reach::holders(seen),
        new_id,
        steps: Vec::new(),
        exclusions: Vec::new(),
        risks: BTreeSet::new(),
    };
    draft.planned()
}

/// How a person does by hand what a step does.
#[must_use]
pub fn by_hand(step: &Step) -> String {
    if !step.made_anew.is_empty() {
        return format!(
            "by hand in the Microsoft Entra admin center, under Entra ID > Conditional Access > Policies: set the policy \"{}\" to On",
            step.object.name
        );
    }
    let Call { method, path, body } = &step.call;
    let body = body.as_ref().map(|body| format!(" {body}"));
    let call = format!(
        "{} /beta{path}{}",
        method.as_str(),
        body.unwrap_or_default()
    );
    let place = match (step.action, step.object.object_type) {
        (plan::Action::Protect, _) => "Roles & admins > Protected actions",
        (_, ObjectType::AuthenticationContextClassReference) => {
            "Conditional Access > Authentication contexts"
        }
        _ => "Conditional Access > Policies",
    };
    format!(
        "by hand in the Microsoft Entra admin center, under Entra ID > {place}, or as an administrator by the Graph call {call}"
    )
}

/// What a context is used for, and so what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It protects hard deletion, or is to: everything is asked for.
    Whole,
    /// It protects other actions alone: something is asked of everybody.
    Some,
}

/// A demand on everybody that no enabled policy makes yet.
#[derive(Debug, Clone, Copy, Default)]
struct Lacking {
    strength: bool,
    device: bool,
}

impl Lacking {
    fn nothing(self) -> bool {
        !(self.strength || self.device)
    }

    /// Whether a policy makes up for it.
    fn is_met_by(self, policy: &Enabled) -> bool {
        // Who is kept out altogether was asked for nothing, and could do nothing.
        let asks = !policy.controls.block();
        let resists = policy.controls.resist_phishing() == Some(true);
        asks && (!self.strength || resists) && (!self.device || policy.controls.need_device())
    }

    fn name(self) -> &'static str {
        match (self.strength, self.device) {
            (true, false) => "strong sign-in",
            (false, true) => "managed device",
            _ => "strong sign-in on a managed device",
        }
    }
}

struct Draft<'a> {
    wish: &'a Wish<'a>,
    actions: &'a [Protectable],
    break_glass: &'a BreakGlass,
    holders: Holders,
    new_id: &'a mut dyn FnMut() -> ObjectId,
    steps: Vec<Step>,
    exclusions: Vec<Exclusion>,
    risks: BTreeSet<String>,
}

impl Draft<'_> {
    fn planned(mut self) -> Result<Plan, Unread> {
        let names = [HARD_DELETE]
            .into_iter()
            .chain(OTHERS.map(|(_, name)| name));
        let (mut open, mut held) = (Vec::new(), Vec::new());
        for name in names {
            let mut actions = self.actions.iter();
            match actions.find(|action| action.name.eq_ignore_ascii_case(name)) {
                None => self.not_protectable(name, "is not among the actions that this tenant has"),
                Some(Protectable {
                    context: Some(context),
                    ..
                }) => held.push((name, context.clone())),
                Some(action) if action.settable && !action.id.is_empty() => {
                    open.push(action.clone());
                }
                Some(_) => self.not_protectable(name, "this tenant does not let it be protected"),
            }
        }
        let mut held_by = held.iter();
        let main = held_by.find(|(name, _)| *name == HARD_DELETE);
        let main = main.map(|(_, context)| context.clone());
        let home = self.home(main.as_deref(), &open)?;
        let mut uses: Vec<(String, Use)> = Vec::new();
        let whole = [&main, &home].into_iter().flatten();
        let whole = whole.map(|context| (context.clone(), Use::Whole));
        let some = held.iter().map(|(_, context)| (context.clone(), Use::Some));
        for (context, of) in whole.chain(some) {
            if !uses
                .iter()
                .any(|(one, _)| one.eq_ignore_ascii_case(&context))
            {
                uses.push((context, of));
            }
        }
        let mut ready: HashMap<String, Vec<u32>> = HashMap::new();
        for (context, of) in uses {
            let is_home = home.as_ref() == Some(&context);
            let mut others = held.iter().filter(|(name, _)| *name != HARD_DELETE);
            let for_others = is_home && open.iter().any(|action| action.name != HARD_DELETE)
                || others.any(|(_, one)| one.eq_ignore_ascii_case(&context));
            let steps = self.stand_behind(&context, of, for_others)?;
            ready.insert(context, steps);
        }
        if let Some(home) = home {
            for action in &open {
                self.protect(action, &home, &ready[&home])?;
            }
        }
        self.keep_a_way_in();
        self.leave_to_people();
        if !self.steps.is_empty() {
            self.tell_risks();
        }
        let mut plan = Plan {
            steps: self.steps,
            exclusions: Vec::new(),
            risks: self.risks.into_iter().collect(),
        };
        plan.exclude(self.exclusions);
        Ok(plan)
    }

    /// The context that is to protect what nothing protects yet; `None` where all is
    /// protected, or every context is taken.
    fn home(&mut self, main: Option<&str>, open: &[Protectable]) -> Result<Option<String>, Unread> {
        if open.is_empty() {
            return Ok(None);
        }
        // Where break-glass accounts are bound, or everybody is kept out, no further action
        // goes.
        if let Some(main) = main
            && self.lets_work(&self.guard(main, None)?)
        {
            return Ok(Some(main.to_owned()));
        }
        let mut usable = Vec::new();
        for context in self.contexts() {
            let id = context.id.as_str();
            let guard = self.guard(id, None)?;
            if !self.lets_work(&guard) {
                continue;
            }
            let published = matches!(guard::context(self.wish.seen, id)?, Context::Published(_));
            let rank = if published && self.stands(&guard) {
                0
            } else if context.name() == CONTEXT_NAME && self.leaves_out_nobody(&guard) {
                1
            } else {
                continue;
            };
            let protects = self.actions.iter().any(|action| holds(action, id));
            usable.push((rank, !protects, number(id), id.to_owned()));
        }
        usable.sort();
        if let Some((.., id)) = usable.into_iter().next() {
            return Ok(Some(id));
        }
        let policies = self.wish.seen.policies.as_ref().map_err(Clone::clone)?;
        let bodies: Vec<Value> = policies.iter().map(|it| Value::Object(it.body())).collect();
        let is_free = |id: &String| {
            let mut contexts = self.contexts().iter();
            !contexts.any(|context| context.id.as_str().eq_ignore_ascii_case(id))
                && !bodies.iter().any(|policy| guard::is_for(policy, id))
                && !self.actions.iter().any(|action| holds(action, id))
        };
        let mut ids = (1..=LAST_CONTEXT).map(|number| format!("c{number}"));
        let free = ids.find(is_free);
        if free.is_none() {
            for action in open {
                let taken =
                    "every context from c1 to c99 is taken; make one free, then make another plan";
                self.not_protectable(&action.name, taken);
            }
        }
        Ok(free)
    }

    fn contexts(&self) -> &[Object] {
        self.wish.seen.contexts.as_deref().unwrap_or_default()
    }

    fn guard(&self, context: &str, roles: Option<&BTreeSet<ObjectId>>) -> Known<Guard> {
        Guard::of(self.wish.seen, context, roles)
    }

    /// Whether no enabled policy for a context is for a break-glass account.
    fn spares(&self, guard: &Guard) -> bool {
        let mut enabled = guard.enabled.iter();
        enabled.all(|policy| self.bound(policy).is_empty())
    }

    /// The same, and some device is let through by every one of them.
    fn lets_work(&self, guard: &Guard) -> bool {
        let keeps_all_out = |policy: &Enabled| {
            policy.controls.block() && coverage::device_filter(&policy.body).is_none()
        };
        self.spares(guard) && !guard.enabled.iter().any(keeps_all_out)
    }

    fn bound(&self, policy: &Enabled) -> Vec<String> {
        bound(policy, self.wish.seen, self.break_glass)
    }

    fn left_out(&self, policy: &Enabled) -> Vec<String> {
        LeftOut::of(policy, self.wish.seen, self.break_glass).others
    }

    fn leaves_out_nobody(&self, guard: &Guard) -> bool {
        let mut enabled = guard.enabled.iter();
        enabled.all(|policy| self.left_out(policy).is_empty())
    }

    /// Whether a policy binds everybody but the break-glass accounts.
    fn is_sound(&self, policy: &Enabled) -> bool {
        policy.is_whole() && self.left_out(policy).is_empty()
    }

    /// Whether all that is wanted stands behind a context already.
    fn stands(&self, guard: &Guard) -> bool {
        self.lacking(guard, Use::Whole).nothing()
            && self.leaves_out_nobody(guard)
            && (self.wish.workstations.is_none() || guard.needs_workstation().is_some())
    }

    fn lacking(&self, guard: &Guard, of: Use) -> Lacking {
        let sound = || guard.enabled.iter().filter(|policy| self.is_sound(policy));
        let none_with = |lacking: Lacking| !sound().any(|policy| lacking.is_met_by(policy));
        match of {
            Use::Whole => Lacking {
                strength: none_with(Lacking {
                    strength: true,
                    device: false,
                }),
                device: none_with(Lacking {
                    strength: false,
                    device: true,
                }),
            },
            Use::Some => {
                let nothing = guard.whole().next().is_none();
                Lacking {
                    strength: nothing,
                    device: nothing,
                }
            }
        }
    }

    /// Lets a context be there, be published, and have enabled policies; the steps
    /// without which nothing may be protected by it.
    fn stand_behind(
        &mut self,
        context: &str,
        of: Use,
        for_others: bool,
    ) -> Result<Vec<u32>, Unread> {
        let mut ready: Vec<u32> = self.publish(context)?.into_iter().collect();
        let after = ready.clone();
        let is_used = after.is_empty();
        let roles = self.holders.templates().filter(|_| !for_others);
        let guard = self.guard(context, roles.as_ref())?;
        let lacking = self.lacking(&guard, of);
        if !lacking.nothing() {
            let meets = |policy: &&Enabled| lacking.is_met_by(policy) && policy.is_whole();
            let step = match self.to_wake(&guard, context, meets) {
                Some(policy) => self.wake(policy, &after),
                None => self.ask_everybody(context, lacking, &after),
            };
            ready.push(step);
        }
        if of == Use::Whole && guard.needs_workstation().is_none() {
            match self.wish.workstations {
                Some(rule) => {
                    let meets = |policy: &&Enabled| policy.workstations() == Some(rule);
                    let step = match self.to_wake(&guard, context, meets) {
                        Some(policy) => self.wake(policy, &after),
                        None => self.keep_out_others(context, rule, &after),
                    };
                    ready.push(step);
                }
                None => {
                    self.risks.insert(
                        "no rule for administrators' workstations was given, so every managed device is let through".to_owned(),
                    );
                }
            }
        }
        if is_used && ready.len() > after.len() {
            self.risks.insert(format!(
                "whatever else asks for the context {context}, such as a site or a role, is bound by its new policies, too"
            ));
        }
        if of == Use::Whole {
            self.leave_policies_to_people(&guard);
        }
        Ok(ready)
    }

    /// What the enabled policies for a context do that only loosening one, or changing
    /// whom it is for, would mend.
    fn leave_policies_to_people(&mut self, guard: &Guard) {
        for policy in &guard.enabled {
            let mut problems = self.left_out(policy);
            problems.extend(self.bound(policy));
            if problems.is_empty() {
                continue;
            }
            self.exclusions.push(Exclusion {
                object: policy_ref(&policy.id, &policy.name),
                obstacle: Obstacle::ByHand,
                part: "conditions".to_owned(),
                detail: format!(
                    "{}; a policy that people made is not changed: let it leave out the break-glass accounts and nobody else, under Entra ID > Conditional Access > Policies",
                    problems.join(", ")
                ),
            });
        }
    }

    fn publish(&mut self, id: &str) -> Result<Option<u32>, Unread> {
        let spec = ObjectType::AuthenticationContextClassReference.spec();
        let (action, body, reason) = match guard::context(self.wish.seen, id)? {
            Context::Published(_) => return Ok(None),
            Context::Unpublished(_) => (
                plan::Action::Update,
                json!({"isAvailable": true}),
                "publishes the authentication context, so that it can be asked for",
            ),
            Context::Absent => (
                plan::Action::Create,
                json!({
                    "displayName": CONTEXT_NAME,
                    "description": "What cannot be undone: made by Rewind to protect hard deletion",
                    "isAvailable": true,
                }),
                "makes the authentication context by which actions are protected",
            ),
        };
        let object = self.context_ref(id)?;
        let path = spec.item_path(&object.id);
        let body = body.as_object().cloned().unwrap_or_default();
        let held = self.contexts().iter().find(|it| it.id == object.id);
        let step = match (action, held) {
            (plan::Action::Update, Some(held)) => {
                setting(spec, object, held.body(), &body, path, reason)
            }
            _ => making(spec, object, HttpMethod::Patch, path, body, reason),
        };
        Ok(Some(self.push(step, &[])))
    }

    fn context_ref(&self, id: &str) -> Result<ObjectRef, Unread> {
        let mut contexts = self.contexts().iter();
        let held = contexts.find(|context| context.id.as_str().eq_ignore_ascii_case(id));
        let malformed = |_| Unread {
            what: "the protected actions",
            why: format!("{id:?} is no authentication context"),
            permission: None,
        };
        Ok(ObjectRef {
            object_type: ObjectType::AuthenticationContextClassReference,
            id: held.map_or_else(
                || ObjectId::parse(id).map_err(malformed),
                |it| Ok(it.id.clone()),
            )?,
            name: held.map_or_else(|| CONTEXT_NAME.to_owned(), Object::name),
        })
    }

    /// A policy that is not enabled, asks for what is wanted, and is for nothing else; one
    /// that reports already before one that is switched off.
    fn to_wake<'g>(
        &self,
        guard: &'g Guard,
        context: &str,
        meets: impl Fn(&&Enabled) -> bool,
    ) -> Option<&'g Enabled> {
        let state = |policy: &Enabled| policy.body.get("state").cloned();
        let fits = |policy: &&Enabled| {
            meets(policy)
                && [REPORT_ONLY, DISABLED]
                    .map(|one| Some(json!(one)))
                    .contains(&state(policy))
                && is_only_for(&policy.body, context)
                && self.left_out(policy).is_empty()
                && self.bound(policy).is_empty()
        };
        let rank = |policy: &&Enabled| state(policy) != Some(json!(REPORT_ONLY));
        guard.asleep.iter().filter(fits).min_by_key(rank)
    }

    /// Enables a policy that is there, unless it was changed since.
    fn wake(&mut self, policy: &Enabled, after: &[u32]) -> u32 {
        let spec = ObjectType::ConditionalAccessPolicy.spec();
        let held = policy.body.as_object().cloned().unwrap_or_default();
        let object = policy_ref(&policy.id, &policy.name);
        let path = spec.item_path(&object.id);
        let reason = "enables the policy, which asks for what is needed and binds nobody yet";
        let state = Body::from_iter([("state".to_owned(), json!(ENABLED))]);
        let mut step = setting(spec, object, held.clone(), &state, path, reason);
        for name in ["conditions", "grantControls"] {
            let hash = hash(spec, name, &held);
            step.guards.push(Expected {
                property: name.to_owned(),
                before: hash.clone(),
                after: hash,
            });
        }
        self.push(step, after)
    }

    fn ask_everybody(&mut self, context: &str, lacking: Lacking, after: &[u32]) -> u32 {
        let mut controls = json!({"operator": "AND", "builtInControls": []});
        if lacking.device {
            controls["builtInControls"] = json!(["compliantDevice"]);
        }
        if lacking.strength {
            controls["authenticationStrength"] = json!({ "id": PHISHING_RESISTANT });
        }
        self.make_policy(context, lacking.name(), controls, None, after)
    }

    fn keep_out_others(&mut self, context: &str, rule: &str, after: &[u32]) -> u32 {
        let controls = json!({"operator": "OR", "builtInControls": ["block"]});
        let devices = json!({"deviceFilter": {"mode": "exclude", "rule": rule}});
        let name = "administrators' workstations only";
        self.make_policy(context, name, controls, Some(devices), after)
    }

    /// Makes a policy that only reports, and enables it; the step that enables it.
    fn make_policy(
        &mut self,
        context: &str,
        name: &str,
        controls: Value,
        devices: Option<Value>,
        after: &[u32],
    ) -> u32 {
        let spec = ObjectType::ConditionalAccessPolicy.spec();
        let name = self.free_name(&format!("{CONTEXT_NAME} ({context}): {name}"));
        let mut spared: Vec<&str> = self
            .break_glass
            .users
            .iter()
            .map(|user| user.id.as_str())
            .collect();
        spared.sort_unstable();
        let mut conditions = json!({
            "clientAppTypes": ["all"],
            "applications": {"includeAuthenticationContextClassReferences": [context]},
            "users": {"includeUsers": ["All"], "excludeUsers": spared},
        });
        if let Some(devices) = devices {
            conditions["devices"] = devices;
        }
        let body = json!({
            "displayName": name,
            "state": REPORT_ONLY,
            "conditions": conditions,
            "grantControls": controls,
        });
        let body = body.as_object().cloned().unwrap_or_default();
        let object = policy_ref(&(self.new_id)(), &name);
        let reason = "makes a policy for the context, which only reports at first";
        let path = spec.list_path.to_owned();
        let made = making(
            spec,
            object.clone(),
            HttpMethod::Post,
            path,
            body.clone(),
            reason,
        );
        let made = self.push(made, after);
        let state = Body::from_iter([("state".to_owned(), json!(ENABLED))]);
        let path = spec.item_path(&object.id);
        let id = object.id.clone();
        let reason = "enables the policy, before anything is protected by its context";
        let mut step = setting(spec, object, body, &state, path, reason);
        step.made_anew = vec![id];
        self.push(step, &[made])
    }

    /// The name, or where another policy has it the name and a number.
    fn free_name(&self, name: &str) -> String {
        let policies = self.wish.seen.policies.as_deref().unwrap_or_default();
        let is_taken = |name: &str| policies.iter().any(|policy| policy.name() == name);
        let mut names = std::iter::once(name.to_owned())
            .chain((2_u32..).map(|number| format!("{name} {number}")));
        names
            .find(|name| !is_taken(name))
            .expect("invariant: there are more numbers than policies")
    }

    fn protect(
        &mut self,
        action: &Protectable,
        context: &str,
        ready: &[u32],
    ) -> Result<(), Unread> {
        let object = self.context_ref(context)?;
        let value = json!(object.id.as_str());
        let step = Step {
            number: 0,
            action: plan::Action::Protect,
            reason: format!(
                "whoever uses {} has to fulfil what the policies for the context ask for",
                action.name
            ),
            attributes: vec![AttributeChange {
                path: action.name.clone(),
                before: None,
                after: Some(value.clone()),
                added: Vec::new(),
                removed: Vec::new(),
                class: Class::Restorable,
            }],
            links: Vec::new(),
            guards: vec![Expected {
                property: action.name.clone(),
                before: String::new(),
                after: canonical::hash(Some(&value)),
            }],
            call: Call {
                method: HttpMethod::Patch,
                path: format!("{ACTIONS}/{}", action.id),
                body: Some(json!({ "authenticationContextId": value })),
            },
            object,
            after: Vec::new(),
            made_anew: Vec::new(),
        };
        self.push(step, ready);
        Ok(())
    }

    fn push(&mut self, step: Step, after: &[u32]) -> u32 {
        let number = u32::try_from(self.steps.len() + 1)
            .expect("invariant: a plan has fewer than four billion steps");
        self.steps.push(Step {
            number,
            after: after.to_vec(),
            ..step
        });
        number
    }

    fn not_protectable(&mut self, action: &str, detail: &str) {
        self.exclusions.push(Exclusion {
            object: ObjectRef {
                object_type: ObjectType::AuthenticationContextClassReference,
                id: ObjectId::parse("c0").expect("invariant: it is a short word"),
                name: CONTEXT_NAME.to_owned(),
            },
            obstacle: Obstacle::ByHand,
            part: action.to_owned(),
            detail: format!("{action}: {detail}"),
        });
    }

    /// Leaves everything as it is where nobody would be left to mend it, unless that is
    /// accepted.
    fn keep_a_way_in(&mut self) {
        let users = self.break_glass.users.iter();
        let enabled = |user: &&Object| user.body().get("accountEnabled") == Some(&json!(true));
        let (usable, named) = (
            users.filter(enabled).count(),
            self.wish.seen.registered.len(),
        );
        if self.steps.is_empty() || usable > 0 && usable == named {
            return;
        }
        if usable > 0 {
            self.risks.insert(format!(
                "only {usable} of {named} break-glass accounts are there and enabled"
            ));
            return;
        }
        let reason = match named {
            0 => "no break-glass account is named for the tenant",
            _ => "none of the break-glass accounts is there and enabled",
        };
        if self.wish.lockout == Lockout::Accepted {
            self.risks.insert(format!(
                "{reason}, which was accepted: if the policies keep everybody out, nobody is left who could change them"
            ));
            return;
        }
        let refused: BTreeMap<(ObjectRef, String), ()> = self
            .steps
            .drain(..)
            .map(|step| ((step.object.clone(), part(&step)), ()))
            .collect();
        self.exclusions
            .extend(refused.into_keys().map(|(object, part)| Exclusion {
                object,
                obstacle: Obstacle::LockoutRisk,
                part,
                detail: format!(
                    "is left as it is unless that risk is accepted: {reason}, so if the policies keep everybody out, nobody is left who could change them"
                ),
            }));
    }

    /// Takes out what the application may not do, and what waits for that, and says how a
    /// person does it.
    fn leave_to_people(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut by_people = 0;
        for step in steps {
            let missing = self.wish.granted.map_or_else(Vec::new, |granted| {
                permission::missing(granted, &step.permissions())
            });
            let after: Option<Vec<u32>> = step
                .after
                .iter()
                .map(|number| numbers.get(number).copied())
                .collect();
            match after.filter(|_| missing.is_empty()) {
                Some(after) => {
                    let number = step.number;
                    let new = self.push(step, &after);
                    numbers.insert(number, new);
                }
                None => {
                    let detail = if missing.is_empty() {
                        "waits for what a person has to do first; then make another plan".to_owned()
                    } else {
                        by_people += 1;
                        let (missing, done) = (missing.join(", "), by_hand(&step));
                        let when = match step.action {
                            plan::Action::Protect => format!(
                                ", and only once an enabled policy is for {}, or whoever uses the action is asked without end",
                                step.object.id
                            ),
                            _ => String::new(),
                        };
                        format!(
                            "the application that writes lacks {missing}; do it as number {by_people} of what is left to people{when}: {done}"
                        )
                    };
                    self.exclusions.push(Exclusion {
                        obstacle: Obstacle::ByHand,
                        part: part(&step),
                        object: step.object,
                        detail,
                    });
                }
            }
        }
    }

    fn tell_risks(&mut self) {
        let asks = |step: &Step| {
            step.action == plan::Action::Protect
                || step.object.object_type == ObjectType::ConditionalAccessPolicy
        };
        if self.steps.iter().any(asks) {
            self.risks.insert(
                "whoever uses a protected action is asked for what the policies ask for: who has no sign-in that cannot be phished, or no managed device, cannot use it any more"
                    .to_owned(),
            );
        }
        self.risks
            .insert("protected actions bind people: applications are asked for nothing".to_owned());
    }
}

/// What of its object a step is about, as an exclusion names it.
fn part(step: &Step) -> String {
    let properties = step.attributes.iter().map(|it| it.path.clone());
    match step.action {
        plan::Action::Create => String::new(),
        _ => properties.take(1).collect(),
    }
}

fn holds(action: &Protectable, context: &str) -> bool {
    let held = action.context.as_deref();
    held.is_some_and(|held| held.eq_ignore_ascii_case(context))
}

fn number(context: &str) -> u32 {
    let digits = context.trim_start_matches(['c', 'C']);
    digits.parse().unwrap_or(u32::MAX)
}

fn policy_ref(id: &ObjectId, name: &str) -> ObjectRef {
    ObjectRef {
        object_type: ObjectType::ConditionalAccessPolicy,
        id: id.clone(),
        name: name.to_owned(),
    }
}

/// Whether a policy is for one context and for nothing beside it.
fn is_only_for(policy: &Value, context: &str) -> bool {
    let named = |name: &str| texts(policy, &format!("/conditions/applications/{name}"));
    named("includeAuthenticationContextClassReferences").len() == 1
        && guard::is_for(policy, context)
        && named("includeApplications").is_empty()
        && named("includeUserActions").is_empty()
}

fn hash(spec: &TypeSpec, name: &str, body: &Body) -> String {
    let property = spec.property(name);
    let value = property.and_then(|property| canonical::property(property, body.get(name)));
    canonical::hash(value.as_ref())
}

/// A step that makes an object.
fn making(
    spec: &TypeSpec,
    object: ObjectRef,
    method: HttpMethod,
    path: String,
    body: Body,
    reason: &str,
) -> Step {
    Step {
        number: 0,
        action: plan::Action::Create,
        object,
        reason: reason.to_owned(),
        attributes: attribute_changes(spec, None, Some(&body)),
        links: Vec::new(),
        guards: vec![Expected {
            property: String::new(),
            before: String::new(),
            after: canonical::body_hash(spec, &body),
        }],
        call: Call {
            method,
            path,
            body: Some(Value::Object(body)),
        },
        after: Vec::new(),
        made_anew: Vec::new(),
    }
}

/// A step that sets properties of an object that is there.
fn setting(
    spec: &TypeSpec,
    object: ObjectRef,
    held: Body,
    wanted: &Body,
    path: String,
    reason: &str,
) -> Step {
    let mut then = held.clone();
    then.extend(wanted.clone());
    let guard = |name: &String| Expected {
        property: name.clone(),
        before: hash(spec, name, &held),
        after: hash(spec, name, &then),
    };
    Step {
        number: 0,
        action: plan::Action::Update,
        object,
        reason: reason.to_owned(),
        attributes: attribute_changes(spec, Some(&held), Some(&then)),
        links: Vec::new(),
        guards: wanted.keys().map(guard).collect(),
        call: Call {
            method: HttpMethod::Patch,
            path,
            body: Some(Value::Object(wanted.clone())),
        },
        after: Vec::new(),
        made_anew: Vec::new(),
    }
}
