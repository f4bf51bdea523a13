//! What a restore must not do: overwrite what changed in between, write a
//! policy with a reference dropped, delete what nobody asked to delete.

use std::sync::Arc;

use graph::{DirectoryWriter, GraphWriter};
use model::ObjectType;
use model::call::{Call, HttpMethod};
use proto::v1::*;
use serde_json::{Value, json};
use simulator::Population;
use store::object_store::memory::InMemory;

use crate::sandbox::{self, Sandbox, TENANT};

/// A registered tenant with a snapshot, and an application that may do anything.
pub(crate) async fn scene() -> anyhow::Result<(Sandbox, Snapshot, GraphWriter)> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&Population {
        users: 40,
        groups: 12,
        seed: 4,
    });
    sandbox.register(sandbox.registration()).await?;
    let snapshot = sandbox.snapshot().await?;
    let intruder = sandbox::intruder(&sandbox.graph)?;
    Ok((sandbox, snapshot, intruder))
}

pub(crate) async fn write(
    intruder: &GraphWriter,
    method: HttpMethod,
    path: String,
    body: Option<Value>,
) -> anyhow::Result<Option<Value>> {
    Ok(intruder.write(&Call { method, path, body }).await?)
}

pub(crate) async fn patch(intruder: &GraphWriter, path: String, body: Value) -> anyhow::Result<()> {
    write(intruder, HttpMethod::Patch, path, Some(body))
        .await
        .map(|_| ())
}

/// Ids of live objects of a type for which a predicate holds, from the
/// simulator's own state.
pub(crate) fn ids(
    sandbox: &Sandbox,
    graph_type: &str,
    holds: impl Fn(&Value) -> bool,
) -> Vec<String> {
    let dump = sandbox.simulator.dump(TENANT);
    let objects = dump["objects"][graph_type]
        .as_object()
        .cloned()
        .unwrap_or_default();
    objects
        .into_iter()
        .filter(|(_, body)| holds(body))
        .map(|(id, _)| id)
        .collect()
}

pub(crate) fn cloud_user(body: &Value) -> bool {
    body["onPremisesSyncEnabled"] != json!(true) && body["userType"] == json!("Member")
}

pub(crate) fn property(sandbox: &Sandbox, graph_type: &str, id: &str, name: &str) -> Value {
    sandbox.simulator.dump(TENANT)["objects"][graph_type][id][name].clone()
}

#[tokio::test]
async fn what_changed_after_the_plan_is_a_conflict_and_stays() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let users = ids(&sandbox, "user", cloud_user);
    let [first, second] = &users[..2] else {
        anyhow::bail!("two users are needed")
    };
    for user in [first, second] {
        patch(
            &intruder,
            format!("/users/{user}"),
            json!({"jobTitle": "Changed"}),
        )
        .await?;
    }
    let (plan, steps, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(steps.len(), 2);
    patch(
        &intruder,
        format!("/users/{first}"),
        json!({"jobTitle": "Changed again"}),
    )
    .await?;

    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::SucceededWithWarnings);
    assert_eq!(
        (restore.applied, restore.conflicts, restore.failed),
        (1, 1, 0)
    );
    assert!(
        !restore.verified
            && restore
                .unexpected
                .iter()
                .any(|sentence| sentence.contains(first.as_str())),
        "{:?}",
        restore.unexpected
    );
    assert_eq!(
        property(&sandbox, "user", first, "jobTitle"),
        json!("Changed again"),
        "what changed in between stays"
    );
    assert_ne!(
        property(&sandbox, "user", second, "jobTitle"),
        json!("Changed"),
        "the others go on"
    );

    let again = sandbox.apply(&plan.name).await?;
    assert_eq!(
        again, restore,
        "a finished restore is shown, not done again"
    );
    Ok(())
}

#[tokio::test]
async fn a_policy_whose_exclusion_is_lost_is_left_alone() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let users = ids(&sandbox, "user", cloud_user);
    let [lost, bystander] = &users[..2] else {
        anyhow::bail!("two users are needed")
    };
    let policy = json!({"displayName": "Guarded", "state": "enabled", "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"], "excludeUsers": [lost]}}});
    let made = write(
        &intruder,
        HttpMethod::Post,
        "/identity/conditionalAccess/policies".to_owned(),
        Some(policy),
    )
    .await?;
    let policy = made
        .and_then(|body| body["id"].as_str().map(str::to_owned))
        .unwrap_or_default();
    let snapshot = sandbox.snapshot().await?;

    let path = format!("/identity/conditionalAccess/policies/{policy}");
    let open = json!({"conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
        "users": {"includeUsers": [bystander], "excludeUsers": []}}});
    patch(&intruder, path, open.clone()).await?;
    patch(
        &intruder,
        format!("/users/{bystander}"),
        json!({"jobTitle": "Changed"}),
    )
    .await?;
    purge(&sandbox, lost).await?;

    let (plan, steps, exclusions) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let refused = exclusions
        .iter()
        .find(|exclusion| exclusion.obstacle() == Obstacle::UnresolvedReference)
        .expect("the policy is refused");
    assert_eq!(refused.object.clone().unwrap_or_default().id, policy);
    assert!(refused.detail.contains(lost.as_str()), "{}", refused.detail);
    assert!(
        steps
            .iter()
            .all(|step| step.object.clone().unwrap_or_default().id != policy),
        "{steps:#?}"
    );

    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        (restore.state(), restore.applied, restore.verified),
        (RestoreState::SucceededWithWarnings, 1, true),
        "{:?}",
        restore.unexpected
    );
    assert!(
        restore
            .open_matters
            .iter()
            .any(|matter| matter.contains(&policy)),
        "{:?}",
        restore.open_matters
    );
    let after = property(&sandbox, "conditionalAccessPolicy", &policy, "conditions");
    assert_eq!(
        after["users"]["includeUsers"], open["conditions"]["users"]["includeUsers"],
        "not a word of it was written"
    );
    Ok(())
}

/// Deletes a user for good.
pub(crate) async fn purge(sandbox: &Sandbox, user: &str) -> anyhow::Result<()> {
    destroy(sandbox, "users", "directory/deletedItems", user).await
}

/// Deletes an object and empties it out of its bin, which the product's own client
/// refuses to do.
pub(crate) async fn destroy(
    sandbox: &Sandbox,
    list: &str,
    bin: &str,
    id: &str,
) -> anyhow::Result<()> {
    let base = sandbox.graph.url();
    let form = [
        ("client_id", simulator::INTRUDER_CLIENT_ID),
        ("client_secret", simulator::INTRUDER_SECRET),
        ("grant_type", "client_credentials"),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let http = reqwest::Client::builder().no_proxy().build()?;
    let token: Value = http
        .post(format!("{base}/{TENANT}/oauth2/v2.0/token"))
        .form(&form)
        .send()
        .await?
        .json()
        .await?;
    let token = token["access_token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for path in [format!("{list}/{id}"), format!("{bin}/{id}")] {
        http.delete(format!("{base}/v1.0/{path}"))
            .bearer_auth(&token)
            .send()
            .await?
            .error_for_status()?;
    }
    Ok(())
}

#[tokio::test]
async fn added_objects_stay_unless_asked() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let domain = ids(&sandbox, "user", cloud_user)
        .first()
        .map(|id| property(&sandbox, "user", id, "userPrincipalName"));
    let domain = domain
        .as_ref()
        .and_then(Value::as_str)
        .and_then(|name| name.split('@').nth(1))
        .unwrap_or_default()
        .to_owned();
    let new = json!({"accountEnabled": true, "displayName": "New hire", "mailNickname": "new.hire", "userPrincipalName": format!("new.hire@{domain}"),
        "passwordProfile": {"password": "a-Passw0rd-of-the-tests", "forceChangePasswordNextSignIn": true}});
    let made = write(&intruder, HttpMethod::Post, "/users".to_owned(), Some(new)).await?;
    let id = made
        .and_then(|body| body["id"].as_str().map(str::to_owned))
        .unwrap_or_default();

    let keep = CreatePlanRequest {
        options: None,
        ..sandbox.rollback(&snapshot.name)
    };
    let (plan, steps, exclusions) = sandbox.plan(keep).await?;
    assert_eq!(steps, []);
    assert_eq!(
        exclusions
            .iter()
            .map(|exclusion| exclusion.obstacle())
            .collect::<Vec<_>>(),
        [Obstacle::AddedKept]
    );
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        (restore.state(), restore.verified),
        (RestoreState::Succeeded, true),
        "{:?}",
        restore.unexpected
    );
    assert_eq!(
        property(&sandbox, "user", &id, "displayName"),
        json!("New hire")
    );

    let (plan, steps, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(
        steps.iter().map(PlanStep::action).collect::<Vec<_>>(),
        [StepAction::SoftDelete]
    );
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        restore.state(),
        RestoreState::Succeeded,
        "{:?}",
        restore.unexpected
    );
    let dump = sandbox.simulator.dump(TENANT);
    assert_eq!(
        dump["deleted"]["user"][&id]["displayName"],
        json!("New hire"),
        "it is in the recycle bin, not gone"
    );
    Ok(())
}

#[tokio::test]
async fn a_scope_leaves_the_rest_alone() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let users = ids(&sandbox, "user", cloud_user);
    let [mine, other] = &users[..2] else {
        anyhow::bail!("two users are needed")
    };
    for user in [mine, other] {
        patch(
            &intruder,
            format!("/users/{user}"),
            json!({"department": "Changed"}),
        )
        .await?;
    }
    let scope = Scope {
        types: vec![ObjectType::User.to_string()],
        ids: vec![mine.clone()],
    };
    let request = CreatePlanRequest {
        scope: Some(scope),
        ..sandbox.rollback(&snapshot.name)
    };
    let (plan, steps, _) = sandbox.plan(request).await?;
    assert_eq!(steps.len(), 1);
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        restore.state(),
        RestoreState::Succeeded,
        "{:?}",
        restore.unexpected
    );
    assert_eq!(
        property(&sandbox, "user", other, "department"),
        json!("Changed")
    );
    assert_ne!(
        property(&sandbox, "user", mine, "department"),
        json!("Changed")
    );
    Ok(())
}
