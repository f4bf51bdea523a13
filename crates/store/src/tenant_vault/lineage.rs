//! The lineage of a tenant: numbered files, each with what one stroke of a restore
//! made anew.
//!
//! A file is created once and never changed; whoever comes second takes the next
//! number.

use model::lineage::{Entry, Lineage};

use super::TenantVault;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::format::v1;
use crate::layout::{self, Area};

/// The folder of the numbered files.
const MADE_ANEW: &str = "made-anew";

impl TenantVault {
    /// Everything that was made anew, the oldest first.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Unavailable`.
    pub async fn lineage(&self) -> Result<Lineage, StoreError> {
        let mut entries = Vec::new();
        let folder = layout::documents(self.id(), Area::Lineage, MADE_ANEW)?;
        for path in file::list(self.store.as_ref(), &folder).await? {
            let Some(content) = self.open(&path).await? else {
                continue;
            };
            let file: v1::Lineage = v1::from_json(path.as_ref(), &content)?;
            entries.extend(file.into_domain(path.as_ref())?);
        }
        Ok(Lineage::new(entries))
    }

    /// Tells of objects that were made anew, and answers what was new of that. What
    /// is known already is not told again; `known` is the lineage as the caller last
    /// read it, so that it need not be read for each stroke.
    ///
    /// # Errors
    /// `Corrupt`; `Unavailable`.
    pub async fn add_lineage(
        &self,
        known: &Lineage,
        entries: &[Entry],
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = unknown_to(known, entries);
        while !entries.is_empty() {
            let names = self.list_names(Area::Lineage, MADE_ANEW).await?;
            let last = names
                .iter()
                .filter_map(|name| name.parse::<u32>().ok())
                .max();
            let name = format!("{:06}", last.unwrap_or_default() + 1);
            let path = layout::document(self.id(), Area::Lineage, MADE_ANEW, &name)?;
            let content = v1::to_json(&v1::Lineage::from(&entries[..]))?;
            match self.create(&path, content).await? {
                Created::Ours => break,
                // Another restore was quicker, and may have told of the same.
                Created::Theirs => entries = unknown_to(&self.lineage().await?, &entries),
            }
        }
        Ok(entries)
    }
}

/// The entries that a lineage does not tell.
fn unknown_to(known: &Lineage, entries: &[Entry]) -> Vec<Entry> {
    let is_new = |entry: &&Entry| {
        let same = |it: &Entry| it.old == entry.old && it.new == entry.new;
        !known.entries().iter().any(same)
    };
    entries.iter().filter(is_new).cloned().collect()
}
