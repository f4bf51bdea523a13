//! The mapping as tables and snapshots.

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Sample {
    text: &'static str,
    kind: ErrorKind,
    reason: &'static str,
    source: Option<Box<Sample>>,
}

impl Fault for Sample {
    fn kind(&self) -> ErrorKind {
        self.kind
    }
    // A static word satisfies the trait too.
    fn reason(&self) -> &'static str {
        self.reason
    }
    fn violations(&self) -> Vec<(String, String)> {
        if self.kind == ErrorKind::Invalid {
            vec![("parent".to_owned(), "a tenant".to_owned())]
        } else {
            Vec::new()
        }
    }
}

fn sample(kind: ErrorKind, reason: &'static str) -> Sample {
    Sample {
        text: "outer",
        kind,
        reason,
        source: Some(Box::new(Sample {
            text: "inner",
            kind,
            reason,
            source: None,
        })),
    }
}

fn render(kind: ErrorKind, reason: &'static str) -> String {
    let status = status(&sample(kind, reason));
    let remote = parse(&status);
    format!(
        "{:?} {:?} reason={} retry={:?} fields={:?}",
        status.code(),
        status.message(),
        remote.reason(),
        remote.retry_after,
        remote.violations
    )
}

#[test]
fn every_kind_has_its_status() {
    let throttled = |seconds: Option<u64>| ErrorKind::Throttled {
        retry_after: seconds.map(Duration::from_secs),
    };
    let lines = [
        render(ErrorKind::Invalid, reason::INVALID_ARGUMENT),
        render(ErrorKind::NotFound, reason::NOT_FOUND),
        render(ErrorKind::Conflict, reason::CONFLICT),
        render(ErrorKind::Conflict, reason::ALREADY_EXISTS),
        render(ErrorKind::Conflict, reason::PLAN_STALE),
        render(ErrorKind::Conflict, reason::APPROVAL_EXPIRED),
        render(ErrorKind::Conflict, reason::APPROVAL_STALE),
        render(ErrorKind::Denied, reason::PERMISSION_DENIED),
        render(ErrorKind::Denied, reason::UNAUTHENTICATED),
        render(ErrorKind::Denied, reason::LICENCE_REQUIRED),
        render(ErrorKind::Denied, reason::CONSENT_MISSING),
        render(ErrorKind::Denied, reason::APPROVAL_REQUIRED),
        render(ErrorKind::Denied, reason::SNAPSHOT_INCOMPLETE),
        render(throttled(Some(30)), reason::GRAPH_THROTTLED),
        render(throttled(None), reason::GRAPH_THROTTLED),
        render(ErrorKind::Unavailable, reason::STORE_UNAVAILABLE),
        render(ErrorKind::Corrupt, reason::STORE_CORRUPT),
        render(ErrorKind::Internal, reason::INTERNAL),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    InvalidArgument "outer: inner" reason=INVALID_ARGUMENT retry=None fields=[("parent", "a tenant")]
    NotFound "outer: inner" reason=NOT_FOUND retry=None fields=[]
    Aborted "outer: inner" reason=CONFLICT retry=None fields=[]
    AlreadyExists "outer: inner" reason=ALREADY_EXISTS retry=None fields=[]
    FailedPrecondition "outer: inner" reason=PLAN_STALE retry=None fields=[]
    FailedPrecondition "outer: inner" reason=APPROVAL_EXPIRED retry=None fields=[]
    FailedPrecondition "outer: inner" reason=APPROVAL_STALE retry=None fields=[]
    PermissionDenied "outer: inner" reason=PERMISSION_DENIED retry=None fields=[]
    Unauthenticated "outer: inner" reason=UNAUTHENTICATED retry=None fields=[]
    FailedPrecondition "outer: inner" reason=LICENCE_REQUIRED retry=None fields=[]
    FailedPrecondition "outer: inner" reason=CONSENT_MISSING retry=None fields=[]
    PermissionDenied "outer: inner" reason=APPROVAL_REQUIRED retry=None fields=[]
    FailedPrecondition "outer: inner" reason=SNAPSHOT_INCOMPLETE retry=None fields=[]
    ResourceExhausted "outer: inner" reason=GRAPH_THROTTLED retry=Some(30s) fields=[]
    ResourceExhausted "outer: inner" reason=GRAPH_THROTTLED retry=Some(5s) fields=[]
    Unavailable "outer: inner" reason=STORE_UNAVAILABLE retry=Some(1s) fields=[]
    DataLoss "outer: inner" reason=STORE_CORRUPT retry=None fields=[]
    Internal "internal error" reason=INTERNAL retry=None fields=[]
    "#);
}

#[test]
fn a_remote_error_passed_on_is_unchanged() {
    let throttled = ErrorKind::Throttled {
        retry_after: Some(Duration::from_secs(30)),
    };
    for (kind, reason) in [
        (ErrorKind::Invalid, reason::INVALID_ARGUMENT),
        (ErrorKind::Conflict, reason::SLOT_TAKEN),
        (ErrorKind::Conflict, reason::PLAN_STALE),
        (ErrorKind::Denied, reason::LICENCE_REQUIRED),
        (throttled, reason::GRAPH_THROTTLED),
        (ErrorKind::Unavailable, reason::KEY_UNAVAILABLE),
        (ErrorKind::Corrupt, reason::STORE_CORRUPT),
        (ErrorKind::Internal, reason::INTERNAL),
    ] {
        let first = status(&sample(kind, reason));
        let second = status(&parse(&first));
        assert_eq!(parse(&second), parse(&first), "{reason}");
    }
}

#[test]
fn a_reason_unknown_to_this_version_survives() {
    let details = ErrorDetails::with_error_info("NEWER_REASON", DOMAIN, HashMap::new());
    let remote = parse(&Status::with_error_details(Code::Aborted, "later", details));
    assert_eq!(remote.reason(), "NEWER_REASON");
    assert_eq!(parse(&status(&remote)).reason(), "NEWER_REASON");
}

#[test]
fn a_status_without_our_details_gets_the_nearest_reason() {
    let foreign = ErrorDetails::with_error_info("X", "elsewhere.example", HashMap::new());
    assert_eq!(
        parse(&Status::with_error_details(Code::NotFound, "gone", foreign)).reason,
        None
    );
    for (code, expected) in [
        (Code::Unavailable, reason::BACKEND_UNAVAILABLE),
        (Code::DeadlineExceeded, reason::BACKEND_UNAVAILABLE),
        (Code::Unauthenticated, reason::UNAUTHENTICATED),
        (Code::PermissionDenied, reason::PERMISSION_DENIED),
        (Code::Unknown, reason::INTERNAL),
    ] {
        assert_eq!(
            parse(&Status::new(code, "x")).reason(),
            expected,
            "{code:?}"
        );
    }
}

#[test]
fn causes_are_told_once() {
    let nested = |text, source| Sample {
        text,
        kind: ErrorKind::Invalid,
        reason: reason::INVALID_ARGUMENT,
        source,
    };
    let c = nested("c", None);
    let b = nested("b: c", Some(Box::new(c)));
    let a = nested("a", Some(Box::new(b)));
    assert_eq!(chain(&a), "a: b: c");
}
