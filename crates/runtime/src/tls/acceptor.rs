//! The server's certificate, read again when its files change.
//!
//! Owns the look at the files and the settings of rustls that follow. A change that
//! cannot be used leaves what is served as it is, and is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::time::Instant;

use super::TlsError;
use crate::config::TlsPaths;

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(5);

/// What a server asks of those who connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// A certificate, where there is an authority that it has to come from.
    Certified,
    /// A certificate that counts if they have one.
    Any,
}

/// What a file was like, well enough to see that it is another.
type Stamp = Vec<Option<(SystemTime, u64)>>;

/// Gives each connection the newest certificate.
#[derive(Debug)]
pub(crate) struct Acceptor {
    paths: TlsPaths,
    clients: Clients,
    protocols: Vec<Vec<u8>>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    stamp: Stamp,
    looked: Instant,
}

impl Acceptor {
    /// Reads the files; `protocols` are offered by ALPN, the best one first.
    ///
    /// # Errors
    /// [`TlsError`] where a file cannot be read or holds nothing that serves.
    pub(crate) fn new(
        paths: TlsPaths,
        clients: Clients,
        protocols: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.to_vec()).collect();
        let current = Current {
            stamp: stamp(&paths),
            config: read(&paths, clients, &protocols)?,
            looked: Instant::now(),
        };
        Ok(Self {
            paths,
            clients,
            protocols,
            current: Mutex::new(current),
        })
    }

    /// What the next connection is served with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock();
        if current.looked.elapsed() < LOOK {
            return Arc::clone(&current.config);
        }
        current.looked = Instant::now();
        let stamp = stamp(&self.paths);
        if stamp == current.stamp {
            return Arc::clone(&current.config);
        }
        match read(&self.paths, self.clients, &self.protocols) {
            Ok(config) => {
                tracing::info!(certificate = %self.paths.cert.display(), "a new certificate is served");
                current.config = config;
                current.stamp = stamp;
            }
            // The files may be half written: they are looked at again.
            Err(error) => {
                let error = crate::status::chain(&error);
                tracing::warn!(error, "a new certificate cannot be used, the old one stays");
            }
        }
        Arc::clone(&current.config)
    }
}

fn stamp(paths: &TlsPaths) -> Stamp {
    let of = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [&paths.cert, &paths.key]
        .into_iter()
        .chain(&paths.ca)
        .map(of)
        .collect()
}

fn read(
    paths: &TlsPaths,
    clients: Clients,
    protocols: &[Vec<u8>],
) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates(&paths.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&super::read(&paths.key)?)
        .map_err(|error| unusable(&paths.key, &error))?;
    let builder = ServerConfig::builder();
    let builder = match &paths.ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(self::certificates(ca)?);
            let verifier = WebPkiClientVerifier::builder(roots.into());
            let verifier = match clients {
                Clients::Certified => verifier,
                Clients::Any => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| unusable(ca, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| unusable(&paths.cert, &error))?;
    config.alpn_protocols = protocols.to_vec();
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&super::read(path)?).collect();
    let found = found.map_err(|error| unusable(path, &error))?;
    if found.is_empty() {
        return Err(unusable(path, &"it holds no certificate"));
    }
    Ok(found)
}

/// What a parser says is told; it repeats nothing of a key.
fn unusable(path: &Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::Unusable {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests;
