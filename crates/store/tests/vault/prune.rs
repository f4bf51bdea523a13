//! What retention lets go, and that nothing else goes: with writers that freeze,
//! with several at once, and broken off anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use futures::StreamExt;
use model::retention::Policy;
use model::snapshot::{Change, Content};
use model::{Object, ObjectState, ObjectType, SnapshotId, TenantId};
use store::object_store::path::Path;
use store::object_store::{ObjectStore, ObjectStoreExt};
use store::{
    Draft, Fate, Manifest, Pruned, SnapshotMeta, StoreError, Taken, TenantVault, Trigger, layout,
};
use testkit::store::{FaultStore, Gate, content, meta, moment, tenant};

use crate::{memory, opened};

const DAY: i64 = 86_400;

pub(crate) fn slot(day: usize) -> String {
    format!("day-{day:03}")
}

pub(crate) fn id(name: &str) -> SnapshotId {
    SnapshotId::parse(name).unwrap()
}

fn ids(names: &[&str]) -> Vec<SnapshotId> {
    names.iter().map(|name| id(name)).collect()
}

fn grace() -> TimeDelta {
    TimeDelta::days(1)
}

pub(crate) fn five() -> Policy {
    Policy::default()
}

pub(crate) async fn prune(
    vault: &TenantVault,
    policy: &Policy,
    day: i64,
) -> Result<Pruned, StoreError> {
    vault
        .prune(policy, grace(), moment(day * DAY + 3_600))
        .await
}

/// A snapshot of a day, written as a whole.
pub(crate) async fn whole(vault: &TenantVault, day: usize) -> Manifest {
    let start = i64::try_from(day).unwrap() * DAY;
    let meta = meta(&slot(day), "a", start);
    vault
        .commit_content(&meta, &content(3 + day % 4))
        .await
        .unwrap()
}

/// A snapshot of a day that goes on from another.
pub(crate) async fn following(
    vault: &TenantVault,
    meta: &SnapshotMeta,
    base: &Manifest,
    word: &str,
) -> Result<Manifest, StoreError> {
    let draft = Draft::default();
    let json = format!(r#"{{"id":"u1","displayName":"{word}"}}"#);
    draft.apply(Change::Put(
        Object::from_json(ObjectType::User, ObjectState::Live, &json).unwrap(),
    ));
    let taken = Taken {
        completeness: base.completeness.clone(),
        ..Taken::default()
    };
    vault
        .commit(meta, draft, taken, Some(base), &|| meta.finished)
        .await
}

async fn files(store: &dyn ObjectStore) -> BTreeSet<Path> {
    store
        .list(None)
        .map(|meta| meta.unwrap().location)
        .collect()
        .await
}

/// The runs in the store.
pub(crate) async fn runs(store: &dyn ObjectStore) -> BTreeSet<Path> {
    let folder = layout::runs(&tenant(1));
    store
        .list(Some(&folder))
        .map(|meta| meta.unwrap().location)
        .collect()
        .await
}

/// The runs that snapshots name.
pub(crate) fn named(tenant: &TenantId, manifests: &[Manifest]) -> BTreeSet<Path> {
    let runs = manifests.iter().flat_map(|manifest| &manifest.runs);
    runs.map(|run| layout::run(tenant, &run.hash)).collect()
}

/// The names of the snapshots, each read as a whole.
pub(crate) async fn whole_ones(vault: &TenantVault) -> Vec<String> {
    let (manifests, problems) = vault.manifests().await.unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    for manifest in &manifests {
        vault.read(manifest).await.unwrap();
    }
    manifests
        .iter()
        .rev()
        .map(|it| it.id().to_string())
        .collect()
}

#[tokio::test]
async fn what_is_not_kept_goes_in_two_phases() {
    let store = memory();
    let (_, vault) = opened(store.clone()).await;
    for day in 0..7 {
        whole(&vault, day).await;
    }
    let done = prune(&vault, &five(), 6).await.unwrap();
    let marked = ids(&["day-000", "day-001"]);
    assert_eq!(
        done,
        Pruned {
            marked,
            ..Pruned::default()
        }
    );
    assert_eq!(whole_ones(&vault).await.len(), 7, "they stay readable");
    let manifest = vault.manifest(&id("day-001")).await.unwrap();
    assert_eq!(
        manifest.fate,
        Fate::Expiring {
            since: moment(6 * DAY + 3_600)
        }
    );
    let done = vault
        .prune(&five(), grace(), moment(7 * DAY))
        .await
        .unwrap();
    assert_eq!(done, Pruned::default(), "the grace has not passed");

    let done = prune(&vault, &five(), 7).await.unwrap();
    assert_eq!(done.removed, ids(&["day-000", "day-001"]));
    assert_eq!(done.files, 6, "two manifests and four runs");
    let left: Vec<String> = (2..7).map(slot).collect();
    assert_eq!(whole_ones(&vault).await, left);
    let (manifests, _) = vault.manifests().await.unwrap();
    assert_eq!(runs(store.as_ref()).await, named(vault.id(), &manifests));
    let again = vault.manifest(&id("day-000")).await;
    assert!(
        matches!(again, Err(StoreError::NotFound { .. })),
        "{again:?}"
    );
    assert_eq!(prune(&vault, &five(), 8).await.unwrap(), Pruned::default());
}

#[tokio::test]
async fn a_base_lives_as_long_as_what_was_built_on_it() {
    let store = memory();
    let (_, vault) = opened(store.clone()).await;
    let first = meta(&slot(0), "a", 0);
    let mut newest = vault.commit_content(&first, &content(40)).await.unwrap();
    let base: Vec<Path> = named(vault.id(), std::slice::from_ref(&newest))
        .into_iter()
        .collect();
    for day in 1..7 {
        let meta = meta(&slot(day), "a", i64::try_from(day).unwrap() * DAY);
        newest = following(&vault, &meta, &newest, &slot(day)).await.unwrap();
    }
    prune(&vault, &five(), 6).await.unwrap();
    let done = prune(&vault, &five(), 7).await.unwrap();
    assert_eq!(done.removed, ids(&["day-000", "day-001"]));
    assert_eq!(done.files, 2, "the manifests alone");
    assert_eq!(whole_ones(&vault).await.len(), 5);
    assert!(
        runs(store.as_ref())
            .await
            .is_superset(&base.into_iter().collect())
    );
}

#[tokio::test]
async fn a_hold_is_stronger_until_it_is_lifted() {
    let (_, vault) = opened(memory()).await;
    for day in 0..8 {
        whole(&vault, day).await;
    }
    vault
        .hold(&id("day-000"), "case 7", moment(8 * DAY))
        .await
        .unwrap();
    prune(&vault, &five(), 8).await.unwrap();
    // Also one that is on its way out already.
    vault
        .hold(&id("day-001"), "case 8", moment(8 * DAY))
        .await
        .unwrap();
    vault
        .hold(&id("day-001"), "again", moment(9 * DAY))
        .await
        .unwrap();
    let done = prune(&vault, &five(), 10).await.unwrap();
    assert_eq!(done.removed, ids(&["day-002"]));
    let held = vault.manifest(&id("day-001")).await.unwrap();
    let reason = "case 8".to_owned();
    assert_eq!(
        held.fate,
        Fate::Held {
            since: moment(8 * DAY),
            reason
        }
    );
    let gone = vault.hold(&id("day-002"), "late", moment(11 * DAY)).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");

    vault.lift_hold(&id("day-000")).await.unwrap();
    vault.lift_hold(&id("day-000")).await.unwrap();
    assert_eq!(
        prune(&vault, &five(), 12).await.unwrap().marked,
        ids(&["day-000"])
    );
    let wider = Policy {
        recent: 9,
        ..five()
    };
    assert_eq!(
        prune(&vault, &wider, 14).await.unwrap().spared,
        ids(&["day-000"])
    );
    assert_eq!(whole_ones(&vault).await.len(), 7);
}

#[tokio::test]
async fn nothing_goes_while_anything_is_missing() {
    let store = memory();
    let (_, vault) = opened(store.clone()).await;
    for day in 0..7 {
        whole(&vault, day).await;
    }
    prune(&vault, &five(), 6).await.unwrap();
    let newest = vault.manifest(&id("day-006")).await.unwrap();
    let lost = layout::run(vault.id(), &newest.runs[0].hash);
    let bytes = store.get(&lost).await.unwrap().bytes().await.unwrap();
    store.delete(&lost).await.unwrap();
    let before = files(store.as_ref()).await;
    let error = prune(&vault, &five(), 9).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { path, .. } if *path == lost.to_string()),
        "{error}"
    );
    assert_eq!(files(store.as_ref()).await, before);

    store.put(&lost, bytes.into()).await.unwrap();
    let manifest = layout::manifest(vault.id(), &id("day-003"));
    let whole = store.get(&manifest).await.unwrap().bytes().await.unwrap();
    store
        .put(&manifest, whole.slice(..whole.len() - 1).into())
        .await
        .unwrap();
    let error = prune(&vault, &five(), 9).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { path, .. } if *path == manifest.to_string()),
        "{error}"
    );
    store.put(&manifest, whole.into()).await.unwrap();
    assert_eq!(prune(&vault, &five(), 9).await.unwrap().removed.len(), 2);
}

/// A writer that freezes right before its manifest.
async fn freeze(
    faults: &FaultStore,
    vault: &TenantVault,
    meta: SnapshotMeta,
    base: Manifest,
) -> (Gate, tokio::task::JoinHandle<Result<Manifest, StoreError>>) {
    let gate = faults.gate(&layout::manifest(vault.id(), &meta.id));
    let vault = vault.clone();
    let writer = tokio::spawn(async move { following(&vault, &meta, &base, "late").await });
    gate.reached().await;
    (gate, writer)
}

#[tokio::test]
async fn a_writer_that_wakes_too_late_has_lost() {
    let faults = Arc::new(FaultStore::new(memory()));
    let (_, vault) = opened(faults.clone()).await;
    let base = whole(&vault, 0).await;
    let mine = meta("day-000-late", "w", 60);
    vault
        .claim(&mine.id, "w", moment(60), TimeDelta::minutes(30))
        .await
        .unwrap();
    let (gate, writer) = freeze(&faults, &vault, mine.clone(), base.clone()).await;
    for day in 1..8 {
        whole(&vault, day).await;
    }
    let none = vault
        .prune(
            &Policy {
                recent: 8,
                ..five()
            },
            grace(),
            moment(3_600),
        )
        .await
        .unwrap();
    assert_eq!(
        none,
        Pruned {
            waits_for: Some(mine.id.clone()),
            ..Pruned::default()
        }
    );
    prune(&vault, &five(), 7).await.unwrap();
    let done = prune(&vault, &five(), 8).await.unwrap();
    assert_eq!(done.removed, ids(&["day-000", "day-001", "day-002"]));
    let base_runs = named(vault.id(), std::slice::from_ref(&base));
    let left = runs(faults.as_ref()).await;
    assert!(
        base_runs.is_disjoint(&left),
        "nobody names the base any more"
    );

    gate.open();
    let late = writer.await.unwrap();
    assert!(
        matches!(&late, Err(StoreError::GivenUp { slot }) if *slot == mine.id.to_string()),
        "{late:?}"
    );
    assert_eq!(
        whole_ones(&vault).await,
        (3..8).map(slot).collect::<Vec<_>>()
    );
    prune(&vault, &five(), 9).await.unwrap();
    let (manifests, _) = vault.manifests().await.unwrap();
    assert_eq!(runs(faults.as_ref()).await, named(vault.id(), &manifests));
}

#[tokio::test]
async fn a_loser_cannot_bring_back_a_slot_that_is_gone() {
    let faults = Arc::new(FaultStore::new(memory()));
    let (_, vault) = opened(faults.clone()).await;
    let base = whole(&vault, 0).await;
    let slot_1 = meta("day-001", "slow", DAY);
    let (gate, writer) = freeze(&faults, &vault, slot_1, base).await;
    for day in 1..8 {
        whole(&vault, day).await;
    }
    prune(&vault, &five(), 7).await.unwrap();
    let done = prune(&vault, &five(), 8).await.unwrap();
    assert!(done.removed.contains(&id("day-001")), "{done:?}");
    gate.open();
    let late = writer.await.unwrap();
    assert!(matches!(late, Err(StoreError::GivenUp { .. })), "{late:?}");
    let gone = vault.manifest(&id("day-001")).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
    let claim = vault
        .claim(&id("day-001"), "new", moment(9 * DAY), grace())
        .await;
    assert!(matches!(claim, Err(StoreError::Exists { .. })), "{claim:?}");
    assert_eq!(whole_ones(&vault).await.len(), 5);
    let done = prune(&vault, &five(), 9).await.unwrap();
    assert_eq!(
        done.files, 1,
        "its manifest; what it wrote before went before"
    );
}

#[tokio::test]
async fn broken_off_anywhere_and_repeated_the_outcome_is_the_same() {
    let mut outcomes = Vec::new();
    for broken_after in 0..40 {
        let faults = Arc::new(FaultStore::new(memory()));
        let (_, vault) = opened(faults.clone()).await;
        for day in 0..8 {
            whole(&vault, day).await;
        }
        let claim = id("day-003-begun");
        vault
            .claim(&claim, "w", moment(3 * DAY), TimeDelta::minutes(30))
            .await
            .unwrap();
        faults.break_after(broken_after);
        let mut broken = false;
        for day in [8, 9] {
            broken |= prune(&vault, &five(), day).await.is_err();
            faults.mend();
        }
        let kept: Vec<String> = (3..8).map(slot).collect();
        for day in [10, 11] {
            prune(&vault, &five(), day).await.unwrap();
        }
        assert_eq!(
            whole_ones(&vault).await,
            kept,
            "broken off after {broken_after}"
        );
        let (manifests, _) = vault.manifests().await.unwrap();
        assert_eq!(runs(faults.as_ref()).await, named(vault.id(), &manifests));
        let slots: Vec<Path> = files(faults.as_ref())
            .await
            .into_iter()
            .filter(|path| !path.as_ref().contains("/runs/"))
            .collect();
        outcomes.push(slots);
        if !broken {
            assert!(broken_after > 3, "nothing was broken off");
            break;
        }
    }
    assert!(outcomes.len() > 4, "{}", outcomes.len());
    for outcome in &outcomes {
        assert_eq!(outcome, outcomes.last().unwrap());
    }
}

/// A writer at some point of its work.
enum Writer {
    Claimed(SnapshotMeta),
    Chosen(SnapshotMeta, Box<Manifest>),
    Writing(Gate, tokio::task::JoinHandle<Result<Manifest, StoreError>>),
}

/// A small seeded generator, so that a failing seed can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// Days of a tenant whose writers freeze anywhere and wake whenever.
async fn history(seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let faults = Arc::new(FaultStore::new(memory()));
    let (_, vault) = opened(faults.clone()).await;
    let policy = Policy {
        recent: 1,
        ..five()
    };
    let (mut hours, mut writers, mut held) = (0_i64, Vec::new(), BTreeSet::new());
    let (mut committed, mut removed) = (BTreeSet::new(), 0);
    let mut gone: BTreeSet<SnapshotId> = BTreeSet::new();
    for step in 0..64 {
        let now = moment(hours * 3_600);
        match dice.roll(12) {
            0..=1 => {
                let daily = dice.roll(4) > 0;
                let meta = SnapshotMeta {
                    trigger: if daily {
                        Trigger::Scheduled
                    } else {
                        Trigger::OnDemand
                    },
                    started: now,
                    ..meta(&format!("s{step:03}"), "a", 0)
                };
                vault
                    .claim(&meta.id, "a", now, TimeDelta::minutes(30))
                    .await
                    .unwrap();
                writers.push(Writer::Claimed(meta));
            }
            2..=6 if !writers.is_empty() => {
                let which = dice.roll(writers.len());
                match writers.swap_remove(which) {
                    Writer::Claimed(meta) => {
                        let (manifests, _) = vault.manifests().await.unwrap();
                        let base = manifests.into_iter().find(|it| !it.is_expiring());
                        match base {
                            Some(base) => writers.push(Writer::Chosen(meta, Box::new(base))),
                            None => {
                                let done = vault.commit_content(&meta, &content(4)).await;
                                if let Ok(manifest) = done {
                                    committed.insert(manifest.id().clone());
                                }
                            }
                        }
                    }
                    Writer::Chosen(meta, base) => {
                        let gate = faults.gate(&layout::manifest(vault.id(), &meta.id));
                        let (mine, word) = (vault.clone(), format!("step {step}"));
                        let writer =
                            tokio::spawn(
                                async move { following(&mine, &meta, &base, &word).await },
                            );
                        // It gets there, unless its base went meanwhile.
                        tokio::select! {
                            () = gate.reached() => writers.push(Writer::Writing(gate, writer)),
                            () = async { while !writer.is_finished() { tokio::task::yield_now().await; } } => {
                                let error = writer.await.unwrap().unwrap_err();
                                assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
                            }
                        }
                    }
                    Writer::Writing(gate, writer) => {
                        gate.open();
                        match writer.await.unwrap() {
                            Ok(manifest) => drop(committed.insert(manifest.id().clone())),
                            Err(error) => {
                                assert!(matches!(error, StoreError::GivenUp { .. }), "{error}");
                            }
                        }
                    }
                }
            }
            7 if !committed.is_empty() && dice.roll(4) == 0 => {
                let all: Vec<_> = committed.iter().cloned().collect();
                let which = &all[dice.roll(all.len())];
                match vault.hold(which, "test", now).await {
                    Ok(()) => drop(held.insert(which.clone())),
                    Err(error) => assert!(gone.contains(which), "{which}: {error}"),
                }
            }
            8..=9 => hours += 30,
            _ => {
                let done = vault.prune(&policy, grace(), now).await.unwrap();
                removed += done.removed.len();
                gone.extend(done.removed);
            }
        }
        hours += 1;
        let visible = whole_ones(&vault).await;
        let expected: BTreeSet<String> = committed
            .difference(&gone)
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            visible.into_iter().collect::<BTreeSet<_>>(),
            expected,
            "seed {seed}, step {step}"
        );
        assert!(held.is_disjoint(&gone), "seed {seed}, step {step}");
    }
    (committed.len(), removed)
}

#[tokio::test]
async fn writers_may_freeze_anywhere() {
    let (mut committed, mut removed) = (0, 0);
    for seed in 0..150 {
        let counts = history(seed).await;
        committed += counts.0;
        removed += counts.1;
    }
    println!("{committed} snapshots, {removed} of them pruned");
    assert!(committed > 400, "{committed} snapshots");
    assert!(removed > 100, "{removed} pruned");
}

#[tokio::test]
async fn what_was_pruned_was_the_content_of_nobody_else() {
    let (vaults, first) = opened(memory()).await;
    let second = vaults.tenant(&tenant(2)).await.unwrap();
    let kept: Content = content(9);
    second
        .commit_content(&meta("day-000", "a", 0), &kept)
        .await
        .unwrap();
    for day in 0..8 {
        whole(&first, day).await;
    }
    prune(&first, &five(), 8).await.unwrap();
    prune(&first, &five(), 10).await.unwrap();
    let manifest = second.manifest(&id("day-000")).await.unwrap();
    assert_eq!(second.read(&manifest).await.unwrap(), kept);
}
