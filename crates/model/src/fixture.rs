//! Small tenants for the tests of this crate.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::catalogue::{LinkKind, ObjectType};
use crate::id::ObjectId;
use crate::object::{Link, Object, ObjectState};
use crate::snapshot::{Completeness, Content, Kind, Method};

pub(crate) fn id(n: u8) -> ObjectId {
    ObjectId::parse(&format!("00000000-0000-4000-8000-0000000000{n:02x}")).expect("valid")
}

/// An object with id `n` and the given further properties.
pub(crate) fn object(
    object_type: ObjectType,
    n: u8,
    state: ObjectState,
    mut body: Value,
) -> Object {
    body["id"] = json!(id(n).as_str());
    Object::from_body(object_type, state, body.as_object().expect("object")).expect("well-formed")
}

pub(crate) fn link(kind: LinkKind, source: u8, target: u8) -> Link {
    Link {
        kind,
        source: id(source),
        target: id(target),
    }
}

/// Content in which every kind is complete.
pub(crate) fn content(objects: Vec<Object>, links: Vec<Link>) -> Content {
    let completeness = Kind::all()
        .into_iter()
        .map(|kind| Completeness::begun(kind, Method::SingleRead, DateTime::UNIX_EPOCH));
    Content {
        objects,
        links,
        completeness: completeness.collect(),
    }
    .sorted()
}

pub(crate) fn group(n: u8) -> Object {
    object(
        ObjectType::Group,
        n,
        ObjectState::Live,
        json!({"displayName": format!("Group {n}"), "groupTypes": [], "securityEnabled": true}),
    )
}

pub(crate) fn user(n: u8, title: &str) -> Object {
    object(
        ObjectType::User,
        n,
        ObjectState::Live,
        json!({"displayName": format!("User {n}"), "jobTitle": title, "accountEnabled": true}),
    )
}
