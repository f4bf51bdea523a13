//! What is served on the one port, by the kind of request.
//!
//! Owns the fork between gRPC, gRPC-Web and plain HTTP, the list of what is served over
//! plain HTTP, how much of that is under way at a time, and what probes are told. Of
//! plain HTTP a request is read before anybody knows whose it is, so that both its size
//! and the number of requests have a limit.

use crate::audit;
use crate::console::{self, Console};
use crate::proxy::Proxy;
use crate::request;
use axum::Router;
use axum::body::Body as Incoming;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer, ServiceExt};

/// How many requests over plain HTTP are under way at a time.
const MOST: usize = 256;
/// The largest of them.
const LARGEST: usize = 2 * 1024 * 1024;
/// The largest at the way in, where nobody is known yet.
const LARGEST_LOGIN: usize = 32 * 1024;
/// Where the way in is.
const LOGIN: &str = "/login";

/// What probes are told, without a token: whether the process lives, and whether it
/// takes calls, which it does until it is told to stop.
fn probed(path: &str, stopping: &CancellationToken) -> Option<Response<Incoming>> {
    let status = match path {
        "/healthz" => StatusCode::OK,
        "/readyz" if !stopping.is_cancelled() => StatusCode::OK,
        "/readyz" => StatusCode::SERVICE_UNAVAILABLE,
        _ => return None,
    };
    let mut answer = Response::new(Incoming::empty());
    *answer.status_mut() = status;
    Some(answer)
}

fn busy() -> Response<Incoming> {
    let mut answer = Response::new(Incoming::from("too many requests: try again later\n"));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Everything under plain HTTP.
pub(crate) fn routes(console: Arc<Console>) -> Router {
    console::router(console)
}

/// The door and what lies beside it, as a service that answers every path.
pub(crate) fn service(
    door: Arc<Proxy>,
    web: Router,
    stopping: CancellationToken,
) -> impl tower::Service<
    Request<Incoming>,
    Response = Response<Incoming>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    let places = Arc::new(Semaphore::new(MOST));
    tower::service_fn(move |request: Request<Incoming>| {
        let (door, web) = (Arc::clone(&door), web.clone());
        let (places, stopping) = (Arc::clone(&places), stopping.clone());
        let peer = audit::peer(request.extensions());
        let answer = async move {
            if request::is_grpc(request.headers()) {
                return Ok(door.call(request).await.map(Incoming::new));
            }
            if !is_grpc_web(request.headers()) {
                let path = request.uri().path();
                if let Some(answer) = probed(path, &stopping) {
                    return Ok(answer);
                }
                let largest = match path.starts_with(LOGIN) {
                    true => LARGEST_LOGIN,
                    false => LARGEST,
                };
                let Ok(_place) = places.try_acquire() else {
                    return Ok(busy());
                };
                let request = request.map(|body| request::arriving(body, largest));
                return web.oneshot(request).await;
            }
            let translated =
                GrpcWebLayer::new().layer(tower::service_fn(move |request: Request<Body>| {
                    let door = Arc::clone(&door);
                    async move { Ok::<_, Infallible>(door.call(request.map(Incoming::new)).await) }
                }));
            let answer = translated.oneshot(request).await?;
            Ok(answer.map(Incoming::new))
        };
        audit::answering(peer, answer)
    })
}

fn is_grpc_web(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc-web"))
}
