//! Where an installation keeps its vault and its key files, as settings say it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::Vault;
use crate::backend::{Setting, open_store};
use crate::error::StoreError;
use crate::keys::Kek;

/// Where a vault is and what opens it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The object store.
    pub store_url: &'a str,
    /// The object store of the wrapped data keys, where it is another one.
    pub keys_url: Option<&'a str>,
    /// The key-encryption key.
    pub key_file: &'a Path,
    /// The key-encryption key before it was changed, while data keys are re-wrapped.
    pub old_key_file: Option<&'a Path>,
    /// What the stores' own settings are, by their environment names.
    pub setting: Setting<'a>,
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("key_file", &self.key_file)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// Opens the vault at a place, and sees that the key file is the right one.
    ///
    /// # Errors
    /// `Key` where a key file cannot be read or opens no data key; otherwise as
    /// [`Vault::open`]. That the store is out of reach is no error yet.
    pub async fn at(place: &Place<'_>) -> Result<Self, StoreError> {
        let mut vault = Self::open(
            place.store_url,
            place.setting,
            Arc::new(Kek::load(place.key_file)?),
        )?;
        if let Some(url) = place.keys_url {
            vault = vault.with_key_store(open_store(url, place.setting)?);
        }
        if let Some(path) = place.old_key_file {
            vault = vault.with_old_wrap(Arc::new(Kek::load(path)?));
        }
        match vault.check_keys().await {
            Err(error @ StoreError::Unavailable { .. }) => {
                tracing::warn!(%error, "whether the key file is the right one is not known yet");
            }
            checked => checked?,
        }
        Ok(vault)
    }
}
