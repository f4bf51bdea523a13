//! The envelope of stored files: age encryption to the tenant's key, and for
//! documents an authentication of where they belong.
//!
//! An age file tells that its bytes are whole, not who wrote it: anybody with
//! the public key can make one. So a document starts with a line that holds a
//! keyed hash over format, tenant, place and content; a run needs none, since
//! the manifest names its hash, and for reading parts of it that of its head
//! (see [`crate::partial`]).

use std::io::{Read, Write};

use age::stream::StreamWriter;
use object_store::path::Path;

use crate::data_key::DataKey;
use crate::error::StoreError;

/// The document format that is written.
const DOCUMENT_FORMAT: u32 = 1;
/// What a document's first line starts with, before the format's number.
const DOCUMENT_MARK: &str = "rewind-document ";

/// Starts an age file; `finish` on the writer ends it.
///
/// # Errors
/// `Internal` where the header cannot be written.
pub(crate) fn encrypt_to<W: Write>(
    key: &DataKey,
    output: W,
) -> Result<StreamWriter<W>, StoreError> {
    let recipient = key.recipient();
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(cannot_encrypt)?;
    encryptor.wrap_output(output).map_err(cannot_encrypt)
}

/// The content of one chunk of an age file, in bytes; only the last may be shorter.
pub(crate) const CHUNK: u64 = 64 * 1024;
/// What authenticates a chunk, in bytes.
pub(crate) const TAG: u64 = 16;

/// How many bytes an age file has behind its head, for a content of so many.
pub(crate) fn payload_bytes(plain: u64) -> u64 {
    plain + TAG * plain.div_ceil(CHUNK).max(1)
}

/// The reverse of [`payload_bytes`]; `None` where no content has such a payload.
pub(crate) fn plain_bytes(payload: u64) -> Option<u64> {
    payload
        .checked_sub(TAG * payload.div_ceil(CHUNK + TAG))
        .filter(|plain| payload_bytes(*plain) == payload)
}

/// Encrypts bytes into an age file.
///
/// # Errors
/// `Internal` where the file cannot be made.
pub(crate) fn encrypt(key: &DataKey, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut writer = encrypt_to(key, Vec::with_capacity(plain.len() + 1024))?;
    writer.write_all(plain).map_err(cannot_encrypt)?;
    writer.finish().map_err(cannot_encrypt)
}

/// Decrypts an age file whole; no byte of a damaged one is returned.
///
/// # Errors
/// `Corrupt`, naming the path, where the file is damaged or made for another key.
pub(crate) fn decrypt(key: &DataKey, path: &Path, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let damaged = |error: &dyn std::fmt::Display| {
        StoreError::corrupt(path.as_ref(), format!("it cannot be decrypted ({error})"))
    };
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(|error| damaged(&error))?;
    let mut reader = decryptor
        .decrypt(key.identities())
        .map_err(|error| damaged(&error))?;
    let mut plain = Vec::with_capacity(sealed.len());
    reader
        .read_to_end(&mut plain)
        .map_err(|error| damaged(&error))?;
    Ok(plain)
}

/// Whether an age file was made for one of the key's numbers, as far as its head
/// tells; of what is no age file any more nobody can say otherwise.
pub(crate) fn is_for(key: &DataKey, sealed: &[u8]) -> bool {
    let Ok(decryptor) = age::Decryptor::new_buffered(sealed) else {
        return true;
    };
    !matches!(
        decryptor.decrypt(key.identities()),
        Err(age::DecryptError::NoMatchingKeys)
    )
}

/// Seals a document for one place.
///
/// # Errors
/// `Internal` where the file cannot be made.
pub(crate) fn seal_document(
    key: &DataKey,
    path: &Path,
    content: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let mac = key.mac(DOCUMENT_FORMAT, path.as_ref(), content);
    let mut plain = format!("{DOCUMENT_MARK}{DOCUMENT_FORMAT} {}\n", mac.to_hex()).into_bytes();
    plain.extend_from_slice(content);
    encrypt(key, &plain)
}

/// Opens a document of one place.
///
/// # Errors
/// `Corrupt`, naming the path, where the file is damaged, foreign, of another
/// place, or of a format that this version does not know.
pub(crate) fn open_document(
    key: &DataKey,
    path: &Path,
    sealed: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let mut plain = decrypt(key, path, sealed)?;
    let head = plain
        .iter()
        .take(128)
        .position(|byte| *byte == b'\n')
        .unwrap_or_default();
    let line = std::str::from_utf8(&plain[..head])
        .ok()
        .and_then(|line| line.strip_prefix(DOCUMENT_MARK));
    let (format, mac) = line
        .and_then(|line| line.split_once(' '))
        .ok_or_else(|| StoreError::corrupt(path.as_ref(), "it is no document of the vault"))?;
    if format != DOCUMENT_FORMAT.to_string() {
        let detail = format!(
            "document format {format:?} is not known to this version, which reads {DOCUMENT_FORMAT}"
        );
        return Err(StoreError::corrupt(path.as_ref(), detail));
    }
    let ours = blake3::Hash::from_hex(mac)
        .is_ok_and(|mac| key.made(mac, DOCUMENT_FORMAT, path.as_ref(), &plain[head + 1..]));
    if !ours {
        return Err(StoreError::corrupt(
            path.as_ref(),
            "it was not written by this vault for this place",
        ));
    }
    plain.drain(..=head);
    Ok(plain)
}

fn cannot_encrypt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Internal(format!("a file cannot be encrypted: {error}"))
}

#[cfg(test)]
mod tests;
