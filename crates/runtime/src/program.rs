//! The life of a service's process, the same for all of them.
//!
//! Owns the order of things: crypto provider, telemetry, settings, then serve
//! until the signal to stop; and the exit code that follows. It knows nothing
//! of what is served.

use crate::config::{ConfigError, Environment, Mode, Settings};
use crate::serve::ConnectError;
use crate::{exit, signal, status, telemetry, tls};
use model::ErrorKind;
use std::error::Error;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// An error at the end of a service that has an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct Ended {
    /// One of [`crate::exit`].
    pub code: u8,
    source: Box<dyn Error + Send + Sync>,
}

impl Ended {
    /// Gives an error its exit code.
    pub fn new(code: u8, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            code,
            source: source.into(),
        }
    }
}

impl Ended {
    /// An error of the start: what cannot be right as it was asked for is a
    /// matter of settings, the rest may come back.
    pub fn at_start(kind: ErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let settings = kind == ErrorKind::Invalid;
        Self::new(
            if settings {
                exit::CONFIGURATION
            } else {
                exit::UNAVAILABLE
            },
            source,
        )
    }

    /// The same, with the stable word for the cause, as clients see it.
    pub fn because(kind: ErrorKind, reason: &str, error: &(dyn Error + 'static)) -> Self {
        Self::at_start(kind, format!("{} [{reason}]", status::chain(error)))
    }
}

impl From<ConfigError> for Ended {
    fn from(error: ConfigError) -> Self {
        Self::new(exit::CONFIGURATION, error)
    }
}

impl From<tls::TlsError> for Ended {
    fn from(error: tls::TlsError) -> Self {
        Self::new(exit::CONFIGURATION, error)
    }
}

impl From<ConnectError> for Ended {
    fn from(error: ConnectError) -> Self {
        Self::new(exit::CONFIGURATION, error)
    }
}

/// An address that cannot be listened on may be free later.
impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::new(exit::UNAVAILABLE, error)
    }
}

/// What an error at the end of a service means for the exit code.
fn code(error: &(dyn Error + Send + Sync + 'static)) -> u8 {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return ended.code;
    }
    if error.is::<ConfigError>() {
        exit::CONFIGURATION
    } else {
        exit::FAILED
    }
}

/// Runs a service: `read` takes the settings, `serve` runs until the token is
/// cancelled.
///
/// Exit code 64 means that the settings are not right; `--check-config` stops
/// after saying so. A [`ConfigError`] from `serve` means the same, an [`Ended`]
/// what it says, and everything else 1.
pub async fn run<C>(
    service: &'static str,
    read: fn(&Settings<'_>) -> Result<C, ConfigError>,
    serve: impl AsyncFnOnce(C, CancellationToken) -> Result<(), Box<dyn Error + Send + Sync>>,
) -> ExitCode {
    tls::install_provider();
    let _telemetry = telemetry::init(service, telemetry::Format::Json);
    let settings = Mode::parse(std::env::args().skip(1))
        .and_then(|mode| Ok((mode, read(&Settings::load(&Environment)?)?)));
    let (mode, config) = match settings {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(error = status::chain(&error), "the settings are not right");
            return ExitCode::from(exit::CONFIGURATION);
        }
    };
    if mode == Mode::CheckConfig {
        tracing::info!("the settings are right");
        return ExitCode::from(exit::DONE);
    }
    let ended = match signal::stop_token() {
        Ok(stop) => serve(config, stop).await,
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => {
            tracing::error!(error = status::chain(error.as_ref()), "the service ends");
            ExitCode::from(code(error.as_ref()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_exit_code_and_is_told_once() {
        let told = |error: Box<dyn Error + Send + Sync>| {
            (code(error.as_ref()), status::chain(error.as_ref()))
        };
        let plain = std::io::Error::other("broken");
        assert_eq!(
            told(Ended::new(exit::UNAVAILABLE, plain).into()),
            (7, "broken".to_owned())
        );
        assert_eq!(
            told(ConfigError::invalid("A", "b").into()),
            (64, "A is not valid: b".to_owned())
        );
        assert_eq!(told("other".into()), (1, "other".to_owned()));
        let denied = ConfigError::invalid("A", "b");
        assert_eq!(
            told(Ended::because(ErrorKind::Denied, "WORD", &denied).into()),
            (7, "A is not valid: b [WORD]".to_owned())
        );
    }
}
