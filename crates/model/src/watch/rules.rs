//! The rules, one by one. `docs/signals.md` has the same table, and a test compares
//! the two.
//!
//! Source of the activities' names: Microsoft's "Audit log activities"; how protected
//! actions are written there is not documented, so that several wordings count.

use super::condition::{Condition, Unnamed};
use super::{Activity, Deed, OwnWrites, Remedy, Rule};
use crate::catalogue::ObjectType;
use crate::drift::{Limit, Severity};

/// Every rule, in the order of the documentation.
pub static RULES: [&Rule; 17] = [
    &HARD_DELETE,
    &MASS_DELETE,
    &BREAK_GLASS,
    &REWIND_APPLICATIONS,
    &POLICY_CHANGE,
    &PROTECTED_ACTIONS,
    &SIGN_IN_POLICIES,
    &DOMAIN_FEDERATION,
    &NEW_CREDENTIALS,
    &NEW_OWNERS,
    &CONSENT,
    &ROLE_ASSIGNMENT,
    &ROLE_DEFINITION,
    &BULK_DISABLE,
    &FOREIGN_RESTORE,
    &LOG_GAP,
    &AUDIT_LOG_CLOSED,
];

/// The rule of a name.
#[must_use]
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}

const fn deed(activity: Activity, condition: Condition, remedy: Remedy) -> Deed {
    Deed {
        activity,
        condition,
        remedy,
    }
}

/// What changes, in names of activities that say nothing else of it.
const TAKEN_ELSEWHERE: &[&str] = &["hard delete", "restore"];

static HARD_DELETE: Rule = Rule {
    name: "hard-delete",
    title: "Something was deleted for good",
    counted: "whatever was deleted from the recycle bin",
    deeds: &[deed(
        Activity::Has("hard delete", &[]),
        Condition::None,
        Remedy::Anew,
    )],
    limit: Limit::Count(1),
    severity: Severity::Critical,
    own_writes: OwnWrites::Marked,
};

static MASS_DELETE: Rule = Rule {
    name: "mass-delete",
    title: "Many objects were deleted",
    counted: "users, groups, applications, service principals and administrative units that were deleted",
    deeds: &[deed(
        Activity::Is(&[
            "delete user",
            "delete group",
            "delete application",
            "remove service principal",
            "delete service principal",
            "delete administrative unit",
        ]),
        Condition::None,
        Remedy::Targets,
    )],
    limit: Limit::Count(20),
    severity: Severity::Critical,
    own_writes: OwnWrites::Marked,
};

static BREAK_GLASS: Rule = Rule {
    name: "break-glass",
    title: "A break-glass account was touched or did something",
    counted: "whatever was done to an account that the tenant's registration names as break-glass, or by one",
    deeds: &[deed(Activity::Any, Condition::BreakGlass, Remedy::Targets)],
    limit: Limit::Count(1),
    severity: Severity::Critical,
    own_writes: OwnWrites::Marked,
};

static REWIND_APPLICATIONS: Rule = Rule {
    name: "rewind-applications",
    title: "Rewind's own application was touched",
    counted: "whatever was done to the applications and service principals with which Rewind reads and writes the tenant",
    deeds: &[deed(
        Activity::Any,
        Condition::OwnApplication,
        Remedy::Targets,
    )],
    limit: Limit::Count(1),
    severity: Severity::Critical,
    own_writes: OwnWrites::Marked,
};

/// Hard deletion and restores have rules of their own.
static POLICY_CHANGE: Rule = Rule {
    name: "policy-change",
    title: "Conditional Access was changed",
    counted: "Conditional Access policies and named locations that were added, changed or deleted",
    deeds: &[
        deed(
            Activity::HasNot(&["conditional access policy"], TAKEN_ELSEWHERE),
            Condition::None,
            Remedy::Targets,
        ),
        deed(
            Activity::HasNot(&["named location"], TAKEN_ELSEWHERE),
            Condition::None,
            Remedy::Targets,
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
    own_writes: OwnWrites::PassedOver,
};

static PROTECTED_ACTIONS: Rule = Rule {
    name: "protected-actions",
    title: "What guards protected actions was changed",
    counted: "changes of the authentication contexts that guard protected actions, and of the contexts themselves",
    deeds: &[
        deed(
            Activity::HasNot(&["resource action"], &[]),
            Condition::None,
            Remedy::None,
        ),
        deed(
            Activity::HasNot(&["protected action"], &[]),
            Condition::None,
            Remedy::None,
        ),
        deed(
            Activity::HasNot(&["authenticationcontextclassreference"], &[]),
            Condition::None,
            Remedy::Targets,
        ),
        deed(
            Activity::HasNot(&["authentication context"], &[]),
            Condition::None,
            Remedy::Targets,
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
    own_writes: OwnWrites::Marked,
};

static SIGN_IN_POLICIES: Rule = Rule {
    name: "sign-in-policies",
    title: "What the tenant allows when people sign in was changed",
    counted: "changes of the authentication methods policy, of authentication strengths and of the authorization policy",
    deeds: &[
        deed(
            Activity::HasNot(&["authentication methods policy"], &[]),
            Condition::None,
            Remedy::OfType(ObjectType::AuthenticationMethodsPolicy),
        ),
        deed(
            Activity::HasNot(&["authentication strength"], &[]),
            Condition::None,
            Remedy::Targets,
        ),
        deed(
            Activity::HasNot(&["authorization policy"], &[]),
            Condition::None,
            Remedy::OfType(ObjectType::AuthorizationPolicy),
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
    own_writes: OwnWrites::Marked,
};

/// Whoever answers for a domain's sign-ins can sign in as anybody in it.
static DOMAIN_FEDERATION: Rule = Rule {
    name: "domain-federation",
    title: "How a domain's users sign in was changed",
    counted: "domains whose authentication or federation settings were changed",
    deeds: &[
        deed(
            Activity::Is(&["set domain authentication"]),
            Condition::None,
            Remedy::None,
        ),
        deed(
            Activity::Is(&[
                "set federation settings on domain",
                "set federation setting on domain",
            ]),
            Condition::None,
            Remedy::None,
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::Critical,
    own_writes: OwnWrites::Marked,
};

/// A new application's first credential comes with the application, and is no news.
static NEW_CREDENTIALS: Rule = Rule {
    name: "new-credentials",
    title: "An application got a new way to sign in",
    counted: "secrets and certificates that applications and service principals got, and outside identities that applications were made to trust",
    deeds: &[
        deed(
            Activity::Has("update application", &["secrets management"]),
            Condition::GainedCredential(Unnamed::Counts),
            Remedy::TargetsWithout,
        ),
        deed(
            Activity::Is(&["add service principal credentials"]),
            Condition::GainedCredential(Unnamed::Counts),
            Remedy::TargetsWithout,
        ),
        deed(
            Activity::Is(&["update application", "update service principal"]),
            Condition::GainedCredential(Unnamed::DoesNot),
            Remedy::TargetsWithout,
        ),
        deed(
            Activity::Has("update application", &[]),
            Condition::GainedFederated,
            Remedy::OfType(ObjectType::FederatedIdentityCredential),
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
    own_writes: OwnWrites::Marked,
};

/// An owner may add a credential; that of an application which somebody registers is
/// told too, since the log does not tell it from others.
static NEW_OWNERS: Rule = Rule {
    name: "new-owners",
    title: "An application got an owner, who may give it a way to sign in",
    counted: "owners that applications and service principals got",
    deeds: &[deed(
        Activity::Is(&["add owner to application", "add owner to service principal"]),
        Condition::None,
        Remedy::Targets,
    )],
    limit: Limit::Count(1),
    severity: Severity::Medium,
    own_writes: OwnWrites::Marked,
};

static CONSENT: Rule = Rule {
    name: "consent",
    title: "An application was given permissions for the whole tenant",
    counted: "delegated permissions for every user and application permissions that were granted or widened",
    deeds: &[
        deed(
            Activity::Is(&["add delegated permission grant", "consent to application"]),
            Condition::ForEveryone,
            Remedy::OfType(ObjectType::OAuth2PermissionGrant),
        ),
        deed(
            Activity::Has("update delegated permission grant", &[]),
            Condition::ForEveryone,
            Remedy::OfType(ObjectType::OAuth2PermissionGrant),
        ),
        deed(
            Activity::Is(&["add app role assignment to service principal"]),
            Condition::ToServicePrincipal,
            Remedy::OfType(ObjectType::AppRoleAssignment),
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
    own_writes: OwnWrites::Marked,
};

/// What Privileged Identity Management writes of what is not done, or not yet: when it
/// is, that has an entry of its own.
const ASKED_FOR: &[&str] = &[
    "request",
    "pending",
    "denied",
    "canceled",
    "cancelled",
    "failed",
];

/// Whether a role is privileged follows from Microsoft's list, as for drift; one that
/// the record does not name counts.
static ROLE_ASSIGNMENT: Rule = Rule {
    name: "role-assignment",
    title: "Somebody was given or lost a privileged role",
    counted: "assignments, added or removed, of roles that Microsoft calls privileged and of roles that the tenant defined itself",
    deeds: &[
        deed(
            Activity::HasBut("add", &["member to role"], ASKED_FOR),
            Condition::PrivilegedRole,
            Remedy::OfType(ObjectType::RoleAssignment),
        ),
        deed(
            Activity::HasBut("remove", &["member from role"], ASKED_FOR),
            Condition::PrivilegedRole,
            Remedy::OfType(ObjectType::RoleAssignment),
        ),
        deed(
            Activity::HasBut("add role assignment", &[], ASKED_FOR),
            Condition::PrivilegedRole,
            Remedy::OfType(ObjectType::RoleAssignment),
        ),
        deed(
            Activity::HasBut("remove role assignment", &[], ASKED_FOR),
            Condition::PrivilegedRole,
            Remedy::OfType(ObjectType::RoleAssignment),
        ),
    ],
    limit: Limit::Count(1),
    severity: Severity::High,
    own_writes: OwnWrites::Marked,
};

static ROLE_DEFINITION: Rule = Rule {
    name: "role-definition",
    title: "What a role allows was changed",
    counted: "roles that were defined, changed or deleted",
    deeds: &[deed(
        Activity::Is(&[
            "add role definition",
            "update role definition",
            "delete role definition",
        ]),
        Condition::None,
        Remedy::None,
    )],
    limit: Limit::Count(1),
    severity: Severity::High,
    own_writes: OwnWrites::Marked,
};

/// Both may be written of one deed; one user counts once.
static BULK_DISABLE: Rule = Rule {
    name: "bulk-disable",
    title: "Many users were disabled",
    counted: "users that were disabled",
    deeds: &[
        deed(
            Activity::Is(&["disable account"]),
            Condition::None,
            Remedy::Targets,
        ),
        deed(
            Activity::Is(&["update user"]),
            Condition::Disabled,
            Remedy::Targets,
        ),
    ],
    limit: Limit::Count(10),
    severity: Severity::High,
    own_writes: OwnWrites::Marked,
};

static FOREIGN_RESTORE: Rule = Rule {
    name: "foreign-restore",
    title: "Something was taken out of the recycle bin, and not by Rewind",
    counted: "whatever was restored by somebody else than Rewind",
    deeds: &[deed(
        Activity::Has("restore", &[]),
        Condition::None,
        Remedy::None,
    )],
    limit: Limit::Count(1),
    severity: Severity::Medium,
    own_writes: OwnWrites::PassedOver,
};

/// Raised by whoever follows the log, since no record tells of it.
pub static LOG_GAP: Rule = Rule {
    name: "log-gap",
    title: "A part of the audit log was not read before the directory gave it up",
    counted: "times of which the log was not read for longer than the directory keeps it",
    deeds: &[],
    limit: Limit::Count(1),
    severity: Severity::Medium,
    own_writes: OwnWrites::Marked,
};

/// Raised by whoever follows the log, since no record tells of it.
pub static AUDIT_LOG_CLOSED: Rule = Rule {
    name: "audit-log-closed",
    title: "The audit log may not be read any more",
    counted: "times from which on the directory refused the log that was read before",
    deeds: &[],
    limit: Limit::Count(1),
    severity: Severity::High,
    own_writes: OwnWrites::Marked,
};
