//! Federated identity credentials of applications, read and written.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::catalog::Kind;
use crate::http::documents;
use crate::http::permission;
use crate::http::reads::resolve;
use crate::http::reply::{GraphError, Reply};
use crate::record::Object;
use crate::state::State;
use crate::write::Writer;

/// How many an application may have.
const MOST: usize = 20;
/// What a body may say.
const MEMBERS: documents::Allowed<'_> = &[
    ("name", documents::is_text),
    ("issuer", documents::is_text),
    ("subject", documents::is_text),
    ("description", documents::is_text_or_null),
    ("audiences", documents::is_texts),
];

/// `/applications/{id}/federatedIdentityCredentials…`.
pub(crate) fn answer(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    let call = writer.call;
    if call.is_get() {
        permission::read(writer.actor, Kind::Application)?;
    } else {
        permission::write(writer.actor, Kind::Application)?;
    }
    let application = resolve(&writer.tenant.state.read(), Kind::Application, raw[0])?;
    let context = format!("applications('{application}')/federatedIdentityCredentials");
    match (call.method.as_str(), &raw[2..]) {
        ("GET", []) => {
            let state = writer.tenant.state.read();
            let items = state
                .federated
                .of(application)
                .map(|(id, held)| (id.to_string(), held.clone()));
            documents::collection(call, &context, items)
        }
        ("GET", [key]) => {
            let state = writer.tenant.state.read();
            let (_, held) = find(&state, application, key)?;
            documents::entity(call, &format!("{context}/$entity"), held)
        }
        ("POST", []) => create(writer, application, &context),
        ("PATCH", [key]) => update(writer, application, key),
        ("DELETE", [key]) => {
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let (id, held) = find(state, application, key)?;
            state.federated.remove(application, id);
            note(writer, state, application, held, Value::Null);
            Ok(Reply::no_content())
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// A credential by id or by its name, which is a key too.
fn find(state: &State, application: Uuid, key: &str) -> Result<(Uuid, Value), GraphError> {
    let name = key
        .strip_prefix("(name=")
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(key);
    state
        .federated
        .of(application)
        .find(|(id, held)| id.to_string() == key || held["name"] == name)
        .map(|(id, held)| (*id, held.clone()))
        .ok_or_else(|| GraphError::not_found(key))
}

/// A whole credential from what a body says.
pub(crate) fn whole(id: Uuid, body: &Map<String, Value>) -> Value {
    let member = |name: &str| body.get(name).cloned().unwrap_or_default();
    json!({
        "id": id.to_string(),
        "name": member("name"),
        "issuer": member("issuer"),
        "subject": member("subject"),
        "description": member("description"),
        "audiences": member("audiences"),
    })
}

/// # Errors
/// 400 when a body lacks a member or one has the wrong form.
pub(crate) fn check(body: &Map<String, Value>) -> Result<(), GraphError> {
    documents::check(body, MEMBERS)?;
    for name in ["name", "issuer", "subject", "audiences"] {
        let given = match body.get(name) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => items.len() == 1,
            _ => false,
        };
        if !given {
            return Err(GraphError::request(format!(
                "A single value is required for property '{name}' of resource \
                 'FederatedIdentityCredential'."
            )));
        }
    }
    Ok(())
}

fn create(writer: &Writer<'_>, application: Uuid, context: &str) -> Result<Reply, GraphError> {
    let body = writer.call.object()?;
    check(&body)?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    if state.federated.of(application).count() >= MOST {
        return Err(GraphError::request(format!(
            "Federated Identity Credentials: cannot exceed {MOST} per application."
        )));
    }
    check_unique(state, application, None, &Value::Object(body.clone()))?;
    let id = state.ids.guid();
    let credential = whole(id, &body);
    state.federated.put(application, id, credential.clone());
    note(writer, state, application, Value::Null, credential.clone());
    Ok(documents::created(
        writer.call,
        &format!("{context}/$entity"),
        credential,
    ))
}

fn update(writer: &Writer<'_>, application: Uuid, key: &str) -> Result<Reply, GraphError> {
    let mut body = writer.call.object()?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let (id, held) = find(state, application, key)?;
    if body.remove("name").is_some_and(|name| name != held["name"]) {
        return Err(GraphError::request(
            "Property 'name' is immutable and cannot be changed after creation.",
        ));
    }
    documents::check(&body, MEMBERS)?;
    let mut credential = held.clone();
    for (name, value) in body {
        if !name.starts_with("@odata.") {
            credential[name] = value;
        }
    }
    check_unique(state, application, Some(id), &credential)?;
    state.federated.put(application, id, credential.clone());
    note(writer, state, application, held, credential);
    Ok(Reply::no_content())
}

/// Names, and pairs of issuer and subject, are unique within an application.
fn check_unique(
    state: &State,
    application: Uuid,
    own: Option<Uuid>,
    credential: &Value,
) -> Result<(), GraphError> {
    let taken = state
        .federated
        .of(application)
        .filter(|(id, _)| Some(**id) != own)
        .any(|(_, held)| {
            held["name"] == credential["name"]
                || (held["issuer"] == credential["issuer"]
                    && held["subject"] == credential["subject"])
        });
    if taken {
        return Err(GraphError::new(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "FederatedIdentityCredential with the same name, or issuer and subject, already exists.",
        ));
    }
    Ok(())
}

/// The directory records it as a change of the application.
fn note(writer: &Writer<'_>, state: &mut State, application: Uuid, old: Value, new: Value) {
    let object: Option<Object> = state.object(Kind::Application, application).cloned();
    if let Some(object) = object {
        let modified = vec![("FederatedIdentityCredentials".to_owned(), old, new)];
        writer.audit(state, "Update application", &object, &modified, None);
    }
}
