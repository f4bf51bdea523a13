//! Names of things that are made at a time: snapshots, reports, plans.
//!
//! A slot is fixed before the first read, so that every attempt at it competes
//! for one key. Names sort by time.

use chrono::{DateTime, NaiveDate, Utc};

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
    format!(
        "{}{}",
        now.format("%Y%m%dT%H%M%S"),
        request_mark(request_id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
