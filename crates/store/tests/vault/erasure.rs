//! Erasure: a tenant whose key was dropped is opened by nobody.

use std::sync::Arc;

use model::ErrorKind;
use model::error::reason;
use store::check::{Outcome, Property};
use store::object_store::ObjectStoreExt;
use store::{KeyError, StoreError, Vault, layout};
use testkit::store::{Fault, FaultStore, content, meta, moment, record, tenant};

use crate::{kek, memory, opened};

#[tokio::test]
async fn an_erased_tenant_is_opened_by_nobody() {
    let (data, keys) = (memory(), memory());
    let vault = || {
        Vault::new(data.clone(), kek(2))
            .with_old_wrap(kek(1))
            .with_key_store(keys.clone())
    };
    let (first, other) = (vault(), vault());
    for n in [1, 2] {
        first.create_tenant(&record(&tenant(n))).await.unwrap();
    }
    first.rotate_key(&tenant(1), "r1").await.unwrap();
    let opened = first.tenant(&tenant(1)).await.unwrap();
    opened
        .commit_content(&meta("20261120-daily", "a", 0), &content(3))
        .await
        .unwrap();
    other.tenant(&tenant(1)).await.unwrap();

    let done = first.erase_keys(&tenant(1), moment(1)).await.unwrap();
    assert_eq!(
        (done.deleted, done.proof.property, done.proof.outcome),
        (2, Property::Erasure, Outcome::Ok)
    );
    let again = first.erase_keys(&tenant(1), moment(2)).await.unwrap();
    assert_eq!(again.deleted, 0);
    // Those who had it open notice, too, and nothing makes a key in its place.
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    for vault in [&first, &other, &vault()] {
        let tries = [
            vault.tenant(&tenant(1)).await.map(|_| ()),
            vault.rewrap_keys(&tenant(1)).await.map(|_| ()),
            vault.rotate_key(&tenant(1), "r2").await.map(|_| ()),
            vault
                .export_keys(&tenant(1), std::slice::from_ref(&recipient))
                .await
                .map(|_| ()),
        ];
        for outcome in tries {
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, StoreError::Key(KeyError::Erased)),
                "{error}"
            );
            assert_eq!(
                (error.kind(), error.reason().0),
                (ErrorKind::Denied, reason::KEY_ERASED)
            );
        }
        let error = vault.create_tenant(&record(&tenant(1))).await.unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");
        vault.tenant(&tenant(2)).await.unwrap();
        vault.check_keys().await.unwrap();
    }
    let unknown = first.erase_keys(&tenant(9), moment(1)).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_erasure_holds_from_its_first_write_on() {
    for fault in [Fault::Refuse, Fault::LoseAnswer] {
        let store = Arc::new(FaultStore::new(memory()));
        let (vault, _) = opened(store.clone()).await;
        store.on_put(1, fault);
        let first = vault.erase_keys(&tenant(1), moment(1)).await;
        match fault {
            // Nothing happened, and the tenant is as it was.
            Fault::Refuse => {
                first.unwrap_err();
                vault.tenant(&tenant(1)).await.unwrap();
            }
            _ => assert_eq!(first.unwrap().deleted, 1),
        }
        vault.erase_keys(&tenant(1), moment(1)).await.unwrap();
        vault.tenant(&tenant(1)).await.unwrap_err();
    }
    // Cut short after the mark: the key is there still, and opens nothing.
    let store = memory();
    let (vault, _) = opened(store.clone()).await;
    let key = layout::data_key(&tenant(1), 1, kek(1).id());
    let before = store.get(&key).await.unwrap().bytes().await.unwrap();
    vault.erase_keys(&tenant(1), moment(1)).await.unwrap();
    store.put(&key, before.into()).await.unwrap();
    let error = vault.tenant(&tenant(1)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Key(KeyError::Erased)),
        "{error}"
    );
    let done = vault.erase_keys(&tenant(1), moment(2)).await.unwrap();
    assert_eq!(done.deleted, 1);
    assert!(store.head(&key).await.is_err());
}

#[tokio::test]
async fn a_key_store_that_keeps_what_is_deleted_is_told() {
    use testkit::store::{GoogleStore, Keeps};
    for (keeps, outcome) in [
        (Keeps::Nothing, Outcome::Ok),
        (Keeps::Generations, Outcome::Failed),
    ] {
        let server = GoogleStore::start(keeps).await;
        let settings = server.settings();
        let keys = store::open_store("gs://keys/", &|name| settings.get(name).cloned()).unwrap();
        let vault = Vault::new(memory(), kek(1)).with_key_store(keys);
        vault.create_tenant(&record(&tenant(1))).await.unwrap();
        let done = vault.erase_keys(&tenant(1), moment(1)).await.unwrap();
        assert_eq!((done.deleted, done.proof.outcome), (1, outcome));
        vault.tenant(&tenant(1)).await.unwrap_err();
    }
}
