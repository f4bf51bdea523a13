//! What a request to make an object anew must name and may not name, and by what the
//! object is found again when the answer to the request was lost.
//!
//! Facts: the pages "Create user", "Upsert group", "Upsert application", "Create
//! servicePrincipal", "Create administrativeUnit", "Create conditionalAccessPolicy",
//! "Create namedLocation" and "Create authenticationStrengthPolicy" of Microsoft Graph
//! v1.0.

use serde_json::{Map, Value};

use super::ObjectType;
use crate::diff::{is_exchange_group, is_synced};

/// What no two objects of a type share, and what a request to make one decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// `userPrincipalName`, by which one user is read.
    SignInName,
    /// `uniqueName`, an alternate key; with `Prefer: create-if-missing` a PATCH by it
    /// makes the object, and repeated changes nothing.
    UniqueName,
    /// `appId`, an alternate key.
    AppId,
}

impl Key {
    /// Graph's name of the property.
    #[must_use]
    pub fn property(self) -> &'static str {
        match self {
            Self::SignInName => "userPrincipalName",
            Self::UniqueName => "uniqueName",
            Self::AppId => "appId",
        }
    }
}

/// How objects of a type are made anew.
#[derive(Debug, Clone, Copy)]
pub struct Creation {
    /// By what one is found again; `None` where nothing tells it from another.
    pub key: Option<Key>,
    /// Properties that only such a request may set.
    pub only_then: &'static [&'static str],
    /// Properties that can be written and yet do not go into it: they name a
    /// credential that is lost.
    pub left_out: &'static [&'static str],
}

/// How objects of a type are made anew; `None` where they are not: contexts are
/// brought back by an update, relations by themselves, and of a policy that a tenant
/// has one of none is ever gone.
#[must_use]
pub fn creation(object_type: ObjectType) -> Option<Creation> {
    let made = |key, only_then, left_out| {
        Some(Creation {
            key,
            only_then,
            left_out,
        })
    };
    match object_type {
        ObjectType::User => made(Some(Key::SignInName), &[], &[]),
        ObjectType::Group => made(
            Some(Key::UniqueName),
            &[
                "isAssignableToRole",
                "mailEnabled",
                "resourceBehaviorOptions",
            ],
            &[],
        ),
        ObjectType::Application => made(Some(Key::UniqueName), &[], &["tokenEncryptionKeyId"]),
        ObjectType::ServicePrincipal => made(
            Some(Key::AppId),
            &["appId"],
            &["preferredTokenSigningKeyThumbprint", "tokenEncryptionKeyId"],
        ),
        ObjectType::AdministrativeUnit => made(None, &["isMemberManagementRestricted"], &[]),
        ObjectType::NamedLocation
        | ObjectType::ConditionalAccessPolicy
        | ObjectType::AuthenticationStrengthPolicy => made(None, &[], &[]),
        ObjectType::OAuth2PermissionGrant
        | ObjectType::AppRoleAssignment
        | ObjectType::AuthenticationMethodsPolicy
        | ObjectType::AuthorizationPolicy
        | ObjectType::AuthenticationContextClassReference
        | ObjectType::Organization
        | ObjectType::RoleAssignment
        | ObjectType::FederatedIdentityCredential => None,
    }
}

/// Why one object cannot be made anew, in a sentence; `None` where nothing is in the
/// way.
#[must_use]
pub fn refusal(object_type: ObjectType, body: &Map<String, Value>) -> Option<&'static str> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let is = |name: &str, value: &str| text(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
    match object_type {
        _ if creation(object_type).is_none() => Some("objects of the type cannot be made anew"),
        ObjectType::User | ObjectType::Group if is_synced(body) => {
            Some("its source of authority is on-premises; the synchronisation makes it anew")
        }
        ObjectType::User if is("creationType", "Invitation") || is("userType", "Guest") => {
            Some("a guest can only be invited again")
        }
        ObjectType::User if text("userPrincipalName").is_none() => {
            Some("the snapshot does not hold its sign-in name")
        }
        ObjectType::Group if is_exchange_group(body) => {
            Some("belongs to Exchange; Graph cannot make it")
        }
        ObjectType::ServicePrincipal
            if !is("servicePrincipalType", "Application")
                && text("servicePrincipalType").is_some() =>
        {
            Some("only the service that it belongs to makes such a service principal")
        }
        ObjectType::ServicePrincipal if text("appId").is_none() => {
            Some("the snapshot does not hold its appId")
        }
        ObjectType::AuthenticationStrengthPolicy if is("policyType", "builtIn") => {
            Some("is Microsoft's own")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_made_is_told() {
        let check = |object_type, body: Value, possible: bool| {
            let body = body.as_object().cloned().unwrap_or_default();
            let refused = refusal(object_type, &body);
            assert_eq!(refused.is_none(), possible, "{object_type} {refused:?}");
        };
        let user = json!({"userPrincipalName": "a@b.c", "userType": "Member"});
        check(ObjectType::User, user, true);
        check(ObjectType::User, json!({}), false);
        let guest = json!({"userPrincipalName": "a@b.c", "userType": "Guest"});
        check(ObjectType::User, guest, false);
        let synced = json!({"userPrincipalName": "a@b.c", "onPremisesSyncEnabled": true});
        check(ObjectType::User, synced, false);
        check(ObjectType::Group, json!({"groupTypes": []}), true);
        let mail = json!({"groupTypes": [], "mailEnabled": true});
        check(ObjectType::Group, mail, false);
        let synced = json!({"groupTypes": [], "onPremisesSyncEnabled": true});
        check(ObjectType::Group, synced, false);
        check(ObjectType::Application, json!({}), true);
        check(ObjectType::ServicePrincipal, json!({"appId": "a"}), true);
        check(ObjectType::ServicePrincipal, json!({}), false);
        let managed = json!({"appId": "a", "servicePrincipalType": "ManagedIdentity"});
        check(ObjectType::ServicePrincipal, managed, false);
        let strength = |kind: &str| json!({ "policyType": kind });
        let of = ObjectType::AuthenticationStrengthPolicy;
        check(of, strength("custom"), true);
        check(of, strength("builtIn"), false);
        check(ObjectType::Organization, json!({}), false);
        check(ObjectType::RoleAssignment, json!({}), false);
    }

    #[test]
    fn creations_speak_of_properties_that_the_catalogue_knows() {
        for object_type in ObjectType::ALL {
            let Some(creation) = creation(object_type) else {
                continue;
            };
            let key = creation.key.map(Key::property);
            let named = creation.only_then.iter().chain(creation.left_out);
            for name in named.copied().chain(key) {
                let property = object_type.spec().property(name);
                assert!(property.is_some(), "{object_type} {name}");
            }
        }
    }
}
