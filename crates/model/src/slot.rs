//! Names of things that are made at a time: snapshots, reports, plans.
//!
//! A slot is fixed before the first read, so that every attempt at it competes
//! for one key. Names sort by time.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use crate::id::SnapshotId;

/// The slot of a day's scheduled snapshot, `YYYYMMDD-daily`.
#[must_use]
pub fn daily(day: NaiveDate) -> SnapshotId {
    SnapshotId::parse(&format!("{}-daily", day.format("%Y%m%d")))
        .expect("invariant: digits and letters are a snapshot id")
}

/// Whether a slot is a scheduled one.
#[must_use]
pub fn is_daily(id: &SnapshotId) -> bool {
    id.as_str().ends_with("-daily")
}

/// How names hold the time.
const TIME: &str = "%Y%m%dT%H%M%S";

/// What a request id leaves in the name of what it made: `-` and sixteen hex digits.
///
/// A repeated request is known again by it, at whatever time it comes.
#[must_use]
pub fn request_mark(request_id: &str) -> String {
    format!("-{}", &blake3::hash(request_id.as_bytes()).to_hex()[..16])
}

/// The name of what a request makes, `YYYYMMDDTHHMMSS-{hash of request_id}`.
#[must_use]
pub fn on_demand(now: DateTime<Utc>, request_id: &str) -> String {
    format!("{}{}", now.format(TIME), request_mark(request_id))
}

/// The same where earlier attempts at the request left files under some names: a
/// name of its own, that sorts behind theirs. What they left would be in the way.
#[must_use]
pub fn on_demand_after<'a>(
    left: impl IntoIterator<Item = &'a str>,
    now: DateTime<Utc>,
    request_id: &str,
) -> String {
    let after = |name: &str| {
        let (time, _) = name.split_once('-')?;
        let time = NaiveDateTime::parse_from_str(time, TIME).ok()?.and_utc();
        time.checked_add_signed(TimeDelta::seconds(1))
    };
    let earliest = left.into_iter().filter_map(after).max();
    on_demand(
        earliest.map_or(now, |earliest| earliest.max(now)),
        request_id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_has_a_name_behind_those_before_it() {
        let at =
            |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0).expect("in range");
        let check = |left: &[String], now: i64, expected: i64| {
            let left = left.iter().map(String::as_str);
            assert_eq!(
                on_demand_after(left, at(now), "a"),
                on_demand(at(expected), "a")
            );
        };
        let name = |seconds| on_demand(at(seconds), "a");
        check(&[], 5, 5);
        check(&[name(4)], 5, 5);
        check(&[name(5)], 5, 6);
        check(&[name(7), name(5)], 5, 8);
        check(&["nothing".to_owned()], 5, 5);
    }

    #[test]
    fn names_are_ids_and_sort_by_time() {
        let at =
            |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0).expect("in range");
        let (first, second) = (on_demand(at(0), "b"), on_demand(at(1), "a"));
        assert!(first < second);
        assert_eq!(
            SnapshotId::parse(&first).map(|id| id.to_string()),
            Ok(first.clone())
        );
        assert!(first.ends_with(&request_mark("b")) && !first.ends_with(&request_mark("a")));
        assert!(
            is_daily(&daily(at(0).date_naive()))
                && !is_daily(&SnapshotId::parse(&first).expect("valid"))
        );
        assert_eq!(daily(at(0).date_naive()).as_str(), "20231114-daily");
    }
}
