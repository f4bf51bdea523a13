//! Client assertions: a JWT that the application's certificate signs (PS256).
//!
//! Facts: "Microsoft identity platform application authentication certificate
//! credentials"; RFC 7523. Certificates are made and trusted elsewhere; here
//! one is only found next to its key.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use serde_json::json;

/// How long an assertion is good for.
const LIFETIME: TimeDelta = TimeDelta::minutes(5);

/// A certificate and its private key.
pub(super) struct Signer {
    key: RsaKeyPair,
    thumbprint: String,
}

impl Signer {
    /// Finds a key and its certificate in PEM, in whatever order and company.
    pub(super) fn from_pem(pem: &str) -> Result<Self, &'static str> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "it holds no private key in PEM without a password")?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err("its private key is no RSA key"),
        };
        let key = key.map_err(|_| "its private key is no RSA key of 2048 bits or more")?;
        // A certificate holds its public key in the very form that the key gives.
        let public = key.public_key().as_ref().to_vec();
        let mut certificates =
            CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        let certificate = certificates
            .find(|certificate| certificate.windows(public.len()).any(|part| part == public))
            .ok_or("it holds no certificate of its private key")?;
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
        Ok(Self { key, thumbprint })
    }

    /// Signs that the application asks for a token, here and in these minutes.
    pub(super) fn assertion(
        &self,
        token_url: &str,
        client_id: &str,
        jti: &str,
        now: DateTime<Utc>,
    ) -> Result<SecretString, &'static str> {
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": token_url,
            "iss": client_id,
            "sub": client_id,
            "jti": jti,
            "nbf": now.timestamp(),
            "exp": (now + LIFETIME).timestamp(),
        });
        let part = |part: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| "its private key cannot sign")?;
        Ok(SecretString::from(format!(
            "{signed}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        )))
    }
}
