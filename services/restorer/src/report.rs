//! Asks the differ for reports and reads them whole.

use model::TenantId;
use model::diff::{Change, Scope};
use proto::convert::{model_change, scope};
use proto::reports;
use proto::v1::diff_service_client::DiffServiceClient;
use proto::v1::{CreateReportRequest, GetReportRequest, ListChangesRequest, Report};
use runtime::serve::MAX_MESSAGE_SIZE;
use tonic::transport::Channel;

use crate::Error;

fn client(channel: &Channel) -> DiffServiceClient<Channel> {
    DiffServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_SIZE)
}

/// Compares a snapshot with the live tenant, read fresh.
pub(crate) async fn fresh(
    channel: &Channel,
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
    Ok(reports::make(&mut client(channel), request).await?)
}

/// A report that was made before.
pub(crate) async fn made(channel: &Channel, name: &str) -> Result<Report, Error> {
    let request = GetReportRequest {
        name: name.to_owned(),
    };
    Ok(client(channel)
        .get_report(request)
        .await?
        .into_inner()
        .report
        .unwrap_or_default())
}

/// All changes of a report.
pub(crate) async fn changes(channel: &Channel, name: &str) -> Result<Vec<Change>, Error> {
    let request = ListChangesRequest {
        parent: name.to_owned(),
        ..ListChangesRequest::default()
    };
    let mut changes = Vec::new();
    let keep = |change: &proto::v1::Change| -> Result<(), Error> {
        changes.push(model_change(change)?);
        Ok(())
    };
    reports::changes(&mut client(channel), request, keep).await?;
    Ok(changes)
}
