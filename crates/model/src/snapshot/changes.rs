//! The reading of a tenant as a sequence of statements, and the state they add up to.
//!
//! A later statement wins over an earlier one. What the recycle bin hides is
//! kept: Graph shows no link of a soft-deleted object, and brings all of them
//! back with it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Completeness, Content, Kind};
use crate::catalogue::{LinkKind, ObjectType};
use crate::id::ObjectId;
use crate::object::{Link, Object, ObjectState};

/// One statement about a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The object is like this.
    Put(Object),
    /// There is no such object, live or soft-deleted.
    Gone(ObjectType, ObjectId),
    /// What is known of a kind is void; what follows is all there is of it.
    Reread(Kind),
    /// The link is there.
    Linked(Link),
    /// The link is not there.
    Unlinked(Link),
    /// What is known of one object's links is void; what follows is all.
    RereadLinksOf(LinkKind, ObjectId),
}

/// Statements applied in memory, for states that fit there.
#[derive(Debug, Default)]
pub struct Changes {
    objects: BTreeMap<(ObjectType, ObjectId), Object>,
    links: BTreeMap<(LinkKind, ObjectId), BTreeSet<ObjectId>>,
    /// Voided links, kept for the case that an end is in the recycle bin.
    voided: BTreeSet<Link>,
    gone: HashSet<ObjectId>,
    /// Objects that a new reading of their kind has not brought again.
    missed: BTreeSet<(ObjectType, ObjectId)>,
}

impl Changes {
    /// Applies one statement.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put(object) => {
                let key = (object.object_type, object.id.clone());
                self.gone.remove(&object.id);
                self.missed.remove(&key);
                self.objects.insert(key, object);
            }
            Change::Gone(object_type, id) => {
                self.objects.remove(&(object_type, id.clone()));
                self.gone.insert(id);
            }
            Change::Reread(kind) => self.void(kind),
            Change::Linked(link) => {
                self.links
                    .entry((link.kind, link.source))
                    .or_default()
                    .insert(link.target);
            }
            Change::Unlinked(link) => {
                self.voided.remove(&link);
                if let Some(targets) = self.links.get_mut(&(link.kind, link.source)) {
                    targets.remove(&link.target);
                }
            }
            Change::RereadLinksOf(kind, source) => self.void_links_of(kind, source),
        }
    }

    fn void(&mut self, kind: Kind) {
        match kind {
            Kind::Objects(object_type) => self.void_objects(object_type, ObjectState::Live),
            Kind::Deleted(object_type) => self.void_objects(object_type, ObjectState::Deleted),
            Kind::Links(kind) => {
                let sources: Vec<ObjectId> = self
                    .links
                    .keys()
                    .filter(|(of, _)| *of == kind)
                    .map(|(_, source)| source.clone())
                    .collect();
                for source in sources {
                    self.void_links_of(kind, source);
                }
            }
        }
    }

    fn void_objects(&mut self, object_type: ObjectType, state: ObjectState) {
        let missed = self
            .objects
            .extract_if(.., |key, object| {
                key.0 == object_type && object.state == state
            })
            .map(|(key, _)| key);
        self.missed.extend(missed);
    }

    fn void_links_of(&mut self, kind: LinkKind, source: ObjectId) {
        let targets = self.links.remove(&(kind, source.clone()));
        for target in targets.unwrap_or_default() {
            let source = source.clone();
            self.voided.insert(Link {
                kind,
                source,
                target,
            });
        }
    }

    /// Everything that is known: the objects, and the links, those of the recycle
    /// bin's objects included; sorted. Links go with the objects that are gone, and
    /// with those that a complete reading did not bring again.
    #[must_use]
    pub fn into_rows(mut self, completeness: &[Completeness]) -> (Vec<Object>, Vec<Link>) {
        let read = types_read(completeness);
        let missed = self.missed.into_iter();
        let missed = missed.filter(|(object_type, _)| read.contains(object_type));
        self.gone.extend(missed.map(|(_, id)| id));
        let objects: Vec<Object> = self.objects.into_values().collect();
        let bin = bin(&objects);
        let hidden = |link: &Link| bin.contains(&link.source) || bin.contains(&link.target);
        let mut links: BTreeSet<Link> = self.voided.into_iter().filter(hidden).collect();
        for ((kind, source), targets) in self.links {
            links.extend(targets.into_iter().map(|target| Link {
                kind,
                source: source.clone(),
                target,
            }));
        }
        links.retain(|link| !self.gone.contains(&link.source) && !self.gone.contains(&link.target));
        (objects, links.into_iter().collect())
    }

    /// What is visible, with the records of its reading.
    #[must_use]
    pub fn into_content(self, completeness: Vec<Completeness>) -> Content {
        let (objects, links) = self.into_rows(&completeness);
        Content::visible(objects, links, completeness)
    }
}

/// The types of which every object is known, live or soft-deleted: what a reading
/// of such a type did not bring is not there. Of a list that broke off nobody can
/// say so.
#[must_use]
pub fn types_read(completeness: &[Completeness]) -> HashSet<ObjectType> {
    let complete = |kind: Kind| {
        let mut records = completeness.iter();
        records.any(|record| record.kind == kind && record.is_complete())
    };
    let read = |object_type: &ObjectType| {
        complete(Kind::Objects(*object_type))
            && (object_type.spec().deleted.is_none() || complete(Kind::Deleted(*object_type)))
    };
    ObjectType::ALL.into_iter().filter(read).collect()
}

/// The ids of the objects in the recycle bin.
fn bin(objects: &[Object]) -> HashSet<ObjectId> {
    objects
        .iter()
        .filter(|object| object.state == ObjectState::Deleted)
        .map(|object| object.id.clone())
        .collect()
}

impl Content {
    /// A content from all that is known: links with an end in the recycle bin are
    /// not part of it, since the directory does not show them either.
    #[must_use]
    pub fn visible(
        objects: Vec<Object>,
        mut links: Vec<Link>,
        completeness: Vec<Completeness>,
    ) -> Self {
        let bin = bin(&objects);
        if !bin.is_empty() {
            links.retain(|link| !bin.contains(&link.source) && !bin.contains(&link.target));
        }
        Self {
            objects,
            links,
            completeness,
        }
        .sorted()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::snapshot::Method;

    fn id(name: &str) -> ObjectId {
        ObjectId::parse(name).unwrap()
    }

    fn user(name: &str, state: ObjectState) -> Change {
        let json = format!(r#"{{"id":"{name}"}}"#);
        Change::Put(Object::from_json(ObjectType::User, state, &json).unwrap())
    }

    fn member(group: &str, user: &str) -> Link {
        Link {
            kind: LinkKind::GroupMembers,
            source: id(group),
            target: id(user),
        }
    }

    fn check(changes: Vec<Change>, objects: &[&str], visible: &[&str], known: usize) {
        let state = || {
            let mut state = Changes::default();
            changes
                .iter()
                .cloned()
                .for_each(|change| state.apply(change));
            state
        };
        let content = state().into_content(Vec::new());
        let found: Vec<String> = content
            .objects
            .iter()
            .map(|object| format!("{} {:?}", object.id, object.state))
            .collect();
        assert_eq!(found, objects);
        let found: Vec<String> = content
            .links
            .iter()
            .map(|link| format!("{}>{}", link.source, link.target))
            .collect();
        assert_eq!(found, visible);
        assert_eq!(state().into_rows(&[]).1.len(), known);
    }

    #[test]
    fn what_a_complete_reading_did_not_bring_takes_its_links_with_it() {
        let check = |complete: &[Kind], broken: &[Kind], links: usize| {
            let record = |kind: &Kind, problem: Option<&str>| Completeness {
                problem: problem.map(str::to_owned),
                ..Completeness::begun(*kind, Method::Delta, DateTime::UNIX_EPOCH)
            };
            let records = complete.iter().map(|kind| record(kind, None));
            let records = records.chain(broken.iter().map(|kind| record(kind, Some("broke off"))));
            let mut state = Changes::default();
            for change in [
                user("a", ObjectState::Live),
                user("b", ObjectState::Live),
                user("c", ObjectState::Live),
                Change::Linked(member("g", "a")),
                Change::Linked(member("g", "b")),
                Change::Linked(member("g", "c")),
                Change::Reread(Kind::Objects(ObjectType::User)),
                Change::Reread(Kind::Deleted(ObjectType::User)),
                user("b", ObjectState::Live),
                user("c", ObjectState::Deleted),
            ] {
                state.apply(change);
            }
            let (_, found) = state.into_rows(&records.collect::<Vec<_>>());
            assert_eq!(found.len(), links, "{complete:?} {broken:?}");
        };
        let (live, bin) = (
            Kind::Objects(ObjectType::User),
            Kind::Deleted(ObjectType::User),
        );
        check(&[live, bin], &[], 2);
        check(&[live], &[bin], 3);
        check(&[bin], &[live], 3);
        check(&[live], &[], 3);
        check(&[], &[], 3);
    }

    #[test]
    fn later_statements_win_and_the_bin_hides_links() {
        use ObjectState::{Deleted, Live};
        let linked = |group, user| Change::Linked(member(group, user));
        let members = Kind::Links(LinkKind::GroupMembers);
        check(
            vec![user("a", Live), linked("g", "a"), user("a", Deleted)],
            &["a Deleted"],
            &[],
            1,
        );
        // A list that cannot show the link takes nothing away.
        check(
            vec![
                linked("g", "a"),
                linked("g", "b"),
                user("a", Deleted),
                Change::Reread(members),
                linked("g", "c"),
            ],
            &["a Deleted"],
            &["g>c"],
            2,
        );
        // What comes back is asked for its links, and that answer counts.
        check(
            vec![
                linked("g", "a"),
                linked("h", "a"),
                user("a", Deleted),
                Change::RereadLinksOf(LinkKind::GroupMembers, id("g")),
                user("a", Live),
                linked("h", "a"),
            ],
            &["a Live"],
            &["h>a"],
            1,
        );
        check(
            vec![
                user("a", Live),
                linked("g", "a"),
                Change::Gone(ObjectType::User, id("a")),
            ],
            &[],
            &[],
            0,
        );
        check(
            vec![
                user("a", Live),
                user("b", Deleted),
                Change::Reread(Kind::Objects(ObjectType::User)),
                user("c", Live),
            ],
            &["b Deleted", "c Live"],
            &[],
            0,
        );
        check(
            vec![linked("g", "a"), Change::Unlinked(member("g", "a"))],
            &[],
            &[],
            0,
        );
    }
}
