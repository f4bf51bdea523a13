//! Reading again what was announced as changed.

use std::collections::{BTreeSet, HashMap, HashSet};

use model::catalogue::Cardinality;
use model::snapshot::{Change, Kind};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde::Deserialize;
use serde_json::Value;

use super::follow::Tracker;
use super::hint::Hint;
use super::{Movement, Run, kinds_of};
use crate::directory::{Page, Query, reverse, tracked};
use crate::error::GraphError;
use crate::json as wire;
use crate::meter::measured;

/// Objects read in one call: twenty batches.
const OBJECTS: usize = 400;
/// Owners whose links are asked for in one call: four batches.
const OWNERS: usize = 80;
/// Where more than one object in this many changed, a list costs less: it brings
/// 999 with a request where a batch brings 20.
const RELIST: usize = 50;
/// Below this many changes a batch is always right.
const FEW: usize = 2_000;

/// What was found of an object: `None` where it is gone.
type Found = HashMap<ObjectId, Option<Object>>;

impl Run<'_> {
    /// Reads the pending objects of one type; those whose reading agrees with what
    /// was announced are no longer pending.
    pub(super) async fn settle(&self, tracker: &mut Tracker) {
        let object_type = tracker.object_type;
        let pending = std::mem::take(&mut tracker.pending);
        if pending.len() > FEW && pending.len() > self.expected(object_type) / RELIST {
            tracker.pending = self.relist(object_type, pending).await;
            return;
        }
        let ids: Vec<ObjectId> = pending.keys().cloned().collect();
        let mut found = Found::new();
        for chunk in ids.chunks(OBJECTS) {
            match self.read_objects(object_type, chunk).await {
                Ok(objects) => found.extend(objects),
                Err(error) => {
                    for kind in kinds_of(self.scope(), object_type) {
                        self.records.failed(kind, &error);
                    }
                }
            }
        }
        let mut came = HashSet::new();
        for (id, object) in &found {
            if self.take_found(object_type, id, object.clone()) {
                came.insert(id.clone());
            }
        }
        let disagreeing = self
            .settle_links(object_type, &pending, &found, &came)
            .await;
        for (id, mut hint) in pending {
            let Some(object) = found.get(&id) else {
                continue;
            };
            let agrees = hint.agrees(object_type, object.as_ref()) && !disagreeing.contains(&id);
            // What was announced in contradiction is read once more.
            if !agrees || (hint.is_ambiguous() && hint.attempts == 0) {
                hint.attempts += 1;
                tracker.pending.insert(id, hint);
            }
        }
    }

    /// How many live objects of a type there are, as far as is known.
    fn expected(&self, object_type: ObjectType) -> usize {
        let past = self.request.mode.past();
        let record = past
            .into_iter()
            .flat_map(|past| &past.completeness)
            .find(|record| record.kind == Kind::Objects(object_type));
        record.map_or(0, |record| {
            usize::try_from(record.count).unwrap_or(usize::MAX)
        })
    }

    /// Reads the lists of a type, since much of it changed; what does not agree
    /// stays pending.
    async fn relist(
        &self,
        object_type: ObjectType,
        mut pending: HashMap<ObjectId, Hint>,
    ) -> HashMap<ObjectId, Hint> {
        let mut open: HashSet<ObjectId> = pending.keys().cloned().collect();
        let mut seen = Found::new();
        for kind in [Kind::Objects(object_type), Kind::Deleted(object_type)] {
            self.tell(Change::Reread(kind));
        }
        for kind in super::bulk::expanded(object_type) {
            self.tell(Change::Reread(Kind::Links(kind)));
        }
        let mut states = vec![ObjectState::Live];
        if self.scope().has_bin(object_type) {
            states.push(ObjectState::Deleted);
        }
        let was: HashSet<(ObjectType, ObjectId)> = self.bin.lock().clone();
        for state in states {
            self.read_list(object_type, state, &mut |object| {
                if open.contains(&object.id) {
                    seen.insert(object.id.clone(), Some(object.clone()));
                }
            })
            .await;
        }
        let mut came = HashSet::new();
        for id in open.drain() {
            let object = seen.entry(id.clone()).or_insert(None);
            let live = object
                .as_ref()
                .is_some_and(|object| object.state == ObjectState::Live);
            let back = was.contains(&(object_type, id.clone())) && live;
            match object {
                None => {
                    self.tell(Change::Gone(object_type, id.clone()));
                    self.moved(object_type, &id, Movement::Went);
                }
                Some(_) if back => self.moved(object_type, &id, Movement::Came),
                Some(_) => self.moved(object_type, &id, Movement::Changed),
            }
            if back {
                came.insert(id);
            }
        }
        let disagreeing = self.settle_links(object_type, &pending, &seen, &came).await;
        pending.retain(|id, hint| {
            let object = seen.get(id).and_then(Option::as_ref);
            hint.attempts += 1;
            !hint.agrees(object_type, object) || disagreeing.contains(id)
        });
        pending
    }

    /// Finds out what objects are like now: live, in the recycle bin, or gone.
    async fn read_objects(
        &self,
        object_type: ObjectType,
        ids: &[ObjectId],
    ) -> Result<Found, GraphError> {
        let mut found = Found::new();
        let mut missing = Vec::new();
        for (id, object) in ids
            .iter()
            .zip(self.read(object_type, ObjectState::Live, ids).await?)
        {
            match object {
                Some(object) => {
                    found.insert(id.clone(), Some(object));
                }
                None => missing.push(id.clone()),
            }
        }
        if missing.is_empty() || !self.scope().has_bin(object_type) {
            found.extend(missing.into_iter().map(|id| (id, None)));
            return Ok(found);
        }
        let deleted = self
            .read(object_type, ObjectState::Deleted, &missing)
            .await?;
        found.extend(missing.into_iter().zip(deleted));
        Ok(found)
    }

    pub(super) async fn read(
        &self,
        object_type: ObjectType,
        state: ObjectState,
        ids: &[ObjectId],
    ) -> Result<Vec<Option<Object>>, GraphError> {
        let kind = match state {
            ObjectState::Live => Kind::Objects(object_type),
            ObjectState::Deleted => Kind::Deleted(object_type),
        };
        let keys: Vec<_> = ids
            .iter()
            .map(|id| (object_type, state, id.clone()))
            .collect();
        let (answers, effort) = measured(self.directory.read_many(&keys)).await;
        self.records.spend(kind, effort);
        self.records.reached();
        answers?
            .into_iter()
            .map(|answer| answer.map(|object| object.map(as_listed)))
            .collect()
    }

    /// Tells what became of an object; whether it came out of the recycle bin.
    fn take_found(&self, object_type: ObjectType, id: &ObjectId, object: Option<Object>) -> bool {
        let key = (object_type, id.clone());
        let was_in_bin = self.bin.lock().contains(&key);
        let Some(object) = object else {
            self.bin.lock().remove(&key);
            self.tell(Change::Gone(object_type, id.clone()));
            self.moved(object_type, id, Movement::Went);
            return false;
        };
        let live = object.state == ObjectState::Live;
        self.put(object);
        let movement = match (live, was_in_bin) {
            (false, _) => Movement::Went,
            (true, true) => Movement::Came,
            (true, false) => Movement::Changed,
        };
        self.moved(object_type, id, movement);
        live && was_in_bin
    }

    /// Reads the announced relations again, and all of those objects that came out
    /// of the recycle bin; the objects whose relations do not agree.
    async fn settle_links(
        &self,
        object_type: ObjectType,
        pending: &HashMap<ObjectId, Hint>,
        found: &Found,
        came: &HashSet<ObjectId>,
    ) -> HashSet<ObjectId> {
        let mut disagreeing = HashSet::new();
        if !self.scope().links {
            return disagreeing;
        }
        let live = |id: &&ObjectId| {
            let object = found.get(*id).and_then(Option::as_ref);
            object.is_some_and(|object| object.state == ObjectState::Live)
        };
        for kind in tracked(object_type) {
            let owners: Vec<ObjectId> = pending
                .iter()
                .filter(|(id, hint)| came.contains(*id) || hint.relations().contains(&kind))
                .map(|(id, _)| id)
                .filter(live)
                .cloned()
                .collect();
            for chunk in owners.chunks(OWNERS) {
                self.settle_relation(kind, chunk, pending, came, &mut disagreeing)
                    .await;
            }
        }
        for id in came {
            self.read_back(object_type, id).await;
        }
        disagreeing
    }

    async fn settle_relation(
        &self,
        kind: LinkKind,
        owners: &[ObjectId],
        pending: &HashMap<ObjectId, Hint>,
        came: &HashSet<ObjectId>,
        disagreeing: &mut HashSet<ObjectId>,
    ) {
        let query = |source: &ObjectId| Query::Links {
            kind,
            source: source.clone(),
        };
        let queries: Vec<Query> = owners.iter().map(query).collect();
        let (pages, effort) = measured(self.directory.first_pages(&queries)).await;
        self.records.spend(Kind::Links(kind), effort);
        let pages = match pages {
            Ok(pages) => pages,
            Err(error) => return self.records.failed(Kind::Links(kind), &error),
        };
        for (source, page) in owners.iter().zip(pages) {
            let Some(hint) = pending.get(source) else {
                continue;
            };
            let page = match page {
                Ok(page) => page,
                // It moved on, or has not arrived everywhere: looked at once more.
                Err(GraphError::NotFound { .. }) => {
                    disagreeing.insert(source.clone());
                    continue;
                }
                Err(error) => {
                    self.records.failed(Kind::Links(kind), &error);
                    continue;
                }
            };
            let doubtful = hint.links(kind).any(|(_, said)| said.is_none());
            let large = page.next.is_some() && kind.spec().cardinality == Cardinality::Many;
            if large && !doubtful && !came.contains(source) {
                self.apply_slices(kind, source, hint);
                continue;
            }
            match self.reread_links(kind, source, page).await {
                Ok(targets) if hint.agrees_on_links(kind, &targets) => {}
                Ok(_) => {
                    disagreeing.insert(source.clone());
                }
                Err(GraphError::NotFound { .. }) => {}
                Err(error) => self.records.failed(Kind::Links(kind), &error),
            }
        }
    }

    /// Takes the announced links of a relation that is too large to be read for a
    /// few of them.
    fn apply_slices(&self, kind: LinkKind, source: &ObjectId, hint: &Hint) {
        for (target, said) in hint.links(kind) {
            let link = Link {
                kind,
                source: source.clone(),
                target: target.clone(),
            };
            match said {
                Some(true) => self.tell(Change::Linked(link)),
                Some(false) => self.tell(Change::Unlinked(link)),
                None => {}
            }
        }
    }

    /// Reads a relation to its end and tells of it; the other ends.
    pub(super) async fn reread_links(
        &self,
        kind: LinkKind,
        source: &ObjectId,
        first: Page,
    ) -> Result<BTreeSet<ObjectId>, GraphError> {
        let query = Query::Links {
            kind,
            source: source.clone(),
        };
        let items = self.rest(Kind::Links(kind), &query, first).await?;
        let mut targets = BTreeSet::new();
        for item in items {
            match wire::id(&item) {
                Ok(id) => {
                    targets.insert(id);
                }
                Err(what) => self.records.problem(
                    Kind::Links(kind),
                    format!("an entry in {} of {source} {what}", kind.spec().relation),
                ),
            }
        }
        self.tell(Change::RereadLinksOf(kind, source.clone()));
        for target in &targets {
            self.tell(Change::Linked(Link {
                kind,
                source: source.clone(),
                target: target.clone(),
            }));
        }
        Ok(targets)
    }

    /// All items of a list whose first page is there.
    pub(super) async fn rest(
        &self,
        kind: Kind,
        query: &Query,
        first: Page,
    ) -> Result<Vec<Box<serde_json::value::RawValue>>, GraphError> {
        let mut items = first.items;
        let mut next = first.next;
        while let Some(link) = next {
            let (page, effort) = measured(self.directory.page(query, Some(&link))).await;
            self.records.spend(kind, effort);
            let page = page?;
            if page.next.as_ref() == Some(&link) {
                return Err(GraphError::Unexpected {
                    what: "its page leads to itself".to_owned(),
                    path: kind.name(),
                });
            }
            items.extend(page.items);
            next = page.next;
        }
        Ok(items)
    }

    /// Reads the links to an object that came out of the recycle bin: they came
    /// back with it, and it is not promised that this is announced.
    async fn read_back(&self, object_type: ObjectType, id: &ObjectId) {
        for kind in LinkKind::ALL {
            if reverse(kind).is_none()
                || !self.scope().types.contains(&kind.source_type())
                || !may_end_at(kind, object_type)
            {
                continue;
            }
            let query = Query::Sources {
                kind,
                target_type: object_type,
                target: id.clone(),
            };
            let (first, effort) = measured(self.directory.page(&query, None)).await;
            self.records.spend(Kind::Links(kind), effort);
            let items = match first {
                Ok(first) => self.rest(Kind::Links(kind), &query, first).await,
                Err(error) => Err(error),
            };
            match items {
                Ok(items) => {
                    self.tell(Change::RereadLinksTo(kind, id.clone()));
                    let wanted = format!("#microsoft.graph.{}", kind.source_type().name());
                    for source in items.iter().filter_map(|item| source_of(item, &wanted)) {
                        self.tell(Change::Linked(Link {
                            kind,
                            source,
                            target: id.clone(),
                        }));
                    }
                }
                Err(GraphError::NotFound { .. }) => {}
                Err(error) => self.records.failed(Kind::Links(kind), &error),
            }
        }
    }
}

/// Whether links of a kind may end at objects of a type, as far as they are read
/// from that end.
fn may_end_at(kind: LinkKind, object_type: ObjectType) -> bool {
    match kind {
        LinkKind::GroupMembers => matches!(
            object_type,
            ObjectType::User | ObjectType::Group | ObjectType::ServicePrincipal
        ),
        LinkKind::GroupOwners => {
            matches!(object_type, ObjectType::User | ObjectType::ServicePrincipal)
        }
        LinkKind::UserManager => object_type == ObjectType::User,
        _ => false,
    }
}

/// The id of an item, where it is of the wanted type.
fn source_of(item: &serde_json::value::RawValue, wanted: &str) -> Option<ObjectId> {
    #[derive(Deserialize)]
    struct Item {
        id: String,
        #[serde(default, rename = "@odata.type")]
        odata_type: Option<String>,
    }
    let item: Item = serde_json::from_str(item.get()).ok()?;
    let fits = item
        .odata_type
        .is_none_or(|odata_type| odata_type == wanted);
    ObjectId::parse(&item.id).ok().filter(|_| fits)
}

/// An object that was read alone, as a list would show it: public keys are shown
/// alone only, and are no difference.
fn as_listed(object: Object) -> Object {
    if !object.json.contains("\"key\":\"") {
        return object;
    }
    let mut body = object.body();
    let credentials = body.get_mut("keyCredentials").and_then(Value::as_array_mut);
    for credential in credentials.into_iter().flatten() {
        if let Some(key) = credential.get_mut("key") {
            *key = Value::Null;
        }
    }
    Object::from_body(object.object_type, object.state, &body).unwrap_or(object)
}
