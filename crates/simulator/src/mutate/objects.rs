//! Users, groups, applications, service principals and administrative units themselves.

use serde_json::{Value, json};

use super::{Move, Mutator, path};
use crate::catalog::Kind;

pub(super) const MOVES: &[(usize, Move)] = &[
    (30, update_user),
    (3, create_user),
    (3, |m| delete(m, Kind::User)),
    (2, |m| restore(m, Kind::User)),
    (1, |m| purge(m, Kind::User)),
    (6, update_group),
    (2, create_group),
    (2, |m| delete(m, Kind::Group)),
    (1, |m| restore(m, Kind::Group)),
    (1, |m| purge(m, Kind::Group)),
    (6, update_application),
    (2, create_application),
    (1, |m| delete(m, Kind::Application)),
    (1, |m| restore(m, Kind::Application)),
    (1, |m| purge(m, Kind::Application)),
    (2, change_password),
    (5, update_principal),
    (2, create_principal),
    (1, |m| delete(m, Kind::ServicePrincipal)),
    (1, |m| restore(m, Kind::ServicePrincipal)),
    (1, |m| purge(m, Kind::ServicePrincipal)),
];

/// The same of what a tenant has little of at any size.
pub(super) const RARE: &[(usize, Move)] = &[
    (3, update_unit),
    (1, create_unit),
    (1, |m| delete(m, Kind::AdministrativeUnit)),
    (1, |m| restore(m, Kind::AdministrativeUnit)),
];

/// Deletes some object of a kind.
pub(super) fn delete(m: &mut Mutator<'_>, kind: Kind) -> Option<String> {
    let id = m.any(kind)?;
    m.write("DELETE", &path(kind, id), None)
}

/// Where the deleted items of a kind are.
fn bin(kind: Kind) -> &'static str {
    match kind {
        Kind::Policy => "/identity/conditionalAccess/deletedItems/policies",
        Kind::Location => "/identity/conditionalAccess/deletedItems/namedLocations",
        _ => "/directory/deletedItems",
    }
}

/// Restores some deleted object of a kind.
pub(super) fn restore(m: &mut Mutator<'_>, kind: Kind) -> Option<String> {
    let id = m.deleted(kind)?;
    m.write("POST", &format!("{}/{id}/restore", bin(kind)), None)
}

/// Purges some deleted object of a kind.
pub(super) fn purge(m: &mut Mutator<'_>, kind: Kind) -> Option<String> {
    let id = m.deleted(kind)?;
    m.write("DELETE", &format!("{}/{id}", bin(kind)), None)
}

fn update(m: &mut Mutator<'_>, kind: Kind, body: &Value) -> Option<String> {
    let id = m.any(kind)?;
    m.write("PATCH", &path(kind, id), Some(body))
}

fn update_user(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let body = match m.ids.below(10) {
        0 => json!({ "accountEnabled": m.ids.chance(500) }),
        1 => json!({ "department": word, "jobTitle": format!("Title {word}") }),
        2 => json!({ "mobilePhone": format!("+47 {word}") }),
        3 => json!({ "displayName": format!("Person {word}") }),
        4 => json!({ "otherMails": [format!("{word}@private.example")] }),
        5 => json!({ "officeLocation": null, "city": word }),
        6 => json!({ "employeeOrgData": { "costCenter": word, "division": null } }),
        7 => json!({ "onPremisesExtensionAttributes": { "extensionAttribute3": word } }),
        8 => json!({ "businessPhones": [], "companyName": word }),
        _ => json!({ "jobTitle": format!("Title {word}") }),
    };
    update(m, Kind::User, &body)
}

fn create_user(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let body = json!({
        "accountEnabled": true,
        "displayName": format!("Person {word}"),
        "mailNickname": format!("p{word}"),
        "userPrincipalName": format!("p{word}@{}", m.tenant.domain),
        "passwordProfile": { "password": "x" },
        "department": word,
    });
    m.create("/users", &body)
}

fn update_group(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let body = match m.ids.below(3) {
        0 => json!({ "displayName": format!("Group {word}") }),
        1 => json!({ "description": format!("about {word}") }),
        _ => json!({ "description": null }),
    };
    update(m, Kind::Group, &body)
}

fn create_group(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let unified = m.ids.chance(200);
    let body = json!({
        "displayName": format!("Group {word}"),
        "mailNickname": format!("g{word}"),
        "mailEnabled": unified,
        "securityEnabled": !unified,
        "groupTypes": if unified { json!(["Unified"]) } else { json!([]) },
        "isAssignableToRole": if m.ids.chance(200) && !unified { json!(true) } else { Value::Null },
    });
    m.create("/groups", &body)
}

fn update_application(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let body = match m.ids.below(5) {
        0 => json!({ "displayName": format!("App {word}") }),
        1 => json!({ "notes": word }),
        2 => json!({ "tags": [word] }),
        3 => json!({ "web": { "redirectUris": [format!("https://{word}.example/cb")] } }),
        _ => json!({ "description": null }),
    };
    update(m, Kind::Application, &body)
}

fn create_application(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let body = json!({ "displayName": format!("App {word}"), "tags": ["new", word] });
    m.create("/applications", &body)
}

fn change_password(m: &mut Mutator<'_>) -> Option<String> {
    let id = m.any(Kind::Application)?;
    let held = m.value(Kind::Application, id, "passwordCredentials");
    let path = path(Kind::Application, id);
    let oldest = held[0]["keyId"].as_str();
    match oldest.filter(|_| m.ids.chance(500)) {
        Some(key) => {
            let body = json!({ "keyId": key });
            m.write("POST", &format!("{path}/removePassword"), Some(&body))
        }
        None => {
            let word = m.word();
            let body = json!({ "passwordCredential": { "displayName": word } });
            m.write("POST", &format!("{path}/addPassword"), Some(&body))
        }
    }
}

fn update_principal(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let body = match m.ids.below(4) {
        0 => json!({ "accountEnabled": m.ids.chance(700) }),
        1 => json!({ "notes": word }),
        2 => json!({ "tags": ["HideApp", word] }),
        _ => json!({ "appRoleAssignmentRequired": m.ids.chance(500) }),
    };
    update(m, Kind::ServicePrincipal, &body)
}

/// Gives some application a service principal, where it has none.
fn create_principal(m: &mut Mutator<'_>) -> Option<String> {
    let application = m.any(Kind::Application)?;
    let app_id = m.value(Kind::Application, application, "appId");
    m.create("/servicePrincipals", &json!({ "appId": app_id }))
}

fn update_unit(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let body = match m.ids.below(2) {
        0 => json!({ "displayName": format!("AU {word}") }),
        _ => json!({ "description": word }),
    };
    update(m, Kind::AdministrativeUnit, &body)
}

fn create_unit(m: &mut Mutator<'_>) -> Option<String> {
    let word = m.word();
    let body = json!({ "displayName": format!("AU {word}"), "description": null });
    m.create("/directory/administrativeUnits", &body)
}
