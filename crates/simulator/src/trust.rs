//! What apps of a practice tenant prove themselves with besides a secret: certificates, and the
//! issuers whose tokens they trust.
//!
//! Owns the check of a signed assertion. Facts: "Microsoft identity platform application
//! authentication certificate credentials", "Workload identity federation".

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use serde_json::Value;

/// Something that an app of a tenant may prove itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A certificate uploaded to the app.
    Certificate {
        /// Client id of the app.
        client_id: String,
        /// The certificate, DER.
        certificate: Vec<u8>,
    },
    /// A federated identity credential of the app.
    Federation {
        /// Client id of the app.
        client_id: String,
        /// Who issues the tokens.
        issuer: String,
        /// Whom they speak of.
        subject: String,
        /// Whom they are for, usually `api://AzureADTokenExchange`.
        audience: String,
        /// A certificate with the issuer's key, DER, in place of its published keys.
        signer: Vec<u8>,
    },
}

/// The refusal of an assertion: the platform's code and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub code: u32,
    pub text: String,
}

fn refused(code: u32, text: impl Into<String>) -> Refused {
    Refused {
        code,
        text: text.into(),
    }
}

/// An assertion, taken apart and not yet believed.
struct Assertion<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    header: Value,
    claims: Value,
}

impl<'a> Assertion<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| -> Option<Value> {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&bytes).ok().filter(Value::is_object)
        };
        Some(Self {
            signed,
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?,
            header: json(header)?,
            claims: json(claims)?,
        })
    }

    fn claim(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// Whether these are the assertion's minutes.
    fn is_current(&self, now: f64) -> bool {
        let time = |name: &str| self.claims.get(name).and_then(Value::as_f64);
        time("exp").is_some_and(|exp| now < exp) && time("nbf").is_none_or(|nbf| nbf <= now + 300.0)
    }

    fn is_signed_by(
        &self,
        certificate: &[u8],
        algorithm: &str,
        check: &dyn SignatureVerificationAlgorithm,
    ) -> bool {
        let named = self.header.get("alg").and_then(Value::as_str);
        let certificate = CertificateDer::from(certificate);
        named == Some(algorithm)
            && webpki::EndEntityCert::try_from(&certificate).is_ok_and(|certificate| {
                certificate
                    .verify_signature(check, self.signed.as_bytes(), &self.signature)
                    .is_ok()
            })
    }
}

/// Checks that an assertion speaks for an app of the tenant.
///
/// # Errors
/// The platform's code and words where it does not.
pub(crate) fn check(
    trusts: &[Trust],
    client_id: &str,
    token_url: &str,
    text: &str,
    now: f64,
) -> Result<(), Refused> {
    let assertion = Assertion::parse(text)
        .ok_or_else(|| refused(50_027, "JWT token is invalid or malformed."))?;
    let expired = || {
        refused(
            700_024,
            "Client assertion is not within its valid time range.",
        )
    };
    match assertion.header.get("x5t#S256").and_then(Value::as_str) {
        Some(thumbprint) => {
            certificate(trusts, client_id, &assertion, thumbprint)?;
            if assertion.claim("iss") != client_id || assertion.claim("sub") != client_id {
                return Err(refused(
                    700_021,
                    "Client assertion application identifier doesn't match 'client_id' parameter.",
                ));
            }
            if assertion.claim("aud") != token_url {
                return Err(refused(
                    700_023,
                    "Client assertion audience claim does not match Realm issuer.",
                ));
            }
        }
        None => federation(trusts, client_id, &assertion)?,
    }
    if assertion.is_current(now) {
        Ok(())
    } else {
        Err(expired())
    }
}

fn certificate(
    trusts: &[Trust],
    client_id: &str,
    assertion: &Assertion<'_>,
    thumbprint: &str,
) -> Result<(), Refused> {
    let of_app = trusts.iter().filter_map(|trust| match trust {
        Trust::Certificate {
            client_id: app,
            certificate,
        } if app.eq_ignore_ascii_case(client_id) => Some(certificate),
        _ => None,
    });
    let mut named = of_app.filter(|certificate| {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate)) == thumbprint
    });
    let Some(certificate) = named.next() else {
        return Err(refused(
            700_027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '{thumbprint}']"
            ),
        ));
    };
    let check = webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY;
    if assertion.is_signed_by(certificate, "PS256", check) {
        Ok(())
    } else {
        Err(refused(
            700_027,
            "Client assertion failed signature validation.",
        ))
    }
}

fn federation(trusts: &[Trust], client_id: &str, assertion: &Assertion<'_>) -> Result<(), Refused> {
    let signer = trusts.iter().find_map(|trust| match trust {
        Trust::Federation {
            client_id: app,
            issuer,
            subject,
            audience,
            signer,
        } if app.eq_ignore_ascii_case(client_id)
            && assertion.claim("iss") == issuer
            && assertion.claim("sub") == subject
            && is_for(&assertion.claims, audience) =>
        {
            Some(signer)
        }
        _ => None,
    });
    let Some(signer) = signer else {
        return Err(refused(
            70_021,
            format!(
                "No matching federated identity record found for presented assertion. Assertion Issuer: '{}'. Assertion Subject: '{}'.",
                assertion.claim("iss"),
                assertion.claim("sub")
            ),
        ));
    };
    if assertion.is_signed_by(
        signer,
        "RS256",
        webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    ) {
        Ok(())
    } else {
        Err(refused(
            700_027,
            "Client assertion failed signature validation.",
        ))
    }
}

/// Kubernetes writes the audience as a list, and exactly one entry is taken.
fn is_for(claims: &Value, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(all)) => all.len() == 1 && all[0] == audience,
        _ => false,
    }
}
