//! Which policies a plan must not bring about: those that could lock people out.
//!
//! Owns the comparison of who may sign in now with who may once the plan is carried
//! out, at every stage of a policy: one that comes back from the recycle bin binds as
//! it was deleted until it is set right. What one policy does to one account is
//! [`crate::lockout`]'s to say.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::{Action, Draft, Exclusion, Lockout, Sketch};
use crate::catalogue::{GLOBAL_ADMINISTRATOR, LinkKind, ObjectType};
use crate::diff::{Direction, Obstacle};
use crate::id::ObjectId;
use crate::lockout::{Account, Memberships, When, groups_of, keeps_out, role_of};
use crate::object::{Object, ObjectRef, ObjectState};

type Body = Map<String, Value>;
/// Who holds a role, and the template id of the role.
type Held = (ObjectId, ObjectId);

/// A policy that the plan writes.
struct Written {
    object: ObjectRef,
    /// As it is now; `None` while it is in the recycle bin.
    before: Option<Body>,
    /// As it will be after each of its steps.
    stages: Vec<Body>,
    /// Whether it names something that the plan makes anew, so that it binds members who
    /// were out of its reach.
    names_new: bool,
}

impl Written {
    /// What is not understood counts as met, so that a policy seems to bind more people
    /// than it does. Hence it is no excuse that it did so before, unless it asks for the
    /// same under the same conditions.
    fn newly_keeps_out(&self, now: &Account, then: &Account, when: When) -> Option<String> {
        let mut stages = self.stages.iter();
        stages.find_map(|stage| {
            let how = keeps_out(stage, then, when)?;
            let as_before = self.before.as_ref().is_some_and(|before| {
                let conditions = |policy: &Body| policy.get("conditions").cloned();
                keeps_out(before, now, when).as_ref() == Some(&how)
                    && conditions(before) == conditions(stage)
            });
            (self.names_new || !as_before).then_some(how)
        })
    }
}

/// Somebody before and after the plan.
struct Person {
    /// How a sentence calls the account.
    name: String,
    now: Account,
    then: Account,
}

impl Draft<'_> {
    /// Leaves the policies that could keep break-glass accounts, or every Global
    /// Administrator, from signing in who can sign in now, unless that is accepted.
    pub(super) fn keep_the_ways_in(&mut self) {
        let written = self.written_policies();
        if written.is_empty() {
            return;
        }
        let view = View::of(self);
        let break_glass = view.break_glass();
        let mut reasons: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
        for policy in &written {
            for person in &break_glass {
                let found = policy.newly_keeps_out(&person.now, &person.then, When::Ever);
                if let Some(how) = found {
                    let sentence = format!("{} could not sign in, since {how}", person.name);
                    reasons
                        .entry(policy.object.id.clone())
                        .or_default()
                        .push(sentence);
                }
            }
        }
        let mut risks = view.moved_under(&written, &break_glass);
        let administrators = view.administrators();
        if view.nobody_can(&written, &administrators) {
            let nobody = "no Global Administrator could sign in any more";
            let mut found = false;
            for policy in &written {
                let mut ways = administrators.iter().filter_map(|person| {
                    policy.newly_keeps_out(&person.now, &person.then, When::Always)
                });
                if let Some(how) = ways.next() {
                    found = true;
                    reasons
                        .entry(policy.object.id.clone())
                        .or_default()
                        .push(format!("{nobody}, since {how}"));
                }
            }
            if !found {
                risks.push("no Global Administrator may be able to sign in, by policies that the plan leaves as they are".to_owned());
            }
        }
        self.risks.extend(risks);
        for policy in written {
            if let Some(reasons) = reasons.remove(&policy.object.id) {
                self.weigh(&policy.object, &reasons.join("; "));
            }
        }
    }

    /// Keeps the steps of a policy that could lock somebody out if that is accepted.
    fn weigh(&mut self, policy: &ObjectRef, reason: &str) {
        let name = &policy.name;
        if self.situation.options.lockout == Lockout::Accepted {
            self.risks.insert(format!(
                "policy \"{name}\" may lock people out, which was accepted: {reason}"
            ));
            return;
        }
        self.risks.insert(format!(
            "policy \"{name}\" is left as it is, since it could lock people out: {reason}"
        ));
        self.steps.retain(|step| step.object.id != policy.id);
        self.exclusions
            .retain(|one| one.object.id != policy.id || one.obstacle != Obstacle::ReportOnly);
        self.exclusions.push(Exclusion {
            object: policy.clone(),
            obstacle: Obstacle::LockoutRisk,
            part: String::new(),
            detail: format!(
                "could lock people out and is left as it is unless that risk is accepted: {reason}"
            ),
        });
    }

    /// The policies that the plan writes, each with its stages.
    fn written_policies(&self) -> Vec<Written> {
        let mut written: BTreeMap<ObjectId, Written> = BTreeMap::new();
        let of_type = ObjectType::ConditionalAccessPolicy;
        let steps = self.steps.iter().filter(|step| {
            let writes = matches!(
                step.action,
                Action::RestoreDeleted | Action::Update | Action::Recreate
            );
            step.object.object_type == of_type && writes
        });
        for step in steps {
            let id = &step.object.id;
            let found = self.situation.live.object(of_type, id);
            let policy = written.entry(id.clone()).or_insert_with(|| Written {
                object: step.object.clone(),
                before: found
                    .filter(|object| object.state == ObjectState::Live)
                    .map(Object::body),
                stages: Vec::new(),
                names_new: false,
            });
            let last = policy.stages.last().or(policy.before.as_ref()).cloned();
            let mut body = last.or_else(|| found.map(Object::body)).unwrap_or_default();
            if let Some(Value::Object(change)) = &step.call.body {
                body.extend(change.clone());
            }
            policy.names_new |= self.anew.are_named_in(&Value::Object(body.clone()));
            policy.stages.push(body);
        }
        written.into_values().collect()
    }
}

/// One who stands for all administrators where nobody is known.
fn unknown_administrator() -> Person {
    let account = Account {
        surely_has: [administrator_role()].into(),
        ..Account::default()
    };
    Person {
        name: "an administrator".to_owned(),
        now: account.clone(),
        then: account,
    }
}

/// Who may sign in, before and after a plan's other steps.
struct View<'a> {
    draft: &'a Draft<'a>,
    /// Memberships now.
    now: Memberships,
    /// Memberships once links were written and groups deleted.
    then: Memberships,
    /// Role assignments now: who, and the role's template id.
    held: Option<Vec<Held>>,
    /// Those that the plan makes.
    given: Vec<Held>,
    /// Those that the plan removes.
    taken: HashSet<Held>,
}

impl<'a> View<'a> {
    fn of(draft: &'a Draft<'a>) -> Self {
        let accounts = draft.situation.accounts;
        let mut now = Memberships::new();
        for (member, group) in &accounts.memberships {
            now.entry(member.clone()).or_default().insert(group.clone());
        }
        let (then, (given, taken)) = (memberships_then(draft, &now), roles_then(draft));
        let held = accounts.assignments.as_ref().map(|all| {
            let bodies = all.iter().map(Object::body);
            bodies.filter_map(|body| role_of(&body)).collect()
        });
        Self {
            draft,
            now,
            then,
            held,
            given,
            taken,
        }
    }

    fn break_glass(&self) -> Vec<Person> {
        let accounts = self.draft.situation.accounts;
        let ids = accounts.break_glass.iter();
        ids.map(|id| self.person(id, "the break-glass account"))
            .collect()
    }

    /// The users who are Global Administrators of the whole tenant after the plan and
    /// whose accounts are enabled; where nobody knows them, one who stands for all.
    fn administrators(&self) -> Vec<Person> {
        let role = administrator_role();
        let Some(held) = &self.held else {
            return vec![unknown_administrator()];
        };
        let all = held.iter().filter(|one| !self.taken.contains(*one));
        let holders: HashSet<&ObjectId> = all
            .chain(&self.given)
            .filter(|(_, held)| *held == role)
            .map(|(holder, _)| holder)
            .collect();
        let users = self.draft.situation.accounts.users.iter();
        let known = users
            .filter(|user| self.is_enabled_then(user))
            .filter(|user| {
                let groups = groups_of(&user.id, &self.then);
                holders.contains(&user.id) || groups.iter().any(|group| holders.contains(group))
            })
            .map(|user| self.person(&user.id, "the administrator"));
        let known: Vec<Person> = known.collect();
        match known.is_empty() {
            // They may be those that the plan brings back.
            true => vec![unknown_administrator()],
            false => known,
        }
    }

    /// Whether an account is enabled after the plan.
    fn is_enabled_then(&self, user: &Object) -> bool {
        let steps = self.draft.steps.iter().filter(|it| it.object.id == user.id);
        let mut enabled = user.body().get("accountEnabled") == Some(&Value::Bool(true));
        for step in steps {
            let written = step
                .call
                .body
                .as_ref()
                .and_then(|it| it.get("accountEnabled"));
            enabled = match (step.action, written) {
                (Action::SoftDelete, _) => false,
                (Action::Update, Some(value)) => value == &Value::Bool(true),
                _ => enabled,
            };
        }
        enabled
    }

    fn person(&self, id: &ObjectId, title: &str) -> Person {
        let mut users = self.draft.situation.accounts.users.iter();
        let Some(user) = users.find(|user| user.id == *id) else {
            // Nothing is known of it, and it may come back.
            let account = Account {
                id: Some(id.clone()),
                ..Account::default()
            };
            return Person {
                name: format!("{title} {id}"),
                now: account.clone(),
                then: account,
            };
        };
        let (now, then) = (groups_of(id, &self.now), groups_of(id, &self.then));
        let roles = |groups: &HashSet<ObjectId>, of: &[Held]| {
            let held = of
                .iter()
                .filter(|(holder, _)| holder == id || groups.contains(holder));
            held.map(|(_, role)| role.clone())
                .collect::<HashSet<ObjectId>>()
        };
        let has_now = self.held.as_ref().map(|held| roles(&now, held));
        let has_then = self.held.as_ref().map(|held| {
            let stays = held.iter().filter(|one| !self.taken.contains(*one));
            roles(&then, &stays.cloned().collect::<Vec<_>>())
        });
        let gets = roles(&then, &self.given);
        let union = |one: &HashSet<ObjectId>, other: &HashSet<ObjectId>| {
            one.union(other).cloned().collect::<HashSet<ObjectId>>()
        };
        let account = Account::of(&user.body(), id.clone());
        Person {
            name: format!("{title} \"{}\"", user.name()),
            // What binds only after the plan is compared with what binds now.
            now: Account {
                perhaps_in: Some(now.clone()),
                surely_in: now.clone(),
                perhaps_has: has_now.clone(),
                surely_has: has_now.clone().unwrap_or_default(),
                ..account.clone()
            },
            // A step that takes somebody out of a group may fail, one that puts
            // somebody in is waited for.
            then: Account {
                perhaps_in: Some(union(&now, &then)),
                surely_in: then,
                perhaps_has: has_now.map(|has| union(&has, &gets)),
                surely_has: has_then.unwrap_or_default(),
                ..account
            },
        }
    }

    /// Whether none of the administrators could sign in by the policies after the plan.
    fn nobody_can(&self, written: &[Written], administrators: &[Person]) -> bool {
        let removed: HashSet<&ObjectId> = self
            .draft
            .steps
            .iter()
            .filter(|step| step.action == Action::SoftDelete)
            .map(|step| &step.object.id)
            .collect();
        let changed: HashSet<&ObjectId> = written.iter().map(|it| &it.object.id).collect();
        let policies = self.draft.situation.accounts.policies.iter();
        let unchanged: Vec<Body> = policies
            .filter(|policy| !changed.contains(&policy.id) && !removed.contains(&policy.id))
            .map(Object::body)
            .collect();
        let stages = written.iter().flat_map(|policy| &policy.stages);
        let resulting: Vec<&Body> = unchanged.iter().chain(stages).collect();
        let kept_out = |person: &Person| {
            let mut policies = resulting.iter();
            policies.any(|policy| keeps_out(policy, &person.then, When::Always).is_some())
        };
        administrators.iter().all(kept_out)
    }

    /// The break-glass accounts that a policy would cover which the plan does not
    /// write, since it changes their groups or roles.
    fn moved_under(&self, written: &[Written], break_glass: &[Person]) -> Vec<String> {
        let changed: HashSet<&ObjectId> = written.iter().map(|it| &it.object.id).collect();
        let policies = self.draft.situation.accounts.policies.iter();
        let mut sentences = Vec::new();
        for policy in policies.filter(|policy| !changed.contains(&policy.id)) {
            let body = policy.body();
            for person in break_glass {
                let now = keeps_out(&body, &person.now, When::Ever);
                let then = keeps_out(&body, &person.then, When::Ever);
                if let (None, Some(how)) = (now, then) {
                    sentences.push(format!(
                        "the plan changes the groups or roles of {} so that policy \"{}\" is for it: {how}",
                        person.name,
                        policy.name()
                    ));
                }
            }
        }
        sentences
    }
}

/// The memberships after the plan: those of the accounts, changed by its steps, and
/// above groups that are new to them those of the snapshot.
fn memberships_then(draft: &Draft<'_>, now: &Memberships) -> Memberships {
    let mut then = now.clone();
    let known: HashSet<&ObjectId> = now.values().flatten().collect();
    let base = draft.situation.base;
    let groups: HashSet<&ObjectId> = base
        .objects
        .iter()
        .filter(|object| object.object_type == ObjectType::Group)
        .map(|object| &object.id)
        .collect();
    let nested = base.links.iter().filter(|link| {
        let is_membership = link.kind == LinkKind::GroupMembers;
        is_membership && groups.contains(&link.target) && !known.contains(&link.target)
    });
    for link in nested {
        let above = then.entry(link.target.clone()).or_default();
        above.insert(link.source.clone());
    }
    for step in &draft.steps {
        let links = step.links.iter();
        for link in links.filter(|link| link.kind == LinkKind::GroupMembers) {
            let groups = then.entry(link.target.clone()).or_default();
            match link.direction {
                Direction::Added => groups.insert(step.object.id.clone()),
                Direction::Removed => groups.remove(&step.object.id),
            };
        }
    }
    let deleted: HashSet<&ObjectId> = draft
        .steps
        .iter()
        .filter(|step| step.action == Action::SoftDelete)
        .map(|step| &step.object.id)
        .collect();
    for groups in then.values_mut() {
        groups.retain(|group| !deleted.contains(group));
    }
    then
}

/// The assignments over the whole tenant that the plan makes, and those that it takes.
fn roles_then(draft: &Draft<'_>) -> (Vec<Held>, HashSet<Held>) {
    let of = |action: Action| {
        let steps = draft.steps.iter().filter(move |step| {
            step.action == action && step.object.object_type == ObjectType::RoleAssignment
        });
        steps.filter_map(told)
    };
    (
        of(Action::MakeAnew).collect(),
        of(Action::RemoveRelation).collect(),
    )
}

/// What a step tells of the assignment that it makes or removes.
fn told(step: &Sketch) -> Option<Held> {
    let values = step.attributes.iter().filter_map(|one| {
        let value = one.before.as_ref().or(one.after.as_ref())?;
        Some((one.path.clone(), value.clone()))
    });
    role_of(&values.collect())
}

fn administrator_role() -> ObjectId {
    ObjectId::parse(GLOBAL_ADMINISTRATOR).expect("invariant: a GUID is an id")
}
