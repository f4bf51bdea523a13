//! Makes one report: load the base, load the target, compare, store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use model::diff::{Difference, Scope, diff};
use model::snapshot::{Completeness, Content};
use model::{ReportId, TenantId};
use proto::convert::{self, timestamp};
use proto::v1::{Report, ReportState, WatchReportResponse};
use runtime::jobs::{JobHandle, Start};
use runtime::status::status;
use store::{StoreError, TenantVault};
use tracing::Instrument;

use crate::cache::{Live, Source};
use crate::{Context, Error, reports};

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
    pub(crate) asked_at: DateTime<Utc>,
}

/// What a live state may be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Kinds whose quota a restore has may be as they were read last.
    AsFarAsPossible,
    /// Everything is read for the order.
    Full,
}

/// How long a report waits for a quota that a restore has, where there is no
/// earlier reading to use: longer than the mark of a restore that was killed
/// stands, and not longer than a person waits.
const PATIENCE: Duration = Duration::from_secs(90);

impl Order {
    fn report(&self, state: ReportState) -> Report {
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
            ..Report::default()
        }
    }
}

/// Starts a report in the background.
pub(crate) fn start(context: &Context, vault: TenantVault, order: Order) -> WatchReportResponse {
    let running = order.report(ReportState::Running);
    let initial = WatchReportResponse {
        report: Some(running.clone()),
        phase: "reading snapshot".to_owned(),
        read_count: 0,
    };
    match context.jobs.start(running.name, initial.clone()) {
        Start::Running(value) => value,
        Start::New(job) => {
            let span = tracing::info_span!("report", tenant = %order.tenant, report = %order.id);
            let context = context.clone();
            let run = async move {
                let result = make(&context, &vault, &order, &job).await;
                if let Err(error) = &result {
                    tracing::warn!(error = runtime::status::chain(error), "report not made");
                }
                let done = |report| WatchReportResponse {
                    report: Some(report),
                    phase: "done".to_owned(),
                    read_count: 0,
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
    vault: &TenantVault,
    order: &Order,
    job: &JobHandle<WatchReportResponse>,
) -> Result<Report, Error> {
    let base = content(context, vault, &order.base).await?;
    let mut report = order.report(ReportState::Succeeded);
    let difference = match &order.target {
        Some(manifest) => {
            let target = content(context, vault, manifest).await?;
            report.method = "snapshot".to_owned();
            report.target_time = Some(timestamp(manifest.meta.started));
            job.modify(|value| value.phase = "comparing".to_owned());
            compare(base, target, |target| target, &order.scope).await?
        }
        None => {
            job.modify(|value| value.phase = "reading tenant".to_owned());
            let (live, source) = live(context, vault, order, job).await?;
            report.method = match source {
                Source::Graph => "full_read",
                Source::Cache => "cached_read",
            }
            .to_owned();
            report.target_time = Some(timestamp(live.read_at));
            report.older = live.older().map(sentence).collect();
            job.modify(|value| value.phase = "comparing".to_owned());
            compare(base, live, |live| &live.content, &order.scope).await?
        }
    };
    report.counts = Some(convert::counts(&difference.changes));
    report.not_compared.clone_from(&difference.not_compared);
    reports::write(vault, &order.id, &report, &difference).await?;
    Ok(report)
}

/// Compares on a thread of its own, since large tenants take a while.
async fn compare<T: Send + Sync + 'static>(
    base: Arc<Content>,
    target: Arc<T>,
    view: fn(&T) -> &Content,
    scope: &Scope,
) -> Result<Difference, Error> {
    let scope = scope.clone();
    tokio::task::spawn_blocking(move || diff(&base, view(&target), &scope))
        .await
        .map_err(|_| Error::GivenUp)
}

async fn content(
    context: &Context,
    vault: &TenantVault,
    manifest: &store::Manifest,
) -> Result<Arc<Content>, Error> {
    let load = async { Ok(Arc::new(vault.read(manifest).await?)) };
    context
        .caches
        .snapshot(&manifest.tenant, manifest.id().as_str(), load)
        .await
}

/// What a report says of a kind that was not read anew.
fn sentence(record: &Completeness) -> String {
    let at = record.not_after.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{}: as of {at}: {}", record.kind.name(), record.note)
}

async fn live(
    context: &Context,
    vault: &TenantVault,
    order: &Order,
    job: &JobHandle<WatchReportResponse>,
) -> Result<(Arc<Live>, Source), Error> {
    let caches = &context.caches;
    if order.freshness == Freshness::Full {
        // Joins no reading that may take something from an earlier one.
        let live = read(context, vault, order, job, None).await?;
        caches.keep(&order.tenant, &live).await;
        return Ok((live, Source::Graph));
    }
    let last = caches.last(&order.tenant).await;
    let oldest = order.asked_at - order.max_age;
    let load = || read(context, vault, order, job, last.clone());
    caches.live(&order.tenant, oldest, load).await
}

/// Reads the tenant; kinds whose quota a restore has are taken from an earlier
/// reading, where there is one.
async fn read(
    context: &Context,
    vault: &TenantVault,
    order: &Order,
    job: &JobHandle<WatchReportResponse>,
    last: Option<Arc<Live>>,
) -> Result<Arc<Live>, Error> {
    let deps = &context.deps;
    let record = deps.vault.tenant_record(&order.tenant).await?;
    let record = record
        .ok_or_else(|| StoreError::NotFound {
            what: format!("tenant {}", order.tenant),
        })?
        .value;
    let directory = (deps.connect)(&record)?;
    let read_at = deps.clock.now();
    let (progress, clock, count) = (job.progress(), Arc::clone(&deps.clock), AtomicU64::new(0));
    let mut request = graph::Request::all(graph::Mode::Whole);
    request.last = last.map(|live| Arc::clone(&live.content));
    if order.freshness == Freshness::AsFarAsPossible {
        request.patience = PATIENCE;
    }
    let told = move |step: graph::Progress| {
        let total = count.fetch_add(step.added, Ordering::Relaxed) + step.added;
        progress.modify(|value| value.read_count = i64::try_from(total).unwrap_or(i64::MAX));
    };
    let tick = move || clock.now();
    let reading = graph::collect_content(directory.as_ref(), &request, &tick, &told);
    let restore_runs = || restore_runs(context, vault);
    let content = graph::giving_way(directory.as_ref(), restore_runs, reading).await?;
    Ok(Arc::new(Live {
        content: Arc::new(content),
        read_at,
    }))
}

/// Whether a restore has the tenant's Conditional Access quota.
async fn restore_runs(context: &Context, vault: &TenantVault) -> bool {
    match vault.lane_holders(context.deps.clock.now()).await {
        Ok(holders) => !holders.is_empty(),
        Err(error) => {
            let error = runtime::status::chain(&error);
            tracing::warn!(error, "whether a restore runs is not known; taken as no");
            false
        }
    }
}
