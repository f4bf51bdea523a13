//! Three processes that call one tenant, in one virtual time: together they keep
//! within what Microsoft documents, and use most of it.
//!
//! Time moves only when every worker waits, by as much as the first of them
//! waits for, so what a run shows does not depend on the machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use graph::{
    Connections, Credential, Directory, Endpoint, GraphReader, Limits, Query, Role, Settings,
};
use model::{LinkKind, ObjectId, ObjectType, TenantId};
use runtime::{Ids, SystemIds};
use simulator::{Clock, Counters, Population, Simulator, TenantSpec, Throttle};
use std::sync::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::sandbox::TENANT;

/// How long the processes work, in virtual time.
const LENGTH: Duration = Duration::from_secs(60);
/// Units that a small tenant grants an application in ten seconds.
const UNITS: u64 = 3_500;

/// The time of all workers.
struct Time {
    start: DateTime<Utc>,
    origin: Instant,
    simulator: Clock,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    awake: usize,
    asleep: BTreeMap<(Instant, usize), oneshot::Sender<()>>,
    count: usize,
}

impl Time {
    /// Stops the time of this runtime for a number of workers.
    fn stop(workers: usize) -> Arc<Self> {
        tokio::time::pause();
        // Stopped time runs ahead whenever all tasks wait, here for sockets; not
        // while a blocking task runs, which ends with the runtime.
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || receiver.recv());
        tokio::spawn(async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        });
        let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
        Arc::new(Self {
            start,
            origin: Instant::now(),
            simulator: Clock::manual(start),
            waiting: Mutex::new(Waiting {
                awake: workers,
                asleep: BTreeMap::new(),
                count: 0,
            }),
        })
    }

    fn now(&self) -> DateTime<Utc> {
        self.start + self.origin.elapsed()
    }

    fn over(&self) -> bool {
        self.origin.elapsed() >= LENGTH
    }

    async fn sleep(&self, wait: Duration) {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(|held| held.into_inner());
            waiting.count += 1;
            let key = (Instant::now() + wait, waiting.count);
            waiting.asleep.insert(key, sender);
        }
        self.rest().await;
        let _ = receiver.await;
    }

    /// One worker less is awake; the last wakes the next.
    async fn rest(&self) {
        let (until, sender) = {
            let mut waiting = self.waiting.lock().unwrap_or_else(|held| held.into_inner());
            waiting.awake -= 1;
            if waiting.awake > 0 {
                return;
            }
            let Some(((until, _), sender)) = waiting.asleep.pop_first() else {
                return;
            };
            waiting.awake += 1;
            (until, sender)
        };
        let by = until.saturating_duration_since(Instant::now());
        self.simulator.advance(by);
        tokio::time::advance(by).await;
        let _ = sender.send(());
    }
}

/// A process: a client of its own for one role, with a clock that is not quite right.
fn process(time: &Arc<Time>, url: &str, role: Role, skew: i64) -> anyhow::Result<GraphReader> {
    let graph = format!("{url}/v1.0");
    let (client_id, secret) = match role {
        Role::Restorer => (simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET),
        _ => (simulator::READER_CLIENT_ID, simulator::READER_SECRET),
    };
    let hosts = (Some(graph.as_str()), Some(url));
    let endpoint = Endpoint::of(&TenantId::parse(TENANT)?, "global", hosts, client_id)?;
    let (clock, waits) = (Arc::clone(time), Arc::clone(time));
    let now = Arc::new(move || clock.now() + TimeDelta::milliseconds(skew));
    let ids = Arc::new(|| SystemIds.uuid());
    let settings = Settings {
        role,
        limits: Limits::Documented,
        sleep: Arc::new(move |wait| {
            let time = Arc::clone(&waits);
            Box::pin(async move { time.sleep(wait).await })
        }),
        ..Settings::new(Connections::new()?, ids, now)
    };
    Ok(GraphReader::new(
        &endpoint,
        Credential::secret(secret.into()),
        settings,
    ))
}

/// Reads members in batches of twenty, as fast as the budget allows.
async fn read_directory(time: &Time, reader: &GraphReader, groups: &[ObjectId]) {
    let queries: Vec<Query> = (0..20)
        .map(|number| Query::Links {
            kind: LinkKind::GroupMembers,
            source: groups[number % groups.len()].clone(),
        })
        .collect();
    while !time.over() {
        let _ = reader.first_pages(&queries).await;
    }
    time.rest().await;
}

/// Reads policies, as fast as the budget allows.
async fn read_policies(time: &Time, reader: &GraphReader) {
    let query = Query::Objects(ObjectType::ConditionalAccessPolicy);
    while !time.over() {
        let _ = reader.page(&query, None).await;
    }
    time.rest().await;
}

/// What the simulator saw of three processes in these roles.
async fn play(roles: [Role; 3]) -> anyhow::Result<Counters> {
    runtime::tls::install_provider();
    let time = Time::stop(6);
    let simulator = Simulator::with_clock(time.simulator.clone());
    let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
    tenant.populate(&Population {
        users: 20,
        groups: 4,
        seed: 3,
    });
    simulator.set_throttle(Throttle::Documented);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let server = simulator.serve(listener).await;
    let groups = simulator.dump(TENANT)["objects"]["group"].clone();
    let groups: Vec<ObjectId> = groups
        .as_object()
        .into_iter()
        .flat_map(|groups| groups.keys())
        .filter_map(|id| ObjectId::parse(id).ok())
        .collect();
    let skews = [60, -60, 30];
    let readers = roles
        .iter()
        .zip(skews)
        .map(|(role, skew)| process(&time, &server.url(), *role, skew))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let workers = readers.iter().flat_map(|reader| -> [BoxFuture<'_, ()>; 2] {
        [
            read_directory(&time, reader, &groups).boxed(),
            read_policies(&time, reader).boxed(),
        ]
    });
    join_all(workers).await;
    Ok(simulator.counters())
}

fn policies(counters: &Counters) -> u64 {
    counters.of("GET /identity/conditionalAccess/policies")
}

#[tokio::test]
async fn three_processes_keep_within_the_documented_quotas() -> anyhow::Result<()> {
    let counters = play([Role::Collector, Role::Differ, Role::Restorer]).await?;
    assert_eq!(counters.violations, []);
    assert_eq!(counters.throttled_lanes.values().sum::<u64>(), 0);
    // The collector and the differ have seven tenths of the reader's units.
    let units = counters.apps[simulator::READER_CLIENT_ID].units;
    let granted = UNITS * LENGTH.as_secs() / 10;
    assert!(units >= granted * 6 / 10, "{units} of {granted}");
    // Four requests in five seconds, and each the one it waited for at the end.
    let sent = policies(&counters);
    assert!((48..=52).contains(&sent), "{sent}");
    Ok(())
}

#[tokio::test]
async fn without_shares_the_same_processes_pass_the_quotas() -> anyhow::Result<()> {
    let counters = play([Role::Alone; 3]).await?;
    assert!(counters.throttled_lanes["conditionalAccess"] > 10);
    assert!(counters.throttled_lanes["identity"] > 0);
    Ok(())
}
