//! How many requests are under way at a time.
//!
//! Grows by one for each full round of good answers, and shrinks as soon as
//! Graph says that a limit is near, before it refuses anything.

use tokio::time::Instant;

/// Where it starts.
const START: f64 = 4.0;

/// The requests under way, and how many may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    limit: f64,
    under_way: usize,
    cut: Option<Instant>,
}

impl Default for Flight {
    fn default() -> Self {
        Self {
            limit: START,
            under_way: 0,
            cut: None,
        }
    }
}

impl Flight {
    /// A limit of 3.7 allows three.
    pub(crate) fn has_room(&self, ceiling: usize) -> bool {
        let ceiling = ceiling.max(1);
        // Compared as numbers: the limit is never below one.
        self.under_way < ceiling && (self.under_way as f64) + 1.0 <= self.limit
    }

    pub(crate) fn start(&mut self) {
        self.under_way += 1;
    }

    pub(crate) fn end(&mut self) {
        self.under_way -= 1;
    }

    pub(crate) fn grow(&mut self, ceiling: usize) {
        let ceiling = ceiling.max(1) as f64;
        self.limit = (self.limit + 1.0 / self.limit).min(ceiling.max(self.limit));
    }

    /// Shrinks to a part, once for all requests that were under way together.
    pub(crate) fn shrink(&mut self, now: Instant, sent: Instant, part: f64) {
        if self.cut.is_none_or(|cut| sent >= cut) {
            self.limit = (self.limit * part).max(1.0);
            self.cut = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn room(flight: &Flight, ceiling: usize) -> usize {
        let mut flight = *flight;
        while flight.has_room(ceiling) {
            flight.start();
        }
        flight.under_way
    }

    #[tokio::test(start_paused = true)]
    async fn it_grows_slowly_and_shrinks_at_once() {
        let mut now = Instant::now();
        let mut flight = Flight::default();
        assert_eq!(
            (room(&flight, 8), room(&flight, 2), room(&flight, 0)),
            (4, 2, 1)
        );
        for _ in 0..5 {
            flight.grow(8);
        }
        assert_eq!(room(&flight, 8), 5);
        for _ in 0..100 {
            flight.grow(8);
        }
        assert_eq!(room(&flight, 8), 8);
        let sent = now;
        now += Duration::from_secs(1);
        for _ in 0..8 {
            flight.shrink(now, sent, 0.5);
        }
        assert_eq!(
            room(&flight, 8),
            4,
            "eight refusals of one moment count once"
        );
        for _ in 0..10 {
            flight.shrink(now, now, 0.5);
        }
        assert_eq!(room(&flight, 8), 1);
    }
}
