//! Lists and single objects: selection, filtering, paging, expansion.

use serde_json::Value;
use uuid::Uuid;

use crate::catalog::{Kind, Shown};
use crate::http::Call;
use crate::http::links::Cursor;
use crate::http::permission;
use crate::http::reply::{GraphError, Reply};
use crate::http::view::View;
use crate::odata::Query;
use crate::odata::filter::{Filter, dig};
use crate::record::{Detail, Object};
use crate::state::{State, grants};
use crate::tenant::{Actor, Tenant};

/// Resolves a path key: an id, a user principal name, or an alternate key.
pub(crate) fn resolve(state: &State, kind: Kind, key: &str) -> Result<Uuid, GraphError> {
    let missing = || missing(kind, key);
    if kind == Kind::Grant {
        let handle = grants::handle(key);
        return state
            .object(kind, handle)
            .map(|grant| grant.id)
            .ok_or_else(missing);
    }
    if let Some(alternate) = key
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        let (property, value) = alternate.split_once('=').ok_or_else(missing)?;
        return match property.to_lowercase().as_str() {
            "appid" => state.by_app_id(kind, value).ok_or_else(missing),
            "uniquename" => state
                .all(kind)
                .values()
                .find(|object| object.text("uniqueName").as_deref() == Some(value))
                .map(|object| object.id)
                .ok_or_else(missing),
            _ => Err(GraphError::bad(
                "BadRequest",
                "The key is not an alternate key.",
            )),
        };
    }
    match Uuid::parse_str(key) {
        Ok(id) => state
            .object(kind, id)
            .map(|object| object.id)
            .ok_or_else(missing),
        Err(_) if kind == Kind::User => state.user_by_upn(key).ok_or_else(missing),
        Err(_) if kind.is_directory_object() => Err(GraphError::request(format!(
            "Invalid object identifier '{key}'."
        ))),
        Err(_) => Err(missing()),
    }
}

/// The 404 that each service gives.
pub(crate) fn missing(kind: Kind, key: &str) -> GraphError {
    match kind {
        Kind::Policy => GraphError::new(
            404,
            "ResourceNotFound",
            format!("Policy '{key}' could not be found."),
        ),
        Kind::Location => GraphError::new(
            404,
            "NotFound",
            format!("1004: NamedLocation with id {key} does not exist in the directory."),
        ),
        _ => GraphError::not_found(key),
    }
}

/// # Errors
/// 400 when `$select` names a property that the type does not have.
pub(crate) fn check_select(kind: Kind, query: &Query, detail: Detail) -> Result<(), GraphError> {
    for name in query.select.iter().flatten() {
        if name == "id" || name.starts_with("extension_") || name.contains('/') {
            continue;
        }
        match kind.shape().by_name(name) {
            None => {
                return Err(GraphError::bad(
                    "BadRequest",
                    format!(
                        "Parsing OData Select and Expand failed: Could not find a property named \
                         '{name}' on type 'microsoft.graph.{}'.",
                        kind.name()
                    ),
                ));
            }
            Some(prop) if prop.shown == Shown::SingleSelected && detail == Detail::List => {
                return Err(GraphError::bad(
                    "BadRequest",
                    format!("The property '{name}' cannot be selected in a collection."),
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

pub(crate) fn check_advanced(call: &Call, query: &Query) -> Result<(), GraphError> {
    let advanced = query.filter.as_ref().is_some_and(Filter::is_advanced)
        || (query.order_by.is_some() && query.filter.is_some());
    if advanced && !(call.is_eventual() && query.count) {
        return Err(GraphError::bad(
            "Request_UnsupportedQuery",
            "Unsupported Query.",
        ));
    }
    Ok(())
}

/// # Errors
/// 400 when a list of directory objects is to show more than one relation.
fn check_expand(query: &Query) -> Result<(), GraphError> {
    if query.expand.len() > 1 {
        return Err(GraphError::bad(
            "Request_UnsupportedQuery",
            "Expanding more than one relation is not supported for directory object collections.",
        ));
    }
    Ok(())
}

pub(crate) fn passes(filter: &Filter, object: &Object) -> bool {
    filter.matches(&|path| match path.split_once('/') {
        // A cast in front of a property says nothing here.
        Some((cast, rest)) if cast.starts_with("microsoft.graph.") => object.value(rest),
        Some((name, rest)) => dig(&object.value(name), rest),
        None => object.value(path),
    })
}

/// Lists a collection.
pub(crate) fn list(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    kind: Kind,
) -> Result<Reply, GraphError> {
    permission::read(actor, kind)?;
    let query = Query::parse(&call.query)?;
    check_select(kind, &query, Detail::List)?;
    if kind.is_directory_object() {
        check_advanced(call, &query)?;
        check_expand(&query)?;
    }
    let state = tenant.state.read();
    let cursor = Cursor::of(&query)?;
    let all = state.all(kind);
    let size = query.page_size();
    let keep = |object: &&Object| {
        query
            .filter
            .as_ref()
            .is_none_or(|filter| passes(filter, object))
    };
    let (page, next): (Vec<&Object>, Option<Cursor>) = if let Some(order) = &query.order_by {
        let mut sorted: Vec<&Object> = all.values().filter(keep).collect();
        sort(&mut sorted, order);
        let from = cursor.offset();
        let page: Vec<&Object> = sorted.iter().skip(from).take(size).copied().collect();
        let end = from + page.len();
        (page, (end < sorted.len()).then_some(Cursor::Offset(end)))
    } else {
        let range = match cursor.id() {
            None => all.range(..),
            Some(id) => all.range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded)),
        };
        let mut rest = range.map(|(_, object)| object).filter(keep);
        let page: Vec<&Object> = rest.by_ref().take(size).collect();
        let more = rest.next().is_some();
        let next = page
            .last()
            .filter(|_| more)
            .map(|last| Cursor::After(last.id));
        (page, next)
    };
    let total =
        (query.count && query.skip_token.is_none()).then(|| all.values().filter(keep).count());
    let view = View {
        state: &state,
        call,
        query: &query,
        detail: Detail::List,
        typed: false,
        actor,
    };
    Ok(view.collection(kind.collection(), page.into_iter(), next, total))
}

fn sort(objects: &mut [&Object], order: &str) {
    let first = order.split(',').next().unwrap_or_default().trim();
    let (name, descending) = match first.split_once(' ') {
        Some((name, direction)) => (name, direction.trim().eq_ignore_ascii_case("desc")),
        None => (first, false),
    };
    objects.sort_by_cached_key(|object| match object.value(name) {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    });
    if descending {
        objects.reverse();
    }
}

/// `…/$count`: a bare number.
pub(crate) fn count(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    kind: Kind,
) -> Result<Reply, GraphError> {
    permission::read(actor, kind)?;
    if kind.is_directory_object() && !call.is_eventual() {
        return Err(GraphError::bad(
            "Request_BadRequest",
            "$count is not currently supported.",
        ));
    }
    let query = Query::parse(&call.query)?;
    let state = tenant.state.read();
    let number = state
        .all(kind)
        .values()
        .filter(|object| {
            query
                .filter
                .as_ref()
                .is_none_or(|filter| passes(filter, object))
        })
        .count();
    Ok(Reply::raw(200, number.to_string().into_bytes())
        .header("content-type", "text/plain".to_owned()))
}

/// One object by id or alternate key.
pub(crate) fn single(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    kind: Kind,
    key: &str,
) -> Result<Reply, GraphError> {
    permission::read(actor, kind)?;
    let query = Query::parse(&call.query)?;
    check_select(kind, &query, Detail::Single)?;
    let state = tenant.state.read();
    let id = resolve(&state, kind, key)?;
    let object = state.object(kind, id).ok_or_else(|| missing(kind, key))?;
    let view = View {
        state: &state,
        call,
        query: &query,
        detail: Detail::Single,
        typed: false,
        actor,
    };
    Ok(view.entity(kind.collection(), object))
}

/// `GET /directoryObjects/{id}`.
pub(crate) fn directory_object(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    key: &str,
) -> Result<Reply, GraphError> {
    let query = Query::parse(&call.query)?;
    let state = tenant.state.read();
    let object = Uuid::parse_str(key)
        .ok()
        .and_then(|id| state.find(id))
        .ok_or_else(|| GraphError::not_found(key))?;
    permission::read(actor, object.kind)?;
    let view = View {
        state: &state,
        call,
        query: &query,
        detail: Detail::Single,
        typed: true,
        actor,
    };
    Ok(view.entity("directoryObjects", object))
}

/// `POST /directoryObjects/getByIds`: unknown ids are simply not in the answer.
pub(crate) fn get_by_ids(tenant: &Tenant, actor: &Actor, call: &Call) -> Result<Reply, GraphError> {
    let query = Query::parse(&call.query)?;
    let body = call.object()?;
    let ids = body
        .get("ids")
        .and_then(Value::as_array)
        .ok_or_else(|| GraphError::request("Invalid value specified for property 'ids'."))?;
    if ids.len() > 1000 {
        return Err(GraphError::request("Too many ids in request (max 1000)."));
    }
    let kinds: Option<Vec<Kind>> = body.get("types").and_then(Value::as_array).map(|types| {
        types
            .iter()
            .filter_map(|name| Kind::from_cast(name.as_str()?))
            .collect()
    });
    let state = tenant.state.read();
    let found: Vec<&Object> = ids
        .iter()
        .filter_map(|id| state.find(Uuid::parse_str(id.as_str()?).ok()?))
        .filter(|object| {
            kinds
                .as_ref()
                .is_none_or(|kinds| kinds.contains(&object.kind))
        })
        .filter(|object| permission::may_read(actor, object.kind))
        .collect();
    let view = View {
        state: &state,
        call,
        query: &query,
        detail: Detail::List,
        typed: true,
        actor,
    };
    Ok(view
        .collection("directoryObjects", found.into_iter(), None, None)
        .header("location", call.base.clone()))
}
