//! What the page of protection says.

use super::*;
use proto::v1::{Posture, PostureCheck, Severity};

fn check(
    layer: PostureLayer,
    status: PostureStatus,
    severity: Severity,
    points: i32,
) -> PostureCheck {
    PostureCheck {
        id: format!("{layer:?}-{points}"),
        layer: layer.into(),
        status: status.into(),
        severity: severity.into(),
        points,
        sentence: format!("about {layer:?}"),
        ..PostureCheck::default()
    }
}

fn posture(checks: Vec<PostureCheck>, score: i32) -> Posture {
    Posture {
        checks,
        score,
        ..Posture::default()
    }
}

#[test]
fn a_layer_is_as_good_as_the_worst_of_its_checks() {
    use PostureStatus::{Finding, Good, NotKnown, NotReached};
    for (statuses, class) in [
        (&[Good, Good][..], "good"),
        (&[Good, NotReached], "plain"),
        (&[Good, NotKnown, NotReached], "warn"),
        (&[NotKnown, Finding, Good], "bad"),
        (&[], "plain"),
    ] {
        let checks = statuses
            .iter()
            .map(|status| check(PostureLayer::Policy, *status, Severity::High, 1));
        let standing = Standing::of(&posture(checks.collect(), 0));
        assert_eq!(standing.chain[2].class, class, "{statuses:?}");
        assert_eq!(standing.chain[0].class, "plain", "nothing is known of it");
    }
}

#[test]
fn the_gravest_finding_stands_first() {
    use PostureStatus::{Finding, Good, NotKnown, NotReached};
    let checks = vec![
        check(PostureLayer::Device, Finding, Severity::Medium, 8),
        check(PostureLayer::Action, Finding, Severity::Critical, 15),
        check(PostureLayer::Reach, Finding, Severity::Medium, 4),
        check(PostureLayer::Context, NotKnown, Severity::Unspecified, 10),
        check(
            PostureLayer::Strength,
            NotReached,
            Severity::Unspecified,
            10,
        ),
        check(PostureLayer::BreakGlass, Good, Severity::Unspecified, 4),
    ];
    let standing = Standing::of(&posture(checks, 70));
    let points: Vec<i32> = standing.findings.iter().map(|it| it.points).collect();
    assert_eq!(points, [15, 8, 4]);
    assert_eq!((standing.unknowns.len(), standing.others.len()), (1, 2));
    assert_eq!(standing.tone, Tone::Warn);
    assert!(standing.chain[3].sentences.is_empty(), "not reached");
}

#[test]
fn the_chart_goes_from_the_oldest_to_the_newest() {
    let at = |days: i64, score| Posture {
        read_time: Some(Timestamp {
            seconds: days * 86_400,
            nanos: 0,
        }),
        ..posture(Vec::new(), score)
    };
    assert!(Chart::of(&[]).is_none());
    assert!(Chart::of(&[at(0, 5)]).is_none());
    let chart = Chart::of(&[at(2, 80), at(1, 120), at(0, 40)]).expect("three");
    assert_eq!(
        chart.sentence,
        "The score went from 40 on 1 Jan 1970 to 80 on 3 Jan 1970."
    );
    let bars: Vec<_> = chart
        .bars
        .iter()
        .map(|it| (it.x, it.y, it.height))
        .collect();
    assert_eq!(bars, [(0, 60, 40), (40, 0, 100), (80, 20, 80)]);
    let many: Vec<Posture> = (0..60).map(|day| at(day, 50)).collect();
    let last = Chart::of(&many).expect("many").bars.pop().expect("one");
    assert!(last.x + last.width <= WIDTH);
}

#[test]
fn holders_are_counted_by_what_they_are() {
    let held = role(&v1::HardDeleteRole {
        display_name: "Global Administrator".to_owned(),
        actions: vec!["a".to_owned(), "b".to_owned()],
        user_count: 2,
        group_count: 1,
        ..v1::HardDeleteRole::default()
    });
    assert_eq!(
        (held.by.as_str(), held.holders.as_str()),
        ("a, b", "2 users, 1 group")
    );
}
