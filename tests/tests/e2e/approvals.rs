//! A second person: which plans need one, who that may be, and what becomes of an
//! approval that is old or for another plan.

use model::{PlanId, TenantId};
use prost::Message;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::*;
use runtime::{Clock, SystemClock};
use serde_json::{Value, json};
use store::Area;
use tonic::{Code, Status};

use crate::restore::{ids, patch, scene};
use crate::sandbox::{Sandbox, TENANT, reason};

/// Changes the tenant's policy: whoever makes it laxer would have to wait for a second
/// person, so that it is written as if that had been.
pub(crate) async fn require(sandbox: &Sandbox, policy: &str) -> anyhow::Result<()> {
    let found = sandbox
        .vault
        .tenant_record(&TenantId::parse(TENANT)?)
        .await?;
    let mut record = found.ok_or_else(|| anyhow::anyhow!("the tenant is registered"))?;
    record.value.approval = policy.parse()?;
    sandbox.vault.update_tenant(&record).await?;
    Ok(())
}

/// A tenant with one change, and its snapshot.
async fn changed() -> anyhow::Result<(Sandbox, Snapshot)> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let held = |body: &Value| {
        body["onPremisesSyncEnabled"] != json!(true) && body["userType"] == json!("Member")
    };
    let holders = holders(&sandbox);
    let user = ids(&sandbox, "user", held)
        .into_iter()
        .find(|id| !holders.contains(id));
    let user = user.unwrap_or_default();
    let change = json!({"jobTitle": "Changed"});
    patch(&intruder, format!("/users/{user}"), change).await?;
    Ok((sandbox, snapshot))
}

/// Who holds a directory role, directly or through a group, by the simulator's state.
fn holders(sandbox: &Sandbox) -> Vec<String> {
    let dump = sandbox.simulator.dump(TENANT);
    let text = dump["roleAssignments"].to_string();
    let users = dump["objects"]["user"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let groups = dump["objects"]["group"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let role_groups = groups.keys().filter(|id| text.contains(id.as_str()));
    let members: String = role_groups
        .map(|id| dump["links"][format!("group/{id}/members")].to_string())
        .collect();
    let holds = |id: &&String| text.contains(id.as_str()) || members.contains(id.as_str());
    users.keys().filter(holds).cloned().collect()
}

/// When the last approval was given that is stored.
async fn last_approval(
    sandbox: &Sandbox,
    plan: &str,
) -> anyhow::Result<Option<prost_types::Timestamp>> {
    let (_, id) = proto::name::parse_plan("plan", plan)?;
    let vault = sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?;
    let names = vault.list_names(Area::Approvals, id.as_str()).await?;
    let last = names.iter().max().cloned().unwrap_or_default();
    let bytes = vault.get(Area::Approvals, id.as_str(), &last).await?;
    Ok(Approval::decode(bytes)?.create_time)
}

pub(crate) async fn approve(
    sandbox: &Sandbox,
    plan: &str,
    plan_hash: &str,
) -> Result<Plan, Status> {
    let request = ApprovePlanRequest {
        name: plan.to_owned(),
        plan_hash: plan_hash.to_owned(),
        request_id: sandbox.request_id(),
    };
    let answer = RestoreServiceClient::new(sandbox.second.clone())
        .approve_plan(request)
        .await?;
    Ok(answer.into_inner().plan.unwrap_or_default())
}

async fn shown(sandbox: &Sandbox, plan: &str) -> Result<Plan, Status> {
    let request = GetPlanRequest {
        name: plan.to_owned(),
    };
    let answer = sandbox.restores().get_plan(request).await?;
    Ok(answer.into_inner().plan.unwrap_or_default())
}

/// Puts an approval where the vault keeps them.
async fn put(
    sandbox: &Sandbox,
    plan: &str,
    number: &str,
    approval: &Approval,
) -> anyhow::Result<()> {
    let (_, id) = proto::name::parse_plan("plan", plan)?;
    let id: PlanId = id;
    let vault = sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?;
    let bytes = approval.encode_to_vec().into();
    vault
        .put(Area::Approvals, id.as_str(), number, bytes)
        .await?;
    Ok(())
}

fn given(plan: &Plan, hours_ago: i64, plan_hash: &str) -> Approval {
    let now = SystemClock.now().timestamp();
    let at = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let then = now - hours_ago * 3600;
    Approval {
        approver: "approver".to_owned(),
        create_time: at(then),
        expire_time: at(then + 24 * 3600),
        plan_hash: if plan_hash.is_empty() {
            plan.hash.clone()
        } else {
            plan_hash.to_owned()
        },
    }
}

/// The code and the reason of a refusal.
fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), reason(&status))
}

#[tokio::test]
async fn a_plan_that_needs_a_second_person_waits_for_one() -> anyhow::Result<()> {
    let (sandbox, snapshot) = changed().await?;
    require(&sandbox, "on,changes=0").await?;
    let (plan, steps, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(steps.len(), 1);
    assert_eq!((plan.author.as_str(), plan.hash.len()), ("tests", 64));
    assert_eq!(plan.approval_required, ["it has 1 steps, more than 0"]);
    assert_eq!(plan.approval, None);
    assert_eq!(shown(&sandbox, &plan.name).await?, plan);

    let writes = sandbox.simulator.counters().writes;
    assert_eq!(
        refusal(sandbox.apply(&plan.name).await),
        (Code::PermissionDenied, "APPROVAL_REQUIRED".to_owned())
    );
    // Its author is no second person, although the role would do.
    let own = ApprovePlanRequest {
        name: plan.name.clone(),
        ..ApprovePlanRequest::default()
    };
    assert_eq!(
        refusal(sandbox.restores().approve_plan(own.clone()).await),
        (Code::PermissionDenied, "APPROVAL_OF_OWN_PLAN".to_owned())
    );
    // Nor is somebody who comes past the gateway and whom nobody knows.
    let past = RestoreServiceClient::new(sandbox.restorer.clone());
    assert_eq!(
        refusal(past.clone().approve_plan(own).await),
        (Code::PermissionDenied, "PERMISSION_DENIED".to_owned())
    );
    // What the approver read has to be what is stored.
    assert_eq!(
        refusal(approve(&sandbox, &plan.name, "another").await),
        (Code::FailedPrecondition, "APPROVAL_STALE".to_owned())
    );
    assert_eq!(
        refusal(sandbox.apply(&plan.name).await).1,
        "APPROVAL_REQUIRED"
    );
    assert_eq!(
        sandbox.simulator.counters().writes,
        writes,
        "nothing was written"
    );

    let approved = approve(&sandbox, &plan.name, &plan.hash).await?;
    let approval = approved.approval.clone().unwrap_or_default();
    assert_eq!(
        (approval.approver.as_str(), &approval.plan_hash),
        ("approver", &plan.hash)
    );
    let lasts = |from: Option<prost_types::Timestamp>, until: Option<prost_types::Timestamp>| {
        until.unwrap_or_default().seconds - from.unwrap_or_default().seconds
    };
    assert_eq!(lasts(approval.create_time, approval.expire_time), 24 * 3600);
    assert_eq!(
        approve(&sandbox, &plan.name, "").await?,
        approved,
        "once is enough"
    );
    assert_eq!(shown(&sandbox, &plan.name).await?, approved);

    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    Ok(())
}

#[tokio::test]
async fn a_second_person_may_approve_and_nothing_else() -> anyhow::Result<()> {
    let (sandbox, snapshot) = changed().await?;
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let mut second = RestoreServiceClient::new(sandbox.second.clone());
    let apply = ApplyPlanRequest {
        name: plan.name.clone(),
        request_id: sandbox.request_id(),
    };
    assert_eq!(
        refusal(second.apply_plan(apply).await).1,
        "PERMISSION_DENIED"
    );
    let make = sandbox.rollback(&snapshot.name);
    assert_eq!(
        refusal(second.create_plan(make).await).1,
        "PERMISSION_DENIED"
    );
    let mut strange = RestoreServiceClient::new(sandbox.strange.clone());
    let foreign = ApprovePlanRequest {
        name: plan.name,
        ..ApprovePlanRequest::default()
    };
    assert_eq!(
        refusal(strange.approve_plan(foreign).await).1,
        "PERMISSION_DENIED"
    );
    Ok(())
}

#[tokio::test]
async fn a_plan_that_needs_nobody_is_applied_and_approving_it_does_nothing() -> anyhow::Result<()> {
    let (sandbox, snapshot) = changed().await?;
    for policy in ["off", "on"] {
        require(&sandbox, policy).await?;
        let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
        assert_eq!(plan.approval_required, Vec::<String>::new(), "{policy}");
        assert_eq!(approve(&sandbox, &plan.name, "").await?, plan);
    }
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    Ok(())
}

#[tokio::test]
async fn an_approval_that_is_old_or_for_another_plan_does_not_count() -> anyhow::Result<()> {
    let (sandbox, snapshot) = changed().await?;
    require(&sandbox, "on,changes=0").await?;
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    put(&sandbox, &plan.name, "000001", &given(&plan, 1, "another")).await?;
    assert_eq!(
        refusal(sandbox.apply(&plan.name).await),
        (Code::FailedPrecondition, "APPROVAL_STALE".to_owned())
    );
    put(&sandbox, &plan.name, "000002", &given(&plan, 25, "")).await?;
    assert_eq!(
        refusal(sandbox.apply(&plan.name).await),
        (Code::FailedPrecondition, "APPROVAL_EXPIRED".to_owned())
    );
    let approval = shown(&sandbox, &plan.name).await?.approval;
    assert!(approval.is_some(), "what has expired is shown");

    // One that counts, until the policy becomes stricter.
    put(&sandbox, &plan.name, "000003", &given(&plan, 10, "")).await?;
    require(&sandbox, "on,changes=0,expires=8h").await?;
    assert_eq!(
        refusal(sandbox.apply(&plan.name).await).1,
        "APPROVAL_EXPIRED"
    );
    // It may be approved anew.
    approve(&sandbox, &plan.name, &plan.hash).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    let approval = restore.approval.unwrap_or_default();
    assert_eq!(
        (restore.planned_by.as_str(), approval.plan_hash),
        ("tests", plan.hash),
        "the record says who planned and by which approval it began"
    );
    assert_eq!(
        approval.create_time,
        last_approval(&sandbox, &plan.name).await?
    );
    Ok(())
}

#[tokio::test]
async fn the_stricter_of_then_and_now_counts() -> anyhow::Result<()> {
    let (sandbox, snapshot) = changed().await?;
    let (before, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(before.approval_required, Vec::<String>::new());
    require(&sandbox, "on,changes=0").await?;
    assert_eq!(
        refusal(sandbox.apply(&before.name).await).1,
        "APPROVAL_REQUIRED"
    );
    let (after, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    require(&sandbox, "off").await?;
    assert_eq!(
        refusal(sandbox.apply(&after.name).await).1,
        "APPROVAL_REQUIRED"
    );
    let restore = sandbox.apply(&before.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded, "off then and now");
    Ok(())
}

#[tokio::test]
async fn a_restore_that_has_begun_goes_on_whatever_becomes_of_its_approval() -> anyhow::Result<()> {
    let (sandbox, snapshot) = changed().await?;
    require(&sandbox, "on,changes=0").await?;
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    put(&sandbox, &plan.name, "000001", &given(&plan, 25, "")).await?;
    // Broken off right after its first intent, when the approval still counted.
    let (_, id) = proto::name::parse_plan("plan", &plan.name)?;
    let vault = sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?;
    let entry = JournalEntry {
        intents: vec![1],
        ..JournalEntry::default()
    };
    let bytes = entry.encode_to_vec().into();
    vault
        .put(Area::Restores, id.as_str(), "journal/000001", bytes)
        .await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    Ok(())
}

#[tokio::test]
async fn policies_and_privileged_accounts_need_a_second_person() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    require(&sandbox, "on").await?;
    let of = async |scope: Scope| {
        let request = CreatePlanRequest {
            scope: Some(scope),
            ..sandbox.rollback(&snapshot.name)
        };
        let (plan, steps, _) = sandbox.plan(request).await?;
        assert_eq!(steps.len(), 1);
        Ok::<Vec<String>, Status>(plan.approval_required)
    };
    let location = ids(&sandbox, "namedLocation", |body| {
        body["displayName"] == json!("VPN egress")
    });
    let path = format!("/identity/conditionalAccess/namedLocations/{}", location[0]);
    let renamed = json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "x"});
    patch(&intruder, path, renamed).await?;
    let needed = of(Scope {
        ids: location,
        ..Scope::default()
    })
    .await?;
    assert_eq!(needed, ["it changes Conditional Access"]);

    let holder = holders(&sandbox).into_iter().find(|id| {
        let users = ids(&sandbox, "user", |body| {
            body["onPremisesSyncEnabled"] != json!(true)
        });
        users.contains(id)
    });
    let holder = holder.unwrap_or_default();
    patch(
        &intruder,
        format!("/users/{holder}"),
        json!({"jobTitle": "Changed"}),
    )
    .await?;
    let needed = of(Scope {
        ids: vec![holder],
        ..Scope::default()
    })
    .await?;
    assert_eq!(needed.len(), 1, "{needed:?}");
    assert!(
        needed[0].starts_with("it touches a holder of a directory role: user"),
        "{needed:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_plan_that_is_not_what_its_hash_is_of_is_neither_approved_nor_applied()
-> anyhow::Result<()> {
    let (sandbox, snapshot) = changed().await?;
    require(&sandbox, "on,changes=0").await?;
    let slip_in = async |plan: &Plan| {
        let (_, id) = proto::name::parse_plan("plan", &plan.name)?;
        let vault = sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?;
        let page = ListPlanStepsResponse::default().encode_to_vec().into();
        vault
            .put(Area::Restores, id.as_str(), "steps/000002", page)
            .await?;
        Ok::<(), anyhow::Error>(())
    };
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    slip_in(&plan).await?;
    assert_eq!(
        refusal(approve(&sandbox, &plan.name, &plan.hash).await),
        (Code::DataLoss, "STORE_CORRUPT".to_owned())
    );
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    approve(&sandbox, &plan.name, &plan.hash).await?;
    slip_in(&plan).await?;
    assert_eq!(
        refusal(sandbox.apply(&plan.name).await),
        (Code::DataLoss, "STORE_CORRUPT".to_owned())
    );
    Ok(())
}
