//! `rewind restore cancel`: ends a restore for good, wherever it runs.

use proto::v1::{self, RestoreState};
use runtime::exit;

use super::apply::ended;
use super::print;
use crate::args::{ApplyPlan, Global};
use crate::client::required;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::text::id_of;

/// Cancels a restore and waits until what is under way has ended.
pub(super) async fn cancel(
    args: &ApplyPlan,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.name.tenant()).await?;
    let client = &session.client;
    let request = client.unary(v1::CancelRestoreRequest {
        name: args.name.restore_name(&tenant),
        request_id: client.request_id(),
    });
    let mut restore = required(client.restores().cancel_restore(request).await, |answer| {
        answer.restore
    })?;
    if !args.waiting.detach && restore.state() == RestoreState::Running {
        restore = ended(&session, &restore.name).await?;
    }
    print(&restore, &output)?;
    match restore.state() {
        RestoreState::Cancelled => output.note(&format!(
            "{} of {} steps are applied and stay; `rewind restore undo {}` plans the way back",
            restore.applied,
            restore.step_count,
            id_of(&restore.name)
        )),
        RestoreState::Running => {}
        _ => output.note("the restore had ended before"),
    }
    Ok(exit::DONE)
}
