use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::diff::{Scope, diff};
use crate::fixture::{body, content, full, id, object, user};
use crate::object::{Object, ObjectState};

const LIVE: ObjectState = ObjectState::Live;
const DELETED: ObjectState = ObjectState::Deleted;

/// What a watch finds between two days: each finding's title, and the evidence as
/// names.
fn found(watch: &str, base: &[Object], target: &[Object]) -> Vec<(String, Vec<String>)> {
    let (base, target) = (
        content(base.to_vec(), Vec::new()),
        content(target.to_vec(), Vec::new()),
    );
    let mut before = BTreeMap::new();
    for object in base.objects.iter().filter(|it| it.state == LIVE) {
        *before.entry(object.object_type).or_default() += 1;
    }
    let mut tally = Tally::new(&watch.parse().unwrap(), before);
    for change in diff(&base, &target, &Scope::default()).changes {
        tally.see(&change, || change.object.name.clone());
    }
    let findings = tally.findings().into_iter();
    findings.map(|it| (it.title(), it.evidence)).collect()
}

/// The same, of a rule alone.
fn by(rule: &str, base: &[Object], target: &[Object]) -> Vec<(String, Vec<String>)> {
    let others = RULES.iter().filter(|it| it.name != rule);
    let off: String = others.map(|it| format!(",{}=off", it.name)).collect();
    found(&format!("on{off}"), base, target)
}

fn told(title: &str, evidence: &[&str]) -> Vec<(String, Vec<String>)> {
    let evidence = evidence.iter().map(|&name| name.to_owned()).collect();
    vec![(title.to_owned(), evidence)]
}

const NOTHING: [(String, Vec<String>); 0] = [];

fn users(numbers: std::ops::Range<u8>) -> Vec<Object> {
    numbers.map(|n| user(n, "Clerk")).collect()
}

fn disabled(n: u8) -> Object {
    let body =
        json!({"displayName": format!("User {n}"), "jobTitle": "Clerk", "accountEnabled": false});
    object(ObjectType::User, n, LIVE, body)
}

fn with(object_type: ObjectType, n: u8, more: &[(&str, Value)]) -> Object {
    let mut body = match object_type {
        ObjectType::Application | ObjectType::ServicePrincipal => json!({"displayName": "Payroll"}),
        ObjectType::ConditionalAccessPolicy | ObjectType::NamedLocation => {
            json!({"displayName": "Baseline"})
        }
        other => body(other),
    };
    for (key, value) in more {
        body[key] = value.clone();
    }
    object(object_type, n, LIVE, body)
}

#[test]
fn many_disabled_users_are_told_and_few_are_not() {
    let base = users(0..100);
    let disable =
        |count: u8| -> Vec<Object> { (0..count).map(disabled).chain(users(count..100)).collect() };
    assert_eq!(by("mass-disable", &base, &disable(5)), NOTHING);
    let names = ["User 0", "User 1", "User 2", "User 3", "User 4", "User 5"];
    assert_eq!(
        by("mass-disable", &base, &disable(6)),
        told("Many users were disabled (user: 6 of 100)", &names)
    );
    // Of whom is disabled already, or added so, nobody was disabled.
    assert_eq!(by("mass-disable", &disable(6), &disable(6)), NOTHING);
    assert_eq!(by("mass-disable", &base[50..], &disable(6)), NOTHING);
    // One who left an office of ten.
    let office: Vec<Object> = [disabled(0), disabled(1)]
        .into_iter()
        .chain(users(2..10))
        .collect();
    assert_eq!(by("mass-disable", &base[..10], &office), NOTHING);
}

#[test]
fn many_deletions_are_told_type_by_type() {
    let group = |n: u8, state| object(ObjectType::Group, n, state, json!({"displayName": "G"}));
    let mut base = users(0..40);
    base.extend((40..44).map(|n| group(n, LIVE)));
    let mut target = users(3..40);
    // Two of forty in the bin, one gone: more than 5 %.
    target.push(object(ObjectType::User, 0, DELETED, json!({})));
    target.push(object(ObjectType::User, 1, DELETED, json!({})));
    // Two of four groups are fewer than count.
    target.extend([
        group(40, DELETED),
        group(41, DELETED),
        group(42, LIVE),
        group(43, LIVE),
    ]);
    assert_eq!(
        by("mass-deletion", &base, &target),
        told(
            "Many objects were deleted (user: 3 of 40)",
            &["User 0", "User 1", "User 2"]
        )
    );
    assert_eq!(
        by("hard-deletion", &base, &target),
        told(
            "Objects were deleted from the recycle bin, too (user: 1)",
            &["User 2"]
        )
    );
}

#[test]
fn a_purge_of_what_was_in_the_bin_before_is_no_deletion() {
    let base = [object(ObjectType::User, 1, DELETED, json!({}))];
    assert_eq!(by("hard-deletion", &base, &[]), NOTHING);
}

#[test]
fn a_group_that_exchange_manages_has_no_bin_to_be_purged_from() {
    let group = |types: Value, mail: bool| {
        let body = json!({"displayName": "Sales", "groupTypes": types, "mailEnabled": mail});
        [object(ObjectType::Group, 1, LIVE, body)]
    };
    assert_eq!(by("hard-deletion", &group(json!([]), true), &[]), NOTHING);
    let title = "Objects were deleted from the recycle bin, too (group: 1)";
    for with_bin in [group(json!(["Unified"]), true), group(json!([]), false)] {
        assert_eq!(by("hard-deletion", &with_bin, &[]), told(title, &["Sales"]));
    }
}

#[test]
fn any_change_of_conditional_access_is_told() {
    for object_type in [
        ObjectType::ConditionalAccessPolicy,
        ObjectType::NamedLocation,
        ObjectType::AuthenticationStrengthPolicy,
        ObjectType::AuthenticationContextClassReference,
    ] {
        let one = with(object_type, 1, &[]);
        let other = with(object_type, 1, &[("displayName", json!("Renamed"))]);
        let title = format!("Conditional Access was changed ({object_type}: 1)");
        for (base, target) in [
            (vec![one.clone()], vec![other.clone()]),
            (vec![one.clone()], vec![]),
            (vec![], vec![one.clone()]),
        ] {
            let found = by("conditional-access", &base, &target);
            assert_eq!(found.len(), 1, "{object_type}");
            assert_eq!(found[0].0, title);
        }
        let same = std::slice::from_ref(&one);
        assert_eq!(by("conditional-access", same, same), NOTHING);
    }
}

#[test]
fn a_number_is_judged_over_all_types_together() {
    let base = [
        with(ObjectType::ConditionalAccessPolicy, 1, &[]),
        with(ObjectType::NamedLocation, 2, &[]),
    ];
    let check = |limit: &str, expected: usize| {
        let watch = format!("on,conditional-access={limit}");
        assert_eq!(found(&watch, &base, &[]).len(), expected, "{limit}");
    };
    check("2", 1);
    check("3", 0);
    check("off", 0);
}

#[test]
fn assignments_of_privileged_roles_are_told() {
    let assigned = |n, role: &str| {
        with(
            ObjectType::RoleAssignment,
            n,
            &[("roleDefinitionId", json!(role))],
        )
    };
    let (global, readers) = (
        assigned(1, "62e90394-69f5-4237-9190-012177145e10"),
        assigned(2, "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"),
    );
    let title = "Assignments of privileged roles were changed (unifiedRoleAssignment: 1)";
    let added = by("privileged-roles", &[], &[global.clone(), readers.clone()]);
    assert_eq!(
        (added.len(), added[0].0.as_str(), added[0].1.len()),
        (1, title, 1)
    );
    let removed = by(
        "privileged-roles",
        &[global.clone(), readers.clone()],
        std::slice::from_ref(&readers),
    );
    assert_eq!((removed.len(), removed[0].0.as_str()), (1, title));
    let (one, both) = (std::slice::from_ref(&global), [global.clone(), readers]);
    assert_eq!(by("privileged-roles", one, &both), NOTHING);
}

#[test]
fn consent_for_everyone_is_told_and_for_one_user_is_not() {
    let grant = |consent: &str, scope: &str| {
        let everyone = consent == "AllPrincipals";
        let principal = if everyone {
            Value::Null
        } else {
            json!(id(2).as_str())
        };
        let more = [
            ("consentType", json!(consent)),
            ("principalId", principal),
            ("scope", json!(scope)),
        ];
        with(ObjectType::OAuth2PermissionGrant, 1, &more)
    };
    let (narrow, wide) = (
        grant("AllPrincipals", "User.Read"),
        grant("AllPrincipals", "Mail.Read User.Read"),
    );
    let rule = "tenant-wide-consent";
    assert_eq!(by(rule, &[], std::slice::from_ref(&narrow)).len(), 1);
    assert_eq!(
        by(
            rule,
            std::slice::from_ref(&narrow),
            std::slice::from_ref(&wide)
        )
        .len(),
        1
    );
    assert_eq!(
        by(
            rule,
            std::slice::from_ref(&wide),
            std::slice::from_ref(&narrow)
        ),
        NOTHING,
        "narrowed"
    );
    assert_eq!(
        by(rule, std::slice::from_ref(&wide), &[]),
        NOTHING,
        "withdrawn"
    );
    let (one, more) = (
        grant("Principal", "User.Read"),
        grant("Principal", "Mail.Read User.Read"),
    );
    assert_eq!(by(rule, &[], std::slice::from_ref(&one)), NOTHING);
    assert_eq!(by(rule, &[one], &[more]), NOTHING);

    let role = |kind: &str| {
        with(
            ObjectType::AppRoleAssignment,
            4,
            &[("principalType", json!(kind))],
        )
    };
    assert_eq!(by(rule, &[], &[role("ServicePrincipal")]).len(), 1);
    assert_eq!(by(rule, &[], &[role("User")]), NOTHING);
}

#[test]
fn policies_of_signing_in_are_told() {
    for object_type in [
        ObjectType::AuthenticationMethodsPolicy,
        ObjectType::AuthorizationPolicy,
    ] {
        let (one, other) = (
            full(object_type, 1),
            with(object_type, 1, &[("description", json!("changed"))]),
        );
        let found = by("authentication-policies", &[one], &[other]);
        let title =
            format!("What the tenant allows when people sign in was changed ({object_type}: 1)");
        assert_eq!((found.len(), &found[0].0), (1, &title));
    }
}

#[test]
fn credentials_that_came_are_told_and_those_that_went_are_not() {
    let rule = "credentials-added";
    for object_type in [ObjectType::Application, ObjectType::ServicePrincipal] {
        for property in ["keyCredentials", "passwordCredentials"] {
            let bare = with(object_type, 1, &[]);
            let credential = json!([{"keyId": id(9).as_str(), "displayName": "spare"}]);
            let held = with(object_type, 1, &[(property, credential)]);
            let came = by(
                rule,
                std::slice::from_ref(&bare),
                std::slice::from_ref(&held),
            );
            assert_eq!(came.len(), 1, "{object_type} {property}");
            assert_eq!(by(rule, std::slice::from_ref(&held), &[bare]), NOTHING);
            assert_eq!(by(rule, &[], &[held]), NOTHING, "a new application");
        }
    }
    let trusted = full(ObjectType::FederatedIdentityCredential, 6);
    let other = with(
        ObjectType::FederatedIdentityCredential,
        6,
        &[("subject", json!("repo:evil"))],
    );
    assert_eq!(by(rule, &[], std::slice::from_ref(&trusted)).len(), 1);
    assert_eq!(by(rule, std::slice::from_ref(&trusted), &[other]).len(), 1);
    assert_eq!(by(rule, &[trusted], &[]), NOTHING);
}

#[test]
fn a_quiet_day_and_a_tenant_that_does_not_watch_have_no_findings() {
    let base = users(0..30);
    assert_eq!(found("on", &base, &base), NOTHING);
    assert_eq!(found("off", &base, &[]), NOTHING);
    assert_eq!(found("off,mass-deletion=any", &base, &[]), NOTHING);
}

#[test]
fn evidence_is_bounded_and_counts_are_not() {
    let finding = found("on,hard-deletion=off", &users(0..90), &[]);
    assert_eq!(finding[0].0, "Many objects were deleted (user: 90 of 90)");
    assert_eq!(finding[0].1.len(), MOST_EVIDENCE);
}

#[test]
fn a_description_tells_the_limit_that_was_passed() {
    let describe = |watch: &str| {
        let mut tally = Tally::new(
            &watch.parse().unwrap(),
            BTreeMap::from([(ObjectType::User, 90)]),
        );
        let base = content(users(0..90), Vec::new());
        for change in diff(&base, &content(Vec::new(), Vec::new()), &Scope::default()).changes {
            tally.see(&change, || ());
        }
        let findings = tally.findings();
        findings[0].description()
    };
    assert_eq!(
        describe("on"),
        "The rule counts users, groups, applications and service principals that were deleted; its limit is more than 5% of a type's objects, and at least 3."
    );
    assert!(describe("on,mass-deletion=7").ends_with("; its limit is 7 or more."));
    assert!(describe("on,mass-deletion=any").ends_with("; its limit is any."));
}

#[test]
fn only_types_that_count_are_asked_for() {
    let types = |watch: &str| Tally::<()>::new(&watch.parse().unwrap(), BTreeMap::new()).types();
    assert_eq!(types("off"), []);
    assert!(types("on").contains(&ObjectType::User));
    let off: String = RULES
        .iter()
        .skip(3)
        .map(|it| format!(",{}=off", it.name))
        .collect();
    assert!(!types(&format!("on{off}")).contains(&ObjectType::NamedLocation));
}

#[test]
fn settings_are_read_and_refused() {
    assert_eq!("on".parse(), Ok(Watch::default()));
    let mut watch: Watch = "off,mass-disable=0.5%,conditional-access=off"
        .parse()
        .unwrap();
    assert_eq!(
        watch.to_string(),
        "off,conditional-access=off,mass-disable=0.50%"
    );
    assert_eq!(watch.rules().count(), 0);
    watch.on = true;
    assert_eq!(watch.rules().count(), RULES.len() - 1);
    let refused = |text: &str| text.parse::<Watch>().expect_err(text).to_string();
    assert_eq!(refused(""), "\"\" is neither on nor off");
    assert_eq!(refused("yes"), "\"yes\" is neither on nor off");
    assert_eq!(refused("on,x"), "\"x\" is no RULE=LIMIT");
    assert!(refused("on,x=5%").starts_with("there is no rule \"x\"; one of mass-deletion, "));
    assert_eq!(
        refused("on,mass-disable=off,mass-disable=5%"),
        "the rule mass-disable is named twice"
    );
    for limit in [
        "",
        "0",
        "-1",
        "%",
        "100%",
        "5.%",
        "5.123%",
        "+5%",
        "5 %",
        "1e3",
        "4294967296",
        "99999999999%",
    ] {
        let said = refused(&format!("on,mass-disable={limit}"));
        assert!(said.contains("is no limit"), "{limit}: {said}");
    }
}

#[test]
fn each_rule_stands_in_the_documentation() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    let page = std::fs::read_to_string(root.join("docs/signals.md")).unwrap();
    let table = page
        .lines()
        .skip_while(|line| *line != "| Rule | What it counts | Limit | Severity |")
        .skip(2);
    let rows: Vec<&str> = table.take_while(|line| line.starts_with("| ")).collect();
    let row = |rule: &&Rule| {
        format!(
            "| `{}` | {} | {} | {} |",
            rule.name,
            rule.counted,
            rule.limit,
            rule.severity.name()
        )
    };
    let expected: Vec<String> = RULES.iter().map(row).collect();
    assert_eq!(
        rows,
        expected,
        "docs/signals.md needs these rows:\n{}",
        expected.join("\n")
    );
}

#[test]
fn rules_have_names_of_their_own_that_fit_into_ids() {
    let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), RULES.len());
    for name in names {
        let id = crate::SignalId::parse(&format!("20261121-daily-{name}"));
        assert!(id.is_ok(), "{name}");
        assert!(rule(name).is_some_and(|rule| rule.name == name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What is written is read back, whatever the limits.
    #[test]
    fn settings_survive_being_written(
        on: bool,
        limits in proptest::collection::btree_map(0..RULES.len(), proptest::option::of((any::<bool>(), 1..10_000u32)), 0..RULES.len()),
    ) {
        let mut watch: Watch = if on { "on" } else { "off" }.parse().unwrap();
        for (place, limit) in limits {
            let limit = match limit {
                None => "off".to_owned(),
                Some((true, share)) => Limit::Share(share).to_string(),
                Some((false, count)) => Limit::Count(count).to_string(),
            };
            watch.set(&format!("{}={limit}", RULES[place].name)).unwrap();
        }
        prop_assert_eq!(watch.to_string().parse(), Ok(watch));
    }

    /// More of the same passes each limit that fewer passed, and a larger tenant
    /// none that a smaller one did not.
    #[test]
    fn limits_are_monotonic(count in 0..10_000u64, more in 0..1_000u64, total in 1..1_000_000u64, share in 0..10_000u32, least in 1..10_000u32) {
        for limit in [Limit::Share(share), Limit::Count(least)] {
            if limit.is_passed(count, total) {
                prop_assert!(limit.is_passed(count + more, total));
            } else {
                prop_assert!(!limit.is_passed(count, total + more));
            }
        }
        let percent = f64::from(share) / 10_000.0;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let ratio = count as f64 / total as f64;
        // Beside the boundary, where floats are exact enough.
        if (ratio - percent).abs() > 1e-9 {
            prop_assert_eq!(Limit::Share(share).is_passed(count, total), count >= LEAST_OF_A_SHARE && ratio > percent);
        }
    }
}

#[test]
fn settings_that_see_less_are_known() {
    let watch = |text: &str| text.parse::<Watch>().unwrap();
    for (before, after, less) in [
        ("on", "on", false),
        ("on", "off", true),
        ("off", "on", false),
        ("off", "off,mass-disable=off", false),
        ("on", "on,mass-disable=off", true),
        ("on,mass-disable=off", "on", false),
        ("on", "on,mass-disable=6%", true),
        ("on", "on,mass-disable=4%", false),
        ("on", "on,mass-disable=any", false),
        // Whether 20 are more than 5% follows from the tenant.
        ("on", "on,mass-disable=20", true),
        ("on,mass-disable=20", "on,mass-disable=5%", true),
        ("on", "on,conditional-access=2", true),
        (
            "on,mass-disable=off",
            "on,mass-disable=off,mass-deletion=off",
            true,
        ),
    ] {
        assert_eq!(
            watch(after).sees_less_than(&watch(before)),
            less,
            "{before} -> {after}"
        );
    }
}
