//! The records of the kinds: when and how each was read, what it cost, and what
//! went wrong.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use model::snapshot::{Completeness, Effort, Kind, Method};
use parking_lot::Mutex;

use crate::error::GraphError;

/// As many kinds as this out of reach, and none read, are the tenant's trouble.
const COMMON: usize = 3;

/// What went wrong with one kind: the first thing in words, the rest as a number.
#[derive(Debug, Clone, Default)]
struct Problems {
    first: Option<String>,
    more: usize,
}

impl Problems {
    fn add(&mut self, text: String) {
        match self.first {
            None => self.first = Some(text),
            Some(_) => self.more += 1,
        }
    }

    fn into_text(self) -> Option<String> {
        self.first.map(|first| match self.more {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }
}

#[derive(Debug)]
struct Record {
    completeness: Completeness,
    problems: Problems,
}

#[derive(Debug, Default)]
struct Inner {
    records: BTreeMap<Kind, Record>,
    reached: bool,
    first_error: Option<GraphError>,
    failed: BTreeSet<Kind>,
}

/// All records of one reading.
#[derive(Debug, Default)]
pub(super) struct Records(Mutex<Inner>);

impl Records {
    /// Notes that a kind is to be read: until it is begun, it was not.
    pub(super) fn expect(&self, kind: Kind, now: DateTime<Utc>) {
        self.begin(kind, Method::SingleRead, now);
        self.problem(kind, "it was not read");
    }

    /// Begins a kind's record, anew where it was begun before.
    pub(super) fn begin(&self, kind: Kind, method: Method, now: DateTime<Utc>) {
        let mut inner = self.0.lock();
        let effort = inner
            .records
            .get(&kind)
            .map_or_else(Effort::default, |record| record.completeness.effort);
        let record = Record {
            completeness: Completeness {
                effort,
                ..Completeness::begun(kind, method, now)
            },
            problems: Problems::default(),
        };
        inner.records.insert(kind, record);
    }

    /// Takes the record of an earlier reading in place of one of this.
    pub(super) fn keep(&self, completeness: Completeness) {
        let record = Record {
            completeness,
            problems: Problems::default(),
        };
        let kind = record.completeness.kind;
        self.0.lock().records.insert(kind, record);
    }

    /// A kind's record as it is now.
    pub(super) fn of(&self, kind: Kind) -> Option<Completeness> {
        let inner = self.0.lock();
        Some(inner.records.get(&kind)?.completeness.clone())
    }

    /// Changes a kind's record, where it was begun.
    pub(super) fn amend(&self, kind: Kind, change: impl FnOnce(&mut Completeness)) {
        if let Some(record) = self.0.lock().records.get_mut(&kind) {
            change(&mut record.completeness);
        }
    }

    /// Notes that a kind's reading ended.
    pub(super) fn end(&self, kind: Kind, now: DateTime<Utc>) {
        self.amend(kind, |record| record.not_after = now);
    }

    /// Adds what a page of a kind cost.
    pub(super) fn spend_page(&self, kind: Kind, effort: Effort) {
        self.spend(kind, Effort { pages: 1, ..effort });
    }

    /// Adds what a kind's reading cost.
    pub(super) fn spend(&self, kind: Kind, effort: Effort) {
        self.amend(kind, |record| record.effort += effort);
    }

    /// Notes what a reader of the record should know.
    pub(super) fn note(&self, kind: Kind, text: impl Into<String>) {
        let text = text.into();
        self.amend(kind, |record| {
            if !record.note.is_empty() {
                record.note.push_str("; ");
            }
            record.note.push_str(&text);
        });
    }

    /// Notes that a kind is not complete.
    pub(super) fn problem(&self, kind: Kind, text: impl Into<String>) {
        if let Some(record) = self.0.lock().records.get_mut(&kind) {
            record.problems.add(text.into());
        }
    }

    /// Notes that a kind is not complete since a request failed.
    pub(super) fn failed(&self, kind: Kind, error: &GraphError) {
        self.problem(kind, error.to_string());
        // That a restore goes first says nothing about the tenant's state.
        if matches!(error, GraphError::Yielded { .. }) {
            return;
        }
        let mut inner = self.0.lock();
        inner.failed.insert(kind);
        inner.first_error.get_or_insert_with(|| error.clone());
    }

    /// What is wrong with a kind, if anything.
    pub(super) fn problem_of(&self, kind: Kind) -> Option<String> {
        let inner = self.0.lock();
        let record = inner.records.get(&kind)?;
        record.problems.clone().into_text()
    }

    /// Notes that the tenant answers.
    pub(super) fn reached(&self) {
        self.0.lock().reached = true;
    }

    /// Why there is no point in asking on: nothing was read yet, and the failure
    /// is not one kind's own.
    pub(super) fn hopeless(&self) -> Option<GraphError> {
        let inner = self.0.lock();
        let error = inner.first_error.as_ref().filter(|_| !inner.reached)?;
        match error {
            GraphError::CredentialRejected { .. } => Some(error.clone()),
            GraphError::Unavailable { .. } if inner.failed.len() >= COMMON => Some(error.clone()),
            _ => None,
        }
    }

    /// The first failure, where nothing at all could be read.
    pub(super) fn nothing_read(&self) -> Option<GraphError> {
        let inner = self.0.lock();
        inner.first_error.clone().filter(|_| !inner.reached)
    }

    /// The records, in order.
    pub(super) fn into_completeness(self) -> Vec<Completeness> {
        let record = |record: Record| Completeness {
            problem: record.problems.into_text(),
            ..record.completeness
        };
        let records = self.0.into_inner().records;
        records.into_values().map(record).collect()
    }
}
