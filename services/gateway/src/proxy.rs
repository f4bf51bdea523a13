//! The way of a call through the door.
//!
//! Owns the order of the checks (token, limits, method, role, message, tenant) and the
//! passing on of the original bytes, again where nothing was answered and nothing
//! changes. It decodes a request only to see which
//! tenant it names, and never changes a message.

use crate::access::{Method, Table};
use crate::audit::{Attempt, Audit};
use crate::auth::{Authenticator, Caller, Tenants};
use crate::circuit::Circuit;
use crate::config::Backends;
use crate::deadline;
use crate::error::GatewayError;
use crate::inside;
use crate::limits::{Limits, Turnstile};
use crate::request::{self, Passage, REQUEST_ID};
use axum::body::Body as Incoming;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use prost_reflect::DynamicMessage;
use proto::v1::Backend;
use runtime::Ids;
use runtime::caller::Signer;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::{BoxError, ServiceExt};

/// How long to wait before a call is passed on again that changes nothing and that
/// nobody answered.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// The door.
#[derive(Debug)]
pub(crate) struct Proxy {
    access: Table,
    callers: Authenticator,
    limits: Limits,
    turnstile: Turnstile,
    signer: Signer,
    backends: Backends,
    snapshotter: Circuit,
    differ: Circuit,
    restorer: Circuit,
    local: Routes,
    ids: Arc<dyn Ids>,
    audit: Audit,
}

impl Proxy {
    pub(crate) fn new(
        access: Table,
        callers: Authenticator,
        (limits, signer): (Limits, Signer),
        (backends, local): (Backends, Routes),
        ids: Arc<dyn Ids>,
        audit: Audit,
    ) -> Self {
        Self {
            access,
            callers,
            turnstile: Turnstile::new(&limits),
            limits,
            signer,
            backends,
            snapshotter: Circuit::default(),
            differ: Circuit::default(),
            restorer: Circuit::default(),
            local,
            ids,
            audit,
        }
    }

    /// Answers a gRPC call, from outside or from within this process.
    pub(crate) async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let request_id = request::request_id(request.headers(), self.ids.as_ref());
        let mut attempt = self.audit.attempt(&request, &request_id);
        let id = request_id.clone();
        let answer = self.answer(request, id, &mut attempt).await;
        let mut response = self.audit.answered(attempt, answer).await;
        response.headers_mut().insert(REQUEST_ID, request_id);
        response
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        request_id: HeaderValue,
        attempt: &mut Attempt,
    ) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let whole = match inside::caller(&parts.extensions) {
            Some(caller) => caller,
            None => self.who(&parts).await?,
        };
        let path = parts.uri.path();
        let method = self.access.get(path);
        let lane = self.turnstile.lane(method);
        let turns = lane.caller(&whole.name)?;
        attempt.by(&whole, path, method);
        let method = method.ok_or_else(|| Status::unimplemented("there is no such method"))?;
        let Some(caller) = whole.within(&method.roles) else {
            attempt.about_unread(method, body).await;
            return Err(GatewayError::Denied.into());
        };
        let bytes = request::arrive(body).await?;
        let message = request::message(&bytes)?;
        attempt.about(method, message);
        let tenant = authorise(method, message, &caller)?;
        // Whoever reads much keeps nobody from a change.
        let turn = match method.mutation {
            true => None,
            false => lane.tenant(&tenant)?,
        };
        self.audit.admit(attempt).await?;
        if method.mutation {
            tracing::info!(
                method = path,
                caller = caller.name,
                tenant,
                request_id = request_id.to_str().unwrap_or_default(),
                "mutation passes"
            );
        }
        let passage = Passage {
            caller,
            whole,
            request_id,
            signer: self.signer.clone(),
        };
        // A stream goes on for as long as its work, unless the caller says otherwise.
        let most = self.limits.deadline;
        let until = (!method.streams).then(|| deadline::of(&parts.headers, most));
        let named = (tenant.as_str(), until);
        let onward =
            || request::onward(path, &parts.headers, bytes.clone(), named, passage.clone());
        let answer = self.forward(method, &tenant, onward);
        let answer = match until {
            Some(until) => tokio::time::timeout(until, answer)
                .await
                .map_err(|_| late())?,
            None => answer.await,
        }?;
        // The call is under way until its answer is told or given up.
        let turns = (turns, turn);
        Ok(answer.map(|body| {
            let told = body.map_frame(move |frame| {
                let _under_way = &turns;
                frame
            });
            Body::new(told)
        }))
    }

    /// Who calls, by a bearer token where there is one, else by the certificate of the
    /// connection.
    async fn who(&self, parts: &http::request::Parts) -> Result<Arc<Caller>, GatewayError> {
        if !parts.headers.contains_key(http::header::AUTHORIZATION)
            && let Some(caller) = self.callers.certified(&parts.extensions)
        {
            return Ok(caller);
        }
        self.callers.authenticate(&parts.headers).await
    }

    /// Who calls, by the token that came with the call.
    ///
    /// # Errors
    /// [`GatewayError::Unauthenticated`] where there is none that counts; where that
    /// cannot be told.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
    ) -> Result<Arc<Caller>, GatewayError> {
        let known = self.callers.authenticate(headers).await;
        if let Err(error) = &known {
            self.audit.unknown_caller(error);
        }
        known
    }

    async fn forward(
        &self,
        method: &Method,
        tenant: &str,
        request: impl Fn() -> Request<Body>,
    ) -> Result<Response<Body>, Status> {
        let (peer, circuit) = match method.backend {
            Backend::Snapshotter => ("snapshotter", &self.snapshotter),
            Backend::Restorer => ("restorer", &self.restorer),
            Backend::Differ => ("differ", &self.differ),
            Backend::Gateway | Backend::Unspecified => {
                let Ok(response) = self.local.clone().oneshot(request()).await;
                return Ok(response);
            }
        };
        let mut pauses = match method.mutation {
            true => [].iter(),
            false => PAUSES.iter(),
        };
        // However often it is tried, it is one call.
        let attempt = circuit.begin().ok_or(GatewayError::Backend(peer))?;
        loop {
            let answer = self.send(method.backend, tenant, &request).await;
            match &answer {
                Ok(_) => attempt.answered(),
                Err(error) if is_timeout(error.as_ref()) => drop(attempt),
                Err(_) => {
                    if let Some(pause) = pauses.next() {
                        tokio::time::sleep(*pause).await;
                        continue;
                    }
                    attempt.failed();
                }
            }
            return passed(peer, answer);
        }
    }

    async fn send(
        &self,
        backend: Backend,
        tenant: &str,
        request: &impl Fn() -> Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        // What runs for a tenant and what is remembered of it is in one replica.
        let replicas = match backend {
            Backend::Differ => &self.backends.differ,
            Backend::Restorer => &self.backends.restorer,
            _ => &self.backends.snapshotter,
        };
        replicas.call(tenant, request).await
    }
}

fn late() -> Status {
    Status::deadline_exceeded("the deadline of the call has passed")
}

/// What a service behind says, also of errors, is passed on as it is.
fn passed(
    peer: &'static str,
    answer: Result<Response<Body>, BoxError>,
) -> Result<Response<Body>, Status> {
    match answer {
        Ok(response) => Ok(response.map(|body| unbroken(peer, body))),
        Err(error) if is_timeout(error.as_ref()) => Err(late()),
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
