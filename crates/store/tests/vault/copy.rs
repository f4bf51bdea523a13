//! Copies in another store: byte for byte, whole wherever the copying ends, and
//! enough to start from where nothing else is left.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::TimeDelta;
use futures::StreamExt;
use model::retention::Policy;
use model::snapshot::{Change, Content};
use model::{ErrorKind, Object, ObjectState, ObjectType, SnapshotId};
use store::object_store::path::Path;
use store::object_store::{ObjectStore, ObjectStoreExt};
use store::{
    Carried, Copied, Copies, CopyPlace, Draft, Fate, KeyError, Manifest, StoreError, Taken,
    TenantVault, Vault, layout,
};
use testkit::store::{
    Fault, FaultStore, GoogleStore, Keeps, MeterStore, content, meta, moment, record, tamper,
    tenant,
};

use crate::{kek, memory, opened};

const DAY: i64 = 86_400;

fn id(day: usize) -> SnapshotId {
    SnapshotId::parse(&format!("day-{day:03}")).unwrap()
}

/// A snapshot of a day, written as a whole.
async fn whole(vault: &TenantVault, day: usize) -> Manifest {
    let meta = meta(id(day).as_str(), "a", i64::try_from(day).unwrap() * DAY);
    let content = content(200 + day);
    vault.commit_content(&meta, &content).await.unwrap()
}

/// A snapshot of a day that goes on from another.
async fn following(vault: &TenantVault, day: usize, base: &Manifest) -> Manifest {
    let draft = Draft::default();
    let json = format!(r#"{{"id":"u1","displayName":"day {day}"}}"#);
    draft.apply(Change::Put(
        Object::from_json(ObjectType::User, ObjectState::Live, &json).unwrap(),
    ));
    let taken = Taken {
        completeness: base.completeness.clone(),
        ..Taken::default()
    };
    let meta = meta(id(day).as_str(), "a", i64::try_from(day).unwrap() * DAY);
    vault
        .commit(&meta, draft, taken, Some(base), &|| meta.finished)
        .await
        .unwrap()
}

/// Days 0, 1 and 2, of which the first two share runs.
async fn three_days(vault: &TenantVault) -> Vec<Manifest> {
    let first = whole(vault, 0).await;
    let second = following(vault, 1, &first).await;
    vec![first, second, whole(vault, 2).await]
}

/// A vault with three days of tenant 1.
async fn filled(store: Arc<dyn ObjectStore>) -> (Vault, TenantVault) {
    let (vault, first) = opened(store).await;
    three_days(&first).await;
    (vault, first)
}

/// Copies everything of tenant 1, the newest first.
async fn copy(vault: &Vault, copies: &Copies) -> Result<Vec<Copied>, StoreError> {
    let mut copying = copies.begin(vault, &tenant(1)).await?;
    let (manifests, _) = vault.tenant(&tenant(1)).await?.manifests().await?;
    let mut done = Vec::new();
    for manifest in &manifests {
        done.push(copying.snapshot(manifest.id()).await?);
    }
    Ok(done)
}

/// Every file of tenant 1.
async fn files(store: &dyn ObjectStore) -> BTreeMap<Path, Vec<u8>> {
    let folder = Path::from(format!("tenants/{}", tenant(1)));
    let metas: Vec<_> = store.list(Some(&folder)).collect().await;
    let mut files = BTreeMap::new();
    for meta in metas {
        let path = meta.unwrap().location;
        let content = store.get(&path).await.unwrap().bytes().await.unwrap();
        files.insert(path, content.to_vec());
    }
    files
}

/// The files of runs and manifests.
fn data(files: &BTreeMap<Path, Vec<u8>>) -> BTreeMap<Path, Vec<u8>> {
    let is_data = |path: &Path| {
        let path = path.as_ref();
        path.contains("/runs/") || path.ends_with("/manifest")
    };
    let data = files.iter().filter(|(path, _)| is_data(path));
    data.map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect()
}

/// Each snapshot of tenant 1 that is there, read as a whole by a vault that knows
/// nothing but this store.
async fn readable(store: Arc<dyn ObjectStore>) -> BTreeMap<SnapshotId, Content> {
    let vault = Vault::new(store, kek(1));
    let mut found = BTreeMap::new();
    let Ok(first) = vault.tenant(&tenant(1)).await else {
        return found;
    };
    let (manifests, problems) = first.manifests().await.unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    for manifest in &manifests {
        let content = first.read(manifest).await.unwrap();
        found.insert(manifest.id().clone(), content);
    }
    found
}

#[track_caller]
fn in_copy(error: &StoreError) -> &StoreError {
    match error {
        StoreError::InCopy(error) => error,
        other => panic!("not in the copy: {other}"),
    }
}

async fn is_a_vault_of_its_own(from: Arc<dyn ObjectStore>, to: Arc<dyn ObjectStore>) {
    let (vault, _) = filled(from.clone()).await;
    let copies = Copies::new(&vault, to.clone());
    let done = copy(&vault, &copies).await.unwrap();
    let sent: Vec<u64> = done.iter().map(|one| one.files).collect();
    // Day 2, then day 1 with the runs of day 0, then the manifest of day 0.
    assert_eq!(sent, [3, 4, 1]);
    assert!(done.iter().all(|one| one.carried == Carried::Copied));

    let (before, copied) = (files(from.as_ref()).await, files(to.as_ref()).await);
    assert_eq!(data(&before), data(&copied));
    assert_eq!(
        done.iter().map(|one| one.bytes).sum::<u64>(),
        data(&copied)
            .values()
            .map(|bytes| bytes.len() as u64)
            .sum::<u64>()
    );
    let registration = layout::registration(&tenant(1), 1);
    assert_eq!(before[&registration], copied[&registration]);
    assert_eq!(copied.len(), data(&copied).len() + 2, "and a data key");

    let expected = readable(from).await;
    assert_eq!(expected.len(), 3);
    assert_eq!(readable(to.clone()).await, expected);
    let alone = Vault::new(to.clone(), kek(1));
    assert_eq!(alone.tenant_ids().await.unwrap(), [tenant(1)]);
    assert_eq!(
        alone.tenant_record(&tenant(1)).await.unwrap(),
        vault.tenant_record(&tenant(1)).await.unwrap()
    );
    // Work goes on from there.
    let alone = alone.tenant(&tenant(1)).await.unwrap();
    let latest = alone.manifest(&id(2)).await.unwrap();
    following(&alone, 3, &latest).await;
}

#[tokio::test]
async fn a_copy_in_memory_is_a_vault_of_its_own() {
    is_a_vault_of_its_own(memory(), memory()).await;
}

#[tokio::test]
async fn a_copy_on_disk_is_a_vault_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let url = format!("file://{}/{name}", folder.path().display());
        store::open_store(&url, &|_| None).unwrap()
    };
    is_a_vault_of_its_own(open("store"), open("copy")).await;
}

/// Two stores of one cloud whose buckets have the same name: which is meant is
/// what the copy's own settings say.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_elsewhere_in_the_same_cloud_is_a_vault_of_its_own() {
    let here = GoogleStore::start(Keeps::Nothing).await;
    let there = GoogleStore::start(Keeps::Nothing).await;
    let mut settings = here.settings();
    let own = there.settings().into_iter();
    settings.extend(own.map(|(name, value)| (format!("REWIND_COPY_{name}"), value)));
    let setting = |name: &str| settings.get(name).cloned();
    let url = "gs://vault/backups";
    let from = store::open_store(url, &setting).unwrap();
    let (vault, _) = filled(from.clone()).await;
    let place = CopyPlace {
        store_url: url,
        url,
        keys_url: None,
        setting: &setting,
    };
    let copies = Copies::at(&vault, &place).unwrap();
    assert_eq!(copy(&vault, &copies).await.unwrap().len(), 3);
    let there = there.settings();
    let to = store::open_store(url, &|name| there.get(name).cloned()).unwrap();
    assert_eq!(
        data(&files(from.as_ref()).await),
        data(&files(to.as_ref()).await)
    );
    assert_eq!(readable(to).await, readable(from).await);
}

#[tokio::test]
async fn what_is_there_is_not_sent_again() {
    let (from, to) = (Arc::new(MeterStore::new(memory())), memory());
    let (vault, first) = filled(from.clone()).await;
    let copies = Copies::new(&vault, to.clone());
    copy(&vault, &copies).await.unwrap();
    let before = files(to.as_ref()).await;
    let runs: u64 = data(&before)
        .iter()
        .filter(|(path, _)| path.as_ref().contains("/runs/"))
        .map(|(_, bytes)| bytes.len() as u64)
        .sum();

    from.reset(None);
    let present = Copied {
        carried: Carried::Present,
        files: 0,
        bytes: 0,
    };
    assert_eq!(copy(&vault, &copies).await.unwrap(), [present; 3]);
    assert!(from.bytes() < runs, "{} of {runs}", from.bytes());
    assert_eq!(files(to.as_ref()).await, before);

    // Nor are the runs of one that goes on from what is there.
    let second = first.manifest(&id(2)).await.unwrap();
    following(&first, 3, &second).await;
    let done = copy(&vault, &copies).await.unwrap();
    assert_eq!((done[0].files, &done[1..]), (2, &[present; 3][..]));
}

#[tokio::test]
async fn a_file_that_the_copy_lost_is_sent_again() {
    let (from, to) = (memory(), memory());
    let (vault, first) = filled(from).await;
    let copies = Copies::new(&vault, to.clone());
    copy(&vault, &copies).await.unwrap();
    let before = files(to.as_ref()).await;
    // A run that day 1 shares with day 0.
    let run = first.manifest(&id(0)).await.unwrap().runs[0].hash;
    to.delete(&layout::run(&tenant(1), &run)).await.unwrap();
    let done = copy(&vault, &copies).await.unwrap();
    let sent: Vec<u64> = done.iter().map(|one| one.files).collect();
    assert_eq!(sent, [0, 1, 0]);
    assert_eq!(files(to.as_ref()).await, before);
}

#[tokio::test]
async fn copying_may_be_broken_off_anywhere() {
    let (vault, _) = filled(memory()).await;
    let whole = Arc::new(FaultStore::new(memory()));
    copy(&vault, &Copies::new(&vault, whole.clone()))
        .await
        .unwrap();
    let (puts, all) = (whole.puts(), readable(whole.clone()).await);
    assert_eq!((puts, all.len()), (10, 3));
    let mut seen = Vec::new();
    for changes in 0..puts {
        let to = Arc::new(FaultStore::new(memory()));
        let copies = Copies::new(&vault, to.clone());
        to.break_after(changes);
        let error = copy(&vault, &copies).await.unwrap_err();
        assert_eq!(in_copy(&error).kind(), ErrorKind::Unavailable, "{error}");
        let found = readable(to.clone()).await;
        for (id, content) in &found {
            assert_eq!(content, &all[id], "after {changes}");
        }
        seen.push(found.len());

        to.mend();
        let before = to.puts();
        copy(&vault, &copies).await.unwrap();
        assert_eq!(readable(to.clone()).await, all, "after {changes}");
        assert_eq!(to.puts() - before, puts - changes, "none is sent twice");
    }
    // Key, registration, the files of day 2, those of day 1, that of day 0.
    assert_eq!(seen, [0, 0, 0, 0, 0, 1, 1, 1, 1, 2]);
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_known_as_ones_own() {
    let (vault, _) = filled(memory()).await;
    let to = Arc::new(FaultStore::new(memory()));
    for nth in 1..=10 {
        to.on_put(nth, Fault::LoseAnswer);
    }
    let done = copy(&vault, &Copies::new(&vault, to.clone()))
        .await
        .unwrap();
    assert_eq!(done.iter().map(|one| one.files).sum::<u64>(), 8);
    assert_eq!(to.puts(), 10);
    assert_eq!(readable(to).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_may_copy_at_once() {
    let (from, to) = (memory(), memory());
    let (vault, _) = filled(from.clone()).await;
    let copiers = (0..4).map(|_| {
        let (vault, to) = (vault.clone(), to.clone());
        tokio::spawn(async move { copy(&vault, &Copies::new(&vault, to)).await })
    });
    for done in futures::future::join_all(copiers).await {
        let done = done.unwrap().unwrap();
        assert!(done.iter().all(|one| one.carried != Carried::LetGo));
    }
    assert_eq!(
        data(&files(from.as_ref()).await),
        data(&files(to.as_ref()).await)
    );
    assert_eq!(readable(to).await, readable(from).await);
}

#[tokio::test]
async fn a_damaged_file_is_not_copied_and_named_with_its_snapshots() {
    for missing in [false, true] {
        let (from, to) = (memory(), memory());
        let (vault, first) = filled(from.clone()).await;
        let run = first.manifest(&id(0)).await.unwrap().runs[0].hash;
        let path = layout::run(&tenant(1), &run);
        match missing {
            true => from.delete(&path).await.unwrap(),
            false => tamper(from.as_ref(), &path, |bytes| bytes[1_000] ^= 1).await,
        }
        let copies = Copies::new(&vault, to.clone());
        let mut copying = copies.begin(&vault, &tenant(1)).await.unwrap();
        let said = match missing {
            true => "it is missing",
            false => "its bytes are not those that were written",
        };
        for day in [1, 0] {
            let error = copying.snapshot(&id(day)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert_eq!(
                error.to_string(),
                format!(
                    "stored file {path} is damaged: {said}; it belongs to snapshots day-001, day-000"
                )
            );
        }
        // What does not need it is copied.
        copying.snapshot(&id(2)).await.unwrap();
        let found: Vec<_> = readable(to.clone()).await.into_keys().collect();
        assert_eq!(found, [id(2)]);
        assert!(to.head(&path).await.is_err(), "nothing lies at its name");
    }
}

#[tokio::test]
async fn a_damaged_manifest_is_not_copied() {
    let (from, to) = (memory(), memory());
    let (vault, _) = filled(from.clone()).await;
    let path = layout::manifest(&tenant(1), &id(2));
    tamper(from.as_ref(), &path, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    })
    .await;
    let copies = Copies::new(&vault, to.clone());
    let mut copying = copies.begin(&vault, &tenant(1)).await.unwrap();
    let error = copying.snapshot(&id(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(path.as_ref()), "{error}");
    assert!(data(&files(to.as_ref()).await).is_empty());
}

#[tokio::test]
async fn a_foreign_file_in_the_copy_is_left_and_told() {
    let (vault, first) = filled(memory()).await;
    let manifest = first.manifest(&id(2)).await.unwrap();
    let run = layout::run(&tenant(1), &manifest.runs[1].hash);
    for (path, before, said) in [
        (
            &run,
            true,
            "it is not as long as the file that was to be copied",
        ),
        (&run, false, "its content is not that of its name"),
        (
            &layout::manifest(&tenant(1), &id(2)),
            true,
            "another snapshot day-002",
        ),
        (
            &layout::manifest(&tenant(1), &id(2)),
            false,
            "another snapshot day-002",
        ),
    ] {
        let to = memory();
        let copies = Copies::new(&vault, to.clone());
        let foreign = async || to.put(path, "foreign".into()).await.unwrap();
        if before {
            foreign().await;
        }
        let mut copying = copies.begin(&vault, &tenant(1)).await.unwrap();
        if !before {
            foreign().await;
        }
        let error = copying.snapshot(&id(2)).await.unwrap_err();
        let error = in_copy(&error);
        assert!(error.to_string().contains(said), "{error}");
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Conflict),
            "{error}"
        );
        let found = to.get(path).await.unwrap().bytes().await.unwrap();
        assert_eq!(found, "foreign");
        let manifests = files(to.as_ref()).await.into_keys();
        let made = manifests.filter(|found| found.as_ref().ends_with("/manifest"));
        assert!(made.into_iter().all(|found| found == *path));
    }
}

#[tokio::test]
async fn another_installations_tenant_is_not_written_to() {
    let (vault, _) = filled(memory()).await;
    // Under another key file, and under the same one with another data key.
    for (wrap, said) in [(2, "another data key"), (1, "another data key")] {
        let to = memory();
        let stranger = Vault::new(to.clone(), kek(wrap));
        stranger.create_tenant(&record(&tenant(1))).await.unwrap();
        let before = files(to.as_ref()).await;
        let error = copy(&vault, &Copies::new(&vault, to.clone()))
            .await
            .unwrap_err();
        assert!(in_copy(&error).to_string().contains(said), "{error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(files(to.as_ref()).await, before);
    }
    let copies = Copies::new(&vault, memory());
    let unknown = copies.begin(&vault, &tenant(9)).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let mut copying = copies.begin(&vault, &tenant(2)).await.unwrap();
    let foreign = copying.snapshot(&id(2)).await.unwrap_err();
    assert_eq!(foreign.to_string(), "snapshot day-002 does not exist");
}

#[tokio::test]
async fn the_store_itself_is_no_place_for_copies() {
    let store = memory();
    let (vault, _) = filled(store.clone()).await;
    let before = files(store.as_ref()).await;
    let error = copy(&vault, &Copies::new(&vault, store.clone()))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::SameStore), "{error}");
    assert_eq!(files(store.as_ref()).await, before);

    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    std::fs::create_dir(&place).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&place, &link).unwrap();
    let url = |path: &std::path::Path| format!("file://{}", path.display());
    let (store_url, link_url) = (url(&place), url(&link));
    let opened_store = store::open_store(&store_url, &|_| None).unwrap();
    let (vault, _) = filled(opened_store).await;
    let at = |url: &str| {
        let place = CopyPlace {
            store_url: &store_url,
            url,
            keys_url: None,
            setting: &|_| None,
        };
        Copies::at(&vault, &place)
    };
    let error = at(&format!("{store_url}/")).unwrap_err();
    assert_eq!(
        (error.kind(), error.reason().0),
        (ErrorKind::Invalid, "NO_COPY_STORE")
    );
    let error = copy(&vault, &at(&link_url).unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::SameStore), "{error}");
    let error = at("ftp://elsewhere").unwrap_err();
    assert!(error.to_string().starts_with("in the copy: "), "{error}");
}

#[tokio::test]
async fn a_store_that_only_looks_the_same_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let url = format!("file://{}/{name}", folder.path().display());
        store::open_store(&url, &|_| None).unwrap()
    };
    let (from, to) = (open("store"), open("copy"));
    let (vault, _) = filled(from.clone()).await;
    let path = layout::registration(&tenant(1), 1);
    let place = |name: &str| folder.path().join(name).join(path.as_ref());
    std::fs::create_dir_all(place("copy").parent().unwrap()).unwrap();
    std::fs::hard_link(place("store"), place("copy")).unwrap();
    let heads = futures::future::try_join(from.head(&path), to.head(&path)).await;
    let (here, there) = heads.unwrap();
    assert_eq!(here, there);

    let copies = Copies::new(&vault, to.clone());
    assert_eq!(copy(&vault, &copies).await.unwrap().len(), 3);
    assert_eq!(readable(to.clone()).await, readable(from).await);
    let probes: Vec<_> = to.list(Some(&Path::from("probe"))).collect().await;
    assert_eq!(probes.len(), 0);
}

#[tokio::test]
async fn keys_and_registration_go_first_and_are_never_replaced() {
    let (data_store, keys) = (memory(), memory());
    let (to, to_keys) = (memory(), memory());
    let vault = Vault::new(data_store.clone(), kek(1)).with_key_store(keys.clone());
    vault.create_tenant(&record(&tenant(1))).await.unwrap();
    whole(&vault.tenant(&tenant(1)).await.unwrap(), 0).await;
    let copies = Copies::new(&vault, to.clone()).with_key_store(to_keys.clone());
    copy(&vault, &copies).await.unwrap();
    let first_key = files(to_keys.as_ref()).await;
    assert_eq!(first_key.len(), 1);

    vault.rotate_key(&tenant(1), "r1").await.unwrap();
    whole(&vault.tenant(&tenant(1)).await.unwrap(), 1).await;
    for name in ["Second", "Third"] {
        let mut read = vault.tenant_record(&tenant(1)).await.unwrap().unwrap();
        read.value.name = name.to_owned();
        vault.update_tenant(&read).await.unwrap();
    }
    copy(&vault, &copies).await.unwrap();
    let both = files(to_keys.as_ref()).await;
    assert_eq!(both.len(), 2);
    assert!(first_key.iter().all(|(path, bytes)| both[path] == *bytes));
    let alone = Vault::new(to.clone(), kek(1)).with_key_store(to_keys.clone());
    let found = alone.tenant_record(&tenant(1)).await.unwrap().unwrap();
    assert_eq!((found.version, found.value.name.as_str()), (3, "Third"));
    let opened = alone.tenant(&tenant(1)).await.unwrap();
    for day in [0, 1] {
        let manifest = opened.manifest(&id(day)).await.unwrap();
        assert_eq!(opened.read(&manifest).await.unwrap(), content(200 + day));
    }
    // The request that made the second number is known there, too.
    assert_eq!(alone.rotate_key(&tenant(1), "r1").await.unwrap(), 2);

    // What was changed in the copy stays.
    let mut ahead = found;
    ahead.value.name = "Fourth".to_owned();
    alone.update_tenant(&ahead).await.unwrap();
    copy(&vault, &copies).await.unwrap();
    let found = alone.tenant_record(&tenant(1)).await.unwrap().unwrap();
    assert_eq!((found.version, found.value.name.as_str()), (4, "Fourth"));

    // One that is damaged is not copied.
    let newer = layout::registration(&tenant(1), 5);
    data_store.put(&newer, "{}".into()).await.unwrap();
    let error = copy(&vault, &copies).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(to.head(&newer).await.is_err());
    data_store.delete(&newer).await.unwrap();

    // An erased tenant is not copied, and gets no key.
    vault.erase_keys(&tenant(1), moment(9)).await.unwrap();
    alone.erase_keys(&tenant(1), moment(9)).await.unwrap();
    let error = copy(&vault, &copies).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Key(KeyError::Erased)),
        "{error}"
    );
    let mark = layout::erasure(&tenant(1));
    assert!(files(to_keys.as_ref()).await.keys().eq([&mark]));
}

#[tokio::test]
async fn keys_of_a_copy_are_wrapped_with_the_present_key() {
    let (from, to) = (memory(), memory());
    let (old, _) = filled(from.clone()).await;
    copy(&old, &Copies::new(&old, to.clone())).await.unwrap();
    let present = Vault::new(from, kek(2)).with_old_wrap(kek(1));
    copy(&present, &Copies::new(&present, to.clone()))
        .await
        .unwrap();
    // Both open it: nothing is deleted in a copy.
    for wrap in [1, 2] {
        let alone = Vault::new(to.clone(), kek(wrap));
        let opened = alone.tenant(&tenant(1)).await.unwrap();
        assert_eq!(opened.manifests().await.unwrap().0.len(), 3);
    }
}

#[tokio::test]
async fn holds_go_along_and_what_retention_decides_does_not() {
    let (from, to) = (memory(), memory());
    let (vault, first) = opened(from).await;
    for day in 0..7 {
        whole(&first, day).await;
    }
    let copies = Copies::new(&vault, to.clone());
    first.hold(&id(3), "case 7", moment(9)).await.unwrap();
    let grace = TimeDelta::days(1);
    let prune = |vault: TenantVault, day: i64| async move {
        vault
            .prune(&Policy::default(), grace, moment(day * DAY + 3_600))
            .await
    };
    let marked = prune(first.clone(), 6).await.unwrap().marked;
    assert_eq!(marked, [id(0), id(1)]);
    copy(&vault, &copies).await.unwrap();
    let there = copies.vault().tenant(&tenant(1)).await.unwrap();
    let fate = async |day| there.manifest(&id(day)).await.unwrap().fate;
    let held = |seconds, reason: &str| Fate::Held {
        since: moment(seconds),
        reason: reason.to_owned(),
    };
    assert_eq!(fate(0).await, Fate::Kept);
    assert_eq!(fate(3).await, held(9, "case 7"));

    // Also to one that is there, and to lift one does not lift it in the copy.
    first.hold(&id(4), "case 8", moment(10)).await.unwrap();
    first.lift_hold(&id(3)).await.unwrap();
    copy(&vault, &copies).await.unwrap();
    assert_eq!(fate(4).await, held(10, "case 8"));
    assert_eq!(fate(3).await, held(9, "case 7"));

    // What is pruned here stays there.
    let removed = prune(first.clone(), 8).await.unwrap().removed;
    assert_eq!(removed, [id(0), id(1)]);
    copy(&vault, &copies).await.unwrap();
    assert_eq!(readable(to.clone()).await.len(), 7);

    // What is pruned there is not brought back.
    let narrow = Policy {
        recent: 4,
        ..Policy::default()
    };
    for day in [6, 8] {
        let at = moment(day * DAY + 3_600);
        there.prune(&narrow, grace, at).await.unwrap();
    }
    let left = readable(to.clone()).await;
    let days: Vec<_> = left.keys().cloned().collect();
    assert_eq!(days, [id(3), id(4), id(5), id(6)]);
    let done = copy(&vault, &copies).await.unwrap();
    let carried: Vec<Carried> = done.iter().map(|one| one.carried).collect();
    let there = Carried::Present;
    assert_eq!(carried, [there, there, there, there, Carried::LetGo]);
    assert_eq!(readable(to).await, left);
}

#[tokio::test]
async fn a_snapshot_that_is_pruned_meanwhile_is_told_as_such() {
    let to = Arc::new(FaultStore::new(memory()));
    let (vault, first) = opened(memory()).await;
    for day in 0..6 {
        whole(&first, day).await;
    }
    let manifest = first.manifest(&id(0)).await.unwrap();
    let copies = Copies::new(&vault, to.clone());
    let mut copying = copies.begin(&vault, &tenant(1)).await.unwrap();
    let gate = to.gate(&layout::run(&tenant(1), &manifest.runs[0].hash));
    let (carried, ()) = tokio::join!(copying.snapshot(manifest.id()), async {
        gate.reached().await;
        for day in [6, 8] {
            let at = moment(day * DAY);
            let grace = TimeDelta::days(1);
            first.prune(&Policy::default(), grace, at).await.unwrap();
        }
        gate.open();
    });
    let error = carried.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "snapshot day-000 (pruned while it was copied) does not exist"
    );
    assert_eq!(readable(to.clone()).await, BTreeMap::new());
    let error = copying.snapshot(manifest.id()).await.unwrap_err();
    assert_eq!(error.to_string(), "snapshot day-000 does not exist");
    // The others are copied all the same.
    assert_eq!(copy(&vault, &copies).await.unwrap().len(), 5);
    assert_eq!(readable(to).await.len(), 5);
}

#[tokio::test]
async fn files_are_handed_out_as_they_lie() {
    let store = memory();
    let (_, first) = filled(store.clone()).await;
    let manifest = first.manifest(&id(1)).await.unwrap();
    let files: HashMap<_, _> = files(store.as_ref()).await.into_iter().collect();
    for run in &manifest.runs {
        let raw = first.raw_run(&run.hash).await.unwrap().unwrap();
        assert_eq!(raw, files[&layout::run(&tenant(1), &run.hash)]);
    }
    let raw = first.raw_manifest(&id(1)).await.unwrap().unwrap();
    assert_eq!(raw, files[&layout::manifest(&tenant(1), &id(1))]);
    assert_eq!(first.raw_manifest(&id(9)).await.unwrap(), None);
    let nothing = first.raw_run(&blake3::hash(b"nothing")).await.unwrap();
    assert_eq!(nothing, None);
}
