//! Tokens and certificates that an operator gave out.
//!
//! Owns those that are known and the comparison that tells nothing by the time it
//! takes. Of tokens only digests are kept.

use super::{Caller, Tenants};
use proto::v1::Role;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The shortest token that is taken.
const SHORTEST: usize = 16;

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

/// What shows who somebody is.
#[derive(Clone, PartialEq, Eq)]
enum Proof {
    /// A token with this digest.
    Token(blake3::Hash),
    /// A client certificate with this name.
    Certificate(String),
}

/// The known tokens and certificates.
#[derive(Clone)]
pub struct Tokens(Arc<[(Proof, Arc<Caller>)]>);

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
        Ok(Self(Arc::new([(Proof::Token(digest), Arc::new(caller))])))
    }

    /// A client certificate, by one of the names in it: `uri:…`, `dns:…` or `cn:…`.
    ///
    /// # Errors
    /// [`InvalidToken::Name`] where the bearer's name cannot be used.
    pub fn by_certificate(name: String, caller: Caller) -> Result<Self, InvalidToken> {
        check_name(&caller.name)?;
        Ok(Self(Arc::new([(
            Proof::Certificate(name),
            Arc::new(caller),
        )])))
    }

    /// These tokens and others.
    ///
    /// # Errors
    /// [`InvalidToken::Twice`] where one is in both.
    pub fn and(&self, others: &Self) -> Result<Self, InvalidToken> {
        let is_known = |proof| self.0.iter().any(|(known, _)| known == proof);
        if others.0.iter().any(|(proof, _)| is_known(proof)) {
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
        self.0
            .iter()
            .fold(None, |found, (known, caller)| match known {
                Proof::Token(known) if *known == given => Some(Arc::clone(caller)),
                _ => found,
            })
    }

    /// The bearer of a certificate with these names, the first entry that fits one.
    #[must_use]
    pub fn certified(&self, names: &[String]) -> Option<Arc<Caller>> {
        let named = |proof: &Proof| match proof {
            Proof::Certificate(name) => names.contains(name),
            Proof::Token(_) => false,
        };
        let found = self.0.iter().find(|(proof, _)| named(proof));
        found.map(|(_, caller)| Arc::clone(caller))
    }
}

fn known(token: Token) -> Result<(Proof, Arc<Caller>), InvalidToken> {
    let text = token.token.expose_secret();
    if text.len() < SHORTEST {
        return Err(InvalidToken::Short);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(InvalidToken::Characters);
    }
    check_name(&token.name)?;
    let caller = Caller::new(token.name, token.roles, token.tenants);
    let digest = blake3::hash(text.as_bytes());
    Ok((Proof::Token(digest), Arc::new(caller)))
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
    fn a_certificate_is_known_by_one_of_its_names_and_by_no_token() {
        let name = "uri:spiffe://contoso/ci".to_owned();
        let ci = Caller::new("ci".to_owned(), [Role::Reader].into(), Tenants::All);
        let certified = Tokens::by_certificate(name.clone(), ci).expect("fit");
        let tokens = Tokens::new(vec![token("0123456789abcdef", "a")])
            .expect("fit")
            .and(&certified)
            .expect("another");
        let names = ["cn:x".to_owned(), name.clone()];
        assert_eq!(tokens.certified(&names).expect("known").name, "ci");
        assert!(tokens.certified(&names[..1]).is_none());
        assert!(tokens.certified(&[]).is_none());
        assert!(tokens.authenticate(&name).is_none());
        assert_eq!(
            tokens.and(&certified).expect_err("two"),
            InvalidToken::Twice
        );
    }
}
