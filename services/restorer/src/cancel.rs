//! Cancels a restore: what is applied stays, and nothing more is written.
//!
//! A mark in the store says so, which whoever applies the plan looks at before each
//! wave and each second while one runs; what is not written by then is not written any
//! more. Where nobody does in this process, the journal is closed by an entry that
//! comes in the place of the next one; a process elsewhere then writes no more. What
//! was begun and has no outcome is looked at, so that the record is true.

use std::time::Duration;

use graph::{DirectoryWriter, GraphError};
use model::lineage::Lineage;
use model::plan::{Action, Step};
use model::{PlanId, TenantId};
use proto::convert::timestamp;
use proto::v1::{
    Deed, JournalEntry, OutcomeState, Plan, Restore, RestoreState, WatchRestoreResponse,
};
use runtime::jobs::Start;
use runtime::status::{chain, status};
use store::{StoreError, TenantVault};
use tokio_stream::StreamExt;
use tracing::Instrument;

use crate::apply::{self, end_cancelled, open_intents};
use crate::documents::Documents;
use crate::noted::Noted;
use crate::recreate::Made;
use crate::step::{CANCELLED, Ending, Trail};
use crate::{Context, Error, create, errand, recreate, step};

/// How long another process may take to note how the steps ended that it is at: it sees
/// the mark within [`apply::CANCEL_LOOK`], its last requests are answered, and reads show
/// what they wrote within the sum of [`step::WAITS`]. After that no write is out that
/// reads do not show, also where that process is gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the journal is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// Cancels a restore, and ends it in the background where nobody applies it here. A
/// restore that has ended is only shown.
pub(crate) async fn start(
    context: &Context,
    vault: TenantVault,
    tenant: &TenantId,
    id: &PlanId,
    caller: String,
) -> Result<Restore, Error> {
    let documents = Documents::new(vault, id.clone());
    let plan = match made(context, &documents, tenant).await? {
        Ok(plan) => plan,
        Err(unmade) => return Ok(*unmade),
    };
    if documents.result().await?.is_some() {
        return apply::shown(context, &documents, tenant, &plan).await;
    }
    let deed = Deed {
        caller,
        time: Some(timestamp(context.deps.clock.now())),
        ..Deed::default()
    };
    documents.cancel(&deed).await?;
    let mut restore = apply::shown(context, &documents, tenant, &plan).await?;
    if restore.end_time.is_some() {
        return Ok(restore);
    }
    restore.state = RestoreState::Running as i32;
    let initial = WatchRestoreResponse {
        restore: Some(restore.clone()),
        phase: "cancelling".to_owned(),
    };
    match context.restores.start(restore.name.clone(), initial) {
        Start::Running(_) => {}
        Start::New(job) => {
            let span = tracing::info_span!("cancel", %tenant, restore = %id);
            let (context, tenant) = (context.clone(), tenant.clone());
            let run = async move {
                let result = settle(&context, &documents, &tenant, &plan).await;
                match &result {
                    Ok(restore) => tracing::info!(applied = restore.applied, "restore cancelled"),
                    Err(error) => {
                        tracing::warn!(error = chain(error), "restore not cancelled yet");
                    }
                }
                let done = |restore| WatchRestoreResponse {
                    restore: Some(restore),
                    phase: "done".to_owned(),
                };
                job.finish(result.map(done).map_err(|error| status(&error)));
            };
            tokio::spawn(run.instrument(span));
        }
    }
    Ok(restore)
}

/// The plan that is cancelled; where it is an errand's and still being made, that is
/// ended first, and the restore that does not come of it answered in its place.
async fn made(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
) -> Result<Result<Plan, Box<Restore>>, Error> {
    let not_found = match documents.plan().await {
        Ok(plan) => return Ok(Ok(plan)),
        Err(error @ Error::Store(StoreError::NotFound { .. })) => error,
        Err(error) => return Err(error),
    };
    if errand::unmade(context, documents).await?.is_none() {
        return Err(not_found);
    }
    let name = proto::name::plan(tenant, documents.id());
    let making = context.plans.watch(&name);
    context.plans.cancel(&name);
    if let Some(mut making) = making {
        while let Some(Ok(_)) = making.next().await {}
    }
    // It may have been made all the same.
    match documents.plan().await {
        Ok(plan) => return Ok(Ok(plan)),
        Err(Error::Store(StoreError::NotFound { .. })) => {}
        Err(error) => return Err(error),
    }
    let unmade = errand::unmade(context, documents).await?;
    let unmade = unmade.ok_or(not_found)?;
    Ok(Err(Box::new(errand::restore_of(
        tenant,
        documents.id(),
        unmade,
    ))))
}

/// Ends a restore that is cancelled and that nobody goes on with in this process.
pub(crate) async fn settle(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) -> Result<Restore, Error> {
    let (mut journal, mut since) = (Vec::new(), tokio::time::Instant::now());
    loop {
        if let Some(result) = documents.result().await? {
            return Ok(result);
        }
        let further = documents.journal_after(journal.len()).await?;
        if !further.is_empty() {
            since = tokio::time::Instant::now();
        }
        journal.extend(further);
        let open = open_intents(&journal);
        if !open.is_empty() && since.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let entry = JournalEntry {
            outcomes: found(context, documents, tenant, &open).await?,
            time: Some(timestamp(context.deps.clock.now())),
            ..JournalEntry::default()
        };
        match documents.append(journal.len(), &entry).await {
            Ok(()) => return end_cancelled(context, documents, tenant, plan).await,
            // Somebody is at it, and sees the mark before going on.
            Err(Error::AppliedElsewhere { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// How the steps ended that were begun and not noted, by what is found now.
async fn found(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    open: &[u32],
) -> Result<Vec<proto::v1::Outcome>, Error> {
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let record = context.deps.vault.registered(tenant).await?;
    let directory = (context.deps.connect)(&record)?;
    let lineage = documents.vault().lineage().await?;
    let mut steps = documents.model_steps().await?;
    steps.retain(|step| open.contains(&step.number));
    let mut noted = Noted::default();
    for some in steps.chunks(step::AT_ONCE) {
        let looks = some
            .iter()
            .map(|step| settled(directory.as_ref(), step, &lineage, documents.id()));
        let looks = futures::future::join_all(looks).await;
        for (step, look) in some.iter().zip(looks) {
            let (ending, made) = look?;
            noted.add(context, documents, step, ending, made);
        }
    }
    noted.tell(documents, &lineage).await?;
    Ok(noted.outcomes)
}

/// How one of them ended, in the ids that stand for what was made anew.
async fn settled(
    directory: &dyn DirectoryWriter,
    step: &Step,
    lineage: &Lineage,
    plan: &PlanId,
) -> Result<(Ending, Option<Made>), GraphError> {
    let step = match step.in_new_ids(lineage) {
        Ok(step) => step,
        // It cannot have been sent.
        Err(unmade) => {
            let ending = Ending {
                state: OutcomeState::Skipped,
                detail: format!("{CANCELLED}; names {unmade}, in whose place nothing was made"),
                trail: Trail::default(),
            };
            return Ok((ending, None));
        }
    };
    if step.action == Action::Recreate {
        return recreate::settle(directory, &step, lineage, plan).await;
    }
    if step.action == Action::Create {
        return create::settle(directory, &step, lineage, plan).await;
    }
    Ok((step::settle(directory, &step).await?, None))
}
