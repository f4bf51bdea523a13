//! Plans that are carried through without their client: applied as soon as the tenant's
//! approval policy allows, and to be seen as failed where nothing comes of them.
//!
//! A mark in the store, made before anything else, says that somebody waits for such a
//! plan; by it a restorer that starts finds what the one before it left. Nothing is
//! written to a tenant here that [`apply`] would refuse to a person.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use model::approval::Policy;
use model::error::reason;
use model::plan::{Action, Step};
use model::{ObjectRef, PlanId, TenantId};
use prost::Message;
use proto::convert::{self, timestamp};
use proto::v1::{Errand, Failure, Outcome, OutcomeState, Plan, PlanState, Restore, RestoreState};
use runtime::status::{Fault, chain};
use store::{Area, StoreError, TenantVault};

use crate::documents::Documents;
use crate::{Context, Error, apply, cancel};

/// The folder of the marks.
const MARKS: &str = "errands";
/// After how long an attempt to begin is repeated that something out of reach ended.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// Marks that somebody waits for a plan.
pub(crate) async fn mark(vault: &TenantVault, id: &PlanId, running: &Plan) -> Result<(), Error> {
    let content = Bytes::from(running.encode_to_vec());
    match vault.put(Area::Cursors, MARKS, id.as_str(), content).await {
        // By the same request.
        Err(StoreError::Exists { .. }) => Ok(()),
        other => Ok(other?),
    }
}

/// The ids of the plans that somebody waits for, or waited.
pub(crate) async fn marked(vault: &TenantVault) -> Result<Vec<PlanId>, Error> {
    let names = vault.list_names(Area::Cursors, MARKS).await?;
    let ids = names.iter().filter_map(|name| PlanId::parse(name).ok());
    Ok(ids.collect())
}

/// What a plan's errand comes to once its steps are known.
pub(crate) fn planned(
    errand: Errand,
    steps: &[Step],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Errand {
    let whole = Tally::of(steps, |_| true);
    let until = now + TimeDelta::hours(i64::from(policy.expires_after_hours));
    Errand {
        apply_until: Some(timestamp(until)),
        object_count: whole.objects,
        link_count: whole.links,
        ..errand
    }
}

/// What a restore's errand comes to at its end.
pub(crate) fn ended(errand: Errand, steps: &[Step], outcomes: &BTreeMap<u32, Outcome>) -> Errand {
    let good = |step: &Step| {
        let state = outcomes.get(&step.number).map(Outcome::state);
        matches!(
            state,
            Some(OutcomeState::Applied | OutcomeState::AlreadyDone)
        )
    };
    let done = Tally::of(steps, good);
    Errand {
        changed_objects: done.objects,
        changed_links: done.links,
        failure: None,
        ..errand
    }
}

/// How many objects and links steps write.
struct Tally {
    objects: i64,
    links: i64,
}

impl Tally {
    /// Of the objects those of which every step counts.
    fn of(steps: &[Step], counts: impl Fn(&Step) -> bool) -> Self {
        let (mut objects, mut links) = (BTreeMap::<&ObjectRef, bool>::new(), 0);
        for step in steps {
            if matches!(step.action, Action::AddLinks | Action::RemoveLink) {
                links += if counts(step) { step.links.len() } else { 0 };
            } else {
                *objects.entry(&step.object).or_insert(true) &= counts(step);
            }
        }
        let objects = objects.values().filter(|whole| **whole).count();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            objects: number(objects),
            links: number(links),
        }
    }
}

/// An errand as it is shown before its plan has begun to be applied; `asks` where
/// somebody has to agree first.
pub(crate) async fn shown(
    context: &Context,
    documents: &Documents,
    errand: Errand,
    asks: bool,
) -> Result<Errand, Error> {
    if documents.has_begun().await? || documents.result().await?.is_some() {
        return Ok(errand);
    }
    let failure = match documents.failure().await? {
        Some(failure) => Some(failure),
        None => overdue(&errand, asks, context.deps.clock.now()),
    };
    Ok(Errand { failure, ..errand })
}

/// That the time is over in which a plan begins by itself.
fn overdue(errand: &Errand, asks: bool, now: DateTime<Utc>) -> Option<Failure> {
    let until = errand.apply_until.as_ref().and_then(convert::time)?;
    if now < until {
        return None;
    }
    let (reason, what) = match asks {
        true => (reason::APPROVAL_EXPIRED, "nobody approved the plan in time"),
        false => (reason::BACKEND_UNAVAILABLE, "the plan was not begun"),
    };
    let at = until.format("%Y-%m-%dT%H:%M:%SZ");
    Some(Failure {
        reason: reason.to_owned(),
        message: format!("{what}: until {at} it would have been applied by itself"),
        time: errand.apply_until,
    })
}

/// The plan of an errand that was not there when it was looked for: being made, not
/// made, or just made; `None` where nobody waits for it.
pub(crate) async fn unmade(
    context: &Context,
    documents: &Documents,
) -> Result<Option<Plan>, Error> {
    let (vault, id) = (documents.vault(), documents.id());
    let plan = match vault.get(Area::Cursors, MARKS, id.as_str()).await {
        Ok(bytes) => Plan::decode(bytes).map_err(|error| Error::Damaged {
            id: id.to_string(),
            detail: error.to_string(),
        })?,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // What comes of it is stored before it stops running.
    if context.plans.is_running(&plan.name) {
        return Ok(Some(plan));
    }
    let failure = match documents.failure().await? {
        Some(failure) => failure,
        None => match documents.plan().await {
            Err(Error::Store(StoreError::NotFound { .. })) => Failure {
                time: plan.create_time,
                ..cut_short()
            },
            made => return made.map(Some),
        },
    };
    Ok(Some(Plan {
        state: PlanState::Failed as i32,
        errand: plan.errand.map(|errand| Errand {
            failure: Some(failure),
            ..errand
        }),
        ..plan
    }))
}

fn cut_short() -> Failure {
    Failure {
        reason: reason::BACKEND_UNAVAILABLE.to_owned(),
        message: "the restorer was stopped while it made the plan; ask for it again".to_owned(),
        time: None,
    }
}

/// A plan that is not made as the restore that would have come of it.
pub(crate) fn restore_of(tenant: &TenantId, id: &PlanId, plan: Plan) -> Restore {
    Restore {
        name: format!("tenants/{tenant}/restores/{id}"),
        plan: plan.name,
        state: RestoreState::Planned as i32,
        snapshot: plan.snapshot,
        planned_by: plan.author,
        create_time: plan.create_time,
        errand: plan.errand,
        ..Restore::default()
    }
}

/// Goes on with an errand whose plan has just been made, or was not.
pub(crate) async fn made(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    result: &Result<Plan, Error>,
) {
    match result {
        Ok(plan) => begin(context, documents, tenant, plan).await,
        Err(error) => give_up(context, documents, error).await,
    }
}

/// Applies the plan of an errand that may begin and has not; does nothing with others.
pub(crate) async fn begin(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) {
    let mut pauses = PAUSES.into_iter();
    loop {
        let Err(error) = try_to_begin(context, documents, tenant, plan).await else {
            return;
        };
        match pauses.next().filter(|_| error.kind().is_retryable()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return give_up(context, documents, &error).await,
        }
    }
}

async fn try_to_begin(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) -> Result<(), Error> {
    let until = plan.errand.as_ref().and_then(|errand| errand.apply_until);
    let Some(until) = until.as_ref().and_then(convert::time) else {
        return Ok(());
    };
    let over = context.deps.clock.now() >= until || documents.failure().await?.is_some();
    if over || documents.has_begun().await? {
        return Ok(());
    }
    let (vault, author) = (documents.vault().clone(), plan.author.clone());
    match apply::start(context, vault, tenant, documents.id(), author).await {
        Ok(_) => Ok(()),
        // Whoever agrees sets it going.
        Err(Error::ApprovalRequired { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Notes why nothing comes of an errand; the first who says so counts.
async fn give_up(context: &Context, documents: &Documents, error: &Error) {
    let failure = Failure {
        reason: error.reason().to_owned(),
        message: match error.kind() {
            model::ErrorKind::Internal => "internal error".to_owned(),
            _ => chain(error),
        },
        time: Some(timestamp(context.deps.clock.now())),
    };
    tracing::warn!(
        tenant = %documents.vault().id(),
        plan = %documents.id(),
        error = failure.message,
        "nothing comes of an errand"
    );
    if let Err(error) = documents.write_failure(&failure).await {
        tracing::warn!(error = chain(&error), "why could not be noted");
    }
}

/// Goes on with what a restorer that was stopped has left of errands.
pub(crate) async fn resume_all(context: Context) {
    let tenants = match context.deps.vault.tenant_ids().await {
        Ok(tenants) => tenants,
        Err(error) => {
            tracing::warn!(error = chain(&error), "errands are not looked for");
            return;
        }
    };
    for tenant in tenants {
        if let Err(error) = resume(&context, &tenant).await {
            tracing::warn!(%tenant, error = chain(&error), "errands are not resumed");
        }
    }
}

async fn resume(context: &Context, tenant: &TenantId) -> Result<(), Error> {
    let vault = context.deps.vault.tenant(tenant).await?;
    for id in marked(&vault).await? {
        let documents = Documents::new(vault.clone(), id);
        if let Err(error) = resume_one(context, tenant, &documents).await {
            let (plan, error) = (documents.id(), chain(&error));
            tracing::warn!(%tenant, %plan, error, "an errand is not resumed");
        }
    }
    Ok(())
}

async fn resume_one(
    context: &Context,
    tenant: &TenantId,
    documents: &Documents,
) -> Result<(), Error> {
    if documents.result().await?.is_some() {
        return Ok(());
    }
    let (vault, id) = (documents.vault().clone(), documents.id());
    let plan = match documents.plan().await {
        Ok(plan) => plan,
        Err(Error::Store(StoreError::NotFound { .. })) => {
            let running = context.plans.is_running(&proto::name::plan(tenant, id));
            if !running && documents.failure().await?.is_none() {
                let failure = Failure {
                    time: Some(timestamp(context.deps.clock.now())),
                    ..cut_short()
                };
                documents.write_failure(&failure).await?;
            }
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if let Some(deed) = documents.cancelled().await? {
        cancel::start(context, vault, tenant, id, deed.caller).await?;
    } else if documents.has_begun().await? {
        apply::start(context, vault, tenant, id, plan.author).await?;
    } else {
        begin(context, documents, tenant, &plan).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
