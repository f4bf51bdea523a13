//! Delta queries: first rounds over the objects, later rounds over the change log.
//!
//! A round is as honest as the real one: items repeat, links come in slices, and a token says
//! nothing to anyone but this module.

mod item;
mod round;
mod token;
pub(crate) mod traps;

use serde_json::json;
use uuid::Uuid;

use crate::catalog::{Kind, Relation};
use crate::clock::Clock;
use crate::http::Call;
use crate::http::links::with_options;
use crate::http::permission;
use crate::http::reads::check_select;
use crate::http::reply::{GraphError, Reply};
use crate::odata::Query;
use crate::record::{Detail, push_pair};
use crate::state::State;
use crate::state::history::DeltaExpiry;
use crate::tenant::{Actor, Tenant};
use item::Item;
use round::{Page, Round};
use token::{Token, decode, encode};

const LIFETIME_SECONDS: f64 = 7.0 * 24.0 * 3600.0;

/// `GET /{collection}/delta`.
pub(crate) fn answer(
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
    kind: Kind,
    clock: &Clock,
) -> Result<Reply, GraphError> {
    permission::read(actor, kind)?;
    let query = Query::parse(&call.query)?;
    let state = tenant.state.read();
    let now = clock.seconds();
    let collection = format!("{}/v1.0/{}/delta", call.base, kind.collection());
    let age = *tenant.tokens.lock();
    let mut only_a_token = false;
    let token = match query.skip_token.as_ref().or(query.delta_token.as_ref()) {
        Some(token) if !token.is_empty() && token != "latest" => {
            let token = decode(token, kind)
                .ok_or_else(|| GraphError::bad("Request_BadRequest", "Badly formed token."))?;
            if now - token.issued > LIFETIME_SECONDS || token.epoch != age.epoch {
                return Err(expired(age.on_expiry, &collection));
            }
            token
        }
        latest => {
            // Nothing was shown with it, so it must cover what a lagging read may still miss.
            only_a_token = latest.is_some_and(|token| token == "latest");
            let position = only_a_token.then(|| tenant.state.settled_position());
            start(&query, kind, &state, age.epoch, position)?
        }
    };
    let relations = relations(kind, token.select.as_deref());
    let select = token.select.clone();
    let traps = tenant.traps.read().clone();
    let round = Round {
        state: &state,
        kind,
        item: Item::new(
            kind,
            select.as_deref(),
            &relations,
            call.prefers("return=minimal"),
        ),
        traps: &traps,
    };
    let page = if only_a_token {
        Page {
            items: Vec::new(),
            token,
            more: false,
        }
    } else {
        round.page(token)
    };
    let (name, option, mut token) = if page.more {
        ("@odata.nextLink", "$skiptoken", page.token)
    } else {
        let token = Token {
            to: None,
            after: None,
            first: false,
            page: 0,
            ..page.token
        };
        ("@odata.deltaLink", "$deltatoken", token)
    };
    token.issued = now;
    let link = with_options(&collection, &[(option.to_owned(), encode(&token))]);
    let mut out = vec![b'{'];
    let context = call.context(&format!(
        "{}{}",
        kind.collection(),
        selection(select.as_deref())
    ));
    push_pair(
        &mut out,
        "@odata.context",
        json!(context).to_string().as_bytes(),
    );
    push_pair(&mut out, name, json!(link).to_string().as_bytes());
    push_pair(&mut out, "value", b"[");
    out.extend_from_slice(&page.items.join(&b','));
    out.extend_from_slice(b"]}");
    Ok(Reply::raw(200, out))
}

fn start(
    query: &Query,
    kind: Kind,
    state: &State,
    epoch: u64,
    latest: Option<usize>,
) -> Result<Token, GraphError> {
    let unsupported = query.top.is_some() || query.order_by.is_some() || !query.expand.is_empty();
    if unsupported && matches!(kind, Kind::User | Kind::Group) {
        return Err(GraphError::bad(
            "Request_UnsupportedQuery",
            "$top, $orderby and $expand are not supported for delta queries on this resource.",
        ));
    }
    let without_relations = Query {
        select: query.select.as_ref().map(|names| {
            names
                .iter()
                .filter(|name| Relation::of(kind, name).is_none())
                .cloned()
                .collect()
        }),
        ..Query::default()
    };
    check_select(kind, &without_relations, Detail::List)?;
    let ids = match &query.filter {
        None => None,
        Some(filter) => Some(
            filter
                .ids()
                .ok_or_else(|| {
                    GraphError::bad(
                        "Request_UnsupportedQuery",
                        "Only id filters are supported for delta.",
                    )
                })?
                .iter()
                .filter_map(|id| Uuid::parse_str(id).ok())
                .collect(),
        ),
    };
    Ok(Token {
        kind: kind.name().to_owned(),
        select: query.select.as_ref().map(|names| names.join(",")),
        ids,
        from: latest.unwrap_or_else(|| state.history.position()),
        to: None,
        after: None,
        unfinished: Vec::new(),
        first: latest.is_none(),
        page: 0,
        paused: false,
        issued: 0.0,
        epoch,
    })
}

fn expired(how: DeltaExpiry, collection: &str) -> GraphError {
    match how {
        DeltaExpiry::Gone => {
            let mut error = GraphError::new(
                410,
                "resyncRequired",
                "Resync required. Replace any local items with the server's version.",
            );
            error
                .headers
                .push(("Location", format!("{collection}?$deltatoken=")));
            error
        }
        DeltaExpiry::SyncStateNotFound => GraphError::bad(
            "syncStateNotFound",
            "The sync state generation is not found; start over with a full synchronization.",
        ),
    }
}

fn relations(kind: Kind, select: Option<&str>) -> Vec<Relation> {
    match select {
        None if Relation::Members.on(kind) => vec![Relation::Members],
        None => Vec::new(),
        Some(names) => names
            .split(',')
            .filter_map(|name| Relation::of(kind, name))
            .collect(),
    }
}

fn selection(select: Option<&str>) -> String {
    let properties = select.map(|names| format!("({names})")).unwrap_or_default();
    format!("{properties}/$delta")
}
