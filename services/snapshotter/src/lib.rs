//! The snapshotter: takes snapshots of tenants, on schedule and on demand.
//!
//! Owns the reading of tenants with the reader application's credential and
//! the commit of what was read, and signals with their delivery. It never writes to
//! a tenant.

mod access;
mod base;
mod check_store;
pub mod config;
mod copy;
mod deliver;
mod error;
mod guarded;
mod keys;
mod message;
mod metrics;
mod read;
mod redeliver;
mod retention;
mod rpc;
mod schedule;
mod search;
mod show_object;
mod signals;
mod summary;
mod take;
mod verify;
mod watch_audit;
mod watch_drift;
mod watch_posture;
mod watch_signals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use graph::Directory;
use model::ErrorKind;
use prometheus_client::registry::Registry;
use proto::v1::access_check_service_server::AccessCheckServiceServer;
use proto::v1::guarded_change_service_server::GuardedChangeServiceServer;
use proto::v1::key_service_server::KeyServiceServer;
use proto::v1::lifecycle_service_server::LifecycleServiceServer;
use proto::v1::signal_service_server::SignalServiceServer;
use proto::v1::snapshot_service_server::SnapshotServiceServer;
use proto::v1::store_service_server::StoreServiceServer;
use proto::v1::{Snapshot, WatchSnapshotResponse};
use runtime::Replicas;
use runtime::clock::{Clock, SystemClock};
use runtime::config::Source;
use runtime::ids::{Ids, SystemIds};
use runtime::jobs::Jobs;
use runtime::metrics::Endpoint;
use runtime::program::Ended;
use runtime::serve::{MAX_MESSAGE_SIZE, ServeError, Server};
use runtime::tls::Tls;
use store::{Copies, CopyPlace, StoreError, TenantRecord, Vault};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::Config;
use deliver::turns::Bell;
pub use deliver::{Records, Webhooks};
pub use error::Error;
pub use guarded::ChangeError;
use metrics::Metrics;

/// Opens a tenant's directory for reading.
pub type Connect = Arc<dyn Fn(&TenantRecord) -> Result<Arc<dyn Directory>, Error> + Send + Sync>;

/// What the service works with; never configuration.
#[derive(Clone)]
pub struct Deps {
    /// Where snapshots are kept.
    pub vault: Vault,
    /// The wall time.
    pub clock: Arc<dyn Clock>,
    /// Fresh identifiers.
    pub ids: Arc<dyn Ids>,
    /// How tenants are reached.
    pub connect: Connect,
    /// Where copies of snapshots go, where they go anywhere.
    pub copies: Option<Copies>,
    /// The differ, by which drift is watched, where it is.
    pub differ: Option<Replicas>,
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
    pub(crate) jobs: Jobs<WatchSnapshotResponse>,
    /// Every how many snapshots everything is read again.
    pub(crate) reconcile_every: u32,
    /// How long a snapshot stays that retention lets go.
    pub(crate) grace: TimeDelta,
    /// In how many days every stored byte is read.
    pub(crate) verify_days: u32,
    pub(crate) metrics: Metrics,
    /// The client ids of the installation's applications, as far as they are set.
    pub(crate) reader_client_id: Option<String>,
    pub(crate) writer_client_id: Option<String>,
    /// Turns of tenants that are looked after when their daily snapshots are taken.
    pub(crate) turns: Arc<Semaphore>,
    /// The way to webhooks, where signals are delivered.
    pub(crate) webhooks: Option<Webhooks>,
    /// The collector of log records, where there is one.
    pub(crate) records: Option<Records>,
    /// How often what others left behind is looked for.
    pub(crate) delivery_sweep: Duration,
    /// How often a watcher looks for new signals.
    pub(crate) signal_poll: Duration,
    /// Tells which tenant has something to deliver.
    pub(crate) bell: Bell,
    /// Tells of which tenant there is something new to say in short.
    pub(crate) news: Bell,
    /// Tells that a guarded change was approved.
    pub(crate) approvals: Bell,
    /// Snapshots that failed and that no summary tells of yet.
    pub(crate) failures: summary::Failures,
    /// After what time a guarded change takes effect that was approved.
    pub(crate) guarded_wait: TimeDelta,
    /// Cancelled when the service begins to stop, for streams without an end.
    pub(crate) ending: CancellationToken,
}

impl Context {
    /// As it is without settings.
    pub(crate) fn new(deps: Deps) -> Self {
        Self {
            deps,
            jobs: Jobs::new(),
            reconcile_every: config::RECONCILE_EVERY,
            grace: config::PRUNE_GRACE,
            verify_days: config::VERIFY_DAYS,
            metrics: Metrics::default(),
            reader_client_id: None,
            writer_client_id: None,
            turns: Arc::new(Semaphore::new(take::TURNS)),
            webhooks: None,
            records: None,
            delivery_sweep: config::DELIVERY_SWEEP,
            signal_poll: config::SIGNAL_POLL,
            bell: Bell::default(),
            news: Bell::default(),
            approvals: Bell::default(),
            failures: summary::Failures::default(),
            guarded_wait: config::GUARDED_WAIT,
            ending: CancellationToken::new(),
        }
    }

    /// Tells the progress of a running snapshot.
    pub(crate) fn running(snapshot: Snapshot) -> WatchSnapshotResponse {
        WatchSnapshotResponse {
            snapshot: Some(snapshot),
            phase: "reading".to_owned(),
            read_count: 0,
        }
    }
}

/// The service, ready to run.
#[derive(Debug)]
pub struct App {
    context: Context,
    schedule: config::Schedule,
    audit_interval: Option<TimeDelta>,
    grace: Duration,
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
        let copies = config.copy.as_ref().map(|copy| {
            let place = CopyPlace {
                store_url: &common.store_url,
                url: &copy.url,
                keys_url: copy.keys_url.as_deref(),
                setting: &|name| source.get(name),
            };
            Copies::at(&vault, &place)
        });
        let copies = copies.transpose().map_err(unopened)?;
        let tls = common.tls.as_ref().map(Tls::load).transpose()?;
        let differ = config.differ_url.as_deref();
        let differ = differ.map(|url| Replicas::connect(url, tls.as_ref()));
        let signer = common.signer("snapshotter", Arc::new(SystemClock))?;
        let differ = differ.transpose()?.map(|differ| differ.signed(signer));
        if differ.is_none() {
            tracing::info!("drift is not watched: REWIND_DIFFER_URL is not set");
        }
        let collector = config.collector_url.as_deref();
        let collector = collector.map(|url| runtime::connect(url, tls.as_ref()));
        let records = collector.transpose()?.map(Records::to);
        let webhooks = Webhooks::new(config, Arc::clone(&source))
            .map_err(|error| Ended::at_start(ErrorKind::Internal, error))?;
        let deps = Deps {
            vault,
            copies,
            differ,
            clock: Arc::new(SystemClock),
            connect: config::connect(config, source, Arc::clone(&ids))
                .map_err(|error| Ended::at_start(error.kind(), error))?,
            ids,
        };
        let listener = TcpListener::bind(common.listen).await?;
        let mut app = Self::build(config, deps, listener)?.delivering(webhooks);
        app.context.records = records;
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
        let context = Context {
            reconcile_every: config.reconcile_every,
            grace: config.prune_grace,
            verify_days: config.verify_days,
            reader_client_id: config.installed.application.as_ref().map(|it| it.0.clone()),
            writer_client_id: config.writer_client_id.clone(),
            delivery_sweep: config.delivery_sweep,
            signal_poll: config.signal_poll,
            guarded_wait: config.guarded_wait,
            ..Context::new(deps)
        };
        let mut registry = Registry::default();
        context.metrics.register(&mut registry);
        let rpc = rpc::Rpc::new(context.clone());
        let routes = Routes::new(
            SnapshotServiceServer::new(rpc.clone()).max_decoding_message_size(MAX_MESSAGE_SIZE),
        )
        .add_service(KeyServiceServer::new(rpc.clone()))
        .add_service(StoreServiceServer::new(rpc.clone()))
        .add_service(SignalServiceServer::new(rpc.clone()))
        .add_service(LifecycleServiceServer::new(rpc.clone()))
        .add_service(GuardedChangeServiceServer::new(rpc.clone()))
        .add_service(AccessCheckServiceServer::new(rpc));
        let server = Server::new(
            routes,
            &[
                "rewind.v1.SnapshotService",
                "rewind.v1.KeyService",
                "rewind.v1.StoreService",
                "rewind.v1.SignalService",
                "rewind.v1.LifecycleService",
                "rewind.v1.GuardedChangeService",
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
            schedule: config.schedule,
            audit_interval: config.audit_interval,
            grace: config.common.grace,
            server,
            listener,
            address,
            endpoint: Endpoint::new(registry),
        })
    }

    /// Delivers signals, too.
    #[must_use]
    pub fn delivering(mut self, webhooks: Webhooks) -> Self {
        self.context.webhooks = Some(webhooks);
        self
    }

    /// Where the service listens; tells the port where any was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled, then drains.
    ///
    /// A snapshot that is being taken is given up: it is absent, as after a crash.
    ///
    /// # Errors
    /// Where the server cannot be built or the transport fails.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        tracing::info!(address = %self.address, "the snapshotter serves");
        let follows = (self.schedule, self.audit_interval);
        let follow = match follows {
            (config::Schedule::Daily, Some(every)) => {
                let run = watch_audit::run(self.context.clone(), every, stop.clone());
                Some(tokio::spawn(run))
            }
            _ => None,
        };
        let (ending, stop_watching) = (self.context.ending.clone(), stop.clone());
        let deliveries = tokio::spawn(deliver::run(self.context.clone(), stop.clone()));
        let guarded = tokio::spawn(guarded::run(self.context.clone(), stop.clone()));
        let summaries = tokio::spawn(summary::run(self.context.clone(), stop.clone()));
        let schedule = tokio::spawn(schedule::run(self.context, self.schedule, stop.clone()));
        let ended = tokio::spawn(async move {
            stop_watching.cancelled().await;
            ending.cancel();
        });
        let metrics = self.endpoint.spawn(stop.clone());
        let result = self.server.run(self.listener, stop).await;
        schedule.abort();
        if let Some(mut follow) = follow {
            // What is followed is let go of, as far as there is time.
            if tokio::time::timeout(self.grace, &mut follow).await.is_err() {
                follow.abort();
            }
        }
        deliveries.abort();
        guarded.abort();
        summaries.abort();
        ended.abort();
        metrics.abort();
        result
    }
}

fn unopened(error: StoreError) -> Ended {
    Ended::because(error.kind(), error.reason().0, &error)
}
