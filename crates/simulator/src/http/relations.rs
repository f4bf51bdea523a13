//! Reading links: members, owners, managers and what points back.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use crate::catalog::{Kind, Relation};
use crate::http::Call;
use crate::http::links::Cursor;
use crate::http::permission;
use crate::http::reads::{check_advanced, passes, resolve};
use crate::http::reply::{GraphError, Reply};
use crate::http::view::View;
use crate::odata::Query;
use crate::record::{Detail, Object};
use crate::state::State;
use crate::tenant::{Actor, Tenant};

/// `GET /{collection}/{id}/{relation}[/cast][/$ref|/$count]`.
pub(crate) fn read(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    kind: Kind,
    raw: &[&str],
) -> Result<Reply, GraphError> {
    permission::read(actor, kind)?;
    let query = Query::parse(&call.query)?;
    check_advanced(call, &query)?;
    let state = tenant.state.read();
    let id = resolve(&state, kind, raw[0])?;
    let name = raw[1].to_lowercase();
    let mut tail = &raw[2..];
    let cast = match tail.first() {
        Some(first) if first.starts_with("microsoft.graph.") => {
            tail = &tail[1..];
            Some(*first)
        }
        _ => None,
    };
    let only = cast.map(Kind::from_cast);
    let form = match tail {
        [] => Form::Objects,
        ["$ref"] => Form::References,
        ["$count"] => Form::Count,
        [segment, ..] => return Err(GraphError::no_segment(segment)),
    };
    let view = View {
        state: &state,
        call,
        query: &query,
        detail: Detail::List,
        // A cast collection holds one type, so its items need not say it.
        typed: cast.is_none(),
        actor,
    };
    if kind == Kind::User && name == "manager" {
        let manager = state
            .live_targets(Relation::Manager, id, None)
            .next()
            .ok_or_else(|| GraphError::not_found("manager"))?;
        return Ok(match form {
            Form::References => Reply::json(
                200,
                &json!({
                    "@odata.context": call.context("$ref"),
                    "@odata.id": reference(call, manager),
                }),
            ),
            _ => view.entity("directoryObjects", manager),
        });
    }
    let keep = |object: &&Object| {
        only.is_none_or(|wanted| wanted == Some(object.kind))
            && query
                .filter
                .as_ref()
                .is_none_or(|filter| passes(filter, object))
    };
    let cursor = Cursor::of(&query)?;
    let size = query.page_size();
    let (page, next, total): (Vec<&Object>, _, _) = match Relation::of(kind, &name) {
        Some(relation) => {
            let mut rest = state.live_targets(relation, id, cursor.id()).filter(keep);
            let page: Vec<&Object> = rest.by_ref().take(size).collect();
            let more = rest.next().is_some();
            let next = page
                .last()
                .filter(|_| more)
                .map(|last| Cursor::After(last.id));
            let wants_total = query.count || matches!(form, Form::Count);
            let total =
                wants_total.then(|| state.live_targets(relation, id, None).filter(keep).count());
            (page, next, total)
        }
        None => {
            let found =
                derived(&state, kind, id, &name).ok_or_else(|| GraphError::no_segment(raw[1]))?;
            let found: Vec<&Object> = found.into_iter().filter(keep).collect();
            let total = Some(found.len());
            let from = cursor.offset();
            let page: Vec<&Object> = found.iter().skip(from).take(size).copied().collect();
            let end = from + page.len();
            let next = (end < found.len()).then_some(Cursor::Offset(end));
            (
                page,
                next,
                total.filter(|_| query.count || matches!(form, Form::Count)),
            )
        }
    };
    let collection = match (cast, only) {
        (Some(_), Some(Some(kind))) => kind.collection().to_owned(),
        (Some(cast), _) => format!("{}s", cast.trim_start_matches("microsoft.graph.")),
        (None, _) => "directoryObjects".to_owned(),
    };
    match form {
        Form::Objects => Ok(view.collection(&collection, page.into_iter(), next, total)),
        Form::Count => Ok(Reply::raw(200, total.unwrap_or(0).to_string().into_bytes())
            .header("content-type", "text/plain".to_owned())),
        Form::References => {
            let mut body = json!({
                "@odata.context": call.context("Collection($ref)"),
                "value": page
                    .iter()
                    .map(|object| json!({ "@odata.id": reference(call, object) }))
                    .collect::<Vec<_>>(),
            });
            if let Some(cursor) = next {
                body["@odata.nextLink"] = crate::http::links::next(call, &query, &cursor).into();
            }
            Ok(Reply::json(200, &body))
        }
    }
}

enum Form {
    Objects,
    References,
    Count,
}

fn reference(call: &Call, object: &Object) -> String {
    format!("{}/v1.0/directoryObjects/{}", call.base, object.id)
}

/// Relations that are not stored but follow from others.
fn derived<'a>(state: &'a State, kind: Kind, id: Uuid, name: &str) -> Option<Vec<&'a Object>> {
    let owned = matches!(kind, Kind::User | Kind::ServicePrincipal);
    match name {
        "memberof" if kind != Kind::Application => Some(state.sources(Relation::Members, id)),
        "transitivememberof" if kind != Kind::Application => {
            Some(closure(id, |id| state.sources(Relation::Members, id)))
        }
        "transitivemembers" if kind == Kind::Group => Some(closure(id, |id| {
            state.live_targets(Relation::Members, id, None).collect()
        })),
        "directreports" if kind == Kind::User => Some(state.sources(Relation::Manager, id)),
        "sponsorof" if kind == Kind::User => Some(state.sources(Relation::Sponsors, id)),
        "ownedobjects" if owned => Some(state.sources(Relation::Owners, id)),
        _ => None,
    }
}

fn closure<'a>(from: Uuid, next: impl Fn(Uuid) -> Vec<&'a Object>) -> Vec<&'a Object> {
    let (mut seen, mut open, mut found) = (BTreeSet::from([from]), vec![from], Vec::new());
    while let Some(id) = open.pop() {
        for object in next(id) {
            if seen.insert(object.id) {
                open.push(object.id);
                found.push(object);
            }
        }
    }
    found.sort_by_key(|object| object.id);
    found
}

/// `POST …/getMemberGroups` and `getMemberObjects`: ids of all groups, nested ones included.
pub(crate) fn member_groups(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    kind: Kind,
    key: &str,
) -> Result<Reply, GraphError> {
    permission::read(actor, kind)?;
    let body = call.object()?;
    let security_only = body.get("securityEnabledOnly") == Some(&json!(true));
    let state = tenant.state.read();
    let id = resolve(&state, kind, key)?;
    let only_groups = call
        .segments
        .last()
        .is_some_and(|action| action.eq_ignore_ascii_case("getMemberGroups"));
    let groups: Vec<String> = closure(id, |id| state.sources(Relation::Members, id))
        .into_iter()
        .filter(|holder| !only_groups || holder.kind == Kind::Group)
        .filter(|group| !security_only || group.flag("securityEnabled"))
        .map(|group| group.id.to_string())
        .collect();
    Ok(Reply::json(
        200,
        &json!({ "@odata.context": call.context("Collection(Edm.String)"), "value": groups }),
    )
    .header("location", call.base.clone()))
}
