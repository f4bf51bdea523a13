//! Brings signals to the tenants' webhooks, each at least once.
//!
//! Whoever is killed anywhere leaves documents from which every replica goes on:
//! before an attempt its number is taken, after it its outcome is noted, and what has
//! no outcome is sent again, under the same id. One that is slow has its turn and no
//! more, and no snapshot waits for any.

pub(crate) mod backoff;
mod dues;
pub(crate) mod ledger;
mod records;
mod sending;
mod signature;
pub(crate) mod turns;
mod webhook;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::{ErrorKind, TenantId};
use proto::convert::severity;
use proto::v1::Signal;
use runtime::status::{Fault, chain};
use store::{TenantState, TenantVault, Webhook};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Context, Error, signals};
use dues::Dues;
use ledger::{Delivery, Documents, Ledger};
pub use records::Records;
use sending::Post;
use turns::Turns;
pub use webhook::Webhooks;

/// How many tenants have their turn at once.
const AT_ONCE: usize = 32;
/// How long a tenant rests whose turn could not be ended.
const REST: Duration = Duration::from_secs(60);
/// How often the ages of what is not delivered are told.
const TOLD: Duration = Duration::from_secs(60);
/// How long ago a signal may have been raised that a collector is told of.
const TOLD_FOR: TimeDelta = TimeDelta::days(7);
/// How many records one turn settles at most.
const MOST_RECORDS: usize = 64;
/// After how long a turn tells no further record: a collector holds up no letter.
const RECORDING: Duration = Duration::from_secs(3);
/// How much the clocks of two replicas may differ.
const CLOCKS: TimeDelta = TimeDelta::minutes(5);

/// Delivers until the token is cancelled: what is raised here at once, what failed
/// when its time has come, and what others left behind now and then.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    let Some(webhooks) = context.webhooks.clone() else {
        return;
    };
    let mut turns = Turns::default();
    let dues = Dues::default();
    let mut ages: HashMap<TenantId, DateTime<Utc>> = HashMap::new();
    let mut running = JoinSet::new();
    let mut names = HashMap::new();
    let mut sweep = tokio::time::interval(context.delivery_sweep);
    let mut told = tokio::time::interval(TOLD);
    loop {
        while running.len() < AT_ONCE
            && let Some(tenant) = turns.next()
        {
            let (context, webhooks, of) = (context.clone(), webhooks.clone(), tenant.clone());
            let dues = dues.clone();
            let task = running.spawn(async move { turn(&context, &webhooks, &dues, &of).await });
            names.insert(task.id(), tenant);
        }
        let due = turns.next_time();
        tokio::select! {
            () = stop.cancelled() => return,
            rung = context.bell.rung() => rung.into_iter().for_each(|it| turns.ask(it)),
            Some(ended) = running.join_next_with_id() => {
                let (task, outcome) = match ended {
                    Ok((task, outcome)) => (task, outcome),
                    Err(error) => {
                        tracing::error!(%error, "a turn of deliveries broke down");
                        (error.id(), Turn::broken())
                    }
                };
                let Some(tenant) = names.remove(&task) else { continue };
                // What was known before holds where nothing was learned.
                if outcome.looked {
                    match outcome.oldest {
                        Some(oldest) => ages.insert(tenant.clone(), oldest),
                        None => ages.remove(&tenant),
                    };
                }
                tell_age(&context, &tenant, ages.get(&tenant).copied());
                let next = outcome.next.at(context.deps.clock.now());
                turns.done(tenant, next);
            }
            _ = sweep.tick() => match context.deps.vault.tenant_ids().await {
                Ok(tenants) => tenants.into_iter().for_each(|it| turns.ask(it)),
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(error, "tenants cannot be listed to deliver their signals");
                }
            },
            _ = told.tick() => {
                for (tenant, oldest) in &ages {
                    tell_age(&context, tenant, Some(*oldest));
                }
            }
            () = at(due) => turns.call(Instant::now()),
        }
    }
}

/// Waits until a time; for ever where there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn tell_age(context: &Context, tenant: &TenantId, oldest: Option<DateTime<Utc>>) {
    let age = oldest.map(|oldest| context.deps.clock.now() - oldest);
    context.metrics.undelivered(tenant, age);
}

/// How a turn ended.
#[derive(Debug)]
struct Turn {
    next: Next,
    /// When the oldest signal was raised that is under way.
    oldest: Option<DateTime<Utc>>,
    /// Whether that is known.
    looked: bool,
}

impl Turn {
    /// One without anything to do.
    fn idle() -> Self {
        Self {
            next: Next::Never,
            oldest: None,
            looked: true,
        }
    }

    /// One that could not be ended.
    fn broken() -> Self {
        Self {
            next: Next::After(REST),
            oldest: None,
            looked: false,
        }
    }
}

/// When a tenant wants its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// When somebody asks.
    Never,
    /// As soon as the others had theirs.
    Now,
    /// At a time.
    At(DateTime<Utc>),
    /// When it has rested.
    After(Duration),
}

impl Next {
    fn at(self, now: DateTime<Utc>) -> Option<Instant> {
        let after = match self {
            Self::Never => return None,
            Self::Now => Duration::ZERO,
            Self::At(time) => (time - now).to_std().unwrap_or_default(),
            Self::After(rest) => rest,
        };
        Some(Instant::now() + after)
    }

    /// The earlier of the two.
    fn or_at(self, time: DateTime<Utc>) -> Self {
        match self {
            Self::Now => Self::Now,
            Self::At(other) => Self::At(other.min(time)),
            Self::Never | Self::After(_) => Self::At(time),
        }
    }
}

/// One tenant's turn. What goes wrong is told, and tried again later.
async fn turn(context: &Context, webhooks: &Webhooks, dues: &Dues, tenant: &TenantId) -> Turn {
    match deliver(context, webhooks, dues, tenant).await {
        Ok(turn) => turn,
        // Nobody is left to tell.
        Err(error) if error.is_of_an_erased_tenant() => Turn::idle(),
        Err(error) => {
            let error = chain(&error);
            tracing::warn!(%tenant, error, "signals cannot be delivered; this is tried again");
            Turn::broken()
        }
    }
}

/// Delivers what a tenant has to be delivered now.
async fn deliver(
    context: &Context,
    webhooks: &Webhooks,
    dues: &Dues,
    tenant: &TenantId,
) -> Result<Turn, Error> {
    let mut turn = Turn::idle();
    let deps = &context.deps;
    let Some(record) = deps.vault.tenant_record(tenant).await? else {
        return Ok(turn);
    };
    let record = record.value;
    let webhook = record.webhook.as_ref();
    let records = context.records.as_ref();
    let active = record.state == TenantState::Active;
    if !active || (webhook.is_none() && records.is_none()) {
        return Ok(turn);
    }
    let vault = deps.vault.tenant(tenant).await?;
    let ledger = ledger::recent(&vault, deps.clock.now()).await?;
    if let Some(webhook) = webhook {
        let post = Post {
            context,
            webhooks,
            dues,
            webhook,
            vault: &vault,
        };
        post.send(&ledger, &mut turn).await?;
    }
    let Some(records) = records else {
        return Ok(turn);
    };
    match record_all(context, records, &vault, &ledger).await {
        Ok(Recorded::All) => {}
        Ok(Recorded::Part) => turn.next = Next::Now,
        Ok(Recorded::Rests { until }) => turn.next = turn.next.or_at(until),
        Err(error) => {
            let error = chain(&error);
            tracing::warn!(%tenant, error, "a collector cannot be told of signals; this is tried again");
            turn.next = turn.next.or_at(deps.clock.now() + REST);
        }
    }
    Ok(turn)
}

/// How far a collector was told.
#[derive(Debug, PartialEq, Eq)]
enum Recorded {
    All,
    /// There are more.
    Part,
    /// There are more, and it is not to be asked before a time.
    Rests {
        until: DateTime<Utc>,
    },
}

/// Tells a collector of what it was not told of, until the turn is over or one could
/// not be told.
async fn record_all(
    context: &Context,
    records: &Records,
    vault: &TenantVault,
    ledger: &Ledger,
) -> Result<Recorded, Error> {
    let (began, mut settled) = (Instant::now(), 0);
    let new = |(delivery, documents): &(&Delivery, &Documents)| {
        delivery.is_first() && !documents.recorded
    };
    for (delivery, _) in ledger.iter().filter(new) {
        let now = context.deps.clock.now();
        if settled >= MOST_RECORDS || began.elapsed() >= RECORDING {
            let rests = Recorded::Rests { until: now + REST };
            return Ok(if settled > 0 { Recorded::Part } else { rests });
        }
        let signal = match signals::read(vault, &delivery.signal).await {
            // Told by whoever delivers or watches.
            Err(error) if is_unreadable(&error) => continue,
            signal => signal?,
        };
        // What is older was raised before anybody asked for records.
        if signals::raised_at(&signal).is_none_or(|raised| now - raised < TOLD_FOR) {
            if let Err(until) = records.may_tell(now, REST) {
                return Ok(Recorded::Rests { until });
            }
            let told = records.tell(vault.id(), &signal).await;
            records.went(told.is_ok(), context.deps.clock.now() + REST);
            told.map_err(|status| Error::Collector(status.message().to_owned()))?;
            context.metrics.recorded(vault.id());
        }
        delivery.recorded(vault, now).await?;
        settled += 1;
    }
    Ok(Recorded::All)
}

/// Whether one document cannot be read, which says nothing of the others.
fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
}

/// Whether a signal is one that the webhook is for. When it was raised and since when
/// there is a webhook are told by two machines.
pub(crate) fn wants(webhook: &Webhook, signal: &Signal) -> bool {
    let raised = signals::raised_at(signal);
    signal.severity >= severity(webhook.min_severity) as i32
        && raised.is_none_or(|raised| raised + CLOCKS >= webhook.since)
}

#[cfg(test)]
mod tests;
