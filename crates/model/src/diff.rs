//! What changed between two states of a tenant.
//!
//! A difference speaks only of kinds that both states hold completely; about
//! the others it says nothing but that it says nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::canonical;
use crate::catalogue::{Class, LinkKind, ObjectType, TypeSpec};
use crate::id::ObjectId;
use crate::object::{Link, Object, ObjectRef, ObjectState, name_with};
use crate::snapshot::{Content, Kind};

/// Which objects are looked at; empty sets mean all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only these types.
    pub types: BTreeSet<ObjectType>,
    /// Only the objects with these ids.
    pub ids: BTreeSet<ObjectId>,
}

impl Scope {
    /// Whether an object belongs to it.
    #[must_use]
    pub fn holds(&self, object_type: ObjectType, id: &ObjectId) -> bool {
        (self.types.is_empty() || self.types.contains(&object_type))
            && (self.ids.is_empty() || self.ids.contains(id))
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Only in the target, and not in the base's recycle bin.
    Added,
    /// In both, with differences.
    Modified,
    /// In the target's recycle bin.
    SoftDeleted,
    /// Gone from the target and from its recycle bin.
    HardDeleted,
    /// In the base's recycle bin, live in the target.
    Restored,
}

impl ChangeKind {
    /// What a person says of an object with such a change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::SoftDeleted => "soft-deleted",
            Self::HardDeleted => "hard-deleted",
            Self::Restored => "restored",
        }
    }
}

/// One attribute that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeChange {
    /// Where it is, from the object's root, with dots.
    pub path: String,
    /// The canonical value in the base.
    pub before: Option<Value>,
    /// The canonical value in the target.
    pub after: Option<Value>,
    /// Of a set: what only the target has.
    pub added: Vec<Value>,
    /// Of a set: what only the base has.
    pub removed: Vec<Value>,
    /// What may be done about it.
    pub class: Class,
}

impl AttributeChange {
    /// The property that holds the attribute.
    #[must_use]
    pub fn property(&self) -> &str {
        if self.path.starts_with('@') {
            &self.path
        } else {
            self.path.split('.').next().unwrap_or_default()
        }
    }
}

/// Whether a link came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Only in the target.
    Added,
    /// Only in the base.
    Removed,
}

/// One link that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkChange {
    /// The relation.
    pub kind: LinkKind,
    /// The other end.
    pub target: ObjectId,
    /// Its name, where either state knows it.
    pub target_name: Option<String>,
    /// Whether it came or went.
    pub direction: Direction,
}

/// Why something is not, or not fully, put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Obstacle {
    /// Graph cannot bring a hard-deleted object back under its id.
    HardDeleted,
    /// The source of authority is on-premises.
    OnPremisesSynced,
    /// The members follow from a rule.
    DynamicMembership,
    /// Graph refuses to write the attribute.
    ReadOnly,
    /// The attribute belongs to a secret.
    Secret,
    /// The attribute has an endpoint of its own that a restore does not use.
    OwnEndpoint,
    /// Added since, and the plan keeps added objects.
    AddedKept,
    /// The type is not soft-deletable, so the object is never deleted.
    NotSoftDeletable,
    /// A policy names an object that does not exist.
    UnresolvedReference,
    /// The other end of a link does not exist.
    LinkEndMissing,
    /// The plan leaves relationships as they are.
    RelationshipsSkipped,
    /// Somebody gave the object a credential that the snapshot does not know.
    CredentialAdded,
    /// The group belongs to Exchange, which Graph cannot write to.
    ExchangeManaged,
    /// Objects or links of the type were not restored by the version that says so.
    TypeNotRestored,
    /// It lets the program itself into the tenant.
    OwnAccess,
    /// Without it nobody would be a Global Administrator.
    LastAdministrator,
    /// The application that writes lacks a permission for the type.
    PermissionMissing,
    /// Only parts of objects are asked for, and the object came or went as a whole.
    WholeObject,
    /// An undo leaves what is no longer as the restore left it.
    ChangedSince,
    /// The journal does not tell what was there before.
    NotJournalled,
    /// Writing the policy could lock people out.
    LockoutRisk,
    /// The policy is written in report-only mode, for a person to enable.
    ReportOnly,
    /// It is hard-deleted, and nothing can be made in its place.
    NotRecreatable,
    /// A person has to do it, as the sentence says.
    ByHand,
}

/// One object that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The attributes that differ.
    pub attributes: Vec<AttributeChange>,
    /// The links that differ, where this object holds the relation.
    pub links: Vec<LinkChange>,
    /// What stands in the way of putting it back.
    pub obstacles: BTreeSet<Obstacle>,
}

/// Everything that differs between two states.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// The changes, ordered by type and id.
    pub changes: Vec<Change>,
    /// Kinds that could not be compared, with the reason.
    pub not_compared: Vec<String>,
}

/// Compares two states.
///
/// `base` and `target` are sorted ([`Content::sorted`]).
#[must_use]
pub fn diff(base: &Content, target: &Content, scope: &Scope) -> Difference {
    let mut not_compared = Vec::new();
    let mut comparable = |kind: Kind| {
        let missing = [("base", base), ("target", target)]
            .into_iter()
            .find(|(_, content)| !content.has(kind));
        if let Some((side, content)) = missing {
            let problem = content
                .completeness
                .iter()
                .find(|record| record.kind == kind)
                .and_then(|record| record.problem.as_deref());
            not_compared.push(format!(
                "{}: {} in the {side}",
                kind.name(),
                problem.unwrap_or("not read")
            ));
        }
        missing.is_none()
    };
    let in_scope =
        |object_type: ObjectType| scope.types.is_empty() || scope.types.contains(&object_type);
    let types: HashSet<ObjectType> = ObjectType::ALL
        .into_iter()
        .filter(|t| in_scope(*t) && comparable(Kind::Objects(*t)))
        .collect();
    let bins: HashSet<ObjectType> = types
        .iter()
        .copied()
        .filter(|object_type| {
            object_type.spec().deleted.is_some() && comparable(Kind::Deleted(*object_type))
        })
        .collect();
    let links: Vec<LinkKind> = LinkKind::ALL
        .into_iter()
        .filter(|kind| types.contains(&kind.source_type()) && comparable(Kind::Links(*kind)))
        .collect();
    let names = Names::of(base, target);
    // Of an end whose type was not read nobody knows whether it is gone.
    let unread: Vec<ObjectType> = ObjectType::ALL
        .into_iter()
        .filter(|object_type| !target.has(Kind::Objects(*object_type)))
        .collect();
    for kind in &links {
        let ends = unread
            .iter()
            .filter(|object_type| may_end(*kind, **object_type));
        not_compared.extend(ends.map(|end| {
            format!(
                "{}: ends of type {end} were not read in the target",
                kind.name()
            )
        }));
    }
    let anew = MadeAnew::of(base, target);
    let changes = pairs(base, target)
        .filter_map(|pair| anew.joined(pair))
        .filter(|pair| {
            let (object_type, id) = pair.key();
            types.contains(&object_type) && scope.holds(object_type, id)
        })
        .filter_map(|pair| {
            change(
                pair,
                bins.contains(&pair.key().0),
                &links,
                base,
                target,
                &names,
            )
        })
        .collect();
    not_compared.sort();
    Difference {
        changes,
        not_compared,
    }
}

/// Whether links of a kind may end at objects of a type.
fn may_end(kind: LinkKind, object_type: ObjectType) -> bool {
    match object_type {
        ObjectType::User => true,
        ObjectType::Group => kind != LinkKind::UserManager,
        ObjectType::ServicePrincipal => !matches!(
            kind,
            LinkKind::UserManager | LinkKind::AdministrativeUnitMembers
        ),
        _ => false,
    }
}

/// What the two ends of a link may be, of which at most one each is there.
pub fn link_ends(link: &Link) -> impl Iterator<Item = (ObjectType, ObjectId)> + use<> {
    let (kind, target) = (link.kind, link.target.clone());
    let ends = ObjectType::ALL.into_iter();
    let ends = ends.filter(move |object_type| may_end(kind, *object_type));
    std::iter::once((kind.source_type(), link.source.clone()))
        .chain(ends.map(move |object_type| (object_type, target.clone())))
}

/// The two sides of one key; at least one is there.
#[derive(Clone, Copy)]
struct Pair<'a> {
    base: Option<&'a Object>,
    target: Option<&'a Object>,
}

impl<'a> Pair<'a> {
    fn key(&self) -> (ObjectType, &'a ObjectId) {
        self.base
            .or(self.target)
            .expect("invariant: a pair has a side")
            .key()
    }
}

/// Merges the two sorted lists of objects.
fn pairs<'a>(base: &'a Content, target: &'a Content) -> impl Iterator<Item = Pair<'a>> {
    let mut base = base.objects.iter().peekable();
    let mut target = target.objects.iter().peekable();
    std::iter::from_fn(move || {
        let order = match (base.peek(), target.peek()) {
            (None, None) => return None,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(base), Some(target)) => base.key().cmp(&target.key()),
        };
        Some(match order {
            std::cmp::Ordering::Less => Pair {
                base: base.next(),
                target: None,
            },
            std::cmp::Ordering::Greater => Pair {
                base: None,
                target: target.next(),
            },
            std::cmp::Ordering::Equal => Pair {
                base: base.next(),
                target: target.next(),
            },
        })
    })
}

/// The objects of the base that were made anew since: of a relation the id says
/// nothing, so they are the same as what stands in their place.
struct MadeAnew<'a> {
    /// By the base's type and id, what the target has.
    now: HashMap<(ObjectType, &'a ObjectId), &'a Object>,
    /// The target's ones among these.
    taken: HashSet<(ObjectType, &'a ObjectId)>,
}

impl<'a> MadeAnew<'a> {
    fn of(base: &'a Content, target: &'a Content) -> Self {
        let is_relation = |object: &Object| object.object_type.spec().relation.is_some();
        let identity = |object: &Object| {
            let key = object.object_type.spec().identity(&object.body());
            (
                object.object_type,
                canonical::text(&Value::from(key.unwrap_or_default())),
            )
        };
        let (mut gone, mut came) = (Vec::new(), HashMap::new());
        for pair in pairs(base, target) {
            match (pair.base, pair.target) {
                (Some(object), None) if is_relation(object) => gone.push(object),
                (None, Some(object)) if is_relation(object) => {
                    came.insert(identity(object), object);
                }
                _ => {}
            }
        }
        let mut anew = Self {
            now: HashMap::new(),
            taken: HashSet::new(),
        };
        if came.is_empty() {
            return anew;
        }
        for object in gone {
            if let Some(now) = came.remove(&identity(object)) {
                anew.now.insert(object.key(), now);
                anew.taken.insert(now.key());
            }
        }
        anew
    }

    /// A pair with what was made anew at its side, and `None` of a target's object
    /// that stands at the side of another.
    fn joined(&self, pair: Pair<'a>) -> Option<Pair<'a>> {
        match (pair.base, pair.target) {
            (None, Some(object)) if self.taken.contains(&object.key()) => None,
            (Some(object), None) => Some(Pair {
                target: self.now.get(&object.key()).copied(),
                ..pair
            }),
            _ => Some(pair),
        }
    }
}

fn change(
    pair: Pair<'_>,
    bin_known: bool,
    links: &[LinkKind],
    base: &Content,
    target: &Content,
    names: &Names<'_>,
) -> Option<Change> {
    use ObjectState::{Deleted, Live};
    let state = |side: Option<&Object>| side.map(|object| object.state);
    let kind = match (state(pair.base), state(pair.target)) {
        (Some(Live), Some(Live)) => ChangeKind::Modified,
        (Some(Live), Some(Deleted)) => ChangeKind::SoftDeleted,
        (Some(Live), None) if bin_known || pair.key().0.spec().deleted.is_none() => {
            ChangeKind::HardDeleted
        }
        (Some(Deleted), Some(Live)) => ChangeKind::Restored,
        (None, Some(Live)) => ChangeKind::Added,
        // Deleted on both sides, purged since, or deleted without a readable bin.
        _ => return None,
    };
    let (object_type, id) = pair.key();
    let spec = object_type.spec();
    if kind == ChangeKind::HardDeleted
        && pair
            .base
            .is_some_and(|object| went_with_another(object, names))
    {
        return None;
    }
    let mut link_changes: Vec<LinkChange> = match kind {
        ChangeKind::Modified | ChangeKind::Added | ChangeKind::Restored => links
            .iter()
            .filter(|link| link.source_type() == object_type)
            .flat_map(|link| link_changes(*link, id, base, target, names))
            .collect(),
        // Links of a deleted object are part of its deletion.
        ChangeKind::SoftDeleted | ChangeKind::HardDeleted => Vec::new(),
    };
    // Most objects did not change: they are never parsed.
    let same_text = pair.base.map(|object| &object.json) == pair.target.map(|object| &object.json);
    if kind == ChangeKind::Modified && same_text && link_changes.is_empty() {
        return None;
    }
    let base_body = pair.base.map(Object::body);
    let target_body = pair.target.map(|object| match (object.state, &base_body) {
        (Deleted, Some(base)) => spec.undistorted(object.body(), base),
        _ => object.body(),
    });
    if base_body.as_ref().is_some_and(is_dynamic) {
        link_changes.retain(|link| !follows_from_rule(link.kind));
    }
    let attributes = attribute_changes(spec, base_body.as_ref(), target_body.as_ref());
    if kind == ChangeKind::Modified && attributes.is_empty() && link_changes.is_empty() {
        return None;
    }
    let name_of = |body| name_with(body, |id| names.name(id));
    let name = base_body
        .as_ref()
        .and_then(name_of)
        .or_else(|| target_body.as_ref().and_then(name_of))
        .unwrap_or_else(|| id.to_string());
    let object = ObjectRef {
        object_type,
        id: id.clone(),
        name,
    };
    let current = target_body.as_ref().or(base_body.as_ref());
    let obstacles = obstacles(spec, kind, &attributes, current);
    Some(Change {
        object,
        kind,
        attributes,
        links: link_changes,
        obstacles,
    })
}

/// Whether an object is no longer seen since one that it ties together is gone.
/// Like a link, that is part of the other's deletion.
fn went_with_another(object: &Object, names: &Names<'_>) -> bool {
    let ties = object.object_type.spec().ties;
    if ties.is_empty() {
        return false;
    }
    let body = object.body();
    let ids = ties.iter().filter_map(|tie| body.get(*tie)?.as_str());
    ids.filter_map(|id| ObjectId::parse(id).ok())
        .any(|id| names.gone(&id))
}

fn obstacles(
    spec: &TypeSpec,
    kind: ChangeKind,
    attributes: &[AttributeChange],
    current: Option<&Map<String, Value>>,
) -> BTreeSet<Obstacle> {
    let mut obstacles = BTreeSet::new();
    if kind == ChangeKind::HardDeleted {
        if spec.relation.is_none() {
            obstacles.insert(Obstacle::HardDeleted);
        }
        return obstacles;
    }
    // Of the organization the same property says that others are.
    let synced = spec.object_type != ObjectType::Organization && current.is_some_and(is_synced);
    if synced {
        obstacles.insert(Obstacle::OnPremisesSynced);
    } else if current.is_some_and(is_exchange_group) {
        obstacles.insert(Obstacle::ExchangeManaged);
    }
    if kind == ChangeKind::Modified {
        obstacles.extend(attributes.iter().filter_map(attribute_obstacle));
    }
    obstacles
}

/// Why an attribute is not written back.
#[must_use]
pub fn attribute_obstacle(attribute: &AttributeChange) -> Option<Obstacle> {
    if attribute.class == Class::Secret && !attribute.added.is_empty() {
        return Some(Obstacle::CredentialAdded);
    }
    class_obstacle(attribute.class)
}

/// Why an attribute of a class is not written back.
fn class_obstacle(class: Class) -> Option<Obstacle> {
    match class {
        Class::Restorable | Class::Volatile => None,
        Class::ReadOnly | Class::Copied => Some(Obstacle::ReadOnly),
        Class::Secret => Some(Obstacle::Secret),
        Class::OwnEndpoint => Some(Obstacle::OwnEndpoint),
    }
}

/// Whether the object's source of authority is on-premises.
#[must_use]
pub fn is_synced(body: &Map<String, Value>) -> bool {
    body.get("onPremisesSyncEnabled") == Some(&Value::Bool(true))
}

/// Whether a group is a mail-enabled security or distribution group.
#[must_use]
pub fn is_exchange_group(body: &Map<String, Value>) -> bool {
    let types = body.get("groupTypes").and_then(Value::as_array);
    let unified = types.is_some_and(|types| types.iter().any(|entry| entry == "Unified"));
    types.is_some() && !unified && body.get("mailEnabled") == Some(&Value::Bool(true))
}

/// Whether the members of a group or administrative unit follow from a rule.
#[must_use]
pub fn is_dynamic(body: &Map<String, Value>) -> bool {
    let types = body.get("groupTypes").and_then(Value::as_array);
    let unit = body.get("membershipType").and_then(Value::as_str);
    types.is_some_and(|types| types.iter().any(|entry| entry == "DynamicMembership"))
        || unit.is_some_and(|how| how.eq_ignore_ascii_case("dynamic"))
}

/// Whether links of a kind follow from a rule where the holder has one.
pub(crate) fn follows_from_rule(kind: LinkKind) -> bool {
    matches!(
        kind,
        LinkKind::GroupMembers | LinkKind::AdministrativeUnitMembers
    )
}

/// The attributes that differ between two bodies, as paths into them.
#[must_use]
pub fn attribute_changes(
    spec: &TypeSpec,
    base: Option<&Map<String, Value>>,
    target: Option<&Map<String, Value>>,
) -> Vec<AttributeChange> {
    let read = |body: Option<&Map<String, Value>>| {
        body.map(|body| canonical::properties(spec, body))
            .unwrap_or_default()
    };
    let (before, after) = (read(base), read(target));
    let find = |list: &[(String, Class, Value)], name: &str| {
        list.iter()
            .find(|(other, _, _)| other == name)
            .map(|(_, _, value)| value.clone())
    };
    let mut changes = Vec::new();
    for (name, class, value) in &before {
        leaves(
            name,
            *class,
            Some(value.clone()),
            find(&after, name),
            &mut changes,
        );
    }
    for (name, class, value) in after
        .iter()
        .filter(|(name, _, _)| find(&before, name).is_none())
    {
        leaves(name, *class, None, Some(value.clone()), &mut changes);
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// Descends into objects that both sides have, down to the values that differ.
fn leaves(
    path: &str,
    class: Class,
    before: Option<Value>,
    after: Option<Value>,
    into: &mut Vec<AttributeChange>,
) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                leaves(
                    &format!("{path}.{key}"),
                    class,
                    before.get(key).cloned(),
                    after.get(key).cloned(),
                    into,
                );
            }
        }
        (before, after) => {
            let (mut added, mut removed) = (Vec::new(), Vec::new());
            let elements =
                |value: &Option<Value>| value.as_ref().and_then(Value::as_array).cloned();
            if elements(&before).is_some() || elements(&after).is_some() {
                let (old, new) = (
                    elements(&before).unwrap_or_default(),
                    elements(&after).unwrap_or_default(),
                );
                added = new
                    .iter()
                    .filter(|item| !old.contains(item))
                    .cloned()
                    .collect();
                removed = old
                    .iter()
                    .filter(|item| !new.contains(item))
                    .cloned()
                    .collect();
            }
            into.push(AttributeChange {
                path: path.to_owned(),
                before,
                after,
                added,
                removed,
                class,
            });
        }
    }
}

/// Who is live on which side, and what they are called.
struct Names<'a> {
    base: HashMap<&'a ObjectId, &'a Object>,
    target: HashMap<&'a ObjectId, &'a Object>,
}

impl<'a> Names<'a> {
    fn of(base: &'a Content, target: &'a Content) -> Self {
        let index = |content: &'a Content| {
            content
                .objects
                .iter()
                .map(|object| (&object.id, object))
                .collect()
        };
        Self {
            base: index(base),
            target: index(target),
        }
    }

    /// Whether an object was live in the base and is not in the target.
    fn gone(&self, id: &ObjectId) -> bool {
        let live = |object: Option<&&Object>| {
            object.is_some_and(|object| object.state == ObjectState::Live)
        };
        live(self.base.get(id)) && !live(self.target.get(id))
    }

    fn name(&self, id: &ObjectId) -> Option<String> {
        self.base
            .get(id)
            .or_else(|| self.target.get(id))
            .map(|object| object.name())
    }
}

fn link_changes(
    kind: LinkKind,
    source: &ObjectId,
    base: &Content,
    target: &Content,
    names: &Names<'_>,
) -> Vec<LinkChange> {
    let before: BTreeSet<&ObjectId> = base
        .links_of(kind, source)
        .iter()
        .map(|link| &link.target)
        .collect();
    let after: BTreeSet<&ObjectId> = target
        .links_of(kind, source)
        .iter()
        .map(|link| &link.target)
        .collect();
    let change = |id: &ObjectId, direction| LinkChange {
        kind,
        target: id.clone(),
        target_name: names.name(id),
        direction,
    };
    let removed = before
        .difference(&after)
        .filter(|id| !names.gone(id))
        .map(|id| change(id, Direction::Removed));
    let added = after
        .difference(&before)
        .map(|id| change(id, Direction::Added));
    removed.chain(added).collect()
}

#[cfg(test)]
pub(crate) mod tests;
