//! The grants of the installation: one mutable record, written as numbered versions.
//!
//! It must never change a version that is there. What is granted, and by whom it may
//! be, others decide.

use bytes::Bytes;
use model::grant::Grant;

use super::{Vault, Versioned};
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::format::v1;
use crate::layout;

impl Vault {
    /// The newest version's number; 0 where nothing was granted yet.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn grants_version(&self) -> Result<u64, StoreError> {
        let paths = file::list(self.store.as_ref(), &layout::grants()).await?;
        let newest = paths.iter().filter_map(layout::registration_version).max();
        Ok(newest.unwrap_or_default())
    }

    /// The newest version; an empty one with the number 0 where there is none.
    ///
    /// # Errors
    /// `Corrupt` where it is damaged; `Unavailable`.
    pub async fn grants(&self) -> Result<Versioned<Vec<Grant>>, StoreError> {
        let version = self.grants_version().await?;
        if version == 0 {
            return Ok(Versioned {
                version,
                value: Vec::new(),
            });
        }
        let path = layout::grants_at(version);
        let bytes = file::read(self.store.as_ref(), &path)
            .await?
            .ok_or_else(|| StoreError::corrupt(path.as_ref(), "it is listed but missing"))?;
        let stored: v1::Grants = v1::from_json(path.as_ref(), &bytes)?;
        Ok(Versioned {
            version,
            value: stored.into_domain(path.as_ref())?,
        })
    }

    /// Writes the version after the one that was read.
    ///
    /// # Errors
    /// `Changed` where another writer was faster: read again; `Unavailable`.
    pub async fn update_grants(&self, grants: &Versioned<Vec<Grant>>) -> Result<(), StoreError> {
        let bytes = Bytes::from(v1::to_json(&v1::Grants::of(&grants.value))?);
        let path = layout::grants_at(grants.version + 1);
        match file::create(self.store.as_ref(), &path, bytes).await? {
            Created::Ours => Ok(()),
            Created::Theirs => Err(StoreError::Changed {
                what: "the grants".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use model::TenantId;
    use model::grant::{Holder, Role, Scope};

    use super::*;
    use crate::Kek;

    fn grant(id: &str, holder: Holder, scope: Scope) -> Grant {
        Grant {
            id: id.to_owned(),
            holder,
            roles: [Role::Reader, Role::Operator].into(),
            scope,
            author: "anna#1".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn what_is_granted_is_read_again_and_of_two_writers_one_is_told() {
        let kek = Arc::new(Kek::from_bytes([7; 32]));
        let vault = Vault::open("memory:///", &|_| None, kek).expect("memory");
        let before = vault.grants().await.expect("none");
        assert_eq!((before.version, before.value.len()), (0, 0));
        let tenant = TenantId::parse("0a1b2c3d-0000-4000-8000-00000000000a").expect("valid");
        let value = vec![
            grant("1", Holder::Caller("anna".to_owned()), Scope::All),
            grant(
                "2",
                Holder::Claim("Helpdesk".to_owned()),
                Scope::Only([tenant].into()),
            ),
            grant("3", Holder::Subject("s".to_owned()), Scope::Only([].into())),
        ];
        let one = Versioned {
            version: before.version,
            value: value.clone(),
        };
        vault.update_grants(&one).await.expect("written");
        let read = vault.grants().await.expect("there");
        assert_eq!((read.version, &read.value), (1, &value));
        let error = vault.update_grants(&one).await.expect_err("too late");
        assert!(matches!(error, StoreError::Changed { .. }), "{error}");
        assert_eq!(vault.grants().await.expect("there"), read);
        let none = Versioned {
            version: 1,
            value: Vec::new(),
        };
        vault.update_grants(&none).await.expect("written");
        let read = vault.grants().await.expect("there");
        assert_eq!((read.version, read.value.len()), (2, 0));
    }

    #[tokio::test]
    async fn a_grant_that_is_not_understood_is_no_grant() {
        let kek = Arc::new(Kek::from_bytes([7; 32]));
        let vault = Vault::open("memory:///", &|_| None, kek).expect("memory");
        let text = r#"{"format":1,"write":"x","grants":[{"id":"1","holder":"caller",
            "value":"anna","roles":["owner"],"author":"","created_at":"2026-11-23T08:00:00Z"}]}"#;
        file::create(
            vault.store.as_ref(),
            &layout::grants_at(1),
            Bytes::from_static(text.as_bytes()),
        )
        .await
        .expect("written");
        let error = vault.grants().await.expect_err("unknown");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}
