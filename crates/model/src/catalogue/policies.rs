//! Tenant-wide policies, and what Conditional Access policies build on:
//! authentication strengths and contexts.
//!
//! All are read whole, without `$select`, since a property that the table does
//! not know must not be lost. None has a delta function or a recycle bin.

use serde_json::{Map, Value};

use super::{
    Lane, ObjectType, Property, Reading, TypeSpec, Write, object, read_only, scalar, set, volatile,
};

/// `authenticationMethodsPolicy`: how people may sign in. The settings of each
/// method are objects of their own, which come inside.
pub static AUTHENTICATION_METHODS_POLICY: TypeSpec = TypeSpec {
    object_type: ObjectType::AuthenticationMethodsPolicy,
    name: "authenticationMethodsPolicy",
    entities: &["authenticationMethodsPolicy"],
    list_path: "/policies/authenticationMethodsPolicy",
    select: false,
    page_size: None,
    reading: Reading::Singleton,
    delta_path: None,
    deleted: None,
    lane: Lane::Directory,
    properties: &[
        scalar("policyMigrationState"),
        scalar("reconfirmationInDays"),
        object("registrationEnforcement").written(Write::Whole),
        own_objects("authenticationMethodConfigurations"),
        read_only("description"),
        read_only("displayName"),
        read_only("policyVersion"),
        volatile("lastModifiedDateTime"),
    ],
    inline: &["authenticationMethodConfigurations"],
    ties: &[],
    relation: None,
    links: &[],
    rank: 60,
    typed_writes: false,
    read_permissions: &["Policy.Read.All"],
    write_permissions: &["Policy.ReadWrite.AuthenticationMethod"],
};

/// `authorizationPolicy`: what members and guests may do by default.
pub static AUTHORIZATION_POLICY: TypeSpec = TypeSpec {
    object_type: ObjectType::AuthorizationPolicy,
    name: "authorizationPolicy",
    entities: &["authorizationPolicy"],
    list_path: "/policies/authorizationPolicy",
    select: false,
    page_size: None,
    reading: Reading::Singleton,
    delta_path: None,
    deleted: None,
    lane: Lane::Directory,
    properties: &[
        scalar("allowEmailVerifiedUsersToJoinOrganization"),
        scalar("allowInvitesFrom"),
        scalar("allowUserConsentForRiskyApps"),
        scalar("allowedToSignUpEmailBasedSubscriptions"),
        scalar("allowedToUseSSPR"),
        scalar("blockMsolPowerShell"),
        object("defaultUserRolePermissions"),
        scalar("guestUserRoleId"),
        read_only("description"),
        read_only("displayName"),
        volatile("deletedDateTime"),
    ],
    inline: &[],
    ties: &[],
    relation: None,
    links: &[],
    rank: 62,
    typed_writes: false,
    read_permissions: &["Policy.Read.All"],
    write_permissions: &["Policy.ReadWrite.Authorization"],
};

/// `authenticationStrengthPolicy`: which combinations of methods are strong
/// enough. Those of `policyType` `builtIn` are Microsoft's.
pub static AUTHENTICATION_STRENGTH_POLICY: TypeSpec = TypeSpec {
    object_type: ObjectType::AuthenticationStrengthPolicy,
    name: "authenticationStrengthPolicy",
    entities: &["authenticationStrengthPolicy"],
    list_path: "/policies/authenticationStrengthPolicies",
    select: false,
    page_size: None,
    reading: Reading::List,
    delta_path: None,
    deleted: None,
    lane: Lane::Directory,
    properties: &[
        scalar("description"),
        scalar("displayName").never_cleared(),
        set("allowedCombinations").written(Write::Action("updateAllowedCombinations")),
        own_objects("combinationConfigurations"),
        read_only("createdDateTime"),
        read_only("policyType"),
        read_only("requirementsSatisfied"),
        volatile("modifiedDateTime"),
    ],
    inline: &["combinationConfigurations"],
    ties: &[],
    relation: None,
    links: &[],
    rank: 84,
    typed_writes: false,
    read_permissions: &["Policy.Read.All"],
    write_permissions: &["Policy.ReadWrite.ConditionalAccess"],
};

/// `authenticationContextClassReference`: a label, `c1` to `c99`, that an
/// application or a protected action demands and a policy answers.
pub static AUTHENTICATION_CONTEXT: TypeSpec = TypeSpec {
    object_type: ObjectType::AuthenticationContextClassReference,
    name: "authenticationContextClassReference",
    entities: &["authenticationContextClassReference"],
    list_path: "/identity/conditionalAccess/authenticationContextClassReferences",
    select: false,
    page_size: None,
    reading: Reading::List,
    delta_path: None,
    deleted: None,
    lane: Lane::ConditionalAccess,
    properties: &[
        scalar("description"),
        scalar("displayName"),
        scalar("isAvailable"),
    ],
    inline: &[],
    ties: &[],
    relation: None,
    links: &[],
    rank: 82,
    typed_writes: false,
    // Policy.Read.All is not documented to be enough for these.
    read_permissions: &["AuthenticationContext.Read.All"],
    write_permissions: &["Policy.ReadWrite.ConditionalAccess"],
};

/// Objects with ids of their own that come inside another; each has its
/// endpoint.
const fn own_objects(name: &'static str) -> Property {
    object(name).written(Write::Entries).with_spelling(by_id)
}

/// A list of objects as one object with an entry for each, so that a difference
/// names the one that changed, and what in it.
fn by_id(value: &mut Value) {
    let Some(entries) = value.as_array() else {
        return;
    };
    let keyed: Option<Map<String, Value>> = entries
        .iter()
        .map(|entry| Some((entry.get("id")?.as_str()?.to_owned(), entry.clone())))
        .collect();
    // Two with one id, or one without, would lose something: then it stays a list.
    if let Some(keyed) = keyed.filter(|keyed| keyed.len() == entries.len()) {
        *value = Value::Object(keyed);
    }
}
