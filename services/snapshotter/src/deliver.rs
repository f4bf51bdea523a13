//! Brings signals to the tenants' webhooks, each at least once.
//!
//! Whoever is killed anywhere leaves documents from which every replica goes on:
//! before an attempt its number is taken, after it its outcome is noted, and what has
//! no outcome is sent again, under the same id. One that is slow has its turn and no
//! more, and no snapshot waits for any.

pub(crate) mod backoff;
pub(crate) mod ledger;
mod records;
mod signature;
pub(crate) mod turns;
mod webhook;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::{ErrorKind, TenantId};
use proto::convert::{severity, time, timestamp};
use proto::json::to_json;
use proto::v1::{DeliveryAttempt, Signal};
use runtime::status::{Fault, chain};
use store::{TenantState, TenantVault, Webhook};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Context, Error, signals};
use backoff::ATTEMPTS;
use ledger::{Delivery, Documents, End, Ledger};
pub use records::Records;
use turns::Turns;
pub use webhook::Webhooks;
use webhook::{Failed, Letter, PATIENCE};

/// How many tenants have their turn at once.
const AT_ONCE: usize = 32;
/// How many attempts one turn makes at most.
const MOST: usize = 64;
/// After how long a turn makes no further attempt.
const TURN: Duration = PATIENCE;
/// How long a tenant rests whose turn could not be ended.
const REST: Duration = Duration::from_secs(60);
/// How often the ages of what is not delivered are told.
const TOLD: Duration = Duration::from_secs(60);
/// How long ago a signal may have been raised that a collector is told of.
const TOLD_FOR: TimeDelta = TimeDelta::days(7);
/// How long after the beginning of the last attempt nobody waits for its outcome.
const SILENCE: TimeDelta = TimeDelta::seconds(60);

/// Delivers until the token is cancelled: what is raised here at once, what failed
/// when its time has come, and what others left behind now and then.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    let Some(webhooks) = context.webhooks.clone() else {
        return;
    };
    let mut turns = Turns::default();
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
            let task = running.spawn(async move { turn(&context, &webhooks, &of).await });
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
                        (error.id(), Turn { next: Next::After(REST), oldest: None })
                    }
                };
                let Some(tenant) = names.remove(&task) else { continue };
                match outcome.oldest {
                    Some(oldest) => ages.insert(tenant.clone(), oldest),
                    None => ages.remove(&tenant),
                };
                tell_age(&context, &tenant, outcome.oldest);
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
async fn turn(context: &Context, webhooks: &Webhooks, tenant: &TenantId) -> Turn {
    match deliver(context, webhooks, tenant).await {
        Ok(turn) => turn,
        // Nobody is left to tell, or not any more.
        Err(error) if error.kind() == ErrorKind::NotFound || error.is_of_an_erased_tenant() => {
            Turn {
                next: Next::Never,
                oldest: None,
            }
        }
        Err(error) => {
            let error = chain(&error);
            tracing::warn!(%tenant, error, "signals cannot be delivered; this is tried again");
            Turn {
                next: Next::After(REST),
                oldest: None,
            }
        }
    }
}

/// Delivers what a tenant has to be delivered now.
async fn deliver(context: &Context, webhooks: &Webhooks, tenant: &TenantId) -> Result<Turn, Error> {
    let mut turn = Turn {
        next: Next::Never,
        oldest: None,
    };
    let deps = &context.deps;
    let record = deps.vault.registered(tenant).await?;
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
            webhook,
            vault: &vault,
        };
        post.send(&ledger, &mut turn).await?;
    }
    if let Some(records) = records
        && let Err(error) = record_all(context, records, &vault, &ledger).await
    {
        let error = chain(&error);
        tracing::warn!(%tenant, error, "a collector cannot be told of signals; this is tried again");
        turn.next = turn.next.or_at(deps.clock.now() + REST);
    }
    Ok(turn)
}

/// Tells a collector of what it was not told of.
async fn record_all(
    context: &Context,
    records: &Records,
    vault: &TenantVault,
    ledger: &Ledger,
) -> Result<(), Error> {
    let new = |(delivery, documents): &(&Delivery, &Documents)| {
        delivery.is_first() && !documents.recorded
    };
    for (delivery, _) in ledger.iter().filter(new) {
        let now = context.deps.clock.now();
        let signal = match signals::read(vault, &delivery.signal).await {
            // Told by whoever delivers or watches.
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            signal => signal?,
        };
        // What is older was raised before anybody asked for records.
        if signals::raised_at(&signal).is_none_or(|raised| now - raised < TOLD_FOR) {
            let told = records.tell(vault.id(), &signal).await;
            told.map_err(|status| Error::Collector(status.message().to_owned()))?;
            context.metrics.recorded(vault.id());
        }
        delivery.recorded(vault, now).await?;
    }
    Ok(())
}

/// What a step did.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The delivery has ended without an attempt.
    Ended,
    /// It has ended with one.
    Sent,
    /// The next attempt begins at a time.
    Waits {
        until: DateTime<Utc>,
        /// Whether one was made now.
        sent: bool,
    },
}

/// The way from a tenant to its webhook.
struct Post<'a> {
    context: &'a Context,
    webhooks: &'a Webhooks,
    webhook: &'a Webhook,
    vault: &'a TenantVault,
}

impl Post<'_> {
    /// Takes each delivery as far as it comes now, until the turn is over.
    async fn send(&self, ledger: &Ledger, turn: &mut Turn) -> Result<(), Error> {
        let (began, mut made) = (Instant::now(), 0);
        let open = ledger
            .iter()
            .filter(|(_, documents)| documents.end.is_none());
        for (delivery, documents) in open {
            if made >= MOST || began.elapsed() >= TURN {
                turn.next = Next::Now;
                break;
            }
            match self.step(delivery, documents).await {
                Ok(Step::Ended) => {}
                Ok(Step::Sent) => made += 1,
                Ok(Step::Waits { until, sent }) => {
                    made += usize::from(sent);
                    turn.next = turn.next.or_at(until);
                    if turn.oldest.is_none() {
                        let signal = signals::read(self.vault, &delivery.signal).await?;
                        turn.oldest = signals::raised_at(&signal);
                    }
                }
                // What cannot be read is told, and keeps nothing else from its way.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let (tenant, signal) = (self.vault.id(), &delivery.signal);
                    let error = chain(&error);
                    tracing::error!(%tenant, signal, error, "a signal cannot be delivered");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn now(&self) -> DateTime<Utc> {
        self.context.deps.clock.now()
    }

    /// Takes one delivery as far as it comes now.
    async fn step(&self, delivery: &Delivery, documents: &Documents) -> Result<Step, Error> {
        let now = self.now();
        let waits = |until| Step::Waits { until, sent: false };
        if let Some(last) = ledger::last(self.vault, delivery, documents).await? {
            let began = last.time.as_ref().and_then(time).unwrap_or(now);
            if documents.attempts >= ATTEMPTS {
                let over = began + SILENCE;
                if !documents.is_known_to_have_failed() && now < over {
                    return Ok(waits(over));
                }
                self.bury(delivery, &last).await?;
                return Ok(Step::Ended);
            }
            let due = ledger::next(delivery, &last).unwrap_or(now);
            if now < due {
                return Ok(waits(due));
            }
        }
        let signal = signals::read(self.vault, &delivery.signal).await?;
        if delivery.is_first() && !wants(self.webhook, &signal) {
            let nothing = DeliveryAttempt::default();
            delivery.end(self.vault, End::Passed, &nothing).await?;
            return Ok(Step::Ended);
        }
        self.attempt(delivery, documents.attempts + 1, signal).await
    }

    async fn attempt(
        &self,
        delivery: &Delivery,
        number: u32,
        signal: Signal,
    ) -> Result<Step, Error> {
        let began = self.now();
        let mut attempt = DeliveryAttempt {
            number: i32::try_from(number).unwrap_or(i32::MAX),
            time: Some(timestamp(began)),
            ..DeliveryAttempt::default()
        };
        let next = |attempt: &DeliveryAttempt, sent| Step::Waits {
            until: ledger::next(delivery, attempt).unwrap_or(began + SILENCE),
            sent,
        };
        if !delivery.attempt(self.vault, &attempt).await? {
            // Another replica is at it; should it fail, this one looks again.
            return Ok(next(&attempt, false));
        }
        let tenant = self.vault.id();
        let metrics = &self.context.metrics;
        if number > 1 {
            metrics.delivery_retried(tenant);
        }
        let id = format!("sig_{tenant}_{}", delivery.signal);
        let body = to_json("Signal", &signal).to_string();
        let letter = Letter {
            id: &id,
            body: &body,
        };
        let sent = self.webhooks.send(self.webhook, &letter, began).await;
        attempt.end_time = Some(timestamp(self.now()));
        let signal = &delivery.signal;
        let failed = match sent {
            Ok(status) => {
                attempt.http_status = status.into();
                delivery.end(self.vault, End::Delivered, &attempt).await?;
                metrics.delivered(tenant);
                tracing::info!(%tenant, signal, attempt = number, "a signal was delivered");
                return Ok(Step::Sent);
            }
            Err(failed) => failed,
        };
        metrics.delivery_failed(tenant);
        let Failed {
            status,
            problem,
            not_before,
        } = failed;
        tracing::warn!(%tenant, signal, attempt = number, problem, "a signal was not delivered");
        attempt.http_status = status.into();
        attempt.problem = problem;
        attempt.not_before = not_before.map(timestamp);
        delivery.failed(self.vault, &attempt).await?;
        if number >= ATTEMPTS {
            self.bury(delivery, &attempt).await?;
            return Ok(Step::Sent);
        }
        Ok(next(&attempt, true))
    }

    /// Keeps a delivery that failed for the last time as a dead letter.
    async fn bury(&self, delivery: &Delivery, last: &DeliveryAttempt) -> Result<(), Error> {
        if delivery.end(self.vault, End::Dead, last).await? {
            let tenant = self.vault.id();
            self.context.metrics.dead_letter(tenant);
            tracing::error!(
                %tenant,
                signal = delivery.signal,
                attempts = last.number,
                problem = last.problem,
                "a signal could not be delivered and is kept as a dead letter; `rewind signals redeliver` sends it again"
            );
        }
        Ok(())
    }
}

/// Whether a signal is one that the webhook is for.
pub(crate) fn wants(webhook: &Webhook, signal: &Signal) -> bool {
    let raised = signals::raised_at(signal);
    signal.severity >= severity(webhook.min_severity) as i32
        && raised.is_none_or(|raised| raised >= webhook.since)
}

#[cfg(test)]
mod tests;
