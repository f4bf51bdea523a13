//! The recycle bins: listing, showing, and handing restores and purges to the write side.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::catalog::Kind;
use crate::http::links::{self, Cursor};
use crate::http::permission;
use crate::http::reads::{check_select, missing, passes};
use crate::http::reply::{GraphError, Reply};
use crate::http::{Call, strengths};
use crate::odata::Query;
use crate::record::{Detail, Object, Record, parse, push_pair};
use crate::state::Deleted;
use crate::tenant::{Actor, Tenant};
use crate::write::{Writer, lifecycle};

/// `/directory/deletedItems…`.
pub(crate) fn directory(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    writer: &Writer<'_>,
    raw: &[&str],
) -> Result<Reply, GraphError> {
    match (call.method.as_str(), raw) {
        ("GET", []) => Err(GraphError::bad(
            "Request_BadRequest",
            "The deleted items collection must be cast to a type, such as microsoft.graph.user.",
        )),
        ("GET", [cast]) if cast.starts_with("microsoft.graph.") => match Kind::from_cast(cast) {
            Some(kind) if kind.is_directory_object() => list(tenant, actor, call, kind),
            _ => Ok(Reply::json(
                200,
                &json!({ "@odata.context": call.context("directoryObjects"), "value": [] }),
            )),
        },
        ("GET", [key, cast @ ..]) if cast.len() < 2 => {
            let state = tenant.state.read();
            let deleted = find(&state, key)?;
            permission::read(actor, deleted.object.kind)?;
            let query = Query::parse(&call.query)?;
            match cast {
                // Without a cast the item is a directoryObject.
                [] if query.select.is_some() => {
                    return Err(GraphError::bad(
                        "Request_BadRequest",
                        "Could not find a property named in $select on type 'microsoft.graph.directoryObject'.",
                    ));
                }
                [cast] if Kind::from_cast(cast) != Some(deleted.object.kind) => {
                    return Err(GraphError::no_segment(cast));
                }
                _ => {}
            }
            let mut out = vec![b'{'];
            let context = call.context("directoryObjects/$entity");
            push_pair(
                &mut out,
                "@odata.context",
                json!(context).to_string().as_bytes(),
            );
            render(&mut out, deleted, &query, call, &state, true);
            out.push(b'}');
            Ok(Reply::raw(200, out))
        }
        ("POST", [key, "restore"]) => {
            let id = find(&tenant.state.read(), key)?.object.id;
            lifecycle::restore(writer, id)
        }
        ("DELETE", [key]) => {
            let id = find(&tenant.state.read(), key)?.object.id;
            lifecycle::purge(writer, id)
        }
        (_, [_, segment, ..]) => Err(GraphError::no_segment(segment)),
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// `/identity/conditionalAccess/deletedItems/{policies|namedLocations}…`.
pub(crate) fn conditional(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    writer: &Writer<'_>,
    kind: Kind,
    raw: &[&str],
) -> Result<Reply, GraphError> {
    let resolve = |key: &str| {
        Uuid::parse_str(key)
            .ok()
            .filter(|id| tenant.state.read().bin(kind).contains_key(id))
            .ok_or_else(|| missing(kind, key))
    };
    match (call.method.as_str(), raw) {
        ("GET", []) => list(tenant, actor, call, kind),
        ("GET", [key]) => {
            permission::read(actor, kind)?;
            let id = resolve(key)?;
            let state = tenant.state.read();
            let deleted = state.bin(kind).get(&id).ok_or_else(|| missing(kind, key))?;
            let query = Query::parse(&call.query)?;
            let mut out = vec![b'{'];
            let context = call.context(&format!("{}/$entity", bin_collection(kind)));
            push_pair(
                &mut out,
                "@odata.context",
                json!(context).to_string().as_bytes(),
            );
            render(&mut out, deleted, &query, call, &state, false);
            out.push(b'}');
            Ok(Reply::raw(200, out))
        }
        ("POST", [key, "restore"]) => lifecycle::restore(writer, resolve(key)?),
        ("DELETE", [key]) => lifecycle::purge(writer, resolve(key)?),
        (_, [_, segment, ..]) => Err(GraphError::no_segment(segment)),
        _ => Err(GraphError::method_not_allowed()),
    }
}

fn bin_collection(kind: Kind) -> &'static str {
    match kind {
        Kind::Policy => "identity/conditionalAccess/deletedItems/policies",
        Kind::Location => "identity/conditionalAccess/deletedItems/namedLocations",
        other => other.collection(),
    }
}

fn find<'s>(state: &'s crate::state::State, key: &str) -> Result<&'s Deleted, GraphError> {
    Uuid::parse_str(key)
        .ok()
        .and_then(|id| state.find_deleted(id))
        .filter(|deleted| deleted.object.kind.is_directory_object())
        .ok_or_else(|| GraphError::not_found(key))
}

fn list(tenant: &Tenant, actor: &Actor, call: &Call, kind: Kind) -> Result<Reply, GraphError> {
    permission::read(actor, kind)?;
    let query = Query::parse(&call.query)?;
    check_select(kind, &query, Detail::List)?;
    let cursor = Cursor::of(&query)?;
    let state = tenant.state.read();
    let range = match cursor.id() {
        None => state.bin(kind).range(..),
        Some(id) => state
            .bin(kind)
            .range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded)),
    };
    let mut rest = range.map(|(_, deleted)| deleted).filter(|deleted| {
        query
            .filter
            .as_ref()
            .is_none_or(|filter| passes(filter, &deleted.object))
    });
    let page: Vec<&Deleted> = rest.by_ref().take(query.page_size()).collect();
    let more = rest.next().is_some();
    let mut out = vec![b'{'];
    let context = call.context(bin_collection(kind));
    push_pair(
        &mut out,
        "@odata.context",
        json!(context).to_string().as_bytes(),
    );
    if query.count && query.skip_token.is_none() {
        push_pair(
            &mut out,
            "@odata.count",
            state.bin(kind).len().to_string().as_bytes(),
        );
    }
    if let Some(last) = page.last().filter(|_| more) {
        let link = links::next(call, &query, &Cursor::After(last.object.id));
        push_pair(
            &mut out,
            "@odata.nextLink",
            json!(link).to_string().as_bytes(),
        );
    }
    push_pair(&mut out, "value", b"[");
    for (at, deleted) in page.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'{');
        render(&mut out, deleted, &query, call, &state, false);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(Reply::raw(200, out))
}

/// The object as the bin shows it.
pub(crate) fn shown(deleted: &Deleted) -> Object {
    let object = &deleted.object;
    let mut map = object.record.to_map(object.kind);
    map.insert("deletedDateTime".into(), deleted.at.clone().into());
    let security = object.kind == Kind::Group && !object.has_item("groupTypes", "Unified");
    if security {
        // The service's own mistake: it forgets that a deleted security group was one.
        map.insert("securityEnabled".into(), Value::Bool(false));
    }
    Object {
        record: Record::from_map(object.kind, &map).0,
        ..object.clone()
    }
}

fn render(
    out: &mut Vec<u8>,
    deleted: &Deleted,
    query: &Query,
    call: &Call,
    state: &crate::state::State,
    typed: bool,
) {
    let object = shown(deleted);
    if typed {
        let name = format!("\"#microsoft.graph.{}\"", object.kind.name());
        push_pair(out, "@odata.type", name.as_bytes());
    }
    let mut plain = vec![b'{'];
    object.render(&mut plain, query.select.as_deref(), Detail::List);
    plain.push(b'}');
    let mut value = parse(&plain);
    if object.kind == Kind::Policy {
        strengths::annotate_policy(state, &call.base, object.id, &mut value);
    }
    if object.kind == Kind::User && query.select.is_none() {
        value["deletedDateTime"] = deleted.at.clone().into();
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        push_pair(out, name, member.to_string().as_bytes());
    }
}
