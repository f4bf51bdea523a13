//! When a request is repeated, and how long is waited before.
//!
//! Graph says how long with `Retry-After`, which is always honoured; where it
//! does not (the Conditional Access quota), the wait doubles. A request is
//! tried for a time, not a number of times. Waits go through a [`Sleeper`], so
//! that tests do not wait.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures::future::BoxFuture;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

/// How a wait is done.
pub type Sleeper = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// The usual way: by tokio's clock.
pub(crate) fn by_tokio() -> Sleeper {
    Arc::new(|wait| Box::pin(tokio::time::sleep(wait)))
}

/// First wait after a 429 that names none.
pub(crate) const THROTTLED: Duration = Duration::from_secs(2);
/// First wait after a failure of the network or the server.
pub(crate) const FAILED: Duration = Duration::from_millis(500);

/// The longest wait after a failure of the network or the server.
const LONGEST: Duration = Duration::from_secs(60);
/// How often a request is sent whose answers cannot be read.
const UNREADABLE: u32 = 4;

/// How long a request is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all at the login host, the first one included. Requests to
    /// Graph are tried for as long as `max_wait` allows.
    pub attempts: u32,
    /// The longest sum of waits between them.
    pub max_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 8,
            max_wait: Duration::from_secs(300),
        }
    }
}

/// The attempts at one login.
pub(crate) struct Attempts<'a> {
    policy: RetryPolicy,
    sleep: &'a Sleeper,
    made: u32,
    waited: Duration,
}

/// What [`Attempts::pause`] allows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Again,
    GiveUp,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(policy: RetryPolicy, sleep: &'a Sleeper) -> Self {
        Self {
            policy,
            sleep,
            made: 1,
            waited: Duration::ZERO,
        }
    }

    /// Waits before the next attempt: as long as the other side said, else
    /// `first`, doubled with each attempt.
    pub(crate) async fn pause(&mut self, told: Option<Duration>, first: Duration) -> Next {
        let doubled = first.saturating_mul(2_u32.saturating_pow(self.made - 1));
        let wait = told.unwrap_or(doubled);
        if self.made >= self.policy.attempts
            || self.waited.saturating_add(wait) > self.policy.max_wait
        {
            return Next::GiveUp;
        }
        self.made += 1;
        self.waited += wait;
        (self.sleep)(wait).await;
        Next::Again
    }
}

/// A first wait, doubled with each failure after the first and stretched by up
/// to a half, so that those who failed together do not come back together.
pub(crate) fn stretched(first: Duration, failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = first.saturating_mul(2_u32.pow(doublings));
    wait.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 2.0)
}

/// The patience with one request to Graph.
pub(crate) struct Patience {
    left: Duration,
    failures: u32,
    unreadable: u32,
}

impl Patience {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self {
            left: policy.max_wait,
            failures: 0,
            unreadable: 0,
        }
    }

    /// Takes a wait out of what is left, where there is enough.
    pub(crate) fn spend(&mut self, wait: Duration) -> Next {
        match self.left.checked_sub(wait) {
            Some(left) => {
                self.left = left;
                Next::Again
            }
            None => Next::GiveUp,
        }
    }

    /// The wait after a failure of the network or the server.
    pub(crate) fn after_failure(&mut self, chance: f64) -> Duration {
        self.failures += 1;
        stretched(FAILED, self.failures, chance).min(LONGEST)
    }

    /// Counts an answer that cannot be read; a few may be bad luck.
    pub(crate) fn unreadable(&mut self) -> Next {
        self.unreadable += 1;
        if self.unreadable < UNREADABLE {
            Next::Again
        } else {
            Next::GiveUp
        }
    }
}

/// How many repetitions the requests to one tenant may have together: a fifth
/// of the requests, and one a second. A repetition beyond that waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    /// What may be saved, and what there is at first.
    const MOST: f64 = 20.0;
    const OF_A_REQUEST: f64 = 0.2;
    const OF_A_SECOND: f64 = 1.0;

    pub(crate) fn new(now: Instant) -> Self {
        Self {
            left: Self::MOST,
            at: now,
        }
    }

    pub(crate) fn earn(&mut self) {
        self.left = (self.left + Self::OF_A_REQUEST).min(Self::MOST);
    }

    /// How long the next repetition must wait.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * Self::OF_A_SECOND).min(Self::MOST);
        self.at = self.at.max(now);
        Duration::from_secs_f64((1.0 - self.left).max(0.0) / Self::OF_A_SECOND)
    }

    pub(crate) fn take(&mut self) {
        self.left -= 1.0;
    }
}

/// The wait that an answer asks for.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    parse_retry_after(text(RETRY_AFTER)?, text(DATE))
}

/// Reads seconds, whole or fractional, or a date. A date is compared with the
/// answer's own `Date`, so that this machine's clock does not matter.
pub(crate) fn parse_retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = DateTime::parse_from_rfc2822(value).ok()?;
    let now = DateTime::parse_from_rfc2822(date?).ok()?;
    Some((until - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn retry_after_is_seconds_fractions_or_a_date() {
        let check = |value, date, expected: Option<f64>| {
            assert_eq!(
                parse_retry_after(value, date),
                expected.map(Duration::from_secs_f64),
                "{value}"
            );
        };
        check("10", None, Some(10.0));
        check(" 2.128 ", None, Some(2.128));
        check(
            "Wed, 21 Oct 2026 07:28:30 GMT",
            Some("Wed, 21 Oct 2026 07:28:00 GMT"),
            Some(30.0),
        );
        check(
            "Wed, 21 Oct 2026 07:27:00 GMT",
            Some("Wed, 21 Oct 2026 07:28:00 GMT"),
            Some(0.0),
        );
        check("Wed, 21 Oct 2026 07:28:30 GMT", None, None);
        check("soon", None, None);
        check("-1", None, None);
        check("NaN", None, None);
    }

    #[test]
    fn patience_is_a_time_and_unreadable_answers_are_few() {
        let secs = Duration::from_secs_f64;
        let mut patience = Patience::new(RetryPolicy {
            attempts: 1,
            max_wait: secs(300.0),
        });
        let mut waits = Vec::new();
        loop {
            let wait = patience.after_failure(0.0);
            if patience.spend(wait) == Next::GiveUp {
                break;
            }
            waits.push(wait.as_secs_f64());
        }
        assert_eq!(
            waits,
            [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
        );
        assert_eq!(stretched(secs(2.0), 1, 1.0), secs(3.0));
        assert_eq!(stretched(secs(2.0), 3, 0.5), secs(10.0));
        let reads = (0..).take_while(|_| patience.unreadable() == Next::Again);
        assert_eq!(reads.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn repetitions_are_a_fifth_of_the_requests_and_one_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let free = |allowance: &mut Allowance, now| {
            let mut count = 0;
            while allowance.wait(now).is_zero() {
                allowance.take();
                count += 1;
            }
            count
        };
        assert_eq!(free(&mut allowance, start), 20);
        for _ in 0..51 {
            allowance.earn();
        }
        assert_eq!(free(&mut allowance, start), 10);
        let later = start + Duration::from_secs(7);
        assert_eq!(free(&mut allowance, later), 7);
        // In an outage each waits for its turn.
        allowance.take();
        allowance.take();
        let wait = allowance.wait(later).as_secs_f64();
        assert!((2.0..3.0).contains(&wait), "{wait}");
        for _ in 0..1000 {
            allowance.earn();
        }
        assert_eq!(free(&mut allowance, later), 20, "no more can be saved");
    }

    #[tokio::test]
    async fn waits_double_and_end_with_the_budget() {
        let waits = Arc::new(Mutex::new(Vec::new()));
        let recorder = Arc::clone(&waits);
        let sleep: Sleeper = Arc::new(move |wait| {
            recorder.lock().unwrap().push(wait.as_secs());
            Box::pin(std::future::ready(()))
        });
        let mut attempts = Attempts::new(
            RetryPolicy {
                attempts: 8,
                max_wait: Duration::from_secs(40),
            },
            &sleep,
        );
        while attempts.pause(None, THROTTLED).await == Next::Again {}
        assert_eq!(*waits.lock().unwrap(), [2, 4, 8, 16]);

        let mut attempts = Attempts::new(
            RetryPolicy {
                attempts: 3,
                ..RetryPolicy::default()
            },
            &sleep,
        );
        assert_eq!(
            attempts
                .pause(Some(Duration::from_secs(301)), THROTTLED)
                .await,
            Next::GiveUp
        );
        assert_eq!(
            attempts
                .pause(Some(Duration::from_secs(1)), THROTTLED)
                .await,
            Next::Again
        );
        assert_eq!(
            attempts
                .pause(Some(Duration::from_secs(1)), THROTTLED)
                .await,
            Next::Again
        );
        assert_eq!(
            attempts
                .pause(Some(Duration::from_secs(1)), THROTTLED)
                .await,
            Next::GiveUp
        );
    }
}
