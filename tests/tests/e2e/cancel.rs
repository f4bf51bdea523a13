//! Cancelled restores: what is applied stays, nothing more is written, wherever the
//! restore runs.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use model::call::HttpMethod;
use model::{PlanId, TenantId};
use prost::Message;
use proto::v1::*;
use serde_json::json;
use store::Area;

use crate::restore::{cloud_user, destroy, ids, patch, property, scene, write};
use crate::sandbox::{Sandbox, TENANT, reason};

const TITLE: &str = "Changed";
/// How time passes while somebody waits.
pub(crate) const STEP: Duration = Duration::from_millis(150);
/// Steps of a wave between their look and their write.
const AT_THE_WRITE: i32 = 20;

/// Changes some users, and plans to put them back.
pub(crate) async fn struck(users: usize) -> anyhow::Result<(Sandbox, Plan, Vec<PlanStep>)> {
    let (sandbox, snapshot, intruder) = scene().await?;
    for user in ids(&sandbox, "user", cloud_user).iter().take(users) {
        patch(
            &intruder,
            format!("/users/{user}"),
            json!({"jobTitle": TITLE}),
        )
        .await?;
    }
    let (plan, steps, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    assert_eq!(steps.len(), users);
    Ok((sandbox, plan, steps))
}

pub(crate) fn restore_of(plan: &Plan) -> String {
    plan.name.replace("/plans/", "/restores/")
}

pub(crate) fn changed(sandbox: &Sandbox) -> usize {
    ids(sandbox, "user", |body| body["jobTitle"] == json!(TITLE)).len()
}

/// The journal of a process that was killed before it noted how its steps ended.
pub(crate) async fn begun(sandbox: &Sandbox, plan: &Plan, steps: &[i32]) -> anyhow::Result<()> {
    let entry = JournalEntry {
        intents: steps.to_vec(),
        ..JournalEntry::default()
    };
    let id = plan.name.rsplit('/').next().unwrap_or_default();
    let id = PlanId::parse(id)?;
    let vault = sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?;
    let entry = entry.encode_to_vec().into();
    vault
        .put(Area::Restores, id.as_str(), "journal/000001", entry)
        .await?;
    Ok(())
}

/// Puts back what a step puts back.
async fn put_back(sandbox: &Sandbox, step: &PlanStep) -> anyhow::Result<()> {
    let intruder = crate::sandbox::intruder(&sandbox.graph)?;
    let body = serde_json::from_str(step.body_json())?;
    patch(&intruder, step.path.clone(), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restore_is_cancelled_from_another_replica_within_a_wave() -> anyhow::Result<()> {
    let (sandbox, plan, _) = struck(30).await?;
    let (other, _stop) = sandbox.another_restorer().await?;
    // The writes that go first wait until the cancel is seen.
    let gate = Arc::new((Mutex::new((0, false)), Condvar::new()));
    let held = Arc::clone(&gate);
    let arrived = Arc::new(tokio::sync::Notify::new());
    let tell = Arc::clone(&arrived);
    sandbox.simulator.on_request(Box::new(move |request, _| {
        if request.method == "PATCH" && request.path.starts_with("/users/") {
            tell.notify_one();
            let (state, opened) = &*held;
            tokio::task::block_in_place(|| {
                let state = state.lock().expect("nobody panicked");
                let waited = opened.wait_while(state, |(_, open)| !*open);
                waited.expect("nobody panicked").0 += 1;
            });
        }
    }));
    let apply = sandbox.apply(&plan.name);
    let cancel = async {
        arrived.notified().await;
        let request = CancelRestoreRequest {
            name: restore_of(&plan),
            request_id: sandbox.request_id(),
        };
        let answer = other.clone().cancel_restore(request).await;
        // Who applies the plan sees the mark, and says so.
        let name = restore_of(&plan);
        let mut restores = sandbox.restores();
        let watch = restores.watch_restore(WatchRestoreRequest { name });
        let mut watch = watch.await?.into_inner();
        while let Some(message) = watch.try_next().await? {
            if message.phase == "cancelling" {
                break;
            }
        }
        let (state, opened) = &*gate;
        state.lock().expect("nobody panicked").1 = true;
        opened.notify_all();
        answer
    };
    let (applied, asked) = futures::join!(apply, cancel);
    let (restore, asked) = (applied?, asked?.into_inner().restore.unwrap_or_default());
    assert_eq!(asked.state(), RestoreState::Running);
    assert_eq!(restore.state(), RestoreState::Cancelled);
    assert_eq!(
        (restore.failed, restore.conflicts, restore.already_done),
        (0, 0, 0)
    );
    assert_eq!(
        (restore.applied, restore.skipped),
        (AT_THE_WRITE, 30 - AT_THE_WRITE),
        "what was sent is noted, and of the wave under way no more is written"
    );
    let left = usize::try_from(restore.skipped)?;
    assert_eq!(changed(&sandbox), left);
    assert_eq!(
        (&restore.applied_by[..], restore.verified),
        (&["tests".to_owned()][..], false)
    );

    let seen = sandbox.cancel(other, &restore.name).await?;
    assert_eq!(seen, restore, "both replicas tell the same");
    let refused = sandbox.apply(&plan.name).await.expect_err("refused");
    assert_eq!(reason(&refused), "RESTORE_CANCELLED");
    assert_eq!(changed(&sandbox), left, "nothing more is written");
    Ok(())
}

#[tokio::test]
async fn a_plan_that_was_never_applied_is_cancelled_for_good() -> anyhow::Result<()> {
    let (sandbox, plan, steps) = struck(2).await?;
    let restore = sandbox
        .cancel(sandbox.restores(), &restore_of(&plan))
        .await?;
    assert_eq!(
        (restore.state(), restore.applied, restore.start_time),
        (RestoreState::Cancelled, 0, None)
    );
    assert_eq!(restore.cancelled_by, "tests");
    let refused = sandbox.apply(&plan.name).await.expect_err("refused");
    assert_eq!(reason(&refused), "RESTORE_CANCELLED");
    assert_eq!(changed(&sandbox), steps.len());
    Ok(())
}

#[test]
fn what_was_begun_and_not_noted_is_looked_at_when_it_is_cancelled() -> anyhow::Result<()> {
    testkit::time::run(STEP, async {
        let (sandbox, plan, steps) = struck(3).await?;
        put_back(&sandbox, &steps[0]).await?;
        begun(&sandbox, &plan, &[1, 2]).await?;
        let restore = sandbox
            .cancel(sandbox.restores(), &restore_of(&plan))
            .await?;
        assert_eq!(
            (restore.state(), restore.applied, restore.skipped),
            (RestoreState::Cancelled, 1, 1)
        );
        let outcomes = sandbox.outcomes(&restore.name).await?;
        assert_eq!(
            outcomes.iter().map(Outcome::state).collect::<Vec<_>>(),
            [OutcomeState::Applied, OutcomeState::Skipped]
        );
        assert_eq!(
            outcomes[0].before_json(),
            json!({ "jobTitle": TITLE }).to_string()
        );
        assert_eq!(changed(&sandbox), 2);

        let (way_back, undoing, _) = sandbox.undo(&restore.name).await?;
        assert_eq!(undoing.len(), 1);
        let undone = sandbox.apply(&way_back.name).await?;
        assert_eq!(undone.state(), RestoreState::Succeeded, "{undone:#?}");
        assert_eq!(changed(&sandbox), 3);
        Ok(())
    })
}

#[test]
fn what_was_begun_to_be_made_anew_is_found_when_it_is_cancelled() -> anyhow::Result<()> {
    testkit::time::run(STEP, async {
        let (sandbox, snapshot, intruder) = scene().await?;
        let lost = ids(&sandbox, "user", cloud_user);
        for user in &lost[..2] {
            destroy(&sandbox, "users", "directory/deletedItems", user).await?;
        }
        let request = CreatePlanRequest {
            options: Some(PlanOptions {
                recreate_hard_deleted: true,
                ..PlanOptions::default()
            }),
            ..sandbox.rollback(&snapshot.name)
        };
        let (plan, steps, _) = sandbox.plan(request).await?;
        let mut making = steps.iter();
        let mut making = || making.find(|step| step.action() == StepAction::Recreate);
        let (Some(made), Some(unmade)) = (making(), making()) else {
            anyhow::bail!("two are made anew")
        };
        // Killed between the request for the first and the one for the second.
        let mut body: serde_json::Value = serde_json::from_str(made.body_json())?;
        body["passwordProfile"] = json!({"password": "Rw1!a-long-password-of-the-test"});
        let path = made.path.clone();
        let answer = write(&intruder, HttpMethod::Post, path, Some(body)).await?;
        let answer = answer.unwrap_or_default();
        begun(&sandbox, &plan, &[made.number, unmade.number]).await?;

        let restore = sandbox
            .cancel(sandbox.restores(), &restore_of(&plan))
            .await?;
        assert_eq!(
            (restore.state(), restore.applied, restore.skipped),
            (RestoreState::Cancelled, 1, 1)
        );
        let outcomes = sandbox.outcomes(&restore.name).await?;
        let told: Vec<_> = outcomes
            .iter()
            .map(|outcome| (outcome.step, outcome.state(), outcome.new_id.as_str()))
            .collect();
        let new = answer["id"].as_str().unwrap_or_default();
        assert_eq!(
            told,
            [
                (made.number, OutcomeState::Applied, new),
                (unmade.number, OutcomeState::Skipped, "")
            ]
        );
        let vault = sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?;
        let lineage = vault.lineage().await?;
        let pairs: Vec<_> = lineage
            .entries()
            .iter()
            .map(|entry| (entry.old.to_string(), entry.new.to_string()))
            .collect();
        let old = made.object.clone().unwrap_or_default().id;
        assert_eq!(pairs, [(old, new.to_owned())]);
        Ok(())
    })
}

#[tokio::test]
async fn a_write_that_was_not_noted_is_the_restores_own_when_it_is_resumed() -> anyhow::Result<()> {
    let (sandbox, plan, steps) = struck(2).await?;
    put_back(&sandbox, &steps[0]).await?;
    begun(&sandbox, &plan, &[1, 2]).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        (restore.state(), restore.applied, restore.already_done),
        (RestoreState::Succeeded, 2, 0)
    );
    let outcomes = sandbox.outcomes(&restore.name).await?;
    for outcome in &outcomes {
        let before = json!({ "jobTitle": TITLE }).to_string();
        assert_eq!(outcome.before_json(), before, "{outcome:#?}");
    }
    assert_eq!(outcomes[0].request_id, "", "nothing was sent for it again");
    assert_ne!(outcomes[1].request_id, "");
    Ok(())
}

#[tokio::test]
async fn a_restore_that_has_ended_stays_as_it_is() -> anyhow::Result<()> {
    let (sandbox, plan, steps) = struck(1).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    let seen = sandbox.cancel(sandbox.restores(), &restore.name).await?;
    assert_eq!(seen, restore);
    assert_eq!(sandbox.apply(&plan.name).await?, restore);
    let user = steps[0].object.clone().unwrap_or_default().id;
    assert_ne!(property(&sandbox, "user", &user, "jobTitle"), json!(TITLE));
    Ok(())
}
