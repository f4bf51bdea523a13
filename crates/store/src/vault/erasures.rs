//! What is kept of the erasures of tenants, beside the tenants: that one was begun, and
//! its certificate.
//!
//! These documents are open, since the key that could seal them is what is erased. They
//! are created once and never deleted.

use bytes::Bytes;
use model::TenantId;

use super::Vault;
use crate::data_key;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::layout;

/// The document that says what is being erased.
const BEGUN: &str = "begun.json";
/// The document that says that it was.
const CERTIFICATE: &str = "certificate.json";

/// What is still stored of a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remains {
    /// How many files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

impl Vault {
    /// The public half of each number of a tenant's data key.
    ///
    /// # Errors
    /// `Key` where it has none any more; `Corrupt`; `Unavailable`.
    pub async fn public_keys(&self, tenant: &TenantId) -> Result<Vec<(u32, String)>, StoreError> {
        data_key::recipients(self.keys.as_ref(), tenant).await
    }

    /// What is stored of a tenant, wrapped keys left out.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn remains(&self, tenant: &TenantId) -> Result<Remains, StoreError> {
        let keys = layout::data_keys(tenant);
        let metas = file::metas(self.store.as_ref(), &layout::tenant(tenant)).await?;
        let mut remains = Remains::default();
        for meta in metas {
            if meta.location.prefix_match(&keys).is_none() {
                remains.files += 1;
                remains.bytes += meta.size;
            }
        }
        Ok(remains)
    }

    /// Notes what is about to be erased; what was noted before stays.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn begin_erasure(
        &self,
        tenant: &TenantId,
        change: u32,
        content: Bytes,
    ) -> Result<(), StoreError> {
        self.create_erasure(tenant, change, BEGUN, content).await
    }

    /// What was to be erased; `None` where no such erasure was begun.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn begun_erasure(
        &self,
        tenant: &TenantId,
        change: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        let path = layout::erasure_document(tenant, change, BEGUN);
        file::read(self.store.as_ref(), &path).await
    }

    /// Keeps the certificate of an erasure; one that is there stays.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn certify_erasure(
        &self,
        tenant: &TenantId,
        change: u32,
        content: Bytes,
    ) -> Result<(), StoreError> {
        self.create_erasure(tenant, change, CERTIFICATE, content)
            .await
    }

    /// The certificate of an erasure; `None` where it has none yet.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn erasure_certificate(
        &self,
        tenant: &TenantId,
        change: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        let path = layout::erasure_document(tenant, change, CERTIFICATE);
        file::read(self.store.as_ref(), &path).await
    }

    /// The erasures of a tenant that have a certificate, by the numbers of the changes
    /// that they carried out, sorted.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn certified_erasures(&self, tenant: &TenantId) -> Result<Vec<u32>, StoreError> {
        let folder = layout::erasures_of(tenant);
        let paths = file::list(self.store.as_ref(), &folder).await?;
        let number = |path: &object_store::path::Path| {
            let mut parts = path.prefix_match(&folder)?;
            let number = parts.next()?.as_ref().parse().ok()?;
            (parts.next()?.as_ref() == CERTIFICATE).then_some(number)
        };
        Ok(paths.iter().filter_map(number).collect())
    }

    /// The erasures that were begun and have no certificate.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn unfinished_erasures(&self) -> Result<Vec<(TenantId, u32)>, StoreError> {
        let folder = layout::erasures();
        let paths = file::list(self.store.as_ref(), &folder).await?;
        let mut open = std::collections::BTreeMap::new();
        for path in &paths {
            let Some(mut parts) = path.prefix_match(&folder) else {
                continue;
            };
            let mut part = || parts.next().map(|part| part.as_ref().to_owned());
            let (tenant, number, name) = (part(), part(), part());
            let tenant = tenant.and_then(|id| TenantId::parse(&id).ok());
            let number: Option<u32> = number.and_then(|number| number.parse().ok());
            if let Some(key) = tenant.zip(number) {
                let finished = open.entry(key).or_insert(false);
                *finished |= name.as_deref() == Some(CERTIFICATE);
            }
        }
        let open = open.into_iter().filter(|(_, finished)| !finished);
        Ok(open.map(|(key, _)| key).collect())
    }

    async fn create_erasure(
        &self,
        tenant: &TenantId,
        change: u32,
        name: &str,
        content: Bytes,
    ) -> Result<(), StoreError> {
        let path = layout::erasure_document(tenant, change, name);
        match file::create(self.store.as_ref(), &path, content).await? {
            Created::Ours | Created::Theirs => Ok(()),
        }
    }
}
