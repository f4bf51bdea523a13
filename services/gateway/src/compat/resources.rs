//! Snapshots and jobs in Microsoft's words.
//!
//! Owns what each property says, made from what Rewind's services say. Numbers that
//! are not known yet are null, as documented.

use model::error::reason;
use proto::convert;
use proto::v1::{
    ChangeCounts, Errand, Failure, Report, ReportState, Restore, RestoreState, Snapshot,
    SnapshotState,
};
use serde_json::{Value, json};

use super::criteria::{Members, NAMESPACE, Note};
use super::ids::{self, Kind, time_text};
use super::query::Row;

/// The properties of a snapshot.
pub(super) const SNAPSHOT: [&str; 3] = ["id", "createdDateTime", "totalChangedObjects"];
/// The properties of a job of either kind.
pub(super) const JOB: [&str; 11] = [
    "id",
    "status",
    "targetStateDateTime",
    "jobStartDateTime",
    "jobCompletionDateTime",
    "filteringCriteria",
    "totalChangedObjectsCalculated",
    "totalChangedLinksCalculated",
    "totalObjectsModified",
    "totalLinksModified",
    "totalFailedChanges",
];

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Initialized,
    LoadingData,
    Calculating,
    Running,
    Successful,
    Failed,
    Abandoned,
}

impl Status {
    /// The member of `recoveryStatus`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Initialized => "initialized",
            Self::LoadingData => "loadingData",
            Self::Calculating => "calculating",
            Self::Running => "running",
            Self::Successful => "successful",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether it stays so.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Abandoned)
    }
}

/// As a status is told to a client.
pub(super) fn gated(status: &str, members: Members) -> Value {
    json!(match status {
        "loadingData" => members.younger("loadingData"),
        "calculating" => members.younger("calculating"),
        other => other,
    })
}

/// A snapshot; `None` for one that nothing can be taken back to.
pub(super) fn snapshot(snapshot: &Snapshot) -> Option<Row> {
    let committed = matches!(
        snapshot.state(),
        SnapshotState::Complete | SnapshotState::Incomplete
    );
    let time = time(snapshot.start_time.as_ref()?)?;
    committed.then(|| {
        row(json!({
            "@odata.type": format!("#{NAMESPACE}.snapshot"),
            "id": ids::snapshot(&time),
            "createdDateTime": time,
            "totalChangedObjects": null,
        }))
    })
}

/// A job, and what it stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    pub(super) kind: Kind,
    /// The GUID.
    pub(super) id: String,
    /// The resource name of the report or restore.
    pub(super) name: String,
    /// The time of its snapshot.
    pub(super) target: String,
    pub(super) status: Status,
    /// As it is answered, with all members.
    pub(super) row: Row,
    /// How many entries its list of changes, or of failed ones, has.
    pub(super) entries: usize,
    /// Why nothing came of it.
    pub(super) failure: Option<Failure>,
}

/// A preview; `None` for a report that no client of this API asked for. `phase` is what
/// the differ says that it is doing.
pub(super) fn preview(report: &Report, phase: &str) -> Option<Job> {
    let errand = report.errand.as_ref()?;
    let note = Note::read(&errand.note)?;
    let failure = errand.failure.clone();
    let status = match report.state() {
        ReportState::Succeeded => Status::Successful,
        ReportState::Cancelled => Status::Abandoned,
        ReportState::Failed => Status::Failed,
        ReportState::Running | ReportState::Unspecified => match phase {
            "reading tenant" => Status::LoadingData,
            _ => Status::Calculating,
        },
    };
    let counts = report.counts.filter(|_| status == Status::Successful);
    let objects = counts.as_ref().map(objects);
    let mut job = job(Kind::Preview, &report.name, note, status)?;
    job.entries = objects.unwrap_or_default();
    job.set(
        "jobStartDateTime",
        report.create_time.as_ref().and_then(time),
    );
    let ended = errand.end_time.as_ref();
    let ended = ended.or_else(|| failure.as_ref()?.time.as_ref());
    job.set(
        "jobCompletionDateTime",
        ended.filter(|_| status.is_final()).and_then(time),
    );
    job.set("totalChangedObjectsCalculated", objects.map(int32));
    job.set(
        "totalChangedLinksCalculated",
        counts.map(|counts| int32(counts.links)),
    );
    if !report.not_compared.is_empty() {
        job.set("@rewind.notCompared", Some(&report.not_compared));
    }
    job.fail(failure);
    Some(job)
}

/// How many objects a report tells of, but for those that nothing brings back.
fn objects(counts: &ChangeCounts) -> usize {
    let objects = counts.added + counts.modified + counts.soft_deleted + counts.restored;
    usize::try_from(objects).unwrap_or_default()
}

/// A recovery; `None` for a restore that no client of this API asked for.
pub(super) fn recovery(restore: &Restore) -> Option<Job> {
    let errand = restore.errand.as_ref()?;
    let note = Note::read(&errand.note)?;
    let status = recovery_status(restore, errand);
    let ended = matches!(
        restore.state(),
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings | RestoreState::Cancelled
    );
    // Nothing of it was done, so none of it succeeded.
    let failed = match status {
        Status::Failed => restore.step_count,
        _ => restore.conflicts + restore.failed + restore.skipped,
    };
    let mut job = job(Kind::Recovery, &restore.name, note, status)?;
    job.entries = usize::try_from(failed).unwrap_or_default();
    job.set(
        "jobStartDateTime",
        restore.create_time.as_ref().and_then(time),
    );
    let failure = errand.failure.clone();
    let end = restore.end_time.as_ref();
    let end = end.or_else(|| failure.as_ref()?.time.as_ref());
    job.set(
        "jobCompletionDateTime",
        end.filter(|_| status.is_final()).and_then(time),
    );
    let planned = errand.apply_until.is_some();
    job.set(
        "totalChangedObjectsCalculated",
        planned.then(|| int32(errand.object_count)),
    );
    job.set(
        "totalChangedLinksCalculated",
        planned.then(|| int32(errand.link_count)),
    );
    let is_final = ended || status == Status::Failed;
    job.set(
        "totalObjectsModified",
        is_final.then(|| int32(errand.changed_objects)),
    );
    job.set(
        "totalLinksModified",
        is_final.then(|| int32(errand.changed_links)),
    );
    job.set("totalFailedChanges", is_final.then_some(failed));
    for (name, values) in [
        ("@rewind.unexpected", &restore.unexpected),
        ("@rewind.openMatters", &restore.open_matters),
    ] {
        if !values.is_empty() {
            job.set(name, Some(values));
        }
    }
    if !restore.next_plan.is_empty() {
        job.set("@rewind.nextPlan", Some(&restore.next_plan));
    }
    job.fail(failure);
    Some(job)
}

fn recovery_status(restore: &Restore, errand: &Errand) -> Status {
    match (restore.state(), &errand.failure) {
        (RestoreState::Succeeded | RestoreState::SucceededWithWarnings, _) => Status::Successful,
        (RestoreState::Cancelled, _) => Status::Abandoned,
        // One that was interrupted goes on by itself.
        (RestoreState::Running | RestoreState::Interrupted, _) => Status::Running,
        (_, Some(failure)) if failure.reason == reason::RESTORE_CANCELLED => Status::Abandoned,
        (_, Some(_)) => Status::Failed,
        (_, None) if errand.apply_until.is_none() => Status::Calculating,
        (_, None) => Status::Initialized,
    }
}

fn job(kind: Kind, name: &str, note: Note, status: Status) -> Option<Job> {
    let id = ids::job(kind, name.rsplit('/').next()?)?;
    let row = row(json!({
        "@odata.type": format!("#{NAMESPACE}.{}", kind.type_name()),
        "id": id,
        "status": status.name(),
        "targetStateDateTime": note.target,
        "filteringCriteria": note.criteria,
    }));
    Some(Job {
        kind,
        id,
        name: name.to_owned(),
        target: note.target,
        status,
        row,
        entries: 0,
        failure: None,
    })
}

impl Job {
    fn set(&mut self, name: &str, value: Option<impl serde::Serialize>) {
        self.row.insert(name.to_owned(), json!(value));
    }

    fn fail(&mut self, failure: Option<Failure>) {
        let Some(failure) = failure.filter(|_| self.status == Status::Failed) else {
            return;
        };
        self.set("@rewind.failureReason", Some(&failure.reason));
        self.set("@rewind.failureMessage", Some(&failure.message));
        self.failure = Some(failure);
    }

    /// As it is told to a client.
    pub(super) fn told(mut self, members: Members) -> Row {
        let status = gated(self.status.name(), members);
        self.row.insert("status".to_owned(), status);
        self.row
    }
}

/// A time as texts have it.
pub(super) fn time(time: &prost_types::Timestamp) -> Option<String> {
    convert::time(time).map(time_text)
}

/// A count as `Edm.Int32` holds it.
fn int32(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

/// An object as a row.
pub(super) fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

#[cfg(test)]
mod tests;
