//! The differ: tells what changed between a snapshot and the live tenant or
//! another snapshot, and how well the tenant is guarded against hard deletion.
//!
//! Owns reports and the caches that make the next one quick. A replica that
//! loses its caches answers right, only slower. It never writes to a tenant.

mod audit;
mod cache;
pub mod config;
mod create;
mod deleted;
mod error;
mod filter;
mod live;
mod metrics;
mod posture;
mod progress;
mod reports;
mod rpc;

use std::net::SocketAddr;
use std::sync::Arc;

use graph::Directory;
use metrics::Metrics;
use prometheus_client::registry::Registry;
use proto::v1::WatchReportResponse;
use proto::v1::diff_service_server::DiffServiceServer;
use proto::v1::protection_service_server::ProtectionServiceServer;
use runtime::clock::{Clock, SystemClock};
use runtime::config::Source;
use runtime::ids::{Ids, SystemIds};
use runtime::jobs::Jobs;
use runtime::metrics::Endpoint;
use runtime::program::Ended;
use runtime::serve::{MAX_MESSAGE_SIZE, ServeError, Server};
use runtime::tls::Tls;
use store::{StoreError, TenantRecord, Vault};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::Config;
pub use error::Error;

/// Opens a tenant's directory for reading.
pub type Connect = Arc<dyn Fn(&TenantRecord) -> Result<Arc<dyn Directory>, Error> + Send + Sync>;

/// What the service works with; never configuration.
#[derive(Clone)]
pub struct Deps {
    /// Where snapshots and reports are kept.
    pub vault: Vault,
    /// The wall time.
    pub clock: Arc<dyn Clock>,
    /// Fresh identifiers.
    pub ids: Arc<dyn Ids>,
    /// How tenants are reached.
    pub connect: Connect,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").finish_non_exhaustive()
    }
}

/// What every use case of the service needs.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) deps: Deps,
    pub(crate) jobs: Jobs<WatchReportResponse>,
    pub(crate) caches: cache::Caches,
    pub(crate) logs: audit::Logs,
    pub(crate) listings: deleted::Listings,
    pub(crate) metrics: Metrics,
    /// The installation's application that writes, by its id alone.
    pub(crate) writer_client_id: Option<String>,
}

/// The service, ready to run.
#[derive(Debug)]
pub struct App {
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
    endpoint: Endpoint,
}

impl App {
    /// Opens what the settings name: the store, the listener, the way to Graph.
    ///
    /// # Errors
    /// [`Ended`], with the exit code, saying which of them cannot be had.
    pub async fn open(config: &Config, source: Arc<dyn Source>) -> Result<Self, Ended> {
        let common = &config.common;
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let vault = Vault::configured(&common.vault(source.as_ref()))
            .await
            .map_err(unopened)?;
        let deps = Deps {
            vault,
            clock: Arc::new(SystemClock),
            connect: config::connect(config, source, Arc::clone(&ids))
                .map_err(|error| Ended::at_start(error.kind(), error))?,
            ids,
        };
        let listener = TcpListener::bind(common.listen).await?;
        let mut app = Self::build(config, deps, listener)?;
        if let Some(address) = config.metrics {
            app.endpoint.listen(address).await?;
        }
        Ok(app)
    }

    /// Puts the service together; nothing is read or written yet.
    ///
    /// # Errors
    /// Where the certificate or the listener cannot be used.
    pub fn build(config: &Config, deps: Deps, listener: TcpListener) -> Result<Self, Ended> {
        let tls = config.common.tls.as_ref().map(Tls::load).transpose()?;
        let address = listener.local_addr()?;
        let callers = config.common.callers(Arc::clone(&deps.clock))?;
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let rpc = rpc::Rpc::new(Context {
            deps,
            jobs: Jobs::new(),
            caches: cache::Caches::new(config.cache_bytes, &metrics),
            logs: audit::Logs::new(config.cache_bytes / 8, &metrics),
            listings: deleted::Listings::new(config.cache_bytes / 16, &metrics),
            metrics,
            writer_client_id: config.writer_client_id.clone(),
        });
        let reports =
            DiffServiceServer::new(rpc.clone()).max_decoding_message_size(MAX_MESSAGE_SIZE);
        let routes = Routes::new(reports).add_service(ProtectionServiceServer::new(rpc));
        let served = ["rewind.v1.DiffService", "rewind.v1.ProtectionService"];
        let server = Server::new(routes, &served)
            .reflection(proto::DESCRIPTORS)
            .tls(tls)
            .callers(callers)
            .health(config.common.health_listen)
            .grace(config.common.grace);
        Ok(Self {
            server,
            listener,
            address,
            endpoint: Endpoint::new(registry),
        })
    }

    /// Where the service listens; tells the port where any was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled, then drains.
    ///
    /// # Errors
    /// Where the server cannot be built or the transport fails.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        tracing::info!(address = %self.address, "the differ serves");
        let metrics = self.endpoint.spawn(stop.clone());
        let result = self.server.run(self.listener, stop).await;
        metrics.abort();
        result
    }
}

fn unopened(error: StoreError) -> Ended {
    Ended::because(error.kind(), error.reason().0, &error)
}
