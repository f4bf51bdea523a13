//! Asks the differ for reports and reads them whole.

use model::TenantId;
use model::diff::{Change, Scope};
use proto::convert::{model_change, scope};
use proto::reports;
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::{CreateReportRequest, GetReportRequest, ListChangesRequest, Report};
use runtime::Replicas;
use runtime::replicas::Served;
use runtime::serve::MAX_MESSAGE_SIZE;

use crate::Error;

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
    Ok(reports::make(&mut client(differ, tenant), request).await?)
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
    let request = ListChangesRequest {
        parent: name.to_owned(),
        ..ListChangesRequest::default()
    };
    let mut changes = Vec::new();
    let keep = |change: &proto::v1::Change| -> Result<(), Error> {
        changes.push(model_change(change)?);
        Ok(())
    };
    reports::changes(&mut client(differ, tenant), request, keep).await?;
    Ok(changes)
}
