//! What is done to a plan or a restore: approving, applying, cancelling, going back.

use super::super::error::PageError;
use super::super::form::Form;
use super::super::frame::{Answer, see};
use super::super::session::Visit;
use super::{plan_name, restore_name, restore_now, view};
use axum::extract::Path;
use proto::v1::{self, RestoreState};
use show::text::id_of;

fn back(at: &Visit, id: &str) -> Answer {
    see(&at.path(&format!("/restores/{id}")))
}

/// Agrees to the plan as it was read: its hash comes with the form.
pub(super) async fn approve(
    at: Visit,
    Path((_, id)): Path<(String, String)>,
    form: Form,
) -> Answer {
    let request = v1::ApprovePlanRequest {
        name: plan_name(&at, &id),
        plan_hash: form.text("hash").to_owned(),
        request_id: form.request_id(),
    };
    at.session.restores().approve_plan(request).await?;
    back(&at, &id)
}

/// Begins to apply the plan, where what was asked for was typed.
pub(super) async fn apply(at: Visit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::GetPlanRequest {
        name: plan_name(&at, &id),
    };
    let plan = at.session.restores().get_plan(request).await?.into_inner();
    let steps = plan.plan.unwrap_or_default().step_count;
    let phrase = view::phrase(&at.tenant, steps);
    if form.text("typed") != phrase {
        let problem = format!("type “{phrase}” to begin; nothing was written");
        return Err(PageError::invalid("confirmation", &problem));
    }
    begin(&at, &id, &form).await
}

/// Goes on where a restore was interrupted, which was confirmed before.
pub(super) async fn resume(at: Visit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    if restore_now(&at, &id).await?.state() != RestoreState::Interrupted {
        return back(&at, &id);
    }
    begin(&at, &id, &form).await
}

async fn begin(at: &Visit, id: &str, form: &Form) -> Answer {
    let request = v1::ApplyPlanRequest {
        name: plan_name(at, id),
        request_id: form.request_id(),
    };
    at.session.restores().apply_plan(request).await?;
    back(at, id)
}

pub(super) async fn cancel(at: Visit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::CancelRestoreRequest {
        name: restore_name(&at, &id),
        request_id: form.request_id(),
    };
    at.session.restores().cancel_restore(request).await?;
    back(&at, &id)
}

/// Plans the way back.
pub(super) async fn undo(at: Visit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::CreateUndoPlanRequest {
        restore: restore_name(&at, &id),
        request_id: form.request_id(),
    };
    let answer = at.session.restores().create_undo_plan(request).await?;
    let plan = answer.into_inner().plan.unwrap_or_default();
    back(&at, id_of(&plan.name))
}
