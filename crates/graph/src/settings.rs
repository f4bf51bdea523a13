//! How a client behaves, and the connections that it uses.
//!
//! Connections and budgets are made once for a process and shared by all
//! tenants; what is a tenant's own is kept per tenant within them, and tokens
//! are not here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::auth::Now;
use crate::budget::{Budget, Budgets, Limits, Part, Role};
use crate::cloud::Endpoint;
use crate::error::GraphError;
use crate::request::describe;
use crate::retry::{RetryPolicy, Sleeper, by_tokio};

/// Where request ids come from.
pub type Ids = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// The connections to all hosts and the budgets of all tenants; one value
/// serves a whole process. Clones share both.
#[derive(Clone, Debug)]
pub struct Connections {
    usual: Http,
    /// For hosts on this machine, which no proxy can reach.
    local: Http,
    budgets: Budgets,
}

/// The ways to one host.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    pooled: reqwest::Client,
    fresh: reqwest::Client,
}

/// Which connection a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// One of the open ones, or else a new one.
    Usual,
    /// One of its own: the last led to a server that fails.
    Fresh,
}

impl Http {
    fn new(builder: impl Fn() -> reqwest::ClientBuilder) -> Result<Self, GraphError> {
        let failed = |error: reqwest::Error| GraphError::Unavailable {
            what: format!("tls cannot be set up: {}", describe(&error)),
            path: "every host".to_owned(),
        };
        Ok(Self {
            pooled: builder().build().map_err(failed)?,
            // A pool that keeps nothing has nothing to give.
            fresh: builder()
                .pool_max_idle_per_host(0)
                .build()
                .map_err(failed)?,
        })
    }

    pub(crate) fn by(&self, route: Route) -> &reqwest::Client {
        match route {
            Route::Usual => &self.pooled,
            Route::Fresh => &self.fresh,
        }
    }
}

impl Connections {
    /// Prepares connections; nothing is sent yet. Proxies are taken from the
    /// environment, as by other programs.
    ///
    /// # Errors
    /// [`GraphError::Unavailable`] where TLS cannot be set up.
    pub fn new() -> Result<Self, GraphError> {
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(10))
                .timeout(Duration::from_secs(100))
                .redirect(reqwest::redirect::Policy::none())
        };
        Ok(Self {
            usual: Http::new(builder)?,
            local: Http::new(|| builder().no_proxy())?,
            budgets: Budgets::default(),
        })
    }

    pub(crate) fn to(&self, endpoint: &Endpoint) -> Http {
        if endpoint.is_loopback() {
            self.local.clone()
        } else {
            self.usual.clone()
        }
    }
}

/// How Graph ranks the requests when it must throttle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Background work: throttled first.
    Low,
    /// Work that a person waits for.
    Normal,
}

/// How a client behaves.
#[derive(Clone)]
pub struct Settings {
    /// The connections to use.
    pub connections: Connections,
    /// Where `client-request-id` values come from.
    pub ids: Ids,
    /// The wall clock, by which the processes of a tenant take turns where a
    /// quota has room for one request at a time.
    pub now: Now,
    /// How long a request is tried.
    pub retry: RetryPolicy,
    /// How waits are done.
    pub sleep: Sleeper,
    /// How Graph ranks the requests.
    pub priority: Priority,
    /// Requests under way at a time, at most; Graph's warnings lower it.
    pub in_flight: usize,
    /// What this process does for its tenants, which gives its share of their quotas.
    pub role: Role,
    /// How many processes of this role there are. They share what the
    /// application may do in all tenants together.
    pub replicas: u32,
    /// Whether the documented quotas are kept.
    pub limits: Limits,
}

impl Settings {
    /// The usual behaviour of background work.
    #[must_use]
    pub fn new(connections: Connections, ids: Ids, now: Now) -> Self {
        Self {
            connections,
            ids,
            now,
            retry: RetryPolicy::default(),
            sleep: by_tokio(),
            priority: Priority::Low,
            in_flight: 8,
            role: Role::Alone,
            replicas: 1,
            limits: Limits::Documented,
        }
    }

    /// The budget that these settings give an application in a tenant. All
    /// clients of the process share it; holding it keeps what is set on it.
    #[must_use]
    pub fn budget(&self, endpoint: &Endpoint) -> Arc<Budget> {
        let part = Part {
            role: self.role,
            replicas: self.replicas,
            limits: self.limits,
        };
        let budgets = &self.connections.budgets;
        budgets.of(&endpoint.client_id, &endpoint.tenant, part)
    }

    /// A number from 0 to 1 that spreads waits, from the random part of an id:
    /// so a test that chooses the ids chooses it.
    pub(crate) fn chance(&self) -> f64 {
        const BITS: u32 = 53;
        let low = (self.ids)().as_u128() & ((1 << BITS) - 1);
        low as f64 / (1_u64 << BITS) as f64
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("retry", &self.retry)
            .field("priority", &self.priority)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
