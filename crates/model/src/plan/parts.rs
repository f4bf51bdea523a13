//! Single properties and single links: a plan that is about less than whole objects.

use std::collections::BTreeSet;

use super::Exclusion;
use crate::catalogue::{Cardinality, LinkKind, TYPES};
use crate::diff::{Change, ChangeKind, LinkChange, Obstacle};
use crate::id::ObjectId;
use crate::lineage::Lineage;

/// The parts of objects that a plan is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Graph's names of properties.
    pub properties: BTreeSet<String>,
    /// Relations with the ids of the other ends.
    pub links: BTreeSet<(LinkKind, ObjectId)>,
}

/// A part that no object has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPart {
    /// The catalogue knows no such property.
    #[error("{0:?} is no property of any type, by Graph's names")]
    Property(String),
    /// The text is no `relation:id`.
    #[error(
        "{0:?} is no link: a relation and the id of the other end are expected, as members:ID or group/members:ID"
    )]
    Link(String),
}

impl Parts {
    /// Reads properties and links as a request names them: `jobTitle`;
    /// `group/members:ID`, or `members:ID` for every relation of that name.
    ///
    /// # Errors
    /// [`InvalidPart`] for the first that no object has.
    pub fn parse(properties: &[String], links: &[String]) -> Result<Self, InvalidPart> {
        let mut parts = Self::default();
        for name in properties {
            if !TYPES.iter().any(|spec| spec.property(name).is_some()) {
                return Err(InvalidPart::Property(name.clone()));
            }
            parts.properties.insert(name.clone());
        }
        for link in links {
            let invalid = || InvalidPart::Link(link.clone());
            let (relation, id) = link.split_once(':').ok_or_else(invalid)?;
            let id = ObjectId::parse(id).map_err(|_| invalid())?;
            let meant = LinkKind::ALL
                .into_iter()
                .filter(|kind| kind.name() == relation || kind.spec().relation == relation)
                .map(|kind| (kind, id.clone()));
            let meant: Vec<_> = meant.collect();
            if meant.is_empty() {
                return Err(invalid());
            }
            parts.links.extend(meant);
        }
        Ok(parts)
    }

    /// The links as a plan keeps them: `group/members:ID`.
    #[must_use]
    pub fn link_texts(&self) -> Vec<String> {
        let text = |(kind, id): &(LinkKind, ObjectId)| format!("{}:{id}", kind.name());
        self.links.iter().map(text).collect()
    }

    /// Whether nothing is named, so that a plan is about whole objects.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.properties.is_empty() && self.links.is_empty()
    }

    /// The named parts of what differs, and the objects that cannot be put back in
    /// parts, since they came or went as a whole.
    #[must_use]
    pub fn narrowed(&self, changes: Vec<Change>) -> (Vec<Change>, Vec<Exclusion>) {
        if self.is_whole() {
            return (changes, Vec::new());
        }
        let (mut kept, mut whole) = (Vec::new(), Vec::new());
        for mut change in changes {
            if change.kind != ChangeKind::Modified {
                whole.push(Exclusion {
                    object: change.object,
                    obstacle: Obstacle::WholeObject,
                    part: String::new(),
                    detail: format!(
                        "is {} as a whole, and only parts of objects are asked for",
                        change.kind.name()
                    ),
                });
                continue;
            }
            change
                .attributes
                .retain(|attribute| self.properties.contains(attribute.property()));
            let links = std::mem::take(&mut change.links);
            change.links = links
                .iter()
                .filter(|link| self.holds(link, &links))
                .cloned()
                .collect();
            if !change.attributes.is_empty() || !change.links.is_empty() {
                kept.push(change);
            }
        }
        (kept, whole)
    }

    /// The same parts where some of the named ends were made anew: a link is then one to
    /// what stands in the place of the former.
    #[must_use]
    pub fn in_new_ids(&self, lineage: &Lineage) -> Self {
        let links = self.links.iter();
        Self {
            properties: self.properties.clone(),
            links: links
                .map(|(kind, id)| (*kind, lineage.current(id)))
                .collect(),
        }
    }

    /// Whether a link of an object is named. Of a relation with one end the old and
    /// the new end go together: one write replaces the one by the other.
    fn holds(&self, link: &LinkChange, all: &[LinkChange]) -> bool {
        let named = |link: &LinkChange| self.links.contains(&(link.kind, link.target.clone()));
        named(link)
            || link.kind.spec().cardinality == Cardinality::One
                && all
                    .iter()
                    .any(|other| other.kind == link.kind && named(other))
    }
}
