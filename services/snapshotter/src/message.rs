//! Manifests, objects and links as messages of the contract.

use model::{Link, Object, ObjectType};
use proto::convert::{InvalidMessage, timestamp};
use proto::v1::{
    Effort, KindRecord, ObjectRef, ObjectState, Reading, Snapshot, SnapshotLink, SnapshotObject,
    SnapshotState,
};
use store::{Fate, Found, Manifest};

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

/// An object, with its JSON.
pub(crate) fn object(object: Object) -> SnapshotObject {
    SnapshotObject {
        object: Some(ObjectRef {
            r#type: object.object_type.name().to_owned(),
            id: object.id.to_string(),
            display_name: object.name(),
        }),
        state: state(object.state) as i32,
        json: object.json.into(),
    }
}

/// An object that a search found.
pub(crate) fn found(found: &Found) -> SnapshotObject {
    SnapshotObject {
        object: Some(ObjectRef {
            r#type: found.object_type.name().to_owned(),
            id: found.id.to_string(),
            display_name: found.name.clone(),
        }),
        state: state(found.state) as i32,
        json: String::new(),
    }
}

/// A link.
pub(crate) fn link(link: &Link) -> SnapshotLink {
    SnapshotLink {
        relation: link.kind.name().to_owned(),
        source_id: link.source.to_string(),
        target_id: link.target.to_string(),
    }
}

fn state(state: model::ObjectState) -> ObjectState {
    match state {
        model::ObjectState::Live => ObjectState::Live,
        model::ObjectState::Deleted => ObjectState::SoftDeleted,
    }
}

/// The types of a request; none where it names none.
///
/// # Errors
/// Where one is not known.
pub(crate) fn types(names: &[String]) -> Result<Vec<ObjectType>, InvalidMessage> {
    let known = |name: &String| {
        ObjectType::from_name(name)
            .ok_or_else(|| InvalidMessage::new("types", "the name of an object type is expected"))
    };
    names.iter().map(known).collect()
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
