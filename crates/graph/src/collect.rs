//! Reading a whole tenant.
//!
//! Owns the order of reading and the completeness record of each kind. A kind
//! that could not be read is recorded with its problem and costs no other kind;
//! it is never passed off as read. Nothing is interpreted here: objects are
//! kept as they were sent.

mod links;
mod objects;
mod part;
mod vanished;

use std::collections::HashSet;
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use model::catalogue::Lane;
use model::snapshot::{Completeness, Content, Kind};
use model::{ObjectState, ObjectType};

use crate::directory::{Directory, Query};
use crate::error::GraphError;
use part::Part;

/// Types read at a time.
const TYPES_AT_ONCE: usize = 8;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The types whose live objects are read.
    pub types: Vec<ObjectType>,
    /// Whether the links that start at these types are read.
    pub links: bool,
    /// Whether their soft-deleted objects are read.
    pub deleted: bool,
}

impl Scope {
    /// Everything that the catalogue knows.
    #[must_use]
    pub fn all() -> Self {
        Self {
            types: ObjectType::ALL.to_vec(),
            links: true,
            deleted: true,
        }
    }
}

/// How far the reading of one kind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The kind.
    pub kind: Kind,
    /// Objects or links read so far.
    pub count: u64,
}

/// Reads the tenant.
///
/// # Errors
/// A [`GraphError`] only where nothing at all could be read; any other failure
/// is the problem of its kind in [`Content::completeness`].
pub async fn collect(
    directory: &dyn Directory,
    scope: &Scope,
    now: &(dyn Fn() -> DateTime<Utc> + Send + Sync),
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Content, GraphError> {
    let run = Run {
        directory,
        scope,
        now,
        progress,
        reach: Mutex::new(Reach::default()),
    };
    let (slow, quick): (Vec<ObjectType>, Vec<ObjectType>) = scope
        .types
        .iter()
        .partition(|object_type| object_type.spec().lane == Lane::ConditionalAccess);
    let mut lanes: Vec<BoxFuture<'_, Vec<Part>>> = vec![Box::pin(run.one_by_one(slow))];
    for object_type in quick {
        lanes.push(Box::pin(run.of_type(object_type)));
    }
    let parts: Vec<Part> = stream::iter(lanes)
        .buffer_unordered(TYPES_AT_ONCE)
        .concat()
        .await;
    let Reach {
        anything,
        first_error,
        ..
    } = run.reach.into_inner().unwrap_or_default();
    match first_error {
        Some(error) if !anything => Err(error),
        _ => Ok(assemble(parts)),
    }
}

/// Puts the parts together; counts are of what is kept, without repetitions.
fn assemble(parts: Vec<Part>) -> Content {
    let mut content = Content::default();
    for part in parts {
        content.objects.extend(part.objects);
        content.links.extend(part.links);
        content.completeness.push(part.record);
    }
    let mut content = content.sorted();
    let mut completeness = std::mem::take(&mut content.completeness);
    for record in &mut completeness {
        record.count = count(&content, record.kind);
    }
    content.completeness = completeness;
    content
}

fn count(content: &Content, kind: Kind) -> u64 {
    let objects = |object_type: ObjectType, state: ObjectState| {
        content
            .objects
            .iter()
            .filter(|object| object.object_type == object_type && object.state == state)
            .count()
    };
    let count = match kind {
        Kind::Objects(object_type) => objects(object_type, ObjectState::Live),
        Kind::Deleted(object_type) => objects(object_type, ObjectState::Deleted),
        Kind::Links(link) => content
            .links
            .iter()
            .filter(|other| other.kind == link)
            .count(),
    };
    count as u64
}

/// One reading of a tenant.
struct Run<'a> {
    directory: &'a dyn Directory,
    scope: &'a Scope,
    now: &'a (dyn Fn() -> DateTime<Utc> + Send + Sync),
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    reach: Mutex<Reach>,
}

/// Whether the tenant answers at all.
#[derive(Default)]
struct Reach {
    anything: bool,
    first_error: Option<GraphError>,
    failed: HashSet<Kind>,
}

impl Run<'_> {
    /// Types that share a slow quota.
    async fn one_by_one(&self, types: Vec<ObjectType>) -> Vec<Part> {
        let mut parts = Vec::new();
        for object_type in types {
            parts.push(
                self.read_until_stable(&Query::Objects(object_type))
                    .await
                    .into_part(),
            );
            if self.scope.deleted && object_type.spec().deleted.is_some() {
                parts.push(
                    self.read_list(&Query::Deleted(object_type))
                        .await
                        .into_part(),
                );
            }
        }
        parts
    }

    /// Everything of one type: live objects, deleted objects, links.
    async fn of_type(&self, object_type: ObjectType) -> Vec<Part> {
        let mut parts = self
            .read_list(&Query::Objects(object_type))
            .await
            .into_parts(self.scope.links);
        if self.scope.deleted && object_type.spec().deleted.is_some() {
            parts.push(
                self.read_list(&Query::Deleted(object_type))
                    .await
                    .into_part(),
            );
        }
        if self.scope.links {
            self.read_links(object_type, &mut parts).await;
        }
        parts
    }

    fn start(&self, kind: Kind) -> Completeness {
        let now = (self.now)();
        Completeness {
            kind,
            problem: None,
            method: model::snapshot::Method::SingleRead,
            not_before: now,
            not_after: now,
            count: 0,
        }
    }

    fn report(&self, kind: Kind, count: usize) {
        (self.progress)(Progress {
            kind,
            count: count as u64,
        });
    }

    fn reached(&self) {
        self.reach
            .lock()
            .expect("invariant: no panic while the lock is held")
            .anything = true;
    }

    fn failed(&self, kind: Kind, error: &GraphError) {
        let mut reach = self
            .reach
            .lock()
            .expect("invariant: no panic while the lock is held");
        reach.failed.insert(kind);
        reach.first_error.get_or_insert_with(|| error.clone());
    }

    /// Why there is no point in asking on: every type was tried, none answered,
    /// and the failure was not one kind's own.
    fn hopeless(&self) -> Option<GraphError> {
        let reach = self
            .reach
            .lock()
            .expect("invariant: no panic while the lock is held");
        let all_failed = self
            .scope
            .types
            .iter()
            .all(|object_type| reach.failed.contains(&Kind::Objects(*object_type)));
        let common = |error: &&GraphError| {
            matches!(
                error,
                GraphError::CredentialRejected { .. } | GraphError::Unavailable { .. }
            )
        };
        if reach.anything || !all_failed {
            None
        } else {
            reach.first_error.as_ref().filter(common).cloned()
        }
    }
}
