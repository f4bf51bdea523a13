//! The way of a call through the door.
//!
//! Owns the order of the checks (token, method, role, message, tenant) and the
//! passing on of the original bytes. It decodes a request only to see which
//! tenant it names, and never changes a message.

use crate::access::{Method, Table};
use crate::auth::{Caller, Tenants, Tokens};
use crate::config::Backends;
use crate::error::GatewayError;
use crate::inside;
use crate::request::{self, Passage, REQUEST_ID};
use axum::body::Body as Incoming;
use futures::StreamExt;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use prost_reflect::DynamicMessage;
use proto::v1::Backend;
use runtime::Ids;
use std::sync::Arc;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::{BoxError, ServiceExt};

/// The door.
#[derive(Debug)]
pub(crate) struct Proxy {
    access: Table,
    tokens: Tokens,
    backends: Backends,
    local: Routes,
    ids: Arc<dyn Ids>,
}

impl Proxy {
    pub(crate) fn new(
        access: Table,
        tokens: Tokens,
        backends: Backends,
        local: Routes,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self {
            access,
            tokens,
            backends,
            local,
            ids,
        }
    }

    /// Answers a gRPC call, from outside or from within this process.
    pub(crate) async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let request_id = request::request_id(request.headers(), self.ids.as_ref());
        let answer = self.answer(request, request_id.clone()).await;
        let mut response = answer.unwrap_or_else(|status| status.into_http());
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        request_id: HeaderValue,
    ) -> Result<Response<Body>, Status> {
        let caller = match inside::caller(&request) {
            Some(caller) => caller,
            None => self.authenticate(request.headers())?,
        };
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let method = self
            .access
            .get(path)
            .ok_or_else(|| Status::unimplemented("there is no such method"))?;
        if !caller.has_one_of(&method.roles) {
            return Err(GatewayError::Denied.into());
        }
        let bytes = request::arrive(body).await?;
        let message = request::message(&bytes)?;
        let tenant = authorise(method, message, &caller)?;
        if method.mutation {
            tracing::info!(
                method = path,
                caller = caller.name,
                tenant,
                request_id = request_id.to_str().unwrap_or_default(),
                "mutation passes"
            );
        }
        let passage = Passage { caller, request_id };
        let onward = || request::onward(path, &parts.headers, bytes.clone(), passage.clone());
        self.forward(method.backend, &tenant, onward).await
    }

    /// Who calls, by the token that came with the call.
    ///
    /// # Errors
    /// [`GatewayError::Unauthenticated`] where there is none that is known.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Caller>, GatewayError> {
        let value = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let (scheme, token) = value.split_once(' ').unwrap_or_default();
        let known = scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| self.tokens.authenticate(token.trim()))
            .flatten();
        known.ok_or(GatewayError::Unauthenticated)
    }

    async fn forward(
        &self,
        backend: Backend,
        tenant: &str,
        request: impl Fn() -> Request<Body>,
    ) -> Result<Response<Body>, Status> {
        let snapshotter = || self.backends.snapshotter.clone().oneshot(request());
        let restorer = || self.backends.restorer.clone().oneshot(request());
        let (peer, answer) = match backend {
            Backend::Snapshotter => ("snapshotter", snapshotter().await.map_err(BoxError::from)),
            Backend::Restorer => ("restorer", restorer().await.map_err(BoxError::from)),
            // What runs for a tenant and what is remembered of it is in one replica.
            Backend::Differ => ("differ", self.backends.differ.call(tenant, &request).await),
            Backend::Gateway | Backend::Unspecified => {
                let Ok(response) = self.local.clone().oneshot(request()).await;
                return Ok(response);
            }
        };
        passed(peer, answer)
    }
}

/// What a service behind says, also of errors, is passed on as it is.
fn passed(
    peer: &'static str,
    answer: Result<Response<Body>, BoxError>,
) -> Result<Response<Body>, Status> {
    match answer {
        Ok(response) => Ok(response.map(|body| unbroken(peer, body))),
        Err(error) if is_timeout(error.as_ref()) => Err(Status::deadline_exceeded(
            "the deadline of the call has passed",
        )),
        Err(error) => {
            tracing::warn!(
                peer,
                cause = runtime::status::chain(error.as_ref()),
                "a service cannot be reached"
            );
            Err(GatewayError::Backend(peer).into())
        }
    }
}

/// A body that ends with a status where the connection to the service breaks.
fn unbroken(peer: &'static str, body: Body) -> Body {
    if runtime::serve::is_empty(&body) {
        return body;
    }
    let frames = futures::stream::unfold(Some(BodyStream::new(body)), move |frames| async move {
        let mut frames = frames?;
        match frames.next().await? {
            Ok(frame) => Some((Ok(frame), Some(frames))),
            Err(error) if error.code() == Code::DeadlineExceeded => Some((Err(error), None)),
            Err(error) => {
                tracing::warn!(peer, cause = error.message(), "a stream broke");
                let status = GatewayError::Backend(peer).into();
                Some((runtime::serve::trailers(&status).frame().await?, None))
            }
        }
    });
    Body::new(StreamBody::new(frames))
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Checks that the caller may act for the tenant that the request names, and
/// returns it. Nothing is looked up: what exists plays no part.
fn authorise(method: &Method, message: &[u8], caller: &Caller) -> Result<String, GatewayError> {
    if method.is_for_all_tenants() && caller.tenants != Tenants::All {
        return Err(GatewayError::Denied);
    }
    if method.tenant_field.is_empty() {
        return Ok(String::new());
    }
    let request = DynamicMessage::decode(method.request.clone(), message).map_err(|_| {
        GatewayError::Malformed("the request is not the message that the method takes")
    })?;
    let tenant = proto::name::tenant_of(&method.tenant_text(&request)).ok_or_else(|| {
        GatewayError::invalid(
            method.tenant_field.join("."),
            "a tenant's GUID or a name that begins tenants/GUID is expected",
        )
    })?;
    if caller.may_see(&tenant) {
        Ok(tenant.to_string())
    } else {
        Err(GatewayError::Denied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;

    #[tokio::test]
    async fn a_stream_that_breaks_ends_with_a_status() {
        let first = Full::new(Bytes::from_static(b"x"))
            .frame()
            .await
            .expect("one")
            .expect("infallible");
        let broken = futures::stream::iter([Ok(first), Err(Status::unknown("h2 protocol error"))]);
        let whole = unbroken("differ", Body::new(StreamBody::new(broken)))
            .collect()
            .await
            .expect("no break");
        let status =
            Status::from_header_map(whole.trailers().expect("trailers")).expect("a status");
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "the differ cannot be reached")
        );
        assert_eq!(whole.to_bytes(), "x");
    }
}
