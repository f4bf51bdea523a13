//! How much one caller, one tenant and all of them together may ask of the door.
//!
//! Owns the counting of calls by rate and by how many are under way.
//! Who may call at all is decided before; nothing here tells callers apart by what they
//! may do.

use crate::access::Method;
use crate::error::GatewayError;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait where too many calls are under way.
const LATER: Duration = Duration::from_secs(1);
/// After how many calls those are forgotten who have not called for a while.
const SWEEP: u32 = 4096;

/// What is allowed of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Calls a second in the long run, and twice as many at once; `None` for any.
    pub rate: Option<NonZeroU32>,
    /// Calls under way at a time.
    pub calls: u32,
}

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `REWIND_CALLER_RATE`, `REWIND_CALLER_CALLS`: of one caller.
    pub caller: Limit,
    /// `REWIND_TENANT_RATE`, `REWIND_TENANT_CALLS`: about one tenant, by whomever.
    pub tenant: Limit,
    /// `REWIND_CALLS`: of everybody together.
    pub calls: u32,
    /// `REWIND_DEADLINE`: how long a call may take that is no stream.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            caller: Limit {
                rate: NonZeroU32::new(200),
                calls: 128,
            },
            tenant: Limit {
                rate: NonZeroU32::new(400),
                calls: 256,
            },
            calls: 4096,
            deadline: Duration::from_secs(30 * 60),
        }
    }
}

/// Tokio's time, which tests pause.
#[derive(Debug, Clone, Copy)]
struct Since(Instant);

impl Clock for Since {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

type Rate = RateLimiter<String, HashMapStateStore<String>, Since, NoOpMiddleware<Nanos>>;

/// The calls of one kind of key.
#[derive(Debug)]
struct Kind {
    rate: Option<Rate>,
    clock: Since,
    seen: AtomicU32,
    calls: u32,
    under_way: Mutex<HashMap<String, u32>>,
}

impl Kind {
    fn new(limit: Limit) -> Self {
        let clock = Since(Instant::now());
        let rate = limit.rate.map(|rate| {
            let quota = Quota::per_second(rate).allow_burst(rate.saturating_add(rate.get()));
            RateLimiter::hashmap_with_clock(quota, clock)
        });
        Self {
            rate,
            clock,
            seen: AtomicU32::new(0),
            calls: limit.calls,
            under_way: Mutex::default(),
        }
    }

    fn enter(self: &Arc<Self>, key: &str) -> Result<Turn, GatewayError> {
        let turn = self.take(key)?;
        let Some(rate) = &self.rate else {
            return Ok(turn);
        };
        if self.seen.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            rate.retain_recent();
        }
        let checked = rate.check_key(&key.to_owned());
        checked
            .map(|()| turn)
            .map_err(|not| GatewayError::Limited(not.wait_time_from(self.clock.now())))
    }

    fn take(self: &Arc<Self>, key: &str) -> Result<Turn, GatewayError> {
        let mut under_way = self.under_way.lock();
        let count = under_way.entry(key.to_owned()).or_insert(0);
        if *count >= self.calls {
            return Err(GatewayError::Limited(LATER));
        }
        *count += 1;
        Ok(Turn {
            kind: Arc::clone(self),
            key: key.to_owned(),
        })
    }
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    kind: Arc<Kind>,
    key: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self.kind.under_way.lock();
        if let Some(count) = under_way.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.key);
            }
        }
    }
}

/// Counts the calls through the door. Streams, which may last, are counted apart, so
/// that who watches keeps nobody from calling.
#[derive(Debug)]
pub(crate) struct Turnstile {
    calls: Lane,
    streams: Lane,
}

impl Turnstile {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            calls: Lane::new(limits),
            streams: Lane::new(limits),
        }
    }

    /// Where calls of a method are counted; of one that does not exist, where most are.
    pub(crate) fn lane(&self, method: Option<&Method>) -> &Lane {
        match method {
            Some(method) if method.streams => &self.streams,
            _ => &self.calls,
        }
    }
}

/// Counts calls of one sort.
#[derive(Debug)]
pub(crate) struct Lane {
    callers: Arc<Kind>,
    tenants: Arc<Kind>,
    all: Arc<Kind>,
}

impl Lane {
    fn new(limits: &Limits) -> Self {
        let all = Limit {
            rate: None,
            calls: limits.calls,
        };
        Self {
            callers: Arc::new(Kind::new(limits.caller)),
            tenants: Arc::new(Kind::new(limits.tenant)),
            all: Arc::new(Kind::new(all)),
        }
    }

    /// Counts a call of a caller.
    ///
    /// # Errors
    /// [`GatewayError::Limited`] where there are too many for now.
    pub(crate) fn caller(&self, name: &str) -> Result<[Turn; 2], GatewayError> {
        Ok([self.all.enter("")?, self.callers.enter(name)?])
    }

    /// Counts a call about a tenant, where it is about one.
    ///
    /// # Errors
    /// As [`Lane::caller`].
    pub(crate) fn tenant(&self, tenant: &str) -> Result<Option<Turn>, GatewayError> {
        let is_one = !tenant.is_empty();
        is_one.then(|| self.tenants.enter(tenant)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turnstile(rate: Option<u32>, calls: u32) -> Lane {
        let limit = Limit {
            rate: rate.and_then(NonZeroU32::new),
            calls,
        };
        Lane::new(&Limits {
            caller: limit,
            tenant: limit,
            calls: 5,
            ..Limits::default()
        })
    }

    fn wait<T>(entered: Result<T, GatewayError>) -> Option<Duration> {
        match entered {
            Ok(_) => None,
            Err(GatewayError::Limited(wait)) => Some(wait),
            Err(other) => panic!("{other}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_has_a_rate_and_twice_as_much_at_once() {
        let turnstile = turnstile(Some(2), 100);
        for _ in 0..4 {
            assert_eq!(wait(turnstile.caller("anna")), None);
        }
        let half = Duration::from_millis(500);
        assert_eq!(wait(turnstile.caller("anna")), Some(half));
        assert_eq!(
            wait(turnstile.caller("ben")),
            None,
            "others are not touched"
        );
        tokio::time::advance(half).await;
        assert_eq!(wait(turnstile.caller("anna")), None);
        assert_eq!(wait(turnstile.caller("anna")), Some(half));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_under_way_are_counted_until_they_end() {
        let turnstile = turnstile(None, 2);
        let first = turnstile.caller("anna").expect("one");
        let _second = turnstile.caller("anna").expect("two");
        assert_eq!(wait(turnstile.caller("anna")), Some(LATER));
        let tenant = turnstile.tenant("a").expect("one");
        let _other = turnstile.tenant("a").expect("two");
        assert_eq!(wait(turnstile.tenant("a")), Some(LATER));
        assert_eq!(wait(turnstile.tenant("b")), None);
        assert_eq!(wait(turnstile.tenant("")), None, "about no tenant");
        drop((first, tenant));
        assert_eq!(wait(turnstile.caller("anna")), None);
        assert_eq!(wait(turnstile.tenant("a")), None);
        assert_eq!(turnstile.tenants.under_way.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_have_a_limit_too() {
        let turnstile = turnstile(None, 2);
        let names = ["a", "b", "c", "d", "e"];
        let turns: Vec<_> = names
            .iter()
            .map(|name| turnstile.caller(name).expect("one each"))
            .collect();
        assert_eq!(wait(turnstile.caller("f")), Some(LATER));
        drop(turns);
        assert_eq!(wait(turnstile.caller("f")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_for_the_rate_is_not_under_way() {
        let turnstile = turnstile(Some(1), 100);
        let turns: Vec<_> = (0..2).map(|_| turnstile.caller("anna")).collect();
        assert!(turns.iter().all(Result::is_ok));
        assert!(turnstile.caller("anna").is_err());
        assert_eq!(turnstile.callers.under_way.lock()["anna"], 2);
        drop(turns);
        assert!(turnstile.callers.under_way.lock().is_empty());
        assert!(turnstile.all.under_way.lock().is_empty());
    }
}
