//! An OpenID issuer on this machine, whose keys can be changed, and tokens of its and of
//! those who would like to be it.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Whom tokens are for.
pub(crate) const AUDIENCE: &str = "api://rewind";
/// 2026-11-23T08:00:00Z, when the tests' clocks begin.
pub(crate) const NOW: i64 = 1_795_420_800;

/// In front of the key itself in PKCS #8 there are so many bytes, for 2048 bits.
const PKCS8_HEAD: usize = 26;

/// A key, which an issuer may have or not.
pub(crate) struct SigningKey {
    pub(crate) kid: &'static str,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
}

impl SigningKey {
    pub(crate) fn ec(kid: &'static str) -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        Self {
            kid,
            algorithm: Algorithm::ES256,
            key: EncodingKey::from_ec_der(&key.serialize_der()),
        }
    }

    pub(crate) fn rsa(kid: &'static str, algorithm: Algorithm) -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let key: Pkcs8V1Der<'_> = key.as_der().expect("a form");
        Self {
            kid,
            algorithm,
            key: EncodingKey::from_rsa_der(&key.as_ref()[PKCS8_HEAD..]),
        }
    }

    /// The public half as the issuer shows it.
    pub(crate) fn public(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a public half");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = self.kid.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.to_owned());
        self.sign_as(&header, claims)
    }

    pub(crate) fn sign_as(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).expect("signed")
    }

    /// A token that names this key and is signed with its public half as the secret of
    /// an HMAC.
    pub(crate) fn confused(&self, claims: &Value) -> String {
        let public = self.public();
        let part = public.get("n").or_else(|| public.get("x"));
        let part = part.and_then(Value::as_str).expect("a number");
        let secret = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64");
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.kid.to_owned());
        let key = EncodingKey::from_secret(&secret);
        jsonwebtoken::encode(&header, claims, &key).expect("signed")
    }
}

/// A token without a signature.
pub(crate) fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "none", "typ": "JWT"});
    format!("{}.{}.", part(&header), part(claims))
}

#[derive(Default)]
struct State {
    keys: Mutex<Vec<Value>>,
    claimed: Mutex<String>,
    away: AtomicBool,
    fetched: AtomicUsize,
}

/// An issuer that serves as long as the test's runtime.
pub(crate) struct FakeIssuer {
    pub(crate) url: String,
    state: Arc<State>,
}

impl FakeIssuer {
    pub(crate) async fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v2.0", listener.local_addr().expect("bound"));
        let state = Arc::new(State::default());
        state.claimed.lock().expect("unpoisoned").clone_from(&url);
        let issuer = Self { url, state };
        issuer.serve(keys);
        let (one, two) = (Arc::clone(&issuer.state), Arc::clone(&issuer.state));
        let place = format!("{}/keys", issuer.url);
        let discovery = move || async move {
            let claimed = one.claimed.lock().expect("unpoisoned").clone();
            answer(&one, json!({"issuer": claimed, "jwks_uri": place}))
        };
        let keys = move || async move {
            two.fetched.fetch_add(1, Ordering::SeqCst);
            let keys = two.keys.lock().expect("unpoisoned").clone();
            answer(&two, json!({ "keys": keys }))
        };
        let routes = Router::new()
            .route("/v2.0/.well-known/openid-configuration", get(discovery))
            .route("/v2.0/keys", get(keys));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        issuer
    }

    /// Shows other keys from now on.
    pub(crate) fn serve(&self, keys: &[&SigningKey]) {
        let keys = keys.iter().map(|key| key.public()).collect();
        *self.state.keys.lock().expect("unpoisoned") = keys;
    }

    /// Says that it is another.
    pub(crate) fn claim(&self, issuer: &str) {
        issuer.clone_into(&mut self.state.claimed.lock().expect("unpoisoned"));
    }

    pub(crate) fn away(&self, away: bool) {
        self.state.away.store(away, Ordering::SeqCst);
    }

    /// How often its keys were asked for.
    pub(crate) fn fetched(&self) -> usize {
        self.state.fetched.load(Ordering::SeqCst)
    }

    /// Claims that count, of somebody.
    pub(crate) fn claims(&self, sub: &str, roles: &[&str]) -> Value {
        json!({
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": sub,
            "preferred_username": format!("{sub}@contoso.com"),
            "roles": roles,
            "nbf": NOW,
            "exp": NOW + 3600,
        })
    }
}

fn answer(state: &State, body: Value) -> Result<axum::Json<Value>, StatusCode> {
    match state.away.load(Ordering::SeqCst) {
        true => Err(StatusCode::SERVICE_UNAVAILABLE),
        false => Ok(axum::Json(body)),
    }
}
