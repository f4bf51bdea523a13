//! Makes good what was found damaged, as far as that can be done.
//!
//! A damaged file is put back from a copy of the vault, byte for byte: whatever
//! comes from there must be exactly what the manifest names, or authenticate
//! itself as a document of that place. It must never put anything else into the
//! vault, change a file that is whole, nor let a snapshot go that is not damaged.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use model::SnapshotId;
use object_store::path::Path;

use super::TenantVault;
use super::fate::Entry;
use super::verify::{Damage, Depth};
use crate::error::StoreError;
use crate::file;
use crate::layout::{self, Known};
use crate::manifest::Fate;
use crate::seal;

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Files that were put back, sorted.
    pub put_back: Vec<String>,
    /// Snapshots that are held from now on, since it cannot be read any more what
    /// was decided about them.
    pub held: Vec<SnapshotId>,
    /// Damaged snapshots that were let go because that was asked for.
    pub dropped: Vec<SnapshotId>,
    /// What is still damaged.
    pub left: Vec<Damage>,
}

impl TenantVault {
    /// Looks at every byte and makes good what can be. To repeat it, to break it off
    /// and to run it twice at once does no harm.
    ///
    /// `copy` is the same tenant in another store, where there is one. A snapshot in
    /// `drop` is let go if it is still damaged in the end; retention deletes it then.
    /// As long as a snapshot names a file that is missing, retention deletes nothing.
    ///
    /// # Errors
    /// `Invalid` where `drop` names a snapshot that is not damaged: then nothing is
    /// let go; `Unavailable`, after which some of it may be done.
    pub async fn repair(
        &self,
        copy: Option<&TenantVault>,
        drop: &[SnapshotId],
        now: DateTime<Utc>,
    ) -> Result<Repaired, StoreError> {
        let mut done = Repaired::default();
        if let Some(copy) = copy.filter(|copy| copy.id() != self.id()) {
            return Err(StoreError::Invalid(format!(
                "the copy is of another tenant, {}",
                copy.id()
            )));
        }
        // A manifest that was put back may name runs that nobody looked at before.
        let mut found = self.verify(Depth::EveryByte).await?;
        while self.put_all_back(copy, &found.damages, &mut done).await? {
            found = self.verify(Depth::EveryByte).await?;
        }
        if self.hold_undecided(&found.damages, now, &mut done).await? {
            found = self.verify(Depth::EveryByte).await?;
        }
        done.put_back.sort();
        done.left = found.damages;
        self.drop_damaged(drop, &mut done).await?;
        Ok(done)
    }

    /// Whether any file was put back.
    async fn put_all_back(
        &self,
        copy: Option<&TenantVault>,
        damages: &[Damage],
        done: &mut Repaired,
    ) -> Result<bool, StoreError> {
        let Some(copy) = copy else { return Ok(false) };
        let before = done.put_back.len();
        for damage in damages {
            let path = Path::from(damage.path.as_str());
            let known = layout::known(self.id(), &path);
            // Whatever the copy holds, a file that was put back once is not damaged
            // any more, unless the store itself spoils it.
            if done.put_back.contains(&damage.path) {
                continue;
            }
            if let Some(bytes) = self.whole_in(copy, &path, known).await? {
                file::put_back(self.store.as_ref(), &path, bytes).await?;
                tracing::warn!(tenant = %self.id(), %path, "a damaged file was put back from the copy");
                done.put_back.push(damage.path.clone());
            }
        }
        Ok(done.put_back.len() > before)
    }

    /// The file as it was written, where the copy has it.
    async fn whole_in(
        &self,
        copy: &TenantVault,
        path: &Path,
        known: Option<Known>,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some(known) = known else { return Ok(None) };
        let Some(bytes) = file::read(copy.store.as_ref(), path).await? else {
            return Ok(None);
        };
        let is_whole = match known {
            Known::Run(hash) => blake3::hash(&bytes) == hash,
            Known::Manifest(_) | Known::Document => {
                match seal::open_document(&self.key, path, &bytes) {
                    Ok(_) => true,
                    Err(StoreError::Corrupt { .. }) => false,
                    Err(error) => return Err(error),
                }
            }
            // The copy has its own registration, keys, claims and decisions.
            Known::Registration
            | Known::DataKey
            | Known::Claim
            | Known::LaneMark
            | Known::Fate(..) => false,
        };
        Ok(is_whole.then_some(bytes))
    }

    /// Holds the snapshots whose last decision cannot be read: nobody must lose one
    /// that was held, and the unreadable decision would keep retention from working.
    async fn hold_undecided(
        &self,
        damages: &[Damage],
        now: DateTime<Utc>,
        done: &mut Repaired,
    ) -> Result<bool, StoreError> {
        for damage in damages {
            let path = Path::from(damage.path.as_str());
            let Some(Known::Fate(slot, number)) = layout::known(self.id(), &path) else {
                continue;
            };
            if self.last_number(&slot).await? != number {
                continue;
            }
            let last = Entry {
                number,
                fate: Fate::Kept,
            };
            let held = Fate::Held {
                since: now,
                reason: format!("decision {number} about this snapshot is damaged"),
            };
            match self.decide(&slot, &last, held).await {
                Ok(()) => done.held.push(slot),
                // Somebody decided in this moment; that counts.
                Err(StoreError::Changed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(!done.held.is_empty())
    }

    async fn drop_damaged(
        &self,
        drop: &[SnapshotId],
        done: &mut Repaired,
    ) -> Result<(), StoreError> {
        let damaged = |slot: &SnapshotId| {
            let mut damages = done.left.iter();
            damages.any(|damage| damage.snapshots.contains(slot))
        };
        if let Some(whole) = drop.iter().find(|slot| !damaged(slot)) {
            return Err(StoreError::Invalid(format!(
                "snapshot {whole} is not damaged, so it is not let go"
            )));
        }
        for slot in drop {
            // One that is held stays whatever is wrong with it.
            let last = self.fate(slot).await?;
            if matches!(last.fate, Fate::Held { .. }) {
                return Err(StoreError::Invalid(format!(
                    "snapshot {slot} is held, so it is not let go"
                )));
            }
            self.decide(slot, &last, Fate::Pruned).await?;
            tracing::warn!(tenant = %self.id(), snapshot = %slot, "a damaged snapshot was let go");
            done.dropped.push(slot.clone());
        }
        for damage in &mut done.left {
            damage.snapshots.retain(|slot| !drop.contains(slot));
        }
        done.left.retain(|damage| {
            let path = Path::from(damage.path.as_str());
            let foreign = layout::known(self.id(), &path).is_none();
            let apart = matches!(
                layout::known(self.id(), &path),
                Some(Known::Document | Known::Registration)
            );
            foreign || apart || !damage.snapshots.is_empty()
        });
        Ok(())
    }

    async fn last_number(&self, slot: &SnapshotId) -> Result<u32, StoreError> {
        let paths = file::list(self.store.as_ref(), &layout::fates(self.id(), slot)).await?;
        let newest = paths.iter().filter_map(layout::fate_number).max();
        Ok(newest.unwrap_or_default())
    }
}
