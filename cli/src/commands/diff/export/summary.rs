//! What a page says before the first change: about whom and which times it
//! speaks, and how many changes there are of what.
//!
//! Owns the counting by type and kind, which takes a reading of its own, and the
//! asking for names and times that a report does not hold. Where these cannot be
//! had, the page goes without.

use std::collections::BTreeMap;

use proto::v1::{self, Obstacle};
use tonic::{Response, Status};

use super::each_change;
use crate::client::required;
use crate::failure::Failure;
use crate::session::Session;

/// What a page says before the first change.
pub(super) struct Summary {
    /// The report.
    pub(super) report: v1::Report,
    /// The tenant, where it is still known.
    pub(super) tenant: Option<v1::Tenant>,
    /// The base snapshot, where it is still there.
    pub(super) base: Option<v1::Snapshot>,
    /// How many changes there are.
    pub(super) tally: Tally,
}

/// How many changes there are, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// In the order of the report.
    pub(super) types: Vec<TypeTally>,
    /// How many objects each obstacle stands in the way of.
    pub(super) obstacles: BTreeMap<Obstacle, u64>,
}

/// How many changes there are of the objects of one type.
#[derive(Debug, Default)]
pub(super) struct TypeTally {
    /// Graph's name of the type.
    pub(super) name: String,
    /// Objects, by what happened to them.
    pub(super) kinds: BTreeMap<v1::ChangeKind, u64>,
    /// Attributes that differ.
    pub(super) attributes: u64,
    /// Links that came or went.
    pub(super) links: u64,
}

impl TypeTally {
    /// How many objects differ.
    pub(super) fn objects(&self) -> u64 {
        self.kinds.values().sum()
    }
}

impl Tally {
    fn add(&mut self, change: &v1::Change) {
        let name = change
            .object
            .as_ref()
            .map_or("", |object| object.r#type.as_str());
        if self.types.last().is_none_or(|last| last.name != name) {
            self.types.push(TypeTally {
                name: name.to_owned(),
                ..TypeTally::default()
            });
        }
        let last = self.types.last_mut().expect("invariant: one was added");
        *last.kinds.entry(change.kind()).or_default() += 1;
        last.attributes += change.attributes.len() as u64;
        last.links += change.links.len() as u64;
        for obstacle in change.obstacles() {
            *self.obstacles.entry(obstacle).or_default() += 1;
        }
    }
}

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
