//! What is done with the tenants' data keys: exported, re-wrapped, rotated, erased.
//!
//! It must never hand out a key other than encrypted to the recipients named.

use std::io::Write;

use age::x25519::Recipient;
use chrono::{DateTime, Utc};
use model::TenantId;

use super::Vault;
use crate::check::{self, Finding};
use crate::data_key::{self, Rewrapped, installation};
use crate::error::{KeyError, StoreError};

/// How many tenants' keys are tried before a key file counts as the wrong one.
const TRIED: usize = 16;

impl Vault {
    /// Whether the key-encryption key opens the data key of any tenant; without
    /// tenants it is as good as another.
    ///
    /// # Errors
    /// `Key` where it opens none; `Unavailable`.
    pub async fn check_keys(&self) -> Result<(), StoreError> {
        let mut refused = 0;
        for tenant in self.tenant_ids().await? {
            match data_key::open(self.keys.as_ref(), &self.wraps, &tenant).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Key(KeyError::Refused)) => refused += 1,
                // One tenant's erased or damaged key says nothing of the key file.
                Err(
                    StoreError::Key(KeyError::Absent | KeyError::Erased)
                    | StoreError::Corrupt { .. },
                ) => {}
                Err(error) => return Err(error),
            }
            if refused == TRIED {
                break;
            }
        }
        match refused {
            0 => Ok(()),
            _ => Err(KeyError::Foreign.into()),
        }
    }

    /// A tenant's recovery bundle: an age file for the recipients, in it an age
    /// identity file with every number of the tenant's data key.
    ///
    /// # Errors
    /// `Invalid` where there is no recipient, or one that is no X25519 public key;
    /// otherwise as [`Vault::tenant`].
    pub async fn export_keys(
        &self,
        tenant: &TenantId,
        recipients: &[String],
    ) -> Result<Vec<u8>, StoreError> {
        let recipients = read_recipients(recipients)?;
        if !self.is_registered(tenant).await? {
            return Err(unregistered(tenant));
        }
        let text = self.key(tenant).await?.identity_file();
        let recipients = recipients.iter().map(|one| one as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(cannot_encrypt)?;
        let mut writer = encryptor.wrap_output(Vec::new()).map_err(cannot_encrypt)?;
        writer.write_all(text.as_bytes()).map_err(cannot_encrypt)?;
        writer.finish().map_err(cannot_encrypt)
    }

    /// Wraps a tenant's data key with the current key-encryption key, and deletes
    /// every other wrap of it, and does the same with the installation's own where
    /// there is one. It may be cut short anywhere and repeated.
    ///
    /// # Errors
    /// `NotFound` where the tenant is not registered; `Key` where neither the
    /// current nor an old key-encryption key opens the data key; `Corrupt` where
    /// two wraps do not hold the same key, of which none is then deleted;
    /// `Unavailable`.
    pub async fn rewrap_keys(&self, tenant: &TenantId) -> Result<Rewrapped, StoreError> {
        if !self.is_registered(tenant).await? {
            return Err(unregistered(tenant));
        }
        let keys = self.keys.as_ref();
        installation::rewrap(keys, &self.wraps).await?;
        data_key::rewrap(keys, &self.wraps, tenant).await
    }

    /// Gives a tenant's data key its next number: documents, and the next base of
    /// a snapshot, are sealed with it; what was sealed before stays as it is. The
    /// same request does it once. The number.
    ///
    /// # Errors
    /// `NotFound` where the tenant is not registered; `Key` where its data key
    /// cannot be had; `Changed` where another was faster; `Unavailable`.
    pub async fn rotate_key(&self, tenant: &TenantId, request_id: &str) -> Result<u32, StoreError> {
        if !self.is_registered(tenant).await? {
            return Err(unregistered(tenant));
        }
        data_key::rotate(self.keys.as_ref(), &self.wraps, tenant, request_id).await
    }

    /// Erases a tenant: deletes its data key in every number and under every wrap,
    /// and tries whether the store of the keys lets go of what is deleted. From then
    /// on nobody opens a file of the tenant without a recovery bundle or a copy of
    /// its wrapped keys. The files stay, and so does a mark that says why.
    ///
    /// # Errors
    /// `NotFound` where the tenant is not registered; `Unavailable` or `Changed`,
    /// after which it is to be repeated.
    pub async fn erase_keys(
        &self,
        tenant: &TenantId,
        now: DateTime<Utc>,
    ) -> Result<Erased, StoreError> {
        if !self.is_registered(tenant).await? {
            return Err(unregistered(tenant));
        }
        self.forget(tenant);
        let deleted = data_key::erase(self.keys.as_ref(), tenant, now).await?;
        Ok(Erased {
            deleted,
            proof: check::erasure(self.keys.as_ref()).await,
        })
    }
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Wraps that were deleted; none where that was done before.
    pub deleted: u32,
    /// Whether the store of the keys keeps what is deleted.
    pub proof: Finding,
}

pub(super) fn unregistered(tenant: &TenantId) -> StoreError {
    StoreError::NotFound {
        what: format!("tenant {tenant}"),
    }
}

/// Reads public keys. What was given is not repeated: it may be a secret in the
/// wrong place.
fn read_recipients(recipients: &[String]) -> Result<Vec<Recipient>, StoreError> {
    if recipients.is_empty() {
        return Err(StoreError::Invalid("no recipient is named".to_owned()));
    }
    let read = |(index, text): (usize, &String)| {
        text.parse().map_err(|_| {
            StoreError::Invalid(format!(
                "recipient {} is not an age public key: age1… is expected",
                index + 1
            ))
        })
    };
    recipients.iter().enumerate().map(read).collect()
}

fn cannot_encrypt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Internal(format!("a recovery bundle cannot be encrypted: {error}"))
}
