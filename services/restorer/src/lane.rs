//! A restore's hold of the tenant's Conditional Access quota.
//!
//! As long as a restore has steps in that lane, a mark in the store asks the
//! other processes to hold back. When they have had the time to see it, the
//! restore uses the whole lane; until then, and while another restore has a
//! mark, its own share. Nothing rests on the mark: a restore that cannot make
//! one goes on with its share.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use graph::{DirectoryWriter, LOOK, LaneUse};
use model::PlanId;
use runtime::status::chain;
use store::{LaneMark, TenantVault};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Context;

/// How long a mark counts, should its restore be killed.
const TTL: TimeDelta = TimeDelta::seconds(60);
/// How often a mark is renewed.
const RENEWAL: Duration = Duration::from_secs(15);
/// When the others have seen a mark and are done with what they were at.
const NOTICE: Duration = LOOK.saturating_add(Duration::from_secs(1));
/// The distance that the lane asks for between the last request and another's.
const DISTANCE: Duration = Duration::from_secs(1);

/// The quota, held or not.
pub(crate) struct Lane {
    holder: Holder,
    /// Since when it is held, and what renews the mark.
    renewing: Option<(Instant, JoinHandle<()>)>,
    /// Whether no mark can stand any more that a process left which was killed.
    swept: bool,
}

#[derive(Clone)]
struct Holder {
    context: Context,
    vault: TenantVault,
    restore: PlanId,
    directory: Arc<dyn DirectoryWriter>,
    mark: Arc<tokio::sync::Mutex<Option<LaneMark>>>,
}

impl Lane {
    /// A lane that is not held.
    pub(crate) fn new(
        context: &Context,
        vault: &TenantVault,
        restore: &PlanId,
        directory: &Arc<dyn DirectoryWriter>,
    ) -> Self {
        Self {
            holder: Holder {
                context: context.clone(),
                vault: vault.clone(),
                restore: restore.clone(),
                directory: Arc::clone(directory),
                mark: Arc::default(),
            },
            renewing: None,
            swept: false,
        }
    }

    /// Asks the others to hold back, unless that was done.
    pub(crate) async fn take(&mut self) {
        if self.renewing.is_some() {
            return;
        }
        self.holder.directory.use_conditional_access(LaneUse::Share);
        self.holder.renew().await;
        let holder = self.holder.clone();
        let renewing = tokio::spawn(async move {
            tokio::time::sleep(NOTICE).await;
            loop {
                let lane_use = holder.due().await;
                holder.directory.use_conditional_access(lane_use);
                tokio::time::sleep(RENEWAL).await;
                holder.renew().await;
            }
        });
        self.renewing = Some((Instant::now(), renewing));
    }

    /// Leaves the lane to the others; also where a process that was killed had it
    /// for the same restore.
    pub(crate) async fn give_back(&mut self) {
        let swept = std::mem::replace(&mut self.swept, true);
        let Some((taken, renewing)) = self.renewing.take() else {
            if !swept {
                self.holder.end().await;
            }
            return;
        };
        renewing.abort();
        // Only when it has ended can it no longer take the lane or make a mark.
        let _ = renewing.await;
        let Holder { directory, .. } = &self.holder;
        directory.use_conditional_access(LaneUse::Share);
        if taken.elapsed() >= NOTICE {
            // The others send as soon as they see that the mark has ended.
            tokio::time::sleep(DISTANCE).await;
        }
        self.holder.end().await;
    }
}

impl Drop for Lane {
    /// A restore that is cut off gives its mark up to its time.
    fn drop(&mut self) {
        if let Some((_, renewing)) = self.renewing.take() {
            renewing.abort();
            self.holder.directory.use_conditional_access(LaneUse::Share);
        }
    }
}

impl Holder {
    /// Makes a mark, anew or still.
    async fn renew(&self) {
        let now = self.context.deps.clock.now();
        let mut mark = self.mark.lock().await;
        let since = mark.as_ref().map_or(now, |mark| mark.since);
        let marked = self.vault.mark_lane(&self.restore, since, now, TTL).await;
        match marked {
            Ok(marked) => *mark = Some(marked),
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "others cannot be told of the restore; they go on");
            }
        }
    }

    /// What may be used of the lane: all of it where the mark counts and is the
    /// only one.
    async fn due(&self) -> LaneUse {
        let now = self.context.deps.clock.now();
        match self.vault.lane_holders(now).await {
            Ok(holders) if holders == [self.restore.clone()] => LaneUse::Whole,
            Ok(_) | Err(_) => LaneUse::Share,
        }
    }

    async fn end(&self) {
        *self.mark.lock().await = None;
        let now = self.context.deps.clock.now();
        if let Err(error) = self.vault.unmark_lane(&self.restore, now).await {
            let error = chain(&error);
            tracing::warn!(error, "the mark of the restore stays until its time");
        }
    }
}
