//! What a page says before the first change.
//!
//! Owns the reading of its own that counting takes, and the asking for names and
//! times that a report does not hold. Where these cannot be had, the page goes without.

use proto::v1;
use show::document::{Summary, Tally};
use tonic::{Response, Status};

use super::each_change;
use crate::client::required;
use crate::failure::Failure;
use crate::session::Session;

/// Counts a report's changes and asks for what it does not hold.
///
/// # Errors
/// The failure to read the changes.
pub(super) async fn ask(session: &Session, report: &v1::Report) -> Result<Summary, Failure> {
    let client = &session.client;
    let tenant = report.name.split('/').take(2).collect::<Vec<_>>().join("/");
    let request = client.unary(v1::GetTenantRequest { name: tenant });
    let answer = client.tenants().get_tenant(request).await;
    let tenant = told(session, "the tenant's name", answer, |answer| answer.tenant);
    let request = client.unary(v1::GetSnapshotRequest {
        name: report.base.clone(),
    });
    let answer = client.snapshots().get_snapshot(request).await;
    let base = told(session, "the snapshot's time", answer, |answer| {
        answer.snapshot
    });

    let mut tally = Tally::default();
    each_change(session, &report.name, |change| {
        tally.add(change);
        Ok(())
    })
    .await?;
    Ok(Summary {
        report: report.clone(),
        tenant,
        base,
        tally,
    })
}

/// What an answer tells; a page is written without it, and somebody is told so.
fn told<R, T>(
    session: &Session,
    what: &str,
    answer: Result<Response<R>, Status>,
    field: impl FnOnce(R) -> Option<T>,
) -> Option<T> {
    match required(answer, field) {
        Ok(known) => Some(known),
        Err(failure) => {
            session
                .output
                .warning(&format!("{what} is left out: {failure}"));
            None
        }
    }
}
