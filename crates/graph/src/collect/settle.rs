//! Reading again what was announced as changed.

use std::collections::{HashMap, HashSet};

use model::catalogue::Cardinality;
use model::snapshot::{Change, Kind};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde::Deserialize;
use serde_json::Value;

use super::follow::Tracker;
use super::hint::Hint;
use super::trail::Trail;
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
/// How often the links to an object that came back are asked for in vain.
const ATTEMPTS: u32 = 4;

/// What objects are like now: `None` where one is gone.
type Found = HashMap<ObjectId, Option<Object>>;

/// Where an object was found, and whether that is what was announced.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    state: Option<ObjectState>,
    agrees: bool,
}

impl Verdict {
    fn is_live(self) -> bool {
        self.state == Some(ObjectState::Live)
    }
}

type Verdicts = HashMap<ObjectId, Verdict>;

impl Run<'_> {
    /// Reads the pending objects of one type; those whose reading agrees with what
    /// was announced are no longer pending.
    pub(super) async fn settle(&self, tracker: &mut Tracker) {
        let object_type = tracker.object_type;
        let mut pending = std::mem::take(&mut tracker.pending);
        let verdicts = if self.is_much(object_type, pending.len()) {
            self.relist(object_type, &pending).await
        } else {
            self.reread(object_type, &pending).await
        };
        for (id, verdict) in &verdicts {
            if let Some(hint) = pending.get_mut(id) {
                self.note_movement(object_type, id, hint, *verdict);
            }
        }
        let disagreeing = self.settle_links(object_type, &pending, &verdicts).await;
        for (id, mut hint) in pending {
            let Some(verdict) = verdicts.get(&id) else {
                continue;
            };
            let agrees = verdict.agrees && !disagreeing.contains(&id);
            // What was announced in contradiction is read once more.
            if !agrees || (hint.is_ambiguous() && hint.attempts == 0) {
                hint.attempts += 1;
                tracker.pending.insert(id, hint);
            }
        }
    }

    /// Whether so much of a type changed that its list costs less than reading what
    /// changed.
    pub(super) fn is_much(&self, object_type: ObjectType, changed: usize) -> bool {
        changed > FEW && changed > self.expected(object_type) / RELIST
    }

    /// How many live objects of a type there are, as far as is known.
    fn expected(&self, object_type: ObjectType) -> usize {
        let past = self.request.mode.past();
        let record = past
            .into_iter()
            .flat_map(|past| &past.completeness)
            .find(|record| record.kind == Kind::Objects(object_type));
        let past = record.map_or(0, |record| {
            usize::try_from(record.count).unwrap_or(usize::MAX)
        });
        let listed = self.live.lock().get(&object_type).copied();
        past.max(listed.unwrap_or_default())
    }

    /// Reads pending objects one by one, twenty to a batch.
    async fn reread(&self, object_type: ObjectType, pending: &HashMap<ObjectId, Hint>) -> Verdicts {
        let ids: Vec<ObjectId> = pending.keys().cloned().collect();
        let mut verdicts = Verdicts::new();
        for chunk in ids.chunks(OBJECTS) {
            let found = match self.read_objects(object_type, chunk).await {
                Ok(found) => found,
                Err(error) => {
                    for kind in kinds_of(self.scope(), object_type) {
                        self.records.failed(kind, &error);
                    }
                    continue;
                }
            };
            for (id, object) in found {
                let Some(hint) = pending.get(&id) else {
                    continue;
                };
                let state = object.as_ref().map(|object| object.state);
                let agrees = hint.agrees(object_type, object.as_ref());
                // An answer from before the change says nothing of where it is now.
                if hint.agrees_on_fate(object_type, state) {
                    match object {
                        Some(object) => self.put(object),
                        None => self.tell(Change::Gone(object_type, id.clone())),
                    }
                }
                verdicts.insert(id, Verdict { state, agrees });
            }
        }
        verdicts
    }

    /// Reads the lists of a type, since much of it changed. A list that breaks off
    /// says nothing of what it did not come to.
    async fn relist(&self, object_type: ObjectType, pending: &HashMap<ObjectId, Hint>) -> Verdicts {
        let mut kinds = vec![Kind::Objects(object_type)];
        let mut states = vec![ObjectState::Live];
        if self.scope().has_bin(object_type) {
            kinds.push(Kind::Deleted(object_type));
            // First, so that what comes back meanwhile is found in the other list.
            states.insert(0, ObjectState::Deleted);
        }
        kinds.extend(super::bulk::expanded(object_type).map(Kind::Links));
        for kind in &kinds {
            self.tell(Change::Reread(*kind));
        }
        let mut seen = Verdicts::new();
        for state in states {
            self.read_list(object_type, state, &mut |object| {
                if let Some(hint) = pending.get(&object.id) {
                    let verdict = Verdict {
                        state: Some(object.state),
                        agrees: hint.agrees(object_type, Some(object)),
                    };
                    seen.insert(object.id.clone(), verdict);
                }
            })
            .await;
        }
        if kinds
            .iter()
            .any(|kind| self.records.problem_of(*kind).is_some())
        {
            return seen;
        }
        for (id, hint) in pending {
            if !seen.contains_key(id) {
                let agrees = hint.agrees(object_type, None);
                if agrees {
                    self.tell(Change::Gone(object_type, id.clone()));
                }
                seen.insert(
                    id.clone(),
                    Verdict {
                        state: None,
                        agrees,
                    },
                );
            }
        }
        seen
    }

    /// Notes how an object moved. What came out of the recycle bin brought links
    /// that were hidden when other objects were read.
    fn note_movement(
        &self,
        object_type: ObjectType,
        id: &ObjectId,
        hint: &mut Hint,
        verdict: Verdict,
    ) {
        let key = (object_type, id.clone());
        let movement = match verdict.state {
            None | Some(ObjectState::Deleted) => Movement::Went,
            Some(ObjectState::Live) => {
                // While a tenant is read as a whole, an object may go and come back
                // between two looks at it.
                let hidden = self.bin.lock().contains(&key)
                    || hint.was_deleted()
                    || !self.whole.lock().is_empty();
                if hidden {
                    hint.came = true;
                    self.back.lock().entry(key).or_insert(0);
                    Movement::Came
                } else {
                    Movement::Changed
                }
            }
        };
        self.moved(object_type, id, movement);
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

    /// Reads the announced relations again, and all of those objects that came out
    /// of the recycle bin; the objects whose relations do not agree.
    async fn settle_links(
        &self,
        object_type: ObjectType,
        pending: &HashMap<ObjectId, Hint>,
        verdicts: &Verdicts,
    ) -> HashSet<ObjectId> {
        let mut disagreeing = HashSet::new();
        if !self.scope().links {
            return disagreeing;
        }
        for kind in tracked(object_type) {
            let owners: Vec<ObjectId> = pending
                .iter()
                .filter(|(_, hint)| hint.came || hint.relations().contains(&kind))
                .filter(|(id, _)| verdicts.get(*id).is_some_and(|verdict| verdict.is_live()))
                .map(|(id, _)| id.clone())
                .collect();
            for chunk in owners.chunks(OWNERS) {
                self.settle_relation(kind, chunk, pending, &mut disagreeing)
                    .await;
            }
        }
        disagreeing
    }

    async fn settle_relation(
        &self,
        kind: LinkKind,
        owners: &[ObjectId],
        pending: &HashMap<ObjectId, Hint>,
        disagreeing: &mut HashSet<ObjectId>,
    ) {
        let query = |source: &ObjectId| Query::Links {
            kind,
            source: source.clone(),
        };
        let queries: Vec<Query> = owners.iter().map(query).collect();
        let (pages, effort) = measured(self.directory.first_pages(&queries)).await;
        self.records.spend_page(Kind::Links(kind), effort);
        let pages = match pages {
            Ok(pages) => pages,
            Err(error) => return self.records.failed(Kind::Links(kind), &error),
        };
        for ((source, query), page) in owners.iter().zip(&queries).zip(pages) {
            let Some(hint) = pending.get(source) else {
                continue;
            };
            let settled = match page {
                Ok(page) => self.settle_owner(kind, source, query, hint, page).await,
                Err(error) => Err(error),
            };
            match settled {
                Ok(true) => {}
                // It moved on, or has not arrived everywhere: looked at once more.
                Ok(false) | Err(GraphError::NotFound { .. }) => {
                    disagreeing.insert(source.clone());
                }
                Err(error) => self.records.failed(Kind::Links(kind), &error),
            }
        }
    }

    /// Takes one relation of one object; whether it agrees with what was announced.
    async fn settle_owner(
        &self,
        kind: LinkKind,
        source: &ObjectId,
        query: &Query,
        hint: &Hint,
        first: Page,
    ) -> Result<bool, GraphError> {
        let doubtful = hint.links(kind).any(|(_, said)| said.is_none());
        let large = first.next.is_some() && kind.spec().cardinality == Cardinality::Many;
        if large && !doubtful && !hint.came {
            // Too large to be read for a few links. What is announced is never older
            // than the state that it is announced from.
            self.apply_announced(kind, source, hint);
            return Ok(true);
        }
        let announced: HashSet<&ObjectId> = hint.links(kind).map(|(target, _)| target).collect();
        let present = self
            .reread_links(kind, source, query, first, &announced)
            .await?;
        let agrees = hint.agrees_on_links(kind, &present, |target| self.was_in_bin(target));
        if agrees {
            // A removed link of an object in the recycle bin would be kept as one
            // that is only hidden.
            self.apply_announced(kind, source, hint);
        }
        Ok(agrees)
    }

    /// Whether an object of any type is or was in the recycle bin.
    fn was_in_bin(&self, id: &ObjectId) -> bool {
        let bin = self.bin.lock();
        self.scope()
            .types
            .iter()
            .any(|object_type| bin.contains(&(*object_type, id.clone())))
    }

    fn apply_announced(&self, kind: LinkKind, source: &ObjectId, hint: &Hint) {
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

    /// Reads a relation to its end and tells of it, page by page; which of the
    /// `asked` objects are at its other end.
    pub(super) async fn reread_links(
        &self,
        kind: LinkKind,
        source: &ObjectId,
        query: &Query,
        first: Page,
        asked: &HashSet<&ObjectId>,
    ) -> Result<HashSet<ObjectId>, GraphError> {
        self.tell(Change::RereadLinksOf(kind, source.clone()));
        let mut present = HashSet::new();
        self.each_item(Kind::Links(kind), query, first, |item| {
            match wire::id(item) {
                Ok(target) => {
                    if asked.contains(&target) {
                        present.insert(target.clone());
                    }
                    self.tell(Change::Linked(Link {
                        kind,
                        source: source.clone(),
                        target,
                    }));
                }
                Err(what) => self.records.problem(
                    Kind::Links(kind),
                    format!("an entry in {} of {source} {what}", kind.spec().relation),
                ),
            }
        })
        .await?;
        Ok(present)
    }

    /// Goes through all items of a list whose first page is there.
    pub(super) async fn each_item(
        &self,
        kind: Kind,
        query: &Query,
        first: Page,
        mut take: impl FnMut(&serde_json::value::RawValue) + Send,
    ) -> Result<(), GraphError> {
        let mut page = first;
        let mut trail = Trail::default();
        loop {
            let count = page.items.len();
            page.items.iter().for_each(|item| take(item));
            self.report(kind, count);
            let Some(link) = page.next else {
                return Ok(());
            };
            if !trail.goes_on(&link) {
                return Err(trail.circle(kind.object_type()));
            }
            let (next, effort) = measured(self.directory.page(query, Some(&link))).await;
            self.records.spend_page(kind, effort);
            page = next?;
        }
    }

    /// Reads the links to the objects that came out of the recycle bin: they came
    /// back with them, and it is not promised that this is announced.
    pub(super) async fn read_back_all(&self) {
        let back = std::mem::take(&mut *self.back.lock());
        if !self.scope().links {
            return;
        }
        for ((object_type, id), attempts) in back {
            for kind in LinkKind::ALL {
                if reverse(kind).is_none()
                    || !self.scope().types.contains(&kind.source_type())
                    || !may_end_at(kind, object_type)
                {
                    continue;
                }
                match self.read_back(kind, object_type, &id).await {
                    Ok(()) => {}
                    // It went again, or has not arrived everywhere.
                    Err(GraphError::NotFound { .. }) if attempts < ATTEMPTS => {
                        let key = (object_type, id.clone());
                        self.back.lock().insert(key, attempts + 1);
                    }
                    Err(GraphError::NotFound { .. }) => {}
                    Err(error) => self.records.failed(Kind::Links(kind), &error),
                }
            }
        }
    }

    /// Reads the links of a kind to one object. Links are added only: a look from
    /// the other end may come too early to see all of them.
    async fn read_back(
        &self,
        kind: LinkKind,
        object_type: ObjectType,
        id: &ObjectId,
    ) -> Result<(), GraphError> {
        let query = Query::Sources {
            kind,
            target_type: object_type,
            target: id.clone(),
        };
        let (first, effort) = measured(self.directory.page(&query, None)).await;
        self.records.spend_page(Kind::Links(kind), effort);
        let wanted = format!("#microsoft.graph.{}", kind.source_type().name());
        self.each_item(Kind::Links(kind), &query, first?, |item| {
            match source_of(item, &wanted) {
                Ok(Some(source)) => self.tell(Change::Linked(Link {
                    kind,
                    source,
                    target: id.clone(),
                })),
                Ok(None) => {}
                Err(what) => self.records.problem(
                    Kind::Links(kind),
                    format!("an entry in what {id} belongs to {what}"),
                ),
            }
        })
        .await
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
fn source_of(item: &serde_json::value::RawValue, wanted: &str) -> Result<Option<ObjectId>, String> {
    #[derive(Deserialize)]
    struct Item {
        #[serde(default, rename = "@odata.type")]
        odata_type: Option<String>,
    }
    let id = wire::id(item)?;
    let Item { odata_type } =
        serde_json::from_str(item.get()).map_err(|_| "has another shape".to_owned())?;
    let fits = odata_type.is_none_or(|odata_type| odata_type == wanted);
    Ok(fits.then_some(id))
}

/// An object that was read alone, as a list would show it: public keys are shown
/// alone only, and are no difference.
fn as_listed(object: Object) -> Object {
    if !object.json.contains("\"keyCredentials\":[{") {
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
