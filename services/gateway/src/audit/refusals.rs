//! Calls that were refused for want of a valid token, counted by where they came from.
//!
//! Owns that a flood of them costs one file a second and a bounded piece of memory.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// How many addresses are told apart within a second.
const MOST: usize = 256;
/// What the others are told under.
const OTHERS: &str = "others";

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    source: String,
    code: &'static str,
    reason: String,
}

/// How many calls were refused from one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) source: String,
    pub(super) code: &'static str,
    pub(super) reason: String,
    pub(super) count: i64,
    /// When the first of them came.
    pub(super) first: DateTime<Utc>,
}

/// Whether somebody has to see to it that they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Somebody does already.
    Along,
    /// They have to be taken soon.
    First,
}

/// What was counted since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<Key, (i64, DateTime<Utc>)>>);

impl Refusals {
    /// Counts a call.
    pub(super) fn count(
        &self,
        source: &str,
        code: &'static str,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Counted {
        let mut counts = self.0.lock();
        let first = counts.is_empty();
        let mut key = Key {
            source: source.to_owned(),
            code,
            reason: reason.to_owned(),
        };
        if counts.len() >= MOST && !counts.contains_key(&key) {
            OTHERS.clone_into(&mut key.source);
        }
        counts.entry(key).or_insert((0, now)).0 += 1;
        match first {
            true => Counted::First,
            false => Counted::Along,
        }
    }

    /// Takes what was counted.
    pub(super) fn take(&self) -> Vec<Refused> {
        let counts = std::mem::take(&mut *self.0.lock());
        let refused = counts.into_iter().map(|(key, (count, first))| Refused {
            source: key.source,
            code: key.code,
            reason: key.reason,
            count,
            first,
        });
        let mut refused: Vec<Refused> = refused.collect();
        refused.sort_by(|a, b| (a.first, &a.source).cmp(&(b.first, &b.source)));
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_from_everywhere_takes_bounded_memory_and_no_call_is_uncounted() {
        let refusals = Refusals::default();
        let now = DateTime::UNIX_EPOCH;
        let count = |source: &str| refusals.count(source, "UNAUTHENTICATED", "R", now);
        assert_eq!(count("10.0.0.0"), Counted::First);
        for n in 0..5_000 {
            assert_eq!(
                count(&format!("10.0.{}.{}", n / 250, n % 250)),
                Counted::Along
            );
        }
        let taken = refusals.take();
        assert_eq!(taken.len(), MOST + 1);
        assert_eq!(taken.iter().map(|one| one.count).sum::<i64>(), 5_001);
        let others = taken.iter().find(|one| one.source == OTHERS);
        assert_eq!(others.map(|one| one.count), Some(5_000 - 256));
        assert!(refusals.take().is_empty());
        assert_eq!(count("10.0.0.0"), Counted::First);
    }
}
