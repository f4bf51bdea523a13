//! Applies a plan, wave by wave, with a journal: the intent before each write,
//! the outcome after it. Killed anywhere, it goes on where the journal ends.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use graph::{DirectoryWriter, GraphError};
use model::diff::Obstacle;
use model::lineage::{Entry, Lineage};
use model::plan::{Action, Exclusion, Left, Step, judge};
use model::snapshot::Kind;
use model::{ObjectId, ObjectRef, ObjectType, PlanId, TenantId};
use proto::convert::{self, model_scope, timestamp};
use proto::v1::{
    JournalEntry, Outcome, OutcomeState, Plan, Restore, RestoreState, WatchRestoreResponse,
};
use runtime::jobs::{JobHandle, Start};
use runtime::status::{chain, status};
use store::{StoreError, TenantVault};
use tracing::Instrument;

use crate::documents::Documents;
use crate::lane::Lane;
use crate::make_plan::count;
use crate::recreate::{self, Ended, Made, Making};
use crate::{Context, Error, report, step};

/// Steps under way at a time.
const AT_ONCE: usize = 16;

/// Skipped steps in one journal entry.
const MOST_SKIPPED: usize = 1000;

/// The outcomes by step.
type Outcomes = BTreeMap<u32, Outcome>;

/// Starts to apply a plan in the background, or joins the restore that runs. A
/// finished restore is only shown.
pub(crate) async fn start(
    context: &Context,
    vault: TenantVault,
    tenant: &TenantId,
    id: &PlanId,
) -> Result<WatchRestoreResponse, Error> {
    let documents = Documents::new(vault, id.clone());
    let plan = documents.plan().await?;
    if let Some(result) = documents.result().await? {
        return Ok(WatchRestoreResponse {
            restore: Some(result),
            phase: "done".to_owned(),
        });
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
                let result = apply(&context, &documents, &tenant, &plan, &job).await;
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
    if let Some(result) = documents.result().await? {
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
    let state = if journal.is_empty() {
        RestoreState::Planned
    } else {
        RestoreState::Interrupted
    };
    let mut restore = Restore {
        name,
        plan: plan.name.clone(),
        state: state as i32,
        start_time: journal.first().and_then(|entry| entry.time),
        step_count: plan.step_count,
        snapshot: plan.snapshot.clone(),
        ..Restore::default()
    };
    tally(&mut restore, &outcomes(&journal));
    Ok(restore)
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
    let mut run = Run {
        context,
        documents,
        entries: journal.len(),
        outcomes: outcomes(&journal),
        asked: journal
            .iter()
            .flat_map(|entry| entry.intents.clone())
            .collect(),
        lineage: documents.vault().lineage().await?,
        first_open: 0,
    };
    let mut lane = Lane::new(context, documents.vault(), documents.id(), &directory);
    let ended = run
        .carry_out_all(&steps, &directory, &mut lane, |outcomes| {
            job.modify(|value| tally(value.restore.get_or_insert_default(), outcomes));
        })
        .await;
    // Before anything else: the comparison reads the policies anew.
    lane.give_back().await;
    ended?;
    job.modify(|value| value.phase = "verifying".to_owned());
    let mut restore = Restore {
        start_time: documents
            .journal()
            .await?
            .first()
            .and_then(|entry| entry.time),
        ..shown_base(tenant, documents, plan)
    };
    tally(&mut restore, &run.outcomes);
    let mut exclusions = documents.model_exclusions().await?;
    restore.open_matters = open_matters(&exclusions);
    // The comparison speaks of what was made anew by its new id.
    let lineage = &run.lineage;
    let planned = steps.iter().map(|step| lineage.current(&step.object.id));
    let planned = planned.collect();
    for exclusion in &mut exclusions {
        exclusion.object.id = lineage.current(&exclusion.object.id);
        exclusion.part = lineage.text(&exclusion.part).into_owned();
    }
    let types = steps.iter().map(|step| step.object.object_type).collect();
    let verification = Verification {
        context,
        documents,
        tenant,
        plan,
        planned,
        types,
        exclusions,
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
    match documents.write_result(&restore).await {
        // Another process ended it in the meantime; its result stands.
        Err(Error::Store(StoreError::Exists { .. })) => {
            Ok(documents.result().await?.unwrap_or(restore))
        }
        other => other.map(|()| restore),
    }
}

fn shown_base(tenant: &TenantId, documents: &Documents, plan: &Plan) -> Restore {
    Restore {
        name: format!("tenants/{tenant}/restores/{}", documents.id()),
        plan: plan.name.clone(),
        step_count: plan.step_count,
        snapshot: plan.snapshot.clone(),
        ..Restore::default()
    }
}

/// One attempt at a plan.
struct Run<'a> {
    context: &'a Context,
    documents: &'a Documents,
    /// Journal entries that stand.
    entries: usize,
    outcomes: Outcomes,
    /// Steps that earlier attempts meant to write.
    asked: HashSet<i32>,
    /// What was made anew in the tenant so far.
    lineage: Lineage,
    /// Every step before this index has an outcome.
    first_open: usize,
}

impl Run<'_> {
    /// Carries out all that is left, and has the Conditional Access quota from
    /// the first step that needs it to the last.
    async fn carry_out_all(
        &mut self,
        steps: &[Step],
        directory: &Arc<dyn DirectoryWriter>,
        lane: &mut Lane,
        told: impl Fn(&Outcomes),
    ) -> Result<(), Error> {
        while let Some(wave) = self.next_wave(steps).await? {
            if wave.iter().any(|step| is_slow(step)) {
                lane.take().await;
            } else if !steps[self.first_open..].iter().any(is_slow) {
                lane.give_back().await;
            }
            self.carry_out(directory.as_ref(), &wave).await?;
            told(&self.outcomes);
        }
        Ok(())
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
                skipped.push(self.outcome(step, OutcomeState::Skipped, detail));
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
        let endings = wave.iter().map(|step| self.perform(directory, step));
        let (mut outcomes, mut interrupted) = (Vec::new(), None);
        let mut made_anew = Vec::new();
        for (step, ending) in wave.iter().zip(futures::future::join_all(endings).await) {
            match ending {
                Ok(((state, detail), made)) => {
                    let mut outcome = self.outcome(step, state, detail);
                    if let Some(made) = made {
                        outcome.new_id = made.new.to_string();
                        made_anew.push(self.entry(step, made));
                    }
                    outcomes.push(outcome);
                }
                Err(error) => interrupted = Some(error),
            }
        }
        // Before the outcome: what is written down as made must be found by its new id.
        self.documents.vault().add_lineage(&made_anew).await?;
        self.lineage = self.lineage.with(made_anew);
        self.record(Vec::new(), outcomes).await?;
        interrupted.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Carries out one step, in the ids that stand for what was made anew.
    async fn perform(
        &self,
        directory: &dyn DirectoryWriter,
        step: &Step,
    ) -> Result<Ended, GraphError> {
        let step = match step.in_new_ids(&self.lineage) {
            Ok(step) => step,
            Err(unmade) => {
                let detail = format!("names {unmade}, in whose place nothing was made");
                return Ok(((OutcomeState::Failed, detail), None));
            }
        };
        if step.action != Action::Recreate {
            return Ok((step::perform(directory, &step).await?, None));
        }
        let making = Making {
            ids: self.context.deps.ids.as_ref(),
            lineage: &self.lineage,
            was_asked: self.asked.contains(&number(step.number)),
        };
        recreate::perform(directory, &step, &making).await
    }

    fn entry(&self, step: &Step, made: Made) -> Entry {
        Entry {
            object_type: step.object.object_type,
            old: step.object.id.clone(),
            new: made.new,
            app_ids: made.app_ids,
            made: self.context.deps.clock.now(),
            restore: self.documents.id().clone(),
        }
    }

    fn outcome(&self, step: &Step, state: OutcomeState, detail: String) -> Outcome {
        let message = convert::step(step);
        Outcome {
            step: number(step.number),
            state: state as i32,
            detail,
            time: Some(timestamp(self.context.deps.clock.now())),
            object: message.object,
            action: message.action,
            new_id: String::new(),
        }
    }

    async fn record(&mut self, intents: Vec<i32>, outcomes: Vec<Outcome>) -> Result<(), Error> {
        let entry = JournalEntry {
            intents,
            outcomes,
            time: Some(timestamp(self.context.deps.clock.now())),
        };
        self.documents.append(self.entries, &entry).await?;
        self.entries += 1;
        self.outcomes.extend(outcomes_of(entry));
        Ok(())
    }
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
            Obstacle::CredentialAdded | Obstacle::UnresolvedReference
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

/// Waits before a comparison that found something is repeated: lists lag
/// behind writes.
const SECOND_LOOKS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// Whether a report that a kind could not be compared is about one that a restore
/// answers for: the types that every tenant is backed up for, and those that the plan
/// writes.
fn matters(not_compared: &str, written: &HashSet<ObjectType>) -> bool {
    let name = not_compared.split(": ").next().unwrap_or_default();
    Kind::from_name(name).is_none_or(|kind| {
        let object_type = kind.object_type();
        object_type.is_essential() || written.contains(&object_type)
    })
}

/// The comparison of the tenant with the snapshot after a restore.
struct Verification<'a> {
    context: &'a Context,
    documents: &'a Documents,
    tenant: &'a TenantId,
    plan: &'a Plan,
    /// The objects that the plan writes to.
    planned: HashSet<ObjectId>,
    /// Their types.
    types: HashSet<ObjectType>,
    exclusions: Vec<Exclusion>,
}

impl Verification<'_> {
    async fn judge(&self, restore: &mut Restore) {
        let mut waits = SECOND_LOOKS.into_iter();
        loop {
            match self.compare().await {
                Ok((report, left)) => {
                    restore.verification_report = report;
                    restore.verified = left.unexpected.is_empty();
                    restore.unexpected = left.unexpected;
                    restore.meanwhile = left.meanwhile;
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "the restore could not be verified");
                    restore.verified = false;
                    let sentence = format!("the tenant could not be compared: {}", chain(&error));
                    restore.unexpected = vec![sentence];
                }
            }
            let Some(wait) = waits.next().filter(|_| !restore.verified) else {
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn compare(&self) -> Result<(String, Left), Error> {
        let deps = &self.context.deps;
        let scope = model_scope(self.plan.scope.as_ref())?;
        // Named after the attempt: a report of an earlier one is of no use.
        let request_id = format!("{}-after-{}", self.documents.id(), deps.ids.uuid());
        let snapshot = &self.plan.snapshot;
        let report = report::fresh(&deps.differ, self.tenant, snapshot, &scope, request_id).await?;
        let changes = report::changes(&deps.differ, self.tenant, &report.name).await?;
        let mut left = judge(&changes, &self.planned, &self.exclusions);
        let unseen = report.not_compared.iter();
        let unseen = unseen.filter(|kind| matters(kind, &self.types));
        left.unexpected
            .extend(unseen.map(|kind| format!("could not be compared: {kind}")));
        Ok((report.name, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_answers_for_the_types_that_its_plan_writes() {
        let written = HashSet::from([ObjectType::RoleAssignment]);
        let check = |not_compared: &str, expected: bool| {
            assert_eq!(matters(not_compared, &written), expected, "{not_compared}");
        };
        check("user: 403 on page 2 in the target", true);
        check("deleted/group: not read in the base", true);
        check(
            "oAuth2PermissionGrant: denied: no consent in the base",
            false,
        );
        check("unifiedRoleAssignment: denied in the target", true);
        check("deleted/administrativeUnit: not read in the base", false);
        check(
            "administrativeUnit/members: ends of type user were not read",
            false,
        );
        check("something new: not read in the base", true);
    }
}
