//! Keys: whose opens what, and what is said where one does not.

use std::sync::Arc;

use age::secrecy::ExposeSecret;
use model::ErrorKind;
use model::error::reason;
use store::object_store::{ObjectStore, ObjectStoreExt};
use store::{Area, Draft, Holder, KeyError, Place, Rewrapped, StoreError, Taken, Vault, layout};
use testkit::store::{Fault, FaultStore, content, meta, record, tamper, tenant};

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
        "the tenant's data key cannot be opened with this wrapping key"
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

/// The bytes of a file; `None` where there is none.
async fn bytes(store: &dyn ObjectStore, path: &store::object_store::path::Path) -> Option<Vec<u8>> {
    let found = store.get(path).await.ok()?;
    Some(found.bytes().await.unwrap().to_vec())
}

/// A vault under the second key-encryption key that still knows the first.
fn changing(store: Arc<dyn ObjectStore>) -> Vault {
    Vault::new(store, kek(2)).with_old_wrap(kek(1))
}

#[tokio::test]
async fn a_bundle_is_an_identity_file_for_its_recipients_alone() {
    let store = memory();
    let (vault, first) = opened(store.clone()).await;
    vault.rotate_key(&tenant(1), "r1").await.unwrap();
    let [mine, yours, other] = [(); 3].map(|()| age::x25519::Identity::generate());
    let recipients = [&mine, &yours].map(|one| one.to_public().to_string());
    let bundle = vault.export_keys(&tenant(1), &recipients).await.unwrap();
    assert!(age::decrypt(&other, &bundle).is_err());
    let text = String::from_utf8(age::decrypt(&mine, &bundle).unwrap()).unwrap();
    assert_eq!(age::decrypt(&yours, &bundle).unwrap(), text.as_bytes());

    let secrets: Vec<age::x25519::Identity> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.parse().unwrap())
        .collect();
    let public = |index: usize| secrets[index].to_public();
    let expected = format!(
        "# rewind recovery bundle 1\n# tenant: {}\n# key: 1\n# public key: {}\n{}\n# key: 2\n# public key: {}\n{}\n",
        tenant(1),
        public(0),
        secrets[0].to_string().expose_secret(),
        public(1),
        secrets[1].to_string().expose_secret(),
    );
    assert_eq!(text, expected);

    // The first opens what was sealed before the rotation.
    first
        .put(Area::Reports, "r1", "report", "content".into())
        .await
        .unwrap();
    let path = layout::document(&tenant(1), Area::Reports, "r1", "report").unwrap();
    let sealed = bytes(store.as_ref(), &path).await.unwrap();
    let plain = age::decrypt(&secrets[0], &sealed).unwrap();
    assert!(plain.ends_with(b"\ncontent"));
    assert!(age::decrypt(&secrets[1], &sealed).is_err());
}

#[tokio::test]
async fn a_recipient_that_is_none_is_refused_and_not_repeated() {
    let (vault, _) = opened(memory()).await;
    let secret = age::x25519::Identity::generate().to_string();
    let good = age::x25519::Identity::generate().to_public().to_string();
    for bad in [secret.expose_secret(), "", "age1short", "ssh-ed25519 AAAA"] {
        let error = vault
            .export_keys(&tenant(1), &[good.clone(), bad.to_owned()])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            error.to_string(),
            "recipient 2 is not an age public key: age1… is expected"
        );
    }
    let none = vault.export_keys(&tenant(1), &[]).await.unwrap_err();
    assert_eq!(none.to_string(), "no recipient is named");
    let unknown = vault.export_keys(&tenant(9), &[good]).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn after_re_wrapping_only_the_new_key_opens() {
    let store = memory();
    let (vault, first) = opened(store.clone()).await;
    first
        .put(Area::Reports, "r1", "report", "content".into())
        .await
        .unwrap();
    vault.rotate_key(&tenant(1), "r1").await.unwrap();
    let changing = changing(store.clone());
    let done = changing.rewrap_keys(&tenant(1)).await.unwrap();
    assert_eq!(
        done,
        Rewrapped {
            written: 2,
            deleted: 2
        }
    );
    let again = changing.rewrap_keys(&tenant(1)).await.unwrap();
    assert_eq!(again, Rewrapped::default());

    let read = async |wrap| {
        let vault = Vault::new(store.clone(), kek(wrap))
            .tenant(&tenant(1))
            .await?;
        vault.get(Area::Reports, "r1", "report").await
    };
    assert_eq!(read(2).await.unwrap(), "content");
    let error = read(1).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Key(KeyError::Refused)),
        "{error}"
    );
    // The same request finds its number under the new wrap.
    assert_eq!(changing.rotate_key(&tenant(1), "r1").await.unwrap(), 2);
}

#[tokio::test]
async fn re_wrapping_may_be_cut_short_anywhere() {
    let faults = [
        Fault::Refuse,
        Fault::LoseAnswer,
        Fault::FlipBit,
        Fault::Truncate,
    ];
    for fault in faults {
        for nth in 1..=2 {
            let store = Arc::new(FaultStore::new(memory()));
            let (vault, _) = opened(store.clone()).await;
            vault.rotate_key(&tenant(1), "r1").await.unwrap();
            let changing = changing(store.clone());
            store.on_put(nth, fault);
            let first = changing.rewrap_keys(&tenant(1)).await;
            // Whatever happened, both know the tenant's key still.
            changing.forget(&tenant(1));
            changing.tenant(&tenant(1)).await.unwrap();
            changing.rewrap_keys(&tenant(1)).await.unwrap();
            let alone = Vault::new(store.clone(), kek(2));
            alone.tenant(&tenant(1)).await.unwrap();
            for number in [1, 2] {
                let old = layout::data_key(&tenant(1), number, kek(1).id());
                assert_eq!(bytes(store.as_ref(), &old).await, None);
            }
            assert_eq!(
                first.is_ok(),
                fault == Fault::LoseAnswer,
                "{fault:?} of put {nth}"
            );
        }
    }
}

#[tokio::test]
async fn a_re_wrapping_cut_short_before_the_deletion_is_finished() {
    let store = memory();
    opened(store.clone()).await;
    let old = layout::data_key(&tenant(1), 1, kek(1).id());
    let before = bytes(store.as_ref(), &old).await.unwrap();
    let changing = changing(store.clone());
    changing.rewrap_keys(&tenant(1)).await.unwrap();
    store.put(&old, before.into()).await.unwrap();
    // The old key need not even be known any more.
    let done = Vault::new(store.clone(), kek(2))
        .rewrap_keys(&tenant(1))
        .await
        .unwrap();
    assert_eq!((done.written, done.deleted), (0, 1));
    assert_eq!(bytes(store.as_ref(), &old).await, None);
}

#[tokio::test]
async fn a_wrap_of_another_key_is_not_deleted() {
    let (store, elsewhere) = (memory(), memory());
    opened(store.clone()).await;
    Vault::new(elsewhere.clone(), kek(1))
        .create_tenant(&record(&tenant(1)))
        .await
        .unwrap();
    let changing = changing(store.clone());
    changing.rewrap_keys(&tenant(1)).await.unwrap();
    let old = layout::data_key(&tenant(1), 1, kek(1).id());
    let foreign = bytes(elsewhere.as_ref(), &old).await.unwrap();
    store.put(&old, foreign.clone().into()).await.unwrap();
    let error = changing.rewrap_keys(&tenant(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(bytes(store.as_ref(), &old).await, Some(foreign));
}

#[tokio::test]
async fn a_rotated_key_seals_what_comes_next_and_opens_what_came_before() {
    let store = memory();
    let (vault, first) = opened(store.clone()).await;
    let (reader, day) = (Vault::new(store.clone(), kek(1)), content(20));
    let old = first
        .commit_content(&meta("20261120-daily", "a", 0), &day)
        .await
        .unwrap();
    reader.tenant(&tenant(1)).await.unwrap();

    assert_eq!(vault.rotate_key(&tenant(1), "r1").await.unwrap(), 2);
    assert_eq!(vault.rotate_key(&tenant(1), "r1").await.unwrap(), 2);
    let second = vault.tenant(&tenant(1)).await.unwrap();
    let next = meta("20261121-daily", "a", 100);
    let new = second
        .commit(
            &next,
            Draft::default(),
            Taken::default(),
            Some(&old),
            &|| next.finished,
        )
        .await
        .unwrap();
    let keys = |manifest: &store::Manifest| -> Vec<u32> {
        manifest.runs.iter().map(|run| run.key).collect()
    };
    assert_eq!((keys(&old), keys(&new)), (vec![1, 1], vec![2, 2]));

    // Also to one who opened the tenant before.
    let reader = reader.tenant(&tenant(1)).await.unwrap();
    for manifest in [&old, &new] {
        assert_eq!(reader.manifest(manifest.id()).await.unwrap(), *manifest);
        let found = reader.read(manifest).await.unwrap();
        assert_eq!(
            (found.objects, found.links),
            (day.objects.clone(), day.links.clone())
        );
    }
    // Who knows the first number alone opens nothing new.
    assert!(first.manifest(new.id()).await.is_err());
    assert!(first.read_objects(&new).await.is_err());

    assert_eq!(vault.rotate_key(&tenant(1), "r2").await.unwrap(), 3);
}

#[tokio::test]
async fn a_number_that_was_written_badly_does_not_stay() {
    for fault in [Fault::FlipBit, Fault::Truncate, Fault::Refuse] {
        let store = Arc::new(FaultStore::new(memory()));
        let (vault, _) = opened(store.clone()).await;
        store.on_put(1, fault);
        vault.rotate_key(&tenant(1), "r1").await.unwrap_err();
        vault.forget(&tenant(1));
        vault.tenant(&tenant(1)).await.unwrap();
        assert_eq!(vault.rotate_key(&tenant(1), "r1").await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_start_with_the_wrong_key_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let url = |name: &str| url::Url::from_directory_path(at(name)).unwrap().to_string();
    let (store_url, keys_url) = (url("store"), url("keys"));
    let (right, other, missing) = (at("right"), at("other"), at("missing"));
    for path in [&right, &other] {
        store::Kek::load_or_create(path).unwrap();
    }
    let place = |key_file: &std::path::Path, old: Option<&std::path::Path>| Place {
        store_url: store_url.clone(),
        keys_url: Some(keys_url.clone()),
        key: Holder::File(key_file.to_owned()),
        old_key: old.map(|path| Holder::File(path.to_owned())),
        setting: &|_| None,
    };
    let vault = Vault::at(&place(&right, None)).await.unwrap();
    vault.create_tenant(&record(&tenant(1))).await.unwrap();
    assert!(
        at("keys/tenants").exists(),
        "the keys have a store of their own"
    );

    let cases: [(Place<'_>, &str); 3] = [
        (
            place(&other, None),
            "the wrapping key opens none of the tenants' data keys: it is not the one that they were wrapped with",
        ),
        (
            place(&missing, None),
            "the key file cannot be read: entity not found",
        ),
        (
            place(&right, Some(&missing)),
            "the key file cannot be read: entity not found",
        ),
    ];
    for (place, text) in &cases {
        let error = Vault::at(place).await.unwrap_err();
        assert_eq!(error.reason().0, reason::KEY_UNAVAILABLE);
        assert_eq!(error.to_string(), *text);
    }
    let vault = Vault::at(&place(&other, Some(&right))).await.unwrap();
    vault.rewrap_keys(&tenant(1)).await.unwrap();
    Vault::at(&place(&other, None)).await.unwrap();
    Vault::at(&place(&right, None)).await.unwrap_err();
}
