//! The grants of an installation, of format 1.

use chrono::{DateTime, Utc};
use model::TenantId;
use model::grant::{self as domain, Holder, Scope};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::chance;
use crate::error::StoreError;

/// All grants that hold.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Grants {
    format: u32,
    /// Tells the writer its own file.
    write: String,
    grants: Vec<Grant>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Grant {
    id: String,
    holder: Kind,
    value: String,
    roles: Vec<String>,
    /// Every tenant where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenants: Option<Vec<String>>,
    author: String,
    created_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Caller,
    Subject,
    Claim,
}

impl Grants {
    pub(crate) fn of(grants: &[domain::Grant]) -> Self {
        Self {
            format: FORMAT,
            write: chance::token(),
            grants: grants.iter().map(Grant::of).collect(),
        }
    }

    /// # Errors
    /// `Corrupt` where a word is unknown: a grant that is not understood must not be
    /// taken for a smaller one, and never for a greater.
    pub(crate) fn into_domain(self, path: &str) -> Result<Vec<domain::Grant>, StoreError> {
        let grants = self.grants.into_iter();
        grants.map(|grant| grant.into_domain(path)).collect()
    }
}

impl Grant {
    fn of(grant: &domain::Grant) -> Self {
        let tenants = match &grant.scope {
            Scope::All => None,
            Scope::Only(tenants) => Some(tenants.iter().map(TenantId::to_string).collect()),
        };
        Self {
            id: grant.id.clone(),
            holder: match grant.holder {
                Holder::Caller(_) => Kind::Caller,
                Holder::Subject(_) => Kind::Subject,
                Holder::Claim(_) => Kind::Claim,
            },
            value: grant.holder.text().to_owned(),
            roles: grant.roles.iter().map(ToString::to_string).collect(),
            tenants,
            author: grant.author.clone(),
            created_at: grant.created_at,
        }
    }

    fn into_domain(self, path: &str) -> Result<domain::Grant, StoreError> {
        let unknown = |what: &str| StoreError::corrupt(path, format!("{what} is not known"));
        let roles = self.roles.iter().map(|word| word.parse());
        let tenants = self.tenants.map(|ids| {
            let ids = ids.iter().map(|id| TenantId::parse(id));
            ids.collect::<Result<_, _>>()
        });
        let tenants = tenants.transpose().map_err(|_| unknown("a tenant"))?;
        Ok(domain::Grant {
            id: self.id,
            holder: match self.holder {
                Kind::Caller => Holder::Caller(self.value),
                Kind::Subject => Holder::Subject(self.value),
                Kind::Claim => Holder::Claim(self.value),
            },
            roles: roles
                .collect::<Result<_, _>>()
                .map_err(|_| unknown("a role"))?,
            scope: tenants.map_or(Scope::All, Scope::Only),
            author: self.author,
            created_at: self.created_at,
        })
    }
}
