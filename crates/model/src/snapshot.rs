//! One state of a tenant: objects, links, and how completely each kind was read.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::{Add, AddAssign};

use chrono::{DateTime, Utc};

use crate::catalogue::{LinkKind, ObjectType, Reading};
use crate::id::ObjectId;
use crate::object::{Link, Object, ObjectState};

mod changes;

pub use changes::{Change, Changes, types_read};

/// A kind of thing that is read on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The live objects of a type.
    Objects(ObjectType),
    /// The soft-deleted objects of a type.
    Deleted(ObjectType),
    /// The links of a relation.
    Links(LinkKind),
}

impl Kind {
    /// Every kind of the catalogue, in reading order.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut kinds = Vec::new();
        for spec in crate::catalogue::TYPES {
            kinds.push(Self::Objects(spec.object_type));
            if spec.deleted.is_some() {
                kinds.push(Self::Deleted(spec.object_type));
            }
            kinds.extend(spec.links.iter().map(|link| Self::Links(link.kind)));
        }
        kinds
    }

    /// Whether the kind's objects lie inside those of another type.
    #[must_use]
    pub fn is_contained(self) -> bool {
        matches!(self, Self::Objects(object_type)
            if matches!(object_type.spec().reading, Reading::Contained { .. }))
    }

    /// `user`, `deleted/user` or `group/members`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Objects(object_type) => object_type.name().to_owned(),
            Self::Deleted(object_type) => format!("deleted/{}", object_type.name()),
            Self::Links(link) => link.name().to_owned(),
        }
    }

    /// The type that it belongs to; of links, the type that holds them.
    #[must_use]
    pub fn object_type(self) -> ObjectType {
        match self {
            Self::Objects(object_type) | Self::Deleted(object_type) => object_type,
            Self::Links(link) => link.source_type(),
        }
    }

    /// The reverse of [`Kind::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|kind| kind.name() == name)
    }
}

/// How a kind was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Bulk read, then change rounds until one was quiet.
    Delta,
    /// Two equal reads in a row.
    StableReread,
    /// One read.
    SingleRead,
}

impl Method {
    /// The name written into manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::StableReread => "stable_reread",
            Self::SingleRead => "single_read",
        }
    }

    /// The reverse of [`Method::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Delta, Self::StableReread, Self::SingleRead]
            .into_iter()
            .find(|method| method.name() == name)
    }
}

/// What a piece of reading cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Pages read, a batch of first pages counting as one.
    pub pages: u64,
    /// HTTP requests sent; a batch is one.
    pub requests: u64,
    /// Resource units spent, as counted by Graph or else estimated.
    pub units: u64,
    /// Requests that were repetitions of earlier ones.
    pub retries: u64,
    /// Answers, also within batches, that said to come back later.
    pub throttled: u64,
    /// Answers, also within batches, that denied permission.
    pub refused: u64,
    /// Bytes of the bodies received.
    pub bytes: u64,
}

impl AddAssign for Effort {
    fn add_assign(&mut self, other: Self) {
        self.pages += other.pages;
        self.requests += other.requests;
        self.units += other.units;
        self.retries += other.retries;
        self.throttled += other.throttled;
        self.refused += other.refused;
        self.bytes += other.bytes;
    }
}

impl Add for Effort {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// What is known about the reading of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completeness {
    /// The kind.
    pub kind: Kind,
    /// Why the kind is not complete; `None` where it is.
    pub problem: Option<String>,
    /// How it was read.
    pub method: Method,
    /// The state is not older than this.
    pub not_before: DateTime<Utc>,
    /// The state is not younger than this.
    pub not_after: DateTime<Utc>,
    /// Objects or links read.
    pub count: u64,
    /// What a reader of the record should know although the kind is complete;
    /// empty where there is nothing to say.
    pub note: String,
    /// What the reading cost.
    pub effort: Effort,
}

/// Where the changes of a type go on: Graph's delta link, which is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeToken {
    /// The type whose objects it tracks.
    pub object_type: ObjectType,
    /// What the link tracks: the properties and relations that were selected.
    /// A token of another selection would miss changes.
    pub selection: String,
    /// The link, used as it is.
    pub link: String,
}

impl fmt::Debug for ChangeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeToken")
            .field("object_type", &self.object_type)
            .finish_non_exhaustive()
    }
}

/// An object's state and the hash of its canonical form.
pub type Seen = (ObjectState, blake3::Hash);

/// Objects as they were seen.
pub type Untracked = BTreeMap<(ObjectType, ObjectId), Seen>;

/// What the next reading must know of an earlier one to follow its changes.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Where its changes go on.
    pub tokens: Vec<ChangeToken>,
    /// The objects in its recycle bin.
    pub bin: HashSet<(ObjectType, ObjectId)>,
    /// The objects of the types without change tracking, by the hash of their
    /// canonical form ([`crate::json::canonical`]).
    pub untracked: Untracked,
    /// The objects that had links of a kind.
    pub sources: BTreeMap<LinkKind, Vec<ObjectId>>,
    /// Objects to be read again.
    pub unsettled: Vec<(ObjectType, ObjectId)>,
    /// Its records.
    pub completeness: Vec<Completeness>,
}

impl Completeness {
    /// A record of a kind whose reading starts now.
    #[must_use]
    pub fn begun(kind: Kind, method: Method, now: DateTime<Utc>) -> Self {
        Self {
            kind,
            problem: None,
            method,
            not_before: now,
            not_after: now,
            count: 0,
            note: String::new(),
            effort: Effort::default(),
        }
    }

    /// Whether everything of the kind was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problem.is_none()
    }
}

/// The content of a tenant at one time.
///
/// Objects are sorted by (type, id), links by (kind, source, target); no key
/// occurs twice. An object that was found both live and deleted counts as live.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// All objects, live and soft-deleted.
    pub objects: Vec<Object>,
    /// All links of which neither end is in the recycle bin.
    pub links: Vec<Link>,
    /// One record for each kind that was asked for.
    pub completeness: Vec<Completeness>,
}

impl Content {
    /// Sorts and removes duplicates, so that the order of reading leaves no trace.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.objects
            .sort_by(|a, b| (a.key(), a.state).cmp(&(b.key(), b.state)));
        self.objects
            .dedup_by(|later, first| later.key() == first.key());
        self.links.sort();
        self.links.dedup();
        self.completeness.sort_by_key(|record| record.kind);
        self
    }

    /// Whether the kind was asked for and read completely.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.completeness
            .iter()
            .any(|record| record.kind == kind && record.is_complete())
    }

    /// How many there are of each kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Kind, u64> {
        let mut counts = BTreeMap::new();
        for object in &self.objects {
            let kind = match object.state {
                ObjectState::Live => Kind::Objects(object.object_type),
                ObjectState::Deleted => Kind::Deleted(object.object_type),
            };
            *counts.entry(kind).or_default() += 1;
        }
        for link in &self.links {
            *counts.entry(Kind::Links(link.kind)).or_default() += 1;
        }
        counts
    }

    /// Finds an object by type and id.
    #[must_use]
    pub fn object(&self, object_type: ObjectType, id: &ObjectId) -> Option<&Object> {
        self.objects
            .binary_search_by(|object| object.key().cmp(&(object_type, id)))
            .ok()
            .map(|index| &self.objects[index])
    }

    /// The links of one kind that start at one object.
    #[must_use]
    pub fn links_of(&self, kind: LinkKind, source: &ObjectId) -> &[Link] {
        let start = self
            .links
            .partition_point(|link| (link.kind, &link.source) < (kind, source));
        let end = self
            .links
            .partition_point(|link| (link.kind, &link.source) <= (kind, source));
        &self.links[start..end]
    }
}
