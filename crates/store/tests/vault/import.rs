//! Disaster: the wrapping key is lost, and a recovery bundle brings the tenant back.

use std::sync::Arc;

use age::secrecy::{ExposeSecret, SecretString};
use model::ErrorKind;
use store::object_store::ObjectStore;
use store::{AfterErasure, Area, Imported, KeyError, Manifest, StoreError, Vault, layout};
use testkit::store::{Fault, FaultStore, content, meta, moment, record, tamper, tenant};

use crate::{kek, memory, opened};

/// Who may open bundles: the identity file and the recipient.
struct Rescuer {
    identity: SecretString,
    recipient: String,
}

impl Rescuer {
    fn new() -> Self {
        let identity = age::x25519::Identity::generate();
        let text = format!(
            "# created: 2026-11-27\n{}\n",
            identity.to_string().expose_secret()
        );
        Self {
            identity: text.into(),
            recipient: identity.to_public().to_string(),
        }
    }

    async fn bundle(&self, vault: &Vault, n: u32) -> Vec<u8> {
        let recipients = std::slice::from_ref(&self.recipient);
        vault.export_keys(&tenant(n), recipients).await.unwrap()
    }

    async fn import(&self, vault: &Vault, bundle: &[u8]) -> Result<Imported, StoreError> {
        let (identity, refuse) = (&self.identity, AfterErasure::Refuse);
        vault
            .import_keys(&tenant(1), bundle, identity, refuse)
            .await
    }
}

/// A snapshot under each of the tenant's two keys.
async fn two_snapshots(vault: &Vault) -> [Manifest; 2] {
    let mut made = Vec::new();
    for (slot, minute) in [("20261120-daily", 0), ("20261121-daily", 100)] {
        let first = vault.tenant(&tenant(1)).await.unwrap();
        let meta = meta(slot, "a", minute);
        made.push(first.commit_content(&meta, &content(20)).await.unwrap());
        vault.rotate_key(&tenant(1), slot).await.unwrap();
    }
    made.try_into().unwrap()
}

async fn is_whole(vault: &Vault, manifests: &[Manifest]) {
    let first = vault.tenant(&tenant(1)).await.unwrap();
    let day = content(20);
    for manifest in manifests {
        assert_eq!(first.manifest(manifest.id()).await.unwrap(), *manifest);
        let found = first.read(manifest).await.unwrap();
        assert_eq!((&found.objects, &found.links), (&day.objects, &day.links));
    }
}

fn refused(error: &StoreError, text: &str) {
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Invalid, text)
    );
}

#[tokio::test]
async fn a_lost_wrapping_key_is_made_up_for_by_a_bundle() {
    // With the keys' store as it was, and with that lost as well.
    for keys_are_lost in [false, true] {
        let (data, mut keys) = (memory(), memory());
        let before = Vault::new(data.clone(), kek(1)).with_key_store(keys.clone());
        before.create_tenant(&record(&tenant(1))).await.unwrap();
        let manifests = two_snapshots(&before).await;
        let rescuer = Rescuer::new();
        let bundle = rescuer.bundle(&before, 1).await;

        if keys_are_lost {
            keys = memory();
        }
        let after = Vault::new(data.clone(), kek(2)).with_key_store(keys.clone());
        after.tenant(&tenant(1)).await.unwrap_err();
        let done = rescuer.import(&after, &bundle).await.unwrap();
        let expected = Imported {
            written: 3,
            standing: 0,
            opened: 2,
        };
        assert_eq!(done, expected);
        is_whole(&after, &manifests).await;
        let again = rescuer.import(&after, &bundle).await.unwrap();
        assert_eq!((again.written, again.standing), (0, 3));

        // Life goes on: the newest key seals, and the lost wraps can go.
        let first = after.tenant(&tenant(1)).await.unwrap();
        let next = meta("20261122-daily", "a", 200);
        let new = first.commit_content(&next, &content(20)).await.unwrap();
        assert!(new.runs.iter().all(|run| run.key == 3));
        let gone = after.rewrap_keys(&tenant(1)).await.unwrap();
        assert_eq!(
            (gone.written, gone.deleted),
            (0, if keys_are_lost { 0 } else { 3 })
        );
        let start = Vault::new(data, kek(2)).with_key_store(keys);
        start.check_keys().await.unwrap();
        is_whole(&start, &manifests).await;
    }
}

#[tokio::test]
async fn an_import_may_be_cut_short_anywhere() {
    for keys_are_lost in [false, true] {
        for fault in [
            Fault::Refuse,
            Fault::LoseAnswer,
            Fault::FlipBit,
            Fault::Truncate,
        ] {
            for nth in 1..=3 {
                let (data, old) = (memory(), memory());
                let before = Vault::new(data.clone(), kek(1)).with_key_store(old.clone());
                before.create_tenant(&record(&tenant(1))).await.unwrap();
                let manifests = two_snapshots(&before).await;
                let rescuer = Rescuer::new();
                let bundle = rescuer.bundle(&before, 1).await;
                let there = if keys_are_lost { memory() } else { old };
                let keys = Arc::new(FaultStore::new(there));
                let after = Vault::new(data, kek(2)).with_key_store(keys.clone());
                keys.on_put(nth, fault);
                let first = rescuer.import(&after, &bundle).await;
                assert_eq!(first.is_ok(), fault == Fault::LoseAnswer, "{fault:?} {nth}");
                // Whoever opens it half done seals with nothing but the newest key.
                if let Ok(half) = after.tenant(&tenant(1)).await {
                    let meta = meta("20261123-daily", "b", 300);
                    let made = half.commit_content(&meta, &content(2)).await.unwrap();
                    assert!(made.runs.iter().all(|run| run.key == 3), "{fault:?} {nth}");
                }
                rescuer.import(&after, &bundle).await.unwrap();
                is_whole(&after, &manifests).await;
            }
        }
    }
}

#[tokio::test]
async fn a_bundle_that_does_not_open_the_tenant_changes_nothing() {
    let store = memory();
    let (before, _) = opened(store.clone()).await;
    let rescuer = Rescuer::new();
    let early = rescuer.bundle(&before, 1).await;
    let manifests = two_snapshots(&before).await;
    let foreign = rescuer.bundle(&before, 2).await;
    let after = Vault::new(store.clone(), kek(2));
    let files = async || {
        use futures::TryStreamExt;
        let metas: Vec<_> = store.list(None).try_collect().await.unwrap();
        metas.len()
    };
    let standing = files().await;

    let error = rescuer.import(&after, &foreign).await.unwrap_err();
    refused(
        &error,
        &format!("the bundle is that of tenant {}", tenant(2)),
    );
    let error = rescuer.import(&after, &early).await.unwrap_err();
    refused(
        &error,
        "the bundle lacks key 2 of the tenant: it was exported before that key was made",
    );
    // The same where the wraps that would tell are lost.
    let alone = Vault::new(store.clone(), kek(2)).with_key_store(memory());
    let error = rescuer.import(&alone, &early).await.unwrap_err();
    refused(
        &error,
        &format!(
            "the bundle does not open tenants/{}/snapshots/20261121-daily/manifest: it is not the tenant's, or was exported before the key that sealed this",
            tenant(1)
        ),
    );
    // Another key of a tenant of the same id, as after an installation anew.
    let elsewhere = Vault::new(memory(), kek(3));
    elsewhere.create_tenant(&record(&tenant(1))).await.unwrap();
    let other = rescuer.bundle(&elsewhere, 1).await;
    let error = rescuer.import(&after, &other).await.unwrap_err();
    refused(&error, "the bundle's key 1 is not that of the tenant");

    let (good, stranger) = (rescuer.bundle(&before, 1).await, Rescuer::new());
    let cut = &good[..good.len() - 1];
    for (rescuer, bundle, text) in [
        (
            &stranger,
            &good[..],
            "the identity does not open the bundle",
        ),
        (&rescuer, &b"hunter2"[..], "the bundle is no age file"),
        (&rescuer, cut, "the bundle is damaged"),
        (
            &Rescuer {
                identity: "hunter2".into(),
                recipient: String::new(),
            },
            &good[..],
            "the identity is no age identity file: AGE-SECRET-KEY-1… is expected",
        ),
    ] {
        let error = rescuer.import(&after, bundle).await.unwrap_err();
        refused(&error, text);
    }
    assert_eq!(files().await, standing, "nothing was written or deleted");
    rescuer.import(&after, &good).await.unwrap();
    is_whole(&after, &manifests).await;
}

#[tokio::test]
async fn a_bundle_is_tried_on_something() {
    let rescuer = Rescuer::new();
    let (data, keys) = (memory(), memory());
    let before = Vault::new(data.clone(), kek(1)).with_key_store(keys.clone());
    before.create_tenant(&record(&tenant(1))).await.unwrap();
    let bundle = rescuer.bundle(&before, 1).await;
    let lost = || Vault::new(data.clone(), kek(2)).with_key_store(memory());
    let error = rescuer.import(&lost(), &bundle).await.unwrap_err();
    refused(
        &error,
        "the tenant has nothing that the bundle could be tried on",
    );
    // The public half beside a lost wrap is something.
    let after = Vault::new(data.clone(), kek(2)).with_key_store(keys);
    let done = rescuer.import(&after, &bundle).await.unwrap();
    assert_eq!((done.written, done.opened), (1, 0));
    // So is a report, where there is no snapshot; a damaged one is not.
    let first = before.tenant(&tenant(1)).await.unwrap();
    for id in ["r1", "r2"] {
        let put = first.put(Area::Reports, id, "report", "content".into());
        put.await.unwrap();
    }
    let path = layout::document(&tenant(1), Area::Reports, "r2", "report").unwrap();
    tamper(data.as_ref(), &path, |bytes| bytes.truncate(200)).await;
    let done = rescuer.import(&lost(), &bundle).await.unwrap();
    assert_eq!((done.written, done.opened), (1, 1));
    let unknown = Vault::new(memory(), kek(2));
    let error = rescuer.import(&unknown, &bundle).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_erasure_is_taken_back_only_where_that_is_asked_for() {
    let store = memory();
    let (vault, _) = opened(store.clone()).await;
    let manifests = two_snapshots(&vault).await;
    let rescuer = Rescuer::new();
    let bundle = rescuer.bundle(&vault, 1).await;
    vault.erase_keys(&tenant(1), moment(1)).await.unwrap();
    let error = rescuer.import(&vault, &bundle).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Key(KeyError::Erased)),
        "{error}"
    );
    let undo = AfterErasure::Undo;
    let imported = vault
        .import_keys(&tenant(1), &bundle, &rescuer.identity, undo)
        .await
        .unwrap();
    assert_eq!((imported.written, imported.opened), (3, 2));
    is_whole(&vault, &manifests).await;
    vault.erase_keys(&tenant(1), moment(2)).await.unwrap();
    vault.tenant(&tenant(1)).await.unwrap_err();
}
