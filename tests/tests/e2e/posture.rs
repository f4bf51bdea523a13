//! How well a tenant is guarded against hard deletion: bare, set up by hand, spoilt
//! again, and seen by a reader that may not see everything.

use std::sync::Arc;

use graph::{GraphWriter, Query, lists};
use model::ObjectType;
use model::call::HttpMethod;
use proto::v1::protection_service_client::ProtectionServiceClient;
use proto::v1::*;
use serde_json::{Value, json};
use simulator::{Population, TenantSpec};
use store::object_store::memory::InMemory;
use tonic::Code;

use crate::lanes;
use crate::restore::{ids, patch, write};
use crate::sandbox::{self, Sandbox, TENANT, parent};

const POLICIES: &str = "/identity/conditionalAccess/policies";
const CONTEXT: &str = "/identity/conditionalAccess/authenticationContextClassReferences/c5";
const ACTIONS: &str =
    "/roleManagement/directory/resourceNamespaces/microsoft.directory/resourceActions";
pub(crate) const TO_PROTECT: [&str; 6] = [
    "deletedItems-delete-delete",
    "resourceNamespaces-resourceActions-authenticationContext-update-patch",
    "conditionalAccessPolicies-basic-update-patch",
    "conditionalAccessPolicies-delete-delete",
    "namedLocations-basic-update-patch",
    "namedLocations-delete-delete",
];
const MAY_DELETE_USERS: &str = "eccc023d-eccf-4e7b-9683-8813ab36cecc";
const APPLICATION_ADMINISTRATOR: &str = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3";

pub(crate) const POPULATION: Population = Population {
    users: 40,
    groups: 12,
    seed: 4,
};

/// A tenant of people, with the accounts that its policies spare named as break-glass.
pub(crate) async fn scene() -> anyhow::Result<(Sandbox, GraphWriter, Vec<String>)> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&POPULATION);
    let spared = ids(&sandbox, "conditionalAccessPolicy", |body| {
        body["displayName"] == json!("CA001 Require MFA for all users")
    });
    let dump = sandbox.simulator.dump(TENANT);
    let policy = &dump["objects"]["conditionalAccessPolicy"][&spared[0]];
    let spared = policy["conditions"]["users"]["excludeUsers"].as_array();
    let spared: Vec<String> = spared
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    let registration = Tenant {
        break_glass_ids: spared.clone(),
        ..sandbox.registration()
    };
    sandbox.register(registration).await?;
    let hand = sandbox::intruder(&sandbox.graph)?;
    Ok((sandbox, hand, spared))
}

pub(crate) async fn posture(sandbox: &Sandbox) -> anyhow::Result<Posture> {
    let mut client = ProtectionServiceClient::new(sandbox.door.clone());
    let answer = client
        .get_posture(GetPostureRequest {
            parent: parent(),
            ..GetPostureRequest::default()
        })
        .await?;
    Ok(answer.into_inner().posture.unwrap_or_default())
}

/// The ids of the checks that ended so.
pub(crate) fn with(posture: &Posture, status: PostureStatus) -> Vec<&str> {
    let checks = posture.checks.iter();
    let checks = checks.filter(|check| check.status() == status);
    checks.map(|check| check.id.as_str()).collect()
}

fn one<'a>(posture: &'a Posture, id: &str) -> &'a PostureCheck {
    let mut checks = posture.checks.iter();
    checks
        .find(|check| check.id == id)
        .expect("every posture has it")
}

/// A policy for the context and everybody but the break-glass accounts; its id.
async fn make_policy(
    hand: &GraphWriter,
    name: &str,
    spared: &[String],
    controls: Value,
    devices: Value,
) -> anyhow::Result<String> {
    let body = json!({
        "displayName": name, "state": "enabled", "grantControls": controls,
        "conditions": {"clientAppTypes": ["all"], "devices": devices,
            "applications": {"includeAuthenticationContextClassReferences": ["c5"]},
            "users": {"includeUsers": ["All"], "excludeUsers": spared}}});
    let made = write(hand, HttpMethod::Post, POLICIES.to_owned(), Some(body)).await?;
    let made = made.unwrap_or_default();
    Ok(made["id"].as_str().unwrap_or_default().to_owned())
}

/// Sets the whole defence up, as an administrator would; the id of its main policy.
pub(crate) async fn defend(hand: &GraphWriter, spared: &[String]) -> anyhow::Result<String> {
    let context = json!({"displayName": "High-Security Ops", "isAvailable": true});
    patch(hand, CONTEXT.to_owned(), context).await?;
    let controls = json!({"operator": "AND", "builtInControls": ["compliantDevice"],
        "authenticationStrength": {"id": "00000000-0000-0000-0000-000000000004"}});
    let main = make_policy(hand, "Guard", spared, controls, Value::Null).await?;
    let block = json!({"operator": "OR", "builtInControls": ["block"]});
    let workstations = json!({"deviceFilter":
        {"mode": "exclude", "rule": "device.extensionAttribute1 -eq \"PAW\""}});
    make_policy(hand, "Workstations", spared, block, workstations).await?;
    for action in TO_PROTECT {
        let path = format!("{ACTIONS}/microsoft.directory-{action}");
        patch(hand, path, json!({"authenticationContextId": "c5"})).await?;
    }
    few_people(hand).await?;
    Ok(main)
}

/// Takes the role from the Application Administrators, who may delete applications for
/// good and are many.
pub(crate) async fn few_people(hand: &GraphWriter) -> anyhow::Result<()> {
    let assignments = lists::objects(hand, &Query::Objects(ObjectType::RoleAssignment)).await?;
    for assignment in assignments {
        if assignment.body()["roleDefinitionId"] == APPLICATION_ADMINISTRATOR {
            let path = format!(
                "/roleManagement/directory/roleAssignments/{}",
                assignment.id
            );
            write(hand, HttpMethod::Delete, path, None).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_bare_tenant_has_findings_and_is_not_touched() -> anyhow::Result<()> {
    let (sandbox, ..) = scene().await?;
    let before = sandbox.simulator.dump(TENANT);
    let posture = posture(&sandbox).await?;
    assert_eq!(posture.tenant, parent());
    assert_eq!(
        with(&posture, PostureStatus::Finding)[..6],
        [
            "hard-delete-protected",
            "context-assignment-protected",
            "policy-update-protected",
            "policy-delete-protected",
            "location-update-protected",
            "location-delete-protected",
        ]
    );
    assert_eq!(with(&posture, PostureStatus::NotKnown), Vec::<&str>::new());
    assert_eq!(
        one(&posture, "hard-delete-protected").severity(),
        Severity::Critical
    );
    assert_eq!(
        one(&posture, "break-glass-usable").status(),
        PostureStatus::Good
    );
    assert_eq!(posture.roles[0].display_name, "Global Administrator");
    assert_eq!(posture.roles[0].user_count, 2);
    let points: i32 = posture
        .checks
        .iter()
        .filter(|check| check.status() == PostureStatus::Good)
        .map(|check| check.points)
        .sum();
    assert_eq!((posture.score, posture.unknown_points), (points, 0));
    assert_eq!(sandbox.simulator.dump(TENANT), before);

    // Whoever may read a tenant may see its posture, and nobody else.
    let request = || GetPostureRequest {
        parent: parent(),
        ..GetPostureRequest::default()
    };
    let mut second = ProtectionServiceClient::new(sandbox.second.clone());
    second.get_posture(request()).await?;
    let mut stranger = ProtectionServiceClient::new(sandbox.strange.clone());
    let refused = stranger.get_posture(request()).await.err();
    assert_eq!(
        refused.map(|status| status.code()),
        Some(Code::PermissionDenied)
    );
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_was_set_up_by_hand_has_no_findings_until_it_is_spoilt() -> anyhow::Result<()>
{
    let (sandbox, hand, spared) = scene().await?;
    let main = defend(&hand, &spared).await?;
    let whole = posture(&sandbox).await?;
    for status in [
        PostureStatus::Finding,
        PostureStatus::NotKnown,
        PostureStatus::NotReached,
    ] {
        assert_eq!(with(&whole, status), Vec::<&str>::new(), "{whole:#?}");
    }
    assert_eq!(whole.score, 100);

    // An application that may delete users for good.
    let graph = ids(&sandbox, "servicePrincipal", |body| {
        body["appId"] == json!("00000003-0000-0000-c000-000000000000")
    });
    let other = ids(&sandbox, "servicePrincipal", |body| {
        body["servicePrincipalType"] == json!("Application")
            && body["appOwnerOrganizationId"] != json!("f8cdef31-a31e-4b4a-93e4-5f571e91255a")
    });
    let body =
        json!({"principalId": other[0], "resourceId": graph[0], "appRoleId": MAY_DELETE_USERS});
    let path = format!("/servicePrincipals/{}/appRoleAssignedTo", graph[0]);
    write(&hand, HttpMethod::Post, path, Some(body)).await?;
    let found = posture(&sandbox).await?;
    assert_eq!(
        with(&found, PostureStatus::Finding),
        ["no-other-applications"]
    );
    assert_eq!(
        found.applications[0].permissions,
        ["User.DeleteRestore.All"]
    );

    let path = format!("{POLICIES}/{main}");
    let users = json!({"includeUsers": ["All"], "excludeUsers": []});
    patch(&hand, path.clone(), json!({"conditions": {"users": users}})).await?;
    let found = posture(&sandbox).await?;
    assert_eq!(
        with(&found, PostureStatus::Finding),
        ["break-glass-excluded", "no-other-applications"]
    );
    let state = json!({"state": "enabledForReportingButNotEnforced"});
    patch(&hand, path, state).await?;
    patch(&hand, CONTEXT.to_owned(), json!({"isAvailable": false})).await?;
    let found = posture(&sandbox).await?;
    assert_eq!(
        with(&found, PostureStatus::Finding)[..5],
        [
            "context-published",
            "policy-for-everybody",
            "phishing-resistant",
            "managed-device",
            "context-assignment-protected",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn what_the_reader_may_not_read_is_not_known() -> anyhow::Result<()> {
    let (sandbox, hand, spared) = scene().await?;
    let without = async |permissions: &[&str]| {
        let mut spec = TenantSpec::practice(TENANT);
        let mut reader = spec.apps.iter_mut();
        let reader = reader.find(|app| app.client_id == simulator::READER_CLIENT_ID);
        let reader = reader.expect("it is there");
        for permission in permissions {
            assert!(reader.roles.remove(*permission), "{permission}");
        }
        // The same people anew, and nothing else.
        sandbox.simulator.add_tenant(spec).populate(&POPULATION);
        sandbox.simulator.expire_tokens();
        defend(&hand, &spared).await?;
        posture(&sandbox).await
    };
    // `Directory.Read.All` reads roles and assignments, but not actions.
    let found = without(&["RoleManagement.Read.Directory"]).await?;
    assert_eq!(with(&found, PostureStatus::Finding), Vec::<&str>::new());
    let unknown = one(&found, "hard-delete-protected");
    assert_eq!(unknown.status(), PostureStatus::NotKnown);
    assert_eq!(
        unknown.sentence,
        "Not known: the protected actions could not be read."
    );
    assert!(unknown.remedy.contains("RoleManagement.Read.Directory"));
    assert_eq!(one(&found, "few-people").status(), PostureStatus::Good);
    assert_eq!((found.score, found.unknown_points), (12, 88));

    let found = without(&["Policy.Read.All", "AuthenticationContext.Read.All"]).await?;
    assert_eq!(with(&found, PostureStatus::Finding), Vec::<&str>::new());
    assert_eq!(
        one(&found, "hard-delete-protected").status(),
        PostureStatus::Good
    );
    for check in ["context-published", "policy-enabled", "phishing-resistant"] {
        assert_eq!(
            one(&found, check).status(),
            PostureStatus::NotKnown,
            "{check}"
        );
    }

    let all = ["Directory.Read.All", "RoleManagement.Read.Directory"];
    let found = without(&all).await?;
    for check in ["few-people", "no-other-applications"] {
        assert_eq!(
            one(&found, check).status(),
            PostureStatus::NotKnown,
            "{check}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn while_a_restore_runs_conditional_access_is_not_known() -> anyhow::Result<()> {
    let (sandbox, hand, spared) = scene().await?;
    defend(&hand, &spared).await?;
    let vault = lanes::vault(&sandbox).await?;
    let _mark = lanes::mark(&vault).await?;
    let found = posture(&sandbox).await?;
    let unknown = one(&found, "policy-enabled");
    assert_eq!(unknown.status(), PostureStatus::NotKnown);
    assert!(
        unknown.evidence[0].contains("a restore has the conditional access quota"),
        "{unknown:?}"
    );
    assert_eq!(
        one(&found, "hard-delete-protected").status(),
        PostureStatus::Good
    );
    Ok(())
}
