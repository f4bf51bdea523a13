//! Documents: sealed files that are created once, such as reports, plans and
//! journal entries.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::TenantVault;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::layout::{self, Area};

/// A document in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it belongs to.
    pub id: String,
    /// Its own name.
    pub name: String,
    /// When the store wrote it, by the store's own clock.
    pub written: DateTime<Utc>,
}

impl TenantVault {
    /// Creates a document.
    ///
    /// # Errors
    /// `Exists` where there is one of that name; `Invalid` for an id or name
    /// that is not fit for a key; `Unavailable`.
    pub async fn put(
        &self,
        area: Area,
        id: &str,
        name: &str,
        content: Bytes,
    ) -> Result<(), StoreError> {
        let path = layout::document(self.id(), area, id, name)?;
        match self.create(&path, content.into()).await? {
            Created::Ours => Ok(()),
            Created::Theirs => Err(StoreError::Exists {
                what: format!("{}/{id}/{name}", area.name()),
            }),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` where it is damaged or was written elsewhere;
    /// `Invalid` for an id or name that is not fit for a key; `Unavailable`.
    pub async fn get(&self, area: Area, id: &str, name: &str) -> Result<Bytes, StoreError> {
        let path = layout::document(self.id(), area, id, name)?;
        let content = self.open(&path).await?;
        content
            .map(Bytes::from)
            .ok_or_else(|| StoreError::NotFound {
                what: format!("{}/{id}/{name}", area.name()),
            })
    }

    /// The ids that have documents, sorted.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn list_ids(&self, area: Area) -> Result<Vec<String>, StoreError> {
        file::folders(self.store.as_ref(), &layout::area(self.id(), area)).await
    }

    /// The names of one id's documents, sorted: `journal/000001`, `plan`.
    ///
    /// # Errors
    /// `Invalid` for an id that is not fit for a key; `Unavailable`.
    pub async fn list_names(&self, area: Area, id: &str) -> Result<Vec<String>, StoreError> {
        let folder = layout::documents(self.id(), area, id)?;
        let paths = file::list(self.store.as_ref(), &folder).await?;
        let name = |path: &object_store::path::Path| {
            let parts = path.prefix_match(&folder)?;
            Some(
                parts
                    .map(|part| part.as_ref().to_owned())
                    .collect::<Vec<_>>()
                    .join("/"),
            )
        };
        Ok(paths.iter().filter_map(name).collect())
    }

    /// All documents of the ids from one on, in one listing, sorted by id and name.
    /// `from` need not be an id that exists, and need not be a whole one.
    ///
    /// # Errors
    /// `Invalid` for one that is not fit for a key; `Unavailable`.
    pub async fn list_documents(&self, area: Area, from: &str) -> Result<Vec<Listed>, StoreError> {
        let folder = layout::area(self.id(), area);
        // Comes before everything that begins with it.
        let after = layout::documents(self.id(), area, from)?;
        let metas = file::metas_from(self.store.as_ref(), &folder, &after).await?;
        let listed = metas.into_iter().filter_map(|meta| {
            let mut parts = meta.location.prefix_match(&folder)?;
            let id = parts.next()?.as_ref().to_owned();
            let name: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            let name = name.join("/");
            let written = meta.last_modified;
            Some(Listed { id, name, written })
        });
        Ok(listed.collect())
    }
}
