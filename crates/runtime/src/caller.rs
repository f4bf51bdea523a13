//! Who calls, as one service tells another, and how that is vouched for.
//!
//! The gateway knows the caller and tells the name to the services behind in a header,
//! of which it never passes on one that came from outside. A second header signs it,
//! with a key that all services of an installation have: for one method, one tenant
//! and one call, for a minute. A service that has the key takes no call without; one
//! without the key believes the name, and listens on loopback only.
//!
//! Owns both headers, the key and the signature. It never decides what a caller may do.

mod key;

pub use key::{Keys, KeysError};

use crate::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::ErrorKind;
use model::error::reason;
use std::sync::Arc;
use tonic::Request;

/// The header of the caller's name.
pub const HEADER: &str = "x-rewind-caller";
/// The header of the signature over it: `v1;TIME;TENANT;HASH`.
pub const SIGNATURE: &str = "x-rewind-caller-signature";

const NAME: HeaderName = HeaderName::from_static(HEADER);
const SIGNED: HeaderName = HeaderName::from_static(SIGNATURE);
const REQUEST_ID: &str = "x-request-id";
/// The form of the signature.
const FORM: &str = "v1";
/// For how long a signature counts, and how far clocks may be apart.
const LIFE: TimeDelta = TimeDelta::seconds(60);
/// What the names of services begin with; no person's name holds a colon.
const SERVICE: &str = "service:";
/// Methods of other packages, health and reflection, are open to everyone.
const PACKAGE: &str = "/rewind.";

/// What the caller is called; `None` where the call came from a service of its own
/// accord, or past the gateway.
///
/// The server has checked the signature before, where it has the key.
#[must_use]
pub fn of<T>(request: &Request<T>) -> Option<String> {
    let value = request.metadata().get(HEADER)?.to_str().ok()?;
    let person = !value.is_empty() && !value.starts_with(SERVICE);
    person.then(|| value.to_owned())
}

/// Who calls what, for whom.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// What the caller is called; fit for a header.
    pub caller: &'a str,
    /// The method's path, `/package.Service/Method`.
    pub path: &'a str,
    /// The tenant that the call is about; empty where it is about none.
    pub tenant: &'a str,
}

/// Writes who calls into the headers of a request, signed where there is a key.
#[derive(Debug, Clone)]
pub struct Signer {
    keys: Option<Keys>,
    clock: Arc<dyn Clock>,
    service: String,
}

impl Signer {
    /// Signs with the first of the keys, and calls as a service where nobody else does.
    #[must_use]
    pub fn new(service: &str, keys: Option<Keys>, clock: Arc<dyn Clock>) -> Self {
        Self {
            keys,
            clock,
            service: format!("{SERVICE}{service}"),
        }
    }

    /// Writes who calls. The request id is signed as it stands in the headers, so it
    /// has to be there before.
    pub fn write(&self, headers: &mut HeaderMap, said: Said<'_>) {
        let name = HeaderValue::from_str(said.caller)
            .expect("invariant: names of callers are fit for a header");
        headers.insert(NAME, name);
        headers.remove(SIGNED);
        let Some(keys) = &self.keys else {
            return;
        };
        let time = self.clock.now().timestamp();
        let hash = keys.sign(&text(headers, said, time));
        let value = format!("{FORM};{time};{};{}", said.tenant, hash.to_hex());
        let value =
            HeaderValue::from_str(&value).expect("invariant: ids of tenants are fit for a header");
        headers.insert(SIGNED, value);
    }

    /// Writes that the service itself calls, unless it is said already who does.
    pub(crate) fn write_service(&self, headers: &mut HeaderMap, path: &str, tenant: &str) {
        if self.keys.is_some() && !headers.contains_key(NAME) {
            let caller = &self.service;
            self.write(
                headers,
                Said {
                    caller,
                    path,
                    tenant,
                },
            );
        }
    }
}

/// A call that nobody vouches for. What is wrong with it is told to the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call does not come from a service of this installation")]
pub struct Unvouched(&'static str);

impl crate::status::Fault for Unvouched {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Denied
    }

    fn reason(&self) -> &str {
        reason::UNAUTHENTICATED
    }
}

/// Takes calls only with a signature that counts.
#[derive(Debug, Clone)]
pub struct Check {
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl Check {
    /// Takes signatures by any of the keys.
    #[must_use]
    pub fn new(keys: Keys, clock: Arc<dyn Clock>) -> Self {
        Self { keys, clock }
    }

    /// Whether somebody of the installation vouches for a call.
    ///
    /// # Errors
    /// [`Unvouched`] where nobody does.
    pub fn verify(&self, path: &str, headers: &HeaderMap) -> Result<(), Unvouched> {
        if !path.starts_with(PACKAGE) {
            return Ok(());
        }
        let verified = verify(&self.keys, self.clock.now(), path, headers);
        verified.inspect_err(|Unvouched(why)| tracing::warn!(path, why, "a call is refused"))
    }
}

fn verify(
    keys: &Keys,
    now: DateTime<Utc>,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), Unvouched> {
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    let caller = one(&NAME).ok_or(Unvouched("no name, or several"))?;
    let signature = one(&SIGNED).ok_or(Unvouched("no signature, or several"))?;
    let parts: Vec<&str> = signature.split(';').collect();
    let [FORM, time, tenant, hash] = parts[..] else {
        return Err(Unvouched("a signature of another form"));
    };
    let hash = blake3::Hash::from_hex(hash).map_err(|_| Unvouched("no hash"))?;
    let time: i64 = time.parse().map_err(|_| Unvouched("no time"))?;
    let said = Said {
        caller,
        path,
        tenant,
    };
    if !keys.signed(&text(headers, said, time), &hash) {
        return Err(Unvouched("the signature of another key or call"));
    }
    let age = now.timestamp().saturating_sub(time);
    if age.unsigned_abs() > LIFE.num_seconds().unsigned_abs() {
        return Err(Unvouched("a signature of another time"));
    }
    Ok(())
}

/// What is signed: each part after its length, so that no two calls have one text.
fn text(headers: &HeaderMap, said: Said<'_>, time: i64) -> Vec<u8> {
    let id = headers
        .get(REQUEST_ID)
        .map_or(&[][..], HeaderValue::as_bytes);
    let time = time.to_string();
    let parts = [
        FORM.as_bytes(),
        said.caller.as_bytes(),
        said.path.as_bytes(),
        said.tenant.as_bytes(),
        time.as_bytes(),
        id,
    ];
    let mut text = Vec::new();
    for part in parts {
        text.extend((part.len() as u64).to_le_bytes());
        text.extend(part);
    }
    text
}

#[cfg(test)]
mod tests;
