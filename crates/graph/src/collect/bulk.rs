//! Whole lists, page by page: a type that is read as if for the first time.
//!
//! An expanded relation is taken out of the objects and becomes links, so that
//! an object's text is the same whichever way it was read.

use model::catalogue::LinkRead;
use model::snapshot::{Change, Kind, Method};
use model::{Link, LinkKind, Object, ObjectState, ObjectType};
use serde_json::value::RawValue;

use super::follow::Tracker;
use super::trail::Trail;
use super::{Movement, Run};
use crate::busy::busy;
use crate::changes::shows_links;
use crate::directory::{ChangeNext, ChangesFrom, NextLink, Presence, Query};
use crate::error::GraphError;
use crate::json as wire;
use crate::meter::measured;

/// The relations that come inside the objects of a list.
pub(super) fn expanded(object_type: ObjectType) -> impl Iterator<Item = LinkKind> {
    let links = object_type.spec().links.iter();
    links
        .filter(|link| link.read == LinkRead::Expand)
        .map(|link| link.kind)
}

/// The relations that the first round of the delta function shows.
fn shown(object_type: ObjectType) -> impl Iterator<Item = LinkKind> {
    let links = object_type.spec().links.iter();
    links
        .filter(|link| link.read == LinkRead::Delta)
        .map(|link| link.kind)
}

/// A link that came inside an object, or what is wrong with it.
pub(super) type Inside = Result<Link, (LinkKind, String)>;

/// Takes an object of a list and the links inside it.
pub(super) fn take_apart(
    item: &RawValue,
    object_type: ObjectType,
    state: ObjectState,
) -> Result<(Object, Vec<Inside>), String> {
    let relations: Vec<&str> = expanded(object_type)
        .map(|kind| kind.spec().relation)
        .collect();
    let apart =
        model::json::apart(item.get(), &relations).map_err(|_| "is no json object".to_owned())?;
    let object =
        Object::from_apart(object_type, state, &apart).map_err(|error| wire::reason(&error))?;
    let link = |kind: LinkKind| {
        let relation = kind.spec().relation;
        let value = apart.member(relation)?;
        Some(match wire::id(value) {
            Ok(target) => Ok(Link {
                kind,
                source: object.id.clone(),
                target,
            }),
            Err(what) => Err((kind, format!("{relation} of {} {what}", object.id))),
        })
    };
    let links = expanded(object_type).filter_map(link).collect();
    Ok((object, links))
}

impl Run<'_> {
    /// The token of now; `None` where the type cannot be tracked, which is noted
    /// when it is read.
    pub(super) async fn mark_now(
        &self,
        object_type: ObjectType,
    ) -> Result<Option<NextLink>, GraphError> {
        let page = self
            .directory
            .changes(object_type, &ChangesFrom::Now)
            .await?;
        Ok(match page.next {
            ChangeNext::Round(link) => Some(link),
            // More to read where nothing was asked for: not what is documented.
            ChangeNext::Page(_) => None,
        })
    }

    /// Begins to read everything of a type, with its recycle bin: what comes back
    /// from there while the rest is read has links that the rest cannot show.
    pub(super) async fn begin_whole(&self, object_type: ObjectType) {
        self.whole.lock().push(object_type);
        for kind in super::kinds_of(self.scope(), object_type) {
            self.records.begin(kind, Method::SingleRead, (self.now)());
            self.tell(Change::Reread(kind));
        }
        if self.scope().has_bin(object_type) {
            self.read_list(object_type, ObjectState::Deleted, &mut |_| {})
                .await;
        }
    }

    /// Reads everything else of a type.
    pub(super) async fn read_whole(&self, tracker: &mut Tracker) {
        let object_type = tracker.object_type;
        self.read_list(object_type, ObjectState::Live, &mut |_| {})
            .await;
        if self.scope().links && shows_links(object_type) {
            self.read_shown_links(object_type).await;
        }
        if let Some(error) = &tracker.unmarked {
            let text = format!("changes cannot be followed: {error}");
            for kind in super::kinds_of(self.scope(), object_type) {
                self.records.problem(kind, text.as_str());
            }
        }
    }

    /// Reads a list to its end, or to its first failure; `seen` is shown each object.
    pub(super) async fn read_list(
        &self,
        object_type: ObjectType,
        state: ObjectState,
        seen: &mut (dyn FnMut(&Object) + Send),
    ) {
        let (kind, query) = match state {
            ObjectState::Live => (Kind::Objects(object_type), Query::Objects(object_type)),
            ObjectState::Deleted => (Kind::Deleted(object_type), Query::Deleted(object_type)),
        };
        let with_links = state == ObjectState::Live && self.scope().links;
        let item = move |item: &RawValue| {
            let (object, links) = take_apart(item, object_type, state)?;
            match is_hollow(&object) {
                true => Err(format!("came without its properties ({})", object.id)),
                false => Ok((object, links)),
            }
        };
        let mut pages = 0;
        let failure = self
            .for_each_page(kind, &query, item, |items| {
                pages += 1;
                for (index, item) in items.into_iter().enumerate() {
                    match item {
                        Ok((object, links)) => {
                            seen(&object);
                            if state == ObjectState::Live {
                                *self.live.lock().entry(object_type).or_default() += 1;
                            }
                            self.put(object);
                            self.take_links(links, with_links);
                        }
                        Err(what) => self
                            .records
                            .problem(kind, format!("object {} of page {pages} {what}", index + 1)),
                    }
                }
            })
            .await;
        if state == ObjectState::Live
            && (failure.is_err() || self.records.problem_of(kind).is_some())
        {
            let problem = self.records.problem_of(kind).unwrap_or_default();
            for link in expanded(object_type) {
                self.records.problem(Kind::Links(link), problem.clone());
            }
        }
    }

    fn take_links(&self, links: Vec<Inside>, wanted: bool) {
        for link in links.into_iter().filter(|_| wanted) {
            match link {
                Ok(link) => {
                    self.tell(Change::Linked(link));
                }
                Err((kind, what)) => self.records.problem(Kind::Links(kind), what),
            }
        }
    }

    /// Tells of an object, and notes what was ever in the recycle bin.
    pub(super) fn put(&self, object: Object) {
        if object.state == ObjectState::Deleted {
            self.bin
                .lock()
                .insert((object.object_type, object.id.clone()));
        }
        self.tell(Change::Put(object));
    }

    /// Reads a list page by page, each item by `item` and each page of them by
    /// `take`; the next page is on its way meanwhile.
    pub(super) async fn for_each_page<T: Send + 'static>(
        &self,
        kind: Kind,
        query: &Query,
        item: impl Fn(&RawValue) -> T + Copy + Send + 'static,
        mut take: impl FnMut(Vec<T>) + Send,
    ) -> Result<(), GraphError> {
        if let Some(error) = self.records.hopeless() {
            self.records.failed(kind, &error);
            return Err(error);
        }
        let (first, effort) = measured(self.directory.page(query, None)).await;
        self.records.spend_page(kind, effort);
        let mut answer = first;
        let mut trail = Trail::default();
        let outcome = loop {
            let mut page = match answer {
                Ok(page) => page,
                Err(error) => {
                    self.records.failed(kind, &error);
                    break Err(error);
                }
            };
            self.records.reached();
            let count = page.items.len();
            let next = page.next.take();
            let bytes = page.items.iter().map(|item| item.get().len()).sum();
            let items = busy(bytes, move || {
                page.items.iter().map(|raw| item(raw)).collect()
            });
            let Some(next) = next else {
                take(items.await);
                self.report(kind, count);
                break Ok(());
            };
            if !trail.goes_on(&next) {
                let error = trail.circle(kind.object_type());
                self.records.failed(kind, &error);
                break Err(error);
            }
            let ahead = measured(self.directory.page(query, Some(&next)));
            let taking = async {
                take(items.await);
                self.report(kind, count);
            };
            let ((following, effort), ()) = futures::join!(ahead, taking);
            self.records.spend_page(kind, effort);
            answer = following;
        };
        self.records.end(kind, (self.now)());
        outcome
    }

    /// Reads the links that the first round of a delta function shows.
    async fn read_shown_links(&self, object_type: ObjectType) {
        let kinds: Vec<Kind> = shown(object_type).map(Kind::Links).collect();
        let Some(first) = kinds.first().copied() else {
            return;
        };
        let mut from = ChangesFrom::Links;
        let mut trail = Trail::default();
        loop {
            let (page, effort) = measured(self.directory.changes(object_type, &from)).await;
            self.records.spend_page(first, effort);
            let page = page.and_then(|page| match &page.next {
                ChangeNext::Page(next) if !trail.goes_on(next) => Err(trail.circle(object_type)),
                _ => Ok(page),
            });
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    for kind in &kinds {
                        self.records.failed(*kind, &error);
                    }
                    break;
                }
            };
            self.records.reached();
            let mut count = 0;
            for item in page.items {
                for (kind, target, presence) in item.links {
                    if presence == Presence::Absent {
                        continue;
                    }
                    count += 1;
                    self.tell(Change::Linked(Link {
                        kind,
                        source: item.id.clone(),
                        target,
                    }));
                }
            }
            self.report(first, count);
            match page.next {
                ChangeNext::Round(_) => break,
                ChangeNext::Page(next) => from = ChangesFrom::Link(next),
            }
        }
        for kind in kinds {
            self.records.end(kind, (self.now)());
        }
    }

    /// Notes how an object moved.
    pub(super) fn moved(&self, object_type: ObjectType, object: &model::ObjectId, how: Movement) {
        let mut announced = self.announced.lock();
        let entry = announced
            .entry(object.clone())
            .or_insert((object_type, how));
        // What came and then changed has come.
        if how != Movement::Changed {
            entry.1 = how;
        }
    }
}

/// Whether an object came without what every object of its type has. That is how
/// Graph answers where the application may not read more; its nulls are no values.
fn is_hollow(object: &Object) -> bool {
    let name = match object.object_type {
        ObjectType::User => "userPrincipalName",
        ObjectType::Application | ObjectType::ServicePrincipal => "appId",
        ObjectType::Group => "displayName",
        _ => return false,
    };
    // Compact JSON, as Graph sends it, is looked at as text.
    if object.json.contains(&format!("\"{name}\":\"")) {
        return false;
    }
    !object
        .body()
        .get(name)
        .is_some_and(serde_json::Value::is_string)
}
