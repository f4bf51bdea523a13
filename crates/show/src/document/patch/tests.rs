//! A patch leads from what was to what is.

use model::catalogue::ObjectType;
use model::diff::{Change, ChangeKind, attribute_changes};
use model::{ObjectId, ObjectRef, canonical};
use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

/// The message that a report holds of two bodies of an object.
fn reported(object_type: ObjectType, old: &Value, current: &Value) -> v1::Change {
    let change = Change {
        object: ObjectRef {
            object_type,
            id: ObjectId::parse("p-1").expect("an id"),
            name: "A policy".to_owned(),
        },
        kind: ChangeKind::Modified,
        attributes: attribute_changes(object_type.spec(), old.as_object(), current.as_object()),
        links: Vec::new(),
        obstacles: Default::default(),
    };
    proto::convert::change(&change)
}

/// What a report compares of a body.
fn compared(object_type: ObjectType, body: &Value) -> Value {
    let body = body.as_object().expect("an object");
    let properties = canonical::properties(object_type.spec(), body);
    let named: Map<String, Value> = properties
        .into_iter()
        .map(|(name, _, value)| (name, value))
        .collect();
    Value::Object(named)
}

/// Checks that the patch of a report leads from one body to the other, and from
/// no third one.
fn leads(object_type: ObjectType, old: &Value, current: &Value) -> Vec<PatchOperation> {
    let change = reported(object_type, old, current);
    let text = serde_json::to_string(&operations(&change.attributes).expect("a patch"));
    // As another program would read it.
    let patch: json_patch::Patch = serde_json::from_str(&text.expect("JSON")).expect("a patch");
    let mut body = compared(object_type, old);
    json_patch::patch(&mut body, &patch).expect("it fits");
    assert_eq!(body, compared(object_type, current), "{patch}");
    patch.0
}

/// Names of properties, with what JSON Pointer escapes.
fn name() -> impl Strategy<Value = String> {
    "[a-c~/0-9ä\" ]{1,3}".prop_filter("a list is no object", |name| name != "id")
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c<]{0,3}".prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), value, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn policy() -> impl Strategy<Value = Value> {
    let known = prop::collection::btree_map(
        prop_oneof![
            Just("displayName".to_owned()),
            Just("conditions".to_owned()),
            Just("grantControls".to_owned()),
            Just("sessionControls".to_owned()),
            name(),
        ],
        any_value(),
        0..5,
    );
    known.prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn a_patch_leads_from_the_old_values_to_the_current_ones(old in policy(), current in policy()) {
        leads(ObjectType::ConditionalAccessPolicy, &old, &current);
    }
}

#[test]
fn operations_say_what_happened() {
    let old = json!({
        "displayName": "MFA",
        "state": "enabled",
        "conditions": {"users": {"includeUsers": ["All"], "excludeUsers": ["b", "a"]}},
    });
    let current = json!({
        "displayName": "MFA",
        "conditions": {"users": {"includeUsers": ["All"], "excludeUsers": ["c", "a"], "includeRoles": ["r"]}},
    });
    let patch = leads(ObjectType::ConditionalAccessPolicy, &old, &current);
    assert_eq!(
        serde_json::to_value(patch).expect("JSON"),
        json!([
            {"op": "test", "path": "/conditions/users/excludeUsers", "value": ["a", "b"]},
            {"op": "replace", "path": "/conditions/users/excludeUsers", "value": ["a", "c"]},
            {"op": "add", "path": "/conditions/users/includeRoles", "value": ["r"]},
            {"op": "test", "path": "/state", "value": "enabled"},
            {"op": "remove", "path": "/state"},
        ])
    );
}

#[test]
fn an_added_object_begins_empty_and_a_deleted_one_ends_empty() {
    let policy =
        json!({"displayName": "MFA", "conditions": {"locations": {"includeLocations": ["All"]}}});
    for (old, current) in [(&json!({}), &policy), (&policy, &json!({}))] {
        assert!(!leads(ObjectType::ConditionalAccessPolicy, old, current).is_empty());
    }
}

#[test]
fn keys_are_parted_by_dots_and_annotations_are_keys() {
    for (path, expected) in [
        ("jobTitle", "/jobTitle"),
        (
            "conditions.users.excludeUsers",
            "/conditions/users/excludeUsers",
        ),
        ("a/b.c~d", "/a~1b/c~0d"),
        ("@odata.type", "/@odata.type"),
        (
            "conditions.users.@odata.type",
            "/conditions/users/@odata.type",
        ),
    ] {
        assert_eq!(pointer(path).as_str(), expected);
    }
}

#[test]
fn what_is_no_change_is_refused() {
    let change = |before: Option<&str>| v1::AttributeChange {
        path: "a".to_owned(),
        before_json: before.map(str::to_owned),
        ..Default::default()
    };
    for bad in [None, Some("{")] {
        let refused = operations(&[change(bad)]);
        assert!(matches!(refused, Err(Error::NotUnderstood(_))), "{bad:?}");
    }
}
