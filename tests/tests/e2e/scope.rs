//! A scope is exact: what is not asked for stays as it is, the whole tenant compared.

use model::call::HttpMethod;
use proto::v1::*;
use serde_json::{Value, json};
use simulator::differences;

use crate::restore::{ids, patch, scene, write};
use crate::sandbox::{Sandbox, TENANT};

/// Harm to two users, a group and a policy: who is asked for, and who is not.
struct Struck {
    mine: String,
    other: String,
    group: String,
    member: String,
}

async fn strike(sandbox: &Sandbox, intruder: &graph::GraphWriter) -> anyhow::Result<Struck> {
    let dump = sandbox.simulator.dump(TENANT);
    let cloud = |body: &Value| body["onPremisesSyncEnabled"] != json!(true);
    let assigned = |body: &Value| {
        cloud(body)
            && !body["groupTypes"].to_string().contains("Dynamic")
            && body["mailEnabled"] != json!(true)
    };
    let groups = ids(sandbox, "group", assigned);
    let of = |group: &String| {
        let members = dump["links"][format!("group/{group}/members")]
            .as_array()
            .cloned();
        let mut members = members.unwrap_or_default().into_iter();
        let member = members.find_map(|id| {
            let id = id.as_str()?.to_owned();
            cloud(&dump["objects"]["user"][&id]).then_some(id)
        });
        member
            .filter(|id| dump["objects"]["user"][id].is_object())
            .map(|member| (group.clone(), member))
    };
    let (group, member) = groups
        .iter()
        .find_map(of)
        .ok_or_else(|| anyhow::anyhow!("a group with a user in it"))?;
    let users = ids(sandbox, "user", |body| {
        cloud(body) && body["userType"] == json!("Member")
    });
    let mut others = users.into_iter().filter(|id| *id != member);
    let (Some(mine), Some(other)) = (others.next(), others.next()) else {
        anyhow::bail!("two users are needed")
    };
    for user in [&mine, &other] {
        let harm = json!({"department": "Changed", "jobTitle": "Changed", "accountEnabled": false});
        patch(intruder, format!("/users/{user}"), harm).await?;
    }
    let path = format!("/groups/{group}/members/{member}/$ref");
    write(intruder, HttpMethod::Delete, path, None).await?;
    let rogue = json!({"@odata.id": format!("{{graph}}/directoryObjects/{other}")});
    let path = format!("/groups/{group}/members/$ref");
    write(intruder, HttpMethod::Post, path, Some(rogue)).await?;
    patch(
        intruder,
        format!("/groups/{group}"),
        json!({"description": "Changed"}),
    )
    .await?;
    let policies = ids(sandbox, "conditionalAccessPolicy", |_| true);
    let path = format!("/identity/conditionalAccess/policies/{}", policies[0]);
    patch(intruder, path, json!({"displayName": "Changed"})).await?;
    Ok(Struck {
        mine,
        other,
        group,
        member,
    })
}

/// Plans, applies, and answers what is different in the whole tenant afterwards.
async fn restored(sandbox: &Sandbox, request: CreatePlanRequest) -> anyhow::Result<Vec<String>> {
    let before = sandbox.simulator.dump(TENANT);
    let (plan, _, _) = sandbox.plan(request).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        (restore.state(), &restore.unexpected[..]),
        (RestoreState::Succeeded, &[][..])
    );
    let after = sandbox.simulator.dump(TENANT);
    Ok(differences(&before, &after))
}

fn only(id: &str) -> Option<Scope> {
    Some(Scope {
        ids: vec![id.to_owned()],
        ..Scope::default()
    })
}

#[tokio::test]
async fn one_id_is_put_back_and_nothing_beside_it() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let Struck { mine, .. } = strike(&sandbox, &intruder).await?;
    let request = CreatePlanRequest {
        scope: only(&mine),
        ..sandbox.rollback(&snapshot.name)
    };
    let changed = restored(&sandbox, request).await?;
    assert_eq!(changed.len(), 3, "{changed:#?}");
    assert!(
        changed.iter().all(|one| one.contains(&mine)),
        "{changed:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn one_property_is_put_back_and_nothing_beside_it() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let Struck { mine, .. } = strike(&sandbox, &intruder).await?;
    let request = CreatePlanRequest {
        scope: only(&mine),
        properties: vec!["department".to_owned()],
        ..sandbox.rollback(&snapshot.name)
    };
    let changed = restored(&sandbox, request).await?;
    assert_eq!(changed.len(), 1, "{changed:#?}");
    assert!(
        changed[0].contains(&mine) && changed[0].contains("department"),
        "{changed:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn one_link_is_put_back_and_nothing_beside_it() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let struck = strike(&sandbox, &intruder).await?;
    let link = |end: &str| CreatePlanRequest {
        scope: only(&struck.group),
        links: vec![format!("group/members:{end}")],
        ..sandbox.rollback(&snapshot.name)
    };
    for end in [&struck.member, &struck.other] {
        let changed = restored(&sandbox, link(end)).await?;
        assert_eq!(changed.len(), 1, "{changed:#?}");
        assert!(
            changed[0].contains(&struck.group) && changed[0].contains(end.as_str()),
            "{changed:#?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_deleted_user_comes_back_without_a_write_to_its_groups() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let Struck { group, member, .. } = strike(&sandbox, &intruder).await?;
    write(
        &intruder,
        HttpMethod::Delete,
        format!("/users/{member}"),
        None,
    )
    .await?;
    let request = CreatePlanRequest {
        scope: only(&member),
        ..sandbox.rollback(&snapshot.name)
    };
    let (plan, steps, _) = sandbox.plan(request.clone()).await?;
    let touched: Vec<String> = steps
        .iter()
        .filter_map(|step| step.object.as_ref().map(|object| object.id.clone()))
        .collect();
    assert!(touched.iter().all(|id| *id == member), "{steps:#?}");
    assert_eq!(steps[0].permission, "User.DeleteRestore.All");
    assert!(steps.iter().all(|step| step.estimate_seconds > 0.0));
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded, "{restore:#?}");
    let dump = sandbox.simulator.dump(TENANT);
    let members = dump["links"][format!("group/{group}/members")].to_string();
    assert!(
        !members.contains(&member),
        "it was removed before, by a change of the group"
    );

    let parts = CreatePlanRequest {
        properties: vec!["jobTitle".to_owned()],
        request_id: sandbox.request_id(),
        ..request
    };
    write(
        &intruder,
        HttpMethod::Delete,
        format!("/users/{member}"),
        None,
    )
    .await?;
    let (_, steps, exclusions) = sandbox.plan(parts).await?;
    assert_eq!(steps, []);
    assert_eq!(
        exclusions
            .iter()
            .map(Exclusion::obstacle)
            .collect::<Vec<_>>(),
        [Obstacle::WholeObject]
    );
    Ok(())
}

#[tokio::test]
async fn a_plan_says_where_the_tenant_is_no_longer_as_the_report_says() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let Struck {
        mine, other, group, ..
    } = strike(&sandbox, &intruder).await?;
    let (report, _) = sandbox.report(&snapshot.name).await?;
    let from_report = || CreatePlanRequest {
        snapshot: String::new(),
        report: report.name.clone(),
        ..sandbox.rollback(&snapshot.name)
    };
    let (plan, _, _) = sandbox.plan(from_report()).await?;
    assert_eq!(plan.drift, Vec::<String>::new());
    patch(
        &intruder,
        format!("/users/{mine}"),
        json!({"jobTitle": "Another"}),
    )
    .await?;
    let path = format!("/groups/{group}/members/{other}/$ref");
    write(&intruder, HttpMethod::Delete, path, None).await?;
    let rogue = json!({"@odata.id": format!("{{graph}}/directoryObjects/{mine}")});
    let path = format!("/groups/{group}/members/$ref");
    write(&intruder, HttpMethod::Post, path, Some(rogue)).await?;
    write(
        &intruder,
        HttpMethod::Delete,
        format!("/users/{other}"),
        None,
    )
    .await?;
    let (plan, _, _) = sandbox.plan(from_report()).await?;
    let said = |id: &str, what: &str| {
        let mut drift = plan.drift.iter();
        drift.any(|sentence| sentence.contains(id) && sentence.contains(what))
    };
    assert!(said(&mine, "differs in another way"), "{:?}", plan.drift);
    assert!(said(&other, "soft-deleted by now"), "{:?}", plan.drift);
    assert!(said(&group, "differs in another way"), "{:?}", plan.drift);
    assert_eq!(plan.drift.len(), 3, "{:?}", plan.drift);
    Ok(())
}
