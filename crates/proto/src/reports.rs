//! How a service asks the differ for a report and reads it whole.
//!
//! Owns the order of the calls, over a connection that the caller made. It never
//! repeats a call.

use prost::bytes::Bytes;
use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as Answer, StdError};

use crate::v1::diff_service_client::DiffServiceClient;
use crate::v1::{
    Change, CreateReportRequest, ListChangesRequest, Report, ReportState, WatchReportRequest,
};

/// Changes asked for at a time: a page must fit into one message, and a change of a
/// group may hold thousands of links.
const PAGE: i32 = 200;

/// Asks for a report and waits until it is made.
///
/// # Errors
/// What a call ended with, or what ended the report: `CANCELLED` where somebody did.
pub async fn make<T>(
    client: &mut DiffServiceClient<T>,
    request: CreateReportRequest,
) -> Result<Report, Status>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: Answer<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Answer>::Error: Into<StdError> + Send,
{
    let answer = client.create_report(request).await?.into_inner();
    let report = answer.report.unwrap_or_default();
    if report.state() == ReportState::Succeeded {
        return Ok(report);
    }
    let watch = WatchReportRequest { name: report.name };
    let mut watch = client.watch_report(watch).await?.into_inner();
    let mut last = None;
    while let Some(message) = watch.message().await? {
        last = message.report;
    }
    match last {
        Some(report) if report.state() == ReportState::Succeeded => Ok(report),
        Some(report) if report.state() == ReportState::Cancelled => {
            Err(Status::cancelled("the report was cancelled"))
        }
        _ => Err(Status::unavailable("the differ gave up the report")),
    }
}

/// Shows the changes that a request chooses, of all pages and in order.
///
/// # Errors
/// What a call ended with, or the first thing that `see` does not take.
pub async fn changes<T, E>(
    client: &mut DiffServiceClient<T>,
    request: ListChangesRequest,
    mut see: impl FnMut(&Change) -> Result<(), E>,
) -> Result<(), E>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: Answer<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Answer>::Error: Into<StdError> + Send,
    E: From<Status>,
{
    let mut page_token = String::new();
    loop {
        let request = ListChangesRequest {
            page_size: PAGE,
            page_token,
            ..request.clone()
        };
        let page = client.list_changes(request).await?.into_inner();
        page.changes.iter().try_for_each(&mut see)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        page_token = page.next_page_token;
    }
}
