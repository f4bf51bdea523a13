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
    /// What is known of the links to one object is void; what follows is all.
    RereadLinksTo(LinkKind, ObjectId),
}

/// Statements applied in memory, for states that fit there.
#[derive(Debug, Default)]
pub struct Changes {
    objects: BTreeMap<(ObjectType, ObjectId), Object>,
    links: BTreeMap<(LinkKind, ObjectId), BTreeSet<ObjectId>>,
    /// Voided links, kept for the case that an end is in the recycle bin.
    voided: BTreeSet<Link>,
    gone: HashSet<ObjectId>,
}

impl Changes {
    /// Applies one statement.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put(object) => {
                self.gone.remove(&object.id);
                self.objects
                    .insert((object.object_type, object.id.clone()), object);
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
            Change::RereadLinksTo(kind, target) => {
                self.voided
                    .retain(|link| link.kind != kind || link.target != target);
                for ((of, _), targets) in &mut self.links {
                    if *of == kind {
                        targets.remove(&target);
                    }
                }
            }
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
        self.objects
            .retain(|key, object| key.0 != object_type || object.state != state);
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
    /// bin's objects included; sorted.
    #[must_use]
    pub fn into_rows(self) -> (Vec<Object>, Vec<Link>) {
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
        let (objects, links) = self.into_rows();
        Content::visible(objects, links, completeness)
    }
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
    use super::*;

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
        assert_eq!(state().into_rows().1.len(), known);
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
                Change::RereadLinksTo(LinkKind::GroupMembers, id("a")),
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
