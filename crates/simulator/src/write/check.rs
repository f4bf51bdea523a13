//! The checks that every body passes: known, writable properties in their right form.

use serde_json::{Map, Value};

use crate::catalog::{Access, Form, Kind, Prop, Relation};
use crate::http::reply::GraphError;
use crate::write::{Body, invalid_value};

/// What the body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Create,
    Update,
}

/// How many links may come with one body.
const MOST_LINKS: usize = 20;

/// Sorts a body into properties and links.
///
/// # Errors
/// 400 for unknown, read-only or malformed members.
pub(crate) fn body(
    kind: Kind,
    purpose: Purpose,
    map: Map<String, Value>,
) -> Result<Body, GraphError> {
    let mut body = Body::default();
    for (name, value) in map {
        match name.as_str() {
            "@odata.type" => {
                body.odata_type = value.as_str().map(str::to_owned);
                continue;
            }
            "members@odata.bind" if Relation::Members.on(kind) => {
                body.members = references(&name, &value)?;
                continue;
            }
            "owners@odata.bind" if matches!(kind, Kind::Group | Kind::Application) => {
                body.owners = references(&name, &value)?;
                continue;
            }
            "manager@odata.bind" if kind == Kind::User => {
                body.manager = value.as_str().map(str::to_owned);
                continue;
            }
            "id" if kind == Kind::Policy => return Err(schema_mismatch()),
            "id" => return Err(read_only("id")),
            // Annotations on a whole directory object are ignored, as any OData service may.
            _ if name.starts_with("@odata.") && kind.is_directory_object() => continue,
            _ => {}
        }
        if name.starts_with("extension_") && matches!(kind, Kind::User | Kind::Group) {
            body.properties.insert(name, value);
            continue;
        }
        let Some(prop) = kind.shape().by_name(&name) else {
            return Err(unknown(kind, &name));
        };
        allowed(kind, prop, purpose)?;
        if !fits(prop, &value) {
            return Err(invalid_value(kind, &name));
        }
        body.properties.insert(name, value);
    }
    Ok(body)
}

fn allowed(kind: Kind, prop: &Prop, purpose: Purpose) -> Result<(), GraphError> {
    match prop.access {
        Access::Both | Access::Hidden => Ok(()),
        Access::Create if purpose == Purpose::Create => Ok(()),
        Access::Create => Err(GraphError::request(format!(
            "Property '{}' is immutable and cannot be changed after creation.",
            prop.name
        ))),
        Access::Read if prop.name == "passwordCredentials" => Err(GraphError::request(
            "Updating passwordCredentials is not supported. Use addPassword and removePassword.",
        )),
        Access::Read if prop.name == "templateId" => Err(GraphError::policy(
            1118,
            "TemplateId is a read-only field and cannot be set.",
        )),
        Access::Read if kind == Kind::Policy => Err(schema_mismatch()),
        Access::Read => Err(read_only(prop.name)),
    }
}

fn read_only(name: &str) -> GraphError {
    GraphError::request(format!("Property '{name}' is read-only and cannot be set."))
}

fn unknown(kind: Kind, name: &str) -> GraphError {
    match kind {
        Kind::Policy => schema_mismatch(),
        Kind::Location => GraphError::bad(
            "BadRequest",
            format!(
                "1033: The property '{name}' does not exist on type 'microsoft.graph.namedLocation'."
            ),
        ),
        _ => GraphError::request(format!("Invalid property '{name}'.")),
    }
}

/// The Conditional Access service's answer to anything that its schema lacks.
pub(crate) fn schema_mismatch() -> GraphError {
    GraphError::policy(
        1007,
        "Incoming ConditionalAccessPolicy object is null or does not match the schema of \
         ConditionalAccessPolicy type.",
    )
}

fn fits(prop: &Prop, value: &Value) -> bool {
    match (prop.form, value) {
        (Form::Texts | Form::Objects, Value::Null) => false,
        (_, Value::Null) => true,
        (Form::Text, Value::String(_)) | (Form::Flag, Value::Bool(_)) => true,
        (Form::Date, Value::String(text)) => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        (Form::Number, value) => value.is_i64(),
        (Form::Object, value) => value.is_object(),
        (Form::Texts, Value::Array(items)) => items.iter().all(Value::is_string),
        (Form::Objects, Value::Array(items)) => items.iter().all(Value::is_object),
        _ => false,
    }
}

fn references(name: &str, value: &Value) -> Result<Vec<String>, GraphError> {
    let links: Option<Vec<String>> = match value {
        Value::Array(links) => links
            .iter()
            .map(|link| link.as_str().map(str::to_owned))
            .collect(),
        Value::String(link) => Some(vec![link.clone()]),
        _ => None,
    };
    match links {
        Some(links) if links.len() > MOST_LINKS => Err(GraphError::request(format!(
            "The number of references in '{name}' exceeds the maximum of {MOST_LINKS}."
        ))),
        Some(links) => Ok(links),
        None => Err(GraphError::request(format!("Invalid value for '{name}'."))),
    }
}

/// Merges a partial complex value into the one that is held, as PATCH does.
pub(crate) fn merge(held: &mut Value, given: &Value) {
    match (held, given) {
        (Value::Object(held), Value::Object(given)) => {
            for (name, value) in given {
                merge(held.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (held, given) => *held = given.clone(),
    }
}
