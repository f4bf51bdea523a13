//! The rules, one by one. `docs/signals.md` has the same table, and a test compares
//! the two.

use super::{Condition, Limit, Pattern, Rule, Severity};
use crate::catalogue::ObjectType;
use crate::diff::ChangeKind::{self, Added, HardDeleted, Modified, Restored, SoftDeleted};
use crate::roles;

/// Every rule, in the order in which findings are told.
pub static RULES: [&Rule; 8] = [
    &MASS_DELETION,
    &HARD_DELETION,
    &MASS_DISABLE,
    &CONDITIONAL_ACCESS,
    &PRIVILEGED_ROLES,
    &TENANT_WIDE_CONSENT,
    &AUTHENTICATION_POLICIES,
    &CREDENTIALS_ADDED,
];

/// The rule of a name.
#[must_use]
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}

const ANY_CHANGE: &[ChangeKind] = &[Added, Modified, SoftDeleted, HardDeleted, Restored];
const DELETED: &[ChangeKind] = &[SoftDeleted, HardDeleted];

const fn any_change(object_type: ObjectType) -> Pattern {
    pattern(object_type, ANY_CHANGE, Condition::None)
}

const fn deleted(object_type: ObjectType) -> Pattern {
    pattern(object_type, DELETED, Condition::None)
}

const fn hard_deleted(object_type: ObjectType) -> Pattern {
    pattern(object_type, &[HardDeleted], Condition::None)
}

const fn pattern(
    object_type: ObjectType,
    kinds: &'static [ChangeKind],
    condition: Condition,
) -> Pattern {
    Pattern {
        object_type,
        kinds,
        condition,
    }
}

static MASS_DELETION: Rule = Rule {
    name: "mass-deletion",
    title: "Many objects were deleted",
    counted: "users, groups, applications and service principals that were deleted",
    patterns: &[
        deleted(ObjectType::User),
        deleted(ObjectType::Group),
        deleted(ObjectType::Application),
        deleted(ObjectType::ServicePrincipal),
    ],
    limit: Limit::Share(500),
    severity: Severity::Critical,
};

/// Of types without a recycle bin, and of groups that Exchange manages, every deletion
/// is a hard one, and no news.
static HARD_DELETION: Rule = Rule {
    name: "hard-deletion",
    title: "Objects were deleted from the recycle bin, too",
    counted: "users, groups, applications and service principals that are gone without being in the recycle bin",
    patterns: &[
        hard_deleted(ObjectType::User),
        pattern(ObjectType::Group, &[HardDeleted], Condition::GroupWithBin),
        hard_deleted(ObjectType::Application),
        hard_deleted(ObjectType::ServicePrincipal),
    ],
    limit: Limit::Count(1),
    severity: Severity::Critical,
};

static MASS_DISABLE: Rule = Rule {
    name: "mass-disable",
    title: "Many users were disabled",
    counted: "users that were disabled",
    patterns: &[pattern(
        ObjectType::User,
        &[Modified],
        Condition::Became("accountEnabled", false),
    )],
    limit: Limit::Share(500),
    severity: Severity::High,
};

static CONDITIONAL_ACCESS: Rule = Rule {
    name: "conditional-access",
    title: "Conditional Access was changed",
    counted: "Conditional Access policies, named locations, authentication strengths and contexts that were added, changed, deleted or restored",
    patterns: &[
        any_change(ObjectType::ConditionalAccessPolicy),
        any_change(ObjectType::NamedLocation),
        any_change(ObjectType::AuthenticationStrengthPolicy),
        any_change(ObjectType::AuthenticationContextClassReference),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
};

static PRIVILEGED_ROLES: Rule = Rule {
    name: "privileged-roles",
    title: "Assignments of privileged roles were changed",
    counted: "assignments, added or removed, of roles that Microsoft calls privileged and of roles that the tenant defined itself",
    patterns: &[pattern(
        ObjectType::RoleAssignment,
        &[Added, HardDeleted],
        Condition::Holds("roleDefinitionId", roles::may_be_privileged),
    )],
    limit: Limit::Count(1),
    severity: Severity::High,
};

/// Permissions of an application are an assignment to its service principal, and
/// hold for the whole tenant.
static TENANT_WIDE_CONSENT: Rule = Rule {
    name: "tenant-wide-consent",
    title: "Applications were given permissions for the whole tenant",
    counted: "delegated permissions for every user that were granted or widened, and application permissions that were granted",
    patterns: &[
        pattern(
            ObjectType::OAuth2PermissionGrant,
            &[Added],
            Condition::Holds("consentType", is_all_principals),
        ),
        pattern(
            ObjectType::OAuth2PermissionGrant,
            &[Modified],
            Condition::WidenedForEveryone,
        ),
        pattern(
            ObjectType::AppRoleAssignment,
            &[Added],
            Condition::Holds("principalType", is_service_principal),
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
};

static AUTHENTICATION_POLICIES: Rule = Rule {
    name: "authentication-policies",
    title: "What the tenant allows when people sign in was changed",
    counted: "changes of the authentication methods policy and the authorization policy",
    patterns: &[
        any_change(ObjectType::AuthenticationMethodsPolicy),
        any_change(ObjectType::AuthorizationPolicy),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
};

/// A new application comes with its first credential; that is no news.
static CREDENTIALS_ADDED: Rule = Rule {
    name: "credentials-added",
    title: "Applications got new credentials",
    counted: "applications and service principals that got a secret or a certificate, and outside identities that an application was made to trust",
    patterns: &[
        pattern(ObjectType::Application, &[Modified], CREDENTIALS),
        pattern(ObjectType::ServicePrincipal, &[Modified], CREDENTIALS),
        pattern(
            ObjectType::FederatedIdentityCredential,
            &[Added, Modified],
            Condition::None,
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::Medium,
};

const CREDENTIALS: Condition = Condition::Gained(&["keyCredentials", "passwordCredentials"]);

fn is_all_principals(text: &str) -> bool {
    text == "AllPrincipals"
}

fn is_service_principal(text: &str) -> bool {
    text == "ServicePrincipal"
}
