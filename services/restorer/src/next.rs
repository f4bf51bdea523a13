//! What is still to be done once a restore has ended.
//!
//! Owns the plan that follows one after which the tenant is not yet as it should be.
//! What hangs on an object in the recycle bin cannot be read before the object is back,
//! and what somebody changed in between stopped its step: both show in the comparison
//! after the restore, and a person decides about them with a plan before their eyes.

use model::{PlanId, TenantId, slot};
use proto::v1::{Plan, Restore};
use runtime::status::chain;
use store::{Area, StoreError};

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

/// The same order again, from what the tenant is now; or the plan that an attempt which
/// was cut short has made of it.
async fn follow(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
    report: &str,
) -> Result<Plan, Error> {
    let (deps, vault) = (&context.deps, documents.vault());
    let request = format!("{}-next", documents.id());
    let mut left = vault.list_ids(Area::Restores).await?;
    let mark = slot::request_mark(&request);
    left.retain(|id| id.ends_with(&mark));
    for id in left.iter().filter_map(|id| PlanId::parse(id).ok()) {
        match Documents::new(vault.clone(), id).plan().await {
            Err(Error::Store(StoreError::NotFound { .. })) => {}
            made => return made,
        }
    }
    let asked_at = deps.clock.now();
    let id = make_plan::id(&left, asked_at, &request);
    let origin = Origin::Report(Box::new(report::made(&deps.differ, tenant, report).await?));
    let order = Order::again(plan, tenant, id, origin, asked_at)?;
    make_plan::make(context, vault.clone(), &order, &|_| ()).await
}
