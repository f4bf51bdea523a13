//! Claims during long work: renewed, and given up in time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::SnapshotId;
use runtime::clock::Clock;
use store::object_store::memory::InMemory;
use store::{Claim, Kek, StoreError, TenantVault, Vault};
use testkit::store::{Fault, FaultStore, moment, record, tenant};
use tokio::time::Instant;

use super::{CLAIM, while_held};
use crate::Error;

/// A clock that goes with tokio's time, which these tests pause.
#[derive(Debug)]
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> DateTime<Utc> {
        moment(0) + self.0.elapsed()
    }
}

fn working() -> Arc<FaultStore> {
    Arc::new(FaultStore::new(Arc::new(InMemory::new())))
}

fn slot() -> SnapshotId {
    SnapshotId::parse("20261120-daily").expect("valid")
}

async fn opened(store: Arc<FaultStore>) -> (TenantVault, Claim) {
    let vault = Vault::new(store, Arc::new(Kek::from_bytes([7; 32])));
    vault
        .create_tenant(&record(&tenant(1)))
        .await
        .expect("is new");
    let vault = vault.tenant(&tenant(1)).await.expect("is there");
    let claim = vault.claim(&slot(), "one", moment(0), CLAIM).await;
    (vault, claim.expect("is free"))
}

async fn work(minutes: u64) -> Result<(), Error> {
    tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
    Ok(())
}

fn is_lost(outcome: &Result<(), Error>) -> bool {
    matches!(outcome, Err(Error::Store(StoreError::SlotTaken { .. })))
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_held_for_as_long_as_the_work_takes() {
    let (vault, mut claim) = opened(working()).await;
    let clock = Paused(Instant::now());
    let rival = async {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let taken = vault.claim(&slot(), "two", clock.now(), CLAIM).await;
        matches!(taken, Err(StoreError::SlotTaken { .. }))
    };
    let held = while_held(&clock, &vault, &mut claim, work(120));
    let (done, refused) = tokio::join!(held, rival);
    assert!(done.is_ok() && refused);
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_a_claim_stops() {
    let (vault, mut claim) = opened(working()).await;
    let clock = Paused(Instant::now());
    // By its clock the claim has expired, and another takes over.
    let late = moment(0) + CLAIM;
    vault
        .claim(&slot(), "two", late, CLAIM)
        .await
        .expect("has expired");
    let begun = Instant::now();
    let lost = while_held(&clock, &vault, &mut claim, work(120)).await;
    assert!(is_lost(&lost), "{lost:?}");
    assert!(begun.elapsed() < Duration::from_secs(301));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_cannot_be_renewed_is_given_up_before_its_end() {
    let store = working();
    let (vault, mut claim) = opened(Arc::clone(&store)).await;
    // One refusal is no reason yet.
    store.on_put(1, Fault::Refuse);
    let clock = Paused(Instant::now());
    let held = while_held(&clock, &vault, &mut claim, work(20)).await;
    assert!(held.is_ok(), "{held:?}");
    for put in 1..20 {
        store.on_put(put, Fault::Refuse);
    }
    let lost = while_held(&clock, &vault, &mut claim, work(120)).await;
    assert!(lost.is_err());
    let left = claim.expires_at - clock.now();
    assert!(left >= TimeDelta::minutes(3), "{left}");
}
