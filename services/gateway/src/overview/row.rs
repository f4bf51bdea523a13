//! One tenant in the overview: what is held of it, and what that means at a time.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, TimeDelta, Utc};
use model::TenantId;
use model::schedule::Window;
use proto::convert::{time, timestamp};
use proto::v1::{DaySummary, SignalTotals, TenantOverview, TenantState, TenantSummary};
use store::TenantRecord;

use crate::registration;

/// How old the newest snapshot of a tenant may be that is served: a day, and time to
/// take it.
const LATE: TimeDelta = TimeDelta::hours(36);
/// For how many days signals and changes are counted.
const WEEK: u64 = 7;

/// What is held of a tenant.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: TenantId,
    /// The numbers of the registration and of the summary that it is from.
    pub(crate) numbers: (u64, u64),
    pub(crate) name: String,
    pub(crate) state: TenantState,
    pub(crate) groups: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    schedule: Window,
    registered: DateTime<Utc>,
    pub(crate) summary: TenantSummary,
    /// Why its summary cannot be read, as a reason word; empty where it can.
    trouble: String,
}

/// What a row means at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// How long ago the newest snapshot was begun.
    pub(crate) age: Option<TimeDelta>,
    pub(crate) changes: i64,
    pub(crate) signals: SignalTotals,
    /// Whether the tenant is served and has no snapshot that is new enough.
    pub(crate) is_late: bool,
    /// How soon somebody should look; 0 where nobody has to.
    pub(crate) urgency: u32,
}

impl Row {
    pub(crate) fn of(record: &TenantRecord, numbers: (u64, u64), summary: TenantSummary) -> Self {
        Self {
            id: record.id.clone(),
            numbers,
            name: record.name.clone(),
            state: registration::state(record.state),
            groups: record.groups.clone(),
            labels: record.labels.clone(),
            schedule: record.schedule,
            registered: record.created_at,
            summary,
            trouble: String::new(),
        }
    }

    /// The same, of which nothing but the registration can be read.
    pub(crate) fn in_trouble(self, reason: &str) -> Self {
        Self {
            trouble: reason.to_owned(),
            ..self
        }
    }

    /// One whose registration cannot be read.
    pub(crate) fn damaged(id: &TenantId, numbers: (u64, u64)) -> Self {
        Self {
            id: id.clone(),
            numbers,
            name: String::new(),
            state: TenantState::Unspecified,
            groups: Vec::new(),
            labels: BTreeMap::new(),
            schedule: Window::default(),
            registered: DateTime::UNIX_EPOCH,
            summary: TenantSummary::default(),
            trouble: String::new(),
        }
    }

    fn is_served(&self) -> bool {
        self.state == TenantState::Active
    }

    /// What it means now.
    pub(crate) fn view(&self, now: DateTime<Utc>) -> View {
        let begun = self.summary.last_snapshot_time.as_ref().and_then(time);
        let age = begun.map(|begun| now - begun);
        let since = begun.unwrap_or(self.registered);
        let is_late = self.is_served() && now - since > LATE;
        let (mut changes, mut signals) = (0_i64, SignalTotals::default());
        for day in self.week(now) {
            changes = changes.saturating_add(day.changes.unwrap_or(0));
            signals.low += i64::from(day.low_signals);
            signals.medium += i64::from(day.medium_signals);
            signals.high += i64::from(day.high_signals);
            signals.critical += i64::from(day.critical_signals);
        }
        let mut view = View {
            age,
            changes,
            signals,
            is_late,
            urgency: 0,
        };
        view.urgency = self.reasons(&view).iter().map(|(weight, _)| weight).sum();
        view
    }

    fn week(&self, now: DateTime<Utc>) -> impl Iterator<Item = &DaySummary> {
        let today = now.date_naive();
        let oldest = today.checked_sub_days(Days::new(WEEK - 1)).unwrap_or(today);
        let oldest = oldest.to_string();
        // Days are written so that their order is that of time.
        let days = self.summary.days.iter();
        days.filter(move |day| day.date >= oldest)
    }

    /// Why somebody should look, the most urgent first, each with its weight.
    fn reasons(&self, view: &View) -> Vec<(u32, String)> {
        let mut reasons = Vec::new();
        let summary = &self.summary;
        if self.state == TenantState::Unspecified {
            reasons.push((4_000, "the registration is damaged".to_owned()));
        }
        if !self.trouble.is_empty() {
            let text = format!("what is stored of it cannot be read: {}", self.trouble);
            reasons.push((3_000, text));
        }
        if view.signals.critical > 0 {
            let count = view.signals.critical;
            reasons.push((2_000, format!("{count} critical signals in {WEEK} days")));
        }
        if let Some(failure) = summary.failure.as_ref().filter(|_| self.is_served()) {
            let (count, reason) = (failure.count, &failure.reason);
            reasons.push((1_000, format!("snapshots fail, {count} times: {reason}")));
        }
        if view.is_late {
            let text = match view.age {
                Some(age) => format!("no snapshot for {} hours", age.num_hours()),
                None => "no snapshot yet".to_owned(),
            };
            reasons.push((500, text));
        }
        if summary.pending_changes > 0 {
            let count = summary.pending_changes;
            reasons.push((250, format!("{count} guarded changes are open")));
        }
        if view.signals.high > 0 {
            let count = view.signals.high;
            reasons.push((120, format!("{count} high signals in {WEEK} days")));
        }
        let is_incomplete = !summary.last_snapshot.is_empty() && !summary.last_snapshot_complete;
        if is_incomplete && self.is_served() {
            let kinds = summary.incomplete_kinds.join(", ");
            reasons.push((60, format!("the newest snapshot lacks {kinds}")));
        }
        reasons
    }

    /// The row as an answer.
    pub(crate) fn message(&self, view: &View, now: DateTime<Utc>) -> TenantOverview {
        let reasons = self.reasons(view).into_iter();
        let next = self
            .is_served()
            .then(|| timestamp(self.schedule.next(&self.id, now)));
        TenantOverview {
            name: proto::name::tenant(&self.id),
            display_name: self.name.clone(),
            state: self.state.into(),
            groups: self.groups.clone(),
            labels: self.labels.clone().into_iter().collect(),
            summary: Some(self.summary.clone()),
            age_seconds: view.age.map(|age| age.num_seconds().max(0)),
            week_changes: view.changes,
            signals: Some(view.signals),
            attention: reasons.map(|(_, text)| text).collect(),
            next_slot_time: next,
        }
    }
}
