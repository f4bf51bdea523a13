//! The tokens of several people, from a file that an operator writes.
//!
//! Owns the form of `REWIND_TOKENS_FILE`. The file names where each token is, or gives
//! its digest, and never holds one itself; in the place of a token it may name a client
//! certificate; what is wrong with it is told without
//! repeating anything that could be one.

use std::collections::BTreeSet;
use std::path::Path;

use ::config::{File, FileFormat};
use model::TenantId;
use model::grant::InvalidRole;
use proto::v1::Role;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::auth::grants::in_contract;
use crate::auth::{Caller, InvalidToken, Tenants, Token, Tokens, certificate};

/// A file of tokens that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidTokensFile {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It is something else.
    #[error(
        "the file is not TOML of [[token]] entries with name, roles, token or certificate, and tenants"
    )]
    Form,
    /// It names nobody.
    #[error("the file has no [[token]] entry")]
    Empty,
    /// One entry is wrong.
    #[error("entry {number}: {problem}")]
    Entry {
        /// Which one, from 1.
        number: usize,
        /// What is wrong; never the token.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// What the bearer is called: two tokens of one name are one person's.
    name: String,
    roles: Vec<String>,
    /// `file:PATH`, relative to the file of tokens, or `blake3:HEX`.
    token: Option<String>,
    /// `uri:NAME`, `dns:NAME` or `cn:NAME`: the bearer shows a certificate with it.
    certificate: Option<String>,
    /// Every tenant where absent.
    tenants: Option<Vec<String>>,
}

/// Reads the tokens that a file names.
///
/// # Errors
/// [`InvalidTokensFile`] where it, or one of its entries, cannot be used.
pub(crate) fn read(path: &Path) -> Result<Tokens, InvalidTokensFile> {
    let text = std::fs::read_to_string(path).map_err(InvalidTokensFile::Unreadable)?;
    // What the parsers say repeats lines and values.
    let file = File::from_str(&text, FileFormat::Toml);
    let entries: Entries = ::config::Config::builder()
        .add_source(file)
        .build()
        .and_then(::config::Config::try_deserialize)
        .map_err(|_| InvalidTokensFile::Form)?;
    if entries.token.is_empty() {
        return Err(InvalidTokensFile::Empty);
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut tokens = Tokens::none();
    for (number, entry) in (1..).zip(entries.token) {
        let wrong = |problem: String| InvalidTokensFile::Entry { number, problem };
        let one = entry.read(folder).map_err(wrong)?;
        let joined = tokens.and(&one).map_err(|error| error.to_string());
        tokens = joined.map_err(wrong)?;
    }
    Ok(tokens)
}

impl Entry {
    fn read(self, folder: &Path) -> Result<Tokens, String> {
        let roles = roles(&self.roles)?;
        let tenants = tenants(self.tenants)?;
        let fit = |error: InvalidToken| error.to_string();
        let token = match (self.token, self.certificate) {
            (Some(token), None) => token,
            (None, Some(name)) if certificate::is_name(&name) => {
                let caller = Caller::new(self.name, roles, tenants);
                return Tokens::by_certificate(name, caller).map_err(fit);
            }
            (None, Some(_)) => {
                return Err("certificate is uri:NAME, dns:NAME or cn:NAME".to_owned());
            }
            _ => return Err("one of token and certificate is expected".to_owned()),
        };
        if let Some(hex) = token.strip_prefix("blake3:") {
            let digest = blake3::Hash::from_hex(hex)
                .map_err(|_| "64 hexadecimal digits are expected after blake3:".to_owned())?;
            let caller = Caller::new(self.name, roles, tenants);
            return Tokens::by_digest(digest, caller).map_err(fit);
        }
        let Some(path) = token.strip_prefix("file:") else {
            return Err("token is file:PATH or blake3:DIGEST, never the token itself".to_owned());
        };
        let text = std::fs::read_to_string(folder.join(path)).map(SecretString::from);
        let text =
            text.map_err(|error| format!("the file of the token cannot be read: {error}"))?;
        let token = Token {
            token: SecretString::from(text.expose_secret().trim()),
            name: self.name,
            roles,
            tenants,
        };
        Tokens::new(vec![token]).map_err(fit)
    }
}

/// The roles that words stand for; at least one.
pub(crate) fn roles(names: &[String]) -> Result<BTreeSet<Role>, String> {
    let role = |name: &String| {
        let role = name.parse().map(in_contract);
        role.map_err(|error: InvalidRole| error.to_string())
    };
    let roles: BTreeSet<Role> = names.iter().map(role).collect::<Result<_, _>>()?;
    if roles.is_empty() {
        return Err("at least one role is expected".to_owned());
    }
    Ok(roles)
}

/// The tenants that GUIDs name; all where there is no list.
pub(crate) fn tenants(ids: Option<Vec<String>>) -> Result<Tenants, String> {
    let Some(ids) = ids else {
        return Ok(Tenants::All);
    };
    let ids = ids.iter().map(|id| TenantId::parse(id));
    ids.collect::<Result<_, _>>()
        .map(Tenants::Only)
        .map_err(|_| "a tenant's GUID is expected in tenants".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "0a1b2c3d-0000-4000-8000-0000000000aa";

    fn written(folder: &Path, text: &str) -> Result<Tokens, String> {
        let path = folder.join("tokens.toml");
        std::fs::write(&path, text).expect("written");
        read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn each_entry_is_a_caller_with_roles_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("anna.token"), "0123456789abcdef\n").expect("written");
        let digest = blake3::hash(b"fedcba9876543210").to_hex();
        let text = format!(
            r#"
            [[token]]
            name = "anna"
            roles = ["reader", "administrator"]
            token = "file:anna.token"
            [[token]]
            name = "ben"
            roles = ["approver"]
            tenants = ["{TENANT}"]
            token = "blake3:{digest}"
            "#
        );
        let tokens = written(folder.path(), &text).expect("fit");
        let anna = tokens.authenticate("0123456789abcdef").expect("known");
        assert_eq!(
            (anna.name.as_str(), &anna.roles, &anna.tenants),
            (
                "anna",
                &[Role::Reader, Role::Administrator].into(),
                &Tenants::All
            )
        );
        let ben = tokens.authenticate("fedcba9876543210").expect("known");
        let only = Tenants::Only([TenantId::parse(TENANT).expect("valid")].into());
        assert_eq!(
            (ben.name.as_str(), &ben.roles, &ben.tenants),
            ("ben", &[Role::Approver].into(), &only)
        );
        assert!(
            tokens.authenticate(&digest).is_none(),
            "a digest opens nothing"
        );
    }

    #[test]
    fn what_is_wrong_is_told_and_no_token_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("hunter2.token"), "hunter2\n").expect("written");
        std::fs::write(folder.path().join("good"), "0123456789abcdef").expect("written");
        let entry = |name: &str, roles: &str, token: &str| {
            format!("[[token]]\nname = \"{name}\"\nroles = {roles}\ntoken = \"{token}\"\n")
        };
        let reader = r#"["reader"]"#;
        let good = entry("anna", reader, "file:good");
        let check = |text: &str, expected: &str| {
            let error = written(folder.path(), text).expect_err(text);
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        };
        check("", "no [[token]] entry");
        check("token = hunter2hunter2hunter2", "is not TOML");
        check(
            "[[token]]\nname = \"anna\"\nsecret = \"hunter2\"",
            "is not TOML",
        );
        check(
            &entry("anna", reader, "hunter2hunter2hunter2"),
            "never the token itself",
        );
        check(
            &entry("anna", reader, "blake3:hunter2"),
            "64 hexadecimal digits",
        );
        let certified = |name: &str, rest: &str| {
            format!("[[token]]\nname = \"ci\"\nroles = {reader}\ncertificate = \"{name}\"\n{rest}")
        };
        check(&certified("hunter2", ""), "certificate is uri:NAME");
        check(
            &certified("dns:ci.contoso.com", "token = \"file:good\""),
            "one of token and certificate",
        );
        check(
            &format!("[[token]]\nname = \"ci\"\nroles = {reader}\n"),
            "one of token and certificate",
        );
        check(
            &entry("anna", reader, "file:hunter2.token"),
            "at least 16 characters",
        );
        check(&entry("anna", reader, "file:absent"), "cannot be read");
        check(&entry("anna b", reader, "file:good"), "of letters, digits");
        check(&entry("anna", "[]", "file:good"), "at least one role");
        check(
            &entry("anna", r#"["hunter2"]"#, "file:good"),
            "a role is one of",
        );
        check(
            &format!("{good}tenants = [\"hunter2\"]\n"),
            "a tenant's GUID",
        );
        check(
            &format!("{good}{}", entry("ben", reader, "file:good")),
            "entry 2: two people have the same token",
        );
        let absent = read(&folder.path().join("nothing")).expect_err("absent");
        assert!(absent.to_string().contains("cannot be read"));
    }
}
