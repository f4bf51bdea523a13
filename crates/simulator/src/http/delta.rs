//! Delta queries: first rounds over the objects, later rounds over the change log.
//!
//! A round is as honest as the real one: items repeat, links come in slices, and a token says
//! nothing to anyone but this module.

mod token;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::catalog::{Kind, Relation, Shown};
use crate::clock::Clock;
use crate::http::Call;
use crate::http::links::with_options;
use crate::http::permission;
use crate::http::reads::check_select;
use crate::http::reply::{GraphError, Reply};
use crate::odata::Query;
use crate::record::{Detail, Object, push_pair};
use crate::state::State;
use crate::state::history::{DeltaExpiry, What};
use crate::tenant::{Actor, Tenant};
use token::{Token, decode, encode};

const PAGE: usize = 200;
/// Links shown on one page of a first round; a larger group appears again on the next page.
const LINKS_PER_PAGE: usize = 1000;
const LIFETIME_SECONDS: f64 = 7.0 * 24.0 * 3600.0;

struct Round<'a> {
    state: &'a State,
    kind: Kind,
    /// Selected property names; `None` for the defaults.
    properties: Option<Vec<String>>,
    relations: Vec<Relation>,
    minimal: bool,
}

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
    let token = match query.skip_token.as_ref().or(query.delta_token.as_ref()) {
        Some(token) if !token.is_empty() && token != "latest" => {
            let token = decode(token, kind)
                .ok_or_else(|| GraphError::bad("Request_BadRequest", "Badly formed token."))?;
            let old = now - token.issued > LIFETIME_SECONDS || token.epoch != state.history.epoch;
            if old {
                return Err(expired(state.history.on_expiry, &collection));
            }
            token
        }
        latest => {
            let only_a_token = latest.is_some_and(|token| token == "latest");
            start(&query, kind, &state, now, only_a_token)?
        }
    };
    let round = Round {
        state: &state,
        kind,
        minimal: call.prefers("return=minimal"),
        relations: relations(kind, token.select.as_deref()),
        properties: token.select.as_deref().map(properties),
    };
    let (items, next, token) = if token.first {
        let (items, next) = round.first_page(&token);
        (items, next, token)
    } else {
        // The end of a later round is fixed when it begins.
        let to = token.to.unwrap_or_else(|| state.history.position());
        let (items, next) = round.later_page(&token, to);
        (
            items,
            next,
            Token {
                to: Some(to),
                ..token
            },
        )
    };
    let (name, token, option) = match next {
        Some(next) => ("@odata.nextLink", next, "$skiptoken"),
        None => {
            let from = token.to.unwrap_or(token.from);
            let done = Token {
                from,
                to: None,
                after: None,
                after_link: None,
                first: false,
                ..token
            };
            ("@odata.deltaLink", done, "$deltatoken")
        }
    };
    let token = Token {
        issued: now,
        ..token
    };
    let link = with_options(&collection, &[(option.to_owned(), encode(&token))]);
    let mut out = vec![b'{'];
    let context = call.context(&format!(
        "{}{}",
        kind.collection(),
        selection(token.select.as_deref())
    ));
    push_pair(
        &mut out,
        "@odata.context",
        json!(context).to_string().as_bytes(),
    );
    push_pair(&mut out, name, json!(link).to_string().as_bytes());
    push_pair(&mut out, "value", b"[");
    out.extend_from_slice(&items.join(&b','));
    out.extend_from_slice(b"]}");
    Ok(Reply::raw(200, out))
}

fn start(
    query: &Query,
    kind: Kind,
    state: &State,
    now: f64,
    latest: bool,
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
    let position = state.history.position();
    Ok(Token {
        kind: kind.name().to_owned(),
        select: query.select.as_ref().map(|names| names.join(",")),
        ids,
        from: position,
        to: latest.then_some(position),
        after: None,
        after_link: None,
        first: !latest,
        issued: now,
        epoch: state.history.epoch,
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

impl Round<'_> {
    fn first_page(&self, token: &Token) -> (Vec<Vec<u8>>, Option<Token>) {
        let all = self.state.all(self.kind);
        let mut items = Vec::new();
        let mut links = LINKS_PER_PAGE;
        let resumed = token.after.filter(|_| token.after_link.is_some());
        let lower = match (token.after, resumed) {
            (Some(id), Some(_)) => std::ops::Bound::Included(id),
            (Some(id), None) => std::ops::Bound::Excluded(id),
            (None, _) => std::ops::Bound::Unbounded,
        };
        let mut served = token.after.filter(|_| resumed.is_none());
        for (id, object) in all.range((lower, std::ops::Bound::Unbounded)) {
            if token.ids.as_ref().is_some_and(|ids| !ids.contains(id)) {
                continue;
            }
            let stop = |after_link: Option<Uuid>| Token {
                after: if after_link.is_some() {
                    Some(*id)
                } else {
                    served
                },
                after_link,
                ..token.clone()
            };
            if items.len() == PAGE || links == 0 {
                return (items, Some(stop(None)));
            }
            let from_link = token.after_link.filter(|_| resumed == Some(*id));
            let mut out = vec![b'{'];
            self.properties(&mut out, object, None);
            let mut unfinished = None;
            for relation in &self.relations {
                // Only members are many enough to be sliced; the others come with the first slice.
                if *relation != Relation::Members && from_link.is_some() {
                    continue;
                }
                let mut rest = self.state.live_targets(*relation, *id, from_link);
                let room = if *relation == Relation::Members {
                    links
                } else {
                    usize::MAX
                };
                let slice: Vec<&Object> = rest.by_ref().take(room).collect();
                links = links.saturating_sub(slice.len());
                if !slice.is_empty() {
                    let list: Vec<Value> = slice.iter().map(|target| link_item(target)).collect();
                    push_delta(&mut out, *relation, list);
                }
                if *relation == Relation::Members && rest.next().is_some() {
                    unfinished = slice.last().map(|last| last.id).or(from_link);
                }
            }
            out.push(b'}');
            items.push(out);
            if unfinished.is_some() {
                return (items, Some(stop(unfinished)));
            }
            served = Some(*id);
        }
        (items, None)
    }

    fn later_page(&self, token: &Token, to: usize) -> (Vec<Vec<u8>>, Option<Token>) {
        let mut order: Vec<Uuid> = Vec::new();
        let mut changes: BTreeMap<Uuid, Vec<&What>> = BTreeMap::new();
        let mut reached = token.from;
        for change in self.state.history.span(token.from, to) {
            let wanted = change.kind == self.kind
                && token
                    .ids
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&change.id));
            if wanted && !changes.contains_key(&change.id) {
                if order.len() == PAGE {
                    break;
                }
                order.push(change.id);
            }
            if wanted {
                changes.entry(change.id).or_default().push(&change.what);
            }
            reached += 1;
        }
        let items = order
            .iter()
            .flat_map(|id| self.changed(*id, &changes[id]))
            .collect();
        let next = (reached < to).then(|| Token {
            from: reached,
            to: Some(to),
            ..token.clone()
        });
        // Everything up to `to` is served; the caller's delta link starts there.
        (items, next)
    }

    /// The items for one object; several when its links do not fit one.
    fn changed(&self, id: Uuid, changes: &[&What]) -> Vec<Vec<u8>> {
        let Some(object) = self.state.object(self.kind, id) else {
            let reason = if self.state.bin(self.kind).contains_key(&id) {
                "changed"
            } else {
                "deleted"
            };
            let gone = json!({ "id": self.state.wire_id(self.kind, id), "@removed": { "reason": reason } });
            return vec![gone.to_string().into_bytes()];
        };
        let created = changes.iter().any(|what| matches!(what, What::Created));
        let mut keys = BTreeSet::new();
        for what in changes {
            if let What::Changed(changed) = what {
                keys.extend(changed.iter().copied().filter(|key| self.is_selected(*key)));
            }
        }
        let mut links: Vec<(Relation, Value)> = Vec::new();
        for relation in &self.relations {
            let targets: Vec<(Uuid, bool)> = if created {
                self.state
                    .live_targets(*relation, id, None)
                    .map(|target| (target.id, true))
                    .collect()
            } else {
                self.touched(*relation, id, changes)
            };
            for (target, held) in targets {
                links.push((*relation, self.link_change(target, held)));
            }
        }
        if !created && keys.is_empty() && links.is_empty() {
            return Vec::new();
        }
        let wanted = (!created).then_some(&keys);
        let mut items = Vec::new();
        let mut chunks = links.chunks(LINKS_PER_PAGE);
        loop {
            let chunk = chunks.next();
            if chunk.is_none() && !items.is_empty() {
                return items;
            }
            let mut out = vec![b'{'];
            self.properties(&mut out, object, wanted);
            let mut by_relation: BTreeMap<Relation, Vec<Value>> = BTreeMap::new();
            for (relation, link) in chunk.unwrap_or_default() {
                by_relation.entry(*relation).or_default().push(link.clone());
            }
            for (relation, list) in by_relation {
                push_delta(&mut out, relation, list);
            }
            out.push(b'}');
            items.push(out);
        }
    }

    /// Targets whose link changed, with whether it holds now.
    fn touched(&self, relation: Relation, id: Uuid, changes: &[&What]) -> Vec<(Uuid, bool)> {
        let targets: BTreeSet<Uuid> = changes
            .iter()
            .filter_map(|what| match what {
                What::Linked { relation: held, to } | What::Unlinked { relation: held, to } => {
                    (*held == relation).then_some(*to)
                }
                _ => None,
            })
            .collect();
        targets
            .into_iter()
            .map(|target| (target, self.state.is_linked(relation, id, target)))
            .collect()
    }

    fn link_change(&self, target: Uuid, held: bool) -> Value {
        let kind = self
            .state
            .find(target)
            .or_else(|| {
                self.state
                    .find_deleted(target)
                    .map(|deleted| &deleted.object)
            })
            .map_or("directoryObject", |object| object.kind.name());
        let mut item = json!({
            "@odata.type": format!("#microsoft.graph.{kind}"),
            "id": target.to_string(),
        });
        if !held {
            item["@removed"] = json!({ "reason": "deleted" });
        }
        item
    }

    fn is_selected(&self, key: u16) -> bool {
        let prop = self.kind.shape().prop(key);
        match &self.properties {
            Some(names) => names.iter().any(|name| name == prop.name),
            None => prop.shown == Shown::Default,
        }
    }

    /// Writes the id and the set properties; changed ones also when they were cleared.
    fn properties(&self, out: &mut Vec<u8>, object: &Object, changed: Option<&BTreeSet<u16>>) {
        let shape = self.kind.shape();
        object.push_id(out);
        for (prop, key) in shape.props.iter().zip(0u16..) {
            if !self.is_selected(key) {
                continue;
            }
            let touched = changed.is_some_and(|keys| keys.contains(&key));
            if self.minimal && changed.is_some() && !touched {
                continue;
            }
            match object.record.raw(key) {
                // Public keys never travel in collections.
                Some(_) if prop.name == "keyCredentials" => {
                    object.render(out, Some(&["keyCredentials".to_owned()]), Detail::List);
                }
                Some(raw) => push_pair(out, prop.name, raw),
                None if touched || prop.unset.len() > 4 || prop.unset == "true" => {
                    push_pair(out, prop.name, prop.unset.as_bytes());
                }
                None => {}
            }
        }
    }
}

fn link_item(target: &Object) -> Value {
    json!({
        "@odata.type": format!("#microsoft.graph.{}", target.kind.name()),
        "id": target.id.to_string(),
    })
}

fn push_delta(out: &mut Vec<u8>, relation: Relation, list: Vec<Value>) {
    let name = format!("{}@delta", relation.name());
    push_pair(out, &name, Value::Array(list).to_string().as_bytes());
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

fn properties(select: &str) -> Vec<String> {
    select.split(',').map(str::to_owned).collect()
}

fn selection(select: Option<&str>) -> String {
    let properties = select.map(|names| format!("({names})")).unwrap_or_default();
    format!("{properties}/$delta")
}
