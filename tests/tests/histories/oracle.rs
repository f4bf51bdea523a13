//! What a reading must hold, by the simulator's own account of its past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::catalogue::{Class, Distortion, OWNER};
use model::snapshot::{Completeness, Content, Kind, Method};
use model::{LinkKind, Object, ObjectState, ObjectType};
use serde_json::{Map, Value};

use crate::world::{Moment, World};

/// Everything of one kind: a key, and what is said under it.
pub(crate) type Things = BTreeMap<String, Value>;

/// The things of a kind in a state of the simulator.
pub(crate) fn told(state: &Value, kind: Kind) -> Things {
    match kind {
        Kind::Objects(object_type) => objects_told(state, object_type),
        Kind::Deleted(object_type) => section(&state["deleted"], object_type, ObjectState::Deleted),
        Kind::Links(kind) => links_told(state, kind),
    }
}

/// The things of a kind in what was read.
pub(crate) fn read(content: &Content, kind: Kind) -> Things {
    let objects = |object_type: ObjectType, state: ObjectState| {
        content
            .objects
            .iter()
            .filter(|object| object.object_type == object_type && object.state == state)
            .map(thing)
            .collect()
    };
    match kind {
        Kind::Objects(object_type) => objects(object_type, ObjectState::Live),
        Kind::Deleted(object_type) => objects(object_type, ObjectState::Deleted),
        Kind::Links(kind) => content
            .links
            .iter()
            .filter(|link| link.kind == kind)
            .map(|link| (format!("{} {}", link.source, link.target), Value::Null))
            .collect(),
    }
}

/// The kinds that the simulator's account covers in a form that can be compared.
pub(crate) fn kinds() -> impl Iterator<Item = Kind> {
    Kind::all().into_iter()
}

/// What identifies an object in the account, and its compared properties.
pub(crate) fn thing(object: &Object) -> (String, Value) {
    let mut body = object.body();
    let key = match object.object_type {
        // Their ids are not part of the account.
        ObjectType::AppRoleAssignment => ["principalId", "resourceId", "appRoleId"]
            .map(|name| text(&body, name))
            .join(" "),
        ObjectType::FederatedIdentityCredential => {
            format!("{}/{}", text(&body, OWNER), text(&body, "name"))
        }
        ObjectType::RoleAssignment => ["principalId", "roleDefinitionId", "directoryScopeId"]
            .map(|name| text(&body, name))
            .join(" "),
        _ => object.id.to_string(),
    };
    if object.object_type == ObjectType::AppRoleAssignment
        || object.object_type == ObjectType::RoleAssignment
    {
        return (key, Value::Null);
    }
    body.remove("id");
    (
        key,
        normal(Value::Object(body), object.object_type, object.state),
    )
}

fn text(body: &Map<String, Value>, name: &str) -> String {
    body.get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn objects_told(state: &Value, object_type: ObjectType) -> Things {
    match object_type {
        ObjectType::AppRoleAssignment => keys(&state["appRoleAssignments"]),
        ObjectType::RoleAssignment => keys(&state["roleAssignments"]),
        ObjectType::OAuth2PermissionGrant => map(&state["oAuth2PermissionGrants"], object_type),
        ObjectType::FederatedIdentityCredential => {
            map(&state["federatedIdentityCredentials"], object_type)
        }
        ObjectType::AuthenticationStrengthPolicy => {
            map(&state["authenticationStrengthPolicies"], object_type)
        }
        ObjectType::AuthenticationContextClassReference => {
            map(&state["authenticationContextClassReferences"], object_type)
        }
        ObjectType::AuthenticationMethodsPolicy => single(
            &state["policies"]["authenticationMethodsPolicy"],
            "authenticationMethodsPolicy",
            object_type,
        ),
        ObjectType::AuthorizationPolicy => single(
            &state["policies"]["authorizationPolicy"],
            "authorizationPolicy",
            object_type,
        ),
        ObjectType::Organization => map(&state["organization"], object_type),
        _ => section(&state["objects"], object_type, ObjectState::Live),
    }
}

fn section(of: &Value, object_type: ObjectType, state: ObjectState) -> Things {
    let objects = of[object_type.name()].as_object();
    objects
        .into_iter()
        .flatten()
        .map(|(id, body)| (id.clone(), normal(body.clone(), object_type, state)))
        .collect()
}

fn map(of: &Value, object_type: ObjectType) -> Things {
    of.as_object()
        .into_iter()
        .flatten()
        .map(|(key, body)| {
            (
                key.clone(),
                normal(body.clone(), object_type, ObjectState::Live),
            )
        })
        .collect()
}

fn single(of: &Value, key: &str, object_type: ObjectType) -> Things {
    Things::from([(
        key.to_owned(),
        normal(of.clone(), object_type, ObjectState::Live),
    )])
}

fn keys(of: &Value) -> Things {
    of.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|key| (key.to_owned(), Value::Null))
        .collect()
}

fn links_told(state: &Value, kind: LinkKind) -> Things {
    let prefix = format!("{}/", kind.source_type().name());
    let suffix = format!("/{}", kind.spec().relation);
    let mut things = Things::new();
    for (key, targets) in state["links"].as_object().into_iter().flatten() {
        let source = key
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(&suffix));
        let Some(source) = source else { continue };
        for target in targets
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            things.insert(format!("{source} {target}"), Value::Null);
        }
    }
    things
}

/// The compared properties only, without what says that there is nothing, lists as
/// sets.
fn normal(body: Value, object_type: ObjectType, state: ObjectState) -> Value {
    let Value::Object(body) = body else {
        return body;
    };
    let distorted: BTreeSet<&str> = object_type
        .spec()
        .deleted
        .map(|deleted| deleted.distorted)
        .unwrap_or_default()
        .iter()
        .filter(|(_, distortion)| *distortion != Distortion::RestoredFalse)
        .map(|(name, _)| *name)
        .collect();
    let kept = body.into_iter().filter(|(name, _)| {
        let known = object_type
            .spec()
            .property(name)
            .is_some_and(|property| !matches!(property.class, Class::Volatile | Class::Secret));
        known && !(state == ObjectState::Deleted && distorted.contains(name.as_str()))
    });
    let mut body: Map<String, Value> = kept.collect();
    same_form(&mut body, object_type);
    prune(Value::Object(body))
}

/// The account of the simulator and Graph's answers say some things in other forms.
fn same_form(body: &mut Map<String, Value>, object_type: ObjectType) {
    match object_type {
        // The account has the properties of both kinds of location.
        ObjectType::NamedLocation if body.contains_key("countriesAndRegions") => {
            body.remove("isTrusted");
        }
        ObjectType::NamedLocation => {
            body.remove("countryLookupMethod");
            body.remove("includeUnknownCountriesAndRegions");
        }
        // A strength is shown whole, and kept by its id.
        ObjectType::ConditionalAccessPolicy => {
            let strength = body
                .get_mut("grantControls")
                .and_then(|controls| controls.get_mut("authenticationStrength"));
            if let Some(strength) = strength {
                *strength = strength.get("id").cloned().unwrap_or_default();
            }
        }
        // It follows from whether there is a principal.
        ObjectType::OAuth2PermissionGrant => {
            body.remove("consentType");
        }
        _ => {}
    }
}

fn prune(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(name, _)| !name.contains("@odata.context"))
                .map(|(name, value)| (name, prune(value)))
                .filter(|(_, value)| !is_nothing(value))
                .collect(),
        ),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(prune).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Checks a reading against the past; what is wrong with it. `lag` is how old an
/// answer may have been.
pub(crate) fn wrong(world: &World, content: &Content, lag: Moment) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in kinds() {
        let record = content
            .completeness
            .iter()
            .find(|record| record.kind == kind);
        let Some(record) = record else {
            wrong.push(format!("{} has no record", kind.name()));
            continue;
        };
        if let Some(problem) = &record.problem {
            wrong.push(format!("{} is not complete: {problem}", kind.name()));
            continue;
        }
        let found = read(content, kind);
        let exact = record.method == Method::Delta && record.not_before == record.not_after;
        let states = states(world, record, if exact && lag == 0 { 0 } else { lag });
        if exact && lag == 0 {
            equal(kind, &found, &told(&states[0], kind), &mut wrong);
        } else {
            plausible(kind, &found, &states, &mut wrong);
        }
    }
    wrong
}

fn states(world: &World, record: &Completeness, lag: Moment) -> Vec<Arc<Value>> {
    let from = World::moment(record.not_before) - lag;
    world.between(from, World::moment(record.not_after))
}

/// Both are the same.
pub(crate) fn equal(kind: Kind, found: &Things, told: &Things, wrong: &mut Vec<String>) {
    let all: BTreeSet<&String> = found.keys().chain(told.keys()).collect();
    for key in all {
        let (found, told) = (found.get(key), told.get(key));
        if found != told {
            wrong.push(format!(
                "{} {key}: {}",
                kind.name(),
                difference(found, &[told])
            ));
        }
    }
}

/// Every value was true at some time of the window, and what did not change in it
/// is there.
fn plausible(kind: Kind, found: &Things, states: &[Arc<Value>], wrong: &mut Vec<String>) {
    let told: Vec<Things> = states.iter().map(|state| self::told(state, kind)).collect();
    let mut all: BTreeSet<&String> = found.keys().collect();
    all.extend(told.iter().flat_map(BTreeMap::keys));
    for key in all {
        let values: Vec<Option<&Value>> = told.iter().map(|things| things.get(key)).collect();
        let here = found.get(key);
        if !values.contains(&here) {
            wrong.push(format!(
                "{} {key}: {}",
                kind.name(),
                difference(here, &values)
            ));
        }
    }
}

/// What was read and what was, without what both have in common.
fn difference(found: Option<&Value>, was: &[Option<&Value>]) -> String {
    let common = |name: &String, value: &Value| {
        was.iter()
            .all(|was| was.and_then(|was| was.get(name)) == Some(value))
    };
    let Some(Value::Object(members)) = found else {
        return format!("read {found:?}, was {was:?}");
    };
    let odd: BTreeSet<&String> = members
        .iter()
        .filter(|(name, value)| !common(name, value))
        .map(|(name, _)| name)
        .chain(
            was.iter()
                .filter_map(|was| was.and_then(Value::as_object))
                .flat_map(Map::keys)
                .filter(|name| !members.contains_key(*name)),
        )
        .collect();
    let part = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(value) => odd
            .iter()
            .map(|name| format!("{name}: {}", value.get(*name).unwrap_or(&Value::Null)))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let was: Vec<String> = was.iter().map(|was| part(*was)).collect();
    format!("read {{{}}}, was {{{}}}", part(found), was.join("} then {"))
}
