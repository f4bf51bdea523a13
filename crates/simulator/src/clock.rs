//! The simulator's only source of time: the wall, tokio's (which tests pause), or a hand-set value.
//!
//! Nothing else in the crate may ask the system for the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// Where the simulator reads the time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Wall,
    Tokio {
        start: DateTime<Utc>,
        origin: tokio::time::Instant,
    },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn wall() -> Self {
        Self(Source::Wall)
    }

    /// Starts at `start` and moves with tokio's clock, so that a paused runtime pauses it.
    #[must_use]
    pub fn tokio(start: DateTime<Utc>) -> Self {
        Self(Source::Tokio {
            start,
            origin: tokio::time::Instant::now(),
        })
    }

    /// Stands at `start` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(
            start.timestamp_micros(),
        ))))
    }

    /// Moves a manual clock on; the other kinds ignore it.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(micros) = &self.0 {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            micros.fetch_add(by, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator's clock seam; it may not depend on the runtime crate"
    )]
    pub(crate) fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::Wall => Utc::now(),
            Source::Tokio { start, origin } => *start + origin.elapsed(),
            Source::Manual(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)).unwrap_or_default()
            }
        }
    }

    pub(crate) fn now_seconds(&self) -> String {
        stamp(self.now())
    }

    pub(crate) fn now_precise(&self) -> String {
        self.now().to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// Seconds since the epoch, for budgets and expiry.
    pub(crate) fn seconds(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "microseconds fit in 53 bits until 2255"
        )]
        let micros = self.now().timestamp_micros() as f64;
        micros / 1e6
    }
}

/// A date as directory objects show it: whole seconds, UTC.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
