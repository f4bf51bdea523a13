//! Lists and single resources, as tables and as JSON; names, `latest`, pages.

use proto::v1::{
    AuditLog, AuditLogState, CheckItem, CheckStoreResponse, CheckTenantResponse, ReportState,
    StoreFinding, StoreOutcome,
};
use serde_json::Value;
use snapbox::{assert_data_eq, str};

use crate::canned::{TENANT, long_value, name};
use crate::fake::Fake;
use crate::gateway::Gateway;

#[test]
fn a_list_is_a_plain_table_when_piped() {
    let run = Gateway::start(Fake::default())
        .rewind(&["snapshot", "list"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
ID  STATE     STARTED               TRIGGER    OBJECTS  LINKS  STORED    RETENTION
s3  complete  2026-11-18T11:06:40Z  on-demand  120      340    20.0 KiB  kept
s2  complete  2026-11-18T11:06:40Z  on-demand  120      340    20.0 KiB  kept
s1  complete  2026-11-18T11:06:40Z  on-demand  120      340    20.0 KiB  kept

"#]]
    );
    assert!(run.err.is_empty(), "{run:?}");
}

#[test]
fn json_joins_the_pages_into_one_array() {
    let gateway = Gateway::start(Fake::two_tenants());
    for (command, count) in [("snapshot", 3), ("diff", 2), ("restore", 2), ("tenant", 2)] {
        let run = gateway
            .rewind(&[command, "list", "--output", "json", "--tenant", TENANT])
            .exits(0);
        assert_eq!(run.json().as_array().map(Vec::len), Some(count), "{run:?}");
    }
    let run = gateway.rewind(&["snapshot", "list", "--output=json", "--tenant", TENANT]);
    assert_eq!(run.json()[2]["name"], name("snapshots", "s1"));
    assert_eq!(run.json()[2]["objectCount"], 120);
}

#[test]
fn names_are_full_or_bare_or_latest() {
    let gateway = Gateway::start(Fake::default());
    for (given, asked) in [
        ("latest", "latest"),
        ("20261123t1", "20261123t1"),
        (&name("snapshots", "s1"), "s1"),
    ] {
        gateway.rewind(&["snapshot", "show", given]).exits(0);
        assert_eq!(
            gateway.fake.last("GetSnapshotRequest")["name"],
            name("snapshots", asked)
        );
    }
}

#[test]
fn a_hold_needs_a_reason_and_is_shown() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway
        .rewind(&["snapshot", "hold", "s1", "--reason", "case 7"])
        .exits(0);
    assert!(run.out.contains("held since 2026-11-18"), "{run:?}");
    assert!(run.out.contains("case 7"), "{run:?}");
    assert_eq!(
        gateway.fake.last("HoldSnapshotRequest")["name"],
        name("snapshots", "s1")
    );
    gateway
        .rewind(&["snapshot", "hold", "s1", "--lift"])
        .exits(0);
    assert_eq!(
        gateway.fake.last("LiftHoldRequest")["name"],
        name("snapshots", "s1")
    );
    gateway.rewind(&["snapshot", "hold", "s1"]).exits(2);
    gateway
        .rewind(&["snapshot", "hold", "s1", "--lift", "--reason", "x"])
        .exits(2);
}

#[test]
fn damage_is_told_and_ends_with_1() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&["snapshot", "verify"]).exits(0);
    assert!(run.out.contains("structure"), "{run:?}");
    let run = gateway
        .rewind(&["snapshot", "verify", "--depth", "every-byte"])
        .exits(1);
    for part in ["runs/spoilt", "altered", "s1, s2: 9 user from u-1 to u-9"] {
        assert!(run.out.contains(part), "{part} in {run:?}");
    }
    let run = gateway
        .rewind(&[
            "snapshot",
            "verify",
            "--depth",
            "every-byte",
            "--output",
            "json",
        ])
        .exits(1);
    assert_eq!(run.json()["damages"][0]["kind"], "DAMAGE_KIND_ALTERED");

    let run = gateway.rewind(&["snapshot", "repair"]).exits(1);
    assert!(
        run.out.contains("runs/whole") && run.err.contains("REWIND_COPY_URL"),
        "{run:?}"
    );
    gateway
        .rewind(&["snapshot", "repair", "--drop", "s1"])
        .exits(0);
    assert_eq!(gateway.fake.last("RepairSnapshotsRequest")["drop"][0], "s1");
}

#[test]
fn a_bare_id_needs_a_tenant_where_there_are_several() {
    let gateway = Gateway::start(Fake::two_tenants());
    let run = gateway.rewind(&["snapshot", "show", "latest"]).exits(2);
    assert!(run.err.contains("there are several tenants"), "{run:?}");
    gateway
        .rewind(&["snapshot", "show", "latest", "--tenant", TENANT])
        .exits(0);
    gateway
        .rewind(&["snapshot", "show", &name("snapshots", "s1")])
        .exits(0);
    let none = Gateway::start(Fake {
        tenants: Vec::new(),
        ..Fake::default()
    });
    assert!(
        none.rewind(&["snapshot", "list"])
            .exits(2)
            .err
            .contains("no tenant is registered")
    );
}

#[test]
fn objects_of_a_snapshot_are_searched_page_by_page() {
    let gateway = Gateway::start(Fake::default());
    let search = [
        "snapshot", "search", "--type", "user", "--type", "group", "fin",
    ];
    assert_data_eq!(
        gateway.rewind(&search).exits(0).out,
        str![[r#"
ID   TYPE                     STATE         NAME
u-1  user                     live          Ann
..   group                    soft deleted  Old
g-1  group                    live          Finance
p-1  conditionalAccessPolicy  live          MFA
o_1  oAuth2PermissionGrant    live          a grant

"#]]
    );
    let asked = gateway.fake.last("SearchSnapshotRequest");
    assert_eq!(asked["parent"], name("snapshots", "latest"));
    assert_eq!(asked["text"], "fin");
    assert_eq!(asked["types"], serde_json::json!(["user", "group"]));
    assert_eq!(asked["match"], "SEARCH_MATCH_UNSPECIFIED");

    let run = gateway.rewind(&[
        "snapshot",
        "search",
        "--snapshot",
        "s1",
        "--prefix",
        "fin",
        "--output",
        "json",
    ]);
    assert_eq!(run.json().as_array().map(Vec::len), Some(5));
    let asked = gateway.fake.last("SearchSnapshotRequest");
    assert_eq!(asked["parent"], name("snapshots", "s1"));
    assert_eq!(asked["match"], "SEARCH_MATCH_BEGINNING");
}

#[test]
fn one_object_of_a_snapshot_is_shown_with_what_it_holds() {
    let gateway = Gateway::start(Fake::default());
    let show = ["snapshot", "show", "latest", "--id", "g-1"];
    assert_data_eq!(
        gateway.rewind(&show).exits(0).out,
        str![[r#"
Name   Finance
Type   group
Id     g-1
State  live

{
  "displayName": "Finance",
  "id": "g-1",
  "mailNickname": "fin/nance"
}

RELATION       TARGET
group/members  u-1
group/owners   u-9

"#]]
    );
    let asked = gateway.fake.last("GetSnapshotObjectRequest");
    assert_eq!(asked["parent"], name("snapshots", "latest"));
    assert_eq!((&asked["id"], &asked["type"]), (&"g-1".into(), &"".into()));
    let run = gateway.rewind(&[&show[..], &["--type", "group", "--output", "json"]].concat());
    assert_eq!(run.json()["object"]["object"]["displayName"], "Finance");
    assert_eq!(run.json()["links"][1]["targetId"], "u-9");
    let asked = gateway.fake.last("GetSnapshotObjectRequest");
    assert_eq!(asked["type"], "group");
}

#[test]
fn a_report_shows_every_change() {
    let run = Gateway::start(Fake::default())
        .rewind(&["diff", "show", "r1"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
Name          tenants/0a1b2c3d-0000-4000-8000-000000000001/reports/r1
State         succeeded
Base          tenants/0a1b2c3d-0000-4000-8000-000000000001/snapshots/20261123-daily
Target        live as of 2026-11-18T11:08:10Z (full read)
Created       2026-11-18T11:08:20Z
Scope         everything
Added         1
Modified      1
Soft deleted  1
Hard deleted  0
Restored      0
Links         2
Audit log     read: 3 entries from 2026-11-18T11:06:40Z, as of 2026-11-18T11:08:20Z

modified  group  Finance  (g-1)
    proxyAddresses: +"b", -"a"  (read only)
    + group/members: Eve  (u-9)
    - group/members: Bob  (u-2)

modified  user  Ann/u{1b}[31m  (u-1)
    jobTitle: "Lead" → "Clerk"
    aboutMe: (none) → "begin begin begin begin begin begin begin begin begi…n begin begin end"
    @ 2026-11-18T11:08:00Z  Update user (jobTitle, aboutMe) by application Rewind Writer (w-1), which is Rewind  [c-80]
    @ 2026-11-18T11:07:50Z  Disable account by user eve/u{202e}@contoso.example (u-7) from 203.0.113.7  [c-70]
    @ 2026-11-18T11:07:40Z  Update user by nobody that the log names  [c-60]
    @ and 2 more

soft deleted  user  Bob  (u-2)
    ! on premises synced

modified  conditionalAccessPolicy  MFA  (p-1)
    conditions.users.excludeGroups: +"g-1"
        g-1 is group Fin/u{1b}[2Jance

"#]]
    );
}

#[test]
fn changes_are_chosen_by_the_server() {
    let gateway = Gateway::start(Fake::default());
    let flags = "diff show r1 --type user,group --kind soft-deleted --kind added \
        --attribute conditions.users,members --actor mail --text finance";
    let flags: Vec<&str> = flags.split_whitespace().collect();
    gateway.rewind(&flags).exits(0);
    let asked = gateway.fake.last("ListChangesRequest");
    assert_eq!(asked["parent"], name("reports", "r1"));
    assert_eq!(asked["types"], serde_json::json!(["user", "group"]));
    let kinds = ["CHANGE_KIND_SOFT_DELETED", "CHANGE_KIND_ADDED"];
    assert_eq!(asked["kinds"], serde_json::json!(kinds));
    let attributes = ["conditions.users", "members"];
    assert_eq!(asked["attributes"], serde_json::json!(attributes));
    assert_eq!(
        (&asked["actor"], &asked["text"]),
        (&"mail".into(), &"finance".into())
    );
    for wrong in [["--type", "users"], ["--kind", "gone"], ["--text", " "]] {
        gateway
            .rewind(&[&["diff", "show", "r1"][..], &wrong].concat())
            .exits(2);
    }
}

#[test]
fn a_log_that_was_not_read_is_warned_of() {
    let denied = AuditLog {
        state: AuditLogState::Denied.into(),
        detail: "the reader application lacks\u{7} AuditLog.Read.All".to_owned(),
        ..AuditLog::default()
    };
    let report = proto::v1::Report {
        audit_log: Some(denied),
        ..crate::canned::report("r1", ReportState::Succeeded)
    };
    let gateway = Gateway::start(Fake {
        report,
        ..Fake::default()
    });
    let run = gateway.rewind(&["diff", "show", "r1"]).exits(0);
    assert!(
        run.err
            .contains("audit log denied: the reader application lacks"),
        "{run:?}"
    );
    let line = "Audit log     denied; the reader application lacks\\u{7} AuditLog.Read.All";
    assert!(run.out.contains(line), "{run:?}");
}

#[test]
fn json_of_a_report_shortens_nothing() {
    let run = Gateway::start(Fake::default())
        .rewind(&["diff", "show", "r1", "--output", "json"])
        .exits(0);
    let json = run.json();
    assert_eq!(json["report"]["name"], name("reports", "r1"));
    assert_eq!(json["changes"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["report"]["auditLog"]["state"], "AUDIT_LOG_STATE_READ");
    let activity = &json["changes"][1]["activities"][0];
    assert_eq!(activity["initiatedBy"]["isRewind"], true, "{activity}");
    assert_eq!(json["changes"][3]["references"][0]["id"], "g-1");
    assert_eq!(
        json["changes"][1]["attributes"][1]["afterJson"],
        long_value()
    );
    assert_eq!(json["changes"][1]["object"]["displayName"], "Ann\u{1b}[31m");
    assert_eq!(json["changes"][2]["kind"], "CHANGE_KIND_SOFT_DELETED");
}

#[test]
fn a_tenant_is_registered_with_all_that_was_given() {
    let gateway = Gateway::start(Fake::default());
    let arguments = "tenant add --cloud usgov-dod --graph-url http://127.0.0.1:1/v1.0 --login-url http://127.0.0.1:1 \
        --reader-client-id r-1 --reader-secret env:REWIND_CREDENTIAL_READER_A --writer-client-id w-1 --writer-secret file:/run/w \
        --break-glass u-1 u-2 --output json --name Contoso --id";
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    arguments.push(TENANT);
    let run = gateway.rewind(&arguments).exits(0);
    assert_eq!(run.json()["name"], format!("tenants/{TENANT}"));
    let request = gateway.fake.last("CreateTenantRequest");
    let tenant = &request["tenant"];
    assert_eq!(tenant["cloud"], "usgov-dod");
    assert_eq!(tenant["graphUrl"], "http://127.0.0.1:1/v1.0");
    assert_eq!(
        tenant["reader"]["secretRef"],
        "env:REWIND_CREDENTIAL_READER_A"
    );
    assert_eq!(tenant["writer"]["clientId"], "w-1");
    assert_eq!(tenant["breakGlassIds"], serde_json::json!(["u-1", "u-2"]));
    assert_eq!(request["requestId"].as_str().map(str::len), Some(36));
}

fn check(items: &[(&str, &str, &str)], can_snapshot: bool, expected: i32) -> Value {
    let items = items.iter().map(|(app, subject, reason)| CheckItem {
        app: (*app).to_owned(),
        subject: (*subject).to_owned(),
        ok: reason.is_empty(),
        detail: "as found".to_owned(),
        reason: (*reason).to_owned(),
        ..CheckItem::default()
    });
    let check = CheckTenantResponse {
        items: items.collect(),
        can_snapshot,
        can_restore: false,
    };
    let gateway = Gateway::start(Fake {
        check,
        ..Fake::default()
    });
    gateway.rewind(&["tenant", "check"]).exits(expected);
    gateway
        .rewind(&["tenant", "check", TENANT, "--output", "json"])
        .exits(expected)
        .json()
}

#[test]
fn a_check_exits_by_what_it_found() {
    let json = check(&[("reader", "token", "")], true, 0);
    assert_eq!(json["canSnapshot"], true);
    check(&[("reader", "licence", "LICENCE_REQUIRED")], false, 8);
    check(&[("reader", "user", "CONSENT_MISSING")], true, 8);
    check(&[("writer", "token", "CREDENTIAL_REJECTED")], true, 3);
    check(&[("reader", "token", "CREDENTIAL_REJECTED")], false, 1);
}

#[test]
fn a_tenant_and_a_snapshot_are_shown_field_by_field() {
    let gateway = Gateway::start(Fake::default());
    assert_data_eq!(
        gateway.rewind(&["tenant", "show"]).exits(0).out,
        str![[r#"
Name          tenants/0a1b2c3d-0000-4000-8000-000000000001
Display name  Contoso
Cloud         global
Graph         -
Login         -
Reader        reader (env:REWIND_CREDENTIAL_READER_A)
Writer        -
Break glass   -
Retention     -
Drift watch   -
Audit watch   -
Approval      -
State         unspecified
Groups        -
Labels        -
Schedule      -
Registered    2026-11-18T11:06:40Z

"#]]
    );
    assert_data_eq!(
        gateway.rewind(&["snapshot", "show", "latest"]).exits(0).out,
        str![[r#"
Name       tenants/0a1b2c3d-0000-4000-8000-000000000001/snapshots/20261123t1
State      complete
Started    2026-11-18T11:06:40Z
Ended      2026-11-18T11:07:40Z
Trigger    on-demand
Licence    P2
Objects    120
Links      340
Stored     20.0 KiB
Retention  kept

KIND           COUNT  READ      METHOD  NOT BEFORE            NOT AFTER
user           7      complete  delta   2026-11-18T11:06:41Z  2026-11-18T11:06:42Z
group/members  7      complete  delta   2026-11-18T11:06:41Z  2026-11-18T11:06:42Z

"#]]
    );
}

#[test]
fn a_store_is_checked_and_what_is_needed_and_missing_ends_with_1() {
    let finding = |check: &str, outcome: StoreOutcome, needed, detail: &str| StoreFinding {
        store: "data".to_owned(),
        check: check.to_owned(),
        outcome: outcome.into(),
        detail: detail.to_owned(),
        needed,
    };
    let kept = finding("create-race", StoreOutcome::Ok, true, "one succeeds");
    let lost = finding("create-race", StoreOutcome::Failed, true, "two succeed");
    let unseen = finding("erasure", StoreOutcome::Unknown, true, "it cannot be told");
    let open = finding("immutability", StoreOutcome::Failed, false, "no lock");
    let gateway = |findings| {
        Gateway::start(Fake {
            store: CheckStoreResponse { findings },
            ..Fake::default()
        })
    };

    let run = gateway(vec![kept.clone(), open.clone()])
        .rewind(&["store", "check"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
STORE  CHECK         RESULT  DETAIL
data   create-race   ok      one succeeds
data   immutability  failed  no lock

"#]]
    );
    for findings in [vec![lost], vec![kept, unseen], vec![open], vec![]] {
        gateway(findings).rewind(&["store", "check"]).exits(1);
    }
    let run = gateway(Vec::new()).rewind(&["store", "check", "--output", "json"]);
    assert!(run.json().is_object(), "{run:?}");
}
