use super::*;
use proto::v1::ChangeCounts;

const MARK: &str = "20261128T030405-0123456789abcdef";

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn errand() -> Errand {
    let note = Note {
        target: "2026-11-27T02:00:00Z".to_owned(),
        criteria: Value::Null,
    };
    Errand {
        note: note.text(),
        ..Errand::default()
    }
}

fn failure(reason: &str) -> Option<Failure> {
    Some(Failure {
        reason: reason.to_owned(),
        message: "so it is".to_owned(),
        time: at(7),
    })
}

#[test]
fn a_report_is_a_preview() {
    let report = |state: ReportState| Report {
        name: format!("tenants/t/reports/{MARK}"),
        state: state as i32,
        create_time: at(1),
        counts: Some(ChangeCounts {
            added: 1,
            modified: 2,
            soft_deleted: 3,
            hard_deleted: 50,
            restored: 4,
            links: 9,
        }),
        errand: Some(Errand {
            end_time: at(5),
            ..errand()
        }),
        ..Report::default()
    };
    for (state, phase, status) in [
        (ReportState::Running, "reading tenant", "loadingData"),
        (ReportState::Running, "comparing", "calculating"),
        (ReportState::Running, "", "calculating"),
        (ReportState::Succeeded, "done", "successful"),
        (ReportState::Failed, "", "failed"),
        (ReportState::Cancelled, "", "abandoned"),
    ] {
        let job = preview(&report(state), phase).expect("a job");
        assert_eq!(job.row["status"], status);
        let done = state == ReportState::Succeeded;
        assert_eq!(
            job.row["totalChangedObjectsCalculated"],
            if done { json!(10) } else { Value::Null }
        );
        assert_eq!(
            job.row["totalChangedLinksCalculated"],
            if done { json!(9) } else { Value::Null }
        );
        assert_eq!(
            job.row["jobCompletionDateTime"].is_null(),
            !job.status.is_final()
        );
        assert_eq!(job.row["jobStartDateTime"], "1970-01-01T00:00:01Z");
        assert_eq!(job.row["targetStateDateTime"], "2026-11-27T02:00:00Z");
        assert_eq!(ids::of_job(&job.id), Some((Kind::Preview, MARK.to_owned())));
    }
    let other = Report {
        errand: None,
        ..report(ReportState::Succeeded)
    };
    assert_eq!(preview(&other, ""), None, "made in another way");
}

#[test]
fn a_restore_is_a_recovery() {
    let planned = Errand {
        apply_until: at(100),
        object_count: 5,
        link_count: 6,
        ..errand()
    };
    let restore = |state: RestoreState, errand: Errand| Restore {
        name: format!("tenants/t/restores/{MARK}"),
        state: state as i32,
        create_time: at(1),
        end_time: at(9),
        step_count: 8,
        failed: 1,
        conflicts: 2,
        skipped: 3,
        errand: Some(errand),
        ..Restore::default()
    };
    let failed = |reason| Errand {
        failure: failure(reason),
        ..planned.clone()
    };
    let done = Errand {
        changed_objects: 4,
        changed_links: 3,
        ..planned.clone()
    };
    for (state, errand, status, modified, failures) in [
        (
            RestoreState::Planned,
            errand(),
            "calculating",
            Value::Null,
            Value::Null,
        ),
        (
            RestoreState::Planned,
            planned.clone(),
            "initialized",
            Value::Null,
            Value::Null,
        ),
        (
            RestoreState::Running,
            planned.clone(),
            "running",
            Value::Null,
            Value::Null,
        ),
        (
            RestoreState::Interrupted,
            planned.clone(),
            "running",
            Value::Null,
            Value::Null,
        ),
        (
            RestoreState::Succeeded,
            done.clone(),
            "successful",
            json!(4),
            json!(6),
        ),
        (
            RestoreState::SucceededWithWarnings,
            done.clone(),
            "successful",
            json!(4),
            json!(6),
        ),
        (
            RestoreState::Cancelled,
            done,
            "abandoned",
            json!(4),
            json!(6),
        ),
        (
            RestoreState::Planned,
            failed("RESTORE_CANCELLED"),
            "abandoned",
            Value::Null,
            Value::Null,
        ),
        (
            RestoreState::Planned,
            failed("APPROVAL_EXPIRED"),
            "failed",
            json!(0),
            json!(8),
        ),
    ] {
        let job = recovery(&restore(state, errand)).expect("a job");
        assert_eq!(job.row["status"], status, "{state:?}");
        assert_eq!(job.row["totalObjectsModified"], modified, "{state:?}");
        assert_eq!(job.row["totalFailedChanges"], failures, "{state:?}");
        assert_eq!(
            job.row["jobCompletionDateTime"].is_null(),
            !job.status.is_final()
        );
    }
    let job = recovery(&restore(RestoreState::Planned, failed("APPROVAL_EXPIRED"))).expect("a job");
    assert_eq!(job.row["@rewind.failureReason"], "APPROVAL_EXPIRED");
    assert_eq!(job.row["totalChangedObjectsCalculated"], 5);
    assert_eq!(job.entries, 8);
}

#[test]
fn younger_statuses_are_told_to_those_who_ask() {
    for (status, first, all) in [
        ("calculating", "unknownFutureValue", "calculating"),
        ("loadingData", "unknownFutureValue", "loadingData"),
        ("initialized", "initialized", "initialized"),
    ] {
        assert_eq!(gated(status, Members::First), first);
        assert_eq!(gated(status, Members::All), all);
    }
}

#[test]
fn only_what_is_committed_is_a_snapshot() {
    for (state, expected) in [
        (SnapshotState::Running, false),
        (SnapshotState::Failed, false),
        (SnapshotState::Complete, true),
        (SnapshotState::Incomplete, true),
    ] {
        let message = Snapshot {
            state: state as i32,
            start_time: at(1),
            ..Snapshot::default()
        };
        assert_eq!(snapshot(&message).is_some(), expected, "{state:?}");
    }
}
