//! Bearer tokens of an OpenID Connect issuer, Entra ID or any other.
//!
//! Owns the checks that a token has to pass, in the order of RFC 8725: algorithm, key,
//! signature, issuer, audience, time; and what the claims say of the caller. Why a
//! token is refused goes to the log alone, and the token nowhere.
//!
//! The algorithms are those with public keys that issuers use, and a key serves only
//! those of its own kind: neither `none` nor an HMAC with a public key as its secret
//! passes.

mod claims;
mod keys;

pub use claims::Claims;
pub(crate) use claims::Identity;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, Validation};
use keys::{Away, Keys};
use runtime::Clock;
use serde_json::{Map, Value};
use std::sync::Arc;
use url::Url;

/// The algorithms that are taken.
const TAKEN: [Algorithm; 3] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256];
/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;
/// How far the issuer's clock may be from ours, in seconds.
const SKEW: f64 = 60.0;

/// Whose tokens are taken, and what is read from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// `REWIND_OIDC_ISSUER`, as tokens have it in `iss`.
    pub issuer: String,
    /// `REWIND_OIDC_AUDIENCE`: of which a token's `aud` must have one.
    pub audiences: Vec<String>,
    /// Where the name and the roles are.
    pub claims: Claims,
}

/// An issuer that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIssuer {
    /// Its keys could be anybody's.
    #[error("an https URL without query is expected; http on a loopback address alone")]
    Url,
    /// Tokens for anything would be taken.
    #[error("at least one audience is expected")]
    Audience,
}

impl Issuer {
    /// Takes an issuer and its audiences, separated by commas.
    ///
    /// # Errors
    /// [`InvalidIssuer`].
    pub fn new(issuer: &str, audiences: &str, claims: Claims) -> Result<Self, InvalidIssuer> {
        let url = Url::parse(issuer).map_err(|_| InvalidIssuer::Url)?;
        if !is_trusted(&url) || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidIssuer::Url);
        }
        let audiences = audiences.split(',').map(str::trim);
        let audiences = audiences.filter(|audience| !audience.is_empty());
        let audiences: Vec<String> = audiences.map(str::to_owned).collect();
        if audiences.is_empty() {
            return Err(InvalidIssuer::Audience);
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            audiences,
            claims,
        })
    }
}

/// Whether what is read from a URL is what its owner wrote.
fn is_trusted(url: &Url) -> bool {
    let loopback = || match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => loopback(),
        _ => false,
    }
}

/// Why a token tells nobody's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It does not count.
    #[error("{0}")]
    Token(&'static str),
    /// Whether it counts cannot be told.
    #[error(transparent)]
    Away(#[from] Away),
}

/// The issuer whose tokens are taken.
#[derive(Debug)]
pub(crate) struct Oidc {
    issuer: Issuer,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
}

impl Oidc {
    /// Nothing is fetched yet.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub(crate) fn new(issuer: Issuer, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        Ok(Self {
            keys: Arc::new(Keys::of(&issuer.issuer)?),
            issuer,
            clock,
        })
    }

    /// Whose a token is.
    ///
    /// # Errors
    /// [`Refusal`] where it does not count, or cannot be checked.
    pub(crate) async fn identity(&self, token: &str) -> Result<Identity, Refusal> {
        if token.len() > LONGEST {
            return Err(Refusal::Token("too long"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Token("no JWT"))?;
        if !TAKEN.contains(&header.alg) {
            return Err(Refusal::Token("an algorithm that is not taken"));
        }
        let kid = header.kid.as_deref();
        let keys = self.keys.with(kid, header.alg).await?;
        let fit: Vec<_> = keys.fit(kid, header.alg).collect();
        // Without an id only one key can be meant.
        if fit.is_empty() || (kid.is_none() && fit.len() > 1) {
            return Err(Refusal::Token("a key that the issuer does not have"));
        }
        let mut validation = Validation::new(header.alg);
        // Time, audience and issuer are looked at below, by this program's clock.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let signed = |key| jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation).ok();
        let token = fit
            .into_iter()
            .find_map(signed)
            .ok_or(Refusal::Token("a signature of another key"))?;
        check(&token.claims, &self.issuer, self.clock.now()).map_err(Refusal::Token)?;
        let identity = self
            .issuer
            .claims
            .identity(&self.issuer.issuer, &token.claims);
        identity.ok_or(Refusal::Token("no sub"))
    }
}

/// Whether signed claims are from the issuer, for us, for now.
fn check(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    now: DateTime<Utc>,
) -> Result<(), &'static str> {
    if claims.get("iss").and_then(Value::as_str) != Some(&issuer.issuer) {
        return Err("another issuer");
    }
    let is_ours = |audience: &Value| {
        let audience = audience.as_str().unwrap_or_default();
        issuer.audiences.iter().any(|own| own == audience)
    };
    let ours = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    };
    if !ours {
        return Err("another audience");
    }
    // Seconds of this century are exact.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let now = now.timestamp() as f64;
    let time = |name: &str| claims.get(name).map(Value::as_f64);
    match time("exp") {
        Some(Some(until)) if now < until + SKEW => {}
        Some(Some(_)) => return Err("expired"),
        _ => return Err("no exp"),
    }
    match time("nbf") {
        None => Ok(()),
        Some(Some(from)) if now + SKEW >= from => Ok(()),
        Some(_) => Err("not valid yet"),
    }
}

#[cfg(test)]
mod tests;
