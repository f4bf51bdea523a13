//! The daily snapshots: each active tenant's slot of the day, once.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::{SnapshotId, TenantId, slot};
use store::{KeyError, StoreError, Trigger};
use tokio_util::sync::CancellationToken;

use crate::config::Schedule;
use crate::{Context, Error, take};

/// How often the schedule looks for tenants whose slot is open.
const ROUND: Duration = Duration::from_secs(60);
/// How long a failed slot rests before it is tried again.
const REST: TimeDelta = TimeDelta::hours(1);
/// How many snapshots this process takes at a time.
const AT_ONCE: usize = 4;

/// Runs until the token is cancelled.
pub(crate) async fn run(context: Context, schedule: Schedule, stop: CancellationToken) {
    if schedule == Schedule::Off {
        return;
    }
    let mut seen = Seen::default();
    let mut ticker = tokio::time::interval(ROUND);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticker.tick() => {}
        }
        if let Err(error) = round(&context, &mut seen).await {
            tracing::warn!(
                error = runtime::status::chain(&error),
                "a round of the schedule failed; the next one tries again"
            );
        }
    }
}

/// What this process knows of the day's slots; a restart only costs look-ups.
#[derive(Debug, Default)]
struct Seen {
    done: HashMap<TenantId, SnapshotId>,
    tried: HashMap<TenantId, DateTime<Utc>>,
    /// When a tenant was found to be erased; it may come back from a bundle.
    erased: HashMap<TenantId, DateTime<Utc>>,
}

async fn round(context: &Context, seen: &mut Seen) -> Result<(), Error> {
    let now = context.deps.clock.now();
    let today = slot::daily(now.date_naive());
    for tenant in context.deps.vault.tenant_ids().await? {
        if context.jobs.running() >= AT_ONCE {
            return Ok(());
        }
        let name = proto::name::snapshot(&tenant, &today);
        let rests = |at: Option<&DateTime<Utc>>| at.is_some_and(|at| now - *at < REST);
        if seen.done.get(&tenant) == Some(&today)
            || context.jobs.is_running(&name)
            || rests(seen.erased.get(&tenant))
        {
            continue;
        }
        match is_there(context, &tenant, &today).await {
            Ok(true) => {
                seen.done.insert(tenant, today.clone());
            }
            Ok(false) if rests(seen.tried.get(&tenant)) => {}
            Ok(false) => {
                seen.tried.insert(tenant.clone(), now);
                take::start(context, &tenant, &today, Trigger::Scheduled);
            }
            Err(Error::Store(StoreError::Key(KeyError::Erased))) => {
                tracing::info!(%tenant, "an erased tenant has no snapshots");
                seen.erased.insert(tenant, now);
            }
            // One tenant's trouble is not the others'; the next round looks again.
            Err(error) => {
                let error = runtime::status::chain(&error);
                tracing::warn!(%tenant, error, "a tenant's slot cannot be looked at");
            }
        }
    }
    Ok(())
}

async fn is_there(context: &Context, tenant: &TenantId, slot: &SnapshotId) -> Result<bool, Error> {
    let vault = context.deps.vault.tenant(tenant).await?;
    match vault.manifest(slot).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
