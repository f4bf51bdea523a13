//! A snapshot is whole or it is not there; a slot has one.

use std::sync::Arc;

use futures::future::join_all;
use model::{ErrorKind, SnapshotId};
use store::object_store::ObjectStore;
use store::{Area, SnapshotMeta, StoreError, Vault};
use testkit::store::{Fault, FaultStore, content, meta, record, tenant};

use crate::{kek, memory, opened};

/// Runs, manifest: the puts of a commit.
const PUTS: usize = 3;

#[tokio::test]
async fn a_refused_put_leaves_nothing_visible() {
    for nth in 1..=PUTS {
        let faults = Arc::new(FaultStore::new(memory()));
        let (_, first) = opened(faults.clone()).await;
        let meta = meta("20261120-daily", "a", 0);
        faults.on_put(nth, Fault::Refuse);
        let error = first.commit_content(&meta, &content(5)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "put {nth}: {error}");
        assert!(matches!(
            first.manifest(&meta.id).await,
            Err(StoreError::NotFound { .. })
        ));
        let (manifests, problems) = first.manifests().await.unwrap();
        assert_eq!((manifests.len(), problems.len()), (0, 0), "put {nth}");

        let manifest = first.commit_content(&meta, &content(5)).await.unwrap();
        assert_eq!(
            first.read(&manifest).await.unwrap(),
            content(5),
            "put {nth}, repeated"
        );
    }
}

#[tokio::test]
async fn a_lost_answer_is_no_failure() {
    for nth in 1..=PUTS {
        let faults = Arc::new(FaultStore::new(memory()));
        let (_, first) = opened(faults.clone()).await;
        faults.on_put(nth, Fault::LoseAnswer);
        let before = faults.puts();
        let manifest = first
            .commit_content(&meta("20261120-daily", "a", 0), &content(5))
            .await
            .unwrap();
        assert_eq!(faults.puts() - before, PUTS);
        assert_eq!(
            first.read(&manifest).await.unwrap(),
            content(5),
            "put {nth}"
        );
    }
}

#[tokio::test]
async fn a_registration_survives_faults() {
    for nth in 1..=2 {
        for fault in [Fault::Refuse, Fault::LoseAnswer] {
            let faults = Arc::new(FaultStore::new(memory()));
            let vault = Vault::new(faults.clone(), kek(1));
            faults.on_put(nth, fault);
            let outcome = vault.create_tenant(&record(&tenant(1))).await;
            assert_eq!(
                outcome.is_ok(),
                fault == Fault::LoseAnswer,
                "put {nth}: {outcome:?}"
            );
            if outcome.is_err() {
                assert!(matches!(
                    vault.tenant(&tenant(1)).await,
                    Err(StoreError::NotFound { .. })
                ));
                vault.create_tenant(&record(&tenant(1))).await.unwrap();
            }
            vault.tenant(&tenant(1)).await.unwrap();
        }
    }
}

async fn race(store: Arc<dyn ObjectStore>, rounds: usize) {
    let (_, first) = opened(store).await;
    for round in 0..rounds {
        let slot = SnapshotId::parse(&format!("20261120t{round:06}-00000000")).unwrap();
        let writers = ["a", "b", "c"].map(|attempt| {
            let (first, slot) = (first.clone(), slot.clone());
            let meta = SnapshotMeta {
                id: slot,
                ..meta("20261120-daily", attempt, 0)
            };
            tokio::spawn(async move {
                first
                    .commit_content(&meta, &content(attempt.len() + 2))
                    .await
            })
        });
        let outcomes: Vec<_> = join_all(writers)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let winners: Vec<_> = outcomes.iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        assert_eq!(&first.manifest(&slot).await.unwrap(), winners[0]);
        assert!(
            outcomes
                .iter()
                .filter_map(|outcome| outcome.as_ref().err())
                .all(|error| matches!(error, StoreError::Exists { .. }))
        );
    }
    assert_eq!(first.manifests().await.unwrap().0.len(), rounds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_in_a_race_make_one_manifest_in_memory() {
    race(memory(), 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_in_a_race_make_one_manifest_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let store = store::open_store(&url, &|_| None).unwrap();
    race(store, 20).await;
}

#[tokio::test]
async fn of_two_updates_one_wins() {
    let (vault, _) = opened(memory()).await;
    let read = vault.tenant_record(&tenant(1)).await.unwrap().unwrap();
    let outcomes = join_all((0..4).map(|_| vault.update_tenant(&read))).await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        1,
        "{outcomes:?}"
    );
    let mut ahead = read;
    ahead.version = 9;
    assert!(matches!(
        vault.update_tenant(&ahead).await,
        Err(StoreError::NotFound { .. })
    ));
}

#[tokio::test]
async fn content_is_stored_in_order_and_once() {
    let (_, first) = opened(memory()).await;
    let mut twisted = content(5);
    twisted.objects.reverse();
    twisted.links.reverse();
    twisted.links.push(twisted.links[0].clone());
    let manifest = first
        .commit_content(&meta("20261120-daily", "a", 0), &twisted)
        .await
        .unwrap();
    assert_eq!(first.read(&manifest).await.unwrap(), content(5));
}

#[tokio::test]
async fn futures_may_move_between_threads() {
    fn movable<T: Send>(future: T) -> T {
        future
    }
    let (vault, first) = opened(memory()).await;
    let meta = meta("20261120-daily", "a", 0);
    let content = content(1);
    let manifest = movable(first.commit_content(&meta, &content))
        .await
        .unwrap();
    movable(first.read(&manifest)).await.unwrap();
    movable(first.manifests()).await.unwrap();
    movable(vault.tenant_ids()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_a_file_that_is_not_there_is_tried_again() {
    let store = Arc::new(FaultStore::new(memory()));
    let (_, first) = opened(store.clone()).await;
    for nth in 1..=6 {
        store.on_put(nth, Fault::Conflict);
    }
    let before = store.puts();
    let put = first.put(Area::Restores, "r1", "plan", "mine".into());
    put.await.unwrap();
    assert_eq!(store.puts() - before, 7);
    let found = first.get(Area::Restores, "r1", "plan").await;
    assert_eq!(found.unwrap(), "mine");

    // Not for ever.
    for nth in 1..=20 {
        store.on_put(nth, Fault::Conflict);
    }
    let put = first.put(Area::Restores, "r2", "plan", "mine".into()).await;
    assert!(
        matches!(put, Err(StoreError::Unavailable { .. })),
        "{put:?}"
    );
}
