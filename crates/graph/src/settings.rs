//! How a client behaves, and the connections that it uses.
//!
//! Connections are made once for a process and shared by all tenants; what is
//! a tenant's own (tokens, quotas) is not here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use uuid::Uuid;

use crate::cloud::Endpoint;
use crate::error::GraphError;
use crate::request::describe;
use crate::retry::{RetryPolicy, Sleeper};

/// Where request ids come from.
pub type Ids = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// The connections to all hosts; one value serves all tenants of a process.
#[derive(Clone, Debug)]
pub struct Connections {
    usual: reqwest::Client,
    /// For hosts on this machine, which no proxy can reach.
    local: reqwest::Client,
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
        let failed = |error: reqwest::Error| GraphError::Unavailable {
            what: format!("tls cannot be set up: {}", describe(&error)),
            path: "every host".to_owned(),
        };
        Ok(Self {
            usual: builder().build().map_err(failed)?,
            local: builder().no_proxy().build().map_err(failed)?,
        })
    }

    pub(crate) fn to(&self, endpoint: &Endpoint) -> reqwest::Client {
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
    /// How long a request is tried.
    pub retry: RetryPolicy,
    /// How waits are done.
    pub sleep: Sleeper,
    /// How Graph ranks the requests.
    pub priority: Priority,
    /// Requests under way at a time.
    pub in_flight: usize,
}

impl Settings {
    /// The usual behaviour of background work.
    #[must_use]
    pub fn new(connections: Connections, ids: Ids) -> Self {
        let sleep: Sleeper =
            Arc::new(|wait| -> BoxFuture<'static, ()> { Box::pin(tokio::time::sleep(wait)) });
        Self {
            connections,
            ids,
            retry: RetryPolicy::default(),
            sleep,
            priority: Priority::Low,
            in_flight: 8,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("retry", &self.retry)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}
