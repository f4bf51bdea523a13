//! Where a key is: the identifier of one version of a key in Key Vault.
//!
//! Owns which hosts are Key Vault's. A token must never go to another host, but
//! to a stand-in on this machine.

use url::Url;

use crate::backend::is_loopback;
use crate::error::StoreError;

/// The domains of Key Vault and of managed HSMs, in the global cloud, in China and
/// for the US government.
const DOMAINS: [&str; 6] = [
    "vault.azure.net",
    "managedhsm.azure.net",
    "vault.azure.cn",
    "managedhsm.azure.cn",
    "vault.usgovcloudapi.net",
    "managedhsm.usgovcloudapi.net",
];

/// The API's version.
const API: &str = "7.4";

/// One version of a key.
#[derive(Debug, Clone)]
pub(super) struct Address {
    key: Url,
    /// What a token must be for.
    resource: String,
}

impl Address {
    /// Reads a key's whole identifier.
    ///
    /// # Errors
    /// `Invalid` where it is none. It is not repeated.
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        let url = Url::parse(text).map_err(|_| invalid("it is no URL"))?;
        let secretive = !url.username().is_empty() || url.password().is_some();
        if secretive || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it holds more than a place"));
        }
        let resource = resource(&url)?;
        let parts: Vec<&str> = url
            .path_segments()
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        match parts[..] {
            ["keys", name, version] if is_word(name) && is_word(version) => {}
            ["keys", name] if is_word(name) => {
                return Err(invalid(
                    "it names no version, and what one version wraps no other opens; `az keyvault key show --query key.kid` prints the whole identifier",
                ));
            }
            _ => return Err(invalid("https://VAULT/keys/NAME/VERSION is expected")),
        }
        Ok(Self { key: url, resource })
    }

    /// Names vault, key and version, without telling them.
    pub(super) fn id(&self) -> String {
        let named = blake3::Hash::from_bytes(blake3::derive_key(
            "rewind 2026 key vault key id",
            self.key
                .as_str()
                .trim_end_matches('/')
                .to_ascii_lowercase()
                .as_bytes(),
        ));
        format!("azure-{}", &named.to_hex()[..16])
    }

    /// The vault's host, for errors.
    pub(super) fn host(&self) -> &str {
        self.key.host_str().unwrap_or_default()
    }

    /// The scope of the token that Key Vault takes.
    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether it is a stand-in on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.key)
    }

    /// Where an operation is asked for.
    pub(super) fn of(&self, operation: &str) -> Url {
        let mut url = self.key.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(operation);
        }
        url.set_query(Some(&format!("api-version={API}")));
        url
    }

    /// Whether an answer's `kid` is this version of this key.
    pub(super) fn is_named(&self, kid: &str) -> bool {
        Url::parse(kid).is_ok_and(|kid| kid.path().eq_ignore_ascii_case(self.key.path()))
    }
}

fn resource(url: &Url) -> Result<String, StoreError> {
    if is_loopback(url) && matches!(url.scheme(), "http" | "https") {
        return Ok(format!("https://{}", DOMAINS[0]));
    }
    let host = url.host_str().unwrap_or_default();
    let domain = DOMAINS.iter().find(|domain| {
        host.strip_suffix(*domain)
            .is_some_and(|vault| vault.len() > 1 && vault.ends_with('.'))
    });
    match domain {
        Some(domain) if url.scheme() == "https" && url.port().is_none() => {
            Ok(format!("https://{domain}"))
        }
        _ => Err(invalid("it does not lead to Key Vault by https")),
    }
}

/// Whether a text is a name or a version, as Key Vault allows them.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn invalid(why: &str) -> StoreError {
    StoreError::Invalid(format!(
        "the Key Vault key's identifier is not valid: {why}"
    ))
}
