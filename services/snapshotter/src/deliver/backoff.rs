//! When a signal is sent again, and when no more.
//!
//! A function of what is stored, so that every replica finds the same times.

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, TimeDelta, Utc};

/// How often a signal is sent before it is a dead letter: over about a day.
pub(crate) const ATTEMPTS: u32 = 10;
/// The first pause; each further one is four times as long.
const FIRST: TimeDelta = TimeDelta::seconds(30);
/// The longest pause, also where a webhook asks for a longer one.
const LONGEST: TimeDelta = TimeDelta::hours(5);

/// How long after the beginning of an attempt the next one begins. It is spread by a
/// quarter either way, each delivery in its own way, so that those that failed
/// together do not come back together.
pub(crate) fn pause(delivery: &str, attempt: u32) -> TimeDelta {
    let doublings = 2 * attempt.saturating_sub(1).min(8);
    let pause = (FIRST * (1 << doublings)).min(LONGEST);
    let hash = digest(&SHA256, format!("{delivery}/{attempt}").as_bytes());
    let byte = hash.as_ref().first().copied().unwrap_or_default();
    pause * (384 + i32::from(byte)) / 512
}

/// When an attempt that began at a time is followed by the next one, where a webhook
/// may have asked for a later time.
pub(crate) fn next(
    delivery: &str,
    attempt: u32,
    began: DateTime<Utc>,
    not_before: Option<DateTime<Utc>>,
) -> DateTime<Utc> {
    let usual = began + pause(delivery, attempt);
    let asked = not_before.map_or(usual, |at| at.min(began + LONGEST));
    usual.max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_after_about_a_day() {
        for delivery in ["20261121-daily-mass-disable", "x", "y"] {
            let pauses: Vec<TimeDelta> = (1..ATTEMPTS).map(|n| pause(delivery, n)).collect();
            let base = [30, 120, 480, 1_920, 7_680, 18_000, 18_000, 18_000, 18_000];
            for (pause, base) in pauses.iter().zip(base) {
                let seconds = pause.num_seconds();
                let around = base * 3 / 4..base * 5 / 4;
                assert!(around.contains(&seconds), "{seconds} for {base}");
            }
            let all: TimeDelta = pauses.iter().sum();
            assert!((17..29).contains(&all.num_hours()), "{all}");
        }
        assert_ne!(pause("x", 1), pause("y", 1));
        assert_eq!(pause("x", 1), pause("x", 1));
        assert!(pause("x", u32::MAX) <= LONGEST * 5 / 4);
    }

    #[test]
    fn what_a_webhook_asks_for_counts_within_bounds() {
        let began = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let usual = began + pause("x", 1);
        for (asked, expected) in [
            (None, usual),
            (Some(-60), usual),
            (Some(1), usual),
            (Some(3_600), began + TimeDelta::hours(1)),
            (Some(86_400 * 365), began + LONGEST),
        ] {
            let not_before = asked.map(|seconds| began + TimeDelta::seconds(seconds));
            assert_eq!(next("x", 1, began, not_before), expected, "{asked:?}");
        }
    }
}
