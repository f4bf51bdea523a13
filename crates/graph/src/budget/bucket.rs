//! A token bucket on tokio's clock.
//!
//! Not `governor`: its quotas are fixed when a limiter is made, while a share
//! is halved during a take-over, a tenant's size is learnt as it is read, and
//! what was drawn is corrected when Graph says what it counted. Waits for
//! nothing; it only says how long.

use std::time::Duration;

use tokio::time::Instant;

/// Amounts below this are the rounding of floating-point numbers.
const DUST: f64 = 1e-6;

/// How much a bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) capacity: f64,
    pub(crate) per_second: f64,
}

impl Rate {
    /// How much of a quota may go in a burst. The rest is kept for requests
    /// that reach Graph closer together than they were sent.
    const BURST: f64 = 0.9;

    /// A part of `amount` in each `seconds`.
    pub(crate) fn new(amount: f64, seconds: f64, part: f64) -> Self {
        Self {
            capacity: amount * part * Self::BURST,
            per_second: amount * part / seconds,
        }
    }
}

/// What was drawn and has not flowed back yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    drawn: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn full(now: Instant) -> Self {
        Self {
            drawn: 0.0,
            at: now,
        }
    }

    /// How long until `amount` may be taken. More than the bucket holds may be
    /// taken from a full one, which then owes it.
    pub(crate) fn wait(&mut self, now: Instant, rate: Rate, amount: f64) -> Duration {
        let passed = now.saturating_duration_since(self.at);
        self.drawn = (self.drawn - passed.as_secs_f64() * rate.per_second).max(0.0);
        self.at = self.at.max(now);
        let lacking = self.drawn + amount.min(rate.capacity) - rate.capacity;
        if lacking <= DUST {
            return Duration::ZERO;
        }
        // Timers count in milliseconds: rounded up, one wait is enough.
        let millis = (lacking / rate.per_second * 1000.0).ceil().min(1e9);
        Duration::from_secs_f64(millis / 1000.0)
    }

    pub(crate) fn take(&mut self, amount: f64) {
        self.drawn += amount;
    }

    /// Replaces an estimate by what was counted.
    pub(crate) fn correct(&mut self, estimated: f64, counted: f64) {
        self.drawn = (self.drawn + counted - estimated).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_empties_refills_and_owes() {
        let rate = Rate {
            capacity: 10.0,
            per_second: 2.0,
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut bucket = Bucket::full(start);
        let check = |bucket: &mut Bucket, now, amount, expected| {
            assert_eq!(
                bucket.wait(now, rate, amount),
                Duration::from_secs_f64(expected)
            );
        };
        check(&mut bucket, start, 10.0, 0.0);
        bucket.take(10.0);
        check(&mut bucket, start, 1.0, 0.5);
        check(&mut bucket, at(1), 1.0, 0.0);
        check(&mut bucket, at(1), 10.0, 4.0);
        check(&mut bucket, at(100), 25.0, 0.0);
        bucket.take(25.0);
        check(&mut bucket, at(100), 1.0, 8.0);
        bucket.correct(25.0, 5.0);
        check(&mut bucket, at(100), 1.0, 0.0);
        bucket.correct(5.0, 12.0);
        check(&mut bucket, at(100), 1.0, 1.5);
    }
}
