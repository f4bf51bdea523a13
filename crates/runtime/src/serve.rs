//! The gRPC server and the client's side of a connection.
//!
//! Owns health, reflection, keep-alive, and a stop that always ends: health
//! says NOT_SERVING, calls in flight get their grace, and what is left then is
//! ended with `UNAVAILABLE`, streams too. It knows no service by name.

use crate::tls::{Tls, TlsError};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, BodyStream, Empty, StreamBody};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tower::ServiceExt;
use tracing::Instrument;

/// The largest message either way. Services and clients give it to their
/// generated types with `max_decoding_message_size`.
pub const MAX_MESSAGE_SIZE: usize = 64 * 1024 * 1024;

/// How long connections have to close once every call was ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a server could not start or ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors cannot be served.
    #[error("the descriptors cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The certificate cannot be used.
    #[error("the certificate cannot be used")]
    Tls(#[from] TlsError),
    /// The transport failed.
    #[error("the transport failed")]
    Transport(#[from] tonic::transport::Error),
}

/// A server about to run.
#[derive(Debug)]
pub struct Server {
    routes: Routes,
    services: Vec<&'static str>,
    descriptors: Option<&'static [u8]>,
    tls: Option<Tls>,
    http1: bool,
    grace: Duration,
}

impl Server {
    /// Serves the routes; the named services are those that health knows.
    #[must_use]
    pub fn new(routes: Routes, services: &[&'static str]) -> Self {
        Self {
            routes,
            services: services.to_vec(),
            descriptors: None,
            tls: None,
            http1: false,
            grace: Duration::from_secs(20),
        }
    }

    /// Serves reflection v1 from an encoded file descriptor set.
    #[must_use]
    pub fn reflection(mut self, descriptors: &'static [u8]) -> Self {
        self.descriptors = Some(descriptors);
        self
    }

    /// Serves with TLS, where it is given.
    #[must_use]
    pub fn tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// Serves HTTP/1.1 too, which browsers and most HTTP clients speak.
    #[must_use]
    pub fn http1(mut self) -> Self {
        self.http1 = true;
        self
    }

    /// How long calls in flight may take when stopping.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Serves until the token is cancelled, then drains. Returns at the latest
    /// a second after the grace has passed.
    ///
    /// # Errors
    /// Where the server cannot be built or the transport fails.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        let (reporter, health) = tonic_health::server::health_reporter();
        for service in &self.services {
            reporter
                .set_service_status(*service, ServingStatus::Serving)
                .await;
        }
        let mut routes = self.routes.add_service(health);
        if let Some(descriptors) = self.descriptors {
            let reflection = || {
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(descriptors)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            };
            // Python's client, among others, asks in the older version alone.
            let (v1, older) = (reflection().build_v1()?, reflection().build_v1alpha()?);
            routes = routes.add_service(v1).add_service(older);
        }
        let mut builder = tonic::transport::Server::builder()
            .accept_http1(self.http1)
            .http2_keepalive_interval(Some(Duration::from_secs(30)));
        if let Some(tls) = &self.tls {
            builder = builder.tls_config(tls.server()?)?;
        }
        let end = CancellationToken::new();
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let (services, cancelled) = (self.services, stop.clone());
        let signal = async move {
            cancelled.cancelled().await;
            for service in services.into_iter().chain([""]) {
                reporter
                    .set_service_status(service, ServingStatus::NotServing)
                    .await;
            }
        };
        let serving = builder.serve_with_incoming_shutdown(
            bounded(routes.prepare(), end.clone()),
            incoming,
            signal,
        );
        let mut serving = std::pin::pin!(serving);
        let grace_over = async {
            stop.cancelled().await;
            tokio::time::sleep(self.grace).await;
        };
        tokio::select! {
            result = &mut serving => return Ok(result?),
            () = grace_over => end.cancel(),
        }
        match tokio::time::timeout(LAST_WORDS, serving).await {
            Ok(result) => Ok(result?),
            Err(_) => {
                tracing::warn!("connections are left open");
                Ok(())
            }
        }
    }
}

/// The routes, each call ended when the token is cancelled.
fn bounded(
    routes: Routes,
    end: CancellationToken,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    tower::service_fn(move |request: Request<Body>| {
        let (routes, end) = (routes.clone(), end.clone());
        let request_id = request
            .headers()
            .get("x-request-id")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let span = tracing::info_span!("rpc", method = request.uri().path(), request_id);
        async move {
            let response = tokio::select! {
                response = routes.oneshot(request) => response?,
                () = end.cancelled() => stopping().into_http(),
            };
            Ok(response.map(|body| ending(body, end)))
        }
        .instrument(span)
    })
}

/// What a call that outlives the grace is told.
fn stopping() -> Status {
    Status::unavailable("the service is stopping")
}

/// Whether a body is known to hold nothing, so that its end goes out with the headers.
///
/// An answer that is only a status has to go out so: clients on gRPC's C core take a
/// status in the headers and the end behind them for a broken stream.
#[must_use]
pub fn is_empty<B: BodyExt>(body: &B) -> bool {
    body.is_end_stream()
}

/// A body that ends with a status when the token is cancelled.
fn ending(body: Body, end: CancellationToken) -> Body {
    if is_empty(&body) {
        return body;
    }
    let frames = futures::stream::unfold(Some(BodyStream::new(body)), move |frames| {
        let end = end.clone();
        async move {
            let mut frames = frames?;
            tokio::select! {
                biased;
                frame = frames.next() => Some((frame?, Some(frames))),
                () = end.cancelled() => Some((trailers(&stopping()).frame().await?, None)),
            }
        }
    });
    Body::new(StreamBody::new(frames))
}

/// A body of nothing but the trailers that carry a status: the way to end a
/// stream whose first messages are sent already.
#[must_use]
pub fn trailers(status: &Status) -> Body {
    let mut trailers = HeaderMap::new();
    // A status that no header can hold would leave the stream without an end.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
    }
    Body::new(Empty::<Bytes>::new().with_trailers(std::future::ready(Some(Ok(trailers)))))
}

/// A peer's address that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address or the certificate is not valid.
    #[error("the address cannot be used")]
    Endpoint(#[from] tonic::transport::Error),
    /// The address asks for TLS and nothing says whom to trust.
    #[error("an https address needs TLS settings")]
    NoTls,
}

/// A connection to a service, made when it is first used and made again when it
/// breaks. Must be called inside a runtime.
///
/// # Errors
/// Where the address or the certificate cannot be used.
pub fn connect(url: &str, tls: Option<&Tls>) -> Result<Channel, ConnectError> {
    Ok(endpoint(url, tls)?.connect_lazy())
}

/// How a service is connected to.
pub(crate) fn endpoint(url: &str, tls: Option<&Tls>) -> Result<Endpoint, ConnectError> {
    let mut endpoint = Endpoint::from_shared(url.to_owned())?
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    if endpoint.uri().scheme_str() == Some("https") {
        endpoint = endpoint.tls_config(tls.ok_or(ConnectError::NoTls)?.client())?;
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests;
