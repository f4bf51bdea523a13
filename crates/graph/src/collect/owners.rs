//! What is read owner by owner: relations and contained objects that no change
//! token tracks.
//!
//! A list of the owners' ids brings the first entries of each, and an owner that
//! shows as many as Graph expands is asked for all of its own. Owners that came
//! during the reading are asked again at its end.

use std::collections::{BTreeSet, HashSet};

use futures::{StreamExt, stream};
use model::catalogue::{EXPANDED, LinkRead, OWNER};
use model::snapshot::{Change, Kind, Method};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Mode, Movement, Run};
use crate::directory::{Collection, Owners, Page, Query};
use crate::error::GraphError;
use crate::json as wire;
use crate::meter::measured;

/// Owners asked for in one call: four batches.
const OWNERS: usize = 80;
/// Calls under way at a time, per collection.
const CALLS: usize = 2;
/// From this many owners on, a reading that follows changes does not ask all of
/// them for a relation that few of them have.
const LARGE: u64 = 50_000;

impl Run<'_> {
    /// Reads one collection of all owners.
    pub(super) async fn read_collection(&self, collection: Collection) {
        let kind = collection.kind();
        self.records.begin(kind, Method::SingleRead, (self.now)());
        if let Some((past, sources)) = self.few_owners(collection) {
            return self.read_few(collection, past, sources).await;
        }
        self.tell(Change::Reread(kind));
        let expands = match collection {
            Collection::Contained(_) => true,
            Collection::Links(link) => link.spec().read == LinkRead::ExpandFirst,
        };
        let open = if expands {
            self.read_expanded(collection, Owners::All).await
        } else {
            self.read_ids(collection).await
        };
        self.read_owners(collection, &open).await;
        if let Some(problem) = self.records.problem_of(Kind::Objects(collection.owner()))
            && self.records.problem_of(kind).is_none()
        {
            self.records
                .problem(kind, format!("not all owners are known: {problem}"));
        }
        self.records.end(kind, (self.now)());
    }

    /// Where asking every owner would cost more than following the changes of
    /// everything else: since when the others were not asked, and the owners that
    /// had links.
    fn few_owners(
        &self,
        collection: Collection,
    ) -> Option<(chrono::DateTime<chrono::Utc>, BTreeSet<ObjectId>)> {
        let (Collection::Links(LinkKind::UserSponsors), Mode::Since(past)) =
            (collection, &self.request.mode)
        else {
            return None;
        };
        let record = |kind: Kind| {
            past.completeness
                .iter()
                .find(move |record| record.kind == kind && record.is_complete())
        };
        let owners = record(Kind::Objects(collection.owner()))?;
        let before = record(collection.kind())?;
        (owners.count >= LARGE).then(|| {
            let sources = past.sources.get(&LinkKind::UserSponsors);
            let sources = sources.into_iter().flatten().cloned().collect();
            (before.not_before, sources)
        })
    }

    /// Reads the guests, whom sponsors are meant for, and whoever had a sponsor.
    async fn read_few(
        &self,
        collection: Collection,
        past: chrono::DateTime<chrono::Utc>,
        mut sources: BTreeSet<ObjectId>,
    ) {
        let kind = collection.kind();
        let mut listed = BTreeSet::new();
        let open = self
            .read_list_of_owners(collection, Owners::Guests, &mut |owner| {
                if let Collection::Links(link) = collection {
                    self.tell(Change::RereadLinksOf(link, owner.clone()));
                }
                listed.insert(owner.clone());
            })
            .await;
        sources.retain(|source| !listed.contains(source));
        let open: Vec<ObjectId> = open.into_iter().chain(sources).collect();
        self.read_owners(collection, &open).await;
        self.records.amend(kind, |record| record.not_before = past);
        self.records.note(
            kind,
            "users who are no guests and had no sponsor were not asked again",
        );
        self.records.end(kind, (self.now)());
    }

    async fn read_expanded(&self, collection: Collection, owners: Owners) -> Vec<ObjectId> {
        self.read_list_of_owners(collection, owners, &mut |_| {})
            .await
    }

    /// Reads the owners' ids with the first entries of each; the owners that have
    /// to be asked alone. `each` is called before an owner's entries are told.
    async fn read_list_of_owners(
        &self,
        collection: Collection,
        owners: Owners,
        each: &mut (dyn FnMut(&ObjectId) + Send),
    ) -> Vec<ObjectId> {
        let kind = collection.kind();
        let query = Query::Expanded(collection, owners);
        let item = move |item: &RawValue| entries(item, collection.relation());
        let mut open = Vec::new();
        // A failure is in the record.
        let _ = self
            .for_each_page(kind, &query, item, |items| {
                for item in items {
                    match item {
                        Ok((owner, entries)) => {
                            each(&owner);
                            match entries {
                                Some(entries) => entries
                                    .iter()
                                    .for_each(|entry| self.take_entry(collection, &owner, entry)),
                                None => open.push(owner),
                            }
                        }
                        Err(what) => self.records.problem(kind, format!("an owner {what}")),
                    }
                }
            })
            .await;
        open
    }

    async fn read_ids(&self, collection: Collection) -> Vec<ObjectId> {
        let kind = collection.kind();
        let mut ids = Vec::new();
        // A failure is in the record.
        let _ = self
            .for_each_page(kind, &Query::Ids(collection.owner()), wire::id, |items| {
                for item in items {
                    match item {
                        Ok(id) => ids.push(id),
                        Err(what) => self.records.problem(kind, format!("an owner {what}")),
                    }
                }
            })
            .await;
        ids
    }

    /// Asks owners one by one, twenty to a batch.
    pub(super) async fn read_owners(&self, collection: Collection, owners: &[ObjectId]) {
        let calls: Vec<_> = owners
            .chunks(OWNERS)
            .map(|chunk| -> futures::future::BoxFuture<'_, ()> {
                Box::pin(self.read_some_owners(collection, chunk))
            })
            .collect();
        stream::iter(calls)
            .buffer_unordered(CALLS)
            .collect::<()>()
            .await;
    }

    async fn read_some_owners(&self, collection: Collection, owners: &[ObjectId]) {
        let kind = collection.kind();
        let queries: Vec<Query> = owners
            .iter()
            .map(|owner| query_of(collection, owner))
            .collect();
        let (pages, effort) = measured(self.directory.first_pages(&queries)).await;
        self.records.spend_page(kind, effort);
        let pages = match pages {
            Ok(pages) => pages,
            Err(error) => return self.records.failed(kind, &error),
        };
        self.records.reached();
        let mut missing = Vec::new();
        for ((owner, query), page) in owners.iter().zip(&queries).zip(pages) {
            let taken = match page {
                Ok(page) => self.take_owner(collection, owner, query, page).await,
                Err(error) => Err(error),
            };
            match taken {
                Ok(()) => {}
                Err(GraphError::NotFound { .. }) => missing.push(owner.clone()),
                Err(error) => self.records.failed(kind, &error),
            }
        }
        if !missing.is_empty() {
            self.ask_again(collection, &missing).await;
        }
    }

    /// Asks owners again that were listed and then not found: they went, or were
    /// looked for where they had not arrived yet.
    async fn ask_again(&self, collection: Collection, owners: &[ObjectId]) {
        let kind = collection.kind();
        let found = self
            .read(collection.owner(), ObjectState::Live, owners)
            .await;
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.records.failed(kind, &error),
        };
        for (owner, _) in owners
            .iter()
            .zip(found)
            .filter(|(_, object)| object.is_some())
        {
            let query = query_of(collection, owner);
            let (page, effort) = measured(self.directory.page(&query, None)).await;
            self.records.spend_page(kind, effort);
            let taken = match page {
                Ok(page) => self.take_owner(collection, owner, &query, page).await,
                Err(error) => Err(error),
            };
            match taken {
                Ok(()) => {}
                Err(GraphError::NotFound { .. }) => {
                    let (owner_type, relation) = (collection.owner(), collection.relation());
                    self.records.problem(
                        kind,
                        format!("{owner_type} {owner} exists, yet its {relation} were not found"),
                    );
                }
                Err(error) => self.records.failed(kind, &error),
            }
        }
    }

    async fn take_owner(
        &self,
        collection: Collection,
        owner: &ObjectId,
        query: &Query,
        first: Page,
    ) -> Result<(), GraphError> {
        match collection {
            Collection::Links(kind) => {
                let nobody = HashSet::new();
                self.reread_links(kind, owner, query, first, &nobody)
                    .await?;
                Ok(())
            }
            Collection::Contained(_) => {
                self.each_item(collection.kind(), query, first, |item| {
                    self.take_entry(collection, owner, item);
                })
                .await
            }
        }
    }

    /// Tells of an entry of one owner.
    fn take_entry(&self, collection: Collection, owner: &ObjectId, entry: &RawValue) {
        let taken = match collection {
            Collection::Links(kind) => wire::id(entry).map(|target| {
                self.tell(Change::Linked(Link {
                    kind,
                    source: owner.clone(),
                    target,
                }));
            }),
            Collection::Contained(object_type) => {
                contained(entry, object_type, owner).map(|object| self.put(object))
            }
        };
        if let Err(what) = taken {
            self.records.problem(
                collection.kind(),
                format!("an entry in {} of {owner} {what}", collection.relation()),
            );
        }
    }

    /// Asks the owners again that came while the tenant was read.
    pub(super) async fn read_moved_owners(&self) {
        let moved: Vec<(ObjectType, ObjectId, Movement)> = self
            .announced
            .lock()
            .iter()
            .map(|(id, (object_type, movement))| (*object_type, id.clone(), *movement))
            .collect();
        for collection in self.collections() {
            // So many users change between two readings that only those are asked
            // who came back.
            let all = collection.owner() != ObjectType::User;
            let owners: Vec<ObjectId> = moved
                .iter()
                .filter(|(object_type, ..)| *object_type == collection.owner())
                .filter(|(_, _, movement)| match movement {
                    Movement::Came => true,
                    Movement::Changed => all,
                    Movement::Went => false,
                })
                .map(|(_, id, _)| id.clone())
                .collect();
            if !owners.is_empty() {
                self.read_owners(collection, &owners).await;
            }
            // Which links are hidden is known only now that the bins are.
            self.records.end(collection.kind(), (self.now)());
        }
    }
}

fn query_of(collection: Collection, owner: &ObjectId) -> Query {
    match collection {
        Collection::Links(kind) => Query::Links {
            kind,
            source: owner.clone(),
        },
        Collection::Contained(object_type) => Query::Contained(object_type, owner.clone()),
    }
}

/// The entries of one owner; `None` where there may be more of them.
type Entries = Option<Vec<Box<RawValue>>>;

/// An owner's id and the entries that came inside it; `None` where there may be
/// more of them.
fn entries(item: &RawValue, relation: &str) -> Result<(ObjectId, Entries), String> {
    let apart =
        model::json::apart(item.get(), &[relation]).map_err(|_| "is no json object".to_owned())?;
    let owner = Object::id_in(&apart).map_err(|error| wire::reason(&error))?;
    let mut taken = apart.taken.iter();
    let more = taken.any(|(key, _)| key.ends_with("@odata.nextLink"));
    let entries: Vec<Box<RawValue>> = match apart.member(relation) {
        None => Vec::new(),
        Some(list) => serde_json::from_str(list.get())
            .map_err(|_| format!("has {relation} that are no list ({owner})"))?,
    };
    let all = !more && entries.len() < EXPANDED;
    Ok((owner, all.then_some(entries)))
}

/// A contained object, with the owner that it is in.
fn contained(
    entry: &RawValue,
    object_type: ObjectType,
    owner: &ObjectId,
) -> Result<Object, String> {
    let mut object = Object::from_json(object_type, ObjectState::Live, entry.get())
        .map_err(|error| wire::reason(&error))?;
    let mut body = object.body();
    body.insert(OWNER.to_owned(), Value::String(owner.to_string()));
    object = Object::from_body(object_type, ObjectState::Live, &body)
        .map_err(|error| wire::reason(&error))?;
    Ok(object)
}
