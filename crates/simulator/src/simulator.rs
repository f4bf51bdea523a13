//! The simulator as a test or a demo holds it: tenants, serving, faults, counters, inspection.
//!
//! This module owns the shared handle and nothing of the wire format.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::counters::Counters;
use crate::counters::watch::Watch;
use crate::fault::Fault;
use crate::fault::mix::{FaultMix, Mixer};
use crate::hook::{Hook, HookSlot};
use crate::http::audits::{self, AuditLog};
use crate::http::delta::traps::DeltaTraps;
use crate::http::token::Session;
use crate::ids::Ids;
use crate::load::{LoadError, LoadReport};
use crate::mutate::Reach;
use crate::populate::{Populated, Population};
use crate::state::history::DeltaExpiry;
use crate::state::replicas::Replication;
use crate::tenant::{Tenant, TenantSpec};
use crate::throttle::{Budgets, Throttle};

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
    /// What each app is granted over all tenants.
    pub app_budgets: Mutex<Budgets>,
    pub faults: Mutex<Vec<Fault>>,
    pub mixer: Mutex<Option<Mixer>>,
    pub counters: Mutex<Counters>,
    pub watch: Mutex<Watch>,
    pub hook: HookSlot,
    /// Requests so far, for the hook.
    pub number: AtomicU64,
    pub traps: Arc<RwLock<DeltaTraps>>,
    pub audit_log: audits::Setting,
    /// The lag of tenants that are added from now on.
    pub replication: RwLock<Option<Replication>>,
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
                app_budgets: Mutex::default(),
                faults: Mutex::default(),
                mixer: Mutex::default(),
                counters: Mutex::default(),
                watch: Mutex::default(),
                hook: HookSlot::default(),
                number: AtomicU64::new(0),
                traps: Arc::default(),
                audit_log: audits::Setting::default(),
                replication: RwLock::default(),
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
        let tenant = Tenant::new(
            spec,
            seed,
            self.shared.clock.clone(),
            Arc::clone(&self.shared.traps),
            Arc::clone(&self.shared.audit_log),
        );
        let replication = *self.shared.replication.read();
        if let Some(replication) = replication {
            tenant.state.set_lag(replication);
        }
        let tenant = Arc::new(tenant);
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
        let server = axum::serve(
            listener,
            app.into_make_service_with_connect_info::<SocketAddr>(),
        )
        .with_graceful_shutdown(stop.clone().cancelled_owned());
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

    /// Empties the queue of faults and ends the random ones.
    pub fn clear_faults(&self) {
        self.shared.faults.lock().clear();
        *self.shared.mixer.lock() = None;
    }

    /// Spoils a random share of all Graph requests, besides the queue.
    pub fn set_fault_mix(&self, mix: Option<FaultMix>) {
        *self.shared.mixer.lock() = mix.map(Mixer::new);
    }

    /// Chooses which liberties delta rounds take.
    pub fn set_delta_traps(&self, traps: DeltaTraps) {
        *self.shared.traps.write() = traps;
    }

    /// Lets reads lag behind writes, in every tenant; a lag of zero ends it.
    ///
    /// While it lags each change keeps a copy of its tenant, so this is for small tenants.
    pub fn set_replication(&self, replication: Replication) {
        *self.shared.replication.write() = Some(replication);
        for tenant in self.shared.tenants.read().values() {
            tenant.state.set_lag(replication);
        }
    }

    /// Sets how late and in which order the audit log shows its entries.
    pub fn set_audit_log(&self, setting: AuditLog) {
        *self.shared.audit_log.write() = setting;
    }

    /// Calls `hook` before each request is served, the inner ones of a batch included, so that a
    /// test can change the tenant between two requests. No lock is held meanwhile.
    pub fn on_request(&self, hook: Hook) {
        self.shared.hook.set(Some(hook));
    }

    /// Calls no hook any more.
    pub fn clear_hook(&self) {
        self.shared.hook.set(None);
    }

    /// Switches the documented limits on or off.
    pub fn set_throttle(&self, throttle: Throttle) {
        *self.shared.throttle.write() = throttle;
        for tenant in self.shared.tenants.read().values() {
            *tenant.budgets.lock() = Budgets::default();
        }
        *self.shared.app_budgets.lock() = Budgets::default();
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

    /// The simulator's clock, to read or (if it is a manual one) to advance.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Makes every delta token of a tenant worthless and chooses how that is said.
    pub fn expire_delta_tokens(&self, tenant: &str, how: DeltaExpiry) {
        if let Some(tenant) = self.shared.tenant(tenant) {
            let mut tokens = tenant.tokens.lock();
            tokens.epoch += 1;
            tokens.on_expiry = how;
        }
    }
}

/// One tenant of a simulator.
#[derive(Clone, Debug)]
pub struct TenantHandle {
    pub(crate) tenant: Arc<Tenant>,
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

    /// Sends one request as an application of the tenant, by its client id, past the
    /// limits; the status of the answer.
    pub fn send(&self, client_id: &str, method: &str, path: &str, body: Option<&Value>) -> u16 {
        crate::deed::send(&self.tenant, client_id, method, path, body)
    }

    /// Makes `changes` random changes to everything that a tenant holds, through the same checks
    /// and state as writes over HTTP, and says what each did. The same seed on the same state
    /// makes the same changes.
    pub fn mutate(&self, seed: u64, changes: usize) -> Vec<String> {
        self.mutate_within(Reach::Daily, seed, changes)
    }

    /// The same, going as far as is said.
    pub fn mutate_within(&self, reach: Reach, seed: u64, changes: usize) -> Vec<String> {
        crate::mutate::mutate(&self.tenant, reach, seed, changes)
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
