//! Snapshots, read back only as they were written.
//!
//! A run without a manifest is invisible; a manifest that is not whole is
//! damage, and never passed over.

use std::collections::{BTreeMap, HashSet};

use futures::StreamExt;
use model::snapshot::Content;
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType, SnapshotId};

use super::TenantVault;
use crate::blocking;
use crate::error::StoreError;
use crate::file;
use crate::format::v1;
use crate::layout;
use crate::manifest::Manifest;
use crate::run::{LinkRow, ObjectRow, Presence};

/// How many manifests are read at once.
const MANIFESTS_AT_ONCE: usize = 16;

/// A snapshot that cannot be shown, beside those that can.
#[derive(Debug)]
pub struct Problem {
    /// The slot whose snapshot it is.
    pub slot: SnapshotId,
    /// The damaged file.
    pub path: String,
    /// What is wrong with it.
    pub error: StoreError,
}

impl TenantVault {
    /// The manifests of all snapshots, newest first, and those that are damaged.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn manifests(&self) -> Result<(Vec<Manifest>, Vec<Problem>), StoreError> {
        let slots = file::folders(self.store.as_ref(), &layout::snapshots(self.id())).await?;
        let slots: Vec<SnapshotId> = slots
            .iter()
            .filter_map(|name| SnapshotId::parse(name).ok())
            .collect();
        let answers: Vec<_> = futures::stream::iter(slots)
            .map(|slot| async move { (self.manifest(&slot).await, slot) })
            .buffered(MANIFESTS_AT_ONCE)
            .collect()
            .await;
        let (mut manifests, mut problems) = (Vec::new(), Vec::new());
        for (answer, slot) in answers {
            match answer {
                Ok(manifest) => manifests.push(manifest),
                // A folder without a manifest is no snapshot.
                Err(StoreError::NotFound { .. }) => {}
                Err(error @ StoreError::Corrupt { .. }) => {
                    let path = layout::manifest(self.id(), &slot).to_string();
                    problems.push(Problem { slot, path, error });
                }
                Err(error) => return Err(error),
            }
        }
        manifests.sort_by(|a, b| (b.meta.started, b.id()).cmp(&(a.meta.started, a.id())));
        Ok((manifests, problems))
    }

    /// The manifest of one snapshot.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the file; `Unavailable`.
    pub async fn manifest(&self, id: &SnapshotId) -> Result<Manifest, StoreError> {
        let path = layout::manifest(self.id(), id);
        let Some(bytes) = self.open(&path).await? else {
            return Err(StoreError::NotFound {
                what: format!("snapshot {id}"),
            });
        };
        let stored: v1::Manifest = v1::from_json(path.as_ref(), &bytes)?;
        let manifest = stored.into_domain(path.as_ref())?;
        if manifest.tenant != *self.id() || manifest.meta.id != *id {
            return Err(StoreError::corrupt(
                path.as_ref(),
                "it is the manifest of another snapshot",
            ));
        }
        Ok(manifest)
    }

    /// The content of a snapshot, every byte checked against the manifest. Links
    /// that the recycle bin hides are not part of it.
    ///
    /// # Errors
    /// `Corrupt`, naming the file and whether objects or links are touched;
    /// `Invalid` for another tenant's manifest; `Unavailable`.
    pub async fn read(&self, manifest: &Manifest) -> Result<Content, StoreError> {
        let (objects, links) =
            futures::try_join!(self.read_objects(manifest), self.read_links(manifest))?;
        let completeness = manifest.completeness.clone();
        blocking::run(move || Ok(Content::visible(objects, links, completeness))).await
    }

    /// The objects of a snapshot.
    ///
    /// # Errors
    /// As [`TenantVault::read`].
    pub async fn read_objects(&self, manifest: &Manifest) -> Result<Vec<Object>, StoreError> {
        let chain = self.chain::<ObjectRow>(manifest).await?;
        let object = |row: Result<ObjectRow, StoreError>| row.map(ObjectRow::into_object);
        blocking::run(move || {
            chain
                .rows()?
                .filter_map(|row| object(row).transpose())
                .collect()
        })
        .await
    }

    /// The links of a snapshot, those of objects in the recycle bin included.
    ///
    /// # Errors
    /// As [`TenantVault::read`].
    pub async fn read_links(&self, manifest: &Manifest) -> Result<Vec<Link>, StoreError> {
        let chain = self.chain::<LinkRow>(manifest).await?;
        blocking::run(move || chain.rows()?.filter_map(present).collect()).await
    }

    /// What the next snapshot must know of this one to follow its changes.
    ///
    /// # Errors
    /// As [`TenantVault::read`].
    pub async fn foothold(&self, manifest: &Manifest) -> Result<Foothold, StoreError> {
        let (bin, sources) = futures::try_join!(self.bin(manifest), self.sources(manifest))?;
        Ok(Foothold { bin, sources })
    }

    pub(super) async fn bin(
        &self,
        manifest: &Manifest,
    ) -> Result<HashSet<(ObjectType, ObjectId)>, StoreError> {
        let objects = self.parts::<ObjectRow>(manifest).await?;
        blocking::run(move || {
            let mut bin = HashSet::new();
            for key in objects.keys()? {
                let key = key?;
                if matches!(key.body, Some((ObjectState::Deleted, _))) {
                    bin.insert((key.object_type, key.id));
                }
            }
            Ok(bin)
        })
        .await
    }

    async fn sources(
        &self,
        manifest: &Manifest,
    ) -> Result<BTreeMap<LinkKind, Vec<ObjectId>>, StoreError> {
        let links = self.parts::<LinkRow>(manifest).await?;
        blocking::run(move || {
            let mut all: BTreeMap<LinkKind, Vec<ObjectId>> = BTreeMap::new();
            for kind in SPARSE {
                let mut sources: Vec<ObjectId> = Vec::new();
                for link in links.rows_of(kind)?.filter_map(present) {
                    let Link { source, .. } = link?;
                    if sources.last() != Some(&source) {
                        sources.push(source);
                    }
                }
                if !sources.is_empty() {
                    all.insert(kind, sources);
                }
            }
            Ok(all)
        })
        .await
    }
}

/// The relations that few objects have, so that not all objects are asked for them
/// each time.
const SPARSE: [LinkKind; 1] = [LinkKind::UserSponsors];

/// What the next snapshot must know of the one before.
#[derive(Debug, Default)]
pub struct Foothold {
    /// The objects in the recycle bin.
    pub bin: HashSet<(ObjectType, ObjectId)>,
    /// The objects that have links of a kind that few have, sorted.
    pub sources: BTreeMap<LinkKind, Vec<ObjectId>>,
}

pub(super) fn present(row: Result<LinkRow, StoreError>) -> Option<Result<Link, StoreError>> {
    match row {
        Ok(row) if row.presence == Presence::Gone => None,
        Ok(row) => Some(Ok(row.link)),
        Err(error) => Some(Err(error)),
    }
}
