//! Authentication contexts, read and written. There is no `POST`: a `PATCH` makes what is absent.

use serde_json::{Value, json};

use crate::audit::Target;
use crate::catalog::Kind;
use crate::http::documents;
use crate::http::permission;
use crate::http::reply::{GraphError, Reply};
use crate::state::State;
use crate::write::Writer;

const CONTEXT: &str = "identity/conditionalAccess/authenticationContextClassReferences";
/// Contexts are `c1` to `c99`.
const LAST: u8 = 99;

/// `/identity/conditionalAccess/authenticationContextClassReferences…`.
pub(crate) fn answer(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    let call = writer.call;
    match (call.method.as_str(), raw) {
        ("GET", []) => {
            permission::read_contexts(writer.actor)?;
            let state = writer.tenant.state.read();
            let items = state
                .settings
                .contexts
                .iter()
                .map(|(number, context)| (format!("c{number:02}"), context.clone()));
            documents::collection(call, CONTEXT, items)
        }
        ("GET", [id]) => {
            permission::read_contexts(writer.actor)?;
            let number = number(id)?;
            let found = writer
                .tenant
                .state
                .read()
                .settings
                .contexts
                .get(&number)
                .cloned();
            let context = found.ok_or_else(|| missing(id))?;
            documents::entity(call, &format!("{CONTEXT}/$entity"), context)
        }
        ("PATCH", [id]) => {
            permission::write_contexts(writer.actor)?;
            put(writer, id)
        }
        ("DELETE", [id]) => {
            permission::write_contexts(writer.actor)?;
            remove(writer, id)
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// The number in a context's id.
pub(crate) fn number(id: &str) -> Result<u8, GraphError> {
    id.strip_prefix(['c', 'C'])
        .filter(|digits| !digits.starts_with('0'))
        .and_then(|digits| digits.parse().ok())
        .filter(|number| (1..=LAST).contains(number))
        .ok_or_else(|| {
            GraphError::bad(
                "BadRequest",
                format!("1040: Invalid authentication context class reference id: {id}"),
            )
        })
}

fn missing(id: &str) -> GraphError {
    GraphError::new(
        404,
        "NotFound",
        format!("AuthenticationContextClassReference '{id}' could not be found."),
    )
}

fn target(number: u8, context: &Value) -> Target {
    Target {
        service: "Conditional Access",
        category: "Policy",
        kind: "Policy",
        id: format!("c{number}"),
        name: context["displayName"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn put(writer: &Writer<'_>, id: &str) -> Result<Reply, GraphError> {
    let number = number(id)?;
    let mut body = writer.call.object()?;
    if body
        .remove("id")
        .is_some_and(|given| given != format!("c{number}"))
    {
        return Err(GraphError::request(
            "Property 'id' is read-only and cannot be set.",
        ));
    }
    documents::check(
        &body,
        &[
            ("displayName", documents::is_text),
            ("description", documents::is_text_or_null),
            ("isAvailable", documents::is_flag),
        ],
    )?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let old = state.settings.contexts.get(&number).cloned();
    let mut context = match &old {
        Some(held) => held.clone(),
        None if !body.contains_key("displayName") => {
            return Err(GraphError::bad(
                "BadRequest",
                "1041: displayName is required for a new authentication context class reference.",
            ));
        }
        None => json!({
            "id": format!("c{number}"), "displayName": null, "description": null, "isAvailable": false,
        }),
    };
    for (name, value) in body {
        if !name.starts_with("@odata.") {
            context[name] = value;
        }
    }
    state.settings.contexts.insert(number, context.clone());
    let verb = if old.is_some() { "Update" } else { "Add" };
    let modified = vec![(
        "AuthenticationContextClassReference".to_owned(),
        old.unwrap_or_default(),
        context.clone(),
    )];
    writer.audit_document(
        state,
        &format!("{verb} AuthenticationContextClassReference"),
        &target(number, &context),
        &modified,
        None,
    );
    Ok(Reply::no_content())
}

fn remove(writer: &Writer<'_>, id: &str) -> Result<Reply, GraphError> {
    let number = number(id)?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let held = state
        .settings
        .contexts
        .get(&number)
        .cloned()
        .ok_or_else(|| missing(id))?;
    if held["isAvailable"] == true || is_used(state, number) {
        return Err(GraphError::bad(
            "BadRequest",
            "1042: A published or used authentication context class reference cannot be deleted.",
        ));
    }
    state.settings.contexts.remove(&number);
    let modified = vec![(
        "AuthenticationContextClassReference".to_owned(),
        held.clone(),
        Value::Null,
    )];
    writer.audit_document(
        state,
        "Delete AuthenticationContextClassReference",
        &target(number, &held),
        &modified,
        None,
    );
    Ok(Reply::no_content())
}

fn is_used(state: &State, number: u8) -> bool {
    let id = format!("c{number}");
    let protects = state
        .settings
        .protected
        .values()
        .any(|held| *held == number);
    protects || state.all(Kind::Policy).values().any(|policy| {
        policy.value("conditions")["applications"]["includeAuthenticationContextClassReferences"]
            .as_array()
            .is_some_and(|held| held.iter().any(|held| *held == id))
    })
}
