//! Approves plans, and sees to it that none is applied that needs an approval and has
//! none.
//!
//! An approval is of one plan, known by its hash, by somebody who did not make it, and
//! counts for a while. The tenant's policy when the plan was made and the one of now
//! both count, so that neither a plan from before nor one made while the policy was off
//! escapes the stricter. A restore that has begun is not asked again: half of it would
//! be worse than the whole, and that it was approved stood when it began.

use chrono::{DateTime, Utc};
use model::approval::{Approval, Grounds, Policy, Standing, standing};
use model::{TenantId, person};
use proto::convert;
use proto::v1::{ApprovePlanRequest, Plan, PlanState};

use crate::documents::Documents;
use crate::{Context, Error, errand, privileged};

/// Whether a plan needs a second person, by whichever policy asks for one.
struct Need {
    reasons: Vec<String>,
    policies: [Policy; 2],
}

async fn need(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) -> Result<Need, Error> {
    let record = context.deps.vault.tenant_record(tenant).await?;
    let now = record.map(|record| record.value.approval);
    let (grounds, then) = looked_at(documents, plan).await?;
    let policies = [then, now.unwrap_or_default()];
    let mut reasons: Vec<String> = Vec::new();
    for reason in policies.iter().flat_map(|policy| policy.reasons(&grounds)) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    Ok(Need { reasons, policies })
}

/// What policies look at, and the policy when the plan was made.
async fn looked_at(documents: &Documents, plan: &Plan) -> Result<(Grounds, Policy), Error> {
    let count = usize::try_from(plan.step_count).unwrap_or_default();
    if let Some(grounds) = documents.grounds().await? {
        let read = convert::model_grounds(&grounds, count);
        return read.map_err(|error| Error::Damaged {
            id: documents.id().to_string(),
            detail: error.to_string(),
        });
    }
    // Made before plans said so.
    let steps = documents.model_steps().await?;
    Ok((privileged::grounds(&steps, None), Policy::default()))
}

/// A stored plan with what is known of its approval.
pub(crate) async fn shown(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: Plan,
) -> Result<Plan, Error> {
    if plan.state() != PlanState::Ready {
        return Ok(plan);
    }
    let need = need(context, documents, tenant, &plan).await?;
    let approvals = documents.approvals().await?;
    let now = context.deps.clock.now();
    let errand = match plan.errand.clone() {
        Some(errand) => {
            Some(errand::shown(context, documents, errand, !need.reasons.is_empty()).await?)
        }
        None => None,
    };
    let told = match standing(&approvals, &plan.author, &plan.hash, now, &need.policies) {
        Standing::Approved(one) | Standing::Expired(one) | Standing::Stale(one) => Some(one),
        Standing::Missing => None,
    };
    Ok(Plan {
        errand,
        approval_required: need.reasons,
        approval: told.map(|one| {
            convert::approval(&Approval {
                expires_at: one.counts_until(&need.policies),
                ..one.clone()
            })
        }),
        ..plan
    })
}

/// Notes that a caller agrees to a plan; nothing where nobody has to, where the caller
/// has already, or where the restore has begun.
pub(crate) async fn approve(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    caller: Option<String>,
    request: &ApprovePlanRequest,
) -> Result<Plan, Error> {
    let caller = caller.ok_or(Error::NoCaller)?;
    let plan = documents.plan().await?;
    let id = || documents.id().to_string();
    if !request.plan_hash.is_empty() && request.plan_hash != plan.hash {
        return Err(Error::ApprovalStale {
            id: id(),
            approval: "what was read".to_owned(),
        });
    }
    let need = need(context, documents, tenant, &plan).await?;
    if need.reasons.is_empty() || documents.has_begun().await? {
        return shown(context, documents, tenant, plan).await;
    }
    if plan.author.is_empty() || plan.hash.is_empty() {
        return Err(Error::NoAuthor { id: id() });
    }
    if person::is_same(&plan.author, &caller) {
        return Err(Error::OwnPlan {
            id: id(),
            author: caller,
        });
    }
    documents.verify(&plan).await?;
    loop {
        let approvals = documents.approvals().await?;
        let now = context.deps.clock.now();
        let own: Vec<Approval> = approvals
            .iter()
            .filter(|one| one.approver == caller)
            .cloned()
            .collect();
        let so_far = standing(&own, &plan.author, &plan.hash, now, &need.policies);
        if matches!(so_far, Standing::Approved(_)) {
            break;
        }
        let given = Approval::given(&caller, &plan.hash, now, &need.policies);
        if documents.add_approval(approvals.len(), &given).await? {
            tracing::info!(%tenant, plan = %documents.id(), approver = caller, "plan approved");
            break;
        }
    }
    shown(context, documents, tenant, plan).await
}

/// Sees to it that a plan may begin to be applied, and answers by which approval;
/// none where nobody has to agree, or where it has begun.
///
/// # Errors
/// Where it needs an approval and none counts.
pub(crate) async fn ensure(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) -> Result<Option<proto::v1::Approval>, Error> {
    let need = need(context, documents, tenant, plan).await?;
    if need.reasons.is_empty() || documents.has_begun().await? {
        return Ok(None);
    }
    let id = documents.id().to_string();
    if plan.author.is_empty() || plan.hash.is_empty() {
        return Err(Error::NoAuthor { id });
    }
    let approvals = documents.approvals().await?;
    let now = context.deps.clock.now();
    match standing(&approvals, &plan.author, &plan.hash, now, &need.policies) {
        Standing::Approved(one) => {
            documents.verify(plan).await?;
            Ok(Some(convert::approval(one)))
        }
        Standing::Expired(one) => Err(Error::ApprovalExpired {
            id,
            approver: one.approver.clone(),
            until: text(one.counts_until(&need.policies)),
        }),
        Standing::Stale(one) => Err(Error::ApprovalStale {
            id,
            approval: format!("the approval by {}", one.approver),
        }),
        Standing::Missing => Err(Error::ApprovalRequired {
            id,
            reasons: need.reasons.join("; "),
        }),
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
