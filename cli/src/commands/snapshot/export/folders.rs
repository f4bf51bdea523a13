//! One JSON file per object, in the layout that users of Microsoft's EntraExporter
//! know: a folder per type, in it a folder and a file per id, and below an
//! object's folder what it holds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use model::catalogue::OWNER;
use model::{Link, Object, ObjectId, ObjectState, ObjectType};
use serde_json::{Map, Value, json};

use super::{Root, file_name};
use crate::failure::Failure;

/// Where the recycle bin is written, which EntraExporter leaves out.
const BIN: &str = "DeletedItems";

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// What the ends of links are called.
    names: HashMap<ObjectId, Names>,
}

/// What is written of the object at the end of a link.
#[derive(Debug)]
struct Names {
    display_name: Option<Box<str>>,
    user_principal_name: Option<Box<str>>,
}

impl Folders {
    pub(super) fn object(&mut self, root: &Root, object: &Object) -> Result<(), Failure> {
        let body = object.body();
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(Box::from);
        let can_be_linked = matches!(
            object.object_type,
            ObjectType::User | ObjectType::Group | ObjectType::ServicePrincipal
        );
        if can_be_linked && object.state == ObjectState::Live {
            let names = Names {
                display_name: text("displayName"),
                user_principal_name: text("userPrincipalName"),
            };
            self.names.insert(object.id.clone(), names);
        }
        let path = path(object, &body);
        root.json(&path, &Value::Object(body))
    }

    pub(super) fn link(&self, root: &Root, link: &Link) -> Result<(), Failure> {
        let names = self.names.get(&link.target);
        let mut end = Map::new();
        end.insert("id".to_owned(), json!(link.target.as_str()));
        let texts = [
            (
                "displayName",
                names.and_then(|names| names.display_name.as_deref()),
            ),
            (
                "userPrincipalName",
                names.and_then(|names| names.user_principal_name.as_deref()),
            ),
        ];
        for (key, text) in texts {
            end.extend(text.map(|text| (key.to_owned(), json!(text))));
        }
        let source = Path::new(folder(link.kind.source_type())).join(file_name(&link.source));
        let relation = capitalised(link.kind.spec().relation);
        root.json(
            &in_folder(&source.join(relation), &link.target),
            &Value::Object(end),
        )
    }
}

fn in_folder(folder: &Path, id: &ObjectId) -> PathBuf {
    let name = file_name(id);
    folder.join(&name).join(format!("{name}.json"))
}

fn path(object: &Object, body: &Map<String, Value>) -> PathBuf {
    let own = PathBuf::from(folder(object.object_type));
    let place = holder(object.object_type, body).map_or(own, |(holder, id)| {
        Path::new(folder(holder))
            .join(file_name(&id))
            .join(folder(object.object_type))
    });
    match (object.object_type, object.state) {
        (ObjectType::Organization, _) => place.join("Organization.json"),
        (_, ObjectState::Live) => in_folder(&place, &object.id),
        (_, ObjectState::Deleted) => in_folder(&Path::new(BIN).join(place), &object.id),
    }
}

/// The object in whose folder one of a type lies.
fn holder(object_type: ObjectType, body: &Map<String, Value>) -> Option<(ObjectType, ObjectId)> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let (holder, key) = match object_type {
        ObjectType::OAuth2PermissionGrant => (ObjectType::ServicePrincipal, "clientId"),
        ObjectType::FederatedIdentityCredential => (ObjectType::Application, OWNER),
        ObjectType::AppRoleAssignment => match text("principalType")? {
            "User" => (ObjectType::User, "principalId"),
            "Group" => (ObjectType::Group, "principalId"),
            "ServicePrincipal" => (ObjectType::ServicePrincipal, "principalId"),
            _ => return None,
        },
        _ => return None,
    };
    Some((holder, ObjectId::parse(text(key)?).ok()?))
}

/// The folder of a type.
fn folder(object_type: ObjectType) -> &'static str {
    match object_type {
        ObjectType::User => "Users",
        ObjectType::Group => "Groups",
        ObjectType::Application => "Applications",
        ObjectType::ServicePrincipal => "ServicePrincipals",
        ObjectType::NamedLocation => "Identity/Conditional/NamedLocations",
        ObjectType::ConditionalAccessPolicy => "Identity/Conditional/AccessPolicies",
        ObjectType::OAuth2PermissionGrant => "Oauth2PermissionGrants",
        ObjectType::AppRoleAssignment => "AppRoleAssignments",
        ObjectType::AuthenticationMethodsPolicy => "Policies/AuthenticationMethodsPolicy",
        ObjectType::AuthorizationPolicy => "Policies/AuthorizationPolicy",
        ObjectType::AuthenticationStrengthPolicy => "Policies/AuthenticationStrengthPolicies",
        ObjectType::AuthenticationContextClassReference => {
            "Identity/Conditional/AuthenticationContexts"
        }
        ObjectType::Organization => "Organization",
        ObjectType::AdministrativeUnit => "AdministrativeUnits",
        ObjectType::RoleAssignment => "RoleManagement/Directory/RoleAssignments",
        ObjectType::FederatedIdentityCredential => "FederatedIdentityCredentials",
    }
}

/// `members` as `Members`.
fn capitalised(relation: &str) -> String {
    let mut letters = relation.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
