//! Whatever is done to a stored file, it is noticed and named, and nothing else
//! suffers.

use std::sync::Arc;

use model::error::reason;
use model::{ErrorKind, SnapshotId};
use store::object_store::ObjectStore;
use store::object_store::path::Path;
use store::{Area, Manifest, RunKind, StoreError, TenantVault, layout};
use testkit::store::{Fault, FaultStore, content, meta, tamper, tenant};

use crate::{memory, opened};

struct Stored {
    store: Arc<dyn ObjectStore>,
    first: TenantVault,
    manifest: Manifest,
}

impl Stored {
    async fn new() -> Self {
        let store = memory();
        let (_, first) = opened(store.clone()).await;
        let manifest = first
            .commit_content(&meta("20261120-daily", "a", 0), &content(20))
            .await
            .unwrap();
        first
            .commit_content(&meta("20261121-daily", "b", 100), &content(3))
            .await
            .unwrap();
        first
            .put(Area::Reports, "r1", "page-00001", "one".into())
            .await
            .unwrap();
        first
            .put(Area::Reports, "r1", "page-00002", "two".into())
            .await
            .unwrap();
        Self {
            store,
            first,
            manifest,
        }
    }

    fn run(&self, kind: RunKind) -> Path {
        let file = self
            .manifest
            .runs
            .iter()
            .find(|file| file.kind == kind)
            .unwrap();
        layout::run(&tenant(1), &file.hash)
    }

    fn manifest_path(&self, slot: &str) -> Path {
        layout::manifest(&tenant(1), &SnapshotId::parse(slot).unwrap())
    }

    async fn bytes(&self, path: &Path) -> Vec<u8> {
        let mut found = Vec::new();
        tamper(self.store.as_ref(), path, |bytes| found.clone_from(bytes)).await;
        found
    }

    /// Puts the file at `from` in the place of the file at `to`.
    async fn replace(&self, from: &Path, to: &Path) {
        let foreign = self.bytes(from).await;
        tamper(self.store.as_ref(), to, |bytes| *bytes = foreign).await;
    }
}

fn assert_corrupt<T: std::fmt::Debug>(outcome: Result<T, StoreError>, path: &Path, part: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason().0),
        (ErrorKind::Corrupt, reason::STORE_CORRUPT),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains(path.as_ref()) && text.contains(part),
        "{text}"
    );
}

#[tokio::test]
async fn a_damaged_run_is_named() {
    type Change = fn(&mut Vec<u8>);
    let changes: [Change; 4] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.clear(),
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        |bytes| bytes[0] ^= 0x80,
    ];
    for change in changes {
        for kind in [RunKind::Objects, RunKind::Links] {
            let stored = Stored::new().await;
            let path = stored.run(kind);
            tamper(stored.store.as_ref(), &path, change).await;
            assert_corrupt(
                stored.first.read(&stored.manifest).await,
                &path,
                kind.name(),
            );
        }
    }
}

#[tokio::test]
async fn every_flipped_byte_of_a_manifest_is_noticed() {
    let stored = Stored::new().await;
    let path = stored.manifest_path("20261120-daily");
    let length = stored.bytes(&path).await.len();
    for at in (0..length).step_by(7) {
        tamper(stored.store.as_ref(), &path, |bytes| bytes[at] ^= 1).await;
        assert_corrupt(
            stored.first.manifest(&stored.manifest.meta.id).await,
            &path,
            "",
        );
        tamper(stored.store.as_ref(), &path, |bytes| bytes[at] ^= 1).await;
    }
    assert_eq!(
        stored
            .first
            .manifest(&stored.manifest.meta.id)
            .await
            .unwrap(),
        stored.manifest
    );
}

#[tokio::test]
async fn a_missing_or_exchanged_run_is_named() {
    let stored = Stored::new().await;
    let (objects, links) = (stored.run(RunKind::Objects), stored.run(RunKind::Links));
    stored.replace(&links, &objects).await;
    assert_corrupt(
        stored.first.read_objects(&stored.manifest).await,
        &objects,
        "objects",
    );
    stored.first.read_links(&stored.manifest).await.unwrap();
    store::object_store::ObjectStoreExt::delete(stored.store.as_ref(), &links)
        .await
        .unwrap();
    assert_corrupt(
        stored.first.read_links(&stored.manifest).await,
        &links,
        "missing",
    );
}

#[tokio::test]
async fn a_damaged_manifest_hides_no_other() {
    let stored = Stored::new().await;
    let path = stored.manifest_path("20261121-daily");
    tamper(stored.store.as_ref(), &path, |bytes| bytes.truncate(40)).await;
    let (manifests, problems) = stored.first.manifests().await.unwrap();
    assert_eq!(manifests, [stored.manifest]);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, path.to_string());
}

#[tokio::test]
async fn a_file_in_the_place_of_another_is_noticed() {
    let stored = Stored::new().await;
    let (old, new) = (
        stored.manifest_path("20261120-daily"),
        stored.manifest_path("20261121-daily"),
    );
    stored.replace(&old, &new).await;
    assert_corrupt(
        stored
            .first
            .manifest(&SnapshotId::parse("20261121-daily").unwrap())
            .await,
        &new,
        "for this place",
    );

    let page = |n: u32| {
        layout::document(&tenant(1), Area::Reports, "r1", &format!("page-0000{n}")).unwrap()
    };
    stored.replace(&page(1), &page(2)).await;
    assert_corrupt(
        stored.first.get(Area::Reports, "r1", "page-00002").await,
        &page(2),
        "for this place",
    );
    assert_eq!(
        stored
            .first
            .get(Area::Reports, "r1", "page-00001")
            .await
            .unwrap(),
        "one"
    );
}

#[tokio::test]
async fn a_file_of_another_tenant_is_noticed() {
    let store = memory();
    let (vault, first) = opened(store.clone()).await;
    let second = vault.tenant(&tenant(2)).await.unwrap();
    let meta = meta("20261120-daily", "a", 0);
    let manifest = first.commit_content(&meta, &content(3)).await.unwrap();
    second.commit_content(&meta, &content(3)).await.unwrap();
    for vault in [&first, &second] {
        vault
            .put(Area::Restores, "r1", "plan", "plan".into())
            .await
            .unwrap();
    }
    let stored = Stored {
        store,
        first,
        manifest,
    };
    let path = |n| layout::manifest(&tenant(n), &meta.id);
    stored.replace(&path(1), &path(2)).await;
    assert_corrupt(second.manifest(&meta.id).await, &path(2), "decrypted");
    let path = |n| layout::document(&tenant(n), Area::Restores, "r1", "plan").unwrap();
    stored.replace(&path(1), &path(2)).await;
    assert_corrupt(
        second.get(Area::Restores, "r1", "plan").await,
        &path(2),
        "decrypted",
    );
    assert!(matches!(
        second.read(&stored.manifest).await,
        Err(StoreError::Invalid(_))
    ));

    let path = |n| layout::registration(&tenant(n), 1);
    stored.replace(&path(1), &path(2)).await;
    assert_corrupt(
        vault.tenant_record(&tenant(2)).await,
        &path(2),
        "another tenant",
    );
}

#[tokio::test]
async fn an_unknown_format_is_named() {
    let stored = Stored::new().await;
    let path = layout::registration(&tenant(1), 1);
    let later = br#"{"format":2,"anything":"else"}"#;
    tamper(stored.store.as_ref(), &path, |bytes| {
        *bytes = later.to_vec();
    })
    .await;
    let vault = store::Vault::new(stored.store, crate::kek(1));
    assert_corrupt(
        vault.tenant_record(&tenant(1)).await,
        &path,
        "format 2 is not known to this version",
    );
}

#[tokio::test]
async fn a_write_that_went_wrong_silently_is_noticed_on_reading() {
    for fault in [Fault::FlipBit, Fault::Truncate] {
        for nth in 1..=3 {
            let faults = Arc::new(FaultStore::new(memory()));
            let (_, first) = opened(faults.clone()).await;
            let meta = meta("20261120-daily", "a", 0);
            faults.on_put(nth, fault);
            let manifest = first.commit_content(&meta, &content(5)).await.unwrap();
            let outcome = match first.manifest(&meta.id).await {
                Ok(_) => first.read(&manifest).await.map(|_| ()),
                Err(error) => Err(error),
            };
            assert_eq!(
                outcome.unwrap_err().kind(),
                ErrorKind::Corrupt,
                "{fault:?} of put {nth}"
            );
        }
    }
}
