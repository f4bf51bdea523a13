//! Audit chains: numbered files of one writer each, every one with the hash of the one
//! before.
//!
//! Owns how such a file is made, found again and read, and what a walk along a chain can
//! know: that a file is missing, changed, moved or exchanged, or that it does not follow
//! on the one before it. What the files tell is the business of whoever writes them. It
//! must never change or delete one. That files at the end of a chain are missing it
//! knows only from a [`Witness`].

mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::blocking;
use crate::data_key::DataKey;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::layout;
use crate::seal;

pub use walk::{Flaw, FlawKind, Witness};

/// The format that is written.
const FORMAT: u32 = 1;
/// What a file's first line starts with, before the format's number.
const MARK: &str = "rewind-audit ";

/// Where a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of its last file; 0 where there is none yet.
    pub number: u64,
    /// The hash of that file's content; zeros where there is none.
    pub hash: blake3::Hash,
}

impl Head {
    /// The end of a chain that has no file yet.
    pub const NONE: Self = Self {
        number: 0,
        hash: blake3::Hash::from_bytes([0; 32]),
    };
}

/// One file of a chain, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1 on.
    pub number: u64,
    /// The hash of its content, which the next one holds.
    pub hash: blake3::Hash,
    /// The hash of the content of the one before.
    pub previous: blake3::Hash,
    /// What it tells.
    pub body: Bytes,
}

/// What lies among the chains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The numbers of each writer's files, sorted.
    pub chains: BTreeMap<String, Vec<u64>>,
    /// Files that no writer writes.
    pub foreign: Vec<String>,
}

/// The chains of one tenant, or those of the installation.
#[derive(Debug, Clone)]
pub struct Chains {
    store: Arc<dyn ObjectStore>,
    key: Arc<DataKey>,
    folder: Path,
}

impl Chains {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, key: Arc<DataKey>, folder: Path) -> Self {
        Self { store, key, folder }
    }

    /// Adds a file to a writer's chain, and answers its new end. After an error of the
    /// store the same call may be repeated, and adds the file once.
    ///
    /// # Errors
    /// `Exists` where another file is in its place, which means that two write the
    /// chain; `Invalid` for a writer that is not fit for a key; `Unavailable`.
    pub async fn append(&self, writer: &str, end: Head, body: &[u8]) -> Result<Head, StoreError> {
        let number = end.number + 1;
        let path = layout::audit_entry(&self.folder, writer, number)?;
        let content = content(writer, number, &end.hash, body);
        let hash = blake3::hash(&content);
        let (key, place, plain) = (Arc::clone(&self.key), path.clone(), content.clone());
        let sealed = blocking::run(move || seal::seal_document(&key, &place, &plain)).await?;
        match file::create(self.store.as_ref(), &path, sealed.into()).await? {
            Created::Ours => {}
            // An earlier call may have landed whose answer was lost; sealed anew, the
            // same content is other bytes.
            Created::Theirs => match self.open(&path).await {
                Ok(Some(found)) if found == content => {}
                Err(error @ StoreError::Unavailable { .. }) => return Err(error),
                Ok(_) | Err(_) => {
                    return Err(StoreError::Exists {
                        what: path.to_string(),
                    });
                }
            },
        }
        Ok(Head { number, hash })
    }

    /// One file; `None` where there is none.
    ///
    /// # Errors
    /// `Corrupt` where it is damaged or was written elsewhere; `Invalid` for a writer
    /// that is not fit for a key; `Unavailable`.
    pub async fn read(&self, writer: &str, number: u64) -> Result<Option<Entry>, StoreError> {
        let path = layout::audit_entry(&self.folder, writer, number)?;
        let content = self.open(&path).await?;
        let entry = content.map(|content| entry(&path, writer, number, content));
        entry.transpose()
    }

    /// The writers that have chains, sorted.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn writers(&self) -> Result<Vec<String>, StoreError> {
        file::folders(self.store.as_ref(), &self.folder).await
    }

    /// The number of a chain's last file, or 0, without a listing of all of them.
    /// `known` is a number that it had before, or 0.
    ///
    /// # Errors
    /// `Invalid` for a writer that is not fit for a key; `Unavailable`.
    pub async fn last_number(&self, writer: &str, known: u64) -> Result<u64, StoreError> {
        let store = self.store.as_ref();
        let place = |number| layout::audit_entry(&self.folder, writer, number);
        let (mut there, mut step) = (known, 1);
        while file::exists(store, &place(there + step)?).await? {
            there += step;
            step *= 2;
        }
        let mut absent = there + step;
        while there + 1 < absent {
            let middle = there + (absent - there) / 2;
            match file::exists(store, &place(middle)?).await? {
                true => there = middle,
                false => absent = middle,
            }
        }
        // Where a file is missing among others, the search may have ended before it.
        let folder = Path::from(format!("{}/{writer}", self.folder));
        let rest = file::list_from(store, &folder, &place(there)?).await?;
        let numbers = rest
            .iter()
            .filter_map(|path| layout::audit_place(&self.folder, path));
        Ok(numbers.map(|(_, number)| number).max().unwrap_or(there))
    }

    /// Everything that lies among the chains, in one listing.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn list(&self) -> Result<Listed, StoreError> {
        let mut listed = Listed::default();
        for path in file::list(self.store.as_ref(), &self.folder).await? {
            match layout::audit_place(&self.folder, &path) {
                Some((writer, number)) => listed.chains.entry(writer).or_default().push(number),
                None => listed.foreign.push(path.to_string()),
            }
        }
        for numbers in listed.chains.values_mut() {
            numbers.sort_unstable();
        }
        Ok(listed)
    }

    async fn open(&self, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(sealed) = file::read(self.store.as_ref(), path).await? else {
            return Ok(None);
        };
        let (key, place) = (Arc::clone(&self.key), path.clone());
        let opened = blocking::run(move || seal::open_document(&key, &place, &sealed)).await?;
        Ok(Some(opened))
    }
}

/// The content of a file, of which the hash is taken: one line, then what it tells.
fn content(writer: &str, number: u64, previous: &blake3::Hash, body: &[u8]) -> Vec<u8> {
    let previous = previous.to_hex();
    let mut content = format!("{MARK}{FORMAT} {writer} {number} {previous}\n").into_bytes();
    content.extend_from_slice(body);
    content
}

/// The reverse of [`content`].
fn entry(path: &Path, writer: &str, number: u64, content: Vec<u8>) -> Result<Entry, StoreError> {
    let corrupt = |detail: &str| StoreError::corrupt(path.as_ref(), detail);
    let end = content.iter().take(256).position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| corrupt("it is no file of an audit chain"))?;
    let line = std::str::from_utf8(&content[..end]).unwrap_or_default();
    let words: Vec<&str> = line.split(' ').collect();
    let ["rewind-audit", format, told, n, previous] = words[..] else {
        return Err(corrupt("it is no file of an audit chain"));
    };
    if format != FORMAT.to_string() {
        return Err(corrupt("its format is not known to this version"));
    }
    if told != writer || n != number.to_string() {
        return Err(corrupt("it is of another place in the chains"));
    }
    let previous = blake3::Hash::from_hex(previous)
        .map_err(|_| corrupt("it names no file that was before it"))?;
    Ok(Entry {
        number,
        hash: blake3::hash(&content),
        previous,
        body: Bytes::from(content).slice(end + 1..),
    })
}

#[cfg(test)]
mod tests;
