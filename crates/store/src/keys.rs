//! Key-encryption keys: what wraps a tenant's data key.
//!
//! Owns the small seam [`KeyWrap`] and its embedded default, a local key file,
//! which may be a mounted secret. It must never print, log or return a key other
//! than to the cipher.

mod key_vault;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

use crate::chance;
use crate::error::KeyError;

pub use key_vault::KeyVault;

/// A data key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// Public input of the cipher; empty where the holder needs none.
    pub nonce: Vec<u8>,
    /// The encrypted data key.
    pub ciphertext: Vec<u8>,
}

/// Holds a key-encryption key and uses it: a key file, a mounted secret, a key vault.
#[async_trait]
pub trait KeyWrap: Send + Sync + fmt::Debug {
    /// Names the key-encryption key without telling anything about it; part of
    /// a storage key, so lowercase letters, digits and hyphens.
    fn id(&self) -> &str;

    /// Encrypts a data key, bound to `context`.
    ///
    /// # Errors
    /// [`KeyError`] where the key-encryption key cannot be used.
    async fn wrap(&self, key: &SecretSlice<u8>, context: &[u8]) -> Result<Wrapped, KeyError>;

    /// Decrypts a data key that was wrapped with the same `context`.
    ///
    /// # Errors
    /// [`KeyError::Refused`] where key, context or ciphertext are not those of
    /// the wrapping; others where the key-encryption key cannot be used.
    async fn unwrap(&self, wrapped: &Wrapped, context: &[u8]) -> Result<SecretSlice<u8>, KeyError>;
}

/// The key-encryption keys of an installation: the one that wraps, and while keys
/// are re-wrapped the ones that still open.
#[derive(Debug, Clone)]
pub(crate) struct Wraps {
    current: Arc<dyn KeyWrap>,
    old: Vec<Arc<dyn KeyWrap>>,
}

impl Wraps {
    pub(crate) fn new(current: Arc<dyn KeyWrap>) -> Self {
        Self {
            current,
            old: Vec::new(),
        }
    }

    pub(crate) fn and_old(mut self, old: Arc<dyn KeyWrap>) -> Self {
        self.old.push(old);
        self
    }

    /// The one that wraps.
    pub(crate) fn current(&self) -> &Arc<dyn KeyWrap> {
        &self.current
    }

    /// Those that open, the current one first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<dyn KeyWrap>> {
        std::iter::once(&self.current).chain(&self.old)
    }
}

/// A key-encryption key of 32 bytes, held in memory.
pub struct Kek {
    key: Zeroizing<[u8; 32]>,
    id: String,
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kek")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Kek {
    /// Takes the key itself.
    #[must_use]
    pub fn from_bytes(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        let named = blake3::Hash::from_bytes(blake3::derive_key(
            "rewind 2026 key-encryption key id",
            &key[..],
        ));
        Self {
            key,
            id: format!("local-{}", &named.to_hex()[..16]),
        }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`] where there is none, [`KeyError::Malformed`]
    /// where it holds no key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let content = Zeroizing::new(
            std::fs::read(path).map_err(|error| KeyError::Unreadable(error.kind()))?,
        );
        Self::parse(&content).ok_or(KeyError::Malformed)
    }

    /// A key as text in base64, with white space around it or not, or as the 32
    /// bytes themselves, which is what a Kubernetes secret holds whose `data` was
    /// written by hand.
    ///
    /// Thirty-two characters of text are no key: a passphrase, or base64 cut short.
    fn parse(content: &[u8]) -> Option<Self> {
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
        if let Ok(key) = <[u8; 32]>::try_from(content)
            && !content.iter().all(is_text)
        {
            return Some(Self::from_bytes(key));
        }
        let text = std::str::from_utf8(content).ok()?;
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).ok()?);
        <[u8; 32]>::try_from(bytes.as_slice())
            .ok()
            .map(Self::from_bytes)
    }

    /// Reads a key file, or writes a new one where there is none.
    ///
    /// The file appears whole or not at all, readable for its owner only; of
    /// two processes that start together both get the same key.
    ///
    /// # Errors
    /// As [`Kek::load`]; [`KeyError::Unreadable`] where it cannot be written.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Unreadable(ErrorKind::NotFound)) => {}
            other => return other,
        }
        create_key_file(path).map_err(|error| KeyError::Unreadable(error.kind()))?;
        Self::load(path)
    }
}

/// Encrypts a data key, bound to a context; the nonce is fresh.
fn seal(
    kek: &[u8; 32],
    key: &SecretSlice<u8>,
    context: &[u8],
) -> Result<([u8; 24], Vec<u8>), KeyError> {
    let nonce: [u8; 24] = chance::bytes();
    let payload = Payload {
        msg: key.expose_secret(),
        aad: context,
    };
    let sealed = XChaCha20Poly1305::new(&Key::from(*kek))
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| KeyError::Refused)?;
    Ok((nonce, sealed))
}

/// The reverse of [`seal`].
fn open(
    kek: &[u8; 32],
    nonce: &[u8],
    sealed: &[u8],
    context: &[u8],
) -> Result<SecretSlice<u8>, KeyError> {
    let nonce: [u8; 24] = nonce.try_into().map_err(|_| KeyError::Refused)?;
    let payload = Payload {
        msg: sealed,
        aad: context,
    };
    XChaCha20Poly1305::new(&Key::from(*kek))
        .decrypt(&XNonce::from(nonce), payload)
        .map(SecretSlice::from)
        .map_err(|_| KeyError::Refused)
}

/// Writes a fresh key beside `path`, then links it there unless another process
/// was faster.
fn create_key_file(path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!(".{}", chance::token()));
    let staged = PathBuf::from(staged);
    let outcome = write_key(&staged).and_then(|()| match std::fs::hard_link(&staged, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = std::fs::remove_file(&staged);
    outcome?;
    removed?;
    File::open(folder)?.sync_all()
}

fn write_key(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let key = Zeroizing::new(chance::bytes::<32>());
    let text = Zeroizing::new(BASE64_STANDARD.encode(&key[..]));
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[async_trait]
impl KeyWrap for Kek {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, key: &SecretSlice<u8>, context: &[u8]) -> Result<Wrapped, KeyError> {
        let (nonce, ciphertext) = seal(&self.key, key, context)?;
        Ok(Wrapped {
            nonce: nonce.to_vec(),
            ciphertext,
        })
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &[u8]) -> Result<SecretSlice<u8>, KeyError> {
        open(&self.key, &wrapped.nonce, &wrapped.ciphertext, context)
    }
}

#[cfg(test)]
mod tests;
