//! The daily snapshots: each active tenant's slot of the day, once.
//!
//! Owns when a tenant is looked at, and how many snapshots are taken at a time. A tenant
//! has its own second of the day ([`model::schedule`]); one that was never read has its
//! first snapshot at once. Every replica does the same, and the claim on the slot decides
//! which of them reads the tenant. A snapshot that takes long gives up its place among
//! those that are taken at a time, so that a large or throttled tenant holds up nobody.
//!
//! What this process knows is a hint: after a restart everything is found out again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::future::BoxFuture;
use model::error::reason;
use model::{SnapshotId, TenantId, slot};
use proto::v1::WatchSnapshotResponse;
use runtime::status::{Fault, parse};
use store::{KeyError, StoreError, TenantState, TenantVault, Trigger};
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Schedule;
use crate::{Context, Error, take};

/// How often tenants are listed.
const ROUND: Duration = Duration::from_secs(60);
/// How often it is looked whose time has come.
const TICK: Duration = Duration::from_secs(1);
/// How long a failed slot rests before it is tried again.
const REST: TimeDelta = TimeDelta::hours(1);
/// How long one rests that another process has.
const TAKEN: TimeDelta = TimeDelta::minutes(5);
/// How long a tenant rests whose slot was just taken.
const SOON: TimeDelta = TimeDelta::minutes(1);
/// How long a tenant rests that is not served.
const IDLE: TimeDelta = TimeDelta::minutes(10);
/// After what time a tenant is looked at again at the latest: its schedule may have
/// been changed.
const LOOK: TimeDelta = TimeDelta::hours(6);
/// How many snapshots this process takes at a time.
const AT_ONCE: usize = 4;
/// After what time one does not count any more among them.
const SLOW: Duration = Duration::from_secs(10 * 60);
/// How many may be slow at a time.
const SLOW_AT_ONCE: usize = 32;
/// How many tenants are looked at at a time.
const LOOKS: usize = 16;
/// Over how many seconds the replicas spread: where they come at the same time, all but
/// one come in vain.
const SPREAD: u64 = 180;

/// Runs until the token is cancelled.
pub(crate) async fn run(context: Context, schedule: Schedule, stop: CancellationToken) {
    if schedule == Schedule::Off {
        return;
    }
    let holder = context.deps.ids.uuid().to_string();
    let own = context.clone();
    let take: Take = Arc::new(move |tenant, slot| {
        let context = own.clone();
        Box::pin(async move { taken(&context, &tenant, &slot).await })
    });
    Scheduler::new(context, &holder, take).run(stop).await;
}

/// Takes a snapshot and waits for its end.
pub(crate) type Take =
    Arc<dyn Fn(TenantId, SnapshotId) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// How a snapshot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is there, by whomever.
    There,
    /// Another process takes it.
    Taken,
    /// It could not be taken.
    Failed,
}

/// Takes a slot's snapshot in the background, as on demand, and waits for it.
async fn taken(context: &Context, tenant: &TenantId, slot: &SnapshotId) -> Outcome {
    let name = proto::name::snapshot(tenant, slot);
    take::start(context, tenant, slot, Trigger::Scheduled);
    let Some(mut watch) = context.jobs.watch(&name) else {
        return Outcome::Failed;
    };
    let mut last: Result<WatchSnapshotResponse, tonic::Status> = Err(tonic::Status::internal(""));
    while let Some(told) = watch.next().await {
        last = told;
    }
    match last {
        Ok(_) => Outcome::There,
        Err(status) => match parse(&status).reason() {
            reason::SLOT_TAKEN => Outcome::Taken,
            reason::ALREADY_EXISTS => Outcome::There,
            _ => Outcome::Failed,
        },
    }
}

/// What is known of the tenants, and what is under way.
pub(crate) struct Scheduler {
    context: Context,
    /// What tells this process from the other replicas.
    seed: u64,
    /// How often tenants are listed.
    round: Duration,
    take: Take,
    /// Every tenant that is neither looked at nor read, by when it is looked at next.
    queue: BTreeSet<(DateTime<Utc>, TenantId)>,
    /// Every tenant.
    known: HashSet<TenantId>,
    /// Those whose time has come.
    ready: BTreeSet<(u64, TenantId)>,
    looks: JoinSet<(TenantId, Look)>,
    takes: JoinSet<(TenantId, Outcome)>,
    /// Since when each of them runs.
    running: BTreeMap<task::Id, (Instant, TenantId)>,
    looking: BTreeMap<task::Id, TenantId>,
}

/// What a look at a tenant found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// Its slot is to be taken.
    Due(SnapshotId),
    /// There is nothing to do before a time.
    Later(DateTime<Utc>),
}

impl Scheduler {
    pub(crate) fn new(context: Context, holder: &str, take: Take) -> Self {
        Self {
            context,
            seed: first_bytes(&blake3::hash(holder.as_bytes())),
            round: ROUND,
            take,
            queue: BTreeSet::new(),
            known: HashSet::new(),
            ready: BTreeSet::new(),
            looks: JoinSet::new(),
            takes: JoinSet::new(),
            running: BTreeMap::new(),
            looking: BTreeMap::new(),
        }
    }

    /// Runs until the token is cancelled; what is under way then is given up.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut round = tokio::time::interval(self.round);
        let mut tick = tokio::time::interval(TICK);
        for ticker in [&mut round, &mut tick] {
            ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = round.tick() => self.list().await,
                _ = tick.tick() => {}
                Some(ended) = self.looks.join_next_with_id() => self.looked(ended),
                Some(ended) = self.takes.join_next_with_id() => self.ended(ended),
            }
            self.start();
        }
    }

    /// Takes in new tenants and forgets those that are gone.
    async fn list(&mut self) {
        match self.context.deps.vault.tenant_ids().await {
            Ok(tenants) => {
                let now = self.context.deps.clock.now();
                let there: HashSet<TenantId> = tenants.into_iter().collect();
                for gone in self.known.extract_if(|tenant| !there.contains(tenant)) {
                    self.context.metrics.forgotten(&gone);
                }
                self.queue.retain(|(_, tenant)| there.contains(tenant));
                for tenant in there {
                    if self.known.insert(tenant.clone()) && !self.is_under_way(&tenant) {
                        self.queue.insert((now, tenant));
                    }
                }
            }
            Err(error) => tracing::warn!(
                error = runtime::status::chain(&error),
                "tenants cannot be listed for their daily snapshots; the next round tries again"
            ),
        }
    }

    fn is_under_way(&self, tenant: &TenantId) -> bool {
        self.looking.values().any(|one| one == tenant)
            || self.running.values().any(|(_, one)| one == tenant)
            || self.ready.iter().any(|(_, one)| one == tenant)
    }

    /// Begins what there is room for.
    fn start(&mut self) {
        let now = self.context.deps.clock.now();
        while let Some((due, _)) = self.queue.first()
            && *due <= now
            && let Some((_, tenant)) = self.queue.pop_first()
        {
            self.ready.insert((self.order(&tenant), tenant));
        }
        // Whoever is looked at may have to be read at once.
        while self.looks.len() < LOOKS.min(self.room())
            && let Some((_, tenant)) = self.ready.pop_first()
        {
            let (context, its) = (self.context.clone(), tenant.clone());
            let task = self.looks.spawn(async move {
                let found = look(&context, &its).await;
                (its, found)
            });
            self.looking.insert(task.id(), tenant);
        }
    }

    /// How many more snapshots may begin now.
    fn room(&self) -> usize {
        let slow = self
            .running
            .values()
            .filter(|(since, _)| since.elapsed() >= SLOW)
            .count()
            .min(SLOW_AT_ONCE);
        (AT_ONCE + slow).saturating_sub(self.running.len())
    }

    /// A tenant's place among those whose time has come, which is another one in each
    /// replica.
    fn order(&self, tenant: &TenantId) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_be_bytes());
        hasher.update(tenant.as_str().as_bytes());
        first_bytes(&hasher.finalize())
    }

    /// How much later than others this process looks at a tenant.
    fn spread(&self, tenant: &TenantId) -> TimeDelta {
        let seconds = self.order(tenant) % SPREAD;
        TimeDelta::seconds(i64::try_from(seconds).unwrap_or_default())
    }

    fn looked(&mut self, ended: Result<(task::Id, (TenantId, Look)), task::JoinError>) {
        let now = self.context.deps.clock.now();
        let (id, found) = match ended {
            Ok((id, (_, found))) => (id, found),
            Err(error) => {
                tracing::error!(%error, "a look at a tenant's slot broke down");
                (error.id(), Look::Later(now + IDLE))
            }
        };
        let Some(tenant) = self.looking.remove(&id) else {
            return;
        };
        match found {
            Look::Due(slot) => {
                let taking = (self.take)(tenant.clone(), slot);
                let its = tenant.clone();
                let task = self.takes.spawn(async move { (its, taking.await) });
                self.running.insert(task.id(), (Instant::now(), tenant));
            }
            Look::Later(at) => self.later(tenant, at),
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, (TenantId, Outcome)), task::JoinError>) {
        let (id, outcome) = match ended {
            Ok((id, (_, outcome))) => (id, outcome),
            Err(error) => {
                tracing::error!(%error, "a daily snapshot broke down");
                (error.id(), Outcome::Failed)
            }
        };
        let Some((_, tenant)) = self.running.remove(&id) else {
            return;
        };
        let now = self.context.deps.clock.now();
        let at = match outcome {
            // The look tells when the next one begins; it must not find its slot due
            // again and again where nobody can read what is there.
            Outcome::There => now + SOON,
            Outcome::Taken => now + TAKEN,
            Outcome::Failed => now + REST,
        };
        self.queue.insert((at, tenant));
    }

    fn later(&mut self, tenant: TenantId, at: DateTime<Utc>) {
        let soon = self.context.deps.clock.now() + LOOK;
        let at = at.min(soon) + self.spread(&tenant);
        self.queue.insert((at, tenant));
    }

    /// Lists tenants less often.
    #[cfg(test)]
    fn listing_every(self, round: Duration) -> Self {
        Self { round, ..self }
    }
}

fn first_bytes(hash: &blake3::Hash) -> u64 {
    let bytes: [u8; 8] = std::array::from_fn(|n| hash.as_bytes()[n]);
    u64::from_be_bytes(bytes)
}

/// Finds out what there is to do about a tenant now. One tenant's trouble is not the
/// others'.
pub(crate) async fn look(context: &Context, tenant: &TenantId) -> Look {
    let now = context.deps.clock.now();
    match find(context, tenant, now).await {
        Ok(found) => found,
        Err(Error::Store(StoreError::Key(KeyError::Erased))) => {
            // It may come back from a bundle.
            tracing::info!(%tenant, "an erased tenant has no snapshots");
            context.metrics.forgotten(tenant);
            Look::Later(now + REST)
        }
        Err(error) => {
            let error = runtime::status::chain(&error);
            tracing::warn!(%tenant, error, "a tenant's slot cannot be looked at");
            Look::Later(now + TimeDelta::minutes(1))
        }
    }
}

async fn find(context: &Context, tenant: &TenantId, now: DateTime<Utc>) -> Result<Look, Error> {
    let vault = &context.deps.vault;
    let Some(record) = vault.tenant_record(tenant).await? else {
        // Its registration was cut short.
        return Ok(Look::Later(now + IDLE));
    };
    let record = record.value;
    if record.state != TenantState::Active {
        context.metrics.forgotten(tenant);
        return Ok(Look::Later(now + IDLE));
    }
    let vault = vault.tenant(tenant).await?;
    let slots = vault.slot_ids().await?;
    let slot = match slots.iter().any(slot::is_daily) {
        true => record.schedule.newest(tenant, now).0,
        false => slot::daily(now.date_naive()),
    };
    let name = proto::name::snapshot(tenant, &slot);
    if context.jobs.is_running(&name) {
        return Ok(Look::Later(now + TimeDelta::minutes(1)));
    }
    let daily = || slots.iter().filter(|one| slot::is_daily(one));
    // The first one of a new tenant may be of a later day than its schedule's newest.
    for one in daily().filter(|one| **one >= slot) {
        match taken_at(&vault, one).await {
            Ok(None) => {}
            Ok(Some(at)) => {
                context.metrics.taken(tenant, at);
                return Ok(Look::Later(record.schedule.next(tenant, now)));
            }
            Err(error @ Error::Store(StoreError::Corrupt { .. })) => {
                // It is in the way of another of its slot; whoever verifies tells.
                warn(tenant, one, &error);
                return Ok(Look::Later(record.schedule.next(tenant, now)));
            }
            Err(error) => return Err(error),
        }
    }
    // A process that has just started does not know how old the newest one is.
    if let Some(last) = daily().filter(|one| **one < slot).max() {
        match taken_at(&vault, last).await {
            Ok(Some(at)) => context.metrics.taken(tenant, at),
            Ok(None) => {}
            // What became of an earlier one keeps no other from being taken.
            Err(error) => warn(tenant, last, &error),
        }
    }
    Ok(Look::Due(slot))
}

fn warn(tenant: &TenantId, slot: &SnapshotId, error: &Error) {
    let error = runtime::status::chain(error);
    tracing::warn!(%tenant, %slot, error, "a daily snapshot cannot be looked at");
}

/// When a slot's snapshot was taken, if it was.
async fn taken_at(vault: &TenantVault, slot: &SnapshotId) -> Result<Option<DateTime<Utc>>, Error> {
    match vault.manifest(slot).await {
        Ok(manifest) => Ok(Some(manifest.meta.finished)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
