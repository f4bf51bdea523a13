//! Follows the audit log of each tenant, and raises signals for what its rules find.
//!
//! Owns when a tenant is looked at and how many at once. Of several processes one
//! follows a tenant, as its cursor says ([`cursor`]); what is found and under which
//! name follows from the log alone ([`model::watch`]), so that two who follow at once,
//! or one who begins again, raise nothing twice.
//!
//! A tenant that nothing happens in costs an entry in a queue and what [`follow`] keeps
//! of it: no task, no buffer.

mod cursor;
mod follow;
mod tell;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use model::TenantId;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{Context, Error};
use follow::Followed;

/// How often the queue is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often the tenants are listed.
const LIST: TimeDelta = TimeDelta::minutes(1);
/// How many tenants are looked at at a time: the quota of the log is each tenant's own.
const AT_ONCE: usize = 64;
/// How many tenants are let go at a time when the process ends.
const ENDS_AT_ONCE: usize = 64;

/// What all tenants are followed by.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    pub(crate) context: Context,
    /// This process.
    pub(crate) holder: String,
    /// How long a tenant rests between two looks.
    pub(crate) every: TimeDelta,
    /// When cancelled, looks end as soon as they can.
    pub(crate) stop: CancellationToken,
}

/// The tenants, by when each is looked at next.
#[derive(Debug, Default)]
struct Tenants {
    queue: BTreeSet<(DateTime<Utc>, TenantId)>,
    /// What is known of each; `None` while it is looked at.
    known: HashMap<TenantId, Option<Box<Followed>>>,
    /// Which task looks at which.
    looking: HashMap<task::Id, TenantId>,
    listed: Option<DateTime<Utc>>,
}

/// A look that has ended: when the next one is.
type Looked = (Box<Followed>, DateTime<Utc>);
/// The end of a look, with its task.
type Ended = Result<(task::Id, Looked), JoinError>;

/// Runs until the token is cancelled, and then lets go of what is followed, so that
/// another process goes on at once.
pub(crate) async fn run(context: Context, every: TimeDelta, stop: CancellationToken) {
    let of = Follower {
        holder: context.deps.ids.uuid().to_string(),
        context,
        every,
        stop: stop.clone(),
    };
    let mut tenants = Tenants::default();
    let mut looks: JoinSet<Looked> = JoinSet::new();
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = looks.join_next_with_id() => tenants.back(&of, ended),
            _ = ticker.tick() => {}
        }
        if let Err(error) = tenants.list(&of).await {
            tracing::warn!(
                error = runtime::status::chain(&error),
                "the tenants whose audit logs are followed cannot be listed"
            );
        }
        tenants.start(&of, &mut looks);
    }
    // Those that are looked at may take longer than there is time.
    tenants.let_go(&of).await;
    while let Some(ended) = looks.join_next_with_id().await {
        tenants.back(&of, ended);
    }
    tenants.let_go(&of).await;
}

impl Tenants {
    /// Takes in new tenants and forgets those that are gone.
    async fn list(&mut self, of: &Follower) -> Result<(), Error> {
        let deps = &of.context.deps;
        let now = deps.clock.now();
        if self.listed.is_some_and(|at| now - at < LIST) {
            return Ok(());
        }
        self.listed = Some(now);
        let there: BTreeSet<TenantId> = deps.vault.tenant_ids().await?.into_iter().collect();
        // One that is looked at comes back, and goes with the next list.
        self.known
            .retain(|tenant, known| known.is_none() || there.contains(tenant));
        for tenant in there {
            if !self.known.contains_key(&tenant) {
                self.queue.insert((now, tenant.clone()));
                self.known.insert(tenant, Some(Box::default()));
            }
        }
        Ok(())
    }

    /// Begins to look at those whose time has come, as far as there is room.
    fn start(&mut self, of: &Follower, looks: &mut JoinSet<Looked>) {
        let now = of.context.deps.clock.now();
        while looks.len() < AT_ONCE
            && let Some((due, _)) = self.queue.first()
            && *due <= now
        {
            let Some((_, tenant)) = self.queue.pop_first() else {
                return;
            };
            let Some(mut followed) = self.known.get_mut(&tenant).and_then(Option::take) else {
                continue;
            };
            let (of, its) = (of.clone(), tenant.clone());
            let task = looks.spawn(async move {
                let next = followed.look(&of, &its).await;
                (followed, next)
            });
            self.looking.insert(task.id(), tenant);
        }
    }

    /// Takes back a tenant that was looked at.
    fn back(&mut self, of: &Follower, ended: Ended) {
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(tenant) = self.looking.remove(&task) else {
            return;
        };
        let (followed, next) = match ended {
            Ok((_, looked)) => looked,
            Err(error) => {
                tracing::error!(%tenant, %error, "a look at an audit log broke down");
                of.context.metrics.audit_watch_failed(&tenant);
                let next = of.context.deps.clock.now() + of.every;
                // What it knew is lost; the cursor says where to go on.
                (Box::default(), next)
            }
        };
        if let Some(known) = self.known.get_mut(&tenant) {
            *known = Some(followed);
            self.queue.insert((next, tenant));
        }
    }

    /// Lets go of those that are not looked at.
    async fn let_go(&mut self, of: &Follower) {
        let idle: Vec<_> = self.known.values_mut().filter_map(Option::take).collect();
        stream::iter(idle)
            .for_each_concurrent(ENDS_AT_ONCE, |mut followed| async move {
                followed.let_go(of).await;
            })
            .await;
    }
}

#[cfg(test)]
mod tests;
