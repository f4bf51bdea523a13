//! The chain from the action to the device, link by link, and the accounts that must
//! stay out of it.
//!
//! Owns the order: what rests on a link that is missing is not reached, and what rests
//! on one that is not known is not known.

use std::collections::HashSet;

use serde_json::Value;

use super::guard::{Context, Enabled, Guard};
use super::reach::Holders;
use super::table::{
    ACCOUNTS, ACTION, DEVICE, ENABLED, EVERYBODY, EXCLUSIONS, HARD_DELETE, OTHERS, PUBLISHED,
    SPARED, STRENGTH, WORKSTATION,
};
use super::{Answer, Answers, BreakGlass, Seen, count, guard};
use crate::id::ObjectId;
use crate::lockout::{self, Account, Memberships, groups_of, role_of, texts};
use crate::object::Object;

/// The checks that need the policies for the context.
const BEHIND: [&str; 6] = [EVERYBODY, EXCLUSIONS, STRENGTH, DEVICE, WORKSTATION, SPARED];

/// Answers the checks about the hard deletion itself.
pub(super) fn answers(seen: &Seen, holders: &Holders) -> Answers {
    let mut answers = Answers::from([(ACCOUNTS, accounts(seen))]);
    let context = match protecting(seen, HARD_DELETE) {
        Protecting::Context(context) => context,
        Protecting::Nothing { itself, rest } => {
            answers.insert(ACTION, itself);
            let behind = BEHIND.into_iter().chain([PUBLISHED, ENABLED]);
            answers.extend(behind.map(|id| (id, rest.clone())));
            return answers;
        }
    };
    answers.insert(
        ACTION,
        Answer::good(format!(
            "{HARD_DELETE} is a protected action with the authentication context {context}."
        )),
    );
    answers.insert(PUBLISHED, published(seen, &context));
    let guard = match Guard::of(seen, &context, holders.templates().as_ref()) {
        Ok(guard) => guard,
        Err(unread) => {
            let unknown = Answer::unknown(&unread);
            let behind = BEHIND.into_iter().chain([ENABLED]);
            answers.extend(behind.map(|id| (id, unknown.clone())));
            return answers;
        }
    };
    answers.insert(ENABLED, enabled(&guard, &context));
    if guard.enabled.is_empty() {
        let rest = Answer::not_reached("no enabled policy is for the context");
        answers.extend(BEHIND.into_iter().map(|id| (id, rest.clone())));
        return answers;
    }
    answers.extend([
        (EVERYBODY, everybody(&guard)),
        (EXCLUSIONS, exclusions(seen, &guard)),
        (STRENGTH, strength(seen, &guard)),
        (DEVICE, device(&guard)),
        (WORKSTATION, workstation(&guard)),
        (SPARED, spared(seen, &guard)),
    ]);
    answers
}

/// Answers the checks about the actions with which the defence could be taken apart.
pub(super) fn other_actions(seen: &Seen) -> Answers {
    let answers = OTHERS.map(|(id, action)| (id, other_action(seen, action)));
    Answers::from(answers)
}

/// What protects an action.
enum Protecting {
    /// The context of this id.
    Context(String),
    /// Nothing, or nobody knows: what that means, and what follows for all that rests
    /// on it.
    Nothing { itself: Answer, rest: Answer },
}

fn protecting(seen: &Seen, name: &str) -> Protecting {
    let nothing = |sentence: String| Protecting::Nothing {
        itself: Answer::finding(sentence),
        rest: Answer::not_reached("the action is not protected"),
    };
    let actions = match &seen.actions {
        Ok(actions) => actions,
        Err(unread) => {
            let itself = Answer::unknown(unread);
            let rest = itself.clone();
            return Protecting::Nothing { itself, rest };
        }
    };
    let mut actions = actions.iter();
    let found = actions.find(|action| action.name.eq_ignore_ascii_case(name));
    match found.map(|action| (&action.context, action.settable)) {
        Some((Some(context), _)) => Protecting::Context(context.clone()),
        Some((None, true)) => nothing(format!(
            "{name} is not a protected action: whoever holds the permission may use it with any sign-in."
        )),
        Some((None, false)) => nothing(format!(
            "{name} is not a protected action, and this tenant does not let it be one."
        )),
        None => nothing(format!(
            "{name} is not among the actions that this tenant has."
        )),
    }
}

fn published(seen: &Seen, id: &str) -> Answer {
    match guard::context(seen, id) {
        Err(unread) => Answer::unknown(&unread),
        Ok(Context::Absent) => Answer::finding(format!(
            "There is no authentication context {id}, so nothing can be asked for with it."
        )),
        Ok(Context::Unpublished(name)) => Answer::finding(format!(
            "The authentication context {id} (\"{name}\") is not published to applications."
        )),
        Ok(Context::Published(name)) => Answer::good(format!(
            "The authentication context {id} (\"{name}\") is published."
        )),
    }
}

fn enabled(guard: &Guard, context: &str) -> Answer {
    let names: Vec<String> = guard.enabled.iter().map(|one| one.name.clone()).collect();
    if !names.is_empty() {
        let sentence = format!(
            "{} for {context}.",
            count(names.len(), "enabled policy is", "enabled policies are")
        );
        return Answer::good(sentence).told(names.iter().map(|name| format!("policy \"{name}\"")));
    }
    if guard.others.is_empty() {
        return Answer::finding(format!(
            "No Conditional Access policy is for the authentication context {context}."
        ));
    }
    Answer::finding(format!("No policy for {context} is enabled.")).told(guard.others.clone())
}

/// What each enabled policy leaves open.
fn open(guard: &Guard) -> Vec<String> {
    let told = |policy: &Enabled| {
        let mut ways = policy.gaps();
        if !policy.controls.ask_for_something() {
            ways.push("it asks for nothing".to_owned());
        }
        (!ways.is_empty()).then(|| format!("policy \"{}\": {}", policy.name, ways.join(", ")))
    };
    guard.enabled.iter().filter_map(told).collect()
}

fn everybody(guard: &Guard) -> Answer {
    let mut whole = guard.whole();
    match whole.next() {
        Some(policy) => Answer::good(format!(
            "Policy \"{}\" is for everybody who could, wherever they are.",
            policy.name
        )),
        None => Answer::finding(
            "No enabled policy for the context is for everybody who could, wherever they are.",
        )
        .told(open(guard)),
    }
}

fn strength(seen: &Seen, guard: &Guard) -> Answer {
    match guard.resists_phishing(seen) {
        Err(unread) => Answer::unknown(&unread),
        Ok(Some(name)) => Answer::good(format!(
            "Policy \"{name}\" asks everybody for a sign-in that cannot be phished."
        )),
        Ok(None) => Answer::finding(
            "No policy for the context makes sure that everybody signs in with what cannot be phished.",
        )
        .told(open(guard)),
    }
}

fn device(guard: &Guard) -> Answer {
    match guard.needs_device() {
        Some(name) => Answer::good(format!(
            "Policy \"{name}\" asks everybody for a compliant or hybrid joined device."
        )),
        None => Answer::finding(
            "No policy for the context makes sure that everybody is on a compliant or hybrid joined device.",
        )
        .told(open(guard)),
    }
}

fn workstation(guard: &Guard) -> Answer {
    match guard.needs_workstation() {
        Some((name, rule)) => Answer::good(format!(
            "Policy \"{name}\" lets through administrators' workstations only."
        ))
        .told([format!("its filter for devices: {rule}")]),
        None => Answer::finding(
            "No policy for the context keeps out the devices that are not administrators' workstations.",
        ),
    }
}

/// Whom a policy leaves out, in a sentence each.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Those who are no break-glass accounts.
    pub(super) others: Vec<String>,
    /// Groups that hold one of those.
    groups: Vec<String>,
}

impl LeftOut {
    /// A group is taken for a break-glass account where one of those is in it directly.
    pub(super) fn of(policy: &Enabled, seen: &Seen, known: &BreakGlass) -> Self {
        let is_registered = |id: &str| lockout::is_one_of(id, seen.registered.iter());
        let holds_one = |group: &str| {
            let mut held = known.memberships.iter();
            held.any(|(member, held)| {
                held.as_str().eq_ignore_ascii_case(group) && seen.registered.contains(member)
            })
        };
        let mut left_out = Self::default();
        let excluded = |place: &str| texts(&policy.body, place);
        let name = &policy.name;
        let users = excluded("/conditions/users/excludeUsers").into_iter();
        for id in users.filter(|id| !is_registered(id)) {
            left_out
                .others
                .push(format!("policy \"{name}\" leaves out user {id}"));
        }
        for id in excluded("/conditions/users/excludeGroups") {
            if holds_one(id) {
                left_out.groups.push(format!(
                    "policy \"{name}\" leaves out group {id}, which holds a break-glass account; who else is in it is not looked at"
                ));
            } else {
                left_out
                    .others
                    .push(format!("policy \"{name}\" leaves out group {id}"));
            }
        }
        for id in excluded("/conditions/users/excludeRoles") {
            left_out
                .others
                .push(format!("policy \"{name}\" leaves out role {id}"));
        }
        let guests = policy
            .body
            .pointer("/conditions/users/excludeGuestsOrExternalUsers");
        if guests.is_some_and(|guests| !guests.is_null()) {
            left_out
                .others
                .push(format!("policy \"{name}\" leaves out guests"));
        }
        left_out
    }
}

/// Who is left out of the policies beside the break-glass accounts.
fn exclusions(seen: &Seen, guard: &Guard) -> Answer {
    let known = match &seen.break_glass {
        Ok(known) => known,
        Err(unread) => return Answer::unknown(unread),
    };
    let (mut evidence, mut groups) = (Vec::new(), Vec::new());
    for policy in &guard.enabled {
        let left_out = LeftOut::of(policy, seen, known);
        evidence.extend(left_out.others);
        groups.extend(left_out.groups);
    }
    if evidence.is_empty() {
        return Answer::good(
            "Nobody but the break-glass accounts is left out of the policies for the context.",
        )
        .told(groups);
    }
    Answer::finding(
        "Others than the break-glass accounts are left out of the policies for the context.",
    )
    .told(evidence)
}

/// Whether there are accounts that can be used.
fn accounts(seen: &Seen) -> Answer {
    if seen.registered.is_empty() {
        return Answer::finding("No break-glass account is named for this tenant.");
    }
    let known = match &seen.break_glass {
        Ok(known) => known,
        Err(unread) => return Answer::unknown(unread),
    };
    let mut usable = 0;
    let mut evidence = Vec::new();
    for id in &seen.registered {
        match known.users.iter().find(|user| user.id == *id) {
            None => evidence.push(format!("there is no user {id}")),
            Some(user) if user.body().get("accountEnabled") == Some(&Value::Bool(true)) => {
                usable += 1;
                evidence.push(format!("\"{}\" is enabled", user.name()));
            }
            Some(user) => evidence.push(format!("\"{}\" is not enabled", user.name())),
        }
    }
    let answer = if usable == seen.registered.len() {
        Answer::good(format!(
            "{} there and enabled.",
            count(usable, "break-glass account is", "break-glass accounts are")
        ))
    } else {
        Answer::finding(format!(
            "{usable} of {} there and enabled.",
            count(
                seen.registered.len(),
                "break-glass account is",
                "break-glass accounts are"
            )
        ))
    };
    answer.told(evidence)
}

/// Whether the break-glass accounts stay out of the policies for the context.
fn spared(seen: &Seen, guard: &Guard) -> Answer {
    if seen.registered.is_empty() {
        return Answer::not_reached("no break-glass account is named");
    }
    let known = match &seen.break_glass {
        Ok(known) => known,
        Err(unread) => return Answer::unknown(unread),
    };
    let evidence: Vec<String> = guard
        .enabled
        .iter()
        .flat_map(|policy| bound(policy, seen, known))
        .collect();
    if known.users.is_empty() {
        return Answer::not_reached("none of the break-glass accounts is there");
    }
    if evidence.is_empty() {
        return Answer::good("No policy for the context is for a break-glass account.");
    }
    Answer::finding(
        "Policies for the context are for break-glass accounts, which may then not get through.",
    )
    .told(evidence)
}

/// The break-glass accounts that a policy is for, in a sentence each.
pub(super) fn bound(policy: &Enabled, seen: &Seen, known: &BreakGlass) -> Vec<String> {
    let nothing = Value::Null;
    let conditions = policy.body.get("conditions").unwrap_or(&nothing);
    let users = known.users.iter();
    let bound = users.filter(|user| lockout::covers(conditions, &account(user, known, seen)));
    let sentence = |user: &Object| format!("policy \"{}\" is for \"{}\"", policy.name, user.name());
    bound.map(sentence).collect()
}

/// A break-glass account, as policies see it.
fn account(user: &Object, known: &BreakGlass, seen: &Seen) -> Account {
    let mut direct = Memberships::new();
    for (member, group) in &known.memberships {
        direct
            .entry(member.clone())
            .or_default()
            .insert(group.clone());
    }
    let groups = groups_of(&user.id, &direct);
    let roles: Option<HashSet<ObjectId>> = seen.assignments.as_ref().ok().map(|all| {
        let held = all.iter().filter_map(|one| role_of(&one.body()));
        let held = held.filter(|(holder, _)| *holder == user.id || groups.contains(holder));
        held.map(|(_, role)| role).collect()
    });
    Account {
        perhaps_in: Some(groups.clone()),
        surely_in: groups,
        perhaps_has: roles.clone(),
        surely_has: roles.unwrap_or_default(),
        ..Account::of(&user.body(), user.id.clone())
    }
}

fn other_action(seen: &Seen, name: &str) -> Answer {
    let context = match protecting(seen, name) {
        Protecting::Context(context) => context,
        Protecting::Nothing { itself, .. } => return itself,
    };
    match guard::context(seen, &context) {
        Err(unread) => return Answer::unknown(&unread),
        Ok(Context::Published(_)) => {}
        Ok(Context::Absent | Context::Unpublished(_)) => {
            return Answer::finding(format!(
                "{name} is protected with {context}, which is no published context."
            ));
        }
    }
    match Guard::of(seen, &context, None) {
        Err(unread) => Answer::unknown(&unread),
        Ok(guard) => match guard.whole().next() {
            Some(policy) => Answer::good(format!(
                "{name} is protected with {context}, for which policy \"{}\" is enabled.",
                policy.name
            )),
            None => Answer::finding(format!(
                "{name} is protected with {context}, but no enabled policy for that asks something of everybody."
            ))
            .told(open(&guard))
            .told(guard.others.clone()),
        },
    }
}
