//! How things are named, for people who know Entra ID and not Rewind.

use chrono::{DateTime, Utc};
use model::ObjectType;
use proto::v1::{AttributeClass, ChangeKind, Obstacle};

use crate::text::tame;

/// The kinds of changes, in the order in which they are counted.
pub const KINDS: [ChangeKind; 5] = [
    ChangeKind::Added,
    ChangeKind::Modified,
    ChangeKind::SoftDeleted,
    ChangeKind::HardDeleted,
    ChangeKind::Restored,
];

/// What the objects of a type are called.
#[must_use]
pub fn title(object_type: &str) -> String {
    let Some(known) = ObjectType::from_name(object_type) else {
        return tame(object_type);
    };
    match known {
        ObjectType::User => "Users",
        ObjectType::Group => "Groups",
        ObjectType::Application => "Applications",
        ObjectType::ServicePrincipal => "Service principals",
        ObjectType::NamedLocation => "Named locations",
        ObjectType::ConditionalAccessPolicy => "Conditional Access policies",
        ObjectType::OAuth2PermissionGrant => "Delegated permission grants",
        ObjectType::AppRoleAssignment => "App role assignments",
        ObjectType::AuthenticationMethodsPolicy => "Authentication methods policy",
        ObjectType::AuthorizationPolicy => "Authorization policy",
        ObjectType::AuthenticationStrengthPolicy => "Authentication strengths",
        ObjectType::AuthenticationContextClassReference => "Authentication contexts",
        ObjectType::Organization => "Organization",
        ObjectType::AdministrativeUnit => "Administrative units",
        ObjectType::RoleAssignment => "Directory role assignments",
        ObjectType::FederatedIdentityCredential => "Federated identity credentials",
    }
    .to_owned()
}

/// What one object of a type is called.
#[must_use]
pub fn one(object_type: &str) -> String {
    let Some(known) = ObjectType::from_name(object_type) else {
        return tame(object_type);
    };
    match known {
        ObjectType::ConditionalAccessPolicy => "Conditional Access policy".to_owned(),
        ObjectType::AuthenticationMethodsPolicy
        | ObjectType::AuthorizationPolicy
        | ObjectType::Organization => title(object_type),
        // All others are called the same with one letter less.
        _ => title(object_type).trim_end_matches('s').to_owned(),
    }
}

/// What happened to an object, and the class of the style sheet for it.
#[must_use]
pub fn kind(kind: ChangeKind) -> (&'static str, &'static str) {
    match kind {
        ChangeKind::Added => ("Added", "added"),
        ChangeKind::Modified => ("Modified", "modified"),
        ChangeKind::SoftDeleted => ("Soft-deleted", "soft"),
        ChangeKind::HardDeleted => ("Hard-deleted", "hard"),
        ChangeKind::Restored => ("Restored", "restored"),
        ChangeKind::Unspecified => ("Changed", "modified"),
    }
}

/// What is said of an object of which neither an attribute nor a link differs.
#[must_use]
pub fn nothing_else(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "It is new, and has no value that is compared.",
        ChangeKind::SoftDeleted => "It is in the recycle bin; nothing else about it differs.",
        ChangeKind::HardDeleted => "It is gone, from the recycle bin too.",
        ChangeKind::Restored => "It was in the recycle bin; nothing else about it differs.",
        ChangeKind::Modified | ChangeKind::Unspecified => "Nothing is told about what differs.",
    }
}

/// Why an attribute is not written back; empty where it is.
#[must_use]
pub fn class(class: AttributeClass) -> &'static str {
    match class {
        AttributeClass::ReadOnly => "read-only",
        AttributeClass::Secret => "belongs to a secret",
        AttributeClass::OwnEndpoint => "has an endpoint of its own",
        AttributeClass::Restorable | AttributeClass::Unspecified => "",
    }
}

/// What stands in the way of putting an object back: in a word or two, and why.
#[must_use]
pub fn obstacle(obstacle: Obstacle) -> (&'static str, &'static str) {
    match obstacle {
        Obstacle::HardDeleted => (
            "Hard-deleted",
            "Microsoft Graph cannot bring a hard-deleted object back under its id.",
        ),
        Obstacle::OnPremisesSynced => (
            "Synchronised from on-premises",
            "The directory on-premises is the source of authority; what differs is put right there.",
        ),
        Obstacle::DynamicMembership => (
            "Dynamic membership",
            "The members follow from a rule; they are not written one by one.",
        ),
        Obstacle::ReadOnly => (
            "Read-only attribute",
            "Microsoft Graph refuses to write an attribute that differs; the others can be put back.",
        ),
        Obstacle::Secret => (
            "Secret",
            "An attribute that differs belongs to a secret, and lost secrets are never restored.",
        ),
        Obstacle::OwnEndpoint => (
            "Endpoint of its own",
            "An attribute that differs can be written only in a way that a restore does not use.",
        ),
        Obstacle::AddedKept => (
            "Added objects stay",
            "The object was added since, and the plan keeps added objects.",
        ),
        Obstacle::NotSoftDeletable => (
            "Not soft-deletable",
            "Objects of the type have no recycle bin, so they are never deleted.",
        ),
        Obstacle::UnresolvedReference => (
            "Unresolved reference",
            "A policy names an object that does not exist any more.",
        ),
        Obstacle::LinkEndMissing => (
            "Other end missing",
            "The object at the other end of a link does not exist any more.",
        ),
        Obstacle::RelationshipsSkipped => (
            "Relationships left alone",
            "The plan leaves relationships as they are.",
        ),
        Obstacle::CredentialAdded => (
            "Credential added",
            "Somebody gave the object a credential that the snapshot does not know; a person has to remove it.",
        ),
        Obstacle::ExchangeManaged => (
            "Managed in Exchange",
            "Microsoft Graph cannot write to mail-enabled security groups and distribution groups.",
        ),
        Obstacle::TypeNotRestored => (
            "Type not restored",
            "Objects of the type are compared, and not restored yet.",
        ),
        Obstacle::OwnAccess => (
            "Rewind's own access",
            "It lets Rewind itself into the tenant, so a restore leaves it as it is.",
        ),
        Obstacle::LastAdministrator => (
            "Last administrator",
            "Without it nobody would be a Global Administrator of the tenant.",
        ),
        Obstacle::PermissionMissing => (
            "Permission missing",
            "The application that restores lacks a permission for objects of the type.",
        ),
        Obstacle::WholeObject => (
            "Whole object",
            "Only parts of objects are asked for, and the object as a whole came or went.",
        ),
        Obstacle::ChangedSince => (
            "Changed since",
            "An undo leaves it, since it is no longer as the restore left it.",
        ),
        Obstacle::NotJournalled => (
            "Not in the journal",
            "An undo leaves it, since the journal does not tell what was there before.",
        ),
        Obstacle::LockoutRisk => (
            "Lockout risk",
            "Writing the policy could keep break-glass accounts, or every Global Administrator, from signing in.",
        ),
        Obstacle::ReportOnly => (
            "Report-only",
            "The policy is written in report-only mode; a person has to enable it.",
        ),
        Obstacle::NotRecreatable => (
            "Cannot be made anew",
            "It is hard-deleted, and nothing can be made in its place.",
        ),
        Obstacle::ByHand => (
            "By hand",
            "A person has to do it, in the way that the sentence tells.",
        ),
        Obstacle::Unspecified => ("Another reason", "The reason is newer than this program."),
    }
}

/// A number with its thousands parted.
#[must_use]
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut parted = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            parted.push(',');
        }
        parted.push(digit);
    }
    parted
}

/// Some of many.
#[must_use]
pub fn range(first: u64, last: u64, all: u64) -> String {
    format!("{} to {} of {}", number(first), number(last), number(all))
}

/// A time as a person reads it.
#[must_use]
pub fn moment(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parted_by_thousands() {
        for (given, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (500_000, "500,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(given), expected);
        }
        assert_eq!(range(1, 200, 1204), "1 to 200 of 1,204");
        assert_eq!(moment(DateTime::UNIX_EPOCH), "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn every_type_has_a_title_and_a_stranger_its_name() {
        for object_type in ObjectType::ALL {
            assert_ne!(title(object_type.name()), object_type.name());
            assert!(!one(object_type.name()).ends_with('s'), "{object_type}");
        }
        assert_eq!(title("new\u{202e}"), "new\\u{202e}");
    }
}
