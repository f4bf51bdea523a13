//! The documented request budgets, kept as token buckets per tenant.
//!
//! Budgets are counted for every caller of a tenant, whichever process it lives in. This module
//! only decides; the caller turns a refusal into an answer.

use std::collections::HashMap;

/// Whether the documented limits are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Throttle {
    /// No limits.
    #[default]
    Off,
    /// The limits that the documentation states.
    Documented,
}

/// A refusal and what the service says about when to come back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// 429 with `Retry-After`.
    After(f64),
    /// 429 without a hint: the Conditional Access lane.
    Silent,
}

/// What a request draws on.
#[derive(Clone, Debug)]
pub(crate) struct Draw<'a> {
    pub app: &'a str,
    pub units: u32,
    pub write: bool,
    pub lane: Lane,
    pub users: usize,
}

/// Services with limits of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Identity,
    ConditionalAccess,
    Reports,
    Unlimited,
}

#[derive(Debug)]
struct Bucket {
    level: f64,
    at: f64,
}

/// All buckets of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    buckets: HashMap<String, Bucket>,
}

impl Budgets {
    /// Draws on every bucket that applies, or on none.
    pub(crate) fn draw(&mut self, now: f64, draw: &Draw<'_>) -> Result<(), Refusal> {
        let mut wanted: Vec<(String, f64, f64, f64)> = Vec::new();
        match draw.lane {
            Lane::Unlimited => return Ok(()),
            Lane::ConditionalAccess => {
                return self
                    .take(now, &[("ca".to_owned(), 1.0, 1.0, 1.0)])
                    .map_err(|_| Refusal::Silent);
            }
            Lane::Reports => wanted.push((format!("reports {}", draw.app), 1.0, 5.0, 10.0)),
            Lane::Identity => {
                let units = match draw.users {
                    0..50 => 3_500.0,
                    50..=500 => 5_000.0,
                    _ => 8_000.0,
                };
                wanted.push((
                    format!("units {}", draw.app),
                    f64::from(draw.units),
                    units,
                    10.0,
                ));
                if draw.write {
                    wanted.push((format!("writes {}", draw.app), 1.0, 3_000.0, 150.0));
                    wanted.push(("writes".to_owned(), 1.0, 18_000.0, 300.0));
                }
            }
        }
        self.take(now, &wanted).map_err(Refusal::After)
    }

    /// `(name, amount, capacity, seconds)` each; the error is the wait in seconds.
    fn take(&mut self, now: f64, wanted: &[(String, f64, f64, f64)]) -> Result<(), f64> {
        let mut wait: f64 = 0.0;
        for (name, amount, capacity, seconds) in wanted {
            let bucket = self.buckets.entry(name.clone()).or_insert(Bucket {
                level: *capacity,
                at: now,
            });
            let rate = capacity / seconds;
            bucket.level = (bucket.level + (now - bucket.at).max(0.0) * rate).min(*capacity);
            bucket.at = now;
            if bucket.level < *amount {
                wait = wait.max((amount - bucket.level) / rate);
            }
        }
        if wait > 0.0 {
            return Err(wait);
        }
        for (name, amount, ..) in wanted {
            if let Some(bucket) = self.buckets.get_mut(name) {
                bucket.level -= amount;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Budgets, Draw, Lane, Refusal};

    fn draw(lane: Lane, write: bool) -> Draw<'static> {
        Draw {
            app: "a",
            units: 1,
            write,
            lane,
            users: 10,
        }
    }

    #[test]
    fn conditional_access_allows_one_request_a_second_without_a_hint() {
        let mut budgets = Budgets::default();
        assert_eq!(
            budgets.draw(0.0, &draw(Lane::ConditionalAccess, false)),
            Ok(())
        );
        assert_eq!(
            budgets.draw(0.5, &draw(Lane::ConditionalAccess, false)),
            Err(Refusal::Silent)
        );
        assert_eq!(
            budgets.draw(1.1, &draw(Lane::ConditionalAccess, false)),
            Ok(())
        );
    }

    #[test]
    fn writes_are_limited_to_three_thousand_in_a_burst_and_twenty_a_second_after() {
        let mut budgets = Budgets::default();
        let mut refused_at = None;
        for n in 0..3_100 {
            if budgets.draw(0.0, &draw(Lane::Identity, true)).is_err() {
                refused_at = Some(n);
                break;
            }
        }
        assert_eq!(refused_at, Some(3_000));
        let served = (0..100)
            .filter(|_| budgets.draw(1.0, &draw(Lane::Identity, true)).is_ok())
            .count();
        assert_eq!(served, 20);
    }
}
