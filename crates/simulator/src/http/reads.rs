//! Lists and single objects: selection, filtering, paging, expansion.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::catalog::{Kind, Relation, Shown};
use crate::http::links::{self, Cursor};
use crate::http::permission;
use crate::http::reply::{GraphError, Reply};
use crate::http::{Call, singletons};
use crate::odata::filter::{Filter, dig};
use crate::odata::{Expand, Query};
use crate::record::{Detail, Object, push_pair};
use crate::state::State;
use crate::tenant::{Actor, Tenant};

/// How many linked objects `$expand` shows, without saying that there are more.
const EXPANDED: usize = 20;

/// Resolves a path key: an id, a user principal name, or an alternate key.
pub(crate) fn resolve(state: &State, kind: Kind, key: &str) -> Result<Uuid, GraphError> {
    let missing = || missing(kind, key);
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

/// Everything that rendering an answer depends on.
pub(crate) struct View<'a> {
    pub state: &'a State,
    pub call: &'a Call,
    pub query: &'a Query,
    pub detail: Detail,
    /// Whether each object says its type.
    pub typed: bool,
    pub actor: &'a Actor,
}

impl View<'_> {
    fn selection(&self) -> String {
        match &self.query.select {
            Some(names) => format!("({})", names.join(",")),
            None => String::new(),
        }
    }

    /// A whole collection answer.
    pub(crate) fn collection<'o>(
        &self,
        name: &str,
        objects: impl Iterator<Item = &'o Object>,
        next: Option<Cursor>,
        total: Option<usize>,
    ) -> Reply {
        let mut out = Vec::with_capacity(16 << 10);
        out.push(b'{');
        let context = self.call.context(&format!("{name}{}", self.selection()));
        push_pair(
            &mut out,
            "@odata.context",
            json!(context).to_string().as_bytes(),
        );
        if let Some(total) = total {
            push_pair(&mut out, "@odata.count", total.to_string().as_bytes());
        }
        if let Some(cursor) = next {
            let link = links::next(self.call, self.query, &cursor);
            push_pair(
                &mut out,
                "@odata.nextLink",
                json!(link).to_string().as_bytes(),
            );
        }
        push_pair(&mut out, "value", b"[");
        for (at, object) in objects.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.push(b'{');
            self.object(&mut out, object);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
        Reply::raw(200, out)
    }

    /// A single-object answer.
    pub(crate) fn entity(&self, name: &str, object: &Object) -> Reply {
        let mut out = Vec::with_capacity(2 << 10);
        out.push(b'{');
        let context = self
            .call
            .context(&format!("{name}{}/$entity", self.selection()));
        push_pair(
            &mut out,
            "@odata.context",
            json!(context).to_string().as_bytes(),
        );
        self.object(&mut out, object);
        out.push(b'}');
        Reply::raw(200, out)
    }

    /// The members of one object, after whatever `out` already holds.
    pub(crate) fn object(&self, out: &mut Vec<u8>, object: &Object) {
        if self.typed && object.kind != Kind::Location {
            push_pair(
                out,
                "@odata.type",
                format!("\"#microsoft.graph.{}\"", object.kind.name()).as_bytes(),
            );
        }
        if self.typed && !permission::may_read(self.actor, object.kind) {
            // The type and id of an object that the app may not read are no secret.
            push_pair(out, "id", format!("\"{}\"", object.id).as_bytes());
            return;
        }
        if object.kind == Kind::Policy {
            self.policy(out, object);
        } else {
            object.render(out, self.query.select.as_deref(), self.detail);
        }
        for expand in &self.query.expand {
            self.expansion(out, object, expand);
        }
    }

    fn policy(&self, out: &mut Vec<u8>, object: &Object) {
        let mut plain = vec![b'{'];
        object.render(&mut plain, self.query.select.as_deref(), self.detail);
        plain.push(b'}');
        let mut policy = crate::record::parse(&plain);
        singletons::annotate_policy(self.state, &self.call.base, object.id, &mut policy);
        for (name, value) in policy.as_object().into_iter().flatten() {
            push_pair(out, name, value.to_string().as_bytes());
        }
    }

    fn expansion(&self, out: &mut Vec<u8>, object: &Object, expand: &Expand) {
        let Some(relation) = Relation::of(object.kind, &expand.name) else {
            return;
        };
        let inner = Query {
            select: expand.select.clone(),
            ..Query::default()
        };
        let view = View {
            query: &inner,
            typed: true,
            ..*self
        };
        let mut targets = self.state.live_targets(relation, object.id, None);
        if relation == Relation::Manager {
            if let Some(manager) = targets.next() {
                let mut one = vec![b'{'];
                view.object(&mut one, manager);
                one.push(b'}');
                push_pair(out, "manager", &one);
            }
            return;
        }
        let mut many = vec![b'['];
        for (at, target) in targets.take(EXPANDED).enumerate() {
            if at > 0 {
                many.push(b',');
            }
            many.push(b'{');
            view.object(&mut many, target);
            many.push(b'}');
        }
        many.push(b']');
        push_pair(out, relation.name(), &many);
    }
}
