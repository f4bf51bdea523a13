//! Whole files in the object store: created once, read, listed, deleted.
//!
//! It must never overwrite a file but in a repair, and never report a write as
//! failed that landed.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use crate::error::StoreError;

/// Who made the file that is now at the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// This call did.
    Ours,
    /// Another writer did; nothing was changed.
    Theirs,
}

/// How long the first pause is where a store refuses a create although there is
/// no file yet; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(50);
/// How often such a create is repeated.
const REPEATS: u32 = 6;

/// Creates a file unless there is one.
///
/// After any error the file is read back, since a put whose answer was lost may
/// have landed, and a client that repeats it sees its own file in the way.
/// `bytes` must hold something that no other writer writes. A store may refuse
/// while somebody else's put is under way that nobody can read yet; the put is
/// then repeated a few times. It always goes out as one request, since no store
/// creates a file of several parts under a condition that this client can set.
///
/// # Errors
/// `Unavailable` where it is unknown whether the file was created.
pub(crate) async fn create(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: Bytes,
) -> Result<Created, StoreError> {
    let mut repeats = 0;
    loop {
        let options = PutOptions::from(PutMode::Create);
        let put = store.put_opts(path, bytes.clone().into(), options).await;
        let Err(error) = put else {
            return Ok(Created::Ours);
        };
        match read(store, path).await {
            Ok(Some(found)) if found == bytes => return Ok(Created::Ours),
            Ok(Some(_)) => return Ok(Created::Theirs),
            Ok(None) if is_taken(&error) && repeats < REPEATS => {
                tokio::time::sleep(PAUSE * 2_u32.pow(repeats)).await;
                repeats += 1;
            }
            Ok(None) | Err(_) => return Err(StoreError::unavailable(path.as_ref(), error)),
        }
    }
}

/// Puts a file in the place of a damaged or missing one, and reads it back.
///
/// For repairs only, of what the vault itself had written there.
///
/// # Errors
/// `Unavailable` where that is not what can be read there afterwards.
pub(crate) async fn put_back(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: Bytes,
) -> Result<(), StoreError> {
    let put = store.put(path, bytes.clone().into()).await;
    let found = read(store, path).await?;
    if found.is_some_and(|found| found == bytes) {
        return Ok(());
    }
    let error = put.err().unwrap_or_else(|| object_store::Error::Generic {
        store: "vault",
        source: "another file is read there than was written".into(),
    });
    Err(StoreError::unavailable(path.as_ref(), error))
}

/// Whether a store refused a create because of another file or put.
pub(crate) fn is_taken(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }
    )
}

/// Reads a file; `None` where there is none. An answer that ends early is none: taken
/// for the file, it would look like damage, or like another writer's.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn read(
    store: &dyn ObjectStore,
    path: &Path,
) -> Result<Option<Bytes>, StoreError> {
    let answer = async {
        let found = store.get(path).await?;
        let expected = found.range.end - found.range.start;
        let bytes = found.bytes().await?;
        match bytes.len() as u64 == expected {
            true => Ok(bytes),
            false => Err(cut_short(path)),
        }
    };
    match answer.await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(StoreError::unavailable(path.as_ref(), error)),
    }
}

/// The error of an answer that ended early.
pub(crate) fn cut_short(path: &Path) -> object_store::Error {
    object_store::Error::Generic {
        store: "vault",
        source: format!("the answer about {path} ended early").into(),
    }
}

/// Whether there is a file.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn exists(store: &dyn ObjectStore, path: &Path) -> Result<bool, StoreError> {
    match store.head(path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(StoreError::unavailable(path.as_ref(), error)),
    }
}

/// Deletes a file; one that is gone already is as good.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn delete(store: &dyn ObjectStore, path: &Path) -> Result<(), StoreError> {
    match store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(StoreError::unavailable(path.as_ref(), error)),
    }
}

/// All files below a folder, sorted.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn list(store: &dyn ObjectStore, folder: &Path) -> Result<Vec<Path>, StoreError> {
    let metas = metas(store, folder).await?;
    Ok(metas.into_iter().map(|meta| meta.location).collect())
}

/// The same with their sizes.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn metas(
    store: &dyn ObjectStore,
    folder: &Path,
) -> Result<Vec<ObjectMeta>, StoreError> {
    let metas = store.list(Some(folder)).try_collect().await;
    let mut metas: Vec<ObjectMeta> =
        metas.map_err(|error| StoreError::unavailable(folder.as_ref(), error))?;
    metas.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(metas)
}

/// The files of a folder whose names come after a path, sorted.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn list_from(
    store: &dyn ObjectStore,
    folder: &Path,
    after: &Path,
) -> Result<Vec<Path>, StoreError> {
    let metas = metas_from(store, folder, after).await?;
    Ok(metas.into_iter().map(|meta| meta.location).collect())
}

/// The same with when each was written.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn metas_from(
    store: &dyn ObjectStore,
    folder: &Path,
    after: &Path,
) -> Result<Vec<ObjectMeta>, StoreError> {
    let mut metas: Vec<ObjectMeta> = store
        .list_with_offset(Some(folder), after)
        .try_collect()
        .await
        .map_err(|error| StoreError::unavailable(folder.as_ref(), error))?;
    // Azurite, for one, lists from the beginning.
    metas.retain(|meta| meta.location > *after);
    metas.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(metas)
}

/// The names of the folders in a folder, sorted.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn folders(
    store: &dyn ObjectStore,
    folder: &Path,
) -> Result<Vec<String>, StoreError> {
    let listing = store
        .list_with_delimiter(Some(folder))
        .await
        .map_err(|error| StoreError::unavailable(folder.as_ref(), error))?;
    let mut names: Vec<String> = listing
        .common_prefixes
        .iter()
        .filter_map(|prefix| prefix.filename().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}
