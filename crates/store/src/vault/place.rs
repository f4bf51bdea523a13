//! Where an installation keeps its vault and the keys that wrap, as settings say it.
//!
//! Owns the names of those settings as far as the vault is concerned. It must
//! never choose between two keys that wrap.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Vault;
use crate::backend::{Setting, open_store};
use crate::error::StoreError;
use crate::keys::{Kek, KeyVault, KeyWrap};

/// Where a key-encryption key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// In a file, which may be a mounted secret.
    File(PathBuf),
    /// In Azure Key Vault, by its whole identifier.
    KeyVault(String),
}

impl Holder {
    /// The holder that one of two settings names, if any.
    ///
    /// # Errors
    /// `Invalid` where both are set.
    fn read(setting: Setting<'_>, file: &str, key: &str) -> Result<Option<Self>, StoreError> {
        let set = |name| setting(name).filter(|value| !value.is_empty());
        match (set(file), set(key)) {
            (None, None) => Ok(None),
            (Some(path), None) => Ok(Some(Self::File(path.into()))),
            (None, Some(key)) => Ok(Some(Self::KeyVault(key))),
            (Some(_), Some(_)) => Err(StoreError::Invalid(format!(
                "{file} and {key} are both set: one key wraps"
            ))),
        }
    }

    /// The key, ready to be used.
    ///
    /// # Errors
    /// `Key` where a file cannot be read or holds no key; as [`KeyVault::new`].
    pub fn open(&self, setting: Setting<'_>) -> Result<Arc<dyn KeyWrap>, StoreError> {
        Ok(match self {
            Self::File(path) => Arc::new(Kek::load(path)?),
            Self::KeyVault(key) => Arc::new(KeyVault::new(key, setting)?),
        })
    }
}

/// Where a vault is and what opens it.
#[derive(Clone)]
pub struct Place<'a> {
    /// The object store.
    pub store_url: String,
    /// The object store of the wrapped data keys, where it is another one.
    pub keys_url: Option<String>,
    /// The key-encryption key.
    pub key: Holder,
    /// The key-encryption key before it was changed, while data keys are re-wrapped.
    pub old_key: Option<Holder>,
    /// What the stores' and Key Vault's own settings are, by their environment
    /// names.
    pub setting: Setting<'a>,
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl<'a> Place<'a> {
    /// Reads `REWIND_STORE_URL`, `REWIND_KEYS_URL`, `REWIND_KEY_FILE` or
    /// `REWIND_KEY_VAULT_KEY`, and `REWIND_OLD_KEY_FILE` or
    /// `REWIND_OLD_KEY_VAULT_KEY`. `setting` is asked later for the stores' own.
    ///
    /// # Errors
    /// `Invalid` where no store or no key is named, or two keys are.
    pub fn read(setting: Setting<'a>) -> Result<Self, StoreError> {
        let set = |name| setting(name).filter(|value| !value.is_empty());
        let missing = |what: &str| StoreError::Invalid(format!("{what} is not set"));
        let key = Holder::read(setting, "REWIND_KEY_FILE", "REWIND_KEY_VAULT_KEY")?;
        Ok(Self {
            store_url: set("REWIND_STORE_URL").ok_or_else(|| missing("REWIND_STORE_URL"))?,
            keys_url: set("REWIND_KEYS_URL"),
            key: key.ok_or_else(|| missing("REWIND_KEY_FILE or REWIND_KEY_VAULT_KEY"))?,
            old_key: Holder::read(setting, "REWIND_OLD_KEY_FILE", "REWIND_OLD_KEY_VAULT_KEY")?,
            setting,
        })
    }
}

impl Vault {
    /// Opens the vault that settings name, as [`Place::read`] and [`Vault::at`].
    ///
    /// # Errors
    /// As those two.
    pub async fn configured(setting: Setting<'_>) -> Result<Self, StoreError> {
        Self::at(&Place::read(setting)?).await
    }

    /// Opens the vault at a place, and sees that the key is the right one.
    ///
    /// # Errors
    /// `Key` where the key cannot be had or opens no data key; otherwise as
    /// [`Vault::unchecked`]. That the store or the key's holder is out of reach is
    /// no error yet.
    pub async fn at(place: &Place<'_>) -> Result<Self, StoreError> {
        let vault = Self::unchecked(place)?;
        match vault.check_keys().await {
            Err(error) if error.kind().is_retryable() => {
                tracing::warn!(%error, "whether the wrapping key is the right one is not known yet");
            }
            checked => checked?,
        }
        Ok(vault)
    }

    /// Opens the vault at a place whose key need not open anything yet, as after
    /// its loss.
    ///
    /// # Errors
    /// As [`Holder::open`] and [`open_store`].
    pub fn unchecked(place: &Place<'_>) -> Result<Self, StoreError> {
        let key = place.key.open(place.setting)?;
        let mut vault = Self::open(&place.store_url, place.setting, key)?;
        if let Some(url) = &place.keys_url {
            vault = vault.with_key_store(open_store(url, place.setting)?);
        }
        if let Some(old) = &place.old_key {
            vault = vault.with_old_wrap(old.open(place.setting)?);
        }
        Ok(vault)
    }
}
