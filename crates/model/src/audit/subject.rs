//! What an activity is about, by its name.
//!
//! Owns the reading of names. A name that it does not know is about the objects
//! that the entry names; it never decides which object that is.

use crate::catalogue::{LinkKind, ObjectType};

/// What an activity changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The objects that it names.
    Object,
    /// A link between two of them, which belongs to the one that holds it.
    Links(&'static [LinkKind]),
    /// An object of that type, which ties together those that it names.
    Tie(ObjectType),
    /// The only object of that type.
    Single(ObjectType),
}

const OWNERS: &[LinkKind] = &[
    LinkKind::GroupOwners,
    LinkKind::ApplicationOwners,
    LinkKind::ServicePrincipalOwners,
];

/// The words that an activity's name has, all of them, and what it is about. The
/// first row that fits counts.
///
/// Source: "Audit log activities". Names of activities of the policies of which
/// there is one: "Update authorization policy", "Authentication Methods Policy
/// Update", "Set Company Information", "Update company settings".
const NAMES: [(&[&str], Subject); 19] = [
    (
        &["app role assignment"],
        Subject::Tie(ObjectType::AppRoleAssignment),
    ),
    (
        &["delegated permission grant"],
        Subject::Tie(ObjectType::OAuth2PermissionGrant),
    ),
    (
        &["oauth2permissiongrant"],
        Subject::Tie(ObjectType::OAuth2PermissionGrant),
    ),
    (
        &["consent to application"],
        Subject::Tie(ObjectType::OAuth2PermissionGrant),
    ),
    (
        &["member to role"],
        Subject::Tie(ObjectType::RoleAssignment),
    ),
    (
        &["member from role"],
        Subject::Tie(ObjectType::RoleAssignment),
    ),
    (
        &["role assignment"],
        Subject::Tie(ObjectType::RoleAssignment),
    ),
    (
        &["member", "administrative unit"],
        Subject::Links(&[LinkKind::AdministrativeUnitMembers]),
    ),
    (
        &[" member ", " group"],
        Subject::Links(&[LinkKind::GroupMembers]),
    ),
    (&["add owner"], Subject::Links(OWNERS)),
    (&["remove owner"], Subject::Links(OWNERS)),
    (&["user manager"], Subject::Links(&[LinkKind::UserManager])),
    (&["sponsor"], Subject::Links(&[LinkKind::UserSponsors])),
    (
        &["authorization policy"],
        Subject::Single(ObjectType::AuthorizationPolicy),
    ),
    (
        &["authentication methods policy"],
        Subject::Single(ObjectType::AuthenticationMethodsPolicy),
    ),
    (
        &["company information"],
        Subject::Single(ObjectType::Organization),
    ),
    (
        &["company settings"],
        Subject::Single(ObjectType::Organization),
    ),
    (
        &["company contact"],
        Subject::Single(ObjectType::Organization),
    ),
    (
        &["update organization"],
        Subject::Single(ObjectType::Organization),
    ),
];

/// What an activity is about.
pub(super) fn subject(activity: &str) -> Subject {
    let name = activity.to_lowercase();
    NAMES
        .iter()
        .find(|(words, _)| words.iter().all(|word| name.contains(word)))
        .map_or(Subject::Object, |(_, subject)| *subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        let check =
            |activity: &str, expected| assert_eq!(subject(activity), expected, "{activity}");
        for object in [
            "Update user",
            "Hard Delete user",
            "Hard delete service principal",
            "Add group",
            "Add role definition",
            "Update conditional access policy",
            "Authentication Strength Policy Update",
            "Update application - Certificates and secrets management",
        ] {
            check(object, Subject::Object);
        }
        let members = Subject::Links(&[LinkKind::GroupMembers]);
        check("Add member to group", members);
        check("REMOVE MEMBER FROM GROUP", members);
        check("Add eligible member to group in PIM", members);
        check("Add owner to application", Subject::Links(OWNERS));
        check(
            "Remove owner from service principal",
            Subject::Links(OWNERS),
        );
        check("Set user manager", Subject::Links(&[LinkKind::UserManager]));
        let units = Subject::Links(&[LinkKind::AdministrativeUnitMembers]);
        check("Add member to administrative unit", units);
        let role = Subject::Tie(ObjectType::RoleAssignment);
        check("Add eligible member to role", role);
        check("Add role assignment to role definition", role);
        let app_role = Subject::Tie(ObjectType::AppRoleAssignment);
        check("Add app role assignment grant to user", app_role);
        let grant = Subject::Tie(ObjectType::OAuth2PermissionGrant);
        check("Remove delegated permission grant", grant);
        let policy = Subject::Single(ObjectType::AuthorizationPolicy);
        check("Update authorization policy", policy);
    }
}
