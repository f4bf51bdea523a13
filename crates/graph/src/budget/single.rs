//! The Conditional Access lane: one request a second over all applications.
//!
//! Graph names no wait when it is passed, so it must not be: one request is
//! under way at a time, and the next is sent a second after the answer to the
//! last. The lane is the tenant's, whichever application of this process asks.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::gate::Gate;
use super::ticket::Ticket;
use super::{Budget, Cost, LaneUse, Limits, Manner};
use crate::error::GraphError;

/// The distance between two requests where a process has the whole lane.
pub(super) const DISTANCE: Duration = Duration::from_secs(1);

/// A tenant's Conditional Access lane.
pub(super) struct SingleLane {
    /// Held from before a request until after its answer.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<SingleState>,
}

pub(super) struct SingleState {
    pub(super) gate: Gate,
    pub(super) free: Instant,
}

impl SingleLane {
    pub(super) fn new() -> Self {
        Self {
            turn: Arc::default(),
            state: Mutex::new(SingleState {
                gate: Gate::default(),
                free: Instant::now(),
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SingleState> {
        self.state
            .lock()
            .expect("invariant: no panic while the lock is held")
    }
}

impl Budget {
    pub(super) async fn enter_single(
        self: &Arc<Self>,
        cost: Cost,
        manner: &Manner<'_>,
    ) -> Result<Ticket, GraphError> {
        let _turn = self.turns.conditional_access.lock().await;
        loop {
            self.wait_for_share(manner).await?;
            let turn = Arc::clone(&self.single.turn).lock_owned().await;
            self.wait_for_lane(manner).await?;
            // The lane may have been taken away during the wait.
            if self.lane_is_ours() {
                return Ok(Ticket::new(self, cost, manner.ceiling, Some(turn)));
            }
        }
    }

    fn lane_is_ours(&self) -> bool {
        matches!(self.state().lane_use, LaneUse::Share | LaneUse::Whole)
    }

    /// Waits until this role may use the lane again.
    async fn wait_for_share(&self, manner: &Manner<'_>) -> Result<(), GraphError> {
        loop {
            let (lane_use, free) = {
                let mut state = self.state();
                state.used = Instant::now();
                (state.lane_use, state.single_free)
            };
            match lane_use {
                LaneUse::Wait => self.changed.notified().await,
                LaneUse::Refuse => {
                    return Err(GraphError::Unavailable {
                        what: "a restore has the conditional access quota".to_owned(),
                        path: manner.path.to_owned(),
                    });
                }
                LaneUse::Whole => return Ok(()),
                LaneUse::Share => {
                    let wait = free.saturating_duration_since(Instant::now());
                    if wait.is_zero() {
                        return Ok(());
                    }
                    (manner.sleep)(wait).await;
                }
            }
        }
    }

    /// Waits until the lane as a whole is free and open.
    async fn wait_for_lane(&self, manner: &Manner<'_>) -> Result<(), GraphError> {
        loop {
            let now = Instant::now();
            let (closed, busy) = {
                let lane = self.single.state();
                (
                    lane.gate.wait(now),
                    lane.free.saturating_duration_since(now),
                )
            };
            match (closed.is_zero(), busy.is_zero()) {
                (true, true) => return Ok(()),
                (true, false) => (manner.sleep)(busy).await,
                (false, _) => manner.keep(closed.max(busy)).await?,
            }
        }
    }

    /// Leaves the lane after the answer to a request that was sent then.
    pub(super) fn leave_single(&self, sent: Instant) {
        if self.part.limits == Limits::Off {
            return;
        }
        self.single.state().free = Instant::now() + DISTANCE;
        let mut state = self.state();
        let part = self.part.role.share().conditional_access * state.quota.portion;
        state.single_free = sent + DISTANCE.div_f64(part.max(0.001));
    }
}
