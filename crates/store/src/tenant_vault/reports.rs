//! What the vault knows of reports: of which snapshots they are, and whether they
//! are whole. What they say is their writer's business.
//!
//! A report's writer first names the snapshots, by files that hold nothing, then
//! writes what it likes, and [`layout::REPORT`] last. A whole report goes with the first of
//! its snapshots that is pruned, unless another one of them is held. One that was
//! never finished is given up like a slot: by creating that one in the writer's
//! place, which stays. A report that names no snapshot is none of retention's
//! business.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use model::{ReportId, SnapshotId};
use object_store::ObjectMeta;

use super::TenantVault;
use super::prune::Pruned;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::layout::{self, Area};

/// Whether a snapshot is held, of those that there are.
pub(super) type Living = BTreeMap<SnapshotId, Hold>;

/// Whether a snapshot is kept whatever retention says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Held,
    Free,
}

/// The files of a report.
#[derive(Debug, Default)]
pub(super) struct Filed {
    /// What makes it visible.
    head: Option<ObjectMeta>,
    /// Its content.
    content: Vec<ObjectMeta>,
    /// What names its snapshots.
    marks: Vec<(SnapshotId, ObjectMeta)>,
}

impl Filed {
    /// When something of it was written last.
    fn touched(&self) -> Option<DateTime<Utc>> {
        let marks = self.marks.iter().map(|(_, meta)| meta);
        let metas = self.content.iter().chain(marks);
        metas.map(|meta| meta.last_modified).max()
    }

    /// Whether it goes with its snapshots.
    fn is_over(&self, living: &Living) -> bool {
        let mut holds = self.marks.iter().map(|(id, _)| living.get(id));
        holds.clone().any(|hold| hold.is_none()) && !holds.any(|hold| hold == Some(&Hold::Held))
    }
}

impl TenantVault {
    /// Begins a report of these snapshots, as long as which it is kept.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn begin_report(
        &self,
        id: &ReportId,
        of: impl IntoIterator<Item = &SnapshotId>,
    ) -> Result<(), StoreError> {
        for snapshot in of {
            let path = layout::report_mark(self.id(), id, snapshot);
            // Whoever makes it, it says the same.
            self.create(&path, Vec::new()).await?;
        }
        Ok(())
    }

    /// What [`layout::REPORT`] holds of a report.
    ///
    /// # Errors
    /// `NotFound` where the report is not finished, given up or gone; `Corrupt`;
    /// `Unavailable`.
    pub async fn report(&self, id: &ReportId) -> Result<Bytes, StoreError> {
        let content = self.get(Area::Reports, id.as_str(), layout::REPORT).await?;
        if content.is_empty() {
            return Err(StoreError::NotFound {
                what: format!("report {id}"),
            });
        }
        Ok(content)
    }

    /// The files of all reports.
    pub(super) async fn filed_reports(&self) -> Result<BTreeMap<ReportId, Filed>, StoreError> {
        let mut reports: BTreeMap<ReportId, Filed> = BTreeMap::new();
        let folder = layout::area(self.id(), Area::Reports);
        for meta in file::metas(self.store.as_ref(), &folder).await? {
            let Some((id, part)) = layout::report_part(self.id(), &meta.location) else {
                continue;
            };
            let filed = reports.entry(id).or_default();
            match part {
                layout::ReportPart::Head => filed.head = Some(meta),
                layout::ReportPart::Mark(snapshot) => filed.marks.push((snapshot, meta)),
                layout::ReportPart::Content => filed.content.push(meta),
            }
        }
        Ok(reports)
    }

    /// Deletes the reports whose snapshots are gone, and what is left of those that
    /// were not finished before a time. The reports must have been listed before the
    /// snapshots: then no report names one that is too young to be among the living.
    pub(super) async fn clear_reports(
        &self,
        reports: &BTreeMap<ReportId, Filed>,
        living: &Living,
        before: DateTime<Utc>,
        done: &mut Pruned,
    ) -> Result<(), StoreError> {
        for (id, filed) in reports {
            let cleared = match &filed.head {
                Some(head) if filed.is_over(living) => {
                    // First of all, so that nobody sees a part of a report.
                    self.delete(&head.location, head.size, done).await?;
                    true
                }
                Some(_) => false,
                None => filed.touched() < Some(before) && self.give_up_report(id).await?,
            };
            if cleared {
                // The marks last: what is broken off here is known again by them.
                let marks = filed.marks.iter().map(|(_, meta)| meta);
                for meta in filed.content.iter().chain(marks) {
                    self.delete(&meta.location, meta.size, done).await?;
                }
                done.reports.push(id.clone());
            }
        }
        Ok(())
    }

    /// Sees to it that a report cannot be finished any more, unless it is by now.
    async fn give_up_report(&self, id: &ReportId) -> Result<bool, StoreError> {
        let path = layout::document(self.id(), Area::Reports, id.as_str(), layout::REPORT)?;
        Ok(self.create(&path, Vec::new()).await? == Created::Ours)
    }
}
