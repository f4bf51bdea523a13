//! What watchers of a report are told while it is made.
//!
//! Owns the phases' messages and the estimate of what is left. It must never tell
//! an estimate that rests on nothing.

use std::time::Duration;

use proto::v1::{Report, WatchReportResponse};
use runtime::jobs::{JobHandle, Progress};
use store::Manifest;
use tokio::time::Instant;

/// The first phase of a report of a live tenant.
pub(crate) const READING: &str = "reading tenant";
/// Of which part of the whole an estimate is worth something.
const WORTH: u64 = 20;

/// A report that has just begun.
pub(crate) fn begun(report: Report) -> WatchReportResponse {
    WatchReportResponse {
        report: Some(report),
        phase: READING.to_owned(),
        ..WatchReportResponse::default()
    }
}

/// A report that has ended.
pub(crate) fn ended(report: Report) -> WatchReportResponse {
    WatchReportResponse {
        report: Some(report),
        phase: "done".to_owned(),
        ..WatchReportResponse::default()
    }
}

/// Goes on to another phase.
pub(crate) fn enter(job: &JobHandle<WatchReportResponse>, phase: &str) {
    job.modify(|value| {
        *value = WatchReportResponse {
            report: value.report.take(),
            phase: phase.to_owned(),
            read_count: value.read_count,
            ..WatchReportResponse::default()
        }
    });
}

/// Tells how far the reading of a tenant is.
#[derive(Debug)]
pub(crate) struct Meter {
    progress: Progress<WatchReportResponse>,
    began: Instant,
    /// How many objects and links there are, where that is known.
    expected: Option<u64>,
}

impl Meter {
    /// Begins a reading of what changed, of which nobody knows how much it is.
    pub(crate) fn of_changes(job: &JobHandle<WatchReportResponse>) -> Self {
        Self {
            progress: job.progress(),
            began: Instant::now(),
            expected: None,
        }
    }

    /// Begins a reading of everything, which will be about as much as a snapshot
    /// holds.
    pub(crate) fn of_all(job: &JobHandle<WatchReportResponse>, like: &Manifest) -> Self {
        let links: u64 = like.link_counts.iter().map(|links| links.count).sum();
        Self {
            expected: Some(like.object_count() + links),
            ..Self::of_changes(job)
        }
    }

    /// Tells how much is read by now.
    pub(crate) fn tell(&self, read: u64) {
        let expected = self.expected.filter(|expected| *expected >= read);
        let left = expected.and_then(|expected| left(self.began.elapsed(), read, expected));
        self.progress.modify(|value| {
            value.read_count = count(read);
            value.expected_count = expected.map_or(0, count);
            value.remaining_time = left.and_then(|left| left.try_into().ok());
        });
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How long the rest takes, to the second, if it goes on as fast; nothing before
/// enough is read to say so.
fn left(took: Duration, read: u64, expected: u64) -> Option<Duration> {
    if read == 0 || read < expected / WORTH {
        return None;
    }
    let rest = took.as_secs_f64() * (expected - read) as f64 / read as f64;
    Some(Duration::from_secs_f64(rest.ceil()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::jobs::{Jobs, Start};

    #[test]
    fn the_rest_takes_as_long_as_what_was_read() {
        let check = |took, read, expected, secs: Option<u64>| {
            let left = left(Duration::from_secs(took), read, expected);
            assert_eq!(left, secs.map(Duration::from_secs));
        };
        check(10, 0, 0, None);
        check(10, 4, 100, None);
        check(10, 5, 100, Some(190));
        check(10, 50, 100, Some(10));
        check(10, 99, 100, Some(1));
        check(10, 100, 100, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_estimate_is_told_while_it_holds() {
        let jobs = Jobs::new();
        let Start::New(job) = jobs.start("a", begun(Report::default())) else {
            panic!("nothing runs")
        };
        let told = || {
            let value = jobs.get("a").expect("it runs");
            let left = value.remaining_time.map(|time| time.seconds);
            (value.read_count, value.expected_count, left)
        };
        let meter = Meter {
            expected: Some(1_000),
            ..Meter::of_changes(&job)
        };
        tokio::time::advance(Duration::from_secs(3)).await;
        meter.tell(40);
        assert_eq!(told(), (40, 1_000, None));
        meter.tell(100);
        assert_eq!(told(), (100, 1_000, Some(27)));
        meter.tell(1_001);
        assert_eq!(told(), (1_001, 0, None), "there is more than was thought");
        meter.tell(900);
        enter(&job, "comparing");
        assert_eq!(told(), (900, 0, None), "it was about the reading");
        Meter::of_changes(&job).tell(7);
        assert_eq!(told(), (7, 0, None));
        job.finish(Ok(ended(Report::default())));
    }
}
