//! What lets somebody do something: delegated permissions, application roles,
//! directory roles, and the outside identities that an application trusts.
//!
//! Most properties are fixed when the object is made: Graph knows no update,
//! only a new object in place of the old one, which gets another id.

use serde_json::Value;

use super::{
    Class, Lane, OWNER, ObjectType, Property, Reading, Relation, Shape, TypeSpec, read_only,
    scalar, set, volatile,
};

/// The template of the role that may do everything.
///
/// Source: "Microsoft Entra built-in roles".
pub const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";

/// `oAuth2PermissionGrant`: delegated permissions that somebody consented to.
/// Its ids are no GUIDs.
pub static OAUTH2_PERMISSION_GRANT: TypeSpec = TypeSpec {
    object_type: ObjectType::OAuth2PermissionGrant,
    name: "oAuth2PermissionGrant",
    entities: &["oAuth2PermissionGrant"],
    list_path: "/oauth2PermissionGrants",
    select: false,
    // "List oauth2PermissionGrants" documents $filter and nothing else.
    page_size: None,
    reading: Reading::List,
    delta_path: Some("/oauth2PermissionGrants/delta"),
    deleted: None,
    lane: Lane::Directory,
    properties: &[
        scalar("scope").with_spelling(order_words),
        read_only("clientId"),
        read_only("consentType"),
        read_only("principalId"),
        read_only("resourceId"),
    ],
    inline: &[],
    ties: &["clientId", "principalId", "resourceId"],
    relation: Some(Relation {
        key: &["clientId", "consentType", "principalId", "resourceId"],
        made_of: &[
            "clientId",
            "consentType",
            "principalId",
            "resourceId",
            "scope",
        ],
        found_by: "clientId",
    }),
    links: &[],
    rank: 50,
    typed_writes: false,
    read_permissions: &["Directory.Read.All"],
    write_permissions: &["DelegatedPermissionGrant.ReadWrite.All"],
};

/// `appRoleAssignment`: who holds which role of an application. Its ids are
/// made by Graph, so the same assignment made anew has another one; what stays
/// the same is principal, resource and role together.
pub static APP_ROLE_ASSIGNMENT: TypeSpec = TypeSpec {
    object_type: ObjectType::AppRoleAssignment,
    name: "appRoleAssignment",
    entities: &["appRoleAssignment"],
    list_path: "/servicePrincipals/{owner}/appRoleAssignedTo",
    select: false,
    page_size: None,
    reading: Reading::Contained {
        owner: ObjectType::ServicePrincipal,
        relation: "appRoleAssignedTo",
    },
    delta_path: None,
    deleted: None,
    lane: Lane::Directory,
    properties: &[
        read_only("appRoleId"),
        read_only("principalId"),
        read_only("principalType"),
        read_only("resourceId"),
        volatile("principalDisplayName"),
        volatile("resourceDisplayName"),
        // Another when the same assignment was made anew.
        volatile("createdDateTime"),
        volatile("deletedDateTime"),
    ],
    inline: &[],
    ties: &["principalId", "resourceId"],
    relation: Some(Relation {
        key: &["appRoleId", "principalId", "resourceId"],
        made_of: &["appRoleId", "principalId", "resourceId"],
        found_by: "resourceId",
    }),
    links: &[],
    rank: 52,
    typed_writes: false,
    read_permissions: &["Application.Read.All"],
    write_permissions: &["AppRoleAssignment.ReadWrite.All", "Application.Read.All"],
};

/// `unifiedRoleAssignment`: who holds which directory role, and where.
pub static ROLE_ASSIGNMENT: TypeSpec = TypeSpec {
    object_type: ObjectType::RoleAssignment,
    name: "unifiedRoleAssignment",
    entities: &["unifiedRoleAssignment"],
    list_path: "/roleManagement/directory/roleAssignments",
    select: false,
    page_size: None,
    reading: Reading::List,
    delta_path: None,
    deleted: None,
    lane: Lane::Directory,
    properties: &[
        read_only("appScopeId"),
        read_only("condition"),
        read_only("directoryScopeId"),
        read_only("principalId"),
        read_only("principalOrganizationId"),
        read_only("roleDefinitionId"),
    ],
    inline: &[],
    ties: &["principalId"],
    relation: Some(Relation {
        key: &[
            "appScopeId",
            "directoryScopeId",
            "principalId",
            "roleDefinitionId",
        ],
        made_of: &[
            "appScopeId",
            "directoryScopeId",
            "principalId",
            "roleDefinitionId",
        ],
        found_by: "principalId",
    }),
    links: &[],
    rank: 54,
    typed_writes: false,
    read_permissions: &["RoleManagement.Read.Directory"],
    write_permissions: &["RoleManagement.ReadWrite.Directory"],
};

/// `federatedIdentityCredential`: an identity elsewhere that may sign in as the
/// application.
pub static FEDERATED_IDENTITY_CREDENTIAL: TypeSpec = TypeSpec {
    object_type: ObjectType::FederatedIdentityCredential,
    name: "federatedIdentityCredential",
    entities: &["federatedIdentityCredential"],
    list_path: "/applications/{owner}/federatedIdentityCredentials",
    select: false,
    page_size: None,
    reading: Reading::Contained {
        owner: ObjectType::Application,
        relation: "federatedIdentityCredentials",
    },
    delta_path: None,
    deleted: None,
    lane: Lane::Directory,
    properties: &[
        set("audiences"),
        scalar("description"),
        scalar("issuer"),
        scalar("subject"),
        // "The string is immutable after it's created."
        Property::new("name", Class::ReadOnly, Shape::Scalar),
    ],
    inline: &[],
    ties: &[OWNER],
    relation: Some(Relation {
        key: &[OWNER, "name"],
        made_of: &["audiences", "description", "issuer", "name", "subject"],
        found_by: OWNER,
    }),
    links: &[],
    rank: 56,
    typed_writes: false,
    read_permissions: &["Application.Read.All"],
    write_permissions: &["Application.ReadWrite.All"],
};

/// `scope` is a set of words in no fixed order, sometimes with a blank before
/// the first.
fn order_words(value: &mut Value) {
    if let Some(text) = value.as_str() {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        words.sort_unstable();
        words.dedup();
        *value = if words.is_empty() {
            Value::Null
        } else {
            Value::String(words.join(" "))
        };
    }
}
