//! What lies around users, groups and applications comes back too: grants,
//! assignments, credentials, units, and the policies that a tenant has one of.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{Directory, GraphWriter, Query};
use model::call::HttpMethod;
use model::{ObjectId, ObjectType};
use proto::v1::*;
use serde_json::{Value, json};
use simulator::attack::{self, AttackTarget};
use simulator::{Population, live_differences};
use store::object_store::memory::InMemory;

use crate::restore::{ids, patch, scene, write};
use crate::sandbox::{self, Sandbox, TENANT};

async fn post(intruder: &GraphWriter, path: String, body: Value) -> anyhow::Result<Value> {
    let made = write(intruder, HttpMethod::Post, path, Some(body)).await?;
    Ok(made.unwrap_or_default())
}

async fn delete(intruder: &GraphWriter, path: String) -> anyhow::Result<()> {
    write(intruder, HttpMethod::Delete, path, None)
        .await
        .map(drop)
}

/// The items of the first page of a list.
async fn list(intruder: &GraphWriter, query: Query) -> anyhow::Result<Vec<Value>> {
    let page = intruder.page(&query, None).await?;
    let items = page
        .items
        .iter()
        .map(|item| serde_json::from_str(item.get()));
    Ok(items.collect::<Result<_, _>>()?)
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// The first service principal that gave a role to somebody, and what it gave.
async fn given(sandbox: &Sandbox, intruder: &GraphWriter) -> anyhow::Result<(String, Value)> {
    for resource in ids(sandbox, "servicePrincipal", |_| true) {
        let query = Query::Contained(ObjectType::AppRoleAssignment, ObjectId::parse(&resource)?);
        if let Some(first) = list(intruder, query).await?.into_iter().next() {
            return Ok((resource, first));
        }
    }
    anyhow::bail!("somebody holds an app role")
}

/// Plans, applies, and compares the whole tenant with what it was.
async fn back(sandbox: &Sandbox, snapshot: &Snapshot, before: &Value) -> anyhow::Result<Restore> {
    let (plan, steps, exclusions) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(plan.drift, Vec::<String>::new());
    assert!(!steps.is_empty());
    assert_eq!(exclusions, [], "everything can come back");
    let restore = sandbox.apply(&plan.name).await?;
    let bad: Vec<Outcome> = sandbox
        .outcomes(&restore.name)
        .await?
        .into_iter()
        .filter(|one| {
            one.state() != OutcomeState::Applied && one.state() != OutcomeState::AlreadyDone
        })
        .collect();
    assert_eq!(bad, []);
    let (_, left) = sandbox.report(&snapshot.name).await?;
    assert_eq!(left, [], "nothing is left");
    assert_eq!(
        (
            restore.state(),
            &restore.unexpected[..],
            &restore.meanwhile[..]
        ),
        (RestoreState::Succeeded, &[][..], &[][..])
    );
    let after = sandbox.simulator.dump(TENANT);
    assert_eq!(live_differences(before, &after), Vec::<String>::new());
    Ok(restore)
}

#[tokio::test]
async fn a_strike_at_what_lies_around_is_undone() -> anyhow::Result<()> {
    let (sandbox, snapshot, _) = scene().await?;
    let before = sandbox.simulator.dump(TENANT);
    let target = AttackTarget::practice(&sandbox.graph.url(), TENANT);
    let deeds = attack::run_beyond(&target).await?;
    let struck: BTreeSet<&str> = deeds.iter().map(|deed| deed.object_type.as_str()).collect();
    assert!(struck.len() >= 9, "{struck:?}");
    back(&sandbox, &snapshot, &before).await?;
    Ok(())
}

#[tokio::test]
async fn what_was_taken_away_is_made_anew() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let before = sandbox.simulator.dump(TENANT);
    let first = |section: &str| {
        let section = before[section].as_object().cloned().unwrap_or_default();
        section.keys().next().cloned().unwrap_or_default()
    };
    delete(
        &intruder,
        format!(
            "/oauth2PermissionGrants/{}",
            first("oAuth2PermissionGrants")
        ),
    )
    .await?;
    let (resource, held) = given(&sandbox, &intruder).await?;
    let held = text(&held, "id");
    delete(
        &intruder,
        format!("/servicePrincipals/{resource}/appRoleAssignedTo/{held}"),
    )
    .await?;
    let roles = list(&intruder, Query::Objects(ObjectType::RoleAssignment)).await?;
    for role in &roles[..2] {
        let path = format!(
            "/roleManagement/directory/roleAssignments/{}",
            text(role, "id")
        );
        delete(&intruder, path).await?;
    }
    let federated = first("federatedIdentityCredentials");
    let (application, name) = federated.split_once('/').unwrap_or_default();
    let path = format!("/applications/{application}/federatedIdentityCredentials");
    let trusted = ObjectId::parse(application)?;
    let trusted = Query::Contained(ObjectType::FederatedIdentityCredential, trusted);
    let trusted = list(&intruder, trusted).await?;
    let mut others = trusted.iter().filter(|one| text(one, "name") != name);
    let one = trusted.iter().find(|one| text(one, "name") == name);
    delete(
        &intruder,
        format!("{path}/{}", text(one.unwrap_or(&Value::Null), "id")),
    )
    .await?;
    // Another in its place, under its name.
    let rogue = json!({"name": name, "issuer": "https://evil.example", "subject": "x",
        "audiences": ["api://AzureADTokenExchange"]});
    post(&intruder, path.clone(), rogue).await?;
    if let Some(other) = others.next() {
        let body = json!({"subject": "somebody else"});
        patch(&intruder, format!("{path}/{}", text(other, "id")), body).await?;
    }
    back(&sandbox, &snapshot, &before).await?;
    Ok(())
}

#[tokio::test]
async fn what_stands_there_again_is_not_made_twice() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let before = sandbox.simulator.dump(TENANT);
    let (resource, held) = given(&sandbox, &intruder).await?;
    let path = format!("/servicePrincipals/{resource}/appRoleAssignedTo");
    delete(&intruder, format!("{path}/{}", text(&held, "id"))).await?;
    let (plan, steps, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(
        steps.iter().map(PlanStep::action).collect::<Vec<_>>(),
        [StepAction::MakeAnew]
    );
    // As after a request whose answer was lost: it is there, under another id.
    let body: Value = serde_json::from_str(steps[0].body_json())?;
    let made = post(&intruder, path, body).await?;
    assert_ne!(made["id"], held["id"]);
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        (restore.state(), restore.applied, restore.already_done),
        (RestoreState::Succeeded, 0, 1)
    );
    let after = sandbox.simulator.dump(TENANT);
    assert_eq!(live_differences(&before, &after), Vec::<String>::new());
    let query = Query::Contained(ObjectType::AppRoleAssignment, ObjectId::parse(&resource)?);
    let alike = list(&intruder, query).await?;
    let alike = alike.iter().filter(|one| {
        one["principalId"] == held["principalId"] && one["appRoleId"] == held["appRoleId"]
    });
    assert_eq!(alike.count(), 1);
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_a_deleted_principal_comes_back_with_it() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let before = sandbox.simulator.dump(TENANT);
    let (resource, held) = given(&sandbox, &intruder).await?;
    // Removed first, so that the recycle bin does not bring it back.
    let path = format!("/servicePrincipals/{resource}/appRoleAssignedTo");
    delete(&intruder, format!("{path}/{}", text(&held, "id"))).await?;
    delete(&intruder, format!("/servicePrincipals/{resource}")).await?;
    back(&sandbox, &snapshot, &before).await?;
    Ok(())
}

#[tokio::test]
async fn added_credentials_are_removed_and_lost_ones_named() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let before = sandbox.simulator.dump(TENANT);
    let applications = ids(&sandbox, "application", |_| true);
    let principals = ids(&sandbox, "servicePrincipal", |body| {
        body["appOwnerOrganizationId"] == json!(TENANT)
    });
    for item in [
        format!("/applications/{}", applications[0]),
        format!("/servicePrincipals/{}", principals[0]),
    ] {
        let body = json!({"passwordCredential": {"displayName": "rogue"}});
        post(&intruder, format!("{item}/addPassword"), body).await?;
    }
    let held = before["objects"]["application"][&applications[1]]["keyCredentials"].clone();
    let mut keys = held.as_array().cloned().unwrap_or_default();
    keys.push(
        json!({"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "CN=rogue",
        "key": "Y2VydGlmaWNhdGU="}),
    );
    let path = format!("/applications/{}", applications[1]);
    patch(&intruder, path, json!({"keyCredentials": keys})).await?;

    let keep = CreatePlanRequest {
        options: None,
        ..sandbox.rollback(&snapshot.name)
    };
    let (_, steps, exclusions) = sandbox.plan(keep).await?;
    assert_eq!(steps, []);
    let kept = exclusions.iter().map(Exclusion::obstacle);
    assert_eq!(kept.collect::<Vec<_>>(), [Obstacle::CredentialAdded; 3]);

    back(&sandbox, &snapshot, &before).await?;
    Ok(())
}

#[tokio::test]
async fn units_and_their_members_come_back() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let before = sandbox.simulator.dump(TENANT);
    let units = ids(&sandbox, "administrativeUnit", |body| {
        body["membershipType"] != json!("Dynamic")
    });
    let [emptied, renamed, deleted] = &units[..3] else {
        anyhow::bail!("three units are needed")
    };
    let members = before["links"][format!("administrativeUnit/{emptied}/members")].clone();
    for member in members.as_array().into_iter().flatten().take(2) {
        let member = member.as_str().unwrap_or_default();
        let path = format!("/directory/administrativeUnits/{emptied}/members/{member}/$ref");
        delete(&intruder, path).await?;
    }
    let path = format!("/directory/administrativeUnits/{renamed}");
    patch(
        &intruder,
        path,
        json!({"displayName": "Nobody", "description": null}),
    )
    .await?;
    delete(
        &intruder,
        format!("/directory/administrativeUnits/{deleted}"),
    )
    .await?;
    let new = json!({"displayName": "Rogue unit"});
    post(&intruder, "/directory/administrativeUnits".to_owned(), new).await?;
    back(&sandbox, &snapshot, &before).await?;
    Ok(())
}

#[tokio::test]
async fn relationships_may_be_merged_or_left_alone() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let (resource, held) = given(&sandbox, &intruder).await?;
    let path = format!(
        "/servicePrincipals/{resource}/appRoleAssignedTo/{}",
        text(&held, "id")
    );
    delete(&intruder, path).await?;
    let user = &ids(&sandbox, "user", |body| body["userType"] == json!("Member"))[0];
    let reader = json!({"principalId": user, "directoryScopeId": "/",
        "roleDefinitionId": "f2ef992c-3afb-46b9-b7cf-a126ee74c451"});
    let path = "/roleManagement/directory/roleAssignments".to_owned();
    post(&intruder, path, reader).await?;
    for (mode, actions) in [
        (RelationshipMode::Skip, &[][..]),
        (RelationshipMode::Merge, &[StepAction::MakeAnew]),
        (
            RelationshipMode::Rollback,
            &[StepAction::MakeAnew, StepAction::RemoveRelation],
        ),
    ] {
        let options = PlanOptions {
            relationships: mode as i32,
            ..PlanOptions::default()
        };
        let request = CreatePlanRequest {
            options: Some(options),
            ..sandbox.rollback(&snapshot.name)
        };
        let (_, steps, exclusions) = sandbox.plan(request).await?;
        let planned: Vec<StepAction> = steps.iter().map(PlanStep::action).collect();
        assert_eq!(planned, actions, "{mode:?}");
        assert_eq!(exclusions.len(), 2 - actions.len(), "{exclusions:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_last_administrator_stays() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let path = "/roleManagement/directory/roleAssignments";
    let role = model::catalogue::GLOBAL_ADMINISTRATOR;
    for held in list(&intruder, Query::Objects(ObjectType::RoleAssignment)).await? {
        if text(&held, "roleDefinitionId") == role {
            delete(&intruder, format!("{path}/{}", text(&held, "id"))).await?;
        }
    }
    let snapshot = sandbox.snapshot().await?;
    let user = &ids(&sandbox, "user", |body| body["userType"] == json!("Member"))[0];
    let body = json!({"principalId": user, "directoryScopeId": "/", "roleDefinitionId": role});
    post(&intruder, path.to_owned(), body).await?;
    let (_, steps, exclusions) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(steps, []);
    let kept: Vec<Obstacle> = exclusions.iter().map(Exclusion::obstacle).collect();
    assert_eq!(kept, [Obstacle::LastAdministrator]);
    Ok(())
}

#[tokio::test]
async fn what_lets_rewind_in_stays() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&Population {
        users: 40,
        groups: 12,
        seed: 4,
    });
    let own = "7e110000-0000-4000-8000-00000000a002";
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("servicePrincipals.json");
    let principal = json!({"value": [{"id": own, "appId": simulator::WRITER_CLIENT_ID,
        "displayName": "Rewind", "servicePrincipalType": "Application"}]});
    std::fs::write(&file, principal.to_string())?;
    sandbox.tenant.load(&file)?;
    sandbox.register(sandbox.registration()).await?;
    let intruder = sandbox::intruder(&sandbox.graph)?;
    let snapshot = sandbox.snapshot().await?;
    let graph = &ids(&sandbox, "servicePrincipal", |body| {
        body["appId"] == json!("00000003-0000-0000-c000-000000000000")
    })[0];
    let dump = sandbox.simulator.dump(TENANT);
    let role = &dump["objects"]["servicePrincipal"][graph]["appRoles"][0]["id"];
    let path = format!("/servicePrincipals/{graph}/appRoleAssignedTo");
    let body = json!({"principalId": own, "resourceId": graph, "appRoleId": role});
    post(&intruder, path, body).await?;
    let (_, steps, exclusions) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(steps, []);
    let kept: Vec<Obstacle> = exclusions.iter().map(Exclusion::obstacle).collect();
    assert_eq!(kept, [Obstacle::OwnAccess]);
    Ok(())
}
