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
mod quota;
mod registry;
mod share;
mod single;
mod slots;
#[cfg(test)]
mod tests;
mod ticket;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::auth::Now;
use crate::error::GraphError;
use crate::retry::{Allowance, Sleeper};
use flight::Flight;
use gate::Gate;
use quota::{App, Quota, Size};
use single::SingleLane;

pub(crate) use cost::{Cost, Lane};
pub use quota::Limits;
pub(crate) use quota::Part;
pub(crate) use registry::Budgets;
pub use share::Role;
pub(crate) use ticket::{Heard, Sound, Ticket};

/// What this process may do with a tenant's Conditional Access quota, which is
/// one request a second over all applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneUse {
    /// The share of its role.
    Share,
    /// All of it, while this process runs a restore and the others hold back.
    Whole,
    /// Nothing, while another process runs a restore: requests fail at once.
    Refuse,
}

/// How a request waits.
pub(crate) struct Manner<'a> {
    pub(crate) sleep: &'a Sleeper,
    /// The wall clock, by which the roles take turns.
    pub(crate) now: &'a Now,
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
}

/// Whoever waits first is served first, lane by lane.
#[derive(Default)]
struct Turns {
    directory: tokio::sync::Mutex<()>,
    audit: tokio::sync::Mutex<()>,
    conditional_access: tokio::sync::Mutex<()>,
}

struct State {
    quota: Quota,
    lane_use: LaneUse,
    directory_gate: Gate,
    audit_gate: Gate,
    flight: Flight,
    retries: Allowance,
    used: Instant,
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
        Self {
            part,
            state: Mutex::new(State {
                quota: Quota::new(part, now),
                lane_use: LaneUse::Share,
                directory_gate: Gate::default(),
                audit_gate: Gate::default(),
                flight: Flight::default(),
                retries: Allowance::new(now),
                used: now,
            }),
            app,
            single,
            turns: Turns::default(),
            freed: Notify::new(),
        }
    }

    /// Says how many users the tenant has.
    pub fn set_users(&self, users: usize) {
        self.state().quota.size = Size::of_users(users);
    }

    /// Says how many users were seen; the tenant has at least as many.
    pub fn saw_users(&self, users: usize) {
        let mut state = self.state();
        state.quota.size = state.quota.size.max(Size::of_users(users));
    }

    /// Says what may be done with the Conditional Access quota.
    pub fn set_conditional_access(&self, lane_use: LaneUse) {
        self.state().lane_use = lane_use;
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
        let later = state.quota.wait(now, &mut app, cost);
        if !later.is_zero() {
            return Entry::Later(later);
        }
        if cost.lane == Lane::Directory {
            if !state.flight.has_room(ceiling) {
                return Entry::Full;
            }
            state.flight.start();
        }
        state.quota.take(&mut app, cost);
        Entry::Open
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

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}
