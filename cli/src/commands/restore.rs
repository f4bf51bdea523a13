//! `rewind restore …`: plans restores, applies plans, and tells how they went.
//!
//! Planning is in `plan`, approving in `approve`, applying in `apply`; this module owns what both name
//! and list.

pub(crate) mod apply;
mod approve;
mod cancel;
pub(crate) mod plan;

use model::TenantId;
use proto::json::to_json;
use proto::v1;
use runtime::exit;
use serde_json::Value;

use crate::args::{Global, PlanOrRestore, RestoreCommand};
use crate::client::{PAGE, all_pages, required};
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::table::{fields, table};
use crate::text::{id_of, time, word};

/// Runs one of the commands.
pub(crate) async fn run(
    command: &RestoreCommand,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    match command {
        RestoreCommand::Plan(args) => plan::make(args, global, output).await,
        RestoreCommand::Show(args) => show(&args.name, global, output).await,
        RestoreCommand::Approve(args) => approve::approve(args, global, output).await,
        RestoreCommand::Apply(args) | RestoreCommand::Resume(args) => {
            apply::apply(args, global, output).await
        }
        RestoreCommand::Watch(args) => apply::watch_restore(&args.name, global, output).await,
        RestoreCommand::List => list(global, output).await,
        RestoreCommand::Failures(args) => apply::failures(args, global, output).await,
        RestoreCommand::Cancel(args) => cancel::cancel(args, global, output).await,
        RestoreCommand::Undo(args) => plan::undo(args, global, output).await,
    }
}

impl PlanOrRestore {
    pub(super) fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Plan(plan) => plan.tenant.as_ref(),
            Self::Restore(restore) => restore.tenant.as_ref(),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Plan(plan) => plan.id.as_str(),
            Self::Restore(restore) => restore.id.as_str(),
        }
    }

    /// The plan's name; a restore carries its plan's id.
    pub(super) fn plan_name(&self, tenant: &TenantId) -> String {
        format!("{}/plans/{}", proto::name::tenant(tenant), self.id())
    }

    /// The restore's name; a restore carries its plan's id.
    fn restore_name(&self, tenant: &TenantId) -> String {
        format!("{}/restores/{}", proto::name::tenant(tenant), self.id())
    }
}

async fn show(name: &PlanOrRestore, global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(name.tenant()).await?;
    match name {
        PlanOrRestore::Plan(_) => {
            let request = session.client.unary(v1::GetPlanRequest {
                name: name.plan_name(&tenant),
            });
            let plan = required(
                session.client.restores().get_plan(request).await,
                |answer| answer.plan,
            )?;
            plan::print(&session, &plan).await?;
        }
        PlanOrRestore::Restore(_) => {
            let request = session.client.unary(v1::GetRestoreRequest {
                name: name.restore_name(&tenant),
            });
            let restore = required(
                session.client.restores().get_restore(request).await,
                |answer| answer.restore,
            )?;
            print(&restore, &output)?;
        }
    }
    Ok(exit::DONE)
}

async fn list(global: &Global, output: Output) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let parent = &proto::name::tenant(&session.tenant(None).await?);
    let client = &session.client;
    let restores = all_pages(|page_token| async move {
        let request = client.unary(v1::ListRestoresRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
        });
        let answer = client.restores().list_restores(request).await?.into_inner();
        Ok((answer.restores, answer.next_page_token))
    })
    .await?;
    output.result(
        || {
            Value::Array(
                restores
                    .iter()
                    .map(|restore| to_json("Restore", restore))
                    .collect(),
            )
        },
        || {
            let heading = [
                "ID",
                "STATE",
                "SNAPSHOT",
                "STARTED",
                "STEPS",
                "APPLIED",
                "CONFLICTS",
                "FAILED",
                "SKIPPED",
                "VERIFIED",
            ];
            table(heading, restores.iter().map(row))
        },
    )?;
    Ok(exit::DONE)
}

fn row(restore: &v1::Restore) -> [String; 10] {
    [
        id_of(&restore.name).to_owned(),
        state(restore),
        id_of(&restore.snapshot).to_owned(),
        time(restore.start_time.as_ref()),
        restore.step_count.to_string(),
        (restore.applied + restore.already_done).to_string(),
        restore.conflicts.to_string(),
        restore.failed.to_string(),
        restore.skipped.to_string(),
        yes_no(restore.verified),
    ]
}

fn state(restore: &v1::Restore) -> String {
    word(restore.state().as_str_name(), "RESTORE_STATE_")
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// Prints a restore as the result.
fn print(restore: &v1::Restore, output: &Output) -> Result<(), Failure> {
    let or_dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    output.result(
        || to_json("Restore", restore),
        || {
            let lines = [
                ("Name", restore.name.clone()),
                ("State", state(restore)),
                ("Plan", restore.plan.clone()),
                ("Snapshot", or_dash(&restore.snapshot)),
                ("Started", time(restore.start_time.as_ref())),
                ("Ended", time(restore.end_time.as_ref())),
                ("Steps", restore.step_count.to_string()),
                ("Applied", restore.applied.to_string()),
                ("Already done", restore.already_done.to_string()),
                ("Conflicts", restore.conflicts.to_string()),
                ("Failed", restore.failed.to_string()),
                ("Skipped", restore.skipped.to_string()),
                ("Verified", yes_no(restore.verified)),
                ("Verified by", or_dash(&restore.verification_report)),
            ];
            let approved_by = restore.approval.as_ref().map(|one| one.approver.clone());
            let further = [
                ("Planned by", restore.planned_by.clone()),
                ("Approved by", approved_by.unwrap_or_default()),
                ("Applied by", restore.applied_by.join(", ")),
                ("Cancelled by", restore.cancelled_by.clone()),
                ("Undoes", restore.undo_of.clone()),
            ];
            let told = further.into_iter().filter(|(_, text)| !text.is_empty());
            fields(lines.into_iter().chain(told))
        },
    )
}
