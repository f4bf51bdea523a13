//! Commands that start something and wait for its end.

use std::sync::Mutex;

use proto::v1::{ReportState, SnapshotState};
use serde_json::Value;

use crate::canned::{self, name};
use crate::fake::Fake;
use crate::gateway::Gateway;

#[test]
fn a_snapshot_is_waited_for() {
    let gateway = Gateway::start(Fake::default());
    for arguments in [
        &["snapshot", "take", "--output", "json"][..],
        &["snapshot", "take", "--wait", "--output", "json"],
    ] {
        let run = gateway.rewind(arguments).exits(0);
        assert_eq!(run.json()["state"], "SNAPSHOT_STATE_COMPLETE");
        assert!(
            run.err.is_empty(),
            "nothing but the result where nothing is a terminal: {run:?}"
        );
    }
    assert_eq!(
        gateway.fake.last("WatchSnapshotRequest")["name"],
        name("snapshots", "20261123t1")
    );
    assert_eq!(
        gateway.fake.last("TakeSnapshotRequest")["requestId"]
            .as_str()
            .map(str::len),
        Some(36)
    );
}

#[test]
fn detached_returns_at_once() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway
        .rewind(&["snapshot", "take", "--detach", "--output", "json"])
        .exits(0);
    assert_eq!(run.json()["state"], "SNAPSHOT_STATE_RUNNING");
    let run = gateway
        .rewind(&[
            "diff",
            "create",
            "--snapshot",
            "latest",
            "--detach",
            "--output",
            "json",
        ])
        .exits(0);
    assert_eq!(run.json()["state"], "REPORT_STATE_RUNNING");
    assert!(
        gateway.fake.last("WatchSnapshotRequest").is_null()
            && gateway.fake.last("WatchReportRequest").is_null()
    );
}

#[test]
fn an_incomplete_snapshot_is_a_warning_that_names_the_kinds() {
    let fake = Fake {
        snapshot: canned::snapshot("s1", SnapshotState::Incomplete),
        ..Fake::default()
    };
    let run = Gateway::start(fake).rewind(&["snapshot", "take"]).exits(3);
    assert_eq!(
        run.err,
        "warning: group/members could not be read completely: Graph answered 403\n"
    );
    let fake = Fake {
        snapshot: canned::snapshot("s1", SnapshotState::Failed),
        ..Fake::default()
    };
    Gateway::start(fake).rewind(&["snapshot", "take"]).exits(1);
}

#[test]
fn a_stream_that_ends_early_is_opened_again() {
    let fake = Fake {
        broken_streams: Mutex::new(1),
        ..Fake::default()
    };
    let gateway = Gateway::start(fake);
    let run = gateway
        .rewind(&["diff", "create", "--snapshot", "latest", "--output", "json"])
        .exits(0);
    assert_eq!(run.json()["state"], "REPORT_STATE_SUCCEEDED");
}

#[test]
fn a_report_is_asked_for_as_the_flags_say() {
    let gateway = Gateway::start(Fake::default());
    let asked = |more: &[&str]| {
        gateway
            .rewind(&[&["diff", "create", "--snapshot"], more].concat())
            .exits(0);
        gateway.fake.last("CreateReportRequest")
    };
    let plain = asked(&["latest"]);
    assert_eq!(
        (&plain["base"], &plain["target"]),
        (&"latest".into(), &"".into())
    );
    assert!(
        plain["maxAge"].is_null() && plain["scope"].is_null(),
        "{plain}"
    );
    assert_eq!(
        asked(&["s1", "--against", "live", "--full"])["maxAge"],
        "0s"
    );
    assert_eq!(asked(&["s1", "--max-age", "1h 30m"])["maxAge"], "5400s");
    let scoped = asked(&[
        &name("snapshots", "s1"),
        "--against",
        "s2",
        "--type",
        "user",
        "--type",
        "group",
        "--id",
        "u-1,u-2",
        "u-3",
    ]);
    assert_eq!(
        (&scoped["base"], &scoped["target"]),
        (
            &name("snapshots", "s1").into(),
            &name("snapshots", "s2").into()
        )
    );
    assert_eq!(
        scoped["scope"],
        serde_json::json!({"types": ["user", "group"], "ids": ["u-1", "u-2", "u-3"]})
    );
}

#[test]
fn what_was_not_compared_is_a_warning() {
    let mut report = canned::report("r1", ReportState::Succeeded);
    report.not_compared = vec!["group/members: the snapshot is incomplete".to_owned()];
    let run = Gateway::start(Fake {
        report,
        ..Fake::default()
    })
    .rewind(&["diff", "create", "--snapshot", "latest"])
    .exits(3);
    assert_eq!(
        run.err,
        "warning: not compared: group/members: the snapshot is incomplete\n"
    );
    let report = canned::report("r1", ReportState::Failed);
    Gateway::start(Fake {
        report,
        ..Fake::default()
    })
    .rewind(&["diff", "create", "--snapshot", "latest"])
    .exits(1);
}

#[test]
fn a_report_that_runs_is_cancelled_and_an_ended_one_stays_as_it_is() {
    let cancel = |fake| {
        let gateway = Gateway::start(fake);
        let run = gateway
            .rewind(&["diff", "cancel", "r1", "--output", "json"])
            .exits(0);
        let asked = gateway.fake.last("CancelReportRequest");
        assert!(
            asked["name"]
                .as_str()
                .expect("a name")
                .ends_with("/reports/r1")
        );
        assert_eq!(asked["requestId"].as_str().map(str::len), Some(36));
        (run.json()["state"].clone(), run.err)
    };
    let running = Fake {
        report_runs: true,
        ..Fake::default()
    };
    let ended = (Value::from("REPORT_STATE_CANCELLED"), String::new());
    assert_eq!(cancel(running), ended);
    let (state, said) = cancel(Fake::default());
    assert_eq!(state, "REPORT_STATE_SUCCEEDED");
    assert_eq!(said, "the report had ended before\n");
    let cancelled = Fake {
        report: canned::report("r1", ReportState::Cancelled),
        ..Fake::default()
    };
    Gateway::start(cancelled)
        .rewind(&["diff", "create", "--snapshot", "latest"])
        .exits(1);
}
