//! The console: pages for people, rendered here and served beside the API.
//!
//! Owns which page is at which path and what every page rests on: who is signed in,
//! the checks of forms, the look, the answer to errors. All data comes through the door
//! as a call of whoever is signed in, so that a page can show and do no more than the
//! same person could over gRPC.

mod assets;
mod error;
mod filters;
mod form;
mod frame;
mod guard;
mod login;
mod parts;
mod seal;
mod session;

use crate::config::Config;
use crate::proxy::Proxy;
use axum::Router;
use axum::middleware;
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
}

impl ConsoleConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub(crate) fn read(settings: &Settings<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            session_key_file: settings.path(SESSION_KEY_FILE),
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
        let transport = match config.common.tls {
            Some(_) => Transport::Tls,
            None => Transport::Plain,
        };
        Ok(Self {
            door: Arc::clone(door),
            clock,
            ids,
            seal,
            transport,
        })
    }
}

/// Every page, below `/`.
pub(crate) fn router(console: Shared) -> Router {
    let pages = Router::new()
        .merge(login::routes())
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
