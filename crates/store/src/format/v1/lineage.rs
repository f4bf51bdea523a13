//! Objects that were made anew, in format 1.

use chrono::{DateTime, Utc};
use model::lineage as domain;
use model::{ObjectId, ObjectType, PlanId};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::chance;
use crate::error::StoreError;

/// Some objects that were made anew together.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lineage {
    format: u32,
    /// Tells the writer its own file.
    write: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    object_type: String,
    old: String,
    new: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old_app_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new_app_id: Option<String>,
    made: DateTime<Utc>,
    restore: String,
}

impl From<&[domain::Entry]> for Lineage {
    fn from(entries: &[domain::Entry]) -> Self {
        let entry = |entry: &domain::Entry| {
            let app_ids = entry.app_ids.as_ref();
            Entry {
                object_type: entry.object_type.name().to_owned(),
                old: entry.old.to_string(),
                new: entry.new.to_string(),
                old_app_id: app_ids.map(|(old, _)| old.to_string()),
                new_app_id: app_ids.map(|(_, new)| new.to_string()),
                made: entry.made,
                restore: entry.restore.to_string(),
            }
        };
        Self {
            format: FORMAT,
            write: chance::token(),
            entries: entries.iter().map(entry).collect(),
        }
    }
}

impl Lineage {
    /// The entries in the terms of the program.
    ///
    /// # Errors
    /// `Corrupt`, naming the path, where one is none that this version knows.
    pub(crate) fn into_domain(self, path: &str) -> Result<Vec<domain::Entry>, StoreError> {
        let entry = |entry: Entry| {
            let corrupt = |what: String| StoreError::corrupt(path, what);
            let id = |text: &str| ObjectId::parse(text).map_err(|it| corrupt(it.to_string()));
            let app_ids = match (entry.old_app_id, entry.new_app_id) {
                (Some(old), Some(new)) => Some((id(&old)?, id(&new)?)),
                _ => None,
            };
            let object_type = ObjectType::from_name(&entry.object_type);
            Ok(domain::Entry {
                object_type: object_type.ok_or_else(|| {
                    let name = &entry.object_type;
                    corrupt(format!("type {name:?} is not known to this version"))
                })?,
                old: id(&entry.old)?,
                new: id(&entry.new)?,
                app_ids,
                made: entry.made,
                restore: PlanId::parse(&entry.restore).map_err(|it| corrupt(it.to_string()))?,
            })
        };
        self.entries.into_iter().map(entry).collect()
    }
}
