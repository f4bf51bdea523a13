//! Conditional Access: policies, locations, contexts and strengths.

use serde_json::{Value, json};

use super::objects::{delete, purge, restore};
use super::{Move, Mutator, path};
use crate::catalog::Kind;

pub(super) const MOVES: &[(usize, Move)] = &[
    (5, update_policy),
    (2, create_policy),
    (1, |m| delete(m, Kind::Policy)),
    (1, |m| restore(m, Kind::Policy)),
    (1, |m| purge(m, Kind::Policy)),
    (3, update_location),
    (1, create_location),
    (1, |m| delete(m, Kind::Location)),
    (1, |m| restore(m, Kind::Location)),
    (1, |m| purge(m, Kind::Location)),
    (2, put_context),
    (1, delete_context),
    (1, create_strength),
    (1, rename_strength),
    (2, allow_combinations),
    (1, delete_strength),
];

fn update_policy(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Policy)?;
    let body = match m.ids.below(4) {
        0 => {
            let states = ["enabled", "disabled", "enabledForReportingButNotEnforced"];
            json!({ "state": m.ids.pick(&states) })
        }
        1 => json!({ "displayName": format!("CA {}", m.word()) }),
        2 => {
            let user = m.any(Kind::User)?;
            json!({ "conditions": { "users": { "excludeUsers": [user] } } })
        }
        _ => {
            let group = m.any(Kind::Group)?;
            json!({ "conditions": { "users": { "excludeGroups": [group] } } })
        }
    };
    m.write("PATCH", &path(Kind::Policy, id), Some(&body))
}

fn create_policy(m: &mut Mutator<'_>) -> Option<String> {
    let excluded = m.any(Kind::User)?;
    let strengths: Vec<String> = m.read(|state| state.strengths.keys().cloned().collect());
    let grant = if m.ids.chance(400) {
        let strength = m.ids.pick(&strengths).clone();
        json!({ "operator": "OR", "builtInControls": [], "authenticationStrength": { "id": strength } })
    } else {
        json!({ "operator": "OR", "builtInControls": ["mfa"] })
    };
    let body = json!({
        "displayName": format!("CA {}", m.word()),
        "state": "enabledForReportingButNotEnforced",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": { "includeApplications": ["All"] },
            "users": { "includeUsers": ["All"], "excludeUsers": [excluded] },
        },
        "grantControls": grant,
    });
    m.create("/identity/conditionalAccess/policies", &body)
}

fn range(m: &mut Mutator<'_>) -> Value {
    let (a, b) = (m.ids.below(256), m.ids.below(256));
    json!([{
        "@odata.type": "#microsoft.graph.iPv4CidrRange",
        "cidrAddress": format!("198.{}.{a}.{b}/32", 18 + m.ids.below(2)),
    }])
}

fn update_location(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Location)?;
    let odata_type = m.value(Kind::Location, id, "@odata.type");
    let mut body = json!({ "@odata.type": odata_type });
    let is_ip = odata_type == "#microsoft.graph.ipNamedLocation";
    match m.ids.below(3) {
        0 => body["displayName"] = format!("Place {}", m.word()).into(),
        1 if is_ip => body["isTrusted"] = m.ids.chance(500).into(),
        1 => body["includeUnknownCountriesAndRegions"] = m.ids.chance(500).into(),
        _ if is_ip => body["ipRanges"] = range(m),
        _ => {
            let country = *m.ids.pick(&["NO", "SE", "DK", "FI", "IS"]);
            body["countriesAndRegions"] = json!([country, "GB"]);
        }
    }
    m.write("PATCH", &path(Kind::Location, id), Some(&body))
}

fn create_location(m: &mut Mutator<'_>) -> Option<String> {
    let body = json!({
        "@odata.type": "#microsoft.graph.ipNamedLocation",
        "displayName": format!("Place {}", m.word()),
        "isTrusted": false,
        "ipRanges": range(m),
    });
    m.create("/identity/conditionalAccess/namedLocations", &body)
}

const CONTEXTS: &str = "/identity/conditionalAccess/authenticationContextClassReferences";

fn put_context(m: &mut Mutator<'_>) -> Option<String> {
    let path = format!("{CONTEXTS}/c{}", 1 + m.ids.below(12));
    let body = json!({
        "displayName": format!("Context {}", m.word()),
        "description": "made by chance",
        "isAvailable": m.ids.chance(500),
    });
    m.write("PATCH", &path, Some(&body))
}

fn delete_context(m: &mut Mutator<'_>) -> Option<String> {
    let idle: Vec<u8> = m.read(|state| {
        let contexts = state.settings.contexts.iter();
        let idle = contexts.filter(|(_, context)| context["isAvailable"] != true);
        idle.map(|(number, _)| *number).collect()
    });
    if idle.is_empty() {
        return None;
    }
    let number = *m.ids.pick(&idle);
    m.write("DELETE", &format!("{CONTEXTS}/c{number}"), None)
}

const STRENGTHS: &str = "/policies/authenticationStrengthPolicies";

fn combinations(m: &mut Mutator<'_>) -> Value {
    let sets = [
        json!(["fido2"]),
        json!(["windowsHelloForBusiness", "fido2"]),
        json!(["password,sms", "fido2"]),
        json!(["x509CertificateMultiFactor"]),
    ];
    m.ids.pick(&sets).clone()
}

fn custom_strength(m: &mut Mutator<'_>) -> Option<String> {
    let custom: Vec<String> = m.read(|state| {
        let strengths = state.strengths.iter();
        let custom = strengths.filter(|(_, held)| held["policyType"] == "custom");
        custom.map(|(id, _)| id.clone()).collect()
    });
    if custom.is_empty() {
        return None;
    }
    Some(format!("{STRENGTHS}/{}", m.ids.pick(&custom)))
}

fn create_strength(m: &mut Mutator<'_>) -> Option<String> {
    let body = json!({
        "displayName": format!("Strength {}", m.word()),
        "description": "made by chance",
        "allowedCombinations": combinations(m),
    });
    m.create(STRENGTHS, &body)
}

fn rename_strength(m: &mut Mutator<'_>) -> Option<String> {
    let path = custom_strength(m)?;
    let body = json!({ "displayName": format!("Strength {}", m.word()) });
    m.write("PATCH", &path, Some(&body))
}

fn allow_combinations(m: &mut Mutator<'_>) -> Option<String> {
    let path = custom_strength(m)?;
    let body = json!({ "allowedCombinations": combinations(m) });
    m.write(
        "POST",
        &format!("{path}/updateAllowedCombinations"),
        Some(&body),
    )
}

fn delete_strength(m: &mut Mutator<'_>) -> Option<String> {
    let path = custom_strength(m)?;
    m.write("DELETE", &path, None)
}
