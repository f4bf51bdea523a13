//! The newest state of a tenant and, while replication lags, the older states that reads may see.
//!
//! Writes always act on the newest state. With lag off nothing is kept and nothing is copied;
//! with lag on every change keeps a whole copy, so lag is for small tenants.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::clock::Clock;
use crate::ids::Ids;
use crate::state::State;

/// How far reads may lag behind writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replication {
    /// The oldest state that a read may be answered from; zero switches lag off.
    pub max_lag: Duration,
    /// Chooses how old each answer is.
    pub seed: u64,
}

/// All that a tenant remembers.
#[derive(Debug)]
struct Replicas {
    newest: RwLock<State>,
    lags: AtomicBool,
    lag: Mutex<Option<Lag>>,
    clock: Clock,
}

#[derive(Debug)]
struct Lag {
    longest: TimeDelta,
    dice: Ids,
    /// Each state with the time from which it held, oldest first; the last is the newest one.
    past: VecDeque<(DateTime<Utc>, Arc<State>)>,
}

/// A tenant's state as one request sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    replicas: Arc<Replicas>,
    older: Option<Arc<State>>,
}

/// A state to read.
pub(crate) enum Seen<'a> {
    Newest(RwLockReadGuard<'a, State>),
    Older(&'a State),
}

/// The newest state to change; it is remembered when this is dropped.
pub(crate) struct Changing<'a> {
    guard: RwLockWriteGuard<'a, State>,
    replicas: &'a Replicas,
}

impl Replica {
    pub(crate) fn new(state: State, clock: Clock) -> Self {
        Self {
            replicas: Arc::new(Replicas {
                newest: RwLock::new(state),
                lags: AtomicBool::new(false),
                lag: Mutex::default(),
                clock,
            }),
            older: None,
        }
    }

    pub(crate) fn read(&self) -> Seen<'_> {
        match &self.older {
            Some(state) => Seen::Older(state),
            None => Seen::Newest(self.replicas.newest.read()),
        }
    }

    pub(crate) fn write(&self) -> Changing<'_> {
        Changing {
            guard: self.replicas.newest.write(),
            replicas: &self.replicas,
        }
    }

    /// Whether a read may see anything but the newest state.
    pub(crate) fn lags(&self) -> bool {
        self.replicas.lags.load(Ordering::Relaxed)
    }

    /// The newest state, whatever this replica showed before.
    pub(crate) fn newest(&self) -> Self {
        Self {
            replicas: Arc::clone(&self.replicas),
            older: None,
        }
    }

    /// A state chosen at random among those within the lag.
    pub(crate) fn any(&self) -> Self {
        let mut lag = self.replicas.lag.lock();
        let older = lag
            .as_mut()
            .and_then(|lag| lag.choose(self.replicas.clock.now()));
        Self {
            replicas: Arc::clone(&self.replicas),
            older,
        }
    }

    /// The log position that every read from now on includes.
    pub(crate) fn settled_position(&self) -> usize {
        let mut lag = self.replicas.lag.lock();
        if let Some(lag) = lag.as_mut() {
            lag.forget(self.replicas.clock.now());
            if let Some((_, oldest)) = lag.past.front() {
                return oldest.history.position();
            }
        }
        drop(lag);
        self.replicas.newest.read().history.position()
    }

    pub(crate) fn set_lag(&self, replication: Replication) {
        let longest = TimeDelta::from_std(replication.max_lag).unwrap_or(TimeDelta::MAX);
        let newest = self.replicas.newest.read();
        let on = !longest.is_zero();
        let lag = on.then(|| Lag {
            longest,
            dice: Ids::seeded(replication.seed),
            past: VecDeque::from([(self.replicas.clock.now(), Arc::new(newest.clone()))]),
        });
        *self.replicas.lag.lock() = lag;
        self.replicas.lags.store(on, Ordering::Relaxed);
    }
}

impl Lag {
    /// Drops what no read can see any more.
    fn forget(&mut self, now: DateTime<Utc>) {
        let oldest = now - self.longest;
        while self.past.get(1).is_some_and(|(from, _)| *from <= oldest) {
            self.past.pop_front();
        }
    }

    /// `None` for the newest state.
    fn choose(&mut self, now: DateTime<Utc>) -> Option<Arc<State>> {
        const STEPS: usize = 1 << 20;
        self.forget(now);
        let steps = i64::try_from(self.dice.below(STEPS + 1)).unwrap_or(0);
        let step = i64::try_from(STEPS).unwrap_or(1);
        let micros = self.longest.num_microseconds().unwrap_or(i64::MAX / step);
        let at =
            now - TimeDelta::microseconds(micros / step * steps + micros % step * steps / step);
        let held = self.past.partition_point(|(from, _)| *from <= at).max(1) - 1;
        (held + 1 < self.past.len()).then(|| Arc::clone(&self.past[held].1))
    }

    fn remember(&mut self, now: DateTime<Utc>, state: &State) {
        self.forget(now);
        // Of two states of one instant nobody could have seen the first.
        if self.past.back().is_some_and(|(from, _)| *from == now) {
            self.past.pop_back();
        }
        self.past.push_back((now, Arc::new(state.clone())));
    }
}

impl Deref for Seen<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        match self {
            Self::Newest(guard) => guard,
            Self::Older(state) => state,
        }
    }
}

impl Deref for Changing<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.guard
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.guard
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if !self.replicas.lags.load(Ordering::Relaxed) {
            return;
        }
        if let Some(lag) = self.replicas.lag.lock().as_mut() {
            lag.remember(self.replicas.clock.now(), &self.guard);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;

    use super::*;
    use crate::catalog::Kind;
    use crate::state::history::What;

    fn change(replica: &Replica) {
        let id = uuid::Uuid::nil();
        replica
            .write()
            .history
            .push(Kind::User, id, What::SoftDeleted);
    }

    fn seen(replica: &Replica) -> BTreeSet<usize> {
        (0..200)
            .map(|_| replica.any().read().history.position())
            .collect()
    }

    #[test]
    fn reads_see_states_within_the_lag_and_then_agree() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let replica = Replica::new(State::new(1), clock.clone());
        let max_lag = Duration::from_secs(30);
        replica.set_lag(Replication { max_lag, seed: 3 });
        for _ in 0..4 {
            clock.advance(Duration::from_secs(10));
            change(&replica);
        }
        assert_eq!(seen(&replica), BTreeSet::from([1, 2, 3]));
        assert_eq!(replica.settled_position(), 1);
        clock.advance(Duration::from_secs(15));
        assert_eq!(seen(&replica), BTreeSet::from([2, 3, 4]));
        assert_eq!(replica.read().history.position(), 4);
        clock.advance(Duration::from_secs(15));
        assert_eq!(seen(&replica), BTreeSet::from([4]));
        replica.set_lag(Replication {
            max_lag: Duration::ZERO,
            seed: 3,
        });
        assert!(!replica.lags());
    }
}
