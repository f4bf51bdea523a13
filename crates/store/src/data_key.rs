//! A tenant's data key: age identities that open its files, and the keys that
//! authenticate its documents, derived from them.
//!
//! A data key has numbers, from 1: rotation adds one. The newest seals, each of
//! them opens. It must never hold two tenants' keys, and never show one.

mod bundle;
pub(crate) mod installation;
mod stored;

use std::fmt;

use age::secrecy::{ExposeSecret, SecretString};
use age::x25519;
use model::TenantId;
use zeroize::Zeroizing;

pub use stored::{AfterErasure, Imported, Rewrapped};
pub(crate) use stored::{
    adopt, check_against, copy, create, erase, numbers, open, recipients, rewrap, rotate,
};

/// An opened data key, in every number that it has.
pub(crate) struct DataKey {
    tenant: TenantId,
    /// By number, the newest last; never empty.
    keys: Vec<Numbered>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey")
            .field("tenant", &self.tenant)
            .field("numbers", &self.numbers().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// One number of a data key.
struct Numbered {
    number: u32,
    identity: x25519::Identity,
    mac: Zeroizing<[u8; 32]>,
}

impl Numbered {
    fn generate(number: u32) -> Self {
        Self::new(number, x25519::Identity::generate())
    }

    fn new(number: u32, identity: x25519::Identity) -> Self {
        let mac = blake3::derive_key(
            "rewind 2026 document authentication",
            identity.to_string().expose_secret().as_bytes(),
        );
        Self {
            number,
            identity,
            mac: Zeroizing::new(mac),
        }
    }

    fn secret(&self) -> SecretString {
        self.identity.to_string()
    }

    fn recipient(&self) -> x25519::Recipient {
        self.identity.to_public()
    }

    fn mac(&self, tenant: &TenantId, format: u32, path: &str, content: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.mac);
        hasher.update(&format.to_le_bytes());
        for part in [tenant.as_str().as_bytes(), path.as_bytes(), content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }
}

impl DataKey {
    /// Makes a new key for a tenant.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn generate(tenant: TenantId) -> Self {
        Self {
            tenant,
            keys: vec![Numbered::generate(1)],
        }
    }

    fn newest(&self) -> &Numbered {
        self.keys
            .last()
            .expect("invariant: a data key has a number")
    }

    /// The tenant whose data the key opens.
    #[must_use]
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The number that seals.
    #[must_use]
    pub(crate) fn number(&self) -> u32 {
        self.newest().number
    }

    /// Every number, sorted.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.keys.iter().map(|key| key.number)
    }

    /// The public half of the number that seals.
    #[must_use]
    pub(crate) fn recipient(&self) -> x25519::Recipient {
        self.newest().recipient()
    }

    /// The age identity that goes with what is sealed.
    #[cfg(test)]
    pub(crate) fn identity(&self) -> &x25519::Identity {
        &self.newest().identity
    }

    /// The age identities that open the tenant's files with standard tools.
    pub(crate) fn identities(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys
            .iter()
            .map(|key| &key.identity as &dyn age::Identity)
    }

    /// Authenticates a document: format, tenant, place and content together, so
    /// that none can be exchanged alone.
    pub(crate) fn mac(&self, format: u32, path: &str, content: &[u8]) -> blake3::Hash {
        self.newest().mac(&self.tenant, format, path, content)
    }

    /// Whether one of the numbers authenticates a document like that.
    pub(crate) fn made(&self, mac: blake3::Hash, format: u32, path: &str, content: &[u8]) -> bool {
        // Hash's own comparison takes the same time for every wrong value.
        self.keys
            .iter()
            .any(|key| key.mac(&self.tenant, format, path, content) == mac)
    }
}
