//! `POST /$batch`: up to twenty requests in one, each answered on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::counters::ViolationKind;
use crate::counters::watch;
use crate::fault::FaultResponse;
use crate::fault::mix::Place;
use crate::http::reply::{GraphError, Reply};
use crate::http::{Call, admit, server};
use crate::odata;
use crate::record::push_pair;
use crate::simulator::Shared;
use crate::tenant::{Actor, Tenant};

const LARGEST: usize = 20;

/// Answers a batch. The order of the responses is shuffled, as nothing promises one.
pub(crate) fn answer(
    shared: &Arc<Shared>,
    tenant: &Tenant,
    actor: &Actor,
    call: &Call,
) -> Result<Reply, GraphError> {
    if call.method != "POST" {
        return Err(GraphError::method_not_allowed());
    }
    let body = call.object()?;
    let requests = body
        .get("requests")
        .and_then(Value::as_array)
        .ok_or_else(|| invalid("Invalid batch payload format."))?;
    if requests.len() > LARGEST {
        let detail = format!("{} requests", requests.len());
        watch::note(
            shared,
            tenant,
            actor,
            call,
            ViolationKind::BatchTooLarge,
            detail,
        );
        return Err(invalid(
            "Number of batch request steps exceeds the maximum value of 20.",
        ));
    }
    let mut items = Vec::new();
    let mut seen = BTreeSet::new();
    for request in requests {
        let item = Item::parse(call, request)?;
        if !seen.insert(item.id.to_lowercase()) {
            return Err(invalid("Duplicate request id in batch."));
        }
        if let Some(unknown) = item
            .depends_on
            .iter()
            .find(|id| !seen.contains(&id.to_lowercase()))
        {
            return Err(invalid(&format!("Invalid dependsOn id '{unknown}'.")));
        }
        items.push(item);
    }
    let mut outcomes: BTreeMap<String, u16> = BTreeMap::new();
    let mut responses = Vec::new();
    for item in &items {
        let blocked = item.depends_on.iter().any(|id| {
            outcomes
                .get(id)
                .is_none_or(|status| !(200..300).contains(status))
        });
        let reply = if blocked {
            server::failed(
                shared,
                &call.headers,
                GraphError::new(
                    424,
                    "FailedDependency",
                    "A request on which this one depends failed.",
                ),
            )
        } else {
            run(shared, tenant, actor, item)
        };
        outcomes.insert(item.id.clone(), reply.status);
        responses.push((item.id.as_str(), reply));
    }
    // A fixed shuffle: rotate by the batch's own size and swap ends.
    let turn = responses.len() / 3;
    responses.rotate_left(turn);
    responses.reverse();
    let mut out = b"{\"responses\":[".to_vec();
    for (at, (id, reply)) in responses.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        render(&mut out, id, reply);
    }
    out.extend_from_slice(b"]}");
    Ok(Reply::raw(200, out))
}

struct Item {
    id: String,
    call: Call,
    depends_on: Vec<String>,
    unsupported: Option<&'static str>,
}

fn invalid(message: &str) -> GraphError {
    GraphError::bad("BadRequest", message)
}

impl Item {
    fn parse(outer: &Call, request: &Value) -> Result<Self, GraphError> {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let id = text("id").ok_or_else(|| invalid("Invalid batch request id."))?;
        let method = text("method").ok_or_else(|| invalid("Invalid batch request method."))?;
        let url = text("url").ok_or_else(|| invalid("Invalid batch request url."))?;
        let mut unsupported = None;
        if url.contains("://") {
            return Err(invalid("Batch request url must be relative."));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
        let body = match request.get("body") {
            None | Some(Value::Null) => Bytes::new(),
            Some(body) => {
                if !headers.contains_key("content-type") {
                    return Err(invalid(
                        "Content-Type header is required for a batch request with a body.",
                    ));
                }
                Bytes::from(body.to_string())
            }
        };
        let url = format!("/{}", url.trim_start_matches('/'));
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        if path.starts_with("/$batch") {
            unsupported = Some("Batches cannot be nested.");
        }
        let depends_on = request
            .get("dependsOn")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect();
        Ok(Self {
            id: id.to_owned(),
            depends_on,
            unsupported,
            call: Call {
                method: method.to_uppercase(),
                segments: odata::segments(path),
                path: path.to_owned(),
                query: query.to_owned(),
                headers,
                body,
                base: outer.base.clone(),
            },
        })
    }
}

fn run(shared: &Arc<Shared>, tenant: &Tenant, actor: &Actor, item: &Item) -> Reply {
    if let Some(reason) = item.unsupported {
        return server::failed(shared, &item.call.headers, invalid(reason));
    }
    watch::arrived(shared, tenant, actor, &item.call);
    let refused = |code, retry_after| {
        server::failed(
            shared,
            &item.call.headers,
            server::status_error(code, retry_after),
        )
    };
    let reply = match server::fault(shared, &item.call, Place::InBatch) {
        Some(FaultResponse::Status { code, retry_after }) => refused(code, retry_after),
        // Inside a batch there is no connection of one's own to lose.
        Some(FaultResponse::Disconnect | FaultResponse::MalformedJson) => refused(504, None),
        Some(
            FaultResponse::DisconnectAfter
            | FaultResponse::ResetInBody
            | FaultResponse::TruncatedBody,
        ) => {
            admit::admitted(shared, tenant, actor, &item.call);
            refused(504, None)
        }
        Some(FaultResponse::Delay(_)) | None => admit::admitted(shared, tenant, actor, &item.call),
    };
    watch::answered(shared, tenant, actor, &item.call, &reply);
    reply
}

/// Writes one answer of a batch; a JSON body is copied as it is.
fn render(out: &mut Vec<u8>, id: &str, reply: &Reply) {
    let mut headers = Map::new();
    for (name, value) in &reply.headers {
        if matches!(*name, "Retry-After" | "Location" | "location")
            || name.starts_with("x-ms-throttle")
        {
            headers.insert((*name).to_owned(), value.clone().into());
        }
    }
    out.push(b'{');
    push_pair(out, "id", Value::from(id).to_string().as_bytes());
    push_pair(out, "status", reply.status.to_string().as_bytes());
    if !reply.body.is_empty() {
        headers.insert("Content-Type".into(), "application/json".into());
        if reply.body.starts_with(b"{") {
            push_pair(out, "body", &reply.body);
        } else {
            let body = serde_json::from_slice(&reply.body)
                .unwrap_or_else(|_| Value::String(STANDARD.encode(&reply.body)));
            push_pair(out, "body", body.to_string().as_bytes());
        }
    }
    push_pair(
        out,
        "headers",
        Value::Object(headers).to_string().as_bytes(),
    );
    out.push(b'}');
}
