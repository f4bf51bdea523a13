//! Who has the tenant's Conditional Access quota: a restore that runs says so.
//!
//! Like a claim, a mark saves trouble and nothing else: a lost mark or a wrong
//! clock costs requests that Graph refuses for now, never a wrong result. A mark
//! is a file whose name holds until when it counts, so that one listing from now
//! on shows the marks that count, however many were made before.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use model::PlanId;
use object_store::path::Path;

use super::TenantVault;
use crate::error::StoreError;
use crate::file;
use crate::format::v1;
use crate::layout;

/// A restore's mark that it has the quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneMark {
    /// The restore.
    pub restore: PlanId,
    /// Since when it has the quota.
    pub since: DateTime<Utc>,
    /// Until when others hold back unless the mark is renewed or ended.
    pub until: DateTime<Utc>,
}

impl TenantVault {
    /// Marks that a restore has the quota, anew or still, for a while from now.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn mark_lane(
        &self,
        restore: &PlanId,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
        ttl: TimeDelta,
    ) -> Result<LaneMark, StoreError> {
        let until = now.checked_add_signed(ttl).unwrap_or(now);
        let stored = v1::Claim::new(restore.as_str(), since, until);
        let path = layout::lane_mark(self.id(), until, restore);
        // Whoever made a mark of that name made the same.
        file::create(
            self.store.as_ref(),
            &path,
            Bytes::from(v1::to_json(&stored)?),
        )
        .await?;
        Ok(LaneMark {
            restore: restore.clone(),
            since,
            until,
        })
    }

    /// Ends the marks of a restore before their time, those of a process that was
    /// killed included. To repeat it does no harm.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn unmark_lane(
        &self,
        restore: &PlanId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        for path in self.lane_marks(now).await? {
            let mark = path.filename().and_then(layout::lane_mark_of);
            if mark.is_none_or(|(of, ended)| of != *restore || ended) {
                continue;
            }
            let end = layout::lane_mark_end_of(&path);
            file::create(self.store.as_ref(), &end, Bytes::from_static(b"ended\n")).await?;
        }
        Ok(())
    }

    /// The marks that count at a time or later, and their ends, in order.
    async fn lane_marks(&self, now: DateTime<Utc>) -> Result<Vec<Path>, StoreError> {
        let folder = layout::lane(self.id());
        let from = layout::lane_from(self.id(), now);
        file::list_from(self.store.as_ref(), &folder, &from).await
    }

    /// The restores that have the quota now, sorted: those whose newest mark
    /// counts still and was not ended.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn lane_holders(&self, now: DateTime<Utc>) -> Result<Vec<PlanId>, StoreError> {
        let paths = self.lane_marks(now).await?;
        let mut newest = BTreeMap::new();
        // In order, so that a later mark, or the end of the same, comes after.
        for name in paths.iter().filter_map(|path| path.filename()) {
            let Some((restore, ended)) = layout::lane_mark_of(name) else {
                continue;
            };
            newest.insert(restore, ended);
        }
        let holders = newest.into_iter().filter(|(_, ended)| !ended);
        Ok(holders.map(|(restore, _)| restore).collect())
    }

    /// Whether a restore has the quota now. Where the store does not say, none has:
    /// that costs requests which Graph refuses, and nothing else.
    pub async fn restore_runs(&self, now: DateTime<Utc>) -> bool {
        match self.lane_holders(now).await {
            Ok(holders) => !holders.is_empty(),
            Err(error) => {
                tracing::warn!(tenant = %self.id(), %error, "whether a restore runs is not known; taken as no");
                false
            }
        }
    }
}
