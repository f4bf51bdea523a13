//! What a manifest says: which files make a snapshot, and how completely each
//! kind was read.

use chrono::{DateTime, Utc};
use model::licence::Licence;
use model::snapshot::{ChangeToken, Completeness, Kind};
use model::{LinkKind, ObjectId, ObjectType, SnapshotId, TenantId};

/// What a snapshot's taker knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The slot.
    pub id: SnapshotId,
    /// A word that only this attempt at the slot carries, so that it knows its
    /// own manifest again.
    pub attempt: String,
    /// Why it was taken.
    pub trigger: Trigger,
    /// Before the first read.
    pub started: DateTime<Utc>,
    /// After the last file but the manifest was written.
    pub finished: DateTime<Utc>,
    /// The tenant's licence at the time.
    pub licence: Licence,
}

/// Why a snapshot was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The schedule's daily slot.
    Scheduled,
    /// A person or a program asked.
    OnDemand,
}

impl Trigger {
    /// `scheduled` or `on-demand`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::OnDemand => "on-demand",
        }
    }

    /// The reverse of [`Trigger::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Scheduled, Self::OnDemand]
            .into_iter()
            .find(|trigger| trigger.name() == name)
    }
}

/// A committed snapshot, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The tenant.
    pub tenant: TenantId,
    /// What its taker said.
    pub meta: SnapshotMeta,
    /// The files that hold it: of each kind a base run and then change runs, of
    /// which a later one wins.
    pub runs: Vec<RunFile>,
    /// One record for each kind that was asked for.
    pub completeness: Vec<Completeness>,
    /// Objects of each type.
    pub counts: Vec<TypeCount>,
    /// Visible links of each kind.
    pub link_counts: Vec<LinkCount>,
    /// What the snapshot was read from.
    pub lineage: Lineage,
    /// Where the next snapshot's changes go on.
    pub tokens: Vec<ChangeToken>,
    /// Objects whose reading did not agree with what Graph had announced of them:
    /// the next snapshot reads them again.
    pub unsettled: Vec<(ObjectType, ObjectId)>,
    /// What was decided about it since; no part of the file.
    pub fate: Fate,
}

/// What becomes of a committed snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays for now.
    Kept,
    /// Retention lets it go; it stays readable for a while.
    Expiring {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// It stays whatever retention says.
    Held {
        /// Since when.
        since: DateTime<Utc>,
        /// Why, in the words of who holds it.
        reason: String,
    },
    /// It is no more.
    Pruned,
}

/// What a snapshot was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The snapshot whose content was brought up to date; `None` where the tenant
    /// was read as if for the first time.
    pub since: Option<SnapshotId>,
    /// How many snapshots in a row, this one included, only followed changes.
    pub incremental: u32,
    /// Rows of the content before that a complete reading found to be wrong although
    /// the changes since were followed.
    pub drift: u64,
}

/// An encrypted file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFile {
    /// BLAKE3 of the encrypted file; also its name.
    pub hash: blake3::Hash,
    /// What it holds.
    pub kind: RunKind,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// BLAKE3 of the Parquet file inside.
    pub plain_hash: blake3::Hash,
    /// What lets parts of it be trusted; `None` in manifests that were written
    /// before there was any, and then the file is read as a whole.
    pub head: Option<Head>,
    /// The number of the data key that it is sealed with.
    pub key: u32,
}

/// The part of an encrypted file before its content, which settles the key that
/// the content is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How long it is.
    pub bytes: u64,
    /// Its BLAKE3.
    pub hash: blake3::Hash,
}

/// What a run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// Objects, live, soft-deleted and, in a change run, gone.
    Objects,
    /// Links, there and, in a change run, gone.
    Links,
}

impl RunKind {
    /// `objects` or `links`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Links => "links",
        }
    }

    /// The reverse of [`RunKind::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Objects, Self::Links]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// How many objects of a type a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeCount {
    /// The type.
    pub object_type: ObjectType,
    /// Live objects.
    pub live: u64,
    /// Soft-deleted objects.
    pub deleted: u64,
}

/// How many links of a kind a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkCount {
    /// The kind.
    pub kind: LinkKind,
    /// Links.
    pub count: u64,
}

impl Manifest {
    /// The snapshot's id.
    #[must_use]
    pub fn id(&self) -> &SnapshotId {
        &self.meta.id
    }

    /// Whether every kind that was asked for was read completely.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.completeness.iter().all(Completeness::is_complete)
    }

    /// Whether every kind of the essential types was read completely; one that was
    /// not asked for was not.
    #[must_use]
    pub fn has_essentials(&self) -> bool {
        Kind::all()
            .into_iter()
            .filter(|kind| kind.object_type().is_essential())
            .all(|kind| self.has(kind))
    }

    /// Whether the kind was asked for and read completely.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.completeness
            .iter()
            .any(|record| record.kind == kind && record.is_complete())
    }

    /// Whether the snapshot is on its way out, so that nothing may be built on it.
    #[must_use]
    pub fn is_expiring(&self) -> bool {
        matches!(self.fate, Fate::Expiring { .. })
    }

    /// Whether the snapshot is kept whatever retention says.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.fate, Fate::Held { .. })
    }

    /// Objects in the snapshot, live and soft-deleted.
    #[must_use]
    pub fn object_count(&self) -> u64 {
        self.counts
            .iter()
            .map(|count| count.live + count.deleted)
            .sum()
    }
}
