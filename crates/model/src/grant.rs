//! What somebody may do, for which tenants, and who said so.
//!
//! Owns the words of roles and the shape of a grant. It knows neither tokens nor
//! methods: which call needs which role the contract says.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::id::TenantId;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees snapshots, reports, plans and restores.
    Reader,
    /// Also takes snapshots, and creates reports and restores.
    Administrator,
    /// Approves what needs a second person.
    Approver,
    /// Registers tenants and changes settings.
    Operator,
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of reader, administrator, approver and operator")]
pub struct InvalidRole;

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [
        Self::Reader,
        Self::Administrator,
        Self::Approver,
        Self::Operator,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Administrator => "administrator",
            Self::Approver => "approver",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(word: &str) -> Result<Self, InvalidRole> {
        let mut all = Self::ALL.into_iter();
        all.find(|role| role.as_str() == word).ok_or(InvalidRole)
    }
}

/// Whose a grant is, among the callers that an identity provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Who is called so in the claim of names.
    Caller(String),
    /// Whom the provider knows under this key of its own.
    Subject(String),
    /// Everybody whose claim of roles has this value.
    Claim(String),
}

impl Holder {
    /// The text by which it is known.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Caller(text) | Self::Subject(text) | Self::Claim(text) => text,
        }
    }
}

/// The tenants for which something holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All, also those registered later.
    All,
    /// Only these.
    Only(BTreeSet<TenantId>),
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its own id.
    pub id: String,
    /// Whose it is.
    pub holder: Holder,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// For which tenants.
    pub scope: Scope,
    /// Who granted it.
    pub author: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_a_word_of_its_own() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        for word in ["", "Reader", "owner"] {
            assert_eq!(word.parse::<Role>(), Err(InvalidRole), "{word}");
        }
    }
}
