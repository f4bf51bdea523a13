use serde_json::json;

use super::*;
use crate::catalogue::{APPLICATION, CONDITIONAL_ACCESS_POLICY, USER};

fn canonical(spec: &TypeSpec, name: &str, value: Value) -> Option<Value> {
    property(
        spec.property(name)
            .expect("the property is in the catalogue"),
        Some(&value),
    )
}

#[test]
fn nothing_has_many_faces() {
    for value in [
        json!(null),
        json!([]),
        json!({}),
        json!([null]),
        json!({"a": null, "b": [], "c": {"d": []}}),
    ] {
        assert_eq!(
            canonical(&CONDITIONAL_ACCESS_POLICY, "conditions", value.clone()),
            None,
            "{value}"
        );
    }
    assert_eq!(
        canonical(&USER, "jobTitle", json!("")),
        Some(json!("")),
        "an empty text is a value"
    );
    assert_eq!(
        canonical(&USER, "accountEnabled", json!(false)),
        Some(json!(false)),
        "false is a value"
    );
}

#[test]
fn order_of_sets_and_annotations_leave_no_trace() {
    let one = json!({"users": {"excludeUsers": ["b", "a"], "includeUsers@odata.context": "x"}, "@odata.etag": "y"});
    let other =
        json!({"users": {"excludeUsers": ["a", "b"], "includeGroups": []}, "platforms": null});
    assert_eq!(
        canonical(&CONDITIONAL_ACCESS_POLICY, "conditions", one),
        canonical(&CONDITIONAL_ACCESS_POLICY, "conditions", other)
    );
}

#[test]
fn a_strength_is_its_id() {
    let expanded = json!({"operator": "OR", "authenticationStrength@odata.context": "…",
        "authenticationStrength": {"id": "s", "displayName": "Phishing-resistant MFA", "modifiedDateTime": "2021-12-01T08:00:00Z"}});
    assert_eq!(
        canonical(&CONDITIONAL_ACCESS_POLICY, "grantControls", expanded),
        Some(json!({"operator": "OR", "authenticationStrength": {"id": "s"}}))
    );
}

#[test]
fn a_secret_is_never_compared_by_value() {
    let with = json!([{"keyId": "k", "hint": "abc", "secretText": "s3cret"}]);
    assert_eq!(
        canonical(&APPLICATION, "passwordCredentials", with),
        Some(json!([{"hint": "abc", "keyId": "k"}]))
    );
}

#[test]
fn a_write_clears_what_only_the_live_value_has() {
    let entry = CONDITIONAL_ACCESS_POLICY
        .property("conditions")
        .expect("known");
    let target =
        json!({"users": {"includeUsers": ["All"]}, "platforms": null, "x@odata.context": "y"});
    let live = json!({"users": {"includeUsers": ["All"], "excludeUsers": ["rogue"]}, "locations": {"includeLocations": ["All"]}});
    assert_eq!(
        writable(entry, Some(&target), Some(&live)),
        json!({"users": {"includeUsers": ["All"], "excludeUsers": []}, "platforms": null, "locations": null})
    );
}

#[test]
fn nothing_is_written_as_null_or_as_the_empty_list() {
    let job_title = USER.property("jobTitle").expect("known");
    assert_eq!(writable(job_title, None, Some(&json!("x"))), Value::Null);
    let phones = USER.property("businessPhones").expect("known");
    assert_eq!(
        writable(phones, Some(&Value::Null), Some(&json!(["1"]))),
        json!([])
    );
    let session = CONDITIONAL_ACCESS_POLICY
        .property("sessionControls")
        .expect("known");
    let ineffective = json!({"cloudAppSecurity": null, "signInFrequency": null});
    assert_eq!(
        writable(
            session,
            Some(&ineffective),
            Some(&json!({"persistentBrowser": {"mode": "always"}}))
        ),
        Value::Null
    );
}

#[test]
fn flags_in_another_order_are_the_same_and_written_as_they_were() {
    let entry = CONDITIONAL_ACCESS_POLICY
        .property("conditions")
        .expect("known");
    let flags = |text: &str| json!({"users": {"includeGuestsOrExternalUsers": {"guestOrExternalUserTypes": text}}});
    let (one, other) = (
        flags("internalGuest,b2bCollaborationGuest"),
        flags("b2bCollaborationGuest,internalGuest"),
    );
    assert_eq!(property(entry, Some(&one)), property(entry, Some(&other)));
    assert_eq!(writable(entry, Some(&one), Some(&other)), one);
}
