//! Sends a signal to a webhook, once.
//!
//! Owns what a request holds and where it may go: to public addresses alone, which
//! are looked at when the connection is made, and nowhere else that an answer says.
//! It resolves the secret, which never leaves it, and never says a webhook's URL,
//! since that may hold a secret, too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::{Proof, ProofKind};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use runtime::config::Source;
use runtime::credentials::{Credentials, Installed, Kind};
use runtime::public::{is_public, may_be_public};
use runtime::status::chain;
use secrecy::ExposeSecret;
use store::Webhook;
use url::Url;

use super::signature::signatures;
use crate::Config;

/// How long one attempt may take; shorter than the first pause between two.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The folder of secrets of webhooks below that of credentials.
const FOLDER: &str = "webhooks";

/// The way to all webhooks. Clones share it.
#[derive(Debug, Clone)]
pub struct Webhooks {
    http: reqwest::Client,
    credentials: Credentials,
    reach: Reach,
}

/// Where a webhook may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// At public addresses, by TLS.
    Public,
    /// Anywhere, for practice.
    Anywhere,
}

/// Why an attempt failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Failed {
    /// What the webhook answered, where it did.
    pub(crate) status: u16,
    /// In words, without a secret.
    pub(crate) problem: String,
    /// When it may be called again.
    pub(crate) not_before: Option<DateTime<Utc>>,
}

impl Failed {
    fn because(problem: impl ToString) -> Self {
        Self {
            problem: problem.to_string(),
            ..Self::default()
        }
    }
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    /// The same for each attempt at the same signal.
    pub(crate) id: &'a str,
    /// The signal, as JSON.
    pub(crate) body: &'a str,
}

impl Webhooks {
    /// Prepares it; nothing is sent yet. Proxies are not used: behind one, nobody
    /// could tell where a name leads.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(config: &Config, source: Arc<dyn Source>) -> Result<Self, reqwest::Error> {
        let common = &config.common;
        let reach = match common.custom_clouds {
            true => Reach::Anywhere,
            false => Reach::Public,
        };
        let builder = reqwest::Client::builder()
            .user_agent(concat!("rewind/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Each connection is made anew, so that its address is looked at.
            .pool_max_idle_per_host(0);
        let builder = match reach {
            Reach::Public => builder.https_only(true).dns_resolver(PublicNames),
            Reach::Anywhere => builder,
        };
        let dir = common.credentials_dir.as_ref().map(|dir| dir.join(FOLDER));
        Ok(Self {
            http: builder.build()?,
            credentials: Credentials::new(Kind::Webhook, dir, Installed::default(), source),
            reach,
        })
    }

    /// Sends a letter; what the webhook answered where it took it.
    ///
    /// # Errors
    /// [`Failed`] where it did not, or could not be asked.
    pub(crate) async fn send(
        &self,
        webhook: &Webhook,
        letter: &Letter<'_>,
        now: DateTime<Utc>,
    ) -> Result<u16, Failed> {
        let url = Url::parse(&webhook.url).map_err(|_| Failed::because("its URL is none"))?;
        // Asked again at each use: a registration may be older than the setting.
        let allowed = match self.reach {
            Reach::Anywhere => true,
            Reach::Public => url.scheme() == "https" && may_be_public(&url),
        };
        if !allowed {
            return Err(Failed::because(
                "its URL leads to no public address by https",
            ));
        }
        let signature = self.sign(webhook, letter, now)?;
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", letter.id)
            .header("webhook-timestamp", now.timestamp())
            .header("webhook-signature", signature)
            .body(letter.body.to_owned());
        let answer = request.send().await;
        let answer = answer.map_err(|error| Failed::because(chain(&error.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(status.as_u16());
        }
        Err(Failed {
            status: status.as_u16(),
            problem: format!("the webhook answered {}", status.as_u16()),
            not_before: retry_after(answer.headers(), now),
        })
    }

    fn sign(
        &self,
        webhook: &Webhook,
        letter: &Letter<'_>,
        now: DateTime<Utc>,
    ) -> Result<String, Failed> {
        let proof = Proof {
            kind: ProofKind::Secret,
            reference: webhook.secret.clone(),
        };
        let secret = self.credentials.resolve(&proof).map_err(Failed::because)?;
        let (id, at) = (letter.id, now.timestamp());
        signatures(secret.expose_secret(), id, at, letter.body).map_err(Failed::because)
    }
}

/// When an answer says that it may be asked again: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return now.checked_add_signed(TimeDelta::try_seconds(seconds)?);
    }
    DateTime::parse_from_rfc2822(text)
        .ok()
        .map(|at| at.to_utc())
}

/// Looks names up and leaves out what is not public.
#[derive(Debug, Clone, Copy)]
struct PublicNames;

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("its name leads to no public address")]
struct NotPublic;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|it| is_public(it.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
