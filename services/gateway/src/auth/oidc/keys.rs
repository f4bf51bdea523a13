//! The keys that an issuer signs with.
//!
//! Owns their fetching by the discovery document (OpenID Connect Discovery 1.0) and the
//! key set (RFC 7517), and how long they are kept. They are fetched again when a token
//! names one that is not known, though not more often than once in a while, whatever
//! tokens name; and when they are old. What is known stays while the issuer is away.

use super::is_trusted;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::RwLock;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// How long keys are taken for all that there are.
const FRESH: Duration = Duration::from_secs(3600);
/// How long nothing is fetched after it was.
pub(super) const PAUSE: Duration = Duration::from_secs(10);
/// How long the issuer has for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of an answer.
const LARGEST: usize = 1024 * 1024;

/// There are no keys, and none can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer of tokens cannot be reached")]
pub(crate) struct Away;

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0} does not answer")]
    Http(Url, #[source] reqwest::Error),
    #[error("{0} answers {1}")]
    Status(Url, reqwest::StatusCode),
    #[error("{0} answers with more than a key set takes")]
    Large(Url),
    #[error("{0} answers with something else")]
    Form(Url),
    #[error("the issuer says that it is another: {0:?}")]
    Issuer(String),
    #[error("{0:?} is no place for keys")]
    Place(String),
    #[error("there is no key that is taken")]
    None,
}

/// One key.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// The keys as they were fetched.
#[derive(Debug)]
pub(super) struct Set {
    keys: Vec<Key>,
    fetched: Instant,
}

impl Set {
    /// The keys that may have signed a token.
    pub(super) fn fit<'a>(
        &'a self,
        id: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a DecodingKey> {
        let fits = move |key: &&Key| {
            key.algorithms.contains(&algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        self.keys.iter().filter(fits).map(|key| &key.key)
    }

    fn has(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.fit(id, algorithm).next().is_some()
    }
}

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct Keys {
    client: reqwest::Client,
    issuer: String,
    known: RwLock<Option<Arc<Set>>>,
    /// When they were fetched last, or could not be; held meanwhile.
    turn: Mutex<Option<Instant>>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Keys of a kind that is not known are passed over, so each is read by itself.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Keys {
    pub(super) fn of(issuer: &str) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none());
        // No proxy reaches this machine.
        let local = issuer.starts_with("http://");
        let builder = if local { builder.no_proxy() } else { builder };
        Ok(Self {
            client: builder.build()?,
            issuer: issuer.to_owned(),
            known: RwLock::new(None),
            turn: Mutex::new(None),
        })
    }

    /// The keys, fetched before where none of them fits.
    ///
    /// # Errors
    /// [`Away`] where there never were any.
    pub(super) async fn with(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<Set>, Away> {
        let known = self.known.read().clone();
        if let Some(set) = known.filter(|set| set.has(id, algorithm)) {
            if set.fetched.elapsed() >= FRESH {
                let keys = Arc::clone(self);
                // Nobody waits for it.
                tokio::spawn(async move {
                    if let Ok(mut turn) = keys.turn.try_lock() {
                        keys.fetch_at(&mut turn).await;
                    }
                });
            }
            return Ok(set);
        }
        let mut turn = self.turn.lock().await;
        // Somebody may have fetched them while this one waited.
        let known = self.known.read().clone();
        if let Some(set) = known.filter(|set| set.has(id, algorithm)) {
            return Ok(set);
        }
        self.fetch_at(&mut turn).await;
        self.known.read().clone().ok_or(Away)
    }

    /// Fetches the keys, unless that was done just before.
    async fn fetch_at(&self, turn: &mut Option<Instant>) {
        if turn.is_some_and(|last| last.elapsed() < PAUSE) {
            return;
        }
        *turn = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                tracing::info!(issuer = self.issuer, keys = keys.len(), "keys are fetched");
                let fetched = Instant::now();
                *self.known.write() = Some(Arc::new(Set { keys, fetched }));
            }
            Err(error) => {
                let error = runtime::status::chain(&error);
                tracing::warn!(issuer = self.issuer, error, "keys cannot be fetched");
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, FetchError> {
        let issuer = self.issuer.trim_end_matches('/');
        let discovery = format!("{issuer}/.well-known/openid-configuration");
        let discovery: Discovery = self.get(place(&discovery)?).await?;
        if discovery.issuer != self.issuer {
            return Err(FetchError::Issuer(discovery.issuer));
        }
        let set: KeySet = self.get(place(&discovery.jwks_uri)?).await?;
        let keys: Vec<Key> = set.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err(FetchError::None);
        }
        Ok(keys)
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, FetchError> {
        let failed = |error| FetchError::Http(url.clone(), error);
        let answer = self.client.get(url.clone()).send().await;
        let mut answer = answer.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(FetchError::Status(url, answer.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(FetchError::Large(url));
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|_| FetchError::Form(url))
    }
}

/// Where keys, or what leads to them, may be.
fn place(text: &str) -> Result<Url, FetchError> {
    let place = Url::parse(text).ok().filter(is_trusted);
    place.ok_or_else(|| FetchError::Place(text.to_owned()))
}

/// A key that tokens may be signed with; `None` for any other.
fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let signs = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(_) => false,
    };
    let of_kind: &[(Algorithm, KeyAlgorithm)] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[
            (Algorithm::RS256, KeyAlgorithm::RS256),
            (Algorithm::PS256, KeyAlgorithm::PS256),
        ],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            &[(Algorithm::ES256, KeyAlgorithm::ES256)]
        }
        _ => &[],
    };
    let stated = jwk.common.key_algorithm;
    let algorithms = of_kind
        .iter()
        .filter(|(_, name)| stated.is_none_or(|it| it == *name));
    let algorithms: Vec<Algorithm> = algorithms.map(|(algorithm, _)| *algorithm).collect();
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (signs && !algorithms.is_empty()).then_some(Key {
        id: jwk.common.key_id,
        algorithms,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_keys_that_sign_are_taken_each_for_its_own_algorithms() {
        let n = "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW_VDL5AaWTg0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269V264Vf_3jvredZiKRkgwlL9xNAwxXFg0x_XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbcmw";
        let rsa = json!({"kty": "RSA", "n": n, "e": "AQAB"});
        let with = |members: Value| {
            let mut key = rsa.clone();
            let all = key.as_object_mut().expect("an object");
            all.extend(members.as_object().expect("an object").clone());
            key
        };
        let ec = json!({"kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        let both = vec![Algorithm::RS256, Algorithm::PS256];
        for (value, expected) in [
            (rsa.clone(), Some(both.clone())),
            (with(json!({"use": "sig"})), Some(both.clone())),
            // As Entra ID has them.
            (
                with(json!({"use": "sig", "kid": "k", "x5t": "k", "issuer": "i"})),
                Some(both),
            ),
            (with(json!({"alg": "RS256"})), Some(vec![Algorithm::RS256])),
            (with(json!({"alg": "RS512"})), None),
            (with(json!({"alg": "HS256"})), None),
            (with(json!({"use": "enc"})), None),
            (ec, Some(vec![Algorithm::ES256])),
            (json!({"kty": "oct", "k": "c2VjcmV0"}), None),
            (json!({"kty": "new"}), None),
        ] {
            let taken = key(value.clone()).map(|key| key.algorithms);
            assert_eq!(taken, expected, "{value}");
        }
    }
}
