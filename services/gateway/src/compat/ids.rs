//! The ids that clients of Microsoft's API see.
//!
//! Owns their forms, which follow from Rewind's own names and lead back to them, so
//! that nothing has to be remembered: a snapshot's id is its time in base64, a job's a
//! GUID of the time and the hash in the name of its report or plan.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

/// The two kinds of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What a recovery would change: a report.
    Preview,
    /// A recovery: a plan and its restore.
    Recovery,
}

impl Kind {
    /// The digit that stands for it in the GUID, where the variant has its place.
    fn digit(self) -> char {
        match self {
            Self::Preview => '8',
            Self::Recovery => '9',
        }
    }

    /// The collection that jobs of the kind are in.
    pub(super) fn collection(self) -> &'static str {
        match self {
            Self::Preview => "recoveryPreviewJobs",
            Self::Recovery => "recoveryJobs",
        }
    }

    /// The name of the type.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Preview => "recoveryPreviewJob",
            Self::Recovery => "recoveryJob",
        }
    }
}

/// A time as texts have it: to the millisecond, which every client keeps, so that what
/// it sends back is equal.
pub(super) fn time_text(time: DateTime<Utc>) -> String {
    let format = match time.timestamp_subsec_millis() {
        0 => SecondsFormat::Secs,
        _ => SecondsFormat::Millis,
    };
    time.to_rfc3339_opts(format, true)
}

/// The id of a snapshot that was taken at a time.
pub(super) fn snapshot(time: &str) -> String {
    BASE64_STANDARD.encode(time)
}

/// The GUID of a job, from the id of its report or plan; `None` for one that no request
/// made.
pub(super) fn job(kind: Kind, id: &str) -> Option<String> {
    let (time, mark) = id.split_once('-')?;
    NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S").ok()?;
    let time: String = time.chars().filter(char::is_ascii_digit).collect();
    if time.len() != 14 || !is_mark(mark) {
        return None;
    }
    let kind = kind.digit();
    Some(format!(
        "{}-{}-8{}{}-{kind}{}-{}",
        &time[..8],
        &time[8..12],
        &time[12..],
        &mark[..1],
        &mark[1..4],
        &mark[4..],
    ))
}

/// What a job's GUID stands for: the kind, and the id of the report or plan.
pub(super) fn of_job(guid: &str) -> Option<(Kind, String)> {
    let guid = guid.to_ascii_lowercase();
    let parts: Vec<&str> = guid.split('-').collect();
    let [date, time, third, fourth, fifth] = parts[..] else {
        return None;
    };
    let lengths = [date, time, third, fourth, fifth].map(str::len);
    if lengths != [8, 4, 4, 4, 12] || !guid.is_ascii() || !third.starts_with('8') {
        return None;
    }
    let kind = match &fourth[..1] {
        "8" => Kind::Preview,
        "9" => Kind::Recovery,
        _ => return None,
    };
    let mark = format!("{}{}{fifth}", &third[3..], &fourth[1..]);
    let id = format!("{date}T{time}{}-{mark}", &third[1..3]);
    // Only what leads back to the same GUID is one of ours.
    (job(kind, &id)? == guid).then_some((kind, id))
}

fn is_mark(mark: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    mark.len() == 16 && mark.bytes().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn jobs_have_guids_that_lead_back() {
        let id = model::slot::on_demand(
            Utc.with_ymd_and_hms(2026, 11, 28, 3, 4, 5).unwrap(),
            "a request",
        );
        for kind in [Kind::Preview, Kind::Recovery] {
            let guid = job(kind, &id).expect("made by a request");
            let parsed = uuid::Uuid::parse_str(&guid).expect("a GUID");
            assert_eq!(parsed.get_version_num(), 8);
            assert!(guid.starts_with("20261128-0304-805"), "{guid}");
            assert_eq!(of_job(&guid), Some((kind, id.clone())));
            assert_eq!(of_job(&guid.to_uppercase()), Some((kind, id.clone())));
        }
    }

    #[test]
    fn what_is_no_job_is_none() {
        for id in [
            "20261128-daily",
            "20261128T030405-short",
            "x-0123456789abcdef",
            "",
        ] {
            assert_eq!(job(Kind::Preview, id), None, "{id}");
        }
        for guid in [
            "",
            "latest",
            "20261128-0304-8050-8",
            "20261128-0304-4050-8123-0123456789ab",
            "20261128-0304-8050-7123-0123456789ab",
            "20269928-0304-8050-8123-0123456789ab",
            "2026112x-0304-8050-8123-0123456789ab",
            "20261128-0304-8050-8123-0123456789aé",
            "éé261128-0304-8050-8123-0123456789",
        ] {
            assert_eq!(of_job(guid), None, "{guid}");
        }
    }

    #[test]
    fn a_snapshot_is_its_time() {
        let time = Utc.with_ymd_and_hms(2024, 8, 26, 2, 30, 0).unwrap();
        // The example of Microsoft's documentation.
        assert_eq!(snapshot(&time_text(time)), "MjAyNC0wOC0yNlQwMjozMDowMFo=");
    }
}
