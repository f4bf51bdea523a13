//! The signature of what is sent, as Standard Webhooks 1.0.0 has it: HMAC-SHA256
//! over id, time and body, joined by dots.
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//!
//! It never shows a secret, also where it is none.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What a secret may begin with.
const PREFIX: &str = "whsec_";
/// How many bytes a secret has.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What is wrong with something that should be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the webhook's secret is not base64 of 24 to 64 bytes, such as `openssl rand -base64 32` makes"
)]
pub(crate) struct NoSecret;

/// The value of `webhook-signature`: one signature for each secret, so that a secret
/// can be changed while both are in use.
///
/// # Errors
/// [`NoSecret`] where there is none, or one is not of the right form.
pub(crate) fn signatures(secrets: &str, id: &str, at: i64, body: &str) -> Result<String, NoSecret> {
    let content = format!("{id}.{at}.{body}");
    let one = |secret: &str| {
        let text = secret.strip_prefix(PREFIX).unwrap_or(secret);
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| NoSecret)?;
        if !BYTES.contains(&bytes.len()) {
            return Err(NoSecret);
        }
        let tag = sign(&Key::new(HMAC_SHA256, &bytes), content.as_bytes());
        Ok(format!("v1,{}", BASE64_STANDARD.encode(tag)))
    };
    let signatures: Vec<String> = secrets
        .split_whitespace()
        .map(one)
        .collect::<Result<_, _>>()?;
    if signatures.is_empty() {
        return Err(NoSecret);
    }
    Ok(signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = r#"{"test": 2432232314}"#;

    /// The example of the reference libraries' own tests; computed anew with Python's
    /// hmac module.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(
            signatures(SECRET, ID, 1_614_265_330, BODY).as_deref(),
            Ok(expected)
        );
        let bare = &SECRET[PREFIX.len()..];
        assert_eq!(
            signatures(bare, ID, 1_614_265_330, BODY).as_deref(),
            Ok(expected)
        );
        for (id, at, body) in [
            ("msg", 1_614_265_330, BODY),
            (ID, 1, BODY),
            (ID, 1_614_265_330, "{}"),
        ] {
            assert_ne!(signatures(SECRET, id, at, body).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn while_a_secret_is_changed_both_sign() {
        let new = "whsec_bmV3IHNlY3JldCBvZiAyNCBieXRlcyEh";
        let both = format!("{SECRET}\n{new}");
        let alone = |secret| signatures(secret, ID, 1, BODY).expect("it signs");
        assert_eq!(
            signatures(&both, ID, 1, BODY),
            Ok(format!("{} {}", alone(SECRET), alone(new)))
        );
    }

    #[test]
    fn what_is_no_secret_is_refused_unseen() {
        for secret in [
            "",
            " ",
            "whsec_",
            "hunter2",
            "whsec_c2hvcnQ=",
            "not base64 at all",
        ] {
            let refused = signatures(secret, ID, 1, BODY).expect_err(secret);
            assert!(!refused.to_string().contains("hunter2"));
        }
        let long = BASE64_STANDARD.encode([7; 65]);
        assert_eq!(signatures(&long, ID, 1, BODY), Err(NoSecret));
    }
}
