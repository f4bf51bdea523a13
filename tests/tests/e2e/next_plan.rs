//! What a restore could not see before it brought something back is in the plan that it
//! names at its end, and is done once that is applied.

use model::call::HttpMethod;
use proto::v1::*;
use serde_json::json;

use crate::restore::{cloud_user, ids, scene, write};
use crate::sandbox::TENANT;

#[tokio::test]
async fn what_came_back_with_an_object_is_in_the_plan_that_follows() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let was = sandbox.simulator.dump(TENANT);
    let application = ids(&sandbox, "application", |_| true).swap_remove(0);
    let rogue = ids(&sandbox, "user", cloud_user)
        .into_iter()
        .find(|user| {
            !was["links"][&format!("application/{application}/owners")]
                .as_array()
                .is_some_and(|owners| owners.contains(&json!(user)))
        })
        .expect("a user who does not own it");
    let owners = format!("/applications/{application}/owners/$ref");
    let body =
        json!({"@odata.id": format!("{}/v1.0/directoryObjects/{rogue}", sandbox.graph.url())});
    write(&intruder, HttpMethod::Post, owners, Some(body)).await?;
    let path = format!("/applications/{application}");
    write(&intruder, HttpMethod::Delete, path, None).await?;

    let (plan, ..) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(
        (restore.state(), restore.verified, restore.failed),
        (RestoreState::SucceededWithWarnings, false, 0)
    );
    assert!(
        restore
            .unexpected
            .iter()
            .any(|one| one.contains(&application)),
        "{:?}",
        restore.unexpected
    );

    let steps = sandbox.steps_of(&restore.next_plan).await?;
    let about: Vec<(StepAction, String)> = steps
        .iter()
        .map(|step| (step.action(), step.object.clone().unwrap_or_default().id))
        .collect();
    assert_eq!(about, [(StepAction::RemoveLink, application.clone())]);
    let followed = sandbox.apply(&restore.next_plan).await?;
    assert_eq!(
        (
            followed.state(),
            &followed.unexpected[..],
            followed.next_plan.as_str()
        ),
        (RestoreState::Succeeded, &[][..], "")
    );
    let left = simulator::differences(&was, &sandbox.simulator.dump(TENANT));
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}
