//! The form in which two values are compared.
//!
//! Null, absent and empty are one; sets are sorted; annotations are dropped
//! except discriminating types; what is left is JSON as RFC 8785 writes it.
//! What Graph sent is never changed here, only read.

use serde_json::{Map, Value};

use crate::catalogue::{Class, Property, Shape, TypeSpec, Write};

/// A property's value in canonical form; `None` where it is null, absent or empty.
#[must_use]
pub fn property(property: &Property, value: Option<&Value>) -> Option<Value> {
    let mut value = value?.clone();
    for fix in [property.quirk, property.spelling].into_iter().flatten() {
        fix(&mut value);
    }
    if property.class == Class::Secret {
        public_part(&mut value);
    }
    normal(&value, property.shape)
}

/// All compared properties of a body, in the catalogue's order, followed by
/// those that the catalogue does not know.
#[must_use]
pub fn properties(spec: &TypeSpec, body: &Map<String, Value>) -> Vec<(String, Class, Value)> {
    let known = spec
        .properties
        .iter()
        .filter(|entry| entry.class != Class::Volatile)
        .filter_map(|entry| {
            let value = property(entry, body.get(entry.name))?;
            Some((entry.name.to_owned(), entry.class, value))
        });
    let unknown = body
        .iter()
        .filter(|(name, _)| {
            // A type annotation tells something only where there are several types.
            let annotation =
                name.contains('@') && !(*name == "@odata.type" && spec.entities.len() > 1);
            *name != "id" && !annotation && spec.property(name).is_none()
        })
        .filter_map(|(name, value)| {
            Some((name.clone(), Class::ReadOnly, normal(value, Shape::Object)?))
        });
    known.chain(unknown).collect()
}

/// JSON text by RFC 8785: equal values have equal texts.
#[must_use]
pub fn text(value: &Value) -> String {
    serde_json_canonicalizer::to_string(value)
        .expect("invariant: a JSON value has a canonical text")
}

/// BLAKE3 over the canonical text, in hex; the hash of nothing is empty.
#[must_use]
pub fn hash(value: Option<&Value>) -> String {
    value
        .map(|value| blake3::hash(text(value).as_bytes()).to_hex().to_string())
        .unwrap_or_default()
}

/// BLAKE3 over the writable properties of a body, in hex.
///
/// Left out is what services set by themselves some time after an object was made:
/// read-only properties, licences, and those that the catalogue marks.
#[must_use]
pub fn body_hash(spec: &TypeSpec, body: &Map<String, Value>) -> String {
    let follows = |name: &str| spec.property(name).is_some_and(|it| it.set_by_services);
    let compared: Map<String, Value> = properties(spec, body)
        .into_iter()
        .filter(|(name, class, _)| *class == Class::Restorable && !follows(name))
        .map(|(name, _, value)| (name, value))
        .collect();
    hash(Some(&Value::Object(compared)))
}

/// The value to write so that a property that is `live` becomes `target`.
///
/// Annotations and what Graph refuses are left out; parts that only the live
/// value has are set to null or to the empty list, since a PATCH keeps what it
/// does not name.
#[must_use]
pub fn writable(entry: &Property, target: Option<&Value>, live: Option<&Value>) -> Value {
    let nothing = if matches!(entry.shape, Shape::Set | Shape::List) {
        Value::Array(Vec::new())
    } else {
        Value::Null
    };
    if property(entry, target).is_none() {
        return nothing;
    }
    let prepare = |value: &Value| {
        let mut value = value.clone();
        if let Some(quirk) = entry.quirk {
            quirk(&mut value);
        }
        without_annotations(&mut value);
        value
    };
    let Some(mut target) = target.map(prepare) else {
        return nothing;
    };
    if entry.shape == Shape::Object
        && let Some(live) = live.map(prepare)
    {
        clear_missing(&mut target, &live);
    }
    if entry.name == "sessionControls"
        || entry.write == Write::Plain && entry.shape == Shape::Object
    {
        drop_nulls_without_counterpart(&mut target, live);
    }
    target
}

/// Drops nulls that the live value does not need either: Graph rejects some
/// explicit nulls inside objects that were never set.
fn drop_nulls_without_counterpart(target: &mut Value, live: Option<&Value>) {
    let Some(target) = target.as_object_mut() else {
        return;
    };
    target.retain(|key, value| {
        !value.is_null()
            || live
                .and_then(|live| live.get(key))
                .is_some_and(|live| !live.is_null())
    });
}

fn clear_missing(target: &mut Value, live: &Value) {
    let (Some(target), Some(live)) = (target.as_object_mut(), live.as_object()) else {
        return;
    };
    // Objects of different types have nothing in common to clear.
    let same_type = target.get("@odata.type") == live.get("@odata.type");
    if !same_type {
        return;
    }
    for (key, live) in live.iter().filter(|(key, _)| !key.contains('@')) {
        match target.get_mut(key) {
            Some(target) => clear_missing(target, live),
            None if live.is_array() => {
                target.insert(key.clone(), Value::Array(Vec::new()));
            }
            None => {
                target.insert(key.clone(), Value::Null);
            }
        }
    }
}

fn is_annotation(key: &str) -> bool {
    key.contains("@odata.") && key != "@odata.type"
}

fn without_annotations(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !is_annotation(key));
            map.values_mut().for_each(without_annotations);
        }
        Value::Array(items) => items.iter_mut().for_each(without_annotations),
        _ => {}
    }
}

/// A credential's id, hint and dates; never its value.
fn public_part(value: &mut Value) {
    for credential in value.as_array_mut().into_iter().flatten() {
        if let Some(credential) = credential.as_object_mut() {
            credential.remove("secretText");
            credential.remove("key");
        }
    }
}

fn normal(value: &Value, shape: Shape) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) => {
            let mut items: Vec<Value> = items
                .iter()
                .filter_map(|item| normal(item, shape))
                .collect();
            if shape != Shape::List {
                items.sort_by_cached_key(text);
                items.dedup();
            }
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(map) => {
            let map: Map<String, Value> = map
                .iter()
                .filter(|(key, _)| !is_annotation(key))
                .filter_map(|(key, value)| Some((key.clone(), normal(value, shape)?)))
                .collect();
            (!map.is_empty()).then_some(Value::Object(map))
        }
        scalar => Some(scalar.clone()),
    }
}

#[cfg(test)]
mod tests;
