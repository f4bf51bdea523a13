//! Plans that are carried through without their client: applied as soon as the tenant's
//! approval policy allows, and to be seen as failed where nothing comes of them.
//!
//! A mark in the store, made before anything else, says that somebody waits for such a
//! plan; by it restorers find, in rounds, what one that was stopped has left. Which of
//! several sees to an errand says a [`lease`]; whoever comes after makes the plan anew
//! under the same id, or goes on with the journal. Nothing is written to a tenant here
//! that [`apply`] would refuse to a person.

pub(crate) mod lease;

use std::collections::{BTreeMap, BTreeSet};
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
use crate::make_plan::{self, Order, Origin};
use crate::{Context, Error, apply, approve, cancel, report};

/// The folder of the marks.
const MARKS: &str = "errands";
/// How long after a round the next one begins, or longer where a round takes longer.
const ROUND: Duration = Duration::from_secs(60);
/// How many processes may be stopped while they make a plan before nobody tries any
/// more: it may be the plan that stops them.
const MOST_ATTEMPTS: u32 = 3;

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
    let until = apply_until(errand)?;
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

/// The plan that somebody waits for, as it was asked for; `None` where nobody does.
async fn waited_for(documents: &Documents) -> Result<Option<Plan>, Error> {
    let (vault, id) = (documents.vault(), documents.id());
    match vault.get(Area::Cursors, MARKS, id.as_str()).await {
        Ok(bytes) => Plan::decode(bytes)
            .map(Some)
            .map_err(|error| Error::Damaged {
                id: id.to_string(),
                detail: error.to_string(),
            }),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The plan of an errand that was not there when it was looked for: being made, not
/// made, or just made; `None` where nobody waits for it. One whose making was cut short
/// is being made, since it will be made anew.
pub(crate) async fn unmade(documents: &Documents) -> Result<Option<Plan>, Error> {
    let Some(plan) = waited_for(documents).await? else {
        return Ok(None);
    };
    match documents.plan().await {
        Err(Error::Store(StoreError::NotFound { .. })) => {}
        made => return made.map(Some),
    }
    let Some(failure) = documents.failure().await? else {
        return Ok(Some(plan));
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

fn cut_short(now: DateTime<Utc>) -> Failure {
    Failure {
        reason: reason::BACKEND_UNAVAILABLE.to_owned(),
        message: "the restorer was stopped while it made the plan; ask for it again".to_owned(),
        time: Some(timestamp(now)),
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

/// Makes the plan of an errand, unless another process does, and goes on with it.
pub(crate) async fn carry(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    making: impl Future<Output = Result<Plan, Error>>,
) -> Result<Plan, Error> {
    let result = lease::hold(context, documents, making).await;
    match &result {
        Ok(plan) => begin(context, documents, tenant, plan).await,
        // The plan is another's, or waits for the tenant.
        Err(
            Error::AppliedElsewhere { .. }
            | Error::Suspended
            | Error::Store(StoreError::Exists { .. }),
        ) => {}
        Err(error) => give_up(context, documents, error).await,
    }
    result
}

/// Applies the plan of an errand that may begin and has not; does nothing with others.
/// What is out of reach is tried again in the next round.
pub(crate) async fn begin(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) {
    match try_to_begin(context, documents, tenant, plan).await {
        // Whoever agrees sets it going, and a tenant that is served again.
        Ok(()) | Err(Error::ApprovalRequired { .. } | Error::Suspended) => {}
        Err(error) if error.kind().is_retryable() => {
            let (plan, error) = (documents.id(), chain(&error));
            tracing::warn!(%tenant, %plan, error, "an errand is not begun yet");
        }
        Err(error) => give_up(context, documents, &error).await,
    }
}

async fn try_to_begin(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) -> Result<(), Error> {
    let until = plan.errand.as_ref().and_then(apply_until);
    let is_open = until.is_some_and(|until| context.deps.clock.now() < until);
    if !is_open || documents.failure().await?.is_some() || documents.has_begun().await? {
        return Ok(());
    }
    // Whoever agreed has it applied: its author may have left since.
    let approval = approve::ensure(context, documents, tenant, plan).await?;
    let caller = approval.map_or_else(|| plan.author.clone(), |approval| approval.approver);
    let vault = documents.vault().clone();
    apply::start(context, vault, tenant, documents.id(), caller).await?;
    Ok(())
}

fn apply_until(errand: &Errand) -> Option<DateTime<Utc>> {
    errand.apply_until.as_ref().and_then(convert::time)
}

/// Notes why nothing comes of an errand; the first who says so counts.
async fn give_up(context: &Context, documents: &Documents, error: &Error) {
    if let Err(error) = note(context, documents, error).await {
        tracing::warn!(error = chain(&error), "why could not be noted");
    }
}

/// The same where it has to be noted.
pub(crate) async fn note(
    context: &Context,
    documents: &Documents,
    error: &Error,
) -> Result<(), Error> {
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
    documents.write_failure(&failure).await
}

/// Goes on, round by round, with what restorers that were stopped have left of errands.
pub(crate) async fn resume_all(context: Context) {
    let mut over = BTreeSet::new();
    loop {
        let began = tokio::time::Instant::now();
        resume_round(&context, &mut over).await;
        tokio::time::sleep(ROUND.max(began.elapsed())).await;
    }
}

/// One round over all tenants. `over` are the errands that need no look any more.
async fn resume_round(context: &Context, over: &mut BTreeSet<(TenantId, PlanId)>) {
    let tenants = match context.deps.vault.tenant_ids().await {
        Ok(tenants) => tenants,
        Err(error) => {
            tracing::warn!(error = chain(&error), "errands are not looked for");
            return;
        }
    };
    for tenant in tenants {
        match resume(context, &tenant, over).await {
            Ok(()) | Err(Error::Suspended) => {}
            Err(error) => {
                tracing::warn!(%tenant, error = chain(&error), "errands are not resumed");
            }
        }
    }
}

async fn resume(
    context: &Context,
    tenant: &TenantId,
    over: &mut BTreeSet<(TenantId, PlanId)>,
) -> Result<(), Error> {
    context.served(tenant).await?;
    let vault = context.deps.vault.tenant(tenant).await?;
    for id in marked(&vault).await? {
        let key = (tenant.clone(), id.clone());
        if over.contains(&key) {
            continue;
        }
        let documents = Documents::new(vault.clone(), id);
        match resume_one(context, tenant, &documents).await {
            Ok(false) => {}
            Ok(true) => {
                over.insert(key);
            }
            Err(error) => {
                let (plan, error) = (documents.id(), chain(&error));
                tracing::warn!(%tenant, %plan, error, "an errand is not resumed");
            }
        }
    }
    Ok(())
}

/// Goes on with an errand that nobody sees to; whether it needs no look any more.
async fn resume_one(
    context: &Context,
    tenant: &TenantId,
    documents: &Documents,
) -> Result<bool, Error> {
    if documents.result().await?.is_some() {
        return Ok(true);
    }
    // Before the plan is looked for: whoever makes it stores it before letting go.
    if lease::is_held(context, documents).await? {
        return Ok(false);
    }
    let (vault, id) = (documents.vault().clone(), documents.id());
    let plan = match documents.plan().await {
        Ok(plan) => plan,
        Err(Error::Store(StoreError::NotFound { .. })) => {
            return make_anew(context, tenant, documents).await;
        }
        Err(error) => return Err(error),
    };
    if let Some(deed) = documents.cancelled().await? {
        cancel::start(context, vault, tenant, id, deed.caller).await?;
    } else if documents.has_begun().await? {
        let first = documents.signed().await?.into_iter().next();
        let caller = first.map_or(plan.author, |deed| deed.caller);
        apply::start(context, vault, tenant, id, caller).await?;
    } else if is_over(context, documents, &plan).await? {
        return Ok(true);
    } else {
        begin(context, documents, tenant, &plan).await;
    }
    Ok(false)
}

/// Whether a plan that was not begun does not begin by itself any more.
async fn is_over(context: &Context, documents: &Documents, plan: &Plan) -> Result<bool, Error> {
    let until = plan.errand.as_ref().and_then(apply_until);
    let is_late = until.is_none_or(|until| until <= context.deps.clock.now());
    Ok(is_late || documents.failure().await?.is_some())
}

/// Makes a plan whose making was cut short under the same id; whether nothing comes of
/// it any more.
async fn make_anew(
    context: &Context,
    tenant: &TenantId,
    documents: &Documents,
) -> Result<bool, Error> {
    let waited_for = waited_for(documents).await?;
    let Some(plan) = waited_for.filter(|plan| !context.plans.is_running(&plan.name)) else {
        return Ok(false);
    };
    if documents.failure().await?.is_some() {
        return Ok(true);
    }
    // What was stored of it is in the way of another under its id.
    let is_in_the_way = documents.grounds().await?.is_some();
    if is_in_the_way || lease::attempts(documents).await? >= MOST_ATTEMPTS {
        let failure = cut_short(context.deps.clock.now());
        documents.write_failure(&failure).await?;
        return Ok(true);
    }
    match order(context, tenant, documents, &plan).await {
        Ok(order) => {
            make_plan::start(context, documents.vault().clone(), order);
            Ok(false)
        }
        Err(error) if error.kind().is_retryable() => Err(error),
        Err(error) => note(context, documents, &error).await.map(|()| true),
    }
}

/// The order that a mark was made of.
async fn order(
    context: &Context,
    tenant: &TenantId,
    documents: &Documents,
    plan: &Plan,
) -> Result<Order, Error> {
    let origin = if plan.report.is_empty() {
        let id = proto::name::parse_snapshot_in("snapshot", tenant, &plan.snapshot)?;
        Origin::Snapshot(Box::new(documents.vault().find(&id).await?))
    } else {
        Origin::Report(Box::new(
            report::made(&context.deps.differ, tenant, &plan.report).await?,
        ))
    };
    let asked_at = plan.create_time.as_ref().and_then(convert::time);
    let asked_at = asked_at.unwrap_or_else(|| context.deps.clock.now());
    Ok(Order {
        errand: plan.errand.clone(),
        ..Order::again(plan, tenant, documents.id().clone(), origin, asked_at)?
    })
}

#[cfg(test)]
mod tests;
