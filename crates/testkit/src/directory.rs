//! A directory in memory, for tests: reads and writes like Graph, fails on
//! command, and remembers what it was asked.
//!
//! It imitates what the contract suite checks and the quirks that matter to a
//! restore (recycle bin, read-only properties, references). It never invents
//! an answer: a write that it does not know is refused.
//!
//! Objects that others contain carry [`OWNER`](model::catalogue::OWNER) as the
//! collector stores them, and are listed together while their owners are live;
//! Graph lists them owner by owner.

mod changes;
pub mod contract;
mod state;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use graph::{
    AuditPage, ChangePage, ChangesFrom, Directory, DirectoryWriter, GraphError, LaneUse, NextLink,
    Page, Query, Sent,
};
use model::call::Call;
use model::catalogue::{Lane, Reading};
use model::posture::{self, Role};
use model::snapshot::{Content, Kind};
use model::{Link, Object, ObjectId, ObjectState, ObjectType};
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::RawValue;

use state::State;

/// One thing that the directory is asked.
#[derive(Debug, Clone)]
pub enum Request<'a> {
    /// A token, for what it says.
    Token,
    /// The subscriptions.
    Skus,
    /// One page of a list, alone or in a batch.
    Page(&'a Query),
    /// What changed in a type.
    Changes(ObjectType, &'a ChangesFrom),
    /// One object.
    Read(ObjectType, ObjectState, &'a ObjectId),
    /// Which ids exist.
    Existing,
    /// The role templates.
    RoleTemplates,
    /// The roles, or the actions that they allow.
    Roles,
    /// Which application ids exist.
    AppIds,
    /// The audit log.
    Audits,
    /// A write.
    Write(&'a Call),
}

/// How often the directory was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pages, those of batches included.
    pub pages: usize,
    /// Single objects.
    pub reads: usize,
    /// Questions for tokens, ids, templates, subscriptions and the audit log.
    pub lookups: usize,
    /// Writes, refused ones included.
    pub writes: usize,
}

type Matcher = Box<dyn Fn(&Request<'_>) -> bool + Send>;

enum Action {
    FailOnce(GraphError),
    FailAlways(GraphError),
    Run(Box<dyn FnOnce(&FakeDirectory) + Send>),
}

/// The fake.
pub struct FakeDirectory {
    state: Mutex<State>,
    rules: Mutex<Vec<(Matcher, Action)>>,
    calls: Mutex<Vec<Call>>,
    counts: Mutex<Counts>,
    lane_use: Mutex<LaneUse>,
    page_size: usize,
}

impl fmt::Debug for FakeDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDirectory")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl FakeDirectory {
    /// A directory that holds the objects and links of `content`.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self {
            state: Mutex::new(State::new(content)),
            rules: Mutex::default(),
            calls: Mutex::default(),
            counts: Mutex::default(),
            lane_use: Mutex::new(LaneUse::Share),
            page_size: 100,
        }
    }

    /// The same, with pages of that size.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size.max(1);
        self
    }

    /// The same, with these subscriptions.
    #[must_use]
    pub fn with_skus(self, skus: Vec<Value>) -> Self {
        self.state.lock().skus = skus;
        self
    }

    /// The same, with a token that carries these application permissions;
    /// without, it does not say which.
    #[must_use]
    pub fn with_granted<'a>(self, roles: impl IntoIterator<Item = &'a str>) -> Self {
        let roles = roles.into_iter().map(str::to_owned).collect();
        self.state.lock().granted = Some(roles);
        self
    }

    /// The same, with these role templates.
    #[must_use]
    pub fn with_role_templates(self, ids: impl IntoIterator<Item = ObjectId>) -> Self {
        self.state.lock().role_templates.extend(ids);
        self
    }

    /// What the directory holds now; without completeness records.
    #[must_use]
    pub fn content(&self) -> Content {
        self.state.lock().content()
    }

    /// Puts an object there, or in place of the one with its id, behind everyone's back.
    pub fn put(&self, object: Object) {
        self.state.lock().put(object);
    }

    /// Takes an object away for good, behind everyone's back.
    pub fn purge(&self, object_type: ObjectType, id: &ObjectId) {
        self.state.lock().purge(object_type, id);
    }

    /// Adds a link behind everyone's back.
    pub fn link(&self, link: Link) {
        self.state.lock().links.insert(link);
    }

    /// Removes a link behind everyone's back.
    pub fn unlink(&self, link: &Link) {
        self.state.lock().links.remove(link);
    }

    /// Serves one more item in the lists of a kind, just as it is written.
    ///
    /// # Panics
    /// Where `item` is not JSON.
    pub fn serve_raw(&self, kind: Kind, item: &str) {
        let item = RawValue::from_string(item.to_owned()).expect("the item is JSON");
        self.state.lock().raw.push((kind, item));
    }

    /// Honours no change token that was given out before.
    pub fn forget_tokens(&self) {
        let mut state = self.state.lock();
        state.forgotten += state.marks.len();
        state.marks.clear();
    }

    /// Fails the next request that matches.
    pub fn fail_next(
        &self,
        matcher: impl Fn(&Request<'_>) -> bool + Send + 'static,
        error: GraphError,
    ) {
        self.rules
            .lock()
            .push((Box::new(matcher), Action::FailOnce(error)));
    }

    /// Fails every request that matches.
    pub fn fail_always(
        &self,
        matcher: impl Fn(&Request<'_>) -> bool + Send + 'static,
        error: GraphError,
    ) {
        self.rules
            .lock()
            .push((Box::new(matcher), Action::FailAlways(error)));
    }

    /// Does something right before the next request that matches is served.
    pub fn before_next(
        &self,
        matcher: impl Fn(&Request<'_>) -> bool + Send + 'static,
        action: impl FnOnce(&Self) + Send + 'static,
    ) {
        self.rules
            .lock()
            .push((Box::new(matcher), Action::Run(Box::new(action))));
    }

    /// Every write that was asked for, in order, refused ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// How often the directory was asked.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    /// What may be done with the Conditional Access quota, as was said last.
    #[must_use]
    pub fn lane_use(&self) -> LaneUse {
        *self.lane_use.lock()
    }

    /// Counts a request and applies the rules to it.
    fn enter(&self, request: &Request<'_>) -> Result<(), GraphError> {
        if self.lane_use() == LaneUse::Refuse && is_slow(request) {
            let path = "/identity/conditionalAccess".to_owned();
            return Err(GraphError::Yielded { path });
        }
        {
            let mut counts = self.counts.lock();
            match request {
                Request::Page(_) | Request::Changes(..) => counts.pages += 1,
                Request::Read(..) => counts.reads += 1,
                Request::Write(_) => counts.writes += 1,
                Request::Token
                | Request::Skus
                | Request::Existing
                | Request::RoleTemplates
                | Request::Roles
                | Request::AppIds
                | Request::Audits => {
                    counts.lookups += 1;
                }
            }
        }
        // One rule a request: what an action adds is for later requests.
        let mut rules = self.rules.lock();
        let Some(index) = rules.iter().position(|(matcher, _)| matcher(request)) else {
            return Ok(());
        };
        if let Action::FailAlways(error) = &rules[index].1 {
            return Err(error.clone());
        }
        let (_, action) = rules.remove(index);
        drop(rules);
        match action {
            Action::Run(action) => action(self),
            Action::FailOnce(error) | Action::FailAlways(error) => return Err(error),
        }
        Ok(())
    }

    fn serve(&self, query: &Query, next: Option<&NextLink>) -> Result<Page, GraphError> {
        self.enter(&Request::Page(query))?;
        let items = self.state.lock().items(query)?;
        let start = match next {
            None => 0,
            Some(link) => link.as_str().parse().map_err(|_| GraphError::Unexpected {
                what: "the link is none of this directory".to_owned(),
                path: query.kind().name(),
            })?,
        };
        let end = items.len().min(start + self.page_size);
        let next = (end < items.len()).then(|| NextLink::new(end.to_string()));
        Ok(Page {
            items: items.get(start..end).unwrap_or_default().to_vec(),
            next,
        })
    }
}

/// Whether a request draws on the quota of Conditional Access.
fn is_slow(request: &Request<'_>) -> bool {
    let object_type = match request {
        Request::Page(query) => query.kind().object_type(),
        Request::Read(object_type, ..) => *object_type,
        Request::Write(call) => return call.path.starts_with("/identity/conditionalAccess/"),
        _ => return false,
    };
    object_type.spec().lane == Lane::ConditionalAccess
}

/// Whether Graph has objects of the type only inside others.
fn is_contained(object_type: ObjectType) -> bool {
    matches!(object_type.spec().reading, Reading::Contained { .. })
}

#[async_trait]
impl Directory for FakeDirectory {
    fn use_conditional_access(&self, lane_use: LaneUse) {
        *self.lane_use.lock() = lane_use;
    }

    async fn granted(&self) -> Result<Option<BTreeSet<String>>, GraphError> {
        self.enter(&Request::Token)?;
        Ok(self.state.lock().granted.clone())
    }

    async fn try_read(&self, object_type: ObjectType) -> Result<(), GraphError> {
        let listed = match object_type.spec().reading {
            Reading::Contained { owner, .. } => owner,
            Reading::List | Reading::Singleton => object_type,
        };
        self.serve(&Query::Objects(listed), None).map(drop)
    }

    async fn subscribed_skus(&self) -> Result<Vec<Value>, GraphError> {
        self.enter(&Request::Skus)?;
        Ok(self.state.lock().skus.clone())
    }

    async fn page(&self, query: &Query, next: Option<&NextLink>) -> Result<Page, GraphError> {
        self.serve(query, next)
    }

    async fn changes(
        &self,
        object_type: ObjectType,
        from: &ChangesFrom,
    ) -> Result<ChangePage, GraphError> {
        self.enter(&Request::Changes(object_type, from))?;
        changes::answer(&mut self.state.lock(), object_type, from)
    }

    async fn first_pages(
        &self,
        queries: &[Query],
    ) -> Result<Vec<Result<Page, GraphError>>, GraphError> {
        Ok(queries
            .iter()
            .map(|query| self.serve(query, None))
            .collect())
    }

    async fn read_many(
        &self,
        ids: &[(ObjectType, ObjectState, ObjectId)],
    ) -> Result<Vec<Result<Option<Object>, GraphError>>, GraphError> {
        let read = |(object_type, state, id): &(ObjectType, ObjectState, ObjectId)| {
            self.enter(&Request::Read(*object_type, *state, id))?;
            if is_contained(*object_type) {
                return Err(GraphError::Refused {
                    what: "an object that another contains is not read by its id".to_owned(),
                    path: object_type.name().to_owned(),
                });
            }
            Ok(self.state.lock().object(*object_type, *state, id))
        };
        Ok(ids.iter().map(read).collect())
    }

    async fn existing(&self, ids: &[ObjectId]) -> Result<HashMap<ObjectId, String>, GraphError> {
        self.enter(&Request::Existing)?;
        let state = self.state.lock();
        Ok(ids
            .iter()
            .filter_map(|id| {
                state
                    .directory_type(id)
                    .map(|name| (id.clone(), format!("#microsoft.graph.{name}")))
            })
            .collect())
    }

    async fn role_template_ids(&self) -> Result<HashSet<ObjectId>, GraphError> {
        self.enter(&Request::RoleTemplates)?;
        Ok(self.state.lock().role_templates.clone())
    }

    /// It has no roles but by their templates, so there are no actions.
    async fn protected_actions(&self) -> Result<Vec<posture::Action>, GraphError> {
        self.enter(&Request::Roles)?;
        Ok(Vec::new())
    }

    /// The same.
    async fn roles(&self) -> Result<Vec<Role>, GraphError> {
        self.enter(&Request::Roles)?;
        Ok(Vec::new())
    }

    async fn existing_app_ids(&self, app_ids: &[String]) -> Result<HashSet<String>, GraphError> {
        self.enter(&Request::AppIds)?;
        let known = self.state.lock().app_ids();
        Ok(app_ids
            .iter()
            .filter(|id| known.contains(*id))
            .cloned()
            .collect())
    }

    /// It keeps no log, so what there is of it is empty.
    async fn audits(
        &self,
        _: DateTime<Utc>,
        _: DateTime<Utc>,
        _: Option<&NextLink>,
    ) -> Result<AuditPage, GraphError> {
        self.enter(&Request::Audits)?;
        Ok(AuditPage::default())
    }
}

#[async_trait]
impl DirectoryWriter for FakeDirectory {
    fn application(&self) -> &str {
        "00000000-0000-4000-8000-00000000fa4e"
    }

    async fn send(&self, call: &Call) -> Sent {
        let carry_out = || {
            graph::refuse_purge(call)?;
            self.calls.lock().push(call.clone());
            self.enter(&Request::Write(call))?;
            write::apply(&mut self.state.lock(), call)
        };
        Sent {
            answer: carry_out(),
            request_id: Some("fake".to_owned()),
        }
    }
}
