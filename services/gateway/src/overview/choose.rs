//! Which tenants of a list are meant, in which order, and what they come to.

use std::cmp::Reverse;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use proto::v1::{
    ListTenantOverviewsRequest, ListTenantOverviewsResponse, ListTenantsRequest, OverviewTotals,
    SignalTotals, TenantOverview, TenantState,
};
use runtime::page;

use super::row::{Row, View};
use crate::error::GatewayError;
use crate::tenants::invalid_page;

/// The longest text that is looked for, and the most labels.
const LONGEST: usize = 200;
const MOST_LABELS: usize = 32;

/// Which tenants are meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    group: String,
    labels: Vec<(String, Option<String>)>,
    /// In lowercase.
    text: String,
}

impl Choice {
    /// Those of a list of overviews.
    ///
    /// # Errors
    /// Invalid, naming the field.
    pub(crate) fn of_overviews(request: &ListTenantOverviewsRequest) -> Result<Self, GatewayError> {
        Self::read(&request.group, &request.labels, &request.text)
    }

    /// Those of a list of tenants.
    ///
    /// # Errors
    /// Invalid, naming the field.
    pub(crate) fn of_tenants(request: &ListTenantsRequest) -> Result<Self, GatewayError> {
        Self::read(&request.group, &request.labels, &request.text)
    }

    fn read(group: &str, labels: &[String], text: &str) -> Result<Self, GatewayError> {
        if labels.len() > MOST_LABELS {
            return Err(GatewayError::invalid("labels", "at most 32 are expected"));
        }
        if text.chars().count() > LONGEST {
            return Err(GatewayError::invalid(
                "text",
                "at most 200 characters are expected",
            ));
        }
        let label = |label: &String| match label.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (label.clone(), None),
        };
        Ok(Self {
            group: group.to_owned(),
            labels: labels.iter().map(label).collect(),
            text: text.trim().to_lowercase(),
        })
    }

    /// Whether all tenants are meant.
    pub(crate) fn is_all(&self) -> bool {
        self.group.is_empty() && self.labels.is_empty() && self.text.is_empty()
    }

    /// Whether a tenant is.
    pub(crate) fn holds(&self, row: &Row) -> bool {
        let in_group = self.group.is_empty() || row.groups.contains(&self.group);
        let labelled = self.labels.iter().all(|(key, value)| {
            let own = row.labels.get(key);
            own.is_some_and(|own| value.as_ref().is_none_or(|value| value == own))
        });
        let named = self.text.is_empty()
            || row.name.to_lowercase().contains(&self.text)
            || row.id.as_str().contains(&self.text);
        in_group && labelled && named
    }
}

/// How overviews are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Attention,
    Name,
    Age,
    Changes,
    Signals,
    Posture,
    Bytes,
}

/// Reads an order: what by, and whether it is turned round.
fn order(text: &str) -> Result<(By, bool), GatewayError> {
    let (by, way) = text.split_once(' ').unwrap_or((text, ""));
    // Whether the least comes first by itself.
    let (by, rises) = match by {
        "" | "attention" => (By::Attention, false),
        "name" => (By::Name, true),
        "age" => (By::Age, false),
        "changes" => (By::Changes, false),
        "signals" => (By::Signals, false),
        "posture" => (By::Posture, true),
        "bytes" => (By::Bytes, false),
        _ => return Err(unknown_order()),
    };
    match way {
        "" => Ok((by, false)),
        "asc" => Ok((by, !rises)),
        "desc" => Ok((by, rises)),
        _ => Err(unknown_order()),
    }
}

fn unknown_order() -> GatewayError {
    GatewayError::invalid(
        "order_by",
        "attention, name, age, changes, signals, posture or bytes is expected, with asc or desc behind it or not",
    )
}

/// A page of overviews, with what all of them come to.
///
/// # Errors
/// Invalid where the page or the order is not valid.
pub(super) fn page(
    rows: Vec<Arc<Row>>,
    request: &ListTenantOverviewsRequest,
    now: DateTime<Utc>,
) -> Result<ListTenantOverviewsResponse, GatewayError> {
    let (by, turned) = order(&request.order_by)?;
    let mut all: Vec<(Arc<Row>, View)> = rows
        .into_iter()
        .map(|row| {
            let view = row.view(now);
            (row, view)
        })
        .collect();
    if request.attention_only {
        all.retain(|(_, view)| view.urgency > 0);
    }
    let totals = totals(&all);
    sort(&mut all, by, turned);
    // What tells one list from another: a token is good for its own.
    let choice = ListTenantOverviewsRequest {
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    let mut choice = choice.encode_to_vec();
    choice.push(0);
    let page = page::paginate_choice(all, &choice, request.page_size, &request.page_token)
        .map_err(invalid_page)?;
    let overviews: Vec<TenantOverview> = page
        .items
        .iter()
        .map(|(row, view)| row.message(view, now))
        .collect();
    Ok(ListTenantOverviewsResponse {
        overviews,
        next_page_token: page.next_page_token,
        totals: Some(totals),
        refresh_time: None,
    })
}

/// Sorts, the same tenants the same way each time.
fn sort(all: &mut [(Arc<Row>, View)], by: By, turned: bool) {
    match by {
        By::Attention => all.sort_by_cached_key(|(row, view)| (Reverse(view.urgency), own(row))),
        By::Name => all.sort_by_cached_key(|(row, _)| own(row)),
        // Without any snapshot it is as old as can be.
        By::Age => all.sort_by_cached_key(|(row, view)| {
            (Reverse(view.age.unwrap_or(TimeDelta::MAX)), own(row))
        }),
        By::Changes => all.sort_by_cached_key(|(row, view)| (Reverse(view.changes), own(row))),
        By::Signals => all.sort_by_cached_key(|(row, view)| {
            let it = &view.signals;
            (Reverse((it.critical, it.high, it.medium, it.low)), own(row))
        }),
        By::Posture => all.sort_by_cached_key(|(row, _)| {
            (row.summary.posture_score.unwrap_or(i32::MAX), own(row))
        }),
        By::Bytes => {
            all.sort_by_cached_key(|(row, _)| (Reverse(row.summary.stored_bytes), own(row)));
        }
    }
    if turned {
        all.reverse();
    }
}

/// By name in any case, and by id where names are the same.
fn own(row: &Row) -> (String, String) {
    (row.name.to_lowercase(), row.id.to_string())
}

fn totals(all: &[(Arc<Row>, View)]) -> OverviewTotals {
    let mut totals = OverviewTotals::default();
    let mut signals = SignalTotals::default();
    for (row, view) in all {
        let summary = &row.summary;
        let none = summary.last_snapshot.is_empty();
        totals.tenants += 1;
        totals.suspended += i64::from(row.state == TenantState::Suspended);
        totals.without_snapshot += i64::from(none);
        totals.late += i64::from(view.is_late);
        totals.incomplete += i64::from(!none && !summary.last_snapshot_complete);
        totals.failing += i64::from(summary.failure.is_some());
        totals.attention += i64::from(view.urgency > 0);
        totals.stored_bytes = totals.stored_bytes.saturating_add(summary.stored_bytes);
        totals.pending_changes += i64::from(summary.pending_changes);
        totals.week_changes = totals.week_changes.saturating_add(view.changes);
        signals.low += view.signals.low;
        signals.medium += view.signals.medium;
        signals.high += view.signals.high;
        signals.critical += view.signals.critical;
    }
    totals.signals = Some(signals);
    totals
}
