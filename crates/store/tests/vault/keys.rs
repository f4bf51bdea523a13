//! Keys: whose opens what, and what is said where one does not.

use std::sync::Arc;

use model::ErrorKind;
use model::error::reason;
use store::{Area, KeyError, StoreError, Vault, layout};
use testkit::store::{content, meta, record, tamper, tenant};

use crate::{kek, memory, opened};

#[tokio::test]
async fn a_wrong_key_file_is_named_as_such() {
    let store = memory();
    opened(store.clone()).await;
    let stranger = Vault::new(store, kek(2));
    let error = stranger.tenant(&tenant(1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason().0),
        (ErrorKind::Denied, reason::KEY_UNAVAILABLE)
    );
    assert_eq!(
        error.to_string(),
        "the tenant's data key cannot be opened with this key file"
    );
    // Nor may it add a second data key beside the first.
    let error = stranger
        .create_tenant(&record(&tenant(1)))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
}

#[tokio::test]
async fn a_wrapped_key_opens_nothing_elsewhere() {
    let store = memory();
    let (vault, _) = opened(store.clone()).await;
    let id = kek(1).id().to_owned();
    let mut first = Vec::new();
    tamper(
        store.as_ref(),
        &layout::data_key(&tenant(1), 1, &id),
        |bytes| first.clone_from(bytes),
    )
    .await;
    tamper(
        store.as_ref(),
        &layout::data_key(&tenant(2), 1, &id),
        |bytes| *bytes = first,
    )
    .await;
    vault.forget(&tenant(2));
    let error = vault.tenant(&tenant(2)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Key(KeyError::Refused)),
        "{error}"
    );
}

#[tokio::test]
async fn keys_may_lie_in_a_store_of_their_own() {
    let (data, keys) = (memory(), memory());
    let vault = Vault::new(data.clone(), kek(1)).with_key_store(keys.clone());
    vault.create_tenant(&record(&tenant(1))).await.unwrap();
    let error = Vault::new(data, kek(1))
        .tenant(&tenant(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Key(KeyError::Absent)),
        "{error}"
    );
    assert_eq!(error.reason().0, reason::KEY_UNAVAILABLE);
}

#[tokio::test]
async fn nothing_readable_is_stored() {
    use futures::TryStreamExt;
    let store = memory();
    let (_, first) = opened(store.clone()).await;
    first
        .commit_content(&meta("20261120-daily", "a", 0), &content(20))
        .await
        .unwrap();
    first
        .put(Area::Reports, "r1", "report", "the Department".into())
        .await
        .unwrap();
    let files: Vec<_> = store
        .list(None)
        .map_ok(|meta| meta.location)
        .try_collect()
        .await
        .unwrap();
    for path in files {
        let mut found = Vec::new();
        tamper(store.as_ref(), &path, |bytes| found.clone_from(bytes)).await;
        let text = String::from_utf8_lossy(&found);
        for word in [
            "Department",
            "AGE-SECRET-KEY",
            "userPrincipalName",
            "deltatoken",
        ] {
            assert!(!text.contains(word), "{path} holds {word}");
        }
    }
}

#[tokio::test]
async fn debug_texts_hold_no_key() {
    let wrap = Arc::new(store::Kek::from_bytes([0x5a; 32]));
    let vault = Vault::new(memory(), wrap.clone());
    vault.create_tenant(&record(&tenant(1))).await.unwrap();
    let first = vault.tenant(&tenant(1)).await.unwrap();
    let text = format!("{wrap:?} {vault:?} {first:?}");
    assert!(
        !text.contains("90, 90") && !text.contains("SECRET") && !text.contains("WlpaWlpa"),
        "{text}"
    );
}
