//! `rewind restore approve`: agrees to somebody else's plan.
//!
//! Owns how a plan's approval reads. What may be approved, and by whom, the server says.

use proto::json::to_json;
use proto::v1;
use runtime::exit;

use super::plan::head;
use crate::args::{ApprovePlan, Global};
use crate::client::required;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::text::{id_of, tame, time};

/// Approves a plan and prints its head.
pub(super) async fn approve(
    args: &ApprovePlan,
    global: &Global,
    output: Output,
) -> Result<u8, Failure> {
    let session = Session::open(global, output).await?;
    let tenant = session.tenant(args.name.tenant()).await?;
    let client = &session.client;
    let request = client.unary(v1::ApprovePlanRequest {
        name: args.name.plan_name(&tenant),
        plan_hash: args.hash.clone(),
        request_id: client.request_id(),
    });
    let plan = required(client.restores().approve_plan(request).await, |answer| {
        answer.plan
    })?;
    output.result(|| to_json("Plan", &plan), || head(&plan))?;
    if plan.approval_required.is_empty() {
        output.note("the plan needs no approval, so nothing was done");
    } else {
        let id = id_of(&plan.name);
        output.note(&format!("`rewind restore apply {id}` applies it"));
    }
    Ok(exit::DONE)
}

/// Whether a plan needs a second person, why, and who has agreed until when.
pub(super) fn told(plan: &v1::Plan) -> String {
    if plan.approval_required.is_empty() {
        return "not needed".to_owned();
    }
    let reasons = tame(&plan.approval_required.join("; "));
    match &plan.approval {
        None => format!("needed, since {reasons}"),
        Some(approval) => format!(
            "by {} on {}, to begin before {}; needed, since {reasons}",
            tame(&approval.approver),
            time(approval.create_time.as_ref()),
            time(approval.expire_time.as_ref())
        ),
    }
}
