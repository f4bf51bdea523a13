//! A tenant's webhook as it comes in and goes out.
//!
//! Owns what a fit webhook is. It looks at the form of the secret's reference and
//! never at what it leads to, and it calls nobody: that a name leads to a public
//! address is checked by whoever sends.

use crate::error::GatewayError;
use crate::registration::CustomClouds;
use chrono::{DateTime, Utc};
use model::drift::Severity;
use model::{Proof, ProofKind};
use proto::v1;
use runtime::credentials::{CredentialReference, Kind};
use runtime::public;
use store::Webhook;
use url::Url;

/// The longest URL that is taken.
const MAX_URL: usize = 2_000;

/// Reads a webhook; `field` is where it stands.
///
/// # Errors
/// Invalid, or Denied for a foreign reference, naming the field.
pub(crate) fn record(
    field: &str,
    told: v1::Webhook,
    clouds: CustomClouds,
    now: DateTime<Utc>,
) -> Result<Webhook, GatewayError> {
    let min_severity = match told.min_severity() {
        v1::Severity::Unspecified if told.min_severity == 0 => Severity::Low,
        severity => proto::convert::model_severity(severity).ok_or_else(|| {
            GatewayError::invalid(format!("{field}.min_severity"), "a severity is expected")
        })?,
    };
    if !fits(&told.url, clouds) {
        return Err(GatewayError::invalid(
            format!("{field}.url"),
            "an https URL of a public host is expected, without credentials or fragment",
        ));
    }
    let proof = Proof {
        kind: ProofKind::Secret,
        reference: told.secret_ref,
    };
    CredentialReference::parse(Kind::Webhook, &proof).map_err(|source| {
        GatewayError::Credential {
            field: format!("{field}.secret_ref"),
            source,
        }
    })?;
    Ok(Webhook {
        url: told.url,
        secret: proof.reference,
        min_severity,
        since: now,
    })
}

/// Whether a URL may be called. On a server for practice tenants it may lead to
/// this machine, too.
fn fits(text: &str, clouds: CustomClouds) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let allowed = match clouds {
        CustomClouds::Allow => matches!(url.scheme(), "http" | "https") && url.has_host(),
        CustomClouds::Refuse => url.scheme() == "https" && public::may_be_public(&url),
    };
    plain && allowed && text.len() <= MAX_URL
}

/// A webhook in the place of another: since when signals are sent does not change
/// with where they are sent.
pub(crate) fn at_the_time_of(one: Option<Webhook>, before: Option<&Webhook>) -> Option<Webhook> {
    one.map(|one| Webhook {
        since: before.map_or(one.since, |before| before.since),
        ..one
    })
}

/// A webhook as an answer.
pub(crate) fn message(webhook: &Webhook) -> v1::Webhook {
    v1::Webhook {
        url: webhook.url.clone(),
        secret_ref: webhook.secret.clone(),
        min_severity: proto::convert::severity(webhook.min_severity).into(),
        since_time: Some(proto::convert::timestamp(webhook.since)),
    }
}
