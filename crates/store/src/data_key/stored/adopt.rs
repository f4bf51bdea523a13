//! A data key that comes back to a store in which nobody can open it.
//!
//! Owns what the wraps that stand there tell of it. It must never write before it
//! was compared with them, nor delete what another key-encryption key wrapped.

use object_store::ObjectStore;

use super::{DataKey, Listed, open_number, read, read_file, same, write};
use crate::error::{KeyError, StoreError};
use crate::file;
use crate::keys::Wraps;
use crate::layout;

/// Whether a tenant whose data key comes back may have been erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterErasure {
    /// An erased tenant stays erased.
    Refuse,
    /// The erasure is taken back.
    Undo,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Numbers that were wrapped with the current key-encryption key.
    pub written: u32,
    /// Numbers that were there already under it.
    pub standing: u32,
    /// Documents of the tenant that the key was seen to open.
    pub opened: u32,
}

/// Whether a key that comes back is the tenant's, as far as the wraps tell: those
/// that nobody can open any more still name their public halves. The number of
/// public halves that were found.
///
/// # Errors
/// `Key` where the tenant was erased and is to stay so; `Invalid` where a number is
/// another key, or one that is needed is missing; `Unavailable`.
pub(crate) async fn check_against(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    key: &DataKey,
    after: AfterErasure,
) -> Result<u32, StoreError> {
    let tenant = key.tenant();
    let listed = Listed::of(store, tenant).await?;
    if listed.erased && after == AfterErasure::Refuse {
        return Err(KeyError::Erased.into());
    }
    let mut seen = 0;
    for (number, stored) in &listed.numbers {
        let Some(own) = key.keys.iter().find(|own| own.number == *number) else {
            if open_number(store, wraps, tenant, *number, stored)
                .await
                .is_ok()
            {
                continue;
            }
            return Err(StoreError::Invalid(format!(
                "the bundle lacks key {number} of the tenant: it was exported before that key was made"
            )));
        };
        let recipient = own.recipient().to_string();
        for wrap in stored {
            let path = layout::data_key(tenant, *number, wrap);
            match read_file(store, &path).await {
                Ok(file) if file.recipient == recipient => seen += 1,
                Ok(_) => {
                    return Err(StoreError::Invalid(format!(
                        "the bundle's key {number} is not that of the tenant"
                    )));
                }
                Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(seen)
}

/// Wraps a key that comes back with the current key-encryption key, and deletes
/// nothing but a wrap of that one which opens to nothing.
///
/// The newest number goes first: whoever opens the tenant meanwhile must not seal
/// with an older one.
///
/// # Errors
/// `Key` where the key-encryption key cannot be used; `Corrupt` where what was
/// written is not read back; `Unavailable`. It is then to be repeated.
pub(crate) async fn adopt(
    store: &dyn ObjectStore,
    wraps: &Wraps,
    key: &DataKey,
) -> Result<Imported, StoreError> {
    let (tenant, current) = (key.tenant(), wraps.current());
    file::delete(store, &layout::erasure(tenant)).await?;
    let mut done = Imported::default();
    for own in key.keys.iter().rev() {
        let place = layout::data_key(tenant, own.number, current.id());
        if file::exists(store, &place).await? {
            match read(store, current, tenant, own.number).await {
                Err(StoreError::Key(KeyError::Refused) | StoreError::Corrupt { .. }) => {
                    file::delete(store, &place).await?;
                }
                other => {
                    other?;
                    done.standing += 1;
                    continue;
                }
            }
        }
        write(store, current, tenant, own, None).await?;
        let standing = read(store, current, tenant, own.number).await?;
        let found = standing.recipient().to_string();
        same(&place, &found, &own.recipient().to_string())?;
        done.written += 1;
    }
    Ok(done)
}
