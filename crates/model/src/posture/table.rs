//! The checks: what each is called, what it weighs, how grave it is where it is not
//! good, and what a person does then.
//!
//! Ids stay: programs know checks by them. The points of all checks are 100 together.

use super::Layer;
use crate::drift::Severity;

/// The action of deleting for good.
pub const HARD_DELETE: &str = "microsoft.directory/deletedItems/delete";

/// One question that a posture answers.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckKind {
    /// Its id, which stays.
    pub id: &'static str,
    /// The part of the defence that it looks at.
    pub layer: Layer,
    /// How grave it is where it is a finding.
    pub severity: Severity,
    /// What it weighs in the score, of 100.
    pub points: u32,
    /// What a person does where it is a finding.
    pub remedy: &'static str,
}

pub(super) const ACTION: &str = "hard-delete-protected";
pub(super) const PUBLISHED: &str = "context-published";
pub(super) const ENABLED: &str = "policy-enabled";
pub(super) const EVERYBODY: &str = "policy-for-everybody";
pub(super) const EXCLUSIONS: &str = "only-break-glass-excluded";
pub(super) const STRENGTH: &str = "phishing-resistant";
pub(super) const DEVICE: &str = "managed-device";
pub(super) const WORKSTATION: &str = "secure-workstation";
pub(super) const ACCOUNTS: &str = "break-glass-usable";
pub(super) const SPARED: &str = "break-glass-excluded";
pub(super) const PEOPLE: &str = "few-people";
pub(super) const APPLICATIONS: &str = "no-other-applications";

/// The actions with which the defence could be taken apart, each with its check.
///
/// Source: "What are protected actions?", the list of those that can be protected.
pub(super) const OTHERS: [(&str, &str); 5] = [
    (
        "context-assignment-protected",
        "microsoft.directory/resourceNamespaces/resourceActions/authenticationContext/update",
    ),
    (
        "policy-update-protected",
        "microsoft.directory/conditionalAccessPolicies/basic/update",
    ),
    (
        "policy-delete-protected",
        "microsoft.directory/conditionalAccessPolicies/delete",
    ),
    (
        "location-update-protected",
        "microsoft.directory/namedLocations/basic/update",
    ),
    (
        "location-delete-protected",
        "microsoft.directory/namedLocations/delete",
    ),
];

const fn check(
    id: &'static str,
    layer: Layer,
    severity: Severity,
    points: u32,
    remedy: &'static str,
) -> CheckKind {
    CheckKind {
        id,
        layer,
        severity,
        points,
        remedy,
    }
}

const PROTECT_OTHER: &str = "In the Microsoft Entra admin center, under Entra ID > Roles & admins > Protected actions > Add protected actions, choose the context and add this action; its policy must be enabled before.";

/// Every check, in the order in which they are told.
pub static ALL: [CheckKind; 17] = [
    check(
        ACTION,
        Layer::Action,
        Severity::Critical,
        15,
        "In the Microsoft Entra admin center, publish an authentication context under Entra ID > Conditional Access > Authentication contexts, enable a policy for it (for all users but the break-glass accounts, with phishing-resistant MFA), and only then add microsoft.directory/deletedItems/delete with it under Entra ID > Roles & admins > Protected actions. Without an enabled policy every request would ask to sign in again without end.",
    ),
    check(
        PUBLISHED,
        Layer::Context,
        Severity::High,
        10,
        "In the Microsoft Entra admin center, under Entra ID > Conditional Access > Authentication contexts, open the context and tick Publish to apps; make it there where it is missing.",
    ),
    check(
        ENABLED,
        Layer::Policy,
        Severity::Critical,
        15,
        "In the Microsoft Entra admin center, under Entra ID > Conditional Access > Policies, make a policy whose target resources are this authentication context, try it in report-only mode, and switch it on.",
    ),
    check(
        EVERYBODY,
        Layer::Policy,
        Severity::High,
        10,
        "Let one enabled policy for the context include all users and ask for more than a password, without conditions on platforms, locations, client apps, devices or risk.",
    ),
    check(
        EXCLUSIONS,
        Layer::Policy,
        Severity::High,
        5,
        "Take everybody but the break-glass accounts out of the exclusions of the policies for the context.",
    ),
    check(
        STRENGTH,
        Layer::Strength,
        Severity::High,
        10,
        "In the policy for the context, under Grant, require the authentication strength Phishing-resistant MFA and all of the selected controls.",
    ),
    check(
        DEVICE,
        Layer::Device,
        Severity::Medium,
        8,
        "In the policy for the context, under Grant, require a compliant device beside the strength and all of the selected controls; or make a second policy for the context that requires one of a compliant and a hybrid joined device.",
    ),
    check(
        WORKSTATION,
        Layer::Device,
        Severity::Low,
        4,
        "Add a second policy for the context and all users but the break-glass accounts that blocks, with a filter for devices that excludes the administrators' workstations, such as device.extensionAttribute1 -eq \"PAW\".",
    ),
    check(
        ACCOUNTS,
        Layer::BreakGlass,
        Severity::High,
        4,
        "Keep at least one enabled break-glass account, and name it where the tenant is registered: `rewind tenant add --break-glass ID`.",
    ),
    check(
        SPARED,
        Layer::BreakGlass,
        Severity::High,
        4,
        "Exclude the break-glass accounts from the policies for the context, each by itself or through one role-assignable group that holds nobody else.",
    ),
    check(
        OTHERS[0].0,
        Layer::OtherActions,
        Severity::High,
        3,
        PROTECT_OTHER,
    ),
    check(
        OTHERS[1].0,
        Layer::OtherActions,
        Severity::High,
        1,
        PROTECT_OTHER,
    ),
    check(
        OTHERS[2].0,
        Layer::OtherActions,
        Severity::High,
        1,
        PROTECT_OTHER,
    ),
    check(
        OTHERS[3].0,
        Layer::OtherActions,
        Severity::Medium,
        1,
        PROTECT_OTHER,
    ),
    check(
        OTHERS[4].0,
        Layer::OtherActions,
        Severity::Medium,
        1,
        PROTECT_OTHER,
    ),
    check(
        PEOPLE,
        Layer::Reach,
        Severity::Medium,
        4,
        "Take roles that may delete for good from those who do not need them, or make their holders eligible in Privileged Identity Management in place of active.",
    ),
    check(
        APPLICATIONS,
        Layer::Reach,
        Severity::Medium,
        4,
        "Take these permissions and roles from applications that do not need them, under Entra ID > Enterprise applications > Permissions: no protected action binds an application.",
    ),
];
