//! Entry point of the gateway: settings, vault, connections, then serve until
//! the signal to stop.

use gateway::{App, Backends, Config, Deps, Tokens};
use runtime::config::{ConfigError, Settings};
use runtime::program::Ended;
use runtime::{SystemClock, SystemIds, exit, program};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use store::{Kek, StoreError, Vault};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    program::run("gateway", read, async |(config, tokens, key_file), stop| {
        let kek = Kek::load(&key_file).map_err(|error| ended(error.into()))?;
        let vault = Vault::open(&config.common.store_url, Arc::new(kek)).map_err(ended)?;
        let backends =
            Backends::connect(&config).map_err(|error| Ended::new(exit::CONFIGURATION, error))?;
        let listener = TcpListener::bind(config.common.listen).await?;
        let deps = Deps {
            vault,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            backends,
            tokens,
        };
        let app = App::build(&config, deps, listener)
            .map_err(|error| Ended::new(exit::CONFIGURATION, error))?;
        Ok(app.run(stop).await?)
    })
    .await
}

/// Everything that the settings have to hold.
fn read(settings: &Settings<'_>) -> Result<(Config, Tokens, PathBuf), ConfigError> {
    let config = Config::read(settings)?;
    let (tokens, key_file) = (config.tokens()?, config.key_file()?);
    Ok((config, tokens, key_file))
}

/// A store that no setting can name is a matter of settings; one that is out of
/// reach, or a key, may come back.
fn ended(error: StoreError) -> Ended {
    let code = if matches!(error, StoreError::Invalid(_)) {
        exit::CONFIGURATION
    } else {
        exit::UNAVAILABLE
    };
    Ended::new(code, error)
}
