//! `rewind snapshot copy`, as far as the client goes.

use std::collections::HashMap;

use model::error::reason;
use proto::v1::{CopyState, SnapshotCopy};
use snapbox::{assert_data_eq, str};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::canned::name;
use crate::fake::Fake;
use crate::gateway::Gateway;

fn copy(id: &str, state: CopyState) -> SnapshotCopy {
    SnapshotCopy {
        name: name("snapshots", id),
        state: state.into(),
        ..SnapshotCopy::default()
    }
}

fn sent(id: &str) -> SnapshotCopy {
    SnapshotCopy {
        file_count: 3,
        sent_bytes: 2_048,
        ..copy(id, CopyState::Copied)
    }
}

fn failed(id: &str) -> SnapshotCopy {
    SnapshotCopy {
        problem: "stored file x is damaged: it is missing".to_owned(),
        reason: reason::STORE_CORRUPT.to_owned(),
        ..copy(id, CopyState::Failed)
    }
}

fn holding(copies: Vec<SnapshotCopy>) -> Gateway {
    Gateway::start(Fake {
        copies,
        ..Fake::default()
    })
}

#[test]
fn what_became_of_each_snapshot_is_told() {
    let copies = vec![
        sent("s3"),
        copy("s2", CopyState::Present),
        copy("s1", CopyState::LetGo),
    ];
    let gateway = holding(copies);
    let run = gateway.rewind(&["snapshot", "copy"]).exits(0);
    assert_data_eq!(
        run.out,
        str![[r#"
ID  COPY     FILES  SENT
s3  copied   3      2.0 KiB
s2  present  0      0 B
s1  let go   0      0 B

"#]]
    );
    let run = gateway.rewind(&["snapshot", "copy", "--all", "--output", "json"]);
    let json = run.exits(0).json();
    assert_eq!(json[0]["name"], name("snapshots", "s3"));
    assert_eq!(json[0]["state"], "COPY_STATE_COPIED");
    assert_eq!(
        (&json[0]["fileCount"], &json[0]["sentBytes"]),
        (&3.into(), &2_048.into())
    );
    assert_eq!(json.as_array().map(Vec::len), Some(3));
    assert_eq!(gateway.fake.last("CopySnapshotsRequest")["snapshot"], "");
}

#[test]
fn one_snapshot_is_named_full_or_bare_or_latest() {
    let gateway = holding(vec![sent("s1")]);
    for (given, asked) in [
        ("latest", "latest"),
        ("s1", "s1"),
        (&name("snapshots", "s1"), "s1"),
    ] {
        gateway.rewind(&["snapshot", "copy", given]).exits(0);
        let request = gateway.fake.last("CopySnapshotsRequest");
        assert_eq!(request["snapshot"], asked);
        assert!(name("snapshots", "s1").starts_with(request["parent"].as_str().expect("text")));
    }
    gateway
        .rewind(&["snapshot", "copy", "s1", "--all"])
        .exits(2);
}

#[test]
fn what_could_not_be_copied_is_a_warning_beside_what_was() {
    let gateway = holding(vec![sent("s2"), failed("s1")]);
    let run = gateway.rewind(&["snapshot", "copy"]).exits(3);
    let warning = format!(
        "warning: {}: stored file x is damaged: it is missing [STORE_CORRUPT]\n",
        name("snapshots", "s1")
    );
    assert_eq!(run.err, warning);
    assert!(run.out.contains("s1  failed"), "{run:?}");
    let run = holding(vec![failed("s1")])
        .rewind(&["snapshot", "copy"])
        .exits(1);
    assert_eq!(run.err, warning);
}

#[test]
fn a_server_without_a_store_for_copies_is_named_as_such() {
    let status = Status::with_error_details(
        Code::FailedPrecondition,
        "this server has no store for copies: REWIND_COPY_URL is not set",
        ErrorDetails::with_error_info(reason::NO_COPY_STORE, "rewind", HashMap::new()),
    );
    let gateway = Gateway::start(Fake::failing("CopySnapshotsRequest", status));
    let run = gateway.rewind(&["snapshot", "copy"]).exits(1);
    assert_data_eq!(
        run.err,
        str![[r#"
error: this server has no store for copies: REWIND_COPY_URL is not set [NO_COPY_STORE]
hint: the snapshotter must run with REWIND_COPY_URL, which names another store than its own

"#]]
    );
    assert_eq!(run.out, "");
}
