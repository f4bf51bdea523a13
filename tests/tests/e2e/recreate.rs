//! Hard-deleted objects are made anew, and everything that named them names the new
//! ones.

use std::collections::BTreeSet;

use graph::GraphWriter;
use model::call::HttpMethod;
use model::lineage::Lineage;
use proto::v1::*;
use serde_json::{Value, json};
use simulator::{Fault, FaultResponse, Replication, live_differences};

use crate::restore::{destroy, ids, patch, scene, write};
use crate::sandbox::{Sandbox, TENANT};

const BIN: &str = "directory/deletedItems";
const POLICIES: &str = "identity/conditionalAccess/policies";
const POLICY_BIN: &str = "identity/conditionalAccess/deletedItems/policies";
const LOCATIONS: &str = "identity/conditionalAccess/namedLocations";
const LOCATION_BIN: &str = "identity/conditionalAccess/deletedItems/namedLocations";

async fn post(intruder: &GraphWriter, path: &str, body: Value) -> anyhow::Result<Value> {
    let made = write(intruder, HttpMethod::Post, format!("/{path}"), Some(body)).await?;
    Ok(made.unwrap_or_default())
}

fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}

fn refer(id: &str) -> Value {
    json!({"@odata.id": format!("{{graph}}/directoryObjects/{id}")})
}

fn objects(sandbox: &Sandbox, object_type: &str) -> serde_json::Map<String, Value> {
    let dump = sandbox.simulator.dump(TENANT);
    let objects = dump["objects"][object_type].as_object();
    objects.cloned().unwrap_or_default()
}

/// A plan that also makes anew what is gone for good.
fn anew(sandbox: &Sandbox, snapshot: &Snapshot) -> CreatePlanRequest {
    CreatePlanRequest {
        options: Some(PlanOptions {
            recreate_hard_deleted: true,
            ..PlanOptions::default()
        }),
        ..sandbox.rollback(&snapshot.name)
    }
}

async fn lineage(sandbox: &Sandbox) -> anyhow::Result<Lineage> {
    let tenant = model::TenantId::parse(TENANT)?;
    Ok(sandbox.vault.tenant(&tenant).await?.lineage().await?)
}

fn now(lineage: &Lineage, id: &str) -> anyhow::Result<String> {
    Ok(lineage.current(&model::ObjectId::parse(id)?).to_string())
}

async fn not_done(sandbox: &Sandbox, restore: &Restore) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = sandbox.outcomes(&restore.name).await?;
    let done = [OutcomeState::Applied, OutcomeState::AlreadyDone];
    outcomes.retain(|outcome| !done.contains(&outcome.state()));
    Ok(outcomes)
}

/// What a comparison says beside what no restore can change.
async fn left(sandbox: &Sandbox, snapshot: &Snapshot) -> anyhow::Result<Vec<Change>> {
    let (_, mut left) = sandbox.report(&snapshot.name).await?;
    left.retain(|change| {
        let writable = |one: &AttributeChange| one.class() == AttributeClass::Restorable;
        change.kind() != ChangeKind::Modified
            || !change.links.is_empty()
            || change.attributes.iter().any(writable)
    });
    Ok(left)
}

#[tokio::test]
async fn people_and_groups_come_back_in_everything_that_named_them() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let users = ids(&sandbox, "user", |body| {
        body["onPremisesSyncEnabled"] != json!(true) && body["userType"] == json!("Member")
    });
    let [lost, boss] = &users[..2] else {
        anyhow::bail!("two users are needed")
    };
    let group = |name: &str| {
        json!({"displayName": name, "mailEnabled": false,
        "mailNickname": name, "securityEnabled": true})
    };
    let stays = id_of(&post(&intruder, "groups", group("stays")).await?);
    let goes = id_of(&post(&intruder, "groups", group("goes")).await?);
    for (path, end) in [
        (format!("groups/{stays}/members/$ref"), lost),
        (format!("groups/{goes}/members/$ref"), lost),
        (format!("groups/{goes}/owners/$ref"), boss),
    ] {
        post(&intruder, &path, refer(end)).await?;
    }
    for (user, manager) in [(lost, boss), (boss, lost)] {
        let path = format!("/users/{user}/manager/$ref");
        let body = json!({"@odata.id": format!("{{graph}}/users/{manager}")});
        write(&intruder, HttpMethod::Put, path, Some(body)).await?;
    }
    let unit = post(
        &intruder,
        "directory/administrativeUnits",
        json!({"displayName": "Branch"}),
    );
    let unit = id_of(&unit.await?);
    let path = format!("directory/administrativeUnits/{unit}/members/$ref");
    post(&intruder, &path, refer(lost)).await?;
    let role = json!({"principalId": lost, "roleDefinitionId":
        "fe930be7-5e62-47db-91af-98c3a49a38b1", "directoryScopeId": "/"});
    post(&intruder, "roleManagement/directory/roleAssignments", role).await?;
    let policy = json!({"displayName": "Guarded", "state": "enabled",
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"], "excludeUsers": [lost], "excludeGroups": [goes]}}});
    let policy = id_of(&post(&intruder, POLICIES, policy).await?);
    let snapshot = sandbox.snapshot().await?;
    let whole = sandbox.simulator.dump(TENANT);
    let before = objects(&sandbox, "user")[lost].clone();

    destroy(&sandbox, "users", BIN, lost).await?;
    destroy(&sandbox, "groups", BIN, &goes).await?;
    let (plan, steps, exclusions) = sandbox.plan(anew(&sandbox, &snapshot)).await?;
    assert_eq!(plan.drift, Vec::<String>::new());
    assert!(
        plan.risks
            .iter()
            .any(|risk| risk.contains("random password"))
    );
    let unexpected = exclusions.iter().find(|one| one.part.is_empty());
    assert_eq!(unexpected, None, "what is left out are parts");
    let made = steps
        .iter()
        .filter(|step| step.action() == StepAction::Recreate);
    assert_eq!(made.count(), 2, "{steps:#?}");
    assert!(!format!("{steps:?}").contains("passwordProfile"));

    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(not_done(&sandbox, &restore).await?, []);
    assert_eq!(restore.unexpected, Vec::<String>::new());
    assert_eq!(restore.state(), RestoreState::Succeeded);
    let outcomes = sandbox.outcomes(&restore.name).await?;
    let lineage = lineage(&sandbox).await?;
    assert_eq!(lineage.entries().len(), 2);
    let (user, keepers) = (now(&lineage, lost)?, now(&lineage, &goes)?);
    let told: BTreeSet<&str> = outcomes.iter().map(|one| one.new_id.as_str()).collect();
    assert_eq!(told, BTreeSet::from(["", user.as_str(), keepers.as_str()]));

    // Put back the former ids: the directory is what it was, but for what is born anew.
    let dump = sandbox.simulator.dump(TENANT).to_string();
    let dump = dump.replace(&user, lost).replace(&keepers, &goes);
    let dump: Value = serde_json::from_str(&dump)?;
    let differing = live_differences(&whole, &dump);
    // Members that follow from a rule, or from on-premises, are nobody's to write.
    let ruled = ids(&sandbox, "group", |body| {
        let types = body["groupTypes"].to_string();
        body["onPremisesSyncEnabled"] == json!(true) || types.contains("Dynamic")
    });
    let changed = |sentence: &String| {
        let born = [
            "createdDateTime",
            "securityIdentifier",
            "uniqueName",
            "assignedLicenses",
            "proxyAddresses",
        ];
        let is_ruled = ruled.iter().any(|group| sentence.contains(group.as_str()));
        !is_ruled && !born.iter().any(|name| sentence.contains(name))
    };
    let differing: Vec<String> = differing.into_iter().filter(changed).collect();
    assert_eq!(differing, Vec::<String>::new());
    let conditions = &dump["objects"]["conditionalAccessPolicy"][&policy]["conditions"]["users"];
    assert_eq!(conditions["excludeUsers"], json!([lost]));
    assert_eq!(conditions["excludeGroups"], json!([goes]));
    let after = &dump["objects"]["user"][lost];
    for name in [
        "userPrincipalName",
        "jobTitle",
        "displayName",
        "accountEnabled",
    ] {
        assert_eq!(after[name], before[name], "{name}");
    }

    // Later reports take the pair for one object, by the new id.
    let is_ruled = |change: &Change| {
        let object = change.object.clone().unwrap_or_default();
        ruled.contains(&object.id)
    };
    let mut still = left(&sandbox, &snapshot).await?;
    still.retain(|change| !is_ruled(change));
    assert_eq!(still, []);
    let second = sandbox.snapshot().await?;
    let request = CreateReportRequest {
        parent: crate::sandbox::parent(),
        base: snapshot.name.clone(),
        target: second.name.clone(),
        request_id: sandbox.request_id(),
        ..CreateReportRequest::default()
    };
    let (report, changes) = sandbox.report_of(request).await?;
    let counts = report.counts.unwrap_or_default();
    assert_eq!((counts.added, counts.hard_deleted), (0, 0), "{changes:#?}");
    let linked = changes
        .iter()
        .find(|it| !it.links.is_empty() && !is_ruled(it));
    assert_eq!(linked, None);
    // A drift afterwards is seen and put back under the new id, asked for by the former.
    patch(
        &intruder,
        format!("/users/{user}"),
        json!({"jobTitle": "Changed"}),
    )
    .await?;
    let scope = Scope {
        ids: vec![lost.clone()],
        ..Scope::default()
    };
    let request = CreatePlanRequest {
        scope: Some(scope),
        ..anew(&sandbox, &snapshot)
    };
    let (plan, steps, _) = sandbox.plan(request).await?;
    let [step] = &steps[..] else {
        anyhow::bail!("one step: {steps:#?}")
    };
    assert_eq!(step.path, format!("/users/{user}"));
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.unexpected, Vec::<String>::new());
    assert_eq!(
        objects(&sandbox, "user")[&user]["jobTitle"],
        before["jobTitle"]
    );
    Ok(())
}

#[tokio::test]
async fn an_application_comes_back_with_all_that_knows_it_by_its_app_id() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let role = "6a1d0000-0000-4000-8000-0000000000a1";
    let app = json!({"displayName": "Vault", "web": {"redirectUris": ["https://v.example"]},
        "appRoles": [{"id": role, "isEnabled": true, "value": "Open", "displayName": "Open",
            "description": "opens", "allowedMemberTypes": ["User"]}]});
    let app = post(&intruder, "applications", app).await?;
    let (object, app_id) = (id_of(&app), app["appId"].as_str().unwrap_or_default());
    let uris = json!({"identifierUris": [format!("api://{app_id}")]});
    patch(&intruder, format!("/applications/{object}"), uris).await?;
    let principal = post(&intruder, "servicePrincipals", json!({"appId": app_id})).await?;
    let principal = id_of(&principal);
    let user = ids(&sandbox, "user", |body| body["userType"] == json!("Member")).remove(0);
    let path = format!("servicePrincipals/{principal}/appRoleAssignedTo");
    let held = json!({"principalId": user, "resourceId": principal, "appRoleId": role});
    post(&intruder, &path, held).await?;
    let policy = json!({"displayName": "For the vault", "state": "enabled",
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": [app_id]},
            "users": {"includeUsers": ["All"]}}});
    let policy = id_of(&post(&intruder, POLICIES, policy).await?);
    let snapshot = sandbox.snapshot().await?;

    // The service principal goes to the bin with the application, and stays there.
    destroy(&sandbox, "applications", BIN, &object).await?;
    let (plan, _, _) = sandbox.plan(anew(&sandbox, &snapshot)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(not_done(&sandbox, &restore).await?, []);
    assert_eq!(restore.unexpected, Vec::<String>::new());
    assert_eq!(left(&sandbox, &snapshot).await?, []);
    let lineage = lineage(&sandbox).await?;
    let (new, new_app_id) = (now(&lineage, &object)?, now(&lineage, app_id)?);
    assert_ne!(
        (new.as_str(), new_app_id.as_str()),
        (object.as_str(), app_id)
    );
    let made = objects(&sandbox, "application")[&new].clone();
    assert_eq!(made["appId"], json!(new_app_id));
    assert_eq!(
        made["identifierUris"],
        json!([format!("api://{new_app_id}")])
    );
    let principals = objects(&sandbox, "servicePrincipal");
    let made = &principals[&now(&lineage, &principal)?];
    assert_eq!(made["appId"], json!(new_app_id));
    let policy = objects(&sandbox, "conditionalAccessPolicy")[&policy].clone();
    assert_eq!(
        policy["conditions"]["applications"]["includeApplications"],
        json!([new_app_id])
    );
    Ok(())
}

#[tokio::test]
async fn policies_locations_and_units_come_back_where_they_are_named() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let location = json!({"@odata.type": "#microsoft.graph.ipNamedLocation",
        "displayName": "Office", "isTrusted": true, "ipRanges": [{
            "@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "192.0.2.0/24"}]});
    let location = id_of(&post(&intruder, LOCATIONS, location).await?);
    let policy = |name: &str| {
        json!({"displayName": name, "state": "enabled",
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"]},
            "locations": {"includeLocations": ["All"], "excludeLocations": [location]}}})
    };
    let kept = id_of(&post(&intruder, POLICIES, policy("kept")).await?);
    let gone = id_of(&post(&intruder, POLICIES, policy("gone")).await?);
    let user = ids(&sandbox, "user", |body| body["userType"] == json!("Member")).remove(0);
    let unit = json!({"displayName": "Branch", "visibility": "HiddenMembership"});
    let unit = id_of(&post(&intruder, "directory/administrativeUnits", unit).await?);
    let members = format!("directory/administrativeUnits/{unit}/members/$ref");
    post(&intruder, &members, refer(&user)).await?;
    let snapshot = sandbox.snapshot().await?;

    destroy(&sandbox, POLICIES, POLICY_BIN, &gone).await?;
    let open = json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": false});
    patch(&intruder, format!("/{LOCATIONS}/{location}"), open).await?;
    destroy(&sandbox, LOCATIONS, LOCATION_BIN, &location).await?;
    let (plan, steps, _) = sandbox.plan(anew(&sandbox, &snapshot)).await?;
    let made = steps
        .iter()
        .filter(|step| step.action() == StepAction::Recreate);
    assert_eq!(made.count(), 2, "{steps:#?}");
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(not_done(&sandbox, &restore).await?, []);
    assert_eq!(
        restore.state(),
        RestoreState::Succeeded,
        "{:?}",
        restore.unexpected
    );
    assert_eq!(left(&sandbox, &snapshot).await?, []);
    let lineage = lineage(&sandbox).await?;
    let policies = objects(&sandbox, "conditionalAccessPolicy");
    let new = now(&lineage, &location)?;
    for policy in [kept, now(&lineage, &gone)?] {
        let excluded = &policies[&policy]["conditions"]["locations"]["excludeLocations"];
        assert_eq!(*excluded, json!([new]), "{policy}");
    }
    assert_eq!(
        objects(&sandbox, "namedLocation")[&new]["isTrusted"],
        json!(true)
    );
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_object() -> anyhow::Result<()> {
    let (sandbox, snapshot, _) = scene().await?;
    let users = ids(&sandbox, "user", |body| {
        body["onPremisesSyncEnabled"] != json!(true) && body["userType"] == json!("Member")
    });
    let lost = &users[0];
    let name = objects(&sandbox, "user")[lost]["userPrincipalName"].clone();
    destroy(&sandbox, "users", BIN, lost).await?;
    let (plan, _, _) = sandbox.plan(anew(&sandbox, &snapshot)).await?;
    // Reads lag behind, so that it is not found at once.
    sandbox.simulator.set_replication(Replication {
        max_lag: std::time::Duration::from_secs(2),
        seed: 5,
    });
    let unanswered = Fault::once("POST", "/users", FaultResponse::DisconnectAfter);
    sandbox.simulator.inject(unanswered);
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(not_done(&sandbox, &restore).await?, []);
    let outcomes = sandbox.outcomes(&restore.name).await?;
    let made = outcomes.iter().find(|one| !one.new_id.is_empty());
    let detail = made.map(|made| made.detail.clone()).unwrap_or_default();
    assert!(detail.contains("found by its key"), "{detail}");
    let named = objects(&sandbox, "user");
    let named = named.values().filter(|it| it["userPrincipalName"] == name);
    assert_eq!(named.count(), 1);
    Ok(())
}

#[tokio::test]
async fn who_has_taken_the_name_meanwhile_keeps_it() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let users = ids(&sandbox, "user", |body| {
        body["onPremisesSyncEnabled"] != json!(true) && body["userType"] == json!("Member")
    });
    let lost = &users[0];
    let name = objects(&sandbox, "user")[lost]["userPrincipalName"].clone();
    destroy(&sandbox, "users", BIN, lost).await?;
    let (plan, _, _) = sandbox.plan(anew(&sandbox, &snapshot)).await?;
    let other = json!({"accountEnabled": true, "displayName": "Impostor", "mailNickname": "imp",
        "userPrincipalName": name, "passwordProfile": {"password": "a-Passw0rd-of-the-tests"}});
    let other = id_of(&post(&intruder, "users", other).await?);
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::SucceededWithWarnings);
    let bad = not_done(&sandbox, &restore).await?;
    assert_eq!(bad[0].state(), OutcomeState::Conflict);
    assert!(
        bad[0].detail.contains("has taken its userPrincipalName"),
        "{bad:?}"
    );
    assert!(
        bad[1..]
            .iter()
            .all(|one| one.state() == OutcomeState::Skipped),
        "{bad:?}"
    );
    assert!(lineage(&sandbox).await?.is_empty());
    assert_eq!(
        objects(&sandbox, "user")[&other]["displayName"],
        json!("Impostor")
    );
    Ok(())
}

#[tokio::test]
async fn an_undo_deletes_what_was_made_anew_unless_a_policy_names_it() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    // Who holds a role is left to a person.
    let roles = sandbox.simulator.dump(TENANT)["roleAssignments"].to_string();
    let mut users = ids(&sandbox, "user", |body| {
        body["onPremisesSyncEnabled"] != json!(true) && body["userType"] == json!("Member")
    });
    users.retain(|id| !roles.contains(id.as_str()));
    let (plain, excluded) = (&users[0], &users[1]);
    let policy = json!({"displayName": "MFA", "state": "enabled",
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"], "excludeUsers": [excluded]}}});
    let policy = id_of(&post(&intruder, POLICIES, policy).await?);
    let snapshot = sandbox.snapshot().await?;
    for user in [plain, excluded] {
        destroy(&sandbox, "users", BIN, user).await?;
    }
    let (plan, ..) = sandbox.plan(anew(&sandbox, &snapshot)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(not_done(&sandbox, &restore).await?, []);
    let lineage = lineage(&sandbox).await?;
    let (plain, excluded) = (now(&lineage, plain)?, now(&lineage, excluded)?);

    let (way_back, steps, left_out) = sandbox.undo(&restore.name).await?;
    let kept = left_out
        .iter()
        .find(|one| one.object.clone().unwrap_or_default().id == excluded);
    assert_eq!(
        kept.map(Exclusion::obstacle),
        Some(Obstacle::AddedKept),
        "{left_out:#?}"
    );
    let undone = sandbox.apply(&way_back.name).await?;
    assert_eq!(not_done(&sandbox, &undone).await?, []);
    assert_eq!((undone.verified, &undone.unexpected[..]), (true, &[][..]));
    let live = objects(&sandbox, "user");
    let there = (live.contains_key(&plain), live.contains_key(&excluded));
    assert_eq!(there, (false, true), "{steps:#?} {left_out:#?}");
    let named = &objects(&sandbox, "conditionalAccessPolicy")[&policy]["conditions"]["users"];
    assert_eq!(named["excludeUsers"], json!([excluded]));
    Ok(())
}
