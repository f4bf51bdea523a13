//! What a person chose for hard-deleted objects that policies name: another in their
//! place, or nobody.
//!
//! A user may be left out, never a group, a role or a location, and never so that
//! nobody is included any more (law 6). Whether an object is hard-deleted is not
//! known here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{PLACES, ReferenceKind, object_id};
use crate::canonical;
use crate::catalogue::{ObjectType, TypeSpec};
use crate::diff::{AttributeChange, Change, ChangeKind};
use crate::plan::set_at;

type Body = Map<String, Value>;

/// The choices, by the ids that policies hold, lowercase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// What is named in the place of what.
    mapped: BTreeMap<String, String>,
    /// Who is named no more.
    dropped: BTreeSet<String>,
}

/// Choices that contradict each other, or are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChoice {
    /// Policies name objects by GUID.
    #[error("{0:?} is no id that a policy names: a GUID is expected")]
    NoId(String),
    /// Two choices for one id.
    #[error("{0} is chosen for more than once")]
    Twice(String),
    /// The successor is to be replaced itself.
    #[error("{0} is to stand in the place of another and to be replaced or left out itself")]
    Chain(String),
}

/// Why a choice is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only users may be left out.
    #[error(
        "{id} is a {}, and only a user may be left out of a policy: name another in its place",
        kind.name()
    )]
    NotAUser {
        /// The id.
        id: String,
        /// What it is.
        kind: ReferenceKind,
    },
    /// An include list would be empty.
    #[error("without {id} policy \"{policy}\" would include nobody in {list}")]
    NobodyIncluded {
        /// The id.
        id: String,
        /// The policy's name.
        policy: String,
        /// The list, such as `includeUsers`.
        list: String,
    },
}

impl Chosen {
    /// Takes the choices of a request.
    ///
    /// # Errors
    /// [`InvalidChoice`] for the first that makes no sense.
    pub fn new<'a>(
        mapped: impl IntoIterator<Item = (&'a str, &'a str)>,
        dropped: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidChoice> {
        let id = |text: &str| object_id(text).ok_or_else(|| InvalidChoice::NoId(text.to_owned()));
        let mut chosen = Self::default();
        for (old, new) in mapped {
            let (old, new) = (id(old)?, id(new)?);
            if chosen.mapped.insert(old.clone(), new).is_some() {
                return Err(InvalidChoice::Twice(old));
            }
        }
        for dropped in dropped {
            let dropped = id(dropped)?;
            if chosen.mapped.contains_key(&dropped) || !chosen.dropped.insert(dropped.clone()) {
                return Err(InvalidChoice::Twice(dropped));
            }
        }
        let mut successors = chosen.mapped.values();
        match successors.find(|new| chosen.speaks_of(new)) {
            Some(new) => Err(InvalidChoice::Chain(new.clone())),
            None => Ok(chosen),
        }
    }

    /// Whether nothing is chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mapped.is_empty() && self.dropped.is_empty()
    }

    /// What is named in the place of what.
    pub fn mapped(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mapped
            .iter()
            .map(|(old, new)| (old.as_str(), new.as_str()))
    }

    /// Who is named no more.
    pub fn dropped(&self) -> impl Iterator<Item = &str> {
        self.dropped.iter().map(String::as_str)
    }

    /// Whether something is chosen for an id.
    #[must_use]
    pub fn speaks_of(&self, id: &str) -> bool {
        self.mapped.contains_key(id) || self.dropped.contains(id)
    }

    /// A policy as it is to be; `None` where it names nothing that is chosen for.
    ///
    /// # Errors
    /// [`Refused`] where the policy would lose more than a user may be lost.
    pub fn followed(&self, policy: &Body) -> Result<Option<Body>, Refused> {
        let name = policy.get("displayName").and_then(Value::as_str);
        let mut body = policy.clone();
        let mut changed = false;
        for (place, kind) in PLACES {
            let Some(left) = self.followed_at(&body, place) else {
                continue;
            };
            let nobody = left.as_array().is_some_and(Vec::is_empty);
            let lost = ids_at(&body, place).into_iter();
            let mut lost = lost.filter(|id| self.dropped.contains(id));
            if let Some(id) = lost.next() {
                if kind != ReferenceKind::User {
                    return Err(Refused::NotAUser { id, kind });
                }
                if nobody && place.contains("/include") {
                    return Err(Refused::NobodyIncluded {
                        id,
                        policy: name.unwrap_or_default().to_owned(),
                        list: place.rsplit('/').next().unwrap_or_default().to_owned(),
                    });
                }
            }
            changed = true;
            set_at(&mut body, &dotted(place), left);
        }
        Ok(changed.then_some(body))
    }

    /// A list of ids, or a single one, as it is to be; `None` where it stays.
    fn followed_at(&self, body: &Body, place: &str) -> Option<Value> {
        let held = entries_at(body, place);
        let concerned = |entry: &Value| id_of(entry).is_some_and(|id| self.speaks_of(&id));
        if !held.iter().any(concerned) {
            return None;
        }
        if value_at(body, place).is_some_and(Value::is_string) {
            let new = held.iter().find_map(|held| self.mapped.get(&id_of(held)?));
            return Some(new.map(|id| Value::from(id.as_str())).unwrap_or_default());
        }
        let mut left: Vec<Value> = Vec::with_capacity(held.len());
        for entry in held {
            let id = id_of(entry);
            let entry = match id.as_ref().and_then(|id| self.mapped.get(id)) {
                Some(new) => Value::from(new.as_str()),
                None if id.is_some_and(|id| self.dropped.contains(&id)) => continue,
                None => entry.clone(),
            };
            if !left.contains(&entry) {
                left.push(entry);
            }
        }
        Some(Value::Array(left))
    }

    /// What was chosen for the objects that a policy names, in a sentence each.
    #[must_use]
    pub fn told_of(&self, policy: &Body) -> Vec<String> {
        let mut told: Vec<String> = Vec::new();
        for (place, kind) in PLACES {
            for id in ids_at(policy, place) {
                let kind = kind.name();
                let sentence = match self.mapped.get(&id) {
                    Some(new) => format!("{kind} {new} stands in the place of {id}"),
                    None if self.dropped.contains(&id) => format!("{kind} {id} is left out"),
                    None => continue,
                };
                if !told.contains(&sentence) {
                    told.push(sentence);
                }
            }
        }
        told
    }

    /// Leaves out of what a comparison with the snapshot shows what follows from the
    /// choices.
    #[must_use]
    pub fn expected(&self, changes: Vec<Change>) -> Vec<Change> {
        if self.is_empty() {
            return changes;
        }
        let policy = ObjectType::ConditionalAccessPolicy;
        let mut left = Vec::with_capacity(changes.len());
        for mut change in changes {
            if change.object.object_type == policy && change.kind == ChangeKind::Modified {
                let follows = |one: &AttributeChange| self.explains(policy.spec(), one);
                change.attributes.retain(|one| !follows(one));
                if change.attributes.is_empty() && change.links.is_empty() {
                    continue;
                }
            }
            left.push(change);
        }
        left
    }

    /// Whether an attribute is what the choices make of the snapshot's value.
    fn explains(&self, spec: &TypeSpec, attribute: &AttributeChange) -> bool {
        let Some(property) = spec.property(attribute.property()) else {
            return false;
        };
        let mut body = Body::new();
        let before = attribute.before.clone().unwrap_or_default();
        set_at(&mut body, &attribute.path, before);
        for (place, _) in PLACES {
            if let Some(left) = self.followed_at(&body, place) {
                set_at(&mut body, &dotted(place), left);
            }
        }
        let whole = canonical::property(property, body.get(property.name));
        let around = Value::Object(Body::from_iter([(
            property.name.to_owned(),
            whole.unwrap_or_default(),
        )]));
        let pointer = format!("/{}", attribute.path.replace('.', "/"));
        let wanted = around.pointer(&pointer).filter(|value| !value.is_null());
        wanted == attribute.after.as_ref()
    }
}

fn dotted(place: &str) -> String {
    place.trim_start_matches('/').replace('/', ".")
}

fn value_at<'a>(body: &'a Body, place: &str) -> Option<&'a Value> {
    let mut parts = place.trim_start_matches('/').split('/');
    let first = body.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// What a place holds: the entries of a list, or the one value.
fn entries_at<'a>(body: &'a Body, place: &str) -> &'a [Value] {
    match value_at(body, place) {
        Some(Value::Array(list)) => list,
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
}

fn ids_at(body: &Body, place: &str) -> Vec<String> {
    let held = entries_at(body, place).iter();
    held.filter_map(id_of).collect()
}

fn id_of(entry: &Value) -> Option<String> {
    object_id(entry.as_str()?)
}

#[cfg(test)]
mod tests;
