//! The posture of a tenant, and the plan that guards it.

use proto::v1::{PlanState, PostureStatus, ProtectionChoices};
use snapbox::{assert_data_eq, str};

use crate::canned::{self, TENANT};
use crate::fake::Fake;
use crate::gateway::Gateway;

#[test]
fn a_posture_is_told_with_what_to_do() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&["protect", "status"]).exits(3);
    assert_data_eq!(
        &run.out,
        str![[r#"
Tenant    tenants/0a1b2c3d-0000-4000-8000-000000000001
Read      2026-11-18T11:06:40Z
Score     10 of 100; 4 more are not known
Findings  1 finding

CHECK                  LAYER    STATUS       ANSWER
hard-delete-protected  action   good         It is protected.
context-published      context  finding      The context "Ops/u{1b}[31m" is not published.
policy-enabled         policy   not reached  There is nothing to judge.
few-people             reach    not known    Not known: the roles could not be read.

context-published  high
    The context "Ops/u{1b}[31m" is not published.
    - seen
    To do: Publish it.

few-people  not known
    Not known: the roles could not be read.
    To do: Ask again later.

"#]]
    );
    let asked = gateway.fake.last("GetPostureRequest");
    assert_eq!(asked["parent"], format!("tenants/{TENANT}"));
    let run = gateway
        .rewind(&["protect", "status", "--output", "json"])
        .exits(3);
    assert_eq!(run.json()["checks"][1]["severity"], "SEVERITY_HIGH");
}

#[test]
fn a_posture_without_findings_ends_with_zero() {
    let mut posture = canned::posture();
    let good = |status: i32| status == i32::from(PostureStatus::Good);
    posture.checks.retain(|check| good(check.status));
    let fake = Fake {
        posture,
        ..Fake::default()
    };
    let run = Gateway::start(fake).rewind(&["protect", "status"]).exits(0);
    assert!(run.out.contains("Findings  0 findings"), "{run:?}");
}

#[test]
fn a_kept_posture_is_shown_and_listed() {
    let mut posture = canned::posture();
    posture.snapshot = format!("tenants/{TENANT}/snapshots/20261118-daily");
    let fake = Fake {
        posture,
        ..Fake::default()
    };
    let gateway = Gateway::start(fake);
    let run = gateway
        .rewind(&["protect", "status", "--snapshot", "latest"])
        .exits(3);
    assert!(run.out.contains("snapshots/20261118-daily"), "{run:?}");
    assert_eq!(gateway.fake.last("GetPostureRequest")["snapshot"], "latest");
    let run = gateway.rewind(&["protect", "history"]).exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
SNAPSHOT        READ                  SCORE  NOT KNOWN  FINDINGS
20261118-daily  2026-11-18T11:06:40Z  10     4          context-published

"#]]
    );
}

#[test]
fn a_plan_that_protects_is_shown_and_applied_as_any_other() {
    let mut plan = canned::plan("p1", PlanState::Ready);
    plan.protection = Some(ProtectionChoices {
        device_filter: "device.extensionAttribute1 -eq \"PAW\"".to_owned(),
        ..ProtectionChoices::default()
    });
    let fake = Fake {
        plan,
        ..Fake::default()
    };
    let gateway = Gateway::start(fake);
    let rule = "device.extensionAttribute1 -eq \"PAW\"";
    let run = gateway
        .rewind(&[
            "protect",
            "plan",
            "--device-filter",
            rule,
            "--accept-risk",
            "lockout",
        ])
        .exits(0);
    for line in ["hard deletion", rule, "Not done ("] {
        assert!(run.out.contains(line), "{run:?}");
    }
    assert!(!run.out.contains("Added objects"), "{run:?}");
    let asked = gateway.fake.last("PlanProtectionRequest");
    assert_eq!(asked["choices"]["deviceFilter"], rule);
    assert_eq!(asked["acceptedRisks"], serde_json::json!(["RISK_LOCKOUT"]));

    gateway.rewind(&["protect", "apply", "p1"]).exits(0);
    let applied = gateway.fake.last("ApplyPlanRequest");
    assert_eq!(applied["name"], format!("tenants/{TENANT}/plans/p1"));
    // Where nobody can be asked, a plan that nobody has seen is not applied.
    let run = gateway.rewind(&["protect", "apply"]).exits(2);
    assert!(run.err.contains("--yes"), "{run:?}");
    gateway.rewind(&["protect", "apply", "--yes"]).exits(0);
    gateway
        .rewind(&["protect", "apply", "p1", "--device-filter", rule])
        .exits(2);
}
