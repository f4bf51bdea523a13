//! Finds a snapshot by what a person writes.

use model::SnapshotId;

use super::TenantVault;
use crate::error::StoreError;
use crate::manifest::Manifest;

/// The word for the newest complete snapshot.
const LATEST: &str = "latest";

impl TenantVault {
    /// The snapshot of an id; `latest` is the newest complete one.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the file; `Unavailable`.
    pub async fn find(&self, id: &SnapshotId) -> Result<Manifest, StoreError> {
        if id.as_str() != LATEST {
            return self.manifest(id).await;
        }
        let (manifests, _) = self.manifests().await?;
        manifests
            .into_iter()
            .find(Manifest::is_complete)
            .ok_or_else(|| StoreError::NotFound {
                what: "a complete snapshot".to_owned(),
            })
    }
}
