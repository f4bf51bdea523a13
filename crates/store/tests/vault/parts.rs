//! Parts of a snapshot: read without the rest, and trusted only where they are
//! what was written.

use std::io::Write;
use std::sync::Arc;

use model::snapshot::{Change, Content};
use model::{ErrorKind, Object, ObjectId, ObjectState, ObjectType, SnapshotId};
use store::object_store::path::Path;
use store::run::{ObjectRow, encode};
use store::{Draft, IdRange, Manifest, RunFile, RunKind, StoreError, Taken, TenantVault, layout};
use testkit::store::{MeterStore, content, meta, tamper, tenant};

use crate::{kek, memory, opened};

/// As many users as make a run of several row groups.
const MANY: usize = 60_000;

fn id(n: usize) -> ObjectId {
    ObjectId::parse(&format!("00000001-0000-4000-8000-{n:012x}")).unwrap()
}

/// Users whose JSON does not compress to nothing.
fn users(count: usize) -> Content {
    let user = |n: usize| {
        let noise = blake3::hash(&n.to_le_bytes()).to_hex();
        let more = blake3::hash(noise.as_bytes()).to_hex();
        let json = format!(
            r#"{{"id":"{}","displayName":"User {n}","userPrincipalName":"User.{n}@contoso.example","onPremisesImmutableId":"{noise}{more}"}}"#,
            id(n)
        );
        Object::from_json(ObjectType::User, ObjectState::Live, &json).unwrap()
    };
    Content {
        objects: (0..count).map(user).collect(),
        ..Content::default()
    }
}

struct Stored {
    store: Arc<MeterStore>,
    vault: TenantVault,
    manifest: Manifest,
    content: Content,
}

impl Stored {
    async fn new(content: Content) -> Self {
        let store = Arc::new(MeterStore::new(memory()));
        let (_, vault) = opened(store.clone()).await;
        let meta = meta("20261120-daily", "a", 0);
        let manifest = vault.commit_content(&meta, &content).await.unwrap();
        Self {
            store,
            vault,
            manifest,
            content,
        }
    }

    fn file(&self) -> &RunFile {
        let mut files = self.manifest.runs.iter();
        files.find(|file| file.kind == RunKind::Objects).unwrap()
    }

    fn path(&self) -> Path {
        layout::run(&tenant(1), &self.file().hash)
    }

    async fn user(&self, n: usize) -> Result<Option<Object>, StoreError> {
        let id = id(n);
        let user = self.vault.object(&self.manifest, ObjectType::User, &id);
        user.await
    }

    async fn bytes(&self) -> Vec<u8> {
        let mut found = Vec::new();
        tamper(self.store.as_ref(), &self.path(), |bytes| {
            found.clone_from(bytes);
        })
        .await;
        found
    }

    async fn put(&self, file: Vec<u8>) {
        tamper(self.store.as_ref(), &self.path(), |bytes| *bytes = file).await;
    }

    #[track_caller]
    fn assert_corrupt<T: std::fmt::Debug>(&self, outcome: Result<T, StoreError>, what: &str) {
        let error = outcome.expect_err(what);
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {text}");
        assert!(
            text.contains(self.path().as_ref()) && text.contains("objects"),
            "{what}: {text}"
        );
    }
}

#[tokio::test]
async fn one_object_of_many_takes_few_bytes() {
    let stored = Stored::new(users(MANY)).await;
    let size = stored.file().bytes;
    assert!(size > 4 * 1024 * 1024, "the run is large: {size}");
    for n in [0, 1, 1_023, 1_024, 9_999, 10_000, MANY / 2 + 7, MANY - 1] {
        stored.store.reset(None);
        let found = stored.user(n).await.unwrap();
        assert_eq!(found.as_ref(), Some(&stored.content.objects[n]), "{n}");
        let (bytes, reads) = (stored.store.bytes(), stored.store.reads());
        assert!(
            bytes <= 1024 * 1024 && reads <= 4,
            "object {n} took {bytes} bytes in {reads} reads"
        );
    }
    stored.store.reset(None);
    assert_eq!(stored.user(MANY).await.unwrap(), None);
    assert!(
        stored.store.reads() == 1,
        "that it is not there is told by the end of the file"
    );
}

#[tokio::test]
async fn a_part_takes_its_part_of_the_bytes() {
    let stored = Stored::new(users(MANY)).await;
    let (vault, manifest) = (&stored.vault, &stored.manifest);
    let size = stored.file().bytes;

    stored.store.reset(None);
    let keys = vault.keys(manifest).await.unwrap();
    assert_eq!(keys.len(), MANY);
    assert!(stored.store.bytes() < size / 2, "keys without JSON");

    stored.store.reset(None);
    let range = IdRange {
        from: Some(id(100)),
        to: Some(id(199)),
    };
    let found = vault.objects_of(manifest, ObjectType::User, range).await;
    assert_eq!(found.unwrap(), stored.content.objects[100..200]);
    assert!(stored.store.bytes() < size / 2, "one row group of six");

    stored.store.reset(None);
    let all = IdRange::default();
    let groups = vault.objects_of(manifest, ObjectType::Group, all).await;
    assert_eq!(groups.unwrap(), []);
    assert!(stored.store.bytes() < size / 10, "no group is there");

    stored.store.reset(None);
    let ids = [3, 5, 7, 20_000, MANY + 1].map(id);
    let found = vault.objects(manifest, ObjectType::User, &ids).await;
    let expected = [3, 5, 7, 20_000].map(|n| stored.content.objects[n].clone());
    assert_eq!(found.unwrap(), expected);
    assert!(stored.store.bytes() < size / 2, "pages of two row groups");

    let of_any_type = vault.objects_with_id(manifest, &id(5)).await.unwrap();
    assert_eq!(of_any_type, [stored.content.objects[5].clone()]);
}

#[tokio::test]
async fn the_newest_run_wins_and_what_is_gone_is_not_there() {
    let stored = Stored::new(content(30)).await;
    let vault = &stored.vault;
    let renamed = {
        let json = format!(r#"{{"id":"{}","displayName":"Renamed"}}"#, id(3));
        Object::from_json(ObjectType::User, ObjectState::Live, &json).unwrap()
    };
    let draft = Draft::default();
    draft.apply(Change::Put(renamed.clone()));
    draft.apply(Change::Gone(ObjectType::User, id(4)));
    let mut next = meta("20261121-daily", "b", 100);
    next.id = SnapshotId::parse("20261121-daily").unwrap();
    let second = vault
        .commit(
            &next,
            draft,
            Taken::default(),
            Some(&stored.manifest),
            &|| next.finished,
        )
        .await
        .unwrap();
    let objects = |n| second.runs.iter().filter(move |file| file.kind == n);
    assert_eq!(objects(RunKind::Objects).count(), 2, "a base and a change");

    let user = async |n| {
        let found = vault.object(&second, ObjectType::User, &id(n)).await;
        found.unwrap()
    };
    assert_eq!(user(3).await, Some(renamed));
    assert_eq!(user(4).await, None);
    assert_eq!(
        user(5).await.as_ref(),
        stored
            .content
            .objects
            .iter()
            .find(|object| object.id == id(5))
    );
    assert!(
        stored.user(4).await.unwrap().is_some(),
        "the first has it still"
    );
}

#[tokio::test]
async fn a_manifest_without_heads_is_read_whole() {
    let mut stored = Stored::new(content(30)).await;
    for file in &mut stored.manifest.runs {
        assert!(file.head.take().is_some());
    }
    let expected = stored
        .content
        .objects
        .iter()
        .find(|object| object.id == id(7));
    assert_eq!(stored.user(7).await.unwrap().as_ref(), expected);
    let length = stored.bytes().await.len();
    let path = stored.path();
    tamper(stored.store.as_ref(), &path, |bytes| bytes[length / 2] ^= 1).await;
    stored.assert_corrupt(stored.user(7).await, "a flipped byte");
}

#[tokio::test]
async fn every_flipped_byte_of_a_head_is_noticed() {
    let stored = Stored::new(content(30)).await;
    let head = usize::try_from(stored.file().head.unwrap().bytes).unwrap();
    let path = stored.path();
    for at in 0..head {
        tamper(stored.store.as_ref(), &path, |bytes| bytes[at] ^= 1).await;
        stored.assert_corrupt(stored.user(7).await, &format!("byte {at}"));
        tamper(stored.store.as_ref(), &path, |bytes| bytes[at] ^= 1).await;
    }
    assert!(stored.user(7).await.unwrap().is_some());
}

#[tokio::test]
async fn damage_is_noticed_by_whoever_reads_it_and_by_nobody_else() {
    let stored = Stored::new(users(MANY)).await;
    let head = stored.file().head.unwrap().bytes;
    let chunk = |number: u64| usize::try_from(head + number * (64 * 1024 + 16)).unwrap();
    let path = stored.path();
    // The JSON of the first row group begins behind its other columns.
    let damaged = (4..12).map(chunk);
    for at in damaged.clone() {
        tamper(stored.store.as_ref(), &path, |bytes| bytes[at + 100] ^= 1).await;
    }
    let mut noticed = 0;
    for n in (0..MANY).step_by(500) {
        match stored.user(n).await {
            Ok(found) => assert_eq!(found.as_ref(), Some(&stored.content.objects[n]), "{n}"),
            Err(error) => {
                noticed += 1;
                stored.assert_corrupt::<()>(Err(error), &format!("object {n}"));
                assert!(n < 10_000, "object {n} lies in another row group");
            }
        }
    }
    assert!(noticed > 0, "some object lies in a damaged chunk");
    stored.assert_corrupt(
        stored.vault.read_objects(&stored.manifest).await,
        "the whole",
    );
}

#[tokio::test]
async fn a_file_of_another_size_or_none_is_noticed() {
    let stored = Stored::new(users(3_000)).await;
    let whole = stored.bytes().await;
    for length in [whole.len() - 1, whole.len() / 2, 100, 0] {
        stored.put(whole[..length].to_vec()).await;
        stored.assert_corrupt(stored.user(7).await, &format!("{length} bytes"));
    }
    store::object_store::ObjectStoreExt::delete(stored.store.as_ref(), &stored.path())
        .await
        .unwrap();
    let error = stored.user(7).await.unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
    stored.assert_corrupt::<()>(Err(error), "none");
}

#[tokio::test]
async fn another_run_of_the_same_tenant_is_noticed() {
    let stored = Stored::new(users(3_000)).await;
    let next = meta("20261121-daily", "b", 100);
    // The same content: nothing but the keys and the nonces differ.
    let other = stored
        .vault
        .commit_content(&next, &stored.content)
        .await
        .unwrap();
    let other = layout::run(&tenant(1), &other.runs[0].hash);
    let mut foreign = Vec::new();
    tamper(stored.store.as_ref(), &other, |bytes| {
        foreign.clone_from(bytes);
    })
    .await;
    let mine = stored.bytes().await;
    assert_ne!(mine, foreign);
    foreign.resize(mine.len(), 0);
    stored.put(foreign).await;
    stored.assert_corrupt(stored.user(7).await, "a swapped run");
}

/// A file that whoever has the public key can make.
async fn forged(stored: &Stored, plain: &[u8]) -> Vec<u8> {
    let path = layout::data_key(&tenant(1), 1, kek(1).id());
    let mut text = Vec::new();
    tamper(stored.store.as_ref(), &path, |bytes| text.clone_from(bytes)).await;
    let file: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let recipient: age::x25519::Recipient = file["recipient"].as_str().unwrap().parse().unwrap();
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

#[tokio::test]
async fn a_forgery_by_the_public_key_is_noticed() {
    let stored = Stored::new(users(3_000)).await;
    let honest = stored.bytes().await;
    let head = usize::try_from(stored.file().head.unwrap().bytes).unwrap();
    let spoilt = stored.content.objects.iter().cloned().map(|mut object| {
        object.json = object.json.replace("User ", "Evil ").into();
        ObjectRow::from(object)
    });
    let plain = encode(spoilt).unwrap();
    let forged = forged(&stored, &plain).await;
    assert_ne!(forged.len(), 0);
    let sized = |mut file: Vec<u8>| {
        file.resize(honest.len(), 0);
        file
    };
    // A file of its own; the true head before its own payload; true chunks in
    // another order.
    let own_head = forged.len() - (plain.len() + 16 * plain.len().div_ceil(64 * 1024));
    let under_true_head = [&honest[..head], &forged[own_head..]].concat();
    let mut reordered = honest.clone();
    let (first, second) = reordered[head..].split_at_mut(64 * 1024 + 16);
    first.swap_with_slice(&mut second[..64 * 1024 + 16]);
    assert!(honest.len() > head + 2 * (64 * 1024 + 16));
    for (what, file) in [
        ("its own file", sized(forged.clone())),
        ("a true head", sized(under_true_head)),
        ("another order", reordered),
    ] {
        stored.put(file).await;
        let all = IdRange::default();
        let read = stored
            .vault
            .objects_of(&stored.manifest, ObjectType::User, all);
        stored.assert_corrupt(read.await, what);
        if let Ok(found) = stored.user(7).await {
            assert_eq!(found.as_ref(), Some(&stored.content.objects[7]), "{what}");
        }
    }
    stored.put(honest).await;
    assert!(stored.user(7).await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_damage() {
    let stored = Stored::new(users(MANY)).await;
    stored.store.reset(None);
    stored.user(12_345).await.unwrap();
    for answered in 0..stored.store.reads() {
        stored.store.reset(Some(answered));
        let error = stored.user(12_345).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{answered}: {error}");
    }
    stored.store.reset(Some(3));
    let keys = stored.vault.keys(&stored.manifest).await.unwrap_err();
    assert_eq!(keys.kind(), ErrorKind::Unavailable, "{keys}");
}
