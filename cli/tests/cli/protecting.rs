//! The posture of a tenant.

use proto::v1::PostureStatus;
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
