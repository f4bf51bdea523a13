//! Whom a Conditional Access policy keeps from signing in.
//!
//! Owns the reading of a policy as far as that question goes, on the side of caution:
//! a condition that is not understood counts as met, an exclusion only where it is
//! sure, and a demand that not everybody can fulfil anywhere as a barrier. It knows
//! policies and accounts, and nothing of plans.
//!
//! Source: the resource pages of `conditionalAccessPolicy`, `conditionalAccessUsers`,
//! `conditionalAccessApplications` and `conditionalAccessGrantControls`.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::id::ObjectId;
use crate::object::Object;

type Body = Map<String, Value>;

/// What is known of the accounts that must be able to sign in.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// The users that must keep their way in, as the tenant is registered.
    pub break_glass: Vec<ObjectId>,
    /// The live users among those and among the administrators.
    pub users: Vec<Object>,
    /// The direct memberships of those users, and of the groups that they are in:
    /// member, then group.
    pub memberships: HashSet<(ObjectId, ObjectId)>,
    /// The live role assignments of the tenant; `None` where they could not be read,
    /// so that nobody knows who the administrators are.
    pub assignments: Option<Vec<Object>>,
    /// Every live policy.
    pub policies: Vec<Object>,
}

/// An account, as policies see it.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Its id; `None` for an administrator whom nobody knows.
    pub id: Option<ObjectId>,
    /// Whether it is a guest; `None` where that is not sure.
    pub guest: Option<bool>,
    /// The groups that it may be in, so that a policy for them may be for it;
    /// `None` where it may be in any.
    pub perhaps_in: Option<HashSet<ObjectId>>,
    /// The groups that it is in for sure, so that their exclusion is its own.
    pub surely_in: HashSet<ObjectId>,
    /// The roles, by template id, that it may have; `None` where it may have any.
    pub perhaps_has: Option<HashSet<ObjectId>>,
    /// The roles that it has for sure.
    pub surely_has: HashSet<ObjectId>,
}

/// Which conditions of a sign-in count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Whatever they are: somebody who must never be kept out.
    Ever,
    /// Only those that a person cannot avoid by going elsewhere, taking another
    /// device, or not being at risk.
    Always,
}

/// How a policy keeps an account from signing in; `None` where it does not.
#[must_use]
pub fn keeps_out(policy: &Body, account: &Account, when: When) -> Option<String> {
    let nothing = Value::Null;
    let conditions = policy.get("conditions").unwrap_or(&nothing);
    let applies = is_enforced(policy)
        && is_about_signing_in(conditions)
        && covers(conditions, account)
        && (when == When::Ever || !can_be_avoided(conditions));
    applies
        .then(|| barrier(policy.get("grantControls")?))
        .flatten()
}

/// A state that is not known counts as enabled.
fn is_enforced(policy: &Body) -> bool {
    let state = policy.get("state").and_then(Value::as_str);
    !matches!(
        state,
        Some("disabled" | "enabledForReportingButNotEnforced")
    )
}

/// Protocols that no person signs in with to administer anything.
const LEGACY: [&str; 3] = ["exchangeActiveSync", "easSupported", "other"];
/// The application behind the Azure portal and the management interfaces; the other
/// is that portal.
const ADMINISTRATION: [&str; 2] = [
    "797f4846-ba00-4fd7-ba43-dac1f8f63013",
    "c44b4083-3bb0-49c1-b47d-974e53cbdf3c",
];

/// Whether a policy is about a person's sign-in to what tenants are administered with.
fn is_about_signing_in(conditions: &Value) -> bool {
    let clients = texts(conditions, "/clientAppTypes");
    let only_legacy = !clients.is_empty() && clients.iter().all(|one| LEGACY.contains(one));
    let flow = conditions
        .pointer("/authenticationFlows/transferMethods")
        .and_then(Value::as_str);
    let only_a_flow = flow.is_some_and(|flow| !flow.is_empty() && flow != "none");
    let only_workloads =
        !texts(conditions, "/clientApplications/includeServicePrincipals").is_empty();
    let applications = texts(conditions, "/applications/includeApplications");
    let something_else = [
        "/applications/includeUserActions",
        "/applications/includeAuthenticationContextClassReferences",
    ]
    .iter()
    .any(|place| !texts(conditions, place).is_empty());
    let concerned = if applications.is_empty() {
        !something_else
    } else {
        applications.iter().any(|one| is_needed(one))
    };
    concerned && !only_legacy && !only_a_flow && !only_workloads
}

/// Whether an application is one that administrators need, or a word that is not known.
fn is_needed(application: &str) -> bool {
    match application {
        "None" | "Office365" => false,
        id if is_guid(id) => ADMINISTRATION.contains(&id.to_ascii_lowercase().as_str()),
        // `All`, `MicrosoftAdminPortals`, and what Microsoft may add.
        _ => true,
    }
}

/// Whether a policy may be for an account, whatever it asks for; `conditions` are the
/// policy's.
pub(crate) fn covers(conditions: &Value, account: &Account) -> bool {
    let Some(users) = conditions.get("users").filter(|users| users.is_object()) else {
        return true;
    };
    is_included(users, account) && !is_excluded(users, account)
}

fn is_included(users: &Value, account: &Account) -> bool {
    let by_itself = texts(users, "/includeUsers")
        .into_iter()
        .any(|one| match one {
            "None" => false,
            "GuestsOrExternalUsers" => account.guest != Some(false),
            id if is_guid(id) => is_one_of(id, account.id.iter()),
            // `All`, and what Microsoft may add.
            _ => true,
        });
    let perhaps = |place: &str, known: Option<&HashSet<ObjectId>>| {
        let ids = texts(users, place);
        match known {
            Some(known) => ids.into_iter().any(|id| is_one_of(id, known.iter())),
            None => !ids.is_empty(),
        }
    };
    let outsiders = users.get("includeGuestsOrExternalUsers");
    let as_outsider = outsiders.is_some_and(|it| !it.is_null()) && account.guest != Some(false);
    by_itself
        || as_outsider
        || perhaps("/includeGroups", account.perhaps_in.as_ref())
        || perhaps("/includeRoles", account.perhaps_has.as_ref())
}

/// Only what is sure: which outsiders `excludeGuestsOrExternalUsers` means is not.
fn is_excluded(users: &Value, account: &Account) -> bool {
    let by_itself = texts(users, "/excludeUsers")
        .into_iter()
        .any(|one| match one {
            "GuestsOrExternalUsers" => account.guest == Some(true),
            id => is_one_of(id, account.id.iter()),
        });
    let surely = |place: &str, known: &HashSet<ObjectId>| {
        let mut ids = texts(users, place).into_iter();
        ids.any(|id| is_one_of(id, known.iter()))
    };
    by_itself
        || surely("/excludeGroups", &account.surely_in)
        || surely("/excludeRoles", &account.surely_has)
}

/// Whether a person can get round a policy without anybody changing it.
fn can_be_avoided(conditions: &Value) -> bool {
    // Without a risk, one is at none.
    let at_risk = ["/userRiskLevels", "/signInRiskLevels"]
        .iter()
        .any(|place| {
            let levels = texts(conditions, place);
            let is_risk = |level: &&str| ["low", "medium", "high"].contains(level);
            !levels.is_empty() && levels.iter().all(is_risk)
        });
    let only = |place: &str, all: &str| {
        let named = texts(conditions, place);
        !named.is_empty() && !named.iter().any(|one| one.eq_ignore_ascii_case(all))
    };
    // Everywhere but in some places, such as a list of countries: those are left.
    let spared = ["/locations/excludeLocations", "/platforms/excludePlatforms"]
        .iter()
        .any(|place| !texts(conditions, place).is_empty());
    at_risk
        || spared
        || only("/locations/includeLocations", "All")
        || only("/platforms/includePlatforms", "all")
}

/// What of a policy's demands not everybody can fulfil; `None` where everybody can.
fn barrier(controls: &Value) -> Option<String> {
    let built_in = texts(controls, "/builtInControls");
    if built_in.contains(&"block") {
        return Some("it blocks the sign-in".to_owned());
    }
    let built_in = built_in.into_iter().map(|control| match control {
        "mfa" | "passwordChange" => None,
        "compliantDevice" => Some("a compliant device".to_owned()),
        "domainJoinedDevice" => Some("a hybrid joined device".to_owned()),
        "approvedApplication" => Some("an approved app".to_owned()),
        "compliantApplication" => Some("an app with a protection policy".to_owned()),
        other => Some(format!("the control {other:?}")),
    });
    let foreign = texts(controls, "/customAuthenticationFactors").into_iter();
    let foreign = foreign.map(|factor| Some(format!("the custom control {factor:?}")));
    let terms = texts(controls, "/termsOfUse").into_iter().map(|_| None);
    let strength = controls.get("authenticationStrength");
    let strength = strength.filter(|it| it.is_object()).map(|_| None);
    let demands: Vec<Option<String>> = built_in
        .chain(foreign)
        .chain(terms)
        .chain(strength)
        .collect();
    let one_is_enough = controls.get("operator").is_some_and(|it| it == "OR");
    let (some, all) = (
        demands.iter().any(Option::is_some),
        demands.iter().all(Option::is_some),
    );
    let joined = if one_is_enough { " or " } else { " and " };
    let named: Vec<String> = demands.into_iter().flatten().collect();
    let stands = if one_is_enough { all && some } else { some };
    stands.then(|| format!("it asks for {}", named.join(joined)))
}

impl Account {
    /// An account of a user, of whom neither groups nor roles are known yet.
    #[must_use]
    pub fn of(user: &Body, id: ObjectId) -> Self {
        let text = |name: &str| user.get(name).and_then(Value::as_str);
        let is_external = text("userPrincipalName").is_none_or(|name| name.contains("#EXT#"));
        let guest = match text("userType") {
            Some("Guest") => Some(true),
            Some("Member") if !is_external => Some(false),
            _ => None,
        };
        Self {
            id: Some(id),
            guest,
            ..Self::default()
        }
    }
}

/// The groups that each member is in directly.
pub(crate) type Memberships = HashMap<ObjectId, HashSet<ObjectId>>;

/// The groups that a member is in, directly and through others.
pub(crate) fn groups_of(member: &ObjectId, memberships: &Memberships) -> HashSet<ObjectId> {
    let mut found = HashSet::new();
    let mut open = vec![member];
    while let Some(one) = open.pop() {
        for group in memberships.get(one).into_iter().flatten() {
            if found.insert(group.clone()) {
                open.push(group);
            }
        }
    }
    found
}

/// Who holds a role over the whole tenant, and which; `None` where an assignment is
/// about a part of it.
pub(crate) fn role_of(assignment: &Body) -> Option<(ObjectId, ObjectId)> {
    let text = |name: &str| assignment.get(name).and_then(Value::as_str);
    let id = |name: &str| ObjectId::parse(text(name)?).ok();
    (text("directoryScopeId") == Some("/"))
        .then(|| Some((id("principalId")?, id("roleDefinitionId")?)))
        .flatten()
}

/// The texts in a list; none where there is no list.
pub(crate) fn texts<'a>(value: &'a Value, place: &str) -> Vec<&'a str> {
    let list = value.pointer(place).and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

pub(crate) fn is_one_of<'a>(id: &str, mut known: impl Iterator<Item = &'a ObjectId>) -> bool {
    known.any(|one| one.as_str().eq_ignore_ascii_case(id))
}

fn is_guid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests;
