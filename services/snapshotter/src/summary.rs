//! Keeps a summary of each tenant, from which gateways tell how all of them are.
//!
//! Owns what a summary says. It is made from what is stored, as a whole, after anything
//! happened that it tells of, and stored under the next number if it says anything new;
//! only that a snapshot failed is known from nowhere else. What goes wrong here costs
//! nothing but that the overview is older.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use futures::{StreamExt, TryStreamExt};
use model::{TenantId, slot};
use parking_lot::Mutex;
use prost::Message;
use proto::convert::{time, timestamp};
use proto::v1::{DaySummary, Posture, Severity, Signal, SummaryFailure, TenantSummary, TypeCount};
use store::{Area, Manifest, StoreError, TenantVault};
use tokio_util::sync::CancellationToken;

use crate::guarded::open_count;
use crate::message::count;
use crate::signals::{AT_ONCE, SIGNAL};
use crate::{Context, Error};

/// How many days a summary tells of.
const DAYS: u64 = 14;
/// How long it is waited for more news before summaries are made.
const PAUSE: Duration = Duration::from_secs(5);
/// How many summaries are made at a time.
const TENANTS_AT_ONCE: usize = 4;
/// The document that says how many objects changed before a slot.
const CHANGES: &str = "changes";
/// The document that is a posture.
const POSTURE: &str = "posture";

/// The snapshots that failed since the last summary of their tenants. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<HashMap<TenantId, SummaryFailure>>>);

impl Failures {
    /// Notes that a snapshot failed.
    pub(crate) fn failed(&self, tenant: &TenantId, reason: &str, detail: &str, now: DateTime<Utc>) {
        let mut failures = self.0.lock();
        let times = failures.get(tenant).map_or(0, |it| it.count);
        let failure = SummaryFailure {
            reason: reason.to_owned(),
            detail: detail.chars().take(500).collect(),
            time: Some(timestamp(now)),
            count: times.saturating_add(1),
        };
        failures.insert(tenant.clone(), failure);
    }

    fn of(&self, tenant: &TenantId) -> Option<SummaryFailure> {
        self.0.lock().get(tenant).cloned()
    }

    /// Forgets what a stored summary says.
    fn told(&self, tenant: &TenantId, told: &SummaryFailure) {
        let mut failures = self.0.lock();
        if failures.get(tenant).is_some_and(|it| it == told) {
            failures.remove(tenant);
        }
    }
}

/// Makes summaries of the tenants that there is news of, until the token is cancelled.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    loop {
        let tenants = tokio::select! {
            () = stop.cancelled() => return,
            tenants = context.news.rung() => tenants,
        };
        let context = &context;
        futures::stream::iter(tenants)
            .for_each_concurrent(TENANTS_AT_ONCE, |tenant| async move {
                match refresh(context, &tenant).await {
                    Ok(()) => {}
                    Err(error) if error.is_of_an_erased_tenant() => {}
                    Err(error) => tracing::warn!(
                        %tenant,
                        error = runtime::status::chain(&error),
                        "a tenant's summary could not be made; the next news makes it"
                    ),
                }
            })
            .await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Notes how many objects changed between the daily snapshot before and that of a slot.
pub(crate) async fn changed(
    context: &Context,
    vault: &TenantVault,
    target: &Manifest,
    changes: i64,
) -> Result<(), Error> {
    let Some(day) = day_of(target.id().as_str()) else {
        return Ok(());
    };
    let summary = DaySummary {
        date: day.to_string(),
        changes: Some(changes),
        ..DaySummary::default()
    };
    let content = summary.encode_to_vec().into();
    let slot = target.id().as_str();
    match vault.put(Area::Summary, slot, CHANGES, content).await {
        Ok(()) | Err(StoreError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    context.news.ring(vault.id());
    Ok(())
}

/// Makes a tenant's summary anew and stores it if it says anything new.
pub(crate) async fn refresh(context: &Context, tenant: &TenantId) -> Result<(), Error> {
    let vault = context.deps.vault.tenant(tenant).await?;
    loop {
        let (number, before) = match vault.summary().await {
            Ok(Some((number, content))) => (number, decoded(&content)),
            Ok(None) => (0, TenantSummary::default()),
            // Another one has come.
            Err(StoreError::Changed { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let failure = context.failures.of(tenant);
        let summary = made(context, &vault, &before, failure.clone()).await?;
        let plain = |summary: &TenantSummary| TenantSummary {
            write_time: None,
            ..summary.clone()
        };
        let stored = plain(&summary) == plain(&before)
            || vault
                .put_summary(number + 1, summary.encode_to_vec().into())
                .await?;
        if stored {
            if let Some(told) = failure {
                context.failures.told(tenant, &told);
            }
            return Ok(());
        }
    }
}

/// A summary that cannot be read is made anew.
fn decoded(content: &[u8]) -> TenantSummary {
    TenantSummary::decode(content).unwrap_or_default()
}

async fn made(
    context: &Context,
    vault: &TenantVault,
    before: &TenantSummary,
    failure: Option<SummaryFailure>,
) -> Result<TenantSummary, Error> {
    let now = context.deps.clock.now();
    // Damage is told by whoever verifies.
    let (manifests, _) = vault.manifests().await?;
    let last = manifests.first();
    let complete = manifests.iter().find(|it| it.is_complete());
    let started = |it: &Manifest| timestamp(it.meta.started);
    let mut summary = TenantSummary {
        write_time: Some(timestamp(now)),
        last_complete_time: complete.map(started),
        snapshot_count: i32::try_from(manifests.len()).unwrap_or(i32::MAX),
        stored_bytes: stored_bytes(&manifests),
        pending_changes: open_count(context, vault).await?,
        days: days(vault, before, now).await?,
        ..TenantSummary::default()
    };
    if let Some(last) = last {
        let took = last.meta.finished - last.meta.started;
        summary.last_snapshot = proto::name::snapshot(vault.id(), last.id());
        summary.last_snapshot_time = Some(started(last));
        summary.last_snapshot_seconds = took.num_seconds();
        summary.last_snapshot_complete = last.is_complete();
        let incomplete = last.completeness.iter().filter(|it| !it.is_complete());
        summary.incomplete_kinds = incomplete.map(|it| it.kind.name()).collect();
        let counts = last.counts.iter().map(|it| TypeCount {
            r#type: it.object_type.to_string(),
            count: count(it.live),
        });
        summary.counts = counts.collect();
    }
    if let Some(posture) = posture(vault).await? {
        summary.posture_score = Some(posture.score);
        summary.posture_time = posture.read_time;
    }
    summary.failure = failed(before, last, failure);
    Ok(summary)
}

/// That snapshots fail, unless one was taken since.
fn failed(
    before: &TenantSummary,
    last: Option<&Manifest>,
    failure: Option<SummaryFailure>,
) -> Option<SummaryFailure> {
    let at = |it: &SummaryFailure| it.time.as_ref().and_then(time);
    let stands = |it: &SummaryFailure| last.is_none_or(|last| at(it) > Some(last.meta.finished));
    let known = before.failure.clone().filter(stands);
    match failure.filter(stands) {
        None => known,
        Some(new) if known.as_ref().is_some_and(|known| at(known) >= at(&new)) => known,
        Some(new) => Some(SummaryFailure {
            count: known.map_or(0, |it| it.count).saturating_add(new.count),
            ..new
        }),
    }
}

/// The size of the files of snapshots, each counted once.
fn stored_bytes(manifests: &[Manifest]) -> i64 {
    let runs = manifests.iter().flat_map(|it| &it.runs);
    let runs: HashMap<_, u64> = runs.map(|run| (run.hash, run.bytes)).collect();
    count(runs.values().sum())
}

async fn posture(vault: &TenantVault) -> Result<Option<Posture>, Error> {
    let slots = vault.list_ids(Area::Posture).await?;
    let Some(newest) = slots.last() else {
        return Ok(None);
    };
    match vault.get(Area::Posture, newest, POSTURE).await {
        Ok(content) => Ok(Posture::decode(content).ok()),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The day that a slot or a signal is of, by its name.
fn day_of(name: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(name.get(..8)?, "%Y%m%d").ok()
}

/// The last days, oldest first: what is known of them already is not read again.
async fn days(
    vault: &TenantVault,
    before: &TenantSummary,
    now: DateTime<Utc>,
) -> Result<Vec<DaySummary>, Error> {
    let today = now.date_naive();
    let oldest = today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today);
    let known: BTreeMap<&str, &DaySummary> = before
        .days
        .iter()
        .map(|day| (day.date.as_str(), day))
        .collect();
    let mut days: BTreeMap<NaiveDate, DaySummary> = BTreeMap::new();
    let from = slot::daily(oldest);
    let from = from.as_str().get(..8).unwrap_or_default();

    for listed in vault.list_documents(Area::Summary, from).await? {
        let Some(day) = day_of(&listed.id).filter(|_| listed.name == CHANGES) else {
            continue;
        };
        let changes = match known
            .get(day.to_string().as_str())
            .and_then(|it| it.changes)
        {
            Some(changes) => Some(changes),
            None => {
                let content = vault.get(Area::Summary, &listed.id, CHANGES).await?;
                DaySummary::decode(content).ok().and_then(|it| it.changes)
            }
        };
        days.entry(day).or_default().changes = changes;
    }

    let mut signals: BTreeMap<NaiveDate, BTreeSet<String>> = BTreeMap::new();
    for listed in vault.list_documents(Area::Signals, from).await? {
        if let Some(day) = day_of(&listed.id).filter(|day| *day >= oldest) {
            signals.entry(day).or_default().insert(listed.id);
        }
    }
    for (day, ids) in signals {
        let entry = days.entry(day).or_default();
        let number = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        match known.get(day.to_string().as_str()) {
            // Signals are never changed, and none goes.
            Some(known) if signals_of(known) == number => copy_signals(known, entry),
            _ => count_signals(vault, ids, entry).await?,
        }
    }
    let mut days: Vec<DaySummary> = days
        .into_iter()
        .map(|(day, it)| DaySummary {
            date: day.to_string(),
            ..it
        })
        .collect();
    days.retain(|it| it.changes.is_some() || signals_of(it) > 0);
    Ok(days)
}

fn signals_of(day: &DaySummary) -> i32 {
    [
        day.low_signals,
        day.medium_signals,
        day.high_signals,
        day.critical_signals,
    ]
    .into_iter()
    .fold(0, i32::saturating_add)
}

fn copy_signals(from: &DaySummary, to: &mut DaySummary) {
    to.low_signals = from.low_signals;
    to.medium_signals = from.medium_signals;
    to.high_signals = from.high_signals;
    to.critical_signals = from.critical_signals;
}

/// Reads the signals of a day, of which only how severe each is matters.
async fn count_signals(
    vault: &TenantVault,
    ids: BTreeSet<String>,
    day: &mut DaySummary,
) -> Result<(), Error> {
    let read = |id: String| async move {
        match vault.get(Area::Signals, &id, SIGNAL).await {
            Ok(content) => {
                Ok(Signal::decode(content).map_or(Severity::Unspecified, |it| it.severity()))
            }
            Err(error) => Err(Error::from(error)),
        }
    };
    let severities: Vec<Severity> = futures::stream::iter(ids)
        .map(read)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    for severity in severities {
        let place = match severity {
            // One that cannot be read is somebody's business at least.
            Severity::Low | Severity::Unspecified => &mut day.low_signals,
            Severity::Medium => &mut day.medium_signals,
            Severity::High => &mut day.high_signals,
            Severity::Critical => &mut day.critical_signals,
        };
        *place = place.saturating_add(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
