//! How far the log reaches, and what a report says of it.

use super::*;
use serde_json::json;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + hours * 3600, 0).expect("in range")
}

fn entry(hours: i64) -> Entry {
    let entry = json!({
        "id": format!("Directory_{hours}"), "activityDateTime": at(hours).to_rfc3339(),
        "activityDisplayName": "Update user", "result": "success",
    });
    let entry = Entry::from_value(&entry);
    entry.expect("well-formed").expect("a success")
}

#[test]
fn the_log_reaches_back_as_far_as_the_directory_keeps_it() {
    let days = |days: i64| days * 24;
    let check = |licence, first, from, says: &str| {
        let reading = Reading::of((at(first), at(0)), licence, at(1));
        assert_eq!((reading.from, reading.until), (at(from), at(1)));
        let note = reading.note(&[], at(1), &Ended::Whole, 0);
        assert_eq!(note.detail, says);
        assert_eq!(note.state(), AuditLogState::Read);
        assert_eq!(note.from_time, Some(timestamp(at(from))));
    };
    check(Licence::P1, -days(29), -days(29), "");
    let says = "the directory keeps its audit log for 30 days: what was done before \
        2023-10-15T23:13:20Z is not known";
    check(Licence::P2, -days(40), 1 - days(30), says);
    let says = "the directory keeps its audit log for 7 days: what was done before \
        2023-11-07T23:13:20Z is not known";
    check(Licence::None, -days(8), 1 - days(7), says);
}

#[test]
fn what_ended_early_is_told() {
    let reading = Reading::of((at(-5), at(0)), Licence::P2, at(1));
    let entries = [entry(-6), entry(-5), entry(0)];
    let check = |ended: Ended, malformed, state: AuditLogState, says: &str| {
        let note = reading.note(&entries, at(1), &ended, malformed);
        assert_eq!((note.state(), note.detail.as_str()), (state, says));
        assert_eq!(note.entry_count, 2, "the first is of an earlier time");
    };
    let (read, partial) = (AuditLogState::Read, AuditLogState::Partial);
    check(Ended::Whole, 0, read, "");
    check(Ended::Whole, 3, read, "3 entries are not understood");
    let full = "it has more than 100 pages of that time, and no more were read";
    check(Ended::Full, 0, partial, full);
    let none = AuditLogState::Unavailable;
    let late = "it was read for 5 seconds and no longer";
    check(Ended::Late(LEAST), 0, none, late);
    let denied = |code: &str| {
        Ended::Failed(Error::Graph(GraphError::Denied {
            code: code.to_owned(),
            message: "no".to_owned(),
            path: "/auditLogs/directoryAudits".to_owned(),
        }))
    };
    let lacks = "the reader application lacks AuditLog.Read.All: \
        graph denied /auditLogs/directoryAudits: Authorization_RequestDenied: no";
    let code = "Authorization_RequestDenied";
    check(denied(code), 0, AuditLogState::Denied, lacks);
    let code = "Authentication_RequestFromNonPremiumTenantOrB2CTenant";
    let licence = format!(
        "the tenant's licence does not include it: \
         graph denied /auditLogs/directoryAudits: {code}: no"
    );
    check(denied(code), 0, AuditLogState::Denied, &licence);
}

#[test]
fn what_was_kept_and_what_is_read_make_one() {
    let kept = Kept {
        from: at(-1000),
        until: at(0),
        entries: Arc::new(vec![entry(-1000), entry(-2), entry(-1)]),
    };
    let merged = merged(vec![entry(1), entry(-1)], Some(&kept), at(2));
    let mut times: Vec<DateTime<Utc>> = merged.iter().map(|entry| entry.time).collect();
    times.sort();
    assert_eq!(times, [at(-2), at(-1), at(1)]);
}
