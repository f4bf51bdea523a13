//! What a report must tell, by the simulator's own account of two moments.

use std::collections::{BTreeMap, BTreeSet};

use model::catalogue::Class;
use model::diff::{ChangeKind, Difference, Direction};
use model::snapshot::{Content, Kind};
use model::{LinkKind, ObjectId, ObjectType};
use serde_json::Value;

use crate::oracle::{Things, thing, told};

/// Type and key of an object.
type Key = (ObjectType, String);
/// What happened to it, and which properties differ where it was modified.
type Deed = (ChangeKind, BTreeSet<String>);

/// What a report and the account do not agree on.
pub(crate) fn wrong(
    difference: &Difference,
    sides: [&Content; 2],
    states: [&Value; 2],
) -> Vec<String> {
    let account = Account::of(states);
    let mut wrong = Vec::new();
    wrong.extend(difference.not_compared.iter().cloned());
    let (found, expected) = (found(difference, sides, &account), account.objects());
    compare("objects", &found, &expected, &mut wrong);
    let links = found_links(difference, &account);
    compare("links", &links, &account.links(), &mut wrong);
    wrong
}

fn compare<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
    wrong: &mut Vec<String>,
) {
    let all: BTreeSet<&K> = found.keys().chain(expected.keys()).collect();
    for key in all {
        let (found, expected) = (found.get(key), expected.get(key));
        if found != expected {
            wrong.push(format!(
                "{what}: {key:?} is told as {found:?} and was {expected:?}"
            ));
        }
    }
}

/// Two moments, as the simulator tells them.
struct Account {
    live: [BTreeMap<ObjectType, Things>; 2],
    deleted: [BTreeMap<ObjectType, Things>; 2],
    states: [Value; 2],
    /// Objects that came, went, or came back: what belongs to them does so with them.
    moved: BTreeSet<String>,
}

impl Account {
    fn of(states: [&Value; 2]) -> Self {
        let all = |kind: fn(ObjectType) -> Kind| {
            states.map(|state| {
                let things = |object_type| (object_type, told(state, kind(object_type)));
                ObjectType::ALL.into_iter().map(things).collect()
            })
        };
        let live: [BTreeMap<ObjectType, Things>; 2] = all(Kind::Objects);
        let mut moved = BTreeSet::new();
        for object_type in ObjectType::ALL {
            let [before, after] = [&live[0], &live[1]].map(|live| &live[&object_type]);
            let apart = before.keys().filter(|key| !after.contains_key(*key));
            let apart = apart.chain(after.keys().filter(|key| !before.contains_key(*key)));
            moved.extend(apart.cloned());
        }
        Self {
            live,
            deleted: all(Kind::Deleted),
            states: states.map(Value::clone),
            moved,
        }
    }

    /// Whether what belongs together by this key comes and goes with another object.
    fn is_carried(&self, object_type: ObjectType, key: &str) -> bool {
        if object_type.spec().ties.is_empty() {
            return false;
        }
        let ends = self
            .live
            .iter()
            .filter_map(|live| live[&object_type].get(key));
        let ends = ends.flat_map(|body| body.as_object().into_iter().flatten());
        let ends = ends.filter_map(|(_, value)| value.as_str());
        let mut ends = ends.chain(key.split([' ', '/']));
        ends.any(|end| end != key && self.moved.contains(end))
    }

    fn objects(&self) -> BTreeMap<Key, Deed> {
        let mut expected = BTreeMap::new();
        for object_type in ObjectType::ALL {
            let [before, after] = [0, 1].map(|side: usize| &self.live[side][&object_type]);
            let bins = [0, 1].map(|side: usize| &self.deleted[side][&object_type]);
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let deed = match (before.get(key), after.get(key)) {
                    (Some(before), Some(after)) if before == after => continue,
                    (Some(before), Some(after)) => {
                        (ChangeKind::Modified, properties(before, after))
                    }
                    (Some(_), None) if bins[1].contains_key(key) => {
                        (ChangeKind::SoftDeleted, BTreeSet::new())
                    }
                    (Some(_), None) => (ChangeKind::HardDeleted, BTreeSet::new()),
                    (None, _) if bins[0].contains_key(key) => {
                        (ChangeKind::Restored, BTreeSet::new())
                    }
                    (None, _) => (ChangeKind::Added, BTreeSet::new()),
                };
                if !self.is_carried(object_type, key) {
                    expected.insert((object_type, key.clone()), deed);
                }
            }
        }
        expected
    }

    /// Links between objects that were there at both moments.
    fn links(&self) -> BTreeMap<(LinkKind, String), Direction> {
        let mut expected = BTreeMap::new();
        for kind in LinkKind::ALL {
            let [before, after] =
                [0, 1].map(|side: usize| told(&self.states[side], Kind::Links(kind)));
            let gone = before.keys().filter(|link| !after.contains_key(*link));
            let come = after.keys().filter(|link| !before.contains_key(*link));
            let gone = gone.map(|link| (link, Direction::Removed));
            for (link, direction) in gone.chain(come.map(|link| (link, Direction::Added))) {
                if self.is_told(kind, link) {
                    expected.insert((kind, link.clone()), direction);
                }
            }
        }
        expected
    }

    fn is_told(&self, kind: LinkKind, link: &str) -> bool {
        let mut ends = link.split(' ');
        let source = ends.clone().next().unwrap_or_default();
        !ends.any(|end| self.moved.contains(end)) && !self.follows_a_rule(kind, source)
    }

    /// Whether the members of an object follow from a rule, at either moment.
    fn follows_a_rule(&self, kind: LinkKind, source: &str) -> bool {
        let mut bodies = self
            .live
            .iter()
            .filter_map(|live| live[&kind.source_type()].get(source));
        let members = matches!(
            kind,
            LinkKind::GroupMembers | LinkKind::AdministrativeUnitMembers
        );
        members
            && bodies.any(|body| {
                let types = body["groupTypes"].as_array();
                let is_dynamic = |entry: &Value| entry == "DynamicMembership";
                types.is_some_and(|types| types.iter().any(is_dynamic))
                    || body["membershipType"] == "Dynamic"
            })
    }
}

/// The properties that differ between two bodies.
fn properties(before: &Value, after: &Value) -> BTreeSet<String> {
    let names = [before, after].map(|body| body.as_object().into_iter().flatten());
    let names = names.into_iter().flatten().map(|(name, _)| name);
    let differs = |name: &&String| before.get(name.as_str()) != after.get(name.as_str());
    names.filter(differs).cloned().collect()
}

fn found(
    difference: &Difference,
    [base, target]: [&Content; 2],
    account: &Account,
) -> BTreeMap<Key, Deed> {
    let mut found = BTreeMap::new();
    for change in &difference.changes {
        let (object_type, id) = (change.object.object_type, &change.object.id);
        let object = target
            .object(object_type, id)
            .or_else(|| base.object(object_type, id));
        let key = object.map_or_else(|| id.to_string(), |object| thing(object).0);
        // The account does not tell what belongs to a secret.
        let told = change.attributes.iter();
        let told = told.filter(|attribute| attribute.class != Class::Secret);
        let told: BTreeSet<String> = told.map(|one| one.property().to_owned()).collect();
        let deed = match change.kind {
            ChangeKind::Modified if told.is_empty() => continue,
            ChangeKind::Modified => (ChangeKind::Modified, told),
            kind => (kind, BTreeSet::new()),
        };
        if !account.is_carried(object_type, &key) {
            found.insert((object_type, key), deed);
        }
    }
    found
}

fn found_links(
    difference: &Difference,
    account: &Account,
) -> BTreeMap<(LinkKind, String), Direction> {
    let mut found = BTreeMap::new();
    for change in &difference.changes {
        let source: &ObjectId = &change.object.id;
        for link in &change.links {
            let key = format!("{source} {}", link.target);
            if account.is_told(link.kind, &key) {
                found.insert((link.kind, key), link.direction);
            }
        }
    }
    found
}
