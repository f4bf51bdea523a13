//! A tenant's data key, taken back from a recovery bundle.
//!
//! Owns the proof that the key is the tenant's: it opens what the tenant has. It
//! must never write before that, nor delete what another key wrapped.

use std::io::Read;

use age::secrecy::{ExposeSecret, SecretString};
use model::TenantId;
use object_store::path::Path;
use zeroize::Zeroizing;

use super::Vault;
use super::keys::unregistered;
use crate::data_key::{self, AfterErasure, DataKey, Imported};
use crate::error::StoreError;
use crate::layout::{self, Area};
use crate::{file, seal};

/// How many reports and plans are tried of a tenant without a snapshot.
const TRIED: usize = 16;

impl Vault {
    /// Wraps a tenant's data key, as a recovery bundle holds it, with the current
    /// key-encryption key. `identity` is the text of an age identity file that opens
    /// the bundle. What other keys wrapped stays; [`Vault::rewrap_keys`] deletes it.
    /// It may be cut short anywhere and repeated.
    ///
    /// # Errors
    /// `NotFound` where the tenant is not registered; `Invalid` where the bundle
    /// cannot be opened, is another tenant's, is older than a key of the tenant, or
    /// cannot be tried on anything; `Key` where the tenant was erased and is to stay
    /// so, or the key-encryption key cannot be used; `Unavailable`. Nothing was
    /// written before the last two.
    pub async fn import_keys(
        &self,
        tenant: &TenantId,
        bundle: &[u8],
        identity: &SecretString,
        after: AfterErasure,
    ) -> Result<Imported, StoreError> {
        let text = open_bundle(bundle, identity)?;
        let key = DataKey::from_identity_file(&text)
            .map_err(|why| StoreError::Invalid(format!("the bundle cannot be used: {why}")))?;
        if key.tenant() != tenant {
            return Err(StoreError::Invalid(format!(
                "the bundle is that of tenant {}",
                key.tenant()
            )));
        }
        if !self.is_registered(tenant).await? {
            return Err(unregistered(tenant));
        }
        let named = data_key::check_against(self.keys.as_ref(), &self.wraps, &key, after).await?;
        let opened = self.opened_by(&key).await?;
        if opened == 0 && named == 0 {
            return Err(StoreError::Invalid(
                "the tenant has nothing that the bundle could be tried on".to_owned(),
            ));
        }
        self.forget(tenant);
        let done = data_key::adopt(self.keys.as_ref(), &self.wraps, &key).await?;
        Ok(Imported { opened, ..done })
    }

    /// How many of the tenant's documents a key opens: of each snapshot's manifest,
    /// or of some others where there is no snapshot.
    ///
    /// # Errors
    /// `Invalid` where one was sealed with another key; `Unavailable`.
    async fn opened_by(&self, key: &DataKey) -> Result<u32, StoreError> {
        let tenant = key.tenant();
        let mut paths = self.files(&layout::snapshots(tenant)).await?;
        paths.retain(|path| path.filename() == Some("manifest"));
        if paths.is_empty() {
            for area in Area::ALL {
                paths.extend(self.files(&layout::area(tenant, area)).await?);
            }
            paths.truncate(TRIED);
        }
        let mut opened = 0;
        for path in paths {
            let Some(sealed) = file::read(self.store.as_ref(), &path).await? else {
                continue;
            };
            if !seal::is_for(key, &sealed) {
                return Err(StoreError::Invalid(format!(
                    "the bundle does not open {path}: it is not the tenant's, or was exported before the key that sealed this"
                )));
            }
            // One that is damaged shows nothing, and must not keep the others shut.
            if seal::open_document(key, &path, &sealed).is_ok() {
                opened += 1;
            }
        }
        Ok(opened)
    }

    async fn files(&self, folder: &Path) -> Result<Vec<Path>, StoreError> {
        file::list(self.store.as_ref(), folder).await
    }
}

/// Decrypts a bundle. Nothing of either is repeated.
fn open_bundle(bundle: &[u8], identity: &SecretString) -> Result<Zeroizing<String>, StoreError> {
    let invalid = |why: &str| StoreError::Invalid(why.to_owned());
    let identities = age::IdentityFile::from_buffer(identity.expose_secret().as_bytes())
        .ok()
        .and_then(|file| file.into_identities().ok())
        .filter(|identities| !identities.is_empty())
        .ok_or_else(|| {
            invalid("the identity is no age identity file: AGE-SECRET-KEY-1… is expected")
        })?;
    let decryptor =
        age::Decryptor::new_buffered(bundle).map_err(|_| invalid("the bundle is no age file"))?;
    let identities = identities.iter().map(|one| &**one as &dyn age::Identity);
    let mut reader = decryptor
        .decrypt(identities)
        .map_err(|_| invalid("the identity does not open the bundle"))?;
    // Newly allocated memory leaves the old behind with what it held.
    let mut text = Zeroizing::new(String::with_capacity(bundle.len()));
    reader
        .read_to_string(&mut text)
        .map_err(|_| invalid("the bundle is damaged"))?;
    Ok(text)
}
