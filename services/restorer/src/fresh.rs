//! The live state of chosen objects, read right now.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use graph::{Directory, DirectoryWriter, GraphError, Query};
use model::snapshot::{Completeness, Content, Kind, Method};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde::Deserialize;

use crate::relations;

/// Objects to read: those that are compared, with their links, and those that
/// only matter as the other end of a link.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Compared, links included.
    pub(crate) compared: BTreeSet<(ObjectType, ObjectId)>,
    /// Only whether they are live.
    pub(crate) ends: BTreeSet<(ObjectType, ObjectId)>,
    /// The lists in which those among them are found that only tie others together.
    pub(crate) lists: HashSet<Query>,
}

/// Reads the wanted objects, live or from the recycle bin, and their links.
///
/// Any read that fails fails the whole: a plan must not rest on half a view.
pub(crate) async fn read(
    directory: &dyn DirectoryWriter,
    wanted: &Wanted,
    now: DateTime<Utc>,
) -> Result<Content, GraphError> {
    let all = wanted.compared.union(&wanted.ends).cloned();
    let all: Vec<(ObjectType, ObjectId)> = all
        .filter(|(object_type, _)| object_type.spec().relation.is_none())
        .collect();
    let live = objects(directory, &all, ObjectState::Live).await?;
    let related = relations::listed(directory, &wanted.lists).await?;
    let found: BTreeSet<_> = live
        .iter()
        .map(|object| (object.object_type, object.id.clone()))
        .collect();
    let gone: Vec<_> = all
        .into_iter()
        .filter(|key| !found.contains(key) && key.0.spec().deleted.is_some())
        .collect();
    let deleted = objects(directory, &gone, ObjectState::Deleted).await?;
    let owners: Vec<(LinkKind, ObjectId)> = found
        .iter()
        .filter(|key| wanted.compared.contains(*key))
        .flat_map(|(object_type, id)| {
            object_type
                .spec()
                .links
                .iter()
                .map(|link| (link.kind, id.clone()))
        })
        .collect();
    let links = links(directory, &owners).await?;
    let completeness = Kind::all()
        .into_iter()
        .map(|kind| Completeness::begun(kind, Method::SingleRead, now));
    Ok(Content {
        objects: live.into_iter().chain(deleted).chain(related).collect(),
        links,
        completeness: completeness.collect(),
    }
    .sorted())
}

async fn objects(
    directory: &dyn DirectoryWriter,
    keys: &[(ObjectType, ObjectId)],
    state: ObjectState,
) -> Result<Vec<Object>, GraphError> {
    let asked: Vec<_> = keys
        .iter()
        .map(|(object_type, id)| (*object_type, state, id.clone()))
        .collect();
    let answers = directory.read_many(&asked).await?;
    let objects: Result<Vec<Option<Object>>, GraphError> = answers.into_iter().collect();
    Ok(objects?.into_iter().flatten().collect())
}

/// One object; `None` where there is none in that state.
pub(crate) async fn object(
    directory: &dyn DirectoryWriter,
    object_type: ObjectType,
    id: &ObjectId,
    state: ObjectState,
) -> Result<Option<Object>, GraphError> {
    if state == ObjectState::Deleted && object_type.spec().deleted.is_none() {
        return Ok(None);
    }
    Ok(objects(directory, &[(object_type, id.clone())], state)
        .await?
        .pop())
}

/// The links that start at the given objects. One that is not found is an
/// error: taken for empty, its rogue members would stay.
pub(crate) async fn links(
    directory: &dyn DirectoryWriter,
    owners: &[(LinkKind, ObjectId)],
) -> Result<Vec<Link>, GraphError> {
    let queries: Vec<Query> = owners
        .iter()
        .map(|(kind, source)| Query::Links {
            kind: *kind,
            source: source.clone(),
        })
        .collect();
    let mut links = Vec::new();
    for ((kind, source), answer) in owners.iter().zip(directory.first_pages(&queries).await?) {
        let query = Query::Links {
            kind: *kind,
            source: source.clone(),
        };
        let mut page = answer?;
        loop {
            for item in &page.items {
                let target = end(item.get(), &query)?;
                links.push(Link {
                    kind: *kind,
                    source: source.clone(),
                    target,
                });
            }
            let Some(next) = page.next else { break };
            page = Directory::page(directory, &query, Some(&next)).await?;
        }
    }
    Ok(links)
}

fn end(json: &str, query: &Query) -> Result<ObjectId, GraphError> {
    #[derive(Deserialize)]
    struct End {
        id: String,
    }
    let malformed = |what: String| GraphError::Malformed {
        what,
        path: query.kind().name(),
    };
    let end: End = serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    ObjectId::parse(&end.id).map_err(|error| malformed(error.to_string()))
}

/// The other ends of one object's links of a kind.
pub(crate) async fn ends(
    directory: &dyn DirectoryWriter,
    kind: LinkKind,
    source: &ObjectId,
) -> Result<BTreeSet<ObjectId>, GraphError> {
    Ok(links(directory, &[(kind, source.clone())])
        .await?
        .into_iter()
        .map(|link| link.target)
        .collect())
}

/// The part of a snapshot that the wanted objects are compared with.
pub(crate) fn part_of(base: &Content, wanted: &Wanted) -> Content {
    let mut keys: BTreeMap<&ObjectId, ObjectType> = BTreeMap::new();
    keys.extend(
        wanted
            .compared
            .union(&wanted.ends)
            .map(|(object_type, id)| (id, *object_type)),
    );
    Content {
        objects: base
            .objects
            .iter()
            .filter(|object| keys.contains_key(&object.id))
            .cloned()
            .collect(),
        links: base
            .links
            .iter()
            .filter(|link| {
                wanted
                    .compared
                    .contains(&(link.kind.source_type(), link.source.clone()))
            })
            .cloned()
            .collect(),
        completeness: base.completeness.clone(),
    }
}
