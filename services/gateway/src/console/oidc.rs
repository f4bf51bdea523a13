//! Signing in at an identity provider.
//!
//! Owns the authorisation code flow with PKCE: where the browser is sent, what has to
//! come back, and the exchange for tokens. Whether a token is any good is decided where
//! tokens of all callers are, never here.
//!
//! Facts: OpenID Connect Core 1.0, §3.1; OpenID Connect Discovery 1.0, §4; RFC 7636
//! (PKCE); RFC 9700 (Best Current Practice for OAuth 2.0 Security).

use super::error::PageError;
use super::frame::{Answer, see};
use super::seal::word;
use super::{Console, Shared, guard, login, session};
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use runtime::config::{ConfigError, Settings};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

use super::asked::Asked;

const ISSUER: &str = "REWIND_OIDC_ISSUER";
const CLIENT_ID: &str = "REWIND_OIDC_CLIENT_ID";
const CLIENT_SECRET_FILE: &str = "REWIND_OIDC_CLIENT_SECRET_FILE";
const SCOPE: &str = "REWIND_OIDC_SCOPE";
pub(super) const CONSOLE_URL: &str = "REWIND_CONSOLE_URL";

/// The cookie between the way out and the way back.
const COOKIE: &str = "rewind-login";
/// What it is sealed for.
const PURPOSE: &str = "login";
/// How long somebody may take at the provider, in seconds.
const PATIENCE: u32 = 600;
/// How long an answer of the provider may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer of the provider.
const LARGEST: usize = 256 * 1024;

/// The settings of signing in at an identity provider.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// `REWIND_OIDC_ISSUER`.
    pub issuer: String,
    /// `REWIND_OIDC_CLIENT_ID`: the console's own registration at the provider.
    pub client_id: String,
    /// `REWIND_OIDC_CLIENT_SECRET_FILE`, where the provider wants a secret beside PKCE.
    pub client_secret_file: Option<PathBuf>,
    /// `REWIND_OIDC_SCOPE`: what is asked for; `openid` has to be in it. With Entra ID it
    /// names the API whose tokens this server takes: `openid api://rewind/.default`.
    pub scope: String,
    /// `REWIND_CONSOLE_URL`: where browsers find the console; `/login/callback` below it
    /// has to be registered at the provider.
    pub console_url: String,
}

impl OidcConfig {
    /// Reads the settings; `None` where the console has no registration.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub(super) fn read(settings: &Settings<'_>) -> Result<Option<Self>, ConfigError> {
        let (issuer, console_url) = (settings.url(ISSUER)?, settings.url(CONSOLE_URL)?);
        let client_secret_file = settings.path(CLIENT_SECRET_FILE);
        let scope = settings
            .text(SCOPE)
            .unwrap_or_else(|| "openid profile".to_owned());
        let Some(client_id) = settings.text(CLIENT_ID) else {
            return Ok(None);
        };
        let missing = |key: &str| ConfigError::Missing {
            key: key.to_owned(),
        };
        if !scope.split_whitespace().any(|it| it == "openid") {
            return Err(ConfigError::invalid(SCOPE, "openid is expected in it"));
        }
        Ok(Some(Self {
            issuer: issuer.ok_or_else(|| missing(ISSUER))?,
            console_url: console_url.ok_or_else(|| missing(CONSOLE_URL))?,
            client_id,
            client_secret_file,
            scope,
        }))
    }
}

/// An identity provider.
#[derive(Debug)]
pub(super) struct Provider {
    config: OidcConfig,
    secret: Option<SecretString>,
    http: reqwest::Client,
    found: tokio::sync::OnceCell<Endpoints>,
}

/// What discovery tells.
#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
}

/// Where the provider's parts are.
#[derive(Debug)]
struct Endpoints {
    authorization: Url,
    token: Url,
}

/// What is kept in the browser while somebody is at the provider, sealed.
#[derive(Serialize, Deserialize)]
struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    to: String,
    begun: i64,
}

/// What the provider gives for a code.
struct Given {
    access_token: Option<SecretString>,
    id_token: SecretString,
}

/// The same as it arrives.
#[derive(Deserialize)]
struct Answered {
    access_token: Option<String>,
    id_token: String,
}

/// What an id token says, as far as it matters here.
#[derive(Deserialize)]
struct Claims {
    nonce: Option<String>,
}

/// Why signing in came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the identity provider cannot be reached")]
    Unreachable(#[from] reqwest::Error),
    #[error("the identity provider answered {0}")]
    Refused(http::StatusCode),
    #[error("the identity provider answered with something that cannot be understood")]
    Malformed,
    #[error("the identity provider names itself {0:?}")]
    OtherIssuer(String),
    #[error("the identity provider's addresses are not safe")]
    Insecure,
    #[error("the tokens are for another attempt at signing in")]
    Replayed,
}

impl From<Failure> for PageError {
    fn from(failure: Failure) -> Self {
        tracing::warn!(
            cause = runtime::status::chain(&failure),
            "nobody was signed in"
        );
        let text = failure.to_string();
        match failure {
            Failure::Unreachable(_) | Failure::Refused(_) | Failure::Malformed => {
                tonic::Status::unavailable(text).into()
            }
            Failure::OtherIssuer(_) | Failure::Insecure => {
                tonic::Status::failed_precondition(text).into()
            }
            Failure::Replayed => PageError::sign_in_again(&text),
        }
    }
}

impl Provider {
    /// # Errors
    /// [`ConfigError`] where the secret cannot be read or TLS cannot be had.
    pub(super) fn new(config: &OidcConfig) -> Result<Self, ConfigError> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).map(SecretString::from);
            let text = text.map_err(|error| ConfigError::invalid(CLIENT_SECRET_FILE, error))?;
            Ok(SecretString::from(text.expose_secret().trim()))
        };
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Ok(Self {
            secret: config.client_secret_file.as_ref().map(read).transpose()?,
            http: http.map_err(|error| ConfigError::invalid(ISSUER, error))?,
            found: tokio::sync::OnceCell::new(),
            config: config.clone(),
        })
    }

    fn redirect_uri(&self) -> String {
        format!(
            "{}/login/callback",
            self.config.console_url.trim_end_matches('/')
        )
    }

    /// Where the provider's parts are; asked for until it has answered once.
    async fn endpoints(&self) -> Result<&Endpoints, Failure> {
        self.found.get_or_try_init(|| self.discover()).await
    }

    async fn discover(&self) -> Result<Endpoints, Failure> {
        let issuer = self.config.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let answer = self.http.get(url).send().await?;
        let found: Discovered = read(answer).await?;
        if found.issuer.trim_end_matches('/') != issuer {
            return Err(Failure::OtherIssuer(found.issuer));
        }
        let parse = |text: &str| {
            let url = Url::parse(text).map_err(|_| Failure::Malformed)?;
            if is_safe(&url) {
                Ok(url)
            } else {
                Err(Failure::Insecure)
            }
        };
        Ok(Endpoints {
            authorization: parse(&found.authorization_endpoint)?,
            token: parse(&found.token_endpoint)?,
        })
    }

    /// Where the browser is sent.
    async fn address(&self, pending: &Pending) -> Result<String, Failure> {
        let mut url = self.endpoints().await?.authorization.clone();
        let challenge = digest(&SHA256, pending.verifier.as_bytes());
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.redirect_uri())
            .append_pair("scope", &self.config.scope)
            .append_pair("state", &pending.state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &BASE64_URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// The tokens for a code.
    async fn exchange(&self, code: &str, pending: &Pending) -> Result<Given, Failure> {
        let redirect_uri = self.redirect_uri();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("client_id", &self.config.client_id),
            ("code_verifier", &pending.verifier),
        ];
        if let Some(secret) = &self.secret {
            form.push(("client_secret", secret.expose_secret()));
        }
        let endpoint = self.endpoints().await?.token.clone();
        let answer = self.http.post(endpoint).form(&form).send().await?;
        let answered: Answered = read(answer).await?;
        let given = Given {
            access_token: answered.access_token.map(SecretString::from),
            id_token: SecretString::from(answered.id_token),
        };
        // It comes from the provider itself over TLS, so the claims may be read as they
        // are (OpenID Connect Core 1.0, §3.1.3.7); its signature is checked where a
        // caller is authenticated with it.
        let claims = claims(given.id_token.expose_secret()).ok_or(Failure::Malformed)?;
        if claims.nonce.as_deref() != Some(pending.nonce.as_str()) {
            return Err(Failure::Replayed);
        }
        Ok(given)
    }
}

/// Whether secrets may be sent there: over TLS, or within this machine.
fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

/// An answer in JSON, of bounded size.
async fn read<T: for<'a> Deserialize<'a>>(mut answer: reqwest::Response) -> Result<T, Failure> {
    if !answer.status().is_success() {
        return Err(Failure::Refused(answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST {
            return Err(Failure::Malformed);
        }
    }
    serde_json::from_slice(&bytes).map_err(|_| Failure::Malformed)
}

/// What the middle part of a token says.
fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&bytes).ok()
}

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/login/provider", get(leave))
        .route("/login/callback", get(come_back))
}

fn provider(console: &Console) -> Result<&Provider, PageError> {
    console
        .provider
        .as_ref()
        .ok_or_else(PageError::no_such_page)
}

/// Sends the browser to the provider.
async fn leave(State(console): State<Shared>, asked: Asked) -> Answer {
    let provider = provider(&console)?;
    let pending = Pending {
        state: word(),
        nonce: word(),
        // RFC 7636 wants 43 to 128 characters.
        verifier: word() + &word(),
        to: login::inward(asked.text("to")).to_owned(),
        begun: console.clock.now().timestamp(),
    };
    let address = provider.address(&pending).await?;
    let bytes = serde_json::to_vec(&pending).expect("invariant: text and numbers are JSON");
    let sealed = console.seal.seal(PURPOSE, &bytes);
    let mut response = Redirect::to(&address).into_response();
    let name = guard::cookie_name(&console, COOKIE);
    guard::set_cookie(
        &console,
        response.headers_mut(),
        &name,
        &sealed,
        Some(PATIENCE),
    );
    Ok(response)
}

/// Takes what the provider sends the browser back with.
async fn come_back(State(console): State<Shared>, headers: HeaderMap, asked: Asked) -> Response {
    let mut response = match signed_in(&console, &headers, &asked).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    let name = guard::cookie_name(&console, COOKIE);
    guard::set_cookie(&console, response.headers_mut(), &name, "", Some(0));
    response
}

async fn signed_in(console: &Console, headers: &HeaderMap, asked: &Asked) -> Answer {
    let provider = provider(console)?;
    let name = guard::cookie_name(console, COOKIE);
    let pending = guard::cookie(headers, &name).and_then(|text| pending(console, text));
    // Whoever was sent here by somebody else has no cookie that fits the state.
    let pending = pending.filter(|it| {
        blake3::hash(it.state.as_bytes()) == blake3::hash(asked.text("state").as_bytes())
    });
    let Some(pending) = pending else {
        return Err(PageError::sign_in_again(
            "this is not the end of an attempt at signing in that was begun here",
        ));
    };
    if asked.is_set("error") {
        let told = [asked.text("error"), asked.text("error_description")].join(": ");
        return Err(PageError::sign_in_again(&format!(
            "the identity provider says: {told}"
        )));
    }
    let given = provider.exchange(asked.text("code"), &pending).await?;
    let tokens = given.access_token.iter().chain([&given.id_token]);
    for token in tokens {
        let Some(cookie) = session::begin(console, token.expose_secret()).await? else {
            continue;
        };
        let mut response = see(&pending.to)?;
        if guard::write(console, response.headers_mut(), &cookie) {
            return Ok(response);
        }
        return Err(PageError::invalid("token", "it is too long for a session"));
    }
    Err(PageError::unknown_person())
}

fn pending(console: &Console, text: &str) -> Option<Pending> {
    let bytes = console.seal.open(PURPOSE, text)?;
    let pending: Pending = serde_json::from_slice(&bytes).ok()?;
    let age = console.clock.now().timestamp() - pending.begun;
    (0..=i64::from(PATIENCE)).contains(&age).then_some(pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<OidcConfig>, ConfigError> {
        let source: BTreeMap<String, String> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        OidcConfig::read(&Settings::load(&source)?)
    }

    #[test]
    fn a_registration_needs_the_issuer_and_the_consoles_own_address() {
        let full = [
            (CLIENT_ID, "c"),
            (ISSUER, "https://login.example/"),
            (CONSOLE_URL, "https://backup.example"),
        ];
        assert_eq!(
            read(&full).expect("valid").expect("there").scope,
            "openid profile"
        );
        assert!(
            read(&full[1..]).expect("valid").is_none(),
            "no registration"
        );
        for missing in [1, 2] {
            let mut pairs = full.to_vec();
            let (key, _) = pairs.remove(missing);
            let error = read(&pairs).expect_err("missing").to_string();
            assert_eq!(error, format!("{key} is not set"));
        }
        let mut unfit = full.to_vec();
        unfit.push((SCOPE, "profile"));
        assert!(read(&unfit).is_err());
    }

    #[test]
    fn secrets_are_sent_over_tls_or_within_the_machine() {
        for (url, safe) in [
            ("https://login.example/token", true),
            ("http://127.0.0.1:1/token", true),
            ("http://localhost/token", true),
            ("http://login.example/token", false),
            ("ftp://127.0.0.1/token", false),
        ] {
            assert_eq!(is_safe(&Url::parse(url).expect("valid")), safe, "{url}");
        }
    }
}
