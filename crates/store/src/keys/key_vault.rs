//! A key-encryption key that never leaves Azure Key Vault.
//!
//! Owns the stored form of what such a key wraps. RSA binds no context, so Key
//! Vault wraps a fresh key of 32 bytes, and that one seals the data key under the
//! context. It must never keep that fresh key, nor use another version of the key
//! than the one it names.

mod address;
mod client;
mod identity;

use std::fmt;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

use self::address::Address;
use self::client::{Client, Operation};
use super::{KeyWrap, Wrapped, open, seal};
use crate::backend::Setting;
use crate::chance;
use crate::error::{KeyError, StoreError};

/// One version of an RSA key in Azure Key Vault.
pub struct KeyVault {
    id: String,
    client: Client,
}

impl fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVault")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl KeyVault {
    /// Takes the key's whole identifier,
    /// `https://VAULT.vault.azure.net/keys/NAME/VERSION`, and from `setting` what
    /// the service signs in with, by the names that Azure's own tools know;
    /// docs/storage.md lists them. Nothing is sent yet.
    ///
    /// # Errors
    /// `Invalid` where the identifier names no version of a key in Key Vault, or
    /// the settings no identity. Neither repeats a value.
    pub fn new(key: &str, setting: Setting<'_>) -> Result<Self, StoreError> {
        let address = Address::parse(key)?;
        Ok(Self {
            id: address.id(),
            client: Client::new(address, setting)?,
        })
    }
}

#[async_trait]
impl KeyWrap for KeyVault {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, key: &SecretSlice<u8>, context: &[u8]) -> Result<Wrapped, KeyError> {
        let fresh = Zeroizing::new(chance::bytes::<32>());
        let wrapped = self.client.ask(Operation::Wrap, &fresh[..]).await?;
        let (nonce, sealed) = seal(&fresh, key, context)?;
        let length = u16::try_from(wrapped.expose_secret().len())
            .map_err(|_| self.client.garbled("a wrapped key is too long"))?;
        let mut ciphertext = length.to_le_bytes().to_vec();
        ciphertext.extend_from_slice(wrapped.expose_secret());
        ciphertext.extend_from_slice(&sealed);
        Ok(Wrapped {
            nonce: nonce.to_vec(),
            ciphertext,
        })
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &[u8]) -> Result<SecretSlice<u8>, KeyError> {
        let (key, sealed) = split(&wrapped.ciphertext).ok_or(KeyError::Refused)?;
        let fresh = self.client.ask(Operation::Unwrap, key).await?;
        let fresh = <&[u8; 32]>::try_from(fresh.expose_secret()).map_err(|_| KeyError::Refused)?;
        open(fresh, &wrapped.nonce, sealed, context)
    }
}

/// The wrapped fresh key, and what it seals.
fn split(ciphertext: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = ciphertext.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into())
}
