use chrono::{NaiveDate, TimeDelta};
use proptest::prelude::*;

use super::*;
use crate::{LinkKind, ObjectType};

const USERS: Kind = Kind::Objects(ObjectType::User);
const MEMBERS: Kind = Kind::Links(LinkKind::GroupMembers);

/// A day of the tests' calendar; day 0 is Monday, 2 November 2026.
fn day(number: i64) -> DateTime<Utc> {
    let first = NaiveDate::from_ymd_opt(2026, 11, 2).unwrap();
    first.and_hms_opt(3, 0, 0).unwrap().and_utc() + TimeDelta::days(number)
}

fn snapshot(name: &str, taken: DateTime<Utc>, daily: bool, complete: &[Kind]) -> Candidate {
    Candidate {
        id: SnapshotId::parse(name).unwrap(),
        taken,
        daily,
        complete: complete.iter().copied().collect(),
        held: false,
    }
}

fn daily(number: i64) -> Candidate {
    snapshot(
        &format!("d{number:03}"),
        day(number),
        true,
        &[USERS, MEMBERS],
    )
}

fn gone(policy: &str, now: i64, all: &[Candidate]) -> Vec<String> {
    let gone = expired(&policy.parse().unwrap(), day(now), all);
    gone.iter().map(ToString::to_string).collect()
}

#[test]
fn the_five_most_recent_daily_ones_stay() {
    let all: Vec<_> = (0..7).map(daily).collect();
    assert_eq!(gone("recent=5", 7, &all), ["d000", "d001"]);
    assert_eq!(gone("recent=5", 7, &all[..5]), [""; 0]);
    assert_eq!(Policy::default(), "recent=5".parse().unwrap());
}

#[test]
fn what_does_not_count_goes_with_those_that_do() {
    let mut all: Vec<_> = (0..7).map(daily).collect();
    let asked = |name: &str, at| snapshot(name, day(at) + TimeDelta::hours(5), false, &[USERS]);
    all.extend([asked("old", 1), asked("new", 2)]);
    all.push(snapshot("empty", day(1) + TimeDelta::hours(6), true, &[]));
    assert_eq!(gone("recent=5", 7, &all), ["d000", "d001", "empty", "old"]);
    // Without daily ones nothing ever comes after it.
    let asked: Vec<_> = (0..9).map(|at| asked(&format!("a{at}"), at)).collect();
    assert_eq!(gone("recent=5", 90, &asked), [""; 0]);
}

#[test]
fn each_kind_has_its_own_five() {
    // From day 2 on the permission to read members is missing.
    let mut all: Vec<_> = (0..9).map(daily).collect();
    for it in &mut all[2..] {
        it.complete.remove(&MEMBERS);
    }
    assert_eq!(gone("recent=5", 9, &all), ["d002", "d003"]);
}

#[test]
fn periods_keep_their_newest() {
    let all: Vec<_> = (0..40).map(daily).collect();
    let kept = |policy: &str| -> Vec<String> {
        let gone = gone(policy, 40, &all);
        let names = all.iter().map(|it| it.id.to_string());
        names.filter(|name| !gone.contains(name)).collect()
    };
    assert_eq!(kept("recent=1,days=3"), ["d037", "d038", "d039"]);
    // Sundays are days 6, 13, 20, 27 and 34.
    assert_eq!(kept("recent=1,weeks=3"), ["d027", "d034", "d039"]);
    // November has 29 days from day 0 on.
    assert_eq!(kept("recent=1,months=12"), ["d028", "d039"]);
    assert_eq!(kept("recent=1,minimum=2"), ["d038", "d039"]);
}

#[test]
fn a_floor_and_a_hold_are_stronger_than_numbers() {
    let mut all: Vec<_> = (0..9).map(daily).collect();
    assert_eq!(
        gone("recent=2,floor-days=4", 9, &all),
        ["d000", "d001", "d002", "d003", "d004", "d005"]
    );
    all[1].held = true;
    assert_eq!(
        gone("recent=2,floor-days=6", 9, &all),
        ["d000", "d002", "d003"]
    );
}

#[test]
fn a_policy_is_written_as_it_is_read() {
    let text = "recent=5,days=0,weeks=4,months=12,floor-days=30,minimum=2";
    assert_eq!(text.parse::<Policy>().unwrap().to_string(), text);
    for bad in [
        "",
        "recent",
        "recent=",
        "recent=-1",
        "recent=5,recent=6",
        "years=1",
        "recent=5,",
    ] {
        assert!(bad.parse::<Policy>().is_err(), "{bad}");
    }
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let kinds = prop::sample::subsequence(vec![USERS, MEMBERS], 0..=2);
    let one = (0_i64..400, any::<bool>(), kinds, prop::bool::weighted(0.1));
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let make = |(index, (hour, daily, kinds, held)): (usize, (i64, bool, Vec<Kind>, bool))| {
            let taken = day(0) + TimeDelta::hours(hour * 7);
            Candidate {
                held,
                ..snapshot(&format!("s{index:03}"), taken, daily, &kinds)
            }
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (0_u32..7, 0_u32..5, 0_u32..5, 0_u32..5, 0_u32..50, 0_u32..4).prop_map(
        |(recent, days, weeks, months, floor_days, minimum)| Policy {
            recent,
            days,
            weeks,
            months,
            floor_days,
            minimum,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_complete_one_of_each_kind_stays(policy in policy(), all in candidates(), now in 0_i64..150) {
        let gone = expired(&policy, day(now), &all);
        for kind in [USERS, MEMBERS] {
            let complete = all.iter().filter(|it| it.complete.contains(&kind));
            let newest = complete.max_by(|a, b| (a.taken, &a.id).cmp(&(b.taken, &b.id)));
            if let Some(newest) = newest {
                prop_assert!(!gone.contains(&newest.id));
            }
        }
        for it in &all {
            let young = it.taken > day(now) - TimeDelta::days(policy.floor_days.into());
            prop_assert!(!(it.held || young) || !gone.contains(&it.id), "{it:?}");
        }
    }

    #[test]
    fn what_stays_stays_without_what_goes(policy in policy(), all in candidates(), now in 0_i64..150) {
        let gone = expired(&policy, day(now), &all);
        let rest: Vec<_> = all.into_iter().filter(|it| !gone.contains(&it.id)).collect();
        prop_assert_eq!(expired(&policy, day(now), &rest), BTreeSet::new());
    }

    #[test]
    fn a_flood_pushes_out_nothing_that_counts(policy in policy(), all in candidates(), flood in candidates()) {
        let before = expired(&policy, day(150), &all);
        let flood = flood.into_iter().enumerate().map(|(index, it)| Candidate {
            id: SnapshotId::parse(&format!("f{index:03}")).unwrap(),
            daily: false,
            ..it
        });
        let with: Vec<_> = all.iter().cloned().chain(flood).collect();
        let after = expired(&Policy { minimum: 0, ..policy }, day(150), &with);
        let least = Policy { minimum: 0, ..policy };
        let kept_alone = expired(&least, day(150), &all);
        for it in all.iter().filter(|it| it.daily && !it.complete.is_empty()) {
            // On-demand ones may stand in for the one that the law keeps, for no other.
            let newest = before.contains(&it.id) || kept_alone.contains(&it.id);
            let recent = policy.recent > 0;
            prop_assert!(newest || !recent || !after.contains(&it.id), "{it:?}");
        }
    }
}

#[test]
fn one_smaller_number_keeps_less() {
    let policy = |text: &str| text.parse::<Policy>().unwrap();
    for (before, after, less) in [
        ("recent=5", "recent=5", false),
        ("recent=5", "recent=4", true),
        ("recent=5", "recent=30", false),
        ("recent=5,weeks=4", "recent=50,weeks=3", true),
        ("recent=5", "recent=5,months=12", false),
        ("recent=5,months=12", "recent=5", true),
        ("recent=5,floor-days=30", "recent=5,floor-days=29", true),
        // At least one counts always.
        ("minimum=1", "minimum=0", false),
        ("minimum=2", "minimum=0", true),
    ] {
        assert_eq!(
            policy(after).keeps_less_than(&policy(before)),
            less,
            "{before} -> {after}"
        );
    }
}
