//! What the page of a tenant is judged by.
//!
//! Owns the calls for signals, and what a list of snapshots comes to.

use crate::console::filters::Moment;
use crate::console::session::Session;
use chrono::{DateTime, TimeDelta, Utc};
use proto::v1;
use proto::v1::{Severity, SnapshotState};

/// How far signals are looked back for.
const LOOK_BACK: TimeDelta = TimeDelta::days(7);
/// How many signals are counted at most.
const COUNTED: i32 = 100;

/// A tenant's snapshots in short.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(crate) newest: Option<Newest>,
    /// How many cannot be read.
    pub(crate) problems: usize,
    /// How many signals of high or critical severity there were in the last days; not
    /// known where they could not be asked for.
    pub(crate) signals: Option<i64>,
}

/// The newest snapshot.
#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) time: DateTime<Utc>,
    pub(crate) complete: bool,
}

/// What a list of snapshots, the newest first, comes to.
pub(crate) fn of_snapshots(answer: &v1::ListSnapshotsResponse, signals: Option<i64>) -> Snapshots {
    let newest = answer.snapshots.first().and_then(|it| {
        Some(Newest {
            time: it.start_time.moment()?,
            complete: it.state() == SnapshotState::Complete,
        })
    });
    Snapshots {
        newest,
        problems: answer.problems.len(),
        signals,
    }
}

/// How many severe signals there were lately; `None` where that cannot be told.
pub(crate) async fn signals(session: &Session, parent: &str) -> Option<i64> {
    let from = proto::convert::timestamp(session.now() - LOOK_BACK);
    let request = v1::ListSignalsRequest {
        parent: parent.to_owned(),
        page_size: COUNTED,
        min_severity: Severity::High.into(),
        from_time: Some(from),
        ..v1::ListSignalsRequest::default()
    };
    let answer = session.signals().list_signals(request).await.ok()?;
    i64::try_from(answer.into_inner().signals.len()).ok()
}
