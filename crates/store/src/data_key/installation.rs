//! The installation's own data key, which seals what belongs to no tenant.
//!
//! It lies beside the tenants' keys and is wrapped as they are, but is in no recovery
//! bundle: where the key-encryption key was lost, the next number takes its place, and
//! what was sealed before is lost with it. It must never open or seal anything of a
//! tenant.

use std::collections::BTreeMap;

use age::secrecy::ExposeSecret;
use bytes::Bytes;
use model::TenantId;
use object_store::ObjectStore;
use secrecy::SecretSlice;

use super::{DataKey, Numbered};
use crate::error::{KeyError, StoreError};
use crate::file;
use crate::format::v1;
use crate::keys::Wraps;
use crate::layout;

/// What stands for the installation where documents name their tenant: a GUID that no
/// directory has.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// What a wrapped key is bound to, so that it opens nothing of a tenant.
fn context(number: u32) -> Vec<u8> {
    format!("rewind installation key v1\0{number}").into_bytes()
}

/// Opens the key in every number that can be opened, or makes the next one where none
/// can. A number that only an old key-encryption key opens is wrapped with the current
/// one too.
///
/// # Errors
/// `Corrupt` where a file is damaged; `Key` where a key-encryption key cannot be used;
/// `Unavailable`.
pub(crate) async fn open(store: &dyn ObjectStore, wraps: &Wraps) -> Result<DataKey, StoreError> {
    let listed = listed(store).await?;
    let mut keys = Vec::new();
    for (number, stored) in &listed {
        let Some(key) = open_number(store, wraps, *number, stored).await? else {
            continue;
        };
        if !stored.iter().any(|id| id == wraps.current().id()) {
            write(store, wraps, &key).await?;
        }
        keys.push(key);
    }
    if keys.is_empty() {
        let number = listed.last_key_value().map_or(0, |(number, _)| *number) + 1;
        write(store, wraps, &Numbered::generate(number)).await?;
        // Of two that start together both get the key of the faster one.
        keys.push(read(store, wraps, number, wraps.current().id()).await?);
    }
    Ok(DataKey {
        tenant: TenantId::parse(NOBODY).expect("invariant: a GUID"),
        keys,
    })
}

/// Leaves each number that can be opened under the current key-encryption key alone,
/// which is read back before another wrap is deleted. Nothing is done where there is no
/// key.
///
/// # Errors
/// As [`open`]; `Corrupt` where two wraps do not hold the same key.
pub(crate) async fn rewrap(store: &dyn ObjectStore, wraps: &Wraps) -> Result<(), StoreError> {
    let current = wraps.current().id();
    for (number, stored) in listed(store).await? {
        let others: Vec<&String> = stored.iter().filter(|id| *id != current).collect();
        if others.is_empty() {
            continue;
        }
        let Some(key) = open_number(store, wraps, number, &stored).await? else {
            continue;
        };
        write(store, wraps, &key).await?;
        let standing = read(store, wraps, number, current).await?;
        if standing.recipient().to_string() != key.recipient().to_string() {
            let path = layout::installation_key(number, current);
            return Err(StoreError::corrupt(
                path.as_ref(),
                "it holds another key than the file beside it",
            ));
        }
        for other in others {
            file::delete(store, &layout::installation_key(number, other)).await?;
        }
    }
    Ok(())
}

/// The ids of the wraps of each number.
async fn listed(store: &dyn ObjectStore) -> Result<BTreeMap<u32, Vec<String>>, StoreError> {
    let mut numbers: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for path in file::list(store, &layout::installation_keys()).await? {
        if let Some((number, wrap)) = layout::installation_key_of(&path) {
            numbers.entry(number).or_default().push(wrap);
        }
    }
    Ok(numbers)
}

/// Opens a number with the first wrap that does; `None` where none of them does.
async fn open_number(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    number: u32,
    stored: &[String],
) -> Result<Option<Numbered>, StoreError> {
    for wrap in wraps.all() {
        if !stored.iter().any(|id| id == wrap.id()) {
            continue;
        }
        match read(store, wraps, number, wrap.id()).await {
            Err(StoreError::Key(KeyError::Refused)) => {}
            other => return other.map(Some),
        }
    }
    Ok(None)
}

/// Reads a number under one wrap and opens it.
async fn read(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    number: u32,
    id: &str,
) -> Result<Numbered, StoreError> {
    let path = layout::installation_key(number, id);
    let damaged = |detail: &str| StoreError::corrupt(path.as_ref(), detail);
    let wrap = wraps.all().find(|wrap| wrap.id() == id);
    let wrap = wrap.ok_or(KeyError::Refused)?;
    let bytes = file::read(store, &path).await?;
    let bytes = bytes.ok_or_else(|| damaged("it was listed and is missing"))?;
    let stored: v1::DataKeyFile = v1::from_json(path.as_ref(), &bytes)?;
    let wrapped = stored
        .wrapped()
        .ok_or_else(|| damaged("the wrapped key is not base64"))?;
    let secret = wrap.unwrap(&wrapped, &context(number)).await?;
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

/// Writes a number under the current wrap, unless it is there.
async fn write(store: &dyn ObjectStore, wraps: &Wraps, key: &Numbered) -> Result<(), StoreError> {
    let current = wraps.current();
    let secret = SecretSlice::from(key.secret().expose_secret().as_bytes().to_vec());
    let wrapped = current.wrap(&secret, &context(key.number)).await?;
    let recipient = key.recipient().to_string();
    let stored = v1::DataKeyFile::new(key.number, current.id(), &wrapped, recipient, None);
    let path = layout::installation_key(key.number, current.id());
    file::create(store, &path, Bytes::from(v1::to_json(&stored)?)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::keys::Kek;

    fn wraps(n: u8) -> Wraps {
        Wraps::new(Arc::new(Kek::from_bytes([n; 32])))
    }

    async fn recipient(store: &InMemory, wraps: &Wraps) -> (u32, String) {
        let key = open(store, wraps).await.unwrap();
        (key.number(), key.recipient().to_string())
    }

    #[tokio::test]
    async fn the_key_is_made_once_and_moves_from_one_wrap_to_the_next() {
        let store = InMemory::new();
        rewrap(&store, &wraps(1)).await.unwrap();
        assert!(
            listed(&store).await.unwrap().is_empty(),
            "none is made for that"
        );
        let first = recipient(&store, &wraps(1)).await;
        assert_eq!(recipient(&store, &wraps(1)).await, first);

        let both = wraps(2).and_old(Arc::new(Kek::from_bytes([1; 32])));
        assert_eq!(recipient(&store, &both).await, first);
        assert_eq!(
            listed(&store).await.unwrap()[&1].len(),
            2,
            "whoever still has the old one alone opens it"
        );
        assert_eq!(recipient(&store, &wraps(1)).await, first);
        for _ in 0..2 {
            rewrap(&store, &both).await.unwrap();
            assert_eq!(listed(&store).await.unwrap()[&1], [wraps(2).current().id()]);
        }
        assert_eq!(recipient(&store, &wraps(2)).await, first);
    }

    #[tokio::test]
    async fn where_what_wraps_it_was_lost_the_next_number_takes_its_place() {
        let store = InMemory::new();
        let first = recipient(&store, &wraps(1)).await;
        let second = recipient(&store, &wraps(2)).await;
        assert_eq!((first.0, second.0), (1, 2));
        assert_ne!(first.1, second.1);
        assert_eq!(recipient(&store, &wraps(2)).await, second);
        let both = wraps(2).and_old(Arc::new(Kek::from_bytes([1; 32])));
        let key = open(&store, &both).await.unwrap();
        assert_eq!(key.numbers().collect::<Vec<_>>(), [1, 2]);
    }
}
