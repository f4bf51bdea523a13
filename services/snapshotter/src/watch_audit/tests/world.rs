//! A practice tenant whose log comes late and in no order, a vault in memory, and
//! processes that follow the log until they are killed. Time stands still but where
//! somebody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use graph::{Connections, Credential, Endpoint, GraphReader, Limits, Role};
use model::{Application, Proof, ProofKind, TenantId};
use proto::v1::{ListSignalsRequest, Signal};
use runtime::clock::Clock as _;
use runtime::{ManualClock, SeededIds};
use simulator::{
    AuditLog, Clock, FaultMix, FaultWeights, Population, ServerHandle, Simulator, TenantHandle,
    TenantSpec,
};
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::{Kek, TenantRecord, Vault};
use testkit::store::record;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::watch_audit::Follower;
use crate::watch_audit::follow::Followed;
use crate::{Connect, Context, Deps, signals};

pub(super) const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000beef";
const EPOCH: i64 = 1_790_000_000;

pub(super) struct World {
    pub(super) simulator: Simulator,
    pub(super) tenant: TenantHandle,
    server: ServerHandle,
    connections: Connections,
    pub(super) clock: Arc<ManualClock>,
    pub(super) vault: Vault,
    started: AtomicU64,
}

/// A process that follows the tenant.
pub(super) struct Process {
    pub(super) of: Follower,
    pub(super) followed: Followed,
}

impl World {
    pub(super) async fn new(seed: u64, watch: &str) -> Self {
        let start = DateTime::from_timestamp(EPOCH, 0).unwrap();
        let simulator = Simulator::with_clock(Clock::manual(start));
        let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
        tenant.populate(&Population {
            users: 14,
            groups: 4,
            seed,
        });
        simulator.set_audit_log(AuditLog {
            latency_seconds: 3_000,
            unordered: true,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = simulator.serve(listener).await;
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let vault = Vault::new(store, Arc::new(Kek::from_bytes([3; 32])));
        let own = |client_id: &str| Application::Own {
            client_id: client_id.to_owned(),
            proof: Proof {
                kind: ProofKind::Secret,
                reference: "env:X".to_owned(),
            },
        };
        let registration = TenantRecord {
            reader: own(simulator::READER_CLIENT_ID),
            writer: Some(own(simulator::WRITER_CLIENT_ID)),
            audit_watch: watch.parse().unwrap(),
            ..record(&id())
        };
        vault.create_tenant(&registration).await.unwrap();
        Self {
            simulator,
            tenant,
            server,
            connections: Connections::new().unwrap(),
            clock: Arc::new(ManualClock::new(start)),
            vault,
            started: AtomicU64::new(0),
        }
    }

    /// Spoils one request in ten from now on, or none.
    pub(super) fn spoil(&self, rate: f64, seed: u64) {
        let mix = FaultMix {
            // Time stands still, so nothing is slow; two refused tokens in a row would
            // be a credential that is refused.
            weights: FaultWeights {
                slow: 0,
                expired_token: 0,
                ..FaultWeights::default()
            },
            ..FaultMix::of(rate, seed)
        };
        self.simulator.set_fault_mix((rate > 0.0).then_some(mix));
    }

    pub(super) async fn pass(&self, seconds: u64) {
        pass(&self.simulator, &self.clock, seconds).await;
    }

    fn connect(&self) -> Connect {
        let (simulator, clock) = (self.simulator.clone(), Arc::clone(&self.clock));
        let sleep: graph::Sleeper = Arc::new(move |wait: Duration| {
            let (simulator, clock) = (simulator.clone(), Arc::clone(&clock));
            Box::pin(async move { pass(&simulator, &clock, wait.as_secs() + 1).await })
        });
        let clock = Arc::clone(&self.clock);
        let counter = Arc::new(AtomicU64::new(1));
        let ids: graph::Ids = Arc::new(move || {
            uuid::Uuid::from_u128(u128::from(counter.fetch_add(1, Ordering::Relaxed)))
        });
        let settings = graph::Settings {
            role: Role::Collector,
            limits: Limits::Off,
            sleep,
            ..graph::Settings::new(self.connections.clone(), ids, Arc::new(move || clock.now()))
        };
        let url = |path: &str| format!("{}{path}", self.server.url()).parse().unwrap();
        let endpoint = Endpoint {
            graph_url: url("/v1.0"),
            login_url: url(""),
            tenant: id(),
            client_id: simulator::READER_CLIENT_ID.to_owned(),
        };
        Arc::new(move |_| {
            let secret = Credential::secret(simulator::READER_SECRET.into());
            Ok(Arc::new(GraphReader::new(
                &endpoint,
                secret,
                settings.clone(),
            )))
        })
    }

    /// A process that has just started.
    pub(super) fn process(&self) -> Process {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        let context = Context::new(Deps {
            vault: self.vault.clone(),
            copies: None,
            differ: None,
            clock: Arc::clone(&self.clock) as Arc<dyn runtime::Clock>,
            ids: Arc::new(SeededIds::new(number)),
            connect: self.connect(),
        });
        Process {
            of: Follower {
                context,
                holder: format!("process-{number}"),
                every: TimeDelta::minutes(5),
                stop: CancellationToken::new(),
            },
            followed: Followed::default(),
        }
    }

    /// All signals, oldest first.
    pub(super) async fn signals(&self) -> Vec<Signal> {
        let context = self.process().of.context;
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListSignalsRequest {
                parent: proto::name::tenant(&id()),
                page_size: 1_000,
                page_token,
                ..ListSignalsRequest::default()
            };
            let page = signals::list(&context, request).await.unwrap();
            all.extend(page.signals);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        all.reverse();
        all
    }

    /// How often each path was asked for.
    pub(super) fn asked(&self, path: &str) -> u64 {
        let counters = self.simulator.counters();
        let routes = counters.requests.iter();
        let routes = routes.filter(|(route, _)| route.to_lowercase().contains(path));
        routes.map(|(_, count)| count).sum()
    }

    /// Sends a request of the intruder's, which must be granted.
    pub(super) fn send(&self, method: &str, path: &str, body: Option<serde_json::Value>) {
        self.send_as(simulator::INTRUDER_CLIENT_ID, method, path, body);
    }

    /// Sends a request of an application's, which must be granted.
    pub(super) fn send_as(
        &self,
        client_id: &str,
        method: &str,
        path: &str,
        body: Option<serde_json::Value>,
    ) {
        let status = self.tenant.send(client_id, method, path, body.as_ref());
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    }

    /// Replaces the registration.
    pub(super) async fn register(&self, change: impl FnOnce(&mut TenantRecord)) {
        let mut found = self.vault.tenant_record(&id()).await.unwrap().unwrap();
        change(&mut found.value);
        self.vault.update_tenant(&found).await.unwrap();
    }
}

impl Process {
    /// Looks until it has caught up, or does not get on.
    pub(super) async fn look(&mut self) -> DateTime<Utc> {
        loop {
            let next = self.look_once().await;
            if next > self.of.context.deps.clock.now() {
                return next;
            }
        }
    }

    /// Looks at one part.
    pub(super) async fn look_once(&mut self) -> DateTime<Utc> {
        self.followed.look(&self.of, &id()).await
    }

    /// Looks, and is killed after so many turns; whether it came to an end before.
    pub(super) async fn look_until_killed(&mut self, turns: u64) -> bool {
        let mut look = std::pin::pin!(self.look());
        let mut left = turns;
        std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            look.as_mut().poll(context).map(|_| true)
        })
        .await
    }
}

/// Lets time pass for everybody.
async fn pass(simulator: &Simulator, clock: &ManualClock, seconds: u64) {
    simulator.clock().advance(Duration::from_secs(seconds));
    clock.advance(TimeDelta::seconds(i64::try_from(seconds).unwrap()));
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

pub(super) fn id() -> TenantId {
    TenantId::parse(TENANT).unwrap()
}

/// A small seeded generator, so that a failing seed can be run again.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x0bad_5eed)
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Runs work in a runtime whose time stands still.
pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        // One that keeps time from running ahead, and one that works.
        .max_blocking_threads(2)
        .build()
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let outcome = runtime.block_on(async {
        tokio::task::spawn_blocking(move || receiver.recv());
        work.await
    });
    drop(sender);
    runtime.shutdown_background();
    outcome
}
