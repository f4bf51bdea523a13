//! Any property of a directory object that callers may write, by the catalogue's forms.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Move, Mutator, path};
use crate::catalog::{Access, Form, Kind, Prop, Shown};

pub(super) const MOVES: &[(usize, Move)] = &[
    (50, change_property),
    (6, change_roles),
    (6, change_scopes),
    (3, add_key),
    (2, add_password),
    (3, make_dynamic),
];

/// Properties that this module leaves alone: those with a change of their own below, those of
/// the mail system, and those that only one type of caller may write.
const APART: &[&str] = &[
    "accessType",
    "allowExternalSenders",
    "api",
    "appRoles",
    "assignedLabels",
    "autoSubscribeNewMembers",
    "customSecurityAttributes",
    "employeeLeaveDateTime",
    "groupTypes",
    "hideFromAddressLists",
    "hideFromOutlookClients",
    "isSubscribedByMail",
    "keyCredentials",
    "oauth2PermissionScopes",
    "oauth2RequirePostResponse",
    "showInAddressList",
    "uniqueName",
];

/// Sets some property of some object to something else.
fn change_property(m: &mut Mutator<'_>) -> Option<String> {
    let kind = *m.ids.pick(&[
        Kind::User,
        Kind::User,
        Kind::Group,
        Kind::Application,
        Kind::Application,
        Kind::ServicePrincipal,
        Kind::ServicePrincipal,
        Kind::AdministrativeUnit,
    ]);
    let id = m.any(kind)?;
    let writable: Vec<&Prop> = kind
        .shape()
        .props
        .iter()
        .filter(|prop| prop.access == Access::Both && prop.shown != Shown::SingleSelected)
        .filter(|prop| !APART.contains(&prop.name))
        .collect();
    let prop = *m.ids.pick(&writable);
    let value = match prop.form {
        Form::Flag => m.ids.chance(500).into(),
        Form::Number => m.ids.below(100).into(),
        Form::Date => format!("203{}-01-02T00:00:00Z", m.ids.below(10)).into(),
        Form::Text => text(m, kind, prop.name),
        Form::Texts => texts(m, prop.name),
        Form::Object => object(m, prop.name)?,
        Form::Objects => objects(m, kind, id, prop.name)?,
    };
    m.write("PATCH", &path(kind, id), Some(&json!({ prop.name: value })))
}

fn text(m: &mut Mutator<'_>, kind: Kind, name: &str) -> Value {
    let word = m.word();
    let choices: &[&str] = match (kind, name) {
        (_, "usageLocation") => &["NO", "SE", "DK", "FI"],
        (_, "ageGroup") => &["Minor", "NotAdult", "Adult"],
        (_, "consentProvidedForMinor") => &["Granted", "Denied", "NotRequired"],
        (_, "passwordPolicies") => &["DisablePasswordExpiration", "None"],
        (_, "userType") => &["Member", "Guest"],
        (_, "signInAudience") => &[
            "AzureADMyOrg",
            "AzureADMultipleOrgs",
            "AzureADandPersonalMicrosoftAccount",
        ],
        (Kind::Group, "visibility") => &["Public", "Private"],
        (_, "visibility") => &["Public", "HiddenMembership"],
        (_, "membershipRuleProcessingState") => &["On", "Paused"],
        (_, "membershipType") => &["Assigned", "Dynamic"],
        (_, "groupMembershipClaims") => &["None", "SecurityGroup", "All"],
        _ => &[],
    };
    if !choices.is_empty() {
        return (*m.ids.pick(choices)).into();
    }
    match name {
        "userPrincipalName" | "mail" => format!("{word}@{}", m.tenant.domain).into(),
        "membershipRule" => format!("user.department -eq \"{word}\"").into(),
        "tokenEncryptionKeyId" => m.ids.guid().to_string().into(),
        "displayName" | "mailNickname" => word.into(),
        _ if m.ids.chance(250) => Value::Null,
        _ => word.into(),
    }
}

fn texts(m: &mut Mutator<'_>, name: &str) -> Value {
    let word = m.word();
    match name {
        "businessPhones" => json!([format!("+47 {word}")]),
        "identifierUris" | "servicePrincipalNames" => json!([format!("api://{word}")]),
        "replyUrls" => json!([format!("https://{word}.example/cb")]),
        "otherMails" | "notificationEmailAddresses" => {
            json!([
                format!("{word}@private.example"),
                format!("{word}@work.example")
            ])
        }
        _ if m.ids.chance(250) => json!([]),
        _ => json!([word, "kept"]),
    }
}

fn object(m: &mut Mutator<'_>, name: &str) -> Option<Value> {
    let word = m.word();
    let address = format!("https://{word}.example");
    let flag = m.ids.chance(500);
    Some(match name {
        "employeeOrgData" => {
            json!({ "division": word, "costCenter": if flag { json!("1") } else { Value::Null } })
        }
        "onPremisesExtensionAttributes" => json!({ "extensionAttribute1": word }),
        "authenticationBehaviors" => json!({ "requireClientServicePrincipal": flag }),
        "info" => json!({ "marketingUrl": address, "supportUrl": null }),
        "optionalClaims" => json!({
            "accessToken": [{ "name": "groups", "source": null, "essential": flag, "additionalProperties": [] }],
            "idToken": [],
            "saml2Token": [],
        }),
        "parentalControlSettings" => json!({
            "countriesBlockedForMinors": if flag { json!(["DE"]) } else { json!([]) },
            "legalAgeGroupRule": "RequireConsentForKids",
        }),
        "publicClient" | "spa" => json!({ "redirectUris": [address] }),
        "web" if flag => json!({ "homePageUrl": address, "logoutUrl": null }),
        "web" => json!({
            "redirectUris": [address],
            "implicitGrantSettings": { "enableIdTokenIssuance": true },
        }),
        "requestSignatureVerification" => {
            json!({ "isSignedRequestRequired": flag, "allowedWeakAlgorithms": null })
        }
        "servicePrincipalLockConfiguration" => json!({ "isEnabled": true, "allProperties": flag }),
        "samlSingleSignOnSettings" => json!({ "relayState": address }),
        _ => return None,
    })
}

fn objects(m: &mut Mutator<'_>, kind: Kind, id: Uuid, name: &str) -> Option<Value> {
    let word = m.word();
    Some(match name {
        "addIns" => {
            json!([{ "id": m.ids.guid(), "type": word, "properties": [{ "key": "url", "value": word }] }])
        }
        "requiredResourceAccess" => json!([{
            "resourceAppId": m.ids.guid(),
            "resourceAccess": [{ "id": m.ids.guid(), "type": "Scope" }],
        }]),
        "identities" => {
            let mut held = m.value(kind, id, name);
            held.as_array_mut()?.push(json!({
                "signInType": "emailAddress",
                "issuer": m.tenant.domain,
                "issuerAssignedId": format!("{word}@private.example"),
            }));
            held
        }
        _ => return None,
    })
}

/// Adds, changes, switches off or takes away an entry of a list that cannot change while it is
/// switched on; `None` where there is nothing of the sort.
fn entitled(m: &mut Mutator<'_>, held: &Value, fresh: Value) -> Option<Vec<Value>> {
    let mut entries = held.as_array().cloned().unwrap_or_default();
    if entries.is_empty() || m.ids.chance(350) {
        entries.push(fresh);
        return Some(vec![entries.into()]);
    }
    let at = m.ids.below(entries.len());
    entries[at]["isEnabled"] = false.into();
    let off = Value::Array(entries.clone());
    match m.ids.below(3) {
        0 => return Some(vec![off]),
        1 => entries[at]["value"] = m.word().into(),
        _ => drop(entries.remove(at)),
    }
    Some(vec![off, entries.into()])
}

fn change_roles(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Application)?;
    let held = m.value(Kind::Application, id, "appRoles");
    let word = m.word();
    let fresh = json!({
        "id": m.ids.guid(),
        "value": word,
        "displayName": format!("Role {word}"),
        "description": format!("about {word}"),
        "allowedMemberTypes": ["User"],
        "isEnabled": true,
    });
    let states = entitled(m, &held, fresh)?;
    let mut states = states.iter().map(|roles| json!({ "appRoles": roles }));
    let first = m.write("PATCH", &path(Kind::Application, id), Some(&states.next()?))?;
    match states.next() {
        None => Some(first),
        Some(body) => m.write("PATCH", &path(Kind::Application, id), Some(&body)),
    }
}

fn change_scopes(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Application)?;
    let held = m.value(Kind::Application, id, "api");
    let word = m.word();
    let path = path(Kind::Application, id);
    if m.ids.chance(300) {
        let body = json!({ "api": {
            "requestedAccessTokenVersion": 1 + m.ids.below(2),
            "acceptMappedClaims": m.ids.chance(500),
        }});
        return m.write("PATCH", &path, Some(&body));
    }
    let fresh = json!({
        "id": m.ids.guid(),
        "value": word,
        "type": "User",
        "adminConsentDisplayName": format!("Scope {word}"),
        "adminConsentDescription": format!("about {word}"),
        "userConsentDisplayName": null,
        "userConsentDescription": null,
        "isEnabled": true,
    });
    let states = entitled(m, &held["oauth2PermissionScopes"], fresh)?;
    let body = |scopes: &Value| json!({ "api": { "oauth2PermissionScopes": scopes } });
    let mut states = states.iter().map(body);
    let first = m.write("PATCH", &path, Some(&states.next()?))?;
    match states.next() {
        None => Some(first),
        Some(body) => m.write("PATCH", &path, Some(&body)),
    }
}

/// Adds a key of the intruder's to an application or a service principal.
fn add_key(m: &mut Mutator<'_>) -> Option<String> {
    let kind = *m.ids.pick(&[Kind::Application, Kind::ServicePrincipal]);
    let id = m.any(kind)?;
    let mut held = m.value(kind, id, "keyCredentials");
    let word = m.word();
    let mine = json!({
        "customKeyIdentifier": null,
        "displayName": format!("CN={word}"),
        "endDateTime": "2031-01-02T00:00:00Z",
        "key": "AAAA",
        "keyId": m.ids.guid(),
        "startDateTime": "2026-01-02T00:00:00Z",
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    });
    held.as_array_mut()?.push(mine);
    m.write(
        "PATCH",
        &path(kind, id),
        Some(&json!({ "keyCredentials": held })),
    )
}

fn add_password(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::ServicePrincipal)?;
    let body = json!({ "passwordCredential": { "displayName": m.word() } });
    let path = format!("{}/addPassword", path(Kind::ServicePrincipal, id));
    m.write("POST", &path, Some(&body))
}

/// Lets a rule decide over the members of a group, or ends that.
fn make_dynamic(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Group)?;
    let held = m.value(Kind::Group, id, "groupTypes");
    let mut types = held.as_array().cloned().unwrap_or_default();
    let dynamic = json!("DynamicMembership");
    let body = if types.contains(&dynamic) {
        types.retain(|name| *name != dynamic);
        json!({ "groupTypes": types })
    } else {
        types.push(dynamic);
        json!({
            "groupTypes": types,
            "membershipRule": format!("user.city -eq \"{}\"", m.word()),
            "membershipRuleProcessingState": "On",
        })
    };
    m.write("PATCH", &path(Kind::Group, id), Some(&body))
}
