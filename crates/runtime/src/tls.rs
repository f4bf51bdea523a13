//! TLS for servers and clients, from PEM files.
//!
//! Owns the choice of the one crypto provider, the reading of certificates and what
//! rustls makes of them, for as long as a process runs: files that change are read
//! again. It never makes certificates and never shows a key.

mod connector;
mod followed;
#[cfg(test)]
mod tests;

pub(crate) use connector::Connector;
pub(crate) use followed::Followed;

use crate::config::TlsPaths;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};

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

/// What a server asks of those who connect, where it has an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// A certificate that the authority signed.
    Certified,
    /// The same if they have one.
    Any,
}

/// Where a certificate, its key and those to trust are.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate and its key.
    identity: Option<[PathBuf; 2]>,
    ca: Option<PathBuf>,
}

impl Tls {
    /// Takes files that can be read.
    ///
    /// # Errors
    /// [`TlsError::Read`] where one cannot be read.
    pub fn load(paths: &TlsPaths) -> Result<Self, TlsError> {
        let tls = Self {
            identity: Some([paths.cert.clone(), paths.key.clone()]),
            ca: paths.ca.clone(),
        };
        tls.files()
            .iter()
            .try_for_each(|path| read(path).map(drop))?;
        Ok(tls)
    }

    /// For a client without a certificate of its own that trusts one authority.
    ///
    /// # Errors
    /// [`TlsError::Read`] where the file cannot be read.
    pub fn trusting(ca: &Path) -> Result<Self, TlsError> {
        read(ca)?;
        Ok(Self {
            identity: None,
            ca: Some(ca.to_owned()),
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        let identity = self.identity.iter().flatten();
        identity.chain(&self.ca).cloned().collect()
    }

    /// The server's side; it asks clients for a certificate where an authority
    /// is given. `protocols` are offered by ALPN, the best one first.
    ///
    /// # Errors
    /// [`TlsError::NoIdentity`] where there is no certificate; otherwise where one of
    /// the files cannot be used.
    pub(crate) fn server(
        &self,
        clients: Clients,
        protocols: &[&[u8]],
    ) -> Result<Followed<ServerConfig>, TlsError> {
        let identity = self.identity.clone().ok_or(TlsError::NoIdentity)?;
        let (ca, files) = (self.ca.clone(), self.files());
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.to_vec()).collect();
        Followed::new(files, move || {
            let mut config = server(&identity, ca.as_deref(), clients)?;
            config.alpn_protocols.clone_from(&protocols);
            Ok(config)
        })
    }

    /// The client's side; it shows its certificate where it has one.
    ///
    /// # Errors
    /// Where one of the files cannot be used.
    pub(crate) fn client(&self) -> Result<Followed<ClientConfig>, TlsError> {
        let tls = self.clone();
        Followed::new(self.files(), move || {
            let mut config = client(&tls)?;
            config.alpn_protocols = vec![b"h2".to_vec()];
            Ok(config)
        })
    }
}

fn server(
    identity: &[PathBuf; 2],
    ca: Option<&Path>,
    clients: Clients,
) -> Result<ServerConfig, TlsError> {
    let (certificates, key) = pair(identity)?;
    let builder = ServerConfig::builder();
    let builder = match ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder(roots(ca)?.into());
            let verifier = match clients {
                Clients::Certified => verifier,
                Clients::Any => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| unusable(ca, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(certificates, key)
        .map_err(|error| unusable(&identity[0], &error))
}

/// Without an authority a client trusts nobody.
fn client(tls: &Tls) -> Result<ClientConfig, TlsError> {
    let roots = tls.ca.as_deref().map(roots).transpose()?;
    let builder =
        ClientConfig::builder().with_root_certificates(roots.unwrap_or_else(RootCertStore::empty));
    let Some(identity) = &tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let (certificates, key) = pair(identity)?;
    builder
        .with_client_auth_cert(certificates, key)
        .map_err(|error| unusable(&identity[0], &error))
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pair([certificate, key]: &[PathBuf; 2]) -> Result<Pair, TlsError> {
    let certificates = certificates(certificate)?;
    let found = PrivateKeyDer::from_pem_slice(&read(key)?);
    Ok((certificates, found.map_err(|error| unusable(key, &error))?))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(path)?);
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
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

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}
