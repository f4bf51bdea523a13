//! What must be told of a request that changed the tenant, from the request itself and
//! the tenant before and after. It shares nothing with the rules: it reads no log and
//! no name of an activity.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What one request does that somebody must hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Must {
    /// One signal of this rule.
    Tell(&'static str),
    /// It counts for this rule.
    Count(&'static str),
    /// A signal of this rule, or none: from outside it cannot be seen.
    May(&'static str),
}

/// The roles of the practice tenant that Microsoft's page does not call privileged:
/// those of Exchange, SharePoint, billing, groups and directory synchronization.
const ORDINARY: [&str; 5] = [
    "29232cdf-9323-42fd-ade2-1d097af3e4de",
    "f28a1f50-f6e7-4571-818b-6a12f2af6b6c",
    "b0f54661-2d74-4c50-afa3-1ec803f12efe",
    "fdd7a751-b60b-444a-984c-02652fe8fa1c",
    "d29b2b05-8046-44ba-8758-1e26182fcf32",
];

fn is_privileged(role: &str) -> bool {
    !ORDINARY.contains(&role)
}

/// What must be told of a request (`METHOD path body`), each with the id that it is
/// about.
pub(super) fn expected(line: &str, before: &Value, after: &Value) -> Vec<(Must, String)> {
    let mut words = line.splitn(3, ' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let body = words.next().unwrap_or_default();
    let body = body.rsplit_once(" made ").map_or(body, |(body, _)| body);
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let one = |must: Must, id: &str| vec![(must, id.to_lowercase())];
    match (method, &parts[..]) {
        ("DELETE", ["directory", "deletedItems", id])
        | ("DELETE", ["identity", "conditionalAccess", "deletedItems", _, id]) => {
            one(Must::Tell("hard-delete"), id)
        }
        ("POST", [.., id, "restore"]) => one(Must::Tell("foreign-restore"), id),
        (_, ["policies", "authenticationStrengthPolicies", ..])
        | (_, ["policies", "authenticationMethodsPolicy", ..])
        | (_, ["policies", "authorizationPolicy", ..]) => one(Must::Tell("sign-in-policies"), ""),
        (
            _,
            [
                "identity",
                "conditionalAccess",
                "authenticationContextClassReferences",
                id,
            ],
        ) => one(Must::Tell("protected-actions"), id),
        (
            "POST",
            [
                "identity",
                "conditionalAccess",
                "policies" | "namedLocations",
            ],
        ) => one(Must::Tell("policy-change"), ""),
        (
            "DELETE",
            [
                "identity",
                "conditionalAccess",
                "policies" | "namedLocations",
                id,
            ],
        ) => one(Must::Tell("policy-change"), id),
        (
            "PATCH",
            [
                "identity",
                "conditionalAccess",
                "policies" | "namedLocations",
                id,
            ],
        ) => {
            let (was, is) = (object(before, id), object(after, id));
            if was == is {
                // Absent and empty look alike here, and may be a change in the log.
                one(Must::May("policy-change"), id)
            } else {
                one(Must::Tell("policy-change"), id)
            }
        }
        ("POST", ["oauth2PermissionGrants"]) if body["consentType"] == "AllPrincipals" => {
            one(Must::Tell("consent"), text(&body, "clientId"))
        }
        ("PATCH", ["oauth2PermissionGrants", id]) => {
            let grant = &before["oAuth2PermissionGrants"][id];
            if grant["principalId"].is_null() {
                one(Must::Tell("consent"), text(grant, "clientId"))
            } else {
                Vec::new()
            }
        }
        ("POST", ["servicePrincipals", id, "appRoleAssignedTo"]) => {
            let principal = text(&body, "principalId");
            match before["objects"]["servicePrincipal"].get(principal) {
                Some(_) => one(Must::Tell("consent"), id),
                None => Vec::new(),
            }
        }
        ("POST" | "PATCH", ["applications", id, "federatedIdentityCredentials", ..]) => {
            one(Must::Tell("new-credentials"), id)
        }
        (
            "POST",
            [
                "applications" | "servicePrincipals",
                id,
                "addPassword" | "addKey",
            ],
        ) => one(Must::Tell("new-credentials"), id),
        ("PATCH", ["applications" | "servicePrincipals", id]) => {
            let keys = |state: &Value| -> BTreeSet<String> {
                let held = object(state, id).map(|it| it["keyCredentials"].clone());
                let held = held.unwrap_or_default();
                let keys = held.as_array().into_iter().flatten();
                keys.map(|key| text(key, "keyId").to_owned()).collect()
            };
            if keys(after).is_subset(&keys(before)) {
                Vec::new()
            } else {
                one(Must::Tell("new-credentials"), id)
            }
        }
        ("POST", ["applications" | "servicePrincipals", id, "owners", "$ref"]) => {
            one(Must::Tell("new-owners"), id)
        }
        ("POST", ["roleManagement", "directory", "roleAssignments"]) => {
            let (role, principal) = (text(&body, "roleDefinitionId"), text(&body, "principalId"));
            if is_privileged(role) {
                one(Must::Tell("role-assignment"), principal)
            } else {
                Vec::new()
            }
        }
        ("DELETE", ["roleManagement", "directory", "roleAssignments", _]) => {
            let gone = lines(before, "roleAssignments");
            let still = lines(after, "roleAssignments");
            match gone.difference(&still).next() {
                Some(gone) => {
                    let mut words = gone.split(' ');
                    let (principal, role) = (words.next().unwrap(), words.next().unwrap());
                    if is_privileged(role) {
                        one(Must::Tell("role-assignment"), principal)
                    } else {
                        Vec::new()
                    }
                }
                // Of a principal in the recycle bin, whose assignments nobody sees.
                None => one(Must::May("role-assignment"), ""),
            }
        }
        ("DELETE", ["users" | "groups" | "servicePrincipals", id])
        | ("DELETE", ["directory", "administrativeUnits", id]) => {
            one(Must::Count("mass-delete"), id)
        }
        ("DELETE", ["applications", id]) => {
            let mut gone = one(Must::Count("mass-delete"), id);
            let app_id = object(before, id).map(|it| it["appId"].clone());
            let principals = before["objects"]["servicePrincipal"].as_object();
            let own = principals.into_iter().flatten();
            let own = own.filter(|(_, it)| Some(&it["appId"]) == app_id.as_ref());
            gone.extend(own.map(|(id, _)| (Must::Count("mass-delete"), id.clone())));
            gone
        }
        ("PATCH", ["users", id]) => {
            let enabled = |state: &Value| object(state, id).map(|it| it["accountEnabled"] == true);
            if enabled(before) == Some(true) && enabled(after) == Some(false) {
                one(Must::Count("bulk-disable"), id)
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn lines(state: &Value, section: &str) -> BTreeSet<String> {
    let lines = state[section].as_array().into_iter().flatten();
    lines
        .filter_map(|line| line.as_str().map(str::to_owned))
        .collect()
}

/// A live object, of whatever type.
fn object(state: &Value, id: &str) -> Option<Value> {
    let types = state["objects"].as_object()?;
    types.values().find_map(|objects| objects.get(id)).cloned()
}

/// The hours in which a rule's limit stood passed: at some time, so many different
/// things within the hour before. By looking at each time anew.
pub(super) fn hours(counted: &[(i64, String)], least: usize) -> BTreeSet<i64> {
    let mut hours = BTreeSet::new();
    for (time, _) in counted {
        let within = counted
            .iter()
            .filter(|(other, _)| *other <= *time && *other > time - 3_600);
        let different: BTreeSet<&String> = within.map(|(_, id)| id).collect();
        if different.len() >= least {
            hours.insert(time.div_euclid(3_600));
        }
    }
    hours
}

/// What was told and what should have been, where the two differ.
pub(super) fn compare(
    expected: &[(i64, Must, String)],
    told: &BTreeMap<(i64, String), Vec<Vec<String>>>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut left = told.clone();
    for (time, must, id) in expected {
        let (Must::Tell(rule) | Must::May(rule)) = must else {
            continue;
        };
        let key = (*time, (*rule).to_owned());
        let about = |targets: &Vec<String>| id.is_empty() || targets.contains(id);
        let found = left.get_mut(&key);
        let place = found.as_ref().and_then(|all| all.iter().position(about));
        match (found, place) {
            (Some(all), Some(place)) => drop(all.remove(place)),
            _ if matches!(must, Must::May(_)) => {}
            _ => wrong.push(format!("not told: {rule} of {id} at {time}")),
        }
    }
    for ((time, rule), targets) in left {
        wrong.extend(
            targets
                .iter()
                .map(|it| format!("told for nothing: {rule} of {it:?} at {time}")),
        );
    }
    wrong
}
