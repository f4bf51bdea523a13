//! Stored reports: the names of their snapshots and pages of changes first, the
//! report itself last, so that a report is whole or not there.

use bytes::Bytes;
use model::diff::Difference;
use model::names::Named;
use model::{ReportId, SnapshotId};
use prost::Message;
use proto::convert;
use proto::v1::{Change, ListChangesResponse, Report, ReportState};
use store::layout::REPORT;
use store::{Area, StoreError, TenantVault};

use crate::Error;
use crate::audit::Told;

/// The document that says that somebody waits for a report.
const ORDER: &str = "order";
/// Changes in one stored page.
const PAGE: usize = 1000;

fn page_name(number: usize) -> String {
    format!("changes/{number:06}")
}

/// What is told beside the changes, in their order; of those beyond the end
/// nothing is known.
#[derive(Debug, Default)]
pub(crate) struct Beside<'a> {
    pub(crate) told: Vec<Told>,
    pub(crate) references: &'a [Vec<Named>],
}

impl Beside<'_> {
    fn add_to(&self, place: usize, change: &mut Change) {
        if let Some(told) = self.told.get(place) {
            change.activities.clone_from(&told.activities);
            change.more_activities = told.more;
        }
        let references = self.references.get(place).into_iter().flatten();
        change.references = references.map(convert::reference).collect();
    }
}

/// Stores a report, which is kept as long as its snapshots.
pub(crate) async fn write(
    vault: &TenantVault,
    id: &ReportId,
    of: impl IntoIterator<Item = &SnapshotId>,
    report: &Report,
    difference: &Difference,
    beside: &Beside<'_>,
) -> Result<(), Error> {
    vault.begin_report(id, of).await?;
    for (number, changes) in difference.changes.chunks(PAGE).enumerate() {
        let message = |(place, change)| {
            let mut message = convert::change(change);
            beside.add_to(number * PAGE + place, &mut message);
            message
        };
        let page = ListChangesResponse {
            changes: changes.iter().enumerate().map(message).collect(),
            next_page_token: String::new(),
        };
        put(vault, id, &page_name(number + 1), &page).await?;
    }
    put(vault, id, REPORT, report).await
}

/// Stores that somebody waits for a report, before it is made.
pub(crate) async fn write_order(
    vault: &TenantVault,
    id: &ReportId,
    of: impl IntoIterator<Item = &SnapshotId>,
    running: &Report,
) -> Result<(), Error> {
    vault.begin_report(id, of).await?;
    match put(vault, id, ORDER, running).await {
        // By the same request.
        Err(Error::Store(StoreError::Exists { .. })) => Ok(()),
        other => other,
    }
}

/// A report that somebody waits for and that is not stored, as it was asked for;
/// `None` where nobody waits.
pub(crate) async fn ordered(vault: &TenantVault, id: &ReportId) -> Result<Option<Report>, Error> {
    match vault.get(Area::Reports, id.as_str(), ORDER).await {
        Ok(bytes) => Report::decode(bytes)
            .map(Some)
            .map_err(|error| damaged(id, &error)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Stores a report without changes, unless it was stored meanwhile; what is stored
/// is answered.
pub(crate) async fn write_end(
    vault: &TenantVault,
    id: &ReportId,
    of: impl IntoIterator<Item = &SnapshotId>,
    report: Report,
) -> Result<Report, Error> {
    vault.begin_report(id, of).await?;
    match put(vault, id, REPORT, &report).await {
        Ok(()) => Ok(report),
        Err(Error::Store(StoreError::Exists { .. })) => read(vault, id).await,
        Err(error) => Err(error),
    }
}

async fn put(
    vault: &TenantVault,
    id: &ReportId,
    name: &str,
    message: &impl Message,
) -> Result<(), Error> {
    Ok(vault
        .put(
            Area::Reports,
            id.as_str(),
            name,
            Bytes::from(message.encode_to_vec()),
        )
        .await?)
}

/// Reads a report without its changes.
pub(crate) async fn read(vault: &TenantVault, id: &ReportId) -> Result<Report, Error> {
    let bytes = vault.report(id).await?;
    Report::decode(bytes).map_err(|error| damaged(id, &error))
}

/// Reads all changes of a report, in order; one that was not made has none.
pub(crate) async fn changes(vault: &TenantVault, id: &ReportId) -> Result<Vec<Change>, Error> {
    let report = read(vault, id).await?;
    let mut changes = Vec::new();
    if report.state() != ReportState::Succeeded {
        return Ok(changes);
    }
    for number in 1.. {
        match vault
            .get(Area::Reports, id.as_str(), &page_name(number))
            .await
        {
            Ok(bytes) => changes.extend(
                ListChangesResponse::decode(bytes)
                    .map_err(|error| damaged(id, &error))?
                    .changes,
            ),
            Err(StoreError::NotFound { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let expected = report.counts.unwrap_or_default();
    let objects = expected.added
        + expected.modified
        + expected.soft_deleted
        + expected.hard_deleted
        + expected.restored;
    if i64::try_from(changes.len()) != Ok(objects) {
        return Err(damaged(
            id,
            &format!(
                "{} changes are stored where the report counts {objects}",
                changes.len()
            ),
        ));
    }
    Ok(changes)
}

/// The ids of a tenant's reports, finished or not, newest first.
pub(crate) async fn ids(vault: &TenantVault) -> Result<Vec<ReportId>, Error> {
    let ids = vault.list_ids(Area::Reports).await?;
    let ids = ids.iter().rev().filter_map(|id| ReportId::parse(id).ok());
    Ok(ids.collect())
}

fn damaged(id: &ReportId, detail: &impl std::fmt::Display) -> Error {
    Error::Damaged {
        id: id.to_string(),
        detail: detail.to_string(),
    }
}
