//! The console: pages for people, rendered here and served beside the API.
//!
//! Owns which page is at which path and what every page rests on: who is signed in,
//! the checks of forms, the look, the answer to errors. All data comes through the door
//! as a call of whoever is signed in, so that a page can show and do no more than the
//! same person could over gRPC.

mod asked;
mod assets;
mod browse;
mod changes;
mod deleted;
mod error;
#[allow(
    unreachable_pub,
    reason = "what `filter_fn` writes for a filter is public"
)]
mod filters;
mod form;
mod frame;
mod guard;
mod login;
mod oidc;
mod overview;
mod parts;
mod protection;
mod reports;
mod restores;
mod seal;
mod session;
mod signals;
mod snapshots;
mod tenant;
mod told;

use crate::config::Config;
use crate::proxy::Proxy;
use axum::Router;
use axum::middleware;
pub use oidc::OidcConfig;
use runtime::config::{ConfigError, Settings};
use runtime::program::Ended;
use runtime::{Clock, Ids, exit};
use seal::Seal;
use std::path::PathBuf;
use std::sync::Arc;

const SESSION_KEY_FILE: &str = "REWIND_SESSION_KEY_FILE";

/// The settings of the console.
#[derive(Debug, Clone, Default)]
pub struct ConsoleConfig {
    /// `REWIND_SESSION_KEY_FILE`: what sessions are sealed with, 32 bytes in base64, the
    /// same for every replica; without it, each process draws a key of its own.
    pub session_key_file: Option<PathBuf>,
    /// `REWIND_CONSOLE_URL`: where browsers find the console. Where that is over TLS,
    /// cookies never travel in the clear, also if TLS ends before this server.
    pub url: Option<String>,
    /// The identity provider where people sign in; without it, by token alone.
    pub oidc: Option<OidcConfig>,
}

impl ConsoleConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub(crate) fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            session_key_file: settings.path(SESSION_KEY_FILE),
            url: settings.url(oidc::CONSOLE_URL)?,
            oidc: OidcConfig::read(settings)?,
        })
    }
}

/// What the pages work with.
#[derive(Debug)]
pub(crate) struct Console {
    door: Arc<Proxy>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    seal: Seal,
    transport: Transport,
    /// Where people sign in who have no token at hand.
    provider: Option<oidc::Provider>,
}

/// How browsers reach the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Without TLS, on loopback.
    Plain,
    /// With TLS: cookies never travel in the clear.
    Tls,
}

/// What handlers get as their state.
type Shared = Arc<Console>;

impl Console {
    /// The console with what the settings say of it.
    ///
    /// # Errors
    /// Where the key of sessions cannot be had.
    pub(crate) fn open(
        config: &Config,
        door: &Arc<Proxy>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, Ended> {
        let seal = match &config.console.session_key_file {
            Some(path) => Seal::load(path).map_err(|error| {
                Ended::new(
                    exit::CONFIGURATION,
                    ConfigError::invalid(SESSION_KEY_FILE, error),
                )
            })?,
            None => {
                tracing::info!(
                    "{SESSION_KEY_FILE} is not set: signing in to the console holds until a restart, and for this replica"
                );
                Seal::random()
            }
        };
        let url = config.console.url.as_deref().unwrap_or_default();
        let is_secure = url.to_ascii_lowercase().starts_with("https:");
        let transport = if config.common.tls.is_some() || is_secure {
            Transport::Tls
        } else {
            Transport::Plain
        };
        let provider = config.console.oidc.as_ref().map(|oidc| {
            let provider = oidc::Provider::new(oidc);
            provider.map_err(|error| Ended::new(exit::CONFIGURATION, error))
        });
        Ok(Self {
            door: Arc::clone(door),
            clock,
            ids,
            seal,
            transport,
            provider: provider.transpose()?,
        })
    }
}

/// Every page, below `/`.
pub(crate) fn router(console: Shared) -> Router {
    let pages = Router::new()
        .merge(login::routes())
        .merge(deleted::routes())
        .merge(protection::routes())
        .merge(reports::routes())
        .merge(restores::routes())
        .merge(signals::routes())
        .merge(oidc::routes())
        .merge(overview::routes())
        .merge(tenant::routes())
        .merge(snapshots::routes())
        .merge(browse::routes())
        .merge(changes::routes())
        .fallback(error::no_such_page)
        .method_not_allowed_fallback(error::no_such_page);
    pages
        .layer(middleware::from_fn_with_state(
            Arc::clone(&console),
            guard::watch,
        ))
        .merge(assets::routes())
        .with_state(console)
}
