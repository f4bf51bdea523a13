//! The audit log as it is read: filtered, paged, newest first.

use serde_json::{Value, json};

use crate::audit::Audit;
use crate::http::Call;
use crate::http::links::{self, Cursor};
use crate::http::reply::{GraphError, Reply};
use crate::odata::Query;
use crate::odata::filter::{Filter, dig};
use crate::tenant::Tenant;

/// The audit log, newest first.
pub(crate) fn list(tenant: &Tenant, call: &Call) -> Result<Reply, GraphError> {
    let query = Query::parse(&call.query)?;
    let cursor = Cursor::of(&query)?;
    let before: u64 = cursor
        .key()
        .and_then(|key| key.parse().ok())
        .unwrap_or(u64::MAX);
    let state = tenant.state.read();
    let end = state.audits.partition_point(|audit| audit.seq < before);
    let mut page: Vec<Value> = Vec::new();
    let mut last = None;
    let mut more = false;
    for audit in state.audits.range(..end).rev() {
        if query
            .filter
            .as_ref()
            .is_some_and(|filter| !audit_passes(filter, audit))
        {
            continue;
        }
        if page.len() == query.page_size() {
            more = true;
            break;
        }
        page.push(audit.to_json());
        last = Some(audit.seq);
    }
    let mut body = json!({
        "@odata.context": call.context("auditLogs/directoryAudits"),
        "value": page,
    });
    if let Some(seq) = last.filter(|_| more) {
        body["@odata.nextLink"] =
            links::next(call, &query, &Cursor::AfterKey(seq.to_string())).into();
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
