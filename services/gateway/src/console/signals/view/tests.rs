//! What stands on the pages of signals.

use super::*;
use proto::v1::{Signal, SignalDelivery, SignalTarget};

#[test]
fn a_filter_becomes_a_request() {
    let asked = "severity=high&from=2026-11-20&until=2026-11-28&undelivered=1&page_token=x";
    let choice = Choice::of(&Asked::read(asked));
    let request = choice.request("tenants/t".to_owned()).expect("days");
    assert_eq!(request.min_severity(), Severity::High);
    let seconds = |time: Option<Timestamp>| time.map(|it| it.seconds);
    assert_eq!(seconds(request.from_time), Some(1_795_132_800));
    assert_eq!(
        seconds(request.until_time),
        Some(1_795_132_800 + 9 * 86_400),
        "the last day as a whole"
    );
    assert!(request.undelivered && request.page_token == "x");
    assert!(!choice.is_everything());
    assert!(Choice::of(&Asked::read("page_token=x&severity=")).is_everything());
    for query in ["from=yesterday", "until=2026-13-01"] {
        let choice = Choice::of(&Asked::read(query));
        assert!(choice.request(String::new()).is_err(), "{query}");
    }
}

#[test]
fn the_command_that_helps_is_a_form_too() {
    let of = |command: &str, report: &str| {
        let signal = Signal {
            command: command.to_owned(),
            report: report.to_owned(),
            ..Signal::default()
        };
        restore(&signal, "/r")
    };
    assert_eq!(of("", ""), "");
    assert_eq!(of("", "tenants/t/reports/x"), "/r?report=x");
    assert_eq!(
        of(
            "rewind restore plan --tenant t --snapshot s --id a --id b --recreate-hard-deleted",
            ""
        ),
        "/r?snapshot=s&id=a&id=b&recreate=1"
    );
    assert_eq!(
        of(
            "rewind restore plan --tenant t --snapshot s --type user,group",
            "tenants/t/reports/x"
        ),
        "/r?snapshot=s&type=user&type=group"
    );
    assert_eq!(
        of(
            "rewind restore plan --snapshot s --id a b --added soft-delete",
            ""
        ),
        "/r?snapshot=s&id=a&id=b&added=soft-delete"
    );
}

#[test]
fn what_became_of_a_letter_is_seen_at_a_glance() {
    for (state, tone) in [
        (DeliveryState::Delivered, Tone::Good),
        (DeliveryState::Pending, Tone::Busy),
        (DeliveryState::Dead, Tone::Bad),
        (DeliveryState::Passed, Tone::Plain),
    ] {
        let letter = SignalDelivery {
            state: state.into(),
            ..SignalDelivery::default()
        };
        assert_eq!(delivery(&letter).tone(), tone);
    }
}

#[test]
fn what_the_snapshot_has_leads_to_it() {
    let signal = Signal {
        base: "tenants/t/snapshots/s".to_owned(),
        ..Signal::default()
    };
    let mut named = SignalTarget {
        object: Some(v1::ObjectRef {
            r#type: "user".to_owned(),
            id: "u-1".to_owned(),
            display_name: "Ann".to_owned(),
        }),
        in_snapshot: true,
        snapshot_display_name: "Ann B.".to_owned(),
        ..SignalTarget::default()
    };
    let told = target(&signal, &named);
    assert_eq!(told.href, "/tenants/t/snapshots/s/objects/u-1?type=user");
    assert_eq!(told.in_snapshot.as_deref(), Some("Ann B."));
    named.in_snapshot = false;
    let told = target(&signal, &named);
    assert_eq!((told.href.as_str(), told.in_snapshot), ("", None));
}

#[test]
fn more_is_said_of_only_where_there_is_more() {
    let with = |count: i64, shown: usize| {
        let signal = Signal {
            counts: vec![v1::SignalCount {
                r#type: "user".to_owned(),
                count,
                total: 100,
            }],
            evidence: vec![v1::SignalEvidence::default(); shown],
            ..Signal::default()
        };
        let whole = Whole::of(&signal, "/r");
        (whole.more, whole.counts.concat())
    };
    assert_eq!(
        with(20, 3),
        ("17 more objects".to_owned(), "Users: 20 of 100".to_owned())
    );
    assert_eq!(with(3, 3).0, "");
    assert_eq!(with(3, 0).0, "");
}
