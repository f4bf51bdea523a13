//! The Conditional Access lane: one request a second over all applications.
//!
//! Graph names no wait when it is passed, so it must not be. Within a process
//! one request is under way at a time, and the next is sent a second after the
//! answer to the last; the lane is the tenant's, whichever application of this
//! process asks. Between processes the roles take turns, each in its own time
//! slots, unless one of them runs a restore and has the whole lane.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::gate::Gate;
use super::ticket::Ticket;
use super::{Budget, Cost, LaneUse, Limits, Manner, slots};
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
            while let Some(wait) = self.wait_for_slot(manner)? {
                (manner.sleep)(wait).await;
            }
            let turn = Arc::clone(&self.single.turn).lock_owned().await;
            self.wait_for_lane(manner).await?;
            // The slot may have passed during the wait, or a restore begun.
            if self.wait_for_slot(manner)?.is_none() {
                return Ok(Ticket::new(self, cost, manner.ceiling, Some(turn)));
            }
        }
    }

    /// How long this role must wait for its turn; `None` where it may send now.
    fn wait_for_slot(&self, manner: &Manner<'_>) -> Result<Option<Duration>, GraphError> {
        let lane_use = {
            let mut state = self.state();
            state.used = Instant::now();
            state.lane_use
        };
        match lane_use {
            LaneUse::Refuse => Err(GraphError::Yielded {
                path: manner.path.to_owned(),
            }),
            LaneUse::Whole => Ok(None),
            LaneUse::Share if self.part.limits == Limits::Off => Ok(None),
            LaneUse::Share => {
                let wait = slots::wait(self.part.role, (manner.now)());
                Ok(Some(wait).filter(|wait| !wait.is_zero()))
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

    /// Leaves the lane after the answer to a request.
    pub(super) fn leave_single(&self) {
        if self.part.limits == Limits::Documented {
            self.single.state().free = Instant::now() + DISTANCE;
        }
    }
}
