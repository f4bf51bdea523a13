//! Connections as they come in.
//!
//! Owns how long a connection may take to say its first word, and the handshake of
//! TLS. Each connection is waited for by itself, so that a slow one holds up no other.

use std::io;
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::Followed;

/// How long a connection may take until there is a first byte, and a handshake until
/// it is done.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many connections wait to be served, at most.
const WAITING: usize = 64;
/// How long nothing is accepted where the system refuses.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections in the clear.
pub(super) fn plain(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    accepted(listener, |stream| Box::pin(first_byte(stream)))
}

/// Connections with TLS.
pub(super) fn tls(
    listener: TcpListener,
    config: Followed<ServerConfig>,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    accepted(listener, move |stream| {
        let config = config.newest();
        Box::pin(async move {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let done = tokio::time::timeout(PATIENCE, handshake).await;
            done.map_err(io::Error::from)?
        })
    })
}

async fn first_byte(stream: TcpStream) -> io::Result<TcpStream> {
    let peeked = tokio::time::timeout(PATIENCE, stream.peek(&mut [0])).await;
    peeked.map_err(io::Error::from)??;
    Ok(stream)
}

fn accepted<T: Send + 'static>(
    listener: TcpListener,
    prepare: impl Fn(TcpStream) -> BoxFuture<'static, io::Result<T>> + Send + 'static,
) -> impl Stream<Item = io::Result<T>> {
    let (ready, mut served) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted,
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
                    Ok(stream) => drop(ready.send(Ok(stream)).await),
                    Err(error) => tracing::debug!(%error, "a connection is not served"),
                }
            });
        }
    });
    futures::stream::poll_fn(move |context| served.poll_recv(context))
}
