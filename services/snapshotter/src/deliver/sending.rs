//! A tenant's letters on their way to its webhook, as far as they come in one turn.
//!
//! New ones come first, then those whose time has come, so that many that wait hold
//! up none that could be sent.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proto::convert::{time, timestamp};
use proto::json::to_json;
use proto::v1::{DeliveryAttempt, Signal};
use runtime::status::chain;
use store::{TenantVault, Webhook};
use tokio::time::Instant;

use super::backoff::ATTEMPTS;
use super::dues::Dues;
use super::ledger::{self, Delivery, Documents, End, Ledger};
use super::webhook::{Failed, Letter, PATIENCE, Webhooks};
use super::{Next, REST, Turn, is_unreadable, wants};
use crate::{Context, Error, signals};

/// How many attempts one turn makes at most.
const MOST: usize = 64;
/// After how long a turn makes no further attempt.
const TURN: Duration = PATIENCE;
/// How long after the beginning of the last attempt nobody waits for its outcome.
pub(super) const SILENCE: TimeDelta = TimeDelta::seconds(60);

/// A delivery that has not ended, with the documents that it has.
type Open<'a> = (&'a Delivery, &'a Documents);

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

/// How far a turn came.
struct Round<'a> {
    began: Instant,
    /// How many attempts were made.
    made: usize,
    /// Whether it was over before all were looked at.
    cut: bool,
    /// When the first of those that wait goes on.
    next: Option<DateTime<Utc>>,
    /// Those that are not under way any more, or cannot be read.
    done: BTreeSet<&'a Delivery>,
}

impl Round<'_> {
    fn is_over(&mut self) -> bool {
        self.cut = self.cut || self.made >= MOST || self.began.elapsed() >= TURN;
        self.cut
    }

    fn wait(&mut self, until: DateTime<Utc>) {
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
    }
}

/// The way from a tenant to its webhook.
pub(super) struct Post<'a> {
    pub(super) context: &'a Context,
    pub(super) webhooks: &'a Webhooks,
    pub(super) dues: &'a Dues,
    pub(super) webhook: &'a Webhook,
    pub(super) vault: &'a TenantVault,
}

impl Post<'_> {
    /// Takes each delivery as far as it comes now, until the turn is over.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE`, or that the tenant was erased.
    pub(super) async fn send(&self, ledger: &Ledger, turn: &mut Turn) -> Result<(), Error> {
        let mut open: Vec<Open<'_>> = ledger.iter().collect();
        open.retain(|(_, documents)| documents.end.is_none());
        let mut new = open.clone();
        new.retain(|(_, documents)| documents.attempts == 0);
        let mut tried = open.clone();
        tried.retain(|(_, documents)| documents.attempts > 0);
        let mut round = Round {
            began: Instant::now(),
            made: 0,
            cut: false,
            next: None,
            done: BTreeSet::new(),
        };
        self.go_on(&new, &mut round).await?;
        let due = self.those_due(&tried, &mut round).await?;
        self.go_on(&due, &mut round).await?;
        if let Some(at) = round.next {
            turn.next = turn.next.or_at(at);
        }
        if round.cut {
            turn.next = if round.made > 0 {
                Next::Now
            } else {
                // Asked again at once, it might come no further.
                turn.next.or_at(self.now() + REST)
            };
        }
        for (delivery, _) in open {
            if round.done.contains(delivery) {
                continue;
            }
            match signals::read(self.vault, &delivery.signal).await {
                Ok(signal) => {
                    turn.oldest = signals::raised_at(&signal);
                    break;
                }
                // Told when its time has come.
                Err(error) if is_unreadable(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Those of some that were tried whose time has come, in that order.
    async fn those_due<'a>(
        &self,
        tried: &[Open<'a>],
        round: &mut Round<'a>,
    ) -> Result<Vec<Open<'a>>, Error> {
        let mut due = Vec::new();
        for some in tried.chunks(signals::AT_ONCE) {
            if round.is_over() {
                break;
            }
            let mut looks = Vec::new();
            for &(delivery, documents) in some {
                looks.push(self.due(delivery, documents));
            }
            let looked = futures::future::join_all(looks).await;
            let now = self.now();
            for (&(delivery, documents), at) in some.iter().zip(looked) {
                match at {
                    Ok(at) if at <= now => due.push((at, delivery, documents)),
                    Ok(at) => round.wait(at),
                    Err(error) if is_unreadable(&error) => self.pass_over(delivery, &error, round),
                    Err(error) => return Err(error),
                }
            }
        }
        due.sort_by_key(|(at, ..)| *at);
        let due = due.into_iter();
        Ok(due
            .map(|(_, delivery, documents)| (delivery, documents))
            .collect())
    }

    /// When a delivery that was tried goes on.
    ///
    /// # Errors
    /// `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
    pub(super) async fn due(
        &self,
        delivery: &Delivery,
        documents: &Documents,
    ) -> Result<DateTime<Utc>, Error> {
        let (tenant, now) = (self.vault.id(), self.now());
        if let Some(due) = self.dues.get(tenant, delivery, documents) {
            return Ok(due);
        }
        let Some(last) = ledger::last(self.vault, delivery, documents).await? else {
            return Ok(now);
        };
        let due = if documents.attempts < ATTEMPTS {
            ledger::next(delivery, &last).unwrap_or(now)
        } else if documents.is_known_to_have_failed() {
            now
        } else {
            last.time.as_ref().and_then(time).unwrap_or(now) + SILENCE
        };
        self.dues.put(tenant, delivery, documents, due, now);
        Ok(due)
    }

    /// Takes some a step on, one after the other.
    async fn go_on<'a>(&self, some: &[Open<'a>], round: &mut Round<'a>) -> Result<(), Error> {
        for &(delivery, documents) in some {
            if round.is_over() {
                break;
            }
            match self.step(delivery, documents).await {
                Ok(Step::Ended) => {
                    round.done.insert(delivery);
                }
                Ok(Step::Sent) => {
                    round.made += 1;
                    round.done.insert(delivery);
                }
                Ok(Step::Waits { until, sent }) => {
                    round.made += usize::from(sent);
                    round.wait(until);
                }
                Err(error) if is_unreadable(&error) => self.pass_over(delivery, &error, round),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What cannot be read is told, and keeps nothing else from its way.
    fn pass_over<'a>(&self, delivery: &'a Delivery, error: &Error, round: &mut Round<'a>) {
        let (tenant, signal) = (self.vault.id(), &delivery.signal);
        let error = chain(error);
        tracing::error!(%tenant, signal, error, "a signal cannot be delivered");
        round.done.insert(delivery);
    }

    fn now(&self) -> DateTime<Utc> {
        self.context.deps.clock.now()
    }

    /// Takes one delivery whose time has come a step on.
    async fn step(&self, delivery: &Delivery, documents: &Documents) -> Result<Step, Error> {
        if documents.attempts >= ATTEMPTS {
            if let Some(last) = ledger::last(self.vault, delivery, documents).await? {
                self.bury(delivery, &last).await?;
            }
            return Ok(Step::Ended);
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
