//! `rewind restore apply`, `resume`, `watch` and `failures`.
//!
//! Owns what the end of a restore says and exits with. Applying a plan again
//! goes on where the last attempt ended, so `resume` is the same call.

use proto::json::to_json;
use proto::v1::{self, OutcomeState, RestoreState};
use runtime::exit;
use serde_json::Value;

use super::{PlanOrRestore, print};
use crate::args::{ApplyPlan, Global, ListFailures, Waiting};
use crate::client::{Client, PAGE, all_pages, required};
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
    carry_out(&session, args.name.plan_name(&tenant), args.waiting).await
}

/// Applies a plan by its full name.
///
/// # Errors
/// What refused or ended it.
pub(crate) async fn carry_out(
    session: &Session,
    plan: String,
    waiting: Waiting,
) -> Result<u8, Failure> {
    let client = &session.client;
    let request = client.unary(v1::ApplyPlanRequest {
        name: plan,
        request_id: client.request_id(),
    });
    let mut restore = required(client.restores().apply_plan(request).await, |answer| {
        answer.restore
    })?;
    if !waiting.detach && !is_finished(&restore) {
        restore = ended(session, &restore.name).await?;
    }
    print(&restore, &session.output)?;
    conclude(session, &restore).await
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
    conclude(&session, &restore).await
}

fn is_finished(restore: &v1::Restore) -> bool {
    matches!(
        restore.state(),
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings | RestoreState::Cancelled
    )
}

/// Steps that are named where a restore ends with some that did not succeed.
const NAMED: usize = 20;

/// Says what is to be said about the end of a restore, and names the steps that did
/// not succeed.
async fn conclude(session: &Session, restore: &v1::Restore) -> Result<u8, Failure> {
    let output = &session.output;
    let code = verdict(restore, output);
    if restore.conflicts + restore.failed + restore.skipped > 0 {
        let failures = not_succeeded(session, &restore.name).await?;
        for outcome in failures.iter().take(NAMED) {
            output.warning(&format!(
                "step {} {} ({}): {}: {}",
                outcome.step,
                word(outcome.action().as_str_name(), "STEP_ACTION_"),
                render::object(outcome.object.as_ref()),
                word(outcome.state().as_str_name(), "OUTCOME_STATE_"),
                tame(&outcome.detail)
            ));
        }
        if failures.len() > NAMED {
            output.warning(&format!("and {} more", failures.len() - NAMED));
        }
    }
    Ok(code)
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
                let wanted = if restore.undo_of.is_empty() {
                    "not as in the snapshot"
                } else {
                    "not undone"
                };
                output.warning(&format!("{wanted}: {difference}"));
            }
            if !restore.next_plan.is_empty() {
                let next = id_of(&restore.next_plan);
                output.warning(&format!(
                    "what hung on objects in the recycle bin shows only now; plan {next} sets back what can be: `rewind restore show {next}`, then `rewind restore apply {next}`"
                ));
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
        RestoreState::Cancelled => {
            output.warning(&format!(
                "the restore was cancelled; {} of {} steps are applied and stay, and `rewind restore undo {id}` plans the way back",
                restore.applied, restore.step_count
            ));
            exit::WARNINGS
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

/// Lists the steps that did not succeed, or all.
pub(super) async fn failures(
    args: &ListFailures,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.name.tenant()).await?;
    let restore = args.name.restore_name(&tenant);
    let outcomes = if args.all {
        outcomes(&session.client, &restore, &[]).await?
    } else {
        not_succeeded(&session, &restore).await?
    };
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

/// The outcomes of the steps that did not succeed.
async fn not_succeeded(session: &Session, restore: &str) -> Result<Vec<v1::Outcome>, Failure> {
    let client = &session.client;
    let states = [
        OutcomeState::Conflict,
        OutcomeState::Failed,
        OutcomeState::Skipped,
    ]
    .map(i32::from);
    outcomes(client, restore, &states).await
}

/// The outcomes of a restore in some states, of all where none is named.
async fn outcomes(
    client: &Client,
    restore: &str,
    states: &[i32],
) -> Result<Vec<v1::Outcome>, Failure> {
    all_pages(|page_token| async move {
        let message = v1::ListOutcomesRequest {
            parent: restore.to_owned(),
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
    .await
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
