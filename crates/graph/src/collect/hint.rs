//! What was announced of one object, and whether a reading agrees with it.
//!
//! An announcement says that something changed; what an object is like is read.
//! The reading may come from a place that the change has not reached yet, so it
//! counts only once it agrees with what was announced.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::catalogue::Class;
use model::{LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::directory::{Announced, Fate, Presence};

/// Everything that was announced of one object since it was last settled.
#[derive(Debug, Default)]
pub(super) struct Hint {
    fates: BTreeSet<Fate>,
    /// The announced properties; several where announcements differ.
    bodies: Vec<Box<RawValue>>,
    /// Whether announcements contradict one another: then their order, which is
    /// not promised, would decide.
    ambiguous: bool,
    links: BTreeMap<(LinkKind, ObjectId), BTreeSet<bool>>,
    /// How often the object was read in vain.
    pub(super) attempts: u32,
    /// Whether it came out of the recycle bin, and its links are still to be read.
    pub(super) came: bool,
}

impl Hint {
    /// A hint without an announcement: the object is to be read, that is all.
    pub(super) fn to_read() -> Self {
        Self::default()
    }

    /// Adds an announcement.
    pub(super) fn add(&mut self, item: &Announced) {
        self.fates.insert(item.fate);
        self.attempts = 0;
        for (kind, target, presence) in &item.links {
            self.links
                .entry((*kind, target.clone()))
                .or_default()
                .insert(*presence == Presence::Present);
        }
        let known = self.bodies.iter().any(|body| body.get() == item.body.get());
        if item.fate == Fate::Live && !known {
            let body = properties(&item.body);
            self.ambiguous |= self
                .bodies
                .iter()
                .any(|other| !agree(&properties(other), &body));
            self.bodies.push(item.body.clone());
        }
    }

    /// Forgets the announced properties, to save memory where very much changed.
    pub(super) fn forget_properties(&mut self) {
        self.bodies = Vec::new();
    }

    /// Whether announcements contradict one another.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ambiguous || self.fates.len() > 1
    }

    /// Whether the object was in the recycle bin by any announcement.
    pub(super) fn was_deleted(&self) -> bool {
        self.fates.contains(&Fate::SoftDeleted)
    }

    /// The relations of which links were announced.
    pub(super) fn relations(&self) -> BTreeSet<LinkKind> {
        self.links.keys().map(|(kind, _)| *kind).collect()
    }

    /// The announced links of one relation; `None` for a link of which both was
    /// announced.
    pub(super) fn links(&self, kind: LinkKind) -> impl Iterator<Item = (&ObjectId, Option<bool>)> {
        self.links
            .iter()
            .filter(move |((of, _), _)| *of == kind)
            .map(|((_, target), said)| {
                let both = said.len() > 1;
                (target, said.first().copied().filter(|_| !both))
            })
    }

    /// Whether where an object was found agrees with what was announced.
    pub(super) fn agrees_on_fate(
        &self,
        object_type: ObjectType,
        found: Option<ObjectState>,
    ) -> bool {
        let fate = match found {
            None => Fate::Gone,
            Some(ObjectState::Deleted) => Fate::SoftDeleted,
            Some(ObjectState::Live) => Fate::Live,
        };
        if self.fates.is_empty() {
            return true;
        }
        // A type without a recycle bin may still be hidden for a while.
        let hidden = object_type.spec().deleted.is_none()
            && fate == Fate::Gone
            && self.fates.contains(&Fate::SoftDeleted);
        self.fates.contains(&fate) || hidden
    }

    /// Whether a reading agrees with what was announced.
    pub(super) fn agrees(&self, object_type: ObjectType, found: Option<&Object>) -> bool {
        if !self.agrees_on_fate(object_type, found.map(|object| object.state)) {
            return false;
        }
        let live = found.filter(|object| object.state == ObjectState::Live);
        let Some(object) = live.filter(|_| !self.bodies.is_empty()) else {
            return true;
        };
        let body = object.body();
        self.bodies
            .iter()
            .any(|announced| matches(object_type, &properties(announced), &body))
    }

    /// Whether a relation, read as a whole, agrees with what was announced of it.
    /// A link to an object in the recycle bin is `hidden`: announced, and not shown.
    pub(super) fn agrees_on_links(
        &self,
        kind: LinkKind,
        targets: &HashSet<ObjectId>,
        hidden: impl Fn(&ObjectId) -> bool,
    ) -> bool {
        self.links(kind).all(|(target, said)| match said {
            None => true,
            Some(true) => targets.contains(target) || hidden(target),
            Some(false) => !targets.contains(target),
        })
    }
}

/// The properties in an announcement, without links and annotations.
fn properties(body: &RawValue) -> Map<String, Value> {
    let body: Map<String, Value> = serde_json::from_str(body.get()).unwrap_or_default();
    body.into_iter()
        .filter(|(name, _)| name != "id" && !name.contains('@'))
        .collect()
}

/// Whether two announcements could be of one state: where both name a property,
/// they give it the same value.
fn agree(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.iter()
        .all(|(name, value)| b.get(name).is_none_or(|other| same(value, other)))
}

/// Whether an object has the announced values.
fn matches(
    object_type: ObjectType,
    announced: &Map<String, Value>,
    body: &Map<String, Value>,
) -> bool {
    announced.iter().all(|(name, value)| {
        let class = object_type
            .spec()
            .property(name)
            .map(|property| property.class);
        // Keys are shown with an object that is read alone and with no other; what
        // the table does not know was not asked for.
        if matches!(class, None | Some(Class::Secret | Class::Volatile)) {
            return true;
        }
        same(value, body.get(name).unwrap_or(&Value::Null))
    })
}

/// Whether two values are the same but for the order of lists, and for the ways
/// in which Graph says that there is nothing.
fn same(a: &Value, b: &Value) -> bool {
    let nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match (a, b) {
        _ if nothing(a) && nothing(b) => true,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().all(|item| b.iter().any(|other| same(item, other)))
        }
        (Value::Object(a), Value::Object(b)) => {
            let covers = |a: &Map<String, Value>, b: &Map<String, Value>| {
                a.iter()
                    .filter(|(name, _)| !name.contains('@'))
                    .all(|(name, value)| same(value, b.get(name).unwrap_or(&Value::Null)))
            };
            covers(a, b) && covers(b, a)
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn announced(fate: Fate, body: Value, links: &[(&str, Presence)]) -> Announced {
        Announced {
            id: ObjectId::parse("a").unwrap(),
            fate,
            body: serde_json::value::to_raw_value(&body).unwrap(),
            links: links
                .iter()
                .map(|(id, presence)| {
                    (
                        LinkKind::GroupMembers,
                        ObjectId::parse(id).unwrap(),
                        *presence,
                    )
                })
                .collect(),
        }
    }

    fn object(state: ObjectState, body: Value) -> Object {
        Object::from_json(ObjectType::Group, state, &body.to_string()).unwrap()
    }

    #[test]
    fn a_reading_counts_once_it_agrees() {
        let check = |said: &[(Fate, Value)], found: Option<(ObjectState, Value)>, agrees: bool| {
            let mut hint = Hint::default();
            for (fate, body) in said {
                hint.add(&announced(*fate, body.clone(), &[]));
            }
            let found = found.map(|(state, body)| object(state, body));
            assert_eq!(
                hint.agrees(ObjectType::Group, found.as_ref()),
                agrees,
                "{said:?} {found:?}"
            );
        };
        use ObjectState::{Deleted, Live};
        let a = |name: &str| json!({"id": "a", "displayName": name, "groupTypes": []});
        check(&[], None, true);
        check(&[(Fate::Live, a("x"))], Some((Live, a("x"))), true);
        check(&[(Fate::Live, a("x"))], Some((Live, a("y"))), false);
        check(&[(Fate::Live, a("x"))], Some((Deleted, a("x"))), false);
        check(&[(Fate::Live, a("x"))], None, false);
        check(&[(Fate::Gone, json!({"id": "a"}))], None, true);
        check(
            &[(Fate::Gone, json!({"id": "a"}))],
            Some((Live, a("x"))),
            false,
        );
        check(
            &[(Fate::SoftDeleted, json!({"id": "a"}))],
            Some((Deleted, a("x"))),
            true,
        );
        // An unknown or a volatile property decides nothing; nothing is nothing.
        check(
            &[(
                Fate::Live,
                json!({"id": "a", "renewedDateTime": "1", "zzz": 1, "mail": null}),
            )],
            Some((Live, json!({"id": "a", "renewedDateTime": "2"}))),
            true,
        );
        check(
            &[(Fate::Live, json!({"id": "a", "proxyAddresses": ["p", "q"]}))],
            Some((Live, json!({"id": "a", "proxyAddresses": ["q", "p"]}))),
            true,
        );
        check(
            &[(Fate::Live, a("x")), (Fate::Live, a("y"))],
            Some((Live, a("y"))),
            true,
        );
    }

    #[test]
    fn contradictions_are_noticed() {
        let check = |said: &[(Fate, Value)], ambiguous: bool| {
            let mut hint = Hint::default();
            for (fate, body) in said {
                hint.add(&announced(*fate, body.clone(), &[]));
            }
            assert_eq!(hint.is_ambiguous(), ambiguous, "{said:?}");
        };
        check(&[(Fate::Live, json!({"id": "a", "mail": "x"}))], false);
        // Slices of one group.
        check(
            &[
                (Fate::Live, json!({"id": "a", "mail": "x"})),
                (Fate::Live, json!({"id": "a"})),
            ],
            false,
        );
        check(
            &[
                (Fate::Live, json!({"id": "a", "mail": "x"})),
                (Fate::Live, json!({"id": "a", "mail": "y"})),
            ],
            true,
        );
        // Not only neighbours are compared.
        check(
            &[
                (Fate::Live, json!({"id": "a", "mail": "x"})),
                (Fate::Live, json!({"id": "a"})),
                (Fate::Live, json!({"id": "a", "mail": "y"})),
            ],
            true,
        );
        check(
            &[
                (Fate::Live, json!({"id": "a"})),
                (Fate::Gone, json!({"id": "a"})),
            ],
            true,
        );

        let mut hint = Hint::default();
        use Presence::{Absent, Present};
        hint.add(&announced(
            Fate::Live,
            json!({"id": "a"}),
            &[("u", Present), ("v", Absent)],
        ));
        hint.add(&announced(
            Fate::Live,
            json!({"id": "a"}),
            &[("v", Present)],
        ));
        let ids = |ids: &[&str]| {
            ids.iter()
                .map(|id| ObjectId::parse(id).unwrap())
                .collect::<HashSet<_>>()
        };
        let check = |targets: &[&str], hidden: &str, agrees: bool| {
            let hidden = |id: &ObjectId| id.as_str() == hidden;
            assert_eq!(
                hint.agrees_on_links(LinkKind::GroupMembers, &ids(targets), hidden),
                agrees,
                "{targets:?}"
            );
        };
        check(&["u"], "", true);
        check(&["u", "v", "w"], "", true);
        check(&["v"], "", false);
        check(&["v"], "u", true);
        assert_eq!(hint.relations(), BTreeSet::from([LinkKind::GroupMembers]));
    }
}
