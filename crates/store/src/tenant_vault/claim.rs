//! Claims: who works on a slot, so that two do not do the same work.
//!
//! A claim saves work and nothing else. Two holders of one slot, a lost or a
//! damaged claim, or a wrong clock never harm a snapshot: the manifest's
//! conditional create decides. No other takes over before a claim has expired,
//! and a holder stops before that unless it renews, so two never work at once
//! as long as their clocks are about right.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use model::SnapshotId;

use super::TenantVault;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::format::v1;
use crate::layout;
use crate::manifest::Fate;

/// The right to work on a slot until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The slot.
    pub slot: SnapshotId,
    /// Which attempt at the slot this is, from 1.
    pub attempt: u32,
    /// Who works.
    pub holder: String,
    /// Until when no other may take over.
    pub expires_at: DateTime<Utc>,
}

impl TenantVault {
    /// Claims a slot: the first attempt, or the next one after the newest
    /// attempt has expired or was released.
    ///
    /// # Errors
    /// `SlotTaken` where another process holds it; `Exists` where its snapshot
    /// is there already; `Unavailable`.
    pub async fn claim(
        &self,
        slot: &SnapshotId,
        holder: &str,
        now: DateTime<Utc>,
        ttl: TimeDelta,
    ) -> Result<Claim, StoreError> {
        let manifest = layout::manifest(self.id(), slot);
        if file::exists(self.store.as_ref(), &manifest).await?
            || self.fate(slot).await?.fate == Fate::Pruned
        {
            return Err(StoreError::Exists {
                what: format!("snapshot {slot}"),
            });
        }
        let newest = self.newest_attempt(slot).await?;
        if let Some(standing) = self.standing(slot, newest, now).await? {
            return Err(taken(slot, &standing));
        }
        self.attempt(slot, newest + 1, holder, now, ttl).await
    }

    /// Holds a slot for longer: the next attempt is the same holder's, unless
    /// another took over.
    ///
    /// # Errors
    /// `SlotTaken` where the claim has expired, since whoever has an expired
    /// claim has none, or where another process holds the slot; `Unavailable`.
    pub async fn renew(
        &self,
        claim: &Claim,
        now: DateTime<Utc>,
        ttl: TimeDelta,
    ) -> Result<Claim, StoreError> {
        if claim.expires_at <= now {
            let lost = v1::Claim::new("nobody any more", now, claim.expires_at);
            return Err(taken(&claim.slot, &lost));
        }
        let (slot, holder) = (&claim.slot, &claim.holder);
        self.attempt(slot, claim.attempt + 1, holder, now, ttl)
            .await
    }

    /// Creates one attempt, or tells whose it is.
    async fn attempt(
        &self,
        slot: &SnapshotId,
        attempt: u32,
        holder: &str,
        now: DateTime<Utc>,
        ttl: TimeDelta,
    ) -> Result<Claim, StoreError> {
        let expires_at = now
            .checked_add_signed(ttl)
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        let stored = v1::Claim::new(holder, now, expires_at);
        let path = layout::claim(self.id(), slot, attempt);
        match file::create(
            self.store.as_ref(),
            &path,
            Bytes::from(v1::to_json(&stored)?),
        )
        .await?
        {
            Created::Ours => Ok(Claim {
                slot: slot.clone(),
                attempt,
                holder: holder.to_owned(),
                expires_at,
            }),
            Created::Theirs => {
                let winner = self.standing(slot, attempt, now).await?;
                let winner = winner.unwrap_or_else(|| v1::Claim::new("another process", now, now));
                Err(taken(slot, &winner))
            }
        }
    }

    /// Gives a slot back before the claim expires. To repeat it does no harm.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn release(&self, claim: &Claim) -> Result<(), StoreError> {
        let path = layout::claim_release(self.id(), &claim.slot, claim.attempt);
        file::create(
            self.store.as_ref(),
            &path,
            Bytes::from_static(b"released\n"),
        )
        .await
        .map(|_| ())
    }

    /// When the last claim of a slot ends; whether it was given back does not count,
    /// since what its holder had sent by then may still arrive. A claim that nobody
    /// can read counts as long ended.
    pub(super) async fn last_end(
        &self,
        slot: &SnapshotId,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let mut last = None;
        for path in file::list(self.store.as_ref(), &layout::claims(self.id(), slot)).await? {
            let is_claim = path
                .filename()
                .is_some_and(|name| name.parse::<u32>().is_ok());
            let content = match is_claim {
                true => file::read(self.store.as_ref(), &path).await?,
                false => None,
            };
            let Some(bytes) = content else { continue };
            let ends = v1::from_json::<v1::Claim>(path.as_ref(), &bytes)
                .map_or(DateTime::<Utc>::MIN_UTC, |claim| claim.expires_at);
            last = last.max(Some(ends));
        }
        Ok(last)
    }

    /// The number of the newest attempt at a slot; 0 where there is none.
    async fn newest_attempt(&self, slot: &SnapshotId) -> Result<u32, StoreError> {
        let paths = file::list(self.store.as_ref(), &layout::claims(self.id(), slot)).await?;
        Ok(paths
            .iter()
            .filter_map(|path| path.filename()?.parse().ok())
            .max()
            .unwrap_or(0))
    }

    /// The claim of an attempt, where it still stands.
    async fn standing(
        &self,
        slot: &SnapshotId,
        attempt: u32,
        now: DateTime<Utc>,
    ) -> Result<Option<v1::Claim>, StoreError> {
        let path = layout::claim(self.id(), slot, attempt);
        let Some(bytes) = file::read(self.store.as_ref(), &path).await? else {
            return Ok(None);
        };
        let claim: v1::Claim = match v1::from_json(path.as_ref(), &bytes) {
            Ok(claim) => claim,
            Err(error) => {
                // A slot must not stay blocked for ever by a file that nobody can read.
                tracing::warn!(tenant = %self.id(), %slot, attempt, %error, "unreadable claim is passed over");
                return Ok(None);
            }
        };
        if claim.expires_at <= now {
            return Ok(None);
        }
        let released = file::exists(
            self.store.as_ref(),
            &layout::claim_release(self.id(), slot, attempt),
        )
        .await?;
        Ok((!released).then_some(claim))
    }
}

fn taken(slot: &SnapshotId, claim: &v1::Claim) -> StoreError {
    StoreError::SlotTaken {
        slot: slot.to_string(),
        holder: claim.holder.clone(),
        until: claim.expires_at,
    }
}
