//! How the fake carries out a write.

use graph::GraphError;
use model::call::{Call, HttpMethod};
use model::catalogue::{Class, Distortion, TYPES, TypeSpec};
use model::{Link, LinkKind, ObjectId, ObjectState, ObjectType};
use serde_json::{Map, Value};

use super::state::{State, Stored};

/// When everything that the fake deletes was deleted.
const DELETED_AT: &str = "2026-01-01T00:00:00Z";

type Answer = Result<Option<Value>, GraphError>;

/// What a path points at.
enum Target {
    Collection(&'static TypeSpec),
    Item(&'static TypeSpec, ObjectId),
    /// `{relation}/$ref`
    Relation(LinkKind, ObjectId),
    /// `{relation}/{id}/$ref`
    Reference(Link),
    Restore(&'static TypeSpec, ObjectId),
}

pub(super) fn apply(state: &mut State, call: &Call) -> Answer {
    let body = call
        .body
        .as_ref()
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let Some(target) = target(state, &call.path) else {
        return Err(bad(call, "the fake directory does not know this path"));
    };
    match (call.method, target) {
        (HttpMethod::Post, Target::Collection(spec)) => create(state, call, spec, body),
        (HttpMethod::Patch, Target::Item(spec, id)) => patch(state, call, spec, &id, body),
        (HttpMethod::Delete, Target::Item(spec, id)) => delete(state, call, spec, id),
        (HttpMethod::Post, Target::Restore(spec, id)) => restore(state, call, spec, id),
        (HttpMethod::Post, Target::Relation(kind, source)) => {
            let link = Link {
                kind,
                source,
                target: referred(call, body.get("@odata.id"))?,
            };
            add(state, call, &[link])
        }
        (HttpMethod::Put, Target::Relation(kind @ LinkKind::UserManager, source)) => {
            let link = Link {
                kind,
                source,
                target: referred(call, body.get("@odata.id"))?,
            };
            check_ends(state, call, &link)?;
            state
                .links
                .retain(|other| other.kind != link.kind || other.source != link.source);
            state.links.insert(link);
            Ok(None)
        }
        (HttpMethod::Delete, Target::Relation(kind @ LinkKind::UserManager, source)) => {
            let link = state
                .links
                .iter()
                .find(|link| link.kind == kind && link.source == source)
                .cloned();
            remove(state, call, &link.ok_or_else(|| missing(call))?)
        }
        (HttpMethod::Delete, Target::Reference(link)) => remove(state, call, &link),
        _ => Err(bad(
            call,
            "the fake directory does not know this method here",
        )),
    }
}

fn target(state: &State, path: &str) -> Option<Target> {
    for spec in TYPES {
        if let Some(deleted) = spec.deleted
            && let Some(rest) = path.strip_prefix(deleted.item_path)
            && let Some(id) = rest
                .strip_prefix('/')
                .and_then(|rest| rest.strip_suffix("/restore"))
        {
            let id = ObjectId::parse(id).ok()?;
            // One path serves several types; the id tells which.
            if state.objects.contains_key(&(spec.object_type, id.clone())) {
                return Some(Target::Restore(spec, id));
            }
        }
        let Some(rest) = path.strip_prefix(spec.list_path) else {
            continue;
        };
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        let kind = |relation: &str| {
            spec.links
                .iter()
                .find(|link| link.relation == relation)
                .map(|link| link.kind)
        };
        return match parts.as_slice() {
            [] if rest.is_empty() => Some(Target::Collection(spec)),
            [id] => Some(Target::Item(spec, ObjectId::parse(id).ok()?)),
            [id, relation, "$ref"] => {
                Some(Target::Relation(kind(relation)?, ObjectId::parse(id).ok()?))
            }
            [id, relation, other, "$ref"] => {
                let (source, target) = (ObjectId::parse(id).ok()?, ObjectId::parse(other).ok()?);
                Some(Target::Reference(Link {
                    kind: kind(relation)?,
                    source,
                    target,
                }))
            }
            _ => None,
        };
    }
    None
}

fn create(state: &mut State, call: &Call, spec: &TypeSpec, mut body: Map<String, Value>) -> Answer {
    if spec.object_type == ObjectType::ServicePrincipal && !body.contains_key("appId") {
        return Err(bad(call, "property appId is required"));
    }
    let id = state.fresh_id();
    let source = ObjectId::parse(&id).expect("invariant: the fake makes valid ids");
    let links = bound(call, spec, &source, &mut body)?;
    body.remove("passwordProfile");
    body.insert("id".to_owned(), Value::String(id));
    if spec.object_type == ObjectType::Application {
        let app_id = state.fresh_id();
        body.insert("appId".to_owned(), Value::String(app_id));
    }
    let answer = Value::Object(body.clone());
    let key = (spec.object_type, source);
    state.objects.insert(
        key.clone(),
        Stored {
            state: ObjectState::Live,
            body,
        },
    );
    if let Err(error) = add(state, call, &links) {
        state.objects.remove(&key);
        return Err(error);
    }
    Ok(Some(answer))
}

fn patch(
    state: &mut State,
    call: &Call,
    spec: &TypeSpec,
    id: &ObjectId,
    mut body: Map<String, Value>,
) -> Answer {
    if !state.is_live(spec.object_type, id) {
        return Err(missing(call));
    }
    let links = bound(call, spec, id, &mut body)?;
    body.retain(|name, _| !name.starts_with("@odata.") && name != "passwordProfile");
    let fixed = body.keys().find(|name| {
        let class = spec.property(name).map(|property| property.class);
        *name == "id"
            || matches!(
                class,
                Some(Class::ReadOnly | Class::Volatile | Class::OwnEndpoint)
            )
    });
    if let Some(name) = fixed {
        return Err(bad(
            call,
            &format!("property '{name}' is read-only and cannot be set"),
        ));
    }
    add(state, call, &links)?;
    let stored = state
        .objects
        .get_mut(&(spec.object_type, id.clone()))
        .ok_or_else(|| missing(call))?;
    stored.body.extend(body);
    Ok(None)
}

fn delete(state: &mut State, call: &Call, spec: &TypeSpec, id: ObjectId) -> Answer {
    let key = (spec.object_type, id);
    let stored = state
        .objects
        .get_mut(&key)
        .filter(|stored| stored.state == ObjectState::Live)
        .ok_or_else(|| missing(call))?;
    if stored.body.get("isTrusted") == Some(&Value::Bool(true)) {
        return Err(bad(call, "a trusted named location cannot be deleted"));
    }
    let unified = stored
        .body
        .get("groupTypes")
        .and_then(Value::as_array)
        .is_some_and(|types| types.contains(&Value::from("Unified")));
    let mail_only = stored.body.get("mailEnabled") == Some(&Value::Bool(true)) && !unified;
    if spec.deleted.is_none() || (spec.object_type == ObjectType::Group && mail_only) {
        state.purge(key.0, &key.1);
        return Ok(None);
    }
    stored.state = ObjectState::Deleted;
    stored
        .body
        .insert("deletedDateTime".to_owned(), Value::from(DELETED_AT));
    Ok(None)
}

fn restore(state: &mut State, call: &Call, spec: &TypeSpec, id: ObjectId) -> Answer {
    let stored = state
        .objects
        .get_mut(&(spec.object_type, id))
        .filter(|stored| stored.state == ObjectState::Deleted);
    let stored = stored.ok_or_else(|| missing(call))?;
    stored.state = ObjectState::Live;
    stored.body.remove("deletedDateTime");
    for (name, distortion) in spec.deleted.map_or(&[][..], |deleted| deleted.distorted) {
        if *distortion == Distortion::RestoredFalse && stored.body.contains_key(*name) {
            stored.body.insert((*name).to_owned(), Value::Bool(false));
        }
    }
    Ok(Some(Value::Object(stored.body.clone())))
}

/// Takes `members@odata.bind` and the like out of a body.
fn bound(
    call: &Call,
    spec: &TypeSpec,
    source: &ObjectId,
    body: &mut Map<String, Value>,
) -> Result<Vec<Link>, GraphError> {
    let mut links = Vec::new();
    for link in spec.links {
        let Some(value) = body.remove(&format!("{}@odata.bind", link.relation)) else {
            continue;
        };
        let references = match value {
            Value::Array(references) => references,
            reference => vec![reference],
        };
        if references.len() > 20 {
            return Err(bad(call, "more than 20 references in one request"));
        }
        for reference in references {
            links.push(Link {
                kind: link.kind,
                source: source.clone(),
                target: referred(call, Some(&reference))?,
            });
        }
    }
    Ok(links)
}

/// The id at the end of a reference, which must be to the version root.
fn referred(call: &Call, reference: Option<&Value>) -> Result<ObjectId, GraphError> {
    let text = reference
        .and_then(Value::as_str)
        .filter(|text| text.starts_with("{graph}/") || text.starts_with("https://"));
    let id = text
        .and_then(|text| text.rsplit('/').next())
        .and_then(|id| ObjectId::parse(id).ok());
    id.ok_or_else(|| bad(call, "not a valid reference"))
}

/// Adds all links or none.
fn add(state: &mut State, call: &Call, links: &[Link]) -> Answer {
    for link in links {
        check_ends(state, call, link)?;
        if state.links.contains(link) {
            let what = format!(
                "one or more added object references already exist for '{}'",
                link.kind.spec().relation
            );
            return Err(bad(call, &what));
        }
    }
    state.links.extend(links.iter().cloned());
    Ok(None)
}

fn check_ends(state: &State, call: &Call, link: &Link) -> Result<(), GraphError> {
    let source = state
        .objects
        .get(&(link.kind.source_type(), link.source.clone()))
        .filter(|stored| stored.state == ObjectState::Live);
    let source = source.ok_or_else(|| missing(call))?;
    let types = source.body.get("groupTypes").and_then(Value::as_array);
    let dynamic = types.is_some_and(|types| types.contains(&Value::from("DynamicMembership")));
    if link.kind == LinkKind::GroupMembers && dynamic {
        return Err(bad(call, "members of a dynamic group cannot be written"));
    }
    if state.directory_type(&link.target).is_none() {
        return Err(missing(call));
    }
    Ok(())
}

fn remove(state: &mut State, call: &Call, link: &Link) -> Answer {
    if state.links.remove(link) {
        Ok(None)
    } else {
        Err(missing(call))
    }
}

fn bad(call: &Call, message: &str) -> GraphError {
    GraphError::BadRequest {
        code: "Request_BadRequest".to_owned(),
        message: message.to_owned(),
        request_id: "fake".to_owned(),
        path: call.path.clone(),
    }
}

fn missing(call: &Call) -> GraphError {
    GraphError::NotFound {
        path: call.path.clone(),
    }
}
