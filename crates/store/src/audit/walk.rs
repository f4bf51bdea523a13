//! A walk along one chain, from its first file to its last.

use std::fmt;

use futures::{StreamExt, TryStreamExt};

use super::{Chains, Entry, Head};
use crate::error::StoreError;

/// How many files are read at a time.
const AT_A_TIME: usize = 16;

/// Somebody's word for a file that a chain had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Its number.
    pub number: u64,
    /// The hash of its content, where that was told.
    pub hash: Option<blake3::Hash>,
}

/// What may be wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlawKind {
    /// Files are missing before others.
    Missing,
    /// A file is not what was written there.
    Altered,
    /// A file is whole and does not follow on the one before it.
    Broken,
    /// Files at the end are missing that a witness saw.
    Cut,
    /// A file is whole and not the one that a witness saw.
    Replaced,
}

/// One thing that is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong.
    pub kind: FlawKind,
    /// The number of the file, the first where there are several.
    pub number: u64,
    /// The same as a sentence.
    pub detail: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// What was seen so far.
struct Walk<'a> {
    witnesses: &'a [Witness],
    /// The number that comes next.
    next: u64,
    /// The file before it, where it could be read.
    before: Option<Head>,
    flaws: Vec<Flaw>,
}

impl Walk<'_> {
    fn flaw(&mut self, kind: FlawKind, number: u64, detail: String) {
        self.flaws.push(Flaw {
            kind,
            number,
            detail,
        });
    }

    fn missing(&mut self, kind: FlawKind, until: u64, why: &str) {
        let (first, last) = (self.next, until - 1);
        let which = match first == last {
            true => format!("file {first} is missing"),
            false => format!("files {first} to {last} are missing"),
        };
        self.flaw(kind, first, format!("{which}{why}"));
        self.next = until;
        self.before = None;
    }

    fn step(&mut self, number: u64, found: Result<&Entry, String>) {
        if number > self.next {
            self.missing(FlawKind::Missing, number, ", and later ones are there");
        }
        self.next = number + 1;
        let entry = match found {
            Ok(entry) => entry,
            Err(detail) => {
                self.before = None;
                self.flaw(
                    FlawKind::Altered,
                    number,
                    format!("file {number}: {detail}"),
                );
                return;
            }
        };
        if self
            .before
            .is_some_and(|before| before.hash != entry.previous)
        {
            let detail = format!("file {number} does not follow on file {}", number - 1);
            self.flaw(FlawKind::Broken, number, detail);
        }
        let contradicts = |witness: &Witness| {
            witness.number == number && witness.hash.is_some_and(|hash| hash != entry.hash)
        };
        if self.witnesses.iter().any(contradicts) {
            let detail = format!("file {number} is not the one that a checkpoint tells of");
            self.flaw(FlawKind::Replaced, number, detail);
        }
        self.before = Some(Head {
            number,
            hash: entry.hash,
        });
    }

    fn end(mut self) -> Vec<Flaw> {
        let seen = self.witnesses.iter().map(|witness| witness.number).max();
        if let Some(seen) = seen.filter(|seen| *seen >= self.next) {
            self.missing(FlawKind::Cut, seen + 1, ", and a checkpoint tells of them");
        }
        self.flaws
    }
}

impl Chains {
    /// Reads a writer's chain from end to end and tells what is wrong with it.
    /// `numbers` are those of its files, sorted; `seen` is shown each file that can be
    /// read, in order.
    ///
    /// # Errors
    /// `Invalid` for a writer that is not fit for a key; `Unavailable`.
    pub async fn walk(
        &self,
        writer: &str,
        numbers: &[u64],
        witnesses: &[Witness],
        mut seen: impl FnMut(&Entry),
    ) -> Result<Vec<Flaw>, StoreError> {
        let mut walk = Walk {
            witnesses,
            next: 1,
            before: Some(Head::NONE),
            flaws: Vec::new(),
        };
        let reads = futures::stream::iter(numbers.iter().copied())
            .map(|number| async move { self.found(writer, number).await })
            .buffered(AT_A_TIME);
        let mut reads = std::pin::pin!(reads);
        while let Some((number, found)) = reads.try_next().await? {
            if let Ok(entry) = &found {
                seen(entry);
            }
            walk.step(number, found.as_ref().map_err(Clone::clone));
        }
        Ok(walk.end())
    }

    /// One file, or what is wrong with it.
    async fn found(
        &self,
        writer: &str,
        number: u64,
    ) -> Result<(u64, Result<Entry, String>), StoreError> {
        let found = match self.read(writer, number).await {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => Err("it was listed and is missing".to_owned()),
            Err(StoreError::Corrupt { detail, .. }) => Err(detail),
            Err(error) => return Err(error),
        };
        Ok((number, found))
    }
}
