//! A directory object and a link between two, as they were read.

use serde_json::{Map, Value};

use crate::catalogue::{LinkKind, ObjectType};
use crate::id::{InvalidId, ObjectId};
use crate::json::{Apart, apart};

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
        Self::from_apart(object_type, state, &apart(json, &[])?)
    }

    /// Takes one object without what was taken out of it.
    ///
    /// # Errors
    /// [`MalformedObject`] where it is no JSON object with an `id`.
    pub fn from_apart(
        object_type: ObjectType,
        state: ObjectState,
        apart: &Apart<'_>,
    ) -> Result<Self, MalformedObject> {
        Ok(Self {
            object_type,
            id: Self::id_in(apart)?,
            state,
            json: apart.rest().into(),
        })
    }

    /// The id in the JSON text of one object, which is looked at whole: what is
    /// taken here must never fail to parse later.
    ///
    /// # Errors
    /// [`MalformedObject`] where it is no JSON object with an `id`.
    pub fn id_of(json: &str) -> Result<ObjectId, MalformedObject> {
        Self::id_in(&apart(json, &[])?)
    }

    /// The id in an object that was taken apart.
    ///
    /// # Errors
    /// [`MalformedObject`] where it is no JSON object with an `id`.
    pub fn id_in(apart: &Apart<'_>) -> Result<ObjectId, MalformedObject> {
        if !apart.is_object {
            return Err(MalformedObject::NotAnObject);
        }
        let id = apart.id.as_ref().ok_or(MalformedObject::NoId)?;
        Ok(ObjectId::parse(id)?)
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

    /// What a person calls the object by its body alone, else the id.
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

/// What a person calls an object with this body; `None` where the body tells no
/// name.
#[must_use]
pub fn name_of(body: &Map<String, Value>) -> Option<String> {
    name_with(body, |_| None)
}

/// The same, with the names of other objects looked up by id: a grant has no
/// name of its own and is called by those that it ties together.
#[must_use]
pub fn name_with(
    body: &Map<String, Value>,
    look_up: impl Fn(&ObjectId) -> Option<String>,
) -> Option<String> {
    let text = |key: &str| {
        body.get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let known = |key: &str| {
        let id = text(key)?;
        let name = ObjectId::parse(id).ok().and_then(|id| look_up(&id));
        Some(name.unwrap_or_else(|| id.to_owned()))
    };
    let shown = |name: &str, id: &str| text(name).map(str::to_owned).or_else(|| known(id));
    if let Some(name) = ["displayName", "userPrincipalName", "name"]
        .into_iter()
        .find_map(text)
    {
        return Some(name.to_owned());
    }
    // `appRoleAssignment`
    if body.contains_key("appRoleId") {
        let principal = shown("principalDisplayName", "principalId")?;
        let resource = shown("resourceDisplayName", "resourceId")?;
        return Some(format!("{principal} in {resource}"));
    }
    // `unifiedRoleAssignment`
    if body.contains_key("roleDefinitionId") {
        let (principal, role) = (known("principalId")?, text("roleDefinitionId")?);
        let scope = text("directoryScopeId").or_else(|| text("appScopeId"));
        return Some(match scope.filter(|scope| *scope != "/") {
            Some(scope) => format!("{principal} in role {role} at {scope}"),
            None => format!("{principal} in role {role}"),
        });
    }
    // `oAuth2PermissionGrant`
    let (client, resource) = (known("clientId")?, known("resourceId")?);
    let whom = match known("principalId") {
        Some(user) => format!("for {user}"),
        None => FOR_EVERYONE.to_owned(),
    };
    let scope = text("scope").unwrap_or_default();
    let scope: Vec<&str> = scope.split_whitespace().collect();
    Some(format!(
        "{client} to {resource} {whom}: {}",
        scope.join(" ")
    ))
}

/// How the name of a delegated grant says that it holds for every user.
const FOR_EVERYONE: &str = "for everyone";

/// Whether the name of a delegated grant says that it holds for every user. A
/// client or resource may be called so as to look like it; none that does hold for
/// every user looks otherwise.
#[must_use]
pub fn is_for_everyone(name: &str) -> bool {
    name.contains(&format!(" {FOR_EVERYONE}: "))
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

    #[test]
    fn what_has_no_name_is_called_by_what_it_ties_together() {
        let check = |body: serde_json::Value, alone: &str, known: &str| {
            let body = body.as_object().expect("object");
            let look_up = |id: &ObjectId| (id.as_str() == "p").then(|| "Adele".to_owned());
            assert_eq!(name_of(body).as_deref(), Some(alone));
            assert_eq!(name_with(body, look_up).as_deref(), Some(known));
        };
        use serde_json::json;
        check(
            json!({"appRoleId": "r", "principalId": "p", "resourceId": "s", "principalDisplayName": "Adele V", "resourceDisplayName": "Payroll"}),
            "Adele V in Payroll",
            "Adele V in Payroll",
        );
        check(
            json!({"appRoleId": "r", "principalId": "p", "resourceId": "s", "principalDisplayName": null}),
            "p in s",
            "Adele in s",
        );
        check(
            json!({"clientId": "c", "resourceId": "s", "consentType": "AllPrincipals", "principalId": null, "scope": " User.Read  Mail.Read"}),
            "c to s for everyone: User.Read Mail.Read",
            "c to s for everyone: User.Read Mail.Read",
        );
        check(
            json!({"clientId": "c", "resourceId": "s", "principalId": "p", "scope": "User.Read"}),
            "c to s for p: User.Read",
            "c to s for Adele: User.Read",
        );
        check(
            json!({"principalId": "p", "roleDefinitionId": "d", "directoryScopeId": "/"}),
            "p in role d",
            "Adele in role d",
        );
        check(
            json!({"principalId": "p", "roleDefinitionId": "d", "directoryScopeId": "/administrativeUnits/a"}),
            "p in role d at /administrativeUnits/a",
            "Adele in role d at /administrativeUnits/a",
        );
        check(
            json!({"name": "deploy", "issuer": "https://ci.example.com", "subject": "main"}),
            "deploy",
            "deploy",
        );
        assert_eq!(name_of(&Map::new()), None);
    }
}
