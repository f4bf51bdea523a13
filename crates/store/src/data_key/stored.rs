//! Data keys as they are stored, each number under the key-encryption keys that
//! wrap it.
//!
//! Wraps are deleted: an old one once the new one has been read back and opened,
//! and all of them when a tenant is erased. What an erasure leaves is a mark, and
//! nothing opens or wraps a key beside it.

mod adopt;

use std::collections::BTreeMap;
use std::sync::Arc;

use age::secrecy::{ExposeSecret, SecretSlice};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use model::TenantId;
use object_store::ObjectStore;
use object_store::path::Path;

use super::{DataKey, Numbered};
use crate::error::{KeyError, StoreError};
use crate::file::{self, Created};
use crate::format::v1;
use crate::keys::{KeyWrap, Wraps};
use crate::layout;

pub use adopt::{AfterErasure, Imported};
pub(crate) use adopt::{adopt, check_against};

/// What a re-wrapping did for one tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Wraps that were written.
    pub written: u32,
    /// Wraps of other key-encryption keys that were deleted.
    pub deleted: u32,
}

/// What a wrapped key is bound to, so that it opens nothing elsewhere.
fn context(tenant: &TenantId, number: u32) -> Vec<u8> {
    format!("rewind data key v1\0{tenant}\0{number}").into_bytes()
}

/// What lies in the folder of a tenant's data key.
#[derive(Debug, Default)]
struct Listed {
    /// The ids of the wraps of each number.
    numbers: BTreeMap<u32, Vec<String>>,
    /// Whether the tenant was erased.
    erased: bool,
}

impl Listed {
    async fn of(store: &dyn ObjectStore, tenant: &TenantId) -> Result<Self, StoreError> {
        let mut listed = Self::default();
        for path in file::list(store, &layout::data_keys(tenant)).await? {
            if path == layout::erasure(tenant) {
                listed.erased = true;
            } else if let Some((number, wrap)) = layout::data_key_of(tenant, &path) {
                listed.numbers.entry(number).or_default().push(wrap);
            }
        }
        Ok(listed)
    }

    /// The numbers, of which there is one at least.
    fn numbers(self) -> Result<BTreeMap<u32, Vec<String>>, KeyError> {
        match self {
            Self { erased: true, .. } => Err(KeyError::Erased),
            Self { numbers, .. } if numbers.is_empty() => Err(KeyError::Absent),
            Self { numbers, .. } => Ok(numbers),
        }
    }
}

/// The numbers that a tenant's data key has, sorted.
///
/// # Errors
/// `Key` where there is none; `Unavailable`.
pub(crate) async fn numbers(
    store: &dyn ObjectStore,
    tenant: &TenantId,
) -> Result<Vec<u32>, StoreError> {
    let numbers = Listed::of(store, tenant).await?.numbers()?;
    Ok(numbers.into_keys().collect())
}

/// The public half of each number of a tenant's data key, sorted.
///
/// # Errors
/// `Key` where there is none; `Corrupt`; `Unavailable`.
pub(crate) async fn recipients(
    store: &dyn ObjectStore,
    tenant: &TenantId,
) -> Result<Vec<(u32, String)>, StoreError> {
    let mut found = Vec::new();
    for (number, stored) in Listed::of(store, tenant).await?.numbers()? {
        let wrap = stored.first().ok_or(KeyError::Absent)?;
        let file = read_file(store, &layout::data_key(tenant, number, wrap)).await?;
        found.push((number, file.recipient));
    }
    Ok(found)
}

/// Stores a new data key, or opens the one that an earlier, interrupted
/// registration left.
///
/// # Errors
/// `Key` where there is a key that no wrap opens; `Unavailable`.
pub(crate) async fn create(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    tenant: &TenantId,
) -> Result<DataKey, StoreError> {
    match open(store, wraps, tenant).await {
        Err(StoreError::Key(KeyError::Absent)) => {}
        other => return other,
    }
    let key = Numbered::generate(1);
    match write(store, wraps.current(), tenant, &key, None).await? {
        Created::Ours => Ok(DataKey {
            tenant: tenant.clone(),
            keys: vec![key],
        }),
        Created::Theirs => open(store, wraps, tenant).await,
    }
}

/// Opens a tenant's data key, every number of it.
///
/// # Errors
/// `Key` where there is none or no wrap opens a number; `Corrupt` where a file
/// is damaged; `Unavailable`.
pub(crate) async fn open(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    tenant: &TenantId,
) -> Result<DataKey, StoreError> {
    let mut keys = Vec::new();
    for (number, stored) in Listed::of(store, tenant).await?.numbers()? {
        keys.push(open_number(store, wraps, tenant, number, &stored).await?);
    }
    Ok(DataKey {
        tenant: tenant.clone(),
        keys,
    })
}

/// Opens one number with the first wrap that does.
async fn open_number(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    tenant: &TenantId,
    number: u32,
    stored: &[String],
) -> Result<Numbered, StoreError> {
    let mut failed = None;
    for wrap in wraps.all() {
        if !stored.iter().any(|id| id == wrap.id()) {
            continue;
        }
        match read(store, wrap, tenant, number).await {
            Err(error @ (StoreError::Key(_) | StoreError::Corrupt { .. })) => {
                failed.get_or_insert(error);
            }
            other => return other,
        }
    }
    Err(failed.unwrap_or_else(|| KeyError::Refused.into()))
}

/// Reads one number under one wrap and opens it.
async fn read(
    store: &dyn ObjectStore,
    wrap: &Arc<dyn KeyWrap>,
    tenant: &TenantId,
    number: u32,
) -> Result<Numbered, StoreError> {
    let path = layout::data_key(tenant, number, wrap.id());
    let stored = read_file(store, &path).await?;
    let damaged = |detail: &str| {
        StoreError::corrupt(
            path.as_ref(),
            format!("{detail}; the tenant's data cannot be opened"),
        )
    };
    let wrapped = stored
        .wrapped()
        .ok_or_else(|| damaged("the wrapped key is not base64"))?;
    let secret = wrap.unwrap(&wrapped, &context(tenant, number)).await?;
    let identity = std::str::from_utf8(secret.expose_secret())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged("the wrapped key is no age identity"))?;
    let key = Numbered::new(number, identity);
    if key.recipient().to_string() != stored.recipient {
        return Err(damaged(
            "the wrapped key does not belong to the public key beside it",
        ));
    }
    Ok(key)
}

async fn read_file(store: &dyn ObjectStore, path: &Path) -> Result<v1::DataKeyFile, StoreError> {
    let bytes = file::read(store, path).await?.ok_or_else(|| {
        // It was listed a moment ago: somebody re-wraps the key.
        let gone = object_store::Error::NotFound {
            path: path.to_string(),
            source: "it was deleted meanwhile".into(),
        };
        StoreError::unavailable(path.as_ref(), gone)
    })?;
    v1::from_json(path.as_ref(), &bytes)
}

/// Writes one number under one wrap.
///
/// An erasure marks first and deletes then, so a wrap that came too late for that
/// finds the mark here.
async fn write(
    store: &dyn ObjectStore,
    wrap: &Arc<dyn KeyWrap>,
    tenant: &TenantId,
    key: &Numbered,
    request: Option<String>,
) -> Result<Created, StoreError> {
    let secret = SecretSlice::from(key.secret().expose_secret().as_bytes().to_vec());
    let wrapped = wrap.wrap(&secret, &context(tenant, key.number)).await?;
    let recipient = key.recipient().to_string();
    let stored = v1::DataKeyFile::new(key.number, wrap.id(), &wrapped, recipient, request);
    let path = layout::data_key(tenant, key.number, wrap.id());
    let created = file::create(store, &path, Bytes::from(v1::to_json(&stored)?)).await?;
    if file::exists(store, &layout::erasure(tenant)).await? {
        file::delete(store, &path).await?;
        return Err(KeyError::Erased.into());
    }
    Ok(created)
}

/// Leaves each number under the current key-encryption key alone.
///
/// The new wrap is written, read back and opened before another is deleted, so
/// that it may be cut short anywhere and simply be repeated.
///
/// # Errors
/// `Key` where there is no data key or no wrap opens a number; `Corrupt` where a
/// wrap holds another key than the one beside it, which then stays;
/// `Unavailable`.
pub(crate) async fn rewrap(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    tenant: &TenantId,
) -> Result<Rewrapped, StoreError> {
    let numbers = Listed::of(store, tenant).await?.numbers()?;
    let mut done = Rewrapped::default();
    for (number, mut stored) in numbers {
        let current = wraps.current();
        let key = open_number(store, wraps, tenant, number, &stored).await?;
        let place = layout::data_key(tenant, number, current.id());
        if stored.iter().any(|id| id == current.id()) {
            match read(store, current, tenant, number).await {
                // A wrap that was written badly must not stay in the way; of one
                // whose holder does not answer nobody knows.
                Err(StoreError::Key(KeyError::Refused) | StoreError::Corrupt { .. }) => {
                    file::delete(store, &place).await?;
                }
                other => {
                    other?;
                }
            }
        }
        stored.retain(|id| id != current.id());
        if !file::exists(store, &place).await? {
            let request = read_request(store, tenant, number, &stored).await?;
            write(store, current, tenant, &key, request).await?;
            done.written += 1;
        }
        let recipient = key.recipient().to_string();
        let standing = read(store, current, tenant, number).await?;
        same(&place, &standing.recipient().to_string(), &recipient)?;
        for other in stored {
            let path = layout::data_key(tenant, number, &other);
            same(&path, &read_file(store, &path).await?.recipient, &recipient)?;
            file::delete(store, &path).await?;
            done.deleted += 1;
        }
    }
    Ok(done)
}

fn same(path: &Path, found: &str, expected: &str) -> Result<(), StoreError> {
    if found == expected {
        return Ok(());
    }
    Err(StoreError::corrupt(
        path.as_ref(),
        "it holds another data key than the file beside it",
    ))
}

/// Adds a number to a tenant's data key, which seals from then on. The same
/// request adds one only.
///
/// # Errors
/// `Key` where there is no data key or no wrap opens it; `Changed` where another
/// added the number first; `Unavailable`.
pub(crate) async fn rotate(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    tenant: &TenantId,
    request_id: &str,
) -> Result<u32, StoreError> {
    let request = blake3::hash(request_id.as_bytes()).to_hex().to_string();
    let numbers = Listed::of(store, tenant).await?.numbers()?;
    let (newest, stored) = numbers.last_key_value().ok_or(KeyError::Absent)?;
    open_number(store, wraps, tenant, *newest, stored).await?;
    if read_request(store, tenant, *newest, stored).await?.as_ref() == Some(&request) {
        return Ok(*newest);
    }
    let key = Numbered::generate(newest + 1);
    let current = wraps.current();
    let place = layout::data_key(tenant, key.number, current.id());
    let created = write(store, current, tenant, &key, Some(request.clone())).await?;
    if created == Created::Theirs && read_file(store, &place).await?.request != Some(request) {
        return Err(StoreError::Changed {
            what: format!("the data key of tenant {tenant}"),
        });
    }
    match read(store, current, tenant, key.number).await {
        // A number that nobody can open would shut the tenant out; one that cannot
        // be opened just now may have sealed something already.
        Err(error @ (StoreError::Key(KeyError::Refused) | StoreError::Corrupt { .. })) => {
            file::delete(store, &place).await?;
            Err(error)
        }
        outcome => outcome.map(|key| key.number),
    }
}

/// The request that a number was made for, under any of its wraps.
async fn read_request(
    store: &dyn ObjectStore,
    tenant: &TenantId,
    number: u32,
    stored: &[String],
) -> Result<Option<String>, StoreError> {
    for id in stored {
        let path = layout::data_key(tenant, number, id);
        match read_file(store, &path).await {
            Ok(file) => return Ok(file.request),
            Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Deletes a tenant's data key in every number and under every wrap, and leaves a
/// mark. The number of wraps that were deleted.
///
/// The mark comes first, so that the erasure holds from its first write on.
///
/// # Errors
/// `Unavailable` or `Changed`, after which it is to be repeated.
pub(crate) async fn erase(
    store: &dyn ObjectStore,
    tenant: &TenantId,
    now: DateTime<Utc>,
) -> Result<u32, StoreError> {
    let mark = layout::erasure(tenant);
    let content = v1::to_json(&v1::Erasure::new(now))?;
    file::create(store, &mark, Bytes::from(content)).await?;
    let folder = layout::data_keys(tenant);
    let mut deleted = 0;
    for path in file::list(store, &folder).await? {
        if path != mark {
            file::delete(store, &path).await?;
            deleted += 1;
        }
    }
    let left = file::list(store, &folder).await?;
    match left.into_iter().find(|path| *path != mark) {
        None => Ok(deleted),
        Some(path) => Err(StoreError::Changed {
            what: format!("the data key {path}"),
        }),
    }
}

/// Puts a tenant's data key into another store too, each number under the current
/// key-encryption key; what is there stays. How many wraps were written.
///
/// # Errors
/// `Key` where there is no data key or no wrap opens a number; `InCopy` where the
/// other store holds another key under a number, or one that does not open;
/// `Unavailable`.
pub(crate) async fn copy(
    from: &dyn ObjectStore,
    to: &dyn ObjectStore,
    wraps: &Wraps,
    tenant: &TenantId,
) -> Result<u32, StoreError> {
    let numbers = Listed::of(from, tenant).await?.numbers()?;
    let mut written = 0;
    for (number, stored) in numbers {
        let key = open_number(from, wraps, tenant, number, &stored).await?;
        let request = read_request(from, tenant, number, &stored).await?;
        let added = copy_number(to, wraps.current(), tenant, &key, request).await;
        written += u32::from(added.map_err(StoreError::in_copy)? == Created::Ours);
    }
    Ok(written)
}

/// Writes one number unless it is there, and sees that it opens.
async fn copy_number(
    to: &dyn ObjectStore,
    current: &Arc<dyn KeyWrap>,
    tenant: &TenantId,
    key: &Numbered,
    request: Option<String>,
) -> Result<Created, StoreError> {
    let recipient = key.recipient().to_string();
    let mut there = Listed::of(to, tenant).await?;
    if there.erased {
        return Err(KeyError::Erased.into());
    }
    let there = there.numbers.remove(&key.number).unwrap_or_default();
    for wrap in &there {
        let path = layout::data_key(tenant, key.number, wrap);
        same(&path, &read_file(to, &path).await?.recipient, &recipient)?;
    }
    let created = match there.iter().any(|wrap| wrap == current.id()) {
        true => Created::Theirs,
        false => write(to, current, tenant, key, request).await?,
    };
    let standing = read(to, current, tenant, key.number).await?;
    let path = layout::data_key(tenant, key.number, current.id());
    same(&path, &standing.recipient().to_string(), &recipient)?;
    Ok(created)
}
