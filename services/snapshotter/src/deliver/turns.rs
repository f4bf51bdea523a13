//! Whose turn it is: which tenants have something to deliver, and when.
//!
//! A hint and no more: what is to be delivered follows from the store alone.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use model::TenantId;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Who asked for a turn. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell {
    rung: Arc<Mutex<BTreeSet<TenantId>>>,
    notify: Arc<Notify>,
}

impl Bell {
    /// Asks for a turn of a tenant.
    pub(crate) fn ring(&self, tenant: &TenantId) {
        self.rung.lock().insert(tenant.clone());
        self.notify.notify_one();
    }

    /// Waits until somebody asks.
    pub(crate) async fn rung(&self) -> BTreeSet<TenantId> {
        loop {
            let rung = std::mem::take(&mut *self.rung.lock());
            if !rung.is_empty() {
                return rung;
            }
            self.notify.notified().await;
        }
    }
}

/// The tenants that wait, each once, and those that are at it.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: VecDeque<TenantId>,
    queued: HashSet<TenantId>,
    /// Those at it, and whether they were asked for meanwhile.
    running: HashMap<TenantId, bool>,
    later: HashMap<TenantId, Instant>,
}

impl Turns {
    /// Puts a tenant at the end of the line, unless it stands there.
    pub(crate) fn ask(&mut self, tenant: TenantId) {
        if let Some(again) = self.running.get_mut(&tenant) {
            *again = true;
        } else if self.queued.insert(tenant.clone()) {
            self.later.remove(&tenant);
            self.waiting.push_back(tenant);
        }
    }

    /// Takes the first of the line.
    pub(crate) fn next(&mut self) -> Option<TenantId> {
        let tenant = self.waiting.pop_front()?;
        self.queued.remove(&tenant);
        self.running.insert(tenant.clone(), false);
        Some(tenant)
    }

    /// Notes that a tenant's turn is over, and when it wants the next one.
    pub(crate) fn done(&mut self, tenant: TenantId, next: Option<Instant>) {
        if self.running.remove(&tenant) == Some(true) {
            self.ask(tenant);
        } else if let Some(at) = next {
            self.later.insert(tenant, at);
        }
    }

    /// When somebody wants a turn next.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.later.values().min().copied()
    }

    /// Puts those in the line whose time has come.
    pub(crate) fn call(&mut self, now: Instant) {
        let due = self.later.iter().filter(|(_, at)| **at <= now);
        let due: Vec<TenantId> = due.map(|(tenant, _)| tenant.clone()).collect();
        for tenant in due {
            self.ask(tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tenant(n: u32) -> TenantId {
        testkit::store::tenant(n)
    }

    #[tokio::test(start_paused = true)]
    async fn each_waits_once_and_nobody_is_forgotten() {
        let mut turns = Turns::default();
        for n in [1, 2, 1] {
            turns.ask(tenant(n));
        }
        assert_eq!(turns.next(), Some(tenant(1)));
        turns.ask(tenant(1));
        assert_eq!(turns.next(), Some(tenant(2)));
        assert_eq!(turns.next(), None, "the first is at it");
        turns.done(tenant(1), None);
        assert_eq!(turns.next(), Some(tenant(1)), "it was asked for meanwhile");

        let later = Instant::now() + Duration::from_secs(30);
        turns.done(tenant(1), Some(later));
        turns.done(tenant(2), Some(later + Duration::from_secs(30)));
        assert_eq!(turns.next_time(), Some(later));
        turns.call(Instant::now());
        assert_eq!(turns.next(), None);
        turns.call(later);
        assert_eq!(turns.next(), Some(tenant(1)));
        assert_eq!(turns.next(), None);
        turns.ask(tenant(2));
        turns.ask(tenant(2));
        assert_eq!(turns.next_time(), None, "it waits no longer");
        assert_eq!(turns.next(), Some(tenant(2)));
    }

    #[tokio::test]
    async fn a_bell_that_rang_before_anybody_listened_is_heard() {
        let bell = Bell::default();
        bell.ring(&tenant(2));
        bell.clone().ring(&tenant(1));
        bell.ring(&tenant(2));
        assert_eq!(bell.rung().await, [tenant(1), tenant(2)].into());
    }
}
