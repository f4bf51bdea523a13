//! Claims beyond the contract: races and files that nobody can read.

use chrono::TimeDelta;
use futures::future::join_all;
use model::SnapshotId;
use store::object_store::ObjectStoreExt;
use store::{StoreError, layout};
use testkit::store::{moment, tenant};

use crate::{memory, opened};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_gets_the_slot() {
    let (_, first) = opened(memory()).await;
    let slot = SnapshotId::parse("20261120-daily").unwrap();
    for round in 0..20 {
        let now = moment(round * 100);
        let tries = (0..4).map(|n| {
            let (first, slot) = (first.clone(), slot.clone());
            tokio::spawn(async move {
                first
                    .claim(&slot, &n.to_string(), now, TimeDelta::seconds(100))
                    .await
            })
        });
        let outcomes: Vec<_> = join_all(tries)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let taken = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(StoreError::SlotTaken { .. })))
            .count();
        assert_eq!((won, taken), (1, 3), "round {round}: {outcomes:?}");
    }
}

#[tokio::test]
async fn an_unreadable_claim_blocks_nobody() {
    let store = memory();
    let (_, first) = opened(store.clone()).await;
    let slot = SnapshotId::parse("20261120-daily").unwrap();
    store
        .put(&layout::claim(&tenant(1), &slot, 4), "garbage".into())
        .await
        .unwrap();
    let claim = first
        .claim(&slot, "one", moment(0), TimeDelta::seconds(60))
        .await
        .unwrap();
    assert_eq!(claim.attempt, 5);
}

#[tokio::test]
async fn a_claim_is_renewed_by_its_holder_and_by_nobody_after_its_end() {
    let (_, first) = opened(memory()).await;
    let slot = SnapshotId::parse("20261120-daily").unwrap();
    let ttl = TimeDelta::seconds(60);
    let claim = first.claim(&slot, "one", moment(0), ttl).await.unwrap();
    let renewed = first.renew(&claim, moment(40), ttl).await.unwrap();
    assert_eq!((renewed.attempt, renewed.expires_at), (2, moment(100)));
    let taken = |outcome| matches!(outcome, Err(StoreError::SlotTaken { .. }));
    assert!(taken(first.claim(&slot, "two", moment(70), ttl).await));
    // An older claim of the same holder is not renewed past the newer one.
    assert!(taken(first.renew(&claim, moment(50), ttl).await));
    assert!(taken(first.renew(&renewed, moment(100), ttl).await));
    let over = first.claim(&slot, "two", moment(100), ttl).await.unwrap();
    assert_eq!(over.attempt, 3);
    assert!(taken(first.renew(&renewed, moment(99), ttl).await));
}
