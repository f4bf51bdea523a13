//! The audit log as it is read: filtered, paged, newest first unless it is asked or
//! set otherwise.
//!
//! Like Graph's "List directoryAudits", which promises no order. What the service
//! has not written yet, and what it keeps no longer, is not shown. Nothing is
//! recorded here.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::Audit;
use crate::http::Call;
use crate::http::links::{self, Cursor};
use crate::http::reply::{GraphError, Reply};
use crate::odata::Query;
use crate::odata::filter::{Filter, dig};
use crate::tenant::{Licence, Tenant};

/// How the audit log behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AuditLog {
    /// How many seconds later an entry is shown.
    pub latency_seconds: u32,
    /// Whether entries come in no order where none is asked for.
    pub unordered: bool,
}

/// The setting, the same for all tenants.
pub(crate) type Setting = Arc<RwLock<AuditLog>>;

/// The entries that a tenant shows now.
pub(crate) struct Shown {
    oldest: DateTime<Utc>,
    newest: DateTime<Utc>,
}

impl Shown {
    pub(crate) fn of(tenant: &Tenant) -> Self {
        let now = tenant.clock.now();
        // "Data retention" of Microsoft Entra: 7 days without Entra ID P1 or P2.
        let kept = match tenant.spec.licence {
            Licence::P1 | Licence::P2 => TimeDelta::days(30),
            Licence::None | Licence::Suspended | Licence::Disabled => TimeDelta::days(7),
        };
        let latency = tenant.audit_log.read().latency_seconds;
        Self {
            oldest: now - kept,
            newest: now - Duration::from_secs(latency.into()),
        }
    }

    pub(crate) fn holds(&self, audit: &Audit) -> bool {
        DateTime::parse_from_rfc3339(&audit.at)
            .is_ok_and(|at| at >= self.oldest && at <= self.newest)
    }
}

/// In which order entries are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    NewestFirst,
    OldestFirst,
    None,
}

impl Order {
    fn of(query: &Query, setting: AuditLog) -> Result<Self, GraphError> {
        let asked = query.order_by.as_deref().map(str::trim);
        match asked.map(|asked| asked.split_whitespace().collect::<Vec<_>>()) {
            None if setting.unordered => Ok(Self::None),
            None => Ok(Self::NewestFirst),
            Some(words) => match &words[..] {
                ["activityDateTime"] | ["activityDateTime", "asc"] => Ok(Self::OldestFirst),
                ["activityDateTime", "desc"] => Ok(Self::NewestFirst),
                _ => Err(GraphError::bad(
                    "BadRequest",
                    "Only activityDateTime may be ordered by.",
                )),
            },
        }
    }

    /// Where an entry stands: later ones come on later pages.
    fn rank(self, audit: &Audit) -> u64 {
        match self {
            Self::NewestFirst => u64::MAX - audit.seq,
            Self::OldestFirst => audit.seq,
            // Odd, so that no two entries have the same rank.
            Self::None => audit.seq.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }
}

/// The audit log.
pub(crate) fn list(tenant: &Tenant, call: &Call) -> Result<Reply, GraphError> {
    let query = Query::parse(&call.query)?;
    let order = Order::of(&query, *tenant.audit_log.read())?;
    let cursor = Cursor::of(&query)?;
    let after: Option<u64> = cursor.key().and_then(|key| key.parse().ok());
    let shown = Shown::of(tenant);
    let state = tenant.state.read();
    let mut found: Vec<(u64, &Audit)> = state
        .audits
        .iter()
        .map(|audit| (order.rank(audit), audit))
        .filter(|(rank, audit)| {
            after.is_none_or(|after| *rank > after)
                && shown.holds(audit)
                && query
                    .filter
                    .as_ref()
                    .is_none_or(|filter| audit_passes(filter, audit))
        })
        .collect();
    found.sort_unstable_by_key(|(rank, _)| *rank);
    let page = &found[..found.len().min(query.page_size())];
    let value: Vec<Value> = page.iter().map(|(_, audit)| audit.to_json()).collect();
    let mut body = json!({
        "@odata.context": call.context("auditLogs/directoryAudits"),
        "value": value,
    });
    if let Some((rank, _)) = page.last().filter(|_| page.len() < found.len()) {
        body["@odata.nextLink"] =
            links::next(call, &query, &Cursor::AfterKey(rank.to_string())).into();
    }
    Ok(Reply::json(200, &body))
}

fn audit_passes(filter: &Filter, audit: &Audit) -> bool {
    let cheap = |path: &str| match path {
        "activityDateTime" => audit.at.clone().into(),
        "activityDisplayName" => audit.activity.clone().into(),
        "loggedByService" => audit.service.into(),
        "category" => audit.category.into(),
        "id" => audit.id.clone().into(),
        "targetResources" => Value::Array(audit.targets.clone()),
        other => dig(&audit.to_json(), other),
    };
    filter.matches(&cheap)
}
