use serde_json::json;

use super::*;
use crate::fixture::id;

/// A policy that blocks everybody everywhere, changed.
fn policy(change: impl Fn(&mut Value)) -> Body {
    let mut policy = json!({
        "displayName": "P", "state": "enabled",
        "conditions": {"clientAppTypes": ["all"], "users": {"includeUsers": ["All"]},
            "applications": {"includeApplications": ["All"]}},
        "grantControls": {"operator": "OR", "builtInControls": ["block"]}});
    change(&mut policy);
    policy.as_object().expect("an object").clone()
}

/// A member in group 2 with role 3.
fn account() -> Account {
    let user = json!({"userType": "Member", "userPrincipalName": "a@contoso.com"});
    Account {
        perhaps_in: Some([id(2)].into()),
        surely_in: [id(2)].into(),
        perhaps_has: Some([id(3)].into()),
        surely_has: [id(3)].into(),
        ..Account::of(user.as_object().expect("an object"), id(1))
    }
}

fn check(policy: &Body, account: &Account, when: When, expected: bool) {
    let found = keeps_out(policy, account, when);
    assert_eq!(found.is_some(), expected, "{when:?} {policy:?} {found:?}");
}

#[test]
fn only_an_enforced_policy_keeps_anybody_out() {
    for (state, expected) in [
        (json!("enabled"), true),
        (json!("disabled"), false),
        (json!("enabledForReportingButNotEnforced"), false),
        (json!("newState"), true),
        (Value::Null, true),
    ] {
        let policy = policy(|policy| policy["state"] = state.clone());
        check(&policy, &account(), When::Ever, expected);
    }
}

#[test]
fn an_account_is_covered_by_itself_its_groups_its_roles_and_unless_excluded() {
    let all = json!(["All"]);
    let own = json!([id(1).as_str().to_uppercase()]);
    let (group, role, other) = (
        json!([id(2).as_str()]),
        json!([id(3).as_str()]),
        json!([id(9).as_str()]),
    );
    for (users, expected) in [
        (json!({"includeUsers": all}), true),
        (json!({"includeUsers": own}), true),
        (json!({"includeUsers": other}), false),
        (json!({"includeUsers": ["None"]}), false),
        (json!({"includeUsers": ["Everybody"]}), true),
        (json!({"includeUsers": ["GuestsOrExternalUsers"]}), false),
        (json!({"includeGroups": group}), true),
        (json!({"includeGroups": other}), false),
        (json!({"includeRoles": role}), true),
        (json!({"includeRoles": other}), false),
        (
            json!({"includeGuestsOrExternalUsers": {"guestOrExternalUserTypes": "internalGuest"}}),
            false,
        ),
        (json!({"includeUsers": all, "excludeUsers": own}), false),
        (json!({"includeUsers": all, "excludeUsers": other}), true),
        (json!({"includeUsers": all, "excludeGroups": group}), false),
        (json!({"includeUsers": all, "excludeGroups": other}), true),
        (json!({"includeUsers": all, "excludeRoles": role}), false),
        (
            json!({"includeUsers": all, "excludeGuestsOrExternalUsers": {}}),
            true,
        ),
        (Value::Null, true),
    ] {
        let policy = policy(|policy| policy["conditions"]["users"] = users.clone());
        check(&policy, &account(), When::Ever, expected);
    }
}

#[test]
fn what_is_not_known_of_an_account_covers_and_does_not_exclude() {
    let nobody = Account {
        surely_has: [id(3)].into(),
        ..Account::default()
    };
    for (users, expected) in [
        (json!({"includeGroups": [id(9).as_str()]}), true),
        (json!({"includeRoles": [id(9).as_str()]}), true),
        (json!({"includeUsers": [id(9).as_str()]}), false),
        (json!({"includeUsers": ["GuestsOrExternalUsers"]}), true),
        (
            json!({"includeUsers": ["All"], "excludeGroups": [id(9).as_str()], "excludeUsers": [id(9).as_str(), "GuestsOrExternalUsers"]}),
            true,
        ),
        (
            json!({"includeUsers": ["All"], "excludeRoles": [id(3).as_str()]}),
            false,
        ),
    ] {
        let policy = policy(|policy| policy["conditions"]["users"] = users.clone());
        check(&policy, &nobody, When::Ever, expected);
    }
    let guest = |body: Value| Account::of(body.as_object().expect("an object"), id(1)).guest;
    assert_eq!(guest(json!({"userType": "Guest"})), Some(true));
    let external = json!({"userType": "Member", "userPrincipalName": "a_b.com#EXT#@contoso.com"});
    assert_eq!(guest(external), None);
    assert_eq!(guest(json!({})), None);
}

#[test]
fn policies_about_something_else_than_signing_in_keep_nobody_out() {
    for (place, value, expected) in [
        (
            "clientAppTypes",
            json!(["exchangeActiveSync", "other"]),
            false,
        ),
        ("clientAppTypes", json!(["browser", "other"]), true),
        ("clientAppTypes", json!([]), true),
        (
            "authenticationFlows",
            json!({"transferMethods": "deviceCodeFlow"}),
            false,
        ),
        (
            "authenticationFlows",
            json!({"transferMethods": "none"}),
            true,
        ),
        ("authenticationFlows", Value::Null, true),
        (
            "clientApplications",
            json!({"includeServicePrincipals": ["ServicePrincipalsInMyTenant"]}),
            false,
        ),
        (
            "applications",
            json!({"includeApplications": ["None"]}),
            false,
        ),
        (
            "applications",
            json!({"includeApplications": ["Office365"]}),
            false,
        ),
        (
            "applications",
            json!({"includeApplications": [id(9).as_str()]}),
            false,
        ),
        (
            "applications",
            json!({"includeApplications": [id(9).as_str(), "797F4846-ba00-4fd7-ba43-dac1f8f63013"]}),
            true,
        ),
        (
            "applications",
            json!({"includeApplications": ["MicrosoftAdminPortals"]}),
            true,
        ),
        (
            "applications",
            json!({"includeApplications": ["NewWord"]}),
            true,
        ),
        (
            "applications",
            json!({"includeUserActions": ["urn:user:registersecurityinfo"]}),
            false,
        ),
        (
            "applications",
            json!({"includeAuthenticationContextClassReferences": ["c1"]}),
            false,
        ),
        (
            "applications",
            json!({"applicationFilter": {"mode": "include", "rule": "x"}}),
            true,
        ),
        ("applications", Value::Null, true),
    ] {
        let policy = policy(|policy| policy["conditions"][place] = value.clone());
        check(&policy, &account(), When::Ever, expected);
    }
}

#[test]
fn what_can_be_avoided_keeps_out_at_times_and_what_is_not_known_always() {
    for (place, value, always) in [
        ("userRiskLevels", json!(["high"]), false),
        ("signInRiskLevels", json!(["medium"]), false),
        ("signInRiskLevels", json!([]), true),
        (
            "locations",
            json!({"includeLocations": [id(9).as_str()]}),
            false,
        ),
        (
            "locations",
            json!({"includeLocations": ["AllTrusted"]}),
            false,
        ),
        (
            "locations",
            json!({"includeLocations": ["All"], "excludeLocations": [id(9).as_str()]}),
            false,
        ),
        ("locations", json!({"includeLocations": ["All"]}), true),
        ("locations", Value::Null, true),
        ("platforms", json!({"includePlatforms": ["linux"]}), false),
        ("platforms", json!({"includePlatforms": ["all"]}), true),
        (
            "platforms",
            json!({"includePlatforms": ["all"], "excludePlatforms": ["windows"]}),
            false,
        ),
        (
            "devices",
            json!({"deviceFilter": {"mode": "exclude", "rule": "x"}}),
            true,
        ),
        ("insiderRiskLevels", json!("elevated"), true),
    ] {
        let policy = policy(|policy| policy["conditions"][place] = value.clone());
        check(&policy, &account(), When::Ever, true);
        check(&policy, &account(), When::Always, always);
    }
}

#[test]
fn a_demand_that_not_everybody_can_fulfil_is_a_barrier() {
    for (controls, expected) in [
        (Value::Null, None),
        (json!({"operator": "OR", "builtInControls": []}), None),
        (
            json!({"operator": "AND", "builtInControls": ["block"]}),
            Some("it blocks the sign-in"),
        ),
        (json!({"operator": "OR", "builtInControls": ["mfa"]}), None),
        (
            json!({"operator": "AND", "builtInControls": ["mfa", "passwordChange"], "termsOfUse": ["t"]}),
            None,
        ),
        (
            json!({"operator": "OR", "builtInControls": ["mfa", "compliantDevice"]}),
            None,
        ),
        (
            json!({"operator": "OR", "builtInControls": ["compliantDevice", "domainJoinedDevice"]}),
            Some("it asks for a compliant device or a hybrid joined device"),
        ),
        (
            json!({"operator": "AND", "builtInControls": ["mfa", "compliantDevice"]}),
            Some("it asks for a compliant device"),
        ),
        (
            json!({"operator": "OR", "builtInControls": ["compliantDevice"], "authenticationStrength": {"id": "s"}}),
            None,
        ),
        (
            json!({"operator": "AND", "builtInControls": ["approvedApplication"], "customAuthenticationFactors": ["duo"]}),
            Some("it asks for an approved app and the custom control \"duo\""),
        ),
        (
            json!({"builtInControls": ["mfa", "somethingNew"]}),
            Some("it asks for the control \"somethingNew\""),
        ),
    ] {
        let policy = policy(|policy| policy["grantControls"] = controls.clone());
        let found = keeps_out(&policy, &account(), When::Always);
        assert_eq!(found.as_deref(), expected, "{controls}");
    }
}
