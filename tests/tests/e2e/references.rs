//! What a person may choose for hard-deleted objects that policies name (law 6).

use graph::GraphWriter;
use model::call::HttpMethod;
use proto::v1::*;
use serde_json::{Value, json};

use crate::restore::{cloud_user, ids, patch, property, purge, scene, write};
use crate::sandbox::{Sandbox, reason};

/// A policy that excludes a user who is gone for good, and was opened since.
struct Guarded {
    sandbox: Sandbox,
    intruder: GraphWriter,
    snapshot: Snapshot,
    policy: String,
    lost: String,
    other: String,
}

async fn guarded(users: impl Fn(&str, &str) -> Value) -> anyhow::Result<Guarded> {
    let (sandbox, _, intruder) = scene().await?;
    let members = ids(&sandbox, "user", cloud_user);
    let (lost, other) = (members[0].clone(), members[1].clone());
    let policy = json!({"displayName": "Guarded", "state": "enabled",
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": users(&lost, &other)}});
    let path = "/identity/conditionalAccess/policies".to_owned();
    let made = write(&intruder, HttpMethod::Post, path, Some(policy)).await?;
    let made = made.unwrap_or_default();
    let policy = made["id"].as_str().unwrap_or_default().to_owned();
    let snapshot = sandbox.snapshot().await?;
    let open = json!({"conditions": {"clientAppTypes": ["all"],
        "applications": {"includeApplications": ["All"]},
        "users": {"includeUsers": [other], "excludeUsers": []}}});
    let path = format!("/identity/conditionalAccess/policies/{policy}");
    patch(&intruder, path, open).await?;
    Ok(Guarded {
        sandbox,
        intruder,
        snapshot,
        policy,
        lost,
        other,
    })
}

impl Guarded {
    fn request(&self, map: &[(&str, &str)], drop: &[&str]) -> CreatePlanRequest {
        let mut request = self.sandbox.rollback(&self.snapshot.name);
        let options = request.options.get_or_insert_default();
        options.map_references = map
            .iter()
            .map(|(old, new)| MappedReference {
                old: (*old).to_owned(),
                new: (*new).to_owned(),
            })
            .collect();
        options.drop_references = drop.iter().map(|id| (*id).to_owned()).collect();
        request
    }

    async fn refused(&self, map: &[(&str, &str)], drop: &[&str], why: &str) {
        let plan = self.sandbox.plan(self.request(map, drop)).await;
        let refused = plan.expect_err("refused");
        assert_eq!(reason(&refused), "UNRESOLVED_REFERENCE", "{refused:?}");
        assert!(refused.message().contains(why), "{}", refused.message());
    }

    /// Plans and applies, and answers whom the policy excludes then.
    async fn chosen(&self, request: CreatePlanRequest, told: &str) -> anyhow::Result<Value> {
        let (plan, steps, _) = self.sandbox.plan(request).await?;
        let of_policy = |step: &&PlanStep| {
            let object = step.object.clone().unwrap_or_default();
            object.id == self.policy
        };
        let step = steps.iter().find(of_policy).cloned().unwrap_or_default();
        assert!(step.reason.contains(told), "{}", step.reason);
        assert!(
            plan.risks.iter().any(|risk| risk.contains(told)),
            "{:?}",
            plan.risks
        );
        let restore = self.sandbox.apply(&plan.name).await?;
        assert_eq!(
            (restore.state(), restore.verified, &restore.unexpected[..]),
            (RestoreState::Succeeded, true, &[][..])
        );
        let kind = "conditionalAccessPolicy";
        let conditions = property(&self.sandbox, kind, &self.policy, "conditions");
        assert_eq!(conditions["users"]["includeUsers"], json!(["All"]));
        Ok(conditions["users"]["excludeUsers"].clone())
    }
}

#[tokio::test]
async fn another_stands_in_the_place_of_the_lost_one() -> anyhow::Result<()> {
    let it = guarded(|lost, _| json!({"includeUsers": ["All"], "excludeUsers": [lost]})).await?;
    purge(&it.sandbox, &it.lost).await?;
    let request = it.request(&[(&it.lost, &it.other)], &[]);
    let told = format!("user {} stands in the place of {}", it.other, it.lost);
    let excluded = it.chosen(request, &told).await?;
    assert_eq!(excluded, json!([it.other]));
    Ok(())
}

#[tokio::test]
async fn a_lost_user_is_left_out_where_a_person_says_so() -> anyhow::Result<()> {
    let it = guarded(|lost, other| json!({"includeUsers": ["All"], "excludeUsers": [lost, other]}))
        .await?;
    purge(&it.sandbox, &it.lost).await?;
    let request = it.request(&[], &[&it.lost]);
    let told = format!("user {} is left out", it.lost);
    let excluded = it.chosen(request, &told).await?;
    assert_eq!(excluded, json!([it.other]));
    Ok(())
}

#[tokio::test]
async fn only_what_is_proven_gone_is_replaced_or_left_out() -> anyhow::Result<()> {
    let it = guarded(|lost, _| json!({"includeUsers": ["All"], "excludeUsers": [lost]})).await?;
    let (lost, other) = (it.lost.as_str(), it.other.as_str());
    it.refused(&[], &[lost], "exists, so policies keep naming it")
        .await;
    let path = format!("/users/{lost}");
    write(&it.intruder, HttpMethod::Delete, path, None).await?;
    it.refused(&[(lost, other)], &[], "is in the recycle bin")
        .await;
    let path = format!("/directory/deletedItems/{lost}/restore");
    write(&it.intruder, HttpMethod::Post, path, None).await?;
    purge(&it.sandbox, lost).await?;
    let nobody = "0a1b2c3d-0000-4000-8000-00000000dead";
    it.refused(&[(lost, nobody)], &[], "does not exist").await;
    let group = ids(&it.sandbox, "group", |_| true).swap_remove(0);
    it.refused(&[(lost, &group)], &[], "does not exist").await;
    it.refused(&[], &[other], "no policy that the plan is about names")
        .await;
    let plan = it.sandbox.plan(it.request(&[(lost, other)], &[lost])).await;
    assert_eq!(reason(&plan.expect_err("refused")), "INVALID_ARGUMENT");
    Ok(())
}

#[tokio::test]
async fn nobody_is_left_out_so_that_a_policy_includes_nobody() -> anyhow::Result<()> {
    let it = guarded(|lost, _| json!({"includeUsers": [lost]})).await?;
    purge(&it.sandbox, &it.lost).await?;
    it.refused(&[], &[&it.lost], "would include nobody in includeUsers")
        .await;
    Ok(())
}

#[tokio::test]
async fn a_group_is_never_left_out() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let new = json!({"displayName": "Excluded", "mailEnabled": false, "mailNickname": "excluded", "securityEnabled": true});
    let made = write(&intruder, HttpMethod::Post, "/groups".to_owned(), Some(new)).await?;
    let group = made.unwrap_or_default()["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let policy = json!({"displayName": "Guarded", "state": "enabled",
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"], "excludeGroups": [group]}}});
    let path = "/identity/conditionalAccess/policies".to_owned();
    let made = write(&intruder, HttpMethod::Post, path, Some(policy)).await?;
    let policy = made.unwrap_or_default()["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let snapshot = sandbox.snapshot().await?;
    let path = format!("/identity/conditionalAccess/policies/{policy}");
    patch(&intruder, path, json!({"state": "disabled"})).await?;
    let mut request = sandbox.rollback(&snapshot.name);
    request.options.get_or_insert_default().drop_references = vec![group.clone()];
    let refused = sandbox.plan(request).await.expect_err("refused");
    assert_eq!(reason(&refused), "UNRESOLVED_REFERENCE");
    assert!(
        refused.message().contains("only a user may be left out"),
        "{refused:?}"
    );
    Ok(())
}
