//! What is still to be done once a restore has ended.
//!
//! Owns the plan that follows one after which the tenant is not yet as it should be.
//! What hangs on an object in the recycle bin cannot be read before the object is back,
//! and what somebody changed in between stopped its step: both show in the comparison
//! after the restore, and a person decides about them with a plan before their eyes.

use model::TenantId;
use proto::convert::{model_chosen, model_options, model_parts, model_scope};
use proto::v1::{Plan, Restore};
use runtime::status::chain;

use crate::documents::Documents;
use crate::make_plan::{self, Order, Origin};
use crate::{Context, Error, report};

/// Plans what a comparison after a restore shows, and names the plan in the restore.
/// Where none can be made the restore stands as it is, and says what is not as it should
/// be.
pub(crate) async fn name(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
    restore: &mut Restore,
) {
    // An undo and a protection are held against what they plan, not against a report.
    if restore.unexpected.is_empty() || restore.verification_report.is_empty() {
        return;
    }
    let report = &restore.verification_report;
    match Box::pin(follow(context, documents, tenant, plan, report)).await {
        Ok(next) if next.step_count > 0 => restore.next_plan = next.name,
        Ok(_) => {}
        Err(error) => tracing::warn!(error = chain(&error), "no plan follows the restore"),
    }
}

/// The same order again, from what the tenant is now.
async fn follow(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
    report: &str,
) -> Result<Plan, Error> {
    let deps = &context.deps;
    let asked_at = deps.clock.now();
    let request = format!("{}-next-{}", documents.id(), deps.ids.uuid());
    let order = Order {
        tenant: tenant.clone(),
        id: make_plan::id(&[], asked_at, &request),
        origin: Origin::Report(report::made(&deps.differ, tenant, report).await?),
        scope: model_scope(plan.scope.as_ref())?,
        options: model_options(plan.options.as_ref())?,
        parts: model_parts(&plan.properties, &plan.links)?,
        chosen: model_chosen(plan.options.as_ref())?,
        author: plan.author.clone(),
        errand: None,
        asked_at,
    };
    make_plan::make(context, documents.vault().clone(), &order, &|_| ()).await
}
