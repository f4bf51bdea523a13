//! Reading a whole tenant: mark, read, catch up.
//!
//! First the change tokens are taken, then the kinds without them are read,
//! which in a real tenant takes a while because their quota is small, then
//! everything else in bulk; then changes are followed until a round brings none.
//! So a type that Graph tracks is recorded as it was at one moment, and what was
//! slow to become visible everywhere when the tokens were taken has had time.
//!
//! Owns the order of reading and the completeness record of each kind. A kind
//! that could not be read is recorded with its problem and costs no other kind;
//! it is never passed off as read; one that an earlier reading stands in for is
//! recorded with the time of that. Nothing is interpreted here: objects are
//! kept as they were sent, and told to the caller as they come.

mod bulk;
mod follow;
mod hint;
mod owners;
mod records;
mod settle;
mod stable;
mod trail;
mod yielded;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use model::catalogue::{Lane, LinkRead, Reading};
use model::snapshot::{Change, ChangeToken, Changes, Completeness, Content, Kind, Method, Past};
use model::{ObjectId, ObjectType};
use parking_lot::Mutex;

use crate::directory::{Collection, Directory, NextLink, selection};
use crate::error::GraphError;
use crate::retry::Sleeper;
use follow::Tracker;
use records::Records;

/// Kinds read at a time.
const AT_ONCE: usize = 8;
/// Rounds of changes before a tenant counts as one that never falls quiet.
const ROUNDS: usize = 16;
/// How long a kind waits for a quota that a restore has, where there is nothing
/// to put in its place.
const PATIENCE: Duration = Duration::from_secs(600);

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The types whose live objects are read.
    pub types: Vec<ObjectType>,
    /// Whether the links that start at these types are read.
    pub links: bool,
    /// Whether their soft-deleted objects are read.
    pub deleted: bool,
}

impl Scope {
    /// Everything that the catalogue knows.
    #[must_use]
    pub fn all() -> Self {
        Self {
            types: ObjectType::ALL.to_vec(),
            links: true,
            deleted: true,
        }
    }

    fn has_bin(&self, object_type: ObjectType) -> bool {
        self.deleted && object_type.spec().deleted.is_some()
    }
}

/// How much is read.
#[derive(Debug, Clone)]
pub enum Mode {
    /// Everything.
    Whole,
    /// What changed since; everything of a type whose changes cannot be followed.
    Since(Past),
    /// Everything, and what was announced as changed since, so that what was
    /// never announced shows.
    Reconcile(Past),
}

impl Mode {
    fn past(&self) -> Option<&Past> {
        match self {
            Self::Whole => None,
            Self::Since(past) | Self::Reconcile(past) => Some(past),
        }
    }
}

/// An order to read a tenant.
#[derive(Clone)]
pub struct Request {
    /// What to read.
    pub scope: Scope,
    /// How much of it.
    pub mode: Mode,
    /// Rounds of changes before a tenant counts as one that never falls quiet.
    pub rounds: usize,
    /// How waits between rounds are done.
    pub sleep: Sleeper,
    /// What the tenant was like at an earlier reading as a whole. From it are
    /// taken the kinds that cannot be read since a restore has their quota; from
    /// the past they are kept in any case.
    pub last: Option<Arc<Content>>,
    /// How long the reading waits for such a quota in all, where there is neither.
    pub patience: Duration,
    /// Whether a recycle bin that was empty is taken to be so still where nothing
    /// has left the list since: a request less in a lane of one a second, at the
    /// price of what was made and deleted in between.
    pub infer_empty_bins: bool,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("scope", &self.scope)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Everything that the catalogue knows.
    #[must_use]
    pub fn all(mode: Mode) -> Self {
        Self {
            scope: Scope::all(),
            mode,
            rounds: ROUNDS,
            sleep: Arc::new(|wait| Box::pin(tokio::time::sleep(wait))),
            last: None,
            patience: PATIENCE,
            infer_empty_bins: false,
        }
    }
}

/// How far the reading of one kind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The kind.
    pub kind: Kind,
    /// Objects or links read since the last time.
    pub added: u64,
}

/// What a reading says about itself.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// One record for each kind that was asked for.
    pub completeness: Vec<Completeness>,
    /// Where the changes of each type go on that was read completely.
    pub tokens: Vec<ChangeToken>,
    /// Objects whose reading does not agree with what was announced of them.
    pub unsettled: Vec<(ObjectType, ObjectId)>,
    /// Every object that was announced as changed.
    pub announced: HashSet<ObjectId>,
    /// The types that were read as a whole.
    pub whole: Vec<ObjectType>,
    /// The kinds that were read as a whole although the changes since the past were
    /// followed to the end: what differs and was not announced was missed before.
    pub reconciled: HashSet<Kind>,
}

/// The clock, as the collector asks it.
pub type Now<'a> = &'a (dyn Fn() -> DateTime<Utc> + Send + Sync);
/// Who is told of progress.
pub type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);
/// Who is told what was found; a later statement wins over an earlier one.
pub type Sink<'a> = &'a (dyn Fn(Change) + Send + Sync);

/// Reads the tenant.
///
/// # Errors
/// A [`GraphError`] only where nothing at all could be read; any other failure
/// is the problem of its kind in [`Outcome::completeness`].
pub async fn collect(
    directory: &dyn Directory,
    request: &Request,
    now: Now<'_>,
    progress: Told<'_>,
    sink: Sink<'_>,
) -> Result<Outcome, GraphError> {
    let run = Run {
        directory,
        request,
        now,
        progress,
        sink,
        records: Records::default(),
        bin: Mutex::new(
            request
                .mode
                .past()
                .map(|past| past.bin.clone())
                .unwrap_or_default(),
        ),
        announced: Mutex::default(),
        whole: Mutex::default(),
        live: Mutex::default(),
        back: Mutex::default(),
        waited: Mutex::default(),
    };
    for kind in run.kinds() {
        run.records.expect(kind, now());
    }
    let mut trackers = run.mark().await;
    run.read_untracked().await;
    run.read_in_bulk(&mut trackers).await;
    run.read_collections().await;
    run.follow(&mut trackers).await;
    run.read_moved_owners().await;
    run.finish(trackers)
}

/// Reads the tenant into memory; for tenants that fit there.
///
/// # Errors
/// As [`collect`].
pub async fn collect_content(
    directory: &dyn Directory,
    request: &Request,
    now: Now<'_>,
    progress: Told<'_>,
) -> Result<Content, GraphError> {
    let changes = Mutex::new(Changes::default());
    let outcome = collect(directory, request, now, progress, &|change| {
        changes.lock().apply(change);
    })
    .await?;
    let mut content = changes.into_inner().into_content(outcome.completeness);
    let mut completeness = std::mem::take(&mut content.completeness);
    let counts = content.counts();
    for record in &mut completeness {
        record.count = counts.get(&record.kind).copied().unwrap_or_default();
    }
    content.completeness = completeness;
    Ok(content)
}

/// One reading of a tenant.
struct Run<'a> {
    directory: &'a dyn Directory,
    request: &'a Request,
    now: Now<'a>,
    progress: Told<'a>,
    sink: Sink<'a>,
    records: Records,
    /// What is or was in the recycle bin, in the past reading or in this one.
    bin: Mutex<HashSet<(ObjectType, ObjectId)>>,
    /// What was announced as changed, with what became of it last.
    announced: Mutex<HashMap<ObjectId, (ObjectType, Movement)>>,
    /// Types read as a whole.
    whole: Mutex<Vec<ObjectType>>,
    /// Live objects listed of each type.
    live: Mutex<BTreeMap<ObjectType, usize>>,
    /// Objects that came out of the recycle bin, of which the links to them are
    /// still to be read; with how often that was tried.
    back: Mutex<BTreeMap<(ObjectType, ObjectId), u32>>,
    /// For how long a quota was waited for that a restore has.
    waited: Mutex<Duration>,
}

/// How an object moved during the reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Movement {
    /// It changed where it is.
    Changed,
    /// It came, anew or out of the recycle bin.
    Came,
    /// It went.
    Went,
}

impl Run<'_> {
    fn scope(&self) -> &Scope {
        &self.request.scope
    }

    /// Every kind that is to be read.
    fn kinds(&self) -> impl Iterator<Item = Kind> {
        let scope = self.scope();
        Kind::all().into_iter().filter(|kind| {
            let wanted = match kind {
                Kind::Objects(_) => true,
                Kind::Deleted(_) => scope.deleted,
                Kind::Links(_) => scope.links,
            };
            wanted && scope.types.contains(&kind.object_type())
        })
    }

    fn tell(&self, change: Change) {
        (self.sink)(change);
    }

    fn report(&self, kind: Kind, added: usize) {
        (self.progress)(Progress {
            kind,
            added: added as u64,
        });
    }

    /// The types that Graph tracks, each with where its changes go on: from the
    /// past where that is still good for it, else from now.
    async fn mark(&self) -> Vec<Tracker> {
        let tracked = self.scope().types.iter().copied().filter(|object_type| {
            object_type.spec().delta_path.is_some() && object_type.spec().reading == Reading::List
        });
        let marks: Vec<BoxFuture<'_, Option<Tracker>>> = tracked
            .map(|object_type| -> BoxFuture<'_, Option<Tracker>> {
                Box::pin(self.mark_type(object_type))
            })
            .collect();
        let trackers: Vec<Option<Tracker>> = stream::iter(marks).buffered(AT_ONCE).collect().await;
        let trackers: Vec<Tracker> = trackers.into_iter().flatten().collect();
        for tracker in trackers.iter().filter(|tracker| !tracker.whole) {
            for kind in kinds_of(self.scope(), tracker.object_type) {
                self.records.begin(kind, Method::Delta, (self.now)());
            }
        }
        trackers
    }

    /// `None` for a type whose changes cannot be followed and which can be read in
    /// another way.
    async fn mark_type(&self, object_type: ObjectType) -> Option<Tracker> {
        let past = self.request.mode.past();
        let kept = kept(&self.request.mode, object_type);
        let unsettled = past
            .into_iter()
            .flat_map(|past| &past.unsettled)
            .filter(|(of, _)| *of == object_type)
            .map(|(_, id)| id.clone());
        Some(match kept {
            Some(token) => Tracker::going_on(
                object_type,
                NextLink::new(token.link.clone()),
                unsettled.collect(),
                matches!(self.request.mode, Mode::Reconcile(_)),
            ),
            None => match self.mark_now(object_type).await {
                Err(error) if can_be_read_twice(object_type) => {
                    self.read_until_stable(object_type).await;
                    let text = format!("changes cannot be followed: {error}");
                    self.records.note(Kind::Objects(object_type), text);
                    return None;
                }
                mark => Tracker::anew(object_type, mark),
            },
        })
    }

    /// Kinds without change tracking that are read until two reads agree: those
    /// of the slow lane one after the other, the rest beside them.
    async fn read_untracked(&self) {
        let types = self.scope().types.iter().copied();
        let untracked = types.filter(|object_type| object_type.spec().is_untracked());
        let (slow, quick): (Vec<ObjectType>, Vec<ObjectType>) =
            untracked.partition(|object_type| object_type.spec().lane == Lane::ConditionalAccess);
        let mut lanes: Vec<BoxFuture<'_, ()>> = vec![Box::pin(async move {
            for object_type in slow {
                self.read_until_stable(object_type).await;
            }
        })];
        for object_type in quick {
            lanes.push(Box::pin(self.read_until_stable(object_type)));
        }
        stream::iter(lanes)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    /// The types whose changes are not followed from the past, read whole.
    async fn read_in_bulk(&self, trackers: &mut [Tracker]) {
        let whole = trackers.iter().filter(|tracker| tracker.whole);
        let bins: Vec<BoxFuture<'_, ()>> = whole
            .map(|tracker| -> BoxFuture<'_, ()> { Box::pin(self.begin_whole(tracker.object_type)) })
            .collect();
        stream::iter(bins)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
        let whole = trackers.iter_mut().filter(|tracker| tracker.whole);
        let reads: Vec<BoxFuture<'_, ()>> = whole
            .map(|tracker| -> BoxFuture<'_, ()> { Box::pin(self.read_whole(tracker)) })
            .collect();
        stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    /// What is read owner by owner.
    async fn read_collections(&self) {
        let reads: Vec<BoxFuture<'_, ()>> = self
            .collections()
            .map(|collection| -> BoxFuture<'_, ()> { Box::pin(self.read_collection(collection)) })
            .collect();
        stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    /// The collections in scope.
    fn collections(&self) -> impl Iterator<Item = Collection> {
        let scope = self.scope();
        let links = scope.types.iter().filter(|_| scope.links);
        let links = links
            .flat_map(|object_type| object_type.spec().links)
            .filter(|link| matches!(link.read, LinkRead::ExpandFirst | LinkRead::PerOwner))
            .map(|link| Collection::Links(link.kind));
        let contained = scope
            .types
            .iter()
            .filter(|object_type| matches!(object_type.spec().reading, Reading::Contained { .. }))
            .map(|object_type| Collection::Contained(*object_type));
        links.chain(contained)
    }

    fn finish(self, trackers: Vec<Tracker>) -> Result<Outcome, GraphError> {
        if let Some(error) = self.records.nothing_read() {
            return Err(error);
        }
        let mut outcome = Outcome {
            completeness: self.records.into_completeness(),
            announced: self.announced.into_inner().into_keys().collect(),
            whole: self.whole.into_inner(),
            ..Outcome::default()
        };
        for tracker in trackers {
            // A token that tracks what was not read would pass it off as read.
            let scope = Scope {
                links: true,
                deleted: true,
                ..self.request.scope.clone()
            };
            let complete = kinds_of(&scope, tracker.object_type).all(|kind| {
                let record = outcome
                    .completeness
                    .iter()
                    .find(|record| record.kind == kind);
                record.is_some_and(Completeness::is_complete)
            });
            outcome
                .unsettled
                .extend(tracker.unsettled().map(|id| (tracker.object_type, id)));
            let Some(link) = tracker.link.filter(|_| complete) else {
                continue;
            };
            if is_reconciled(&self.request.mode, tracker.object_type, &outcome.whole) {
                let kinds = kinds_of(&self.request.scope, tracker.object_type);
                outcome.reconciled.extend(kinds);
            }
            outcome.tokens.push(ChangeToken {
                object_type: tracker.object_type,
                selection: selection(tracker.object_type),
                link: link.as_str().to_owned(),
            });
        }
        Ok(outcome)
    }
}

/// Whether a type is one list and nothing else, so that two equal readings of it
/// are as good as its changes.
fn can_be_read_twice(object_type: ObjectType) -> bool {
    object_type.spec().deleted.is_none() && object_type.spec().links.is_empty()
}

/// Where the changes of a type go on from the past, where that is still good for it.
fn kept(mode: &Mode, object_type: ObjectType) -> Option<&ChangeToken> {
    let mut tokens = mode.past().into_iter().flat_map(|past| &past.tokens);
    tokens
        .find(|token| token.object_type == object_type && token.selection == selection(object_type))
}

/// Whether a type was read as a whole beside the changes that were followed from
/// the past. One that was started over, and read once more, was not.
fn is_reconciled(mode: &Mode, object_type: ObjectType, whole: &[ObjectType]) -> bool {
    let readings = whole.iter().filter(|read| **read == object_type).count();
    matches!(mode, Mode::Reconcile(_)) && kept(mode, object_type).is_some() && readings == 1
}

/// The kinds that a type's change tokens track.
fn kinds_of(scope: &Scope, object_type: ObjectType) -> impl Iterator<Item = Kind> {
    let bin = scope
        .has_bin(object_type)
        .then_some(Kind::Deleted(object_type));
    let links = crate::directory::tracked(object_type).filter(|_| scope.links);
    std::iter::once(Kind::Objects(object_type))
        .chain(bin)
        .chain(links.map(Kind::Links))
}
