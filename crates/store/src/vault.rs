//! The vault as a whole: which tenants there are, and the way into each.
//!
//! It must never hand out one tenant's key for another, nor tell the data of a
//! tenant from outside its [`TenantVault`].

mod audit;
mod copies;
mod erasures;
mod grants;
mod import;
mod keys;
mod numbers;
mod place;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use model::TenantId;
use object_store::ObjectStore;
use parking_lot::RwLock;
use tokio::sync::OnceCell;

use crate::backend::{Setting, open_store};
use crate::check::{self, Finding};
use crate::data_key::{self, DataKey};
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::format::v1;
use crate::keys::{KeyWrap, Wraps};
use crate::layout;
use crate::tenant_record::TenantRecord;
use crate::tenant_vault::TenantVault;

pub use copies::{Copies, CopyPlace};
pub use erasures::Remains;
pub use keys::Erased;
pub use place::{Holder, Place};

/// A mutable record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The version read; the next write is the one after it.
    pub version: u64,
    /// The record.
    pub value: T,
}

/// All tenants of an installation in one object store.
#[derive(Debug, Clone)]
pub struct Vault {
    store: Arc<dyn ObjectStore>,
    keys: Arc<dyn ObjectStore>,
    wraps: Wraps,
    opened: Arc<RwLock<HashMap<TenantId, Arc<DataKey>>>>,
    /// The installation's own key, once it was needed.
    installation: Arc<OnceCell<Arc<DataKey>>>,
}

impl Vault {
    /// A vault in `store`, whose data keys are wrapped by `wrap` and lie there too.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, wrap: Arc<dyn KeyWrap>) -> Self {
        Self {
            keys: Arc::clone(&store),
            store,
            wraps: Wraps::new(wrap),
            opened: Arc::default(),
            installation: Arc::default(),
        }
    }

    /// Opens the vault at a URL, as [`open_store`] does. One in memory lives as
    /// long as its clones.
    ///
    /// # Errors
    /// As [`open_store`].
    pub fn open(
        url: &str,
        setting: Setting<'_>,
        wrap: Arc<dyn KeyWrap>,
    ) -> Result<Self, StoreError> {
        Ok(Self::new(open_store(url, setting)?, wrap))
    }

    /// Keeps the wrapped data keys in a store of their own, without object lock
    /// or history, so that dropping one is an erasure.
    #[must_use]
    pub fn with_key_store(self, keys: Arc<dyn ObjectStore>) -> Self {
        Self { keys, ..self }
    }

    /// Lets a key-encryption key still open what it wrapped, while data keys are
    /// re-wrapped; nothing new is wrapped with it.
    #[must_use]
    pub fn with_old_wrap(self, old: Arc<dyn KeyWrap>) -> Self {
        Self {
            wraps: self.wraps.and_old(old),
            ..self
        }
    }

    /// Tries whether the store, and the store of the keys, keep what the vault
    /// rests on. Probe files are written below a folder of their own and removed
    /// as far as the store allows.
    ///
    /// # Errors
    /// `Unavailable` where not even a first probe can be written.
    pub async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        check::run(self.store.as_ref(), self.keys.as_ref()).await
    }

    /// Registers a tenant. The key is stored first, so that a registered tenant
    /// always has one; an interrupted registration is simply repeated.
    ///
    /// # Errors
    /// `Exists` where it is registered already; `Key` where there is a data key
    /// that this vault's wrap does not open; `Unavailable`.
    pub async fn create_tenant(&self, record: &TenantRecord) -> Result<(), StoreError> {
        if self.is_registered(&record.id).await? {
            return Err(StoreError::Exists {
                what: format!("tenant {}", record.id),
            });
        }
        let key = data_key::create(self.keys.as_ref(), &self.wraps, &record.id).await?;
        match self.write_record(record, 1).await? {
            Created::Ours => {
                self.opened.write().insert(record.id.clone(), Arc::new(key));
                Ok(())
            }
            Created::Theirs => Err(StoreError::Exists {
                what: format!("tenant {}", record.id),
            }),
        }
    }

    /// The newest version of a registration; `None` where there is none.
    ///
    /// # Errors
    /// `Corrupt` where it is damaged; `Unavailable`.
    pub async fn tenant_record(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<Versioned<TenantRecord>>, StoreError> {
        let paths = file::list(self.store.as_ref(), &layout::registrations(tenant)).await?;
        let Some(version) = paths.iter().filter_map(layout::registration_version).max() else {
            return Ok(None);
        };
        let path = layout::registration(tenant, version);
        let bytes = file::read(self.store.as_ref(), &path)
            .await?
            .ok_or_else(|| StoreError::corrupt(path.as_ref(), "it is listed but missing"))?;
        let stored: v1::TenantRecord = v1::from_json(path.as_ref(), &bytes)?;
        Ok(Some(Versioned {
            version,
            value: stored.into_domain(path.as_ref(), tenant)?,
        }))
    }

    /// The registration of a tenant that must have one.
    ///
    /// # Errors
    /// `NotFound` where there is none; otherwise as [`Vault::tenant_record`].
    pub async fn registered(&self, tenant: &TenantId) -> Result<TenantRecord, StoreError> {
        let record = self.tenant_record(tenant).await?;
        let missing = || StoreError::NotFound {
            what: format!("tenant {tenant}"),
        };
        Ok(record.ok_or_else(missing)?.value)
    }

    /// Writes the version after the one that was read.
    ///
    /// # Errors
    /// `Changed` where another writer was faster: read again; `NotFound` where
    /// the tenant is not registered; `Unavailable`.
    pub async fn update_tenant(&self, record: &Versioned<TenantRecord>) -> Result<(), StoreError> {
        let tenant = &record.value.id;
        if !file::exists(
            self.store.as_ref(),
            &layout::registration(tenant, record.version),
        )
        .await?
        {
            return Err(StoreError::NotFound {
                what: format!("version {} of tenant {tenant}", record.version),
            });
        }
        match self.write_record(&record.value, record.version + 1).await? {
            Created::Ours => Ok(()),
            Created::Theirs => Err(StoreError::Changed {
                what: format!("tenant {tenant}"),
            }),
        }
    }

    /// Every tenant that has anything in the vault, sorted. One whose
    /// registration was cut short has no record yet.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn tenant_ids(&self) -> Result<Vec<TenantId>, StoreError> {
        let names = file::folders(self.store.as_ref(), &layout::tenants()).await?;
        Ok(names
            .iter()
            .filter_map(|name| TenantId::parse(name).ok())
            .collect())
    }

    /// The vault of one tenant, its key opened. A key that was rotated or erased
    /// since is noticed here.
    ///
    /// # Errors
    /// `NotFound` where the tenant is not registered; `Key` where its data key
    /// cannot be had; `Unavailable`.
    pub async fn tenant(&self, tenant: &TenantId) -> Result<TenantVault, StoreError> {
        if !self.is_registered(tenant).await? {
            return Err(StoreError::NotFound {
                what: format!("tenant {tenant}"),
            });
        }
        Ok(TenantVault::new(
            Arc::clone(&self.store),
            self.key(tenant).await?,
        ))
    }

    /// Forgets the opened key of a tenant, as after its erasure.
    pub fn forget(&self, tenant: &TenantId) {
        self.opened.write().remove(tenant);
    }

    async fn is_registered(&self, tenant: &TenantId) -> Result<bool, StoreError> {
        let records = file::list(self.store.as_ref(), &layout::registrations(tenant)).await?;
        Ok(records
            .iter()
            .any(|path| layout::registration_version(path).is_some()))
    }

    async fn key(&self, tenant: &TenantId) -> Result<Arc<DataKey>, StoreError> {
        let numbers = data_key::numbers(self.keys.as_ref(), tenant).await?;
        if let Some(key) = self.opened.read().get(tenant)
            && key.numbers().eq(numbers)
        {
            return Ok(Arc::clone(key));
        }
        self.forget(tenant);
        let key = Arc::new(data_key::open(self.keys.as_ref(), &self.wraps, tenant).await?);
        self.opened.write().insert(tenant.clone(), Arc::clone(&key));
        Ok(key)
    }

    async fn write_record(
        &self,
        record: &TenantRecord,
        version: u64,
    ) -> Result<Created, StoreError> {
        let bytes = Bytes::from(v1::to_json(&v1::TenantRecord::from(record))?);
        file::create(
            self.store.as_ref(),
            &layout::registration(&record.id, version),
            bytes,
        )
        .await
    }
}
