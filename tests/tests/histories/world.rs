//! A practice tenant that changes while it is read, and everything that it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use graph::{Connections, Credential, Endpoint, GraphReader, Limits, Role, Settings};
use model::TenantId;
use parking_lot::Mutex;
use serde_json::Value;
use simulator::{
    Clock, DeltaTraps, FaultMix, FaultWeights, Population, Replication, ServerHandle, Simulator,
    TenantHandle, TenantSpec,
};

/// The tenant that is read.
pub(crate) const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000beef";

/// What a history is like.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    pub(crate) seed: u64,
    /// Changes are made before at most so many requests.
    pub(crate) changes: u64,
    pub(crate) traps: bool,
    pub(crate) fault_rate: f64,
    pub(crate) lag: Duration,
}

/// A moment, in seconds since the tests' epoch.
pub(crate) type Moment = i64;

const EPOCH: i64 = 1_790_000_000;

/// A state of the tenant and the moment from which it held.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) since: Moment,
    pub(crate) state: Arc<Value>,
}

/// The tenant, its history and a client.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) tenant: TenantHandle,
    server: ServerHandle,
    connections: Connections,
    now: Arc<AtomicI64>,
    past: Arc<Mutex<Vec<Past>>>,
    restless: Arc<AtomicU64>,
}

/// A small seeded generator, so that a failing seed can be run again.
fn dice(seed: u64, step: u64) -> u64 {
    let mut value = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(step.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    value ^= value >> 31;
    value = value.wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 29)
}

impl World {
    pub(crate) async fn new(conditions: &Conditions) -> Self {
        let start = DateTime::from_timestamp(EPOCH, 0).expect("a date in range");
        let simulator = Simulator::with_clock(Clock::manual(start));
        let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
        tenant.populate(&Population {
            users: 12,
            groups: 4,
            seed: conditions.seed,
        });
        // Something is in the recycle bins before anybody looks.
        tenant.mutate(conditions.seed ^ 0x5eed, 6);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let server = simulator.serve(listener).await;
        if conditions.traps {
            simulator.set_delta_traps(DeltaTraps::all(conditions.seed));
        }
        simulator.set_replication(Replication {
            max_lag: conditions.lag,
            seed: conditions.seed,
        });
        simulator.set_fault_mix((conditions.fault_rate > 0.0).then(|| FaultMix {
            weights: FaultWeights {
                // Time stands still here, so nothing is slow.
                slow: 0,
                // Two in a row would be a credential that is refused; tokens end
                // by the hook.
                expired_token: 0,
                ..FaultWeights::default()
            },
            ..FaultMix::of(conditions.fault_rate, conditions.seed)
        }));
        let now = Arc::new(AtomicI64::new(0));
        let restless = Arc::new(AtomicU64::new(0));
        let past = Arc::new(Mutex::new(vec![Past {
            since: 0,
            state: Arc::new(simulator.dump(TENANT)),
        }]));
        let world = Self {
            simulator,
            tenant,
            server,
            connections: Connections::new().expect("connections"),
            now,
            past,
            restless,
        };
        world.watch(conditions);
        world
    }

    /// Lets a second pass with each request, and changes the tenant before some.
    fn watch(&self, conditions: &Conditions) {
        let (now, past) = (Arc::clone(&self.now), Arc::clone(&self.past));
        let (tenant, restless) = (self.tenant.clone(), Arc::clone(&self.restless));
        let seed = conditions.seed;
        let steps = AtomicU64::new(0);
        self.simulator.on_request(Box::new(move |_, simulator| {
            simulator.clock().advance(Duration::from_secs(1));
            let at = now.fetch_add(1, Ordering::SeqCst) + 1;
            let step = steps.fetch_add(1, Ordering::SeqCst);
            if step == 20 + seed % 60 {
                simulator.expire_tokens();
            }
            if !dice(seed, step).is_multiple_of(4) {
                return;
            }
            let left = restless.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
            if left.is_ok() {
                let changes = 1 + usize::try_from(dice(seed, step) >> 8 & 1).unwrap_or(0);
                tenant.mutate(dice(seed, step) ^ seed, changes);
                past.lock().push(Past {
                    since: at,
                    state: Arc::new(simulator.dump(TENANT)),
                });
            }
        }));
    }

    /// From now on, so many changes are made while requests come.
    pub(crate) fn be_restless(&self, changes: u64) {
        self.restless.store(changes, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, time: Duration) {
        self.simulator.clock().advance(time);
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> impl Fn() -> DateTime<Utc> + Send + Sync + use<> {
        let now = Arc::clone(&self.now);
        move || {
            DateTime::from_timestamp(EPOCH + now.load(Ordering::SeqCst), 0)
                .expect("a date in range")
        }
    }

    pub(crate) fn moment(time: DateTime<Utc>) -> Moment {
        time.timestamp() - EPOCH
    }

    /// The states that held at some time between two moments, oldest first.
    pub(crate) fn between(&self, from: Moment, to: Moment) -> Vec<Arc<Value>> {
        let past = self.past.lock();
        let first = past
            .iter()
            .rposition(|past| past.since <= from)
            .unwrap_or_default();
        past[first..]
            .iter()
            .take_while(|past| past.since <= to.max(past.since.min(from)))
            .map(|past| Arc::clone(&past.state))
            .collect()
    }

    /// What the tenant is like now.
    pub(crate) fn newest(&self) -> Arc<Value> {
        Arc::clone(
            &self
                .past
                .lock()
                .last()
                .expect("there was a beginning")
                .state,
        )
    }

    /// A wait that passes at once, for everybody.
    pub(crate) fn sleeper(&self) -> graph::Sleeper {
        let (now, simulator) = (Arc::clone(&self.now), self.simulator.clone());
        Arc::new(move |wait| {
            let (now, simulator) = (Arc::clone(&now), simulator.clone());
            let until = tokio::time::Instant::now() + wait;
            Box::pin(async move {
                // Of two that wait for the same moment, the first takes the other along.
                let left = until.saturating_duration_since(tokio::time::Instant::now());
                if left.is_zero() {
                    return;
                }
                // Whole seconds, since that is what the history counts in.
                let seconds = left.as_secs() + 1;
                simulator.clock().advance(Duration::from_secs(seconds));
                let passed = i64::try_from(seconds).unwrap_or(i64::MAX);
                now.fetch_add(passed, Ordering::SeqCst);
                tokio::time::advance(Duration::from_secs(seconds)).await;
            })
        })
    }

    /// A client whose waits pass at once.
    pub(crate) fn reader(&self) -> GraphReader {
        let now = Arc::new(self.clock());
        let connections = self.connections.clone();
        reader(&self.server, connections, Limits::Off, self.sleeper(), now)
    }
}

/// A client as the snapshotter has it.
pub(crate) fn reader(
    server: &ServerHandle,
    connections: Connections,
    limits: Limits,
    sleep: graph::Sleeper,
    now: graph::Now,
) -> GraphReader {
    let url = |path: &str| format!("{}{path}", server.url()).parse().expect("a url");
    let endpoint = Endpoint {
        graph_url: url("/v1.0"),
        login_url: url(""),
        tenant: TenantId::parse(TENANT).expect("a tenant"),
        client_id: simulator::READER_CLIENT_ID.to_owned(),
    };
    let counter = AtomicU64::new(1);
    let ids: graph::Ids = Arc::new(move || {
        uuid::Uuid::from_u128(u128::from(counter.fetch_add(1, Ordering::Relaxed)))
    });
    let settings = Settings {
        role: Role::Collector,
        limits,
        sleep,
        ..Settings::new(connections, ids, now)
    };
    let secret = Credential::secret(simulator::READER_SECRET.into());
    GraphReader::new(&endpoint, secret, settings)
}

/// Runs work in a runtime of which the time stands still, and moves where somebody
/// waits.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        // One that keeps time from running ahead, and one that works: what it does
        // keeps its order.
        .max_blocking_threads(2)
        .build()
        .expect("a runtime");
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let outcome = runtime.block_on(async {
        // Stopped time runs ahead whenever all tasks wait, and here they wait for
        // sockets. It does not while a blocking task runs.
        tokio::task::spawn_blocking(move || receiver.recv());
        work.await
    });
    drop(sender);
    runtime.shutdown_background();
    outcome
}
