//! One tenant's part of the vault: claims, marks, snapshots, documents.
//!
//! Everything here is sealed with the tenant's own key. It must never read or
//! write below another tenant's folder.

mod aside;
mod audit;
mod between;
mod chain;
mod claim;
mod commit;
mod copying;
mod documents;
mod fate;
mod find;
mod lane;
mod lineage;
mod look_up;
mod prune;
mod raw;
mod repair;
mod reports;
mod search;
mod snapshot;
mod summary;
mod verify;

use std::sync::Arc;

use bytes::Bytes;
use model::TenantId;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::blocking;
use crate::data_key::DataKey;
use crate::error::StoreError;
use crate::file;
use crate::seal;

pub use aside::Aside;
pub use between::Between;
pub use claim::Claim;
pub use commit::{Announced, Taken};
pub(crate) use copying::ROOM;
pub use copying::{Carried, Copied, Copying};
pub use documents::Listed;
pub use lane::LaneMark;
pub use prune::Pruned;
pub use repair::Repaired;
pub use search::{Found, FoundPage, Match, Query};
pub use snapshot::Problem;
pub use verify::{Damage, DamageKind, Depth, Verified};

/// One tenant's part of the vault, with its key opened.
#[derive(Debug, Clone)]
pub struct TenantVault {
    store: Arc<dyn ObjectStore>,
    key: Arc<DataKey>,
}

impl TenantVault {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, key: Arc<DataKey>) -> Self {
        Self { store, key }
    }

    /// The tenant.
    #[must_use]
    pub fn id(&self) -> &TenantId {
        self.key.tenant()
    }

    /// Reads and opens a document; `None` where there is none.
    async fn open(&self, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        match file::read(self.store.as_ref(), path).await? {
            Some(sealed) => self.unseal(path, sealed).await.map(Some),
            None => Ok(None),
        }
    }

    /// Opens the bytes of a document.
    async fn unseal(&self, path: &Path, sealed: Bytes) -> Result<Vec<u8>, StoreError> {
        let (key, path) = (Arc::clone(&self.key), path.clone());
        blocking::run(move || seal::open_document(&key, &path, &sealed)).await
    }

    /// Seals a document and creates it.
    async fn create(&self, path: &Path, content: Vec<u8>) -> Result<file::Created, StoreError> {
        let (key, place) = (Arc::clone(&self.key), path.clone());
        let sealed = blocking::run(move || seal::seal_document(&key, &place, &content)).await?;
        file::create(self.store.as_ref(), path, sealed.into()).await
    }
}
