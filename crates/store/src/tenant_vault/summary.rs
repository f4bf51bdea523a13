//! How a tenant is, in short: numbered documents, of which the highest counts.
//!
//! Owns the numbers. What a summary says, others know; it can be made anew from what
//! else is stored, so that nothing rests on it.

use bytes::Bytes;

use super::TenantVault;
use crate::error::StoreError;
use crate::layout::{Area, OVERVIEW};

impl TenantVault {
    /// The summary that counts, with its number; `None` where there is none.
    ///
    /// # Errors
    /// `Corrupt`; `Unavailable`.
    pub async fn summary(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        let names = self.list_names(Area::Summary, OVERVIEW).await?;
        let number = names.iter().filter_map(|name| name.parse().ok()).max();
        let Some(number) = number else {
            return Ok(None);
        };
        match self.get(Area::Summary, OVERVIEW, &name(number)).await {
            Ok(content) => Ok(Some((number, content))),
            // It was let go, since newer ones have come.
            Err(StoreError::NotFound { .. }) => Err(StoreError::Changed {
                what: format!("the summary of tenant {}", self.id()),
            }),
            Err(error) => Err(error),
        }
    }

    /// Stores the summary of a number; false where another was faster.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn put_summary(&self, number: u64, content: Bytes) -> Result<bool, StoreError> {
        match self
            .put(Area::Summary, OVERVIEW, &name(number), content)
            .await
        {
            Ok(()) => Ok(true),
            Err(StoreError::Exists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn name(number: u64) -> String {
    format!("{number:010}")
}
