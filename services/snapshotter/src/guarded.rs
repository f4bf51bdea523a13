//! Guarded changes: what ends or weakens the protection of a tenant is asked for by one
//! person, agreed to by another, and done after a while.
//!
//! Owns their way from the request to the effect. Everything stands in the store: a
//! change is created once under its number, each step after it too, and a mark beside the
//! tenants says which changes are open, so that one list finds them all. It must never
//! let a clock decide more than that the time has come.

pub(crate) mod apply;
pub(crate) mod decide;
pub(crate) mod erase;
mod error;
mod journal;
pub(crate) mod propose;
pub(crate) mod rpc;
mod tell;

use std::time::Duration;

use futures::StreamExt;
use model::TenantId;
use proto::v1::{GuardedChangeKind, GuardedStep, GuardedStepKind};
use store::TenantVault;
use tokio_util::sync::CancellationToken;

pub use error::ChangeError;

use crate::{Context, Error};
use apply::Looked;
use journal::Journal;

/// How often open changes are looked at.
const ROUND: Duration = Duration::from_secs(60);
/// How many changes are looked at at a time; those of one tenant one after the other.
const AT_ONCE: usize = 8;

/// Carries changes out whose time has come, until the token is cancelled.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    let mut ticker = tokio::time::interval(ROUND);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticker.tick() => {}
            // Where nobody has to wait, it takes effect at once.
            _ = context.approvals.rung() => {}
        }
        if let Err(error) = round(&context).await {
            tracing::warn!(
                error = runtime::status::chain(&error),
                "guarded changes could not be looked at; the next round tries again"
            );
        }
    }
}

/// Looks at every open change once.
pub(crate) async fn round(context: &Context) -> Result<(), Error> {
    let vault = &context.deps.vault;
    for (tenant, number) in vault.unfinished_erasures().await? {
        let finished = erase::finish(context, &tenant, number).await;
        log(&tenant, number, finished);
    }
    let mut by_tenant: Vec<(TenantId, Vec<u32>)> = Vec::new();
    for (tenant, number) in vault.open_changes().await? {
        match by_tenant.last_mut() {
            Some((last, numbers)) if *last == tenant => numbers.push(number),
            _ => by_tenant.push((tenant, vec![number])),
        }
    }
    futures::stream::iter(by_tenant)
        .for_each_concurrent(AT_ONCE, |(tenant, numbers)| async move {
            for number in numbers {
                let looked = one(context, &tenant, number).await;
                log(&tenant, number, looked);
            }
        })
        .await;
    Ok(())
}

/// Looks at one change, and takes its mark away where it has come to its end.
async fn one(context: &Context, tenant: &TenantId, number: u32) -> Result<(), Error> {
    let looked = match apply::look(context, tenant, number).await {
        // What it was about is gone.
        Err(error) if error.is_of_an_erased_tenant() => Looked::Ended,
        other => other?,
    };
    if looked == Looked::Ended {
        context.deps.vault.unmark_change(tenant, number).await?;
        context.news.ring(tenant);
    }
    Ok(())
}

/// Reads a change. One that erased its tenant could not say so in the tenant itself:
/// where the keys came back from a bundle, the certificate says it.
pub(crate) async fn load(
    context: &Context,
    vault: &TenantVault,
    number: u32,
) -> Result<Journal, Error> {
    let there = journal::load(vault, number).await?;
    let erases = matches!(
        there.change.kind(),
        GuardedChangeKind::EraseKeys | GuardedChangeKind::Offboard
    );
    let begun = there.steps.last().map(GuardedStep::kind) == Some(GuardedStepKind::Begun);
    if !(erases && begun) {
        return Ok(there);
    }
    let Some(erase_time) = erase::certified(context, vault.id(), number).await? else {
        return Ok(there);
    };
    let step = GuardedStep {
        kind: GuardedStepKind::Applied.into(),
        time: erase_time,
        ..GuardedStep::default()
    };
    // Whoever was faster says the same.
    there.take(vault, step).await?;
    journal::load(vault, number).await
}

/// How many changes of a tenant have not come to their end.
pub(crate) async fn open_count(context: &Context, vault: &TenantVault) -> Result<i32, Error> {
    let now = context.deps.clock.now();
    let mut open = 0;
    for number in journal::numbers(vault).await? {
        match load(context, vault, number).await {
            Ok(there) => open += i32::from(there.is_open(now)),
            Err(Error::Change(ChangeError::Missing(_))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(open)
}

fn log(tenant: &TenantId, number: u32, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        let error = runtime::status::chain(&error);
        tracing::warn!(%tenant, number, error, "a guarded change could not be looked at; the next round tries again");
    }
}

#[cfg(test)]
mod tests;
