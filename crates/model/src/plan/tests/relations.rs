//! Plans for what only ties others together, and for credentials.

use super::*;
use crate::catalogue::{GLOBAL_ADMINISTRATOR, OWNER};

const MERGE: Options = Options {
    added: Added::Keep,
    relationships: Relationships::Merge,
    ca_state: CaState::Snapshot,
    lockout: Lockout::Refused,
    hard_deleted: HardDeleted::Leave,
};
const SKIP: Options = Options {
    added: Added::Keep,
    relationships: Relationships::Skip,
    ca_state: CaState::Snapshot,
    lockout: Lockout::Refused,
    hard_deleted: HardDeleted::Leave,
};

fn live_object(object_type: ObjectType, n: u8, body: Value) -> Object {
    object(object_type, n, ObjectState::Live, body)
}

fn principal(n: u8) -> Object {
    let body = json!({"displayName": format!("Service {n}"), "appId": format!("app-{n}")});
    live_object(ObjectType::ServicePrincipal, n, body)
}

/// A consent for everybody from service principal 1 to 2.
fn grant(n: u8, scope: &str) -> Object {
    let body = json!({"clientId": id(1).as_str(), "resourceId": id(2).as_str(),
        "consentType": "AllPrincipals", "principalId": null, "scope": scope});
    live_object(ObjectType::OAuth2PermissionGrant, n, body)
}

/// Role 7 of service principal 2, held by 1.
fn assignment(n: u8) -> Object {
    let body = json!({OWNER: id(2).as_str(), "appRoleId": id(7).as_str(),
        "principalId": id(1).as_str(), "resourceId": id(2).as_str(), "principalType": "ServicePrincipal",
        "createdDateTime": format!("2026-01-{n:02}T00:00:00Z")});
    live_object(ObjectType::AppRoleAssignment, n, body)
}

fn role(n: u8, principal: u8, role: &str) -> Object {
    let body = json!({"principalId": id(principal).as_str(), "roleDefinitionId": role,
        "directoryScopeId": "/"});
    live_object(ObjectType::RoleAssignment, n, body)
}

fn federated(n: u8, subject: &str) -> Object {
    let body = json!({OWNER: id(5).as_str(), "name": "deploy", "subject": subject,
        "issuer": "https://ci.example.com", "audiences": ["api://AzureADTokenExchange"]});
    live_object(ObjectType::FederatedIdentityCredential, n, body)
}

fn with(mut more: Vec<Object>) -> Content {
    more.extend([principal(1), principal(2)]);
    content(more, vec![])
}

fn calls(plan: &Plan) -> Vec<(HttpMethod, &str, Option<&Value>)> {
    let calls = plan.steps.iter().map(|step| &step.call);
    calls
        .map(|call| (call.method, call.path.as_str(), call.body.as_ref()))
        .collect()
}

fn obstacles(plan: &Plan) -> Vec<Obstacle> {
    plan.exclusions.iter().map(|one| one.obstacle).collect()
}

#[test]
fn what_was_added_is_removed_and_its_value_stands_in_the_plan() {
    for (added, path) in [
        (
            grant(9, "Mail.Read"),
            format!("/oauth2PermissionGrants/{}", id(9)),
        ),
        (
            assignment(9),
            format!("/servicePrincipals/{}/appRoleAssignedTo/{}", id(2), id(9)),
        ),
        (
            role(9, 1, "r"),
            format!("/roleManagement/directory/roleAssignments/{}", id(9)),
        ),
        (
            federated(9, "main"),
            format!(
                "/applications/{}/federatedIdentityCredentials/{}",
                id(5),
                id(9)
            ),
        ),
    ] {
        let (base, live) = (with(vec![]), with(vec![added.clone()]));
        for added in [Added::Keep, Added::SoftDelete] {
            let plan = planned(
                &base,
                &live,
                Options {
                    added,
                    ..Options::default()
                },
            );
            assert_eq!(calls(&plan), [(HttpMethod::Delete, path.as_str(), None)]);
            assert_eq!(plan.steps[0].action, Action::RemoveRelation);
            let told = plan.steps[0].attributes.iter();
            assert!(told.clone().count() > 2 && told.clone().all(|one| one.after.is_none()));
            assert!(
                plan.risks
                    .iter()
                    .any(|risk| risk.contains("will be removed"))
            );
            assert_eq!(plan.exclusions, []);
        }
        for options in [MERGE, SKIP] {
            let plan = planned(&base, &live, options);
            assert_eq!(
                (calls(&plan), obstacles(&plan)),
                (vec![], vec![Obstacle::RelationshipsSkipped])
            );
        }
        assert!(calls(&planned(&live, &live, ROLLBACK)).is_empty());
    }
}

#[test]
fn what_is_gone_is_made_anew() {
    let check = |gone: Object, path: String, body: Value| {
        let (base, live) = (with(vec![gone]), with(vec![]));
        for options in [ROLLBACK, MERGE] {
            let plan = planned(&base, &live, options);
            assert_eq!(
                calls(&plan),
                [(HttpMethod::Post, path.as_str(), Some(&body))]
            );
            assert_eq!(
                (plan.steps[0].action, &plan.exclusions[..]),
                (Action::MakeAnew, &[][..])
            );
        }
        let plan = planned(&base, &live, SKIP);
        assert_eq!(
            (calls(&plan), obstacles(&plan)),
            (vec![], vec![Obstacle::RelationshipsSkipped])
        );
    };
    check(
        grant(9, "User.Read"),
        "/oauth2PermissionGrants".to_owned(),
        json!({"clientId": id(1).as_str(), "resourceId": id(2).as_str(), "consentType": "AllPrincipals", "scope": "User.Read"}),
    );
    check(
        assignment(9),
        format!("/servicePrincipals/{}/appRoleAssignedTo", id(2)),
        json!({"appRoleId": id(7).as_str(), "principalId": id(1).as_str(), "resourceId": id(2).as_str()}),
    );
    check(
        role(9, 1, "r"),
        "/roleManagement/directory/roleAssignments".to_owned(),
        json!({"principalId": id(1).as_str(), "roleDefinitionId": "r", "directoryScopeId": "/"}),
    );
    check(
        federated(9, "main"),
        format!("/applications/{}/federatedIdentityCredentials", id(5)),
        json!({"name": "deploy", "subject": "main", "issuer": "https://ci.example.com",
            "audiences": ["api://AzureADTokenExchange"]}),
    );
}

#[test]
fn what_was_made_anew_is_what_it_was() {
    for (old, new) in [
        (
            grant(9, "User.Read Mail.Read"),
            grant(8, " Mail.Read User.Read"),
        ),
        (assignment(9), assignment(8)),
        (role(9, 1, "r"), role(8, 1, "r")),
        (federated(9, "main"), federated(8, "main")),
    ] {
        let difference = diff(&with(vec![old]), &with(vec![new]), &Scope::default());
        assert_eq!(difference.changes, []);
    }
}

#[test]
fn what_changed_is_set_back_where_it_stands_now() {
    let grant_path = |n| format!("/oauth2PermissionGrants/{}", id(n));
    let federated_path = |n| {
        format!(
            "/applications/{}/federatedIdentityCredentials/{}",
            id(5),
            id(n)
        )
    };
    for (old, new, path, body) in [
        (
            grant(9, "User.Read"),
            grant(9, "Mail.Send"),
            grant_path(9),
            json!({"scope": "User.Read"}),
        ),
        // Removed, and made anew with more.
        (
            grant(9, "User.Read"),
            grant(8, "Mail.Send"),
            grant_path(8),
            json!({"scope": "User.Read"}),
        ),
        (
            federated(9, "main"),
            federated(9, "evil"),
            federated_path(9),
            json!({"subject": "main"}),
        ),
        (
            federated(9, "main"),
            federated(8, "evil"),
            federated_path(8),
            json!({"subject": "main"}),
        ),
    ] {
        let (base, live) = (with(vec![old]), with(vec![new]));
        let plan = planned(&base, &live, ROLLBACK);
        assert_eq!(
            calls(&plan),
            [(HttpMethod::Patch, path.as_str(), Some(&body))]
        );
        assert_eq!(plan.steps[0].object.id, id(9), "as the snapshot knows it");
        for options in [MERGE, SKIP] {
            assert_eq!(
                obstacles(&planned(&base, &live, options)),
                [Obstacle::RelationshipsSkipped]
            );
        }
    }
}

#[test]
fn what_ties_a_returning_object_is_made_sure_of_after_its_return() {
    let base = with(vec![grant(9, "User.Read"), assignment(10), user(3, "a")]);
    let mut live = with(vec![user(3, "a")]);
    for object in &mut live.objects {
        if object.id == id(1) {
            object.state = ObjectState::Deleted;
        }
    }
    let plan = planned(&base, &live.clone().sorted(), ROLLBACK);
    assert_eq!(
        actions(&plan),
        [
            (Action::RestoreDeleted, id(1)),
            (Action::MakeAnew, id(9)),
            (Action::MakeAnew, id(10)),
        ]
    );
    assert!(plan.steps[1..].iter().all(|step| step.after == [1]));
    let skipped = planned(&base, &live, SKIP);
    assert_eq!(actions(&skipped), [(Action::RestoreDeleted, id(1))]);
}

#[test]
fn grants_come_after_links_and_before_locations() {
    let location = |trusted: bool| {
        let body = json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Office",
            "isTrusted": trusted, "ipRanges": []});
        live_object(ObjectType::NamedLocation, 20, body)
    };
    let side = |title: &str, more: Vec<Object>, links: Vec<Link>| {
        let mut objects = vec![user(3, title), group(4), principal(1), principal(2)];
        objects.extend(more);
        content(objects, links)
    };
    let base = side(
        "a",
        vec![
            location(true),
            assignment(9),
            grant(10, "x"),
            role(12, 3, "r"),
        ],
        vec![link(LinkKind::GroupMembers, 4, 3)],
    );
    let live = side("b", vec![location(false), role(11, 2, "r")], vec![]);
    assert_eq!(
        actions(&planned(&base, &live, ROLLBACK)),
        [
            (Action::Update, id(3)),
            (Action::AddLinks, id(4)),
            (Action::MakeAnew, id(10)),
            (Action::MakeAnew, id(9)),
            (Action::MakeAnew, id(12)),
            (Action::RemoveRelation, id(11)),
            (Action::Update, id(20)),
        ]
    );
}

#[test]
fn own_access_is_never_taken_away() {
    let own = HashSet::from([id(1)]);
    let plan = planned_as(
        &content(vec![], vec![]),
        &content(vec![principal(1)], vec![]),
        ROLLBACK,
        &own,
        &BTreeMap::new(),
    );
    assert_eq!(
        (plan.steps.len(), obstacles(&plan)),
        (0, vec![Obstacle::OwnAccess])
    );
    let base = with(vec![grant(8, "User.Read")]);
    let live = with(vec![grant(8, "Mail.Read"), assignment(9), role(10, 1, "r")]);
    let plan = planned_as(&base, &live, ROLLBACK, &own, &BTreeMap::new());
    assert_eq!(
        (plan.steps.len(), obstacles(&plan)),
        (0, vec![Obstacle::OwnAccess; 3])
    );
    let plan = planned_as(&live, &with(vec![]), ROLLBACK, &own, &BTreeMap::new());
    assert_eq!(plan.steps.len(), 3, "what it lost it may have again");
}

#[test]
fn the_last_administrator_stays() {
    let admin = |n, principal| role(n, principal, GLOBAL_ADMINISTRATOR);
    let side = |roles: Vec<Object>| {
        let mut objects = vec![user(3, "a"), user(4, "a")];
        objects.extend(roles);
        content(objects, vec![])
    };
    let none = side(vec![]);
    let plan = planned(&none, &side(vec![admin(9, 3)]), ROLLBACK);
    assert_eq!(
        (plan.steps.len(), obstacles(&plan)),
        (0, vec![Obstacle::LastAdministrator])
    );

    let two = side(vec![admin(9, 3), admin(10, 4)]);
    let plan = planned(&side(vec![admin(10, 4)]), &two, ROLLBACK);
    assert_eq!(actions(&plan), [(Action::RemoveRelation, id(9))]);
    assert!(
        plan.steps[0].reason.contains("privileged"),
        "{}",
        plan.steps[0].reason
    );

    let plan = planned(
        &side(vec![admin(10, 4)]),
        &side(vec![admin(9, 3)]),
        ROLLBACK,
    );
    assert_eq!(
        actions(&plan),
        [(Action::MakeAnew, id(10)), (Action::RemoveRelation, id(9))]
    );
    assert_eq!(plan.steps[1].after, [1], "the right one first");

    // An administrator who is removed with this plan does not count.
    let base = content(vec![user(3, "a")], vec![]);
    let live = side(vec![admin(9, 3), admin(10, 4)]);
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(actions(&plan), [(Action::SoftDelete, id(4))]);
    assert_eq!(obstacles(&plan), [Obstacle::LastAdministrator; 2]);

    // Nor is the only one deleted, whose assignment a plan leaves alone or not.
    let live = content(vec![user(3, "a"), user(4, "a"), admin(9, 4)], vec![]);
    for relationships in [Relationships::Rollback, Relationships::Merge] {
        let options = Options {
            relationships,
            ..ROLLBACK
        };
        let plan = planned(&base, &live, options);
        assert_eq!(plan.steps, [], "{relationships:?}");
        let kept = plan.exclusions.iter();
        let kept = kept.filter(|one| one.obstacle == Obstacle::LastAdministrator);
        assert!(kept.map(|one| &one.object.id).any(|kept| *kept == id(4)));
    }
}

#[test]
fn what_is_kept_keeps_what_it_was_given() {
    let base = content(vec![principal(2)], vec![]);
    let given = vec![grant(8, "Mail.Read"), assignment(9), role(10, 1, "r")];
    let live = with(given);
    let plan = planned(&base, &live, Options::default());
    assert_eq!(plan.steps, []);
    assert_eq!(obstacles(&plan), [Obstacle::AddedKept; 4]);
    assert!(plan.risks.iter().any(|risk| risk.contains("is kept with")));
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(plan.steps.len(), 4, "{:?}", actions(&plan));
}

#[test]
fn an_outside_identity_that_goes_makes_room_for_the_one_that_comes() {
    let base = with(vec![federated(8, "main")]);
    let mut other = federated(9, "main").body();
    other.insert("name".to_owned(), json!("deploy2"));
    let other = live_object(
        ObjectType::FederatedIdentityCredential,
        9,
        Value::Object(other),
    );
    let plan = planned(&base, &with(vec![other]), ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::RemoveRelation, id(9)), (Action::MakeAnew, id(8))]
    );
}

#[test]
fn rewind_is_not_switched_off() {
    let enabled = |enabled: bool| {
        let body = json!({"displayName": "Rewind", "appId": "app-1", "accountEnabled": enabled});
        content(
            vec![live_object(ObjectType::ServicePrincipal, 1, body)],
            vec![],
        )
    };
    let own = HashSet::from([id(1)]);
    let plan = |base: bool, live: bool| {
        planned_as(
            &enabled(base),
            &enabled(live),
            ROLLBACK,
            &own,
            &BTreeMap::new(),
        )
    };
    let off = plan(false, true);
    assert_eq!(
        (off.steps.len(), obstacles(&off)),
        (0, vec![Obstacle::OwnAccess])
    );
    assert_eq!(actions(&plan(true, false)), [(Action::Update, id(1))]);
}

#[test]
fn a_missing_permission_leaves_the_type_out_and_nothing_else() {
    let base = with(vec![user(3, "a"), grant(9, "x")]);
    let live = with(vec![user(3, "b"), role(10, 3, "r")]);
    let lacking = BTreeMap::from([(
        ObjectType::RoleAssignment,
        vec!["RoleManagement.ReadWrite.Directory"],
    )]);
    let plan = planned_as(&base, &live, ROLLBACK, &HashSet::new(), &lacking);
    assert_eq!(
        actions(&plan),
        [(Action::Update, id(3)), (Action::MakeAnew, id(9))]
    );
    assert_eq!(obstacles(&plan), [Obstacle::PermissionMissing]);
    assert!(
        plan.exclusions[0]
            .detail
            .contains("RoleManagement.ReadWrite.Directory")
    );
}

fn application(passwords: Value, keys: Value) -> Object {
    let body =
        json!({"displayName": "A", "passwordCredentials": passwords, "keyCredentials": keys});
    live_object(ObjectType::Application, 1, body)
}

#[test]
fn added_credentials_go_and_lost_ones_are_told() {
    let base = content(
        vec![application(
            json!([{"keyId": "k1"}, {"keyId": "lost"}]),
            json!([{"keyId": "c1"}]),
        )],
        vec![],
    );
    let live = content(
        vec![application(
            json!([{"keyId": "k1"}, {"keyId": "rogue", "hint": "abc"}]),
            json!([{"keyId": "c1", "key": null, "displayName": "CN=a"}, {"keyId": "evil"}]),
        )],
        vec![],
    );
    let base_keys = content(
        vec![application(
            json!([{"keyId": "k1"}, {"keyId": "lost"}]),
            json!([{"keyId": "c1", "displayName": "CN=a"}]),
        )],
        vec![],
    );
    let plan = planned(&base_keys, &live, ROLLBACK);
    let item = format!("/applications/{}", id(1));
    let remove = format!("{item}/removePassword");
    let mut found = calls(&plan);
    found.sort_by_key(|call| call.1);
    assert_eq!(
        found,
        [
            (
                HttpMethod::Patch,
                item.as_str(),
                Some(&json!({"keyCredentials": [{"keyId": "c1", "displayName": "CN=a"}]}))
            ),
            (
                HttpMethod::Post,
                remove.as_str(),
                Some(&json!({"keyId": "rogue"}))
            ),
        ]
    );
    assert!(
        plan.steps
            .iter()
            .all(|step| step.action == Action::RemoveCredential)
    );
    let left: Vec<_> = plan
        .exclusions
        .iter()
        .map(|one| (one.obstacle, one.part.as_str()))
        .collect();
    assert_eq!(left, [(Obstacle::Secret, "passwordCredentials")]);
    assert!(
        plan.risks
            .iter()
            .any(|risk| risk.contains("nothing brings them back"))
    );

    let kept = planned(&base_keys, &live, Options::default());
    assert_eq!(
        (kept.steps.len(), obstacles(&kept)),
        (0, vec![Obstacle::CredentialAdded; 2])
    );
    let own = HashSet::from([id(1)]);
    let kept = planned_as(&base, &live, ROLLBACK, &own, &BTreeMap::new());
    assert_eq!(
        (kept.steps.len(), obstacles(&kept)),
        (0, vec![Obstacle::CredentialAdded; 2])
    );
}

#[test]
fn credentials_of_a_managed_identity_are_left_to_azure() {
    let identity = |keys: Value| {
        let body = json!({"displayName": "M", "servicePrincipalType": "ManagedIdentity", "keyCredentials": keys});
        content(
            vec![live_object(ObjectType::ServicePrincipal, 1, body)],
            vec![],
        )
    };
    let (base, live) = (
        identity(json!([{"keyId": "old"}])),
        identity(json!([{"keyId": "new"}])),
    );
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        (plan.steps.len(), obstacles(&plan)),
        (0, vec![Obstacle::CredentialAdded])
    );
}
