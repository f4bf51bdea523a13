//! Finding objects of a snapshot by what they are called.
//!
//! It reads names and, where they stand in the JSON alone, the JSON, row group by
//! row group; it must never hold a snapshot in memory.

use model::{ObjectId, ObjectState, ObjectType};

use super::TenantVault;
use crate::blocking;
use crate::error::StoreError;
use crate::manifest::Manifest;
use crate::run::{IdRange, NamedBody, ObjectName, ObjectRow};

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// A part of a display name, user principal name, application id or id; upper
    /// and lower case are the same.
    pub text: String,
    /// Where in it the text may stand.
    pub matching: Match,
    /// Only objects of these types; of all where empty.
    pub types: Vec<ObjectType>,
}

/// Where a text may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Anywhere.
    Anywhere,
    /// At the beginning.
    Beginning,
}

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The type.
    pub object_type: ObjectType,
    /// The id.
    pub id: ObjectId,
    /// Live or soft-deleted.
    pub state: ObjectState,
    /// What a person calls it.
    pub name: String,
}

/// Some of the objects that a search finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundPage {
    /// The objects, sorted by type and id.
    pub found: Vec<Found>,
    /// Whether there are more.
    pub more: bool,
}

impl TenantVault {
    /// Searches a snapshot: at most `limit` objects, from the first one behind
    /// `after` on.
    ///
    /// # Errors
    /// As [`TenantVault::object`].
    pub async fn search(
        &self,
        manifest: &Manifest,
        query: Query,
        after: Option<(ObjectType, ObjectId)>,
        limit: usize,
    ) -> Result<FoundPage, StoreError> {
        let chain = self.parts::<ObjectRow>(manifest).await?;
        blocking::run(move || {
            let text = query.text.to_lowercase();
            let mut page = FoundPage::default();
            for object_type in ObjectType::ALL {
                let passed = after.as_ref().is_some_and(|(last, _)| object_type < *last);
                if passed || !(query.types.is_empty() || query.types.contains(&object_type)) {
                    continue;
                }
                let last = after.as_ref().filter(|(last, _)| *last == object_type);
                let ids = IdRange {
                    from: last.map(|(_, id)| id.clone()),
                    to: None,
                };
                for row in chain.names_of(object_type, &ids)? {
                    let row = row?;
                    if last.is_some_and(|(_, id)| *id == row.id) {
                        continue;
                    }
                    let Some(found) = matching(row, &text, query.matching) else {
                        continue;
                    };
                    if page.found.len() == limit {
                        page.more = true;
                        return Ok(page);
                    }
                    page.found.push(found);
                }
            }
            Ok(page)
        })
        .await
    }
}

/// The object, where a text that is all lowercase is part of what it is called.
fn matching(row: ObjectName, text: &str, how: Match) -> Option<Found> {
    let ObjectName {
        object_type,
        id,
        body,
    } = row;
    let NamedBody {
        state,
        name,
        others,
    } = body?;
    let fits = |called: &str| {
        let called = called.to_lowercase();
        match how {
            Match::Anywhere => called.contains(text),
            Match::Beginning => called.starts_with(text),
        }
    };
    let fit = fits(&name) || fits(id.as_str()) || others.iter().any(|other| fits(other));
    fit.then_some(Found {
        object_type,
        id,
        state,
        name,
    })
}
