//! The place where a test may step in before each request.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::simulator::Simulator;

/// A request that is about to be served, alone or inside a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// HTTP method.
    pub method: String,
    /// Path below `/v1.0`, as sent.
    pub path: String,
    /// Query without the question mark, as sent.
    pub query: String,
    /// Tenant id.
    pub tenant: String,
    /// How many requests of any tenant came before it.
    pub number: u64,
}

/// What is called before each request.
pub type Hook = Box<dyn Fn(&RequestInfo, &Simulator) + Send + Sync>;

/// The hook that is set, if any.
#[derive(Default)]
pub(crate) struct HookSlot(RwLock<Option<Arc<Hook>>>);

impl HookSlot {
    pub(crate) fn set(&self, hook: Option<Hook>) {
        *self.0.write() = hook.map(Arc::new);
    }

    /// The hook, to be called after every lock is released.
    pub(crate) fn current(&self) -> Option<Arc<Hook>> {
        self.0.read().clone()
    }
}

impl fmt::Debug for HookSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.read().is_some() {
            "set"
        } else {
            "unset"
        })
    }
}
