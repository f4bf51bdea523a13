//! Small JSON documents: grants' neighbours, tenant-wide policies, assignments.
//!
//! They are shown, filtered and paged here; what they say is not this module's business.

use serde_json::{Map, Value, json};

use crate::http::Call;
use crate::http::links::{self, Cursor};
use crate::http::reply::{GraphError, Reply};
use crate::odata::Query;
use crate::odata::filter::dig;

/// The key after which the asked page starts.
pub(crate) fn after(call: &Call) -> Result<Option<String>, GraphError> {
    let cursor = Cursor::of(&Query::parse(&call.query)?)?;
    Ok(cursor.key().map(str::to_owned))
}

/// One page of keyed documents that come in order and after the page's start.
pub(crate) fn page(
    call: &Call,
    context: &str,
    items: impl Iterator<Item = (String, Value)>,
) -> Result<Reply, GraphError> {
    let query = Query::parse(&call.query)?;
    let mut rest = items.filter(|(_, item)| {
        query
            .filter
            .as_ref()
            .is_none_or(|filter| filter.matches(&|path| dig(item, path)))
    });
    let page: Vec<(String, Value)> = rest.by_ref().take(query.page_size()).collect();
    let last = page.last().map(|(key, _)| key.clone());
    let more = last.filter(|_| rest.next().is_some());
    let value: Vec<Value> = page
        .into_iter()
        .map(|(_, item)| selected(&query, item))
        .collect();
    let mut body = json!({ "@odata.context": call.context(context), "value": value });
    if let Some(key) = more {
        body["@odata.nextLink"] = links::next(call, &query, &Cursor::AfterKey(key)).into();
    }
    Ok(Reply::json(200, &body))
}

/// A page of documents that are few: sorted by key, resumed by comparing keys.
pub(crate) fn collection(
    call: &Call,
    context: &str,
    items: impl Iterator<Item = (String, Value)>,
) -> Result<Reply, GraphError> {
    let after = after(call)?;
    let rest = items.filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    page(call, context, rest)
}

/// One document.
pub(crate) fn entity(call: &Call, context: &str, document: Value) -> Result<Reply, GraphError> {
    let mut document = selected(&Query::parse(&call.query)?, document);
    document["@odata.context"] = call.context(context).into();
    Ok(Reply::json(200, &document))
}

/// A document that was just made.
pub(crate) fn created(call: &Call, context: &str, mut document: Value) -> Reply {
    document["@odata.context"] = call.context(context).into();
    Reply::json(201, &document)
}

fn selected(query: &Query, document: Value) -> Value {
    match (&query.select, document) {
        (Some(names), Value::Object(map)) => {
            let kept =
                |name: &str| name == "@odata.type" || names.iter().any(|wanted| wanted == name);
            Value::Object(map.into_iter().filter(|(name, _)| kept(name)).collect())
        }
        (_, document) => document,
    }
}

/// The members that a body may have, each with the check of its value.
pub(crate) type Allowed<'a> = &'a [(&'a str, fn(&Value) -> bool)];

/// # Errors
/// 400 when a body names anything else or a value has the wrong form.
pub(crate) fn check(body: &Map<String, Value>, allowed: Allowed<'_>) -> Result<(), GraphError> {
    for (name, value) in body {
        if name == "@odata.type" || name == "@odata.context" {
            continue;
        }
        let Some((_, fits)) = allowed.iter().find(|(known, _)| known == name) else {
            return Err(GraphError::request(format!(
                "Property '{name}' is read-only or does not exist."
            )));
        };
        if !fits(value) {
            return Err(GraphError::request(format!(
                "Invalid value specified for property '{name}'."
            )));
        }
    }
    Ok(())
}

pub(crate) fn is_text(value: &Value) -> bool {
    value.is_string()
}

pub(crate) fn is_text_or_null(value: &Value) -> bool {
    value.is_string() || value.is_null()
}

pub(crate) fn is_flag(value: &Value) -> bool {
    value.is_boolean()
}

pub(crate) fn is_flag_or_null(value: &Value) -> bool {
    value.is_boolean() || value.is_null()
}

pub(crate) fn is_number_or_null(value: &Value) -> bool {
    value.is_i64() || value.is_null()
}

pub(crate) fn is_object_or_null(value: &Value) -> bool {
    value.is_object() || value.is_null()
}

pub(crate) fn is_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string))
}

pub(crate) fn is_objects(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_object))
}
