//! The complete state of a tenant as one comparable value, and the differences of two of them.
//!
//! What the service itself writes on every change is left out, so that "put back exactly" can be
//! tested as equality.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::catalog::Kind;
use crate::record::Object;
use crate::state::State;

/// Properties that the service writes on its own and that no restore can put back.
pub const SERVICE_WRITTEN: &[&str] = &[
    "modifiedDateTime",
    "deletedDateTime",
    "renewedDateTime",
    "signInSessionsValidFromDateTime",
    "lastPasswordChangeDateTime",
    "externalUserStateChangeDateTime",
    "onPremisesLastSyncDateTime",
];

/// Sections: `objects` and `deleted` (type → id → properties), `links` (`type/id/relation` →
/// ids), `oAuth2PermissionGrants` (id → grant), `appRoleAssignments` (sorted triples).
pub(crate) fn dump(state: &State) -> Value {
    let mut objects = Map::new();
    let mut deleted = Map::new();
    for kind in Kind::ALL {
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
    let grants: Map<String, Value> = state
        .grants
        .delegated
        .iter()
        .map(|(id, grant)| {
            let value = json!({
                "clientId": grant.client.to_string(),
                "resourceId": grant.resource.to_string(),
                "principalId": grant.principal.map(|id| id.to_string()),
                "scope": grant.scope,
            });
            (id.clone(), value)
        })
        .collect();
    let assignments: BTreeSet<String> = state
        .grants
        .assignments()
        .map(|held| format!("{} {} {}", held.principal, held.resource, held.role))
        .collect();
    json!({
        "objects": objects,
        "deleted": deleted,
        "links": links,
        "oAuth2PermissionGrants": grants,
        "appRoleAssignments": assignments,
    })
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
    each(
        &before["oAuth2PermissionGrants"],
        &after["oAuth2PermissionGrants"],
        |name, old, new| {
            found.push(format!("oAuth2PermissionGrant {name}: {old} became {new}"));
        },
    );
    let (old, new) = (
        texts(&before["appRoleAssignments"]),
        texts(&after["appRoleAssignments"]),
    );
    found.extend(
        old.difference(&new)
            .map(|gone| format!("appRoleAssignment {gone} is missing")),
    );
    found.extend(
        new.difference(&old)
            .map(|extra| format!("appRoleAssignment {extra} was added")),
    );
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
