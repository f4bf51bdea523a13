//! The settings of the restorer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use graph::GraphError;
use runtime::clock::{Clock, SystemClock};
use runtime::config::{Common, ConfigError, GraphLimits, Settings, Source};
use runtime::credentials::{Credentials, Installed, Kind};
use runtime::ids::Ids;

use crate::{Connect, Error};

/// The validated settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// What the restorer signs in with where a tenant's registration leaves it
    /// open.
    pub installed: Installed,
    /// `REWIND_DIFFER_URL`: where the differ is.
    pub differ_url: String,
    /// `REWIND_READER_CLIENT_ID`: so that no plan takes away the access of the
    /// application that reads; its credential is none of the restorer's business.
    pub reader_client_id: Option<String>,
}

impl Config {
    /// Reads the settings of a process of its own, which needs all of them.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn complete(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let config = Self::read(settings)?;
        config.common.required_key()?;
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
        let installed = Installed::read(settings, Kind::Writer)?;
        let reader_client_id = settings.text("REWIND_READER_CLIENT_ID");
        settings.finish()?;
        Ok(Self {
            common,
            installed,
            differ_url,
            reader_client_id,
        })
    }
}

/// Reaches tenants through Microsoft Graph with the writer's credential.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn connect(
    config: &Config,
    source: Arc<dyn Source>,
    ids: Arc<dyn Ids>,
) -> Result<Connect, GraphError> {
    let credentials = Credentials::new(
        Kind::Writer,
        config.common.credentials_dir.clone(),
        config.installed.clone(),
        source,
    );
    let ids: graph::Ids = Arc::new(move || ids.uuid());
    // Shared by all calls, so that a tenant's token is fetched once.
    let now: graph::Now = Arc::new(|| SystemClock.now());
    let logins = graph::Logins::new(Arc::clone(&now), Arc::clone(&ids));
    // A person waits.
    let settings = graph::Settings {
        priority: graph::Priority::Normal,
        role: graph::Role::Restorer,
        // At a seventh of a second for each request, four times what the write quota takes.
        in_flight: 16,
        replicas: config.common.replicas,
        limits: match config.common.graph_limits {
            GraphLimits::Documented => graph::Limits::Documented,
            GraphLimits::Off => graph::Limits::Off,
        },
        ..graph::Settings::new(graph::Connections::new()?, ids, now)
    };
    let custom_clouds = config.common.custom_clouds;
    Ok(Arc::new(move |record| {
        // Asked again at each use: a record may be older than the setting.
        if !custom_clouds && (record.graph_url.is_some() || record.login_url.is_some()) {
            return Err(Error::CustomCloud);
        }
        let writer = record.writer.as_ref().ok_or(Error::NoWriter)?;
        let app = credentials.sign_in(writer).map_err(Error::Credential)?;
        let hosts = (record.graph_url.as_deref(), record.login_url.as_deref());
        let endpoint = graph::Endpoint::of(&record.id, &record.cloud, hosts, &app.client_id)?;
        let (kind, reference) = (app.proof.kind, &app.proof.reference);
        let credential = logins.credential(&endpoint, kind, reference, app.read);
        Ok(Arc::new(graph::GraphWriter::new(
            &endpoint,
            credential,
            settings.clone(),
        )))
    }))
}
