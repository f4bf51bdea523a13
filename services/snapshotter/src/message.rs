//! Manifests as messages of the contract.

use proto::convert::timestamp;
use proto::v1::{Effort, KindRecord, Reading, Snapshot, SnapshotState};
use store::{Fate, Manifest};

/// A committed snapshot.
pub(crate) fn snapshot(manifest: &Manifest) -> Snapshot {
    let state = if manifest.is_complete() {
        SnapshotState::Complete
    } else {
        SnapshotState::Incomplete
    };
    let kinds = manifest.completeness.iter().map(|record| KindRecord {
        kind: record.kind.name(),
        complete: record.is_complete(),
        problem: record.problem.clone().unwrap_or_default(),
        method: record.method.name().to_owned(),
        not_before: Some(timestamp(record.not_before)),
        not_after: Some(timestamp(record.not_after)),
        count: count(record.count),
        note: record.note.clone(),
        effort: Some(effort(record.effort)),
    });
    Snapshot {
        name: proto::name::snapshot(&manifest.tenant, manifest.id()),
        state: state as i32,
        start_time: Some(timestamp(manifest.meta.started)),
        end_time: Some(timestamp(manifest.meta.finished)),
        trigger: manifest.meta.trigger.name().to_owned(),
        licence: manifest.meta.licence.name().to_owned(),
        object_count: count(manifest.counts.iter().map(|entry| entry.live).sum()),
        link_count: count(manifest.link_counts.iter().map(|entry| entry.count).sum()),
        stored_bytes: count(manifest.runs.iter().map(|run| run.bytes).sum()),
        kinds: kinds.collect(),
        reading: reading(manifest) as i32,
        since: manifest
            .lineage
            .since
            .as_ref()
            .map(|id| proto::name::snapshot(&manifest.tenant, id))
            .unwrap_or_default(),
        drift_count: count(manifest.lineage.drift),
        expiring_since: match &manifest.fate {
            Fate::Expiring { since } => Some(timestamp(*since)),
            _ => None,
        },
        held_since: match &manifest.fate {
            Fate::Held { since, .. } => Some(timestamp(*since)),
            _ => None,
        },
        hold_reason: match &manifest.fate {
            Fate::Held { reason, .. } => reason.clone(),
            _ => String::new(),
        },
    }
}

fn reading(manifest: &Manifest) -> Reading {
    match (&manifest.lineage.since, manifest.lineage.incremental) {
        (None, _) => Reading::Whole,
        (Some(_), 0) => Reading::Reconciliation,
        (Some(_), _) => Reading::Incremental,
    }
}

fn effort(effort: model::snapshot::Effort) -> Effort {
    Effort {
        pages: count(effort.pages),
        requests: count(effort.requests),
        units: count(effort.units),
        retries: count(effort.retries),
        throttled: count(effort.throttled),
        refused: count(effort.refused),
        bytes: count(effort.bytes),
    }
}

pub(crate) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
