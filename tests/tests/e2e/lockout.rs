//! Conditional Access that could lock people out, and policies in report-only mode.

use model::call::HttpMethod;
use proto::v1::*;
use serde_json::{Value, json};

use crate::restore::{ids, patch, scene, write};
use crate::sandbox::{Sandbox, TENANT};

const POLICIES: &str = "/identity/conditionalAccess/policies";

/// A tenant with a policy of ours, its snapshot and its break-glass account; the
/// policy's id. `users` may name the account as `{break glass}`.
struct Scene {
    sandbox: Sandbox,
    intruder: graph::GraphWriter,
    policy: String,
    break_glass: String,
}

/// The state of a policy as the simulator has it.
fn policy(sandbox: &Sandbox, id: &str) -> Value {
    sandbox.simulator.dump(TENANT)["objects"]["conditionalAccessPolicy"][id].clone()
}

impl Scene {
    async fn new(state: &str, control: &str) -> anyhow::Result<(Self, Snapshot)> {
        let (sandbox, _, intruder) = scene().await?;
        // Its own tenant knows the account; registering it anew under another name
        // would be refused, so that it is added where registrations are kept.
        let break_glass = administrators(&sandbox).swap_remove(0);
        let tenant = model::TenantId::parse(TENANT)?;
        let record = sandbox.vault.tenant_record(&tenant).await?;
        let mut record = record.ok_or_else(|| anyhow::anyhow!("it is registered"))?;
        record.value.break_glass = vec![model::ObjectId::parse(&break_glass)?];
        sandbox.vault.update_tenant(&record).await?;
        let body = json!({"displayName": "Ours", "state": state,
            "grantControls": {"operator": "OR", "builtInControls": [control]},
            "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
                "users": {"includeUsers": ["All"]}}});
        let made = write(&intruder, HttpMethod::Post, POLICIES.to_owned(), Some(body)).await?;
        let policy = made.unwrap_or_default()["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let snapshot = sandbox.snapshot().await?;
        let scene = Self {
            sandbox,
            intruder,
            policy,
            break_glass,
        };
        Ok((scene, snapshot))
    }

    async fn change(&self, body: Value) -> anyhow::Result<()> {
        patch(&self.intruder, format!("{POLICIES}/{}", self.policy), body).await
    }

    async fn delete(&self) -> anyhow::Result<()> {
        let path = format!("{POLICIES}/{}", self.policy);
        write(&self.intruder, HttpMethod::Delete, path, None).await?;
        Ok(())
    }

    /// A plan for the policy alone.
    async fn plan(
        &self,
        snapshot: &Snapshot,
        options: PlanOptions,
    ) -> anyhow::Result<(Plan, Vec<PlanStep>, Vec<Exclusion>)> {
        let scope = Scope {
            ids: vec![self.policy.clone()],
            ..Scope::default()
        };
        let request = CreatePlanRequest {
            scope: Some(scope),
            options: Some(options),
            ..self.sandbox.rollback(&snapshot.name)
        };
        Ok(self.sandbox.plan(request).await?)
    }

    fn state(&self) -> Value {
        policy(&self.sandbox, &self.policy)["state"].clone()
    }
}

/// The users whom the practice tenant's own policies exclude: its emergency accounts.
fn administrators(sandbox: &Sandbox) -> Vec<String> {
    let policies = ids(sandbox, "conditionalAccessPolicy", |body| {
        body["displayName"] == json!("CA001 Require MFA for all users")
    });
    let excluded = policy(sandbox, &policies[0])["conditions"]["users"]["excludeUsers"].clone();
    let excluded = excluded.as_array().cloned().unwrap_or_default();
    excluded
        .iter()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

fn accepting() -> PlanOptions {
    PlanOptions {
        accepted_risks: vec![Risk::Lockout as i32],
        ..PlanOptions::default()
    }
}

fn reporting() -> PlanOptions {
    PlanOptions {
        ca_state: CaState::ReportOnly as i32,
        ..PlanOptions::default()
    }
}

#[tokio::test]
async fn a_policy_that_locks_break_glass_out_is_written_only_where_that_is_accepted()
-> anyhow::Result<()> {
    let (scene, snapshot) = Scene::new("enabled", "block").await?;
    scene.change(json!({"state": "disabled"})).await?;
    let (plan, steps, exclusions) = scene.plan(&snapshot, PlanOptions::default()).await?;
    assert_eq!(steps, []);
    assert_eq!(exclusions.len(), 1);
    assert_eq!(exclusions[0].obstacle(), Obstacle::LockoutRisk);
    assert!(
        exclusions[0].detail.contains("the break-glass account")
            && exclusions[0].detail.contains("no Global Administrator"),
        "{}",
        exclusions[0].detail
    );
    let restore = scene.sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::SucceededWithWarnings);
    assert_eq!((restore.applied, restore.verified), (0, true));
    assert!(restore.open_matters[0].contains("could lock people out"));
    assert_eq!(scene.state(), json!("disabled"));

    let (plan, steps, exclusions) = scene.plan(&snapshot, accepting()).await?;
    assert_eq!((steps.len(), exclusions.len()), (1, 0));
    assert!(
        plan.risks
            .iter()
            .any(|risk| risk.contains("which was accepted")),
        "{:?}",
        plan.risks
    );
    assert_eq!(
        plan.options.clone().unwrap_or_default().accepted_risks,
        [Risk::Lockout as i32]
    );
    let restore = scene.sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    assert_eq!(scene.state(), json!("enabled"));
    Ok(())
}

#[tokio::test]
async fn an_exclusion_through_nested_groups_is_seen() -> anyhow::Result<()> {
    let (scene, _) = Scene::new("enabled", "block").await?;
    let made = async |name: &str| {
        let body = json!({"displayName": name, "mailEnabled": false, "mailNickname": name, "securityEnabled": true});
        let made = write(
            &scene.intruder,
            HttpMethod::Post,
            "/groups".to_owned(),
            Some(body),
        )
        .await?;
        Ok::<String, anyhow::Error>(
            made.unwrap_or_default()["id"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let (outer, inner) = (made("outer").await?, made("inner").await?);
    for (group, member) in [(&outer, &inner), (&inner, &scene.break_glass)] {
        let member = json!({"@odata.id": format!("{{graph}}/directoryObjects/{member}")});
        let path = format!("/groups/{group}/members/$ref");
        write(&scene.intruder, HttpMethod::Post, path, Some(member)).await?;
    }
    let users = json!({"includeUsers": ["All"], "excludeGroups": [outer]});
    let conditions = json!({"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]}, "users": users});
    scene.change(json!({"conditions": conditions})).await?;
    let snapshot = scene.sandbox.snapshot().await?;
    scene.change(json!({"state": "disabled"})).await?;
    let (_, steps, exclusions) = scene.plan(&snapshot, PlanOptions::default()).await?;
    assert_eq!((steps.len(), exclusions), (1, vec![]));

    // Out of the inner group it is not excluded any more.
    let path = format!("/groups/{inner}/members/{}/$ref", scene.break_glass);
    write(&scene.intruder, HttpMethod::Delete, path, None).await?;
    let (_, steps, exclusions) = scene.plan(&snapshot, PlanOptions::default()).await?;
    assert_eq!(steps, []);
    assert_eq!(exclusions[0].obstacle(), Obstacle::LockoutRisk);
    Ok(())
}

#[tokio::test]
async fn report_only_brings_policies_back_without_enforcing_them() -> anyhow::Result<()> {
    let (scene, snapshot) = Scene::new("enabled", "mfa").await?;
    scene
        .change(json!({"state": "disabled", "displayName": "Theirs"}))
        .await?;
    scene.delete().await?;
    let (plan, steps, exclusions) = scene.plan(&snapshot, reporting()).await?;
    let actions: Vec<StepAction> = steps.iter().map(PlanStep::action).collect();
    assert_eq!(actions, [StepAction::RestoreDeleted, StepAction::Update]);
    assert_eq!(exclusions.len(), 1);
    assert_eq!(
        (exclusions[0].obstacle(), exclusions[0].part.as_str()),
        (Obstacle::ReportOnly, "state")
    );
    assert!(
        plan.risks
            .iter()
            .any(|risk| risk.contains("until a person enables it"))
    );
    let restore = scene.sandbox.apply(&plan.name).await?;
    assert_eq!(
        (
            restore.verified,
            restore.unexpected.as_slice(),
            restore.meanwhile.as_slice()
        ),
        (true, [].as_slice(), [].as_slice())
    );
    assert!(
        restore.open_matters.len() == 1
            && restore.open_matters[0].contains("a person has to enable it"),
        "{:?}",
        restore.open_matters
    );
    assert_eq!(restore.state(), RestoreState::SucceededWithWarnings);
    assert_eq!(scene.state(), json!("enabledForReportingButNotEnforced"));
    assert_eq!(
        policy(&scene.sandbox, &scene.policy)["displayName"],
        json!("Ours")
    );

    // Once more, without the mode: it is enforced again.
    let (plan, _, exclusions) = scene.plan(&snapshot, PlanOptions::default()).await?;
    assert_eq!(exclusions, []);
    let restore = scene.sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    assert_eq!(scene.state(), json!("enabled"));
    Ok(())
}

#[tokio::test]
async fn a_restored_policy_is_not_enabled_before_it_has_its_right_content() -> anyhow::Result<()> {
    let (scene, snapshot) = Scene::new("enabled", "mfa").await?;
    let mfa = policy(&scene.sandbox, &scene.policy)["grantControls"].clone();
    let wrong = json!({"operator": "OR", "builtInControls": ["compliantDevice"]});
    scene
        .change(json!({"state": "disabled", "grantControls": wrong}))
        .await?;
    scene.delete().await?;
    let (plan, steps, _) = scene.plan(&snapshot, PlanOptions::default()).await?;
    assert_eq!(
        steps.len(),
        2,
        "back, and then content and state in one write"
    );
    let body: Value = serde_json::from_str(steps[1].body_json())?;
    assert_eq!(
        (&body["state"], &body["grantControls"]["builtInControls"]),
        (&json!("enabled"), &json!(["mfa"]))
    );
    assert_eq!(steps[1].after, [1]);
    let restore = scene.sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    assert_eq!(policy(&scene.sandbox, &scene.policy)["grantControls"], mfa);
    Ok(())
}
