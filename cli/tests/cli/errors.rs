//! Errors: their text, their hints, their exit codes.

use std::collections::HashMap;

use model::error::reason;
use snapbox::{assert_data_eq, str};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::fake::Fake;
use crate::gateway::{Gateway, rewind, run};

fn status(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(
        code,
        message,
        ErrorDetails::with_error_info(reason, "rewind", HashMap::new()),
    )
}

#[test]
fn each_kind_of_error_has_its_exit_code() {
    let cases = [
        (Code::InvalidArgument, reason::INVALID_ARGUMENT, 2),
        (Code::NotFound, reason::NOT_FOUND, 4),
        (Code::PermissionDenied, reason::PERMISSION_DENIED, 5),
        (Code::Unauthenticated, reason::UNAUTHENTICATED, 5),
        (Code::PermissionDenied, reason::APPROVAL_REQUIRED, 5),
        (Code::PermissionDenied, reason::APPROVAL_OF_OWN_PLAN, 5),
        (Code::FailedPrecondition, reason::APPROVAL_EXPIRED, 6),
        (Code::FailedPrecondition, reason::APPROVAL_STALE, 6),
        (Code::AlreadyExists, reason::ALREADY_EXISTS, 6),
        (Code::FailedPrecondition, reason::PLAN_STALE, 6),
        (Code::Unavailable, reason::BACKEND_UNAVAILABLE, 7),
        (Code::ResourceExhausted, reason::GRAPH_THROTTLED, 7),
        (Code::FailedPrecondition, reason::LICENCE_REQUIRED, 8),
        (Code::FailedPrecondition, reason::CONSENT_MISSING, 8),
        (Code::Internal, reason::INTERNAL, 1),
        (Code::DataLoss, reason::STORE_CORRUPT, 1),
    ];
    for (code, reason, expected) in cases {
        let gateway = Gateway::start(Fake::failing(
            "GetSnapshotRequest",
            status(code, reason, "it did not work"),
        ));
        let run = gateway
            .rewind(&["snapshot", "show", "latest", "--output", "json"])
            .exits(expected);
        assert!(
            run.err
                .starts_with(&format!("error: it did not work [{reason}]\n")),
            "{run:?}"
        );
        assert!(run.out.is_empty(), "{run:?}");
    }
}

#[test]
fn a_hint_says_what_to_do() {
    let stale = status(
        Code::FailedPrecondition,
        reason::PLAN_STALE,
        "the plan no longer fits the tenant",
    );
    let gateway = Gateway::start(Fake::failing("ApplyPlanRequest", stale));
    let run = gateway.rewind(&["restore", "apply", "p1"]).exits(6);
    assert_data_eq!(
        &run.err,
        str![[r#"
error: the plan no longer fits the tenant [PLAN_STALE]
hint: make a new plan with `rewind restore plan`

"#]]
    );
}

#[test]
fn the_fields_that_are_wrong_are_named() {
    let mut details =
        ErrorDetails::with_error_info(reason::INVALID_ARGUMENT, "rewind", HashMap::new());
    details.add_bad_request_violation("tenant.cloud", "one of global, usgov is expected");
    let status = Status::with_error_details(
        Code::InvalidArgument,
        "the request is not valid\u{1b}[2J",
        details,
    );
    let gateway = Gateway::start(Fake::failing("ListSnapshotsRequest", status));
    let run = gateway.rewind(&["snapshot", "list"]).exits(2);
    assert_data_eq!(
        &run.err,
        str![[r#"
error: the request is not valid/u{1b}[2J [INVALID_ARGUMENT]
  tenant.cloud: one of global, usgov is expected

"#]]
    );
}

#[test]
fn a_missing_gateway_is_unavailable() {
    let directory = tempfile::tempdir().expect("a directory");
    let token = directory.path().join("token");
    std::fs::write(&token, "x").expect("a file");
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let gateway = format!("http://{closed}");
    let run = run(rewind()
        .args(["snapshot", "list", "--gateway", &gateway, "--token-file"])
        .arg(&token))
    .exits(7);
    assert!(
        run.err
            .starts_with(&format!("error: no gateway answers at {gateway}: ")),
        "{run:?}"
    );
    assert!(
        run.err.contains("hint: start one with `rewind up`"),
        "{run:?}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let gateway = Gateway::start(Fake::default());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let run = gateway.rewind_into(writer, &["snapshot", "list"]).exits(0);
    assert!(run.err.is_empty(), "{run:?}");
}

#[test]
fn a_verdict_on_the_work_ends_the_waiting() {
    let throttled = status(
        Code::ResourceExhausted,
        reason::GRAPH_THROTTLED,
        "Graph asks to wait",
    );
    let gateway = Gateway::start(Fake::failing("WatchReportRequest", throttled));
    let run = gateway
        .rewind(&["diff", "create", "--snapshot", "latest"])
        .exits(7);
    assert_eq!(run.err, "error: Graph asks to wait [GRAPH_THROTTLED]\n");
    assert_eq!(gateway.fake.heard("WatchReportRequest"), 1);
}
