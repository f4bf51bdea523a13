//! What lies in a tenant's recycle bins right now.
//!
//! Owns how long something can be restored, and what is warned of. A bin that cannot be
//! read is named, never taken for empty.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use graph::{Directory, GraphError, Query, giving_way};
use model::audit::Sought;
use model::diff::{Change, ChangeKind};
use model::snapshot::{Completeness, Content, Kind, Method};
use model::{Object, ObjectId, ObjectRef, ObjectState, ObjectType, SnapshotId};
use proto::convert::{object_ref, timestamp};
use proto::name;
use proto::v1::{Activity, DeletedObject, ListDeletedObjectsRequest, ListDeletedObjectsResponse};
use runtime::page::paginate;
use runtime::status::chain;
use serde_json::Value;
use store::{Manifest, StoreError, TenantVault};

use crate::cache::{ONLY, Shared};
use crate::metrics::Metrics;
use crate::{Context, Error, audit};

/// How long a directory keeps what was soft-deleted.
///
/// Source: Microsoft Entra, "Recover from deletions".
const KEPT: TimeDelta = TimeDelta::days(30);
/// How long before the end it is warned of.
const SOON: TimeDelta = TimeDelta::days(7);
/// How long a listing serves the pages that follow the first.
const PAGED: TimeDelta = TimeDelta::minutes(10);
/// About the bytes of an entry in memory.
const ENTRY_BYTES: u64 = 512;

/// What is kept of listings, for their further pages.
#[derive(Debug, Clone)]
pub(crate) struct Listings {
    kept: Shared<Arc<Listing>>,
}

impl Listings {
    /// Keeps about that many bytes together.
    pub(crate) fn new(bytes: u64, metrics: &Metrics) -> Self {
        let kept = Shared::new(bytes, metrics.cache("deleted"), |kept: &Arc<Listing>| {
            (kept.objects.len() as u64 + 1) * ENTRY_BYTES
        });
        Self { kept }
    }
}

/// All that lies in the bins of one tenant.
#[derive(Debug)]
struct Listing {
    read_at: DateTime<Utc>,
    objects: Vec<DeletedObject>,
    /// What is said of all of them.
    about: ListDeletedObjectsResponse,
}

/// A page of what lies in the bins.
///
/// # Errors
/// `INVALID_ARGUMENT`; `NOT_FOUND`; where no bin can be read, why; `STORE_UNAVAILABLE`.
pub(crate) async fn list(
    context: &Context,
    request: ListDeletedObjectsRequest,
) -> Result<ListDeletedObjectsResponse, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    let vault = context.deps.vault.tenant(&tenant).await?;
    let kept = &context.listings.kept;
    let now = context.deps.clock.now();
    let last = kept.get(&tenant, ONLY).await;
    let goes_on =
        |listing: &Arc<Listing>| !request.page_token.is_empty() && listing.read_at + PAGED > now;
    let listing = match last.filter(goes_on) {
        Some(listing) => {
            kept.hit();
            listing
        }
        None => {
            kept.miss();
            let listing = Arc::new(read(context, &vault, now).await?);
            kept.insert(&tenant, ONLY, Arc::clone(&listing)).await;
            listing
        }
    };
    let page = paginate(
        listing.objects.clone(),
        request.page_size,
        &request.page_token,
    )?;
    Ok(ListDeletedObjectsResponse {
        deleted_objects: page.items,
        next_page_token: page.next_page_token,
        ..listing.about.clone()
    })
}

async fn read(
    context: &Context,
    vault: &TenantVault,
    now: DateTime<Utc>,
) -> Result<Listing, Error> {
    let deps = &context.deps;
    let record = deps.vault.registered(vault.id()).await?;
    let directory = (deps.connect)(&record)?;
    let restore_runs = || vault.restore_runs(deps.clock.now());
    let bins = giving_way(directory.as_ref(), restore_runs, bins(directory.as_ref())).await;
    let (mut found, mut not_read) = (Vec::new(), Vec::new());
    let mut first = None;
    let mut some = false;
    for (object_type, bin) in bins {
        match bin {
            Ok(bin) => {
                some = true;
                found.extend(bin);
            }
            Err(error) => {
                let kind = Kind::Deleted(object_type).name();
                not_read.push(format!("{kind}: {}", chain(&error)));
                first.get_or_insert(error);
            }
        }
    }
    if let Some(error) = first.filter(|_| !some) {
        return Err(error.into());
    }
    let latest = latest(vault).await?;
    let known = match &latest {
        Some(manifest) => known(vault, manifest, &found).await?,
        None => BTreeSet::new(),
    };
    let licence = latest.as_ref().map(|manifest| manifest.meta.licence);
    let sought = sought(&found, now);
    let (audit_log, told) = audit::of_bin(context, &record, licence, &sought, now).await;
    let mut told = told.into_iter();
    let mut objects: Vec<DeletedObject> = found
        .iter()
        .map(|object| {
            let deletion = told.next().and_then(|told| deletion(told.activities));
            entry(object, deletion, known.contains(&object.id), now)
        })
        .collect();
    let end = |object: &DeletedObject| {
        let end = object.expire_time.map(|time| (time.seconds, time.nanos));
        let id = object.object.as_ref().map(|object| object.id.clone());
        (end.is_none(), end, id)
    };
    objects.sort_by_cached_key(end);
    Ok(Listing {
        read_at: now,
        objects,
        about: ListDeletedObjectsResponse {
            read_time: Some(timestamp(now)),
            not_read,
            audit_log,
            snapshot: latest
                .map(|manifest| name::snapshot(vault.id(), manifest.id()))
                .unwrap_or_default(),
            ..ListDeletedObjectsResponse::default()
        },
    })
}

type Bin = (ObjectType, Result<Vec<Object>, GraphError>);

/// The bins of all types that have one. One that cannot be read costs no other.
async fn bins(directory: &dyn Directory) -> Vec<Bin> {
    let mut bins = Vec::new();
    for object_type in ObjectType::ALL {
        if object_type.spec().deleted.is_some() {
            bins.push((object_type, bin(directory, object_type).await));
        }
    }
    bins
}

async fn bin(
    directory: &dyn Directory,
    object_type: ObjectType,
) -> Result<Vec<Object>, GraphError> {
    let query = Query::Deleted(object_type);
    let (mut objects, mut next) = (Vec::new(), None);
    loop {
        let page = directory.page(&query, next.as_ref()).await?;
        for item in &page.items {
            let object = Object::from_json(object_type, ObjectState::Deleted, item.get());
            objects.push(object.map_err(|error| GraphError::Malformed {
                what: error.to_string(),
                path: query.kind().name(),
            })?);
        }
        next = page.next;
        if next.is_none() {
            return Ok(objects);
        }
    }
}

async fn latest(vault: &TenantVault) -> Result<Option<Manifest>, Error> {
    let id = SnapshotId::parse("latest").expect("invariant: the word is fit for an id");
    match vault.find(&id).await {
        Ok(manifest) => Ok(Some(manifest)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Which of some objects a snapshot holds.
async fn known(
    vault: &TenantVault,
    manifest: &Manifest,
    objects: &[Object],
) -> Result<BTreeSet<ObjectId>, Error> {
    let ids = objects.iter().map(|object| object.id.clone()).collect();
    let held = vault.objects_with_ids(manifest, &ids).await?;
    Ok(held.into_iter().map(|object| object.id).collect())
}

fn deleted_at(object: &Object) -> Option<DateTime<Utc>> {
    let body = object.body();
    let text = body.get("deletedDateTime").and_then(Value::as_str)?;
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.to_utc())
}

/// What the log must hold of each deletion: what was done to the object about then or
/// later.
fn sought(objects: &[Object], now: DateTime<Utc>) -> Vec<Sought> {
    let earliest = objects.iter().filter_map(deleted_at).min();
    let of = |at| {
        let kinds = Kind::all().into_iter();
        let records = kinds.map(|kind| Completeness::begun(kind, Method::SingleRead, at));
        Content {
            completeness: records.collect(),
            ..Content::default()
        }
    };
    // The log's clock and the object's may differ a little.
    let base = of(earliest.unwrap_or(now) - audit::SKEW);
    let change = |object: &Object| Change {
        object: ObjectRef {
            object_type: object.object_type,
            id: object.id.clone(),
            name: object.name(),
        },
        kind: ChangeKind::SoftDeleted,
        attributes: Vec::new(),
        links: Vec::new(),
        obstacles: BTreeSet::new(),
    };
    let changes: Vec<Change> = objects.iter().map(change).collect();
    Sought::of(&changes, &base, &of(now))
}

/// The newest of some activities that is a deletion, and no purge.
fn deletion(activities: Vec<Activity>) -> Option<Activity> {
    activities.into_iter().find(|activity| {
        let name = activity.activity.to_lowercase();
        !name.starts_with("hard") && ["delete", "remove"].iter().any(|word| name.contains(word))
    })
}

fn entry(
    object: &Object,
    deletion: Option<Activity>,
    is_known: bool,
    now: DateTime<Utc>,
) -> DeletedObject {
    let at = deleted_at(object);
    let end = at.map(|at| at + KEPT);
    let left = end.map(|end| (end - now).max(TimeDelta::zero()));
    let days = left.map_or(0, |left| left.num_days());
    let reference = ObjectRef {
        object_type: object.object_type,
        id: object.id.clone(),
        name: object.name(),
    };
    DeletedObject {
        object: Some(object_ref(&reference)),
        delete_time: at.map(timestamp),
        expire_time: end.map(timestamp),
        days_left: i32::try_from(days).unwrap_or(i32::MAX),
        deletion,
        in_latest_snapshot: is_known,
        expires_soon: is_known && left.is_some_and(|left| left <= SOON),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
    }

    fn object(deleted: &Value) -> Object {
        let body = json!({"id": "a", "displayName": "A", "deletedDateTime": deleted});
        let body = body.as_object().expect("an object");
        Object::from_body(ObjectType::User, ObjectState::Deleted, body).expect("well-formed")
    }

    #[test]
    fn what_the_snapshot_holds_is_warned_of_in_its_last_week() {
        let now = at("2026-11-27T12:00:00Z");
        for (deleted, known, days, soon) in [
            ("2026-11-27T11:00:00Z", true, 29, false),
            ("2026-11-04T11:59:59Z", true, 6, true),
            ("2026-11-04T12:00:00Z", true, 7, true),
            ("2026-11-04T12:00:01Z", true, 7, false),
            ("2026-11-04T11:59:59Z", false, 6, false),
            ("2026-10-28T13:00:00Z", true, 0, true),
            ("2026-10-01T00:00:00Z", true, 0, true),
        ] {
            let entry = entry(&object(&json!(deleted)), None, known, now);
            assert_eq!(
                (
                    entry.days_left,
                    entry.expires_soon,
                    entry.in_latest_snapshot
                ),
                (days, soon, known),
                "{deleted}"
            );
        }
        let unknown = entry(&object(&Value::Null), None, true, now);
        assert_eq!((unknown.delete_time, unknown.expires_soon), (None, false));
    }

    #[test]
    fn of_what_was_done_the_deletion_is_told() {
        let activity = |name: &str| Activity {
            activity: name.to_owned(),
            ..Activity::default()
        };
        let told = |names: &[&str]| {
            let found = deletion(names.iter().map(|name| activity(name)).collect());
            found.map(|found| found.activity)
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(told(&["Update user", "Delete user"]), some("Delete user"));
        let principal = "Remove service principal";
        assert_eq!(told(&[principal]), some(principal));
        assert_eq!(told(&["Hard Delete user", "Update user"]), None);
        assert_eq!(told(&[]), None);
    }
}
