use super::*;
use crate::fixture::id;

fn policy(text: &str) -> Policy {
    text.parse().expect(text)
}

#[test]
fn a_policy_is_read_as_it_is_written() {
    for text in [
        "off",
        "on",
        "on,changes=7",
        "on,changes=off,conditional-access=off,privileged=off,expires=8h",
        "off,expires=720h",
    ] {
        assert_eq!(policy(text).to_string(), text);
    }
    assert_eq!(policy("on,changes=100,privileged=on").to_string(), "on");
    assert_eq!(Policy::default().to_string(), "off");
}

#[test]
fn what_is_no_policy_is_refused() {
    let check = |text: &str, expected: &str| {
        let error = text.parse::<Policy>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("", "neither on nor off");
    check("yes", "neither on nor off");
    check("on,changes", "\"changes\" is no setting");
    check("on,changes=-1", "is no setting");
    check("on,changes=", "is no setting");
    check("on,conditional-access=no", "is no setting");
    check("on,people=2", "is no setting");
    check(
        "on,privileged=on,privileged=off",
        "privileged is named twice",
    );
    check("on,expires=0h", "is no time");
    check("on,expires=721h", "is no time");
    check("on,expires=90m", "is no time");
}

fn object(n: u8) -> ObjectRef {
    ObjectRef {
        object_type: ObjectType::User,
        id: id(n),
        name: format!("User {n}"),
    }
}

#[test]
fn each_trigger_gives_its_reason() {
    let check = |text: &str, grounds: &Grounds, expected: &[&str]| {
        assert_eq!(policy(text).reasons(grounds), expected, "{text}");
    };
    let small = Grounds {
        steps: 2,
        ..Grounds::default()
    };
    let large = Grounds {
        steps: 101,
        ..Grounds::default()
    };
    check("on", &small, &[]);
    check("off", &large, &[]);
    check("on", &large, &["it has 101 steps, more than 100"]);
    check("on,changes=off", &large, &[]);
    check("on,changes=1", &small, &["it has 2 steps, more than 1"]);
    check("on,changes=2", &small, &[]);
    check("on,changes=0", &small, &["it has 2 steps, more than 0"]);
    check("on,changes=0", &Grounds::default(), &[]);

    let policies = Grounds {
        conditional_access: true,
        ..small.clone()
    };
    check("on", &policies, &["it changes Conditional Access"]);
    check("on,conditional-access=off", &policies, &[]);

    let one = Grounds {
        privileged: vec![object(1)],
        ..small
    };
    check(
        "on",
        &one,
        &["it touches a holder of a directory role: user \"User 1\""],
    );
    check("on,privileged=off", &one, &[]);
    let three = Grounds {
        privileged: vec![object(1), object(2), object(3)],
        ..policies
    };
    check(
        "on,changes=1",
        &three,
        &[
            "it has 2 steps, more than 1",
            "it changes Conditional Access",
            "it touches holders of directory roles: user \"User 1\" and 2 more",
        ],
    );
    let unknown = Grounds {
        holders_unknown: true,
        ..small
    };
    check(
        "on",
        &unknown,
        &["it may touch holders of directory roles, who could not be read"],
    );
    check("on,privileged=off", &unknown, &[]);
}

fn at(hour: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
}

#[test]
fn only_another_persons_approval_of_this_very_plan_counts_and_only_for_a_while() {
    let on = [policy("on")];
    let given =
        |approver: &str, hash: &str, hour: i64| Approval::given(approver, hash, at(hour), &on);
    let check = |approvals: &[Approval], hour: i64, policies: &[Policy], expected: &str| {
        let found = match standing(approvals, "anna", "h", at(hour), policies) {
            Standing::Approved(one) => format!("approved by {}", one.approver),
            Standing::Expired(one) => format!("expired of {}", one.approver),
            Standing::Stale(one) => format!("stale of {}", one.approver),
            Standing::Missing => "missing".to_owned(),
        };
        assert_eq!(found, expected);
    };
    check(&[], 0, &on, "missing");
    check(&[given("anna", "h", 0)], 0, &on, "missing");
    let one = [given("ben", "h", 0)];
    check(&one, 0, &on, "approved by ben");
    check(&one, 23, &on, "approved by ben");
    check(&one, 24, &on, "expired of ben");
    check(&one, 8, &[policy("on,expires=8h")], "expired of ben");
    check(&one, 24, &[policy("on,expires=48h")], "expired of ben");
    check(
        &one,
        7,
        &[policy("on"), policy("on,expires=8h")],
        "approved by ben",
    );
    check(
        &one,
        23,
        &[policy("on"), policy("off,expires=8h")],
        "approved by ben",
    );
    check(&[given("ben", "other", 0)], 0, &on, "stale of ben");
    check(
        &[given("ben", "h", 0), given("cleo", "other", 1)],
        2,
        &on,
        "approved by ben",
    );
    check(
        &[given("ben", "h", 0), given("anna", "h", 20)],
        25,
        &on,
        "expired of ben",
    );
    check(
        &[given("ben", "h", 0), given("cleo", "h", 20)],
        25,
        &on,
        "approved by cleo",
    );
}

#[test]
fn a_policy_that_asks_less_is_known() {
    let policy = |text: &str| text.parse::<Policy>().unwrap();
    for (before, after, less) in [
        ("off", "on", false),
        ("off", "off,changes=off", false),
        ("on", "on", false),
        ("on", "off", true),
        ("on", "on,changes=101", true),
        ("on", "on,changes=off", true),
        ("on", "on,changes=10", false),
        ("on,changes=off", "on,changes=1000", false),
        ("on", "on,conditional-access=off", true),
        ("on,privileged=off", "on", false),
        ("on", "on,privileged=off,changes=1", true),
        ("on", "on,expires=25h", true),
        ("on", "on,expires=23h", false),
    ] {
        assert_eq!(
            policy(after).asks_less_than(&policy(before)),
            less,
            "{before} -> {after}"
        );
    }
}
