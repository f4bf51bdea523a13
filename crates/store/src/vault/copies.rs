//! Where an installation keeps copies of its tenants' snapshots.
//!
//! Owns what a copy needs beside the snapshots, so that services which are started
//! on it alone simply work: the data keys, then the registration. It must never
//! replace either, nor put them where another key or another store is meant.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use model::TenantId;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;
use url::Url;

use super::{Erased, Vault};
use crate::backend::{Setting, open_store, own_place, prefixed};
use crate::chance;
use crate::check;
use crate::data_key;
use crate::error::StoreError;
use crate::file;
use crate::format::v1;
use crate::layout;
use crate::tenant_vault::{Copying, ROOM};

/// What the copy store's own settings begin with.
const PREFIX: &str = "REWIND_COPY_";

/// Where copies go, as settings say it.
#[derive(Clone, Copy)]
pub struct CopyPlace<'a> {
    /// The object store that is copied.
    pub store_url: &'a str,
    /// The object store of the copies.
    pub url: &'a str,
    /// The object store of the wrapped data keys beside the copies, where it is
    /// another one.
    pub keys_url: Option<&'a str>,
    /// What the stores' own settings are, by their environment names; those of the
    /// copy store begin with `REWIND_COPY_`, or are the same as the first store's.
    pub setting: Setting<'a>,
}

impl fmt::Debug for CopyPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyPlace").finish_non_exhaustive()
    }
}

/// The store of an installation's copies; its clones share the memory that
/// copying may take.
#[derive(Debug, Clone)]
pub struct Copies {
    vault: Vault,
    room: Arc<Semaphore>,
}

impl Copies {
    /// Copies of what `vault` holds, in `store`, whose data keys lie there too.
    #[must_use]
    pub fn new(vault: &Vault, store: Arc<dyn ObjectStore>) -> Self {
        let copy = Vault {
            keys: Arc::clone(&store),
            store,
            wraps: vault.wraps.clone(),
            opened: Arc::default(),
            installation: Arc::default(),
        };
        Self {
            vault: copy,
            room: Arc::new(Semaphore::new(ROOM)),
        }
    }

    /// Keeps the copies' wrapped data keys in a store of their own.
    #[must_use]
    pub fn with_key_store(self, keys: Arc<dyn ObjectStore>) -> Self {
        Self {
            vault: self.vault.with_key_store(keys),
            ..self
        }
    }

    /// Opens the place of the copies of what `vault` holds. Nothing is sent yet.
    ///
    /// # Errors
    /// `SameStore` where its URL is the vault's own and nothing says that it means
    /// another place; otherwise as [`open_store`].
    pub fn at(vault: &Vault, place: &CopyPlace<'_>) -> Result<Self, StoreError> {
        let scheme = |url: &str| Url::parse(url).map(|url| url.scheme().to_owned());
        let own = scheme(place.url).is_ok_and(|it| own_place(PREFIX, &it, place.setting));
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        if plain(place.url) == plain(place.store_url) && !own {
            return Err(StoreError::SameStore);
        }
        let setting = prefixed(PREFIX, place.setting);
        let open = |url: &str| open_store(url, &setting).map_err(StoreError::in_copy);
        let copies = Self::new(vault, open(place.url)?);
        Ok(match place.keys_url {
            Some(url) => copies.with_key_store(open(url)?),
            None => copies,
        })
    }

    /// The copies as a vault of their own.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Erases a tenant's data keys beside the copies, whether or not it was copied: from
    /// then on no copying brings a key of it there.
    ///
    /// # Errors
    /// `Unavailable` or `Changed`, after which it is to be repeated.
    pub async fn erase_keys(
        &self,
        tenant: &TenantId,
        now: DateTime<Utc>,
    ) -> Result<Erased, StoreError> {
        self.vault.forget(tenant);
        let keys = self.vault.keys.as_ref();
        let deleted = data_key::erase(keys, tenant, now).await;
        Ok(Erased {
            deleted: deleted.map_err(StoreError::in_copy)?,
            proof: check::erasure(keys).await,
        })
    }

    /// Begins to copy a tenant of the vault that is copied: its data keys and its
    /// registration are there from then on.
    ///
    /// # Errors
    /// `NotFound` where the tenant is not registered; `Key` where its data key
    /// cannot be had; `SameStore` where the copies would lie in the vault itself;
    /// `InCopy` where the copy store holds another data key of the tenant, or one
    /// that does not open, or cannot be reached; `Unavailable`.
    pub async fn begin(&self, vault: &Vault, tenant: &TenantId) -> Result<Copying, StoreError> {
        let from = vault.tenant(tenant).await?;
        self.is_another_store(vault, tenant).await?;
        let (keys, copied_keys) = (vault.keys.as_ref(), self.vault.keys.as_ref());
        let written = data_key::copy(keys, copied_keys, &self.vault.wraps, tenant).await?;
        if written > 0 {
            self.vault.forget(tenant);
        }
        self.copy_registration(vault, tenant).await?;
        let to = self
            .vault
            .tenant(tenant)
            .await
            .map_err(StoreError::in_copy)?;
        Copying::begin(from, to, Arc::clone(&self.room)).await
    }

    /// Looks whether the tenant's registration is one and the same file in both: as
    /// a rule two files differ in when they were written, or in the store's own mark.
    async fn is_another_store(&self, vault: &Vault, tenant: &TenantId) -> Result<(), StoreError> {
        let Some((_, path)) = newest_registration(vault, tenant).await? else {
            return Ok(());
        };
        let found = vault.store.head(&path).await;
        let found = found.map_err(|error| StoreError::unavailable(path.as_ref(), error))?;
        match self.vault.store.head(&path).await {
            Ok(other) if other == found => self.is_not_seen_in(vault).await,
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::unavailable(path.as_ref(), error).in_copy()),
        }
    }

    /// Writes a file into the copy that must not be found in the vault: some clouds
    /// tell times in seconds and mark equal files alike.
    async fn is_not_seen_in(&self, vault: &Vault) -> Result<(), StoreError> {
        let path = layout::probe(&chance::token());
        let (store, copy) = (vault.store.as_ref(), self.vault.store.as_ref());
        let created = file::create(copy, &path, Bytes::from_static(b"probe\n")).await;
        created.map_err(StoreError::in_copy)?;
        let seen = file::exists(store, &path).await;
        file::delete(copy, &path)
            .await
            .map_err(StoreError::in_copy)?;
        match seen? {
            true => Err(StoreError::SameStore),
            false => Ok(()),
        }
    }

    /// Creates the newest version of the registration unless the copy has it, or a
    /// newer one.
    async fn copy_registration(&self, vault: &Vault, tenant: &TenantId) -> Result<(), StoreError> {
        let newest = newest_registration(vault, tenant).await?;
        let Some((version, path)) = newest else {
            return Ok(());
        };
        let there = newest_registration(&self.vault, tenant).await;
        let there = there.map_err(StoreError::in_copy)?;
        if there.is_some_and(|(there, _)| there >= version) {
            return Ok(());
        }
        let bytes: Bytes = file::read(vault.store.as_ref(), &path)
            .await?
            .ok_or_else(|| StoreError::corrupt(path.as_ref(), "it is listed but missing"))?;
        // A damaged one would stay in the place of a good one for ever.
        v1::from_json::<v1::TenantRecord>(path.as_ref(), &bytes)?
            .into_domain(path.as_ref(), tenant)?;
        // Of two who copy at once one creates it; both mean the same.
        let created = file::create(self.vault.store.as_ref(), &path, bytes).await;
        created.map(|_| ()).map_err(StoreError::in_copy)
    }
}

async fn newest_registration(
    vault: &Vault,
    tenant: &TenantId,
) -> Result<Option<(u64, object_store::path::Path)>, StoreError> {
    let paths = file::list(vault.store.as_ref(), &layout::registrations(tenant)).await?;
    let versions = paths
        .into_iter()
        .filter_map(|path| Some((layout::registration_version(&path)?, path)));
    Ok(versions.max())
}
