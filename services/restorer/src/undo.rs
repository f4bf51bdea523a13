//! Makes the plan that undoes a restore: read its journal, invert what was applied,
//! look at each object whether it is still as the restore left it, store.

mod harm;

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use graph::DirectoryWriter;
use model::diff::Obstacle;
use model::lineage::Lineage;
use model::plan::{Action, Applied, Exclusion, Step, Undoing, undo};
use model::references::{Reference, references};
use model::snapshot::Content;
use model::{ObjectId, ObjectState, ObjectType, PlanId, TenantId};
use proto::convert::timestamp;
use proto::v1::{Outcome, OutcomeState, Plan, PlanState, RestoreState, WatchPlanResponse};
use serde_json::{Map, Value};
use store::TenantVault;

use self::harm::Harm;
use crate::documents::Documents;
use crate::make_plan::{self, lacking, own};
use crate::step::Prospect;
use crate::{Context, Error, apply, privileged, references, step};

/// What an undo is about, validated.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) tenant: TenantId,
    /// The plan to make.
    pub(crate) id: PlanId,
    /// The restore to undo, by the id of its plan.
    pub(crate) restore: PlanId,
    /// Who asks; empty where the call came past the gateway.
    pub(crate) author: String,
    pub(crate) asked_at: DateTime<Utc>,
}

/// Starts the making of the plan in the background.
///
/// # Errors
/// `NotFound` where there is no such restore; `NotEnded` where it has not ended.
pub(crate) async fn start(
    context: &Context,
    vault: TenantVault,
    order: Order,
) -> Result<WatchPlanResponse, Error> {
    let restored = Documents::new(vault.clone(), order.restore.clone());
    let plan = restored.plan().await?;
    let restore = apply::shown(context, &restored, &order.tenant, &plan).await?;
    let ended = matches!(
        restore.state(),
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings | RestoreState::Cancelled
    );
    if !ended {
        return Err(Error::NotEnded {
            id: order.restore.to_string(),
        });
    }
    let running = Plan {
        name: proto::name::plan(&order.tenant, &order.id),
        state: PlanState::Running as i32,
        create_time: Some(timestamp(order.asked_at)),
        undo_of: restore.name,
        author: order.author.clone(),
        ..Plan::default()
    };
    let span = tracing::info_span!("undo", tenant = %order.tenant, plan = %order.id);
    let (plans, context) = (context.plans.clone(), context.clone());
    let making = running.clone();
    Ok(make_plan::in_background(
        &plans,
        running,
        span,
        |_| async move { make(&context, vault, &restored, &order, making).await },
    ))
}

async fn make(
    context: &Context,
    vault: TenantVault,
    restored: &Documents,
    order: &Order,
    running: Plan,
) -> Result<Plan, Error> {
    let deps = &context.deps;
    let record = deps.vault.registered(&order.tenant).await?;
    let directory = (deps.connect)(&record)?;
    let directory = directory.as_ref();
    let outcomes = apply::outcomes(&restored.journal().await?);
    let lineage = vault.lineage().await?;
    let (mut applied, mut doubtful) = (Vec::new(), Vec::new());
    for step in restored.model_steps().await? {
        let Some(outcome) = outcomes.get(&step.number) else {
            continue;
        };
        if has_written(&step, outcome) {
            match as_journalled(&step, &lineage) {
                Ok(step) => applied.push(recorded(step, outcome)),
                Err(unmade) => {
                    let detail = format!("it names {unmade}, in whose place nothing was made");
                    doubtful.push(left_in_doubt(step, detail));
                }
            }
        } else if may_have_written(&step, outcome) {
            let detail = format!(
                "it did not succeed, and what it may have written stays: {}",
                outcome.detail
            );
            doubtful.push(left_in_doubt(step, detail));
        }
    }
    let returned = returned(directory, &applied).await?;
    let named = applied
        .iter()
        .filter_map(|one| one.before.as_ref()?.as_object());
    let named: HashSet<Reference> = named.flat_map(references).collect();
    let resolved = references::existing(directory, &named).await?;
    let reader = context.reader_client_id.as_deref();
    let types = applied.iter().map(|one| one.step.object.object_type);
    let own = own(directory, &record, reader, types).await?;
    let lacking = lacking(directory.granted().await?.as_ref());
    let mut content = undo(&Undoing {
        applied: &applied,
        returned: &returned,
        resolved: &resolved,
        own: &own,
        lacking: &lacking,
    });
    let holders = match content.steps.is_empty() {
        true => None,
        false => {
            let assignments = privileged::assignments(directory).await?;
            privileged::holders(directory, &Content::default(), assignments.as_deref()).await?
        }
    };
    let harm = harm::harm(directory, &content.steps, holders.as_ref()).await?;
    let steps = std::mem::take(&mut content.steps);
    let (steps, changed) = still_fitting(directory, steps, harm).await?;
    content.steps = steps;
    content.exclude(changed);
    content.exclude(doubtful);
    let made = Plan {
        risks: content.risks.clone(),
        ..running
    };
    let documents = Documents::new(vault, order.id.clone());
    // Nobody knows here which applications the service principals among them have.
    make_plan::store(context, &documents, &record, made, &content, None).await
}

/// Whether a step changed anything. Of links, some may have been added although
/// others were refused.
fn has_written(step: &Step, outcome: &Outcome) -> bool {
    let in_part = step.action == Action::AddLinks
        && outcome.after_json.is_some()
        && outcome.before_json != outcome.after_json;
    match outcome.state() {
        OutcomeState::Applied => true,
        OutcomeState::Failed => in_part,
        _ => false,
    }
}

/// Graph's refusals in the words of [`GraphError`]: nothing was written.
const REFUSALS: [&str; 5] = [
    "graph denied ",
    "graph has nothing at ",
    "graph reports a conflict at ",
    "graph refused ",
    "graph throttles ",
];

/// Whether a step that did not succeed may have changed something all the same: its
/// answer was lost, or reads never showed what it wrote.
fn may_have_written(step: &Step, outcome: &Outcome) -> bool {
    let is_lost = match outcome.state() {
        OutcomeState::Failed => {
            !outcome.request_id.is_empty()
                || matches!(step.action, Action::Recreate | Action::Create)
                || outcome.detail.starts_with("the outcome of a write ")
        }
        OutcomeState::Conflict => false,
        _ => return false,
    };
    let refused = REFUSALS.iter().any(|it| outcome.detail.starts_with(it));
    // Read back only after something was sent.
    (is_lost || outcome.after_json.is_some()) && !refused
}

/// A step in the ids that its outcome in the journal speaks in.
///
/// # Errors
/// The first id for which nothing was made.
fn as_journalled(step: &Step, lineage: &Lineage) -> Result<Step, ObjectId> {
    let mut step = step.in_new_ids(lineage)?;
    if matches!(step.action, Action::Recreate | Action::Create) {
        step.object.id = lineage.current(&step.object.id);
    }
    Ok(step)
}

fn left_in_doubt(step: Step, detail: String) -> Exclusion {
    Exclusion {
        detail: format!(
            "step {} of the restore is not undone: {detail}",
            step.number
        ),
        object: step.object,
        obstacle: Obstacle::NotJournalled,
        part: String::new(),
    }
}

fn recorded(step: Step, outcome: &Outcome) -> Applied {
    // What cannot be read is as if it were not journalled, and named as such.
    let value = |json: &Option<String>| serde_json::from_str::<Value>(json.as_deref()?).ok();
    Applied {
        before: value(&outcome.before_json),
        after: value(&outcome.after_json),
        step,
    }
}

/// The objects that the restore brought back or made, as they are now.
async fn returned(
    directory: &dyn DirectoryWriter,
    applied: &[Applied],
) -> Result<HashMap<ObjectId, Map<String, Value>>, Error> {
    let keys: Vec<(ObjectType, ObjectState, ObjectId)> = applied
        .iter()
        .filter(|one| {
            matches!(
                one.step.action,
                Action::RestoreDeleted | Action::Create | Action::Recreate
            )
        })
        .map(|one| &one.step.object)
        .map(|object| (object.object_type, ObjectState::Live, object.id.clone()))
        .collect();
    let mut bodies = HashMap::new();
    for answer in directory.read_many(&keys).await? {
        if let Some(object) = answer? {
            bodies.insert(object.id.clone(), object.body());
        }
    }
    Ok(bodies)
}

/// The steps whose objects are still as the restore left them, and what is left out
/// since they are not. A step that waits for another on the same object can only be
/// told when its turn comes. What would do harm is left out, too.
async fn still_fitting(
    directory: &dyn DirectoryWriter,
    steps: Vec<Step>,
    mut harm: Harm,
) -> Result<(Vec<Step>, Vec<Exclusion>), Error> {
    let first: Vec<&Step> = steps.iter().filter(|step| !follows(step, &steps)).collect();
    let prospects = step::prospects(directory, &first).await?;
    let numbers = first.iter().map(|step| step.number);
    let mut looks: HashMap<u32, Prospect> = numbers.zip(prospects).collect();
    let (mut kept, mut excluded) = (Vec::<Step>::new(), Vec::new());
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let mut lost = BTreeSet::new();
    for mut step in steps {
        if let Some((obstacle, detail)) = harm.remove(&step.number) {
            lost.insert(step.number);
            excluded.push(Exclusion {
                object: step.object,
                obstacle,
                part: String::new(),
                detail,
            });
            continue;
        }
        let prospect = match looks.remove(&step.number) {
            Some(prospect) => prospect,
            // What it follows is left out: it is the next on its object.
            None if step.after.iter().any(|number| lost.contains(number)) => {
                step::prospect(directory, &step).await?
            }
            None => Prospect::Ready,
        };
        match prospect {
            Prospect::Ready => {
                let number = u32::try_from(kept.len() + 1)
                    .expect("invariant: a plan has fewer than four billion steps");
                numbers.insert(step.number, number);
                step.number = number;
                let after = step.after.iter();
                step.after = after.filter_map(|one| numbers.get(one).copied()).collect();
                kept.push(step);
            }
            // Somebody has undone it.
            Prospect::Done => {}
            Prospect::Neither(detail) => {
                lost.insert(step.number);
                excluded.push(Exclusion {
                    detail: format!("{}: {detail}", step.reason),
                    object: step.object,
                    obstacle: Obstacle::ChangedSince,
                    part: String::new(),
                });
            }
        }
    }
    Ok((kept, excluded))
}

/// Whether a step waits for an earlier one on the same object, for one that brings an
/// object back, or for one that changes what an action rests on.
fn follows(step: &Step, steps: &[Step]) -> bool {
    let before = step.after.iter().filter_map(|number| {
        let index = usize::try_from(*number).ok()?.checked_sub(1)?;
        steps.get(index)
    });
    let rests = |other: &Step| [step.action, other.action].contains(&Action::Protect);
    before.into_iter().any(|other| {
        other.object == step.object || other.action == Action::RestoreDeleted || rests(other)
    })
}

#[cfg(test)]
mod tests;
