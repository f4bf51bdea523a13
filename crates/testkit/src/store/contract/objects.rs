//! What the vault needs of an object store itself, below its own interface.

use std::sync::Arc;

use bytes::Bytes;
use futures::{TryStreamExt, future};
use store::object_store::path::Path;
use store::object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutResult, Result,
};

/// How many write one key at once, and how often.
const WRITERS: usize = 8;
const ROUNDS: usize = 10;
/// More than what any client sends or a server answers in one piece.
const LARGE: usize = 24 * 1024 * 1024 + 17;

/// Tries everything on an empty store.
///
/// # Panics
/// Where the store breaks the contract.
pub async fn check(store: &Arc<dyn ObjectStore>) {
    create(store.as_ref()).await;
    race(store).await;
    read_after_write(store.as_ref()).await;
    lists(store.as_ref()).await;
    ranges(store.as_ref()).await;
    delete(store.as_ref()).await;
    not_found(store.as_ref()).await;
    large(store.as_ref()).await;
}

async fn put_new(store: &dyn ObjectStore, path: &Path, content: Bytes) -> Result<PutResult> {
    let options = PutOptions::from(PutMode::Create);
    store.put_opts(path, content.into(), options).await
}

async fn read(store: &dyn ObjectStore, path: &Path) -> Result<Bytes> {
    store.get(path).await?.bytes().await
}

async fn create(store: &dyn ObjectStore) {
    for content in ["", "one"] {
        let path = Path::from(format!("create/{}.parquet.age", content.len()));
        let first = put_new(store, &path, content.into()).await;
        first.expect("a first create succeeds");
        let second = put_new(store, &path, "two".into()).await;
        let refused = matches!(
            second,
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. })
        );
        assert!(refused, "a second create of {path}: {second:?}");
        assert_eq!(read(store, &path).await.expect("it is read"), content);
        let same = put_new(store, &path, content.into()).await;
        assert!(same.is_err(), "not even the same content is created twice");
    }
}

/// Of several creates of one key at once exactly one succeeds, and the file is its.
async fn race(store: &Arc<dyn ObjectStore>) {
    for round in 0..ROUNDS {
        let path = Path::from(format!("race/{round}"));
        let writers = (0..WRITERS).map(|n| {
            let (store, path) = (Arc::clone(store), path.clone());
            tokio::spawn(async move {
                let content = Bytes::from(format!("round {round} writer {n}"));
                put_new(store.as_ref(), &path, content).await
            })
        });
        let outcomes: Vec<Result<PutResult>> = future::join_all(writers)
            .await
            .into_iter()
            .map(|outcome| outcome.expect("a writer does not panic"))
            .collect();
        let winners: Vec<usize> = (0..WRITERS).filter(|n| outcomes[*n].is_ok()).collect();
        let [winner] = winners[..] else {
            panic!("round {round}: {winners:?} of {outcomes:?}");
        };
        let lost = outcomes.iter().filter(|outcome| {
            matches!(
                outcome,
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. })
            )
        });
        assert_eq!(lost.count(), WRITERS - 1, "round {round}: {outcomes:?}");
        let found = read(store.as_ref(), &path).await.expect("it is read");
        assert_eq!(found, format!("round {round} writer {winner}"));
    }
}

/// Also who was told that there is nothing reads a file as soon as it is there.
async fn read_after_write(store: &dyn ObjectStore) {
    for n in 0..10 {
        let path = Path::from(format!("fresh/{n}"));
        let before = store.head(&path).await;
        assert!(matches!(before, Err(Error::NotFound { .. })), "{before:?}");
        let content = Bytes::from(vec![b'x'; n]);
        put_new(store, &path, content.clone())
            .await
            .expect("created");
        assert_eq!(read(store, &path).await.expect("it is read"), content);
        let size = store.head(&path).await.expect("it is told").size;
        assert_eq!(usize::try_from(size), Ok(n));
        let listed = list(store, "fresh").await;
        assert!(listed.contains(&path), "{path} in {listed:?}");
    }
}

async fn list(store: &dyn ObjectStore, folder: &str) -> Vec<Path> {
    let folder = Path::from(folder);
    let list = store.list(Some(&folder)).map_ok(|meta| meta.location);
    let mut paths: Vec<Path> = list.try_collect().await.expect("a folder is listed");
    paths.sort();
    paths
}

async fn lists(store: &dyn ObjectStore) {
    assert_eq!(list(store, "lists").await, []);
    // More than a page of the servers that are told to make short ones.
    let names: Vec<String> = (0..20)
        .map(|n| format!("lists/{n:02}"))
        .chain((0..5).flat_map(|n| [format!("lists/f{n}/1"), format!("lists/f{n}/g/2")]))
        .collect();
    let mut paths: Vec<Path> = names.iter().map(|name| Path::from(name.as_str())).collect();
    paths.sort();
    // What begins with the folder's name is not in the folder.
    for path in paths
        .iter()
        .chain([&Path::from("listsx/1"), &Path::from("lists.x")])
    {
        put_new(store, path, "x".into()).await.expect("created");
    }
    assert_eq!(list(store, "lists").await, paths);
    assert_eq!(list(store, "lists/f3").await.len(), 2);
    assert_eq!(list(store, "lists/f").await, []);
    assert_eq!(list(store, "lists/00").await, []);

    let folder = Path::from("lists");
    for offset in [
        "lists/04",
        "lists/045",
        "lists/19",
        "lists/f2",
        "lists/f4/g/2",
        "lists/z",
    ] {
        let offset = Path::from(offset);
        let list = store.list_with_offset(Some(&folder), &offset);
        let mut found: Vec<Path> = list
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .expect("a folder is listed from a name on");
        // A store may answer more than what comes after the name, never less.
        found.retain(|path| *path > offset);
        found.sort();
        let expected: Vec<Path> = paths
            .iter()
            .filter(|path| **path > offset)
            .cloned()
            .collect();
        assert_eq!(found, expected, "after {offset}");
    }

    let level = store.list_with_delimiter(Some(&folder)).await;
    let level = level.expect("one level is listed");
    let mut folders: Vec<String> = level
        .common_prefixes
        .iter()
        .map(ToString::to_string)
        .collect();
    folders.sort();
    let expected: Vec<String> = (0..5).map(|n| format!("lists/f{n}")).collect();
    assert_eq!(folders, expected);
    let mut files: Vec<String> = level
        .objects
        .iter()
        .map(|meta| meta.location.to_string())
        .collect();
    files.sort();
    assert_eq!(files, names[..20]);
    assert!(level.objects.iter().all(|meta| meta.size == 1));
}

async fn ranges(store: &dyn ObjectStore) {
    let path = Path::from("ranges/1");
    let content: Bytes = (0..=255).collect::<Vec<u8>>().into();
    put_new(store, &path, content.clone())
        .await
        .expect("created");
    for (from, to) in [(0, 1), (0, 256), (17, 203), (255, 256)] {
        let range = u64::try_from(from).expect("small")..u64::try_from(to).expect("small");
        let found = store
            .get_range(&path, range)
            .await
            .expect("a range is read");
        assert_eq!(found, content.slice(from..to), "{from}..{to}");
    }
    let several = store.get_ranges(&path, &[1..3, 100..104, 250..256]).await;
    let several = several.expect("several ranges are read");
    assert_eq!(
        several,
        [
            content.slice(1..3),
            content.slice(100..104),
            content.slice(250..256)
        ]
    );
    assert_eq!(store.head(&path).await.expect("it is told").size, 256);
}

async fn delete(store: &dyn ObjectStore) {
    let (path, other) = (Path::from("delete/1"), Path::from("delete/2"));
    for path in [&path, &other] {
        put_new(store, path, "x".into()).await.expect("created");
    }
    store.delete(&path).await.expect("a file is deleted");
    let gone = store.get(&path).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
    assert_eq!(list(store, "delete").await, [other]);
    // Some stores say so where there is nothing to delete; none fails otherwise.
    let again = store.delete(&path).await;
    assert!(
        matches!(again, Ok(()) | Err(Error::NotFound { .. })),
        "{again:?}"
    );
    put_new(store, &path, "y".into())
        .await
        .expect("a deleted file is created again");
    assert_eq!(read(store, &path).await.expect("it is read"), "y");
}

async fn not_found(store: &dyn ObjectStore) {
    let path = Path::from("nothing/here");
    let got = store.get(&path).await.map(drop);
    let told = store.head(&path).await.map(drop);
    let ranged = store.get_range(&path, 0..1).await.map(drop);
    for answer in [got, told, ranged] {
        assert!(matches!(answer, Err(Error::NotFound { .. })), "{answer:?}");
    }
    assert_eq!(list(store, "nothing").await, []);
}

async fn large(store: &dyn ObjectStore) {
    let path = Path::from("large/1");
    let mut content = vec![0; LARGE];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    let content = Bytes::from(content);
    put_new(store, &path, content.clone())
        .await
        .expect("a large file is created");
    let second = put_new(store, &path, content.slice(1..)).await;
    assert!(second.is_err(), "nor is a large file created twice");
    let found = read(store, &path).await.expect("a large file is read");
    assert!(found == content, "a large file is read as it was written");
    let end = u64::try_from(LARGE).expect("small");
    let tail = store
        .get_range(&path, end - 1000..end)
        .await
        .expect("its end is read");
    assert_eq!(tail, content.slice(LARGE - 1000..));
}
