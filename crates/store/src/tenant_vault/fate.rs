//! What becomes of a committed snapshot: it is kept, held, on its way out, or gone.
//!
//! Its entries are numbered, and each is made by a conditional create, so of two
//! who decide at once one has decided and the other finds that out: a hold that
//! was accepted is never pruned, and a snapshot that was pruned is never held. The
//! last entry counts; none means kept. [`Fate::Pruned`] is the end: it stays for
//! ever, so that a writer that sleeps through everything cannot bring the snapshot
//! back.

use chrono::{DateTime, Utc};
use model::SnapshotId;

use super::TenantVault;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::format::v1;
use crate::layout;
use crate::manifest::Fate;

/// How often a decision is tried that others keep overtaking.
const TRIES: usize = 5;

/// The last entry about a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its number, from 1; 0 where there is none yet.
    pub(crate) number: u32,
    /// What it says.
    pub(crate) fate: Fate,
}

impl TenantVault {
    /// Keeps a snapshot whatever retention says, until the hold is lifted. To repeat
    /// it does no harm.
    ///
    /// # Errors
    /// `NotFound` where there is no such snapshot, or none any more; `Changed` where
    /// others keep deciding; `Unavailable`.
    pub async fn hold(
        &self,
        id: &SnapshotId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.settle(id, |fate| match fate {
            Fate::Held { .. } => None,
            _ => Some(Fate::Held {
                since: now,
                reason: reason.to_owned(),
            }),
        })
        .await
    }

    /// Lifts a hold; retention then judges the snapshot like any other.
    ///
    /// # Errors
    /// As [`TenantVault::hold`].
    pub async fn lift_hold(&self, id: &SnapshotId) -> Result<(), StoreError> {
        self.settle(id, |fate| {
            matches!(fate, Fate::Held { .. }).then_some(Fate::Kept)
        })
        .await
    }

    /// Since when a snapshot is held, and why; `None` where it is not.
    ///
    /// # Errors
    /// `NotFound` where there is no such snapshot; `Corrupt`; `Unavailable`.
    pub async fn hold_of(
        &self,
        id: &SnapshotId,
    ) -> Result<Option<(DateTime<Utc>, String)>, StoreError> {
        Ok(match self.manifest(id).await?.fate {
            Fate::Held { since, reason } => Some((since, reason)),
            _ => None,
        })
    }

    /// Lifts the hold that a snapshot has since a time, and no other.
    ///
    /// # Errors
    /// As [`TenantVault::hold`].
    pub async fn lift_hold_since(
        &self,
        id: &SnapshotId,
        time: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.settle(id, |fate| {
            let meant = matches!(fate, Fate::Held { since, .. } if *since == time);
            meant.then_some(Fate::Kept)
        })
        .await
    }

    async fn settle(
        &self,
        id: &SnapshotId,
        decide: impl Fn(&Fate) -> Option<Fate>,
    ) -> Result<(), StoreError> {
        self.manifest(id).await?;
        for _ in 0..TRIES {
            let last = self.fate(id).await?;
            if last.fate == Fate::Pruned {
                return Err(no_snapshot(id));
            }
            let Some(next) = decide(&last.fate) else {
                return Ok(());
            };
            match self.decide(id, &last, next).await {
                Err(StoreError::Changed { .. }) => {}
                other => return other,
            }
        }
        Err(changed(id))
    }

    /// The last entry about a snapshot.
    ///
    /// # Errors
    /// `Corrupt`; `Unavailable`.
    pub(crate) async fn fate(&self, id: &SnapshotId) -> Result<Entry, StoreError> {
        let paths = file::list(self.store.as_ref(), &layout::fates(self.id(), id)).await?;
        let newest = paths.iter().filter_map(layout::fate_number).max();
        self.entry(id, newest).await
    }

    /// The entry of a number, where there is one.
    pub(super) async fn entry(
        &self,
        id: &SnapshotId,
        number: Option<u32>,
    ) -> Result<Entry, StoreError> {
        let Some(number) = number else {
            return Ok(Entry {
                number: 0,
                fate: Fate::Kept,
            });
        };
        let path = layout::fate(self.id(), id, number);
        let content = self
            .open(&path)
            .await?
            .ok_or_else(|| StoreError::corrupt(path.as_ref(), "it is listed but missing"))?;
        let stored: v1::Fate = v1::from_json(path.as_ref(), &content)?;
        Ok(Entry {
            number,
            fate: stored.into_domain(path.as_ref())?,
        })
    }

    /// Adds an entry behind the last one that the caller knows.
    ///
    /// # Errors
    /// `Changed` where it is not the last one any more; `Unavailable`.
    pub(super) async fn decide(
        &self,
        id: &SnapshotId,
        last: &Entry,
        fate: Fate,
    ) -> Result<(), StoreError> {
        let path = layout::fate(self.id(), id, last.number + 1);
        let content = v1::to_json(&v1::Fate::from(&fate))?;
        match self.create(&path, content).await? {
            Created::Ours => Ok(()),
            Created::Theirs => Err(changed(id)),
        }
    }
}

pub(super) fn no_snapshot(id: &SnapshotId) -> StoreError {
    StoreError::NotFound {
        what: format!("snapshot {id}"),
    }
}

fn changed(id: &SnapshotId) -> StoreError {
    StoreError::Changed {
        what: format!("the fate of snapshot {id}"),
    }
}
