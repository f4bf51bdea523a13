//! A tenant's vault to which more can be added without anything being stored.
//!
//! What is written goes into memory and lies over what is stored, so that a state
//! of the tenant can be committed like a snapshot and compared like one, and is
//! gone when nobody holds it any more. It must never write to the store.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::TenantVault;
use crate::error::StoreError;

/// A tenant's vault, and what was added to it in memory.
#[derive(Debug, Clone)]
pub struct Aside {
    /// Reads what is stored and what was added; writes into memory.
    pub vault: TenantVault,
    memory: Arc<InMemory>,
}

impl Aside {
    /// How many bytes were added.
    ///
    /// # Errors
    /// None that memory has.
    pub async fn bytes(&self) -> std::result::Result<u64, StoreError> {
        let metas: Vec<ObjectMeta> = self
            .memory
            .list(None)
            .try_collect()
            .await
            .map_err(|error| StoreError::unavailable("memory", error))?;
        Ok(metas.iter().map(|meta| meta.size).sum())
    }
}

impl TenantVault {
    /// The same vault to which more can be added in memory.
    #[must_use]
    pub fn aside(&self) -> Aside {
        let memory = Arc::new(InMemory::new());
        let over = Over {
            memory: Arc::clone(&memory),
            stored: Arc::clone(&self.store),
        };
        Aside {
            vault: TenantVault::new(Arc::new(over), Arc::clone(&self.key)),
            memory,
        }
    }
}

/// Memory over a store.
#[derive(Debug)]
struct Over {
    memory: Arc<InMemory>,
    stored: Arc<dyn ObjectStore>,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory over {}", self.stored)
    }
}

fn refused<T>(operation: &'static str) -> Result<T> {
    Err(Error::NotSupported {
        source: format!("{operation} is not done aside of the store").into(),
    })
}

#[async_trait]
impl ObjectStore for Over {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.memory.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        refused("an upload in parts")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.memory.get_opts(location, options.clone()).await {
            Err(Error::NotFound { .. }) => self.stored.get_opts(location, options).await,
            found => found,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.memory.get_ranges(location, ranges).await {
            Err(Error::NotFound { .. }) => self.stored.get_ranges(location, ranges).await,
            found => found,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| refused("a deletion")).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (added, stored) = (self.memory.list(prefix), self.stored.list(prefix));
        stream::select(added, stored).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut all = self.stored.list_with_delimiter(prefix).await?;
        let added = self.memory.list_with_delimiter(prefix).await?;
        all.objects.extend(added.objects);
        all.common_prefixes.extend(added.common_prefixes);
        all.common_prefixes.sort();
        all.common_prefixes.dedup();
        Ok(all)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        refused("a copy")
    }
}
