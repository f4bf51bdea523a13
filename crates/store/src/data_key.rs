//! A tenant's data key: an age identity that opens its files, and the key that
//! authenticates its documents, derived from it.
//!
//! Owns how the data key is stored under its wrap. It must never hold two
//! tenants' keys, and never show one.

use std::fmt;

use age::secrecy::{ExposeSecret, SecretSlice};
use age::x25519;
use bytes::Bytes;
use model::TenantId;
use object_store::ObjectStore;
use zeroize::Zeroizing;

use crate::error::{KeyError, StoreError};
use crate::file::{self, Created};
use crate::format::v1;
use crate::keys::{KeyWrap, Wrapped};
use crate::layout;

/// The only data key of a tenant until keys are rotated.
const NUMBER: u32 = 1;

/// An opened data key.
pub(crate) struct DataKey {
    tenant: TenantId,
    identity: x25519::Identity,
    mac: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl DataKey {
    /// Makes a new key for a tenant.
    #[must_use]
    pub(crate) fn generate(tenant: TenantId) -> Self {
        Self::new(tenant, x25519::Identity::generate())
    }

    fn new(tenant: TenantId, identity: x25519::Identity) -> Self {
        let secret = identity.to_string();
        let mac = blake3::derive_key(
            "rewind 2026 document authentication",
            secret.expose_secret().as_bytes(),
        );
        Self {
            tenant,
            identity,
            mac: Zeroizing::new(mac),
        }
    }

    /// The tenant whose data the key opens.
    #[must_use]
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The public half.
    #[must_use]
    pub(crate) fn recipient(&self) -> x25519::Recipient {
        self.identity.to_public()
    }

    /// The age identity that opens the tenant's files with standard tools.
    #[must_use]
    pub(crate) fn identity(&self) -> &x25519::Identity {
        &self.identity
    }

    /// Authenticates a document: format, tenant, place and content together, so
    /// that none can be exchanged alone.
    pub(crate) fn mac(&self, format: u32, path: &str, content: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.mac);
        hasher.update(&format.to_le_bytes());
        for part in [self.tenant.as_str().as_bytes(), path.as_bytes(), content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }
}

/// What a wrapped key is bound to, so that it opens nothing elsewhere.
fn context(tenant: &TenantId, number: u32) -> Vec<u8> {
    format!("rewind data key v1\0{tenant}\0{number}").into_bytes()
}

/// Stores a new data key, or opens the one that an earlier, interrupted
/// registration left.
///
/// # Errors
/// `Key` where there is a key that this wrap does not open; `Unavailable`.
pub(crate) async fn create(
    store: &dyn ObjectStore,
    wrap: &dyn KeyWrap,
    tenant: &TenantId,
) -> Result<DataKey, StoreError> {
    match open(store, wrap, tenant).await {
        Err(StoreError::Key(KeyError::Absent)) => {}
        other => return other,
    }
    let key = DataKey::generate(tenant.clone());
    let secret = SecretSlice::from(key.identity.to_string().expose_secret().as_bytes().to_vec());
    let wrapped = wrap.wrap(&secret, &context(tenant, NUMBER)).await?;
    let stored = v1::DataKeyFile::new(NUMBER, wrap.id(), &wrapped, key.recipient().to_string());
    let path = layout::data_key(tenant, NUMBER, wrap.id());
    match file::create(store, &path, Bytes::from(v1::to_json(&stored)?)).await? {
        Created::Ours => Ok(key),
        Created::Theirs => open(store, wrap, tenant).await,
    }
}

/// Opens a tenant's data key.
///
/// # Errors
/// `Key` where there is none or this wrap does not open it; `Corrupt` where its
/// file is damaged; `Unavailable`.
pub(crate) async fn open(
    store: &dyn ObjectStore,
    wrap: &dyn KeyWrap,
    tenant: &TenantId,
) -> Result<DataKey, StoreError> {
    let path = layout::data_key(tenant, NUMBER, wrap.id());
    let Some(bytes) = file::read(store, &path).await? else {
        let other_wraps = !file::list(store, &layout::data_keys(tenant))
            .await?
            .is_empty();
        return Err(if other_wraps {
            KeyError::Refused
        } else {
            KeyError::Absent
        }
        .into());
    };
    let stored: v1::DataKeyFile = v1::from_json(path.as_ref(), &bytes)?;
    let damaged = |detail: &str| {
        StoreError::corrupt(
            path.as_ref(),
            format!("{detail}; the tenant's data cannot be opened"),
        )
    };
    let wrapped: Wrapped = stored
        .wrapped()
        .ok_or_else(|| damaged("the wrapped key is not base64"))?;
    let secret = wrap.unwrap(&wrapped, &context(tenant, NUMBER)).await?;
    let identity = std::str::from_utf8(secret.expose_secret())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged("the wrapped key is no age identity"))?;
    let key = DataKey::new(tenant.clone(), identity);
    if key.recipient().to_string() != stored.recipient {
        return Err(damaged(
            "the wrapped key does not belong to the public key beside it",
        ));
    }
    Ok(key)
}
