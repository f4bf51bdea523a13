//! The restorer: plans restores, applies plans, and tells how they went.
//!
//! The only service that writes to a tenant, and only what stands in a stored
//! plan. Right before each write the object is read again. It has no call that
//! purges a deleted object.

mod access;
mod apply;
mod approve;
mod cancel;
pub mod config;
mod create;
mod documents;
mod errand;
mod error;
mod fresh;
mod gather;
mod lane;
mod lockout;
mod make_plan;
mod next;
mod noted;
mod one_at_a_time;
mod privileged;
mod protect;
mod recreate;
mod references;
mod relations;
mod report;
mod rests;
mod rpc;
mod step;
mod turns;
mod undo;
mod verify;

use std::net::SocketAddr;
use std::sync::Arc;

use graph::DirectoryWriter;
use proto::v1::access_check_service_server::AccessCheckServiceServer;
use proto::v1::protection_service_server::ProtectionServiceServer;
use proto::v1::restore_service_server::RestoreServiceServer;
use proto::v1::{WatchPlanResponse, WatchRestoreResponse};
use runtime::Replicas;
use runtime::clock::{Clock, SystemClock};
use runtime::config::Source;
use runtime::ids::{Ids, SystemIds};
use runtime::jobs::Jobs;
use runtime::program::Ended;
use runtime::serve::{MAX_MESSAGE_SIZE, ServeError, Server};
use runtime::tls::Tls;
use store::{StoreError, TenantRecord, Vault};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::Config;
pub use error::Error;

/// Opens a tenant's directory for writing.
pub type Connect =
    Arc<dyn Fn(&TenantRecord) -> Result<Arc<dyn DirectoryWriter>, Error> + Send + Sync>;

/// What the service works with; never configuration.
#[derive(Clone)]
pub struct Deps {
    /// Where snapshots, plans and journals are kept.
    pub vault: Vault,
    /// The wall time.
    pub clock: Arc<dyn Clock>,
    /// Fresh identifiers.
    pub ids: Arc<dyn Ids>,
    /// How tenants are reached.
    pub connect: Connect,
    /// The differ, which makes the reports that plans start and end with.
    pub differ: Replicas,
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
    /// The installation's application that reads, where it has one.
    pub(crate) reader_client_id: Option<String>,
    pub(crate) plans: Jobs<WatchPlanResponse>,
    pub(crate) restores: Jobs<WatchRestoreResponse>,
}

/// The service, ready to run.
#[derive(Debug)]
pub struct App {
    context: Context,
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
}

impl App {
    /// Opens what the settings name: the store, the listener, the way to Graph.
    ///
    /// # Errors
    /// [`Ended`], with the exit code, saying which of them cannot be had.
    pub async fn open(config: &Config, source: Arc<dyn Source>) -> Result<Self, Ended> {
        let common = &config.common;
        let tls = common.tls.as_ref().map(Tls::load).transpose()?;
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
            differ: Replicas::connect(&config.differ_url, tls.as_ref())?
                .signed(common.signer("restorer", Arc::new(SystemClock))?),
        };
        let listener = TcpListener::bind(common.listen).await?;
        Self::build(config, deps, listener)
    }

    /// Puts the service together; nothing is read or written yet.
    ///
    /// # Errors
    /// Where the certificate or the listener cannot be used.
    pub fn build(config: &Config, deps: Deps, listener: TcpListener) -> Result<Self, Ended> {
        let tls = config.common.tls.as_ref().map(Tls::load).transpose()?;
        let address = listener.local_addr()?;
        let callers = config.common.callers(Arc::clone(&deps.clock))?;
        let context = Context {
            deps,
            reader_client_id: config.reader_client_id.clone(),
            plans: Jobs::new(),
            restores: Jobs::new(),
        };
        let rpc = rpc::Rpc::new(context.clone());
        let routes = Routes::new(
            RestoreServiceServer::new(rpc.clone()).max_decoding_message_size(MAX_MESSAGE_SIZE),
        )
        .add_service(ProtectionServiceServer::new(rpc.clone()))
        .add_service(AccessCheckServiceServer::new(rpc));
        let server = Server::new(
            routes,
            &[
                "rewind.v1.RestoreService",
                "rewind.v1.ProtectionService",
                "rewind.v1.AccessCheckService",
            ],
        )
        .reflection(proto::DESCRIPTORS)
        .tls(tls)
        .callers(callers)
        .health(config.common.health_listen)
        .grace(config.common.grace);
        Ok(Self {
            context,
            server,
            listener,
            address,
        })
    }

    /// Where the service listens; tells the port where any was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled, then drains.
    ///
    /// A restore under way is left where it is, as after a crash; it goes on
    /// when its plan is applied again, or, of an errand, when a restorer starts.
    ///
    /// # Errors
    /// Where the server cannot be built or the transport fails.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        tracing::info!(address = %self.address, "the restorer serves");
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(errand::resume_all(self.context)),
        );
        self.server.run(self.listener, stop).await
    }
}

fn unopened(error: StoreError) -> Ended {
    Ended::because(error.kind(), error.reason().0, &error)
}
