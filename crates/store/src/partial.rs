//! Parts of an encrypted run, fetched and decrypted as they are asked for.
//!
//! Owns which bytes are fetched, and why those that come can be trusted although
//! the file is never hashed as a whole. It must never give out a byte that was not
//! authenticated, nor take a store that does not answer for damage.
//!
//! An age file consists of a head and a payload. The head is a header, which
//! holds the file key encrypted to the tenant's key and a MAC under the file key,
//! and a nonce; the payload's key follows from the file key and the nonce alone.
//! The payload is a row of chunks of 64 KiB, each sealed with ChaCha20-Poly1305
//! under a nonce that holds its number and whether it is the last one.
//!
//! By itself that tells nothing about who wrote the file: whoever has the public
//! key can choose a file key and make another one. So the manifest, which is
//! authenticated, pins the BLAKE3 of the head, and with it the file key: the one
//! that was drawn at random when the run was written and encrypted to the tenant
//! only. A chunk that opens under it was sealed by its writer, at that place; a
//! chunk of another file, another place or another hand does not open. The end is
//! pinned by the file's size in the manifest, and by the last chunk, which opens
//! as the last one only. Hence each chunk can be trusted alone.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use age::stream::StreamReader;
use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

use crate::data_key::DataKey;
use crate::error::StoreError;
use crate::file;
use crate::layout;
use crate::manifest::{Head, RunFile};
use crate::run::group_rows;
use crate::seal::{CHUNK, TAG, plain_bytes};

/// The end of a file that is fetched with its head: most of what tells where rows
/// are, for a run of few row groups and for each further one.
const TAIL: u64 = CHUNK;
const TAIL_OF_GROUP: u64 = 3 * 1024;
/// Fetched pieces that are kept, and decrypted chunks.
const PIECES: usize = 3;
const CHUNKS: usize = 16;

/// A run of which parts can be read.
#[derive(Clone)]
pub(crate) struct Partial {
    inner: Arc<Inner>,
}

struct Inner {
    sealed: Arc<Sealed>,
    /// Bytes of the content.
    length: u64,
    opened: Mutex<Opened>,
}

struct Opened {
    reader: StreamReader<Cursor>,
    /// The chunks that were decrypted last, by their number.
    chunks: VecDeque<(u64, Bytes)>,
}

impl fmt::Debug for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partial")
            .field("path", &self.inner.sealed.path)
            .finish_non_exhaustive()
    }
}

impl Partial {
    /// Opens a run by its head; fetches its end too. Blocks: to be called from a
    /// thread where that is allowed.
    ///
    /// # Errors
    /// `Corrupt`, naming the file, where it is missing, shorter than the manifest
    /// says or not the file whose head is pinned; `Unavailable`.
    pub(crate) fn open(
        store: Arc<dyn ObjectStore>,
        runtime: Handle,
        key: &DataKey,
        file: &RunFile,
        head: Head,
    ) -> Result<Self, StoreError> {
        let sealed = Arc::new(Sealed {
            store,
            runtime,
            path: layout::run(key.tenant(), &file.hash),
            held: file.kind.name(),
            size: file.bytes,
            head: head.bytes,
            pieces: Mutex::default(),
            failure: Mutex::default(),
        });
        let length = file.bytes.checked_sub(head.bytes).and_then(plain_bytes);
        let length = length.ok_or_else(|| sealed.damaged("no age file has its size"))?;
        let groups = file.rows / group_rows(file.kind);
        let tail = length.saturating_sub(TAIL + groups * TAIL_OF_GROUP);
        let fetched =
            sealed.fetch(&[0..head.bytes, sealed.chunk_start(tail / CHUNK)..file.bytes])?;
        let [first, last] = &fetched[..] else {
            return Err(sealed.damaged("it was not answered in parts"));
        };
        if blake3::hash(first) != head.hash {
            return Err(sealed.damaged("its head is not the one that was written"));
        }
        sealed.keep(sealed.chunk_start(tail / CHUNK), last.clone());
        sealed.keep(0, first.clone());
        let cursor = Cursor {
            sealed: Arc::clone(&sealed),
            at: 0,
        };
        let undecryptable =
            |error: age::DecryptError| sealed.damaged(&format!("it cannot be decrypted ({error})"));
        let decryptor = age::Decryptor::new(cursor).map_err(undecryptable)?;
        let reader = decryptor.decrypt(key.identities()).map_err(undecryptable)?;
        Ok(Self {
            inner: Arc::new(Inner {
                sealed,
                length,
                opened: Mutex::new(Opened {
                    reader,
                    chunks: VecDeque::new(),
                }),
            }),
        })
    }

    /// Bytes of the content.
    pub(crate) fn length(&self) -> u64 {
        self.inner.length
    }

    /// A part of the content.
    ///
    /// # Errors
    /// Beyond the end, and where the part is damaged or cannot be fetched, of
    /// which [`Partial::failure`] tells more.
    pub(crate) fn bytes(&self, part: Range<u64>) -> io::Result<Bytes> {
        let read = self.read(part);
        if read.is_err() {
            let sealed = &self.inner.sealed;
            let damage = || sealed.damaged("a part of it is not what was written");
            sealed.failure.lock().get_or_insert_with(damage);
        }
        read
    }

    fn read(&self, part: Range<u64>) -> io::Result<Bytes> {
        if part.start >= part.end {
            return Ok(Bytes::new());
        }
        if part.end > self.inner.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let chunks = part.start / CHUNK..=(part.end - 1) / CHUNK;
        let mut opened = self.inner.opened.lock();
        if chunks.clone().any(|number| !opened.has(number)) {
            self.inner.sealed.ensure(self.sealed_range(&part))?;
        }
        let mut whole = BytesMut::new();
        for number in chunks.clone() {
            let start = number * CHUNK;
            let chunk = opened.chunk(number, self.inner.length)?;
            let from = index(part.start.saturating_sub(start));
            let to = index((part.end - start).min(chunk.len() as u64));
            if chunks.start() == chunks.end() {
                return Ok(chunk.slice(from..to));
            }
            whole.extend_from_slice(&chunk[from..to]);
        }
        Ok(whole.freeze())
    }

    /// Fetches what a part of the content takes, at once.
    ///
    /// # Errors
    /// As [`Partial::bytes`].
    pub(crate) fn prefetch(&self, part: Range<u64>) -> io::Result<()> {
        if part.start >= part.end || part.end > self.inner.length {
            return Ok(());
        }
        self.inner.sealed.ensure(self.sealed_range(&part))
    }

    /// Why reading failed, where it did.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.inner.sealed.failure.lock().take()
    }

    /// Where the chunks of a part lie in the file.
    fn sealed_range(&self, part: &Range<u64>) -> Range<u64> {
        let sealed = &self.inner.sealed;
        let after = sealed.chunk_start((part.end - 1) / CHUNK + 1);
        sealed.chunk_start(part.start / CHUNK)..after.min(sealed.size)
    }
}

impl Opened {
    fn has(&self, number: u64) -> bool {
        self.chunks.iter().any(|(known, _)| *known == number)
    }

    fn chunk(&mut self, number: u64, length: u64) -> io::Result<Bytes> {
        if let Some((_, chunk)) = self.chunks.iter().find(|(known, _)| *known == number) {
            return Ok(chunk.clone());
        }
        let start = number * CHUNK;
        let mut chunk = vec![0; index(CHUNK.min(length - start))];
        self.reader.seek(SeekFrom::Start(start))?;
        self.reader.read_exact(&mut chunk)?;
        let chunk = Bytes::from(chunk);
        if self.chunks.len() == CHUNKS {
            self.chunks.pop_front();
        }
        self.chunks.push_back((number, chunk.clone()));
        Ok(chunk)
    }
}

/// An offset inside memory.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// The encrypted file.
struct Sealed {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    path: Path,
    /// What the run holds, for errors.
    held: &'static str,
    size: u64,
    /// Where the first chunk begins.
    head: u64,
    /// What was fetched last, by where it begins.
    pieces: Mutex<VecDeque<(u64, Bytes)>>,
    failure: Mutex<Option<StoreError>>,
}

impl Sealed {
    fn chunk_start(&self, number: u64) -> u64 {
        self.head + number * (CHUNK + TAG)
    }

    fn damaged(&self, detail: &str) -> StoreError {
        let held = self.held;
        StoreError::corrupt(
            self.path.as_ref(),
            format!("{detail}; it holds the snapshot's {held}"),
        )
    }

    fn keep(&self, start: u64, piece: Bytes) {
        let mut pieces = self.pieces.lock();
        if pieces.len() == PIECES {
            pieces.pop_front();
        }
        pieces.push_back((start, piece));
    }

    /// What is at hand from an offset on.
    fn at_hand(&self, at: u64) -> Option<Bytes> {
        let pieces = self.pieces.lock();
        pieces.iter().rev().find_map(|(start, piece)| {
            let inside = at.checked_sub(*start)?;
            (inside < piece.len() as u64).then(|| piece.slice(index(inside)..))
        })
    }

    /// Fetches a part unless a piece at hand holds it whole.
    fn ensure(&self, part: Range<u64>) -> io::Result<()> {
        let there = self
            .at_hand(part.start)
            .map_or(0, |piece| piece.len() as u64);
        if there >= part.end - part.start {
            return Ok(());
        }
        let fetched = self.fetch(std::slice::from_ref(&part));
        let mut fetched = fetched.map_err(|error| self.fail(error))?;
        if let Some(piece) = fetched.pop() {
            self.keep(part.start, piece);
        }
        Ok(())
    }

    /// Remembers an error that has to find its way through others' error types.
    fn fail(&self, error: StoreError) -> io::Error {
        let text = error.to_string();
        *self.failure.lock() = Some(error);
        io::Error::other(text)
    }

    fn fetch(&self, parts: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError> {
        self.runtime.block_on(async {
            let error = match self.store.get_ranges(&self.path, parts).await {
                Ok(found) if fits(&found, parts) => return Ok(found),
                Ok(_) => file::cut_short(&self.path),
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(self.damaged("it is missing"));
                }
                Err(error) => error,
            };
            // A range that is not there is an error like any other, and may be answered
            // by fewer bytes; the size tells.
            match self.store.head(&self.path).await {
                Ok(meta) if meta.size != self.size => {
                    Err(self.damaged("its bytes are not those that were written"))
                }
                _ => Err(StoreError::unavailable(self.path.as_ref(), error)),
            }
        })
    }
}

fn fits(found: &[Bytes], parts: &[Range<u64>]) -> bool {
    let same = |(bytes, part): (&Bytes, &Range<u64>)| bytes.len() as u64 == part.end - part.start;
    found.len() == parts.len() && found.iter().zip(parts).all(same)
}

/// A place in the encrypted file, which is fetched where it is not at hand.
struct Cursor {
    sealed: Arc<Sealed>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.sealed.size || out.is_empty() {
            return Ok(0);
        }
        let piece = match self.sealed.at_hand(self.at) {
            Some(piece) => piece,
            None => {
                let end = (self.at + CHUNK + TAG).min(self.sealed.size);
                self.sealed.ensure(self.at..end)?;
                self.sealed.at_hand(self.at).unwrap_or_default()
            }
        };
        let taken = piece.len().min(out.len());
        out[..taken].copy_from_slice(&piece[..taken]);
        self.at += taken as u64;
        Ok(taken)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.sealed.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A run's content: at hand as a whole, or in parts.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// All of it.
    Whole(Bytes),
    /// What is asked for.
    Parts(Partial),
}

impl Source {
    /// Gets a part ready that is going to be read.
    ///
    /// # Errors
    /// As [`Partial::bytes`].
    pub(crate) fn prefetch(&self, part: Range<u64>) -> io::Result<()> {
        match self {
            Self::Whole(_) => Ok(()),
            Self::Parts(parts) => parts.prefetch(part),
        }
    }

    /// Why reading failed, where it did.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        match self {
            Self::Whole(_) => None,
            Self::Parts(parts) => parts.failure(),
        }
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Parts(parts) => parts.length(),
        }
    }
}

impl ChunkReader for Source {
    type T = BufReader<SourceReader>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let reader = SourceReader {
            source: self.clone(),
            at: start,
        };
        Ok(BufReader::with_capacity(512, reader))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::Whole(bytes) => bytes.get_bytes(start, length),
            Self::Parts(parts) => {
                let end = start.checked_add(length as u64);
                let end = end.ok_or(io::ErrorKind::UnexpectedEof);
                Ok(parts.bytes(start..end.map_err(io::Error::from)?)?)
            }
        }
    }
}

/// Reads on from a place in a run's content.
#[derive(Debug)]
pub(crate) struct SourceReader {
    source: Source,
    at: u64,
}

impl Read for SourceReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.source.len().saturating_sub(self.at);
        let taken = out.len().min(index(left));
        let bytes = self.source.get_bytes(self.at, taken);
        out[..taken].copy_from_slice(&bytes.map_err(io::Error::other)?);
        self.at += taken as u64;
        Ok(taken)
    }
}
