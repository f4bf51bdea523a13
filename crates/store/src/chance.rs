//! The crate's only source of chance: the operating system's generator.
//!
//! Nonces, keys and write tokens come from here. They are not taken from the
//! `Ids` seam on purpose: a seeded nonce would be a broken cipher.

use chacha20poly1305::aead::Generate;

/// Fresh random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    <[u8; N]>::generate()
}

/// A word that no other write carries, so that a writer knows its own file
/// again after an answer was lost.
pub(crate) fn token() -> String {
    blake3::Hash::from_bytes(bytes()).to_hex()[..32].to_owned()
}
