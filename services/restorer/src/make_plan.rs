//! Makes one plan: take or make a report, read what it names again, plan, store.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use graph::{DirectoryWriter, GraphError};
use model::diff::{Change, ChangeKind, Difference, Scope, diff};
use model::plan::{HardDeleted, Options, Situation, plan, referring};
use model::snapshot::Content;
use model::{Application, ObjectId, ObjectType, PlanId, TenantId, permission};
use proto::convert::{self, timestamp};
use proto::v1::{Plan, PlanState, Report, ReportState, WatchPlanResponse};
use runtime::jobs::{JobHandle, Start};
use runtime::status::status;
use store::{TenantRecord, TenantVault};
use tracing::Instrument;

use crate::documents::Documents;
use crate::fresh::{self, Wanted};
use crate::{Context, Error, references, relations, report};

/// The documented write quota: 3,000 writes in 150 seconds per app and tenant.
const WRITES_PER_SECOND: usize = 20;
/// A Conditional Access step reads, writes and reads again at one request a second.
const SECONDS_PER_POLICY_STEP: usize = 3;

/// Where a plan starts.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A report that was made before.
    Report(Report),
    /// A snapshot; a report is made first.
    Snapshot(store::Manifest),
}

/// What a plan is about, validated.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) tenant: TenantId,
    pub(crate) id: PlanId,
    pub(crate) origin: Origin,
    pub(crate) scope: Scope,
    pub(crate) options: Options,
    pub(crate) asked_at: DateTime<Utc>,
}

/// Starts the making of a plan in the background.
pub(crate) fn start(context: &Context, vault: TenantVault, order: Order) -> WatchPlanResponse {
    let running = Plan {
        name: proto::name::plan(&order.tenant, &order.id),
        state: PlanState::Running as i32,
        scope: Some(convert::scope(&order.scope)),
        options: Some(convert::options(order.options)),
        create_time: Some(timestamp(order.asked_at)),
        ..Plan::default()
    };
    let initial = WatchPlanResponse {
        plan: Some(running.clone()),
        phase: "comparing".to_owned(),
    };
    match context.plans.start(running.name.clone(), initial.clone()) {
        Start::Running(value) => value,
        Start::New(job) => {
            let span = tracing::info_span!("plan", tenant = %order.tenant, plan = %order.id);
            let context = context.clone();
            let run = async move {
                let result = make(&context, vault, &order, running, &job).await;
                if let Err(error) = &result {
                    tracing::warn!(error = runtime::status::chain(error), "plan not made");
                }
                let done = |plan| WatchPlanResponse {
                    plan: Some(plan),
                    phase: "done".to_owned(),
                };
                job.finish(result.map(done).map_err(|error| status(&error)));
            };
            tokio::spawn(run.instrument(span));
            initial
        }
    }
}

async fn make(
    context: &Context,
    vault: TenantVault,
    order: &Order,
    running: Plan,
    job: &JobHandle<WatchPlanResponse>,
) -> Result<Plan, Error> {
    let deps = &context.deps;
    let record = deps.vault.registered(&order.tenant).await?;
    let directory = (deps.connect)(&record)?;
    let report = match &order.origin {
        Origin::Report(report) => report.clone(),
        Origin::Snapshot(manifest) => {
            let base = proto::name::snapshot(&order.tenant, manifest.id());
            report::fresh(
                &deps.differ,
                &order.tenant,
                &base,
                &order.scope,
                format!("{}-before", order.id),
            )
            .await?
        }
    };
    if report.state() != ReportState::Succeeded {
        return Err(convert::InvalidMessage::new("report", "the report is not finished").into());
    }
    let reported = report::changes(&deps.differ, &order.tenant, &report.name).await?;
    // An older report knows nothing of what was made anew since.
    let lineage = vault.lineage().await?;
    let reported = reported.into_iter().map(|change| lineage.change(change));
    let mut reported: Vec<Change> = reported.collect();
    let scope = within(&order.scope, convert::model_scope(report.scope.as_ref())?);
    let scope = lineage.widened(&scope);
    reported.retain(|change| scope.holds(change.object.object_type, &change.object.id));
    let lacking = lacking(directory.granted().await?.as_ref());
    // Nothing is written to these, so they are as the report says, unread.
    let written = |change: &Change| !lacking.contains_key(&change.object.object_type);
    let (reported, left_alone): (Vec<Change>, Vec<Change>) =
        reported.into_iter().partition(written);

    job.modify(|value| value.phase = "reading".to_owned());
    let snapshot = proto::name::parse_snapshot_in("report", &order.tenant, &report.base)?;
    let manifest = vault.manifest(&snapshot).await?;
    let base = vault.read(&manifest).await?;
    let mut base = lineage.since(manifest.meta.started).content(base);
    let mut wanted = wanted(&reported, &base);
    if order.options.hard_deleted == HardDeleted::MakeAnew {
        wanted.ends.extend(named_by_others(&reported, &base));
    }
    let live = fresh::read(directory.as_ref(), &wanted, deps.clock.now()).await?;
    lineage.settle(&mut base, &live);
    let mut difference = compare(&base, &live, &wanted);
    let resolved = references::resolved(directory.as_ref(), &base, &policies(&difference)).await?;
    let reader = context.reader_client_id.as_deref();
    let own = own(directory.as_ref(), &record, reader, &difference).await?;

    let drift = drift(&reported, &difference.changes);
    difference.changes.extend(left_alone);
    difference.changes.sort_by(|a, b| a.object.cmp(&b.object));

    job.modify(|value| value.phase = "planning".to_owned());
    let content = plan(&Situation {
        difference: &difference,
        scope: &scope,
        base: &base,
        live: &live,
        resolved: &resolved,
        own: &own,
        lacking: &lacking,
        options: order.options,
    });
    let made = Plan {
        state: PlanState::Ready as i32,
        scope: Some(convert::scope(&scope)),
        snapshot: report.base,
        report: report.name,
        step_count: count(content.steps.len()),
        exclusion_count: count(content.exclusions.len()),
        risks: risks(&content.risks, &report.not_compared),
        estimate_seconds: estimate(&content),
        drift,
        ..running
    };
    Documents::new(vault, order.id.clone())
        .write_plan(&made, &content)
        .await?;
    Ok(made)
}

/// The part of a report that a plan asks for; what the plan leaves open is as
/// in the report.
fn within(asked: &Scope, reported: Scope) -> Scope {
    fn narrowed<T: Ord + Clone>(asked: &BTreeSet<T>, reported: BTreeSet<T>) -> BTreeSet<T> {
        if asked.is_empty() {
            reported
        } else {
            asked.clone()
        }
    }
    Scope {
        types: narrowed(&asked.types, reported.types),
        ids: narrowed(&asked.ids, reported.ids),
    }
}

pub(crate) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What has to be read again: what the report names, and the ends of its links.
fn wanted(changes: &[Change], base: &Content) -> Wanted {
    let types: BTreeMap<&ObjectId, ObjectType> = base
        .objects
        .iter()
        .map(|object| (&object.id, object.object_type))
        .collect();
    let compared = changes
        .iter()
        .map(|change| (change.object.object_type, change.object.id.clone()))
        .collect();
    let ends = changes.iter().flat_map(|change| &change.links);
    // A member whose links vanished with it is an end of the snapshot's links.
    let changed: HashSet<&ObjectId> = changes.iter().map(|change| &change.object.id).collect();
    let sources = base
        .links
        .iter()
        .filter(|link| changed.contains(&link.source));
    let ends = ends
        .map(|link| &link.target)
        .chain(sources.map(|link| &link.target));
    let ends = ends
        .filter_map(|id| Some((*types.get(id)?, id.clone())))
        .collect();
    Wanted {
        compared,
        ends,
        lists: relations::lists(changes, base),
    }
}

/// The objects that name others which are gone, and must name what is made in their
/// place.
fn named_by_others(changes: &[Change], base: &Content) -> Vec<(ObjectType, ObjectId)> {
    let is_gone = |change: &&Change| match change.kind {
        ChangeKind::HardDeleted => true,
        // Its application may be gone for good.
        ChangeKind::SoftDeleted => change.object.object_type == ObjectType::ServicePrincipal,
        ChangeKind::Added | ChangeKind::Modified | ChangeKind::Restored => false,
    };
    let gone = changes.iter().filter(is_gone);
    let gone = gone.map(|change| change.object.id.clone()).collect();
    let naming = referring(&base.objects, &gone).into_iter();
    naming
        .map(|object| (object.object_type, object.id.clone()))
        .collect()
}

/// The types that an application with these permissions must not write; of one
/// whose token does not tell, none. The six that every tenant is backed up for are
/// tried all the same, so that a refusal is seen.
fn lacking(granted: Option<&BTreeSet<String>>) -> BTreeMap<ObjectType, Vec<&'static str>> {
    let Some(granted) = granted else {
        return BTreeMap::new();
    };
    let optional = ObjectType::ALL.into_iter().filter(|it| !it.is_essential());
    let lacking = optional.map(|object_type| {
        let spec = object_type.spec();
        let needed = [spec.read_permissions, spec.write_permissions].concat();
        (object_type, permission::missing(granted, &needed))
    });
    lacking.filter(|(_, missing)| !missing.is_empty()).collect()
}

/// The objects through which this program has access to the tenant, where the
/// changes may concern them.
async fn own(
    directory: &dyn DirectoryWriter,
    record: &TenantRecord,
    installed_reader: Option<&str>,
    difference: &Difference,
) -> Result<HashSet<ObjectId>, GraphError> {
    let concerned = difference.changes.iter().any(|change| {
        let object_type = change.object.object_type;
        let holder = [ObjectType::Application, ObjectType::ServicePrincipal];
        object_type.spec().relation.is_some() || holder.contains(&object_type)
    });
    if !concerned {
        return Ok(HashSet::new());
    }
    let mut applications = vec![directory.application()];
    applications.extend(match &record.reader {
        Application::Own { client_id, .. } => Some(client_id.as_str()),
        Application::Installation => installed_reader,
    });
    relations::of_applications(directory, &applications).await
}

fn compare(base: &Content, live: &Content, wanted: &Wanted) -> Difference {
    let scope = Scope {
        ids: wanted.compared.iter().map(|(_, id)| id.clone()).collect(),
        ..Scope::default()
    };
    if scope.ids.is_empty() {
        return Difference::default();
    }
    diff(&fresh::part_of(base, wanted), live, &scope)
}

fn policies(difference: &Difference) -> Vec<ObjectId> {
    let of_type = difference
        .changes
        .iter()
        .filter(|change| change.object.object_type == ObjectType::ConditionalAccessPolicy);
    of_type.map(|change| change.object.id.clone()).collect()
}

fn risks(planned: &[String], not_compared: &[String]) -> Vec<String> {
    let unseen = not_compared
        .iter()
        .map(|kind| format!("not compared, so not restored: {kind}"));
    planned.iter().cloned().chain(unseen).collect()
}

fn estimate(plan: &model::plan::Plan) -> i64 {
    use model::catalogue::Lane;
    let policy_steps = plan
        .steps
        .iter()
        .filter(|step| step.object.object_type.spec().lane == Lane::ConditionalAccess)
        .count();
    let seconds = (plan.steps.len() - policy_steps).div_ceil(WRITES_PER_SECOND)
        + policy_steps * SECONDS_PER_POLICY_STEP;
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// Where the tenant is no longer as the report says.
fn drift(reported: &[Change], now: &[Change]) -> Vec<String> {
    fn shape(change: &Change) -> (ChangeKind, Vec<&str>, usize) {
        (
            change.kind,
            change
                .attributes
                .iter()
                .map(|attribute| attribute.path.as_str())
                .collect(),
            change.links.len(),
        )
    }
    let now: BTreeMap<&ObjectId, &Change> = now
        .iter()
        .map(|change| (&change.object.id, change))
        .collect();
    let sentence = |change: &Change| {
        let object = format!("{} \"{}\"", change.object.object_type, change.object.name);
        match now.get(&change.object.id) {
            None => Some(format!("{object} no longer differs from the snapshot")),
            Some(current) if shape(current) != shape(change) => Some(format!(
                "{object} differs in another way than the report says"
            )),
            Some(_) => None,
        }
    };
    reported.iter().filter_map(sentence).collect()
}
