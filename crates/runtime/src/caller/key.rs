//! The key by which services of one installation know one another.
//!
//! Owns the reading of key files and the keyed hash. It never shows a key, and never
//! uses what wraps data keys itself: another key is derived from it.

use secrecy::{ExposeSecret, SecretBox, SecretSlice};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Parts this use of a key from all others.
const CONTEXT: &str = "rewind 2026 caller signature";
/// The fewest bytes of a key.
const SHORTEST: usize = 32;

/// A file that holds no such key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// It holds something else.
    #[error("32 bytes are expected, in base64 or as they are; several keys are lines of base64")]
    Malformed,
}

/// The keys that count, of which the first one signs. Clones share them.
#[derive(Clone)]
pub struct Keys(Arc<[SecretBox<[u8; 32]>]>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Keys").field(&self.0.len()).finish()
    }
}

impl Keys {
    /// Takes the secrets from which keys are derived.
    ///
    /// # Errors
    /// [`KeysError::Malformed`] where there is none, or one that could be guessed.
    pub fn new(secrets: &[SecretSlice<u8>]) -> Result<Self, KeysError> {
        let fit = |secret: &SecretSlice<u8>| secret.expose_secret().len() >= SHORTEST;
        if secrets.is_empty() || !secrets.iter().all(fit) {
            return Err(KeysError::Malformed);
        }
        let derived = secrets.iter().map(|secret| {
            let key = blake3::derive_key(CONTEXT, secret.expose_secret());
            SecretBox::new(Box::new(key))
        });
        Ok(Self(derived.collect()))
    }

    /// Reads a key file: a line of base64 for each key, or 32 bytes as they are, as
    /// files hold the key that wraps.
    ///
    /// # Errors
    /// [`KeysError`] where it cannot be read or holds no key.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let content = std::fs::read(path).map_err(|error| KeysError::Unreadable(error.kind()))?;
        Self::parse(&SecretSlice::from(content))
    }

    fn parse(content: &SecretSlice<u8>) -> Result<Self, KeysError> {
        let bytes = content.expose_secret();
        let is_text = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if bytes.len() == SHORTEST && !is_text {
            return Self::new(&[SecretSlice::from(bytes.to_vec())]);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| KeysError::Malformed)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets = lines.map(|line| {
            let secret = BASE64_STANDARD.decode(line);
            secret
                .map(SecretSlice::from)
                .map_err(|_| KeysError::Malformed)
        });
        Self::new(&secrets.collect::<Result<Vec<_>, _>>()?)
    }

    /// These keys, and others that still count.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        let all = self.0.iter().chain(others.0.iter());
        Self(
            all.map(|key| SecretBox::new(Box::new(*key.expose_secret())))
                .collect(),
        )
    }

    /// The hash of a text under the first key.
    pub(super) fn sign(&self, text: &[u8]) -> blake3::Hash {
        let key = self.0.first().expect("invariant: there is a key");
        blake3::keyed_hash(key.expose_secret(), text)
    }

    /// Whether a hash is that of the text under one of the keys; all are tried, each in
    /// constant time.
    pub(super) fn signed(&self, text: &[u8], hash: &blake3::Hash) -> bool {
        let hashes = self
            .0
            .iter()
            .map(|key| blake3::keyed_hash(key.expose_secret(), text));
        hashes.fold(false, |known, own| (own == *hash) | known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(content: &[u8]) -> Result<Keys, KeysError> {
        Keys::parse(&SecretSlice::from(content.to_vec()))
    }

    #[test]
    fn a_key_is_the_same_in_base64_and_as_it_is() {
        let raw: Vec<u8> = (0..32).collect();
        let text = BASE64_STANDARD.encode(&raw);
        let hash = parse(&raw).expect("a key").sign(b"x");
        for content in [
            text.clone(),
            format!("\n {text} \n"),
            format!("{text}\n{text}"),
        ] {
            assert_eq!(parse(content.as_bytes()).expect("a key").sign(b"x"), hash);
        }
        assert_ne!(
            hash,
            blake3::keyed_hash(&<[u8; 32]>::try_from(raw).expect("32"), b"x"),
            "the key that wraps is not used itself"
        );
    }

    #[test]
    fn of_several_keys_the_first_signs_and_all_count() {
        let line = |byte: u8| BASE64_STANDARD.encode([byte; 32]);
        let [one, two] = [1, 2].map(|byte| parse(line(byte).as_bytes()).expect("a key"));
        let both = parse(format!("{}\n{}\n", line(2), line(1)).as_bytes()).expect("keys");
        assert_eq!(both.sign(b"x"), two.sign(b"x"));
        for keys in [&both, &one.and(&two)] {
            assert!(keys.signed(b"x", &one.sign(b"x")) && keys.signed(b"x", &two.sign(b"x")));
        }
        assert!(!one.signed(b"x", &two.sign(b"x")) && !one.signed(b"y", &one.sign(b"x")));
    }

    #[test]
    fn what_could_be_guessed_is_no_key() {
        let short = BASE64_STANDARD.encode([1; 31]);
        for content in [
            &b""[..],
            b"\n",
            b"a passphrase of thirty-two chars",
            short.as_bytes(),
            &[0; 33],
        ] {
            assert!(parse(content).is_err(), "{content:?}");
        }
        let keys = parse(&[0x80; 32]).expect("a key");
        assert_eq!(format!("{keys:?}"), "Keys(1)");
    }
}
