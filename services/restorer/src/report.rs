//! Asks the differ for reports and reads them whole.

use futures::TryStreamExt;
use model::TenantId;
use model::diff::{Change, Scope};
use proto::convert::{model_change, scope};
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::{
    CreateReportRequest, GetReportRequest, ListChangesRequest, Report, ReportState,
    WatchReportRequest,
};
use runtime::Replicas;
use runtime::replicas::Served;
use runtime::serve::MAX_MESSAGE_SIZE;
use tonic::Status;

use crate::Error;

/// Changes asked for at a time.
const PAGE: i32 = 1000;

/// The differ that serves the tenant: the one that others ask, too, so that no
/// second one reads it.
fn client(differ: &Replicas, tenant: &TenantId) -> DiffServiceClient<Served> {
    DiffServiceClient::new(differ.of(&tenant.to_string()))
        .max_decoding_message_size(MAX_MESSAGE_SIZE)
}

/// Compares a snapshot with the live tenant, read fresh.
pub(crate) async fn fresh(
    differ: &Replicas,
    tenant: &TenantId,
    base: &str,
    within: &Scope,
    request_id: String,
) -> Result<Report, Error> {
    let request = CreateReportRequest {
        parent: proto::name::tenant(tenant),
        base: base.to_owned(),
        scope: Some(scope(within)),
        request_id,
        fresh_only: true,
        ..CreateReportRequest::default()
    };
    let mut client = client(differ, tenant);
    let report = client
        .create_report(request)
        .await?
        .into_inner()
        .report
        .unwrap_or_default();
    if report.state() == ReportState::Succeeded {
        return Ok(report);
    }
    let mut watch = client
        .watch_report(WatchReportRequest { name: report.name })
        .await?
        .into_inner();
    let mut last = None;
    while let Some(message) = watch.try_next().await? {
        last = message.report;
    }
    last.filter(|report| report.state() == ReportState::Succeeded)
        .ok_or_else(|| Error::from(Status::unavailable("the differ gave up the report")))
}

/// A report that was made before.
pub(crate) async fn made(
    differ: &Replicas,
    tenant: &TenantId,
    name: &str,
) -> Result<Report, Error> {
    let request = GetReportRequest {
        name: name.to_owned(),
    };
    Ok(client(differ, tenant)
        .get_report(request)
        .await?
        .into_inner()
        .report
        .unwrap_or_default())
}

/// All changes of a report.
pub(crate) async fn changes(
    differ: &Replicas,
    tenant: &TenantId,
    name: &str,
) -> Result<Vec<Change>, Error> {
    let mut client = client(differ, tenant);
    let mut changes = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListChangesRequest {
            parent: name.to_owned(),
            page_size: PAGE,
            page_token,
            ..ListChangesRequest::default()
        };
        let page = client.list_changes(request).await?.into_inner();
        for change in &page.changes {
            changes.push(model_change(change)?);
        }
        if page.next_page_token.is_empty() {
            return Ok(changes);
        }
        page_token = page.next_page_token;
    }
}
