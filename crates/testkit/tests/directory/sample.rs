//! A small tenant with one of everything.

use model::catalogue::OWNER;
use model::snapshot::Content;
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::{Value, json};

pub(crate) fn id(number: u32) -> ObjectId {
    ObjectId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
}

pub(crate) fn object(
    object_type: ObjectType,
    state: ObjectState,
    number: u32,
    mut body: Value,
) -> Object {
    body["id"] = json!(id(number).as_str());
    if object_type == ObjectType::User && body.get("userPrincipalName").is_none() {
        body["userPrincipalName"] = json!(format!("user{number}@contoso.example"));
    }
    Object::from_body(object_type, state, body.as_object().unwrap()).unwrap()
}

pub(crate) fn link(kind: LinkKind, source: u32, target: u32) -> Link {
    Link {
        kind,
        source: id(source),
        target: id(target),
    }
}

pub(crate) fn content() -> Content {
    use LinkKind::{
        AdministrativeUnitMembers, ApplicationOwners, GroupMembers, GroupOwners,
        ServicePrincipalOwners, UserManager, UserSponsors,
    };
    use ObjectState::{Deleted, Live};
    use ObjectType::{
        AdministrativeUnit, AppRoleAssignment, Application, AuthenticationContextClassReference,
        AuthenticationMethodsPolicy, AuthenticationStrengthPolicy, AuthorizationPolicy,
        ConditionalAccessPolicy, FederatedIdentityCredential, Group, NamedLocation,
        OAuth2PermissionGrant, Organization, RoleAssignment, ServicePrincipal, User,
    };
    let mut objects: Vec<Object> = (1..=5)
        .map(|number| object(User, Live, number, json!({"displayName": format!("User {number}"), "jobTitle": "manager", "accountEnabled": true})))
        .collect();
    objects.extend([
        object(User, Deleted, 6, json!({"displayName": "Left", "deletedDateTime": "2026-01-01T00:00:00Z"})),
        object(Group, Live, 11, json!({"displayName": "Staff", "securityEnabled": true, "mailEnabled": false, "groupTypes": []})),
        object(Group, Live, 12, json!({"displayName": "All", "groupTypes": ["DynamicMembership"], "membershipRule": "true"})),
        object(Application, Live, 21, json!({"displayName": "App", "appId": id(91).as_str()})),
        object(ServicePrincipal, Live, 31, json!({"displayName": "App", "appId": id(91).as_str()})),
        object(NamedLocation, Live, 41, json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "Office", "isTrusted": true})),
        object(ConditionalAccessPolicy, Live, 51, json!({"displayName": "MFA", "state": "enabled"})),
        object(ConditionalAccessPolicy, Deleted, 52, json!({"displayName": "Old", "state": "disabled"})),
    ]);
    objects.extend([
        object(OAuth2PermissionGrant, Live, 61, json!({"clientId": id(31).as_str(), "resourceId": id(31).as_str(), "consentType": "AllPrincipals", "scope": "User.Read"})),
        object(AppRoleAssignment, Live, 62, json!({OWNER: id(31).as_str(), "principalId": id(1).as_str(), "resourceId": id(31).as_str()})),
        object(AuthenticationMethodsPolicy, Live, 63, json!({"displayName": "Methods", "authenticationMethodConfigurations": [{"id": "Sms", "state": "disabled"}]})),
        object(AuthorizationPolicy, Live, 64, json!({"displayName": "Authorization", "allowInvitesFrom": "none"})),
        object(AuthenticationStrengthPolicy, Live, 65, json!({"displayName": "Strong", "policyType": "custom"})),
        object(AuthenticationContextClassReference, Live, 66, json!({"displayName": "Contracts", "isAvailable": true})),
        object(Organization, Live, 67, json!({"displayName": "Contoso"})),
        object(AdministrativeUnit, Live, 68, json!({"displayName": "Branch"})),
        object(AdministrativeUnit, Deleted, 69, json!({"displayName": "Closed"})),
        object(RoleAssignment, Live, 70, json!({"principalId": id(1).as_str(), "roleDefinitionId": id(92).as_str(), "directoryScopeId": "/"})),
        object(FederatedIdentityCredential, Live, 71, json!({OWNER: id(21).as_str(), "name": "deploy", "subject": "main"})),
    ]);
    let links = vec![
        link(GroupMembers, 11, 1),
        link(GroupMembers, 11, 2),
        link(GroupMembers, 11, 3),
        link(GroupMembers, 12, 5),
        link(GroupOwners, 11, 1),
        link(ApplicationOwners, 21, 2),
        link(ServicePrincipalOwners, 31, 2),
        link(UserManager, 1, 2),
        link(UserManager, 2, 3),
        link(UserSponsors, 4, 11),
        link(AdministrativeUnitMembers, 68, 1),
        link(AdministrativeUnitMembers, 68, 11),
    ];
    Content {
        objects,
        links,
        completeness: Vec::new(),
    }
    .sorted()
}
