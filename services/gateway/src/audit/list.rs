//! Lists what the chains of one place tell, newest first.
//!
//! Owns the merging of the chains of several writers by the times of their files, and
//! that a mutation is shown with its outcome. It must never read more of the chains than
//! a page needs, as far as its filter allows.

use std::collections::{BinaryHeap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use prost::Message;
use proto::convert::time;
use proto::v1::{AuditEntry, AuditFilter, AuditKind, AuditOutcome, AuditRecord, AuditResult};
use runtime::page::{After, PageError};
use store::StoreError;
use store::audit::Chains;

use super::keeper::Place;
use crate::error::GatewayError;

/// How many chains are looked at, at a time.
const AT_A_TIME: usize = 16;
/// How many files one page may cost; behind that it is cut short.
const FILES: usize = 2_000;
/// How many files are searched for one outcome, and looked at in a row that cannot be
/// read.
const SEARCHED: u64 = 2_000;
/// How much older than its file an entry may be, and a little more.
const DELAY: TimeDelta = TimeDelta::minutes(15);
/// Of how many chains the last known number is remembered.
const REMEMBERED: usize = 10_000;

/// A page.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) entries: Vec<AuditEntry>,
    pub(super) next_page_token: String,
    pub(super) unreadable: i64,
}

/// Where an entry stands among all of its place, in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    time: DateTime<Utc>,
    writer: String,
    number: u64,
    index: usize,
}

impl Position {
    fn token(&self) -> String {
        let (seconds, nanos) = (self.time.timestamp(), self.time.timestamp_subsec_nanos());
        let Self {
            writer,
            number,
            index,
            ..
        } = self;
        After::token(&format!("{seconds}/{nanos}/{writer}/{number}/{index}"))
    }

    fn read(key: &str) -> Option<Self> {
        let parts: Vec<&str> = key.split('/').collect();
        let [seconds, nanos, writer, number, index] = parts[..] else {
            return None;
        };
        Some(Self {
            time: DateTime::from_timestamp(seconds.parse().ok()?, nanos.parse().ok()?)?,
            writer: writer.to_owned(),
            number: number.parse().ok()?,
            index: index.parse().ok()?,
        })
    }
}

/// What a caller wants to see.
#[derive(Debug, Default)]
struct Wanted {
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    caller: String,
    method: String,
    result: i32,
    kinds: Vec<i32>,
}

impl Wanted {
    fn read(filter: Option<AuditFilter>) -> Result<Self, GatewayError> {
        let filter = filter.unwrap_or_default();
        let at = |field: &str, at: Option<&prost_types::Timestamp>| {
            let bad = || GatewayError::invalid(format!("filter.{field}"), "a time is expected");
            at.map(|at| time(at).ok_or_else(bad)).transpose()
        };
        if AuditResult::try_from(filter.result).is_err() {
            return Err(GatewayError::invalid(
                "filter.result",
                "a result of the contract is expected",
            ));
        }
        Ok(Self {
            from: at("from_time", filter.from_time.as_ref())?,
            until: at("until_time", filter.until_time.as_ref())?,
            caller: filter.caller,
            method: filter.method,
            result: filter.result,
            kinds: filter.kinds,
        })
    }

    fn holds(&self, entry: &AuditEntry) -> bool {
        let at = entry.time.as_ref().and_then(time);
        let result = entry.outcome.as_ref().map_or(0, |outcome| outcome.result);
        let kind = match self.kinds.is_empty() {
            true => entry.kind() != AuditKind::Checkpoint,
            false => self.kinds.contains(&entry.kind),
        };
        kind && self.from.is_none_or(|from| at >= Some(from))
            && self.until.is_none_or(|until| at < Some(until))
            && (self.caller.is_empty() || self.caller == entry.caller)
            && (self.result == 0 || self.result == result)
            && self.is_method(&entry.method)
    }

    fn is_method(&self, method: &str) -> bool {
        let wanted = self.method.trim_start_matches('/');
        let rest = method.strip_suffix(wanted);
        rest.is_some_and(|rest| wanted.is_empty() || rest.is_empty() || rest.ends_with(['/', '.']))
    }
}

/// A chain on the way from its newest file to its oldest. They are sorted by the time of
/// the file that comes next.
struct Cursor {
    time: DateTime<Utc>,
    writer: String,
    number: u64,
    entries: Vec<AuditEntry>,
    /// The number of the chain's last file.
    last: u64,
    /// Up to which number outcomes behind the first file were looked for.
    searched: u64,
    /// Outcomes whose mutations were not met yet.
    outcomes: HashMap<i64, AuditOutcome>,
}

impl Cursor {
    fn key(&self) -> (DateTime<Utc>, &str) {
        (self.time, &self.writer)
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Lists entries.
#[derive(Debug, Default)]
pub(super) struct Lister {
    /// The last number that a chain was seen to have, so that the next search for it is
    /// short.
    known: Mutex<HashMap<(Place, String), u64>>,
}

/// A file that could be read: its number, its time and what it tells.
type File = (u64, DateTime<Utc>, Vec<AuditEntry>);

/// One list.
struct Listing<'a> {
    chains: &'a Chains,
    wanted: Wanted,
    after: Option<Position>,
    limit: usize,
    read: usize,
    page: Listed,
}

impl Lister {
    /// A page of what the chains of a place tell.
    ///
    /// # Errors
    /// Invalid where the filter or the page is not valid; Unavailable.
    pub(super) async fn list(
        &self,
        place: &Place,
        chains: &Chains,
        filter: Option<AuditFilter>,
        page_size: i32,
        page_token: &str,
    ) -> Result<Listed, GatewayError> {
        let bad_page = |error: PageError| match error {
            PageError::Size => {
                GatewayError::invalid("page_size", "a number from 0 to 1000 is expected")
            }
            PageError::Token => {
                GatewayError::invalid("page_token", "the token of an earlier answer is expected")
            }
        };
        let page = After::read(page_size, page_token).map_err(bad_page)?;
        let after = page.key.as_deref().map(Position::read);
        let after = after.map(|it| it.ok_or_else(|| bad_page(PageError::Token)));
        let mut listing = Listing {
            chains,
            wanted: Wanted::read(filter)?,
            after: after.transpose()?,
            limit: page.limit,
            read: 0,
            page: Listed::default(),
        };
        let ends = self.ends(place, chains).await?;
        listing.run(ends).await?;
        Ok(listing.page)
    }

    /// The writers, with the numbers of their last files.
    async fn ends(&self, place: &Place, chains: &Chains) -> Result<Vec<(String, u64)>, StoreError> {
        let writers = chains.writers().await?;
        let ends = futures::stream::iter(writers).map(|writer| async move {
            let key = (place.clone(), writer.clone());
            let known = self.known.lock().get(&key).copied().unwrap_or_default();
            match chains.last_number(&writer, known).await {
                Ok(last) => {
                    let mut remembered = self.known.lock();
                    if remembered.len() >= REMEMBERED {
                        remembered.clear();
                    }
                    remembered.insert(key, last);
                    Ok(Some((writer, last)))
                }
                // A folder that no writer made; verification names it.
                Err(StoreError::Invalid(_)) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let ends = ends
            .buffered(AT_A_TIME)
            .try_filter_map(|end| async { Ok(end) });
        ends.try_collect().await
    }
}

impl Listing<'_> {
    async fn run(&mut self, ends: Vec<(String, u64)>) -> Result<(), StoreError> {
        let this = &*self;
        let cursors = futures::stream::iter(ends)
            .map(|(writer, last)| this.begin(writer, last))
            .buffered(AT_A_TIME);
        let cursors: Vec<(Option<Cursor>, i64)> = cursors.try_collect().await?;
        let mut heap = BinaryHeap::new();
        for (cursor, unreadable) in cursors {
            self.page.unreadable += unreadable;
            heap.extend(cursor);
        }
        while let Some(mut cursor) = heap.pop() {
            if self.wanted.from.is_some_and(|from| cursor.time < from) {
                continue;
            }
            self.file(&mut cursor).await?;
            if !self.page.next_page_token.is_empty() {
                return Ok(());
            }
            let below = cursor.number - 1;
            let (found, unreadable) = self.at_or_below(&cursor.writer, below).await?;
            self.page.unreadable += unreadable;
            if let Some((number, time, entries)) = found {
                cursor.number = number;
                cursor.time = time;
                cursor.entries = entries;
                heap.push(cursor);
            }
        }
        Ok(())
    }

    /// Where a chain is entered: at its newest file that may hold what is wanted.
    async fn begin(&self, writer: String, last: u64) -> Result<(Option<Cursor>, i64), StoreError> {
        let is_behind = |number: u64, time: DateTime<Utc>| {
            let after = self.after.as_ref();
            let seen = after.is_some_and(|after| {
                (time, &writer, number) > (after.time, &after.writer, after.number)
            });
            seen || self.wanted.until.is_some_and(|until| time >= until + DELAY)
        };
        let (mut found, unreadable) = self.at_or_below(&writer, last).await?;
        if let Some((number, time, _)) = &found
            && is_behind(*number, *time)
        {
            let (mut low, mut high) = (1, number - 1);
            found = None;
            while low <= high {
                let middle = low + (high - low) / 2;
                let (tried, _) = self.at_or_below(&writer, middle).await?;
                match tried {
                    Some((number, time, entries)) if !is_behind(number, time) => {
                        found = Some((number, time, entries));
                        low = middle + 1;
                    }
                    Some((number, ..)) => high = number - 1,
                    None => low = middle + 1,
                }
            }
        }
        let cursor = found.map(|(number, time, entries)| Cursor {
            time,
            number,
            entries,
            last,
            searched: number,
            outcomes: HashMap::new(),
            writer,
        });
        Ok((cursor, unreadable))
    }

    /// The newest file that can be read, from a number down, and how many could not.
    async fn at_or_below(
        &self,
        writer: &str,
        number: u64,
    ) -> Result<(Option<File>, i64), StoreError> {
        let mut unreadable = 0;
        let least = number.saturating_sub(SEARCHED).max(1);
        for number in (least..=number).rev() {
            if let Some((time, entries)) = self.file_at(writer, number).await? {
                return Ok((Some((number, time, entries)), unreadable));
            }
            unreadable += 1;
        }
        Ok((None, unreadable))
    }

    /// One file; `None` where it is missing or damaged.
    async fn file_at(
        &self,
        writer: &str,
        number: u64,
    ) -> Result<Option<(DateTime<Utc>, Vec<AuditEntry>)>, StoreError> {
        let entry = match self.chains.read(writer, number).await {
            Ok(entry) => entry,
            Err(StoreError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let record = entry.and_then(|entry| AuditRecord::decode(entry.body).ok());
        Ok(record.and_then(|record| {
            let time = record.time.as_ref().and_then(time)?;
            Some((time, record.entries))
        }))
    }

    /// Takes from a file what is wanted, until the page is full.
    async fn file(&mut self, cursor: &mut Cursor) -> Result<(), StoreError> {
        self.read += 1;
        let entries = std::mem::take(&mut cursor.entries);
        for (index, mut entry) in entries.into_iter().enumerate().rev() {
            let position = Position {
                time: cursor.time,
                writer: cursor.writer.clone(),
                number: cursor.number,
                index,
            };
            if entry.kind() == AuditKind::Outcome {
                if let Some(outcome) = entry.outcome {
                    cursor.outcomes.insert(entry.call, outcome);
                }
                continue;
            }
            if self.after.as_ref().is_some_and(|after| position >= *after) {
                continue;
            }
            if entry.kind() == AuditKind::Mutation {
                entry.outcome = Some(self.outcome(cursor, entry.call).await?);
            }
            if !self.wanted.holds(&entry) {
                continue;
            }
            entry.id = format!("{}/{}/{index}", position.writer, position.number);
            self.page.entries.push(entry);
            if self.page.entries.len() == self.limit {
                self.page.next_page_token = position.token();
                return Ok(());
            }
        }
        if self.read >= FILES {
            let position = Position {
                time: cursor.time,
                writer: cursor.writer.clone(),
                number: cursor.number,
                index: 0,
            };
            self.page.next_page_token = position.token();
        }
        Ok(())
    }

    /// The outcome of a mutation: met already, or in one of the files behind the one
    /// where the chain was entered, or not known.
    async fn outcome(&self, cursor: &mut Cursor, call: i64) -> Result<AuditOutcome, StoreError> {
        let most = cursor.last.min(cursor.number.saturating_add(SEARCHED));
        loop {
            if let Some(outcome) = cursor.outcomes.remove(&call) {
                return Ok(outcome);
            }
            if cursor.searched >= most {
                return Ok(AuditOutcome {
                    result: AuditResult::Unknown.into(),
                    ..AuditOutcome::default()
                });
            }
            cursor.searched += 1;
            let file = self.file_at(&cursor.writer, cursor.searched).await?;
            let entries = file.map(|(_, entries)| entries).unwrap_or_default();
            let outcomes = entries.into_iter().filter_map(|entry| {
                let outcome = entry
                    .outcome
                    .filter(|_| entry.kind == AuditKind::Outcome as i32)?;
                Some((entry.call, outcome))
            });
            cursor.outcomes.extend(outcomes);
        }
    }
}
