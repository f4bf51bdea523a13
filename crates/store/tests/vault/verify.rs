//! Whatever is done to stored files, a look at them finds it, names it and says
//! what it touches; and what a copy has is put back.

use std::sync::Arc;

use model::snapshot::{Change, Content};
use model::{ErrorKind, ObjectType, SnapshotId};
use store::object_store::path::Path;
use store::object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use store::{
    Area, Damage, DamageKind, Depth, Draft, Fate, Manifest, RunKind, StoreError, Taken,
    TenantVault, Verified, layout,
};
use testkit::store::{FaultStore, content, meta, moment, tamper, tenant};

use crate::{memory, opened};

const SLOTS: [&str; 3] = ["20261120-daily", "20261121-daily", "20261122-daily"];

/// A tenant with three days that share a base, a hold and a report; and the tenant
/// beside it.
struct Stored {
    store: Arc<dyn ObjectStore>,
    first: TenantVault,
    manifests: Vec<Manifest>,
}

impl Stored {
    async fn new() -> Self {
        Self::over(memory()).await
    }

    async fn over(store: Arc<dyn ObjectStore>) -> Self {
        let (_, first) = opened(store.clone()).await;
        let mut manifests: Vec<Manifest> = Vec::new();
        for (day, slot) in (0..).zip(SLOTS) {
            let meta = meta(slot, "a", day * 86_400);
            let (draft, now) = (day_of(usize::try_from(day).unwrap()), meta.finished);
            let taken = Taken {
                completeness: content(1).completeness,
                ..Taken::default()
            };
            let since = manifests.last();
            let taken = first.commit(&meta, draft, taken, since, &|| now).await;
            manifests.push(taken.unwrap());
        }
        first
            .hold(&slot(SLOTS[0]), "audit", moment(9))
            .await
            .unwrap();
        first.lift_hold(&slot(SLOTS[0])).await.unwrap();
        for page in ["page-00001", "page-00002"] {
            let put = first.put(Area::Reports, "r1", page, page.into());
            put.await.unwrap();
        }
        Self {
            store,
            first,
            manifests,
        }
    }

    /// The base, of which all three days are made.
    fn base(&self, kind: RunKind) -> Path {
        let mut files = self.manifests[0].runs.iter();
        let file = files.find(|file| file.kind == kind).unwrap();
        layout::run(&tenant(1), &file.hash)
    }

    async fn verify(&self, depth: Depth) -> Verified {
        self.first.verify(depth).await.unwrap()
    }

    async fn paths(&self) -> Vec<Path> {
        use futures::TryStreamExt;
        let folder = layout::tenant(&tenant(1));
        let listed: Vec<_> = self.store.list(Some(&folder)).try_collect().await.unwrap();
        let mut paths: Vec<Path> = listed.into_iter().map(|meta| meta.location).collect();
        paths.sort();
        paths
    }

    async fn bytes(&self, path: &Path) -> Vec<u8> {
        self.store
            .get(path)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .to_vec()
    }

    async fn write(&self, path: &Path, bytes: Vec<u8>) {
        let put = self.store.put(path, PutPayload::from(bytes));
        put.await.unwrap();
    }
}

/// Two hundred users on the first day, and one more on each other.
fn day_of(day: usize) -> Draft {
    let before = match day {
        0 => Content::default(),
        day => content(199 + day),
    };
    let (draft, content) = (Draft::default(), content(200 + day));
    let objects = content.objects.into_iter();
    let links = content.links.into_iter();
    let objects = objects.filter(|object| !before.objects.contains(object));
    let links = links.filter(|link| !before.links.contains(link));
    objects
        .map(Change::Put)
        .chain(links.map(Change::Linked))
        .for_each(|change| draft.apply(change));
    draft
}

fn slot(name: &str) -> SnapshotId {
    SnapshotId::parse(name).unwrap()
}

/// Whether a file proves what is in it: registrations, claims and marks of restores
/// do not.
fn proves_itself(path: &Path) -> bool {
    let text = path.as_ref();
    text.contains("/runs/") || text.contains("/snapshots/") || text.contains("/reports/")
}

fn only(found: &Verified) -> &Damage {
    assert_eq!(found.damages.len(), 1, "{:?}", found.damages);
    &found.damages[0]
}

#[tokio::test]
async fn a_vault_that_is_whole_is_found_to_be() {
    let stored = Stored::new().await;
    for depth in [Depth::Structure, Depth::EveryByte] {
        let found = stored.verify(depth).await;
        assert_eq!(found.damages, [], "{depth:?}");
        assert_eq!(found.snapshots, 3);
        assert_eq!(found.files, stored.paths().await.len() as u64);
        assert_eq!((found.unnamed_runs, found.unnamed_bytes), (0, 0));
        let read = found.files_read;
        match depth {
            Depth::EveryByte => assert!(read >= 8 && found.bytes_read > 10_000, "{found:?}"),
            _ => assert_eq!((read, found.bytes_read), (0, 0)),
        }
    }
}

#[tokio::test]
async fn by_turns_every_byte_is_read_once() {
    let stored = Stored::new().await;
    let all = stored.verify(Depth::EveryByte).await;
    let mut sum = (0, 0);
    for turn in 20..27 {
        let found = stored.verify(Depth::Share { of: 7, turn }).await;
        assert_eq!(found.damages, []);
        assert!(found.files_read < all.files_read);
        sum = (sum.0 + found.files_read, sum.1 + found.bytes_read);
    }
    assert_eq!(sum, (all.files_read, all.bytes_read));
}

#[tokio::test]
async fn every_flipped_or_cut_file_is_found() {
    let stored = Stored::new().await;
    let mut tried = 0;
    for path in stored
        .paths()
        .await
        .iter()
        .filter(|path| proves_itself(path))
    {
        let whole = stored.bytes(path).await;
        let step = (whole.len() / 24).max(1);
        for at in (0..whole.len()).step_by(step) {
            for cut in [false, true] {
                let mut bytes = whole.clone();
                match cut {
                    true => bytes.truncate(at),
                    false => bytes[at] ^= 1,
                }
                stored.write(path, bytes).await;
                let found = stored.verify(Depth::EveryByte).await;
                let damage = only(&found);
                assert_eq!(damage.path, path.to_string(), "byte {at}, cut {cut}");
                if path.as_ref().contains("/runs/") {
                    let expected = match cut {
                        true => DamageKind::Truncated,
                        false => DamageKind::Altered,
                    };
                    assert_eq!(damage.kind, expected, "{damage:?}");
                }
                tried += 1;
            }
        }
        stored.write(path, whole).await;
    }
    assert_eq!(stored.verify(Depth::EveryByte).await.damages, []);
    println!("{tried} damages, each found");
    assert!(tried > 400);
}

#[tokio::test]
async fn every_missing_file_that_something_names_is_found() {
    let stored = Stored::new().await;
    let newest = layout::manifest(&tenant(1), &slot(SLOTS[2]));
    let last_word = layout::fate(&tenant(1), &slot(SLOTS[0]), 2);
    let mut found_ones = 0;
    for path in stored.paths().await {
        let text = path.to_string();
        // Nothing names a report, the newest manifest or the last decision.
        let named = (text.contains("/runs/") || text.contains("/snapshots/"))
            && ![&newest, &last_word].contains(&&path);
        let whole = stored.bytes(&path).await;
        stored.store.delete(&path).await.unwrap();
        for depth in [Depth::Structure, Depth::EveryByte] {
            let found = stored.verify(depth).await;
            if named {
                assert_eq!(only(&found).path, text);
                assert_eq!(only(&found).kind, DamageKind::Missing);
                found_ones += 1;
            }
        }
        stored.write(&path, whole).await;
    }
    assert!(found_ones >= 16, "{found_ones}");
}

#[tokio::test]
async fn what_is_damaged_says_which_snapshots_and_objects_it_touches() {
    let stored = Stored::new().await;
    let path = stored.base(RunKind::Objects);
    let whole = stored.bytes(&path).await;
    let file = &stored.manifests[0].runs[0];
    assert_eq!(layout::run(&tenant(1), &file.hash), path);

    // The last chunk holds where rows are, so none can be read without it.
    stored.write(&path, whole[..whole.len() - 1].to_vec()).await;
    let found = stored.verify(Depth::Structure).await;
    let damage = only(&found);
    assert_eq!(damage.kind, DamageKind::Truncated);
    assert_eq!(damage.holds, Some(RunKind::Objects));
    assert_eq!(damage.snapshots, SLOTS.map(slot));
    assert_eq!(damage.unreadable.len(), 1);
    assert_eq!(damage.unreadable[0].rows, file.rows);

    // Only the last day stands on the last change run.
    let last = stored.manifests[2].runs.iter();
    let last = last.filter(|run| !stored.manifests[1].runs.contains(run));
    for run in last {
        let path = layout::run(&tenant(1), &run.hash);
        stored.store.delete(&path).await.unwrap();
        stored
            .write(&stored.base(RunKind::Objects), whole.clone())
            .await;
        let found = stored.verify(Depth::Structure).await;
        let of_it = found
            .damages
            .iter()
            .find(|damage| damage.path == path.to_string());
        assert_eq!(of_it.unwrap().snapshots, [slot(SLOTS[2])]);
    }
}

#[tokio::test]
async fn of_a_large_run_only_the_damaged_rows_are_lost() {
    let store = memory();
    let (_, first) = opened(store.clone()).await;
    let meta = meta(SLOTS[0], "a", 0);
    let manifest = first.commit_content(&meta, &content(25_000)).await.unwrap();
    let file = manifest
        .runs
        .iter()
        .find(|run| run.kind == RunKind::Objects)
        .unwrap();
    let path = layout::run(&tenant(1), &file.hash);
    tamper(store.as_ref(), &path, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    })
    .await;
    assert_eq!(first.verify(Depth::Structure).await.unwrap().damages, []);
    let found = first.verify(Depth::EveryByte).await.unwrap();
    let damage = only(&found);
    assert_eq!(damage.kind, DamageKind::Altered);
    let lost: u64 = damage.unreadable.iter().map(|span| span.rows).sum();
    assert!((5_000..=20_000).contains(&lost), "{:?}", damage.unreadable);
    for span in &damage.unreadable {
        assert_eq!(span.name, ObjectType::User.name());
        assert!(span.first < span.last && span.last.len() == 36, "{span:?}");
    }
}

#[tokio::test]
async fn exchanged_and_foreign_files_are_told_apart() {
    let stored = Stored::new().await;
    let (objects, links) = (stored.base(RunKind::Objects), stored.base(RunKind::Links));
    let (of_objects, of_links) = (stored.bytes(&objects).await, stored.bytes(&links).await);
    stored.write(&objects, of_links.clone()).await;
    stored.write(&links, of_objects.clone()).await;
    for depth in [Depth::Structure, Depth::EveryByte] {
        let found = stored.verify(depth).await;
        assert_eq!(found.damages.len(), 2, "{:?}", found.damages);
        for damage in &found.damages {
            assert_eq!(damage.kind, DamageKind::Misplaced);
            assert_eq!(damage.snapshots, SLOTS.map(slot));
        }
    }
    stored.write(&objects, of_objects).await;
    stored.write(&links, of_links).await;

    let manifest = |n: usize| layout::manifest(&tenant(1), &slot(SLOTS[n]));
    let whole = stored.bytes(&manifest(1)).await;
    stored
        .write(&manifest(1), stored.bytes(&manifest(2)).await)
        .await;
    let found = stored.verify(Depth::Structure).await;
    assert_eq!(only(&found).kind, DamageKind::Misplaced);
    assert_eq!(only(&found).snapshots, [slot(SLOTS[1])]);
    stored.write(&manifest(1), whole).await;

    for name in [
        "tenants/00000001-0000-4000-8000-000000000000/runs/notes.txt",
        "tenants/00000001-0000-4000-8000-000000000000/snapshots/20261120-daily/manifest.bak",
        "tenants/00000001-0000-4000-8000-000000000000/ransom-note",
        "tenants/00000001-0000-4000-8000-000000000000/reports/r1",
    ] {
        let path = Path::from(name);
        stored.write(&path, b"pay".to_vec()).await;
        let found = stored.verify(Depth::Structure).await;
        assert_eq!(
            (only(&found).path.as_str(), only(&found).kind),
            (name, DamageKind::Foreign)
        );
        stored.store.delete(&path).await.unwrap();
    }
    // A file of the neighbour's is none of this tenant's, under its own name or another.
    let other = stored.bytes(&manifest(0)).await;
    stored
        .write(&layout::manifest(&tenant(2), &slot(SLOTS[0])), other)
        .await;
    assert_eq!(stored.verify(Depth::EveryByte).await.damages, []);
}

#[tokio::test]
async fn a_run_that_nobody_names_is_no_damage() {
    let stored = Stored::new().await;
    let orphan = layout::run(&tenant(1), &blake3::hash(b"orphan"));
    stored
        .write(&orphan, b"left by a killed writer".to_vec())
        .await;
    let found = stored.verify(Depth::EveryByte).await;
    assert_eq!(found.damages, []);
    assert_eq!((found.unnamed_runs, found.unnamed_bytes), (1, 23));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_damage() {
    let faults = Arc::new(FaultStore::new(memory()));
    let stored = Stored::over(faults.clone()).await;
    faults.refuse_reads(true);
    let error = stored.first.verify(Depth::EveryByte).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    faults.refuse_reads(false);
    assert_eq!(stored.verify(Depth::EveryByte).await.damages, []);
}

/// The same tenant in another store, byte for byte.
async fn copied(stored: &Stored) -> (Arc<dyn ObjectStore>, TenantVault) {
    use futures::TryStreamExt;
    let store = memory();
    let listed: Vec<_> = stored.store.list(None).try_collect().await.unwrap();
    for meta in listed {
        let bytes = stored.bytes(&meta.location).await;
        let put = store.put(&meta.location, PutPayload::from(bytes));
        put.await.unwrap();
    }
    let vault = store::Vault::new(store.clone(), crate::kek(1));
    (store, vault.tenant(&tenant(1)).await.unwrap())
}

#[tokio::test]
async fn whatever_the_copy_has_is_put_back() {
    let stored = Stored::new().await;
    let (_, copy) = copied(&stored).await;
    let before = stored.first.read(&stored.manifests[2]).await.unwrap();
    let (objects, links) = (stored.base(RunKind::Objects), stored.base(RunKind::Links));
    stored.store.delete(&objects).await.unwrap();
    tamper(stored.store.as_ref(), &links, |bytes| bytes[99] ^= 4).await;
    let manifest = layout::manifest(&tenant(1), &slot(SLOTS[1]));
    tamper(stored.store.as_ref(), &manifest, Vec::clear).await;

    // Without a copy there is nothing that could be put back, and nothing changes.
    let done = stored.first.repair(None, &[], moment(10)).await.unwrap();
    assert_eq!((done.put_back.len(), done.left.len()), (0, 3));

    let done = stored
        .first
        .repair(Some(&copy), &[], moment(10))
        .await
        .unwrap();
    let mut expected = [&objects, &links, &manifest].map(ToString::to_string);
    expected.sort();
    assert_eq!((done.put_back, done.left), (expected.to_vec(), vec![]));
    assert_eq!(stored.verify(Depth::EveryByte).await.damages, []);
    assert_eq!(
        stored.first.read(&stored.manifests[2]).await.unwrap(),
        before
    );
}

#[tokio::test]
async fn a_copy_that_is_damaged_itself_is_not_believed() {
    let stored = Stored::new().await;
    let (store, copy) = copied(&stored).await;
    let path = stored.base(RunKind::Objects);
    tamper(store.as_ref(), &path, |bytes| bytes[50] ^= 4).await;
    tamper(stored.store.as_ref(), &path, |bytes| bytes[99] ^= 4).await;
    let spoilt = stored.bytes(&path).await;
    let done = stored
        .first
        .repair(Some(&copy), &[], moment(10))
        .await
        .unwrap();
    assert_eq!((done.put_back.len(), done.left.len()), (0, 1));
    assert_eq!(stored.bytes(&path).await, spoilt);
}

#[tokio::test]
async fn a_copy_of_another_tenant_is_refused() {
    let store = memory();
    let (vault, first) = opened(store).await;
    let second = vault.tenant(&tenant(2)).await.unwrap();
    let refused = first.repair(Some(&second), &[], moment(1)).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn only_a_damaged_snapshot_is_let_go_and_retention_works_again() {
    let stored = Stored::new().await;
    let last = stored.manifests[2].runs.iter();
    let mut last = last.filter(|run| !stored.manifests[1].runs.contains(run));
    let path = layout::run(&tenant(1), &last.next().unwrap().hash);
    stored.store.delete(&path).await.unwrap();
    let (policy, grace) = (
        model::retention::Policy::default(),
        chrono::TimeDelta::days(1),
    );
    let now = moment(5 * 86_400);
    stored.first.prune(&policy, grace, now).await.unwrap_err();

    let refused = stored.first.repair(None, &[slot(SLOTS[1])], now).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
    assert_eq!(stored.first.manifests().await.unwrap().0.len(), 3);

    let done = stored
        .first
        .repair(None, &[slot(SLOTS[2])], now)
        .await
        .unwrap();
    assert_eq!((done.dropped, done.left), (vec![slot(SLOTS[2])], vec![]));
    assert_eq!(stored.first.manifests().await.unwrap().0.len(), 2);
    stored.first.prune(&policy, grace, now).await.unwrap();
    let found = stored.verify(Depth::EveryByte).await;
    assert_eq!((found.damages, found.snapshots), (vec![], 2));
}

#[tokio::test]
async fn a_snapshot_whose_decision_cannot_be_read_is_held() {
    let stored = Stored::new().await;
    let decision = layout::fate(&tenant(1), &slot(SLOTS[0]), 2);
    tamper(stored.store.as_ref(), &decision, |bytes| bytes[9] ^= 1).await;
    let found = stored.verify(Depth::Structure).await;
    assert_eq!(only(&found).path, decision.to_string());
    assert_eq!(only(&found).snapshots, [slot(SLOTS[0])]);
    stored.first.manifest(&slot(SLOTS[0])).await.unwrap_err();

    let done = stored.first.repair(None, &[], moment(10)).await.unwrap();
    assert_eq!(done.held, [slot(SLOTS[0])]);
    let manifest = stored.first.manifest(&slot(SLOTS[0])).await.unwrap();
    assert!(
        matches!(manifest.fate, Fate::Held { .. }),
        "{:?}",
        manifest.fate
    );
}
