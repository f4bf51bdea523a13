//! What became of a slot, in format 1.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::chance;
use crate::error::StoreError;
use crate::manifest as domain;

/// An entry about a snapshot's fate.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fate {
    format: u32,
    /// Tells the writer its own file.
    write: String,
    fate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&domain::Fate> for Fate {
    fn from(fate: &domain::Fate) -> Self {
        let (word, since, reason) = match fate {
            domain::Fate::Kept => ("kept", None, None),
            domain::Fate::Expiring { since } => ("expiring", Some(*since), None),
            domain::Fate::Held { since, reason } => ("held", Some(*since), Some(reason.clone())),
            domain::Fate::Pruned => ("pruned", None, None),
        };
        Self {
            format: FORMAT,
            write: chance::token(),
            fate: word.to_owned(),
            since,
            reason,
        }
    }
}

impl Fate {
    /// The fate in the terms of the program.
    ///
    /// # Errors
    /// `Corrupt`, naming the path, where it is none that this version knows.
    pub(crate) fn into_domain(self, path: &str) -> Result<domain::Fate, StoreError> {
        match (self.fate.as_str(), self.since) {
            ("kept", _) => Ok(domain::Fate::Kept),
            ("expiring", Some(since)) => Ok(domain::Fate::Expiring { since }),
            ("held", Some(since)) => Ok(domain::Fate::Held {
                since,
                reason: self.reason.unwrap_or_default(),
            }),
            ("pruned", _) => Ok(domain::Fate::Pruned),
            (word, _) => Err(StoreError::corrupt(
                path,
                format!("fate {word:?} is not known to this version"),
            )),
        }
    }
}

/// What lies in a manifest's place where its slot can no longer be committed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GivenUp {
    format: u32,
    /// Tells the writer its own file.
    write: String,
    given_up: DateTime<Utc>,
}

impl GivenUp {
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self {
            format: FORMAT,
            write: chance::token(),
            given_up: now,
        }
    }
}
