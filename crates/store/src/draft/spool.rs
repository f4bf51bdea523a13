//! Sorts more than fits in memory: entries are gathered, sorted by key and kept
//! compressed, then merged.
//!
//! Nothing touches a disk, since what is sorted here is not encrypted.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::thread::JoinHandle;

use zstd::bulk::Compressor;

use crate::error::StoreError;

/// Bytes gathered before they are sorted and compressed.
const GATHERED: usize = 16 << 20;
/// Bytes compressed together; a merge holds one such block of each chunk.
const BLOCK: usize = 256 << 10;
/// The compression spends as little time as it can: blocks are read once.
const LEVEL: i32 = 1;

/// One entry: a key, its place in time, and what is said about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Vec<u8>,
    pub(super) seq: u64,
    pub(super) value: Vec<u8>,
}

impl Ord for Entry {
    /// By key; of one key the newest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.key, Reverse(self.seq)).cmp(&(&other.key, Reverse(other.seq)))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Where an entry lies among the gathered bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    key: usize,
    value: usize,
    seq: u64,
}

/// Compressed blocks of sorted entries, one behind the other so that none takes
/// more room than it needs.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Where each block ends.
    ends: Vec<usize>,
}

impl Chunk {
    fn push(&mut self, block: &[u8], compressor: &mut Compressor<'_>) -> Result<(), StoreError> {
        let start = self.bytes.len();
        let bound = zstd::zstd_safe::compress_bound(block.len());
        self.bytes.resize(start + bound, 0);
        let length = compressor
            .compress_to_buffer(block, &mut self.bytes[start..])
            .map_err(failed)?;
        self.bytes.truncate(start + length);
        self.ends.push(start + length);
        Ok(())
    }

    /// A block; `None` behind the last one.
    fn block(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }
}

/// What was gathered since the last sorting.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Gathered {
    fn push(&mut self, key: &[u8], seq: u64, value: &[&[u8]]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        for part in value {
            self.bytes.extend_from_slice(part);
        }
        self.places.push(Place {
            start,
            key: key.len(),
            value: self.bytes.len() - start - key.len(),
            seq,
        });
    }

    /// Sorts and compresses it; the room that it took may serve again.
    fn seal(mut self) -> Result<(Chunk, Self), StoreError> {
        let bytes = &self.bytes;
        let key = |place: &Place| &bytes[place.start..place.start + place.key];
        self.places
            .sort_unstable_by(|a, b| (key(a), Reverse(a.seq)).cmp(&(key(b), Reverse(b.seq))));
        let mut compressor = Compressor::new(LEVEL).map_err(failed)?;
        let (mut chunk, mut block) = (Chunk::default(), Vec::with_capacity(BLOCK + (64 << 10)));
        for place in &self.places {
            push_number(&mut block, place.key as u64);
            push_number(&mut block, place.value as u64);
            push_number(&mut block, place.seq);
            let end = place.start + place.key + place.value;
            block.extend_from_slice(&self.bytes[place.start..end]);
            if block.len() >= BLOCK {
                chunk.push(&block, &mut compressor)?;
                block.clear();
            }
        }
        if !block.is_empty() {
            chunk.push(&block, &mut compressor)?;
        }
        chunk.bytes.shrink_to_fit();
        self.bytes.clear();
        self.places.clear();
        Ok((chunk, self))
    }
}

type Sealing = JoinHandle<Result<(Chunk, Gathered), StoreError>>;

/// The entries.
#[derive(Debug, Default)]
pub(super) struct Spool {
    gathered: Gathered,
    /// What is being sorted, so that gathering goes on meanwhile; at most one.
    sealing: Option<Sealing>,
    chunks: Vec<Chunk>,
}

impl Spool {
    /// Adds an entry.
    ///
    /// # Errors
    /// `Internal` where the compression fails.
    pub(super) fn push(&mut self, key: &[u8], seq: u64, value: &[&[u8]]) -> Result<(), StoreError> {
        self.gathered.push(key, seq, value);
        if self.gathered.bytes.len() >= GATHERED {
            let room = self.sealed()?;
            let full = std::mem::replace(&mut self.gathered, room);
            self.sealing = Some(std::thread::spawn(move || full.seal()));
        }
        Ok(())
    }

    /// Waits for what is being sorted; the room that it took.
    fn sealed(&mut self) -> Result<Gathered, StoreError> {
        let Some(sealing) = self.sealing.take() else {
            return Ok(Gathered::default());
        };
        let (chunk, room) = sealing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.chunks.push(chunk);
        Ok(room)
    }

    /// Ends the gathering.
    ///
    /// # Errors
    /// `Internal` where the compression fails.
    pub(super) fn close(&mut self) -> Result<(), StoreError> {
        self.sealed()?;
        let rest = std::mem::take(&mut self.gathered);
        if !rest.places.is_empty() {
            self.chunks.push(rest.seal()?.0);
        }
        Ok(())
    }

    /// All entries in order. To be called after [`Spool::close`].
    pub(super) fn merged(&self) -> Merged<'_> {
        let mut merged = Merged {
            cursors: self.chunks.iter().map(Cursor::new).collect(),
            heap: BinaryHeap::new(),
        };
        for index in 0..merged.cursors.len() {
            merged.refill(index);
        }
        merged
    }
}

/// The entries of all chunks, in order.
pub(super) struct Merged<'a> {
    cursors: Vec<Cursor<'a>>,
    heap: BinaryHeap<Reverse<(Entry, usize)>>,
}

impl Merged<'_> {
    fn refill(&mut self, index: usize) {
        if let Some(entry) = self.cursors[index].next() {
            self.heap.push(Reverse((entry, index)));
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let Reverse((entry, index)) = self.heap.pop()?;
        self.refill(index);
        Some(entry)
    }
}

/// A place in one chunk.
struct Cursor<'a> {
    chunk: &'a Chunk,
    next: usize,
    block: Vec<u8>,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(chunk: &'a Chunk) -> Self {
        Self {
            chunk,
            next: 0,
            block: Vec::new(),
            at: 0,
        }
    }

    fn number(&mut self) -> u64 {
        let bytes = self.block[self.at..self.at + 8]
            .try_into()
            .expect("invariant: a block holds whole entries");
        self.at += 8;
        u64::from_le_bytes(bytes)
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        let length = usize::try_from(length).expect("invariant: an entry was in memory before");
        let bytes = self.block[self.at..self.at + length].to_vec();
        self.at += length;
        bytes
    }
}

impl Iterator for Cursor<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.at == self.block.len() {
            let block = self.chunk.block(self.next)?;
            self.next += 1;
            self.block = zstd::stream::decode_all(block)
                .expect("invariant: a block was compressed in this process");
            self.at = 0;
        }
        let (key, value, seq) = (self.number(), self.number(), self.number());
        Some(Entry {
            key: self.bytes(key),
            seq,
            value: self.bytes(value),
        })
    }
}

fn push_number(block: &mut Vec<u8>, number: u64) {
    block.extend_from_slice(&number.to_le_bytes());
}

fn failed(error: std::io::Error) -> StoreError {
    StoreError::Internal(format!("entries cannot be compressed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_order_newest_first() {
        let mut spool = Spool::default();
        let mut expected = Vec::new();
        let filler = vec![b'x'; 2_000];
        // Enough for several chunks, in an order that is none.
        for seq in 0..20_000_u64 {
            let key = format!("{:05}", seq.wrapping_mul(7919) % 10_007).into_bytes();
            spool.push(&key, seq, &[b"v", &filler]).unwrap();
            expected.push((key, Reverse(seq)));
        }
        spool.close().unwrap();
        assert!(spool.chunks.len() > 1, "{}", spool.chunks.len());
        expected.sort();
        let found: Vec<_> = spool
            .merged()
            .map(|entry| {
                assert_eq!(entry.value.len(), filler.len() + 1);
                (entry.key, Reverse(entry.seq))
            })
            .collect();
        assert_eq!(found, expected);
    }
}
