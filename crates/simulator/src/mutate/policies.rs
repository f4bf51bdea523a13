//! Every part of policies and settings that callers may write.

use serde_json::{Value, json};

use super::{Move, Mutator, path};
use crate::catalog::Kind;

pub(super) const MOVES: &[(usize, Move)] = &[
    (8, change_conditions),
    (4, change_controls),
    (3, change_session),
    (2, change_country_lookup),
    (3, change_authorization),
    (2, change_methods),
    (2, change_method),
    (3, change_organization),
    (1, describe_strength),
    (2, change_combination_configuration),
    (3, change_credential),
];

fn change_conditions(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Policy)?;
    let conditions = match m.ids.below(9) {
        0 => json!({ "clientAppTypes": ["browser", "mobileAppsAndDesktopClients"] }),
        1 => json!({ "platforms": { "includePlatforms": ["all"], "excludePlatforms": ["iOS"] } }),
        2 => json!({ "platforms": null, "locations": null }),
        3 => {
            let place = m.any(Kind::Location)?;
            json!({ "locations": { "includeLocations": ["All"], "excludeLocations": [place] } })
        }
        4 => json!({ "signInRiskLevels": ["high"], "userRiskLevels": [] }),
        5 => {
            let (principal, excluded) = (m.any(Kind::ServicePrincipal)?, m.any(Kind::Group)?);
            let app_id = m.value(Kind::ServicePrincipal, principal, "appId");
            json!({
                "applications": { "includeApplications": [app_id] },
                "users": { "excludeGroups": [excluded] },
            })
        }
        6 => {
            let user = m.any(Kind::User)?;
            json!({ "users": { "includeUsers": [user], "includeGroups": [] } })
        }
        7 => json!({ "devices": { "deviceFilter": {
            "mode": "exclude", "rule": format!("device.displayName -eq \"{}\"", m.word()),
        } } }),
        _ => json!({ "users": { "excludeGuestsOrExternalUsers": {
            "guestOrExternalUserTypes": "b2bCollaborationGuest,internalGuest",
            "externalTenants": {
                "@odata.type": "#microsoft.graph.conditionalAccessAllExternalTenants",
                "membershipKind": "all",
            },
        } } }),
    };
    m.write(
        "PATCH",
        &path(Kind::Policy, id),
        Some(&json!({ "conditions": conditions })),
    )
}

fn change_controls(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Policy)?;
    let controls = match m.ids.below(3) {
        0 => json!({ "operator": "OR", "builtInControls": ["compliantDevice", "mfa"] }),
        1 => json!({ "operator": "OR", "builtInControls": ["block"] }),
        _ => {
            let strengths: Vec<String> = m.read(|state| state.strengths.keys().cloned().collect());
            let strength = m.ids.pick(&strengths).clone();
            json!({ "operator": "OR", "builtInControls": [], "authenticationStrength": { "id": strength } })
        }
    };
    m.write(
        "PATCH",
        &path(Kind::Policy, id),
        Some(&json!({ "grantControls": controls })),
    )
}

fn change_session(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Policy)?;
    let controls = match m.ids.below(3) {
        0 => Value::Null,
        1 => json!({ "persistentBrowser": { "isEnabled": true, "mode": "never" } }),
        _ => json!({ "signInFrequency": {
            "isEnabled": true, "value": 1 + m.ids.below(20), "type": "hours",
            "frequencyInterval": "timeBased",
        } }),
    };
    m.write(
        "PATCH",
        &path(Kind::Policy, id),
        Some(&json!({ "sessionControls": controls })),
    )
}

fn change_country_lookup(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Location)?;
    let odata_type = m.value(Kind::Location, id, "@odata.type");
    let how = *m.ids.pick(&["clientIpAddress", "authenticatorAppGps"]);
    let body = json!({ "@odata.type": odata_type, "countryLookupMethod": how });
    m.write("PATCH", &path(Kind::Location, id), Some(&body))
}

fn change_authorization(m: &mut Mutator<'_>) -> Option<String> {
    let flag = m.ids.chance(500);
    let body = match m.ids.below(5) {
        0 => json!({ "allowEmailVerifiedUsersToJoinOrganization": flag }),
        1 => json!({ "allowUserConsentForRiskyApps": flag }),
        2 => json!({ "allowedToSignUpEmailBasedSubscriptions": flag }),
        3 => {
            let roles = [
                "a0b1b346-4d3e-4e8b-98f8-753987be4970",
                "10dae51f-b6af-4016-8d66-8c2a99b929b3",
            ];
            json!({ "guestUserRoleId": m.ids.pick(&roles) })
        }
        _ => json!({ "defaultUserRolePermissions": {
            "allowedToReadOtherUsers": flag,
            "permissionGrantPoliciesAssigned": if flag { json!(["ManagePermissionGrantsForSelf.x"]) } else { json!([]) },
        } }),
    };
    m.write("PATCH", "/policies/authorizationPolicy", Some(&body))
}

const METHODS: &str = "/policies/authenticationMethodsPolicy";

fn change_methods(m: &mut Mutator<'_>) -> Option<String> {
    let body = if m.ids.chance(500) {
        let states = ["preMigration", "migrationInProgress", "migrationComplete"];
        json!({ "policyMigrationState": m.ids.pick(&states) })
    } else {
        json!({ "registrationEnforcement": { "authenticationMethodsRegistrationCampaign": {
            "snoozeDurationInDays": m.ids.below(14),
            "state": m.ids.pick(&["enabled", "disabled"]),
        } } })
    };
    m.write("PATCH", METHODS, Some(&body))
}

/// What only one type of configuration has.
fn change_method(m: &mut Mutator<'_>) -> Option<String> {
    let (id, name, body) = match m.ids.below(3) {
        0 => (
            "Fido2",
            "fido2",
            json!({ "keyRestrictions": { "isEnforced": true, "aaGuids": [m.ids.guid()] } }),
        ),
        1 => (
            "TemporaryAccessPass",
            "temporaryAccessPass",
            json!({ "defaultLength": 8 + m.ids.below(20) }),
        ),
        _ => (
            "Voice",
            "voice",
            json!({ "isOfficePhoneAllowed": m.ids.chance(500) }),
        ),
    };
    let mut body = body;
    body["@odata.type"] =
        format!("#microsoft.graph.{name}AuthenticationMethodConfiguration").into();
    let path = format!("{METHODS}/authenticationMethodConfigurations/{id}");
    m.write("PATCH", &path, Some(&body))
}

fn change_organization(m: &mut Mutator<'_>) -> Option<String> {
    let path = format!("/organization/{}", m.tenant.spec.id);
    let word = m.word();
    let mail = format!("{word}@{}", m.tenant.domain);
    let body = match m.ids.below(4) {
        0 => json!({ "marketingNotificationEmails": [mail] }),
        1 => json!({ "privacyProfile": {
            "contactEmail": mail, "statementUrl": format!("https://{word}.example"),
        } }),
        2 => json!({ "securityComplianceNotificationMails": [mail] }),
        _ => json!({ "securityComplianceNotificationPhones": [format!("+47 {word}")] }),
    };
    m.write("PATCH", &path, Some(&body))
}

const STRENGTHS: &str = "/policies/authenticationStrengthPolicies";

fn custom_strengths(m: &Mutator<'_>) -> Vec<(String, Value)> {
    m.read(|state| {
        let custom = state.strengths.iter();
        let custom = custom.filter(|(_, held)| held["policyType"] == "custom");
        custom
            .map(|(id, held)| (id.clone(), held.clone()))
            .collect()
    })
}

fn describe_strength(m: &mut Mutator<'_>) -> Option<String> {
    let custom = custom_strengths(m);
    let (id, _) = custom.get(m.ids.below(custom.len()))?;
    let body = json!({ "description": m.word() });
    m.write("PATCH", &format!("{STRENGTHS}/{id}"), Some(&body))
}

/// Changes a configuration of a combination, or adds one where a strength has none.
fn change_combination_configuration(m: &mut Mutator<'_>) -> Option<String> {
    let custom = custom_strengths(m);
    let (id, held) = custom.get(m.ids.below(custom.len()))?;
    let configurations = held["combinationConfigurations"].as_array();
    let keys = json!([m.ids.guid()]);
    match configurations.and_then(|held| held.first()) {
        Some(one) => {
            let own = one["id"].as_str()?;
            let body = json!({ "@odata.type": one["@odata.type"], "allowedAAGUIDs": keys });
            let path = format!("{STRENGTHS}/{id}/combinationConfigurations/{own}");
            m.write("PATCH", &path, Some(&body))
        }
        None => {
            let body = json!({
                "@odata.type": "#microsoft.graph.fido2CombinationConfiguration",
                "appliesToCombinations": ["fido2"],
                "allowedAAGUIDs": keys,
            });
            let path = format!("{STRENGTHS}/{id}/combinationConfigurations");
            m.write("POST", &path, Some(&body))
        }
    }
}

fn change_credential(m: &mut Mutator<'_>) -> Option<String> {
    let near = m.ids.guid();
    let (application, held) = m.read(|state| {
        let (application, held) = state.federated.near(near)?;
        Some((*application, held.keys().copied().collect::<Vec<_>>()))
    })?;
    let id = *m.ids.pick(&held);
    let word = m.word();
    let body = if m.ids.chance(500) {
        json!({ "issuer": format!("https://{word}.example") })
    } else {
        json!({ "audiences": [format!("api://{word}")] })
    };
    let path = format!("/applications/{application}/federatedIdentityCredentials/{id}");
    m.write("PATCH", &path, Some(&body))
}
