//! The gRPC server and the client's side of a connection.
//!
//! Owns health, reflection, keep-alive, and a stop that always ends: health
//! says NOT_SERVING, calls in flight get their grace, and what is left then is
//! ended with `UNAVAILABLE`, streams too. It knows no service by name.

mod incoming;

use crate::caller::Check;
use crate::tls::{Clients, Connector, Tls, TlsError};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::{BoxFuture, Either};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, BodyStream, Empty, StreamBody};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::ServiceExt;
use tracing::Instrument;

/// The largest message either way. Services and clients give it to their
/// generated types with `max_decoding_message_size`.
pub const MAX_MESSAGE_SIZE: usize = 64 * 1024 * 1024;

/// How long a service may take to be reached.
const REACH: Duration = Duration::from_secs(5);
/// The longest request id that is logged.
const LONGEST_ID: usize = 64;
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
    /// The address for health alone cannot be listened on.
    #[error("health cannot be served at {address}")]
    Health {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A server about to run.
#[derive(Debug)]
pub struct Server {
    routes: Routes,
    services: Vec<&'static str>,
    descriptors: Option<&'static [u8]>,
    tls: Option<Tls>,
    clients: Clients,
    callers: Option<Check>,
    http1: bool,
    health: Option<SocketAddr>,
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
            clients: Clients::Certified,
            callers: None,
            http1: false,
            health: None,
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

    /// What those who connect have to show, where TLS has an authority.
    #[must_use]
    pub fn clients(mut self, clients: Clients) -> Self {
        self.clients = clients;
        self
    }

    /// Takes calls only that somebody of the installation vouches for, where it is
    /// given.
    #[must_use]
    pub fn callers(mut self, callers: Option<Check>) -> Self {
        self.callers = callers;
        self
    }

    /// Serves HTTP/1.1 too, which browsers and most HTTP clients speak.
    #[must_use]
    pub fn http1(mut self) -> Self {
        self.http1 = true;
        self
    }

    /// Answers health at another address, too, without TLS and without anything else.
    #[must_use]
    pub fn health(mut self, address: Option<SocketAddr>) -> Self {
        self.health = address;
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
        let served = CancellationToken::new();
        let _until_the_end = served.clone().drop_guard();
        if let Some(address) = self.health {
            let bound = TcpListener::bind(address).await;
            let bound = bound.map_err(|source| ServeError::Health { address, source })?;
            tokio::spawn(health_alone(health.clone(), bound, served.child_token()));
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
        let builder = tonic::transport::Server::builder()
            .accept_http1(self.http1)
            .http2_keepalive_interval(Some(Duration::from_secs(30)));
        let protocols: &[&[u8]] = match self.http1 {
            true => &[b"h2", b"http/1.1"],
            false => &[b"h2"],
        };
        let tls = self.tls.map(|tls| tls.server(self.clients, protocols));
        let tls = tls.transpose()?;
        let end = CancellationToken::new();
        let (services, cancelled) = (self.services, stop.clone());
        let signal = async move {
            cancelled.cancelled().await;
            for service in services.into_iter().chain([""]) {
                reporter
                    .set_service_status(service, ServingStatus::NotServing)
                    .await;
            }
        };
        let service = bounded(routes.prepare(), self.callers, end.clone());
        let mut serving: BoxFuture<'_, _> = match tls {
            None => Box::pin(builder.serve_with_incoming_shutdown(
                service,
                incoming::plain(listener),
                signal,
            )),
            Some(tls) => Box::pin(builder.serve_with_incoming_shutdown(
                service,
                incoming::tls(listener, tls),
                signal,
            )),
        };
        let grace_over = async {
            stop.cancelled().await;
            tokio::time::sleep(self.grace).await;
        };
        tokio::select! {
            result = serving.as_mut() => return Ok(result?),
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

/// Answers health and nothing else, also while the service stops, since what asks must
/// hear that it does.
async fn health_alone<H: Health>(
    health: HealthServer<H>,
    listener: TcpListener,
    ended: CancellationToken,
) {
    let serving = tonic::transport::Server::builder()
        .add_service(health)
        .serve_with_incoming_shutdown(incoming::plain(listener), ended.cancelled_owned());
    if let Err(error) = serving.await {
        let error = crate::status::chain(&error);
        tracing::error!(error, "health can no longer be asked for in the clear");
    }
}

/// The routes, each call checked, and ended when the token is cancelled.
fn bounded(
    routes: Routes,
    callers: Option<Check>,
    end: CancellationToken,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    tower::service_fn(move |request: Request<Body>| {
        let (routes, end) = (routes.clone(), end.clone());
        let path = request.uri().path();
        let check = |callers: &Check| callers.verify(path, request.headers());
        if let Some(Err(error)) = callers.as_ref().map(check) {
            let refused = crate::status(&error).into_http();
            return Either::Left(std::future::ready(Ok(refused)));
        }
        let request_id = request
            .headers()
            .get("x-request-id")
            .and_then(|value| value.to_str().ok())
            .filter(|id| id.len() <= LONGEST_ID)
            .unwrap_or_default();
        let span = tracing::info_span!("rpc", method = request.uri().path(), request_id);
        let answer = async move {
            let response = tokio::select! {
                response = routes.oneshot(request) => response?,
                () = end.cancelled() => stopping().into_http(),
            };
            Ok(response.map(|body| ending(body, end)))
        };
        Either::Right(answer.instrument(span))
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
    /// The address is not valid.
    #[error("the address cannot be used")]
    Endpoint(#[from] tonic::transport::Error),
    /// No certificate can name the address.
    #[error("the host of the address has no name that a certificate could have")]
    Host,
    /// The certificate cannot be used.
    #[error("the certificate cannot be used")]
    Tls(#[from] TlsError),
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
    Ok(Way::new(url, tls)?.channel())
}

/// How a service is connected to.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    endpoint: Endpoint,
    uri: Uri,
    tls: Option<Connector>,
}

impl Way {
    /// The way to a URL.
    ///
    /// # Errors
    /// Where the address or the certificate cannot be used.
    pub(crate) fn new(url: &str, tls: Option<&Tls>) -> Result<Self, ConnectError> {
        let uri = Endpoint::from_shared(url.to_owned())?.uri().clone();
        let secure = uri.scheme_str() == Some("https");
        // Tonic would add TLS of its own: it is told of the host, and the origin says
        // what is called.
        let reached = match uri.authority() {
            Some(authority) if secure => format!("http://{authority}"),
            _ => url.to_owned(),
        };
        let endpoint = Endpoint::from_shared(reached)?
            .connect_timeout(REACH)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        if !secure {
            return Ok(Self {
                endpoint,
                uri,
                tls: None,
            });
        }
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tls = Connector::new(tls.ok_or(ConnectError::NoTls)?, host)?;
        Ok(Self {
            endpoint: endpoint.origin(uri.clone()),
            uri,
            tls: Some(tls.ok_or(ConnectError::Host)?),
        })
    }

    /// The URL.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// A connection to wherever the system finds the host.
    pub(crate) fn channel(&self) -> Channel {
        if self.tls.is_none() {
            return self.endpoint.connect_lazy();
        }
        let host = self.uri.host().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = self.uri.port_u16().unwrap_or(443);
        self.by(move || {
            let host = host.clone();
            async move { TcpStream::connect((host, port)).await }
        })
    }

    /// A connection that begins with what `reach` connects to, which is done when it is
    /// first used, and again when it breaks.
    pub(crate) fn by<F>(&self, reach: impl Fn() -> F + Clone + Send + 'static) -> Channel
    where
        F: Future<Output = io::Result<TcpStream>> + Send + 'static,
    {
        let reach = move || {
            let reached = tokio::time::timeout(REACH, reach());
            async move {
                let stream = reached.await.map_err(io::Error::from)??;
                stream.set_nodelay(true)?;
                Ok::<_, io::Error>(stream)
            }
        };
        let Some(tls) = self.tls.clone() else {
            let connector = tower::service_fn(move |_: Uri| {
                let reached = reach();
                async move { Ok::<_, io::Error>(TokioIo::new(reached.await?)) }
            });
            return self.endpoint.connect_with_connector_lazy(connector);
        };
        let connector = tower::service_fn(move |_: Uri| {
            let (reached, tls) = (reach(), tls.clone());
            async move { Ok::<_, io::Error>(TokioIo::new(tls.connect(reached.await?).await?)) }
        });
        self.endpoint.connect_with_connector_lazy(connector)
    }
}

#[cfg(test)]
mod tests;
