//! Tenants that are guarded by half, set up as administrators do: the least that each
//! needs, what it leads to, and that a second plan does nothing.

use graph::GraphWriter;
use model::call::HttpMethod;
use proto::v1::*;
use serde_json::{Value, json};
use simulator::TenantSpec;

use crate::posture::{POPULATION, TO_PROTECT, defend, few_people, posture, scene, with};
use crate::protect::{ACTIONS, CONTEXTS, POLICIES, RULE};
use crate::restore::{patch, write};
use crate::sandbox::{Sandbox, TENANT};

/// What somebody did to the tenant.
enum Deed {
    /// Set the whole defence up: context `c5`, the policies "Guard" and "Workstations",
    /// and every action.
    Defend,
    /// Wrote a context.
    Context(&'static str, Value),
    /// Changed one of the policies.
    Change(&'static str, Value),
    /// Deleted it.
    Delete(&'static str),
    /// Let an action be protected by something else; by its place in [`TO_PROTECT`].
    Protect(usize, Value),
}

use Deed::{Change, Context, Defend, Delete, Protect};

async fn did(
    sandbox: &Sandbox,
    hand: &GraphWriter,
    spared: &[String],
    deed: &Deed,
) -> anyhow::Result<()> {
    let policy = |name: &str| {
        let named = |body: &Value| body["displayName"] == json!(name);
        let found = crate::restore::ids(sandbox, "conditionalAccessPolicy", named);
        format!("{POLICIES}/{}", found[0])
    };
    match deed {
        Defend => defend(hand, spared).await.map(drop),
        Context(id, body) => patch(hand, format!("{CONTEXTS}/{id}"), body.clone()).await,
        Change(name, body) => patch(hand, policy(name), body.clone()).await,
        Delete(name) => write(hand, HttpMethod::Delete, policy(name), None)
            .await
            .map(drop),
        Protect(action, context) => {
            let path = format!("{ACTIONS}/microsoft.directory-{}", TO_PROTECT[*action]);
            patch(hand, path, json!({ "authenticationContextId": context })).await
        }
    }
}

/// A step in a few words.
fn said(step: &PlanStep) -> String {
    let object = step.object.clone().unwrap_or_default();
    let is_policy = object.r#type == "conditionalAccessPolicy";
    let name = if is_policy {
        object.display_name
    } else {
        object.id
    };
    match step.action() {
        StepAction::Create => format!("make {name}"),
        StepAction::Update if is_policy => format!("enable {name}"),
        StepAction::Update => format!("publish {name}"),
        StepAction::Protect => format!("protect by {name}"),
        other => format!("{other:?}"),
    }
}

fn made(context: &str, what: &str) -> Vec<String> {
    let name = format!("High-Security Ops ({context}): {what}");
    vec![format!("make {name}"), format!("enable {name}")]
}

fn strong(context: &str) -> Vec<String> {
    made(context, "strong sign-in on a managed device")
}

fn workstations(context: &str) -> Vec<String> {
    made(context, "administrators' workstations only")
}

fn protect(context: &str, actions: usize) -> Vec<String> {
    vec![format!("protect by {context}"); actions]
}

fn one(step: &str) -> Vec<String> {
    vec![step.to_owned()]
}

#[tokio::test]
async fn twenty_and_some_tenants_get_the_least_that_each_needs() -> anyhow::Result<()> {
    let report_only = || json!({"state": "enabledForReportingButNotEnforced"});
    let off = || json!({"state": "disabled"});
    let grant = |controls: Value, operator: &str, strength: &str| {
        json!({"grantControls": {"operator": operator, "builtInControls": controls,
            "authenticationStrength": {"id": format!("00000000-0000-0000-0000-00000000000{strength}")}}})
    };
    let device = || json!(["compliantDevice"]);
    let condition = |name: &str, value: Value| json!({"conditions": {name: value}});
    let published = |name: &str| json!({"displayName": name, "isAvailable": true});
    let whole = |first: &str, context: &str| {
        let behind = [strong(context), workstations(context), protect(context, 6)];
        [one(first), behind.concat()].concat()
    };
    let (sandbox, hand, spared) = scene().await?;
    let role = json!(["62e90394-69f5-4237-9190-012177145e10"]);
    let (nothing, nobody) = (Vec::new(), Vec::<&str>::new());
    let cases: Vec<(Vec<Deed>, Vec<String>, Vec<&str>)> = vec![
        (vec![], whole("make c4", "c4"), nobody.clone()),
        (vec![Defend], nothing.clone(), nobody.clone()),
        (
            vec![
                Context("c4", published("Sites")),
                Context("c5", published("Mail")),
            ],
            whole("make c6", "c6"),
            nobody.clone(),
        ),
        (
            vec![Context(
                "c8",
                json!({"displayName": "High-Security Ops", "isAvailable": false}),
            )],
            whole("publish c8", "c8"),
            nobody.clone(),
        ),
        (
            vec![Context("c8", published("High-Security Ops"))],
            whole("x", "c8")[1..].to_vec(),
            nobody.clone(),
        ),
        (
            vec![Defend, Protect(0, Value::Null)],
            protect("c5", 1),
            nobody.clone(),
        ),
        (
            vec![Defend, Protect(1, Value::Null), Protect(3, Value::Null)],
            protect("c5", 2),
            nobody.clone(),
        ),
        (
            vec![Defend, Context("c5", json!({"isAvailable": false}))],
            one("publish c5"),
            nobody.clone(),
        ),
        (
            vec![Defend, Change("Guard", report_only())],
            one("enable Guard"),
            nobody.clone(),
        ),
        (
            vec![Defend, Change("Guard", off())],
            one("enable Guard"),
            nobody.clone(),
        ),
        (
            vec![
                Defend,
                Change("Guard", off()),
                Change("Workstations", report_only()),
            ],
            [one("enable Guard"), one("enable Workstations")].concat(),
            nobody.clone(),
        ),
        (vec![Defend, Delete("Guard")], strong("c5"), nobody.clone()),
        (
            vec![Defend, Delete("Workstations")],
            workstations("c5"),
            nobody.clone(),
        ),
        (
            vec![Defend, Delete("Guard"), Delete("Workstations")],
            [strong("c5"), workstations("c5")].concat(),
            nobody.clone(),
        ),
        (
            vec![Defend, Change("Guard", grant(json!([]), "AND", "4"))],
            made("c5", "managed device"),
            nobody.clone(),
        ),
        (
            vec![Defend, Change("Guard", grant(device(), "AND", "2"))],
            made("c5", "strong sign-in"),
            nobody.clone(),
        ),
        (
            vec![Defend, Change("Guard", grant(device(), "OR", "4"))],
            strong("c5"),
            nobody.clone(),
        ),
        (
            vec![
                Defend,
                Change(
                    "Guard",
                    condition("platforms", json!({"includePlatforms": ["windows"]})),
                ),
            ],
            strong("c5"),
            nobody.clone(),
        ),
        (
            vec![
                Defend,
                Change("Guard", condition("signInRiskLevels", json!(["high"]))),
            ],
            strong("c5"),
            nobody.clone(),
        ),
        (
            vec![
                Defend,
                Change(
                    "Guard",
                    condition(
                        "users",
                        json!({"includeUsers": [], "includeRoles": role.clone()}),
                    ),
                ),
            ],
            strong("c5"),
            nobody.clone(),
        ),
        (
            vec![
                Defend,
                Change("Guard", condition("users", json!({"excludeRoles": role}))),
            ],
            strong("c5"),
            vec!["only-break-glass-excluded"],
        ),
        (
            vec![
                Defend,
                Change("Guard", condition("users", json!({"excludeUsers": []}))),
            ],
            nothing.clone(),
            vec!["break-glass-excluded"],
        ),
        (
            vec![
                Defend,
                Change("Guard", condition("users", json!({"excludeUsers": []}))),
                Protect(2, Value::Null),
            ],
            [
                one("make c4"),
                strong("c4"),
                workstations("c4"),
                protect("c4", 1),
            ]
            .concat(),
            vec!["break-glass-excluded"],
        ),
        (
            vec![
                Defend,
                Change("Guard", off()),
                Change(
                    "Guard",
                    condition(
                        "applications",
                        json!({"includeApplications": ["Office365"]}),
                    ),
                ),
            ],
            strong("c5"),
            nobody.clone(),
        ),
        (
            vec![
                Defend,
                Context("c6", published("Other")),
                Protect(4, json!("c6")),
            ],
            strong("c6"),
            nobody,
        ),
    ];
    assert!(cases.len() >= 20);
    for (number, (deeds, expected, left)) in cases.into_iter().enumerate() {
        let spec = TenantSpec::practice(TENANT);
        sandbox.simulator.add_tenant(spec).populate(&POPULATION);
        sandbox.simulator.expire_tokens();
        few_people(&hand).await?;
        for deed in &deeds {
            did(&sandbox, &hand, &spared, deed).await?;
        }
        let (plan, steps, _) = sandbox.protect(RULE).await?;
        let steps: Vec<String> = steps.iter().map(said).collect();
        assert_eq!(steps, expected, "tenant {number}");
        let restore = sandbox.apply(&plan.name).await?;
        assert_eq!(restore.failed + restore.conflicts + restore.skipped, 0);
        assert!(restore.verified, "tenant {number}: {restore:#?}");
        let found = posture(&sandbox).await?;
        assert_eq!(
            with(&found, PostureStatus::Finding),
            left,
            "tenant {number}"
        );
        assert_eq!(with(&found, PostureStatus::NotKnown), Vec::<&str>::new());
        let (_, steps, _) = sandbox.protect(RULE).await?;
        assert_eq!(steps, [], "tenant {number}: a second plan does nothing");
    }
    Ok(())
}
