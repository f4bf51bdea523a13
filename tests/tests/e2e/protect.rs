//! Plans that guard a tenant against hard deletion: from nothing to a posture without
//! findings, in an order in which nobody is asked without end, and back.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use model::slot;
use parking_lot::Mutex;
use proto::v1::protection_service_client::ProtectionServiceClient;
use proto::v1::*;
use runtime::{Clock, SystemClock};
use serde_json::{Value, json};
use simulator::{Fault, FaultResponse, Simulator, TenantSpec};
use store::Area;
use store::object_store::memory::InMemory;
use tonic::Code;

use crate::approvals::{approve, require};
use crate::drift::{a_day, signals, vault};
use crate::posture::{POPULATION, defend, few_people, posture, scene, with};
use crate::restore::{ids, patch};
use crate::sandbox::{Sandbox, TENANT, parent, reason};
use crate::shared;

/// How time passes where a step waits for what reads may show yet.
const STEP: Duration = Duration::from_millis(150);
pub(crate) const RULE: &str = "device.extensionAttribute1 -eq \"PAW\"";
pub(crate) const POLICIES: &str = "/identity/conditionalAccess/policies";
pub(crate) const CONTEXTS: &str =
    "/identity/conditionalAccess/authenticationContextClassReferences";
pub(crate) const ACTIONS: &str =
    "/roleManagement/directory/resourceNamespaces/microsoft.directory/resourceActions";
const HARD_DELETE: &str = "microsoft.directory/deletedItems/delete";

/// The protected actions for whose context no policy is enabled.
fn asked_without_end(dump: &Value) -> Vec<String> {
    let policies = dump["objects"]["conditionalAccessPolicy"].as_object();
    let stands = |context: &Value| {
        policies.into_iter().flatten().any(|(_, policy)| {
            let named = &policy["conditions"]["applications"];
            let named = named["includeAuthenticationContextClassReferences"].as_array();
            policy["state"] == "enabled" && named.is_some_and(|named| named.contains(context))
        })
    };
    let actions = dump["protectedActions"].as_object();
    let open = actions.into_iter().flatten();
    let open = open.filter(|(_, context)| !stands(context));
    open.map(|(action, _)| action.clone()).collect()
}

/// Looks at the tenant before each request, and remembers what must not be.
fn watched(simulator: &Simulator) -> Arc<Mutex<Vec<String>>> {
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&wrong);
    simulator.on_request(Box::new(move |request, simulator| {
        let open = asked_without_end(&simulator.dump(TENANT));
        if !open.is_empty() {
            let (method, path) = (&request.method, &request.path);
            seen.lock()
                .push(format!("before {method} {path}: {open:?}"));
        }
    }));
    wrong
}

/// A tenant with nothing of the defence, in which few could delete for good.
async fn bare() -> anyhow::Result<(Sandbox, graph::GraphWriter, Vec<String>)> {
    let (sandbox, hand, spared) = scene().await?;
    few_people(&hand).await?;
    Ok((sandbox, hand, spared))
}

fn actions(steps: &[PlanStep]) -> Vec<StepAction> {
    steps.iter().map(PlanStep::action).collect()
}

#[tokio::test]
async fn a_bare_tenant_is_guarded_by_one_plan_and_a_second_does_nothing() -> anyhow::Result<()> {
    let (sandbox, _, spared) = bare().await?;
    let before = sandbox.simulator.dump(TENANT);
    let (plan, steps, exclusions) = sandbox.protect(RULE).await?;
    assert_eq!(sandbox.simulator.dump(TENANT), before);
    use StepAction::{Create, Protect, Update};
    let mut expected = vec![Create, Create, Update, Create, Update];
    expected.extend([Protect; 6]);
    assert_eq!(actions(&steps), expected);
    assert_eq!(exclusions, []);
    assert_eq!(plan.state(), PlanState::Ready);
    let protection = plan.protection.clone().unwrap_or_default();
    assert_eq!(protection.device_filter, RULE);
    assert_eq!((plan.snapshot.as_str(), plan.report.as_str()), ("", ""));

    let wrong = watched(&sandbox.simulator);
    let restore = sandbox.apply(&plan.name).await?;
    sandbox.simulator.clear_hook();
    assert_eq!(*wrong.lock(), Vec::<String>::new());
    let outcomes = sandbox.outcomes(&restore.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded, "{outcomes:#?}");
    assert!(restore.verified, "{restore:#?}");
    assert_eq!(restore.applied, 11);

    let found = posture(&sandbox).await?;
    assert_eq!(found.score, 100, "{found:#?}");
    let dump = sandbox.simulator.dump(TENANT);
    let ours = ids(&sandbox, "conditionalAccessPolicy", |body| {
        body["displayName"]
            .as_str()
            .is_some_and(|name| name.starts_with("High-Security Ops (c"))
    });
    assert_eq!(ours.len(), 2);
    for id in ours {
        let policy = &dump["objects"]["conditionalAccessPolicy"][&id];
        let mut left_out: Vec<String> =
            serde_json::from_value(policy["conditions"]["users"]["excludeUsers"].clone())?;
        left_out.sort();
        let mut spared = spared.clone();
        spared.sort();
        assert_eq!((left_out, &policy["state"]), (spared, &json!("enabled")));
    }

    let (second, steps, exclusions) = sandbox.protect(RULE).await?;
    assert_eq!((steps, exclusions), (vec![], vec![]));
    let nothing = sandbox.apply(&second.name).await?;
    assert_eq!(nothing.state(), RestoreState::Succeeded);
    assert_eq!(sandbox.simulator.dump(TENANT), dump);
    Ok(())
}

#[tokio::test]
async fn an_undo_takes_the_assignment_first_and_leaves_the_context() -> anyhow::Result<()> {
    let (sandbox, ..) = bare().await?;
    let before = sandbox.simulator.dump(TENANT);
    let (plan, ..) = sandbox.protect(RULE).await?;
    let restore = sandbox.apply(&plan.name).await?;
    let (undo, steps, exclusions) = sandbox.undo(&restore.name).await?;
    use StepAction::{Protect, SoftDelete, Update};
    let mut expected = vec![Protect; 6];
    expected.extend([Update, SoftDelete, Update, SoftDelete]);
    assert_eq!(actions(&steps), expected);
    let [left] = &exclusions[..] else {
        panic!("{exclusions:?}");
    };
    assert_eq!(left.obstacle(), Obstacle::NotSoftDeletable);
    assert!(left.detail.contains("never deleted"), "{}", left.detail);

    let wrong = watched(&sandbox.simulator);
    let undone = sandbox.apply(&undo.name).await?;
    sandbox.simulator.clear_hook();
    assert_eq!(*wrong.lock(), Vec::<String>::new());
    let outcomes = sandbox.outcomes(&undone.name).await?;
    assert_eq!(
        (undone.applied, undone.verified),
        (10, true),
        "{outcomes:#?}"
    );
    let after = sandbox.simulator.dump(TENANT);
    assert_eq!(after["protectedActions"], before["protectedActions"]);
    let policies = |dump: &Value| dump["objects"]["conditionalAccessPolicy"].clone();
    assert_eq!(policies(&after), policies(&before));

    // What is left of it is used by the next plan.
    let (_, steps, _) = sandbox.protect("").await?;
    use StepAction::Create;
    let mut expected = vec![Create, Update];
    expected.extend([Protect; 6]);
    assert_eq!(actions(&steps), expected);
    Ok(())
}

#[tokio::test]
async fn a_second_person_has_to_agree_where_the_tenant_asks_for_one() -> anyhow::Result<()> {
    let (sandbox, ..) = bare().await?;
    require(&sandbox, "on").await?;
    let (plan, ..) = sandbox.protect(RULE).await?;
    assert!(!plan.approval_required.is_empty());
    let refused = sandbox.apply(&plan.name).await.err();
    let refused = refused.as_ref().map(reason);
    assert_eq!(refused.as_deref(), Some("APPROVAL_REQUIRED"));
    approve(&sandbox, &plan.name, &plan.hash).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    assert_eq!(posture(&sandbox).await?.score, 100);
    Ok(())
}

#[test]
fn what_the_application_may_not_do_a_person_is_told() -> anyhow::Result<()> {
    testkit::time::run(STEP, async {
        let (sandbox, hand, _) = bare().await?;
        // By its token it could, and Graph refuses all the same.
        let (plan, steps, _) = sandbox.protect(RULE).await?;
        let refused = FaultResponse::Status {
            code: 403,
            retry_after: None,
        };
        let path = format!("{ACTIONS}/*");
        sandbox
            .simulator
            .inject(Fault::once("PATCH", &path, refused).times(6));
        let restore = sandbox.apply(&plan.name).await?;
        assert_eq!(restore.state(), RestoreState::SucceededWithWarnings);
        assert_eq!((restore.applied, restore.failed), (5, 6));
        let outcomes = sandbox.outcomes(&restore.name).await?;
        let failed = outcomes
            .iter()
            .find(|one| one.state() == OutcomeState::Failed);
        let detail = failed.map(|one| one.detail.clone()).unwrap_or_default();
        for part in [
            "Roles & admins > Protected actions",
            "PATCH /beta/roleManagement/directory/",
            "{\"authenticationContextId\":\"c",
        ] {
            assert!(detail.contains(part), "{detail}");
        }
        // The person does as told.
        for step in steps.iter().filter(|it| it.action() == StepAction::Protect) {
            patch(
                &hand,
                step.path.clone(),
                serde_json::from_str(step.body_json())?,
            )
            .await?;
        }
        assert_eq!(posture(&sandbox).await?.score, 100);

        // By its token it could not.
        let mut spec = TenantSpec::practice(TENANT);
        let mut writer = spec.apps.iter_mut();
        let writer = writer.find(|app| app.client_id == simulator::WRITER_CLIENT_ID);
        let writer = writer.expect("it is there");
        assert!(writer.roles.remove("RoleManagement.ReadWrite.Directory"));
        writer
            .roles
            .insert("RoleManagement.Read.Directory".to_owned());
        sandbox.simulator.add_tenant(spec).populate(&POPULATION);
        sandbox.simulator.expire_tokens();
        let (plan, steps, exclusions) = sandbox.protect(RULE).await?;
        assert_eq!((steps.len(), exclusions.len()), (5, 6));
        for one in &exclusions {
            assert_eq!(one.obstacle(), Obstacle::ByHand);
            assert!(one.detail.contains("RoleManagement.ReadWrite.Directory"));
        }
        let restore = sandbox.apply(&plan.name).await?;
        assert_eq!(restore.applied, 5);
        assert_eq!(restore.open_matters.len(), 6);
        assert_eq!(restore.state(), RestoreState::SucceededWithWarnings);
        Ok(())
    })
}

#[test]
fn what_changed_since_the_plan_is_a_conflict() -> anyhow::Result<()> {
    testkit::time::run(STEP, async {
        let (sandbox, hand, spared) = bare().await?;
        let (plan, steps, _) = sandbox.protect(RULE).await?;
        // Somebody else protects one action, by a context that stands.
        defend(&hand, &spared).await?;
        for step in steps.iter().filter(|it| it.action() == StepAction::Protect) {
            let name = &step.attributes[0].path;
            if name != "microsoft.directory/namedLocations/delete" {
                let none = json!({"authenticationContextId": null});
                patch(&hand, step.path.clone(), none).await?;
            }
        }
        // And the policy that is made is switched off before anything is protected by it.
        let twice = Arc::new(Mutex::new(false));
        let off = Arc::clone(&twice);
        sandbox
            .simulator
            .on_request(Box::new(move |request, simulator| {
                let protects = request.method == "PATCH" && request.path.starts_with(ACTIONS);
                *off.lock() |= protects && !asked_without_end(&simulator.dump(TENANT)).is_empty();
            }));
        let restore = sandbox.apply(&plan.name).await?;
        sandbox.simulator.clear_hook();
        assert!(!*twice.lock());
        assert_eq!((restore.applied, restore.conflicts), (10, 1));
        let outcomes = sandbox.outcomes(&restore.name).await?;
        let conflict = outcomes
            .iter()
            .find(|one| one.state() == OutcomeState::Conflict);
        let detail = conflict.map(|one| one.detail.clone()).unwrap_or_default();
        assert!(detail.contains("is protected by c5"), "{detail}");
        Ok(())
    })
}

#[test]
fn nothing_is_protected_by_a_context_whose_policy_was_switched_off() -> anyhow::Result<()> {
    testkit::time::run(STEP, async {
        let (sandbox, hand, spared) = bare().await?;
        defend(&hand, &spared).await?;
        let bare_action = json!({"authenticationContextId": null});
        let path = format!("{ACTIONS}/microsoft.directory-deletedItems-delete-delete");
        patch(&hand, path, bare_action).await?;
        let (plan, steps, _) = sandbox.protect(RULE).await?;
        assert_eq!(actions(&steps), [StepAction::Protect]);
        for policy in ids(&sandbox, "conditionalAccessPolicy", |body| {
            body["conditions"]["applications"]["includeAuthenticationContextClassReferences"]
                == json!(["c5"])
        }) {
            let off = json!({"state": "disabled"});
            patch(&hand, format!("{POLICIES}/{policy}"), off).await?;
        }
        let restore = sandbox.apply(&plan.name).await?;
        assert_eq!((restore.applied, restore.conflicts), (0, 1));
        let dump = sandbox.simulator.dump(TENANT);
        assert_eq!(dump["protectedActions"].get(HARD_DELETE), None);
        Ok(())
    })
}

#[test]
fn nothing_is_taken_away_under_an_action_that_a_person_protected() -> anyhow::Result<()> {
    testkit::time::run(STEP, async {
        let (sandbox, hand, _) = bare().await?;
        let snapshot = sandbox.snapshot().await?;
        let (plan, steps, _) = sandbox.protect(RULE).await?;
        let refused = FaultResponse::Status {
            code: 403,
            retry_after: None,
        };
        let path = format!("{ACTIONS}/*");
        sandbox
            .simulator
            .inject(Fault::once("PATCH", &path, refused).times(6));
        let restore = sandbox.apply(&plan.name).await?;
        assert_eq!((restore.applied, restore.failed), (5, 6));
        for step in steps.iter().filter(|it| it.action() == StepAction::Protect) {
            let body = serde_json::from_str(step.body_json())?;
            patch(&hand, step.path.clone(), body).await?;
        }
        let protected = sandbox.simulator.dump(TENANT);

        // Neither the way back nor a restore to the time before leaves an action with
        // nothing behind it.
        let wrong = watched(&sandbox.simulator);
        let (undo, ..) = sandbox.undo(&restore.name).await?;
        sandbox.apply(&undo.name).await?;
        let (back, ..) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
        let restored = sandbox.apply(&back.name).await?;
        sandbox.simulator.clear_hook();
        assert_eq!(*wrong.lock(), Vec::<String>::new());
        let outcomes = sandbox.outcomes(&restored.name).await?;
        assert!(
            outcomes
                .iter()
                .any(|one| one.state() == OutcomeState::Conflict
                    && one.detail.contains("behind which nothing else stands")),
            "{outcomes:#?}"
        );
        let dump = sandbox.simulator.dump(TENANT);
        assert_eq!(dump["protectedActions"], protected["protectedActions"]);
        assert_eq!(asked_without_end(&dump), Vec::<String>::new());
        Ok(())
    })
}

#[tokio::test]
async fn a_plan_for_other_break_glass_accounts_is_of_no_use() -> anyhow::Result<()> {
    let (sandbox, _, spared) = bare().await?;
    let (plan, ..) = sandbox.protect(RULE).await?;
    // One more: one less would wait for a second person.
    let users = crate::restore::ids(&sandbox, "user", crate::restore::cloud_user);
    let another = users.into_iter().find(|user| !spared.contains(user));
    let request = UpdateTenantRequest {
        name: parent(),
        break_glass: Some(BreakGlassAccounts {
            ids: spared.iter().cloned().chain(another).collect(),
        }),
        request_id: sandbox.request_id(),
        ..UpdateTenantRequest::default()
    };
    let mut tenants =
        proto::v1::tenant_service_client::TenantServiceClient::new(sandbox.door.clone());
    tenants.update_tenant(request).await?;
    let before = sandbox.simulator.dump(TENANT);
    let refused = sandbox.apply(&plan.name).await.err();
    assert_eq!(refused.as_ref().map(reason).as_deref(), Some("PLAN_STALE"));
    assert_eq!(sandbox.simulator.dump(TENANT), before);
    Ok(())
}

#[tokio::test]
async fn without_break_glass_accounts_nothing_is_written() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&POPULATION);
    sandbox.register(sandbox.registration()).await?;
    let (_, steps, exclusions) = sandbox.protect("").await?;
    assert_eq!(steps, []);
    let refused = |one: &Exclusion| one.obstacle() == Obstacle::LockoutRisk;
    assert!(!exclusions.is_empty() && exclusions.iter().all(refused));
    let request = || PlanProtectionRequest {
        parent: parent(),
        accepted_risks: vec![Risk::Lockout as i32],
        request_id: sandbox.request_id(),
        ..PlanProtectionRequest::default()
    };
    let (plan, steps, _) = sandbox.protect_as(request()).await?;
    assert_eq!(steps.len(), 9);
    let named = plan.options.clone().unwrap_or_default().accepted_risks;
    assert_eq!(named, [Risk::Lockout as i32]);
    assert!(plan.risks.iter().any(|risk| risk.contains("accepted")));

    // The same request leads to the same plan, and a rule that lets others in to none.
    let again = request();
    let first = sandbox.protect_as(again.clone()).await?.0;
    assert_eq!(sandbox.protect_as(again).await?.0.name, first.name);
    let wrong = sandbox
        .protect("device.extensionAttribute1 -ne \"PAW\"")
        .await;
    let wrong = wrong.err();
    assert_eq!(
        wrong.as_ref().map(reason).as_deref(),
        Some("INVALID_ARGUMENT")
    );
    // A reader may not ask for a plan.
    let mut reader = ProtectionServiceClient::new(sandbox.second.clone());
    let denied = reader.plan_protection(request()).await.err();
    assert_eq!(denied.map(|it| it.code()), Some(Code::PermissionDenied));
    Ok(())
}

#[tokio::test]
async fn a_weakening_between_two_days_is_kept_and_told_once() -> anyhow::Result<()> {
    let (sandbox, hand, _) = bare().await?;
    let (plan, ..) = sandbox.protect(RULE).await?;
    sandbox.apply(&plan.name).await?;
    let vault = vault(&sandbox).await?;
    let today = SystemClock.now();
    let yesterday = today - TimeDelta::days(1);
    let slots = [yesterday, today].map(|day| slot::daily(day.date_naive()));
    let told = async |slot: &str| -> anyhow::Result<bool> {
        let names = vault.list_names(Area::Posture, slot).await?;
        Ok(names.iter().any(|name| name == "told"))
    };
    a_day(&sandbox, yesterday, async || told(slots[0].as_str()).await).await?;
    let context = ids_of_contexts(&sandbox);
    let off = json!({"isAvailable": false});
    patch(&hand, format!("{CONTEXTS}/{context}"), off).await?;
    a_day(&sandbox, today, async || told(slots[1].as_str()).await).await?;

    let mut client = ProtectionServiceClient::new(sandbox.door.clone());
    let page = |page_size: i32, page_token: String| ListPosturesRequest {
        parent: parent(),
        page_size,
        page_token,
    };
    let first = client
        .list_postures(page(1, String::new()))
        .await?
        .into_inner();
    let second = client
        .list_postures(page(1, first.next_page_token.clone()))
        .await?
        .into_inner();
    assert_eq!(second.next_page_token, "");
    let names: Vec<&str> = first
        .postures
        .iter()
        .chain(&second.postures)
        .map(|posture| posture.snapshot.rsplit('/').next().unwrap_or_default())
        .collect();
    assert_eq!(names, [slots[1].as_str(), slots[0].as_str()]);
    assert_eq!(second.postures[0].score, 100);
    let kept = |snapshot: &str| GetPostureRequest {
        parent: parent(),
        snapshot: snapshot.to_owned(),
    };
    for snapshot in ["latest", slots[1].as_str(), &first.postures[0].snapshot] {
        let found = client.get_posture(kept(snapshot)).await?.into_inner();
        assert_eq!(found.posture.as_ref(), first.postures.first());
    }
    let unknown = client.get_posture(kept("20200101-daily")).await.err();
    assert_eq!(unknown.map(|it| it.code()), Some(Code::NotFound));

    let found = with(&first.postures[0], PostureStatus::Finding);
    let all = signals(&sandbox).await?;
    let raised: Vec<&Signal> = all
        .iter()
        .filter(|it| it.rule == "protection-weakened")
        .collect();
    assert_eq!(raised.len(), found.len(), "{raised:#?}");
    let of_context = raised
        .iter()
        .find(|it| it.name.ends_with("-protection-weakened-context-published"))
        .expect("it is told");
    assert_eq!(of_context.source(), SignalSource::Posture);
    assert_eq!(of_context.severity(), Severity::High);
    for part in ["is published.", "is not published to applications."] {
        assert!(of_context.description.contains(part), "{of_context:?}");
    }
    Ok(())
}

fn ids_of_contexts(sandbox: &Sandbox) -> String {
    let dump = sandbox.simulator.dump(TENANT);
    let held = dump["protectedActions"][HARD_DELETE].as_str();
    held.unwrap_or_default().to_owned()
}

/// The policies of a set as a tenant has them: templates keep theirs one level down, with
/// the name beside it and without a state.
fn live(set: &std::path::Path) -> anyhow::Result<Value> {
    let v1 = set.join("conditionalAccessPolicies.v1.json");
    let own = match v1.is_file() {
        true => v1,
        false => set.join("conditionalAccessPolicies.json"),
    };
    let read: Value = serde_json::from_str(&std::fs::read_to_string(own)?)?;
    let policies = read["value"].as_array().or(read.as_array());
    let policies = policies.into_iter().flatten().map(|policy| {
        let mut body = policy.get("details").unwrap_or(policy).clone();
        if let Some(name) = policy.get("name") {
            body["displayName"] = name.clone();
            body["id"] = policy["id"].clone();
            body["state"] = json!("enabled");
        }
        body
    });
    Ok(policies.collect())
}

#[tokio::test]
async fn real_policies_get_a_posture_and_a_plan() -> anyhow::Result<()> {
    let Some(data) = shared::data() else {
        return Ok(());
    };
    for set in [
        "Azure-Samples-azure-ad-conditional-access-apis",
        "DataGuys-ConditionalAccessAnalyzer",
        "j0eyv-ConditionalAccessBaseline",
    ] {
        let (sandbox, ..) = bare().await?;
        let path = data.join("ca").join(set);
        let folder = tempfile::tempdir()?;
        let policies = folder.path().join("conditionalAccessPolicies.json");
        std::fs::write(&policies, live(&path)?.to_string())?;
        let others = ["groups.v1.json", "namedLocations.v1.json"].map(|name| path.join(name));
        for part in others.iter().chain([&policies]) {
            if part.is_file() {
                let report = sandbox.tenant.load(part)?;
                shared::say(&format!("{}: {report:?}", part.display()));
            }
        }
        let before = ids(&sandbox, "conditionalAccessPolicy", |_| true);
        let found = posture(&sandbox).await?;
        assert_eq!(with(&found, PostureStatus::NotKnown), Vec::<&str>::new());
        let (plan, steps, exclusions) = sandbox.protect(RULE).await?;
        assert!(!steps.is_empty(), "{set}: {exclusions:#?}");
        let restore = sandbox.apply(&plan.name).await?;
        let outcomes = sandbox.outcomes(&restore.name).await?;
        assert_eq!(
            restore.state(),
            RestoreState::Succeeded,
            "{set}: {outcomes:#?}"
        );
        assert_eq!(posture(&sandbox).await?.score, 100, "{set}");
        let after = ids(&sandbox, "conditionalAccessPolicy", |_| true);
        assert_eq!(after.len(), before.len() + 2, "{set}");
    }
    Ok(())
}
