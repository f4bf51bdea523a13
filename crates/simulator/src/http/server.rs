//! The listener's side: turns HTTP into calls and applies faults to whole connections.
//!
//! Everything below `serve` is synchronous; only waiting and reading bodies happen here.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};

use crate::control;
use crate::counters::watch;
use crate::fault::mix::Place;
use crate::fault::{self, FaultResponse};
use crate::http::reply::{GraphError, Reply};
use crate::http::{Call, admit, token};
use crate::odata;
use crate::simulator::Shared;

const LARGEST_BODY: usize = 64 << 20;
const CONTENT_TYPE: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let host = parts
        .headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .map(str::to_owned)
        .or_else(|| parts.uri.authority().map(ToString::to_string))
        .unwrap_or_default();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return respond(Reply::raw(413, Vec::new()));
    };
    let below = path.strip_prefix("/v1.0").unwrap_or(&path).to_owned();
    let call = Call {
        method: parts.method.as_str().to_owned(),
        segments: odata::segments(&below),
        path: below,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        base: format!("http://{host}"),
    };
    if path.starts_with("/simulator/") {
        return respond(control::answer(&shared, &call, peer).await);
    }
    let is_graph = path.starts_with("/v1.0/");
    let caller = token::session(&shared, &call);
    if let (true, Ok((tenant, actor))) = (is_graph, &caller) {
        watch::arrived(&shared, tenant, actor, &call);
    }
    let place = if is_graph { Place::Alone } else { Place::Login };
    let wanted = fault(&shared, &call, place);
    let refusal = match &wanted {
        Some(FaultResponse::Delay(pause)) => {
            tokio::time::sleep(*pause).await;
            None
        }
        Some(FaultResponse::Disconnect) => return broken(Bytes::new()),
        Some(FaultResponse::MalformedJson) => {
            return respond(Reply::raw(200, b"{\"value\":[{\"id\":".to_vec()));
        }
        Some(FaultResponse::Status { code, retry_after }) => {
            Some(status_error(*code, retry_after.clone()))
        }
        _ => None,
    };
    let reply = match (refusal, &caller) {
        (Some(error), _) => failed(&shared, &call.headers, error),
        (None, _) if path.ends_with("/oauth2/v2.0/token") => {
            token::answer(&shared, &call.method, &call.base, &path, &call.body)
        }
        (None, _) if !is_graph => {
            let error = GraphError::bad("BadRequest", format!("Invalid version: {path}"));
            failed(&shared, &call.headers, error)
        }
        (None, Ok((tenant, actor))) => admit::admitted(&shared, tenant, actor, &call),
        (None, Err(error)) => failed(&shared, &call.headers, error.clone()),
    };
    if let (true, Ok((tenant, actor))) = (is_graph, &caller) {
        let mut counters = shared.counters.lock();
        counters.received += 1;
        counters.bytes += reply.body.len() as u64;
        drop(counters);
        watch::answered(&shared, tenant, actor, &call, &reply);
    }
    match wanted {
        Some(FaultResponse::DisconnectAfter) => broken(Bytes::new()),
        Some(FaultResponse::ResetInBody) => broken(half(&reply.body)),
        Some(FaultResponse::TruncatedBody) => respond(Reply {
            body: half(&reply.body),
            ..reply
        }),
        _ => respond(reply),
    }
}

fn half(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

/// The fault that a request meets: the first of the queue that applies, else one of the mix.
pub(crate) fn fault(shared: &Shared, call: &Call, place: Place) -> Option<FaultResponse> {
    let queued = {
        let mut queue = shared.faults.lock();
        if queue.is_empty() {
            None
        } else {
            fault::take(&mut queue, &call.method, &odata::percent_decode(&call.path))
        }
    };
    let fault = queued.or_else(|| {
        let mut mixer = shared.mixer.lock();
        mixer.as_mut().and_then(|mixer| mixer.roll(place))
    })?;
    *shared
        .counters
        .lock()
        .faults
        .entry(fault.name())
        .or_default() += 1;
    Some(fault)
}

/// The error answer that a status fault stands for.
pub(crate) fn status_error(code: u16, retry_after: Option<String>) -> GraphError {
    let (name, message) = match code {
        429 => ("TooManyRequests", "Too many requests."),
        401 => (
            "InvalidAuthenticationToken",
            "Access token has expired or is not yet valid.",
        ),
        403 => (
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        ),
        404 => ("Request_ResourceNotFound", "Resource does not exist."),
        409 => ("Request_MultipleObjectsWithSameKeyValue", "Conflict."),
        503 => (
            "serviceNotAvailable",
            "The service is temporarily unavailable.",
        ),
        504 => ("UnknownError", "The gateway timed out."),
        _ => ("UnknownError", "Injected fault."),
    };
    let mut error = GraphError::new(code, name, message);
    if let Some(seconds) = retry_after {
        error.headers.push(("Retry-After", seconds));
    }
    error
}

pub(crate) fn failed(shared: &Shared, headers: &axum::http::HeaderMap, error: GraphError) -> Reply {
    let request_id = shared.ids.lock().guid().to_string();
    let client_id = headers
        .get("client-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or(&request_id)
        .to_owned();
    let date = shared.clock.now().format("%Y-%m-%dT%H:%M:%S").to_string();
    error
        .into_reply(&date, &request_id, &client_id)
        .header("request-id", request_id)
        .header("client-request-id", client_id)
}

fn respond(reply: Reply) -> Response {
    let mut builder = Response::builder()
        .status(reply.status)
        .header("x-ms-resource-unit", reply.cost.to_string());
    if !reply.body.is_empty()
        && !reply
            .headers
            .iter()
            .any(|(name, _)| *name == "content-type")
    {
        builder = builder.header("content-type", CONTENT_TYPE);
    }
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder
        .body(Body::from(reply.body))
        .unwrap_or_else(|_| Response::new(Body::empty()))
}

/// An answer that breaks off after `head`, which makes the server drop the connection; with an
/// empty head nothing of it arrives.
fn broken(head: Bytes) -> Response {
    let sent = (!head.is_empty()).then_some(head);
    let end = async move {
        // Without a pause the server would drop what it has not sent yet.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    let parts: Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>> = match sent {
        Some(head) => Box::pin(stream::iter([Ok(head)]).chain(stream::once(end))),
        None => Box::pin(stream::iter([Err(
            std::io::ErrorKind::ConnectionReset.into()
        )])),
    };
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert(
        "content-length",
        axum::http::HeaderValue::from_static("100000000"),
    );
    response
}
