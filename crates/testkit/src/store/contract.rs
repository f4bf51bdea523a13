//! The contract that every backend of the vault must keep.
//!
//! It speaks only the vault's public interface; what the vault needs of the
//! object store below is in [`objects`].

pub mod objects;

use std::sync::Arc;

use chrono::TimeDelta;
use futures::future::join_all;
use model::TenantId;
use model::snapshot::Content;
use store::object_store::ObjectStore;
use store::object_store::prefix::PrefixStore;
use store::{Area, Kek, SnapshotMeta, StoreError, TenantState, Vault};

use super::faults::{Fault, FaultStore};
use super::sample::{content, meta, moment, record, tenant};

/// Everything: what the vault needs of an empty object store, what its users
/// need of a vault in it, and what happens where answers are lost. Each has a
/// folder of its own.
///
/// # Panics
/// Where the store breaks the contract.
pub async fn check_store(store: &Arc<dyn ObjectStore>) {
    let below = |folder: &str| -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(store), folder))
    };
    let wrap = || Arc::new(Kek::from_bytes([1; 32]));
    objects::check(&below("objects")).await;
    let vault = Vault::new(below("vault"), wrap());
    check(&vault).await;
    claim_race(&vault, &tenant(1)).await;
    let faulty = Arc::new(FaultStore::new(below("lost")));
    lost_answers(&faulty, &Vault::new(faulty.clone(), wrap())).await;
}

/// What every backend of the vault must do alike. `vault` must be empty.
///
/// # Panics
/// Where the backend breaks the contract.
pub async fn check(vault: &Vault) {
    assert!(
        vault
            .tenant_ids()
            .await
            .expect("an empty vault lists")
            .is_empty()
    );
    let id = tenant(1);
    assert!(matches!(
        vault.tenant(&id).await,
        Err(StoreError::NotFound { .. })
    ));
    assert_eq!(
        vault
            .tenant_record(&id)
            .await
            .expect("an unknown tenant is looked up"),
        None
    );
    records(vault, &id).await;
    assert_eq!(
        vault.tenant_ids().await.expect("tenants list"),
        std::slice::from_ref(&id)
    );
    claims(vault, &id).await;
    snapshots(vault, &id).await;
    documents(vault, &id).await;
}

async fn records(vault: &Vault, id: &TenantId) {
    let record = record(id);
    vault
        .create_tenant(&record)
        .await
        .expect("a tenant is registered");
    assert!(matches!(
        vault.create_tenant(&record).await,
        Err(StoreError::Exists { .. })
    ));
    let first = vault
        .tenant_record(id)
        .await
        .expect("a record is read")
        .expect("there is a record");
    assert_eq!((first.version, &first.value), (1, &record));

    let mut renamed = first.clone();
    renamed.value.name = "Fabrikam".to_owned();
    renamed.value.state = TenantState::Suspended;
    vault
        .update_tenant(&renamed)
        .await
        .expect("the newest version is updated");
    assert!(matches!(
        vault.update_tenant(&first).await,
        Err(StoreError::Changed { .. })
    ));
    let second = vault
        .tenant_record(id)
        .await
        .expect("a record is read")
        .expect("there is a record");
    assert_eq!((second.version, second.value), (2, renamed.value));
}

async fn claims(vault: &Vault, id: &TenantId) {
    let tenant = vault.tenant(id).await.expect("a registered tenant opens");
    let slot = meta("20261120-daily", "a", 0).id;
    let ttl = TimeDelta::seconds(60);
    let first = tenant
        .claim(&slot, "one", moment(0), ttl)
        .await
        .expect("a free slot is claimed");
    let refused = tenant.claim(&slot, "two", moment(59), ttl).await;
    assert!(matches!(refused, Err(StoreError::SlotTaken { holder, .. }) if holder == "one"));
    let second = tenant
        .claim(&slot, "two", moment(60), ttl)
        .await
        .expect("an expired claim is taken over");
    assert_eq!((first.attempt, second.attempt), (1, 2));
    tenant.release(&second).await.expect("a claim is released");
    tenant
        .release(&second)
        .await
        .expect("a release is repeated");
    let third = tenant
        .claim(&slot, "three", moment(61), ttl)
        .await
        .expect("a released slot is claimed");
    assert_eq!(third.attempt, 3);
}

async fn snapshots(vault: &Vault, id: &TenantId) {
    let tenant = vault.tenant(id).await.expect("a registered tenant opens");
    let (older, newer) = (
        meta("20261121-daily", "a", 0),
        meta("20261122T101112-0123abcd", "b", 100),
    );
    let content = content(30);
    let empty = Content::default();
    tenant
        .commit_content(&older, &empty)
        .await
        .expect("an empty snapshot is committed");
    let manifest = tenant
        .commit_content(&newer, &content)
        .await
        .expect("a snapshot is committed");
    assert_eq!(
        tenant.read(&manifest).await.expect("a snapshot is read"),
        content
    );
    assert_eq!(
        tenant
            .manifest(&newer.id)
            .await
            .expect("a manifest is read"),
        manifest
    );
    assert_eq!(
        (manifest.object_count(), manifest.is_complete()),
        (31, false)
    );

    let again = tenant
        .commit_content(&newer, &content)
        .await
        .expect("the same attempt commits again");
    assert_eq!(again, manifest);
    let late = SnapshotMeta {
        attempt: "c".to_owned(),
        ..newer.clone()
    };
    assert!(matches!(
        tenant.commit_content(&late, &empty).await,
        Err(StoreError::Exists { .. })
    ));
    let claim = tenant
        .claim(&newer.id, "one", moment(0), TimeDelta::seconds(60))
        .await;
    assert!(matches!(claim, Err(StoreError::Exists { .. })));

    let (manifests, problems) = tenant.manifests().await.expect("snapshots list");
    assert!(problems.is_empty(), "{problems:?}");
    let ids: Vec<_> = manifests
        .iter()
        .map(|manifest| manifest.id().clone())
        .collect();
    assert_eq!(ids, [newer.id, older.id.clone()]);
    let oldest = tenant
        .manifest(&older.id)
        .await
        .expect("a manifest is read");
    assert_eq!(
        tenant
            .read(&oldest)
            .await
            .expect("an empty snapshot is read"),
        empty
    );
}

async fn documents(vault: &Vault, id: &TenantId) {
    let tenant = vault.tenant(id).await.expect("a registered tenant opens");
    assert!(
        tenant
            .list_ids(Area::Restores)
            .await
            .expect("an empty area lists")
            .is_empty()
    );
    assert!(
        tenant
            .list_names(Area::Restores, "r1")
            .await
            .expect("an unknown id lists")
            .is_empty()
    );
    assert!(matches!(
        tenant.get(Area::Restores, "r1", "plan").await,
        Err(StoreError::NotFound { .. })
    ));
    for name in ["plan", "journal/000002", "journal/000001"] {
        let text = name.as_bytes().to_vec();
        tenant
            .put(Area::Restores, "r1", name, text.into())
            .await
            .expect("a document is created");
    }
    tenant
        .put(Area::Restores, "r2", "plan", Vec::new().into())
        .await
        .expect("an empty document is created");
    let second = tenant
        .put(Area::Restores, "r1", "plan", vec![1].into())
        .await;
    assert!(matches!(second, Err(StoreError::Exists { .. })));
    assert_eq!(
        tenant
            .get(Area::Restores, "r1", "plan")
            .await
            .expect("a document is read"),
        "plan"
    );
    assert_eq!(
        tenant
            .get(Area::Restores, "r2", "plan")
            .await
            .expect("a document is read"),
        ""
    );
    assert_eq!(
        tenant.list_ids(Area::Restores).await.expect("ids list"),
        ["r1", "r2"]
    );
    let names = tenant
        .list_names(Area::Restores, "r1")
        .await
        .expect("names list");
    assert_eq!(names, ["journal/000001", "journal/000002", "plan"]);
    assert!(
        tenant
            .list_ids(Area::Reports)
            .await
            .expect("another area lists")
            .is_empty()
    );
    for bad in ["", "../plan", "a//b", "Plan", ".hidden", "a#1"] {
        assert!(
            matches!(
                tenant
                    .put(Area::Reports, "r1", bad, Vec::new().into())
                    .await,
                Err(StoreError::Invalid(_))
            ),
            "{bad:?}"
        );
        assert!(
            matches!(
                tenant.list_names(Area::Reports, bad).await,
                Err(StoreError::Invalid(_))
            ),
            "{bad:?}"
        );
    }
}

/// Of several at once one gets a slot, and so once its claim is over.
async fn claim_race(vault: &Vault, id: &TenantId) {
    let slot = meta("20261130-daily", "a", 0).id;
    for round in 0..5 {
        let now = moment(round * 100);
        let tries = (0..8).map(|n| {
            let (vault, id, slot) = (vault.clone(), id.clone(), slot.clone());
            tokio::spawn(async move {
                let tenant = vault.tenant(&id).await?;
                tenant
                    .claim(&slot, &n.to_string(), now, TimeDelta::seconds(100))
                    .await
            })
        });
        let outcomes: Vec<_> = join_all(tries)
            .await
            .into_iter()
            .map(|outcome| outcome.expect("a claimant does not panic"))
            .collect();
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let taken = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(StoreError::SlotTaken { .. })))
            .count();
        assert_eq!((won, taken), (1, 7), "round {round}: {outcomes:?}");
    }
}

/// A write whose answer is lost is known as one's own, and another's as another's.
async fn lost_answers(store: &FaultStore, vault: &Vault) {
    let id = tenant(1);
    // The key, then the registration.
    for nth in [1, 2] {
        store.on_put(nth, Fault::LoseAnswer);
    }
    vault
        .create_tenant(&record(&id))
        .await
        .expect("a tenant is registered although the answers are lost");
    let tenant = vault.tenant(&id).await.expect("a registered tenant opens");

    store.on_put(1, Fault::LoseAnswer);
    tenant
        .put(Area::Restores, "r1", "plan", "mine".into())
        .await
        .expect("a document is created although the answer is lost");
    store.on_put(1, Fault::LoseAnswer);
    let second = tenant
        .put(Area::Restores, "r1", "plan", "theirs".into())
        .await;
    assert!(
        matches!(second, Err(StoreError::Exists { .. })),
        "{second:?}"
    );
    let found = tenant.get(Area::Restores, "r1", "plan").await;
    assert_eq!(found.expect("a document is read"), "mine");

    store.on_put(1, Fault::Refuse);
    let refused = tenant
        .put(Area::Restores, "r2", "plan", "mine".into())
        .await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable { .. })),
        "{refused:?}"
    );
    tenant
        .put(Area::Restores, "r2", "plan", "mine".into())
        .await
        .expect("what was refused is created by a second try");

    let slot = meta("20261130-daily", "a", 0);
    let content = content(10);
    let before = store.puts();
    let manifest = tenant
        .commit_content(&slot, &content)
        .await
        .expect("a snapshot is committed");
    let puts = store.puts() - before;
    let other = meta("20261201-daily", "b", 100);
    for nth in 1..=puts {
        store.on_put(nth, Fault::LoseAnswer);
    }
    let lost = tenant
        .commit_content(&other, &content)
        .await
        .expect("a snapshot is committed although every answer is lost");
    for manifest in [manifest, lost] {
        let read = tenant.read(&manifest).await.expect("a snapshot is read");
        assert_eq!(read, content);
    }
}
