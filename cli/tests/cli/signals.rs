//! Signals, and the settings of what is watched.

use std::collections::VecDeque;
use std::sync::Mutex;

use proto::v1::{DeliveryAttempt, DeliveryState, Signal, SignalDelivery, WatchSignalsResponse};
use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};
use tonic::Status;

use crate::canned::{self, TENANT, name};
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
fn a_watcher_goes_on_where_a_stream_ended_and_prints_each_once() {
    let told = |signal: Option<usize>, cursor: &str| {
        Ok(WatchSignalsResponse {
            signal: signal.map(|n| canned::signals()[n].clone()),
            cursor: cursor.to_owned(),
        })
    };
    let lost = || Err(Status::unavailable("the service is stopping"));
    let streams = || {
        Mutex::new(VecDeque::from([
            vec![told(None, "c0"), told(Some(0), "c1"), lost()],
            vec![],
            vec![told(Some(0), "c1"), told(Some(1), "c2"), told(None, "c3")],
        ]))
    };
    let watch = |more: &[&str]| {
        let fake = Fake {
            watches: streams(),
            ..Fake::default()
        };
        let gateway = Gateway::start(fake);
        let base = ["signals", "watch", "--severity", "medium", "--since", "1h"];
        // Its roles are taken away in the end.
        let run = gateway.rewind(&[&base[..], more].concat()).exits(5);
        assert_eq!(gateway.fake.heard("WatchSignalsRequest"), 4);
        let asked = gateway.fake.last("WatchSignalsRequest");
        assert_eq!(
            (&asked["after"], &asked["minSeverity"]),
            (&json!("c3"), &json!("SEVERITY_MEDIUM"))
        );
        assert!(asked["fromTime"].is_string(), "{asked}");
        run.out
    };
    assert_data_eq!(
        watch(&[]),
        str![[r#"
2026-11-18T11:06:40Z  high      20261118-daily-mass-disable  Many users were disabled (user: 6 of 100)
2026-11-18T11:06:40Z  critical  20261118-daily-conditional-access  Conditional Access was changed (conditionalAccessPolicy: 3)

"#]]
    );
    let lines = watch(&["--output", "json"]);
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let rules: Vec<Value> = lines.map(|signal: Value| signal["rule"].clone()).collect();
    assert_eq!(rules, ["mass-disable", "conditional-access"]);
}

#[test]
fn what_is_on_its_way_to_a_webhook_is_shown() {
    let dead = SignalDelivery {
        state: DeliveryState::Dead as i32,
        attempts: 10,
        last_attempt: Some(DeliveryAttempt {
            number: 10,
            problem: "the webhook answered 503".to_owned(),
            ..DeliveryAttempt::default()
        }),
        next_time: None,
    };
    let signals = vec![Signal {
        delivery: Some(dead),
        ..canned::signals()[0].clone()
    }];
    let gateway = Gateway::start(Fake {
        signals,
        ..Fake::default()
    });
    let run = gateway
        .rewind(&["signals", "list", "--undelivered"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
ID                           SEVERITY  TIME                  TITLE                                      DELIVERY
20261118-daily-mass-disable  high      2026-11-18T11:06:40Z  Many users were disabled (user: 6 of 100)  sent 10 times in vain, and not again: the webhook answered 503

"#]]
    );
    assert_eq!(gateway.fake.last("ListSignalsRequest")["undelivered"], true);
    let id = "20261118-daily-mass-disable";
    let run = gateway.rewind(&["signals", "redeliver", id]).exits(0);
    assert!(
        run.out.contains("Delivery     sent 10 times in vain"),
        "{run:?}"
    );
    let asked = gateway.fake.last("RedeliverSignalRequest");
    assert_eq!(asked["name"], name("signals", id));
    assert_eq!(asked["requestId"].as_str().map(str::len), Some(36));
}

#[test]
fn where_signals_are_sent_is_set_when_a_tenant_is_added_and_later() {
    let gateway = Gateway::start(Fake::default());
    let hook = [
        "--webhook",
        "https://hooks.example/rewind/",
        "--webhook-secret",
        "env:REWIND_CREDENTIAL_WEBHOOK_A",
    ];
    let add = ["tenant", "add", "--id", TENANT, "--name", "Contoso"];
    gateway.rewind(&[&add[..], &hook].concat()).exits(0);
    let asked = gateway.fake.last("CreateTenantRequest")["tenant"]["webhook"].clone();
    let expected = json!({
        "url": "https://hooks.example/rewind/",
        "secretRef": "env:REWIND_CREDENTIAL_WEBHOOK_A",
        "minSeverity": "SEVERITY_UNSPECIFIED",
    });
    assert_eq!(asked, expected);
    let severe = ["tenant", "update", "--webhook-severity", "critical"];
    let run = gateway.rewind(&[&severe[..], &hook].concat()).exits(0);
    let line = "Webhook       https://hooks.example/rewind/ (env:REWIND_CREDENTIAL_WEBHOOK_A), from critical on";
    assert!(run.out.contains(line), "{run:?}");
    gateway
        .rewind(&["tenant", "update", "--no-webhook"])
        .exits(0);
    assert_eq!(
        gateway.fake.last("UpdateTenantRequest")["webhook"]["url"],
        ""
    );
    let before = gateway.fake.calls();
    for wrong in [
        &["--webhook", "https://hooks.example/"][..],
        &["--webhook-secret", "env:A"],
        &["--webhook-severity", "high"],
        &["--webhook", "hooks.example", "--webhook-secret", "env:A"],
        &[
            "--webhook",
            "https://hooks.example/",
            "--webhook-secret",
            "hunter2",
        ],
        &[&hook[..], &["--no-webhook"]].concat(),
    ] {
        let run = gateway
            .rewind(&[&["tenant", "update"][..], wrong].concat())
            .exits(2);
        assert!(!run.err.contains("hunter2"), "{run:?}");
    }
    assert_eq!(gateway.fake.calls(), before);
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
