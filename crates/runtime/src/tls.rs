//! TLS for servers and clients, from PEM files.
//!
//! Owns the choice of the one crypto provider and the reading of certificates.
//! It never makes certificates and never shows a key.

pub(crate) mod acceptor;

pub use acceptor::Clients;

use crate::config::TlsPaths;
use acceptor::Acceptor;
use std::path::{Path, PathBuf};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Chooses aws-lc-rs for the whole process; the first thing `main` does. A
/// second call changes nothing.
pub fn install_provider() {
    // An error means that a provider is there already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path:?} cannot be used: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no certificate to serve with.
    #[error("a server needs a certificate and its key")]
    NoIdentity,
}

/// A certificate, its key and whom to trust.
#[derive(Clone)]
pub struct Tls {
    paths: Option<TlsPaths>,
    identity: Option<Identity>,
    ca: Option<Certificate>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("identity", &self.identity.is_some())
            .field("ca", &self.ca.is_some())
            .finish()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError::Read`] where one cannot be read.
    pub fn load(paths: &TlsPaths) -> Result<Self, TlsError> {
        let identity = Identity::from_pem(read(&paths.cert)?, read(&paths.key)?);
        let ca = paths
            .ca
            .as_deref()
            .map(read)
            .transpose()?
            .map(Certificate::from_pem);
        Ok(Self {
            paths: Some(paths.clone()),
            identity: Some(identity),
            ca,
        })
    }

    /// For a client without a certificate of its own that trusts one authority.
    ///
    /// # Errors
    /// [`TlsError::Read`] where the file cannot be read.
    pub fn trusting(ca: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            paths: None,
            identity: None,
            ca: Some(Certificate::from_pem(read(ca)?)),
        })
    }

    /// The server's side, which follows the files when they change; it asks clients
    /// for a certificate where an authority is given.
    ///
    /// # Errors
    /// [`TlsError::NoIdentity`] where there is no certificate; otherwise where one of
    /// the files cannot be used.
    pub(crate) fn server(
        &self,
        clients: Clients,
        protocols: &[&[u8]],
    ) -> Result<Acceptor, TlsError> {
        let paths = self.paths.clone().ok_or(TlsError::NoIdentity)?;
        Acceptor::new(paths, clients, protocols)
    }

    /// The client's side; it shows its certificate where it has one.
    #[must_use]
    pub fn client(&self) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new();
        if let Some(identity) = &self.identity {
            config = config.identity(identity.clone());
        }
        if let Some(ca) = &self.ca {
            config = config.ca_certificate(ca.clone());
        }
        config
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_and_a_key_is_never_shown() {
        let dir = tempfile::tempdir().expect("a directory");
        let paths = TlsPaths {
            cert: dir.path().join("c"),
            key: dir.path().join("k"),
            ca: None,
        };
        let error = Tls::load(&paths).expect_err("nothing there").to_string();
        assert!(
            error.starts_with("cannot read") && error.contains("/c\""),
            "{error}"
        );
        std::fs::write(&paths.cert, "cert").expect("written");
        std::fs::write(&paths.key, "hunter2").expect("written");
        let tls = Tls::load(&paths).expect("read");
        assert!(!format!("{tls:?}").contains("hunter2"));
        let error = tls.server(Clients::Any, &[]).expect_err("no certificate");
        assert!(error.to_string().contains("/c\" cannot be used"), "{error}");
    }

    #[test]
    fn a_client_alone_cannot_serve() {
        let dir = tempfile::tempdir().expect("a directory");
        let ca = dir.path().join("ca");
        std::fs::write(&ca, "ca").expect("written");
        assert!(matches!(
            Tls::trusting(&ca).expect("read").server(Clients::Any, &[]),
            Err(TlsError::NoIdentity)
        ));
    }

    #[test]
    fn the_provider_may_be_chosen_twice() {
        install_provider();
        install_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
