//! Authentication strengths, and what the service adds to every policy that it returns.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::state::State;

/// The three strengths that every tenant has.
pub(crate) fn built_in() -> BTreeMap<String, Value> {
    let strength = |n: u8, name: &str, about: &str, combinations: &[&str]| {
        let id = format!("00000000-0000-0000-0000-00000000000{n}");
        let value = json!({
            "id": id,
            "createdDateTime": "2021-12-01T08:00:00Z",
            "modifiedDateTime": "2021-12-01T08:00:00Z",
            "displayName": name,
            "description": about,
            "policyType": "builtIn",
            "requirementsSatisfied": "mfa",
            "allowedCombinations": combinations,
            "combinationConfigurations": [],
        });
        (id, value)
    };
    let resistant = [
        "windowsHelloForBusiness",
        "fido2",
        "x509CertificateMultiFactor",
    ];
    let passwordless = [&resistant[..], &["deviceBasedPush"]].concat();
    let multifactor = [
        &passwordless[..],
        &[
            "temporaryAccessPassOneTime",
            "password,microsoftAuthenticatorPush",
            "password,sms",
        ],
    ]
    .concat();
    BTreeMap::from([
        strength(
            2,
            "Multifactor authentication",
            "Any two factors",
            &multifactor,
        ),
        strength(
            3,
            "Passwordless MFA",
            "Two factors without a password",
            &passwordless,
        ),
        strength(
            4,
            "Phishing-resistant MFA",
            "Factors that cannot be phished",
            &resistant,
        ),
    ])
}

/// Adds what the service puts into every policy that it returns: the full strength and annotations.
pub(crate) fn annotate_policy(state: &State, base: &str, id: Uuid, policy: &mut Value) {
    let path = format!("{base}/v1.0/$metadata#identity/conditionalAccess/policies('{id}')");
    if let Some(Value::Object(controls)) = policy.get_mut("grantControls") {
        controls.insert(
            "authenticationStrength@odata.context".into(),
            format!("{path}/grantControls/authenticationStrength/$entity").into(),
        );
        let strength = controls
            .get("authenticationStrength")
            .and_then(|strength| strength["id"].as_str())
            .and_then(|id| state.strengths.get(id))
            .cloned();
        if let Some(mut strength) = strength {
            strength["combinationConfigurations@odata.context"] =
                format!("{path}/grantControls/authenticationStrength/combinationConfigurations")
                    .into();
            controls.insert("authenticationStrength".into(), strength);
        }
    }
    let users = policy
        .get_mut("conditions")
        .and_then(|conditions| conditions.get_mut("users"));
    let Some(Value::Object(users)) = users else {
        return;
    };
    for list in [
        "includeGuestsOrExternalUsers",
        "excludeGuestsOrExternalUsers",
    ] {
        if let Some(Value::Object(guests)) = users.get_mut(list) {
            guests.insert(
                "externalTenants@odata.context".into(),
                format!("{path}/conditions/users/{list}/externalTenants/$entity").into(),
            );
        }
    }
}
