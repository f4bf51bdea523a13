//! What summaries say, and that they are made from what is stored.

use std::sync::Arc;

use chrono::TimeDelta;
use model::SnapshotId;
use model::drift::Severity as Grade;
use model::snapshot::{Completeness, Content, Kind, Method};
use proto::v1::SignalSource;
use runtime::{Clock, ManualClock, SeededIds};
use store::object_store::memory::InMemory;
use store::{Kek, Vault};
use testkit::store::{content, meta, moment, record, tenant};

use super::*;
use crate::{Deps, signals};

const DAY: i64 = 86_400;
/// From [`moment`]`(0)` to the midnight of the 20th of November 2026.
const BASE: i64 = 5_132_800;

struct World {
    clock: Arc<ManualClock>,
    context: Context,
    vault: TenantVault,
}

impl World {
    async fn new() -> Self {
        let vault = Vault::new(
            Arc::new(InMemory::new()),
            Arc::new(Kek::from_bytes([1; 32])),
        );
        vault.create_tenant(&record(&tenant(1))).await.expect("new");
        let clock = Arc::new(ManualClock::new(moment(BASE + 3 * DAY + 3_600)));
        let opened = vault.tenant(&tenant(1)).await.expect("there");
        let context = Context::new(Deps {
            vault,
            copies: None,
            differ: None,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ids: Arc::new(SeededIds::new(1)),
            connect: Arc::new(|_| Err(Error::Suspended)),
        });
        Self {
            clock,
            context,
            vault: opened,
        }
    }

    /// Commits a daily snapshot, complete but for some kinds, `day` days after the 20th.
    async fn take(&self, day: i64, users: usize, without: &[Kind]) {
        let begun = |kind| {
            let mut it = Completeness::begun(kind, Method::SingleRead, moment(0));
            if without.contains(&kind) {
                it.problem = Some("Graph answered 403".to_owned());
            }
            it
        };
        let content = Content {
            completeness: Kind::all().into_iter().map(begun).collect(),
            ..content(users)
        };
        let meta = meta(&format!("202611{}-daily", 20 + day), "a", BASE + day * DAY);
        self.vault
            .commit_content(&meta, &content)
            .await
            .expect("committed");
    }

    async fn raise(&self, id: &str, severity: Grade) {
        let id = model::SignalId::parse(id).expect("an id");
        let signal = Signal {
            severity: proto::convert::severity(severity).into(),
            source: SignalSource::Drift.into(),
            ..Signal::default()
        };
        let raised = signals::raise(&self.context, &self.vault, &id, severity, &signal).await;
        raised.expect("raised");
    }

    async fn refresh(&self) -> TenantSummary {
        refresh(&self.context, &tenant(1)).await.expect("made");
        self.stored().await.1
    }

    async fn stored(&self) -> (u64, TenantSummary) {
        let (number, content) = self.vault.summary().await.expect("read").expect("there");
        (number, decoded(&content))
    }

    fn fail(&self, reason: &str) {
        let now = self.context.deps.clock.now();
        self.context
            .failures
            .failed(&tenant(1), reason, "what happened", now);
    }
}

fn day(date: &str, changes: Option<i64>, signals: [i32; 4]) -> DaySummary {
    let [low_signals, medium_signals, high_signals, critical_signals] = signals;
    DaySummary {
        date: date.to_owned(),
        changes,
        low_signals,
        medium_signals,
        high_signals,
        critical_signals,
    }
}

#[tokio::test]
async fn a_summary_says_what_is_stored_and_is_written_once() {
    let world = World::new().await;
    // Where there is nothing to tell, nothing is written.
    refresh(&world.context, &tenant(1)).await.expect("made");
    assert_eq!(world.vault.summary().await.expect("read"), None);
    world.take(1, 30, &[]).await;
    let incomplete = Kind::all()[0];
    world.take(2, 40, &[incomplete]).await;
    let newest = SnapshotId::parse("20261122-daily").expect("an id");
    let manifest = world.vault.manifest(&newest).await.expect("there");
    changed(&world.context, &world.vault, &manifest, 12)
        .await
        .expect("noted");
    world
        .raise("20261122-daily-mass-disable", Grade::High)
        .await;
    world
        .raise("20261122-daily-mass-deletion", Grade::Critical)
        .await;
    world.raise("20261122T101500-consent", Grade::High).await;
    world
        .raise("20261101-daily-mass-disable", Grade::High)
        .await;
    let posture = Posture {
        score: 60,
        read_time: Some(timestamp(moment(BASE + 2 * DAY))),
        ..Posture::default()
    };
    let content = posture.encode_to_vec().into();
    let put = world
        .vault
        .put(Area::Posture, newest.as_str(), POSTURE, content);
    put.await.expect("kept");

    let made = world.refresh().await;
    assert_eq!(
        made.last_snapshot,
        proto::name::snapshot(&tenant(1), &newest)
    );
    assert_eq!(
        made.last_snapshot_time,
        Some(timestamp(moment(BASE + 2 * DAY)))
    );
    assert_eq!(made.last_snapshot_seconds, 60);
    assert_eq!(
        (made.last_snapshot_complete, made.incomplete_kinds.clone()),
        (false, vec![incomplete.name()])
    );
    assert_eq!(made.last_complete_time, Some(timestamp(moment(BASE + DAY))));
    assert_eq!((made.snapshot_count, made.posture_score), (2, Some(60)));
    let live: i64 = made.counts.iter().map(|it| it.count).sum();
    let expected: u64 = manifest.counts.iter().map(|it| it.live).sum();
    assert_eq!(live, count(expected));
    assert!(made.stored_bytes > 0);
    assert_eq!(made.days, [day("2026-11-22", Some(12), [0, 0, 2, 1])]);

    // Nothing new is nothing written; what comes is counted, and the rest not read again.
    let (number, _) = world.stored().await;
    world.clock.advance(TimeDelta::minutes(5));
    assert_eq!(world.refresh().await, made);
    assert_eq!(world.stored().await.0, number);
    world.raise("20261123T080000-consent", Grade::Medium).await;
    let more = world.refresh().await;
    assert_eq!(
        more.days,
        [
            day("2026-11-22", Some(12), [0, 0, 2, 1]),
            day("2026-11-23", None, [0, 1, 0, 0])
        ]
    );
    assert_eq!(world.stored().await.0, number + 1);
    // After two weeks it is no news any more.
    world.clock.advance(TimeDelta::days(13));
    assert_eq!(
        world.refresh().await.days,
        [day("2026-11-23", None, [0, 1, 0, 0])]
    );
}

#[tokio::test]
async fn failures_are_told_until_a_snapshot_is_taken() {
    let world = World::new().await;
    world.take(1, 30, &[]).await;
    world.fail("GRAPH_UNAVAILABLE");
    world.fail("LICENCE_REQUIRED");
    let failure = world.refresh().await.failure.expect("told");
    assert_eq!(
        (
            failure.reason.as_str(),
            failure.detail.as_str(),
            failure.count
        ),
        ("LICENCE_REQUIRED", "what happened", 2)
    );
    // Told once, they are not counted twice.
    assert_eq!(world.refresh().await.failure, Some(failure));
    world.clock.advance(TimeDelta::hours(1));
    world.fail("LICENCE_REQUIRED");
    // Another process, which knows of none, tells what is stored.
    let other = Context {
        failures: Failures::default(),
        ..world.context.clone()
    };
    let third = world.refresh().await.failure.expect("told");
    assert_eq!(third.count, 3);
    refresh(&other, &tenant(1)).await.expect("made");
    assert_eq!(world.stored().await.1.failure, Some(third));
    world.take(4, 30, &[]).await;
    world.clock.advance(TimeDelta::days(2));
    assert_eq!(world.refresh().await.failure, None);
}

#[tokio::test]
async fn of_many_who_write_at_once_no_number_is_lost() {
    let world = World::new().await;
    world.take(1, 30, &[]).await;
    let id = tenant(1);
    let all = (0..8).map(|_| refresh(&world.context, &id));
    for made in futures::future::join_all(all).await {
        made.expect("made");
    }
    let (number, summary) = world.stored().await;
    assert_eq!(number, 1, "all say the same");
    assert_eq!(summary.snapshot_count, 1);
}

#[tokio::test]
async fn one_that_cannot_be_read_is_made_anew() {
    let world = World::new().await;
    world.take(1, 30, &[]).await;
    let stored = world.vault.put_summary(1, "nonsense".into()).await;
    assert!(stored.expect("stored"));
    assert_eq!(world.refresh().await.snapshot_count, 1);
    assert_eq!(world.stored().await.0, 2);
}
