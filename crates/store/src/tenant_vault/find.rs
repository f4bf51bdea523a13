//! Finds a snapshot by what a person writes.

use model::SnapshotId;

use super::{Problem, TenantVault};
use crate::error::StoreError;
use crate::manifest::Manifest;

/// The word for the newest snapshot in which every essential type is complete.
const LATEST: &str = "latest";

impl TenantVault {
    /// The snapshot of an id; `latest` is the newest one that is complete for every
    /// essential type.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the file; `Unavailable`.
    pub async fn find(&self, id: &SnapshotId) -> Result<Manifest, StoreError> {
        if id.as_str() != LATEST {
            return self.manifest(id).await;
        }
        let (manifests, problems) = self.manifests().await?;
        let latest = manifests.into_iter().find(Manifest::has_essentials);
        // A damaged snapshot that is newer must not be passed over in silence.
        let newest = latest
            .as_ref()
            .map(|manifest| manifest.id().as_str().to_owned());
        let newer = |problem: &Problem| Some(problem.slot.as_str()) > newest.as_deref();
        match problems.into_iter().find(newer) {
            Some(problem) => Err(problem.error),
            None => latest.ok_or_else(|| StoreError::NotFound {
                what: "a complete snapshot".to_owned(),
            }),
        }
    }
}
