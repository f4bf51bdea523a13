//! Looks for damage in what is stored, and says what it touches.
//!
//! Owns which files are looked at, how closely, and what a difference is called.
//! It must never change a file, take a store that does not answer for damage, nor
//! take what retention deletes meanwhile for a loss.
//!
//! A run is known by its name and by the manifests that name it, a document by
//! what authenticates its place. So a file that is changed, cut, exchanged or made
//! by somebody else shows; and what is missing shows by what names it: a run by
//! its manifests, a manifest by the decisions about its snapshot and by the
//! snapshot that was built on it. The newest manifest is named by nothing: where
//! it alone is deleted, its slot looks as if its taking had been broken off.

mod run;

use std::collections::{BTreeMap, BTreeSet};

use model::{ObjectState, ObjectType, SnapshotId};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::TenantVault;
use super::snapshot::Place;
use crate::blocking;
use crate::error::StoreError;
use crate::file;
use crate::format::v1;
use crate::layout::{self, Known};
use crate::manifest::{Fate, Manifest, RunFile, RunKind};
use crate::run::{ObjectRow, Span};
use crate::seal;

/// How closely is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// That every file is there and starts and ends as it was written: names,
    /// sizes, heads, manifests and decisions.
    Structure,
    /// The same, and every byte of one share of the files: by turns, all of them.
    Share {
        /// How many shares there are; at least 1.
        of: u32,
        /// Whose turn it is.
        turn: u32,
    },
    /// Every byte of every file.
    EveryByte,
}

impl Depth {
    /// Whether the file is read as a whole.
    fn reads(self, path: &Path) -> bool {
        match self {
            Self::Structure => false,
            Self::EveryByte => true,
            Self::Share { of, turn } => {
                let hash = blake3::hash(path.as_ref().as_bytes());
                let drawn = hash.as_bytes()[..4].iter();
                let drawn = drawn.fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
                drawn % of.max(1) == turn % of.max(1)
            }
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamageKind {
    /// It is not there.
    Missing,
    /// It ends too early.
    Truncated,
    /// Its bytes are not those that were written.
    Altered,
    /// It is a file of the vault that belongs elsewhere.
    Misplaced,
    /// The vault never wrote it.
    Foreign,
}

impl DamageKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Missing,
        Self::Truncated,
        Self::Altered,
        Self::Misplaced,
        Self::Foreign,
    ];

    /// `missing`, `truncated`, `altered`, `misplaced` or `foreign`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Altered => "altered",
            Self::Misplaced => "misplaced",
            Self::Foreign => "foreign",
        }
    }
}

/// A damaged file, and what that touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Its key in the store.
    pub path: String,
    /// What is wrong.
    pub kind: DamageKind,
    /// The same in words.
    pub detail: String,
    /// The snapshots that cannot be read as they were taken, sorted.
    pub snapshots: Vec<SnapshotId>,
    /// What a damaged run holds.
    pub holds: Option<RunKind>,
    /// The rows of it that cannot be read. Where a later run of a snapshot says
    /// something of them, that snapshot does not need them.
    pub unreadable: Vec<Span>,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// What is damaged, sorted by path.
    pub damages: Vec<Damage>,
    /// How many snapshots there are.
    pub snapshots: u64,
    /// How many files were looked at.
    pub files: u64,
    /// How many of them were read as a whole.
    pub files_read: u64,
    /// How large those are.
    pub bytes_read: u64,
    /// Runs that no snapshot names: of one that is being taken, or was broken off.
    /// Retention deletes them.
    pub unnamed_runs: u64,
    /// How large those are.
    pub unnamed_bytes: u64,
}

impl Verified {
    fn read(&mut self, bytes: u64) {
        self.files_read += 1;
        self.bytes_read += bytes;
    }

    fn damaged(&mut self, path: &Path, kind: DamageKind, detail: impl Into<String>) -> &mut Damage {
        self.damages.push(Damage {
            path: path.to_string(),
            kind,
            detail: detail.into(),
            snapshots: Vec::new(),
            holds: None,
            unreadable: Vec::new(),
        });
        let last = self.damages.len() - 1;
        &mut self.damages[last]
    }
}

/// The slots that have a manifest or decisions, and the numbers of these.
type Slots = BTreeMap<SnapshotId, BTreeSet<u32>>;
/// A run, and the snapshots that name it.
type Named = BTreeMap<String, (RunFile, Vec<SnapshotId>)>;

impl TenantVault {
    /// Looks for damage. Nothing is changed.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer: damage is no error.
    pub async fn verify(&self, depth: Depth) -> Result<Verified, StoreError> {
        let mut found = Verified::default();
        let listed = file::metas(self.store.as_ref(), &layout::tenant(self.id())).await?;
        let mut slots = Slots::new();
        let mut runs: Vec<ObjectMeta> = Vec::new();
        for meta in listed {
            found.files += 1;
            let path = &meta.location;
            match layout::known(self.id(), path) {
                None => {
                    found.damaged(
                        path,
                        DamageKind::Foreign,
                        "the vault writes no file of this name",
                    );
                }
                Some(Known::Run(_)) => runs.push(meta),
                Some(Known::Manifest(slot)) => {
                    slots.entry(slot).or_default();
                }
                Some(Known::Fate(slot, number)) => {
                    slots.entry(slot).or_default().insert(number);
                }
                Some(Known::Document) if depth.reads(path) => {
                    self.verify_document(path, &mut found).await?;
                }
                Some(Known::Registration) => {
                    let bytes = file::read(self.store.as_ref(), path).await?;
                    let stored = bytes.map(|bytes| v1::from_json(path.as_ref(), &bytes));
                    let record = stored.transpose().and_then(|stored| {
                        let stored: Option<v1::TenantRecord> = stored;
                        stored
                            .map(|stored| stored.into_domain(path.as_ref(), self.id()))
                            .transpose()
                    });
                    told(record.map(drop), path, DamageKind::Altered, &mut found)?;
                }
                Some(Known::Document | Known::DataKey | Known::Claim | Known::LaneMark) => {}
            }
        }
        let manifests = self.verify_slots(&slots, &mut found).await?;
        found.snapshots = manifests.len() as u64;
        let named = named(&manifests);
        for meta in &runs {
            if !named.contains_key(meta.location.as_ref()) {
                found.unnamed_runs += 1;
                found.unnamed_bytes += meta.size;
            }
        }
        self.verify_runs(&named, depth, &mut found).await?;
        if depth == Depth::EveryByte {
            for manifest in &manifests {
                self.verify_counts(manifest, &mut found).await?;
            }
        }
        self.without_what_went(&mut found).await?;
        found.damages.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Opens every manifest and decision; returns the snapshots that there are.
    async fn verify_slots(
        &self,
        slots: &Slots,
        found: &mut Verified,
    ) -> Result<Vec<Manifest>, StoreError> {
        let mut manifests: Vec<Manifest> = Vec::new();
        let mut over: BTreeSet<SnapshotId> = BTreeSet::new();
        for (slot, fates) in slots {
            let before = found.damages.len();
            self.verify_fates(slot, fates, found).await?;
            let last = match fates.last() {
                None => Fate::Kept,
                Some(number) => match self.entry(slot, Some(*number)).await {
                    Ok(entry) => entry.fate,
                    // It was told above; the snapshot may still be whole.
                    Err(StoreError::Corrupt { .. }) => Fate::Kept,
                    Err(error) => return Err(error),
                },
            };
            if last == Fate::Pruned {
                over.insert(slot.clone());
            } else {
                let path = layout::manifest(self.id(), slot);
                match self.place(slot, &last).await {
                    Ok(Place::Manifest(manifest)) => manifests.push(*manifest),
                    Ok(Place::GivenUp) => {}
                    Ok(Place::Nothing) => {
                        let detail = "it is missing, although something was decided about its snapshot and never that it goes";
                        found.damaged(&path, DamageKind::Missing, detail);
                    }
                    Err(error) => {
                        let kind = self.document_damage(&path).await?;
                        told(Err(error), &path, kind, found)?;
                    }
                }
            }
            for damage in &mut found.damages[before..] {
                damage.snapshots = vec![slot.clone()];
            }
        }
        for manifest in &manifests {
            let Some(since) = &manifest.lineage.since else {
                continue;
            };
            let path = layout::manifest(self.id(), since);
            let is_known = slots.contains_key(since) || over.contains(since);
            if !is_known && !file::exists(self.store.as_ref(), &path).await? {
                let detail = format!(
                    "it is missing: snapshot {} was built on it, and it was never let go",
                    manifest.id()
                );
                found
                    .damaged(&path, DamageKind::Missing, detail)
                    .snapshots
                    .push(since.clone());
            }
        }
        Ok(manifests)
    }

    async fn verify_fates(
        &self,
        slot: &SnapshotId,
        numbers: &BTreeSet<u32>,
        found: &mut Verified,
    ) -> Result<(), StoreError> {
        let last = numbers.last().copied().unwrap_or_default();
        for number in 1..=last {
            let path = layout::fate(self.id(), slot, number);
            if !numbers.contains(&number) && !file::exists(self.store.as_ref(), &path).await? {
                let detail = "it is missing, although a later decision is there";
                found.damaged(&path, DamageKind::Missing, detail);
            } else if let Err(error) = self.entry(slot, Some(number)).await {
                let kind = self.document_damage(&path).await?;
                told(Err(error), &path, kind, found)?;
            }
        }
        Ok(())
    }

    async fn verify_document(&self, path: &Path, found: &mut Verified) -> Result<(), StoreError> {
        match self.open(path).await {
            // Gone since it was listed.
            Ok(None) => Ok(()),
            Ok(Some(content)) => {
                found.read(content.len() as u64);
                Ok(())
            }
            Err(error) => {
                let kind = self.document_damage(path).await?;
                told(Err(error), path, kind, found)
            }
        }
    }

    /// Whether a document that does not open is one of the tenant at all.
    async fn document_damage(&self, path: &Path) -> Result<DamageKind, StoreError> {
        let Some(sealed) = file::read(self.store.as_ref(), path).await? else {
            return Ok(DamageKind::Missing);
        };
        Ok(match seal::decrypt(&self.key, path, &sealed) {
            Ok(_) => DamageKind::Misplaced,
            Err(_) => DamageKind::Altered,
        })
    }

    /// Compares how many objects a snapshot holds with how many its manifest says,
    /// where nothing else is known to be wrong with it.
    async fn verify_counts(
        &self,
        manifest: &Manifest,
        found: &mut Verified,
    ) -> Result<(), StoreError> {
        let is_damaged = |damage: &Damage| damage.snapshots.contains(manifest.id());
        if found.damages.iter().any(is_damaged) {
            return Ok(());
        }
        let chain = self.parts::<ObjectRow>(manifest).await;
        let counted = match chain {
            Ok(chain) => {
                blocking::run(move || {
                    let mut counts: BTreeMap<(ObjectType, bool), u64> = BTreeMap::new();
                    for key in chain.keys()? {
                        let key = key?;
                        if let Some((state, _)) = key.body {
                            let deleted = state == ObjectState::Deleted;
                            *counts.entry((key.object_type, deleted)).or_default() += 1;
                        }
                    }
                    Ok(counts)
                })
                .await
            }
            Err(error) => Err(error),
        };
        let path = layout::manifest(self.id(), manifest.id());
        let counts = match counted {
            Ok(counts) => counts,
            Err(error) => {
                told(Err(error), &path, DamageKind::Altered, found)?;
                return Ok(());
            }
        };
        let mut said: BTreeMap<(ObjectType, bool), u64> = BTreeMap::new();
        for count in &manifest.counts {
            said.insert((count.object_type, false), count.live);
            said.insert((count.object_type, true), count.deleted);
        }
        said.retain(|_, count| *count > 0);
        if said != counts {
            let detail = "its runs do not hold as many objects as it says";
            found
                .damaged(&path, DamageKind::Altered, detail)
                .snapshots
                .push(manifest.id().clone());
        }
        Ok(())
    }

    /// Takes back what is said of snapshots that retention has let go meanwhile.
    async fn without_what_went(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut gone = BTreeSet::new();
        let about = found.damages.iter().flat_map(|damage| &damage.snapshots);
        for slot in about.cloned().collect::<BTreeSet<_>>() {
            match self.fate(&slot).await {
                Ok(last) if last.fate == Fate::Pruned => {
                    gone.insert(slot);
                }
                Ok(_) | Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.damages.retain_mut(|damage| {
            let concerned = !damage.snapshots.is_empty();
            damage.snapshots.retain(|slot| !gone.contains(slot));
            !concerned || !damage.snapshots.is_empty()
        });
        Ok(())
    }
}

/// Every run that a snapshot names, by its path.
fn named(manifests: &[Manifest]) -> Named {
    let mut named = Named::new();
    for manifest in manifests {
        for file in &manifest.runs {
            let path = layout::run(&manifest.tenant, &file.hash);
            let entry = named.entry(path.to_string());
            let (_, snapshots) = entry.or_insert_with(|| (file.clone(), Vec::new()));
            snapshots.push(manifest.id().clone());
        }
    }
    named
}

/// Makes an error about a file a damage of that file, unless it is none.
fn told(
    outcome: Result<(), StoreError>,
    path: &Path,
    kind: DamageKind,
    found: &mut Verified,
) -> Result<(), StoreError> {
    match outcome {
        Ok(()) => Ok(()),
        Err(StoreError::Corrupt { detail, .. }) => {
            found.damaged(path, kind, detail);
            Ok(())
        }
        Err(error) => Err(error),
    }
}
