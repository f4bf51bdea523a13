//! The one public door: who calls, what they may do, and who answers.
//!
//! Owns authentication, authorisation from the access options of the contract,
//! the way to the services behind, and the registration of tenants. It never
//! resolves a credential, never calls Graph, and never lets a caller of one
//! tenant learn that another exists.

pub mod access;
mod audit;
pub mod auth;
mod check_tenant;
mod circuit;
mod compat;
pub mod config;
mod consent;
mod console;
mod deadline;
pub mod error;
mod grants;
mod guarded;
mod inside;
mod limits;
mod metrics;
mod overview;
mod proxy;
mod registration;
mod request;
mod rpc;
mod tenants;
mod tokens_file;
mod web;
mod webhook;

pub use auth::{Caller, Claims, Issuer, Permit, Roles, Tenants, Token, Tokens};
pub use config::{Backends, Config, PeerError, Peers};
pub use consent::Applications;
pub use console::{ConsoleConfig, OidcConfig};
pub use error::GatewayError;
pub use limits::{Limit, Limits};

use model::ErrorKind;
use prometheus_client::registry::Registry;
use proto::v1::audit_service_server::{AuditServiceServer, SERVICE_NAME as AUDIT};
use proto::v1::diff_service_server::SERVICE_NAME as DIFF;
use proto::v1::grant_service_server::{GrantServiceServer, SERVICE_NAME as GRANT};
use proto::v1::key_service_server::SERVICE_NAME as KEYS;
use proto::v1::lifecycle_service_server::SERVICE_NAME as LIFECYCLE;
use proto::v1::protection_service_server::SERVICE_NAME as PROTECTION;
use proto::v1::restore_service_server::SERVICE_NAME as RESTORE;
use proto::v1::signal_service_server::SERVICE_NAME as SIGNAL;
use proto::v1::snapshot_service_server::SERVICE_NAME as SNAPSHOT;
use proto::v1::store_service_server::SERVICE_NAME as STORE;
use proto::v1::tenant_service_server::{SERVICE_NAME as TENANT, TenantServiceServer};
use runtime::config::Source;
use runtime::metrics::Endpoint;
use runtime::program::Ended;
use runtime::serve::ServeError;
use runtime::tls::Tls;
use runtime::{Clock, Ids, Server, SystemClock, SystemIds, exit};
use std::net::SocketAddr;
use std::sync::Arc;
use store::{StoreError, Vault};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// What the gateway works with; chosen by `main`, by the all-in-one program or
/// by a test.
#[derive(Debug)]
pub struct Deps {
    /// Where tenants are registered.
    pub vault: store::Vault,
    /// The wall time.
    pub clock: Arc<dyn Clock>,
    /// Fresh request ids.
    pub ids: Arc<dyn Ids>,
    /// The services behind.
    pub backends: Backends,
    /// Who may call.
    pub tokens: Tokens,
}

/// A gateway ready to serve.
#[derive(Debug)]
pub struct App {
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
    audit: audit::Audit,
    endpoint: Endpoint,
    index: overview::Index,
    /// Cancelled when the gateway begins to stop, for what probes are told.
    stopping: CancellationToken,
}

impl App {
    /// Opens what the settings name: the store, the tokens, the listener.
    ///
    /// # Errors
    /// [`Ended`] saying which of them cannot be had.
    pub async fn open(config: &Config, source: Arc<dyn Source>) -> Result<Self, Ended> {
        let tokens = config.tokens()?;
        let vault = Vault::configured(&config.common.vault(source.as_ref()))
            .await
            .map_err(unopened)?;
        let deps = Deps {
            vault,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            backends: Backends::connect(config).map_err(misconfigured)?,
            tokens,
        };
        let listener = TcpListener::bind(config.common.listen).await?;
        let mut app = Self::build(config, deps, listener)?;
        if let Some(address) = config.metrics {
            app.endpoint.listen(address).await?;
        }
        Ok(app)
    }

    /// Puts the gateway together.
    ///
    /// # Errors
    /// Where the contract's access options or the certificate cannot be used.
    pub fn build(config: &Config, deps: Deps, listener: TcpListener) -> Result<Self, Ended> {
        let access = access::Table::new(proto::json::pool()).map_err(misconfigured)?;
        let tls = config.common.tls.as_ref().map(Tls::load).transpose()?;
        let address = listener.local_addr()?;
        if tls.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "tokens travel in the clear: REWIND_TLS_CERT is not set");
        }
        let clouds = if config.common.custom_clouds {
            registration::CustomClouds::Allow
        } else {
            registration::CustomClouds::Refuse
        };
        let clock = deps.clock;
        let signer = config.common.signer("gateway", Arc::clone(&clock))?;
        let known = auth::grants::Grants::new(deps.vault.clone());
        let oidc = |issuer| auth::oidc::Oidc::new(issuer, Arc::clone(&clock));
        let oidc = config.issuer.clone().map(oidc).transpose();
        let oidc = oidc.map_err(|error| Ended::at_start(ErrorKind::Internal, error))?;
        let callers = auth::Authenticator::new(deps.tokens, oidc, config.roles()?, known.clone());
        let grants = grants::Service::new(known, Arc::clone(&clock), Arc::clone(&deps.ids));
        let metrics = metrics::Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let (time, ids) = (Arc::clone(&clock), Arc::clone(&deps.ids));
        let audit = audit::Audit::new(deps.vault.clone(), time, ids, metrics);
        let audit_service = audit::rpc::Service::new(deps.vault.clone());
        let installed = config.installed.clone();
        let tenants = tenants::Registry::new(deps.vault, Arc::clone(&clock), clouds, installed);
        let index = tenants.index().clone();
        let service = rpc::Service::new(tenants, deps.backends.clone());
        let local = Routes::new(TenantServiceServer::new(service))
            .add_service(GrantServiceServer::new(grants))
            .add_service(AuditServiceServer::new(audit_service))
            .prepare();
        let tls_is_on = tls.is_some();
        let door = Arc::new(proxy::Proxy::new(
            access,
            callers,
            (config.limits, signer),
            (deps.backends, local),
            Arc::clone(&deps.ids),
            audit.clone(),
        ));
        let (time, ids) = (Arc::clone(&clock), Arc::clone(&deps.ids));
        let console = console::Console::open(config, &door, time, ids)?;
        let graph = compat::routes(compat::Site {
            door: Arc::clone(&door),
            clock,
            ids: deps.ids,
            tls: tls_is_on,
        });
        let stopping = CancellationToken::new();
        let pages = web::routes(Arc::new(console)).merge(graph);
        let served = web::service(door, pages, stopping.clone());
        let routes = Routes::from(axum::Router::new().fallback_service(served));
        let server = Server::new(
            routes,
            &[
                TENANT, SNAPSHOT, DIFF, RESTORE, KEYS, STORE, SIGNAL, PROTECTION, GRANT, AUDIT,
                LIFECYCLE,
            ],
        )
        .reflection(proto::DESCRIPTORS)
        .http1()
        .tls(tls)
        .clients(config.clients)
        .health(config.common.health_listen)
        .grace(config.common.grace);
        Ok(Self {
            server,
            listener,
            address,
            audit,
            endpoint: Endpoint::new(registry),
            index,
            stopping,
        })
    }

    /// Where the gateway serves; tells the port where any was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token is cancelled, then drains.
    ///
    /// # Errors
    /// Where the transport fails.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        tracing::info!(address = %self.address, "the gateway serves");
        let (audit, ending) = (self.audit.clone(), stop.clone());
        let telling = tokio::spawn(async move { audit.run(ending).await });
        let metrics = self.endpoint.spawn(stop.clone());
        let overview = tokio::spawn(self.index.run(stop.clone()));
        let (stops, stopping) = (stop.clone(), self.stopping);
        let probes = tokio::spawn(async move {
            stops.cancelled().await;
            stopping.cancel();
        });
        let result = self.server.run(self.listener, stop).await;
        for task in [telling, metrics, overview, probes] {
            task.abort();
        }
        self.audit.close().await;
        result
    }
}

fn unopened(error: StoreError) -> Ended {
    Ended::because(error.kind(), error.reason().0, &error)
}

fn misconfigured(error: impl std::error::Error + Send + Sync + 'static) -> Ended {
    Ended::new(exit::CONFIGURATION, error)
}

#[cfg(test)]
mod tests;
