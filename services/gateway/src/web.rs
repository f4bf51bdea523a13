//! What is served on the one port, by the kind of request.
//!
//! Owns the fork between gRPC, gRPC-Web and plain HTTP, and the list of what is served
//! over plain HTTP.

use crate::console::{self, Console};
use crate::proxy::Proxy;
use crate::request;
use axum::Router;
use axum::body::Body as Incoming;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response};
use std::convert::Infallible;
use std::sync::Arc;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer, ServiceExt};

/// Everything under plain HTTP.
pub(crate) fn routes(console: Arc<Console>) -> Router {
    console::router(console)
}

/// The door and what lies beside it, as a service that answers every path.
pub(crate) fn service(
    door: Arc<Proxy>,
    web: Router,
) -> impl tower::Service<
    Request<Incoming>,
    Response = Response<Incoming>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |request: Request<Incoming>| {
        let (door, web) = (Arc::clone(&door), web.clone());
        async move {
            if request::is_grpc(request.headers()) {
                return Ok(door.call(request).await.map(Incoming::new));
            }
            if !is_grpc_web(request.headers()) {
                return web.oneshot(request.map(request::arriving)).await;
            }
            let translated =
                GrpcWebLayer::new().layer(tower::service_fn(move |request: Request<Body>| {
                    let door = Arc::clone(&door);
                    async move { Ok::<_, Infallible>(door.call(request.map(Incoming::new)).await) }
                }));
            let answer = translated.oneshot(request).await?;
            Ok(answer.map(Incoming::new))
        }
    })
}

fn is_grpc_web(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc-web"))
}
