//! What the ids inside values are called.
//!
//! Owns finding ids in the values of changes and their names in the two states
//! that were compared. It asks nobody: an id that neither state knows keeps no
//! name.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value;

use crate::catalogue::ObjectType;
use crate::diff::{AttributeChange, Change};
use crate::id::ObjectId;
use crate::object::{Object, name_of};
use crate::roles;
use crate::snapshot::Content;

/// What a directory role is called as a type: no type of the catalogue.
pub const ROLE: &str = "directoryRole";

/// An object that a value names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Named {
    /// As it stands in the value; of applications the `appId`.
    pub id: String,
    /// Graph's name of its type, or [`ROLE`].
    pub object_type: &'static str,
    /// What a person calls it.
    pub name: String,
}

/// The objects that the values of each change name, in the order of the changes;
/// of one change each once, sorted.
#[must_use]
pub fn named(changes: &[Change], base: &Content, target: &Content) -> Vec<Vec<Named>> {
    let found: Vec<Vec<String>> = changes.iter().map(ids).collect();
    let mut known: HashMap<String, Option<Known>> = found
        .iter()
        .flatten()
        .map(|id| (id.to_ascii_lowercase(), None))
        .collect();
    if known.is_empty() {
        return vec![Vec::new(); changes.len()];
    }
    // What is called differently now is known by its present name.
    for content in [target, base] {
        look_up(&mut known, content);
    }
    let named = |id: String| {
        let known = known.get(&id.to_ascii_lowercase())?.as_ref();
        let (object_type, name) = match known {
            Some(known) => (known.object_type, known.name.clone()),
            None => (ROLE, roles::built_in(&id)?.to_owned()),
        };
        Some(Named {
            id,
            object_type,
            name,
        })
    };
    found
        .into_iter()
        .map(|ids| ids.into_iter().filter_map(named).collect())
        .collect()
}

/// The ids that the values of changes hold.
#[must_use]
pub fn sought(changes: &[Change]) -> BTreeSet<ObjectId> {
    let ids = changes.iter().flat_map(ids);
    ids.filter_map(|id| ObjectId::parse(&id.to_ascii_lowercase()).ok())
        .collect()
}

/// The id by which values name an application of which the tenant has this service
/// principal, as [`sought`] gives it; `None` of any other object.
///
/// Not of the registration: the service principal is what the tenant has of an
/// application of others, too.
#[must_use]
pub fn app_id(object: &Object) -> Option<ObjectId> {
    if object.object_type != ObjectType::ServicePrincipal {
        return None;
    }
    let by: ByAppId<'_> = serde_json::from_str(&object.json).ok()?;
    ObjectId::parse(&by.app_id?.to_ascii_lowercase()).ok()
}

/// What is known of an id.
struct Known {
    object_type: &'static str,
    name: String,
}

/// An application, known by another id than the object's.
#[derive(Deserialize)]
struct ByAppId<'a> {
    #[serde(rename = "appId", borrow, default)]
    app_id: Option<&'a str>,
}

fn look_up(known: &mut HashMap<String, Option<Known>>, content: &Content) {
    for object in &content.objects {
        learn(known, object.id.as_str(), object);
        if let Some(app_id) = app_id(object) {
            learn(known, app_id.as_str(), object);
        }
    }
}

/// Notes what an id is called, if that is looked for and not known yet.
fn learn(known: &mut HashMap<String, Option<Known>>, id: &str, object: &Object) {
    if let Some(place) = place(known, id).filter(|place| place.is_none()) {
        *place = name(object);
    }
}

/// Where what is known of an id stands, if it is looked for.
fn place<'a>(
    known: &'a mut HashMap<String, Option<Known>>,
    id: &str,
) -> Option<&'a mut Option<Known>> {
    // Graph writes ids small; only those that it does not are written anew.
    if id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        known.get_mut(&id.to_ascii_lowercase())
    } else {
        known.get_mut(id)
    }
}

fn name(object: &Object) -> Option<Known> {
    Some(Known {
        object_type: object.object_type.name(),
        name: name_of(&object.body())?,
    })
}

/// The ids in the values of a change, sorted, without its own.
fn ids(change: &Change) -> Vec<String> {
    let mut ids = Vec::new();
    for attribute in &change.attributes {
        for value in values(attribute) {
            collect(&attribute.path, value, &mut ids);
        }
    }
    ids.retain(|id| !id.eq_ignore_ascii_case(change.object.id.as_str()));
    ids.sort();
    ids.dedup();
    ids
}

/// The values that are shown of an attribute.
fn values(attribute: &AttributeChange) -> impl Iterator<Item = &Value> {
    let whole = attribute.before.iter().chain(&attribute.after);
    let elements = attribute.added.iter().chain(&attribute.removed);
    whole.chain(elements)
}

fn collect(path: &str, value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::String(text) => ids.extend(id(path, text)),
        Value::Array(items) => {
            for item in items {
                collect(path, item, ids);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                collect(name, member, ids);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The id that a text is: a GUID, a GUID at the end of a path such as
/// `/administrativeUnits/{id}`, or the number of an authentication context.
fn id(path: &str, text: &str) -> Option<String> {
    let last = match text.starts_with('/') {
        true => text.rsplit('/').next().unwrap_or_default(),
        false => text,
    };
    let is_guid = last.len() == 36 && uuid::Uuid::try_parse(last).is_ok_and(|id| !id.is_nil());
    let is_context = || path.ends_with("AuthenticationContextClassReferences") && !last.is_empty();
    (is_guid || is_context()).then(|| last.to_owned())
}

#[cfg(test)]
mod tests;
