//! What protected actions rest on.
//!
//! An action that an authentication context protects, for which no enabled policy is,
//! asks whoever uses it to sign in again without end. So no action is protected by a
//! context that is not ready, and no policy or context is taken away under one.
//!
//! Source: Microsoft Entra, "Add, test, or remove protected actions", which has the
//! policy made before the action is protected.

use std::collections::{BTreeSet, HashSet};

use graph::{DirectoryWriter, GraphError, Query};
use model::plan::{Action, Step};
use model::{Object, ObjectId, ObjectState, ObjectType, posture};
use serde_json::{Map, Value};

use crate::{fresh, relations};

/// Where a policy names the contexts that it is for.
const CONTEXTS: &str = "/conditions/applications/includeAuthenticationContextClassReferences";

/// Why nothing may be protected by a context yet; `None` where it may.
///
/// # Errors
/// The [`GraphError`] of a read.
pub(crate) async fn unready(
    directory: &dyn DirectoryWriter,
    context: &ObjectId,
) -> Result<Option<String>, GraphError> {
    let kind = ObjectType::AuthenticationContextClassReference;
    let found = fresh::object(directory, kind, context, ObjectState::Live).await?;
    let published =
        found.is_some_and(|it| it.body().get("isAvailable") == Some(&Value::Bool(true)));
    if !published {
        return Ok(Some(format!(
            "{context} is not there and published any more"
        )));
    }
    let policies = policies(directory).await?;
    let any = policies
        .iter()
        .any(|policy| is_enabled_for(policy, context.as_str()));
    Ok((!any).then(|| format!("no enabled policy is for {context} any more")))
}

/// Why a step must not be carried out on an object as it is now: it would take from a
/// protected action the last policy that stands behind it, or its context. `None` where
/// it takes nothing.
///
/// # Errors
/// The [`GraphError`] of a read.
pub(crate) async fn loses(
    directory: &dyn DirectoryWriter,
    step: &Step,
    body: &Map<String, Value>,
) -> Result<Option<String>, GraphError> {
    let lost = lost(step, body);
    if lost.is_empty() {
        return Ok(None);
    }
    let actions = match directory.protected_actions().await {
        Ok(actions) => actions,
        Err(
            error @ (GraphError::Denied { .. }
            | GraphError::NotFound { .. }
            | GraphError::BadRequest { .. }
            | GraphError::Unexpected { .. }),
        ) => {
            let lost: Vec<String> = lost.into_iter().collect();
            return Ok(Some(format!(
                "whether an action is protected by {} cannot be read, so it stays: {error}",
                lost.join(", ")
            )));
        }
        Err(error) => return Err(error),
    };
    let held = |action: &&posture::Action| {
        let context = action.context.as_deref();
        context.is_some_and(|context| lost.contains(&context.to_ascii_lowercase()))
    };
    let held: Vec<&posture::Action> = actions.iter().filter(held).collect();
    if held.is_empty() {
        return Ok(None);
    }
    let policies = match step.object.object_type {
        ObjectType::ConditionalAccessPolicy => policies(directory).await?,
        _ => Vec::new(),
    };
    let others = policies.iter().filter(|policy| policy.id != step.object.id);
    let others: Vec<&Object> = others.collect();
    let stranded = held.into_iter().find(|action| {
        let context = action.context.as_deref().unwrap_or_default();
        !others.iter().any(|policy| is_enabled_for(policy, context))
    });
    Ok(stranded.map(|action| {
        format!(
            "{} is protected by {}, behind which nothing else stands: whoever uses it would be asked without end; take the context from the action first",
            action.name,
            action.context.as_deref().unwrap_or_default()
        )
    }))
}

/// The contexts, in small letters, behind which an object stands and would not any more.
fn lost(step: &Step, body: &Map<String, Value>) -> BTreeSet<String> {
    let whole = Value::Object(body.clone());
    let written = step.call.body.as_ref();
    let sets = |name: &str| written.and_then(|body| body.get(name));
    match step.object.object_type {
        ObjectType::ConditionalAccessPolicy => {
            if whole.get("state").is_none_or(|state| state != "enabled") {
                return BTreeSet::new();
            }
            let now = contexts(&whole);
            let stays = step.action != Action::SoftDelete
                && sets("state").is_none_or(|state| state == "enabled");
            let then = match (stays, written) {
                (false, _) => BTreeSet::new(),
                (true, Some(body)) if body.get("conditions").is_some() => contexts(body),
                (true, _) => now.clone(),
            };
            now.difference(&then).cloned().collect()
        }
        ObjectType::AuthenticationContextClassReference
            if sets("isAvailable") == Some(&Value::Bool(false)) =>
        {
            BTreeSet::from([step.object.id.as_str().to_ascii_lowercase()])
        }
        _ => BTreeSet::new(),
    }
}

fn contexts(policy: &Value) -> BTreeSet<String> {
    let named = policy.pointer(CONTEXTS).and_then(Value::as_array);
    let named = named.into_iter().flatten().filter_map(Value::as_str);
    named.map(str::to_ascii_lowercase).collect()
}

async fn policies(directory: &dyn DirectoryWriter) -> Result<Vec<Object>, GraphError> {
    let list = HashSet::from([Query::Objects(ObjectType::ConditionalAccessPolicy)]);
    relations::listed(directory, &list).await
}

fn is_enabled_for(policy: &Object, context: &str) -> bool {
    let body = policy.body();
    let enabled = body.get("state").is_some_and(|state| state == "enabled");
    enabled && posture::is_for(&Value::Object(body), context)
}
