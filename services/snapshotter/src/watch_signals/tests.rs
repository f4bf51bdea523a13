//! Watchers beside those who raise signals.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::SignalId;
use model::drift::Severity;
use model::error::reason;
use proto::convert::timestamp;
use runtime::{ManualClock, SeededIds};
use store::object_store::memory::InMemory;
use store::{Kek, Vault};
use testkit::store::{moment, record, tenant};

use super::*;
use crate::Deps;

struct World {
    vaults: Vault,
    vault: TenantVault,
    context: Context,
}

fn context(vaults: &Vault) -> Context {
    Context::new(Deps {
        vault: vaults.clone(),
        copies: None,
        differ: None,
        clock: Arc::new(ManualClock::new(moment(100))),
        ids: Arc::new(SeededIds::new(1)),
        connect: Arc::new(|_| Err(Error::Suspended)),
    })
}

impl World {
    async fn new() -> Self {
        let vaults = Vault::new(
            Arc::new(InMemory::new()),
            Arc::new(Kek::from_bytes([1; 32])),
        );
        vaults.create_tenant(&record(&tenant(1))).await.unwrap();
        Self {
            vault: vaults.tenant(&tenant(1)).await.unwrap(),
            context: context(&vaults),
            vaults,
        }
    }

    async fn raise(&self, id: &str, severity: Severity) {
        raise(&self.context, &self.vault, id, severity).await;
    }

    async fn watch(&self, request: WatchSignalsRequest) -> Watch<WatchSignalsResponse> {
        self.try_watch(request).await.unwrap()
    }

    async fn try_watch(
        &self,
        request: WatchSignalsRequest,
    ) -> Result<Watch<WatchSignalsResponse>, Error> {
        let request = WatchSignalsRequest {
            parent: name::tenant(&tenant(1)),
            ..request
        };
        watch(&self.context, request).await
    }
}

async fn raise(context: &Context, vault: &TenantVault, id: &str, severity: Severity) {
    let id = SignalId::parse(id).unwrap();
    let signal = Signal {
        name: name::signal(vault.id(), &id),
        time: Some(timestamp(moment(50))),
        severity: proto::convert::severity(severity) as i32,
        ..Signal::default()
    };
    let raised = signals::raise(context, vault, &id, severity, &signal).await;
    raised.unwrap();
}

fn id(answer: &WatchSignalsResponse) -> Option<String> {
    let signal = answer.signal.as_ref()?;
    Some(signal.name.rsplit('/').next().unwrap().to_owned())
}

/// What is told next, and the cursor after it.
async fn next(stream: &mut Watch<WatchSignalsResponse>) -> (Option<String>, String) {
    let answer = stream.next().await.expect("it goes on").unwrap();
    (id(&answer), answer.cursor)
}

/// The next signal.
async fn signal(stream: &mut Watch<WatchSignalsResponse>) -> String {
    loop {
        if let (Some(id), _) = next(stream).await {
            return id;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_raised_is_told_whatever_day_its_name_begins_with() {
    let world = World::new().await;
    world.raise("20260920-daily-old", Severity::High).await;
    let mut stream = world.watch(WatchSignalsRequest::default()).await;
    let (first, cursor) = next(&mut stream).await;
    assert_eq!(first, None, "it comes at once and tells nothing old");
    assert!(!cursor.is_empty());
    for id in [
        "20260921-daily-a",
        "20260915-daily-late",
        "20260813-daily-very-late",
    ] {
        world.raise(id, Severity::High).await;
        assert_eq!(signal(&mut stream).await, id);
    }
    // While nothing happens, it says so.
    let quiet = Instant::now();
    while next(&mut stream).await.0.is_none() && quiet.elapsed() < SILENCE * 3 {}
    assert!(quiet.elapsed() >= SILENCE);

    // A watcher from before comes back.
    let again = WatchSignalsRequest {
        after: cursor,
        ..WatchSignalsRequest::default()
    };
    let mut stream = world.watch(again).await;
    let mut told = BTreeSet::new();
    for _ in 0..4 {
        told.insert(signal(&mut stream).await);
    }
    assert!(told.contains("20260813-daily-very-late"), "{told:?}");
    assert_eq!(told.len(), 4, "what was written just before comes again");
}

#[tokio::test(start_paused = true)]
async fn watchers_choose_by_severity_and_time() {
    let world = World::new().await;
    for (id, severity) in [
        ("20260920-daily-a", Severity::Low),
        ("20260920-daily-b", Severity::High),
    ] {
        world.raise(id, severity).await;
    }
    let severe = WatchSignalsRequest {
        min_severity: proto::v1::Severity::High as i32,
        from_time: Some(timestamp(moment(0))),
        ..WatchSignalsRequest::default()
    };
    let mut stream = world.watch(severe.clone()).await;
    assert_eq!(
        next(&mut stream).await.0.as_deref(),
        Some("20260920-daily-b")
    );
    assert_eq!(next(&mut stream).await.0, None);
    world.raise("20260920-daily-c", Severity::Medium).await;
    world.raise("20260920-daily-d", Severity::Critical).await;
    assert_eq!(signal(&mut stream).await, "20260920-daily-d");

    let later = WatchSignalsRequest {
        from_time: Some(timestamp(moment(51))),
        ..severe
    };
    let mut stream = world.watch(later).await;
    assert_eq!(next(&mut stream).await.0, None);

    let bad = WatchSignalsRequest {
        after: "yesterday".to_owned(),
        ..WatchSignalsRequest::default()
    };
    let Err(error) = world.try_watch(bad).await else {
        panic!("no cursor");
    };
    assert_eq!(error.reason(), reason::INVALID_ARGUMENT);
    let beginning = WatchSignalsRequest {
        after: "0000-01-01T00:00:00Z".to_owned(),
        ..WatchSignalsRequest::default()
    };
    let mut stream = world.watch(beginning).await;
    assert_eq!(signal(&mut stream).await, "20260920-daily-a");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_where_the_service_stops() {
    let world = World::new().await;
    let mut stream = world.watch(WatchSignalsRequest::default()).await;
    next(&mut stream).await;
    world.context.ending.cancel();
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_signal_hides_no_other() {
    let world = World::new().await;
    let mut stream = world.watch(WatchSignalsRequest::default()).await;
    next(&mut stream).await;
    let nonsense = prost::bytes::Bytes::from_static(&[0xff; 9]);
    let bad = world
        .vault
        .put(Area::Signals, "20260921-daily-bad", SIGNAL, nonsense);
    bad.await.unwrap();
    world.raise("20260921-daily-good", Severity::High).await;
    assert_eq!(signal(&mut stream).await, "20260921-daily-good");
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_keeps_no_service_from_stopping() {
    let world = World::new().await;
    let all = 3 * AHEAD;
    for n in 0..all {
        let id = format!("20260920-daily-{n}");
        world.raise(&id, Severity::High).await;
    }
    let mut stream = world
        .watch(WatchSignalsRequest {
            after: "2000-01-01T00:00:00Z".to_owned(),
            ..WatchSignalsRequest::default()
        })
        .await;
    signal(&mut stream).await;
    // Now as many wait as can.
    testkit::time::wait(Duration::from_secs(1)).await;
    world.context.ending.cancel();
    let told = stream.count().await;
    assert!(told < all - 1, "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_before_any_news_is_no_beginning() {
    let world = World::new().await;
    // Not among those that are listed.
    world.raise("20260701-daily-ancient", Severity::High).await;
    let mut stream = world.watch(WatchSignalsRequest::default()).await;
    let (told, first) = next(&mut stream).await;
    assert_eq!((told, first.as_str()), (None, "2026-09-21T14:15:00Z"));
    let again = WatchSignalsRequest {
        after: first.clone(),
        ..WatchSignalsRequest::default()
    };
    let mut stream = world.watch(again).await;
    assert_eq!(next(&mut stream).await, (None, first));
}

/// Two replicas raise signals under names of many days, while watchers of a third
/// come and go.
#[tokio::test(start_paused = true)]
async fn nobody_misses_anything() {
    const EACH: u32 = 60;
    let world = World::new().await;
    let raising = (0..2).map(|replica| {
        let context = context(&world.vaults);
        let vaults = world.vaults.clone();
        tokio::spawn(async move {
            let vault = vaults.tenant(&tenant(1)).await.unwrap();
            for n in 0..EACH {
                let day = 1 + (n * 7 + replica * 3) % 20;
                let id = format!("202609{day:02}-r{replica}-{n}");
                raise(&context, &vault, &id, Severity::High).await;
                testkit::time::wait(Duration::from_secs(u64::from(n % 4))).await;
            }
        })
    });
    let raising: Vec<_> = raising.collect();
    let all = 2 * EACH as usize;
    let steady = async {
        let mut stream = world
            .watch(WatchSignalsRequest {
                after: "2000-01-01T00:00:00Z".to_owned(),
                ..WatchSignalsRequest::default()
            })
            .await;
        let mut told = BTreeSet::new();
        while told.len() < all {
            assert!(told.insert(signal(&mut stream).await), "told twice");
        }
    };
    // One that goes away after a few answers, and comes back where it was.
    let restless = async |patience: usize| {
        let mut after = "2000-01-01T00:00:00Z".to_owned();
        let mut told = BTreeSet::new();
        while told.len() < all {
            let request = WatchSignalsRequest {
                after: after.clone(),
                ..WatchSignalsRequest::default()
            };
            let mut stream = world.watch(request).await;
            for _ in 0..patience + told.len() {
                let (id, cursor) = next(&mut stream).await;
                told.extend(id);
                after = cursor;
            }
            drop(stream);
            testkit::time::wait(Duration::from_secs(7)).await;
        }
    };
    tokio::join!(steady, restless(3), restless(11));
    for task in raising {
        task.await.unwrap();
    }
}
