//! Who did what: a tenant's audit log, read for a report.
//!
//! Owns how much of the log is read and how long, what is kept of it between
//! reports, and what a report says about it. The log is an addition: it never fails
//! a report, and a report never waits for it longer than for the rest.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use graph::{Directory, GraphError};
use model::TenantId;
use model::audit::{self, Entry, LATE, Log, Sought};
use model::licence::Licence;
use proto::convert::{activity, timestamp};
use proto::v1::{self, AuditLogState};
use runtime::status::chain;
use store::TenantRecord;

use crate::cache::{ONLY, Shared};
use crate::create::Order;
use crate::metrics::Metrics;
use crate::{Context, Error};

/// How many pages of the log are read for one report.
const PAGES: usize = 100;
/// For how long it is read: as long as the rest of the report took, between these.
const LEAST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(60);
/// How much the log's clock may differ from that of what it tells of.
pub(crate) const SKEW: TimeDelta = TimeDelta::minutes(5);
/// How old a log may be that tells of what lies in the recycle bins.
const OF_BIN: TimeDelta = TimeDelta::minutes(1);
/// About the bytes of an entry in memory.
const ENTRY_BYTES: u64 = 512;

/// What is kept of the tenants' logs.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    kept: Shared<Arc<Kept>>,
}

/// A part of a log, without gaps.
#[derive(Debug)]
struct Kept {
    from: DateTime<Utc>,
    /// When it was read.
    until: DateTime<Utc>,
    entries: Arc<Vec<Entry>>,
}

impl Logs {
    /// Keeps about that many bytes together.
    pub(crate) fn new(bytes: u64, metrics: &Metrics) -> Self {
        let kept = Shared::new(bytes, metrics.cache("audit_logs"), |kept: &Arc<Kept>| {
            kept.entries.len() as u64 * ENTRY_BYTES
        });
        Self { kept }
    }
}

/// What is told beside one change.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) activities: Vec<v1::Activity>,
    pub(crate) more: i32,
}

/// What the log tells of each change, in their order, and how far it was read;
/// nothing where nothing changed. `took` is how long the report took so far.
pub(crate) async fn tell(
    context: &Context,
    order: &Order,
    sought: &[Sought],
    took: Duration,
) -> (Option<v1::AuditLog>, Vec<Told>) {
    let Some(window) = Sought::window(sought) else {
        return (None, Vec::new());
    };
    let record = match context.deps.vault.registered(&order.tenant).await {
        Ok(record) => record,
        Err(error) => return (Some(unread(&error.into())), Vec::new()),
    };
    let now = context.deps.clock.now();
    let licence = order.target.as_ref().unwrap_or(&order.base).meta.licence;
    let mut reading = Reading::of(window, licence, now);
    reading.allowed = took.clamp(LEAST, MOST);
    // A log as young as the live state may be is as good.
    reading.new_enough = reading.new_enough.min(order.asked_at - order.max_age);
    if order.target.is_some() {
        reading.until = window.1.min(now);
    }
    reading.tell(context, &record, sought).await
}

/// What the log tells of each object in the recycle bins, in their order; nothing where
/// they are empty. Without a snapshot that tells the licence, the log is taken to reach
/// back as far as that of any.
pub(crate) async fn of_bin(
    context: &Context,
    record: &TenantRecord,
    licence: Option<Licence>,
    sought: &[Sought],
    now: DateTime<Utc>,
) -> (Option<v1::AuditLog>, Vec<Told>) {
    let Some(window) = Sought::window(sought) else {
        return (None, Vec::new());
    };
    let mut reading = Reading::of(window, licence.unwrap_or(Licence::P1), now);
    reading.allowed = MOST;
    reading.new_enough = now - OF_BIN;
    reading.tell(context, record, sought).await
}

/// What is to be read.
struct Reading {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
    /// A log that was read then or later is new enough.
    new_enough: DateTime<Utc>,
    allowed: Duration,
    /// Why it does not reach back to the base state.
    short: Option<String>,
}

/// What was read before the reading ended.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    malformed: usize,
    pages: usize,
}

/// How a reading ended.
enum Ended {
    Whole,
    Full,
    Late(Duration),
    Failed(Error),
}

impl Reading {
    /// What tells of that time, read now.
    fn of(
        (first, last): (DateTime<Utc>, DateTime<Utc>),
        licence: Licence,
        now: DateTime<Utc>,
    ) -> Self {
        let kept = audit::kept(licence);
        let oldest = now - kept;
        let short = (first < oldest).then(|| {
            format!(
                "the directory keeps its audit log for {} days: what was done before {} is not known",
                kept.num_days(),
                oldest.to_rfc3339_opts(SecondsFormat::Secs, true)
            )
        });
        Self {
            from: first.max(oldest),
            until: now,
            now,
            // What was done an hour before does not come late any more.
            new_enough: last + LATE,
            allowed: LEAST,
            short,
        }
    }

    /// What the log tells of each that is sought, and how far it was read.
    async fn tell(
        self,
        context: &Context,
        record: &TenantRecord,
        sought: &[Sought],
    ) -> (Option<v1::AuditLog>, Vec<Told>) {
        let (entries, note) = self.read(context, &record.id, record).await;
        let rewind = record.writer_id(context.writer_client_id.as_deref());
        let log = Log::new(entries.iter());
        let told = |sought: &Sought| {
            let told = log.tell(sought);
            let activity = |entry: &&Entry| activity(entry, rewind);
            Told {
                activities: told.entries.iter().map(activity).collect(),
                more: i32::try_from(told.more).unwrap_or(i32::MAX),
            }
        };
        (Some(note), sought.iter().map(told).collect())
    }

    /// Reads what is not kept.
    async fn read(
        self,
        context: &Context,
        tenant: &TenantId,
        record: &TenantRecord,
    ) -> (Arc<Vec<Entry>>, v1::AuditLog) {
        let logs = &context.logs.kept;
        // What is read now must join it without a gap.
        let joins = |kept: &Arc<Kept>| kept.from <= self.from && kept.until >= self.from;
        let kept = logs.get(tenant, ONLY).await.filter(joins);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.until >= self.new_enough) {
            logs.hit();
            let note = self.note(&kept.entries, kept.until, &Ended::Whole, 0);
            return (Arc::clone(&kept.entries), note);
        }
        logs.miss();
        let mut gathered = Gathered::default();
        let from = kept
            .as_ref()
            .map_or(self.from, |kept| self.from.max(kept.until - LATE));
        let ended = match (context.deps.connect)(record) {
            Ok(directory) => {
                let pages = gather(directory.as_ref(), from, self.until, &mut gathered);
                match tokio::time::timeout(self.allowed, pages).await {
                    Ok(ended) => ended,
                    Err(_) => Ended::Late(self.allowed),
                }
            }
            Err(error) => Ended::Failed(error),
        };
        let malformed = gathered.malformed;
        let some = gathered.pages > 0 || kept.is_some();
        let entries = Arc::new(merged(gathered.entries, kept.as_deref(), self.now));
        if matches!(ended, Ended::Whole) && self.until == self.now {
            let kept = Kept {
                from: kept.map_or(self.from, |kept| kept.from),
                until: self.now,
                entries: Arc::clone(&entries),
            };
            logs.insert(tenant, ONLY, Arc::new(kept)).await;
        }
        let mut note = self.note(&entries, self.now, &ended, malformed);
        if some && !matches!(ended, Ended::Whole) {
            note.set_state(AuditLogState::Partial);
        }
        (entries, note)
    }

    /// What the report says of it.
    fn note(
        &self,
        entries: &[Entry],
        read_at: DateTime<Utc>,
        ended: &Ended,
        malformed: usize,
    ) -> v1::AuditLog {
        let mut note = match ended {
            Ended::Whole => v1::AuditLog::default(),
            Ended::Full => v1::AuditLog {
                detail: format!(
                    "it has more than {PAGES} pages of that time, and no more were read"
                ),
                ..v1::AuditLog::default()
            },
            Ended::Late(allowed) => v1::AuditLog {
                detail: format!(
                    "it was read for {} seconds and no longer",
                    allowed.as_secs()
                ),
                ..v1::AuditLog::default()
            },
            Ended::Failed(error) => unread(error),
        };
        note.set_state(match ended {
            Ended::Whole => AuditLogState::Read,
            Ended::Full => AuditLogState::Partial,
            Ended::Late(_) => AuditLogState::Unavailable,
            Ended::Failed(_) => note.state(),
        });
        let malformed = (malformed > 0).then(|| format!("{malformed} entries are not understood"));
        let told = [self.short.clone(), malformed].into_iter().flatten();
        let detail = Some(note.detail).filter(|detail| !detail.is_empty());
        note.detail = told.chain(detail).collect::<Vec<_>>().join("; ");
        let in_time = |entry: &&Entry| entry.time >= self.from && entry.time <= self.until;
        note.entry_count =
            i64::try_from(entries.iter().filter(in_time).count()).unwrap_or(i64::MAX);
        note.from_time = Some(timestamp(self.from));
        note.read_time = Some(timestamp(read_at));
        note
    }
}

/// Reads page by page. What was read stands in `into`, however it ends.
async fn gather(
    directory: &dyn Directory,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    into: &mut Gathered,
) -> Ended {
    let mut next = None;
    while into.pages < PAGES {
        let page = match directory.audits(from, until, next.as_ref()).await {
            Ok(page) => page,
            Err(error) => return Ended::Failed(error.into()),
        };
        into.pages += 1;
        into.malformed += page.malformed;
        let entries = page.records.into_iter().map(|record| record.entry);
        into.entries.extend(entries);
        match page.next {
            Some(link) => next = Some(link),
            None => return Ended::Whole,
        }
    }
    Ended::Full
}

/// What was read and what was kept, without what the directory keeps no longer.
fn merged(read: Vec<Entry>, kept: Option<&Kept>, now: DateTime<Utc>) -> Vec<Entry> {
    let oldest = now - audit::kept(Licence::P2);
    let kept = kept.map(|kept| kept.entries.as_slice()).unwrap_or_default();
    let mut all: Vec<Entry> = read;
    all.extend(kept.iter().filter(|entry| entry.time >= oldest).cloned());
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all.dedup_by(|a, b| a.id == b.id);
    all
}

/// What a report says of a log that could not be read.
fn unread(error: &Error) -> v1::AuditLog {
    tracing::info!(error = chain(error), "audit log not read");
    let (state, detail) = match error {
        Error::Graph(GraphError::Denied { code, .. }) if code.contains("NonPremiumTenant") => (
            AuditLogState::Denied,
            format!("the tenant's licence does not include it: {}", chain(error)),
        ),
        Error::Graph(GraphError::Denied { .. }) => (
            AuditLogState::Denied,
            format!(
                "the reader application lacks AuditLog.Read.All: {}",
                chain(error)
            ),
        ),
        error => (AuditLogState::Unavailable, chain(error)),
    };
    v1::AuditLog {
        state: state.into(),
        detail,
        ..v1::AuditLog::default()
    }
}

#[cfg(test)]
mod tests;
