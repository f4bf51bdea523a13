//! Running jobs and those who watch them.
//!
//! Owns the progress of the jobs of this process, by resource name, for the
//! Watch calls. Nothing here outlives the process, and nothing may rest on it:
//! the truth about a job is in the store.

use futures::Stream;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long an ended job can still be watched.
const KEEP_FOR: Duration = Duration::from_secs(15 * 60);
/// How many ended jobs are kept.
const KEEP_COUNT: usize = 1000;

/// What a watcher receives: values that may skip steps in between, then the end.
pub type Watch<P> = Pin<Box<dyn Stream<Item = Result<P, Status>> + Send>>;

#[derive(Clone)]
struct State<P> {
    value: P,
    end: Option<Result<(), Status>>,
}

struct Entry<P> {
    state: watch::Sender<State<P>>,
    cancelled: CancellationToken,
    ended_at: Option<Instant>,
}

type Entries<P> = Arc<Mutex<HashMap<String, Entry<P>>>>;

/// The jobs of one sort; a clone is the same registry.
pub struct Jobs<P> {
    entries: Entries<P>,
}

impl<P> Clone for Jobs<P> {
    fn clone(&self) -> Self {
        Self {
            entries: Arc::clone(&self.entries),
        }
    }
}

impl<P> Default for Jobs<P> {
    fn default() -> Self {
        Self {
            entries: Arc::default(),
        }
    }
}

impl<P> std::fmt::Debug for Jobs<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs")
            .field("entries", &self.entries.lock().len())
            .finish()
    }
}

/// What became of an attempt to start a job.
#[derive(Debug)]
pub enum Start<P: Clone + Send + Sync + 'static> {
    /// The caller runs the job.
    New(JobHandle<P>),
    /// The job runs already; this is how far it is.
    Running(P),
}

impl<P: Clone + Send + Sync + 'static> Jobs<P> {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a job, or joins the one that runs under this name. One that
    /// has ended is replaced.
    #[must_use]
    pub fn start(&self, key: impl Into<String>, initial: P) -> Start<P> {
        let key = key.into();
        let mut entries = self.entries.lock();
        forget_old(&mut entries);
        if let Some(entry) = entries.get(&key).filter(|entry| entry.ended_at.is_none()) {
            return Start::Running(entry.state.borrow().value.clone());
        }
        let (state, _) = watch::channel(State {
            value: initial,
            end: None,
        });
        let cancelled = CancellationToken::new();
        entries.insert(
            key.clone(),
            Entry {
                state: state.clone(),
                cancelled: cancelled.clone(),
                ended_at: None,
            },
        );
        Start::New(JobHandle {
            key,
            cancelled: cancelled.clone(),
            progress: Progress { state, cancelled },
            entries: Arc::clone(&self.entries),
            ended: false,
        })
    }

    /// Watches a job: the value now, later values, and the end. A job that
    /// failed ends with its status. `None` where no such job is known.
    #[must_use]
    pub fn watch(&self, key: &str) -> Option<Watch<P>> {
        let mut entries = self.entries.lock();
        forget_old(&mut entries);
        let receiver = entries.get(key)?.state.subscribe();
        Some(Box::pin(futures::stream::unfold(
            Some((receiver, true)),
            next,
        )))
    }

    /// How far a job is, running or ended; `None` where no such job is known or
    /// it failed.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<P> {
        let entries = self.entries.lock();
        let state = entries.get(key)?.state.borrow().clone();
        (!matches!(state.end, Some(Err(_)))).then_some(state.value)
    }

    /// How far a running job is whose name begins and ends so: what a repeated
    /// request is known by before anything of it is stored.
    #[must_use]
    pub fn running_like(&self, prefix: &str, suffix: &str) -> Option<P> {
        let entries = self.entries.lock();
        let alike = |key: &str| key.starts_with(prefix) && key.ends_with(suffix);
        let found = entries
            .iter()
            .find(|(key, entry)| entry.ended_at.is_none() && alike(key));
        found.map(|(_, entry)| entry.state.borrow().value.clone())
    }

    /// Whether a job runs under this name.
    #[must_use]
    pub fn is_running(&self, key: &str) -> bool {
        self.entries
            .lock()
            .get(key)
            .is_some_and(|entry| entry.ended_at.is_none())
    }

    /// Asks a running job to end; how it ends is its own affair. Does nothing where
    /// no such job runs.
    pub fn cancel(&self, key: &str) {
        if let Some(entry) = self.entries.lock().get(key) {
            entry.cancelled.cancel();
        }
    }

    /// How many jobs run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.entries
            .lock()
            .values()
            .filter(|entry| entry.ended_at.is_none())
            .count()
    }
}

type Watching<P> = Option<(watch::Receiver<State<P>>, bool)>;

/// One step of a watch: the first value at once, each later one when it comes.
async fn next<P: Clone + Send + Sync + 'static>(
    watching: Watching<P>,
) -> Option<(Result<P, Status>, Watching<P>)> {
    let (mut receiver, first) = watching?;
    if !first && receiver.changed().await.is_err() {
        return Some((Err(no_result()), None));
    }
    let state = receiver.borrow_and_update().clone();
    Some(match state.end {
        None => (Ok(state.value), Some((receiver, false))),
        Some(Ok(())) => (Ok(state.value), None),
        Some(Err(status)) => (Err(status), None),
    })
}

fn no_result() -> Status {
    Status::internal("the job ended without a result")
}

fn forget_old<P>(entries: &mut HashMap<String, Entry<P>>) {
    entries.retain(|_, entry| entry.ended_at.is_none_or(|at| at.elapsed() < KEEP_FOR));
    let mut ended: Vec<(Instant, String)> = entries
        .iter()
        .filter_map(|(key, entry)| entry.ended_at.map(|at| (at, key.clone())))
        .collect();
    if ended.len() > KEEP_COUNT {
        ended.sort();
        for (_, key) in &ended[..ended.len() - KEEP_COUNT] {
            entries.remove(key);
        }
    }
}

/// Tells how far a job is; any number of tasks of the job may hold one.
#[derive(Clone)]
pub struct Progress<P> {
    state: watch::Sender<State<P>>,
    cancelled: CancellationToken,
}

impl<P> std::fmt::Debug for Progress<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl<P> Progress<P> {
    /// Replaces the value. After the end it changes nothing.
    pub fn update(&self, value: P) {
        self.modify(|current| *current = value);
    }

    /// Returns when somebody asks the job to end.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Changes the value in place. After the end it changes nothing.
    pub fn modify(&self, change: impl FnOnce(&mut P)) {
        self.state.send_if_modified(|state| {
            if state.end.is_none() {
                change(&mut state.value);
            }
            state.end.is_none()
        });
    }
}

/// The right and duty to say how a job ended.
#[must_use = "a job whose handle is dropped has ended without a result"]
pub struct JobHandle<P: Clone + Send + Sync + 'static> {
    key: String,
    cancelled: CancellationToken,
    progress: Progress<P>,
    entries: Entries<P>,
    ended: bool,
}

impl<P: Clone + Send + Sync + 'static> std::fmt::Debug for JobHandle<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobHandle")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl<P: Clone + Send + Sync + 'static> JobHandle<P> {
    /// What the tasks of the job tell their progress with.
    #[must_use]
    pub fn progress(&self) -> Progress<P> {
        self.progress.clone()
    }

    /// Returns when somebody asks the job to end.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Replaces the value.
    pub fn update(&self, value: P) {
        self.progress.update(value);
    }

    /// Changes the value in place.
    pub fn modify(&self, change: impl FnOnce(&mut P)) {
        self.progress.modify(change);
    }

    /// Ends the job with its last value or its failure.
    pub fn finish(mut self, result: Result<P, Status>) {
        self.end(result);
    }

    fn end(&mut self, result: Result<P, Status>) {
        self.ended = true;
        let mut entries = self.entries.lock();
        self.progress.state.send_modify(|state| {
            state.end = Some(match result {
                Ok(value) => {
                    state.value = value;
                    Ok(())
                }
                Err(status) => Err(status),
            });
        });
        if let Some(entry) = entries.get_mut(&self.key) {
            entry.ended_at = Some(Instant::now());
        }
        forget_old(&mut entries);
    }
}

impl<P: Clone + Send + Sync + 'static> Drop for JobHandle<P> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Err(no_result()));
        }
    }
}

#[cfg(test)]
mod tests;
