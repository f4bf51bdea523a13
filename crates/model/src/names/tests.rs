//! What is found in values, and what it is called.

use serde_json::json;

use super::*;
use crate::diff::{Scope, diff};
use crate::fixture::{content, group, id, object, user};
use crate::object::ObjectState;

const MAIL: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";

fn live(object_type: ObjectType, n: u8, body: Value) -> Object {
    object(object_type, n, ObjectState::Live, body)
}

fn policy(excluded: &Value) -> Object {
    let body = json!({"displayName": "Block", "state": "enabled", "conditions": excluded});
    live(ObjectType::ConditionalAccessPolicy, 9, body)
}

#[test]
fn the_ids_of_a_policy_have_their_names() {
    let renamed = |name: &str| live(ObjectType::Group, 2, json!({"displayName": name}));
    let gone = user(4, "a");
    let others = |name: &str| {
        vec![
            user(1, "a"),
            renamed(name),
            live(
                ObjectType::NamedLocation,
                3,
                json!({"displayName": "Office"}),
            ),
            live(
                ObjectType::ServicePrincipal,
                5,
                json!({"displayName": "Mail", "appId": MAIL.to_uppercase()}),
            ),
            live(
                ObjectType::Application,
                6,
                json!({"displayName": "Mail (registered)", "appId": MAIL}),
            ),
            object(
                ObjectType::AuthenticationContextClassReference,
                7,
                ObjectState::Live,
                json!({"displayName": "Secret"}),
            ),
        ]
    };
    let before =
        policy(&json!({"users": {"excludeUsers": [id(1).as_str(), id(4).as_str(), "All"]}}));
    let after = policy(&json!({
        "users": {
            "excludeUsers": [id(1).as_str().to_uppercase()],
            "excludeGroups": [id(2).as_str()],
            "includeRoles": [ADMINISTRATOR, id(8).as_str()],
        },
        "applications": {
            "includeApplications": [MAIL, "Office365"],
            "includeAuthenticationContextClassReferences": [id(7).as_str()],
        },
        "locations": {"excludeLocations": [id(3).as_str(), "AllTrusted"]},
    }));
    let base = content([vec![before, gone], others("Old")].concat(), vec![]);
    let target = content([vec![after], others("New")].concat(), vec![]);
    let difference = diff(&base, &target, &Scope::default());
    let all = named(&difference.changes, &base, &target);
    let place = difference
        .changes
        .iter()
        .position(|change| change.object.object_type == ObjectType::ConditionalAccessPolicy);
    let found: Vec<(String, &str, &str)> = all[place.expect("the policy differs")]
        .iter()
        .map(|one| (one.id.clone(), one.object_type, one.name.as_str()))
        .collect();
    let named = |n: u8, object_type, name| (id(n).to_string(), object_type, name);
    assert_eq!(
        found,
        [
            named(1, "user", "User 1"),
            named(2, "group", "New"),
            named(3, "namedLocation", "Office"),
            named(4, "user", "User 4"),
            named(7, "authenticationContextClassReference", "Secret"),
            (ADMINISTRATOR.to_owned(), ROLE, "Global Administrator"),
            (MAIL.to_owned(), "servicePrincipal", "Mail"),
        ]
    );
}

#[test]
fn a_scope_is_an_id_at_the_end_of_a_path() {
    let unit = live(
        ObjectType::AdministrativeUnit,
        2,
        json!({"displayName": "North"}),
    );
    let assignment = live(
        ObjectType::RoleAssignment,
        3,
        json!({
            "principalId": id(1).as_str(),
            "roleDefinitionId": ADMINISTRATOR,
            "directoryScopeId": format!("/administrativeUnits/{}", id(2)),
        }),
    );
    let base = content(vec![user(1, "a"), unit.clone()], vec![]);
    let target = content(vec![user(1, "a"), unit, assignment], vec![]);
    let difference = diff(&base, &target, &Scope::default());
    let all = named(&difference.changes, &base, &target);
    let names: Vec<&str> = all[0].iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["User 1", "North", "Global Administrator"]);
}

#[test]
fn nothing_is_found_where_nothing_is_named() {
    let base = content(vec![user(1, "a"), group(2)], vec![]);
    let target = content(vec![user(1, "b"), group(2)], vec![]);
    let difference = diff(&base, &target, &Scope::default());
    assert_eq!(named(&difference.changes, &base, &target), [vec![]]);
    assert_eq!(named(&[], &base, &target), Vec::<Vec<Named>>::new());
    assert_eq!(super::id("x", "/"), None);
    assert_eq!(
        super::id("x", "00000000-0000-0000-0000-000000000000"),
        None,
        "the zero GUID stands for no object"
    );
}
