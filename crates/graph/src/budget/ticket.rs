//! A request under way: what it drew, and what its answer says about the quotas.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{Budget, Cost, Lane};

/// From this part of a limit on, fewer requests are sent at a time.
const NEAR: f64 = 0.8;
/// What is left of the requests at a time when a limit is near.
const EASE: f64 = 0.7;
/// What is left of them when Graph refused one.
const YIELD: f64 = 0.5;

/// The right to have one request under way; it ends when this is dropped.
pub(crate) struct Ticket {
    budget: Arc<Budget>,
    cost: Cost,
    ceiling: usize,
    sent: Instant,
    /// The Conditional Access lane, where the request uses it.
    lane: Option<OwnedMutexGuard<()>>,
}

/// How an answer sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    Good,
    /// Something was refused for now, with the wait where one was named.
    Throttled(Option<Duration>),
    /// A failure, or no answer.
    Bad,
}

/// What an answer says about the quotas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Heard {
    pub(crate) sound: Sound,
    /// The units that Graph counted.
    pub(crate) units: Option<u32>,
    /// How much of a limit is used, where Graph says so.
    pub(crate) used: Option<f64>,
}

impl Ticket {
    pub(super) fn new(
        budget: &Arc<Budget>,
        cost: Cost,
        ceiling: usize,
        lane: Option<OwnedMutexGuard<()>>,
    ) -> Self {
        Self {
            budget: Arc::clone(budget),
            cost,
            ceiling,
            sent: Instant::now(),
            lane,
        }
    }

    /// Takes in an answer; says how long the lane is closed because of it.
    /// `chance`, from 0 to 1, spreads waits that Graph did not name.
    pub(crate) fn heard(&self, heard: Heard, chance: f64) -> Duration {
        let now = Instant::now();
        if self.cost.lane == Lane::ConditionalAccess {
            let gate = &mut self.budget.single.state().gate;
            return match heard.sound {
                Sound::Throttled(told) => gate.close(now, self.sent, told, chance),
                Sound::Good => {
                    gate.passed(self.sent);
                    Duration::ZERO
                }
                Sound::Bad => Duration::ZERO,
            };
        }
        self.correct(heard);
        let near = heard.used.is_some_and(|used| used >= NEAR);
        let mut state = self.budget.state();
        if self.cost.lane == Lane::Directory {
            match (heard.sound, near) {
                (Sound::Throttled(_), _) => state.flight.shrink(now, self.sent, YIELD),
                (_, true) => state.flight.shrink(now, self.sent, EASE),
                (Sound::Good, false) => state.flight.grow(self.ceiling),
                (Sound::Bad, false) => {}
            }
        }
        let gate = state.gate(self.cost.lane);
        match heard.sound {
            Sound::Throttled(told) => return gate.close(now, self.sent, told, chance),
            Sound::Good => gate.passed(self.sent),
            Sound::Bad => {}
        }
        Duration::ZERO
    }

    /// Replaces the estimate by what Graph counted.
    fn correct(&self, heard: Heard) {
        let Some(units) = heard.units.filter(|_| self.cost.lane == Lane::Directory) else {
            return;
        };
        let (estimated, counted) = (f64::from(self.cost.units), f64::from(units));
        let mut state = self.budget.state();
        state.quota.units.correct(estimated, counted);
        drop(state);
        self.budget.app().units.correct(estimated, counted);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match self.cost.lane {
            Lane::Directory => {
                self.budget.state().flight.end();
                self.budget.freed.notify_one();
            }
            // Before the turn is given on, which happens when the guard is dropped.
            Lane::ConditionalAccess => self.budget.leave_single(),
            Lane::Audit => {}
        }
        self.lane = None;
    }
}
