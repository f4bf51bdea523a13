//! Connections as they come in.
//!
//! Owns how many there are, how long one may take to say its first words, and the
//! handshake of TLS. Each connection is waited for by itself, so that a slow one holds
//! up no other.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::tls::Followed;

/// How long a handshake may take, and then the first words.
const PATIENCE: Duration = Duration::from_secs(10);
/// The bytes of the first words: those by which HTTP/2 begins, and fewer than any
/// request of HTTP/1.1 has.
const FIRST_WORDS: usize = 24;
/// How many connections there are at most; further ones wait with the system.
const MOST: usize = 8192;
/// How many connections wait to be served, at most.
const WAITING: usize = 64;
/// How long nothing is accepted where the system refuses.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections in the clear.
pub(super) fn plain(listener: TcpListener) -> impl Stream<Item = io::Result<Timely<TcpStream>>> {
    accepted(listener, |stream| Box::pin(std::future::ready(Ok(stream))))
}

/// Connections with TLS.
pub(super) fn tls(
    listener: TcpListener,
    config: Followed<ServerConfig>,
) -> impl Stream<Item = io::Result<Timely<TlsStream<TcpStream>>>> {
    accepted(listener, move |stream| {
        let config = config.newest();
        Box::pin(async move {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let done = tokio::time::timeout(PATIENCE, handshake).await;
            done.map_err(io::Error::from)?
        })
    })
}

fn accepted<T: Send + 'static>(
    listener: TcpListener,
    prepare: impl Fn(TcpStream) -> BoxFuture<'static, io::Result<T>> + Send + 'static,
) -> impl Stream<Item = io::Result<Timely<T>>> {
    let (ready, mut served) = mpsc::channel(WAITING);
    let places = Arc::new(Semaphore::new(MOST));
    tokio::spawn(async move {
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await;
                let place = place.expect("invariant: the semaphore is never closed");
                (listener.accept().await, place)
            };
            let (stream, place) = tokio::select! {
                next = next => next,
                () = ready.closed() => return,
            };
            let stream = match stream {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection broke before it was served");
                continue;
            }
            let (prepared, ready) = (prepare(stream), ready.clone());
            tokio::spawn(async move {
                match prepared.await {
                    // The server may have ended meanwhile.
                    Ok(stream) => drop(ready.send(Ok(Timely::new(stream, place))).await),
                    Err(error) => tracing::debug!(%error, "a connection is not served"),
                }
            });
        }
    });
    futures::stream::poll_fn(move |context| served.poll_recv(context))
}

/// A connection that breaks where its first words are late.
#[derive(Debug)]
pub(super) struct Timely<S> {
    stream: S,
    heard: usize,
    until: Option<Pin<Box<Sleep>>>,
    /// One of those that there are at most.
    _place: OwnedSemaphorePermit,
}

impl<S> Timely<S> {
    fn new(stream: S, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            heard: 0,
            until: Some(Box::pin(tokio::time::sleep(PATIENCE))),
            _place: place,
        }
    }
}

impl<S: Connected> Connected for Timely<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timely<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let Some(mut until) = this.until.take() else {
            return read;
        };
        this.heard += buffer.filled().len() - before;
        if this.heard >= FIRST_WORDS {
            return read;
        }
        let late = read.is_pending() && until.as_mut().poll(context).is_ready();
        this.until = Some(until);
        match late {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timely<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
