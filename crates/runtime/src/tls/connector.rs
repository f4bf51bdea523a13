//! The client's side of a connection with TLS.
//!
//! Owns the handshake, with the certificates of the day, under the name that a URL has.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Followed, Tls, TlsError};

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to whoever has the name. Clones share what is known of the files.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    config: Arc<Followed<ClientConfig>>,
    name: ServerName<'static>,
}

impl Connector {
    /// Reads the files; `host` is that of a URL, without brackets.
    ///
    /// # Errors
    /// Where a file cannot be used; `None` for a host that no certificate can name.
    pub(crate) fn new(tls: &Tls, host: &str) -> Result<Option<Self>, TlsError> {
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            config: Arc::new(tls.client()?),
            name,
        }))
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// Where the other side is not who it should be, or does not answer.
    pub(crate) async fn connect(self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let handshake = TlsConnector::from(self.config.newest()).connect(self.name, stream);
        let done = tokio::time::timeout(PATIENCE, handshake).await;
        done.map_err(io::Error::from)?
    }
}
