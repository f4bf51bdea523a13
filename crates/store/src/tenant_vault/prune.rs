//! Lets go of what retention no longer keeps, in two phases, and of what nobody
//! will ever name.
//!
//! A snapshot is marked first, and stays readable; when the grace has passed it is
//! pruned, unless it was held or is wanted again by then. Then the files go that
//! no snapshot names.
//!
//! Why no living snapshot can lose a file, without a lock and whatever clocks say:
//! a writer claims its slot before it chooses the snapshot to go on from, and does
//! not choose one that is marked. Here, files are listed first, then claims, then
//! manifests. A slot that was claimed and has no manifest is given up, by creating
//! its manifest in the writer's place, or else no file is deleted this time; so a
//! writer that claimed before the listing commits nothing any more, however long it
//! slept. A writer that claims later finds only snapshots that are kept, and adds
//! files that were not there when files were listed. Clocks decide only whether a
//! slot is given up or waited for. What a frozen run of this very code deletes
//! when it wakes was nobody's when it looked, and nothing becomes somebody's again:
//! fates are decided by conditional creates ([`super::fate`]).
//!
//! All this rests on lists that hold what was written before they were asked for,
//! which [`crate::check`] tries. What they still show of deleted files does no harm.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use model::retention::{Candidate, Policy, expired};
use model::{ReportId, SnapshotId};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::TenantVault;
use super::reports::{Hold, Living};
use super::snapshot::{Place, Slot};
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::format::v1;
use crate::layout::{self, Area};
use crate::manifest::{Fate, Manifest, Trigger};

/// How many numbered cursors stay: those of about a day.
const CURSORS: usize = 48;

/// What was let go.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// Snapshots that were marked: they go when the grace has passed.
    pub marked: Vec<SnapshotId>,
    /// Snapshots whose mark was taken back, since they are wanted again.
    pub spared: Vec<SnapshotId>,
    /// Snapshots that are no more.
    pub removed: Vec<SnapshotId>,
    /// Slots that somebody had begun and that nobody can commit any more.
    pub given_up: Vec<SnapshotId>,
    /// Reports that went with their snapshots, or that were never finished.
    pub reports: Vec<ReportId>,
    /// Files that were deleted.
    pub files: u64,
    /// How large they were.
    pub bytes: u64,
    /// The slot that may still be committed, because of which no run was deleted.
    pub waits_for: Option<SnapshotId>,
}

/// The files of each slot's claims.
type Claims = BTreeMap<SnapshotId, Vec<ObjectMeta>>;

/// How the claims of a slot stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Its last holder may be at work.
    Maybe,
    /// Its last claim ended longer ago than anybody works.
    Abandoned,
}

impl TenantVault {
    /// Applies a policy. To repeat it, to break it off and to run it many times at
    /// once does no harm.
    ///
    /// # Errors
    /// `Corrupt` where a manifest cannot be read or a file that a snapshot names is
    /// missing: then nothing is deleted, since what is there may be needed to make
    /// it good; `Unavailable`, after which some of it may be done.
    pub async fn prune(
        &self,
        policy: &Policy,
        grace: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Pruned, StoreError> {
        let mut done = Pruned::default();
        let runs = file::metas(self.store.as_ref(), &layout::runs(self.id())).await?;
        let reports = self.filed_reports().await?;
        let claims = self.all_claims().await?;
        self.give_up(&claims, now - grace, now, &mut done).await?;
        let (slots, problems) = self.slots().await?;
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem.error);
        }
        let (snapshots, over): (Vec<Slot>, Vec<Slot>) = slots.into_iter().partition(is_snapshot);
        let manifests: Vec<&Manifest> = snapshots.iter().filter_map(manifest_of).collect();
        let there: HashSet<&Path> = runs.iter().map(|meta| &meta.location).collect();
        self.nothing_is_missing(&manifests, &there).await?;

        let candidates: Vec<Candidate> = manifests.into_iter().map(candidate).collect();
        let unwanted = expired(policy, now, &candidates);
        let (mut named, mut living) = (HashSet::new(), Living::new());
        for slot in &snapshots {
            match self.judge(slot, &unwanted, grace, now, &mut done).await? {
                true => self.clear(slot, &claims, &mut done).await?,
                false => {
                    let manifest = manifest_of(slot).into_iter();
                    named.extend(manifest.flat_map(|it| self.files_of(it)));
                    living.insert(slot.id.clone(), hold_of(slot));
                }
            }
        }
        for slot in &over {
            self.end(slot, &claims, &mut done).await?;
        }
        if done.waits_for.is_none() {
            for run in runs.iter().filter(|run| !named.contains(&run.location)) {
                self.delete(&run.location, run.size, &mut done).await?;
            }
        }
        self.clear_lane(now - grace, &mut done).await?;
        self.clear_cursors(&mut done).await?;
        self.clear_reports(&reports, &living, now - grace, &mut done)
            .await?;
        Ok(done)
    }

    /// Sees to it that no slot can be committed any more that was claimed and has no
    /// manifest, or says which may be.
    async fn give_up(
        &self,
        claims: &Claims,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
        done: &mut Pruned,
    ) -> Result<(), StoreError> {
        for (slot, open) in self.open_slots(claims, before).await? {
            match open {
                Open::Maybe => done.waits_for = Some(slot),
                Open::Abandoned => {
                    let path = layout::manifest(self.id(), &slot);
                    let content = v1::to_json(&v1::GivenUp::new(now))?;
                    // Where the writer was faster there is a snapshot now.
                    if self.create(&path, content).await? == Created::Ours {
                        done.given_up.push(slot);
                    }
                }
            }
        }
        Ok(())
    }

    async fn all_claims(&self) -> Result<Claims, StoreError> {
        let mut claims = Claims::new();
        let folder = layout::all_claims(self.id());
        for meta in file::metas(self.store.as_ref(), &folder).await? {
            if let Some(slot) = layout::claimed_slot(self.id(), &meta.location) {
                claims.entry(slot).or_default().push(meta);
            }
        }
        Ok(claims)
    }

    /// The slots that were claimed and have no manifest.
    async fn open_slots(
        &self,
        claims: &Claims,
        before: DateTime<Utc>,
    ) -> Result<BTreeMap<SnapshotId, Open>, StoreError> {
        let mut open = BTreeMap::new();
        for slot in claims.keys().cloned() {
            let manifest = layout::manifest(self.id(), &slot);
            if file::exists(self.store.as_ref(), &manifest).await?
                || self.fate(&slot).await?.fate == Fate::Pruned
            {
                continue;
            }
            if let Some(last) = self.last_end(&slot).await? {
                let state = match last < before {
                    true => Open::Abandoned,
                    false => Open::Maybe,
                };
                open.insert(slot, state);
            }
        }
        Ok(open)
    }

    /// Whether every file that a snapshot names is there.
    async fn nothing_is_missing(
        &self,
        manifests: &[&Manifest],
        there: &HashSet<&Path>,
    ) -> Result<(), StoreError> {
        for manifest in manifests {
            for path in self.files_of(manifest) {
                // One that was written since the listing is not in it.
                if !there.contains(&path) && !file::exists(self.store.as_ref(), &path).await? {
                    let detail = format!(
                        "it is missing; snapshot {} names it, so nothing is pruned",
                        manifest.id()
                    );
                    return Err(StoreError::corrupt(path.as_ref(), detail));
                }
            }
        }
        Ok(())
    }

    fn files_of(&self, manifest: &Manifest) -> Vec<Path> {
        let runs = manifest.runs.iter();
        runs.map(|run| layout::run(self.id(), &run.hash)).collect()
    }

    /// Decides a snapshot's fate; whether it is gone.
    async fn judge(
        &self,
        slot: &Slot,
        unwanted: &BTreeSet<SnapshotId>,
        grace: TimeDelta,
        now: DateTime<Utc>,
        done: &mut Pruned,
    ) -> Result<bool, StoreError> {
        let (next, told) = match (&slot.last.fate, unwanted.contains(&slot.id)) {
            (Fate::Kept, true) => (Fate::Expiring { since: now }, &mut done.marked),
            (Fate::Expiring { .. }, false) => (Fate::Kept, &mut done.spared),
            (Fate::Expiring { since }, true) if *since + grace <= now => {
                (Fate::Pruned, &mut done.removed)
            }
            _ => return Ok(false),
        };
        let gone = next == Fate::Pruned;
        match self.decide(&slot.id, &slot.last, next).await {
            Ok(()) => told.push(slot.id.clone()),
            // Somebody decided otherwise in this moment; the next time counts that.
            Err(StoreError::Changed { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(gone)
    }

    /// Gives a slot without a snapshot its last word, where it is over, and deletes
    /// what else is left of it.
    async fn end(&self, slot: &Slot, claims: &Claims, done: &mut Pruned) -> Result<(), StoreError> {
        match (&slot.last.fate, &slot.place) {
            (Fate::Pruned, _) => {}
            (_, Place::GivenUp) => match self.decide(&slot.id, &slot.last, Fate::Pruned).await {
                Ok(()) => {}
                Err(StoreError::Changed { .. }) => return Ok(()),
                Err(error) => return Err(error),
            },
            _ => return Ok(()),
        }
        self.clear(slot, claims, done).await
    }

    /// Deletes all of a slot that is over but what was decided about it, of which
    /// each number must stay taken.
    async fn clear(
        &self,
        slot: &Slot,
        claims: &Claims,
        done: &mut Pruned,
    ) -> Result<(), StoreError> {
        let decided = |meta: &&ObjectMeta| layout::fate_number(&meta.location).is_some();
        for meta in slot.files.iter().filter(|meta| !decided(meta)) {
            self.delete(&meta.location, meta.size, done).await?;
        }
        for meta in claims.get(&slot.id).into_iter().flatten() {
            self.delete(&meta.location, meta.size, done).await?;
        }
        Ok(())
    }

    /// Marks of restores that count no longer.
    async fn clear_lane(&self, before: DateTime<Utc>, done: &mut Pruned) -> Result<(), StoreError> {
        let until = layout::lane_from(self.id(), before);
        for meta in file::metas(self.store.as_ref(), &layout::lane(self.id())).await? {
            if meta.location < until {
                self.delete(&meta.location, meta.size, done).await?;
            }
        }
        Ok(())
    }

    /// Numbered cursors and summaries but the newest ones, which alone count. Whoever slept so long
    /// that the number it goes on from is gone makes one that is behind them.
    async fn clear_cursors(&self, done: &mut Pruned) -> Result<(), StoreError> {
        for (area, id) in [
            (Area::Cursors, layout::AUDIT),
            (Area::Summary, layout::OVERVIEW),
        ] {
            let folder = layout::documents(self.id(), area, id)?;
            let cursors = file::metas(self.store.as_ref(), &folder).await?;
            let over = cursors.len().saturating_sub(CURSORS);
            for meta in &cursors[..over] {
                self.delete(&meta.location, meta.size, done).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn delete(
        &self,
        path: &Path,
        size: u64,
        done: &mut Pruned,
    ) -> Result<(), StoreError> {
        file::delete(self.store.as_ref(), path).await?;
        done.files += 1;
        done.bytes += size;
        Ok(())
    }
}

/// The snapshot in a slot.
fn manifest_of(slot: &Slot) -> Option<&Manifest> {
    match &slot.place {
        Place::Manifest(manifest) if slot.last.fate != Fate::Pruned => Some(manifest),
        _ => None,
    }
}

fn hold_of(slot: &Slot) -> Hold {
    match slot.last.fate {
        Fate::Held { .. } => Hold::Held,
        _ => Hold::Free,
    }
}

fn is_snapshot(slot: &Slot) -> bool {
    manifest_of(slot).is_some()
}

fn candidate(manifest: &Manifest) -> Candidate {
    let complete = manifest.completeness.iter();
    Candidate {
        id: manifest.id().clone(),
        taken: manifest.meta.started,
        daily: manifest.meta.trigger == Trigger::Scheduled,
        complete: complete
            .filter(|record| record.is_complete())
            .map(|record| record.kind)
            .collect(),
        held: matches!(manifest.fate, Fate::Held { .. }),
    }
}
