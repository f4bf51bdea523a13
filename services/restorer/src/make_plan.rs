//! Makes one plan: take or make a report, read what it names again, plan, store.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use graph::{DirectoryWriter, GraphError};
use model::diff::{Change, ChangeKind, Difference, Direction, Scope, diff};
use model::lockout::Accounts;
use model::plan::{
    HardDeleted, Options, Parts, Situation, Step, estimate_seconds, plan, referring,
};
use model::references::Chosen;
use model::snapshot::Content;
use model::{
    Application, LinkKind, ObjectId, ObjectRef, ObjectType, PlanId, TenantId, permission, slot,
};
use proto::convert::{self, timestamp};
use proto::v1::{Errand, Plan, PlanState, Report, ReportState, WatchPlanResponse};
use runtime::jobs::{Jobs, Progress, Start};
use runtime::status::status;
use serde_json::Value;
use store::{TenantRecord, TenantVault};
use tracing::Instrument;

use crate::documents::Documents;
use crate::fresh::{self, Wanted};
use crate::{Context, Error, approve, errand, lockout, privileged, references, relations, report};

/// Where a plan starts.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A report that was made before.
    Report(Box<Report>),
    /// A snapshot; a report is made first.
    Snapshot(Box<store::Manifest>),
}

/// What a plan is about, validated.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) tenant: TenantId,
    pub(crate) id: PlanId,
    pub(crate) origin: Origin,
    pub(crate) scope: Scope,
    pub(crate) options: Options,
    /// Single properties and links.
    pub(crate) parts: Parts,
    /// What was chosen for hard-deleted objects that policies name.
    pub(crate) chosen: Chosen,
    /// Who asks; empty where the call came past the gateway.
    pub(crate) author: String,
    /// Set where the plan is to be carried through without its client.
    pub(crate) errand: Option<Errand>,
    pub(crate) asked_at: DateTime<Utc>,
}

impl Order {
    /// What a plan asks for, asked for once more.
    ///
    /// # Errors
    /// Where the plan says what nobody can ask for.
    pub(crate) fn again(
        plan: &Plan,
        tenant: &TenantId,
        id: PlanId,
        origin: Origin,
        asked_at: DateTime<Utc>,
    ) -> Result<Self, Error> {
        Ok(Self {
            tenant: tenant.clone(),
            id,
            origin,
            scope: convert::model_scope(plan.scope.as_ref())?,
            options: convert::model_options(plan.options.as_ref())?,
            parts: convert::model_parts(&plan.properties, &plan.links)?,
            chosen: convert::model_chosen(plan.options.as_ref())?,
            author: plan.author.clone(),
            errand: None,
            asked_at,
        })
    }
}

/// Starts the making of a plan in the background.
pub(crate) fn start(context: &Context, vault: TenantVault, order: Order) -> WatchPlanResponse {
    let running = running(&order);
    let span = tracing::info_span!("plan", tenant = %order.tenant, plan = %order.id);
    let (plans, context) = (context.plans.clone(), context.clone());
    in_background(&plans, running, span, |job| async move {
        let told = |phase: &'static str| job.modify(|value| value.phase = phase.to_owned());
        let documents = Documents::new(vault.clone(), order.id.clone());
        let making = Box::pin(async {
            tokio::select! {
                result = make(&context, vault, &order, &told) => result,
                () = job.cancelled() => Err(Error::Cancelled { id: order.id.to_string() }),
            }
        });
        if order.errand.is_none() {
            return making.await;
        }
        errand::carry(&context, &documents, &order.tenant, making).await
    })
}

/// The id of a plan. `left` are the ids of attempts at the same request that were cut
/// short, which it must come after.
pub(crate) fn id(left: &[String], asked_at: DateTime<Utc>, request_id: &str) -> PlanId {
    let left = left.iter().map(String::as_str);
    PlanId::parse(&slot::on_demand_after(left, asked_at, request_id))
        .expect("invariant: a slot is a plan id")
}

/// A plan that is not made yet.
pub(crate) fn running(order: &Order) -> Plan {
    let (snapshot, report) = match &order.origin {
        Origin::Report(report) => (report.base.clone(), report.name.clone()),
        Origin::Snapshot(manifest) => {
            let snapshot = proto::name::snapshot(&order.tenant, manifest.id());
            (snapshot, String::new())
        }
    };
    Plan {
        name: proto::name::plan(&order.tenant, &order.id),
        state: PlanState::Running as i32,
        snapshot,
        report,
        scope: Some(convert::scope(&order.scope)),
        options: Some(convert::with_chosen(
            convert::options(order.options),
            &order.chosen,
        )),
        properties: order.parts.properties.iter().cloned().collect(),
        links: order.parts.link_texts(),
        create_time: Some(timestamp(order.asked_at)),
        author: order.author.clone(),
        errand: order.errand.clone(),
        ..Plan::default()
    }
}

/// Makes a plan in the background, or joins the making of it.
pub(crate) fn in_background<F>(
    plans: &Jobs<WatchPlanResponse>,
    running: Plan,
    span: tracing::Span,
    making: impl FnOnce(Progress<WatchPlanResponse>) -> F,
) -> WatchPlanResponse
where
    F: Future<Output = Result<Plan, Error>> + Send + 'static,
{
    let initial = WatchPlanResponse {
        plan: Some(running.clone()),
        phase: "comparing".to_owned(),
    };
    match plans.start(running.name, initial.clone()) {
        Start::Running(value) => value,
        Start::New(job) => {
            let making = making(job.progress());
            let run = async move {
                let result = making.await;
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

/// Makes a plan and stores it. `told` hears what is being done.
///
/// # Errors
/// Where the report is not finished, or what it names cannot be read.
pub(crate) async fn make(
    context: &Context,
    vault: TenantVault,
    order: &Order,
    told: &(dyn Fn(&'static str) + Sync),
) -> Result<Plan, Error> {
    let deps = &context.deps;
    let record = context.served(&order.tenant).await?;
    let directory = (deps.connect)(&record)?;
    let report = match &order.origin {
        Origin::Report(report) => Report::clone(report),
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
    let parts = order.parts.in_new_ids(&lineage);
    let scope = within(&order.scope, convert::model_scope(report.scope.as_ref())?);
    let scope = lineage.widened(&scope);
    reported.retain(|change| scope.holds(change.object.object_type, &change.object.id));
    let (reported, mut whole) = parts.narrowed(reported);
    let lacking = lacking(directory.granted().await?.as_ref());
    // Nothing is written to these, so they are as the report says, unread.
    let written = |change: &Change| !lacking.contains_key(&change.object.object_type);
    let (reported, left_alone): (Vec<Change>, Vec<Change>) =
        reported.into_iter().partition(written);

    told("reading");
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
    let (now, whole_by_now) = parts.narrowed(compare(&base, &live, &wanted).changes);
    whole.extend(whole_by_now);
    let drift = drift(&reported, &now);
    let policies = policies(&now);
    let (base, followed) = if order.chosen.is_empty() {
        (base, BTreeMap::new())
    } else {
        references::followed(directory.as_ref(), base, &policies, &order.chosen).await?
    };
    let mut changes = if followed.is_empty() {
        now
    } else {
        // What differs from the snapshot as the choices make it.
        let (changes, _) = parts.narrowed(compare(&base, &live, &wanted).changes);
        changes
    };
    let named = references::named(&[&base, &live], &policies);
    let resolved = references::existing(directory.as_ref(), &named).await?;
    let reader = context.reader_client_id.as_deref();
    let types = changes.iter().map(|change| change.object.object_type);
    let own = own(directory.as_ref(), &record, reader, types).await?;
    let assignments = if changes.is_empty() {
        None
    } else {
        privileged::assignments(directory.as_ref()).await?
    };
    let holders = privileged::holders(directory.as_ref(), &base, assignments.as_deref()).await?;
    let accounts = if puts_policies_back(&changes, order.options) {
        // One that was made anew since is registered by its former id.
        let break_glass = record.break_glass.iter().map(|id| lineage.current(id));
        let break_glass: Vec<ObjectId> = break_glass.collect();
        lockout::accounts(directory.as_ref(), &break_glass, assignments).await?
    } else {
        Accounts::default()
    };
    changes.extend(left_alone);
    changes.sort_by(|a, b| a.object.cmp(&b.object));
    let difference = Difference {
        changes,
        not_compared: Vec::new(),
    };

    told("planning");
    let mut content = plan(&Situation {
        difference: &difference,
        scope: &scope,
        base: &base,
        live: &live,
        resolved: &resolved,
        own: &own,
        lacking: &lacking,
        accounts: &accounts,
        options: order.options,
    });
    content.exclude(whole);
    tell(&mut content, &followed);
    content.risks.extend(beyond(&content.steps, &scope));
    content
        .risks
        .extend(unguarded(&content.steps, &record.break_glass));
    let made = Plan {
        scope: Some(convert::scope(&scope)),
        snapshot: report.base,
        report: report.name,
        risks: risks(&content.risks, &report.not_compared),
        drift,
        errand: order.errand.clone().map(|errand| {
            errand::planned(errand, &content.steps, &record.approval, deps.clock.now())
        }),
        ..running(order)
    };
    let documents = Documents::new(vault, order.id.clone());
    store(
        context,
        &documents,
        &record,
        made,
        &content,
        holders.as_ref(),
    )
    .await
}

/// Stores a plan that is made, with what approval policies look at in it, and shows it.
/// `holders` are those of directory roles, where they are known.
pub(crate) async fn store(
    context: &Context,
    documents: &Documents,
    record: &TenantRecord,
    made: Plan,
    content: &model::plan::Plan,
    holders: Option<&HashSet<ObjectId>>,
) -> Result<Plan, Error> {
    let made = Plan {
        state: PlanState::Ready as i32,
        step_count: count(content.steps.len()),
        exclusion_count: count(content.exclusions.len()),
        estimate_seconds: estimate_seconds(&content.steps),
        ..made
    };
    let grounds = privileged::grounds(&content.steps, holders);
    let grounds = convert::grounds(&grounds, &record.approval);
    let made = documents.write_plan(made, content, &grounds).await?;
    approve::shown(context, documents, &record.id, made).await
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
pub(crate) fn lacking(
    granted: Option<&BTreeSet<String>>,
) -> BTreeMap<ObjectType, Vec<&'static str>> {
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
/// types of what changes may concern them.
pub(crate) async fn own(
    directory: &dyn DirectoryWriter,
    record: &TenantRecord,
    installed_reader: Option<&str>,
    mut types: impl Iterator<Item = ObjectType>,
) -> Result<HashSet<ObjectId>, GraphError> {
    let concerned = types.any(|object_type| {
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

fn policies(changes: &[Change]) -> Vec<ObjectId> {
    let of_type = changes
        .iter()
        .filter(|change| change.object.object_type == ObjectType::ConditionalAccessPolicy);
    of_type.map(|change| change.object.id.clone()).collect()
}

/// Whether a plan may write a Conditional Access policy. One that stays as it is may
/// have to name what is made anew.
fn puts_policies_back(changes: &[Change], options: Options) -> bool {
    changes.iter().any(|change| {
        let anew = options.hard_deleted == HardDeleted::MakeAnew;
        let is_made = anew && change.kind == ChangeKind::HardDeleted;
        is_made
            || change.object.object_type == ObjectType::ConditionalAccessPolicy
                && matches!(
                    change.kind,
                    ChangeKind::Modified | ChangeKind::SoftDeleted | ChangeKind::HardDeleted
                )
    })
}

/// Says that objects are written which nobody asked for.
fn beyond(steps: &[Step], scope: &Scope) -> Option<String> {
    let steps = steps.iter().map(|step| &step.object);
    let outside: BTreeSet<&ObjectId> = steps
        .filter(|object| !scope.holds(object.object_type, &object.id))
        .map(|object| &object.id)
        .collect();
    (!outside.is_empty()).then(|| {
        format!(
            "the plan also writes to {} outside of its scope, since what comes back is named by them or tied to them",
            match outside.len() {
                1 => "1 object".to_owned(),
                count => format!("{count} objects"),
            }
        )
    })
}

/// Says that policies are written, and that nobody is known who must not be locked out.
fn unguarded(steps: &[Step], break_glass: &[ObjectId]) -> Option<String> {
    let mut steps = steps.iter();
    let writes_policies =
        steps.any(|step| step.object.object_type == ObjectType::ConditionalAccessPolicy);
    (writes_policies && break_glass.is_empty()).then(|| {
        "policies are written and no break-glass account is registered for the tenant, so none can be kept from being locked out".to_owned()
    })
}

fn risks(planned: &[String], not_compared: &[String]) -> Vec<String> {
    let unseen = not_compared
        .iter()
        .map(|kind| format!("not compared, so not restored: {kind}"));
    planned.iter().cloned().chain(unseen).collect()
}

/// Says at the steps, and among the risks, what was chosen for the objects that
/// their policies name.
fn tell(content: &mut model::plan::Plan, told: &BTreeMap<ObjectId, Vec<String>>) {
    for step in &mut content.steps {
        let Some(told) = told.get(&step.object.id).map(|told| told.join("; ")) else {
            continue;
        };
        let body = step.call.body.as_ref();
        let named_in = ["conditions", "grantControls"];
        if body.is_some_and(|body| named_in.iter().any(|name| body.get(name).is_some())) {
            step.reason = format!("{}; {told}", step.reason);
            content
                .risks
                .push(format!("in policy \"{}\" {told}", step.object.name));
        }
    }
}

/// Where the tenant is no longer as the report says.
fn drift(reported: &[Change], now: &[Change]) -> Vec<String> {
    type Values<'a> = BTreeMap<&'a str, Option<&'a Value>>;
    type Ends<'a> = BTreeSet<(LinkKind, &'a ObjectId, bool)>;
    fn shape(change: &Change) -> (ChangeKind, Values<'_>, Ends<'_>) {
        let values = change.attributes.iter();
        let values = values.map(|one| (one.path.as_str(), one.after.as_ref()));
        let ends = change.links.iter();
        let ends = ends.map(|link| (link.kind, &link.target, link.direction == Direction::Added));
        (change.kind, values.collect(), ends.collect())
    }
    let now: BTreeMap<&ObjectId, &Change> = now
        .iter()
        .map(|change| (&change.object.id, change))
        .collect();
    let sentence = |change: &Change| {
        let ObjectRef {
            object_type,
            id,
            name,
        } = &change.object;
        let object = format!("{object_type} \"{name}\" ({id})");
        match now.get(id) {
            None => Some(format!("{object} no longer differs from the snapshot")),
            Some(current) if current.kind != change.kind => Some(format!(
                "{object} is {} by now, not {} as the report says",
                current.kind.name(),
                change.kind.name()
            )),
            Some(current) if shape(current) != shape(change) => Some(format!(
                "{object} differs in another way than the report says"
            )),
            Some(_) => None,
        }
    };
    reported.iter().filter_map(sentence).collect()
}
