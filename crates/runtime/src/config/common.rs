//! The settings that every service has.
//!
//! Owns their names, defaults and types. It opens no port, and no file but those of the
//! key that calls are signed with.

use super::{ConfigError, Settings, Source};
use crate::caller::{Check, Keys, Signer};
use crate::clock::Clock;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const CALLER_KEY_FILE: &str = "REWIND_CALLER_KEY_FILE";

/// Where a certificate, its key and the trusted authority are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPaths {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authority that the other side's certificate must come from, PEM.
    /// Where it is set, a server asks every client for a certificate.
    pub ca: Option<PathBuf>,
}

impl TlsPaths {
    /// Reads `{prefix}_CERT`, `{prefix}_KEY` and `{prefix}_CA`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] where only some of them are set.
    pub fn read(settings: &Settings<'_>, prefix: &str) -> Result<Option<Self>, ConfigError> {
        let name = |part: &str| format!("{prefix}_{part}");
        let [cert, key, ca] = ["CERT", "KEY", "CA"].map(|part| settings.path(&name(part)));
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some(Self { cert, key, ca })),
            (None, None) if ca.is_none() => Ok(None),
            (None, _) => Err(ConfigError::Missing { key: name("CERT") }),
            (Some(_), None) => Err(ConfigError::Missing { key: name("KEY") }),
        }
    }
}

/// The settings that every service has.
#[derive(Debug, Clone)]
pub struct Common {
    /// `REWIND_LISTEN`: where to serve.
    pub listen: SocketAddr,
    /// `REWIND_HEALTH_LISTEN`: where health alone is answered as well, in the clear, for
    /// probes that speak no TLS; nowhere by default.
    pub health_listen: Option<SocketAddr>,
    /// `REWIND_STORE_URL`: the object store; has to be set, since a default
    /// would lose data or find none.
    pub store_url: String,
    /// `REWIND_KEYS_URL`: the object store of the tenants' wrapped data keys; the
    /// one of `REWIND_STORE_URL` where it is not set.
    pub keys_url: Option<String>,
    /// `REWIND_KEY_FILE`: the key that wraps the tenants' data keys.
    pub key_file: Option<PathBuf>,
    /// `REWIND_OLD_KEY_FILE`: the key that wrapped them before, while they are
    /// re-wrapped.
    pub old_key_file: Option<PathBuf>,
    /// `REWIND_KEY_VAULT_KEY`: the same, where it is in Azure Key Vault: its whole
    /// identifier.
    pub key_vault_key: Option<String>,
    /// `REWIND_OLD_KEY_VAULT_KEY`: the same of the key before.
    pub old_key_vault_key: Option<String>,
    /// `REWIND_CALLER_KEY_FILE`: the key by which services know one another's calls;
    /// derived from the key of `REWIND_KEY_FILE` where it is not set.
    pub caller_key_file: Option<PathBuf>,
    /// `REWIND_TLS_CERT`, `REWIND_TLS_KEY`, `REWIND_TLS_CA`.
    pub tls: Option<TlsPaths>,
    /// `REWIND_CUSTOM_CLOUDS=allow`: whether tenants may name hosts of their own.
    pub custom_clouds: bool,
    /// `REWIND_GRAPH_LIMITS`: whether Microsoft's documented quotas are kept;
    /// `documented` (the default), or `off` for a practice tenant without any.
    pub graph_limits: GraphLimits,
    /// `REWIND_REPLICAS`: how many processes of this service there are; they share
    /// what an application may do in all tenants together. 1 by default.
    pub replicas: u32,
    /// `REWIND_CREDENTIALS_DIR`: below which `file:` credentials lie.
    pub credentials_dir: Option<PathBuf>,
    /// `REWIND_GRACE`: how long calls in flight may take when stopping; 20 s.
    pub grace: Duration,
}

/// Whether Microsoft's documented quotas are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphLimits {
    /// They are.
    Documented,
    /// There are none.
    Off,
}

impl Common {
    /// Whether there is a key that wraps, and one that calls are signed with, for a
    /// service that cannot do without. One that only this machine reaches needs no
    /// signatures.
    ///
    /// # Errors
    /// [`ConfigError::Missing`].
    pub fn required_key(&self) -> Result<(), ConfigError> {
        let missing = |key: &str| ConfigError::Missing {
            key: key.to_owned(),
        };
        if self.key_file.is_none() && self.key_vault_key.is_none() {
            return Err(missing("REWIND_KEY_FILE or REWIND_KEY_VAULT_KEY"));
        }
        let signs = self.key_file.is_some() || self.caller_key_file.is_some();
        if !signs && !self.listen.ip().is_loopback() {
            return Err(missing(CALLER_KEY_FILE));
        }
        Ok(())
    }

    /// What calls are signed with: the keys of `REWIND_CALLER_KEY_FILE`, else those
    /// derived from the one that wraps and the one that wrapped before.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] where a file cannot be read or holds no key.
    pub fn caller_keys(&self) -> Result<Option<Keys>, ConfigError> {
        let load = |name: &str, path: &Option<PathBuf>| {
            let keys = path.as_deref().map(Keys::load).transpose();
            keys.map_err(|error| ConfigError::invalid(name, error))
        };
        if self.caller_key_file.is_some() {
            return load(CALLER_KEY_FILE, &self.caller_key_file);
        }
        let now = load("REWIND_KEY_FILE", &self.key_file)?;
        let before = load("REWIND_OLD_KEY_FILE", &self.old_key_file)?;
        Ok(match (now, before) {
            (Some(now), Some(before)) => Some(now.and(&before)),
            (now, _) => now,
        })
    }

    /// What calls to other services are signed by.
    ///
    /// # Errors
    /// As [`Common::caller_keys`].
    pub fn signer(&self, service: &str, clock: Arc<dyn Clock>) -> Result<Signer, ConfigError> {
        Ok(Signer::new(service, self.caller_keys()?, clock))
    }

    /// What calls have to stand, where there is a key.
    ///
    /// # Errors
    /// As [`Common::caller_keys`].
    pub fn callers(&self, clock: Arc<dyn Clock>) -> Result<Option<Check>, ConfigError> {
        Ok(self.caller_keys()?.map(|keys| Check::new(keys, clock)))
    }

    /// The settings that the vault is opened by, under their names: those of
    /// `REWIND_…` as they were read, and those of the clouds from `source`.
    pub fn vault<'a>(
        &'a self,
        source: &'a dyn Source,
    ) -> impl Fn(&str) -> Option<String> + Sync + use<'a> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        move |name| match name {
            "REWIND_STORE_URL" => Some(self.store_url.clone()),
            "REWIND_KEYS_URL" => self.keys_url.clone(),
            "REWIND_KEY_FILE" => path(&self.key_file),
            "REWIND_OLD_KEY_FILE" => path(&self.old_key_file),
            "REWIND_KEY_VAULT_KEY" => self.key_vault_key.clone(),
            "REWIND_OLD_KEY_VAULT_KEY" => self.old_key_vault_key.clone(),
            _ => source.get(name),
        }
    }

    /// Reads the shared settings; the address is the service's own default.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn read(settings: &Settings<'_>, listen: SocketAddr) -> Result<Self, ConfigError> {
        let custom_clouds = match settings.text("REWIND_CUSTOM_CLOUDS").as_deref() {
            None | Some("refuse") => false,
            Some("allow") => true,
            Some(_) => {
                return Err(ConfigError::invalid(
                    "REWIND_CUSTOM_CLOUDS",
                    "allow or refuse is expected",
                ));
            }
        };
        Ok(Self {
            listen: settings.parsed("REWIND_LISTEN")?.unwrap_or(listen),
            health_listen: settings.parsed("REWIND_HEALTH_LISTEN")?,
            store_url: settings.required("REWIND_STORE_URL")?,
            keys_url: settings.text("REWIND_KEYS_URL"),
            key_file: settings.path("REWIND_KEY_FILE"),
            old_key_file: settings.path("REWIND_OLD_KEY_FILE"),
            key_vault_key: key_vault_key(settings, "REWIND_KEY_VAULT_KEY", "REWIND_KEY_FILE")?,
            old_key_vault_key: key_vault_key(
                settings,
                "REWIND_OLD_KEY_VAULT_KEY",
                "REWIND_OLD_KEY_FILE",
            )?,
            caller_key_file: settings.path(CALLER_KEY_FILE),
            tls: TlsPaths::read(settings, "REWIND_TLS")?,
            custom_clouds,
            graph_limits: match settings.text("REWIND_GRAPH_LIMITS").as_deref() {
                None | Some("documented") => GraphLimits::Documented,
                Some("off") => GraphLimits::Off,
                Some(_) => {
                    return Err(ConfigError::invalid(
                        "REWIND_GRAPH_LIMITS",
                        "documented or off is expected",
                    ));
                }
            },
            replicas: settings.parsed("REWIND_REPLICAS")?.unwrap_or(1).max(1),
            credentials_dir: settings.path("REWIND_CREDENTIALS_DIR"),
            grace: settings
                .duration("REWIND_GRACE")?
                .unwrap_or(Duration::from_secs(20)),
        })
    }
}

/// A key in Azure Key Vault, in whose place no file may be named.
fn key_vault_key(
    settings: &Settings<'_>,
    name: &str,
    file: &str,
) -> Result<Option<String>, ConfigError> {
    let key = settings.url(name)?;
    if key.is_some() && settings.path(file).is_some() {
        return Err(ConfigError::invalid(
            name,
            format!("{file} is set, too, and one key wraps"),
        ));
    }
    Ok(key)
}
