use serde_json::json;

use super::*;
use crate::diff::{Scope, diff};
use crate::fixture::{content, object};
use crate::object::{Object, ObjectState};

const LOST: &str = "0a1b2c3d-0000-4000-8000-000000000001";
const OTHER: &str = "0a1b2c3d-0000-4000-8000-000000000002";
const NEW: &str = "0a1b2c3d-0000-4000-8000-000000000003";

fn policy(users: &Value) -> Body {
    let body =
        json!({"displayName": "Guarded", "state": "enabled", "conditions": {"users": users}});
    body.as_object().cloned().expect("an object")
}

fn users(body: &Body) -> Value {
    body["conditions"]["users"].clone()
}

fn mapping() -> Chosen {
    Chosen::new([(LOST, NEW)], []).expect("valid")
}

fn dropping() -> Chosen {
    Chosen::new([], [LOST]).expect("valid")
}

#[test]
fn a_successor_stands_in_every_place_of_the_lost_one() {
    let before = policy(&json!({
        "includeUsers": [LOST.to_uppercase(), OTHER], "excludeUsers": [LOST, NEW]}));
    let after = mapping()
        .followed(&before)
        .expect("allowed")
        .expect("changed");
    assert_eq!(
        users(&after),
        json!({"includeUsers": [NEW, OTHER], "excludeUsers": [NEW]})
    );
    assert_eq!(
        mapping().told_of(&before),
        [format!("user {NEW} stands in the place of {LOST}")]
    );
    let untouched = policy(&json!({"includeUsers": ["All"]}));
    assert_eq!(mapping().followed(&untouched), Ok(None));
}

#[test]
fn a_user_may_be_left_out_and_nobody_else() {
    let before = policy(&json!({"includeUsers": ["All"], "excludeUsers": [LOST]}));
    let after = dropping()
        .followed(&before)
        .expect("allowed")
        .expect("changed");
    assert_eq!(
        users(&after),
        json!({"includeUsers": ["All"], "excludeUsers": []})
    );
    for (list, kind) in [
        ("excludeGroups", ReferenceKind::Group),
        ("excludeRoles", ReferenceKind::Role),
    ] {
        let before = policy(&json!({ "includeUsers": ["All"], list: [LOST] }));
        let id = LOST.to_owned();
        assert_eq!(
            dropping().followed(&before),
            Err(Refused::NotAUser { id, kind })
        );
    }
    let location = json!({"displayName": "Guarded", "conditions": {"locations": {"excludeLocations": [LOST]}}});
    assert!(matches!(
        dropping().followed(location.as_object().expect("an object")),
        Err(Refused::NotAUser {
            kind: ReferenceKind::Location,
            ..
        })
    ));
}

#[test]
fn nobody_is_left_out_so_that_nobody_is_included() {
    let before = policy(&json!({"includeUsers": [LOST], "includeGroups": [OTHER]}));
    let refused = dropping().followed(&before).expect_err("refused");
    assert_eq!(
        refused.to_string(),
        format!("without {LOST} policy \"Guarded\" would include nobody in includeUsers")
    );
}

#[test]
fn choices_that_contradict_each_other_are_refused() {
    let check = |mapped: &[(&str, &str)], dropped: &[&str], expected: &str| {
        let chosen = Chosen::new(mapped.iter().copied(), dropped.iter().copied());
        assert_eq!(chosen.expect_err("refused").to_string(), expected);
    };
    check(
        &[("All", NEW)],
        &[],
        "\"All\" is no id that a policy names: a GUID is expected",
    );
    check(
        &[(LOST, NEW)],
        &[LOST],
        &format!("{LOST} is chosen for more than once"),
    );
    check(
        &[(LOST, NEW), (LOST, OTHER)],
        &[],
        &format!("{LOST} is chosen for more than once"),
    );
    check(
        &[(LOST, NEW)],
        &[NEW],
        &format!("{NEW} is to stand in the place of another and to be replaced or left out itself"),
    );
}

#[test]
fn a_comparison_afterwards_expects_what_was_chosen_and_nothing_else() {
    let of = |users: &Value| -> Object {
        let body = Value::Object(policy(users));
        object(
            ObjectType::ConditionalAccessPolicy,
            7,
            ObjectState::Live,
            body,
        )
    };
    let left = |chosen: &Chosen, before: &Value, after: &Value| {
        let (base, live) = (
            content(vec![of(before)], vec![]),
            content(vec![of(after)], vec![]),
        );
        let changes = diff(&base, &live, &Scope::default()).changes;
        assert!(!changes.is_empty());
        chosen.expected(changes).len()
    };
    let base = json!({"includeUsers": ["All"], "excludeUsers": [OTHER, LOST]});
    let mapped = json!({"includeUsers": ["All"], "excludeUsers": [NEW, OTHER]});
    let dropped = json!({"includeUsers": ["All"], "excludeUsers": [OTHER]});
    assert_eq!(left(&mapping(), &base, &mapped), 0);
    assert_eq!(left(&mapping(), &base, &dropped), 1);
    assert_eq!(left(&dropping(), &base, &dropped), 0);
    assert_eq!(left(&dropping(), &base, &mapped), 1);
    let only = json!({"includeUsers": ["All"], "excludeUsers": [LOST]});
    assert_eq!(
        left(&dropping(), &only, &json!({"includeUsers": ["All"]})),
        0
    );
    assert_eq!(
        left(&dropping(), &only, &json!({"includeUsers": [OTHER]})),
        1
    );
    assert_eq!(left(&Chosen::default(), &base, &dropped), 1);
}

#[test]
fn a_strength_is_replaced_and_never_left_out() {
    let with = |id: &str| {
        let body = json!({"displayName": "Guarded", "state": "enabled",
            "grantControls": {"operator": "AND", "authenticationStrength": {"id": id, "displayName": "Strong"}}});
        body.as_object().cloned().expect("an object")
    };
    let after = mapping().followed(&with(&LOST.to_uppercase()));
    let after = after.expect("allowed").expect("changed");
    assert_eq!(
        after["grantControls"]["authenticationStrength"]["id"],
        json!(NEW)
    );
    assert_eq!(mapping().followed(&with(OTHER)), Ok(None));
    assert_eq!(
        mapping().told_of(&with(LOST)),
        [format!(
            "authentication strength {NEW} stands in the place of {LOST}"
        )]
    );
    assert_eq!(
        dropping().followed(&with(LOST)),
        Err(Refused::NotAUser {
            id: LOST.to_owned(),
            kind: ReferenceKind::Strength
        })
    );

    let of = |body: Body| {
        let body = Value::Object(body);
        object(
            ObjectType::ConditionalAccessPolicy,
            7,
            ObjectState::Live,
            body,
        )
    };
    let left = |after: &str| {
        let base = content(vec![of(with(LOST))], vec![]);
        let live = content(vec![of(with(after))], vec![]);
        let changes = diff(&base, &live, &Scope::default()).changes;
        assert!(!changes.is_empty());
        mapping().expected(changes).len()
    };
    assert_eq!((left(NEW), left(OTHER)), (0, 1));
}
