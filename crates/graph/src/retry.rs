//! When a request is repeated, and how long is waited before.
//!
//! Graph says how long with `Retry-After`, which is always honoured; where it
//! does not (the Conditional Access quota), the wait doubles. Waits go through
//! a [`Sleeper`], so that tests do not wait.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures::future::BoxFuture;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How a wait is done.
pub type Sleeper = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// First wait after a 429 that names none.
pub(crate) const THROTTLED: Duration = Duration::from_secs(2);
/// First wait after a failure of the network or the server.
pub(crate) const FAILED: Duration = Duration::from_millis(500);

/// How long a request is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
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

/// The attempts of one request.
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
