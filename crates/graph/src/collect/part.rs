//! What the reading of one kind brought, with its problems.

use model::snapshot::Completeness;
use model::{Link, Object};

/// One kind, read.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) objects: Vec<Object>,
    pub(super) links: Vec<Link>,
    pub(super) record: Completeness,
}

/// What went wrong with one kind: the first thing in words, the rest as a number.
#[derive(Debug, Clone, Default)]
pub(super) struct Problems {
    first: Option<String>,
    more: usize,
}

impl Problems {
    pub(super) fn add(&mut self, text: impl Into<String>) {
        match self.first {
            None => self.first = Some(text.into()),
            Some(_) => self.more += 1,
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        if let Some(first) = other.first {
            self.add(first);
            self.more += other.more;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn into_text(self) -> Option<String> {
        self.first.map(|first| match self.more {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }
}
