//! Scopes and changes.

use std::collections::BTreeSet;

use model::catalogue::Class;
use model::diff::{AttributeChange, Change, ChangeKind, Direction, LinkChange, Obstacle, Scope};
use model::{LinkKind, ObjectId, ObjectRef, ObjectType};
use serde_json::Value;

use super::InvalidMessage;
use crate::v1;

/// The most ids that a scope may name.
const MOST_IDS: usize = 10_000;

/// A scope from its message; an absent one holds everything.
///
/// # Errors
/// [`InvalidMessage`] for an unknown type, a malformed id or too many ids.
pub fn model_scope(scope: Option<&v1::Scope>) -> Result<Scope, InvalidMessage> {
    let Some(scope) = scope else {
        return Ok(Scope::default());
    };
    if scope.ids.len() > MOST_IDS {
        return Err(InvalidMessage::new(
            "scope.ids",
            format!("at most {MOST_IDS} ids may be named"),
        ));
    }
    let types: Result<BTreeSet<ObjectType>, _> = scope
        .types
        .iter()
        .map(|name| object_type("scope.types", name))
        .collect();
    let ids: Result<BTreeSet<ObjectId>, _> = scope
        .ids
        .iter()
        .map(|id| ObjectId::parse(id).map_err(|error| InvalidMessage::new("scope.ids", error)))
        .collect();
    Ok(Scope {
        types: types?,
        ids: ids?,
    })
}

/// A scope as a message.
#[must_use]
pub fn scope(scope: &Scope) -> v1::Scope {
    v1::Scope {
        types: scope.types.iter().map(ToString::to_string).collect(),
        ids: scope.ids.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn object_type(field: &str, name: &str) -> Result<ObjectType, InvalidMessage> {
    ObjectType::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = ObjectType::ALL
            .iter()
            .map(|object_type| object_type.name())
            .collect();
        InvalidMessage::new(
            field,
            format!(
                "{name:?} is no type; one of {} is expected",
                known.join(", ")
            ),
        )
    })
}

/// A named object as a message.
#[must_use]
pub fn object_ref(object: &ObjectRef) -> v1::ObjectRef {
    v1::ObjectRef {
        r#type: object.object_type.to_string(),
        id: object.id.to_string(),
        display_name: object.name.clone(),
    }
}

pub(super) fn model_object_ref(
    object: Option<&v1::ObjectRef>,
) -> Result<ObjectRef, InvalidMessage> {
    let object = object.ok_or_else(|| InvalidMessage::new("object", "is missing"))?;
    Ok(ObjectRef {
        object_type: object_type("object.type", &object.r#type)?,
        id: ObjectId::parse(&object.id).map_err(|error| InvalidMessage::new("object.id", error))?,
        name: object.display_name.clone(),
    })
}

/// Pairs of model and message values of one closed set.
macro_rules! closed_set {
    ($to:ident, $from:ident, $model:ty, $message:ty, $field:literal, $($variant:ident => $other:ident),+ $(,)?) => {
        pub(super) fn $to(value: $model) -> i32 {
            match value { $(<$model>::$variant => <$message>::$other as i32),+ }
        }

        pub(super) fn $from(value: i32) -> Result<$model, InvalidMessage> {
            match <$message>::try_from(value) {
                $(Ok(<$message>::$other) => Ok(<$model>::$variant),)+
                _ => Err(InvalidMessage::new($field, format!("{value} is not known"))),
            }
        }
    };
}
pub(super) use closed_set;

closed_set!(kind, model_kind, ChangeKind, v1::ChangeKind, "kind",
    Added => Added, Modified => Modified, SoftDeleted => SoftDeleted, HardDeleted => HardDeleted, Restored => Restored);
closed_set!(direction, model_direction, Direction, v1::LinkDirection, "direction", Added => Added, Removed => Removed);
closed_set!(obstacle, model_obstacle, Obstacle, v1::Obstacle, "obstacle",
    HardDeleted => HardDeleted, OnPremisesSynced => OnPremisesSynced, DynamicMembership => DynamicMembership,
    ReadOnly => ReadOnly, Secret => Secret, OwnEndpoint => OwnEndpoint, AddedKept => AddedKept,
    NotSoftDeletable => NotSoftDeletable, UnresolvedReference => UnresolvedReference,
    LinkEndMissing => LinkEndMissing, RelationshipsSkipped => RelationshipsSkipped,
    CredentialAdded => CredentialAdded, ExchangeManaged => ExchangeManaged,
    TypeNotRestored => TypeNotRestored, OwnAccess => OwnAccess,
    LastAdministrator => LastAdministrator, PermissionMissing => PermissionMissing,
    LockoutRisk => LockoutRisk, ReportOnly => ReportOnly,
    WholeObject => WholeObject, ChangedSince => ChangedSince, NotJournalled => NotJournalled,
    NotRecreatable => NotRecreatable, ByHand => ByHand);

fn class(class: Class) -> i32 {
    let class = match class {
        Class::Restorable => v1::AttributeClass::Restorable,
        Class::ReadOnly | Class::Copied | Class::Volatile => v1::AttributeClass::ReadOnly,
        Class::Secret => v1::AttributeClass::Secret,
        Class::OwnEndpoint => v1::AttributeClass::OwnEndpoint,
    };
    class as i32
}

fn model_class(value: i32) -> Result<Class, InvalidMessage> {
    match v1::AttributeClass::try_from(value) {
        Ok(v1::AttributeClass::Restorable) => Ok(Class::Restorable),
        Ok(v1::AttributeClass::ReadOnly) => Ok(Class::ReadOnly),
        Ok(v1::AttributeClass::Secret) => Ok(Class::Secret),
        Ok(v1::AttributeClass::OwnEndpoint) => Ok(Class::OwnEndpoint),
        _ => Err(InvalidMessage::new(
            "class",
            format!("{value} is not known"),
        )),
    }
}

fn json(field: &str, text: &str) -> Result<Value, InvalidMessage> {
    serde_json::from_str(text).map_err(|error| InvalidMessage::new(field, error))
}

pub(super) fn attribute(change: &AttributeChange) -> v1::AttributeChange {
    let texts = |values: &[Value]| values.iter().map(Value::to_string).collect();
    v1::AttributeChange {
        path: change.path.clone(),
        before_json: change.before.as_ref().map(Value::to_string),
        after_json: change.after.as_ref().map(Value::to_string),
        added_json: texts(&change.added),
        removed_json: texts(&change.removed),
        class: class(change.class),
    }
}

pub(super) fn model_attribute(
    change: &v1::AttributeChange,
) -> Result<AttributeChange, InvalidMessage> {
    let values = |field: &str, texts: &[String]| {
        texts
            .iter()
            .map(|text| json(field, text))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(AttributeChange {
        path: change.path.clone(),
        before: change
            .before_json
            .as_deref()
            .map(|text| json("before_json", text))
            .transpose()?,
        after: change
            .after_json
            .as_deref()
            .map(|text| json("after_json", text))
            .transpose()?,
        added: values("added_json", &change.added_json)?,
        removed: values("removed_json", &change.removed_json)?,
        class: model_class(change.class)?,
    })
}

pub(super) fn link(change: &LinkChange) -> v1::LinkChange {
    v1::LinkChange {
        relation: change.kind.name().to_owned(),
        target_id: change.target.to_string(),
        target_name: change.target_name.clone().unwrap_or_default(),
        direction: direction(change.direction),
    }
}

pub(super) fn model_link(change: &v1::LinkChange) -> Result<LinkChange, InvalidMessage> {
    Ok(LinkChange {
        kind: LinkKind::from_name(&change.relation).ok_or_else(|| {
            InvalidMessage::new("relation", format!("{:?} is not known", change.relation))
        })?,
        target: ObjectId::parse(&change.target_id)
            .map_err(|error| InvalidMessage::new("target_id", error))?,
        target_name: Some(change.target_name.clone()).filter(|name| !name.is_empty()),
        direction: model_direction(change.direction)?,
    })
}

/// A change as a message.
#[must_use]
pub fn change(change: &Change) -> v1::Change {
    v1::Change {
        object: Some(object_ref(&change.object)),
        kind: kind(change.kind),
        attributes: change.attributes.iter().map(attribute).collect(),
        links: change.links.iter().map(link).collect(),
        obstacles: change.obstacles.iter().map(|one| obstacle(*one)).collect(),
        ..v1::Change::default()
    }
}

/// A change from its message, without what is told beside it: activities and
/// references.
///
/// # Errors
/// [`InvalidMessage`] where a field does not fit the model.
pub fn model_change(change: &v1::Change) -> Result<Change, InvalidMessage> {
    Ok(Change {
        object: model_object_ref(change.object.as_ref())?,
        kind: model_kind(change.kind)?,
        attributes: change
            .attributes
            .iter()
            .map(model_attribute)
            .collect::<Result<_, _>>()?,
        links: change
            .links
            .iter()
            .map(model_link)
            .collect::<Result<_, _>>()?,
        obstacles: change
            .obstacles
            .iter()
            .map(|one| model_obstacle(*one))
            .collect::<Result<_, _>>()?,
    })
}

/// How many changes there are of each kind.
#[must_use]
pub fn counts(changes: &[Change]) -> v1::ChangeCounts {
    let mut counts = v1::ChangeCounts::default();
    for change in changes {
        count(&mut counts, change);
    }
    counts
}

/// The same of each type, in the order in which the types come; the changes of a
/// type are beside one another.
#[must_use]
pub fn type_counts(changes: &[Change]) -> Vec<v1::TypeCounts> {
    let of_type = |changes: &[Change]| v1::TypeCounts {
        r#type: changes[0].object.object_type.name().to_owned(),
        counts: Some(counts(changes)),
    };
    changes
        .chunk_by(|one, next| one.object.object_type == next.object.object_type)
        .map(of_type)
        .collect()
}

fn count(counts: &mut v1::ChangeCounts, change: &Change) {
    let of_kind = match change.kind {
        ChangeKind::Added => &mut counts.added,
        ChangeKind::Modified => &mut counts.modified,
        ChangeKind::SoftDeleted => &mut counts.soft_deleted,
        ChangeKind::HardDeleted => &mut counts.hard_deleted,
        ChangeKind::Restored => &mut counts.restored,
    };
    *of_kind += 1;
    counts.links += i64::try_from(change.links.len()).unwrap_or(i64::MAX);
}
