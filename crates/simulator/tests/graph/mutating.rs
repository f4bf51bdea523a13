//! Random changes to a whole tenant.

use std::collections::{BTreeMap, BTreeSet};

use simulator::differences;

use crate::support::{Bench, TENANT, id, round};

/// Method and path without ids.
fn shape(line: &str) -> String {
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let plain =
                part.len() < 30 && !part.starts_with('c') || part.starts_with("conditional");
            let word = plain || part.chars().all(|c| c.is_ascii_alphabetic());
            if word { part } else { "*" }
        })
        .collect();
    format!("{method} {}", parts.join("/"))
}

#[tokio::test]
async fn everything_changes_and_the_same_seed_changes_the_same() {
    let (one, two) = (
        Bench::populated(80, 25).await,
        Bench::populated(80, 25).await,
    );
    let before = one.simulator.dump(TENANT);
    let lines = one.tenant.mutate(5, 3_000);
    assert_eq!(lines.len(), 3_000);
    assert_eq!(lines, two.tenant.mutate(5, 3_000));
    assert_ne!(lines[..100], one.tenant.mutate(6, 100)[..]);
    assert!(!differences(&before, &one.simulator.dump(TENANT)).is_empty());

    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in &lines {
        *seen.entry(shape(line)).or_default() += 1;
    }
    let unit = "directory/administrativeUnits";
    let access = "identity/conditionalAccess";
    for wanted in [
        "PATCH users/*",
        "POST users",
        "DELETE users/*",
        "PATCH groups/*",
        "POST groups",
        "DELETE groups/*",
        "PATCH applications/*",
        "POST applications",
        "DELETE applications/*",
        "POST applications/*/addPassword",
        "POST applications/*/removePassword",
        "PATCH servicePrincipals/*",
        "POST servicePrincipals",
        "DELETE servicePrincipals/*",
        "POST directory/deletedItems/*/restore",
        "DELETE directory/deletedItems/*",
        "POST groups/*/members/$ref",
        "DELETE groups/*/members/*/$ref",
        "POST groups/*/owners/$ref",
        "DELETE groups/*/owners/*/$ref",
        "POST applications/*/owners/$ref",
        "DELETE applications/*/owners/*/$ref",
        "POST servicePrincipals/*/owners/$ref",
        "DELETE servicePrincipals/*/owners/*/$ref",
        "PUT users/*/manager/$ref",
        "DELETE users/*/manager/$ref",
        "POST users/*/sponsors/$ref",
        "DELETE users/*/sponsors/*/$ref",
        &format!("POST {unit}"),
        &format!("PATCH {unit}/*"),
        &format!("DELETE {unit}/*"),
        &format!("POST {unit}/*/members/$ref"),
        &format!("DELETE {unit}/*/members/*/$ref"),
        "POST oauth2PermissionGrants",
        "PATCH oauth2PermissionGrants/*",
        "DELETE oauth2PermissionGrants/*",
        "POST servicePrincipals/*/appRoleAssignedTo",
        "DELETE servicePrincipals/*/appRoleAssignedTo/*",
        "POST applications/*/federatedIdentityCredentials",
        "PATCH applications/*/federatedIdentityCredentials/*",
        "DELETE applications/*/federatedIdentityCredentials/*",
        "POST roleManagement/directory/roleAssignments",
        "DELETE roleManagement/directory/roleAssignments/*",
        &format!("POST {access}/policies"),
        &format!("PATCH {access}/policies/*"),
        &format!("DELETE {access}/policies/*"),
        &format!("POST {access}/deletedItems/policies/*/restore"),
        &format!("DELETE {access}/deletedItems/policies/*"),
        &format!("POST {access}/namedLocations"),
        &format!("PATCH {access}/namedLocations/*"),
        &format!("DELETE {access}/namedLocations/*"),
        &format!("POST {access}/deletedItems/namedLocations/*/restore"),
        &format!("PATCH {access}/authenticationContextClassReferences/*"),
        &format!("DELETE {access}/authenticationContextClassReferences/*"),
        "POST policies/authenticationStrengthPolicies",
        "PATCH policies/authenticationStrengthPolicies/*",
        "DELETE policies/authenticationStrengthPolicies/*",
        "POST policies/authenticationStrengthPolicies/*/updateAllowedCombinations",
        "PATCH policies/authenticationMethodsPolicy",
        "PATCH policies/authorizationPolicy",
        "PATCH organization/*",
    ] {
        assert!(seen.contains_key(wanted), "no {wanted} in {seen:#?}");
    }
}

#[tokio::test]
async fn an_empty_tenant_grows_by_chance_too() {
    let bench = Bench::empty().await;
    assert_eq!(bench.tenant.mutate(1, 400).len(), 400);
    assert!(bench.tenant.count("user") > 0 && bench.tenant.count("oAuth2PermissionGrant") > 0);
}

/// What a follower of delta rounds knows is what a list says, whatever happened.
#[tokio::test]
async fn rounds_after_random_changes_lead_to_what_is_there() {
    let bench = Bench::populated(60, 20).await;
    for collection in [
        "users",
        "groups",
        "applications",
        "servicePrincipals",
        "directory/administrativeUnits",
        "oauth2PermissionGrants",
    ] {
        let (items, mut link) = round(&bench, &format!("/{collection}/delta")).await;
        let mut known: BTreeSet<String> = items.iter().map(id).collect();
        for seed in 0..8 {
            bench.tenant.mutate(seed, 150);
            let (items, next) = round(&bench, &link).await;
            link = next;
            for item in &items {
                if item["@removed"].is_object() {
                    known.remove(&id(item));
                } else {
                    known.insert(id(item));
                }
            }
            let listed = bench
                .all(&format!("/{collection}?$top=999&$select=id"))
                .await;
            let listed: BTreeSet<String> = listed.iter().map(id).collect();
            assert_eq!(known, listed, "{collection} after seed {seed}");
        }
    }
}
