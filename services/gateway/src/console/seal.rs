//! What a browser keeps for this server without being able to read or change it.
//!
//! Owns the key of the cookies and their encryption. What is sealed for one purpose
//! cannot be opened as another.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Generate, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox};
use std::path::Path;
use zeroize::Zeroizing;

/// Length of the nonce before the sealed bytes.
const NONCE: usize = 24;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealKeyError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[from] std::io::Error),
    /// It is something else.
    #[error("32 bytes in base64 are expected")]
    Malformed,
}

/// Seals and opens.
#[derive(Clone)]
pub(crate) struct Seal(std::sync::Arc<SecretBox<[u8; 32]>>);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(..)")
    }
}

impl Seal {
    /// With a key that dies with the process.
    pub(crate) fn random() -> Self {
        Self::of(chance())
    }

    /// With the key in a file, so that every replica opens what another sealed.
    ///
    /// # Errors
    /// [`SealKeyError`] where it holds none.
    pub(crate) fn load(path: &Path) -> Result<Self, SealKeyError> {
        let text = Zeroizing::new(std::fs::read_to_string(path)?);
        let bytes = base64::prelude::BASE64_STANDARD
            .decode(text.trim())
            .map(Zeroizing::new)
            .map_err(|_| SealKeyError::Malformed)?;
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| SealKeyError::Malformed)?;
        Ok(Self::of(key))
    }

    fn of(key: [u8; 32]) -> Self {
        Self(std::sync::Arc::new(SecretBox::new(Box::new(key))))
    }

    /// Text that only [`Seal::open`] for the same purpose understands.
    pub(crate) fn seal(&self, purpose: &'static str, plain: &[u8]) -> String {
        let nonce: [u8; NONCE] = chance();
        let payload = Payload {
            msg: plain,
            aad: purpose.as_bytes(),
        };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .expect("invariant: what a cookie holds is far below the cipher's limit");
        BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// What was sealed; `None` where it was not sealed here or for something else.
    pub(crate) fn open(&self, purpose: &'static str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: sealed,
            aad: purpose.as_bytes(),
        };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        plain.ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.0.expose_secret()))
    }
}

/// Bytes of the operating system's chance: nonces and keys must not come from a seed.
fn chance<const N: usize>() -> [u8; N] {
    <[u8; N]>::generate()
}

/// Thirty-two hexadecimal digits of chance.
pub(crate) fn word() -> String {
    blake3::Hash::from_bytes(chance()).to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_for_the_same_purpose_by_the_same_key() {
        let seal = Seal::random();
        let text = seal.seal("session", b"token");
        assert_eq!(
            seal.open("session", &text).as_deref().map(Vec::as_slice),
            Some(&b"token"[..])
        );
        assert!(seal.open("login", &text).is_none(), "another purpose");
        assert!(
            Seal::random().open("session", &text).is_none(),
            "another key"
        );
        let mut bytes = text.clone().into_bytes();
        for n in [0, bytes.len() / 2, bytes.len() - 2] {
            let before = bytes[n];
            bytes[n] = if before == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes.clone()).expect("ASCII");
            assert!(seal.open("session", &changed).is_none(), "changed at {n}");
            bytes[n] = before;
        }
        for short in ["", "AAAA", "not base64!"] {
            assert!(seal.open("session", short).is_none(), "{short}");
        }
        assert!(!text.contains("token"));
        assert_ne!(text, seal.seal("session", b"token"), "a fresh nonce");
    }

    #[test]
    fn a_key_file_holds_thirty_two_bytes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        assert!(matches!(
            Seal::load(&path),
            Err(SealKeyError::Unreadable(_))
        ));
        for (content, fits) in [
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", true),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", false),
            ("a passphrase", false),
            ("", false),
        ] {
            std::fs::write(&path, content).expect("written");
            assert_eq!(Seal::load(&path).is_ok(), fits, "{content:?}");
        }
        std::fs::write(&path, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("written");
        let (one, other) = (Seal::load(&path), Seal::load(&path));
        let text = one.expect("fits").seal("session", b"x");
        assert!(other.expect("fits").open("session", &text).is_some());
    }
}
