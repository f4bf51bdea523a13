//! Which values of a token's claim of roles mean what.
//!
//! Owns the form of `REWIND_ROLES_FILE` and what holds without one. It never looks at a
//! token.

use super::{Permit, Tenants};
use crate::tokens_file;
use ::config::{File, FileFormat};
use proto::v1::Role;
use serde::Deserialize;
use std::path::Path;

/// What values mean where no file says so, for every tenant: the app roles to be
/// defined at the issuer.
const USUAL: [(&str, Role); 4] = [
    ("RewindReader", Role::Reader),
    ("RewindAdministrator", Role::Administrator),
    ("RewindApprover", Role::Approver),
    ("RewindOperator", Role::Operator),
];

/// A file of roles that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRolesFile {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It is something else.
    #[error("the file is not TOML of [[role]] entries with value, roles and tenants")]
    Form,
    /// One entry is wrong.
    #[error("entry {number}: {problem}")]
    Entry {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(default)]
    role: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Of the claim; a group's id, where the claim has those.
    value: String,
    roles: Vec<String>,
    /// Every tenant where absent.
    tenants: Option<Vec<String>>,
}

/// What the values of the claim mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<(String, Permit)>);

impl Default for Roles {
    fn default() -> Self {
        let usual = USUAL.map(|(value, role)| {
            let permit = Permit {
                roles: [role].into(),
                tenants: Tenants::All,
            };
            (value.to_owned(), permit)
        });
        Self(usual.into())
    }
}

impl Roles {
    /// Reads a file; what holds without one does not hold then.
    ///
    /// # Errors
    /// [`InvalidRolesFile`] where it, or one of its entries, cannot be used.
    pub fn read(path: &Path) -> Result<Self, InvalidRolesFile> {
        let text = std::fs::read_to_string(path).map_err(InvalidRolesFile::Unreadable)?;
        let entries: Entries = ::config::Config::builder()
            .add_source(File::from_str(&text, FileFormat::Toml))
            .build()
            .and_then(::config::Config::try_deserialize)
            .map_err(|_| InvalidRolesFile::Form)?;
        let read = (1..).zip(entries.role).map(|(number, entry)| {
            let read = entry.read();
            read.map_err(|problem| InvalidRolesFile::Entry { number, problem })
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    /// What some values permit together.
    pub(super) fn of(&self, values: &[String]) -> Vec<Permit> {
        let meant = self.0.iter().filter(|(value, _)| values.contains(value));
        meant.map(|(_, permit)| permit.clone()).collect()
    }
}

impl Entry {
    fn read(self) -> Result<(String, Permit), String> {
        if self.value.is_empty() {
            return Err("a value of the claim is expected".to_owned());
        }
        let permit = Permit {
            roles: tokens_file::roles(&self.roles)?,
            tenants: tokens_file::tenants(self.tenants)?,
        };
        Ok((self.value, permit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "0a1b2c3d-0000-4000-8000-0000000000aa";

    fn read(text: &str) -> Result<Roles, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("roles.toml");
        std::fs::write(&path, text).expect("written");
        Roles::read(&path).map_err(|error| error.to_string())
    }

    fn of(roles: &Roles, values: &[&str]) -> Vec<Permit> {
        let values: Vec<String> = values.iter().map(|it| (*it).to_owned()).collect();
        roles.of(&values)
    }

    #[test]
    fn without_a_file_four_values_mean_the_four_roles() {
        let roles = Roles::default();
        for (value, role) in USUAL {
            let permits = of(&roles, &["Other", value]);
            assert_eq!(permits.len(), 1, "{value}");
            assert_eq!(permits[0].roles, [role].into());
            assert_eq!(permits[0].tenants, Tenants::All);
        }
        assert!(of(&roles, &["rewindreader", "Reader", ""]).is_empty());
    }

    #[test]
    fn a_file_says_what_values_mean_and_for_whom() {
        let text = format!(
            r#"
            [[role]]
            value = "Helpdesk"
            roles = ["reader", "administrator"]
            tenants = ["{TENANT}"]
            [[role]]
            value = "6e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad001"
            roles = ["approver"]
            "#
        );
        let roles = read(&text).expect("fit");
        let permits = of(&roles, &["Helpdesk"]);
        let only = Tenants::Only([model::TenantId::parse(TENANT).expect("valid")].into());
        let expected = Permit {
            roles: [Role::Reader, Role::Administrator].into(),
            tenants: only,
        };
        assert_eq!(permits, [expected]);
        let both = ["6e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad001", "Helpdesk"];
        assert_eq!(of(&roles, &both).len(), 2);
        assert!(of(&roles, &["RewindOperator"]).is_empty());
    }

    #[test]
    fn what_is_wrong_is_told() {
        let entry = |value: &str, roles: &str, tenants: &str| {
            format!("[[role]]\nvalue = \"{value}\"\nroles = {roles}\n{tenants}")
        };
        let reader = r#"["reader"]"#;
        for (text, expected) in [
            ("role = 1".to_owned(), "is not TOML"),
            (entry("a", reader, "tenant = []"), "is not TOML"),
            (entry("", reader, ""), "entry 1: a value"),
            (entry("a", "[]", ""), "at least one role"),
            (entry("a", r#"["owner"]"#, ""), "a role is one of"),
            (entry("a", reader, r#"tenants = ["x"]"#), "a tenant's GUID"),
        ] {
            let error = read(&text).expect_err(&text);
            assert!(error.contains(expected), "{error}");
        }
    }
}
