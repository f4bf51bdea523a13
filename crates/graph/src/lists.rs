//! Lists read to their end, and the groups above users.
//!
//! Owns the following of pages where a caller wants everything at once and it is not
//! much. Whoever reads a whole tenant takes [`crate::collect()`].

use std::collections::HashSet;

use model::{LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::directory::{Directory, Page, Query};
use crate::error::GraphError;
use crate::json;

/// The items of a list.
async fn items(directory: &dyn Directory, query: &Query) -> Result<Vec<Box<RawValue>>, GraphError> {
    let first = directory.page(query, None).await?;
    rest(directory, query, first).await
}

/// The items of a page and of those behind it.
async fn rest(
    directory: &dyn Directory,
    query: &Query,
    first: Page,
) -> Result<Vec<Box<RawValue>>, GraphError> {
    let Page {
        mut items,
        mut next,
    } = first;
    while let Some(link) = next {
        let page = directory.page(query, Some(&link)).await?;
        items.extend(page.items);
        next = page.next;
    }
    Ok(items)
}

/// The live objects of a list.
///
/// # Errors
/// Any [`GraphError`] of a read.
pub async fn objects(directory: &dyn Directory, query: &Query) -> Result<Vec<Object>, GraphError> {
    let object_type = query.kind().object_type();
    let object = |item: &RawValue| {
        let taken = Object::from_json(object_type, ObjectState::Live, item.get());
        taken.map_err(|error| garbled(&json::reason(&error), query))
    };
    items(directory, query)
        .await?
        .iter()
        .map(|item| object(item))
        .collect()
}

/// The ids of the other ends of one object's links; none where the object is gone.
///
/// # Errors
/// Any [`GraphError`] of a read.
pub async fn links(
    directory: &dyn Directory,
    kind: LinkKind,
    source: &ObjectId,
) -> Result<Vec<ObjectId>, GraphError> {
    let query = Query::Links {
        kind,
        source: source.clone(),
    };
    let found = match items(directory, &query).await {
        Err(GraphError::NotFound { .. }) => Vec::new(),
        found => found?,
    };
    let id = |item: &RawValue| json::id(item).map_err(|what| garbled(&what, &query));
    found.iter().map(|item| id(item)).collect()
}

/// The groups that users are in, the groups that those are in, and so on: member, then
/// group.
///
/// # Errors
/// Any [`GraphError`] of a read.
pub async fn memberships(
    directory: &dyn Directory,
    users: impl IntoIterator<Item = ObjectId>,
) -> Result<HashSet<(ObjectId, ObjectId)>, GraphError> {
    let mut found = HashSet::new();
    let mut seen: HashSet<ObjectId> = HashSet::new();
    let users = users.into_iter().map(|user| (ObjectType::User, user));
    let mut open: Vec<(ObjectType, ObjectId)> = users.collect();
    while !open.is_empty() {
        let mut above = Vec::new();
        for (member, group) in directly_in(directory, &open).await? {
            if seen.insert(group.clone()) {
                above.push((ObjectType::Group, group.clone()));
            }
            found.insert((member, group));
        }
        open = above;
    }
    Ok(found)
}

/// The groups that each of the members is in itself.
async fn directly_in(
    directory: &dyn Directory,
    members: &[(ObjectType, ObjectId)],
) -> Result<Vec<(ObjectId, ObjectId)>, GraphError> {
    #[derive(Deserialize)]
    struct Item {
        id: String,
        #[serde(rename = "@odata.type")]
        entity: Option<String>,
    }
    let queries: Vec<Query> = members
        .iter()
        .map(|(target_type, target)| Query::Sources {
            kind: LinkKind::GroupMembers,
            target_type: *target_type,
            target: target.clone(),
        })
        .collect();
    let mut found = Vec::new();
    let pages = directory.first_pages(&queries).await?;
    for (((_, member), query), answer) in members.iter().zip(&queries).zip(pages) {
        let first = match answer {
            Err(GraphError::NotFound { .. }) => Page::default(),
            answer => answer?,
        };
        for item in rest(directory, query, first).await? {
            let item: Item = serde_json::from_str(item.get())
                .map_err(|error| garbled(&error.to_string(), query))?;
            // Roles and administrative units are among them.
            let is_group = item.entity.is_none_or(|name| name.ends_with("group"));
            if is_group {
                let group = ObjectId::parse(&item.id)
                    .map_err(|error| garbled(&error.to_string(), query))?;
                found.push((member.clone(), group));
            }
        }
    }
    Ok(found)
}

fn garbled(what: &str, query: &Query) -> GraphError {
    GraphError::Malformed {
        what: what.to_owned(),
        path: query.kind().name(),
    }
}
