//! One state of a tenant: objects, links, and how completely each kind was read.

use std::ops::{Add, AddAssign};

use chrono::{DateTime, Utc};

use crate::catalogue::{LinkKind, ObjectType};
use crate::object::{Link, Object};

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

    /// `user`, `deleted/user` or `group/members`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Objects(object_type) => object_type.name().to_owned(),
            Self::Deleted(object_type) => format!("deleted/{}", object_type.name()),
            Self::Links(link) => link.name().to_owned(),
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
}

impl Completeness {
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
    /// All links between live objects.
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

    /// Finds an object by type and id.
    #[must_use]
    pub fn object(&self, object_type: ObjectType, id: &crate::ObjectId) -> Option<&Object> {
        self.objects
            .binary_search_by(|object| object.key().cmp(&(object_type, id)))
            .ok()
            .map(|index| &self.objects[index])
    }

    /// The links of one kind that start at one object.
    #[must_use]
    pub fn links_of(&self, kind: LinkKind, source: &crate::ObjectId) -> &[Link] {
        let start = self
            .links
            .partition_point(|link| (link.kind, &link.source) < (kind, source));
        let end = self
            .links
            .partition_point(|link| (link.kind, &link.source) <= (kind, source));
        &self.links[start..end]
    }
}
