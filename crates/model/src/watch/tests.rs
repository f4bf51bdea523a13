//! Each rule, with what it finds and what it leaves; and what follows from the records
//! alone.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
const DIRECTORY_READERS: &str = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b";
const WRITER: &str = "00000000-0000-4000-8000-0000000000ee";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_719_200 + seconds, 0).expect("in range")
}

fn user(id: &str) -> Value {
    json!({"user": {"id": id, "userPrincipalName": format!("{id}@contoso.example")}})
}

fn app(id: &str) -> Value {
    json!({"app": {"appId": id, "displayName": "Some application"}})
}

/// A target with changed values: name, before, after.
fn target(kind: &str, id: &str, changed: &[(&str, &str, &str)]) -> Value {
    let value = |text: &str| match text {
        "" => Value::Null,
        text => text.into(),
    };
    let changed: Vec<Value> = changed
        .iter()
        .map(|(name, old, new)| {
            json!({"displayName": name, "oldValue": value(old), "newValue": value(new)})
        })
        .collect();
    json!({"id": id, "type": kind, "displayName": format!("The {id}"), "modifiedProperties": changed})
}

fn record(number: i64, seconds: i64, activity: &str, by: &Value, targets: &[Value]) -> Record {
    let sent = json!({
        "id": format!("Directory_{number}"), "result": "success",
        "activityDateTime": at(seconds).to_rfc3339(), "activityDisplayName": activity,
        "correlationId": "c", "initiatedBy": by, "targetResources": targets,
    });
    Record::from_value(&sent)
        .expect("well-formed")
        .expect("it succeeded")
}

fn ground() -> Ground {
    Ground {
        break_glass: ["glass".to_owned()].into(),
        own: ["own-app".to_owned(), WRITER.to_owned()].into(),
        writer: [WRITER.to_owned(), "writer-principal".to_owned()].into(),
    }
}

fn found(watch: &str, records: &[Record]) -> Vec<Finding> {
    let (watch, ground) = (watch.parse().expect("valid"), ground());
    let mut tally = Tally::new(&watch, &ground, at(0));
    records.iter().for_each(|record| tally.see(record));
    tally.findings()
}

/// The rules that find something in one record.
fn rules_of(activity: &str, by: &Value, targets: &[Value]) -> Vec<&'static str> {
    let found = found(
        "on,mass-delete=1,bulk-disable=1",
        &[record(1, 1, activity, by, targets)],
    );
    found.iter().map(|finding| finding.rule.name).collect()
}

#[test]
fn each_deed_is_found_by_its_rule_and_no_other() {
    let by = user("mallory");
    let check = |rule: &str, activity: &str, targets: &[Value]| {
        let expected: Vec<&str> = Some(rule)
            .filter(|rule| !rule.is_empty())
            .into_iter()
            .collect();
        assert_eq!(
            rules_of(activity, &by, targets),
            expected,
            "{activity} {targets:?}"
        );
    };
    let plain = |kind: &str| [target(kind, "x", &[])];
    for activity in [
        "Hard Delete user",
        "Hard delete service principal",
        "HARD DELETE GROUP",
    ] {
        check("hard-delete", activity, &plain("User"));
    }
    check(
        "hard-delete",
        "Hard delete Conditional Access policy",
        &plain("Policy"),
    );
    for activity in [
        "Delete user",
        "delete group",
        "Delete application",
        "Remove service principal",
        "Delete administrative unit",
    ] {
        check("mass-delete", activity, &plain("User"));
    }
    check("", "Delete group settings", &plain("Group"));
    for activity in [
        "Add Conditional Access policy",
        "Update conditional access policy",
        "Delete Conditional Access policy",
        "Update named location",
        "Delete named location",
    ] {
        check("policy-change", activity, &plain("Policy"));
    }
    for activity in [
        "Update resource action",
        "Update protected action",
        "Update AuthenticationContextClassReference",
        "Delete AuthenticationContextClassReference",
    ] {
        check("protected-actions", activity, &plain("Other"));
    }
    for activity in [
        "Authentication Methods Policy Update",
        "Authentication Methods Policy Reset",
        "Authentication Strength Policy Delete",
        "Update authorization policy",
    ] {
        check("sign-in-policies", activity, &plain("Policy"));
    }
    check("foreign-restore", "Restore user", &plain("User"));
    check(
        "foreign-restore",
        "Restore Conditional Access policy",
        &plain("Policy"),
    );
    for activity in [
        "Set domain authentication",
        "Set federation settings on domain",
    ] {
        check("domain-federation", activity, &plain("Domain"));
    }
    for activity in ["Add owner to application", "Add owner to service principal"] {
        check("new-owners", activity, &plain("User"));
    }
    check("", "Add owner to group", &plain("User"));
    check("", "Remove owner from application", &plain("User"));
    check("role-definition", "Update role definition", &plain("Role"));
    check("", "Update user", &plain("User"));
    check("", "Add user", &plain("User"));
    check("", "Add member to group", &plain("User"));
    check("", "User registered security info", &plain("User"));
}

#[test]
fn credentials_count_where_there_is_one_more() {
    let by = user("mallory");
    let check = |activity: &str, changed: &[(&str, &str, &str)], expected: bool| {
        let found = rules_of(activity, &by, &[target("Application", "x", changed)]);
        let rule: &[&str] = if expected { &["new-credentials"] } else { &[] };
        assert_eq!(found, rule, "{activity} {changed:?}");
    };
    let (dash, other) = (
        "Update application - Certificates and secrets management",
        "Update application \u{2013} Certificates and secrets management",
    );
    let one = r#"[{"keyId":"a","hint":"x"}]"#;
    let two = r#"[{"keyId":"a","hint":"x"},{"keyId":"b"}]"#;
    check(dash, &[("passwordCredentials", "[]", one)], true);
    check(dash, &[("passwordCredentials", one, two)], true);
    check(dash, &[("passwordCredentials", two, one)], false);
    check(dash, &[("keyCredentials", one, "[]")], false);
    check(dash, &[("keyCredentials", one, r#"[{"keyId":"c"}]"#)], true);
    // As the directory itself writes it.
    let key = r#"["[KeyIdentifier=1,KeyType=Password,KeyUsage=Verify,DisplayName=x]"]"#;
    check(other, &[("KeyDescription", "[]", key)], true);
    check(other, &[("KeyDescription", key, "[]")], false);
    // What would decide is cut off, or not there.
    check(
        other,
        &[("KeyDescription", "[]", r#"["[KeyIdentifier=1,"#)],
        true,
    );
    check(
        other,
        &[("Included Updated Properties", "", "\"KeyDescription\"")],
        true,
    );
    check(
        "Add service principal credentials",
        &[("keyCredentials", "[]", one)],
        true,
    );
    check(
        "Remove service principal credentials",
        &[("keyCredentials", one, "[]")],
        false,
    );
    check(
        "Update service principal",
        &[("keyCredentials", "[]", one)],
        true,
    );
    check(
        "Update service principal",
        &[("tags", "[]", "[\"x\"]")],
        false,
    );
    check(
        "Update application",
        &[("displayName", "\"a\"", "\"b\"")],
        false,
    );
    let trusted = r#"{"issuer":"https://issuer.example"}"#;
    check(
        "Update application",
        &[("FederatedIdentityCredentials", "", trusted)],
        true,
    );
    check(
        "Update application",
        &[("FederatedIdentityCredentials", trusted, "")],
        false,
    );
    check(
        "Add application",
        &[("passwordCredentials", "[]", one)],
        false,
    );
}

#[test]
fn consent_counts_where_it_is_for_everybody() {
    let by = user("mallory");
    let check = |activity: &str, targets: &[Value], expected: bool| {
        let rule: &[&str] = if expected { &["consent"] } else { &[] };
        assert_eq!(
            rules_of(activity, &by, targets),
            rule,
            "{activity} {targets:?}"
        );
    };
    let grant = |consent: &str| {
        let changed = [
            ("DelegatedPermissionGrant.Scope", "", "\"Mail.Read\""),
            ("DelegatedPermissionGrant.ConsentType", "", consent),
        ];
        [target("ServicePrincipal", "x", &changed)]
    };
    check(
        "Add delegated permission grant",
        &grant("\"AllPrincipals\""),
        true,
    );
    check(
        "Add delegated permission grant",
        &grant("\"Principal\""),
        false,
    );
    check(
        "Add delegated permission grant",
        &[target("ServicePrincipal", "x", &[])],
        true,
    );
    check(
        "Remove delegated permission grant",
        &grant("\"AllPrincipals\""),
        false,
    );
    let consent = |admin: &str, permissions: &str| {
        let changed = [
            ("ConsentContext.IsAdminConsent", "", admin),
            ("ConsentAction.Permissions", "", permissions),
        ];
        [target("ServicePrincipal", "x", &changed)]
    };
    let all = "\"[] => [[Id: 1, ConsentType: AllPrincipals, Scope: Mail.Read]]\"";
    check("Consent to application", &consent("\"True\"", all), true);
    check(
        "Consent to application",
        &consent("\"False\"", "\"ConsentType: Principal\""),
        false,
    );
    let to = |kind: &str| [target(kind, "p", &[]), target("ServicePrincipal", "x", &[])];
    check(
        "Add app role assignment to service principal",
        &to("ServicePrincipal"),
        true,
    );
    check(
        "Add app role assignment to service principal",
        &to("User"),
        false,
    );
    check("Add app role assignment grant to user", &to("User"), false);
}

#[test]
fn roles_count_that_may_be_privileged() {
    let by = user("mallory");
    let check = |activity: &str, targets: &[Value], expected: bool| {
        let rule: &[&str] = if expected { &["role-assignment"] } else { &[] };
        assert_eq!(
            rules_of(activity, &by, targets),
            rule,
            "{activity} {targets:?}"
        );
    };
    let role = |id: &str| [target("User", "u", &[]), target("Role", id, &[])];
    check("Add member to role", &role(GLOBAL_ADMINISTRATOR), true);
    check("Remove member from role", &role(GLOBAL_ADMINISTRATOR), true);
    check(
        "Add eligible member to role",
        &role(GLOBAL_ADMINISTRATOR),
        true,
    );
    check(
        "Add role assignment to role definition",
        &role(GLOBAL_ADMINISTRATOR),
        true,
    );
    check("Add member to role", &role(DIRECTORY_READERS), false);
    // As Privileged Identity Management writes it.
    for (activity, expected) in [
        ("Add member to role completed (PIM activation)", true),
        (
            "Add eligible member to role in PIM completed (permanent)",
            true,
        ),
        ("Add member to role outside of PIM (permanent)", true),
        ("Remove member from role in PIM completed (permanent)", true),
        ("Add member to role requested (PIM activation)", false),
        ("Add member to role request denied (PIM activation)", false),
        ("Add member to role canceled (PIM activation)", false),
        (
            "Add eligible member to role in PIM requested (timebound)",
            false,
        ),
        (
            "Remove member from role request cancelled (PIM activation)",
            false,
        ),
    ] {
        check(activity, &role(GLOBAL_ADMINISTRATOR), expected);
    }
    // One that the tenant defined itself, and one that is not named.
    check(
        "Add member to role",
        &role("00000000-0000-4000-8000-000000000001"),
        true,
    );
    check("Add member to role", &[target("User", "u", &[])], true);
    let template = |id: &str| {
        let id = format!("\"{id}\"");
        [target("User", "u", &[("Role.TemplateId", "", &id)])]
    };
    check("Add member to role", &template(GLOBAL_ADMINISTRATOR), true);
    check("Add member to role", &template(DIRECTORY_READERS), false);
}

#[test]
fn who_and_what_must_be_kept_is_watched_whatever_is_done() {
    let glass = [target("User", "GLASS", &[])];
    assert_eq!(
        rules_of("Update user", &user("mallory"), &glass),
        ["break-glass"]
    );
    assert_eq!(
        rules_of("Reset user password", &user("mallory"), &glass),
        ["break-glass"]
    );
    let other = [target("User", "other", &[])];
    assert_eq!(
        rules_of("Update user", &user("Glass"), &other),
        ["break-glass"]
    );
    assert_eq!(rules_of("Update user", &user("mallory"), &other), [""; 0]);

    let own = [target("Application", "OWN-APP", &[])];
    assert_eq!(
        rules_of("Update application", &user("mallory"), &own),
        ["rewind-applications"]
    );
    let names = format!("[\"{WRITER}\"]");
    let spelled = [target(
        "ServicePrincipal",
        "sp",
        &[("TargetId.ServicePrincipalNames", "", &names)],
    )];
    assert_eq!(
        rules_of("Update service principal", &user("mallory"), &spelled),
        ["rewind-applications"]
    );
}

#[test]
fn what_rewind_did_is_passed_over_by_two_rules_and_marked_by_the_others() {
    let check = |activity: &str, rule: &str, passed: bool| {
        let targets = [target("Policy", "x", &[])];
        assert_eq!(
            rules_of(activity, &app("another"), &targets),
            [rule],
            "{activity}"
        );
        let own = rules_of(activity, &app(WRITER), &targets);
        assert_eq!(own.is_empty(), passed, "{activity}: {own:?}");
        let record = record(1, 1, activity, &app(WRITER), &targets);
        assert!(ground().is_rewinds(&record));
    };
    check("Restore user", "foreign-restore", true);
    check("Update Conditional Access policy", "policy-change", true);
    check("Hard Delete user", "hard-delete", false);
    check(
        "Authentication Methods Policy Update",
        "sign-in-policies",
        false,
    );
    check("Delete user", "mass-delete", false);
    // The log may name its service principal alone, or that of another.
    let by = |id: &str| json!({"app": {"appId": null, "servicePrincipalId": id}});
    let restored = |id: &str| record(1, 1, "Restore user", &by(id), &[]);
    assert!(ground().is_rewinds(&restored("Writer-Principal")));
    assert!(!ground().is_rewinds(&restored("another")));
    // A user of that name is not the application.
    let user = record(1, 1, "Restore user", &user(WRITER), &[]);
    assert!(!ground().is_rewinds(&user));
}

#[test]
fn users_that_are_disabled_count_once_each() {
    let by = user("mallory");
    let off = |n: i64, user: &str, seconds: i64| {
        record(
            n,
            seconds,
            "Disable account",
            &by,
            &[target("User", user, &[])],
        )
    };
    let updated = |n: i64, user: &str, seconds: i64, before: &str, after: &str| {
        let changed = [("AccountEnabled", before, after)];
        record(
            n,
            seconds,
            "Update user",
            &by,
            &[target("User", user, &changed)],
        )
    };
    let watch = "on,bulk-disable=2";
    let twice = [off(1, "a", 1), updated(2, "a", 1, "[true]", "[false]")];
    assert!(found(watch, &twice).is_empty(), "one user, told twice");
    let two = [off(1, "a", 1), updated(2, "b", 2, "[true]", "[false]")];
    assert_eq!(found(watch, &two)[0].count, 2);
    for (before, after) in [
        ("[false]", "[true]"),
        ("[false]", "[false]"),
        ("[true]", "[true]"),
    ] {
        let other = [off(1, "a", 1), updated(2, "b", 2, before, after)];
        assert!(found(watch, &other).is_empty(), "{before} {after}");
    }
    let apart = [off(1, "a", 1), off(2, "b", 3_601)];
    assert!(found(watch, &apart).is_empty(), "an hour apart");
    let within = [off(1, "a", 1), off(2, "b", 3_600)];
    assert_eq!(found(watch, &within).len(), 1);
}

#[test]
fn a_flood_is_told_once_an_hour() {
    let by = user("mallory");
    // From 10:50 on, one a minute: the tenth at 10:59, the last at 12:29.
    let begins = 50 * 60;
    let flood: Vec<Record> = (0..100)
        .map(|n| {
            let id = format!("user-{n}");
            record(
                n,
                begins + n * 60,
                "Disable account",
                &by,
                &[target("User", &id, &[])],
            )
        })
        .collect();
    let findings = found("on", &flood);
    let ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "20251121T100000-bulk-disable-hour",
            "20251121T110000-bulk-disable-hour",
            "20251121T120000-bulk-disable-hour",
        ]
    );
    assert_eq!(findings[0].count, 10);
    assert_eq!(findings[0].seen.len(), 10);
    assert_eq!(
        findings[0].title(),
        "Many users were disabled (10 within an hour)"
    );
    assert_eq!(
        findings[0].description(),
        "The rule counts users that were disabled; its limit is 10 or more within an hour."
    );
    assert!(found("on,bulk-disable=off", &flood).is_empty());
    assert!(found("off", &flood).is_empty());
    assert_eq!(found("on,bulk-disable=any", &flood).len(), 100);
    assert_eq!(
        found("on,bulk-disable=61", &flood).len(),
        0,
        "sixty in any hour"
    );
}

#[test]
fn a_finding_says_what_was_done() {
    let by = user("mallory");
    let one = record(7, 5, "Hard Delete user", &by, &[target("User", "u", &[])]);
    let findings = found("on", &[one.clone(), one]);
    assert_eq!(findings.len(), 1, "one record, seen twice");
    let finding = &findings[0];
    assert_eq!(
        finding.title(),
        "Something was deleted for good (Hard Delete user: The u)"
    );
    assert_eq!(
        finding.description(),
        "The rule counts whatever was deleted from the recycle bin; its limit is any."
    );
    assert!(
        finding
            .id
            .as_str()
            .starts_with("20251121T100005-hard-delete-")
    );
    assert_eq!(finding.time, at(5));
    let before = record(8, -1, "Hard Delete user", &by, &[]);
    assert!(
        found("on", &[before]).is_empty(),
        "done before anybody followed"
    );
}

#[test]
fn limits_are_numbers() {
    let refused = |text: &str| text.parse::<Watch>().expect_err("refused").to_string();
    assert_eq!(
        refused("on,bulk-disable=5%"),
        "bulk-disable counts what happens, so that its limit is a number or any, and no share"
    );
    assert!(refused("on,mass-disable=5").starts_with("there is no rule \"mass-disable\""));
    let watch: Watch = "on,bulk-disable=50,foreign-restore=off"
        .parse()
        .expect("valid");
    assert_eq!(watch.to_string(), "on,bulk-disable=50,foreign-restore=off");
    assert_eq!(watch.rules().count(), RULES.len() - 1);
}

#[test]
fn each_rule_stands_in_the_documentation() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the root");
    let page = std::fs::read_to_string(root.join("docs/signals.md")).expect("the page");
    let table = page
        .lines()
        .skip_while(|line| *line != "| Rule | What it counts | Limit | Severity | Rewind's own |")
        .skip(2);
    let rows: Vec<&str> = table.take_while(|line| line.starts_with("| ")).collect();
    let row = |rule: &&Rule| {
        let own = match rule.own_writes {
            OwnWrites::Marked => "marked",
            OwnWrites::PassedOver => "passed over",
        };
        format!(
            "| `{}` | {} | {} | {} | {own} |",
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
fn rules_have_names_of_their_own() {
    let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    names.extend(crate::drift::RULES.iter().map(|rule| rule.name));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "signals of drift have other rules");
    for it in RULES {
        assert!(OfAudit::admits(it.limit), "{}", it.name);
        assert!(rule(it.name).is_some_and(|found| found.name == it.name));
    }
}

/// Something that a rule counts, one of few things, at some time within four hours.
fn any_record() -> impl Strategy<Value = Record> {
    let activities = [
        "Disable account",
        "Delete user",
        "Hard Delete user",
        "Update user",
    ];
    (0..60i64, 0..14_400i64, 0..4usize, 0..6u8).prop_map(
        move |(number, seconds, activity, about)| {
            // One number is one record, whatever else was drawn.
            let seconds = seconds - seconds % 60 + number;
            let id = number * 1_000_000 + seconds * 10 + i64::try_from(activity).unwrap_or(0);
            let about = target("User", &format!("user-{about}"), &[]);
            record(
                id,
                seconds,
                activities[activity],
                &user("mallory"),
                &[about],
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However a time is cut into readings that overlap by an hour, and in whatever
    /// order records come, the same is found under the same names.
    #[test]
    fn what_is_found_does_not_depend_on_how_it_is_read(
        records in proptest::collection::vec(any_record(), 0..60),
        cuts in proptest::collection::btree_set(0..14_400i64, 0..6),
    ) {
        let watch = "on,bulk-disable=3,mass-delete=2";
        let names = |records: &[Record]| -> std::collections::BTreeSet<String> {
            found(watch, records).into_iter().map(|it| it.id.to_string()).collect()
        };
        let whole = names(&records);
        let mut backwards = records.clone();
        backwards.reverse();
        prop_assert_eq!(&names(&backwards), &whole);
        let (mut from, mut parts) = (0, std::collections::BTreeSet::new());
        for until in cuts.into_iter().chain([14_500]) {
            let part: Vec<Record> = records
                .iter()
                .filter(|it| it.entry.time >= at(from) - WINDOW && it.entry.time <= at(until))
                .cloned()
                .collect();
            parts.extend(names(&part));
            from = until;
        }
        prop_assert_eq!(parts, whole);
    }

    /// What comes later takes nothing back.
    #[test]
    fn late_records_only_add(
        records in proptest::collection::vec(any_record(), 0..60),
        late in proptest::collection::vec(any_record(), 0..10),
    ) {
        let names = |records: &[Record]| -> std::collections::BTreeSet<String> {
            let found = found("on,bulk-disable=3,mass-delete=2", records);
            found.into_iter().map(|it| it.id.to_string()).collect()
        };
        let early = names(&records);
        let all = names(&[records, late].concat());
        prop_assert!(early.is_subset(&all), "{:?} {:?}", early, all);
    }
}
