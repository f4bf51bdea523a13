//! The settings of the restorer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use graph::GraphError;
use runtime::config::{Common, ConfigError, Settings, Source};
use runtime::credentials::{Credentials, Kind};
use runtime::ids::Ids;

use crate::{Connect, Error};

/// The validated settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// `REWIND_DIFFER_URL`: where the differ is.
    pub differ_url: String,
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
        let common = Common::read(settings, SocketAddr::from((Ipv4Addr::LOCALHOST, 7003)))?;
        let differ_url =
            settings
                .url("REWIND_DIFFER_URL")?
                .ok_or_else(|| ConfigError::Missing {
                    key: "REWIND_DIFFER_URL".to_owned(),
                })?;
        settings.finish()?;
        Ok(Self { common, differ_url })
    }
}

/// Reaches tenants through Microsoft Graph with the writer's credential.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn connect(
    common: &Common,
    source: Arc<dyn Source>,
    ids: Arc<dyn Ids>,
) -> Result<Connect, GraphError> {
    let credentials = Credentials::new(Kind::Writer, common.credentials_dir.clone(), source);
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
        let writer = record.writer.as_ref().ok_or(Error::NoWriter)?;
        let secret = credentials
            .resolve(&writer.secret)
            .map_err(Error::Credential)?;
        let hosts = (record.graph_url.as_deref(), record.login_url.as_deref());
        let endpoint = graph::Endpoint::of(&record.id, &record.cloud, hosts, &writer.client_id)?;
        Ok(Arc::new(graph::GraphWriter::new(
            &endpoint,
            graph::Credential::Secret(secret),
            settings.clone(),
        )))
    }))
}
