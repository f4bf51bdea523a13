//! The links that were followed from page to page, so that a circle ends.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use model::ObjectType;

use crate::directory::NextLink;
use crate::error::GraphError;

/// Where a reading has been.
#[derive(Debug, Default)]
pub(super) struct Trail(HashSet<u64>);

impl Trail {
    /// Notes a link; whether it leads somewhere new.
    pub(super) fn goes_on(&mut self, link: &NextLink) -> bool {
        let mut hasher = DefaultHasher::new();
        link.as_str().hash(&mut hasher);
        self.0.insert(hasher.finish())
    }

    /// What a link that leads back is called.
    pub(super) fn circle(&self, object_type: ObjectType) -> GraphError {
        GraphError::Unexpected {
            what: format!("page {} leads back to one before", self.0.len() + 1),
            path: object_type.name().to_owned(),
        }
    }
}
