//! The listener's side: turns HTTP into calls, applies faults, limits and common headers.
//!
//! Everything below `serve` is synchronous; only waiting and reading bodies happen here.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;

use crate::counters::path_kind;
use crate::fault::{self, FaultResponse};
use crate::http::reply::{GraphError, Reply};
use crate::http::{Call, cost, route, token};
use crate::odata;
use crate::simulator::Shared;
use crate::tenant::{Actor, Tenant};
use crate::throttle::{Draw, Refusal, Throttle};

const LARGEST_BODY: usize = 64 << 20;
const CONTENT_TYPE: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
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
    let method = parts.method.as_str().to_owned();
    let below = path.strip_prefix("/v1.0").unwrap_or(&path).to_owned();
    let wanted = fault::take(
        &mut shared.faults.lock(),
        &method,
        &odata::percent_decode(&below),
    );
    match wanted {
        Some(FaultResponse::Delay(pause)) => tokio::time::sleep(pause).await,
        Some(FaultResponse::Disconnect) => return broken(Bytes::new()),
        Some(FaultResponse::MalformedJson) => {
            let mut reply = Reply::raw(200, b"{\"value\":[{\"id\":".to_vec());
            reply.cost = 1;
            return respond(reply);
        }
        Some(FaultResponse::Status { code, retry_after }) => {
            return respond(failed(
                &shared,
                &parts.headers,
                status_error(code, retry_after),
            ));
        }
        Some(FaultResponse::DisconnectAfter) | None => {}
    }
    if path.ends_with("/oauth2/v2.0/token") {
        let base = format!("http://{host}");
        return respond(token::answer(&shared, &method, &base, &path, &body));
    }
    let call = Call {
        method,
        segments: odata::segments(&below),
        path: below,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        base: format!("http://{host}"),
    };
    let reply = if path.starts_with("/v1.0/") {
        serve(&shared, &call)
    } else {
        failed(
            &shared,
            &call.headers,
            GraphError::bad("BadRequest", format!("Invalid version: {path}")),
        )
    };
    if wanted == Some(FaultResponse::DisconnectAfter) {
        return broken(Bytes::new());
    }
    respond(reply)
}

/// Serves one outer request: authentication first, then as any inner one.
fn serve(shared: &Arc<Shared>, call: &Call) -> Reply {
    match token::session(shared, call) {
        Ok((tenant, actor)) => admitted(shared, &tenant, &actor, call),
        Err(error) => failed(shared, &call.headers, error),
    }
}

/// Serves one request of a known caller: counted, limited, answered.
pub(crate) fn admitted(shared: &Arc<Shared>, tenant: &Tenant, actor: &Actor, call: &Call) -> Reply {
    let write = cost::is_write(call);
    {
        let mut counters = shared.counters.lock();
        counters.total += 1;
        counters.writes += u64::from(write);
        let kind = format!("{} {}", call.method, path_kind(&call.segments));
        *counters.requests.entry(kind).or_default() += 1;
    }
    let units = cost::units(call);
    if *shared.throttle.read() == Throttle::Documented {
        let users = tenant.state.read().all(crate::catalog::Kind::User).len();
        let drawn = tenant.budgets.lock().draw(
            shared.clock.seconds(),
            &Draw {
                app: &actor.app.client_id,
                units,
                write,
                lane: cost::lane(call),
                users,
            },
        );
        if let Err(refusal) = drawn {
            shared.counters.lock().throttled += 1;
            let retry_after = match refusal {
                Refusal::After(seconds) => Some(format!("{}", seconds.ceil().max(1.0))),
                Refusal::Silent => None,
            };
            return failed(shared, &call.headers, GraphError::throttled(retry_after));
        }
    }
    let mut reply = match route::answer(shared, tenant, actor, call) {
        Ok(reply) => common_headers(shared, call, reply),
        Err(error) => failed(shared, &call.headers, error),
    };
    reply.cost = units;
    reply
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

fn common_headers(shared: &Shared, call: &Call, reply: Reply) -> Reply {
    let request_id = shared.ids.lock().guid().to_string();
    let client_id = call
        .header("client-request-id")
        .map_or_else(|| request_id.clone(), str::to_owned);
    reply
        .header("request-id", request_id)
        .header("client-request-id", client_id)
        .header("odata-version", "4.0".to_owned())
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

/// An answer whose body fails at once, which makes the server drop the connection.
fn broken(head: Bytes) -> Response {
    let parts = [
        Ok(head),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    let mut response = Response::new(Body::from_stream(futures::stream::iter(parts)));
    response.headers_mut().insert(
        "content-length",
        axum::http::HeaderValue::from_static("100000"),
    );
    response
}
