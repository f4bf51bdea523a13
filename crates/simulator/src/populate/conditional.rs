//! Named locations and Conditional Access policies as a careful company has them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Company, teams};
use crate::catalog::Kind;
use crate::write::policies::complete;

const ADMIN_ROLES: &[&str] = &[
    "62e90394-69f5-4237-9190-012177145e10",
    "194ae4cb-b126-40b2-bd5b-6091b380977d",
    "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",
    "e8611ab8-c189-46e8-94e1-60213ab1f814",
];
const AZURE_MANAGEMENT: &str = "797f4846-ba00-4fd7-ba43-dac1f8f63013";

pub(super) fn protect(company: &mut Company<'_>) {
    let office = ip_location(
        company,
        "Head office Bergen",
        &["198.51.100.0/24", "2001:db8:40::/48"],
        true,
    );
    let branches = ip_location(
        company,
        "Branch offices",
        &["203.0.113.0/26", "203.0.113.64/27"],
        true,
    );
    ip_location(company, "VPN egress", &["192.0.2.10/32"], false);
    let work = country_location(
        company,
        "Countries where we work",
        &["NO", "SE", "NL", "GB"],
    );
    let blocked = country_location(company, "Countries we block", &["KP", "RU", "BY"]);
    let exclusion: Vec<String> = company
        .state
        .all(Kind::Group)
        .values()
        .filter(|group| group.display_name() == teams::EXCLUSION)
        .map(|group| group.id.to_string())
        .collect();
    let pilot: Vec<String> = company
        .cloud_groups
        .iter()
        .take(1)
        .map(ToString::to_string)
        .collect();
    let emergency: Vec<String> = company
        .break_glass
        .iter()
        .map(ToString::to_string)
        .collect();
    let everyone = json!({
        "includeUsers": ["All"], "excludeUsers": emergency, "excludeGroups": exclusion,
    });
    let admins = json!({
        "includeRoles": ADMIN_ROLES, "excludeUsers": emergency, "excludeGroups": exclusion,
    });
    let guests = json!({
        "includeGuestsOrExternalUsers": {
            "guestOrExternalUserTypes": "internalGuest,b2bCollaborationGuest,b2bCollaborationMember",
            "externalTenants": {
                "@odata.type": "#microsoft.graph.conditionalAccessAllExternalTenants",
                "membershipKind": "all",
            },
        },
        "excludeUsers": emergency,
    });
    let all_apps = json!({ "includeApplications": ["All"] });
    let office_apps = json!({ "includeApplications": ["Office365"] });
    let with = |users: &Value, applications: &Value, more: Value| {
        let mut conditions = json!({
            "clientAppTypes": ["all"], "users": users, "applications": applications,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            conditions[name] = value.clone();
        }
        conditions
    };
    let grant = |controls: &[&str]| json!({ "operator": "OR", "builtInControls": controls });
    let strength = |n: u8| {
        json!({
            "operator": "OR", "builtInControls": [],
            "authenticationStrength": { "id": format!("00000000-0000-0000-0000-00000000000{n}") },
        })
    };
    let none = Value::Null;
    let on = "enabled";
    add(
        company,
        "CA001 Require MFA for all users",
        on,
        with(&everyone, &all_apps, json!({})),
        grant(&["mfa"]),
        none.clone(),
    );
    add(
        company,
        "CA002 Phishing-resistant MFA for administrators",
        on,
        with(&admins, &all_apps, json!({})),
        strength(4),
        none.clone(),
    );
    add(
        company,
        "CA003 Block legacy authentication",
        on,
        with(
            &everyone,
            &all_apps,
            json!({ "clientAppTypes": ["exchangeActiveSync", "other"] }),
        ),
        grant(&["block"]),
        none.clone(),
    );
    add(
        company,
        "CA004 Block countries",
        on,
        with(
            &everyone,
            &all_apps,
            json!({ "locations": { "includeLocations": [blocked], "excludeLocations": [] } }),
        ),
        grant(&["block"]),
        none.clone(),
    );
    add(
        company,
        "CA005 Compliant device outside the offices",
        on,
        with(
            &everyone,
            &office_apps,
            json!({ "locations": { "includeLocations": ["All"], "excludeLocations": [office, branches] } }),
        ),
        grant(&["compliantDevice", "domainJoinedDevice"]),
        none.clone(),
    );
    add(
        company,
        "CA006 MFA for Azure management",
        on,
        with(
            &everyone,
            &json!({ "includeApplications": [AZURE_MANAGEMENT] }),
            json!({}),
        ),
        strength(2),
        none.clone(),
    );
    add(
        company,
        "CA007 Sign-in frequency for administrators",
        on,
        with(&admins, &all_apps, json!({})),
        none.clone(),
        json!({
            "signInFrequency": { "isEnabled": true, "value": 4, "type": "hours",
                "authenticationType": "primaryAndSecondaryAuthentication", "frequencyInterval": "timeBased" },
            "persistentBrowser": { "isEnabled": true, "mode": "never" },
        }),
    );
    add(
        company,
        "CA008 Guests need MFA",
        on,
        with(&guests, &all_apps, json!({})),
        grant(&["mfa"]),
        none.clone(),
    );
    add(
        company,
        "CA009 Password change at high user risk",
        on,
        with(&everyone, &all_apps, json!({ "userRiskLevels": ["high"] })),
        json!({ "operator": "AND", "builtInControls": ["mfa", "passwordChange"] }),
        none.clone(),
    );
    add(
        company,
        "CA010 MFA at risky sign-in",
        on,
        with(
            &everyone,
            &all_apps,
            json!({ "signInRiskLevels": ["high", "medium"] }),
        ),
        grant(&["mfa"]),
        json!({ "signInFrequency": { "isEnabled": true, "frequencyInterval": "everyTime",
            "authenticationType": "primaryAndSecondaryAuthentication", "value": null, "type": null } }),
    );
    add(
        company,
        "CA011 Secure registration of security information",
        on,
        with(
            &everyone,
            &json!({ "includeUserActions": ["urn:user:registersecurityinfo"] }),
            json!({ "locations": { "includeLocations": ["All"], "excludeLocations": ["AllTrusted"] } }),
        ),
        grant(&["mfa"]),
        none.clone(),
    );
    add(
        company,
        "CA012 Block device code flow",
        on,
        with(
            &everyone,
            &all_apps,
            json!({ "authenticationFlows": { "transferMethods": "deviceCodeFlow" } }),
        ),
        grant(&["block"]),
        none.clone(),
    );
    add(
        company,
        "CA013 App restrictions on unmanaged devices (pilot)",
        "enabledForReportingButNotEnforced",
        with(
            &json!({ "includeGroups": pilot, "excludeUsers": emergency }),
            &office_apps,
            json!({
                "clientAppTypes": ["browser"],
                "platforms": { "includePlatforms": ["windows", "macOS"], "excludePlatforms": [] },
                "locations": { "includeLocations": [work], "excludeLocations": [] },
                "devices": { "deviceFilter": { "mode": "exclude", "rule": "device.isCompliant -eq True" } },
            }),
        ),
        none,
        json!({ "applicationEnforcedRestrictions": { "isEnabled": true } }),
    );
}

fn add(
    company: &mut Company<'_>,
    name: &str,
    state: &str,
    conditions: Value,
    grant: Value,
    session: Value,
) {
    let created = company.past_date();
    let mut policy = json!({
        "displayName": name,
        "state": state,
        "createdDateTime": created,
        "conditions": conditions,
        "grantControls": grant,
        "sessionControls": session,
    });
    if let Value::Object(map) = &mut policy {
        complete(map);
    }
    company.add(Kind::Policy, policy);
}

fn ip_location(company: &mut Company<'_>, name: &str, ranges: &[&str], trusted: bool) -> Uuid {
    let created = company.past_date();
    let ranges: Value = ranges
        .iter()
        .map(|cidr| {
            let form = if cidr.contains(':') {
                "iPv6CidrRange"
            } else {
                "iPv4CidrRange"
            };
            json!({ "@odata.type": format!("#microsoft.graph.{form}"), "cidrAddress": cidr })
        })
        .collect();
    company.add(
        Kind::Location,
        json!({
            "@odata.type": "#microsoft.graph.ipNamedLocation",
            "displayName": name,
            "createdDateTime": created,
            "modifiedDateTime": created,
            "isTrusted": trusted,
            "ipRanges": ranges,
        }),
    )
}

fn country_location(company: &mut Company<'_>, name: &str, countries: &[&str]) -> Uuid {
    let created = company.past_date();
    company.add(
        Kind::Location,
        json!({
            "@odata.type": "#microsoft.graph.countryNamedLocation",
            "displayName": name,
            "createdDateTime": created,
            "modifiedDateTime": created,
            "countriesAndRegions": countries,
            "includeUnknownCountriesAndRegions": false,
            "countryLookupMethod": "clientIpAddress",
        }),
    )
}
