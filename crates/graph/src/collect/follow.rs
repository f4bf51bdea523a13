//! Following changes, round after round, until the tenant falls quiet.
//!
//! A round asks each tracked type what changed. Where none has anything to say,
//! what was read before is true of the moment at which the round began.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use model::snapshot::{Kind, Method};
use model::{ObjectId, ObjectType};

use super::hint::Hint;
use super::trail::Trail;
use super::{AT_ONCE, Run, kinds_of};
use crate::directory::{ChangeNext, ChangesFrom, NextLink};
use crate::error::GraphError;
use crate::meter::measured;

/// Rounds in which readings may disagree with what was announced before the rest
/// is left to the next snapshot.
const PATIENCE: u32 = 6;
/// The first wait for a change to become visible everywhere; it doubles.
const WAIT: Duration = Duration::from_millis(500);
/// How often a type is started over in one reading.
const RESTARTS: usize = 2;
/// Rounds that only repeat what was said before, after which there is no point
/// in waiting for one that says nothing.
const ECHOES: usize = 3;

/// One type whose changes are followed.
#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) object_type: ObjectType,
    /// Where its changes go on; `None` where they cannot be followed.
    pub(super) link: Option<NextLink>,
    /// Whether everything of it is to be read.
    pub(super) whole: bool,
    /// Why its changes cannot be followed.
    pub(super) unmarked: Option<String>,
    /// What is still to be read, or to be read again.
    pub(super) pending: HashMap<ObjectId, Hint>,
    /// What was said last of each object, to know an echo.
    said: HashMap<ObjectId, u64>,
    /// Whether the link is one of an earlier reading that was not followed yet.
    inherited: bool,
    restarts: usize,
}

impl Tracker {
    /// A type whose changes are followed from an earlier reading.
    pub(super) fn going_on(
        object_type: ObjectType,
        link: NextLink,
        unsettled: Vec<ObjectId>,
        whole: bool,
    ) -> Self {
        let pending = unsettled
            .into_iter()
            .map(|id| (id, Hint::to_read()))
            .collect();
        Self {
            whole,
            pending,
            inherited: true,
            ..Self::anew(object_type, Ok(Some(link)))
        }
    }

    /// A type that is read as if for the first time.
    pub(super) fn anew(
        object_type: ObjectType,
        mark: Result<Option<NextLink>, GraphError>,
    ) -> Self {
        let (link, unmarked) = match mark {
            Ok(Some(link)) => (Some(link), None),
            Ok(None) => (None, Some("graph gave no change token".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            object_type,
            link,
            whole: true,
            unmarked,
            pending: HashMap::new(),
            said: HashMap::new(),
            inherited: false,
            restarts: 0,
        }
    }

    /// The objects whose readings still disagree with what was announced.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = ObjectId> {
        self.pending.keys().cloned()
    }
}

/// What one asking brought.
#[derive(Debug, Clone, Copy, Default)]
struct News {
    /// Announcements that were not made before in this reading.
    new: usize,
    /// Announcements that repeat the last one of their object.
    echoes: usize,
}

impl Run<'_> {
    /// Follows the changes of all types until a round brings none.
    pub(super) async fn follow(&self, trackers: &mut [Tracker]) {
        for tracker in trackers.iter().filter(|tracker| tracker.link.is_some()) {
            for kind in kinds_of(self.scope(), tracker.object_type) {
                self.records
                    .amend(kind, |record| record.method = Method::Delta);
            }
        }
        let (mut idle, mut echoes) = (0, 0);
        // Since when every reading agreed with what was announced.
        let mut calm = (self.now)();
        for _ in 0..self.request.rounds {
            let waiting = self.is_waiting(trackers);
            if waiting && idle > 0 {
                (self.request.sleep)(WAIT * 2_u32.pow(idle)).await;
            }
            let moment = (self.now)();
            if !waiting {
                calm = moment;
            }
            let news = self.ask_all(trackers).await;
            if news.new == 0 && !waiting && news.echoes == 0 {
                return self.record_window(trackers, moment, moment);
            }
            self.settle_all(trackers).await;
            // What the last rounds brought is true of some moment since the calm.
            self.record_window(trackers, calm, (self.now)());
            if news.new > 0 {
                (idle, echoes) = (0, 0);
                continue;
            }
            if waiting {
                idle += 1;
            } else {
                echoes += 1;
            }
            if echoes == ECHOES {
                return;
            }
            if idle == PATIENCE {
                return self.note_pending(trackers);
            }
        }
        self.note_all(trackers, "the tenant did not fall quiet while it was read");
    }

    /// Whether something is still to be read, or to be read again.
    fn is_waiting(&self, trackers: &[Tracker]) -> bool {
        !self.back.lock().is_empty() || trackers.iter().any(|tracker| !tracker.pending.is_empty())
    }

    fn note_pending(&self, trackers: &[Tracker]) {
        for tracker in trackers
            .iter()
            .filter(|tracker| !tracker.pending.is_empty())
        {
            let text = format!(
                "{} changes had not become visible; the next snapshot looks again",
                tracker.pending.len()
            );
            for kind in kinds_of(self.scope(), tracker.object_type) {
                self.records.note(kind, text.as_str());
            }
        }
    }

    async fn ask_all(&self, trackers: &mut [Tracker]) -> News {
        let asks: Vec<BoxFuture<'_, News>> = trackers
            .iter_mut()
            .filter(|tracker| tracker.link.is_some())
            .map(|tracker| -> BoxFuture<'_, News> { Box::pin(self.ask(tracker)) })
            .collect();
        let news: Vec<News> = stream::iter(asks).buffer_unordered(AT_ONCE).collect().await;
        news.into_iter().fold(News::default(), |sum, news| News {
            new: sum.new + news.new,
            echoes: sum.echoes + news.echoes,
        })
    }

    /// Asks one type what changed, to the end of the round.
    async fn ask(&self, tracker: &mut Tracker) -> News {
        let object_type = tracker.object_type;
        let kind = Kind::Objects(object_type);
        let mut news = News::default();
        let Some(mut link) = tracker.link.clone() else {
            return news;
        };
        let mut trail = Trail::default();
        loop {
            let from = ChangesFrom::Link(link.clone());
            let (page, effort) = measured(self.directory.changes(object_type, &from)).await;
            self.records.spend_page(kind, effort);
            let page = page.and_then(|page| match &page.next {
                ChangeNext::Page(next) if !trail.goes_on(next) => Err(trail.circle(object_type)),
                _ => Ok(page),
            });
            let page = match page {
                Ok(page) => page,
                Err(error) if tracker.restarts < RESTARTS && is_worthless(tracker, &error) => {
                    self.start_over(tracker).await;
                    news.new += 1;
                    return news;
                }
                Err(error) => {
                    for kind in kinds_of(self.scope(), object_type) {
                        self.records.failed(kind, &error);
                    }
                    tracker.link = None;
                    tracker.pending.clear();
                    return news;
                }
            };
            tracker.inherited = false;
            self.records.reached();
            for item in &page.items {
                let words = words_of(item.body.get());
                if tracker.said.insert(item.id.clone(), words) == Some(words) {
                    news.echoes += 1;
                } else {
                    news.new += 1;
                }
                tracker
                    .pending
                    .entry(item.id.clone())
                    .or_default()
                    .add(item);
            }
            self.report(kind, page.items.len());
            if self.is_much(object_type, tracker.pending.len()) {
                tracker
                    .pending
                    .values_mut()
                    .for_each(Hint::forget_properties);
            }
            match page.next {
                ChangeNext::Round(next) => {
                    tracker.link = Some(next);
                    return news;
                }
                ChangeNext::Page(next) => link = next,
            }
        }
    }

    /// Reads a type as if for the first time, since its token is worthless.
    async fn start_over(&self, tracker: &mut Tracker) {
        let object_type = tracker.object_type;
        tracing::info!(%object_type, "the change token is no longer honoured; everything is read");
        let restarts = tracker.restarts + 1;
        *tracker = Tracker {
            restarts,
            ..Tracker::anew(object_type, self.mark_now(object_type).await)
        };
        self.begin_whole(object_type).await;
        self.read_whole(tracker).await;
        if tracker.link.is_some() {
            for kind in kinds_of(self.scope(), object_type) {
                self.records
                    .amend(kind, |record| record.method = Method::Delta);
            }
        }
    }

    fn record_window(
        &self,
        trackers: &[Tracker],
        not_before: chrono::DateTime<chrono::Utc>,
        not_after: chrono::DateTime<chrono::Utc>,
    ) {
        for tracker in trackers.iter().filter(|tracker| tracker.link.is_some()) {
            for kind in kinds_of(self.scope(), tracker.object_type) {
                self.records.amend(kind, |record| {
                    record.not_before = not_before;
                    record.not_after = not_after;
                });
            }
        }
    }

    fn note_all(&self, trackers: &[Tracker], text: &str) {
        for tracker in trackers.iter().filter(|tracker| tracker.link.is_some()) {
            self.records.note(Kind::Objects(tracker.object_type), text);
        }
    }

    async fn settle_all(&self, trackers: &mut [Tracker]) {
        let settling: Vec<BoxFuture<'_, ()>> = trackers
            .iter_mut()
            .filter(|tracker| !tracker.pending.is_empty())
            .map(|tracker| -> BoxFuture<'_, ()> { Box::pin(self.settle(tracker)) })
            .collect();
        stream::iter(settling)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
        // Only now, so that no reading of a group from before undoes it.
        self.read_back_all().await;
    }
}

/// Whether a link is no longer good, as Graph says it or as it may say it: of an
/// inherited link, no refusal is a reason to fail its type.
fn is_worthless(tracker: &Tracker, error: &GraphError) -> bool {
    let refused = matches!(
        error,
        GraphError::BadRequest { .. } | GraphError::NotFound { .. } | GraphError::Unexpected { .. }
    );
    matches!(error, GraphError::ResyncRequired { .. }) || (tracker.inherited && refused)
}

/// A hash that is good for this process only.
fn words_of(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
