//! A small Azure Key Vault: keys with versions that wrap and unwrap, and the
//! endpoints that hand out tokens for it.
//!
//! Keys are real RSA keys. It can be told to refuse, to throttle or to go away,
//! and counts what it was asked. It must never answer without a token that it
//! handed out, nor unwrap with another version than the one in the path.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::Arc;

use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey,
};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The secret that the token endpoint knows.
pub const SECRET: &str = "s3cret-of-the-service";
/// The content of the federated token that it knows.
pub const FEDERATED_TOKEN: &str = "federated-token-of-the-cluster";
/// What the application is called.
const CLIENT: &str = "22222222-0000-4000-8000-000000000000";
const DIRECTORY: &str = "33333333-0000-4000-8000-000000000000";
const RESOURCE: &str = "https://vault.azure.net";

/// How the vault treats those who ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// It does what it is asked.
    #[default]
    Well,
    /// It refuses so many requests as too many, and names a wait in seconds.
    Throttles {
        /// How many.
        times: u32,
        /// What `Retry-After` says.
        retry_after: u32,
    },
    /// It refuses one operation for want of a permission.
    Denies(&'static str),
    /// Its firewall lets nobody in.
    Closed,
    /// It answers with an error of its own.
    Fails,
    /// It takes no token.
    Distrusts,
    /// It answers about another version than it was asked for.
    Confuses,
}

/// What it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calls {
    /// Requests to wrap, refused ones included.
    pub wraps: u32,
    /// Requests to unwrap, likewise.
    pub unwraps: u32,
    /// Tokens that were handed out.
    pub tokens: u32,
}

/// The server; it ends when this is dropped.
#[derive(Debug)]
pub struct FakeKeyVault {
    address: SocketAddr,
    vault: Arc<Mutex<Vault>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Vault {
    manner: Manner,
    calls: Calls,
    tokens: BTreeSet<String>,
    versions: BTreeMap<(String, String), Version>,
    /// How many versions were made.
    made: u32,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// One version of a key.
struct Version {
    key: PrivateDecryptingKey,
    enabled: bool,
}

type Shared = State<Arc<Mutex<Vault>>>;

impl FakeKeyVault {
    /// Serves on a free port of loopback; there is no key yet.
    ///
    /// # Panics
    /// Where no port can be had.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let vault: Arc<Mutex<Vault>> = Arc::default();
        let routes = Router::new()
            .route("/keys/{name}/{version}/{operation}", post(operate))
            .route("/login/{directory}/oauth2/v2.0/token", post(sign_in))
            .route("/metadata", get(vouch))
            .with_state(Arc::clone(&vault));
        let task = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("it serves");
        });
        Self {
            address,
            vault,
            task,
        }
    }

    /// Makes a new version of a key, and the key where there is none; its whole
    /// identifier.
    ///
    /// # Panics
    /// Where no key can be made.
    #[must_use]
    pub fn new_version(&self, name: &str) -> String {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key");
        let mut vault = self.vault.lock();
        vault.made += 1;
        let version = format!("{:032x}", vault.made);
        let identifier = format!("http://{}/keys/{name}/{version}", self.address);
        let made = Version { key, enabled: true };
        vault.versions.insert((name.to_owned(), version), made);
        identifier
    }

    /// Disables a version.
    ///
    /// # Panics
    /// Where there is none of that identifier.
    pub fn disable(&self, identifier: &str) {
        let mut vault = self.vault.lock();
        let version = vault.versions.get_mut(&place(identifier));
        version.expect("it is there").enabled = false;
    }

    /// Deletes a version.
    ///
    /// # Panics
    /// Where there is none of that identifier.
    pub fn delete(&self, identifier: &str) {
        let deleted = self.vault.lock().versions.remove(&place(identifier));
        assert!(deleted.is_some(), "it is there");
    }

    /// Treats those who ask in this manner from now on.
    pub fn be(&self, manner: Manner) {
        self.vault.lock().manner = manner;
    }

    /// Takes no token any more that was handed out.
    pub fn revoke_tokens(&self) {
        self.vault.lock().tokens.clear();
    }

    /// Is no longer there: nothing listens any more.
    pub async fn go_away(&mut self) {
        self.task.abort();
        // The listener is closed when the task is gone.
        assert!((&mut self.task).await.is_err(), "it was serving");
    }

    /// What it was asked.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.vault.lock().calls
    }

    /// The settings of a service that signs in with a secret.
    #[must_use]
    pub fn with_secret(&self, secret: &str) -> HashMap<String, String> {
        self.application(("AZURE_CLIENT_SECRET", secret))
    }

    /// The settings of a service that signs in with its cluster's token, which lies
    /// in a file.
    #[must_use]
    pub fn with_token_file(&self, file: &FilePath) -> HashMap<String, String> {
        let file = file.display().to_string();
        self.application(("AZURE_FEDERATED_TOKEN_FILE", &file))
    }

    /// The settings of a service whose machine vouches for it.
    #[must_use]
    pub fn with_machine(&self) -> HashMap<String, String> {
        let endpoint = format!("http://{}/metadata", self.address);
        HashMap::from([("IDENTITY_ENDPOINT".to_owned(), endpoint)])
    }

    fn application(&self, proof: (&str, &str)) -> HashMap<String, String> {
        let host = format!("http://{}/login/", self.address);
        let pairs = [
            ("AZURE_AUTHORITY_HOST", host.as_str()),
            ("AZURE_TENANT_ID", DIRECTORY),
            ("AZURE_CLIENT_ID", CLIENT),
            proof,
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }
}

impl Drop for FakeKeyVault {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Name and version of an identifier.
fn place(identifier: &str) -> (String, String) {
    let mut parts = identifier.rsplit('/');
    let version = parts.next().unwrap_or_default().to_owned();
    (parts.next().unwrap_or_default().to_owned(), version)
}

impl Vault {
    fn hand_out(&mut self) -> Json<Value> {
        self.calls.tokens += 1;
        let token = format!("token-{}", self.calls.tokens);
        self.tokens.insert(token.clone());
        Json(json!({"token_type": "Bearer", "expires_in": 3599, "access_token": token}))
    }

    /// The refusal that its manner asks for, if any.
    fn refusal(&mut self, operation: &str) -> Option<Response> {
        match self.manner {
            Manner::Throttles { times, retry_after } if times > 0 => {
                self.manner = Manner::Throttles {
                    times: times - 1,
                    retry_after,
                };
                let wait = [(header::RETRY_AFTER, retry_after.to_string())];
                let body = fault("Throttled", None);
                Some((StatusCode::TOO_MANY_REQUESTS, wait, body).into_response())
            }
            Manner::Denies(denied) if denied.eq_ignore_ascii_case(operation) => Some(
                (
                    StatusCode::FORBIDDEN,
                    fault("Forbidden", Some("ForbiddenByRbac")),
                )
                    .into_response(),
            ),
            Manner::Closed => Some(
                (
                    StatusCode::FORBIDDEN,
                    fault("Forbidden", Some("ForbiddenByFirewall")),
                )
                    .into_response(),
            ),
            Manner::Fails => Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
            _ => None,
        }
    }
}

async fn operate(
    State(vault): Shared,
    Path((name, version, operation)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    let mut vault = vault.lock();
    match operation.as_str() {
        "wrapkey" => vault.calls.wraps += 1,
        "unwrapkey" => vault.calls.unwraps += 1,
        _ => return StatusCode::NOT_FOUND.into_response(),
    }
    if query.get("api-version").map(String::as_str) != Some("7.4") {
        return (StatusCode::BAD_REQUEST, fault("BadParameter", None)).into_response();
    }
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let known = token.is_some_and(|token| vault.tokens.contains(token));
    if !known || vault.manner == Manner::Distrusts {
        return (StatusCode::UNAUTHORIZED, fault("Unauthorized", None)).into_response();
    }
    if let Some(refusal) = vault.refusal(&operation) {
        return refusal;
    }
    let manner = vault.manner;
    let Some(found) = vault.versions.get(&(name.clone(), version.clone())) else {
        return (StatusCode::NOT_FOUND, fault("KeyNotFound", None)).into_response();
    };
    // As the real one does: a disabled key still wraps.
    if !found.enabled && operation == "unwrapkey" {
        let body = fault("Forbidden", Some("KeyDisabled"));
        return (StatusCode::FORBIDDEN, body).into_response();
    }
    let value = asked["value"]
        .as_str()
        .filter(|_| asked["alg"] == "RSA-OAEP-256")
        .and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
    let Some(done) = value.and_then(|value| crypt(&found.key, &operation, &value)) else {
        return (StatusCode::BAD_REQUEST, fault("BadParameter", None)).into_response();
    };
    let told = match manner {
        Manner::Confuses => "another",
        _ => &version,
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    Json(json!({
        "kid": format!("http://{host}/keys/{name}/{told}"),
        "value": BASE64_URL_SAFE_NO_PAD.encode(done),
    }))
    .into_response()
}

fn crypt(key: &PrivateDecryptingKey, operation: &str, value: &[u8]) -> Option<Vec<u8>> {
    let mut output = vec![0; key.key_size_bytes()];
    let done = if operation == "wrapkey" {
        OaepPublicEncryptingKey::new(key.public_key())
            .ok()?
            .encrypt(&OAEP_SHA256_MGF1SHA256, value, &mut output, None)
            .ok()?
            .len()
    } else {
        OaepPrivateDecryptingKey::new(key.clone())
            .ok()?
            .decrypt(&OAEP_SHA256_MGF1SHA256, value, &mut output, None)
            .ok()?
            .len()
    };
    output.truncate(done);
    Some(output)
}

async fn sign_in(State(vault): Shared, Path(directory): Path<String>, body: String) -> Response {
    let form = format!("/?{body}").parse().ok();
    let form = form.and_then(|uri| Query::<HashMap<String, String>>::try_from_uri(&uri).ok());
    let form = form.map(|form| form.0).unwrap_or_default();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let proven = field("client_secret") == SECRET || field("client_assertion") == FEDERATED_TOKEN;
    let scope = format!("{RESOURCE}/.default");
    let addressed = (directory.as_str(), field("client_id"), field("scope"))
        == (DIRECTORY, CLIENT, scope.as_str());
    if addressed && proven {
        return vault.lock().hand_out().into_response();
    }
    let refused = json!({
        "error": "invalid_client",
        "error_description": format!("AADSTS7000215: Invalid client secret provided: {}. Trace ID: 1", field("client_secret")),
    });
    (StatusCode::UNAUTHORIZED, Json(refused)).into_response()
}

async fn vouch(
    State(vault): Shared,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let asked = headers.get("metadata").is_some_and(|value| value == "true");
    let resource = query.get("resource").map(String::as_str);
    if !asked || resource != Some(RESOURCE) || query.contains_key("client_id") {
        let refused =
            json!({"error": "invalid_request", "error_description": "Identity not found"});
        return (StatusCode::BAD_REQUEST, Json(refused)).into_response();
    }
    let Json(mut issued) = vault.lock().hand_out();
    // The metadata service writes numbers as text.
    issued["expires_in"] = "3599".into();
    Json(issued).into_response()
}

fn fault(code: &str, inner: Option<&str>) -> Json<Value> {
    let mut error = json!({"code": code, "message": "Caller: appid=22222222; what was sent"});
    if let Some(inner) = inner {
        error["innererror"] = json!({"code": inner});
    }
    Json(json!({ "error": error }))
}
