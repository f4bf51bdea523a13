//! Who calls.
//!
//! Owns the tokens that are known and the comparison that tells nothing by the
//! time it takes. Only digests are kept. Tokens of an identity provider will be
//! a second way to the same [`Caller`].

use model::TenantId;
use proto::v1::Role;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The shortest token that is taken.
const SHORTEST: usize = 16;

/// The tenants that a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// All, also those registered later.
    All,
    /// Only these.
    Only(BTreeSet<TenantId>),
}

/// A static token and what its bearer may do.
#[derive(Debug)]
pub struct Token {
    /// The token itself.
    pub token: SecretString,
    /// What the bearer is called in logs and at the services behind.
    pub name: String,
    /// The bearer's roles.
    pub roles: BTreeSet<Role>,
    /// The tenants for which the roles hold.
    pub tenants: Tenants,
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the caller is called.
    pub name: String,
    /// The caller's roles.
    pub roles: BTreeSet<Role>,
    /// The tenants for which the roles hold.
    pub tenants: Tenants,
}

impl Caller {
    /// Whether the caller has one of these roles.
    #[must_use]
    pub fn has_one_of(&self, roles: &BTreeSet<Role>) -> bool {
        self.roles
            .iter()
            .any(|role| *role != Role::Unspecified && roles.contains(role))
    }

    /// Whether the caller may know of this tenant.
    #[must_use]
    pub fn may_see(&self, tenant: &TenantId) -> bool {
        match &self.tenants {
            Tenants::All => true,
            Tenants::Only(tenants) => tenants.contains(tenant),
        }
    }
}

/// A token that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It could be guessed.
    #[error("a token must have at least 16 characters")]
    Short,
    /// It could not be sent.
    #[error("a token must be of visible ASCII characters")]
    Characters,
    /// The bearer's name is not fit for a header.
    #[error("the name of a token's bearer must be of letters, digits and ._@-")]
    Name,
    /// Nobody could tell whose it is.
    #[error("two people have the same token")]
    Twice,
}

/// The known tokens.
#[derive(Clone)]
pub struct Tokens(Arc<[(blake3::Hash, Arc<Caller>)]>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(_, caller)| &caller.name))
            .finish()
    }
}

impl Tokens {
    /// Takes the tokens that shall be known.
    ///
    /// # Errors
    /// [`InvalidToken`] where one cannot be used.
    pub fn new(tokens: Vec<Token>) -> Result<Self, InvalidToken> {
        tokens
            .into_iter()
            .map(known)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// No token at all.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new([]))
    }

    /// A token of which only the digest is known.
    ///
    /// # Errors
    /// [`InvalidToken::Name`] where the bearer's name cannot be used.
    pub fn by_digest(digest: blake3::Hash, caller: Caller) -> Result<Self, InvalidToken> {
        check_name(&caller.name)?;
        Ok(Self(Arc::new([(digest, Arc::new(caller))])))
    }

    /// These tokens and others.
    ///
    /// # Errors
    /// [`InvalidToken::Twice`] where one is in both.
    pub fn and(&self, others: &Self) -> Result<Self, InvalidToken> {
        let is_known = |digest| self.0.iter().any(|(known, _)| known == digest);
        if others.0.iter().any(|(digest, _)| is_known(digest)) {
            return Err(InvalidToken::Twice);
        }
        Ok(Self(
            self.0.iter().chain(others.0.iter()).cloned().collect(),
        ))
    }

    /// The bearer of a token. Every known token is compared, each in constant time.
    #[must_use]
    pub fn authenticate(&self, token: &str) -> Option<Arc<Caller>> {
        let given = blake3::hash(token.as_bytes());
        self.0.iter().fold(None, |found, (known, caller)| {
            if *known == given {
                Some(Arc::clone(caller))
            } else {
                found
            }
        })
    }
}

fn known(token: Token) -> Result<(blake3::Hash, Arc<Caller>), InvalidToken> {
    let text = token.token.expose_secret();
    if text.len() < SHORTEST {
        return Err(InvalidToken::Short);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(InvalidToken::Characters);
    }
    check_name(&token.name)?;
    let caller = Caller {
        name: token.name,
        roles: token.roles,
        tenants: token.tenants,
    };
    Ok((blake3::hash(text.as_bytes()), Arc::new(caller)))
}

/// The name goes into a header.
fn check_name(name: &str) -> Result<(), InvalidToken> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._@-".contains(&b);
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(InvalidToken::Name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, name: &str) -> Token {
        Token {
            token: SecretString::from(text),
            name: name.to_owned(),
            roles: BTreeSet::new(),
            tenants: Tenants::All,
        }
    }

    #[test]
    fn only_the_whole_token_is_known() {
        let tokens = Tokens::new(vec![
            token("0123456789abcdef", "a"),
            token("fedcba9876543210", "b"),
        ])
        .expect("fit");
        let name = |text| tokens.authenticate(text).map(|caller| caller.name.clone());
        assert_eq!(name("0123456789abcdef").as_deref(), Some("a"));
        assert_eq!(name("fedcba9876543210").as_deref(), Some("b"));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdef ",
            "0123456789ABCDEF",
        ] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        assert!(!format!("{tokens:?}").contains("0123"));
    }

    #[test]
    fn unfit_tokens_are_refused() {
        let error = |text, name| Tokens::new(vec![token(text, name)]).expect_err("unfit");
        assert_eq!(error("short", "a"), InvalidToken::Short);
        assert_eq!(
            error("with spaces in the middle", "a"),
            InvalidToken::Characters
        );
        assert_eq!(error("0123456789abcdef", "a\nb"), InvalidToken::Name);
        assert_eq!(error("0123456789abcdef", ""), InvalidToken::Name);
    }

    #[test]
    fn an_unspecified_role_grants_nothing() {
        let caller = Caller {
            name: "a".to_owned(),
            roles: [Role::Unspecified].into(),
            tenants: Tenants::All,
        };
        assert!(!caller.has_one_of(&[Role::Unspecified, Role::Reader].into()));
    }
}
