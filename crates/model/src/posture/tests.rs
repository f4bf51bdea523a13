//! One tenant as it should be, and what each change of it does to the checks.

mod controls;
mod harden;
mod reach;
mod sets;

use serde_json::{Value, json};

use super::table::OTHERS;
use super::*;
use crate::catalogue::{GLOBAL_ADMINISTRATOR, ObjectType};
use crate::fixture::{id, object};
use crate::object::ObjectState;

const CONTEXT: &str = "c7";

fn live(object_type: ObjectType, n: u8, body: Value) -> Object {
    object(object_type, n, ObjectState::Live, body)
}

fn named(object_type: ObjectType, id: &str, mut body: Value) -> Object {
    body["id"] = json!(id);
    let body = body.as_object().expect("an object");
    Object::from_body(object_type, ObjectState::Live, body).expect("well-formed")
}

fn context(id: &str, available: bool) -> Object {
    let body = json!({"displayName": "High-Security Ops", "isAvailable": available});
    named(ObjectType::AuthenticationContextClassReference, id, body)
}

/// A policy for the context and everybody but user 1.
fn policy(n: u8, change: impl FnOnce(&mut Value)) -> Object {
    let mut body = json!({
        "displayName": format!("Guard {n}"), "state": "enabled",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": {"includeApplications": [],
                "includeAuthenticationContextClassReferences": [CONTEXT]},
            "users": {"includeUsers": ["All"], "excludeUsers": [id(1).as_str()]}},
        "grantControls": {"operator": "AND", "builtInControls": ["compliantDevice"],
            "authenticationStrength": {"id": "00000000-0000-0000-0000-000000000004"}}});
    change(&mut body);
    live(ObjectType::ConditionalAccessPolicy, n, body)
}

/// A policy that blocks all but the workstations.
fn workstations(n: u8) -> Object {
    policy(n, |policy| {
        policy["grantControls"] = json!({"operator": "OR", "builtInControls": ["block"]});
        policy["conditions"]["devices"] = json!({"deviceFilter":
            {"mode": "exclude", "rule": "device.extensionAttribute1 -eq \"PAW\""}});
    })
}

fn action(name: &str, context: Option<&str>) -> Action {
    Action {
        id: name.replace('/', "-"),
        name: name.to_owned(),
        settable: true,
        context: context.map(str::to_owned),
    }
}

fn user(n: u8) -> Object {
    live(
        ObjectType::User,
        n,
        json!({"displayName": format!("User {n}"), "userType": "Member",
            "userPrincipalName": format!("{n}@contoso.com"), "accountEnabled": true}),
    )
}

fn assignment(n: u8, role: &str, principal: u8) -> Object {
    live(
        ObjectType::RoleAssignment,
        n,
        json!({"principalId": id(principal).as_str(), "roleDefinitionId": role, "directoryScopeId": "/"}),
    )
}

fn role(id: &str, name: &str, actions: &[&str]) -> Role {
    let id = ObjectId::parse(id).expect("an id");
    Role {
        template: id.clone(),
        id,
        name: name.to_owned(),
        enabled: true,
        actions: actions.iter().map(|&action| action.to_owned()).collect(),
    }
}

/// A tenant without findings: user 1 is its break-glass account and its only
/// administrator.
fn guarded() -> Seen {
    let actions = [HARD_DELETE]
        .into_iter()
        .chain(OTHERS.map(|(_, name)| name));
    Seen {
        actions: Ok(actions.map(|name| action(name, Some(CONTEXT))).collect()),
        contexts: Ok(vec![context(CONTEXT, true)]),
        policies: Ok(vec![policy(10, |_| {}), workstations(11)]),
        strengths: Ok(Vec::new()),
        roles: Ok(vec![role(
            GLOBAL_ADMINISTRATOR,
            "Global Administrator",
            &[HARD_DELETE],
        )]),
        assignments: Ok(vec![assignment(20, GLOBAL_ADMINISTRATOR, 1)]),
        principals: Ok(Principals {
            types: [(id(1), "#microsoft.graph.user".to_owned())].into(),
            members: HashMap::new(),
        }),
        granted: Ok(Vec::new()),
        registered: vec![id(1)],
        break_glass: Ok(BreakGlass {
            users: vec![user(1)],
            memberships: HashSet::new(),
        }),
        own: BTreeSet::new(),
    }
}

/// The checks that are not good, each with how it ended, in the order of the table.
fn bad(seen: &Seen) -> Vec<(&'static str, Status)> {
    let posture = judge(seen);
    let bad = posture.checks.iter().filter(|it| it.status != Status::Good);
    bad.map(|check| (check.kind.id, check.status)).collect()
}

/// What a change of the guarded tenant leads to.
#[track_caller]
fn check(change: impl FnOnce(&mut Seen), expected: &[(&str, Status)]) {
    let mut seen = guarded();
    change(&mut seen);
    assert_eq!(bad(&seen), expected);
}

/// What a change of its main policy leads to.
#[track_caller]
fn check_policy(change: impl FnOnce(&mut Value), expected: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|&id| (id, Status::Finding)).collect();
    let policies = vec![policy(10, change), workstations(11)];
    check(|seen| seen.policies = Ok(policies), &expected);
}

fn unread<T>(permission: Option<&'static str>) -> Known<T> {
    Err(Unread {
        what: "the part",
        why: "graph denied it".to_owned(),
        permission,
    })
}

use Status::{Finding, NotKnown, NotReached};

const OTHER: [&str; 5] = [
    OTHERS[0].0,
    OTHERS[1].0,
    OTHERS[2].0,
    OTHERS[3].0,
    OTHERS[4].0,
];

/// The other actions, all of which ended so.
fn others(status: Status) -> impl Iterator<Item = (&'static str, Status)> {
    OTHER.into_iter().map(move |id| (id, status))
}

#[test]
fn the_table_is_in_order() {
    let ids: HashSet<&str> = CHECKS.iter().map(|kind| kind.id).collect();
    assert_eq!(ids.len(), CHECKS.len());
    assert_eq!(CHECKS.iter().map(|kind| kind.points).sum::<u32>(), 100);
    assert!(CHECKS.iter().all(|kind| !kind.remedy.is_empty()));
}

#[test]
fn the_page_has_every_check() {
    let page = include_str!("../../../../docs/protection.md");
    for kind in &CHECKS {
        let (layer, severity) = (kind.layer.name(), kind.severity.name());
        let row = format!("| `{}` | {layer} | {severity} | {} |", kind.id, kind.points);
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn a_tenant_with_the_whole_defence_has_no_findings() {
    let posture = judge(&guarded());
    assert_eq!(bad(&guarded()), []);
    assert_eq!((posture.score(), posture.unknown_points()), (100, 0));
    assert!(posture.checks.iter().all(|check| check.remedy.is_empty()
        && check.severity().is_none()
        && check.sentence.ends_with('.')));
}

#[test]
fn a_bare_tenant_is_told_what_is_missing_and_what_cannot_be_judged_yet() {
    let bare = Seen {
        actions: Ok([HARD_DELETE]
            .into_iter()
            .chain(OTHERS.map(|(_, name)| name))
            .map(|name| action(name, None))
            .collect()),
        contexts: Ok(Vec::new()),
        policies: Ok(Vec::new()),
        registered: Vec::new(),
        break_glass: Ok(BreakGlass::default()),
        ..guarded()
    };
    let mut expected = vec![
        ("hard-delete-protected", Finding),
        ("context-published", NotReached),
        ("policy-enabled", NotReached),
        ("policy-for-everybody", NotReached),
        ("only-break-glass-excluded", NotReached),
        ("phishing-resistant", NotReached),
        ("managed-device", NotReached),
        ("secure-workstation", NotReached),
        ("break-glass-usable", Finding),
        ("break-glass-excluded", NotReached),
    ];
    expected.extend(others(Finding));
    assert_eq!(bad(&bare), expected);
    let posture = judge(&bare);
    assert_eq!(posture.score(), 8);
    let first = &posture.checks[0];
    assert_eq!(first.severity(), Some(Severity::Critical));
    assert!(
        first.remedy.contains("Protected actions"),
        "{}",
        first.remedy
    );
    assert_eq!(
        first.sentence,
        "microsoft.directory/deletedItems/delete is not a protected action: whoever holds the permission may use it with any sign-in."
    );
}

#[test]
fn each_link_of_the_chain_is_looked_at() {
    let not_settable = |seen: &mut Seen| {
        let actions = seen.actions.as_mut().expect("known");
        actions[0] = Action {
            settable: false,
            ..action(HARD_DELETE, None)
        };
    };
    let mut after_action = vec![("hard-delete-protected", Finding)];
    after_action.extend(
        [
            "context-published",
            "policy-enabled",
            "policy-for-everybody",
            "only-break-glass-excluded",
            "phishing-resistant",
            "managed-device",
            "secure-workstation",
            "break-glass-excluded",
        ]
        .map(|id| (id, NotReached)),
    );
    check(not_settable, &after_action);
    check(
        |seen| {
            seen.actions
                .as_mut()
                .expect("known")
                .retain(|it| it.name != HARD_DELETE);
        },
        &after_action,
    );

    for contexts in [
        vec![],
        vec![context(CONTEXT, false)],
        vec![context("c1", true)],
    ] {
        let mut expected = vec![("context-published", Finding)];
        expected.extend(others(Finding));
        check(|seen| seen.contexts = Ok(contexts), &expected);
    }

    for state in ["disabled", "enabledForReportingButNotEnforced", "newState"] {
        let policies = vec![policy(10, |policy| policy["state"] = json!(state))];
        let mut expected = vec![
            ("policy-enabled", Finding),
            ("policy-for-everybody", NotReached),
            ("only-break-glass-excluded", NotReached),
            ("phishing-resistant", NotReached),
            ("managed-device", NotReached),
            ("secure-workstation", NotReached),
            ("break-glass-excluded", NotReached),
        ];
        expected.extend(others(Finding));
        check(|seen| seen.policies = Ok(policies), &expected);
    }
    check(
        |seen| seen.policies = Ok(vec![policy(10, |_| {})]),
        &[("secure-workstation", Finding)],
    );
}

#[test]
fn a_policy_with_a_way_round_is_none() {
    let round = [
        &[
            "policy-for-everybody",
            "phishing-resistant",
            "managed-device",
        ][..],
        &OTHER,
    ]
    .concat();
    for (place, value) in [
        ("users", json!({"includeUsers": [id(9).as_str()]})),
        ("users", json!({"includeRoles": [id(9).as_str()]})),
        ("clientAppTypes", json!(["browser"])),
        ("platforms", json!({"includePlatforms": ["windows"]})),
        (
            "platforms",
            json!({"includePlatforms": ["all"], "excludePlatforms": ["linux"]}),
        ),
        (
            "locations",
            json!({"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]}),
        ),
        ("locations", json!({"includeLocations": [id(9).as_str()]})),
        ("userRiskLevels", json!(["high"])),
        ("signInRiskLevels", json!(["medium"])),
        ("insiderRiskLevels", json!("elevated")),
        (
            "authenticationFlows",
            json!({"transferMethods": "deviceCodeFlow"}),
        ),
        (
            "clientApplications",
            json!({"includeServicePrincipals": ["ServicePrincipalsInMyTenant"]}),
        ),
        ("somethingNew", json!({"mode": "on"})),
        (
            "devices",
            json!({"deviceFilter": {"mode": "include", "rule": "device.isCompliant -eq True"}}),
        ),
    ] {
        check_policy(|policy| policy["conditions"][place] = value.clone(), &round);
    }
    for (place, value) in [
        (
            "clientAppTypes",
            json!(["browser", "mobileAppsAndDesktopClients"]),
        ),
        ("clientAppTypes", json!([])),
        (
            "platforms",
            json!({"includePlatforms": ["all"], "excludePlatforms": []}),
        ),
        ("locations", json!({"includeLocations": ["All"]})),
        ("userRiskLevels", json!([])),
        ("authenticationFlows", json!({"transferMethods": "none"})),
        (
            "somethingNew",
            json!({"mode": null, "mode@odata.type": "#x"}),
        ),
        ("devices", json!({"deviceFilter": null})),
    ] {
        check_policy(|policy| policy["conditions"][place] = value.clone(), &[]);
    }
}

#[test]
fn a_policy_for_every_role_that_could_is_for_everybody_who_could() {
    let roles = json!([GLOBAL_ADMINISTRATOR.to_uppercase()]);
    let users = json!({"includeRoles": roles, "excludeUsers": [id(1).as_str()]});
    let change = |policy: &mut Value| policy["conditions"]["users"] = users;
    // The other actions are also for those who hold other roles.
    check_policy(change, &OTHER);
}

#[test]
fn only_break_glass_accounts_may_be_left_out() {
    let change = |place: &'static str, value: Value| {
        move |policy: &mut Value| policy["conditions"]["users"][place] = value
    };
    let found = ["only-break-glass-excluded"];
    let both = json!([id(1).as_str().to_uppercase(), id(2).as_str()]);
    check_policy(change("excludeUsers", both), &found);
    check_policy(change("excludeGroups", json!([id(5).as_str()])), &found);
    check_policy(change("excludeRoles", json!([id(6).as_str()])), &found);
    let guests = json!({"guestOrExternalUserTypes": "serviceProvider"});
    check_policy(change("excludeGuestsOrExternalUsers", guests), &found);
}

#[test]
fn break_glass_accounts_must_be_there_and_left_out() {
    let nobody = |policy: &mut Value| policy["conditions"]["users"]["excludeUsers"] = json!([]);
    check_policy(nobody, &["break-glass-excluded"]);

    // Through a group in a group, which is no group of theirs.
    let groups = vec![
        policy(10, |policy| {
            policy["conditions"]["users"] =
                json!({"includeUsers": ["All"], "excludeGroups": [id(31).as_str()]});
        }),
        workstations(11),
    ];
    let through = |seen: &mut Seen| {
        seen.policies = Ok(groups.clone());
        let known = seen.break_glass.as_mut().expect("known");
        known.memberships = [(id(1), id(30)), (id(30), id(31))].into();
    };
    check(through, &[("only-break-glass-excluded", Finding)]);
    let directly = |seen: &mut Seen| {
        through(seen);
        let known = seen.break_glass.as_mut().expect("known");
        known.memberships = [(id(1), id(31))].into();
    };
    check(directly, &[]);

    let gone = |seen: &mut Seen| seen.break_glass = Ok(BreakGlass::default());
    let expected = [
        ("break-glass-usable", Finding),
        ("break-glass-excluded", NotReached),
    ];
    check(gone, &expected);
    let disabled = |seen: &mut Seen| {
        let mut body = user(1).body();
        body.insert("accountEnabled".to_owned(), json!(false));
        let known = seen.break_glass.as_mut().expect("known");
        known.users = vec![live(ObjectType::User, 1, Value::Object(body))];
    };
    check(disabled, &[("break-glass-usable", Finding)]);
    let unnamed = |seen: &mut Seen| seen.registered.clear();
    let expected = [
        ("only-break-glass-excluded", Finding),
        ("break-glass-usable", Finding),
        ("break-glass-excluded", NotReached),
    ];
    check(unnamed, &expected);
}

#[test]
fn what_was_not_read_is_not_known_and_never_good() {
    let chain = [
        "policy-enabled",
        "policy-for-everybody",
        "only-break-glass-excluded",
        "phishing-resistant",
        "managed-device",
        "secure-workstation",
    ];
    let mut expected: Vec<(&str, Status)> = vec![
        ("hard-delete-protected", NotKnown),
        ("context-published", NotKnown),
    ];
    expected.extend(chain.map(|id| (id, NotKnown)));
    expected.push(("break-glass-excluded", NotKnown));
    expected.extend(others(NotKnown));
    check(|seen| seen.actions = unread(None), &expected);

    let mut expected = vec![("context-published", NotKnown)];
    expected.extend(others(NotKnown));
    check(|seen| seen.contexts = unread(None), &expected);

    let mut expected: Vec<(&str, Status)> = chain.map(|id| (id, NotKnown)).into();
    expected.push(("break-glass-excluded", NotKnown));
    expected.extend(others(NotKnown));
    check(|seen| seen.policies = unread(None), &expected);

    let expected = [
        ("only-break-glass-excluded", NotKnown),
        ("break-glass-usable", NotKnown),
        ("break-glass-excluded", NotKnown),
    ];
    check(|seen| seen.break_glass = unread(None), &expected);

    let reach = [
        ("few-people", NotKnown),
        ("no-other-applications", NotKnown),
    ];
    check(|seen| seen.roles = unread(None), &reach);
    check(|seen| seen.assignments = unread(None), &reach);
    check(|seen| seen.principals = unread(None), &reach);
    check(|seen| seen.granted = unread(None), &reach[1..]);
    // Only a custom strength has to be looked up.
    check(|seen| seen.strengths = unread(None), &[]);

    let mut seen = guarded();
    seen.actions = unread(Some("RoleManagement.Read.Directory"));
    let posture = judge(&seen);
    assert_eq!((posture.score(), posture.unknown_points()), (12, 88));
    let first = &posture.checks[0];
    assert_eq!(first.sentence, "Not known: the part could not be read.");
    assert_eq!(first.evidence, ["graph denied it"]);
    assert!(first.remedy.contains("RoleManagement.Read.Directory"));
}
