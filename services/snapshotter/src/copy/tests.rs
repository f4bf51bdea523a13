//! Copies after daily snapshots and when asked, on stores in memory.

use std::sync::Arc;
use std::time::Duration;

use model::SnapshotId;
use model::error::reason;
use prometheus_client::registry::Registry;
use proto::v1::SnapshotState;
use runtime::status::Fault as _;
use runtime::{ManualClock, SeededIds};
use store::object_store::memory::InMemory;
use store::object_store::{ObjectStore, ObjectStoreExt};
use store::{Kek, Trigger, Vault, layout};
use testkit::directory::FakeDirectory;
use testkit::store::{FaultStore, content, meta, moment, record, tamper, tenant};
use tokio_stream::StreamExt;

use super::*;
use crate::{Deps, take};

/// A subscription with Entra ID P1.
const PREMIUM: &str = r#"{"capabilityStatus": "Enabled", "servicePlans": [
    {"servicePlanId": "41781fb2-bc02-4b7c-bd55-b576c07bb09d", "provisioningStatus": "Success"}
]}"#;

struct World {
    from: Arc<dyn ObjectStore>,
    to: Arc<FaultStore>,
    context: Context,
}

impl World {
    /// Tenant 1 with a snapshot of each of two days, of which nothing is copied.
    async fn new() -> Self {
        let from: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let to = Arc::new(FaultStore::new(Arc::new(InMemory::new())));
        let vault = Vault::new(from.clone(), Arc::new(Kek::from_bytes([1; 32])));
        vault.create_tenant(&record(&tenant(1))).await.unwrap();
        let opened = vault.tenant(&tenant(1)).await.unwrap();
        for (day, start) in [(20, 0), (21, 100)] {
            let meta = meta(&format!("202611{day}-daily"), "a", start);
            opened.commit_content(&meta, &content(20)).await.unwrap();
        }
        let sku = PREMIUM.parse().unwrap();
        let directory = FakeDirectory::new(content(20)).with_skus(vec![sku]);
        let directory = Arc::new(directory);
        let deps = Deps {
            copies: Some(Copies::new(&vault, to.clone())),
            differ: None,
            vault,
            clock: Arc::new(ManualClock::new(moment(200))),
            ids: Arc::new(SeededIds::new(1)),
            connect: Arc::new(move |_| Ok(directory.clone())),
        };
        let context = Context::new(deps);
        Self { from, to, context }
    }

    /// Takes a day's snapshot.
    async fn take(&self, day: u32, trigger: Trigger) {
        let slot = SnapshotId::parse(&format!("202611{day}-daily")).unwrap();
        take::start(&self.context, &tenant(1), &slot, trigger);
        let name = name::snapshot(&tenant(1), &slot);
        let watch = self.context.jobs.watch(&name).unwrap();
        let told: Vec<_> = watch.collect().await;
        let last = told.last().unwrap().clone().unwrap();
        let state = last.snapshot.unwrap().state();
        assert!(
            matches!(state, SnapshotState::Complete | SnapshotState::Incomplete),
            "{state:?}"
        );
    }

    /// What becomes of each snapshot: the end of its name, state, files, reason.
    async fn copy(&self, snapshot: &str) -> Result<Vec<(String, CopyState, i64, String)>, Error> {
        let request = CopySnapshotsRequest {
            parent: name::tenant(&tenant(1)),
            snapshot: snapshot.to_owned(),
            request_id: String::new(),
        };
        let stream = copy(&self.context, request).await?;
        let answers: Vec<_> = stream.collect().await;
        let told = |answer: Result<CopySnapshotsResponse, _>| {
            let copy = answer.unwrap().copy.unwrap();
            let id = copy.name.rsplit('/').next().unwrap().to_owned();
            (id, copy.state(), copy.file_count, copy.reason)
        };
        Ok(answers.into_iter().map(told).collect())
    }

    /// The ids in the copy, oldest first, each read as a whole.
    async fn copied(&self) -> Vec<String> {
        let copies = self.context.deps.copies.as_ref().unwrap();
        let Ok(vault) = copies.vault().tenant(&tenant(1)).await else {
            return Vec::new();
        };
        let (manifests, problems) = vault.manifests().await.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        let mut ids = Vec::new();
        for manifest in manifests.iter().rev() {
            vault.read(manifest).await.unwrap();
            ids.push(manifest.id().to_string());
        }
        ids
    }

    /// The value of a metric of tenant 1.
    fn metric(&self, name: &str) -> Option<String> {
        let mut registry = Registry::default();
        self.context.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let label = format!("{name}{{tenant=\"{}\"}} ", tenant(1));
        let mut lines = text.lines();
        lines.find_map(|line| Some(line.strip_prefix(&label)?.to_owned()))
    }
}

fn told(id: &str, state: CopyState, files: i64) -> (String, CopyState, i64, String) {
    (id.to_owned(), state, files, String::new())
}

#[tokio::test]
async fn one_or_all_are_copied_and_each_is_told() {
    let world = World::new().await;
    let (first, second) = ("20261120-daily", "20261121-daily");
    let done = world.copy(first).await.unwrap();
    assert_eq!(done, [told(first, CopyState::Copied, 3)]);
    let done = world.copy("").await.unwrap();
    assert_eq!(
        done,
        [
            told(second, CopyState::Copied, 3),
            told(first, CopyState::Present, 0)
        ]
    );
    assert_eq!(world.copied().await, [first, second]);
    assert_eq!(
        world.metric("rewind_copy_sent_files_total").as_deref(),
        Some("6")
    );

    let unknown = world.copy("20261122-daily").await.unwrap_err();
    assert_eq!(unknown.reason(), reason::NOT_FOUND);
    let malformed = world.copy("../20261122-daily").await.unwrap_err();
    assert_eq!(malformed.reason(), reason::INVALID_ARGUMENT);
}

#[tokio::test]
async fn without_another_store_nothing_is_copied() {
    let mut world = World::new().await;
    let vault = world.context.deps.vault.clone();
    world.context.deps.copies = Some(Copies::new(&vault, world.from.clone()));
    let same = world.copy("").await.unwrap_err();
    assert_eq!(same.reason(), reason::NO_COPY_STORE);
    world.context.deps.copies = None;
    let none = world.copy("").await.unwrap_err();
    assert_eq!(none.reason(), reason::NO_COPY_STORE);
    let code = status(&none).code();
    assert_eq!(code, tonic::Code::FailedPrecondition);
    catch_up(&world.context, &tenant(1)).await;
    assert_eq!(world.metric("rewind_copy_failures_total"), None);
}

#[tokio::test]
async fn one_that_is_damaged_does_not_keep_the_others_from_it() {
    let world = World::new().await;
    let (first, second) = ("20261120-daily", "20261121-daily");
    let vault = world.context.deps.vault.tenant(&tenant(1)).await.unwrap();
    let id = SnapshotId::parse(second).unwrap();
    let run = vault.manifest(&id).await.unwrap().runs[0].hash;
    world
        .from
        .delete(&layout::run(&tenant(1), &run))
        .await
        .unwrap();
    let failed = |id: &str| {
        let reason = reason::STORE_CORRUPT.to_owned();
        (id.to_owned(), CopyState::Failed, 0, reason)
    };
    let done = world.copy("").await.unwrap();
    assert_eq!(done, [failed(second), told(first, CopyState::Copied, 3)]);

    let manifest = layout::manifest(&tenant(1), &id);
    tamper(world.from.as_ref(), &manifest, |bytes| bytes.truncate(9)).await;
    let done = world.copy("").await.unwrap();
    assert_eq!(done, [told(first, CopyState::Present, 0), failed(second)]);
    catch_up(&world.context, &tenant(1)).await;
    let failures = world.metric("rewind_copy_failures_total");
    assert_eq!(failures.as_deref(), Some("1"));
    assert_eq!(world.copied().await, [first]);
}

#[tokio::test]
async fn a_daily_snapshot_is_copied_with_what_was_missing_and_never_spoilt_by_it() {
    let world = World::new().await;
    // The store of the copies is out of reach.
    world.to.break_after(3);
    world.take(22, Trigger::Scheduled).await;
    let failures = || world.metric("rewind_copy_failures_total");
    until(async || failures().as_deref() == Some("1")).await;
    assert_eq!(world.copied().await, [""; 0]);

    // One on demand is copied with the next daily one.
    world.to.mend();
    world.take(23, Trigger::OnDemand).await;
    assert_eq!(world.copied().await, [""; 0]);
    world.take(24, Trigger::Scheduled).await;
    until(async || world.copied().await.len() == 5).await;
    assert_eq!(failures().as_deref(), Some("1"));
}

#[tokio::test]
async fn after_a_daily_snapshot_damage_is_counted() {
    let world = World::new().await;
    let damaged = || world.metric("rewind_verify_damaged_files");
    world.take(22, Trigger::Scheduled).await;
    until(async || damaged().as_deref() == Some("0")).await;

    let note = format!("{}/ransom-note", layout::tenant(&tenant(1)));
    world.from.put(&note.into(), "pay".into()).await.unwrap();
    world.take(23, Trigger::OnDemand).await;
    assert_eq!(damaged().as_deref(), Some("0"));
    world.take(24, Trigger::Scheduled).await;
    until(async || damaged().as_deref() == Some("1")).await;
}

/// Waits until something is so, as other tasks go on.
async fn until(so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "it never came to this");
}
