//! Whether an object store keeps what the vault rests on, found by trying.
//!
//! Owns the probes and what follows from them. It must never touch a file that
//! is not its own, nor call something kept that it could not see.

mod probe;

use object_store::ObjectStore;

use self::probe::{Kept, Probe};
use crate::error::StoreError;

/// Which of the vault's stores was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where snapshots, reports and everything else lies.
    Data,
    /// Where the tenants' wrapped data keys lie.
    Keys,
}

impl Place {
    /// The word that clients see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Keys => "keys",
        }
    }
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// Of two creates of one key the second is refused.
    ConditionalCreate,
    /// Of several creates of one key at once exactly one succeeds.
    CreateRace,
    /// What was written is read at once, also by who was told before that there
    /// is nothing.
    ReadAfterWrite,
    /// Lists hold what was written, also from a name on and by folder.
    Listing,
    /// A part of a file is read as that part.
    RangedRead,
    /// A deleted file is gone.
    Delete,
    /// Whether earlier versions of a file stay.
    Versioning,
    /// Whether a lock refuses to overwrite and delete.
    Immutability,
    /// A deleted file cannot be had back by reading an earlier version.
    Erasure,
    /// The probes are removed.
    Cleanup,
}

impl Property {
    /// The word that clients see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConditionalCreate => "conditional-create",
            Self::CreateRace => "create-race",
            Self::ReadAfterWrite => "read-after-write",
            Self::Listing => "listing",
            Self::RangedRead => "ranged-read",
            Self::Delete => "delete",
            Self::Versioning => "versioning",
            Self::Immutability => "immutability",
            Self::Erasure => "erasure",
            Self::Cleanup => "cleanup",
        }
    }

    /// Whether the vault is wrong or unsafe to use without it.
    #[must_use]
    pub fn is_needed(self) -> bool {
        match self {
            Self::ConditionalCreate
            | Self::CreateRace
            | Self::ReadAfterWrite
            | Self::Listing
            | Self::RangedRead
            | Self::Erasure => true,
            Self::Delete | Self::Versioning | Self::Immutability | Self::Cleanup => false,
        }
    }
}

/// What a trial showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The store has the property.
    Ok,
    /// The store does not have it.
    Failed,
    /// It cannot be told from here.
    Unknown,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What.
    pub property: Property,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen, for a person.
    pub detail: String,
}

/// Tries both stores, the data's in full and the keys' for what keys need. The
/// keys' store is tried by itself where it is the same one, too.
pub(crate) async fn run(
    data: &dyn ObjectStore,
    keys: &dyn ObjectStore,
) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let mut note = |place, property, (outcome, detail): Seen| {
        findings.push(Finding {
            place,
            property,
            outcome,
            detail,
        });
    };

    let probe = Probe::begin(data).await?;
    for (property, seen) in [
        (
            Property::ConditionalCreate,
            probe.conditional_create().await,
        ),
        (Property::CreateRace, probe.create_race().await),
        (Property::ReadAfterWrite, probe.read_after_write().await),
        (Property::Listing, probe.listing().await),
        (Property::RangedRead, probe.ranged_read().await),
        (Property::Delete, probe.delete().await),
    ] {
        note(Place::Data, property, seen);
    }
    let kept = probe.overwrite_and_delete().await;
    note(Place::Data, Property::Versioning, versioning(&kept));
    note(Place::Data, Property::Immutability, immutability(&kept));
    note(Place::Data, Property::Cleanup, probe.end().await);

    let probe = Probe::begin(keys).await?;
    for (property, seen) in [
        (
            Property::ConditionalCreate,
            probe.conditional_create().await,
        ),
        (Property::ReadAfterWrite, probe.read_after_write().await),
        (Property::Erasure, probe.erasure().await),
    ] {
        note(Place::Keys, property, seen);
    }
    note(Place::Keys, Property::Cleanup, probe.end().await);
    Ok(findings)
}

/// Tries in the store of the keys whether what is deleted is gone. A store that is
/// out of reach shows nothing.
pub(crate) async fn erasure(keys: &dyn ObjectStore) -> Finding {
    let seen = match Probe::begin(keys).await {
        Ok(probe) => {
            let seen = probe.erasure().await;
            probe.end().await;
            seen
        }
        Err(_) => unknown("the store of the keys lets nothing be tried"),
    };
    Finding {
        place: Place::Keys,
        property: Property::Erasure,
        outcome: seen.0,
        detail: seen.1,
    }
}

/// An outcome and its detail.
type Seen = (Outcome, String);

fn ok(detail: &str) -> Seen {
    (Outcome::Ok, detail.to_owned())
}

fn failed(detail: impl Into<String>) -> Seen {
    (Outcome::Failed, detail.into())
}

fn unknown(detail: impl Into<String>) -> Seen {
    (Outcome::Unknown, detail.into())
}

/// Versions may be on or off here; what counts is to know it.
fn versioning(kept: &Kept) -> Seen {
    match kept.earlier_version {
        Some(true) => ok("on: an overwritten file stays readable as an earlier version"),
        Some(false) => ok("off: an overwritten file cannot be read any more"),
        None => unknown("whether earlier versions stay cannot be told from here"),
    }
}

fn immutability(kept: &Kept) -> Seen {
    match (&kept.overwrite, &kept.delete) {
        (Err(a), Err(b)) if is_lock(a) && is_lock(b) => {
            ok("a lock of the store refuses to overwrite and to delete")
        }
        (Err(a), Err(b)) => unknown(format!(
            "to overwrite and to delete are refused ({}; {}), whether by a lock or for want of a permission cannot be told",
            said(a),
            said(b)
        )),
        (Ok(()), Ok(())) if kept.earlier_version == Some(true) => unknown(
            "earlier versions stay after overwriting and deleting; whether a lock keeps them cannot be told from here",
        ),
        (Ok(()), Ok(())) => failed("no lock: files can be overwritten and deleted"),
        (Ok(()), Err(error)) => failed(format!(
            "files can be overwritten, though not deleted ({})",
            said(error)
        )),
        (Err(error), Ok(())) => failed(format!(
            "files can be deleted, though not overwritten ({})",
            said(error)
        )),
    }
}

/// Whether a refusal names a lock: the words of Azure's `BlobImmutableDueToPolicy`
/// and of Google's `retentionPolicyNotMet` and `objectUnderActiveHold`, and the
/// text that Azure sends instead of the code where files are deleted in a batch.
fn is_lock(error: &object_store::Error) -> bool {
    let text = chain(error).to_ascii_lowercase();
    ["immutable", "retentionpolicy", "underactivehold"]
        .iter()
        .any(|word| text.contains(word))
}

/// What a store's error amounts to, without anything that the store said.
fn said(error: &object_store::Error) -> &'static str {
    use object_store::Error;
    match error {
        _ if is_lock(error) => "locked",
        Error::NotFound { .. } => "not found",
        Error::AlreadyExists { .. } => "a conflict",
        Error::Precondition { .. } => "a condition that is not met",
        Error::PermissionDenied { .. } => "permission denied",
        Error::Unauthenticated { .. } => "not signed in",
        Error::NotSupported { .. } | Error::NotImplemented { .. } => "not supported",
        _ if chain(error).contains("AccessDenied") => "permission denied",
        _ => "an error or no answer",
    }
}

fn chain(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
