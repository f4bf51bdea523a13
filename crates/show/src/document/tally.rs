//! What a page says before the first change: about whom and which times it speaks, and
//! how many changes there are of what.

use std::collections::BTreeMap;

use proto::v1::{self, Obstacle};

/// What a page says before the first change.
#[derive(Debug)]
pub struct Summary {
    /// The report.
    pub report: v1::Report,
    /// The tenant, where it is still known.
    pub tenant: Option<v1::Tenant>,
    /// The base snapshot, where it is still there.
    pub base: Option<v1::Snapshot>,
    /// How many changes there are.
    pub tally: Tally,
}

/// How many changes there are, by what they are about.
#[derive(Debug, Default)]
pub struct Tally {
    /// In the order of the report.
    pub types: Vec<TypeTally>,
    /// How many objects each obstacle stands in the way of.
    pub obstacles: BTreeMap<Obstacle, u64>,
}

/// How many changes there are of the objects of one type.
#[derive(Debug, Default)]
pub struct TypeTally {
    /// Graph's name of the type.
    pub name: String,
    /// Objects, by what happened to them.
    pub kinds: BTreeMap<v1::ChangeKind, u64>,
    /// Attributes that differ.
    pub attributes: u64,
    /// Links that came or went.
    pub links: u64,
}

impl TypeTally {
    /// How many objects differ.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.kinds.values().sum()
    }
}

impl Tally {
    /// Counts one more change; those of a type come one after the other.
    pub fn add(&mut self, change: &v1::Change) {
        let name = change
            .object
            .as_ref()
            .map_or("", |object| object.r#type.as_str());
        if self.types.last().is_none_or(|last| last.name != name) {
            self.types.push(TypeTally {
                name: name.to_owned(),
                ..TypeTally::default()
            });
        }
        let last = self.types.last_mut().expect("invariant: one was added");
        *last.kinds.entry(change.kind()).or_default() += 1;
        last.attributes += change.attributes.len() as u64;
        last.links += change.links.len() as u64;
        for obstacle in change.obstacles() {
            *self.obstacles.entry(obstacle).or_default() += 1;
        }
    }
}
