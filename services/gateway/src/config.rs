//! The gateway's settings.
//!
//! Owns the keys beyond those that all services share. The token itself is read
//! from its file on demand and is never part of the settings.

use crate::auth::oidc::InvalidIssuer;
use crate::auth::{Claims, Issuer, Roles, Tenants, Token, Tokens};
use crate::consent::Applications;
use crate::console::ConsoleConfig;
use crate::limits::{Limit, Limits};
use crate::tokens_file;
use proto::v1::Role;
use runtime::Replicas;
use runtime::config::{Common, ConfigError, Settings, TlsPaths};
use runtime::serve::ConnectError;
use runtime::tls::{Clients, Tls, TlsError};
use secrecy::{ExposeSecret, SecretString};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

const ISSUER: &str = "REWIND_OIDC_ISSUER";
const AUDIENCE: &str = "REWIND_OIDC_AUDIENCE";
const ROLES_FILE: &str = "REWIND_ROLES_FILE";
const TOKENS_FILE: &str = "REWIND_TOKENS_FILE";
const TOKEN_FILE: &str = "REWIND_DEVELOPMENT_TOKEN_FILE";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

/// The validated settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What all services share.
    pub common: Common,
    /// The services behind.
    pub peers: Peers,
    /// The installation's own applications.
    pub installed: Applications,
    /// `REWIND_DEVELOPMENT_TOKEN_FILE`: a token that may do everything.
    pub development_token_file: Option<PathBuf>,
    /// `REWIND_TOKENS_FILE`: the tokens of several people, each with roles and tenants.
    pub tokens_file: Option<PathBuf>,
    /// `REWIND_OIDC_…`: whose tokens count, too.
    pub issuer: Option<Issuer>,
    /// `REWIND_ROLES_FILE`: what the roles in those tokens mean.
    pub roles_file: Option<PathBuf>,
    /// `REWIND_TLS_CLIENTS`: what clients have to show where `REWIND_TLS_CA` is set.
    pub clients: Clients,
    /// How much callers may ask.
    pub limits: Limits,
    /// `REWIND_METRICS_LISTEN`: where `GET /metrics` is answered, by plain HTTP to
    /// whoever can reach it; nowhere by default.
    pub metrics: Option<SocketAddr>,
    /// The console's settings.
    pub console: ConsoleConfig,
}

/// Where the services behind the gateway are.
#[derive(Debug, Clone)]
pub struct Peers {
    /// `REWIND_SNAPSHOTTER_URL`; each of the addresses of its host is a replica.
    pub snapshotter: String,
    /// `REWIND_DIFFER_URL`; each of the addresses of its host is a replica.
    pub differ: String,
    /// `REWIND_RESTORER_URL`; each of the addresses of its host is a replica.
    pub restorer: String,
    /// `REWIND_PEER_TLS_{CERT,KEY,CA}`, else what the gateway serves with: the
    /// authority of the public door need not be that of the services.
    pub tls: Option<TlsPaths>,
}

impl Config {
    /// Reads the settings of a process of its own, which needs all of them.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn complete(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let config = Self::read(settings)?;
        config.common.required_key()?;
        config.tokens()?;
        config.roles()?;
        Ok(config)
    }

    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        let peer = |key: &str| {
            settings.url(key)?.ok_or_else(|| ConfigError::Missing {
                key: key.to_owned(),
            })
        };
        let common = Common::read(settings, DEFAULT_LISTEN)?;
        let tls = TlsPaths::read(settings, "REWIND_PEER_TLS")?.or_else(|| common.tls.clone());
        let peers = Peers {
            snapshotter: peer("REWIND_SNAPSHOTTER_URL")?,
            differ: peer("REWIND_DIFFER_URL")?,
            restorer: peer("REWIND_RESTORER_URL")?,
            tls,
        };
        let config = Self {
            common,
            peers,
            installed: Applications::read(settings)?,
            development_token_file: settings.path(TOKEN_FILE),
            tokens_file: settings.path(TOKENS_FILE),
            issuer: issuer(settings)?,
            roles_file: settings.path(ROLES_FILE),
            clients: clients(settings)?,
            limits: limits(settings)?,
            metrics: settings.parsed("REWIND_METRICS_LISTEN")?,
            console: ConsoleConfig::read(settings)?,
        };
        settings.finish()?;
        Ok(config)
    }

    /// Who may call by what an operator gave out. Without an issuer one of the files
    /// has to be there, since nobody could call.
    ///
    /// # Errors
    /// [`ConfigError`] where neither file is named and there is no issuer, or one cannot
    /// be read or holds no fit token.
    pub fn tokens(&self) -> Result<Tokens, ConfigError> {
        let of_people = self.tokens_file.as_ref().map(|path| {
            tokens_file::read(path).map_err(|error| ConfigError::invalid(TOKENS_FILE, error))
        });
        let development = self.development_token_file.as_deref().map(development);
        match (of_people.transpose()?, development.transpose()?) {
            (None, None) if self.issuer.is_some() => Ok(Tokens::none()),
            (None, None) => Err(ConfigError::Missing {
                key: format!("{ISSUER}, {TOKENS_FILE} or {TOKEN_FILE}"),
            }),
            (Some(tokens), None) | (None, Some(tokens)) => Ok(tokens),
            (Some(people), Some(development)) => people
                .and(&development)
                .map_err(|error| ConfigError::invalid(TOKENS_FILE, error)),
        }
    }

    /// What the roles in tokens of the issuer mean.
    ///
    /// # Errors
    /// [`ConfigError`] where the file cannot be read or holds something else.
    pub fn roles(&self) -> Result<Roles, ConfigError> {
        let read = self.roles_file.as_deref().map(Roles::read).transpose();
        let read = read.map_err(|error| ConfigError::invalid(ROLES_FILE, error));
        Ok(read?.unwrap_or_default())
    }
}

/// Whose tokens count; an issuer and an audience come together.
fn issuer(settings: &Settings<'_>) -> Result<Option<Issuer>, ConfigError> {
    let issuer = settings.text(ISSUER);
    let audience = settings.text(AUDIENCE);
    let usual = Claims::default();
    let claims = Claims {
        name: settings
            .text("REWIND_OIDC_NAME_CLAIM")
            .unwrap_or(usual.name),
        roles: settings
            .text("REWIND_OIDC_ROLES_CLAIM")
            .unwrap_or(usual.roles),
    };
    let missing = |key: &str| ConfigError::Missing {
        key: key.to_owned(),
    };
    match (issuer, audience) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing(AUDIENCE)),
        (None, Some(_)) => Err(missing(ISSUER)),
        (Some(issuer), Some(audience)) => Issuer::new(&issuer, &audience, claims)
            .map(Some)
            .map_err(|error| match error {
                InvalidIssuer::Url => ConfigError::invalid(ISSUER, error),
                InvalidIssuer::Audience => ConfigError::invalid(AUDIENCE, error),
            }),
    }
}

fn clients(settings: &Settings<'_>) -> Result<Clients, ConfigError> {
    const KEY: &str = "REWIND_TLS_CLIENTS";
    match settings.text(KEY).as_deref() {
        None | Some("certified") => Ok(Clients::Certified),
        Some("any") => Ok(Clients::Any),
        Some(_) => Err(ConfigError::invalid(KEY, "certified or any is expected")),
    }
}

fn limits(settings: &Settings<'_>) -> Result<Limits, ConfigError> {
    let usual = Limits::default();
    let rate = |key: &str, usual| match settings.text(key).as_deref() {
        None => Ok(usual),
        Some("off") => Ok(None),
        Some(text) => match text.parse::<NonZeroU32>() {
            Ok(rate) => Ok(Some(rate)),
            Err(_) => Err(ConfigError::invalid(key, "calls a second, or off")),
        },
    };
    let calls = |key: &str, usual: u32| match settings.parsed::<NonZeroU32>(key)? {
        Some(calls) => Ok::<u32, ConfigError>(calls.get()),
        None => Ok(usual),
    };
    Ok(Limits {
        caller: Limit {
            rate: rate("REWIND_CALLER_RATE", usual.caller.rate)?,
            calls: calls("REWIND_CALLER_CALLS", usual.caller.calls)?,
        },
        tenant: Limit {
            rate: rate("REWIND_TENANT_RATE", usual.tenant.rate)?,
            calls: calls("REWIND_TENANT_CALLS", usual.tenant.calls)?,
        },
        calls: calls("REWIND_CALLS", usual.calls)?,
        deadline: settings
            .duration("REWIND_DEADLINE")?
            .unwrap_or(usual.deadline),
    })
}

/// The token that may do everything.
fn development(path: &Path) -> Result<Tokens, ConfigError> {
    let text = std::fs::read_to_string(path).map(SecretString::from);
    let text = text.map_err(|error| ConfigError::invalid(TOKEN_FILE, error))?;
    let token = Token {
        token: SecretString::from(text.expose_secret().trim()),
        name: "development".to_owned(),
        roles: [
            Role::Reader,
            Role::Administrator,
            Role::Approver,
            Role::Operator,
        ]
        .into(),
        tenants: Tenants::All,
    };
    Tokens::new(vec![token]).map_err(|error| ConfigError::invalid(TOKEN_FILE, error))
}

/// The connections to the services behind the gateway. A tenant's calls go to one replica
/// of each: what runs for the tenant is watched there, and one process alone calls Graph.
#[derive(Debug, Clone)]
pub struct Backends {
    /// Takes snapshots.
    pub snapshotter: Replicas,
    /// Makes difference reports.
    pub differ: Replicas,
    /// Plans and applies restores.
    pub restorer: Replicas,
}

/// Why a service behind cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be used.
    #[error("{peer}")]
    Address {
        /// Which service.
        peer: &'static str,
        /// Why.
        source: ConnectError,
    },
}

impl Backends {
    /// Connections that are made when they are first used.
    ///
    /// # Errors
    /// Where an address or the certificate cannot be used.
    pub fn connect(config: &Config) -> Result<Self, PeerError> {
        let tls = config.peers.tls.as_ref().map(Tls::load).transpose()?;
        let (tls, peers) = (tls.as_ref(), &config.peers);
        let bad = |peer| move |source| PeerError::Address { peer, source };
        Ok(Self {
            snapshotter: Replicas::connect(&peers.snapshotter, tls).map_err(bad("snapshotter"))?,
            differ: Replicas::connect(&peers.differ, tls).map_err(bad("differ"))?,
            restorer: Replicas::connect(&peers.restorer, tls).map_err(bad("restorer"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::config::fixed;

    const FULL: [(&str, &str); 4] = [
        ("REWIND_STORE_URL", "memory:///"),
        ("REWIND_SNAPSHOTTER_URL", "http://127.0.0.1:1"),
        ("REWIND_DIFFER_URL", "http://127.0.0.1:2"),
        ("REWIND_RESTORER_URL", "http://127.0.0.1:3"),
    ];

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let source: std::collections::BTreeMap<String, String> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Config::read(&Settings::load(&source)?)
    }

    #[test]
    fn every_peer_has_to_be_named() {
        assert_eq!(read(&FULL).expect("valid").common.listen, DEFAULT_LISTEN);
        for missing in 1..FULL.len() {
            let mut pairs = FULL.to_vec();
            let (key, _) = pairs.remove(missing);
            assert_eq!(
                read(&pairs).expect_err("missing").to_string(),
                format!("{key} is not set")
            );
        }
    }

    #[test]
    fn without_a_fit_token_the_gateway_does_not_start() {
        let config = read(&FULL).expect("valid");
        assert_eq!(
            config.tokens().expect_err("none").to_string(),
            "REWIND_OIDC_ISSUER, REWIND_TOKENS_FILE or REWIND_DEVELOPMENT_TOKEN_FILE is not set"
        );
        assert_eq!(
            config.common.required_key().expect_err("none").to_string(),
            "REWIND_KEY_FILE or REWIND_KEY_VAULT_KEY is not set"
        );
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("operator.token");
        let with = Config {
            development_token_file: Some(path.clone()),
            ..config
        };
        assert!(with.tokens().is_err(), "the file is missing");
        std::fs::write(&path, "short\n").expect("written");
        let error = with.tokens().expect_err("too short").to_string();
        assert_eq!(
            error,
            "REWIND_DEVELOPMENT_TOKEN_FILE is not valid: a token must have at least 16 characters"
        );
        std::fs::write(&path, "0123456789abcdef\n").expect("written");
        let caller = with
            .tokens()
            .expect("fit")
            .authenticate("0123456789abcdef")
            .expect("known");
        assert_eq!(
            (caller.name.as_str(), caller.roles.len()),
            ("development", 4)
        );
    }

    #[test]
    fn people_have_tokens_beside_that_of_development() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("operator.token"), "0123456789abcdef\n").expect("written");
        std::fs::write(path("ben.token"), "fedcba9876543210\n").expect("written");
        let entry =
            "[[token]]\nname = \"ben\"\nroles = [\"approver\"]\ntoken = \"file:ben.token\"\n";
        std::fs::write(path("tokens.toml"), entry).expect("written");
        let people = Config {
            tokens_file: Some(path("tokens.toml")),
            ..read(&FULL).expect("valid")
        };
        let both = Config {
            development_token_file: Some(path("operator.token")),
            ..people.clone()
        };
        for config in [&people, &both] {
            let tokens = config.tokens().expect("fit");
            let name = |token| tokens.authenticate(token).map(|caller| caller.name.clone());
            assert_eq!(name("fedcba9876543210").as_deref(), Some("ben"));
            assert_eq!(
                name("0123456789abcdef").is_some(),
                config.development_token_file.is_some()
            );
        }
        std::fs::write(path("ben.token"), "0123456789abcdef\n").expect("written");
        assert_eq!(
            both.tokens().expect_err("the same").to_string(),
            "REWIND_TOKENS_FILE is not valid: two people have the same token"
        );
    }

    #[test]
    fn an_issuer_is_enough_and_comes_with_an_audience() {
        let with = |pairs: &[(&str, &str)]| {
            let all: Vec<_> = FULL.iter().chain(pairs).copied().collect();
            read(&all)
        };
        let issuer = ("REWIND_OIDC_ISSUER", "https://login.contoso.com/t/v2.0");
        let audience = ("REWIND_OIDC_AUDIENCE", "api://rewind, 5a1d");
        let config = with(&[issuer, audience]).expect("valid");
        config.tokens().expect("none are needed");
        let read = config.issuer.expect("one");
        assert_eq!(read.issuer, issuer.1);
        assert_eq!(read.audiences, ["api://rewind", "5a1d"]);
        assert_eq!(read.claims, Claims::default());
        let error = |pairs: &[(&str, &str)]| with(pairs).expect_err("wrong").to_string();
        assert_eq!(error(&[issuer]), "REWIND_OIDC_AUDIENCE is not set");
        assert_eq!(error(&[audience]), "REWIND_OIDC_ISSUER is not set");
        for wrong in [
            "login.contoso.com",
            "http://login.contoso.com",
            "http://localhost",
            "https://login.contoso.com?x",
            "ftp://127.0.0.1",
        ] {
            let told = error(&[("REWIND_OIDC_ISSUER", wrong), audience]);
            assert!(
                told.starts_with("REWIND_OIDC_ISSUER is not valid"),
                "{told}"
            );
        }
        with(&[("REWIND_OIDC_ISSUER", "http://127.0.0.1:1"), audience]).expect("this machine");
        let told = error(&[issuer, ("REWIND_OIDC_AUDIENCE", " , ")]);
        assert!(
            told.starts_with("REWIND_OIDC_AUDIENCE is not valid"),
            "{told}"
        );
    }

    #[test]
    fn limits_have_defaults_and_can_be_changed() {
        let with = |pairs: &[(&str, &str)]| {
            let all: Vec<_> = FULL.iter().chain(pairs).copied().collect();
            read(&all)
        };
        let config = with(&[]).expect("valid");
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.clients, Clients::Certified);
        let config = with(&[
            ("REWIND_CALLER_RATE", "off"),
            ("REWIND_TENANT_RATE", "7"),
            ("REWIND_TENANT_CALLS", "3"),
            ("REWIND_DEADLINE", "5m"),
            ("REWIND_TLS_CLIENTS", "any"),
        ]);
        let config = config.expect("valid");
        assert_eq!(config.limits.caller.rate, None);
        assert_eq!(config.limits.tenant.rate, NonZeroU32::new(7));
        assert_eq!(config.limits.tenant.calls, 3);
        assert_eq!(config.limits.deadline.as_secs(), 300);
        assert_eq!(config.clients, Clients::Any);
        for (key, wrong) in [
            ("REWIND_CALLER_RATE", "0"),
            ("REWIND_CALLER_RATE", "x"),
            ("REWIND_CALLS", "0"),
            ("REWIND_TLS_CLIENTS", "none"),
        ] {
            let told = with(&[(key, wrong)]).expect_err("wrong").to_string();
            assert!(told.starts_with(&format!("{key} is not valid")), "{told}");
        }
    }

    #[test]
    fn the_peers_may_have_an_authority_of_their_own() {
        let mut pairs = FULL.to_vec();
        pairs.extend([("REWIND_TLS_CERT", "c"), ("REWIND_TLS_KEY", "k")]);
        assert_eq!(
            read(&pairs).expect("valid").peers.tls.expect("shared").ca,
            None
        );
        pairs.extend([
            ("REWIND_PEER_TLS_CERT", "c"),
            ("REWIND_PEER_TLS_KEY", "k"),
            ("REWIND_PEER_TLS_CA", "a"),
        ]);
        assert_eq!(
            read(&pairs).expect("valid").peers.tls.expect("own").ca,
            Some("a".into())
        );
        let settings = fixed([]);
        assert!(Config::read(&Settings::load(&settings).expect("empty")).is_err());
    }
}
