//! Where Graph is odd: what a plan writes so that Graph takes it and nothing is lost.
//! `docs/quirks.md` lists which test holds which.

use super::*;
use crate::catalogue::Class;
use crate::diff::Direction;

/// A plan between two bodies of one live object.
fn between(object_type: ObjectType, base: Value, live: Value) -> Plan {
    let state = |body| {
        content(
            vec![object(object_type, 1, ObjectState::Live, body)],
            vec![],
        )
    };
    planned(&state(base), &state(live), ROLLBACK)
}

fn body(plan: &Plan, step: usize) -> Value {
    plan.steps[step].call.body.clone().expect("a body")
}

#[test]
fn both_halves_of_the_organisation_data_are_sent() {
    let user = |division: &str| json!({"displayName": "U", "employeeOrgData": {"division": division, "costCenter": "7"}});
    let plan = between(ObjectType::User, user("a"), user("b"));
    let whole = json!({"employeeOrgData": {"division": "a", "costCenter": "7"}});
    assert_eq!(body(&plan, 0), whole);
}

#[test]
fn identities_are_sent_with_the_sign_in_name_among_them() {
    let name = json!({"signInType": "userPrincipalName", "issuer": "c.example", "issuerAssignedId": "u@c.example"});
    let mail = json!({"signInType": "emailAddress", "issuer": "c.example", "issuerAssignedId": "u@private.example"});
    let plan = between(
        ObjectType::User,
        json!({"displayName": "U", "identities": [name, mail]}),
        json!({"displayName": "U", "identities": [name]}),
    );
    assert_eq!(body(&plan, 0), json!({"identities": [name, mail]}));
}

#[test]
fn what_graph_never_lets_be_written_is_in_no_write() {
    for object_type in ObjectType::ALL {
        let spec = object_type.spec();
        let fixed = spec.properties.iter();
        let fixed = fixed.filter(|property| property.class != Class::Restorable);
        for property in fixed.filter(|_| spec.relation.is_none()) {
            let state = |value: &str| json!({"displayName": "O", (property.name): value});
            let plan = between(object_type, state("a"), state("b"));
            let written = plan.steps.iter().filter_map(|step| step.call.body.as_ref());
            for body in written {
                assert_eq!(
                    body.get(property.name),
                    None,
                    "{object_type} {}",
                    property.name
                );
            }
        }
    }
}

#[test]
fn a_scope_is_switched_off_before_it_changes() {
    let scope = |value: &str, enabled: bool| json!({"id": id(5).as_str(), "value": value, "isEnabled": enabled});
    let app =
        |scope: Value| json!({"displayName": "A", "api": {"oauth2PermissionScopes": [scope]}});
    let plan = between(
        ObjectType::Application,
        app(scope("a", true)),
        app(scope("b", true)),
    );
    assert_eq!(
        actions(&plan),
        [(Action::DisableEntries, id(1)), (Action::Update, id(1))]
    );
    assert_eq!(plan.steps[1].after, [1]);
    let scopes = |step| body(&plan, step)["api"]["oauth2PermissionScopes"].clone();
    assert_eq!(scopes(0), json!([scope("b", false)]));
    assert_eq!(scopes(1), json!([scope("a", true)]));
}

#[test]
fn the_address_of_a_logo_is_not_written() {
    let app = |support: &str| json!({"displayName": "A", "info": {"supportUrl": support, "logoUrl": "https://cdn.example/x"}});
    let plan = between(ObjectType::Application, app("a"), app("b"));
    assert_eq!(body(&plan, 0), json!({"info": {"supportUrl": "a"}}));
}

#[test]
fn what_is_copied_from_the_application_follows_it() {
    let principal = |role: &str| json!({"displayName": "P", "appRoles": [{"id": id(5).as_str(), "value": role}]});
    let plan = between(ObjectType::ServicePrincipal, principal("a"), principal("b"));
    assert_eq!(plan.steps, []);
    assert!(
        plan.exclusions[0]
            .detail
            .contains("copied from the application")
    );
}

#[test]
fn a_policy_is_written_without_what_only_reads_show() {
    let policy = |state: &str, mode: &str| {
        json!({
            "displayName": "P", "state": state, "templateId": null, "createdDateTime": "2026-01-01T00:00:00Z",
            "modifiedDateTime": "2026-01-02T00:00:00Z",
            "conditions": {"clientAppTypes": ["all"], "users": {"includeUsers": ["All"]},
                "devices": {"deviceFilter": {"mode": mode, "rule": "x"}}},
            "grantControls": {"operator": "OR", "builtInControls": [],
                "authenticationStrength@odata.context": "https://graph.example/$metadata",
                "authenticationStrength": {"id": id(4).as_str(), "displayName": mode, "allowedCombinations": ["fido2"]}}})
    };
    let other = json!({"operator": "OR", "builtInControls": ["mfa"]});
    let mut live = policy("disabled", "exclude");
    live["grantControls"] = other;
    let plan = between(
        ObjectType::ConditionalAccessPolicy,
        policy("enabled", "include"),
        live,
    );
    let written = body(&plan, 0);
    let names: Vec<&String> = written.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["conditions", "grantControls", "state"]);
    assert_eq!(
        written["conditions"]["users"]["includeUsers"],
        json!(["All"]),
        "conditions are complete"
    );
    let controls = &written["grantControls"];
    assert_eq!(
        controls["authenticationStrength"],
        json!({"id": id(4).as_str()})
    );
    assert!(!written.to_string().contains("@odata.context"), "{written}");
}

#[test]
fn a_location_says_what_it_and_its_ranges_are() {
    let location = |address: &str| {
        json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "L", "isTrusted": false,
            "ipRanges": [{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": address}]})
    };
    let plan = between(
        ObjectType::NamedLocation,
        location("198.51.100.0/24"),
        location("203.0.113.0/24"),
    );
    let expected = json!({"@odata.type": "#microsoft.graph.ipNamedLocation",
        "ipRanges": [{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.51.100.0/24"}]});
    assert_eq!(body(&plan, 0), expected);
}

#[test]
fn twenty_members_go_in_one_write_and_owners_one_by_one() {
    let users: Vec<Object> = (10..55).map(|n| user(n, "a")).collect();
    let with = |links| content([users.clone(), vec![group(1)]].concat(), links);
    let members = (10..55).map(|n| link(LinkKind::GroupMembers, 1, n));
    let owners = (10..12).map(|n| link(LinkKind::GroupOwners, 1, n));
    let plan = planned(
        &with(members.chain(owners).collect()),
        &with(vec![]),
        ROLLBACK,
    );
    let sizes: Vec<usize> = plan.steps.iter().map(|step| step.links.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 47);
    let bound: Vec<usize> = plan
        .steps
        .iter()
        .filter_map(|step| {
            step.call
                .body
                .as_ref()?
                .get("members@odata.bind")?
                .as_array()
        })
        .map(Vec::len)
        .collect();
    assert_eq!(bound, [20, 20, 5]);
    let owners = plan
        .steps
        .iter()
        .filter(|step| step.call.path.ends_with("/owners/$ref"));
    assert_eq!(owners.count(), 2);
}

#[test]
fn a_link_is_removed_by_its_reference() {
    let base = content(vec![user(2, "a"), group(1)], vec![]);
    let kinds = [LinkKind::GroupMembers, LinkKind::GroupOwners];
    for kind in kinds {
        let live = content(vec![user(2, "a"), group(1)], vec![link(kind, 1, 2)]);
        let plan = planned(&base, &live, ROLLBACK);
        let call = &plan.steps[0].call;
        let path = format!("/groups/{}/{}/{}/$ref", id(1), kind.spec().relation, id(2));
        assert_eq!((call.method, &call.path), (HttpMethod::Delete, &path));
    }
    let manager = content(
        vec![user(2, "a"), user(1, "a")],
        vec![link(LinkKind::UserManager, 1, 2)],
    );
    let plan = planned(
        &content(manager.objects.clone(), vec![]),
        &manager,
        ROLLBACK,
    );
    assert_eq!(
        plan.steps[0].call.path,
        format!("/users/{}/manager/$ref", id(1))
    );
}

#[test]
fn an_owner_is_added_before_the_last_one_goes() {
    let owned_by = |n| {
        content(
            vec![user(2, "a"), user(3, "a"), group(1)],
            vec![link(LinkKind::GroupOwners, 1, n)],
        )
    };
    let plan = planned(&owned_by(2), &owned_by(3), ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::AddLinks, id(1)), (Action::RemoveLink, id(1))]
    );
    assert_eq!(plan.steps[1].after, [1]);
}

#[test]
fn members_of_a_dynamic_group_are_never_written() {
    let dynamic = object(
        ObjectType::Group,
        1,
        ObjectState::Live,
        json!({"displayName": "G", "groupTypes": ["DynamicMembership"], "membershipRule": "true"}),
    );
    let with = |links| content(vec![user(2, "a"), dynamic.clone()], links);
    let member = vec![link(LinkKind::GroupMembers, 1, 2)];
    for (base, live) in [
        (with(member.clone()), with(vec![])),
        (with(vec![]), with(member)),
    ] {
        assert_eq!(planned(&base, &live, ROLLBACK).steps, []);
    }
}

#[test]
fn an_application_returns_before_its_service_principal() {
    let app_id = id(9);
    let app = |state| {
        object(
            ObjectType::Application,
            1,
            state,
            json!({"displayName": "A", "appId": app_id.as_str()}),
        )
    };
    let principal = |state| {
        object(
            ObjectType::ServicePrincipal,
            2,
            state,
            json!({"displayName": "A", "appId": app_id.as_str()}),
        )
    };
    let all = |state| content(vec![app(state), principal(state)], vec![]);
    let plan = planned(
        &all(ObjectState::Live),
        &all(ObjectState::Deleted),
        ROLLBACK,
    );
    assert_eq!(
        actions(&plan),
        [
            (Action::RestoreDeleted, id(1)),
            (Action::RestoreDeleted, id(2))
        ]
    );
    let paths: Vec<&str> = plan
        .steps
        .iter()
        .map(|step| step.call.path.as_str())
        .collect();
    let of = |n| format!("/directory/deletedItems/{}/restore", id(n));
    assert_eq!(paths, [of(1), of(2)]);
}

#[test]
fn a_policy_that_returns_is_put_right_at_once() {
    let policy = |state, title: &str| {
        let body = json!({"displayName": title, "state": "enabled", "conditions": {"users": {"includeUsers": ["All"]}}});
        object(ObjectType::ConditionalAccessPolicy, 1, state, body)
    };
    let base = content(vec![policy(ObjectState::Live, "a"), user(2, "a")], vec![]);
    let live = content(
        vec![policy(ObjectState::Deleted, "b"), user(2, "b")],
        vec![],
    );
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [
            (Action::Update, id(2)),
            (Action::RestoreDeleted, id(1)),
            (Action::Update, id(1))
        ]
    );
    assert_eq!(
        plan.steps[1].call.path,
        format!(
            "/identity/conditionalAccess/deletedItems/policies/{}/restore",
            id(1)
        )
    );
    assert_eq!(plan.steps[2].after, [2]);
}

#[test]
fn an_address_of_an_application_that_an_intruder_took_is_freed_first() {
    let app = |n, state| {
        let body = json!({"displayName": "A", "identifierUris": ["api://payroll"]});
        object(ObjectType::Application, n, state, body)
    };
    let base = content(vec![app(1, ObjectState::Live)], vec![]);
    let live = content(
        vec![app(1, ObjectState::Deleted), app(2, ObjectState::Live)],
        vec![],
    );
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::SoftDelete, id(2)), (Action::RestoreDeleted, id(1))]
    );
}

#[test]
fn a_manager_that_comes_back_replaces_another_in_one_write() {
    let users = |manager: Object| vec![user(1, "a"), manager, user(3, "a")];
    let managed_by = |n| vec![link(LinkKind::UserManager, 1, n)];
    let base = content(users(user(2, "a")), managed_by(2));
    let live = content(users(deleted(user(2, "a"))), managed_by(3));
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::RestoreDeleted, id(2)), (Action::AddLinks, id(1))]
    );
    let ends: Vec<(&ObjectId, Direction)> = plan.steps[1]
        .links
        .iter()
        .map(|link| (&link.target, link.direction))
        .collect();
    assert_eq!(
        ends,
        [(&id(2), Direction::Added), (&id(3), Direction::Removed)]
    );
}

#[test]
fn a_service_principal_that_was_made_again_makes_room_for_the_one_that_comes_back() {
    let principal = |n, state| {
        let body = json!({"displayName": "P", "appId": id(9).as_str()});
        object(ObjectType::ServicePrincipal, n, state, body)
    };
    let base = content(vec![principal(1, ObjectState::Live)], vec![]);
    let live = content(
        vec![
            principal(1, ObjectState::Deleted),
            principal(2, ObjectState::Live),
        ],
        vec![],
    );
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::SoftDelete, id(2)), (Action::RestoreDeleted, id(1))]
    );
    assert_eq!(plan.steps[1].after, [1]);
}
