//! Snapshots, read back only as they were written.
//!
//! A run without a manifest is invisible; a manifest that is not whole is
//! damage, and never passed over.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures::StreamExt;
use model::snapshot::{Content, Past, Untracked};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType, SnapshotId};
use object_store::ObjectMeta;

use super::TenantVault;
use super::fate::{Entry, no_snapshot};
use crate::blocking;
use crate::error::StoreError;
use crate::file;
use crate::format::v1;
use crate::layout;
use crate::manifest::{Fate, Manifest};
use crate::run::{LinkRow, ObjectKey, ObjectRow, Presence};

type Bin = HashSet<(ObjectType, ObjectId)>;

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

/// A slot in which something was written.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: SnapshotId,
    pub(super) files: Vec<ObjectMeta>,
    /// The last entry about its fate.
    pub(super) last: Entry,
    pub(super) place: Place,
}

/// What lies where a slot's manifest is.
#[derive(Debug)]
pub(super) enum Place {
    /// A snapshot, unless the slot is over.
    Manifest(Box<Manifest>),
    /// The word that the slot can no longer be committed.
    GivenUp,
    /// Nothing.
    Nothing,
}

impl TenantVault {
    /// The slots in which anything was written, sorted: snapshots, and what became of
    /// those that are gone.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn slot_ids(&self) -> Result<Vec<SnapshotId>, StoreError> {
        let folder = layout::snapshots(self.id());
        let names = file::folders(self.store.as_ref(), &folder).await?;
        let ids = names.iter().filter_map(|name| SnapshotId::parse(name).ok());
        Ok(ids.collect())
    }

    /// The manifests of all snapshots, newest first, and those that are damaged.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn manifests(&self) -> Result<(Vec<Manifest>, Vec<Problem>), StoreError> {
        let (slots, problems) = self.slots().await?;
        let manifest = |slot: Slot| match slot.place {
            Place::Manifest(manifest) if slot.last.fate != Fate::Pruned => Some(*manifest),
            _ => None,
        };
        let mut manifests: Vec<Manifest> = slots.into_iter().filter_map(manifest).collect();
        manifests.sort_by(|a, b| (b.meta.started, b.id()).cmp(&(a.meta.started, a.id())));
        Ok((manifests, problems))
    }

    /// Every slot in which something was written, and those that cannot be read.
    pub(super) async fn slots(&self) -> Result<(Vec<Slot>, Vec<Problem>), StoreError> {
        let folder = layout::snapshots(self.id());
        let mut files: BTreeMap<SnapshotId, Vec<ObjectMeta>> = BTreeMap::new();
        for meta in file::metas(self.store.as_ref(), &folder).await? {
            if let Some(slot) = layout::snapshot_slot(self.id(), &meta.location) {
                files.entry(slot).or_default().push(meta);
            }
        }
        let answers: Vec<_> = futures::stream::iter(files)
            .map(|(id, files)| async move { (self.slot(id.clone(), files).await, id) })
            .buffered(MANIFESTS_AT_ONCE)
            .collect()
            .await;
        let (mut slots, mut problems) = (Vec::new(), Vec::new());
        for (answer, slot) in answers {
            match answer {
                Ok(slot) => slots.push(slot),
                Err(error @ StoreError::Corrupt { .. }) => {
                    let path = layout::manifest(self.id(), &slot).to_string();
                    problems.push(Problem { slot, path, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok((slots, problems))
    }

    async fn slot(&self, id: SnapshotId, files: Vec<ObjectMeta>) -> Result<Slot, StoreError> {
        let fates = files.iter().map(|meta| &meta.location);
        let newest = fates.filter_map(layout::fate_number).max();
        let path = layout::manifest(self.id(), &id);
        let last = self.entry(&id, newest).await?;
        // What is left of a snapshot that was let go may be damaged.
        let lives = last.fate != Fate::Pruned;
        let place = match lives && files.iter().any(|meta| meta.location == path) {
            true => self.place(&id, &last.fate).await?,
            false => Place::Nothing,
        };
        Ok(Slot {
            id,
            files,
            last,
            place,
        })
    }

    /// The manifest of one snapshot.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the file; `Unavailable`.
    pub async fn manifest(&self, id: &SnapshotId) -> Result<Manifest, StoreError> {
        let last = self.fate(id).await?;
        match self.place(id, &last.fate).await? {
            Place::Manifest(manifest) if last.fate != Fate::Pruned => Ok(*manifest),
            _ => Err(no_snapshot(id)),
        }
    }

    /// What lies where a slot's manifest is.
    ///
    /// # Errors
    /// `Corrupt`; `Unavailable`.
    pub(super) async fn place(&self, id: &SnapshotId, fate: &Fate) -> Result<Place, StoreError> {
        match self.raw_manifest(id).await? {
            Some(sealed) => self.opened_place(id, fate, sealed).await,
            None => Ok(Place::Nothing),
        }
    }

    /// What the file in a manifest's place says, every byte checked.
    pub(super) async fn opened_place(
        &self,
        id: &SnapshotId,
        fate: &Fate,
        sealed: Bytes,
    ) -> Result<Place, StoreError> {
        let path = layout::manifest(self.id(), id);
        let bytes = self.unseal(&path, sealed).await?;
        if v1::from_json::<v1::GivenUp>(path.as_ref(), &bytes).is_ok() {
            return Ok(Place::GivenUp);
        }
        let stored: v1::Manifest = v1::from_json(path.as_ref(), &bytes)?;
        let mut manifest = stored.into_domain(path.as_ref())?;
        manifest.fate = fate.clone();
        if manifest.tenant != *self.id() || manifest.meta.id != *id {
            return Err(StoreError::corrupt(
                path.as_ref(),
                "it is the manifest of another snapshot",
            ));
        }
        Ok(Place::Manifest(Box::new(manifest)))
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
    pub async fn past(&self, manifest: &Manifest) -> Result<Past, StoreError> {
        let objects = self.bin_and_untracked(manifest);
        let ((bin, untracked), sources) = futures::try_join!(objects, self.sources(manifest))?;
        Ok(Past {
            tokens: manifest.tokens.clone(),
            bin,
            untracked,
            sources,
            unsettled: manifest.unsettled.clone(),
            completeness: manifest.completeness.clone(),
        })
    }

    /// The objects in the recycle bin.
    pub(super) async fn bin(&self, manifest: &Manifest) -> Result<Bin, StoreError> {
        Ok(self.bin_and_untracked(manifest).await?.0)
    }

    async fn bin_and_untracked(&self, manifest: &Manifest) -> Result<(Bin, Untracked), StoreError> {
        let objects = self.parts::<ObjectRow>(manifest).await?;
        blocking::run(move || {
            let (mut bin, mut untracked) = (Bin::new(), Untracked::new());
            for key in objects.keys()? {
                let ObjectKey {
                    object_type,
                    id,
                    body,
                } = key?;
                let Some(body) = body else { continue };
                if object_type.spec().is_untracked() {
                    untracked.insert((object_type, id.clone()), body);
                }
                if body.0 == ObjectState::Deleted {
                    bin.insert((object_type, id));
                }
            }
            Ok((bin, untracked))
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

pub(super) fn present(row: Result<LinkRow, StoreError>) -> Option<Result<Link, StoreError>> {
    match row {
        Ok(row) if row.presence == Presence::Gone => None,
        Ok(row) => Some(Ok(row.link)),
        Err(error) => Some(Err(error)),
    }
}
