//! What one application may ask of one tenant, and when.
//!
//! Owns the quotas that Microsoft documents, this process's share of them, the
//! waits that Graph orders and the number of requests under way. Each request
//! passes here before it is sent, in the order of asking; a tenant that must
//! wait holds up no other. Sends nothing itself.

mod bucket;
mod cost;
mod flight;
mod gate;
mod registry;
mod share;
mod single;
#[cfg(test)]
mod tests;
mod ticket;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::GraphError;
use crate::retry::{Allowance, Sleeper};
use bucket::{Bucket, Rate};
use flight::Flight;
use gate::Gate;
use single::SingleLane;

pub(crate) use cost::{Cost, Lane};
pub(crate) use registry::Budgets;
pub use share::Role;
pub(crate) use ticket::{Heard, Sound, Ticket};

/// Whether the documented quotas are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limits {
    /// Microsoft's quotas hold: no request is sent that would pass them.
    Documented,
    /// The other side has none, as a practice tenant for measurements. Waits
    /// that it orders are kept all the same.
    Off,
}

/// Microsoft's classes of tenants, by their number of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TenantSize {
    /// Fewer than 50.
    Small,
    /// 50 to 500.
    Medium,
    /// More than 500.
    Large,
}

impl TenantSize {
    /// The class of a tenant with that many users.
    #[must_use]
    pub fn of_users(users: usize) -> Self {
        match users {
            0..50 => Self::Small,
            50..=500 => Self::Medium,
            _ => Self::Large,
        }
    }

    /// Resource units in ten seconds.
    const fn units(self) -> f64 {
        match self {
            Self::Small => 3_500.0,
            Self::Medium => 5_000.0,
            Self::Large => 8_000.0,
        }
    }
}

/// What this process may do with a tenant's Conditional Access quota, which is
/// one request a second over all applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneUse {
    /// The share of its role.
    Share,
    /// All of it, while this process runs a restore.
    Whole,
    /// Nothing for now: requests wait, as while another process runs a restore.
    Wait,
    /// Nothing for now: requests fail at once.
    Refuse,
}

/// Which part of the quotas a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    pub(crate) role: Role,
    /// Processes of the same role, which share what the application has over all tenants.
    pub(crate) replicas: u32,
    pub(crate) limits: Limits,
}

/// How a request waits.
pub(crate) struct Manner<'a> {
    pub(crate) sleep: &'a Sleeper,
    /// Requests under way at most.
    pub(crate) ceiling: usize,
    /// An ordered wait that is longer is given back to the caller.
    pub(crate) patience: Duration,
    /// What errors call the request.
    pub(crate) path: &'a str,
}

/// The budget of one application in one tenant, shared by all its clients in
/// this process. Holding it keeps what was set; it is forgotten when nobody
/// held or used it for a while.
pub struct Budget {
    part: Part,
    state: Mutex<State>,
    app: Arc<Mutex<App>>,
    single: Arc<SingleLane>,
    turns: Turns,
    /// A request has ended, so that the next may start.
    freed: Notify,
    /// The use of the Conditional Access quota was set.
    changed: Notify,
}

/// Whoever waits first is served first, lane by lane.
#[derive(Default)]
struct Turns {
    directory: tokio::sync::Mutex<()>,
    audit: tokio::sync::Mutex<()>,
    conditional_access: tokio::sync::Mutex<()>,
}

struct State {
    size: TenantSize,
    portion: f64,
    lane_use: LaneUse,
    units: Bucket,
    writes: Bucket,
    audit: Bucket,
    directory_gate: Gate,
    audit_gate: Gate,
    flight: Flight,
    retries: Allowance,
    /// When this role may use Conditional Access again.
    single_free: Instant,
    used: Instant,
}

/// What an application may do in all tenants together.
struct App {
    units: Bucket,
    writes: Bucket,
}

/// Whether a request may start.
enum Entry {
    Open,
    /// Graph ordered a wait.
    Closed(Duration),
    /// The quota is used up for now.
    Later(Duration),
    /// Enough requests are under way.
    Full,
}

impl Budget {
    fn new(part: Part, app: Arc<Mutex<App>>, single: Arc<SingleLane>) -> Self {
        let now = Instant::now();
        let full = Bucket::full(now);
        Self {
            part,
            state: Mutex::new(State {
                size: TenantSize::Small,
                portion: 1.0,
                lane_use: LaneUse::Share,
                units: full,
                writes: full,
                audit: full,
                directory_gate: Gate::default(),
                audit_gate: Gate::default(),
                flight: Flight::default(),
                retries: Allowance::new(now),
                single_free: now,
                used: now,
            }),
            app,
            single,
            turns: Turns::default(),
            freed: Notify::new(),
            changed: Notify::new(),
        }
    }

    /// Says how many users the tenant has.
    pub fn set_users(&self, users: usize) {
        self.state().size = TenantSize::of_users(users);
    }

    /// Says how many users were seen; the tenant has at least as many.
    pub fn saw_users(&self, users: usize) {
        let mut state = self.state();
        state.size = state.size.max(TenantSize::of_users(users));
    }

    /// Uses only a part of the share, from 0 to 1: a half during a take-over,
    /// until the claim of the other process has expired.
    pub fn set_portion(&self, portion: f64) {
        // A request must be able to pass at some time, whatever was asked for.
        self.state().portion = portion.clamp(0.01, 1.0);
    }

    /// Says what may be done with the Conditional Access quota.
    pub fn set_conditional_access(&self, lane_use: LaneUse) {
        self.state().lane_use = lane_use;
        self.changed.notify_one();
    }

    /// Waits until a request may be sent, and counts it as sent.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        cost: Cost,
        manner: &Manner<'_>,
    ) -> Result<Ticket, GraphError> {
        self.permit(cost, manner.path)?;
        let turn = match cost.lane {
            Lane::Directory => &self.turns.directory,
            Lane::Audit => &self.turns.audit,
            Lane::ConditionalAccess => return self.enter_single(cost, manner).await,
        };
        let _turn = turn.lock().await;
        loop {
            match self.try_enter(cost, manner.ceiling) {
                Entry::Open => return Ok(Ticket::new(self, cost, manner.ceiling, None)),
                Entry::Closed(wait) => manner.keep(wait).await?,
                Entry::Later(wait) => (manner.sleep)(wait).await,
                Entry::Full => self.freed.notified().await,
            }
        }
    }

    /// Refuses what is no part of the role: nobody but a restorer writes.
    fn permit(&self, cost: Cost, path: &str) -> Result<(), GraphError> {
        let share = self.part.role.share();
        let refused = |what: &str| {
            Err(GraphError::Refused {
                what: what.to_owned(),
                path: path.to_owned(),
            })
        };
        if cost.writes > 0 && share.writes <= 0.0 {
            return refused("this process has no share of the tenant's writes");
        }
        if cost.lane == Lane::Audit && share.audit <= 0.0 {
            return refused("this process has no share of the audit log's quota");
        }
        Ok(())
    }

    fn try_enter(&self, cost: Cost, ceiling: usize) -> Entry {
        let now = Instant::now();
        let mut guard = self.state();
        let state = &mut *guard;
        state.used = now;
        let closed = state.gate(cost.lane).wait(now);
        if !closed.is_zero() {
            return Entry::Closed(closed);
        }
        let mut app = self.app();
        let later = self.later(now, state, &mut app, cost);
        if !later.is_zero() {
            return Entry::Later(later);
        }
        if cost.lane == Lane::Audit {
            state.audit.take(1.0);
            return Entry::Open;
        }
        if !state.flight.has_room(ceiling) {
            return Entry::Full;
        }
        let (units, writes) = (f64::from(cost.units), f64::from(cost.writes));
        state.flight.start();
        state.units.take(units);
        state.writes.take(writes);
        app.units.take(units);
        app.writes.take(writes);
        Entry::Open
    }

    /// How long until all quotas have what a request costs.
    fn later(&self, now: Instant, state: &mut State, app: &mut App, cost: Cost) -> Duration {
        if self.part.limits == Limits::Off {
            return Duration::ZERO;
        }
        let (share, portion) = (self.part.role.share(), state.portion);
        if cost.lane == Lane::Audit {
            let rate = Rate::new(5.0, 10.0, share.audit * portion);
            return state.audit.wait(now, rate, 1.0);
        }
        let each = 1.0 / f64::from(self.part.replicas.max(1));
        let (units, writes) = (f64::from(cost.units), f64::from(cost.writes));
        let of_size = Rate::new(state.size.units(), 10.0, share.units * portion);
        let of_app = Rate::new(150_000.0, 20.0, share.units * each);
        let wait = state.units.wait(now, of_size, units);
        let wait = wait.max(app.units.wait(now, of_app, units));
        if cost.writes == 0 {
            return wait;
        }
        let of_tenant = Rate::new(3_000.0, 150.0, share.writes * portion);
        let of_app = Rate::new(35_000.0, 300.0, share.writes * each);
        wait.max(state.writes.wait(now, of_tenant, writes))
            .max(app.writes.wait(now, of_app, writes))
    }

    /// How long a request must wait before it is repeated, so that an outage is
    /// not made worse by whoever suffers from it.
    pub(crate) fn retry_wait(&self) -> Duration {
        self.state().retries.wait(Instant::now())
    }

    /// Counts a repetition.
    pub(crate) fn retry(&self) {
        self.state().retries.take();
    }

    /// Counts a request that is no repetition.
    pub(crate) fn first_attempt(&self) {
        self.state().retries.earn();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("invariant: no panic while the lock is held")
    }

    fn app(&self) -> MutexGuard<'_, App> {
        self.app
            .lock()
            .expect("invariant: no panic while the lock is held")
    }
}

impl Manner<'_> {
    /// Waits as Graph ordered, unless that is too long.
    async fn keep(&self, wait: Duration) -> Result<(), GraphError> {
        if wait > self.patience {
            return Err(GraphError::Throttled {
                retry_after: Some(wait),
                path: self.path.to_owned(),
            });
        }
        (self.sleep)(wait).await;
        Ok(())
    }
}

impl State {
    fn gate(&mut self, lane: Lane) -> &mut Gate {
        match lane {
            Lane::Audit => &mut self.audit_gate,
            Lane::Directory | Lane::ConditionalAccess => &mut self.directory_gate,
        }
    }
}

impl App {
    fn new() -> Self {
        let full = Bucket::full(Instant::now());
        Self {
            units: full,
            writes: full,
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}
