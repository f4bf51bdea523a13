//! What a piece of work costs at Graph.
//!
//! Everything that a client sends while a measured future runs is counted, in
//! that future's own task. Scopes nest: the outer counts what the inner does.
//! Changes nothing about what is sent.

use std::future::Future;
use std::sync::{Arc, Mutex};

use model::snapshot::Effort;

tokio::task_local! {
    static METER: Arc<Meter>;
}

/// The running count of one scope.
struct Meter {
    effort: Mutex<Effort>,
    outer: Option<Arc<Meter>>,
}

/// Runs a future and says what it cost. What it spawns onto other tasks is not
/// counted.
pub async fn measured<F: Future>(work: F) -> (F::Output, Effort) {
    let meter = Arc::new(Meter {
        effort: Mutex::default(),
        outer: METER.try_with(Arc::clone).ok(),
    });
    let output = METER.scope(Arc::clone(&meter), work).await;
    let effort = *meter
        .effort
        .lock()
        .expect("invariant: no panic while the lock is held");
    (output, effort)
}

/// Adds to every scope around the caller.
pub(crate) fn count(effort: Effort) {
    let mut next = METER.try_with(Arc::clone).ok();
    while let Some(meter) = next {
        *meter
            .effort
            .lock()
            .expect("invariant: no panic while the lock is held") += effort;
        next = meter.outer.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nested_scopes_both_count_and_neighbours_do_not() {
        let requests = |requests| Effort {
            requests,
            ..Effort::default()
        };
        count(requests(100));
        let work = async {
            count(requests(1));
            let inner = async { count(requests(2)) };
            let other = measured(async { count(requests(4)) });
            let (((), inner), ((), other)) = tokio::join!(measured(inner), other);
            (inner.requests, other.requests)
        };
        let (parts, effort) = measured(work).await;
        assert_eq!((parts, effort), ((2, 4), requests(7)));
    }
}
