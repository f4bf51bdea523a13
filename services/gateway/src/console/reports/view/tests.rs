//! What stands on the pages of reports.

use super::*;
use proto::v1::{AttributeChange, Change, Obstacle, Report, TypeCounts};

fn report(state: ReportState) -> Report {
    Report {
        name: "tenants/t/reports/r-1".to_owned(),
        state: state.into(),
        base: "tenants/t/snapshots/s-1".to_owned(),
        target: "live".to_owned(),
        counts: Some(ChangeCounts {
            added: 1,
            modified: 1200,
            links: 1,
            ..ChangeCounts::default()
        }),
        type_counts: vec![TypeCounts {
            r#type: "user".to_owned(),
            counts: Some(ChangeCounts {
                modified: 1200,
                ..ChangeCounts::default()
            }),
        }],
        ..Report::default()
    }
}

#[test]
fn a_report_that_left_something_out_is_not_complete() {
    let mut partly = report(ReportState::Succeeded);
    partly.not_compared = vec!["user: denied".to_owned()];
    for (report, tone) in [
        (report(ReportState::Succeeded), Tone::Good),
        (partly, Tone::Warn),
        (report(ReportState::Running), Tone::Busy),
        (report(ReportState::Failed), Tone::Bad),
        (report(ReportState::Cancelled), Tone::Plain),
    ] {
        assert_eq!(badge(&report).tone(), tone, "{report:?}");
    }
}

#[test]
fn counts_are_told_in_words() {
    let mut counts = report(ReportState::Succeeded).counts.expect("set");
    assert_eq!(in_words(&counts), "1 added, 1,200 modified, 1 link");
    counts.soft_deleted = 2;
    counts.links = 0;
    assert_eq!(in_words(&counts), "1 added, 1,200 modified, 2 soft-deleted");
    assert_eq!(in_words(&ChangeCounts::default()), "nothing differs");
    assert_eq!(Line::of(&report(ReportState::Running)).changes, "");
}

#[test]
fn every_count_leads_to_what_it_counts() {
    let head = Head::of(&report(ReportState::Succeeded));
    let of = |label| {
        head.kinds
            .iter()
            .find(|it| it.label == label)
            .expect("there")
    };
    let added = of("Added");
    assert_eq!(
        (added.number.as_str(), added.href.as_str(), added.class),
        ("1", "/tenants/t/reports/r-1?kind=added#changes", "added")
    );
    let hard = of("Hard-deleted");
    assert_eq!(
        (hard.number.as_str(), hard.href.as_str(), hard.class),
        ("0", "", "none-of")
    );
    assert_eq!(head.objects, 1201);
    let users = &head.types[0];
    assert_eq!(
        (users.title.as_str(), users.objects.as_str()),
        ("Users", "1,200")
    );
    let modified = (
        "1,200".to_owned(),
        "/tenants/t/reports/r-1?type=user&kind=modified#changes".to_owned(),
    );
    assert_eq!(users.kinds[1], modified);
    assert_eq!(users.kinds[0], (String::new(), String::new()));
    assert_eq!(head.base, "/tenants/t/snapshots/s-1");
}

#[test]
fn the_log_is_spoken_of_only_where_something_is_to_be_said() {
    let of = |state: AuditLogState, detail: &str| {
        log(Some(&v1::AuditLog {
            state: state.into(),
            detail: detail.to_owned(),
            ..v1::AuditLog::default()
        }))
    };
    assert_eq!(log(None), None);
    assert_eq!(of(AuditLogState::Read, ""), None);
    assert_eq!(of(AuditLogState::Unspecified, "x"), None);
    let short = of(AuditLogState::Read, "It reaches back 30 days.").expect("said");
    assert!(short.ends_with("It reaches back 30 days."));
    assert!(
        of(AuditLogState::Denied, "")
            .expect("said")
            .contains("denied")
    );
}

fn change(obstacles: &[Obstacle], attributes: usize, links: usize) -> Change {
    let attribute = |n| AttributeChange {
        path: format!("a{n}"),
        before_json: Some("1".to_owned()),
        after_json: Some("2".to_owned()),
        ..AttributeChange::default()
    };
    let link = v1::LinkChange {
        relation: "group/members".to_owned(),
        direction: v1::LinkDirection::Added.into(),
        ..v1::LinkChange::default()
    };
    Change {
        kind: ChangeKind::Modified.into(),
        attributes: (1..=attributes).map(attribute).collect(),
        links: vec![link; links],
        obstacles: obstacles.iter().map(|it| (*it).into()).collect(),
        ..Change::default()
    }
}

#[test]
fn what_stands_in_the_way_decides_whether_an_object_can_be_put_back() {
    for (obstacles, tone) in [
        (&[][..], Tone::Good),
        (&[Obstacle::ReadOnly], Tone::Warn),
        (&[Obstacle::HardDeleted], Tone::Bad),
        (&[Obstacle::ReadOnly, Obstacle::OnPremisesSynced], Tone::Bad),
    ] {
        let entry = Entry::of(&change(obstacles, 1, 0)).expect("understood");
        assert_eq!(entry.restorable.tone(), tone, "{obstacles:?}");
        assert_eq!(entry.obstacles.len(), obstacles.len());
    }
}

#[test]
fn how_much_differs_is_told_in_a_line() {
    for (attributes, links, expected) in [
        (0, 0, ""),
        (1, 0, "a1"),
        (3, 1, "a1, a2, a3; 1 link"),
        (5, 2, "a1, a2, a3 and 2 more; 2 links"),
        (0, 1, "1 link"),
    ] {
        let entry = Entry::of(&change(&[], attributes, links)).expect("understood");
        assert_eq!(entry.extent, expected);
        assert_eq!(entry.sides.rows.len(), attributes + links);
    }
    let mut broken = change(&[], 1, 0);
    broken.attributes[0].before_json = Some("no JSON".to_owned());
    assert!(Entry::of(&broken).is_err());
}

#[test]
fn progress_tells_what_is_known() {
    let mut message = v1::WatchReportResponse {
        phase: "reading tenant".to_owned(),
        read_count: 1200,
        ..v1::WatchReportResponse::default()
    };
    let expected = Progress {
        phase: "Reading the tenant".to_owned(),
        detail: "1,200 objects and links read".to_owned(),
        percent: None,
    };
    assert_eq!(Progress::of(&message), expected);
    message.expected_count = 4800;
    message.remaining_time = Some(prost_types::Duration {
        seconds: 65,
        nanos: 0,
    });
    let expected = Progress {
        detail: "1,200 objects and links read of about 4,800, about 1:05 left".to_owned(),
        percent: Some(25),
        ..expected
    };
    assert_eq!(Progress::of(&message), expected);
}
