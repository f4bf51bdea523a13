//! A directory object and a link between two, as they were read.

use serde_json::{Map, Value};

use crate::catalogue::{LinkKind, ObjectType};
use crate::id::{InvalidId, ObjectId};
use crate::json::Head;

/// Whether an object was live or in the recycle bin when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectState {
    /// Part of the directory.
    Live,
    /// Soft-deleted: restorable for 30 days.
    Deleted,
}

/// A body that is no directory object.
#[derive(Debug, thiserror::Error)]
pub enum MalformedObject {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The JSON is not an object.
    #[error("a JSON object is expected")]
    NotAnObject,
    /// There is no `id`, or it is no string.
    #[error("property id is missing or not a string")]
    NoId,
    /// The `id` is not one.
    #[error(transparent)]
    BadId(#[from] InvalidId),
}

/// One directory object, with everything that Graph sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The catalogue type.
    pub object_type: ObjectType,
    /// Graph's id.
    pub id: ObjectId,
    /// Live or soft-deleted.
    pub state: ObjectState,
    /// The JSON object that Graph sent.
    pub json: Box<str>,
}

impl Object {
    /// Takes the JSON text of one object as Graph sent it.
    ///
    /// # Errors
    /// [`MalformedObject`] where it is no JSON object with an `id`.
    pub fn from_json(
        object_type: ObjectType,
        state: ObjectState,
        json: &str,
    ) -> Result<Self, MalformedObject> {
        // Looked at whole: what is taken here must never fail to parse later.
        let head = Head::read(json)?;
        if !head.is_object {
            return Err(MalformedObject::NotAnObject);
        }
        let id = head.id.ok_or(MalformedObject::NoId)?;
        let id = ObjectId::parse(&id)?;
        Ok(Self {
            object_type,
            id,
            state,
            json: json.into(),
        })
    }

    /// Takes a parsed body.
    ///
    /// # Errors
    /// [`MalformedObject`] where it has no usable `id`.
    pub fn from_body(
        object_type: ObjectType,
        state: ObjectState,
        body: &Map<String, Value>,
    ) -> Result<Self, MalformedObject> {
        let id = body
            .get("id")
            .and_then(Value::as_str)
            .ok_or(MalformedObject::NoId)?;
        let id = ObjectId::parse(id)?;
        let json = serde_json::to_string(body)?.into();
        Ok(Self {
            object_type,
            id,
            state,
            json,
        })
    }

    /// The body, parsed.
    #[must_use]
    pub fn body(&self) -> Map<String, Value> {
        serde_json::from_str(&self.json)
            .expect("invariant: an object's json was parsed when it was taken")
    }

    /// What a person calls the object: `displayName`, else the id.
    #[must_use]
    pub fn name(&self) -> String {
        name_of(&self.body()).unwrap_or_else(|| self.id.to_string())
    }

    /// The key that orders objects everywhere: type, then id.
    #[must_use]
    pub fn key(&self) -> (ObjectType, &ObjectId) {
        (self.object_type, &self.id)
    }
}

/// The display name in a body, where there is one.
#[must_use]
pub fn name_of(body: &Map<String, Value>) -> Option<String> {
    ["displayName", "userPrincipalName"]
        .iter()
        .find_map(|key| {
            body.get(*key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        })
        .map(str::to_owned)
}

/// A named object, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// The catalogue type.
    pub object_type: ObjectType,
    /// Graph's id.
    pub id: ObjectId,
    /// What a person calls it.
    pub name: String,
}

/// A link from one object to another: a membership, an owner, a manager.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// Which relation.
    pub kind: LinkKind,
    /// The object that holds the relation: the group, the application, the user.
    pub source: ObjectId,
    /// The object at the other end: the member, the owner, the manager.
    pub target: ObjectId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_can_be_parsed_again() {
        let take = |json: &str| Object::from_json(ObjectType::User, ObjectState::Live, json);
        let deep = format!(r#"{{"id":"a","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        for bad in [
            r#"{"id":"a","x":1e999}"#,
            r#"{"id":"a","x":"\ud800"}"#,
            &deep,
            "[]",
            "{}",
            r#"{"id":""}"#,
            r#"{"id":7}"#,
            "x",
        ] {
            assert!(take(bad).is_err(), "{bad}");
        }
        let object = take(r#"{"id":"a","userPrincipalName":"u@example.com","displayName":""}"#)
            .expect("well-formed");
        assert_eq!(object.name(), "u@example.com");
    }
}
