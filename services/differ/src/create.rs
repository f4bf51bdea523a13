//! Makes one report: load the base, load the target, compare, store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use model::audit::Sought;
use model::diff::{ChangeKind, Difference, Scope, diff};
use model::lineage::Lineage;
use model::names::{self, Named};
use model::snapshot::{Completeness, Content};
use model::{ErrorKind, Object, ObjectId, ObjectType, ReportId, SnapshotId, TenantId};
use proto::convert::{self, timestamp};
use proto::v1::{ComparedKind, Errand, Failure, Report, ReportState, WatchReportResponse};
use runtime::jobs::{JobHandle, Start};
use runtime::status::{Fault, chain, status};
use store::{Manifest, TenantVault};
use tokio::time::Instant;
use tracing::Instrument;

use crate::cache::Source;
use crate::live::{self, Freshness, Live};
use crate::metrics::End;
use crate::{Context, Error, audit, progress, reports};

/// From how many objects of a type on it is not believed at once that more than
/// half of them vanished.
const MANY: u64 = 10;

/// What a report is about, validated.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) tenant: TenantId,
    pub(crate) id: ReportId,
    /// The base snapshot's id.
    pub(crate) base: store::Manifest,
    /// The target snapshot; `None` for the live tenant.
    pub(crate) target: Option<store::Manifest>,
    pub(crate) scope: Scope,
    /// How old a live state may be.
    pub(crate) max_age: TimeDelta,
    /// Whether nothing may be older than the order, whatever keeps it from being read.
    pub(crate) freshness: Freshness,
    /// Set where somebody looks for it who was not told how it ended.
    pub(crate) errand: Option<Errand>,
    pub(crate) asked_at: DateTime<Utc>,
}

impl Order {
    /// The snapshots that are compared.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = &SnapshotId> {
        std::iter::once(&self.base)
            .chain(&self.target)
            .map(Manifest::id)
    }

    pub(crate) fn report(&self, state: ReportState) -> Report {
        let snapshot =
            |manifest: &store::Manifest| proto::name::snapshot(&self.tenant, manifest.id());
        Report {
            name: proto::name::report(&self.tenant, &self.id),
            state: state as i32,
            base: snapshot(&self.base),
            target: self
                .target
                .as_ref()
                .map_or_else(|| "live".to_owned(), snapshot),
            scope: Some(convert::scope(&self.scope)),
            create_time: Some(timestamp(self.asked_at)),
            errand: self.errand.clone(),
            ..Report::default()
        }
    }
}

impl Order {
    /// What is told of the errand once the making of its report has ended.
    fn errand_ended(&self, context: &Context) -> Option<Errand> {
        self.errand.clone().map(|errand| Errand {
            end_time: Some(timestamp(context.deps.clock.now())),
            ..errand
        })
    }
}

/// Starts a report in the background.
pub(crate) fn start(context: &Context, vault: TenantVault, order: Order) -> WatchReportResponse {
    let running = order.report(ReportState::Running);
    let initial = progress::begun(running.clone());
    match context.jobs.start(running.name, initial.clone()) {
        Start::Running(value) => value,
        Start::New(job) => {
            let span = tracing::info_span!("report", tenant = %order.tenant, report = %order.id);
            let context = context.clone();
            let run = async move {
                let began = Instant::now();
                let result = tokio::select! {
                    result = make(&context, &vault, &order, &job) => result,
                    () = job.cancelled() => cancelled(&context, &vault, &order).await,
                };
                if let (Err(error), Some(errand)) = (&result, &order.errand) {
                    fail(&context, &vault, &order, errand, error).await;
                }
                let state = result.as_ref().map(Report::state);
                context.metrics.ended(End::of(state.ok()), began.elapsed());
                if let Err(error) = &result {
                    tracing::warn!(error = chain(error), "report not made");
                }
                job.finish(result.map(progress::ended).map_err(|error| status(&error)));
            };
            tokio::spawn(run.instrument(span));
            initial
        }
    }
}

/// Says that a report was cancelled, unless it is stored by now.
async fn cancelled(context: &Context, vault: &TenantVault, order: &Order) -> Result<Report, Error> {
    tracing::info!("report cancelled");
    let mut report = order.report(ReportState::Cancelled);
    report.errand = order.errand_ended(context);
    reports::write_end(vault, &order.id, order.snapshots(), report).await
}

/// Says that an errand's report was not made, and why.
async fn fail(
    context: &Context,
    vault: &TenantVault,
    order: &Order,
    errand: &Errand,
    error: &Error,
) {
    let failure = Failure {
        reason: error.reason().to_owned(),
        message: match error.kind() {
            ErrorKind::Internal => "internal error".to_owned(),
            _ => chain(error),
        },
        time: Some(timestamp(context.deps.clock.now())),
    };
    let report = Report {
        errand: Some(Errand {
            end_time: failure.time,
            failure: Some(failure),
            ..errand.clone()
        }),
        ..order.report(ReportState::Failed)
    };
    if let Err(error) = reports::write_end(vault, &order.id, order.snapshots(), report).await {
        tracing::warn!(
            error = chain(&error),
            "that no report was made is not stored"
        );
    }
}

async fn make(
    context: &Context,
    vault: &TenantVault,
    order: &Order,
    job: &JobHandle<WatchReportResponse>,
) -> Result<Report, Error> {
    let began = Instant::now();
    let mut report = order.report(ReportState::Succeeded);
    let compared = match &order.target {
        Some(manifest) => {
            report.method = "snapshot".to_owned();
            report.target_time = Some(timestamp(manifest.meta.started));
            let lineage = vault.lineage().await?;
            compare(context, vault, &lineage, order, manifest, job).await?
        }
        None => {
            let (live, source) = live(context, vault, order, job).await?;
            // Read after the tenant: what is made anew while that is read is known, too.
            let lineage = vault.lineage().await?;
            let reader = &live.aside.vault;
            let compared = compare(context, reader, &lineage, order, &live.manifest, job).await?;
            let vanished = vanished(&order.base, &compared.difference);
            let (live, source, compared) = match vanished.is_empty() || live.since.is_none() {
                true => (live, source, compared),
                false => {
                    tracing::warn!(
                        ?vanished,
                        "most objects seem to be gone; everything is read again"
                    );
                    let live = live::read(context, vault, Freshness::Whole, job, None, &order.base)
                        .await?;
                    context.caches.keep(&order.tenant, &live).await;
                    let (reader, lineage) = (&live.aside.vault, vault.lineage().await?);
                    let compared =
                        compare(context, reader, &lineage, order, &live.manifest, job).await?;
                    (live, Source::Graph, compared)
                }
            };
            report.method = match (source, &live.since) {
                (Source::Cache, _) => "cached_read",
                (Source::Graph, Some(_)) => "changes_read",
                (Source::Graph, None) => "full_read",
            }
            .to_owned();
            report.target_time = Some(timestamp(live.read_at));
            report.older = live.older().map(sentence).collect();
            report.kinds = live.manifest.completeness.iter().map(dated).collect();
            compared
        }
    };
    let difference = &compared.difference;
    report.counts = Some(convert::counts(&difference.changes));
    report.type_counts = convert::type_counts(&difference.changes);
    report.not_compared.clone_from(&difference.not_compared);
    report.compared_count = i64::try_from(compared.objects).unwrap_or(i64::MAX);
    report.narrowed = compared.narrowed;
    let mut told = Vec::new();
    // A restore plans and verifies by such a report, and must not wait for the log.
    if order.freshness != Freshness::Full {
        progress::enter(job, "reading audit log");
        (report.audit_log, told) =
            audit::tell(context, order, &compared.sought, began.elapsed()).await;
    }
    progress::enter(job, "writing");
    let beside = reports::Beside {
        told,
        references: &compared.references,
    };
    report.errand = order.errand_ended(context);
    let of = order.snapshots();
    reports::write(vault, &order.id, of, &report, difference, &beside).await?;
    Ok(report)
}

/// A comparison, and what it took.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) difference: Difference,
    /// What the audit log must hold of each change.
    sought: Vec<Sought>,
    /// What the values of each change name.
    references: Vec<Vec<Named>>,
    /// How many objects were compared.
    objects: u64,
    /// Whether only what came after a common base was looked at.
    narrowed: bool,
}

/// Compares, on a thread of its own, what may differ; once for all who ask for the
/// same.
async fn compare(
    context: &Context,
    vault: &TenantVault,
    lineage: &Lineage,
    order: &Order,
    target: &Manifest,
    job: &JobHandle<WatchReportResponse>,
) -> Result<Arc<Compared>, Error> {
    progress::enter(job, "comparing");
    let (base, scope) = (&order.base, lineage.widened(&order.scope));
    let key = fingerprint(base, target, &order.scope, lineage);
    // What the live tenant says stands as it is: an id that names nothing any more is to
    // be seen.
    let of_target = order.target.as_ref();
    let of_target = of_target.map(|manifest| lineage.since(manifest.meta.started));
    let (of_base, all) = (lineage.since(base.meta.started), lineage.clone());
    let work = async {
        let between = vault.between(base, target, &scope).await?;
        let (objects, narrowed) = (between.compared, between.shared);
        let compared = tokio::task::spawn_blocking(move || {
            let mut base = of_base.content(between.base);
            let target = of_target.unwrap_or_default().content(between.target);
            all.settle(&mut base, &target);
            let difference = diff(&base, &target, &scope);
            Compared {
                sought: Sought::of(&difference.changes, &base, &target),
                references: Vec::new(),
                difference,
                objects,
                narrowed,
            }
        });
        let mut compared = compared.await.map_err(|_| Error::GivenUp)?;
        compared.references = names_in(vault, base, target, &compared.difference).await?;
        Ok(Arc::new(compared))
    };
    context.caches.difference(&order.tenant, &key, work).await
}

/// What the values of each change name, by what either side knows of it.
async fn names_in(
    vault: &TenantVault,
    base: &Manifest,
    target: &Manifest,
    difference: &Difference,
) -> Result<Vec<Vec<Named>>, Error> {
    let mut unknown = names::sought(&difference.changes);
    let mut sides = [Content::default(), Content::default()];
    // What is called differently now is known by its present name.
    for (side, manifest) in sides.iter_mut().zip([target, base]) {
        if unknown.is_empty() {
            break;
        }
        side.objects = vault.objects_with_ids(manifest, &unknown).await?;
        for object in &side.objects {
            unknown.remove(&object.id);
        }
        let applications = principals_of(vault, manifest, unknown.clone()).await?;
        for (app_id, principal) in applications {
            unknown.remove(&app_id);
            side.objects.push(principal);
        }
    }
    let [target, base] = &sides;
    Ok(names::named(&difference.changes, base, target))
}

/// The service principals of some applications, which are known by another id in
/// values, each with that; of a large tenant only these are held in memory.
async fn principals_of(
    vault: &TenantVault,
    manifest: &Manifest,
    app_ids: BTreeSet<ObjectId>,
) -> Result<Vec<(ObjectId, Object)>, Error> {
    if app_ids.is_empty() {
        return Ok(Vec::new());
    }
    let (sender, found) = mpsc::channel();
    let look = move |principals: Vec<Object>| {
        for principal in principals {
            let app_id = names::app_id(&principal).filter(|id| app_ids.contains(id));
            if let Some(app_id) = app_id
                && sender.send((app_id, principal)).is_err()
            {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    let principals = vec![ObjectType::ServicePrincipal];
    vault.each_object(manifest, principals, look).await?;
    Ok(found.try_iter().collect())
}

/// What a comparison depends on, and nothing else.
fn fingerprint(base: &Manifest, target: &Manifest, scope: &Scope, lineage: &Lineage) -> String {
    let mut hasher = blake3::Hasher::new();
    for manifest in [base, target] {
        for run in &manifest.runs {
            hasher.update(run.hash.as_bytes());
        }
        for record in &manifest.completeness {
            let text = format!("\n{} {:?}", record.kind.name(), record.problem);
            hasher.update(text.as_bytes());
        }
        hasher.update(b"\n\n");
    }
    hasher.update(format!("{scope:?}").as_bytes());
    for entry in lineage.entries() {
        hasher.update(format!("\n{} {}", entry.old, entry.new).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The types of which more than half are gone, though there were many.
fn vanished(base: &Manifest, difference: &Difference) -> Vec<ObjectType> {
    let mut gone: BTreeMap<ObjectType, u64> = BTreeMap::new();
    for change in &difference.changes {
        if matches!(
            change.kind,
            ChangeKind::SoftDeleted | ChangeKind::HardDeleted
        ) {
            *gone.entry(change.object.object_type).or_default() += 1;
        }
    }
    let live = |object_type| {
        let mut counts = base.counts.iter();
        let count = counts.find(|count| count.object_type == object_type);
        count.map_or(0, |count| count.live)
    };
    gone.retain(|object_type, gone| {
        let live = live(*object_type);
        live >= MANY && *gone * 2 > live
    });
    gone.into_keys().collect()
}

/// What a report says of a kind that was not read anew.
fn sentence(record: &Completeness) -> String {
    let at = record.not_after.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{}: as of {at}: {}", record.kind.name(), record.note)
}

/// From when the live side's state of a kind dates.
fn dated(record: &Completeness) -> ComparedKind {
    ComparedKind {
        kind: record.kind.name(),
        method: record.method.name().to_owned(),
        not_before: Some(timestamp(record.not_before)),
        not_after: Some(timestamp(record.not_after)),
        request_count: i64::try_from(record.effort.requests).unwrap_or(i64::MAX),
        note: record.note.clone(),
    }
}

async fn live(
    context: &Context,
    vault: &TenantVault,
    order: &Order,
    job: &JobHandle<WatchReportResponse>,
) -> Result<(Arc<Live>, Source), Error> {
    progress::enter(job, progress::READING);
    let caches = &context.caches;
    if order.freshness != Freshness::AsFarAsPossible {
        // Joins no reading that may take something from an earlier one.
        let live = live::read(context, vault, order.freshness, job, None, &order.base).await?;
        caches.keep(&order.tenant, &live).await;
        return Ok((live, Source::Graph));
    }
    let last = caches.last(&order.tenant).await;
    let oldest = order.asked_at - order.max_age;
    let load = || {
        live::read(
            context,
            vault,
            order.freshness,
            job,
            last.clone(),
            &order.base,
        )
    };
    caches.live(&order.tenant, oldest, load).await
}
