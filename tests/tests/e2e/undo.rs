//! The record of a restore, and the way back from it.

use std::collections::BTreeSet;

use model::call::HttpMethod;
use proto::v1::*;
use serde_json::{Value, json};
use simulator::attack::{self, AttackTarget};
use simulator::differences;

use crate::restore::{cloud_user, ids, patch, property, scene, write};
use crate::sandbox::{TENANT, reason};

#[tokio::test]
async fn an_undo_takes_the_tenant_back_to_just_before_the_restore() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let applications = ids(&sandbox, "application", |_| true);
    let path = format!("/applications/{}/addPassword", applications[0]);
    let rogue = json!({"passwordCredential": {"displayName": "rogue"}});
    write(&intruder, HttpMethod::Post, path, Some(rogue)).await?;
    let target = AttackTarget::practice(&sandbox.graph.url(), TENANT);
    let mut deeds = attack::run(&target).await?;
    deeds.extend(attack::run_beyond(&target).await?);
    let struck = sandbox.simulator.dump(TENANT);
    let (plan, steps, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        (restore.state(), &restore.unexpected[..]),
        (RestoreState::Succeeded, &[][..]),
        "{restore:#?}"
    );
    let restored = sandbox.simulator.dump(TENANT);
    assert!(differences(&struck, &restored).len() >= steps.len() / 2);

    let (way_back, undoing, exclusions) = sandbox.undo(&restore.name).await?;
    assert_eq!(way_back.undo_of, restore.name);
    assert!(undoing.iter().all(|step| !step.permission.is_empty()));
    let removed = |step: &&PlanStep| step.action() == StepAction::RemoveCredential;
    let lost: BTreeSet<String> = steps
        .iter()
        .filter(removed)
        .filter_map(|step| step.object.as_ref().map(|object| object.id.clone()))
        .collect();
    assert!(!lost.is_empty(), "a rogue credential was removed");
    let left_for = |obstacles: &[Obstacle]| -> BTreeSet<String> {
        let of_these = exclusions.iter();
        let of_these = of_these.filter(|one| obstacles.contains(&one.obstacle()));
        let objects = of_these.filter_map(|one| one.object.as_ref());
        objects.map(|object| object.id.clone()).collect()
    };
    assert_eq!(left_for(&[Obstacle::Secret]), lost);
    // What could lock people out is a person's to do.
    let by_hand = left_for(&[Obstacle::LockoutRisk, Obstacle::LastAdministrator]);
    let named = exclusions.iter().filter_map(|one| one.object.as_ref());
    let named: BTreeSet<&String> = named.map(|object| &object.id).collect();
    assert_eq!(named, lost.union(&by_hand).collect(), "{exclusions:#?}");

    let undone = sandbox.apply(&way_back.name).await?;
    let bad: Vec<Outcome> = sandbox
        .outcomes(&undone.name)
        .await?
        .into_iter()
        .filter(|one| {
            !matches!(
                one.state(),
                OutcomeState::Applied | OutcomeState::AlreadyDone
            )
        })
        .collect();
    assert_eq!(bad, []);
    assert_eq!(
        (undone.verified, &undone.unexpected[..]),
        (true, &[][..]),
        "{:?}",
        undone.open_matters
    );
    assert_eq!(undone.undo_of, restore.name);
    let after = sandbox.simulator.dump(TENANT);
    let left: Vec<String> = differences(&struck, &after)
        .into_iter()
        .filter(|one| !(one.contains("Credentials") && lost.iter().any(|id| one.contains(id))))
        .filter(|one| !by_hand.iter().any(|id| one.contains(id)))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "as after the attack");

    // An undo is a restore like any other, and can be undone.
    let (forth, again, left_out) = sandbox.undo(&undone.name).await?;
    assert!(!again.is_empty());
    let guarded = [Obstacle::LockoutRisk, Obstacle::LastAdministrator];
    assert!(
        left_out.iter().all(|one| guarded.contains(&one.obstacle())),
        "{left_out:#?}"
    );
    let by_hand: Vec<String> = left_out
        .into_iter()
        .filter_map(|one| one.object)
        .map(|object| object.id)
        .collect();
    let redone = sandbox.apply(&forth.name).await?;
    assert_eq!((redone.verified, &redone.unexpected[..]), (true, &[][..]));
    let after = sandbox.simulator.dump(TENANT);
    let mut left = differences(&restored, &after);
    left.retain(|one| !by_hand.iter().any(|id| one.contains(id)));
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_changed_since_the_restore_is_named_and_stays() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let users = ids(&sandbox, "user", cloud_user);
    let [first, second, third] = &users[..3] else {
        anyhow::bail!("three users are needed")
    };
    for user in [first, second, third] {
        patch(
            &intruder,
            format!("/users/{user}"),
            json!({"jobTitle": "Struck"}),
        )
        .await?;
    }
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    patch(
        &intruder,
        format!("/users/{first}"),
        json!({"jobTitle": "Newer"}),
    )
    .await?;
    let (way_back, steps, exclusions) = sandbox.undo(&restore.name).await?;
    assert_eq!(steps.len(), 2);
    let named: Vec<_> = exclusions
        .iter()
        .map(|one| (one.obstacle(), one.object.clone().unwrap_or_default().id))
        .collect();
    assert_eq!(named, [(Obstacle::ChangedSince, first.clone())]);

    patch(
        &intruder,
        format!("/users/{second}"),
        json!({"jobTitle": "Newest"}),
    )
    .await?;
    let undone = sandbox.apply(&way_back.name).await?;
    assert_eq!(
        (
            undone.state(),
            undone.applied,
            undone.conflicts,
            undone.verified
        ),
        (RestoreState::SucceededWithWarnings, 1, 1, false)
    );
    assert!(
        undone.unexpected[0].contains(second.as_str()),
        "{:?}",
        undone.unexpected
    );
    let title = |user: &str| property(&sandbox, "user", user, "jobTitle");
    assert_eq!(
        [title(first), title(second), title(third)],
        [json!("Newer"), json!("Newest"), json!("Struck")]
    );
    Ok(())
}

#[tokio::test]
async fn only_what_has_ended_is_undone() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let users = ids(&sandbox, "user", cloud_user);
    patch(
        &intruder,
        format!("/users/{}", users[0]),
        json!({"jobTitle": "Struck"}),
    )
    .await?;
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let restore = plan.name.replace("/plans/", "/restores/");
    let refused = sandbox.undo(&restore).await.expect_err("refused");
    assert_eq!(reason(&refused), "CONFLICT");
    let unknown = format!("{restore}-unknown");
    let refused = sandbox.undo(&unknown).await.expect_err("refused");
    assert_eq!(reason(&refused), "NOT_FOUND");
    Ok(())
}

#[tokio::test]
async fn the_record_tells_who_did_it_and_what_each_step_found_and_left() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let users = ids(&sandbox, "user", cloud_user);
    let old = property(&sandbox, "user", &users[0], "jobTitle");
    patch(
        &intruder,
        format!("/users/{}", users[0]),
        json!({"jobTitle": "Struck"}),
    )
    .await?;
    write(
        &intruder,
        HttpMethod::Delete,
        format!("/users/{}", users[1]),
        None,
    )
    .await?;
    let applications = ids(&sandbox, "application", |_| true);
    let path = format!("/applications/{}/addPassword", applications[0]);
    let rogue = json!({"passwordCredential": {"displayName": "rogue"}});
    let made = write(&intruder, HttpMethod::Post, path, Some(rogue)).await?;
    let secret = made.unwrap_or_default()["secretText"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(!secret.is_empty());

    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.applied_by, ["tests"]);
    let outcomes = sandbox.outcomes(&restore.name).await?;
    let of = |action: StepAction| {
        let mut outcomes = outcomes.iter();
        let found = outcomes.find(|one| one.action() == action).cloned();
        found.unwrap_or_default()
    };
    let record = |json: Option<&String>| -> Value {
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default()
    };
    let update = of(StepAction::Update);
    assert_eq!(
        record(update.before_json.as_ref()),
        json!({"jobTitle": "Struck"})
    );
    assert_eq!(
        record(update.after_json.as_ref()),
        json!({ "jobTitle": old })
    );
    let back = of(StepAction::RestoreDeleted);
    assert_eq!(
        (
            record(back.before_json.as_ref()),
            record(back.after_json.as_ref())
        ),
        (
            json!({"@rewind.state": "deleted"}),
            json!({"@rewind.state": "live"})
        )
    );
    let credential = of(StepAction::RemoveCredential);
    assert!(
        credential.before_json().contains("rogue"),
        "{credential:#?}"
    );
    assert!(
        !credential.after_json().contains("rogue"),
        "{credential:#?}"
    );
    for outcome in &outcomes {
        let was_written = outcome.state() == OutcomeState::Applied;
        let length = if was_written { 36 } else { 0 };
        assert_eq!(outcome.request_id.len(), length, "Graph's id: {outcome:#?}");
        let text = format!("{outcome:?}");
        assert!(!text.contains(&secret), "no secret is recorded");
    }
    Ok(())
}
