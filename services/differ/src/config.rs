//! The settings of the differ.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use graph::GraphError;
use runtime::config::{Common, ConfigError, Settings, Source};
use runtime::credentials::{Credentials, Kind};
use runtime::ids::Ids;

use crate::{Connect, Error};

/// What the caches may hold together unless the settings say otherwise: 512 MiB.
const CACHE_BYTES: u64 = 512 << 20;

/// The validated settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// `REWIND_CACHE_BYTES`: what the caches may hold together.
    pub cache_bytes: u64,
}

impl Config {
    /// Reads the settings of a process of its own, which needs all of them.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn complete(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let config = Self::read(settings)?;
        config.common.required_key_file()?;
        Ok(config)
    }

    /// Reads and validates the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let common = Common::read(settings, SocketAddr::from((Ipv4Addr::LOCALHOST, 7002)))?;
        let cache_bytes = settings
            .parsed("REWIND_CACHE_BYTES")?
            .unwrap_or(CACHE_BYTES);
        settings.finish()?;
        Ok(Self {
            common,
            cache_bytes,
        })
    }
}

/// Reaches tenants through Microsoft Graph with the reader's credential.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn connect(
    common: &Common,
    source: Arc<dyn Source>,
    ids: Arc<dyn Ids>,
) -> Result<Connect, GraphError> {
    let credentials = Credentials::new(Kind::Reader, common.credentials_dir.clone(), source);
    let ids: graph::Ids = Arc::new(move || ids.uuid());
    // A person waits.
    let settings = graph::Settings {
        priority: graph::Priority::Normal,
        ..graph::Settings::new(graph::Connections::new()?, ids)
    };
    let custom_clouds = common.custom_clouds;
    Ok(Arc::new(move |record| {
        // Asked again at each use: a record may be older than the setting.
        if !custom_clouds && (record.graph_url.is_some() || record.login_url.is_some()) {
            return Err(Error::CustomCloud);
        }
        let secret = credentials
            .resolve(&record.reader.secret)
            .map_err(Error::Credential)?;
        let hosts = (record.graph_url.as_deref(), record.login_url.as_deref());
        let endpoint =
            graph::Endpoint::of(&record.id, &record.cloud, hosts, &record.reader.client_id)?;
        Ok(Arc::new(graph::GraphReader::new(
            &endpoint,
            graph::Credential::Secret(secret),
            settings.clone(),
        )))
    }))
}
