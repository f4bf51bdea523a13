//! Application permissions of Microsoft Graph: which one stands in for which.
//!
//! Owns the table of what broader permissions imply and the question what is
//! missing. What each type needs stands in the catalogue. It never decides
//! whether a call is made: only Graph knows that for certain.

use std::collections::BTreeSet;

/// What the broader permission on the left includes of those that the catalogue
/// asks for.
///
/// Source: `permissions.json` of microsoft-graph-devx-content, the application
/// permissions that Graph takes for one and the same request. It does not take
/// `Directory.ReadWrite.All` for changes of applications and administrative
/// units. That `X.ReadWrite.All` includes `X.Read.All` is a rule, not an entry.
const INCLUDES: [(&str, &[&str]); 9] = [
    (
        "Directory.Read.All",
        &[
            "AdministrativeUnit.Read.All",
            "Application.Read.All",
            "DelegatedPermissionGrant.Read.All",
            "Group.Read.All",
            "GroupMember.Read.All",
            "LicenseAssignment.Read.All",
            "Organization.Read.All",
            "RoleManagement.Read.Directory",
            "User.Read.All",
        ],
    ),
    (
        "Directory.ReadWrite.All",
        &[
            "DelegatedPermissionGrant.ReadWrite.All",
            "Group.ReadWrite.All",
            "GroupMember.ReadWrite.All",
            "User.ReadWrite.All",
        ],
    ),
    ("Group.Read.All", &["GroupMember.Read.All"]),
    ("Group.ReadWrite.All", &["GroupMember.ReadWrite.All"]),
    (
        "Policy.Read.ConditionalAccess",
        &["AuthenticationContext.Read.All"],
    ),
    (
        "Policy.ReadWrite.ConditionalAccess",
        &["AuthenticationContext.Read.All"],
    ),
    (
        "RoleManagement.Read.All",
        &["RoleManagement.Read.Directory"],
    ),
    (
        "RoleManagement.ReadWrite.Directory",
        &["RoleManagement.Read.Directory"],
    ),
    ("User.ReadWrite.All", &["User.ReadUpdate.All"]),
];

/// Which of the permissions an application lacks, in the order given.
#[must_use]
pub fn missing<'a>(held: &BTreeSet<String>, needed: &[&'a str]) -> Vec<&'a str> {
    let has = |needed: &&'a str| held.iter().any(|held| includes(held, needed));
    needed
        .iter()
        .copied()
        .filter(|needed| !has(needed))
        .collect()
}

/// Whether an application with `held` may do what needs `needed`.
fn includes(held: &str, needed: &str) -> bool {
    if held == needed {
        return true;
    }
    let listed = INCLUDES
        .iter()
        .filter(|(broad, _)| *broad == held)
        .flat_map(|(_, narrow)| narrow.iter());
    let reading = held
        .strip_suffix(".ReadWrite.All")
        .map(|area| format!("{area}.Read.All"));
    // The table has no circle, so this ends.
    listed.copied().any(|narrow| includes(narrow, needed))
        || reading.is_some_and(|narrow| includes(&narrow, needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(held: &[&str], needed: &[&str], expected: &[&str]) {
        let held: BTreeSet<String> = held.iter().map(|held| (*held).to_owned()).collect();
        assert_eq!(missing(&held, needed), expected, "{held:?}");
    }

    #[test]
    fn a_broader_permission_stands_in_for_a_narrower_one_and_never_the_reverse() {
        check(&["User.Read.All"], &["User.Read.All"], &[]);
        check(&["User.ReadWrite.All"], &["User.Read.All"], &[]);
        check(
            &["Directory.Read.All"],
            &["User.Read.All", "Group.Read.All"],
            &[],
        );
        check(&["Directory.ReadWrite.All"], &["GroupMember.Read.All"], &[]);
        check(
            &["Directory.ReadWrite.All"],
            &[
                "User.ReadUpdate.All",
                "LicenseAssignment.Read.All",
                "Application.ReadWrite.All",
            ],
            &["Application.ReadWrite.All"],
        );
        check(
            &["User.Read.All"],
            &["User.ReadWrite.All"],
            &["User.ReadWrite.All"],
        );
        check(
            &["User.Read.All"],
            &["Directory.Read.All"],
            &["Directory.Read.All"],
        );
        check(
            &[
                "Directory.ReadWrite.All",
                "Policy.ReadWrite.ConditionalAccess",
            ],
            &["Policy.Read.All", "User.Read.All"],
            &["Policy.Read.All"],
        );
        check(
            &[],
            &["A.Read.All", "B.Read.All"],
            &["A.Read.All", "B.Read.All"],
        );
        check(&[], &[], &[]);
    }
}
