//! What waits to be written to one chain.
//!
//! Owns how long it may wait and how much of it there may be. It never writes.

use std::time::Duration;

use parking_lot::Mutex;
use proto::v1::{AuditEntry, AuditKind};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// How long reads are gathered before they are written.
pub(super) const LINGER: Duration = Duration::from_millis(900);
/// How many entries are written without waiting for more.
const FULL: usize = 1_000;
/// How many entries may wait; what comes then is lost, and counted.
pub(super) const MOST: usize = 5_000;
/// How old an entry may become while it waits: lists rest on it. What is older is lost,
/// and counted, but for outcomes, which lists show with their calls.
const STALE: Duration = Duration::from_secs(600);

/// Which chain something was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landed {
    /// The tenant's.
    There,
    /// The installation's: it was meant for that, or the tenant is not registered, or
    /// erased.
    Installation,
}

/// Whether somebody waits for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// Nobody does: it may be gathered with others.
    Lazy,
    /// It is to be written now.
    Urgent,
}

/// An entry that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) entry: AuditEntry,
    /// Who waits until it is written.
    pub(super) told: Option<oneshot::Sender<Landed>>,
    /// Whether the installation's chain has it already.
    pub(super) is_copy: bool,
    since: Instant,
}

impl Waiting {
    pub(super) fn new(entry: AuditEntry, told: Option<oneshot::Sender<Landed>>) -> Self {
        Self {
            entry,
            told,
            is_copy: false,
            since: Instant::now(),
        }
    }

    /// Of what the installation's chain has already.
    pub(super) fn copy(entry: AuditEntry) -> Self {
        Self {
            is_copy: true,
            ..Self::new(entry, None)
        }
    }

    fn is_stale(&self) -> bool {
        self.entry.kind() != AuditKind::Outcome && self.since.elapsed() > STALE
    }
}

/// There is no room.
#[derive(Debug)]
pub(super) struct Full;

/// What a writer is to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// To write these.
    Write(Batch),
    /// Nothing; it is to end, and another begins with the next entry.
    Rest,
}

/// What goes into one file.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) waiting: Vec<Waiting>,
    /// How many were lost since the last one.
    pub(super) lost: i64,
    /// How many of them just now, since they had waited for too long.
    pub(super) stale: i64,
}

/// What the one who adds an entry is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// Nothing: somebody writes.
    Enough,
    /// To begin to write.
    Begin,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    lost: i64,
    /// Whether the first of them must not wait for others.
    urgent: bool,
    /// Whether the chain is to be begun though there is nothing to tell.
    opening: bool,
    /// Whether somebody writes.
    busy: bool,
}

/// The entries that wait for one chain.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    hurry: Notify,
    rested: Notify,
}

impl Queue {
    /// Adds an entry.
    ///
    /// # Errors
    /// [`Full`] where too many wait and this one is not an outcome. It is counted as
    /// lost, unless it is a mutation, which is refused then.
    pub(super) fn add(&self, waiting: Waiting, haste: Haste) -> Result<Added, Full> {
        let mut state = self.state.lock();
        if state.waiting.len() >= MOST && waiting.entry.kind() != AuditKind::Outcome {
            if waiting.entry.kind() != AuditKind::Mutation {
                state.lost += waiting.entry.count;
            }
            return Err(Full);
        }
        state.waiting.push(waiting);
        if haste == Haste::Urgent || state.waiting.len() >= FULL {
            state.urgent = true;
            self.hurry.notify_one();
        }
        Ok(Self::begin(&mut state))
    }

    /// Adds entries that were meant for another chain, in front of what waits.
    pub(super) fn take_over(&self, mut moved: Vec<Waiting>, lost: i64) -> Added {
        let mut state = self.state.lock();
        moved.append(&mut state.waiting);
        state.waiting = moved;
        state.lost += lost;
        state.urgent = true;
        self.hurry.notify_one();
        Self::begin(&mut state)
    }

    /// Asks for the chain to be begun, though there is nothing to tell yet.
    pub(super) fn open(&self) -> Added {
        let mut state = self.state.lock();
        state.opening = true;
        state.urgent = true;
        self.hurry.notify_one();
        Self::begin(&mut state)
    }

    /// Lets nothing wait any longer.
    pub(super) fn hurry(&self) {
        self.state.lock().urgent = true;
        self.hurry.notify_one();
    }

    fn begin(state: &mut State) -> Added {
        match std::mem::replace(&mut state.busy, true) {
            true => Added::Enough,
            false => Added::Begin,
        }
    }

    /// Waits until there is something to write.
    pub(super) async fn next(&self) -> Next {
        loop {
            let due = {
                let mut state = self.state.lock();
                let first = state.waiting.first().map(|waiting| waiting.since + LINGER);
                let now = Instant::now();
                if state.urgent || first.is_some_and(|due| due <= now) {
                    return Self::taken(&mut state);
                }
                match first {
                    Some(due) => due,
                    None => {
                        state.busy = false;
                        self.rested.notify_waiters();
                        return Next::Rest;
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = self.hurry.notified() => {}
            }
        }
    }

    fn taken(state: &mut State) -> Next {
        state.urgent = false;
        state.opening = false;
        let (waiting, stale): (Vec<Waiting>, Vec<Waiting>) = std::mem::take(&mut state.waiting)
            .into_iter()
            .partition(|waiting| !waiting.is_stale());
        let stale = stale.iter().map(|waiting| waiting.entry.count).sum();
        Next::Write(Batch {
            waiting,
            lost: std::mem::take(&mut state.lost) + stale,
            stale,
        })
    }

    /// Waits until nobody writes and nothing waits.
    pub(super) async fn rest(&self) {
        loop {
            let mut rested = std::pin::pin!(self.rested.notified());
            rested.as_mut().enable();
            if !self.state.lock().busy {
                return;
            }
            rested.await;
        }
    }
}
