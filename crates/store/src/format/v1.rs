//! Format 1: registration, data key, claim, manifest, a snapshot's fate and grants.
//!
//! Owns the serialised shapes and their conversion to and from the types that
//! the rest of the program uses. Unknown members are ignored, an unknown format
//! number is refused.

mod fate;
mod grants;
mod lineage;
mod manifest;
mod records;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

pub(crate) use fate::{Fate, GivenUp};
pub(crate) use grants::Grants;
pub(crate) use lineage::Lineage;
pub(crate) use manifest::Manifest;
pub(crate) use records::{Claim, DataKeyFile, Erasure, TenantRecord};

/// The number that files of this format carry.
pub(crate) const FORMAT: u32 = 1;

/// Renders a file.
///
/// # Errors
/// `Internal` where a value has no JSON form.
pub(crate) fn to_json<T: Serialize>(file: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(file)
        .map_err(|error| StoreError::Internal(format!("a file cannot be rendered: {error}")))
}

/// Reads a file after a look at its format number.
///
/// # Errors
/// `Corrupt`, naming the path, where it is no JSON, of an unknown format, or of
/// another shape.
pub(crate) fn from_json<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let malformed = |error: serde_json::Error| {
        StoreError::corrupt(path, format!("it is no file of the vault ({error})"))
    };
    let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
    if head.format != FORMAT {
        let detail = format!(
            "format {} is not known to this version, which reads {FORMAT}",
            head.format
        );
        return Err(StoreError::corrupt(path, detail));
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

#[cfg(test)]
mod tests;
