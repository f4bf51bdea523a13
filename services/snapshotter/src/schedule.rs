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
    let tenants = context.deps.vault.tenant_ids().await?;
    seen.done.retain(|tenant, _| {
        let is_there = tenants.contains(tenant);
        if !is_there {
            context.metrics.forgotten(tenant);
        }
        is_there
    });
    for tenant in tenants {
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
        match taken(context, &tenant, &today).await {
            Ok(Some(at)) => {
                context.metrics.taken(&tenant, at);
                seen.done.insert(tenant, today.clone());
            }
            Ok(None) if rests(seen.tried.get(&tenant)) => {}
            Ok(None) => {
                if !seen.done.contains_key(&tenant) {
                    tell_yesterdays(context, &tenant, now).await;
                }
                seen.tried.insert(tenant.clone(), now);
                take::start(context, &tenant, &today, Trigger::Scheduled);
            }
            Err(Error::Store(StoreError::Key(KeyError::Erased))) => {
                tracing::info!(%tenant, "an erased tenant has no snapshots");
                context.metrics.forgotten(&tenant);
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

/// When a slot's snapshot was taken, if it was.
async fn taken(
    context: &Context,
    tenant: &TenantId,
    slot: &SnapshotId,
) -> Result<Option<DateTime<Utc>>, Error> {
    let vault = context.deps.vault.tenant(tenant).await?;
    match vault.manifest(slot).await {
        Ok(manifest) => Ok(Some(manifest.meta.finished)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Tells how old the newest snapshot is in a process that has not seen one yet.
async fn tell_yesterdays(context: &Context, tenant: &TenantId, now: DateTime<Utc>) {
    let yesterday = slot::daily((now - TimeDelta::days(1)).date_naive());
    match taken(context, tenant, &yesterday).await {
        Ok(Some(at)) => context.metrics.taken(tenant, at),
        Ok(None) => {}
        Err(error) => {
            let error = runtime::status::chain(&error);
            tracing::warn!(%tenant, error, "yesterday's slot cannot be looked at");
        }
    }
}

#[cfg(test)]
mod tests;
