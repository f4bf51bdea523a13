//! Files of a snapshot as they lie in the store, for those who carry them elsewhere.
//!
//! It must never say that they are whole: whoever takes them checks that.

use bytes::Bytes;
use model::SnapshotId;

use super::TenantVault;
use crate::error::StoreError;
use crate::file;
use crate::layout;

impl TenantVault {
    /// The encrypted bytes of a run, unchecked; `None` where it is missing.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn raw_run(&self, hash: &blake3::Hash) -> Result<Option<Bytes>, StoreError> {
        file::read(self.store.as_ref(), &layout::run(self.id(), hash)).await
    }

    /// The encrypted bytes of what lies in a manifest's place, unchecked; `None`
    /// where there is nothing.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn raw_manifest(&self, id: &SnapshotId) -> Result<Option<Bytes>, StoreError> {
        file::read(self.store.as_ref(), &layout::manifest(self.id(), id)).await
    }
}
