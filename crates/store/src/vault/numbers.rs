//! What is seen of tenants from lists alone: the numbers of what counts, and the marks of
//! guarded changes that have not come to an end.
//!
//! Nothing here opens a tenant's key.

use bytes::Bytes;
use model::TenantId;

use super::Vault;
use crate::chance;
use crate::error::StoreError;
use crate::file;
use crate::format::v1;
use crate::layout::{self, Area};
use crate::tenant_record::TenantRecord;

impl Vault {
    /// The number of the summary of a tenant that counts; 0 where there is none.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn summary_number(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let folder = layout::documents(tenant, Area::Summary, layout::OVERVIEW)?;
        let paths = file::list(self.store.as_ref(), &folder).await?;
        let numbers = paths
            .iter()
            .filter_map(|path| path.filename()?.parse().ok());
        Ok(numbers.max().unwrap_or(0))
    }

    /// The number of the version of a registration that counts; 0 where there is none.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn registration_number(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let paths = file::list(self.store.as_ref(), &layout::registrations(tenant)).await?;
        let numbers = paths.iter().filter_map(layout::registration_version);
        Ok(numbers.max().unwrap_or(0))
    }

    /// One version of a registration; `None` where there is no such version.
    ///
    /// # Errors
    /// `Corrupt`; `Unavailable`.
    pub async fn registration_version(
        &self,
        tenant: &TenantId,
        version: u64,
    ) -> Result<Option<TenantRecord>, StoreError> {
        let path = layout::registration(tenant, version);
        let Some(bytes) = file::read(self.store.as_ref(), &path).await? else {
            return Ok(None);
        };
        let stored: v1::TenantRecord = v1::from_json(path.as_ref(), &bytes)?;
        stored.into_domain(path.as_ref(), tenant).map(Some)
    }

    /// Marks a guarded change as open, before it is stored, so that none is missed.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn mark_change(&self, tenant: &TenantId, number: u32) -> Result<(), StoreError> {
        let path = layout::open_change(tenant, number);
        let content = Bytes::from(format!("{}\n", chance::token()));
        file::create(self.store.as_ref(), &path, content).await?;
        Ok(())
    }

    /// Takes the mark of a change away that has come to its end.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn unmark_change(&self, tenant: &TenantId, number: u32) -> Result<(), StoreError> {
        file::delete(self.store.as_ref(), &layout::open_change(tenant, number)).await
    }

    /// The changes that are marked as open, of all tenants, sorted.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn open_changes(&self) -> Result<Vec<(TenantId, u32)>, StoreError> {
        let folder = layout::open_changes();
        let paths = file::list(self.store.as_ref(), &folder).await?;
        let read = |path: &object_store::path::Path| {
            let mut parts = path.prefix_match(&folder)?;
            let tenant = TenantId::parse(parts.next()?.as_ref()).ok()?;
            Some((tenant, parts.next()?.as_ref().parse().ok()?))
        };
        Ok(paths.iter().filter_map(read).collect())
    }
}
