//! Requests to one tenant's Graph: headers, tokens, repetition.
//!
//! A read is repeated whenever that may help; a write only where Graph said
//! that it did not carry it out. Requests go to the tenant's own Graph and
//! follow no redirect, since each carries a token.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use tokio::sync::{Mutex, Semaphore};

use crate::auth::{Credential, Token, Tokens};
use crate::cloud::Endpoint;
use crate::directory::NextLink;
use crate::error::GraphError;
use crate::request::{Outcome, Repeat, Request};
use crate::retry::{Attempts, Next};
use crate::settings::{Priority, Settings};

/// Without it Graph says `unknownFutureValue` instead of newer enum members.
pub(crate) const PREFER: &str = "include-unknown-enum-members";

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) path: String,
}

/// The connection to one tenant's Graph.
pub(crate) struct Client {
    http: reqwest::Client,
    root: String,
    origin: url::Origin,
    tokens: Tokens,
    settings: Settings,
    slots: Semaphore,
    /// Conditional Access has one request a second: requests to it queue.
    conditional_access: Mutex<()>,
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
            http.clone(),
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
            slots: Semaphore::new(settings.in_flight.max(1)),
            settings,
            conditional_access: Mutex::new(()),
        }
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A GET below the version root.
    pub(crate) async fn get(&self, relative: &str) -> Result<Answer, GraphError> {
        self.send(self.request(Method::GET, relative, None, Repeat::Freely))
            .await
    }

    /// A POST that reads: `$batch` of reads, `getByIds`.
    pub(crate) async fn ask(
        &self,
        relative: &str,
        body: &serde_json::Value,
    ) -> Result<Answer, GraphError> {
        self.send(self.request(Method::POST, relative, Some(body), Repeat::Freely))
            .await
    }

    /// A write.
    pub(crate) async fn write(
        &self,
        method: Method,
        relative: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, GraphError> {
        self.send(self.request(method, relative, body, Repeat::IfRefused))
            .await
    }

    /// The page behind a next link, which must be on the tenant's own Graph.
    pub(crate) async fn follow(&self, link: &NextLink) -> Result<Answer, GraphError> {
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
        let path = self.below_root(url.as_str());
        self.send(Request {
            method: Method::GET,
            url: url.into(),
            path,
            body: None,
            repeat: Repeat::Freely,
        })
        .await
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
        repeat: Repeat,
    ) -> Request {
        let url = format!("{}{relative}", self.root);
        let path = self.below_root(&url);
        Request {
            method,
            url,
            path,
            body: body.map(|body| Bytes::from(body.to_string())),
            repeat,
        }
    }

    /// What errors and logs call a URL: no host, no query.
    fn below_root(&self, url: &str) -> String {
        let path = url.strip_prefix(&self.root).unwrap_or(url);
        path.split('?').next().unwrap_or_default().to_owned()
    }

    async fn send(&self, request: Request) -> Result<Answer, GraphError> {
        let _turn = match request.path.starts_with("/identity/conditionalAccess") {
            true => Some(self.conditional_access.lock().await),
            false => None,
        };
        let mut attempts = Attempts::new(self.settings.retry, &self.settings.sleep);
        let mut renewed = false;
        loop {
            let token = self.tokens.token().await?;
            match self.attempt(&request, &token).await {
                Outcome::Done(body) => {
                    return Ok(Answer {
                        body,
                        path: request.path,
                    });
                }
                Outcome::Failed(error) => return Err(error),
                Outcome::TokenRefused(error) => {
                    self.tokens.forget(&token).await;
                    if std::mem::replace(&mut renewed, true) {
                        return Err(error);
                    }
                }
                Outcome::Passing { error, told, first } => {
                    tracing::debug!(path = request.path, %error, "graph did not answer as wished");
                    if attempts.pause(told, first).await == Next::GiveUp {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn attempt(&self, request: &Request, token: &Token) -> Outcome {
        let _slot = self
            .slots
            .acquire()
            .await
            .expect("invariant: the semaphore is never closed");
        let mut builder = self
            .http
            .request(request.method.clone(), &request.url)
            .bearer_auth(token.expose_secret())
            .header("client-request-id", (self.settings.ids)().to_string());
        if self.settings.priority == Priority::Low {
            builder = builder.header("x-ms-throttle-priority", "Low");
        }
        if request.method == Method::GET {
            builder = builder.header("Prefer", PREFER);
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.clone());
        }
        let answer = match builder.send().await {
            Ok(answer) => answer,
            Err(error) => return request.cut_off(&error),
        };
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        match answer.bytes().await {
            Ok(body) => request.judge(status, &headers, body),
            Err(error) => request.cut_off(&error),
        }
    }
}
