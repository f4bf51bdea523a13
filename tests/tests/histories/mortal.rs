//! A directory as a process sees it that is killed after so many writes: before the next
//! one is sent, or after it was carried out and before its answer came.
//!
//! Nothing of a process that was killed goes on: whatever it waits for never comes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use graph::{
    AuditPage, ChangePage, ChangesFrom, Directory, DirectoryWriter, GraphError, GraphWriter,
    LaneUse, NextLink, Page, Query, Sent,
};
use model::call::Call;
use model::posture::{Action, Role};
use model::{Object, ObjectId, ObjectState, ObjectType};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

/// When it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before the write after so many is sent.
    Before(u64),
    /// When that write was carried out.
    After(u64),
}

/// The life of a process, and what it wrote.
#[derive(Debug)]
pub(crate) struct Life {
    death: Option<Death>,
    /// Whether what is written is remembered.
    remembers: bool,
    calls: Mutex<Vec<Call>>,
    span: Mutex<Span>,
    ended: watch::Sender<bool>,
}

/// The writes of a life to the directory, the slow lane of Conditional Access aside.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) writes: u64,
    /// Those of Conditional Access.
    pub(crate) slow: u64,
    /// When the first was asked for and the last was answered.
    pub(crate) time: Option<(Instant, Instant)>,
}

impl Span {
    fn note(&mut self, call: &Call, asked: Instant) {
        if call.path.starts_with("/identity/conditionalAccess/") {
            self.slow += 1;
            return;
        }
        self.writes += 1;
        let (first, _) = self.time.unwrap_or((asked, asked));
        self.time = Some((first, Instant::now()));
    }
}

impl Life {
    pub(crate) fn until(death: Option<Death>) -> Self {
        Self {
            death,
            remembers: true,
            calls: Mutex::default(),
            span: Mutex::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// One that goes on, and only counts what it writes.
    pub(crate) fn forgetful() -> Self {
        Self {
            remembers: false,
            ..Self::until(None)
        }
    }

    /// How much was written, and when.
    pub(crate) fn span(&self) -> Span {
        *self.span.lock()
    }

    /// What was asked to be written so far, refusals and repetitions included.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender lives as long as this does.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Remembers a write; which one it is, counted from 1.
    fn begin(&self, call: &Call) -> u64 {
        let mut calls = self.calls.lock();
        if self.remembers {
            calls.push(call.clone());
        }
        u64::try_from(calls.len()).unwrap_or(u64::MAX)
    }

    async fn end<T>(&self) -> T {
        self.ended.send_replace(true);
        std::future::pending().await
    }

    /// Work that never ends if the process is killed meanwhile.
    async fn live<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            () = self.ended() => std::future::pending().await,
            outcome = work => outcome,
        }
    }
}

/// The directory.
#[derive(Debug)]
pub(crate) struct Mortal {
    writer: GraphWriter,
    life: Arc<Life>,
}

impl Mortal {
    pub(crate) fn new(writer: GraphWriter, life: Arc<Life>) -> Self {
        Self { writer, life }
    }
}

#[async_trait]
impl DirectoryWriter for Mortal {
    fn application(&self) -> &str {
        self.writer.application()
    }

    async fn send(&self, call: &Call) -> Sent {
        let (asked, number) = (Instant::now(), self.life.begin(call));
        if matches!(self.life.death, Some(Death::Before(n)) if n < number) {
            return self.life.end().await;
        }
        let outcome = self.life.live(self.writer.send(call)).await;
        self.life.span.lock().note(call, asked);
        if matches!(self.life.death, Some(Death::After(n)) if n < number) {
            return self.life.end().await;
        }
        outcome
    }
}

#[async_trait]
impl Directory for Mortal {
    fn use_conditional_access(&self, lane_use: LaneUse) {
        self.writer.use_conditional_access(lane_use);
    }

    async fn granted(&self) -> Result<Option<BTreeSet<String>>, GraphError> {
        self.life.live(self.writer.granted()).await
    }

    async fn try_read(&self, object_type: ObjectType) -> Result<(), GraphError> {
        self.life.live(self.writer.try_read(object_type)).await
    }

    async fn subscribed_skus(&self) -> Result<Vec<Value>, GraphError> {
        self.life.live(self.writer.subscribed_skus()).await
    }

    async fn page(&self, query: &Query, next: Option<&NextLink>) -> Result<Page, GraphError> {
        self.life.live(self.writer.page(query, next)).await
    }

    async fn first_pages(
        &self,
        queries: &[Query],
    ) -> Result<Vec<Result<Page, GraphError>>, GraphError> {
        self.life.live(self.writer.first_pages(queries)).await
    }

    async fn changes(
        &self,
        object_type: ObjectType,
        from: &ChangesFrom,
    ) -> Result<ChangePage, GraphError> {
        self.life.live(self.writer.changes(object_type, from)).await
    }

    async fn read_many(
        &self,
        ids: &[(ObjectType, ObjectState, ObjectId)],
    ) -> Result<Vec<Result<Option<Object>, GraphError>>, GraphError> {
        self.life.live(self.writer.read_many(ids)).await
    }

    async fn existing(&self, ids: &[ObjectId]) -> Result<HashMap<ObjectId, String>, GraphError> {
        self.life.live(self.writer.existing(ids)).await
    }

    async fn role_template_ids(&self) -> Result<HashSet<ObjectId>, GraphError> {
        self.life.live(self.writer.role_template_ids()).await
    }

    async fn existing_app_ids(&self, app_ids: &[String]) -> Result<HashSet<String>, GraphError> {
        self.life.live(self.writer.existing_app_ids(app_ids)).await
    }

    async fn protected_actions(&self) -> Result<Vec<Action>, GraphError> {
        self.life.live(self.writer.protected_actions()).await
    }

    async fn roles(&self) -> Result<Vec<Role>, GraphError> {
        self.life.live(self.writer.roles()).await
    }

    async fn audits(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        next: Option<&NextLink>,
    ) -> Result<AuditPage, GraphError> {
        self.life.live(self.writer.audits(from, until, next)).await
    }
}
