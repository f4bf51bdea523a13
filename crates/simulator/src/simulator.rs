//! The simulator as a test or a demo holds it: tenants, serving, faults, counters, inspection.
//!
//! This module owns the shared handle and nothing of the wire format.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::counters::Counters;
use crate::fault::Fault;
use crate::http::token::Session;
use crate::ids::Ids;
use crate::load::{LoadError, LoadReport};
use crate::populate::{Populated, Population};
use crate::state::history::DeltaExpiry;
use crate::tenant::{Tenant, TenantSpec};
use crate::throttle::Throttle;

/// A Microsoft Graph emulator with any number of tenants. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Simulator {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub clock: Clock,
    pub tenants: RwLock<BTreeMap<String, Arc<Tenant>>>,
    pub sessions: Mutex<HashMap<String, Session>>,
    pub ids: Mutex<Ids>,
    pub throttle: RwLock<Throttle>,
    pub faults: Mutex<Vec<Fault>>,
    pub counters: Mutex<Counters>,
}

impl Shared {
    pub(crate) fn tenant(&self, id: &str) -> Option<Arc<Tenant>> {
        self.tenants.read().get(&id.to_lowercase()).cloned()
    }
}

impl Default for Simulator {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulator {
    /// An empty simulator on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::wall())
    }

    /// An empty simulator on a clock of the caller's choice.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                tenants: RwLock::default(),
                sessions: Mutex::default(),
                ids: Mutex::new(Ids::seeded(0x5eed)),
                throttle: RwLock::default(),
                faults: Mutex::default(),
                counters: Mutex::default(),
            }),
        }
    }

    /// Adds an empty tenant, or replaces one with the same id.
    pub fn add_tenant(&self, spec: TenantSpec) -> TenantHandle {
        let id = spec.id.to_lowercase();
        // Ids must not depend on the order in which tenants are added.
        let seed = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let tenant = Arc::new(Tenant::new(spec, seed, self.shared.clock.clone()));
        self.shared.tenants.write().insert(id, Arc::clone(&tenant));
        TenantHandle { tenant }
    }

    /// The handle of a tenant that was added before.
    #[must_use]
    pub fn tenant(&self, id: &str) -> Option<TenantHandle> {
        self.shared.tenant(id).map(|tenant| TenantHandle { tenant })
    }

    /// Serves login and Graph on `listener` until the handle is shut down or dropped.
    pub async fn serve(&self, listener: TcpListener) -> ServerHandle {
        let address = listener
            .local_addr()
            .expect("invariant: a bound listener has an address");
        let stop = CancellationToken::new();
        let app = crate::http::server::router(Arc::clone(&self.shared));
        let server =
            axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
        let task = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "simulator server ended");
            }
        });
        ServerHandle {
            address,
            stop,
            task: Some(task),
        }
    }

    /// The complete normalised state of a tenant; `null` for an unknown one.
    #[must_use]
    pub fn dump(&self, tenant: &str) -> Value {
        self.shared.tenant(tenant).map_or(Value::Null, |tenant| {
            crate::dump::dump(&tenant.state.read())
        })
    }

    /// Appends a fault to the queue.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.lock().push(fault);
    }

    /// Empties the queue of faults.
    pub fn clear_faults(&self) {
        self.shared.faults.lock().clear();
    }

    /// Switches the documented limits on or off.
    pub fn set_throttle(&self, throttle: Throttle) {
        *self.shared.throttle.write() = throttle;
        for tenant in self.shared.tenants.read().values() {
            *tenant.budgets.lock() = Default::default();
        }
    }

    /// A copy of the request counts.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters.lock().clone()
    }

    /// Starts the request counts again at zero.
    pub fn reset_counters(&self) {
        *self.shared.counters.lock() = Counters::default();
    }

    /// Makes every access token worthless.
    pub fn expire_tokens(&self) {
        self.shared.sessions.lock().clear();
    }

    /// Makes every delta token of a tenant worthless and chooses how that is said.
    pub fn expire_delta_tokens(&self, tenant: &str, how: DeltaExpiry) {
        if let Some(tenant) = self.shared.tenant(tenant) {
            let mut state = tenant.state.write();
            state.history.epoch += 1;
            state.history.on_expiry = how;
        }
    }
}

/// One tenant of a simulator.
#[derive(Clone, Debug)]
pub struct TenantHandle {
    tenant: Arc<Tenant>,
}

impl TenantHandle {
    /// The tenant's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.tenant.spec.id
    }

    /// Loads Graph-shaped JSON from one file or every known file of a directory.
    ///
    /// # Errors
    /// When a file cannot be read or an object is malformed; nothing of that file is then loaded.
    pub fn load(&self, path: &Path) -> Result<LoadReport, LoadError> {
        crate::load::load(&mut self.tenant.state.write(), path)
    }

    /// Fills the tenant with a made-up company.
    pub fn populate(&self, population: &Population) -> Populated {
        crate::populate::populate(&self.tenant, population)
    }

    /// Makes `changes` random changes to everything that a tenant holds, through the same checks
    /// and state as writes over HTTP, and says what each did. The same seed on the same state
    /// makes the same changes.
    pub fn mutate(&self, seed: u64, changes: usize) -> Vec<String> {
        crate::mutate::mutate(&self.tenant, seed, changes)
    }

    /// The number of live objects of a Graph type, such as `"user"`.
    #[must_use]
    pub fn count(&self, graph_type: &str) -> usize {
        crate::catalog::Kind::from_cast(graph_type)
            .map_or(0, |kind| self.tenant.state.read().all(kind).len())
    }
}

/// A running server; dropping it stops the server without waiting.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// The base URL, `http://127.0.0.1:port`. Graph is at `{url}/v1.0`, login at `{url}`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting, then waits a moment for open connections before cutting them.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(mut task) = self.task.take() {
            let grace = std::time::Duration::from_millis(200);
            if tokio::time::timeout(grace, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
