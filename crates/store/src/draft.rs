//! A snapshot that is being taken: statements about a tenant, gathered until
//! they are committed.
//!
//! Owns how statements become rows, with or without a snapshot to start from. A
//! draft needs a fraction of the memory that its objects would, so a tenant may
//! be of any size.

mod links;
mod objects;
mod spool;

use std::collections::{BTreeMap, HashSet};

use model::snapshot::{Change, Kind};
use model::{Link, LinkKind, ObjectId, ObjectState, ObjectType};
use parking_lot::Mutex;

use crate::error::StoreError;
use spool::Spool;

pub(crate) use links::{LinkStep, walk_links};
pub(crate) use objects::{ObjectStep, walk_objects};

/// Statements about a tenant, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Draft {
    gathering: Mutex<Gathering>,
}

#[derive(Debug, Default)]
struct Gathering {
    seq: u64,
    objects: Spool,
    links: Spool,
    gone: HashSet<ObjectId>,
    failed: Option<StoreError>,
}

impl Draft {
    /// Adds a statement; it wins over the earlier ones.
    ///
    /// A statement that cannot be kept is not dropped in silence: the draft can
    /// then no longer be committed.
    pub fn apply(&self, change: Change) {
        let mut gathering = self.gathering.lock();
        gathering.seq += 1;
        if let Err(error) = gathering.apply(change) {
            gathering.failed.get_or_insert(error);
        }
    }

    /// Ends the gathering.
    ///
    /// # Errors
    /// `Internal` where a statement could not be kept.
    pub(crate) fn close(self) -> Result<Closed, StoreError> {
        let mut gathering = self.gathering.into_inner();
        if let Some(error) = gathering.failed.take() {
            return Err(error);
        }
        gathering.objects.close()?;
        gathering.links.close()?;
        Ok(Closed {
            objects: gathering.objects,
            links: gathering.links,
            gone: gathering.gone,
        })
    }
}

impl Gathering {
    fn apply(&mut self, change: Change) -> Result<(), StoreError> {
        let seq = self.seq;
        match change {
            Change::Put(object) => {
                self.gone.remove(&object.id);
                let key = objects::key(object.object_type, Some(&object.id));
                let value = [object.json.as_bytes(), objects::put(object.state)];
                self.objects.push(&key, seq, &value)
            }
            Change::Gone(object_type, id) => {
                let key = objects::key(object_type, Some(&id));
                self.gone.insert(id);
                self.objects.push(&key, seq, &[objects::GONE])
            }
            Change::Reread(Kind::Objects(object_type)) => {
                self.reread_objects(object_type, ObjectState::Live)
            }
            Change::Reread(Kind::Deleted(object_type)) => {
                self.reread_objects(object_type, ObjectState::Deleted)
            }
            Change::Reread(Kind::Links(kind)) => {
                self.links.push(&links::key(kind, None, None), seq, &[])
            }
            Change::Linked(link) => self.link(&link, links::LINKED),
            Change::Unlinked(link) => self.link(&link, links::UNLINKED),
            Change::RereadLinksOf(kind, source) => {
                self.links
                    .push(&links::key(kind, Some(&source), None), seq, &[])
            }
        }
    }

    fn reread_objects(
        &mut self,
        object_type: ObjectType,
        state: ObjectState,
    ) -> Result<(), StoreError> {
        let key = objects::key(object_type, None);
        self.objects.push(&key, self.seq, &[objects::put(state)])
    }

    fn link(&mut self, link: &Link, value: &[u8]) -> Result<(), StoreError> {
        let key = links::key(link.kind, Some(&link.source), Some(&link.target));
        self.links.push(&key, self.seq, &[value])
    }
}

/// A draft to which nothing is added any more.
#[derive(Debug)]
pub(crate) struct Closed {
    objects: Spool,
    links: Spool,
    gone: HashSet<ObjectId>,
}

/// What was found on the way through the objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ObjectTally {
    /// Live and soft-deleted objects of each type.
    pub(crate) counts: BTreeMap<ObjectType, (u64, u64)>,
    /// The objects in the recycle bin, whose links are hidden.
    pub(crate) bin: HashSet<ObjectId>,
    /// The objects that are no more, whose links go with them.
    pub(crate) gone: HashSet<ObjectId>,
}

/// Visible links of each kind.
pub(crate) type LinkTally = BTreeMap<LinkKind, u64>;
