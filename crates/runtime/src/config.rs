//! Settings from a TOML file and the environment.
//!
//! Owns where settings come from, the settings that all services share, and the
//! error that names a wrong key. The environment wins over the file. A value
//! never appears in an error, since it may be a secret in the wrong place.
//! Components such as a clock or a store are never settings.

mod common;

pub use common::{Common, GraphLimits, TlsPaths};

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ::config::Source as _;
use parking_lot::Mutex;

/// Where settings are read by name.
pub trait Source: Send + Sync {
    /// The value of a key, where it is set.
    fn get(&self, key: &str) -> Option<String>;
}

/// The process's environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment;

impl Source for Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the seam's own implementation"
    )]
    fn get(&self, key: &str) -> Option<String> {
        std::env::var(key).ok()
    }
}

impl Source for BTreeMap<String, String> {
    fn get(&self, key: &str) -> Option<String> {
        BTreeMap::get(self, key).cloned()
    }
}

/// A fixed set of settings, for tests and for services that run in one process.
#[must_use]
pub fn fixed<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// Settings that a program cannot start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key has to be set and is not.
    #[error("{key} is not set")]
    Missing {
        /// The key.
        key: String,
    },
    /// A key has a value that does not fit.
    #[error("{key} is not valid: {detail}")]
    Invalid {
        /// The key.
        key: String,
        /// What is expected; never the value.
        detail: String,
    },
    /// The file cannot be read or is not TOML.
    #[error("the file that REWIND_CONFIG names cannot be used: {detail}")]
    File {
        /// Why.
        detail: String,
    },
    /// The file holds keys that the service does not know.
    #[error("the file that REWIND_CONFIG names holds unknown keys: {}", keys.join(", "))]
    Unknown {
        /// The keys, as the environment would spell them.
        keys: Vec<String>,
    },
    /// The command line holds something else than what is understood.
    #[error("the only argument understood is --check-config")]
    Arguments,
}

impl ConfigError {
    /// An error about a key's value.
    pub fn invalid(key: &str, detail: impl std::fmt::Display) -> Self {
        Self::Invalid {
            key: key.to_owned(),
            detail: detail.to_string(),
        }
    }
}

/// What the command line of a service asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Serve.
    Run,
    /// Only say whether the settings are right.
    CheckConfig,
}

impl Mode {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// [`ConfigError::Arguments`] where there is anything but `--check-config`.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, ConfigError> {
        let arguments: Vec<String> = arguments.into_iter().collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(Self::Run),
            ["--check-config"] => Ok(Self::CheckConfig),
            _ => Err(ConfigError::Arguments),
        }
    }
}

/// A source and the file that it names, as one.
///
/// A key of the file is spelled as in the environment without the prefix, in
/// lower case, and may be a table: `tls_cert`, or `cert` in `[tls]`, is
/// `REWIND_TLS_CERT`.
pub struct Settings<'a> {
    source: &'a dyn Source,
    file: BTreeMap<String, String>,
    asked: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("file_keys", &self.file.keys())
            .finish_non_exhaustive()
    }
}

impl<'a> Settings<'a> {
    /// Reads the file that `REWIND_CONFIG` names, where it is set.
    ///
    /// # Errors
    /// [`ConfigError::File`] where it cannot be read or is not TOML.
    pub fn load(source: &'a dyn Source) -> Result<Self, ConfigError> {
        let file = match source.get("REWIND_CONFIG").filter(|path| !path.is_empty()) {
            None => BTreeMap::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
                    detail: error.to_string(),
                })?;
                parse_file(&text)?
            }
        };
        Ok(Self {
            source,
            file,
            asked: Mutex::default(),
        })
    }

    /// The value of a key, where it is set and not empty.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        self.asked.lock().insert(key.to_owned());
        self.source
            .get(key)
            .filter(|value| !value.is_empty())
            .or_else(|| self.file.get(key).cloned())
            .filter(|value| !value.is_empty())
    }

    /// The value of a key that has to be set.
    ///
    /// # Errors
    /// [`ConfigError::Missing`].
    pub fn required(&self, key: &str) -> Result<String, ConfigError> {
        self.text(key).ok_or_else(|| ConfigError::Missing {
            key: key.to_owned(),
        })
    }

    /// The value of a key as a path.
    #[must_use]
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// The value of a key as any type that is read from text.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] where it has another shape.
    pub fn parsed<T: FromStr>(&self, key: &str) -> Result<Option<T>, ConfigError>
    where
        T::Err: std::fmt::Display,
    {
        self.text(key)
            .map(|text| {
                text.parse()
                    .map_err(|error| ConfigError::invalid(key, error))
            })
            .transpose()
    }

    /// The value of a key as a length of time, such as `20s` or `1h 30m`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] where it has another shape.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let parse = |text: String| {
            humantime::parse_duration(&text)
                .map_err(|_| ConfigError::invalid(key, "a length of time such as 20s is expected"))
        };
        self.text(key).map(parse).transpose()
    }

    /// The value of a key as an `http` or `https` URL.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] where it is something else.
    pub fn url(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let fits = url::Url::parse(&text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        if fits {
            Ok(Some(text))
        } else {
            Err(ConfigError::invalid(
                key,
                "an http or https URL is expected",
            ))
        }
    }

    /// Says whether the file holds a key that nobody asked for; called after
    /// everything was read.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`] where it does.
    pub fn finish(&self) -> Result<(), ConfigError> {
        let asked = self.asked.lock();
        let keys: Vec<String> = self
            .file
            .keys()
            .filter(|key| !asked.contains(*key))
            .cloned()
            .collect();
        if keys.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Unknown { keys })
        }
    }
}

fn parse_file(text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let tables = ::config::File::from_str(text, ::config::FileFormat::Toml)
        .collect()
        .map_err(|_| ConfigError::File {
            detail: "it is not TOML".to_owned(),
        })?;
    let mut flat = BTreeMap::new();
    for (key, value) in tables {
        flatten(&format!("REWIND_{}", key.to_uppercase()), value, &mut flat)?;
    }
    Ok(flat)
}

fn flatten(
    key: &str,
    value: ::config::Value,
    flat: &mut BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    if let ::config::ValueKind::Table(table) = value.kind {
        for (name, value) in table {
            flatten(&format!("{key}_{}", name.to_uppercase()), value, flat)?;
        }
        return Ok(());
    }
    let text = value
        .into_string()
        .map_err(|_| ConfigError::invalid(key, "a single value is expected"))?;
    flat.insert(key.to_owned(), text);
    Ok(())
}

#[cfg(test)]
mod tests;
