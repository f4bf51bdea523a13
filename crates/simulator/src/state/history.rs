//! The log of changes from which delta rounds are answered.
//!
//! A delta token is a position in this log; the log itself never leaves the tenant.

use serde::Deserialize;
use uuid::Uuid;

use crate::catalog::{Kind, Relation};

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Created or restored.
    Created,
    /// Properties changed, by key.
    Changed(Box<[u16]>),
    SoftDeleted,
    Purged,
    Linked {
        relation: Relation,
        to: Uuid,
    },
    Unlinked {
        relation: Relation,
        to: Uuid,
    },
    /// A link ended because its target was hard-deleted.
    Orphaned {
        relation: Relation,
        to: Uuid,
    },
}

impl What {
    /// Whether a link changed, not the object itself.
    pub(crate) fn is_link(&self) -> bool {
        matches!(
            self,
            Self::Linked { .. } | Self::Unlinked { .. } | Self::Orphaned { .. }
        )
    }
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub kind: Kind,
    pub id: Uuid,
    pub what: What,
}

/// The log, and whether it is listening.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    changes: Vec<Change>,
    muted: bool,
}

/// Which tokens are honoured. Outside the log, since every replica agrees about it at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TokenAge {
    /// Raised to make every token given out before worthless.
    pub epoch: u64,
    /// How the service answers a worthless token.
    pub on_expiry: DeltaExpiry,
}

/// The two ways in which Graph refuses a delta token that it no longer honours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeltaExpiry {
    /// 410 Gone with a `Location` that starts over.
    #[default]
    Gone,
    /// 400 with code `syncStateNotFound`.
    SyncStateNotFound,
}

impl History {
    pub(crate) fn push(&mut self, kind: Kind, id: Uuid, what: What) {
        if !self.muted {
            self.changes.push(Change { kind, id, what });
        }
    }

    /// Bulk loading is before the beginning of history.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
    }

    pub(crate) fn unmute(&mut self) {
        self.muted = false;
    }

    pub(crate) fn position(&self) -> usize {
        self.changes.len()
    }

    /// A span of the log.
    pub(crate) fn span(&self, from: usize, to: usize) -> &[Change] {
        let to = to.min(self.changes.len());
        &self.changes[from.min(to)..to]
    }
}
