//! Applies a plan, wave by wave, with a journal: the intent before each write,
//! the outcome after it. Killed anywhere, it goes on where the journal ends.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use graph::DirectoryWriter;
use model::diff::Obstacle;
use model::plan::{Action, Exclusion, Step};
use model::{ObjectRef, ObjectType, PlanId, TenantId};
use proto::convert::{self, timestamp};
use proto::v1::{
    Deed, JournalEntry, Outcome, OutcomeState, Plan, Restore, RestoreState, WatchRestoreResponse,
};
use runtime::jobs::{JobHandle, Start};
use runtime::status::{chain, status};
use store::{StoreError, TenantVault};
use tracing::Instrument;

use crate::documents::Documents;
use crate::lane::Lane;
use crate::make_plan::count;
use crate::step::{AT_ONCE, Begun, Ending, Trail};
use crate::verify::Verification;
use crate::{Context, Error, approve, cancel, step};

/// Skipped steps in one journal entry.
const MOST_SKIPPED: usize = 1000;

/// The outcomes by step.
type Outcomes = BTreeMap<u32, Outcome>;

/// Starts to apply a plan in the background, or joins the restore that runs. A
/// finished restore is only shown; one that is cancelled is refused.
///
/// # Errors
/// Where the plan needs an approval that counts and has none, or was cancelled.
pub(crate) async fn start(
    context: &Context,
    vault: TenantVault,
    tenant: &TenantId,
    id: &PlanId,
    caller: String,
) -> Result<WatchRestoreResponse, Error> {
    let documents = Documents::new(vault, id.clone());
    let plan = documents.plan().await?;
    let cancelled = || Error::Cancelled { id: id.to_string() };
    if let Some(result) = documents.result().await? {
        if result.state() == RestoreState::Cancelled {
            return Err(cancelled());
        }
        return Ok(WatchRestoreResponse {
            restore: Some(result),
            phase: "done".to_owned(),
        });
    }
    if documents.cancelled().await?.is_some() {
        return Err(cancelled());
    }
    let name = format!("tenants/{tenant}/restores/{id}");
    if !context.restores.is_running(&name) {
        approve::ensure(context, &documents, tenant, &plan).await?;
    }
    let mut restore = shown(context, &documents, tenant, &plan).await?;
    restore.state = RestoreState::Running as i32;
    let initial = WatchRestoreResponse {
        restore: Some(restore.clone()),
        phase: "applying".to_owned(),
    };
    match context.restores.start(restore.name, initial.clone()) {
        Start::Running(value) => Ok(value),
        Start::New(job) => {
            let span = tracing::info_span!("restore", %tenant, restore = %id);
            let (context, tenant) = (context.clone(), tenant.clone());
            let run = async move {
                let deed = Deed {
                    caller,
                    time: Some(timestamp(context.deps.clock.now())),
                };
                let result = async {
                    documents.sign(&deed).await?;
                    apply(&context, &documents, &tenant, &plan, &job).await
                }
                .await;
                match &result {
                    Ok(restore) => tracing::info!(
                        verified = restore.verified,
                        applied = restore.applied,
                        failed = restore.failed,
                        "restore ended"
                    ),
                    Err(error) => {
                        tracing::warn!(error = chain(error), "restore stopped; it can be resumed");
                    }
                }
                let done = |restore| WatchRestoreResponse {
                    restore: Some(restore),
                    phase: "done".to_owned(),
                };
                job.finish(result.map(done).map_err(|error| status(&error)));
            };
            tokio::spawn(run.instrument(span));
            Ok(initial)
        }
    }
}

/// A restore as the store and this process know it.
pub(crate) async fn shown(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) -> Result<Restore, Error> {
    if let Some(mut result) = documents.result().await? {
        if result.state() == RestoreState::Cancelled {
            // Another process may have noted what it was at only after the end.
            tally(&mut result, &outcomes(&documents.journal().await?));
        }
        return Ok(result);
    }
    let name = format!("tenants/{tenant}/restores/{}", documents.id());
    if let Some(progress) = context
        .restores
        .get(&name)
        .filter(|_| context.restores.is_running(&name))
    {
        return Ok(progress.restore.unwrap_or_default());
    }
    let journal = documents.journal().await?;
    let state = if first(&journal).is_none() {
        RestoreState::Planned
    } else {
        RestoreState::Interrupted
    };
    let mut restore = Restore {
        state: state as i32,
        start_time: first(&journal).and_then(|entry| entry.time),
        ..base(documents, tenant, plan).await?
    };
    tally(&mut restore, &outcomes(&journal));
    Ok(restore)
}

/// The entry with which the first step began.
fn first(journal: &[JournalEntry]) -> Option<&JournalEntry> {
    let mut entries = journal.iter();
    entries.find(|entry| !entry.intents.is_empty() || !entry.outcomes.is_empty())
}

/// The outcomes that a journal tells of.
pub(crate) fn outcomes(journal: &[JournalEntry]) -> Outcomes {
    let all = journal.iter().flat_map(|entry| &entry.outcomes);
    all.filter_map(|outcome| Some((u32::try_from(outcome.step).ok()?, outcome.clone())))
        .collect()
}

fn tally(restore: &mut Restore, outcomes: &Outcomes) {
    let of = |state: OutcomeState| {
        count(
            outcomes
                .values()
                .filter(|outcome| outcome.state() == state)
                .count(),
        )
    };
    restore.applied = of(OutcomeState::Applied);
    restore.already_done = of(OutcomeState::AlreadyDone);
    restore.conflicts = of(OutcomeState::Conflict);
    restore.failed = of(OutcomeState::Failed);
    restore.skipped = of(OutcomeState::Skipped);
}

async fn apply(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
    job: &JobHandle<WatchRestoreResponse>,
) -> Result<Restore, Error> {
    let deps = &context.deps;
    let record = deps.vault.registered(tenant).await?;
    let directory = (deps.connect)(&record)?;
    let steps = documents.model_steps().await?;
    let journal = documents.journal().await?;
    let mut run = Run::new(context, documents, &journal);
    let mut lane = Lane::new(context, documents.vault(), documents.id(), &directory);
    let ended = run
        .carry_out_all(&steps, &directory, &mut lane, |outcomes| {
            job.modify(|value| tally(value.restore.get_or_insert_default(), outcomes));
        })
        .await;
    // Before anything else: the comparison reads the policies anew.
    lane.give_back().await;
    if ended? == Course::Cancelled {
        return cancel::settle(context, documents, tenant, plan).await;
    }
    job.modify(|value| value.phase = "verifying".to_owned());
    let mut restore = Restore {
        start_time: first(&documents.journal().await?).and_then(|entry| entry.time),
        ..base(documents, tenant, plan).await?
    };
    tally(&mut restore, &run.outcomes);
    let exclusions = documents.model_exclusions().await?;
    restore.open_matters = open_matters(&exclusions);
    let verification = Verification {
        context,
        documents,
        directory: directory.as_ref(),
        tenant,
        plan,
        steps: &steps,
        exclusions: &exclusions,
    };
    verification.judge(&mut restore).await;
    restore.end_time = Some(timestamp(deps.clock.now()));
    let troubled = restore.failed + restore.conflicts + restore.skipped > 0;
    let clean = restore.verified && !troubled && restore.open_matters.is_empty();
    restore.state = if clean {
        RestoreState::Succeeded
    } else {
        RestoreState::SucceededWithWarnings
    } as i32;
    end(documents, restore).await
}

/// Stores how a restore ended.
async fn end(documents: &Documents, restore: Restore) -> Result<Restore, Error> {
    match documents.write_result(&restore).await {
        // Another process ended it in the meantime; its result stands.
        Err(Error::Store(StoreError::Exists { .. })) => {
            Ok(documents.result().await?.unwrap_or(restore))
        }
        other => other.map(|()| restore),
    }
}

/// Ends a restore that is cancelled: what is applied stays.
pub(crate) async fn end_cancelled(
    context: &Context,
    documents: &Documents,
    tenant: &TenantId,
    plan: &Plan,
) -> Result<Restore, Error> {
    let journal = documents.journal().await?;
    let by = documents.cancelled().await?.unwrap_or_default();
    let mut restore = Restore {
        state: RestoreState::Cancelled as i32,
        start_time: first(&journal).and_then(|entry| entry.time),
        end_time: Some(timestamp(context.deps.clock.now())),
        cancelled_by: by.caller,
        ..base(documents, tenant, plan).await?
    };
    tally(&mut restore, &outcomes(&journal));
    end(documents, restore).await
}

/// What is the same of a restore wherever it stands.
async fn base(documents: &Documents, tenant: &TenantId, plan: &Plan) -> Result<Restore, Error> {
    let mut applied_by: Vec<String> = Vec::new();
    for deed in documents.signed().await? {
        if !deed.caller.is_empty() && !applied_by.contains(&deed.caller) {
            applied_by.push(deed.caller);
        }
    }
    Ok(Restore {
        name: format!("tenants/{tenant}/restores/{}", documents.id()),
        plan: plan.name.clone(),
        step_count: plan.step_count,
        snapshot: plan.snapshot.clone(),
        undo_of: plan.undo_of.clone(),
        applied_by,
        ..Restore::default()
    })
}

/// How the carrying out of steps ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// Every step has an outcome.
    Whole,
    /// Somebody cancelled the restore.
    Cancelled,
}

/// One attempt at a plan.
struct Run<'a> {
    context: &'a Context,
    documents: &'a Documents,
    /// Journal entries that stand.
    entries: usize,
    outcomes: Outcomes,
    /// Steps that an earlier attempt began and did not note an outcome of.
    begun: HashSet<u32>,
    /// Every step before this index has an outcome.
    first_open: usize,
}

impl<'a> Run<'a> {
    /// Goes on where a journal ends.
    fn new(context: &'a Context, documents: &'a Documents, journal: &[JournalEntry]) -> Self {
        Self {
            context,
            documents,
            entries: journal.len(),
            outcomes: outcomes(journal),
            begun: open_intents(journal).into_iter().collect(),
            first_open: 0,
        }
    }

    /// Carries out all that is left, and has the Conditional Access quota from
    /// the first step that needs it to the last.
    async fn carry_out_all(
        &mut self,
        steps: &[Step],
        directory: &Arc<dyn DirectoryWriter>,
        lane: &mut Lane,
        told: impl Fn(&Outcomes),
    ) -> Result<Course, Error> {
        while let Some(wave) = self.next_wave(steps).await? {
            if self.documents.cancelled().await?.is_some() {
                return Ok(Course::Cancelled);
            }
            if wave.iter().any(|step| is_slow(step)) {
                lane.take().await;
            } else if !steps[self.first_open..].iter().any(is_slow) {
                lane.give_back().await;
            }
            self.carry_out(directory.as_ref(), &wave).await?;
            told(&self.outcomes);
        }
        Ok(Course::Whole)
    }

    /// The next steps that may go together: alike, and waiting for nothing.
    /// Steps whose predecessors did not succeed are skipped on the way.
    async fn next_wave<'s>(&mut self, steps: &'s [Step]) -> Result<Option<Vec<&'s Step>>, Error> {
        loop {
            let open = steps[self.first_open..].iter();
            let ended = open.take_while(|step| self.outcomes.contains_key(&step.number));
            self.first_open += ended.count();
            let (wave, skipped) = self.choose(&steps[self.first_open..]);
            let nothing_skipped = skipped.is_empty();
            if !nothing_skipped {
                self.record(Vec::new(), skipped).await?;
            }
            if !wave.is_empty() {
                return Ok(Some(wave));
            }
            if nothing_skipped {
                return Ok(None);
            }
        }
    }

    /// The steps of the next wave, and before them those that must be skipped.
    fn choose<'s>(&self, open: &'s [Step]) -> (Vec<&'s Step>, Vec<Outcome>) {
        let (mut wave, mut skipped): (Vec<&Step>, Vec<Outcome>) = (Vec::new(), Vec::new());
        for step in open
            .iter()
            .filter(|step| !self.outcomes.contains_key(&step.number))
        {
            let state = |number: &u32| self.outcomes.get(number).map(Outcome::state);
            let good = |state| matches!(state, OutcomeState::Applied | OutcomeState::AlreadyDone);
            let failed = step
                .after
                .iter()
                .find(|number| state(number).is_some_and(|state| !good(state)));
            if let Some(failed) = failed {
                if !wave.is_empty() || skipped.len() >= MOST_SKIPPED {
                    break;
                }
                let detail = format!("step {failed}, which it needs, did not succeed");
                let ending = Ending {
                    state: OutcomeState::Skipped,
                    detail,
                    trail: Trail::default(),
                };
                skipped.push(outcome(self.context, step, ending));
                continue;
            }
            let alike = wave.first().is_none_or(|first| {
                (first.action, first.object.object_type) == (step.action, step.object.object_type)
            });
            let width = if goes_alone(step) { 1 } else { AT_ONCE };
            let waits = step.after.iter().any(|number| state(number).is_none());
            if !alike || waits || wave.len() >= width {
                break;
            }
            wave.push(step);
        }
        (wave, skipped)
    }

    async fn carry_out(
        &mut self,
        directory: &dyn DirectoryWriter,
        wave: &[&Step],
    ) -> Result<(), Error> {
        let intents = wave.iter().map(|step| number(step.number)).collect();
        self.record(intents, Vec::new()).await?;
        let endings = wave.iter().map(|step| {
            let begun = if self.begun.contains(&step.number) {
                Begun::Before
            } else {
                Begun::Never
            };
            step::perform(directory, step, begun)
        });
        let (mut outcomes, mut interrupted) = (Vec::new(), None);
        for (step, ending) in wave.iter().zip(futures::future::join_all(endings).await) {
            match ending {
                Ok(ending) => outcomes.push(outcome(self.context, step, ending)),
                Err(error) => interrupted = Some(error),
            }
        }
        self.record(Vec::new(), outcomes).await?;
        interrupted.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn record(&mut self, intents: Vec<i32>, outcomes: Vec<Outcome>) -> Result<(), Error> {
        let entry = JournalEntry {
            intents,
            outcomes,
            time: Some(timestamp(self.context.deps.clock.now())),
        };
        while let Err(error) = self.documents.append(self.entries, &entry).await {
            // Whoever cancels ends the journal; what was written by then belongs in it.
            let elsewhere = matches!(error, Error::AppliedElsewhere { .. });
            if !elsewhere || self.documents.cancelled().await?.is_none() {
                return Err(error);
            }
            if entry.outcomes.is_empty() {
                let id = self.documents.id().to_string();
                return Err(Error::Cancelled { id });
            }
            self.entries += 1;
        }
        self.entries += 1;
        self.outcomes.extend(outcomes_of(entry));
        Ok(())
    }
}

/// How a step ended, as the journal keeps it.
pub(crate) fn outcome(context: &Context, step: &Step, ending: Ending) -> Outcome {
    let message = convert::step(step);
    let Ending {
        state,
        detail,
        trail,
    } = ending;
    Outcome {
        step: number(step.number),
        state: state as i32,
        detail,
        time: Some(timestamp(context.deps.clock.now())),
        object: message.object,
        action: message.action,
        request_id: trail.request_id,
        before_json: trail.before.map(|value| value.to_string()),
        after_json: trail.after.map(|value| value.to_string()),
    }
}

/// The steps that were begun and whose outcome the journal does not hold.
pub(crate) fn open_intents(journal: &[JournalEntry]) -> Vec<u32> {
    let ended = outcomes(journal);
    let intents = journal.iter().flat_map(|entry| &entry.intents);
    let intents: BTreeSet<u32> = intents.filter_map(|one| u32::try_from(*one).ok()).collect();
    intents
        .into_iter()
        .filter(|number| !ended.contains_key(number))
        .collect()
}

/// Whether a step draws on the quota of Conditional Access.
/// Whether a step goes alone: in a lane where requests wait for one another, or since
/// whether an administrator is left is looked at right before.
fn goes_alone(step: &Step) -> bool {
    let takes_a_role = step.action == Action::RemoveRelation
        && step.object.object_type == ObjectType::RoleAssignment;
    takes_a_role || is_slow(step)
}

fn is_slow(step: &Step) -> bool {
    step.object.object_type.spec().lane == model::catalogue::Lane::ConditionalAccess
}

fn outcomes_of(entry: JournalEntry) -> impl Iterator<Item = (u32, Outcome)> {
    entry
        .outcomes
        .into_iter()
        .filter_map(|outcome| Some((u32::try_from(outcome.step).ok()?, outcome)))
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What a person still has to see to.
fn open_matters(exclusions: &[Exclusion]) -> Vec<String> {
    let open = |exclusion: &&Exclusion| {
        matches!(
            exclusion.obstacle,
            Obstacle::CredentialAdded
                | Obstacle::UnresolvedReference
                | Obstacle::LockoutRisk
                | Obstacle::ReportOnly
        )
    };
    let sentence = |exclusion: &Exclusion| {
        let ObjectRef {
            object_type,
            id,
            name,
        } = &exclusion.object;
        format!("{object_type} \"{name}\" ({id}) {}", exclusion.detail)
    };
    exclusions.iter().filter(open).map(sentence).collect()
}
