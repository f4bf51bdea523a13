//! `rewind restore apply`, `resume`, `watch` and `failures`.
//!
//! Owns what the end of a restore says and exits with. Applying a plan again
//! goes on where the last attempt ended, so `resume` is the same call.

use proto::json::to_json;
use proto::v1::{self, OutcomeState, RestoreState};
use runtime::exit;
use serde_json::Value;

use super::{PlanOrRestore, print};
use crate::args::{ApplyPlan, Global};
use crate::client::{PAGE, all_pages, required};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::{Update, watch};
use crate::render;
use crate::session::Session;
use crate::table::table;
use crate::text::{count, id_of, tame, time, word};

/// Applies a plan and waits for the end.
pub(super) async fn apply(
    args: &ApplyPlan,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.name.tenant()).await?;
    let client = &session.client;
    let request = client.unary(v1::ApplyPlanRequest {
        name: args.name.plan_name(&tenant),
        request_id: client.request_id(),
    });
    let mut restore = required(client.restores().apply_plan(request).await, |answer| {
        answer.restore
    })?;
    if !args.waiting.detach && !is_finished(&restore) {
        restore = ended(&session, &restore.name).await?;
    }
    print(&restore, &output)?;
    Ok(verdict(&restore, &output))
}

/// Waits for the end of a restore that was started before.
pub(super) async fn watch_restore(
    name: &PlanOrRestore,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(name.tenant()).await?;
    let restore = ended(&session, &name.restore_name(&tenant)).await?;
    print(&restore, &output)?;
    Ok(verdict(&restore, &output))
}

fn is_finished(restore: &v1::Restore) -> bool {
    matches!(
        restore.state(),
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings
    )
}

/// Waits for the end of a restore.
///
/// # Errors
/// What ended the waiting.
pub(crate) async fn ended(session: &Session, name: &str) -> Result<v1::Restore, Failure> {
    let open = || async {
        let request = session.client.stream(v1::WatchRestoreRequest {
            name: name.to_owned(),
        });
        session.client.restores().watch_restore(request).await
    };
    watch(
        &session.output,
        name,
        open,
        |message: v1::WatchRestoreResponse| {
            let resource = message.restore?;
            let tried = resource.applied
                + resource.already_done
                + resource.conflicts
                + resource.failed
                + resource.skipped;
            let line = format!(
                "{}: {tried} of {} steps",
                message.phase, resource.step_count
            );
            let ended = !matches!(
                resource.state(),
                RestoreState::Running | RestoreState::Unspecified
            );
            Some(Update {
                resource,
                line,
                ended,
            })
        },
    )
    .await
}

/// The exit code of a restore, with what is to be said about it.
fn verdict(restore: &v1::Restore, output: &Output) -> u8 {
    let id = id_of(&restore.name);
    for difference in &restore.meanwhile {
        output.note(&format!("not part of the plan: {}", tame(difference)));
    }
    for matter in &restore.open_matters {
        output.warning(&format!("still to be seen to: {matter}"));
    }
    match restore.state() {
        RestoreState::Succeeded if restore.verified => exit::DONE,
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings => {
            let troubled = restore.conflicts + restore.failed + restore.skipped;
            if troubled > 0 {
                let steps = count(i64::from(troubled), "step", "steps");
                output.warning(&format!(
                    "{steps} did not succeed; `rewind restore failures {id}` lists them"
                ));
            }
            for difference in &restore.unexpected {
                output.warning(&format!("not as in the snapshot: {difference}"));
            }
            if !restore.verified && restore.unexpected.is_empty() {
                output.warning("the tenant was not verified against the snapshot");
            }
            exit::WARNINGS
        }
        RestoreState::Interrupted => {
            output.warning(&format!(
                "the restore was interrupted; `rewind restore resume {id}` goes on"
            ));
            exit::UNAVAILABLE
        }
        RestoreState::Planned => {
            output.note(&format!(
                "nothing is applied yet; `rewind restore apply {id}` begins"
            ));
            exit::DONE
        }
        RestoreState::Running => exit::DONE,
        RestoreState::Unspecified => exit::FAILED,
    }
}

/// Lists the steps that did not succeed.
pub(super) async fn failures(
    name: &PlanOrRestore,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = &name.restore_name(&session.tenant(name.tenant()).await?);
    let client = &session.client;
    let states = [
        OutcomeState::Conflict,
        OutcomeState::Failed,
        OutcomeState::Skipped,
    ]
    .map(i32::from);
    let outcomes = all_pages(|page_token| async move {
        let message = v1::ListOutcomesRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            states: states.to_vec(),
        };
        let answer = client
            .restores()
            .list_outcomes(client.unary(message))
            .await?
            .into_inner();
        Ok((answer.outcomes, answer.next_page_token))
    })
    .await?;
    output.result(
        || {
            Value::Array(
                outcomes
                    .iter()
                    .map(|outcome| to_json("Outcome", outcome))
                    .collect(),
            )
        },
        || {
            table(
                ["STEP", "STATE", "ACTION", "OBJECT", "TIME", "DETAIL"],
                outcomes.iter().map(row),
            )
        },
    )?;
    Ok(exit::DONE)
}

fn row(outcome: &v1::Outcome) -> [String; 6] {
    [
        outcome.step.to_string(),
        word(outcome.state().as_str_name(), "OUTCOME_STATE_"),
        word(outcome.action().as_str_name(), "STEP_ACTION_"),
        render::object(outcome.object.as_ref()),
        time(outcome.time.as_ref()),
        outcome.detail.clone(),
    ]
}
