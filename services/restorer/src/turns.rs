//! Who may write: few steps at a time, and none any more once the restore is
//! cancelled.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The turns of the steps of a wave. Who has one is between the look at an object and
/// the write, so that little time passes from one to the other however many steps wait
/// for the quota.
#[derive(Debug)]
pub(crate) struct Turns {
    places: Semaphore,
    over: AtomicBool,
}

impl Turns {
    /// Turns for so many steps at a time.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Semaphore::new(places),
            over: AtomicBool::new(false),
        }
    }

    /// Waits for a turn, which ends where the answer is dropped.
    pub(crate) async fn take(&self) -> SemaphorePermit<'_> {
        let turn = self.places.acquire().await;
        turn.expect("invariant: it is never closed")
    }

    /// From now on nothing more is written.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether nothing more is to be written; looked at right before a write.
    pub(crate) fn are_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
