//! Plans that could lock people out.

use super::*;
use crate::catalogue::GLOBAL_ADMINISTRATOR;

const ACCEPTED: Options = Options {
    lockout: Lockout::Accepted,
    ..ROLLBACK
};

fn policy(n: u8, state: &str, users: Value, control: &str) -> Object {
    let body = json!({
        "displayName": format!("Policy {n}"), "state": state,
        "conditions": {"clientAppTypes": ["all"], "users": users, "applications": {"includeApplications": ["All"]}},
        "grantControls": {"operator": "OR", "builtInControls": [control]}});
    object(
        ObjectType::ConditionalAccessPolicy,
        n,
        ObjectState::Live,
        body,
    )
}

fn everyone() -> Value {
    json!({"includeUsers": ["All"]})
}

fn member(n: u8) -> Object {
    let body = json!({"displayName": format!("User {n}"), "accountEnabled": true, "userType": "Member",
        "userPrincipalName": format!("u{n}@contoso.com")});
    object(ObjectType::User, n, ObjectState::Live, body)
}

fn administrator(n: u8, holder: u8) -> Object {
    let body = json!({"principalId": id(holder).as_str(), "roleDefinitionId": GLOBAL_ADMINISTRATOR, "directoryScopeId": "/"});
    object(ObjectType::RoleAssignment, n, ObjectState::Live, body)
}

/// What is known of break-glass account 1 and administrator 2.
fn known(policies: &[Object]) -> Accounts {
    Accounts {
        break_glass: vec![id(1)],
        users: vec![member(1), member(2)],
        memberships: HashSet::new(),
        assignments: Some(vec![administrator(60, 2)]),
        policies: policies.to_vec(),
    }
}

fn plan_of(base: Vec<Object>, live: Vec<Object>, options: Options, accounts: &Accounts) -> Plan {
    let (base, live) = (content(base, vec![]), content(live, vec![]));
    planned_for(
        &base,
        &live,
        options,
        &HashSet::new(),
        &BTreeMap::new(),
        accounts,
    )
}

/// The obstacles and, in one text, what is said of them.
fn refused(plan: &Plan) -> (Vec<(ObjectId, Obstacle)>, String) {
    let obstacles = plan.exclusions.iter();
    let obstacles = obstacles.map(|one| (one.object.id.clone(), one.obstacle));
    let details: Vec<&str> = plan
        .exclusions
        .iter()
        .map(|one| one.detail.as_str())
        .collect();
    (obstacles.collect(), details.join("\n"))
}

/// The same policy under another name.
fn renamed(policy: Object) -> Object {
    let mut body = policy.body();
    body.insert("displayName".to_owned(), Value::from("Renamed"));
    Object::from_body(policy.object_type, policy.state, &body).expect("a policy")
}

#[test]
fn a_barrier_of_before_excuses_no_stricter_one() {
    let at_risk = {
        let mut body = policy(50, "enabled", everyone(), "block").body();
        body["conditions"]["signInRiskLevels"] = json!(["high"]);
        Object::from_body(
            ObjectType::ConditionalAccessPolicy,
            ObjectState::Live,
            &body,
        )
        .expect("a policy")
    };
    let always = policy(50, "enabled", everyone(), "block");
    for live in [
        policy(50, "enabled", everyone(), "compliantDevice"),
        at_risk,
    ] {
        let accounts = known(std::slice::from_ref(&live));
        let plan = plan_of(vec![always.clone()], vec![live], ROLLBACK, &accounts);
        assert_eq!(refused(&plan).0, [(id(50), Obstacle::LockoutRisk)]);
    }
}

#[test]
fn administrators_whom_the_plan_brings_back_are_thought_of() {
    let accounts = Accounts {
        break_glass: vec![],
        users: vec![],
        assignments: Some(vec![]),
        ..known(&[])
    };
    let plan = plan_of(
        vec![policy(50, "enabled", everyone(), "block")],
        vec![policy(50, "disabled", everyone(), "block")],
        ROLLBACK,
        &accounts,
    );
    assert_eq!(refused(&plan).0, [(id(50), Obstacle::LockoutRisk)]);
}

#[test]
fn a_policy_that_is_made_anew_is_looked_at_too() {
    let wanted = policy(50, "enabled", everyone(), "compliantDevice");
    let anew = |options| Options {
        hard_deleted: HardDeleted::MakeAnew,
        ..options
    };
    let plan = plan_of(vec![wanted.clone()], vec![], anew(ROLLBACK), &known(&[]));
    assert_eq!(plan.steps, []);
    assert_eq!(refused(&plan).0, [(id(50), Obstacle::LockoutRisk)]);
    let plan = plan_of(vec![wanted], vec![], anew(ACCEPTED), &known(&[]));
    let actions: Vec<Action> = plan.steps.iter().map(|step| step.action).collect();
    assert_eq!(actions, [Action::Recreate]);
}

#[test]
fn a_policy_that_would_newly_keep_break_glass_out_is_left_alone_unless_that_is_accepted() {
    let wanted = || policy(50, "enabled", everyone(), "compliantDevice");
    let cases = [
        // Back from the recycle bin, switched on, extended, made stricter.
        vec![deleted(wanted())],
        vec![policy(50, "disabled", everyone(), "compliantDevice")],
        vec![policy(
            50,
            "enabled",
            json!({"includeUsers": [id(9).as_str()]}),
            "compliantDevice",
        )],
        vec![policy(50, "enabled", everyone(), "mfa")],
        vec![policy(
            50,
            "enabled",
            json!({"includeUsers": ["All"], "excludeUsers": [id(1).as_str()]}),
            "compliantDevice",
        )],
    ];
    for live in cases {
        let accounts = known(
            &live
                .iter()
                .filter(|it| it.state == ObjectState::Live)
                .cloned()
                .collect::<Vec<_>>(),
        );
        let plan = plan_of(vec![wanted()], live.clone(), ROLLBACK, &accounts);
        assert_eq!(plan.steps, [], "{live:?}");
        let (obstacles, details) = refused(&plan);
        assert_eq!(obstacles, [(id(50), Obstacle::LockoutRisk)]);
        assert!(
            details.contains("break-glass account \"User 1\" could not sign in, since it asks for a compliant device"),
            "{details}"
        );
        assert!(plan.exclusions[0].part.is_empty());
        assert!(
            plan.risks
                .iter()
                .any(|risk| risk.contains("is left as it is"))
        );

        let plan = plan_of(vec![wanted()], live, ACCEPTED, &accounts);
        assert!(!plan.steps.is_empty());
        assert_eq!(plan.exclusions, []);
        assert!(
            plan.risks
                .iter()
                .any(|risk| risk.contains("which was accepted") && risk.contains("User 1")),
            "{:?}",
            plan.risks
        );
    }
}

#[test]
fn a_policy_that_binds_break_glass_no_more_than_now_is_written() {
    let excluding =
        json!({"includeUsers": ["All"], "excludeUsers": [id(1).as_str(), id(2).as_str()]});
    for (wanted, live) in [
        // It asked for the same under the same conditions before.
        (
            renamed(policy(50, "enabled", everyone(), "block")),
            policy(50, "enabled", everyone(), "block"),
        ),
        // Everybody can do what it asks for.
        (
            policy(50, "enabled", everyone(), "mfa"),
            policy(50, "disabled", everyone(), "mfa"),
        ),
        // It is for somebody else.
        (
            policy(50, "enabled", excluding.clone(), "block"),
            policy(50, "disabled", excluding, "block"),
        ),
        // It only reports.
        (
            policy(50, "enabledForReportingButNotEnforced", everyone(), "block"),
            policy(50, "disabled", everyone(), "block"),
        ),
    ] {
        let plan = plan_of(vec![wanted], vec![live.clone()], ROLLBACK, &known(&[live]));
        assert_eq!(actions(&plan), [(Action::Update, id(50))]);
        assert_eq!(plan.exclusions, []);
    }
}

#[test]
fn what_a_policy_binds_between_its_return_and_its_correction_counts() {
    let harmless = policy(50, "disabled", everyone(), "mfa");
    let bin = deleted(policy(50, "enabled", everyone(), "block"));
    let plan = plan_of(vec![harmless], vec![bin], ROLLBACK, &known(&[]));
    let (obstacles, details) = refused(&plan);
    assert_eq!(
        (plan.steps.len(), obstacles),
        (0, vec![(id(50), Obstacle::LockoutRisk)])
    );
    assert!(details.contains("it blocks the sign-in"), "{details}");
}

#[test]
fn groups_count_as_they_are_once_the_plan_is_carried_out() {
    let wanted = policy(
        50,
        "enabled",
        json!({"includeUsers": ["All"], "excludeGroups": [id(9).as_str()]}),
        "block",
    );
    let live = policy(50, "disabled", json!({"includeUsers": ["All"]}), "block");
    let check = |base_links: Vec<Link>, live_links: Vec<Link>, members: &[(u8, u8)], kept: bool| {
        let accounts = Accounts {
            // The administrator, user 2, is in the group all along.
            memberships: members
                .iter()
                .chain([&(2, 9)])
                .map(|(one, other)| (id(*one), id(*other)))
                .collect(),
            ..known(std::slice::from_ref(&live))
        };
        let objects = |policy: &Object| vec![member(1), group(8), group(9), policy.clone()];
        let base = content(objects(&wanted), base_links);
        let now = content(objects(&live), live_links);
        let plan = planned_for(
            &base,
            &now,
            ROLLBACK,
            &HashSet::new(),
            &BTreeMap::new(),
            &accounts,
        );
        let written = plan.steps.iter().any(|step| step.object.id == id(50));
        assert_eq!(written, kept, "{members:?} {:?}", plan.exclusions);
    };
    let direct = || vec![link(LinkKind::GroupMembers, 9, 1)];
    let nested = || {
        vec![
            link(LinkKind::GroupMembers, 8, 1),
            link(LinkKind::GroupMembers, 9, 8),
        ]
    };
    // In the group now, directly or through another, or put back by the plan.
    check(direct(), direct(), &[(1, 9)], true);
    check(nested(), nested(), &[(1, 8), (8, 9)], true);
    check(direct(), vec![], &[], true);
    check(nested(), nested()[1..].to_vec(), &[], true);
    // Not in it, or taken out by the plan.
    check(vec![], vec![], &[], false);
    check(vec![], direct(), &[(1, 9)], false);
    check(nested()[1..].to_vec(), nested(), &[(1, 8), (8, 9)], false);
}

#[test]
fn an_unchanged_policy_that_the_plan_moves_break_glass_under_is_told() {
    let other = policy(
        51,
        "enabled",
        json!({"includeUsers": ["All"], "excludeGroups": [id(9).as_str()]}),
        "block",
    );
    let (wanted, live) = (
        policy(50, "enabled", everyone(), "mfa"),
        policy(50, "disabled", everyone(), "mfa"),
    );
    let accounts = Accounts {
        memberships: [(id(1), id(9))].into(),
        ..known(&[other.clone(), live.clone()])
    };
    let base = content(vec![member(1), group(9), wanted, other.clone()], vec![]);
    let now = content(
        vec![member(1), group(9), live, other],
        vec![link(LinkKind::GroupMembers, 9, 1)],
    );
    let plan = planned_for(
        &base,
        &now,
        ROLLBACK,
        &HashSet::new(),
        &BTreeMap::new(),
        &accounts,
    );
    let told = plan.risks.iter().find(|risk| risk.contains("Policy 51"));
    assert!(
        told.is_some_and(|risk| risk.contains("User 1")),
        "{:?}",
        plan.risks
    );
}

#[test]
fn no_plan_leaves_every_administrator_locked_out() {
    let wanted = || {
        policy(
            50,
            "enabled",
            json!({"includeRoles": [GLOBAL_ADMINISTRATOR]}),
            "block",
        )
    };
    let off = || {
        policy(
            50,
            "disabled",
            json!({"includeRoles": [GLOBAL_ADMINISTRATOR]}),
            "block",
        )
    };
    let check = |accounts: Accounts| {
        let plan = plan_of(vec![wanted()], vec![off()], ROLLBACK, &accounts);
        let (obstacles, details) = refused(&plan);
        assert_eq!(obstacles, [(id(50), Obstacle::LockoutRisk)]);
        assert!(
            details.contains("no Global Administrator could sign in any more"),
            "{details}"
        );
    };
    let nobody_special = || Accounts {
        break_glass: vec![],
        ..known(&[off()])
    };
    check(nobody_special());
    // Nobody knows who they are.
    check(Accounts {
        assignments: None,
        ..nobody_special()
    });
    // There is none yet: perhaps the plan brings them back.
    check(Accounts {
        assignments: Some(vec![]),
        ..nobody_special()
    });
    let but_one =
        || json!({"includeRoles": [GLOBAL_ADMINISTRATOR], "excludeUsers": [id(3).as_str()]});
    let excluding = |state| policy(50, state, but_one(), "block");
    let two = |third: Object| Accounts {
        users: vec![member(2), third],
        assignments: Some(vec![administrator(60, 2), administrator(61, 3)]),
        ..nobody_special()
    };
    let plan = |accounts: &Accounts| {
        plan_of(
            vec![excluding("enabled")],
            vec![excluding("disabled")],
            ROLLBACK,
            accounts,
        )
    };
    assert_eq!(plan(&two(member(3))).steps.len(), 1, "one of two is left");
    let disabled = object(
        ObjectType::User,
        3,
        ObjectState::Live,
        json!({"accountEnabled": false}),
    );
    assert_eq!(
        plan(&two(disabled)).steps.len(),
        0,
        "one who is disabled is none"
    );
    // Through a group.
    let through = Accounts {
        users: vec![member(2), member(3)],
        memberships: [(id(3), id(9))].into(),
        assignments: Some(vec![administrator(60, 2), administrator(61, 9)]),
        ..nobody_special()
    };
    assert_eq!(plan(&through).steps.len(), 1);
}

#[test]
fn together_policies_may_leave_nobody_and_what_locked_everybody_out_before_is_told() {
    let for_one = |n: u8, state: &str, user: u8| {
        policy(
            n,
            state,
            json!({"includeUsers": [id(user).as_str()]}),
            "block",
        )
    };
    let accounts = Accounts {
        break_glass: vec![],
        users: vec![member(2), member(3)],
        assignments: Some(vec![administrator(60, 2), administrator(61, 3)]),
        ..known(&[for_one(50, "enabled", 2), for_one(51, "disabled", 3)])
    };
    let plan = plan_of(
        vec![for_one(50, "enabled", 2), for_one(51, "enabled", 3)],
        vec![for_one(50, "enabled", 2), for_one(51, "disabled", 3)],
        ROLLBACK,
        &accounts,
    );
    assert_eq!(refused(&plan).0, [(id(51), Obstacle::LockoutRisk)]);

    // A harmless policy is not kept back by one that nobody is about to change.
    let blocking = policy(52, "enabled", everyone(), "block");
    let (on, off) = (
        policy(50, "enabled", everyone(), "mfa"),
        policy(50, "disabled", everyone(), "mfa"),
    );
    let accounts = Accounts {
        break_glass: vec![],
        ..known(&[off.clone(), blocking.clone()])
    };
    let plan = plan_of(
        vec![on.clone(), blocking.clone()],
        vec![off.clone(), blocking.clone()],
        ROLLBACK,
        &accounts,
    );
    assert_eq!(actions(&plan), [(Action::Update, id(50))]);
    assert!(
        plan.risks
            .iter()
            .any(|risk| risk.contains("by policies that the plan leaves as they are")),
        "{:?}",
        plan.risks
    );
    // One that the plan takes away is not in the way.
    let plan = plan_of(vec![on], vec![off, blocking], ROLLBACK, &accounts);
    assert_eq!(
        actions(&plan),
        [(Action::Update, id(50)), (Action::SoftDelete, id(52))]
    );
    assert!(
        !plan
            .risks
            .iter()
            .any(|risk| risk.contains("Global Administrator"))
    );
}

#[test]
fn a_break_glass_account_of_which_nothing_is_known_is_covered_by_any_group() {
    let accounts = Accounts {
        users: vec![],
        assignments: Some(vec![]),
        ..known(&[])
    };
    let wanted = policy(
        50,
        "enabled",
        json!({"includeGroups": [id(9).as_str()]}),
        "block",
    );
    let base = vec![group(9), wanted.clone()];
    let plan = plan_of(base, vec![group(9), deleted(wanted)], ROLLBACK, &accounts);
    assert_eq!(refused(&plan).0, [(id(50), Obstacle::LockoutRisk)]);
}
