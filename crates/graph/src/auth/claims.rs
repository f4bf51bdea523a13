//! What an access token says about itself.
//!
//! A token is Graph's to check, and its form is nobody's promise: its claims
//! are read to tell people what is missing, never to allow anything.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The application permissions that a token carries; `None` where it is no JWT.
pub(super) fn roles(token: &str) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Claims {
        /// Absent where nothing was consented to.
        #[serde(default)]
        roles: BTreeSet<String>,
    }
    let mut parts = token.split('.');
    let (_, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if signature.is_empty() || parts.next().is_some() {
        return None;
    }
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(claims.roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_where_the_token_is_a_jwt() {
        let token = |payload: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let check = |token: &str, expected: Option<&[&str]>| {
            let expected =
                expected.map(|roles| roles.iter().map(|&role| role.to_owned()).collect());
            assert_eq!(roles(token), expected, "{token}");
        };
        check(
            &token(r#"{"roles":["User.Read.All","Group.Read.All"],"tid":"x"}"#),
            Some(&["Group.Read.All", "User.Read.All"]),
        );
        check(&token(r#"{"tid":"x"}"#), Some(&[]));
        check(&token(r#"{"roles":"User.Read.All"}"#), None);
        check(&token("no json"), None);
        check("opaque", None);
        check("a.b.c", None);
        check("a.b.c.d.e", None);
        check("", None);
    }
}
