//! Plans and restores.

use proto::v1::RestoreState;
use serde_json::json;
use snapbox::{assert_data_eq, str};

use crate::canned::{self, TENANT, name};
use crate::fake::Fake;
use crate::gateway::Gateway;

#[test]
fn a_plan_is_shown_whole() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway
        .rewind(&["restore", "plan", "--report", "r1", "--all"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
Name           tenants/0a1b2c3d-0000-4000-8000-000000000001/plans/p1
State          ready
Snapshot       tenants/0a1b2c3d-0000-4000-8000-000000000001/snapshots/20261123-daily
Report         tenants/0a1b2c3d-0000-4000-8000-000000000001/reports/r1
Scope          everything
Added objects  keep
Relationships  rollback
Policy state   snapshot
Accepted       -
Made           2026-11-18T11:10:00Z
Author         -
Hash           -
Approval       not needed
Steps          2
Exclusions     1
Estimate       1m 1s

Risks
    ! a policy changes who may sign in

Steps (2)

1. restore deleted  user  Bob  (u-2)
    POST /directory/deletedItems/u-2/restore

2. update  user  Ann  (u-1)
    the job title differs
    jobTitle: "Clerk" → "Lead"
    PATCH /users/u-1
    needs User.ReadWrite.All
    after step 1

Not restored (1)

    user  Eve  (u-9)  added kept: added since, and the plan keeps it

"#]]
    );
    assert_data_eq!(
        &run.err,
        str![[r#"
1 object added since stays; a plan with `--added soft-delete` takes back what can be

"#]]
    );
    let shown = gateway.rewind(&["restore", "show", "p1"]).exits(0);
    assert_eq!(shown.out, run.out);
}

#[test]
fn json_of_a_plan_has_steps_and_exclusions() {
    let gateway = Gateway::start(Fake::default());
    for arguments in [
        ["restore", "plan", "--snapshot", "latest", "--output=json"],
        ["restore", "show", "p1", "--output", "json"],
    ] {
        let json = gateway.rewind(&arguments).exits(0).json();
        assert_eq!(json["plan"]["name"], name("plans", "p1"));
        assert_eq!(json["steps"].as_array().map(Vec::len), Some(2));
        assert_eq!(json["steps"][1]["bodyJson"], "{\"jobTitle\":\"Lead\"}");
        assert_eq!(json["steps"][1]["permission"], "User.ReadWrite.All");
        assert_eq!(json["steps"][1]["estimateSeconds"], 0.05);
        assert_eq!(json["exclusions"][0]["obstacle"], "OBSTACLE_ADDED_KEPT");
    }
}

#[test]
fn a_plan_is_asked_for_as_the_flags_say() {
    let gateway = Gateway::start(Fake::default());
    let asked = |more: &[&str]| {
        gateway
            .rewind(&[&["restore", "plan"], more].concat())
            .exits(0);
        gateway.fake.last("CreatePlanRequest")
    };
    let plain = asked(&["--snapshot", "latest"]);
    assert_eq!(
        (&plain["snapshot"], &plain["report"]),
        (&"latest".into(), &"".into())
    );
    assert_eq!(plain["options"]["added"], "ADDED_POLICY_KEEP");
    assert_eq!(
        plain["options"]["relationships"],
        "RELATIONSHIP_MODE_ROLLBACK"
    );
    assert_eq!(plain["options"]["caState"], "CA_STATE_SNAPSHOT");
    assert!(
        plain["options"]["acceptedRisks"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
    let full = asked(&[
        "--report",
        "r1",
        "--type",
        "user",
        "--relationships",
        "merge",
        "--added",
        "soft-delete",
        "--ca-state",
        "report-only",
        "--accept-risk",
        "lockout",
        "--recreate-hard-deleted",
    ]);
    assert_eq!(full["options"]["caState"], "CA_STATE_REPORT_ONLY");
    assert_eq!(
        full["options"]["acceptedRisks"],
        serde_json::json!(["RISK_LOCKOUT"])
    );
    assert_eq!(plain["options"]["recreateHardDeleted"], false);
    assert_eq!(full["options"]["recreateHardDeleted"], true);
    assert_eq!(full["report"], name("reports", "r1"));
    assert_eq!(full["scope"]["types"], serde_json::json!(["user"]));
    assert_eq!(full["options"]["added"], "ADDED_POLICY_SOFT_DELETE");
    assert_eq!(full["options"]["relationships"], "RELATIONSHIP_MODE_MERGE");
    let (old, new) = (
        "0a1b2c3d-0000-4000-8000-00000000000a",
        "0a1b2c3d-0000-4000-8000-00000000000b",
    );
    let narrow = asked(&[
        "--report",
        "r1",
        "--id",
        old,
        "--property",
        "jobTitle,department",
        "--link",
        &format!("group/members:{new}"),
        "--map-reference",
        &format!("{old}={new}"),
        "--drop-reference",
        "0a1b2c3d-0000-4000-8000-00000000000c",
    ]);
    assert_eq!(
        narrow["properties"],
        serde_json::json!(["jobTitle", "department"])
    );
    assert_eq!(
        narrow["links"],
        serde_json::json!([format!("group/members:{new}")])
    );
    assert_eq!(
        narrow["options"]["mapReferences"],
        serde_json::json!([{"old": old, "new": new}])
    );
    assert_eq!(
        narrow["options"]["dropReferences"],
        serde_json::json!(["0a1b2c3d-0000-4000-8000-00000000000c"])
    );
    for wrong in [
        ["--link", "members"],
        ["--link", "friends:u-1"],
        ["--map-reference", old],
    ] {
        let base = ["restore", "plan", "--report", "r1"];
        gateway.rewind(&[&base[..], &wrong[..]].concat()).exits(2);
    }
}

#[test]
fn cancel_waits_for_the_end_and_says_what_stays() {
    for (state, said) in [
        (
            RestoreState::Cancelled,
            "2 of 2 steps are applied and stay; `rewind restore undo p1` plans the way back",
        ),
        (RestoreState::Succeeded, "the restore had ended before"),
    ] {
        let gateway = Gateway::start(Fake {
            restore: canned::restore("p1", state, false),
            ..Fake::default()
        });
        let run = gateway
            .rewind(&["restore", "cancel", "p1", "--output", "json"])
            .exits(0);
        assert_eq!(run.json()["state"], state.as_str_name());
        assert!(run.err.contains(said), "{run:?}");
        assert_eq!(
            gateway.fake.last("CancelRestoreRequest")["name"],
            name("restores", "p1")
        );
    }
}

#[test]
fn undo_shows_the_plan_that_it_makes() {
    let gateway = Gateway::start(Fake {
        plan: proto::v1::Plan {
            undo_of: name("restores", "p0"),
            ..canned::plan("p1", proto::v1::PlanState::Ready)
        },
        ..Fake::default()
    });
    let run = gateway.rewind(&["restore", "undo", "p0"]).exits(0);
    assert_eq!(
        gateway.fake.last("CreateUndoPlanRequest")["restore"],
        name("restores", "p0")
    );
    let undoes = format!("Undoes         {}", name("restores", "p0"));
    assert!(run.out.contains(&undoes), "{}", run.out);
}

#[test]
fn steps_that_did_not_succeed_are_named_at_the_end() {
    let gateway = Gateway::start(Fake {
        restore: canned::restore("p1", RestoreState::SucceededWithWarnings, true),
        ..Fake::default()
    });
    let run = gateway.rewind(&["restore", "apply", "p1"]).exits(3);
    let named = "step 3 update (user  Ann  (u-1)): failed: Graph answered 400";
    assert!(run.err.contains(named), "{}", run.err);
}

#[test]
fn a_plan_is_approved_as_it_was_read() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway
        .rewind(&["restore", "approve", "p1", "--hash", "5eed"])
        .exits(0);
    let asked = gateway.fake.last("ApprovePlanRequest");
    assert_eq!(
        (&asked["name"], &asked["planHash"]),
        (&name("plans", "p1").into(), &"5eed".into())
    );
    let approval = "Approval       by ben on 2026-11-18T11:10:50Z, to begin before 2026-11-19T11:10:50Z; needed, since it changes Conditional Access\n";
    assert!(
        run.out.contains(approval) && run.out.contains("Author         anna\n"),
        "{}",
        run.out
    );
    assert!(run.err.contains("`rewind restore apply p1`"), "{}", run.err);
    let json = gateway
        .rewind(&["restore", "approve", "p1", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(json["approval"]["approver"], "ben");
}

#[test]
fn a_plan_that_needs_a_second_person_says_so() {
    let waiting = proto::v1::Plan {
        approval: None,
        ..canned::approved(canned::plan("p1", proto::v1::PlanState::Ready))
    };
    let gateway = Gateway::start(Fake {
        plan: waiting,
        ..Fake::default()
    });
    let run = gateway
        .rewind(&["restore", "plan", "--snapshot", "latest"])
        .exits(0);
    let approval = "Approval       needed, since it changes Conditional Access\n";
    assert!(run.out.contains(approval), "{}", run.out);
    assert!(
        run.err.contains("`rewind restore approve p1`"),
        "{}",
        run.err
    );
}

#[test]
fn apply_exits_by_how_it_went() {
    for (state, verified, expected, said) in [
        (RestoreState::Succeeded, true, 0, ""),
        (
            RestoreState::Succeeded,
            false,
            3,
            "warning: the tenant was not verified",
        ),
        (
            RestoreState::SucceededWithWarnings,
            true,
            3,
            "warning: 1 step did not succeed; `rewind restore failures p1`",
        ),
        (
            RestoreState::Cancelled,
            false,
            3,
            "warning: the restore was cancelled; 2 of 2 steps are applied and stay",
        ),
        (
            RestoreState::Interrupted,
            false,
            7,
            "warning: the restore was interrupted; `rewind restore resume p1`",
        ),
    ] {
        let gateway = Gateway::start(Fake {
            restore: canned::restore("p1", state, verified),
            ..Fake::default()
        });
        for verb in ["apply", "resume", "watch"] {
            let run = gateway
                .rewind(&["restore", verb, "p1", "--output", "json"])
                .exits(expected);
            assert_eq!(run.json()["state"], state.as_str_name());
            assert!(
                run.err.starts_with(said) && run.err.is_empty() == said.is_empty(),
                "{run:?}"
            );
        }
    }
}

#[test]
fn plan_and_restore_names_lead_to_one_another() {
    let gateway = Gateway::start(Fake::default());
    for given in ["p1", &name("plans", "p1"), &name("restores", "p1")] {
        gateway
            .rewind(&["restore", "apply", given, "--tenant", TENANT])
            .exits(0);
        assert_eq!(
            gateway.fake.last("ApplyPlanRequest")["name"],
            name("plans", "p1")
        );
        assert_eq!(
            gateway.fake.last("WatchRestoreRequest")["name"],
            name("restores", "p1")
        );
    }
    let run = gateway
        .rewind(&[
            "restore",
            "show",
            &name("restores", "p1"),
            "--output",
            "json",
        ])
        .exits(0);
    assert_eq!(run.json()["verified"], true);
}

#[test]
fn failures_lists_what_did_not_succeed() {
    let gateway = Gateway::start(Fake::default());
    assert_data_eq!(
        gateway.rewind(&["restore", "failures", "p1"]).exits(0).out,
        str![[r#"
STEP  STATE     ACTION  OBJECT            TIME                  DETAIL
2     conflict  update  user  Ann  (u-1)  2026-11-18T11:12:00Z  the object changed since the plan was made
3     failed    update  user  Ann  (u-1)  2026-11-18T11:12:00Z  Graph answered 400
4     skipped   update  user  Ann  (u-1)  2026-11-18T11:12:00Z  step 3 did not succeed

"#]]
    );
    let json = gateway
        .rewind(&["restore", "failures", "p1", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(json.as_array().map(Vec::len), Some(3));
    let all = gateway
        .rewind(&["restore", "failures", "p1", "--all", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(all.as_array().map(Vec::len), Some(4));
}

#[test]
fn who_must_keep_a_way_in_is_set_later_too() {
    let gateway = Gateway::start(Fake::default());
    let (ada, bob) = (
        "0a1b2c3d-0000-4000-8000-0000000000e1",
        "0a1b2c3d-0000-4000-8000-0000000000e2",
    );
    let update = |more: &[&str]| {
        let base = ["tenant", "update"];
        gateway.rewind(&[&base[..], more].concat()).exits(0);
        gateway.fake.last("UpdateTenantRequest")["breakGlass"].clone()
    };
    assert_eq!(
        update(&["--break-glass", ada, bob])["ids"],
        json!([ada, bob])
    );
    assert_eq!(update(&["--no-break-glass"]), json!({"ids": []}));
    assert!(update(&["--approval", "on"]).is_null());
    gateway
        .rewind(&["tenant", "update", "--no-break-glass", "--break-glass", ada])
        .exits(2);
    gateway.rewind(&["tenant", "update"]).exits(2);
}

#[test]
fn who_approves_is_set_when_a_tenant_is_added_and_later() {
    let gateway = Gateway::start(Fake::default());
    let add = |more: &[&str]| {
        let base = ["tenant", "add", "--id", TENANT, "--name", "Contoso"];
        gateway.rewind(&[&base[..], more].concat()).exits(0);
        gateway.fake.last("CreateTenantRequest")["tenant"]["approval"].clone()
    };
    assert_eq!(add(&[]), "");
    assert_eq!(
        add(&["--approval", "on,changes=100,expires=8h"]),
        "on,expires=8h"
    );

    let run = gateway
        .rewind(&["tenant", "update", "--approval", "on"])
        .exits(0);
    assert!(run.out.contains("Approval      on"), "{run:?}");
    let asked = gateway.fake.last("UpdateTenantRequest");
    assert_eq!(asked["approval"], "on");
    assert!(asked.get("driftWatch").is_none(), "what is not named stays");
}
