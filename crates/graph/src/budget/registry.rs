//! The budgets of all tenants of a process.
//!
//! Clients come and go with each call; what was drawn must not be forgotten
//! with them. A budget that nobody holds is dropped when it has been idle for
//! longer than any quota's period, since it is full again by then.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use model::TenantId;
use tokio::time::Instant;

use super::quota::App;
use super::single::SingleLane;
use super::{Budget, Part};

/// Longer than the period of any quota.
const IDLE: Duration = Duration::from_secs(600);
/// Below this many, nothing is looked through.
const FEW: usize = 64;

/// The budgets of a process, by application, tenant and role.
#[derive(Clone, Default)]
pub(crate) struct Budgets {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    budgets: HashMap<(String, TenantId, Part), Arc<Budget>>,
    /// Conditional Access has one quota for all applications.
    lanes: HashMap<TenantId, Weak<SingleLane>>,
    apps: HashMap<(String, Part), Weak<Mutex<App>>>,
    /// At how many budgets the idle ones are looked for.
    sweep_at: usize,
}

impl Budgets {
    pub(crate) fn of(&self, client_id: &str, tenant: &TenantId, part: Part) -> Arc<Budget> {
        let mut inner = self
            .inner
            .lock()
            .expect("invariant: no panic while the lock is held");
        let key = (client_id.to_owned(), tenant.clone(), part);
        if let Some(budget) = inner.budgets.get(&key) {
            return Arc::clone(budget);
        }
        inner.sweep();
        let lane = inner.lane(tenant);
        let app = inner.app(client_id, part);
        let budget = Arc::new(Budget::new(part, app, lane));
        inner.budgets.insert(key, Arc::clone(&budget));
        budget
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.inner.lock().unwrap().budgets.len()
    }
}

impl Inner {
    /// Drops what is idle; the cost of looking is spread over the insertions.
    fn sweep(&mut self) {
        if self.budgets.len() < self.sweep_at.max(FEW) {
            return;
        }
        let now = Instant::now();
        self.budgets.retain(|_, budget| {
            Arc::strong_count(budget) > 1
                || now.saturating_duration_since(budget.state().used) < IDLE
        });
        self.lanes.retain(|_, lane| lane.strong_count() > 0);
        self.apps.retain(|_, app| app.strong_count() > 0);
        self.sweep_at = self.budgets.len() * 2;
    }

    fn lane(&mut self, tenant: &TenantId) -> Arc<SingleLane> {
        let known = self.lanes.get(tenant).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let lane = Arc::new(SingleLane::new());
            self.lanes.insert(tenant.clone(), Arc::downgrade(&lane));
            lane
        })
    }

    fn app(&mut self, client_id: &str, part: Part) -> Arc<Mutex<App>> {
        let key = (client_id.to_owned(), part);
        let known = self.apps.get(&key).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let app = Arc::new(Mutex::new(App::new(Instant::now())));
            self.apps.insert(key, Arc::downgrade(&app));
            app
        })
    }
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budgets").finish_non_exhaustive()
    }
}
