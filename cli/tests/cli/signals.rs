//! Signals, and the settings of what is watched.

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use crate::canned::{TENANT, name};
use crate::fake::Fake;
use crate::gateway::Gateway;

#[test]
fn signals_are_listed_as_a_table_and_as_json() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&["signals", "list"]).exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
ID                                 SEVERITY  TIME                  TITLE
20261118-daily-mass-disable        high      2026-11-18T11:06:40Z  Many users were disabled (user: 6 of 100)
20261118-daily-conditional-access  critical  2026-11-18T11:06:40Z  Conditional Access was changed (conditionalAccessPolicy: 3)

"#]]
    );
    let run = gateway
        .rewind(&["signals", "list", "--output", "json"])
        .exits(0);
    let rules: Vec<Value> = run.json().as_array().expect("a list").clone();
    let rules: Vec<&Value> = rules.iter().map(|signal| &signal["rule"]).collect();
    assert_eq!(rules, ["mass-disable", "conditional-access"]);
    let asked = gateway.fake.last("ListSignalsRequest");
    assert_eq!(asked["minSeverity"], "SEVERITY_UNSPECIFIED");
    assert_eq!(asked["fromTime"], Value::Null);
}

#[test]
fn signals_are_chosen_by_severity_and_age() {
    let gateway = Gateway::start(Fake::default());
    let chosen = ["signals", "list", "--severity", "medium", "--since", "7d"];
    gateway.rewind(&chosen).exits(0);
    let asked = gateway.fake.last("ListSignalsRequest");
    assert_eq!(asked["minSeverity"], "SEVERITY_MEDIUM");
    assert!(asked["fromTime"].is_string(), "{asked}");
    let run = gateway
        .rewind(&["signals", "list", "--since", "400000000days"])
        .exits(2);
    assert!(run.err.contains("--since is too long"), "{run:?}");
}

#[test]
fn a_signal_is_shown_with_its_evidence() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway
        .rewind(&["signals", "show", "20261118-daily-conditional-access"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
Name         tenants/0a1b2c3d-0000-4000-8000-000000000001/signals/20261118-daily-conditional-access
Title        Conditional Access was changed (conditionalAccessPolicy: 3)
Severity     critical
Time         2026-11-18T11:06:40Z
Rule         conditional-access
Description  The rule counts something; its limit is any.
Report       tenants/0a1b2c3d-0000-4000-8000-000000000001/reports/r1
Base         tenants/0a1b2c3d-0000-4000-8000-000000000001/snapshots/20261117-daily
Target       tenants/0a1b2c3d-0000-4000-8000-000000000001/snapshots/20261118-daily

modified  conditionalAccessPolicy  Baseline/u{1b}[31m  (p-1)
    @ 2026-11-18T11:05:40Z  Update policy by nobody that the log names

and 2 more, in the report

"#]]
    );
    let full = name("signals", "20261118-daily-mass-disable");
    let run = gateway.rewind(&["signals", "show", &full, "--output=json"]);
    assert_eq!(run.exits(0).json()["name"], full);
}

#[test]
fn what_is_watched_is_set_when_a_tenant_is_added_and_later() {
    let gateway = Gateway::start(Fake::default());
    let add = |more: &[&str]| {
        let base = ["tenant", "add", "--id", TENANT, "--name", "Contoso"];
        gateway.rewind(&[&base[..], more].concat()).exits(0);
        gateway.fake.last("CreateTenantRequest")["tenant"]["driftWatch"].clone()
    };
    assert_eq!(add(&[]), json!(""));
    assert_eq!(add(&["--drift-watch", "off"]), json!("off"));
    let rules = [
        "--drift-rule",
        "mass-disable=2.5%",
        "--drift-rule",
        "conditional-access=off,mass-deletion=20",
    ];
    assert_eq!(
        add(&rules),
        json!("on,conditional-access=off,mass-deletion=20,mass-disable=2.50%")
    );

    let rules = [
        "--audit-watch",
        "on",
        "--audit-rule",
        "bulk-disable=50,consent=off",
    ];
    add(&rules);
    let asked = gateway.fake.last("CreateTenantRequest")["tenant"]["auditWatch"].clone();
    assert_eq!(asked, json!("on,bulk-disable=50,consent=off"));
    for refused in ["bulk-disable=5%", "mass-disable=5", "consent"] {
        let run = gateway.rewind(&["tenant", "update", "--audit-rule", refused]);
        run.exits(2);
    }
    let update = ["tenant", "update", "--audit-watch", "off"];
    gateway.rewind(&update).exits(0);
    let asked = gateway.fake.last("UpdateTenantRequest");
    assert_eq!(asked["auditWatch"], "off");
    assert!(asked.get("driftWatch").is_none(), "what is not named stays");

    let update = ["tenant", "update", "--drift-rule", "hard-deletion=any"];
    let run = gateway.rewind(&update).exits(0);
    assert!(
        run.out.contains("Drift watch   on,hard-deletion=any"),
        "{run:?}"
    );
    let asked = gateway.fake.last("UpdateTenantRequest");
    assert_eq!(asked["driftWatch"], "on,hard-deletion=any");
    assert_eq!(asked["name"], format!("tenants/{TENANT}"));
}

#[test]
fn a_signal_of_the_audit_log_says_who_did_it_and_what_puts_it_back() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway
        .rewind(&["signals", "show", "20261118T110000-hard-delete-00"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
Name         tenants/0a1b2c3d-0000-4000-8000-000000000001/signals/20261118T110000-hard-delete-00
Title        Something was deleted for good (Hard Delete user: Adele)
Severity     critical
Time         2026-11-18T11:06:40Z
Rule         hard-delete
Description  The rule counts something; its limit is any.
Who          user mallory@contoso.com (m-1)
Audit ids    Directory_1
Base         tenants/0a1b2c3d-0000-4000-8000-000000000001/snapshots/20261117-daily
Put back     rewind restore plan --id u-1 --recreate-hard-deleted

in the snapshot: user  Adele  (u-1) as Adele Vance
not in the snapshot: Role  (r-1)

"#]]
    );
}
