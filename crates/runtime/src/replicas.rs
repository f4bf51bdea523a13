//! A service behind one name, and which of its replicas serves whom.
//!
//! Each key has a home among the addresses of the name, the one with the highest
//! random weight: every process that asks finds the same one, and a replica that
//! goes moves only the keys that it had. A replica that comes gets a key only after
//! nobody asked for it for a while, so that running work is not parted from those who
//! watch it. A replica that cannot be reached is passed over for some seconds.
//!
//! Owns addresses and connections. The name of the URL stays the one that TLS
//! checks, whatever the addresses. A call is never repeated that may have arrived.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{BoxError, Service, ServiceExt};

use crate::caller::Signer;
use crate::serve::{ConnectError, Way};
use crate::tls::Tls;

/// How long the addresses of a name are taken for known.
const LISTED_FOR: Duration = Duration::from_secs(5);
/// How long finding the addresses may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a replica may take to be reached; less than connections may take as a
/// whole, so that what ended is known.
const REACH: Duration = Duration::from_secs(3);
/// How long a key keeps its home after it was asked for: as long as an ended job can
/// be watched.
const HOME_FOR: Duration = Duration::from_secs(15 * 60);
/// How long a replica is passed over that could not be reached.
const DOWN_FOR: Duration = Duration::from_secs(10);
/// At how many replicas a call is tried.
const ATTEMPTS: usize = 3;

/// Finds the addresses of a name.
pub type Resolve = Arc<dyn Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// A service that one or more replicas serve. Clones share what is known of them.
#[derive(Debug, Clone)]
pub struct Replicas {
    kind: Kind,
    signer: Option<Signer>,
}

#[derive(Debug, Clone)]
enum Kind {
    One(Channel),
    Many(Arc<Many>),
}

/// The one that is connected to already.
impl From<Channel> for Replicas {
    fn from(channel: Channel) -> Self {
        Kind::One(channel).into()
    }
}

impl From<Kind> for Replicas {
    fn from(kind: Kind) -> Self {
        Self { kind, signer: None }
    }
}

impl Replicas {
    /// The replicas behind a URL, to be connected to when they are first used.
    ///
    /// # Errors
    /// Where the URL or the certificate cannot be used.
    pub fn connect(url: &str, tls: Option<&Tls>) -> Result<Self, ConnectError> {
        let way = Way::new(url, tls)?;
        match place(way.uri()) {
            Some((host, port)) => Ok(Self::many(way, names(host, port))),
            None => Ok(way.channel().into()),
        }
    }

    /// The same, with addresses from elsewhere.
    ///
    /// # Errors
    /// Where the URL or the certificate cannot be used.
    pub fn resolved(url: &str, tls: Option<&Tls>, resolve: Resolve) -> Result<Self, ConnectError> {
        Ok(Self::many(Way::new(url, tls)?, resolve))
    }

    fn many(way: Way, resolve: Resolve) -> Self {
        let many = Many {
            way,
            resolve,
            known: Arc::default(),
            first: tokio::sync::Mutex::default(),
        };
        Kind::Many(Arc::new(many)).into()
    }

    /// The same, told by whom calls are made that nobody else makes. Keys are tenants.
    #[must_use]
    pub fn signed(self, signer: Signer) -> Self {
        Self {
            signer: Some(signer),
            ..self
        }
    }

    /// What a client's calls about a key are sent by.
    #[must_use]
    pub fn of(&self, key: &str) -> Served {
        Served {
            replicas: self.clone(),
            key: key.into(),
        }
    }

    /// Sends a request to the replica that serves a key. Where that cannot be
    /// connected to, another serves the key meanwhile; `request` makes the request,
    /// of which nothing was sent then, anew.
    ///
    /// # Errors
    /// Where no address is known, or the call fails.
    pub async fn call(
        &self,
        key: &str,
        request: impl Fn() -> Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        let request = || {
            let mut request = request();
            if let Some(signer) = &self.signer {
                let path = request.uri().path().to_owned();
                signer.write_service(request.headers_mut(), &path, key);
            }
            request
        };
        let many = match &self.kind {
            Kind::One(channel) => return Ok(channel.clone().oneshot(request()).await?),
            Kind::Many(many) => many,
        };
        let mut tried = BTreeSet::new();
        loop {
            let (address, channel) = many.replica(key).await?;
            let error = match channel.oneshot(request()).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if !is_unsent(&error) {
                return Err(error.into());
            }
            many.known.lock().failed(address);
            if !tried.insert(address) || tried.len() == ATTEMPTS {
                return Err(error.into());
            }
            tracing::debug!(%address, "a replica cannot be reached");
        }
    }
}

/// Sends calls about one key, for clients of generated code. Their requests are held
/// in memory until they are answered.
#[derive(Debug, Clone)]
pub struct Served {
    replicas: Replicas,
    key: Arc<str>,
}

impl Service<Request<Body>> for Served {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let served = self.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = || Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
            let answer = served.replicas.call(&served.key, request).await;
            // Not to find a service is not to reach it.
            answer.map_err(|error| match error.downcast::<io::Error>() {
                Ok(error) => Status::unavailable(error.to_string()).into(),
                Err(error) => error,
            })
        }
        .boxed()
    }
}

/// Host and port of a URL that names no single address.
fn place(uri: &Uri) -> Option<(String, u16)> {
    let host = uri.host()?;
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    let port = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    let named = literal.parse::<std::net::IpAddr>().is_err();
    named.then(|| (host.to_owned(), uri.port_u16().unwrap_or(port)))
}

/// The addresses that the system finds for a name.
fn names(host: String, port: u16) -> Resolve {
    Arc::new(move || {
        let host = host.clone();
        async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }.boxed()
    })
}

/// Whether a call failed before anything of it was sent.
fn is_unsent(error: &tonic::transport::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Replicas behind a name.
struct Many {
    way: Way,
    resolve: Resolve,
    known: Arc<Mutex<Known>>,
    /// Held while the first addresses are found.
    first: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Many {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Many")
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

impl Many {
    /// The replica that serves a key now.
    async fn replica(&self, key: &str) -> io::Result<(SocketAddr, Channel)> {
        let (resolve, known) = (Arc::clone(&self.resolve), Arc::clone(&self.known));
        if self.known.lock().addresses.is_empty() {
            let _turn = self.first.lock().await;
            if self.known.lock().addresses.is_empty() {
                find(resolve, known).await?;
            }
        } else if self.known.lock().takes_turn() {
            // Nobody waits for it: what is known serves until then.
            tokio::spawn(async move {
                if let Err(error) = find(resolve, known).await {
                    tracing::warn!(%error, "the replicas of a service are not found any more");
                }
            });
        }
        let mut known = self.known.lock();
        let address = known.choose(key).ok_or_else(nobody)?;
        let channel = known.channels.entry(address);
        let channel = channel.or_insert_with(|| connect_to(&self.way, address));
        Ok((address, channel.clone()))
    }
}

/// Finds the addresses and takes them for known.
async fn find(resolve: Resolve, known: Arc<Mutex<Known>>) -> io::Result<()> {
    let found = tokio::time::timeout(PATIENCE, resolve()).await;
    let found = found.map_err(io::Error::from)??;
    if found.is_empty() {
        return Err(nobody());
    }
    known.lock().list(found);
    Ok(())
}

fn nobody() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

/// A connection to one address, which is made when it is first used.
fn connect_to(way: &Way, address: SocketAddr) -> Channel {
    way.by(move || async move {
        let stream = tokio::time::timeout(REACH, TcpStream::connect(address));
        stream.await.map_err(io::Error::from)?
    })
}

/// What is known of the replicas behind a name.
#[derive(Debug, Default)]
struct Known {
    addresses: Vec<SocketAddr>,
    /// When somebody set out to find them last.
    asked: Option<Instant>,
    channels: HashMap<SocketAddr, Channel>,
    /// Where keys are at home, and when they were asked for last.
    homes: HashMap<String, (SocketAddr, Instant)>,
    /// Which could not be reached, and when.
    down: HashMap<SocketAddr, Instant>,
}

impl Known {
    /// Whether the caller is to find the addresses anew.
    fn takes_turn(&mut self) -> bool {
        let due = self.asked.is_none_or(|at| at.elapsed() >= LISTED_FOR);
        if due {
            self.asked = Some(Instant::now());
        }
        due
    }

    /// Takes addresses for those of the name.
    fn list(&mut self, addresses: Vec<SocketAddr>) {
        let listed = |address: &SocketAddr| addresses.contains(address);
        self.channels.retain(|address, _| listed(address));
        self.down.retain(|address, _| listed(address));
        self.homes
            .retain(|_, (address, used)| listed(address) && used.elapsed() < HOME_FOR);
        self.addresses = addresses;
        self.asked = Some(Instant::now());
    }

    /// Passes a replica over for a while, and has the addresses found anew.
    fn failed(&mut self, address: SocketAddr) {
        self.down.insert(address, Instant::now());
        self.asked = None;
    }

    /// The replica that serves a key now.
    fn choose(&mut self, key: &str) -> Option<SocketAddr> {
        let home = self.homes.get(key);
        let home = home.filter(|(_, used)| used.elapsed() < HOME_FOR);
        let home = match home {
            Some((address, _)) => *address,
            None => heaviest(key, self.addresses.iter())?,
        };
        self.homes.insert(key.to_owned(), (home, Instant::now()));
        let up = |address: &&SocketAddr| {
            let down = self.down.get(*address);
            down.is_none_or(|at| at.elapsed() >= DOWN_FOR)
        };
        if up(&&home) {
            return Some(home);
        }
        heaviest(key, self.addresses.iter().filter(up)).or(Some(home))
    }
}

/// The address with the highest weight for a key; where a name has addresses of
/// both families, a replica has one of each, and the older one serves.
fn heaviest<'a>(key: &str, addresses: impl Iterator<Item = &'a SocketAddr>) -> Option<SocketAddr> {
    let weight = |address: &&SocketAddr| {
        let hash = blake3::hash(format!("{address} {key}").as_bytes());
        (address.is_ipv4(), *hash.as_bytes())
    };
    addresses.max_by_key(weight).copied()
}

#[cfg(test)]
mod tests;
