//! Half-configured tenants, the least that each needs, and what it leads to. Every plan
//! is carried out step by step, and looked at after each.

use super::*;
use crate::diff::Obstacle;
use crate::plan::{Action as Does, Exclusion, Lockout, Plan, Step};

const RULE: &str = "device.extensionAttribute1 -eq \"PAW\"";

/// A tenant with its accounts, and nothing of the defence.
fn bare() -> Seen {
    let actions = [HARD_DELETE]
        .into_iter()
        .chain(OTHERS.map(|(_, name)| name));
    Seen {
        actions: Ok(actions.map(|name| action(name, None)).collect()),
        contexts: Ok(Vec::new()),
        policies: Ok(Vec::new()),
        ..guarded()
    }
}

fn planned(seen: &Seen, workstations: Option<&str>) -> Plan {
    planned_as(seen, workstations, Lockout::Refused, None)
}

fn planned_as(
    seen: &Seen,
    workstations: Option<&str>,
    lockout: Lockout,
    granted: Option<&[&str]>,
) -> Plan {
    let granted: Option<BTreeSet<String>> =
        granted.map(|all| all.iter().map(|&one| one.to_owned()).collect());
    let wish = Wish {
        seen,
        workstations,
        lockout,
        granted: granted.as_ref(),
    };
    let mut numbers = 100..;
    let mut new_id = || id(numbers.next().expect("few policies"));
    harden(&wish, &mut new_id).expect("everything was read")
}

/// A step in a few words.
fn said(step: &Step) -> String {
    let (id, name) = (&step.object.id, &step.object.name);
    let value = |step: &Step| step.attributes[0].path.clone();
    match (step.action, step.object.object_type) {
        (Does::Create, ObjectType::AuthenticationContextClassReference) => format!("make {id}"),
        (Does::Create, _) => format!("make {name}"),
        (Does::Update, ObjectType::AuthenticationContextClassReference) => format!("publish {id}"),
        (Does::Update, _) => format!("enable {name}"),
        (Does::Protect, _) => format!("{} by {id}", value(step)),
        other => panic!("{other:?}"),
    }
}

/// The tenant after a step.
fn after(mut seen: Seen, step: &Step) -> Seen {
    let (object_type, id) = (step.object.object_type, &step.object.id);
    let body = step.call.body.clone().expect("every step says something");
    let list = match object_type {
        ObjectType::AuthenticationContextClassReference => &mut seen.contexts,
        _ => &mut seen.policies,
    };
    let list = list.as_mut().expect("known");
    match step.action {
        Does::Create => list.push(named(object_type, id.as_str(), body)),
        Does::Update => {
            let held = list.iter_mut().find(|held| held.id == *id);
            let held = held.expect("it is there");
            let mut whole = held.body();
            whole.extend(body.as_object().expect("an object").clone());
            *held = named(object_type, id.as_str(), Value::Object(whole));
        }
        Does::Protect => {
            let actions = seen.actions.as_mut().expect("known");
            let name = &step.attributes[0].path;
            let action = actions.iter_mut().find(|action| action.name == *name);
            let action = action.expect("it is there");
            assert!(step.call.path.ends_with(&format!("/{}", action.id)));
            action.context = body["authenticationContextId"].as_str().map(str::to_owned);
        }
        other => panic!("{other:?}"),
    }
    seen
}

/// The actions that are protected by a context for which no policy is enabled.
fn asked_without_end(seen: &Seen) -> BTreeSet<String> {
    let policies = seen.policies.as_ref().expect("known");
    let stands = |context: &str| {
        policies.iter().any(|policy| {
            let body = policy.body();
            body["state"] == "enabled" && is_for(&Value::Object(body), context)
        })
    };
    let actions = seen.actions.as_ref().expect("known").iter();
    let open = actions.filter(|it| it.context.as_deref().is_some_and(|one| !stands(one)));
    open.map(|action| action.name.clone()).collect()
}

/// The tenant once a plan is carried out; no step may leave an action asked for without
/// end that was not before.
fn carried_out(mut seen: Seen, plan: &Plan) -> Seen {
    let before = asked_without_end(&seen);
    let policies = seen.policies.clone().expect("known");
    for step in &plan.steps {
        assert!(step.after.iter().all(|number| *number < step.number));
        seen = after(seen, step);
        assert!(
            asked_without_end(&seen).is_subset(&before),
            "{}",
            said(step)
        );
    }
    // What people made is at most enabled.
    for policy in policies {
        let found = seen.policies.as_ref().expect("known").iter();
        let mut found = found.filter(|it| it.id == policy.id);
        let mut now = found.next().expect("nothing is deleted").body();
        let mut then = policy.body();
        let _ = (now.remove("state"), then.remove("state"));
        assert_eq!(now, then);
    }
    seen
}

/// What a tenant needs, and the checks that are findings after it.
#[track_caller]
fn leads(seen: Seen, workstations: Option<&str>, expected: &[String], left: &[&str]) -> Plan {
    let plan = planned(&seen, workstations);
    let steps: Vec<String> = plan.steps.iter().map(said).collect();
    assert_eq!(steps, expected);
    let then = carried_out(seen, &plan);
    let found = bad(&then);
    let found: Vec<&str> = found.iter().map(|(id, _)| *id).collect();
    assert_eq!(found, left);
    let again = planned(&then, workstations);
    assert_eq!(again.steps, [], "a second plan does nothing");
    plan
}

fn policy_for(context: &str, what: &str) -> [String; 2] {
    let name = format!("High-Security Ops ({context}): {what}");
    [format!("make {name}"), format!("enable {name}")]
}

fn strong(context: &str) -> [String; 2] {
    policy_for(context, "strong sign-in on a managed device")
}

fn only_workstations(context: &str) -> [String; 2] {
    policy_for(context, "administrators' workstations only")
}

fn by(context: &str, actions: &[&str]) -> Vec<String> {
    actions
        .iter()
        .map(|it| format!("{it} by {context}"))
        .collect()
}

fn every() -> Vec<&'static str> {
    let others = OTHERS.map(|(_, name)| name);
    [HARD_DELETE].into_iter().chain(others).collect()
}

fn one(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

/// The whole defence, in a context that is made or published first.
fn whole(first: &str, context: &str) -> Vec<String> {
    let mut steps = one(first);
    steps.extend(strong(context));
    steps.extend(only_workstations(context));
    steps.extend(by(context, &every()));
    steps
}

fn with(change: impl FnOnce(&mut Seen)) -> Seen {
    let mut seen = guarded();
    change(&mut seen);
    seen
}

/// The guarded tenant with another main policy.
fn with_policy(change: impl FnOnce(&mut Value)) -> Seen {
    with(|seen| seen.policies = Ok(vec![policy(10, change), workstations(11)]))
}

fn protect(seen: &mut Seen, wanted: &str, context: Option<&str>) {
    let actions = seen.actions.as_mut().expect("known").iter_mut();
    let all = actions.filter(|action| wanted == "*" || action.name == wanted);
    all.for_each(|action| action.context = context.map(str::to_owned));
}

#[test]
fn each_tenant_gets_the_least_that_is_necessary() {
    let paw = Some(RULE);
    let other = OTHERS[1].1;
    let others: Vec<&str> = OTHERS.iter().map(|(_, name)| *name).collect();
    leads(bare(), paw, &whole("make c1", "c1"), &[]);

    let mut steps = one("make c1");
    steps.extend(strong("c1"));
    steps.extend(by("c1", &every()));
    let plan = leads(bare(), None, &steps, &["secure-workstation"]);
    assert!(plan.risks.iter().any(|risk| risk.contains("workstations")));

    leads(guarded(), paw, &[], &[]);
    leads(guarded(), None, &[], &[]);
    let bare_action = with(|seen| protect(seen, HARD_DELETE, None));
    leads(bare_action, paw, &by("c7", &[HARD_DELETE]), &[]);
    let mut open = guarded();
    protect(&mut open, "*", None);
    protect(&mut open, HARD_DELETE, Some(CONTEXT));
    leads(open, paw, &by("c7", &others), &[]);

    let unpublished = with(|seen| seen.contexts = Ok(vec![context(CONTEXT, false)]));
    leads(unpublished, paw, &one("publish c7"), &[]);
    let absent = with(|seen| seen.contexts = Ok(Vec::new()));
    leads(absent, paw, &one("make c7"), &[]);

    for state in ["enabledForReportingButNotEnforced", "disabled"] {
        let asleep = with_policy(|policy| policy["state"] = json!(state));
        leads(asleep, paw, &one("enable Guard 10"), &[]);
    }
    let both = with(|seen| {
        for policy in seen.policies.as_mut().expect("known") {
            let mut body = Value::Object(policy.body());
            body["state"] = json!("enabledForReportingButNotEnforced");
            *policy = named(policy.object_type, policy.id.clone().as_str(), body);
        }
    });
    let steps = ["enable Guard 10", "enable Guard 11"].map(str::to_owned);
    leads(both, paw, &steps, &[]);
    // One in a state that nobody knows may be in force already.
    let unheard = with_policy(|policy| policy["state"] = json!("newState"));
    leads(unheard, paw, &strong("c7"), &[]);

    let alone = with(|seen| seen.policies = Ok(vec![policy(10, |_| {})]));
    leads(alone, paw, &only_workstations("c7"), &[]);
    let no_device = with_policy(|policy| policy["grantControls"]["builtInControls"] = json!([]));
    leads(no_device, paw, &policy_for("c7", "managed device"), &[]);
    let weak = "00000000-0000-0000-0000-000000000002";
    let weak = with_policy(|policy| {
        policy["grantControls"]["authenticationStrength"] =
            json!({"id": weak, "allowedCombinations": ["password,sms"]});
    });
    leads(weak, paw, &policy_for("c7", "strong sign-in"), &[]);
    let either = with_policy(|policy| policy["grantControls"]["operator"] = json!("OR"));
    leads(either, paw, &strong("c7"), &[]);
    let some = with_policy(|policy| {
        policy["conditions"]["users"] = json!({"includeUsers": [id(9).as_str()]});
    });
    leads(some, paw, &strong("c7"), &[]);
    let windows = with_policy(|policy| {
        policy["conditions"]["platforms"] = json!({"includePlatforms": ["windows"]});
    });
    leads(windows, paw, &strong("c7"), &[]);
    // A policy for other things too is nobody's business here, asleep or not.
    let for_more = with_policy(|policy| {
        policy["state"] = json!("disabled");
        policy["conditions"]["applications"]["includeApplications"] = json!(["Office365"]);
    });
    leads(for_more, paw, &strong("c7"), &[]);

    let group = id(5);
    let left_out = with_policy(|policy| {
        policy["conditions"]["users"]["excludeGroups"] = json!([group.as_str()]);
    });
    let plan = leads(left_out, paw, &strong("c7"), &["only-break-glass-excluded"]);
    let [told] = &plan.exclusions[..] else {
        panic!("{:?}", plan.exclusions);
    };
    assert_eq!(
        (&told.object.id, told.obstacle),
        (&id(10), Obstacle::ByHand)
    );
    assert!(told.detail.contains(group.as_str()), "{}", told.detail);

    let bound = || with_policy(|policy| policy["conditions"]["users"]["excludeUsers"] = json!([]));
    let plan = leads(bound(), paw, &[], &["break-glass-excluded"]);
    assert!(plan.exclusions[0].detail.contains("is for \"User 1\""));
    // Where break-glass accounts are bound, nothing more goes.
    let mut more = bound();
    protect(&mut more, other, None);
    let mut steps = one("make c1");
    steps.extend(strong("c1"));
    steps.extend(only_workstations("c1"));
    steps.extend(by("c1", &[other]));
    leads(more, paw, &steps, &["break-glass-excluded"]);

    let mut elsewhere = guarded();
    protect(&mut elsewhere, other, Some("c3"));
    let mut steps = one("make c3");
    steps.extend(strong("c3"));
    leads(elsewhere.clone(), paw, &steps, &[]);
    let contexts = vec![context(CONTEXT, true), context("c3", true)];
    elsewhere.contexts = Ok(contexts);
    leads(elsewhere.clone(), paw, &strong("c3"), &[]);
    // What asks something of everybody is enough for the other actions.
    let policies = elsewhere.policies.as_mut().expect("known");
    policies.push(policy(12, |policy| {
        policy["conditions"]["applications"]["includeAuthenticationContextClassReferences"] =
            json!(["c3"]);
        policy["grantControls"] = json!({"operator": "OR", "builtInControls": ["mfa"]});
    }));
    leads(elsewhere, paw, &[], &[]);

    // What an earlier attempt left is used.
    let left = Seen {
        contexts: Ok(vec![context("c4", false)]),
        ..bare()
    };
    leads(left, paw, &whole("publish c4", "c4"), &[]);
    let mut foreign = bare();
    let sites = |id: &str| {
        let body = json!({"displayName": "Sites", "isAvailable": true});
        named(ObjectType::AuthenticationContextClassReference, id, body)
    };
    foreign.contexts = Ok(vec![sites("c1"), sites("c2")]);
    leads(foreign.clone(), paw, &whole("make c3", "c3"), &[]);
    // A context that a policy names is not free, though it is not there.
    let policies = vec![policy(30, |policy| {
        policy["displayName"] = json!("High-Security Ops (c4): strong sign-in on a managed device");
        policy["conditions"]["applications"]["includeAuthenticationContextClassReferences"] =
            json!(["C3"]);
    })];
    foreign.policies = Ok(policies);
    let mut steps = whole("make c4", "c4");
    for step in &mut steps[1..3] {
        step.push_str(" 2");
    }
    leads(foreign, paw, &steps, &[]);
    // By roles is enough for hard deletion, not for the other actions.
    let roles = |policy: &mut Value| {
        policy["conditions"]["users"] =
            json!({"includeRoles": [GLOBAL_ADMINISTRATOR], "excludeUsers": [id(1).as_str()]});
    };
    leads(with_policy(roles), paw, &strong("c7"), &[]);
    let mut apart = with_policy(roles);
    for action in others {
        protect(&mut apart, action, Some("c3"));
    }
    let contexts = vec![context(CONTEXT, true), context("c3", true)];
    apart.contexts = Ok(contexts);
    leads(apart, paw, &strong("c3"), &[]);
}

#[test]
fn what_cannot_be_protected_is_told() {
    let mut seen = bare();
    seen.actions.as_mut().expect("known")[1].settable = false;
    seen.actions.as_mut().expect("known").remove(5);
    let plan = planned(&seen, None);
    let told: Vec<(&str, Obstacle)> = plan
        .exclusions
        .iter()
        .map(|one| (one.part.as_str(), one.obstacle))
        .collect();
    let expected = [OTHERS[4].1, OTHERS[0].1].map(|name| (name, Obstacle::ByHand));
    assert_eq!(told, expected);
    let contexts = (1..=99).map(|number| {
        let body = json!({"displayName": "Taken", "isAvailable": true});
        let id = format!("c{number}");
        named(ObjectType::AuthenticationContextClassReference, &id, body)
    });
    let full = Seen {
        contexts: Ok(contexts.collect()),
        ..bare()
    };
    let plan = planned(&full, None);
    assert_eq!((plan.steps.len(), plan.exclusions.len()), (0, 6));
    assert!(plan.exclusions[0].detail.contains("c1 to c99"));
}

#[test]
fn without_a_break_glass_account_nothing_is_written_unless_that_is_accepted() {
    let unnamed = |seen: &mut Seen| {
        seen.registered.clear();
        seen.break_glass = Ok(BreakGlass::default());
    };
    let gone = |seen: &mut Seen| seen.break_glass = Ok(BreakGlass::default());
    let disabled = |seen: &mut Seen| {
        let mut body = user(1).body();
        body.insert("accountEnabled".to_owned(), json!(false));
        let known = seen.break_glass.as_mut().expect("known");
        known.users = vec![live(ObjectType::User, 1, Value::Object(body))];
    };
    let changes: [&dyn Fn(&mut Seen); 3] = [&unnamed, &gone, &disabled];
    for change in changes {
        let mut seen = bare();
        change(&mut seen);
        let plan = planned(&seen, Some(RULE));
        assert_eq!(plan.steps, []);
        let risk = |one: &Exclusion| one.obstacle == Obstacle::LockoutRisk;
        assert!(plan.exclusions.iter().all(risk), "{:?}", plan.exclusions);
        // A context, two policies made and enabled, six actions.
        assert_eq!(plan.exclusions.len(), 11);
        let accepted = planned_as(&seen, Some(RULE), Lockout::Accepted, None);
        assert_eq!(accepted.steps.len(), 11);
        assert!(accepted.risks.iter().any(|it| it.contains("accepted")));
        carried_out(seen, &accepted);
    }
    // Who has nothing to do is refused nothing.
    let mut done = guarded();
    disabled(&mut done);
    assert_eq!(planned(&done, None).exclusions, []);
    let mut two = bare();
    two.registered.push(id(2));
    let plan = planned(&two, None);
    assert!(plan.risks.iter().any(|it| it.contains("only 1 of 2")));
    assert_eq!(plan.steps.len(), 9);
}

#[test]
fn what_the_application_may_not_do_is_told_as_a_person_does_it() {
    let policies = [
        "Policy.Read.All",
        "Policy.ReadWrite.ConditionalAccess",
        "Application.Read.All",
    ];
    let plan = planned_as(&bare(), None, Lockout::Refused, Some(&policies));
    let steps: Vec<String> = plan.steps.iter().map(said).collect();
    let mut expected = one("make c1");
    expected.extend(strong("c1"));
    assert_eq!(steps, expected);
    assert_eq!(plan.exclusions.len(), 6);
    let of_deletion = plan.exclusions.iter().find(|it| it.part == HARD_DELETE);
    assert_eq!(
        of_deletion.expect("it is told").detail,
        "the application that writes lacks RoleManagement.ReadWrite.Directory; do it as number 1 of what is left to people, and only once an enabled policy is for c1, or whoever uses the action is asked without end: by hand in the Microsoft Entra admin center, under Entra ID > Roles & admins > Protected actions, or as an administrator by the Graph call PATCH /beta/roleManagement/directory/resourceNamespaces/microsoft.directory/resourceActions/microsoft.directory-deletedItems-delete {\"authenticationContextId\":\"c1\"}"
    );
    let nothing = planned_as(&bare(), None, Lockout::Refused, Some(&[]));
    assert_eq!((nothing.steps.len(), nothing.exclusions.len()), (0, 9));
    let waits = |one: &&Exclusion| one.detail.contains("lacks");
    assert_eq!(nothing.exclusions.iter().filter(waits).count(), 9);
    let only_actions = [TO_PROTECT];
    let plan = planned_as(&bare(), None, Lockout::Refused, Some(&only_actions));
    let waits = |one: &&Exclusion| one.detail.contains("then make another plan");
    assert_eq!(plan.exclusions.iter().filter(waits).count(), 6);
}

#[test]
fn a_policy_that_keeps_everybody_out_asks_for_nothing() {
    let block = json!({"operator": "OR", "builtInControls": ["block"]});
    // It is not woken in place of one that asks.
    let asleep = with_policy(|policy| {
        policy["state"] = json!("enabledForReportingButNotEnforced");
        policy["grantControls"] = block.clone();
    });
    let steps: Vec<String> = planned(&asleep, None).steps.iter().map(said).collect();
    let woken = |said: &&String| said.starts_with("enable ") && !said.contains(CONTEXT_NAME);
    assert_eq!(steps.iter().find(woken), None);
    assert!(
        steps.iter().any(|said| said.starts_with("make ")),
        "{steps:?}"
    );

    // And nothing that people work with goes behind it.
    let mut seen = bare();
    let context = json!({"displayName": "Sites", "isAvailable": true});
    let kind = ObjectType::AuthenticationContextClassReference;
    seen.contexts = Ok(vec![named(kind, "c3", context)]);
    let mut policy = guarded().policies.expect("known")[0].body();
    policy["conditions"]["applications"] =
        json!({"includeAuthenticationContextClassReferences": ["c3"]});
    policy.insert("grantControls".to_owned(), block);
    let policy = Value::Object(policy);
    let kind = ObjectType::ConditionalAccessPolicy;
    seen.policies = Ok(vec![named(kind, id(9).as_str(), policy)]);
    let steps: Vec<String> = planned(&seen, None).steps.iter().map(said).collect();
    let mut expected = one("make c1");
    expected.extend(strong("c1"));
    expected.extend(by("c1", &every()));
    assert_eq!(steps, expected);
}

#[test]
fn what_could_not_be_read_is_not_planned_with() {
    let parts: [fn(&mut Seen); 4] = [
        |seen| seen.actions = unread(Some("RoleManagement.Read.Directory")),
        |seen| seen.contexts = unread(None),
        |seen| seen.policies = unread(None),
        |seen| seen.break_glass = unread(None),
    ];
    for change in parts {
        let mut seen = bare();
        change(&mut seen);
        let wish = Wish {
            seen: &seen,
            workstations: None,
            lockout: Lockout::Refused,
            granted: None,
        };
        assert!(harden(&wish, &mut || id(100)).is_err());
    }
    // Who could delete does not matter to what is done about it.
    let mut seen = bare();
    seen.roles = unread(None);
    seen.strengths = unread(None);
    seen.granted = unread(None);
    assert_eq!(planned(&seen, None).steps.len(), 9);
}

#[test]
fn a_rule_describes_workstations_by_what_they_are() {
    for rule in [
        "device.extensionAttribute1 -eq null",
        "device.extensionAttribute1 -eq \"\"",
        "not (device.extensionAttribute1 -eq \"PAW\")",
    ] {
        assert!(!is_workstation_rule(rule), "{rule}");
    }
    for (rule, is_one) in [
        (RULE, true),
        (
            "device.trustType -eq \"AzureAD\" -and device.displayName -startsWith \"PAW\"",
            true,
        ),
        ("device.extensionAttribute1 -ne \"PAW\"", false),
        ("device.displayName -notStartsWith \"PAW\"", false),
        ("", false),
        ("PAW", false),
    ] {
        assert_eq!(is_workstation_rule(rule), is_one, "{rule}");
    }
}
