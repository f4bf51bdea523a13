//! Fresh identifiers as a seam.
//!
//! Owns the one place that draws chance for identifiers. It never decides what
//! an identifier means; `model::id` says which shapes are valid.

use crate::clock::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Makes identifiers that were never used before.
pub trait Ids: Send + Sync + std::fmt::Debug {
    /// A fresh identifier.
    fn uuid(&self) -> Uuid;

    /// Twelve lowercase hexadecimal digits of chance.
    fn short(&self) -> String {
        tail(self.uuid(), 12)
    }
}

/// The last digits of an identifier: those of a v7 that hold chance, not time.
fn tail(id: Uuid, digits: usize) -> String {
    let text = id.simple().to_string();
    text[text.len() - digits..].to_owned()
}

/// An id that sorts by time, `YYYYMMDDTHHMMSS-xxxxxxxx`; fit for reports and plans.
#[must_use]
pub fn stamped(clock: &dyn Clock, ids: &dyn Ids) -> String {
    format!(
        "{}-{}",
        clock.now().format("%Y%m%dT%H%M%S"),
        tail(ids.uuid(), 8)
    )
}

/// Identifiers of version 7, from the operating system's time and chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the seam's own implementation"
    )]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The same sequence of identifiers for the same seed.
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    next: AtomicU64,
}

impl SeededIds {
    /// The sequence of a seed, from its start.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            next: AtomicU64::new(0),
        }
    }
}

impl Ids for SeededIds {
    fn uuid(&self) -> Uuid {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let high = mix(self.seed ^ mix(n));
        let pair = Uuid::from_u64_pair(high, mix(high ^ n));
        uuid::Builder::from_random_bytes(pair.into_bytes()).into_uuid()
    }
}

/// One step of SplitMix64: spreads a counter over all bits.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use chrono::{TimeZone, Utc};
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_repeats_its_sequence_and_no_other() {
        let sequence = |seed| {
            let ids = SeededIds::new(seed);
            (0..50).map(|_| ids.uuid()).collect::<Vec<_>>()
        };
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
        assert_eq!(sequence(7).into_iter().collect::<BTreeSet<_>>().len(), 50);
    }

    #[test]
    fn stamped_ids_are_valid_report_and_plan_ids() {
        let clock = ManualClock::new(Utc.with_ymd_and_hms(2026, 11, 23, 8, 9, 10).unwrap());
        let id = stamped(&clock, &SystemIds);
        assert!(id.starts_with("20261123T080910-"), "{id}");
        assert_eq!(id.len(), 24);
        assert!(model::ReportId::parse(&id).is_ok());
        assert!(model::PlanId::parse(&id).is_ok());
        assert_ne!(id, stamped(&clock, &SystemIds));
    }

    #[test]
    fn short_ids_are_twelve_hexadecimal_digits() {
        let short = SystemIds.short();
        assert_eq!(short.len(), 12);
        assert!(
            short
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
            "{short}"
        );
    }
}
