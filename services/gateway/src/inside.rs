//! Calls that pages and compatible APIs make for a caller.
//!
//! Owns the way from this process to its own door: a caller who is authenticated already
//! goes through the same checks of role and tenant as one from outside, so that nothing
//! served over HTTP can do what gRPC would refuse.

use crate::auth::Caller;
use crate::proxy::Proxy;
use axum::body::Body as Incoming;
use futures::future::BoxFuture;
use http::{Extensions, Request, Response};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;

/// Left with a call by this process alone: no header from outside becomes one.
#[derive(Debug, Clone)]
struct Authenticated(Arc<Caller>);

/// Who calls, where this process has authenticated them already.
pub(crate) fn caller(extensions: &Extensions) -> Option<Arc<Caller>> {
    let known = extensions.get::<Authenticated>()?;
    Some(Arc::clone(&known.0))
}

/// The door as clients of generated code use it, for one caller.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    door: Arc<Proxy>,
    caller: Arc<Caller>,
}

impl Inside {
    pub(crate) fn new(door: Arc<Proxy>, caller: Arc<Caller>) -> Self {
        Self { door, caller }
    }
}

impl tower::Service<Request<Body>> for Inside {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let door = Arc::clone(&self.door);
        let mut request = request.map(Incoming::new);
        request
            .extensions_mut()
            .insert(Authenticated(Arc::clone(&self.caller)));
        Box::pin(async move { Ok(door.call(request).await) })
    }
}
