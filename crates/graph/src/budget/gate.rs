//! The wait that Graph ordered: until it has passed, a lane sends nothing.
//!
//! `Retry-After` is kept to the letter. Where Graph names no wait, as with
//! Conditional Access, the wait doubles with each refusal in a row. Waits for
//! nothing; it only says how long.

use std::time::Duration;

use tokio::time::Instant;

use crate::retry::{THROTTLED, stretched};

/// The longest wait that is chosen here.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether a lane is open.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gate {
    opens: Option<Instant>,
    closed: Option<Instant>,
    /// Refusals in a row that named no wait.
    streak: u32,
}

impl Gate {
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.opens
            .map_or(Duration::ZERO, |opens| opens.saturating_duration_since(now))
    }

    /// Closes for as long as was told, and says how long it is closed now.
    /// Requests that were under way together count as one refusal.
    pub(crate) fn close(
        &mut self,
        now: Instant,
        sent: Instant,
        told: Option<Duration>,
        chance: f64,
    ) -> Duration {
        let told = told.filter(|wait| !wait.is_zero());
        let known = self.closed.is_some_and(|closed| sent < closed);
        if told.is_none() && known {
            return self.wait(now);
        }
        let wait = told.unwrap_or_else(|| {
            self.streak += 1;
            stretched(THROTTLED, self.streak, chance).min(LONGEST)
        });
        self.closed = Some(now);
        self.opens = self.opens.max(Some(now + wait));
        self.wait(now)
    }

    /// Something that was sent after the last refusal went well.
    pub(crate) fn passed(&mut self, sent: Instant) {
        if self.closed.is_none_or(|closed| sent >= closed) {
            self.streak = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_when_every_wait_has_passed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let secs = Duration::from_secs;
        let mut gate = Gate::default();
        assert_eq!(gate.wait(start), Duration::ZERO);
        assert_eq!(gate.close(start, start, Some(secs(10)), 0.0), secs(10));
        // A shorter wait does not open it sooner; a longer one holds it longer.
        assert_eq!(gate.close(at(1), start, Some(secs(3)), 0.0), secs(9));
        assert_eq!(gate.close(at(1), start, Some(secs(12)), 0.0), secs(12));
        assert_eq!(gate.wait(at(13)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_wait_it_doubles_once_for_requests_sent_together() {
        let start = Instant::now();
        let mut gate = Gate::default();
        let mut now = start;
        for expected in [2, 4, 8, 16, 32, 60, 60] {
            let sent = now;
            now += Duration::from_millis(50);
            let expected = Duration::from_secs(expected);
            assert_eq!(gate.close(now, sent, None, 0.0), expected);
            assert_eq!(gate.close(now, sent, None, 0.0), expected, "the same burst");
            assert_eq!(gate.close(now, sent, Some(Duration::ZERO), 0.0), expected);
            now += expected;
        }
        gate.passed(now);
        assert_eq!(gate.close(now, now, None, 1.0), Duration::from_secs(3));
    }
}
