//! Which other objects a Conditional Access policy names.
//!
//! Literals such as `All` or `AllTrusted` name no object and are left out.

use serde_json::{Map, Value};

mod chosen;

pub use chosen::{Chosen, InvalidChoice, Refused};

/// What kind of object is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// A user, by id.
    User,
    /// A group, by id.
    Group,
    /// A directory role, by template id.
    Role,
    /// An application, by `appId`.
    Application,
    /// A service principal, by id.
    ServicePrincipal,
    /// A named location, by id.
    Location,
    /// An authentication strength, by id.
    Strength,
}

impl ReferenceKind {
    /// What a person calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
            Self::Application => "application",
            Self::ServicePrincipal => "service principal",
            Self::Location => "named location",
            Self::Strength => "authentication strength",
        }
    }
}

/// One object that a policy names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// What kind of object.
    pub kind: ReferenceKind,
    /// Its id, lowercase; of applications the `appId`.
    pub id: String,
}

/// Where policies name objects.
const PLACES: [(&str, ReferenceKind); 13] = [
    ("/conditions/users/includeUsers", ReferenceKind::User),
    ("/conditions/users/excludeUsers", ReferenceKind::User),
    ("/conditions/users/includeGroups", ReferenceKind::Group),
    ("/conditions/users/excludeGroups", ReferenceKind::Group),
    ("/conditions/users/includeRoles", ReferenceKind::Role),
    ("/conditions/users/excludeRoles", ReferenceKind::Role),
    (
        "/conditions/applications/includeApplications",
        ReferenceKind::Application,
    ),
    (
        "/conditions/applications/excludeApplications",
        ReferenceKind::Application,
    ),
    (
        "/conditions/clientApplications/includeServicePrincipals",
        ReferenceKind::ServicePrincipal,
    ),
    (
        "/conditions/clientApplications/excludeServicePrincipals",
        ReferenceKind::ServicePrincipal,
    ),
    (
        "/conditions/locations/includeLocations",
        ReferenceKind::Location,
    ),
    (
        "/conditions/locations/excludeLocations",
        ReferenceKind::Location,
    ),
    (
        "/grantControls/authenticationStrength/id",
        ReferenceKind::Strength,
    ),
];

/// The all-zero GUID stands for the multifactor-authentication trusted IPs.
const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// Every object that a policy body names, each once.
#[must_use]
pub fn references(policy: &Map<String, Value>) -> Vec<Reference> {
    named(policy, "")
}

/// Every object that a policy body excludes from what it demands.
#[must_use]
pub fn exclusions(policy: &Map<String, Value>) -> Vec<Reference> {
    named(policy, "/exclude")
}

fn named(policy: &Map<String, Value>, part: &str) -> Vec<Reference> {
    let conditions = Value::Object(policy.clone());
    let mut found: Vec<Reference> = PLACES
        .iter()
        .filter(|(place, _)| place.contains(part))
        .flat_map(|(place, kind)| {
            let ids = match conditions.pointer(place) {
                Some(Value::Array(ids)) => ids.clone(),
                Some(id) => vec![id.clone()],
                None => Vec::new(),
            };
            ids.into_iter().filter_map(move |id| {
                Some(Reference {
                    kind: *kind,
                    id: object_id(id.as_str()?)?,
                })
            })
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// A GUID, lowercase; `None` for literals.
fn object_id(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?.to_string();
    (id != ZERO).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_strength_is_named_by_the_controls() {
        let id = "0a1b2c3d-0000-4000-8000-000000000001";
        let body = json!({"conditions": {"users": {"includeUsers": ["All"]}},
            "grantControls": {"authenticationStrength": {"id": id, "displayName": "Strong"}}});
        let body = body.as_object().expect("object");
        let strength = Reference {
            kind: ReferenceKind::Strength,
            id: id.to_owned(),
        };
        assert_eq!(references(body), [strength]);
        assert_eq!(exclusions(body), []);
    }

    #[test]
    fn literals_name_nothing() {
        let body = json!({"conditions": {
            "users": {"includeUsers": ["All", "GuestsOrExternalUsers"], "excludeGroups": ["0A1B2C3D-0000-4000-8000-000000000001"]},
            "applications": {"includeApplications": ["Office365"]},
            "locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted", ZERO]}}});
        let found = references(body.as_object().expect("object"));
        assert_eq!(
            found,
            [Reference {
                kind: ReferenceKind::Group,
                id: "0a1b2c3d-0000-4000-8000-000000000001".to_owned()
            }]
        );
    }
}
