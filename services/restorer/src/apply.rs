//! Applies a plan, wave by wave, with a journal: the intent before each write,
//! the outcome after it. Killed anywhere, it goes on where the journal ends.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use graph::{DirectoryWriter, GraphError};
use model::diff::Obstacle;
use model::lineage::Lineage;
use model::plan::{Action, Exclusion, Step};
use model::{ObjectId, ObjectRef, ObjectType, PlanId, TenantId};
use proto::convert::{self, timestamp};
use proto::v1::{
    Deed, JournalEntry, Outcome, OutcomeState, Plan, Restore, RestoreState, WatchRestoreResponse,
};
use runtime::jobs::{JobHandle, Progress, Start};
use runtime::status::{chain, status};
use store::{StoreError, TenantVault};
use tracing::Instrument;

use crate::documents::Documents;
use crate::gather::Gathered;
use crate::lane::Lane;
use crate::noted::{Noted, outcome};
use crate::recreate::{self, Made, Making};
use crate::step::{AT_ONCE, Ending, Past, Trail};
use crate::turns::Turns;
use crate::verify::Verification;
use crate::{Context, Error, approve, cancel, create, errand, next, one_at_a_time, protect, step};

/// Of these, steps between their look at the object and their write: at the documented
/// quota, about a second.
const LOOKING: usize = 20;

/// How often whoever applies a plan looks while a wave runs whether it was cancelled.
pub(crate) const CANCEL_LOOK: Duration = Duration::from_secs(1);

/// Skipped steps in one journal entry.
const MOST_SKIPPED: usize = 1000;

/// The outcomes by step.
type Outcomes = BTreeMap<u32, Outcome>;

/// Starts to apply a plan in the background, or joins the restore that runs. A
/// finished restore is only shown; one that is cancelled is refused.
///
/// # Errors
/// Where the plan needs an approval that counts and has none, was cancelled, or lets out
/// other break-glass accounts than are registered now; where
/// another restore of the tenant has not ended.
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
    let mut approval = None;
    if !context.restores.is_running(&name) {
        approval = approve::ensure(context, &documents, tenant, &plan).await?;
        if !documents.has_begun().await? {
            protect::ensure(&plan, &context.deps.vault.registered(tenant).await?)?;
        }
        one_at_a_time::take(documents.vault(), id).await?;
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
                    approval,
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
            result = Restore {
                applied: 0,
                already_done: 0,
                conflicts: 0,
                failed: 0,
                skipped: 0,
                ..result
            };
            tally(&mut result, outcomes(&documents.journal().await?).values());
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
    if restore.errand.is_some() && state == RestoreState::Planned {
        restore.errand = approve::shown(context, documents, tenant, plan.clone())
            .await?
            .errand;
    }
    tally(&mut restore, outcomes(&journal).values());
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

/// The objects that steps bring back from the recycle bin.
fn returns(steps: &[Step]) -> HashMap<u32, ObjectId> {
    let returns = steps
        .iter()
        .filter(|step| step.action == Action::RestoreDeleted);
    returns
        .map(|step| (step.number, step.object.id.clone()))
        .collect()
}

/// When a restore began to write.
fn begun(journal: &[JournalEntry]) -> Option<DateTime<Utc>> {
    let time = first(journal).and_then(|entry| entry.time);
    time.as_ref().and_then(convert::time)
}

/// Adds to the counts of a restore how its steps ended.
fn tally<'o>(restore: &mut Restore, outcomes: impl IntoIterator<Item = &'o Outcome>) {
    for outcome in outcomes {
        *match outcome.state() {
            OutcomeState::Applied => &mut restore.applied,
            OutcomeState::AlreadyDone => &mut restore.already_done,
            OutcomeState::Conflict => &mut restore.conflicts,
            OutcomeState::Failed => &mut restore.failed,
            OutcomeState::Skipped => &mut restore.skipped,
            OutcomeState::Unspecified => continue,
        } += 1;
    }
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
    let lineage = documents.vault().lineage().await?;
    let progress = job.progress();
    let mut run = Run::new(context, documents, progress, &steps, &journal, lineage);
    let mut lane = Lane::new(context, documents.vault(), documents.id(), &directory);
    let ended = run
        .carry_out_all(&steps, &directory, &mut lane, |outcomes| {
            job.modify(|value| {
                tally(
                    value.restore.get_or_insert_default(),
                    outcomes.iter().copied(),
                );
            });
        })
        .await;
    // Before anything else: the comparison reads the policies anew.
    lane.give_back().await;
    if ended? == Course::Cancelled {
        return cancel::settle(context, documents, tenant, plan).await;
    }
    job.modify(|value| value.phase = "verifying".to_owned());
    let mut restore = Restore {
        start_time: run.begun.map(timestamp),
        ..base(documents, tenant, plan).await?
    };
    tally(&mut restore, run.outcomes.values());
    let errand = restore.errand.take();
    restore.errand = errand.map(|errand| errand::ended(errand, &steps, &run.outcomes));
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
        lineage: &run.lineage,
    };
    verification.judge(&mut restore).await;
    next::name(context, documents, tenant, plan, &mut restore).await;
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
    let outcomes = outcomes(&journal);
    tally(&mut restore, outcomes.values());
    if let Some(errand) = restore.errand.take() {
        let steps = documents.model_steps().await?;
        restore.errand = Some(errand::ended(errand, &steps, &outcomes));
    }
    end(documents, restore).await
}

/// What is the same of a restore wherever it stands.
async fn base(documents: &Documents, tenant: &TenantId, plan: &Plan) -> Result<Restore, Error> {
    let mut applied_by: Vec<String> = Vec::new();
    let mut approval = None;
    for deed in documents.signed().await? {
        approval = approval.or(deed.approval);
        if !deed.caller.is_empty() && !applied_by.contains(&deed.caller) {
            applied_by.push(deed.caller);
        }
    }
    Ok(Restore {
        name: format!("tenants/{tenant}/restores/{}", documents.id()),
        planned_by: plan.author.clone(),
        approval,
        plan: plan.name.clone(),
        step_count: plan.step_count,
        snapshot: plan.snapshot.clone(),
        undo_of: plan.undo_of.clone(),
        create_time: plan.create_time,
        errand: plan.errand.clone(),
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
    /// Who watches is told by this.
    progress: Progress<WatchRestoreResponse>,
    /// Journal entries that stand.
    entries: usize,
    outcomes: Outcomes,
    /// Steps that an earlier attempt meant to carry out and did not note an outcome of.
    intended: HashSet<u32>,
    /// What was made anew in the tenant so far.
    lineage: Lineage,
    /// Every step before this index has an outcome.
    first_open: usize,
    /// The objects that steps bring back, by the number of the step.
    returns: HashMap<u32, ObjectId>,
    /// The same objects.
    returned: HashSet<ObjectId>,
    /// When the first attempt began to write.
    begun: Option<DateTime<Utc>>,
    /// The steps whose outcomes nobody was told of yet.
    untold: Vec<u32>,
}

impl<'a> Run<'a> {
    /// Goes on where a journal ends.
    fn new(
        context: &'a Context,
        documents: &'a Documents,
        progress: Progress<WatchRestoreResponse>,
        steps: &[Step],
        journal: &[JournalEntry],
        lineage: Lineage,
    ) -> Self {
        let returns = returns(steps);
        Self {
            context,
            documents,
            progress,
            entries: journal.len(),
            outcomes: outcomes(journal),
            intended: open_intents(journal).into_iter().collect(),
            first_open: 0,
            returned: returns.values().cloned().collect(),
            returns,
            begun: begun(journal),
            lineage,
            untold: Vec::new(),
        }
    }

    /// Carries out all that is left, and has the Conditional Access quota from
    /// the first step that needs it to the last.
    async fn carry_out_all(
        &mut self,
        steps: &[Step],
        directory: &Arc<dyn DirectoryWriter>,
        lane: &mut Lane,
        told: impl Fn(&[&Outcome]),
    ) -> Result<Course, Error> {
        let slow = steps.iter().rposition(is_slow);
        while let Some(wave) = self.next_wave(steps).await? {
            if self.documents.cancelled().await?.is_some() {
                return Ok(Course::Cancelled);
            }
            if wave.iter().any(|step| is_slow(step)) {
                lane.take().await;
            } else if slow.is_none_or(|slow| slow < self.first_open) {
                lane.give_back().await;
            }
            let course = self.carry_out(directory.as_ref(), &wave).await?;
            let untold = std::mem::take(&mut self.untold);
            let untold = untold.iter().filter_map(|step| self.outcomes.get(step));
            told(&untold.collect::<Vec<_>>());
            if course == Course::Cancelled {
                return Ok(course);
            }
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
    ) -> Result<Course, Error> {
        let intents = wave.iter().map(|step| number(step.number)).collect();
        self.record(intents, Vec::new()).await?;
        let (gathered, turns) = (Gathered::new(directory), Turns::new(LOOKING));
        let endings = wave.iter();
        let endings = endings.map(|step| self.perform(&gathered, step, &turns));
        let endings = futures::future::join_all(endings);
        let endings = tokio::select! {
            endings = endings => endings,
            never = self.watch_cancel(&turns) => match never {},
        };
        let mut interrupted = None;
        let mut noted = Noted::default();
        for (step, ending) in wave.iter().zip(endings) {
            match ending {
                Ok((ending, made)) => noted.add(self.context, self.documents, step, ending, made),
                Err(error) => interrupted = Some(Error::from(error)),
            }
        }
        // Before the outcome: what is written down as made must be found by its new id.
        let entries = noted.tell(self.documents, &self.lineage).await;
        match entries {
            Ok(entries) => self.lineage = self.lineage.with(entries),
            Err(error) => interrupted = Some(error),
        }
        self.record(Vec::new(), noted.outcomes).await?;
        match interrupted {
            Some(error) => Err(error),
            None if turns.are_over() => Ok(Course::Cancelled),
            None => Ok(Course::Whole),
        }
    }

    /// Ends the turns of a wave once somebody has cancelled the restore.
    async fn watch_cancel(&self, turns: &Turns) -> Infallible {
        loop {
            tokio::time::sleep(CANCEL_LOOK).await;
            match self.documents.cancelled().await {
                Ok(Some(_)) => {
                    turns.end();
                    self.progress
                        .modify(|value| value.phase = "cancelling".to_owned());
                }
                Ok(None) => {}
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(error, "whether the restore is cancelled cannot be read");
                }
            }
        }
    }

    /// Carries out one step, in the ids that stand for what was made anew.
    async fn perform(
        &self,
        directory: &dyn DirectoryWriter,
        step: &Step,
        turns: &Turns,
    ) -> Result<(Ending, Option<Made>), GraphError> {
        let past = self.past(step);
        let ended = |state, detail| Ending {
            state,
            detail,
            trail: Trail::default(),
        };
        let step = match step.in_new_ids(&self.lineage) {
            Ok(step) => step,
            Err(unmade) => {
                let detail = format!("names {unmade}, in whose place nothing was made");
                return Ok((ended(OutcomeState::Failed, detail), None));
            }
        };
        if !matches!(step.action, Action::Recreate | Action::Create) {
            return Ok((step::perform(directory, &step, past, turns).await?, None));
        }
        let making = Making {
            ids: self.context.deps.ids.as_ref(),
            turns,
            lineage: &self.lineage,
            plan: self.documents.id(),
            was_asked: past.intended,
        };
        match step.action {
            Action::Create => create::perform(directory, &step, &making).await,
            _ => recreate::perform(directory, &step, &making).await,
        }
    }

    /// What is known of a step before it is tried.
    fn past(&self, step: &Step) -> Past<'_> {
        let mut returned = step.after.iter().filter_map(|step| self.returns.get(step));
        let about = |id: &ObjectId| step.action == Action::MakeAnew || *id == step.object.id;
        Past {
            intended: self.intended.contains(&step.number),
            came_back: returned.any(about),
            returned: Some(&self.returned),
        }
    }

    async fn record(&mut self, intents: Vec<i32>, outcomes: Vec<Outcome>) -> Result<(), Error> {
        let now = self.context.deps.clock.now();
        let entry = JournalEntry {
            intents,
            outcomes,
            time: Some(timestamp(now)),
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
        self.begun.get_or_insert(now);
        for (step, outcome) in outcomes_of(entry) {
            self.untold.push(step);
            self.outcomes.insert(step, outcome);
        }
        Ok(())
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

/// Whether a step goes alone: in a lane where requests wait for one another; since
/// whether an administrator is left is looked at right before; or since only a person
/// can tell what became of it where its answer is lost.
fn goes_alone(step: &Step) -> bool {
    let takes_a_role = step.action == Action::RemoveRelation
        && step.object.object_type == ObjectType::RoleAssignment;
    takes_a_role || is_slow(step) || recreate::is_untraceable(step)
}

/// Whether a step draws on the quota of Conditional Access.
fn is_slow(step: &Step) -> bool {
    step.object.object_type.spec().lane == model::catalogue::Lane::ConditionalAccess
}

fn outcomes_of(entry: JournalEntry) -> impl Iterator<Item = (u32, Outcome)> {
    entry
        .outcomes
        .into_iter()
        .filter_map(|outcome| Some((u32::try_from(outcome.step).ok()?, outcome)))
}

pub(crate) fn number(number: u32) -> i32 {
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
                | Obstacle::ByHand
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
