//! Many steps that look at once ask Graph together: while one request for
//! single objects is under way, what others want to know is collected for the
//! next, and who wants to know the same is told the same.
//!
//! Changes nothing of what is read: each answer was asked for after whoever
//! gets it wanted to know.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use graph::{
    AuditPage, ChangePage, ChangesFrom, Directory, DirectoryWriter, GraphError, LaneUse, NextLink,
    Page, Query, Sent,
};
use model::call::Call;
use model::posture::{Action, Role};
use model::{Object, ObjectId, ObjectState, ObjectType};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

/// What one object is asked for by.
type Key = (ObjectType, ObjectState, ObjectId);

/// A directory whose single reads of one moment go together.
#[derive(Debug)]
pub(crate) struct Gathered<'a> {
    directory: &'a dyn DirectoryWriter,
    objects: Gather<Key, Option<Object>>,
    lists: Gather<Query, Page>,
    pages: Gather<(Query, NextLink), Page>,
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(directory: &'a dyn DirectoryWriter) -> Self {
        Self {
            directory,
            objects: Gather::default(),
            lists: Gather::default(),
            pages: Gather::default(),
        }
    }
}

/// The answers to several questions; an error that concerns all is the outer one.
type Answers<V> = Result<Vec<Result<V, GraphError>>, GraphError>;

/// Whoever waits for the answer to a question.
type Waiting<K, V> = HashMap<K, Vec<oneshot::Sender<Result<V, GraphError>>>>;

/// The questions that nobody has asked yet.
#[derive(Debug)]
struct Gather<K, V> {
    open: Mutex<Waiting<K, V>>,
    /// Held by whoever asks.
    turn: tokio::sync::Mutex<()>,
}

impl<K, V> Default for Gather<K, V> {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Gather<K, V> {
    /// The answers to one's questions, in their order.
    async fn answers<'d>(
        &self,
        wanted: &[K],
        ask: impl Fn(Vec<K>) -> BoxFuture<'d, Answers<V>>,
    ) -> Answers<V> {
        let mut mine: Vec<_> = {
            let mut open = self.open.lock();
            let enter = |key: &K| {
                let (sender, receiver) = oneshot::channel();
                open.entry(key.clone()).or_default().push(sender);
                receiver
            };
            wanted.iter().map(enter).collect()
        };
        let mut answers = Vec::with_capacity(mine.len());
        for (key, receiver) in wanted.iter().zip(&mut mine) {
            answers.push(match self.answer(receiver, &ask).await {
                Some(answer) => answer,
                // Whoever asked was ended before it could tell.
                None => one(ask(vec![key.clone()]).await?)?,
            });
        }
        Ok(answers)
    }

    /// Waits for an answer, and asks all that is open where nobody else does.
    async fn answer<'d>(
        &self,
        mine: &mut oneshot::Receiver<Result<V, GraphError>>,
        ask: impl Fn(Vec<K>) -> BoxFuture<'d, Answers<V>>,
    ) -> Option<Result<V, GraphError>> {
        let _turn = tokio::select! {
            biased;
            answer = &mut *mine => return answer.ok(),
            turn = self.turn.lock() => turn,
        };
        if let Ok(answer) = mine.try_recv() {
            return Some(answer);
        }
        // Those that begin at the same moment come along.
        tokio::task::yield_now().await;
        let open = std::mem::take(&mut *self.open.lock());
        let (keys, waiting): (Vec<K>, Vec<_>) = open.into_iter().unzip();
        let answers = ask(keys).await;
        for (position, senders) in waiting.into_iter().enumerate() {
            for sender in senders {
                let answer = match &answers {
                    Ok(answers) => match answers.get(position) {
                        Some(answer) => answer.clone(),
                        None => continue,
                    },
                    Err(error) => Err(error.clone()),
                };
                // Who does not wait any more need not be told.
                let _ = sender.send(answer);
            }
        }
        mine.await.ok()
    }
}

/// The only answer to a single question.
fn one<V>(answers: Vec<Result<V, GraphError>>) -> Result<Result<V, GraphError>, GraphError> {
    answers
        .into_iter()
        .next()
        .ok_or_else(|| GraphError::Unexpected {
            what: "a question has no answer".to_owned(),
            path: "single objects".to_owned(),
        })
}

#[async_trait]
impl DirectoryWriter for Gathered<'_> {
    fn application(&self) -> &str {
        self.directory.application()
    }

    async fn send(&self, call: &Call) -> Sent {
        self.directory.send(call).await
    }
}

#[async_trait]
impl Directory for Gathered<'_> {
    fn use_conditional_access(&self, lane_use: LaneUse) {
        self.directory.use_conditional_access(lane_use);
    }

    async fn granted(&self) -> Result<Option<BTreeSet<String>>, GraphError> {
        self.directory.granted().await
    }

    async fn try_read(&self, object_type: ObjectType) -> Result<(), GraphError> {
        self.directory.try_read(object_type).await
    }

    async fn subscribed_skus(&self) -> Result<Vec<Value>, GraphError> {
        self.directory.subscribed_skus().await
    }

    async fn page(&self, query: &Query, next: Option<&NextLink>) -> Result<Page, GraphError> {
        let directory = self.directory;
        let Some(next) = next else {
            return directory.page(query, None).await;
        };
        let ask = move |keys: Vec<(Query, NextLink)>| -> BoxFuture<'_, Answers<Page>> {
            Box::pin(async move {
                let mut answers = Vec::with_capacity(keys.len());
                for (query, next) in &keys {
                    answers.push(directory.page(query, Some(next)).await);
                }
                Ok(answers)
            })
        };
        let key = (query.clone(), next.clone());
        one(self.pages.answers(&[key], ask).await?)?
    }

    async fn first_pages(
        &self,
        queries: &[Query],
    ) -> Result<Vec<Result<Page, GraphError>>, GraphError> {
        let directory = self.directory;
        let ask = move |keys: Vec<Query>| -> BoxFuture<'_, Answers<Page>> {
            Box::pin(async move { directory.first_pages(&keys).await })
        };
        self.lists.answers(queries, ask).await
    }

    async fn changes(
        &self,
        object_type: ObjectType,
        from: &ChangesFrom,
    ) -> Result<ChangePage, GraphError> {
        self.directory.changes(object_type, from).await
    }

    async fn read_many(
        &self,
        ids: &[Key],
    ) -> Result<Vec<Result<Option<Object>, GraphError>>, GraphError> {
        let directory = self.directory;
        let ask = move |keys: Vec<Key>| -> BoxFuture<'_, Answers<Option<Object>>> {
            Box::pin(async move { directory.read_many(&keys).await })
        };
        self.objects.answers(ids, ask).await
    }

    async fn existing(&self, ids: &[ObjectId]) -> Result<HashMap<ObjectId, String>, GraphError> {
        self.directory.existing(ids).await
    }

    async fn role_template_ids(&self) -> Result<HashSet<ObjectId>, GraphError> {
        self.directory.role_template_ids().await
    }

    async fn existing_app_ids(&self, app_ids: &[String]) -> Result<HashSet<String>, GraphError> {
        self.directory.existing_app_ids(app_ids).await
    }

    async fn protected_actions(&self) -> Result<Vec<Action>, GraphError> {
        self.directory.protected_actions().await
    }

    async fn roles(&self) -> Result<Vec<Role>, GraphError> {
        self.directory.roles().await
    }

    async fn audits(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        next: Option<&NextLink>,
    ) -> Result<AuditPage, GraphError> {
        self.directory.audits(from, until, next).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    /// Answers each number with its double, and counts how often it is asked.
    fn double(asked: &AtomicUsize, keys: Vec<u32>) -> BoxFuture<'_, Answers<u32>> {
        asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            tokio::task::yield_now().await;
            let answer = |key: u32| match key {
                13 => Err(GraphError::NotFound {
                    path: "13".to_owned(),
                }),
                key => Ok(key * 2),
            };
            Ok(keys.into_iter().map(answer).collect())
        })
    }

    #[tokio::test]
    async fn who_asks_at_once_is_answered_by_one_request() {
        let (gather, asked) = (Gather::default(), AtomicUsize::new(0));
        let wanted = [1, 2, 13, 1, 3];
        let all = wanted.map(|key| {
            let (gather, asked) = (&gather, &asked);
            async move { gather.answers(&[key], |keys| double(asked, keys)).await }
        });
        for (key, answers) in wanted.into_iter().zip(join_all(all).await) {
            let answers = answers.expect("an answer");
            match key {
                13 => assert!(matches!(answers[..], [Err(GraphError::NotFound { .. })])),
                key => assert_eq!(answers, [Ok(key * 2)]),
            }
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let later = gather.answers(&[5, 6], |keys| double(&asked, keys)).await;
        assert_eq!(later, Ok(vec![Ok(10), Ok(12)]));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn who_asked_may_be_ended_and_the_others_ask_again() {
        let (gather, asked) = (Gather::default(), AtomicUsize::new(0));
        let mut first = Box::pin(gather.answers(&[1], |_| Box::pin(std::future::pending())));
        let second = gather.answers(&[2], |keys| double(&asked, keys));
        let mut second = Box::pin(second);
        for _ in 0..3 {
            assert!(futures::poll!(&mut first).is_pending());
            assert!(futures::poll!(&mut second).is_pending());
        }
        drop(first);
        assert_eq!(second.await, Ok(vec![Ok(4)]));
    }

    #[tokio::test]
    async fn what_fails_for_all_fails_for_each() {
        let gather: Gather<u32, u32> = Gather::default();
        let error = GraphError::Throttled {
            retry_after: None,
            path: "all".to_owned(),
        };
        let ask = |_| -> BoxFuture<'_, Answers<u32>> {
            let error = error.clone();
            Box::pin(async move { Err(error) })
        };
        let (one, two) = tokio::join!(gather.answers(&[1], ask), gather.answers(&[2], ask));
        assert_eq!(
            (one, two),
            (Ok(vec![Err(error.clone())]), Ok(vec![Err(error.clone())]))
        );
    }
}
