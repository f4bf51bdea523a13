//! Requests to one tenant's Graph: headers, tokens, repetition.
//!
//! Each attempt passes the tenant's budget first. A read is repeated whenever
//! that may help; a write only where Graph said that it did not carry it out.
//! Requests go to the tenant's own Graph and follow no redirect, since each
//! carries a token.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::snapshot::Effort;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;

use crate::auth::{Credential, Token, Tokens};
use crate::budget::{Budget, Cost, Manner};
use crate::cloud::Endpoint;
use crate::directory::NextLink;
use crate::error::{GraphError, clipped};
use crate::meter;
use crate::request::{Outcome, Repeat, Request, Take, any_json, anything};
use crate::retry::{Next, Patience};
use crate::roles;
use crate::settings::{Http, Priority, Route, Settings};

/// Without it Graph says `unknownFutureValue` instead of newer enum members.
pub(crate) const PREFER: &str = "include-unknown-enum-members";

/// A successful answer, as it is or as it was read.
#[derive(Debug)]
pub(crate) struct Answer<T = Bytes> {
    pub(crate) body: T,
    pub(crate) path: String,
    /// How long the lane is closed because of parts that were throttled.
    pub(crate) closed: Duration,
}

/// One attempt, after its answer.
struct Attempt<T> {
    outcome: Outcome<T>,
    token: Token,
    /// How long the lane is closed because of it.
    closed: Duration,
    /// The connections that a repetition uses.
    route: Route,
    /// Graph's id of the request, where it was answered.
    request_id: Option<String>,
}

/// The connection to one tenant's Graph.
pub(crate) struct Client {
    http: Http,
    root: String,
    origin: url::Origin,
    tokens: Tokens,
    settings: Settings,
    budget: Arc<Budget>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("root", &self.root)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(endpoint: &Endpoint, credential: Credential, settings: Settings) -> Self {
        let http = settings.connections.to(endpoint);
        let tokens = Tokens::new(
            http.by(Route::Usual).clone(),
            endpoint,
            credential,
            settings.retry,
            Arc::clone(&settings.sleep),
        );
        Self {
            http,
            root: endpoint.root(),
            origin: endpoint.graph_url.origin(),
            tokens,
            budget: settings.budget(endpoint),
            settings,
        }
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// A GET below the version root.
    pub(crate) async fn get(&self, relative: &str) -> Result<Answer, GraphError> {
        self.get_as(relative, Arc::new(any_json)).await
    }

    /// A GET whose body is read by the caller; what cannot be read is asked for
    /// again, and no other check is spent on it.
    pub(crate) async fn get_as<T: Send + 'static>(
        &self,
        relative: &str,
        take: Take<T>,
    ) -> Result<Answer<T>, GraphError> {
        let cost = Cost::of(&Method::GET, relative);
        let request = self.request(Method::GET, relative, None, cost);
        self.send(request, take).await
    }

    /// A POST that reads, such as `getByIds`.
    pub(crate) async fn ask(
        &self,
        relative: &str,
        body: &serde_json::Value,
    ) -> Result<Answer, GraphError> {
        let cost = Cost::of(&Method::POST, relative);
        let request = self.request(Method::POST, relative, Some(body), cost);
        self.send(request, Arc::new(any_json)).await
    }

    /// A POST of many reads in one, with what they cost together.
    pub(crate) async fn ask_many<T: Send + 'static>(
        &self,
        body: &serde_json::Value,
        cost: Cost,
        take: Take<T>,
    ) -> Result<Answer<T>, GraphError> {
        let request = self.request(Method::POST, "/$batch", Some(body), cost);
        self.send(request, take).await
    }

    /// A write; notes Graph's id of each request that is answered, so that the last
    /// one's is left.
    pub(crate) async fn write(
        &self,
        method: Method,
        relative: &str,
        body: Option<&serde_json::Value>,
        request_id: &mut Option<String>,
    ) -> Result<Answer, GraphError> {
        let cost = Cost::of(&method, relative);
        let mut request = self.request(method, relative, body, cost);
        request.repeat = Repeat::IfRefused;
        self.send_noting(request, Arc::new(anything), request_id)
            .await
    }

    /// The same write in beta, after v1.0 answered with an error; that error where there
    /// is no beta beside the root.
    pub(crate) async fn write_beta(
        &self,
        method: Method,
        relative: &str,
        body: Option<&serde_json::Value>,
        request_id: &mut Option<String>,
        error: GraphError,
    ) -> Result<Answer, GraphError> {
        let url = roles::in_beta(&self.root, relative).ok_or(error)?;
        let cost = Cost::of(&method, relative);
        let mut request = self.request(method, relative, body, cost);
        request.path = format!("/beta{relative}");
        request.url = url;
        request.repeat = Repeat::IfRefused;
        self.send_noting(request, Arc::new(anything), request_id)
            .await
    }

    /// The page behind a next link, which must be on the tenant's own Graph.
    pub(crate) async fn follow(&self, link: &NextLink) -> Result<Answer, GraphError> {
        self.follow_as(link, Arc::new(any_json)).await
    }

    /// The page behind a next link, read by the caller as with [`Client::get_as`].
    pub(crate) async fn follow_as<T: Send + 'static>(
        &self,
        link: &NextLink,
        take: Take<T>,
    ) -> Result<Answer<T>, GraphError> {
        let url = url::Url::parse(link.as_str())
            .ok()
            .filter(|url| url.origin() == self.origin);
        let Some(url) = url else {
            let what = "its next link leaves the tenant's graph".to_owned();
            return Err(GraphError::Unexpected {
                what,
                path: "a page".to_owned(),
            });
        };
        let url = String::from(url);
        let (below, path) = self.below_root(&url);
        let request = Request {
            method: Method::GET,
            cost: Cost::of(&Method::GET, below),
            path,
            url,
            body: None,
            repeat: Repeat::Freely,
        };
        self.send(request, take).await
    }

    /// Forgets the token, whichever it is; the next request fetches another.
    pub(crate) async fn renew_token(&self) -> Result<(), GraphError> {
        let token = self.tokens.token().await?;
        self.tokens.forget(&token).await;
        Ok(())
    }

    /// Signs in anew and reads which application permissions the token carries;
    /// `None` where it does not say.
    pub(crate) async fn granted(&self) -> Result<Option<BTreeSet<String>>, GraphError> {
        self.tokens.granted().await
    }

    fn request(
        &self,
        method: Method,
        relative: &str,
        body: Option<&serde_json::Value>,
        cost: Cost,
    ) -> Request {
        let url = format!("{}{relative}", self.root);
        let (_, path) = self.below_root(&url);
        Request {
            method,
            url,
            path,
            body: body.map(|body| Bytes::from(body.to_string())),
            repeat: Repeat::Freely,
            cost,
        }
    }

    /// The part of a URL below the version root, and what errors and logs call
    /// it: no host, no query.
    fn below_root<'a>(&self, url: &'a str) -> (&'a str, String) {
        let origin = || url.strip_prefix(&self.origin.ascii_serialization());
        let below = url.strip_prefix(&self.root).or_else(origin).unwrap_or(url);
        let path = below.split('?').next().unwrap_or_default();
        (below, path.to_owned())
    }

    async fn send<T: Send + 'static>(
        &self,
        request: Request,
        take: Take<T>,
    ) -> Result<Answer<T>, GraphError> {
        self.send_noting(request, take, &mut None).await
    }

    async fn send_noting<T: Send + 'static>(
        &self,
        request: Request,
        take: Take<T>,
        request_id: &mut Option<String>,
    ) -> Result<Answer<T>, GraphError> {
        let mut patience = Patience::new(self.settings.retry);
        let mut route = Route::Usual;
        let mut renewed = false;
        self.budget.first_attempt();
        loop {
            let attempt = self.attempt(&request, route, &take).await?;
            route = attempt.route;
            if attempt.request_id.is_some() {
                *request_id = attempt.request_id;
            }
            let (error, closed, wait) = match attempt.outcome {
                Outcome::Done(body, _) => {
                    return Ok(Answer {
                        body,
                        path: request.path,
                        closed: attempt.closed,
                    });
                }
                Outcome::Failed(error) => return Err(error),
                Outcome::TokenRefused(error) => {
                    self.tokens.forget(&attempt.token).await;
                    if std::mem::replace(&mut renewed, true) {
                        return Err(error);
                    }
                    continue;
                }
                Outcome::Throttled(error, _) => (error, attempt.closed, Duration::ZERO),
                Outcome::Down(error) => (error, Duration::ZERO, self.failed(&mut patience)),
                Outcome::Unreadable(error) => {
                    if patience.unreadable() == Next::GiveUp {
                        return Err(error);
                    }
                    (error, Duration::ZERO, self.failed(&mut patience))
                }
            };
            tracing::debug!(path = request.path, %error, "graph did not answer as wished");
            if self.pause(&mut patience, closed, wait).await == Next::GiveUp {
                return Err(error);
            }
        }
    }

    /// The wait after a failure of the network or the server.
    pub(crate) fn failed(&self, patience: &mut Patience) -> Duration {
        patience.after_failure(self.settings.chance())
    }

    /// Waits before a repetition. A closed lane is not waited for here, where
    /// others could overtake, but where requests queue; it costs patience all
    /// the same.
    pub(crate) async fn pause(
        &self,
        patience: &mut Patience,
        closed: Duration,
        wait: Duration,
    ) -> Next {
        let wait = wait.max(self.budget.retry_wait());
        if patience.spend(closed.max(wait)) == Next::GiveUp {
            return Next::GiveUp;
        }
        self.budget.retry();
        meter::count(Effort {
            retries: 1,
            ..Effort::default()
        });
        if !wait.is_zero() {
            (self.settings.sleep)(wait).await;
        }
        Next::Again
    }

    /// Waits for the budget, sends once, and tells the budget what came back.
    async fn attempt<T: Send + 'static>(
        &self,
        request: &Request,
        route: Route,
        take: &Take<T>,
    ) -> Result<Attempt<T>, GraphError> {
        let manner = Manner {
            sleep: &self.settings.sleep,
            now: &self.settings.now,
            ceiling: self.settings.in_flight,
            patience: self.settings.retry.max_wait,
            path: &request.path,
        };
        // Before the wait for a turn, which is short: it is not for signing in.
        let token = self.tokens.token().await?;
        let ticket = self.budget.enter(request.cost, &manner).await?;
        let (outcome, headers, status, bytes) = self.exchange(request, &token, route, take).await;
        let heard = outcome.heard(&headers);
        let (throttled, refused) = outcome.refusals();
        meter::count(Effort {
            pages: 0,
            requests: 1,
            units: heard.units.unwrap_or(request.cost.units).into(),
            retries: 0,
            throttled,
            refused,
            bytes,
        });
        let closed = ticket.heard(heard, self.settings.chance());
        let request_id = headers.get("request-id").and_then(|id| id.to_str().ok());
        Ok(Attempt {
            outcome,
            token,
            closed,
            request_id: request_id.map(clipped),
            // Whoever answers 429 is well; a server that fails is not asked
            // again over a connection that leads to it.
            route: if status == Some(429) {
                Route::Usual
            } else {
                Route::Fresh
            },
        })
    }

    async fn exchange<T: Send + 'static>(
        &self,
        request: &Request,
        token: &Token,
        route: Route,
        take: &Take<T>,
    ) -> (Outcome<T>, HeaderMap, Option<u16>, u64) {
        let answer = match self.build(request, token, route).send().await {
            Ok(answer) => answer,
            Err(error) => return (request.cut_off(&error), HeaderMap::new(), None, 0),
        };
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        match answer.bytes().await {
            Ok(body) => {
                let bytes = body.len() as u64;
                let outcome = request.judge(status, &headers, body, take).await;
                (outcome, headers, Some(status), bytes)
            }
            Err(error) => (request.cut_off(&error), headers, None, 0),
        }
    }

    fn build(&self, request: &Request, token: &Token, route: Route) -> reqwest::RequestBuilder {
        let mut builder = self
            .http
            .by(route)
            .request(request.method.clone(), &request.url)
            .bearer_auth(token.expose_secret())
            .header("client-request-id", (self.settings.ids)().to_string());
        if self.settings.priority == Priority::Low {
            builder = builder.header("x-ms-throttle-priority", "Low");
        }
        if request.method == Method::GET {
            builder = builder.header("Prefer", PREFER);
        } else if request.method == Method::PATCH && request.path.ends_with("')") {
            // "Upsert group", "Upsert application": by an alternate key only what is to
            // be made is written.
            builder = builder.header("Prefer", "create-if-missing");
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.clone());
        }
        builder
    }
}
