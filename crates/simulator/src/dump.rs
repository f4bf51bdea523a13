//! The complete state of a tenant as one comparable value, and the differences of two of them.
//!
//! What the service itself writes on every change is left out, so that "put back exactly" can be
//! tested as equality.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::catalog::Kind;
use crate::record::Object;
use crate::state::State;
use crate::state::grants::Grant;
use crate::write::{actions, roles};

/// Properties that the service writes on its own and that no restore can put back.
pub const SERVICE_WRITTEN: &[&str] = &[
    "modifiedDateTime",
    "lastModifiedDateTime",
    "deletedDateTime",
    "renewedDateTime",
    "signInSessionsValidFromDateTime",
    "lastPasswordChangeDateTime",
    "externalUserStateChangeDateTime",
    "onPremisesLastSyncDateTime",
];

/// Sections that hold one document per key.
const DOCUMENTS: [(&str, &str); 6] = [
    ("oAuth2PermissionGrants", "oAuth2PermissionGrant"),
    (
        "federatedIdentityCredentials",
        "federatedIdentityCredential",
    ),
    (
        "authenticationStrengthPolicies",
        "authenticationStrengthPolicy",
    ),
    (
        "authenticationContextClassReferences",
        "authenticationContextClassReference",
    ),
    ("policies", "policy"),
    ("organization", "organization"),
];
/// Sections that hold a sorted list of what is joined, in words.
const JOINED: [(&str, &str); 2] = [
    ("appRoleAssignments", "appRoleAssignment"),
    ("roleAssignments", "roleAssignment"),
];

/// Sections: `objects` and `deleted` (type → id → properties), `links` (`type/id/relation` →
/// ids), `oAuth2PermissionGrants` (id → grant), `appRoleAssignments` (`principal resource role`),
/// `roleAssignments` (`principal role scope`), `federatedIdentityCredentials` (`application/name`
/// → credential), `authenticationStrengthPolicies` and `authenticationContextClassReferences`
/// (id → document), `protectedActions` (action → context), `policies`
/// (`authenticationMethodsPolicy`, `authorizationPolicy`) and `organization` (id → document).
/// What is out of sight because one side of it is deleted is not part of the picture.
pub(crate) fn dump(state: &State) -> Value {
    let mut objects = Map::new();
    let mut deleted = Map::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Grant) {
        let live = state
            .all(kind)
            .values()
            .map(|object| (object.id.to_string(), plain(object)));
        objects.insert(kind.name().to_owned(), Value::Object(live.collect()));
        let bin = state
            .bin(kind)
            .values()
            .map(|deleted| (deleted.object.id.to_string(), plain(&deleted.object)));
        deleted.insert(kind.name().to_owned(), Value::Object(bin.collect()));
    }
    let mut links = Map::new();
    for ((relation, from), targets) in state.linked() {
        // Links of and to deleted objects are invisible, so they are not part of the picture.
        let Some(source) = state.find(*from) else {
            continue;
        };
        let live: Vec<String> = targets
            .iter()
            .filter(|id| state.find(**id).is_some())
            .map(ToString::to_string)
            .collect();
        if !live.is_empty() {
            links.insert(
                format!("{}/{from}/{}", source.kind.name(), relation.name()),
                json!(live),
            );
        }
    }
    let visible = |id| state.find(id).is_some();
    let assignments: BTreeSet<String> = state
        .grants
        .assignments()
        .filter(|held| visible(held.principal) && visible(held.resource))
        .map(|held| format!("{} {} {}", held.principal, held.resource, held.role))
        .collect();
    let roles: BTreeSet<String> = state
        .roles
        .all()
        .values()
        .filter(|held| roles::is_visible(state, held))
        .map(|held| format!("{} {} {}", held.principal, held.role, held.scope()))
        .collect();
    let settings = &state.settings;
    let contexts = settings
        .contexts
        .values()
        .map(|held| (text(held, "id"), bare(held)));
    let strengths = state
        .strengths
        .values()
        .map(|held| (text(held, "id"), bare(held)));
    json!({
        "objects": objects,
        "deleted": deleted,
        "links": links,
        "oAuth2PermissionGrants": grants(state),
        "appRoleAssignments": assignments,
        "roleAssignments": roles,
        "federatedIdentityCredentials": federated(state),
        "authenticationStrengthPolicies": Map::from_iter(strengths),
        "authenticationContextClassReferences": Map::from_iter(contexts),
        "protectedActions": actions::protected(state),
        "policies": {
            "authenticationMethodsPolicy": bare(&settings.methods),
            "authorizationPolicy": bare(&settings.authorization),
        },
        "organization": { text(&settings.organization, "id"): bare(&settings.organization) },
    })
}

fn grants(state: &State) -> Map<String, Value> {
    let shown = state.all(Kind::Grant).values().map(|object| {
        let grant = Grant::of(object);
        let value = json!({
            "clientId": grant.client.to_string(),
            "resourceId": grant.resource.to_string(),
            "principalId": grant.principal.map(|id| id.to_string()),
            "scope": grant.scope,
        });
        (grant.id(), value)
    });
    shown.collect()
}

/// By application and name: the id is the service's, and new when a credential is made again.
fn federated(state: &State) -> Map<String, Value> {
    let mut shown = Map::new();
    for (application, held) in state.federated.all() {
        if state.object(Kind::Application, *application).is_none() {
            continue;
        }
        for credential in held.values() {
            let mut value = bare(credential);
            if let Value::Object(map) = &mut value {
                map.remove("id");
            }
            shown.insert(format!("{application}/{}", text(credential, "name")), value);
        }
    }
    shown
}

fn text(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap_or_default().to_owned()
}

/// A document without what the service writes, and without what says nothing.
fn bare(document: &Value) -> Value {
    let mut document = document.clone();
    if let Value::Object(map) = &mut document {
        map.retain(|name, _| !SERVICE_WRITTEN.contains(&name.as_str()));
    }
    prune(&mut document);
    document
}

fn plain(object: &Object) -> Value {
    let mut map = object.record.to_map(object.kind);
    // A property that was never set and one that was set to the same are one.
    for prop in object.kind.shape().props {
        if !map.contains_key(prop.name) {
            map.insert(prop.name.to_owned(), object.value(prop.name));
        }
    }
    map.retain(|name, _| !SERVICE_WRITTEN.contains(&name.as_str()));
    map.values_mut().for_each(prune);
    map.retain(|_, value| !is_nothing(value));
    Value::Object(map)
}

/// Null, absent and empty say the same.
fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, value| !is_nothing(value));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Every difference of two dumps, one sentence each, deleted items included.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = live_differences(before, after);
    typed(
        &before["deleted"],
        &after["deleted"],
        "deleted ",
        &mut found,
    );
    found
}

/// The differences of what is live: the recycle bin is not compared.
#[must_use]
pub fn live_differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    typed(&before["objects"], &after["objects"], "", &mut found);
    each(&before["links"], &after["links"], |name, old, new| {
        let (old, new) = (texts(old), texts(new));
        for gone in old.difference(&new) {
            found.push(format!("link {name}: {gone} is missing"));
        }
        for extra in new.difference(&old) {
            found.push(format!("link {name}: {extra} was added"));
        }
    });
    for (section, one) in DOCUMENTS {
        each(&before[section], &after[section], |name, old, new| {
            found.push(format!("{one} {name}: {old} became {new}"));
        });
    }
    for (section, one) in JOINED {
        let (old, new) = (texts(&before[section]), texts(&after[section]));
        let gone = old.difference(&new);
        found.extend(gone.map(|gone| format!("{one} {gone} is missing")));
        let added = new.difference(&old);
        found.extend(added.map(|extra| format!("{one} {extra} was added")));
    }
    found
}

fn typed(before: &Value, after: &Value, prefix: &str, found: &mut Vec<String>) {
    for kind in Kind::ALL {
        let name = kind.name();
        each(&before[name], &after[name], |id, old, new| {
            match (old, new) {
                (Value::Null, new) => {
                    found.push(format!(
                        "{prefix}{name} {id} {} was added",
                        new["displayName"]
                    ));
                }
                (old, Value::Null) => {
                    found.push(format!(
                        "{prefix}{name} {id} {} is missing",
                        old["displayName"]
                    ));
                }
                (old, new) => each(old, new, |property, from, to| {
                    found.push(format!(
                        "{prefix}{name} {id} {}: {property} {from} became {to}",
                        old["displayName"]
                    ));
                }),
            }
        });
    }
}

/// Calls `report` for each key whose values differ; absent is null.
fn each(before: &Value, after: &Value, mut report: impl FnMut(&str, &Value, &Value)) {
    let empty = Map::new();
    let (old, new) = (
        before.as_object().unwrap_or(&empty),
        after.as_object().unwrap_or(&empty),
    );
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let from = old.get(name).unwrap_or(&Value::Null);
        let to = new.get(name).unwrap_or(&Value::Null);
        if from != to {
            report(name, from, to);
        }
    }
}

fn texts(value: &Value) -> BTreeSet<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}
