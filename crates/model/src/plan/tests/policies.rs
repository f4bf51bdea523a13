//! Plans for policies of which a tenant has one, for strengths, contexts and units.

use super::*;

/// A plan from what the fixture has of a type to a changed one.
fn changed(object_type: ObjectType, change: impl Fn(&mut Value)) -> (Content, Plan) {
    let mut body = crate::fixture::body(object_type);
    change(&mut body);
    let base = content(vec![full(object_type, 9)], vec![]);
    let live = content(
        vec![object(object_type, 9, ObjectState::Live, body)],
        vec![],
    );
    let plan = planned(&base, &live, ROLLBACK);
    (live, plan)
}

fn calls(plan: &Plan) -> Vec<(HttpMethod, String, Option<Value>)> {
    let calls = plan.steps.iter().map(|step| step.call.clone());
    calls
        .map(|call| (call.method, call.path, call.body))
        .collect()
}

fn patch(path: &str, body: Value) -> (HttpMethod, String, Option<Value>) {
    (HttpMethod::Patch, path.to_owned(), Some(body))
}

#[test]
fn properties_of_a_policy_are_set_back_at_its_own_path() {
    let (_, plan) = changed(ObjectType::AuthorizationPolicy, |body| {
        body["allowInvitesFrom"] = json!("none");
        body["defaultUserRolePermissions"]["allowedToCreateApps"] = json!(false);
    });
    assert_eq!(
        calls(&plan),
        [patch(
            "/policies/authorizationPolicy",
            json!({"allowInvitesFrom": "everyone", "defaultUserRolePermissions": {
                "allowedToCreateApps": true, "permissionGrantPoliciesAssigned": ["a", "b"]}})
        )]
    );
    let (_, plan) = changed(ObjectType::Organization, |body| {
        body["technicalNotificationMails"] = json!(["evil@example.com"]);
        body["city"] = json!("Elsewhere");
    });
    assert_eq!(
        calls(&plan),
        [patch(
            &format!("/organization/{}", id(9)),
            json!({"technicalNotificationMails": ["t@contoso.com"]})
        )]
    );
    assert_eq!(plan.exclusions[0].part, "city");
    let (_, plan) = changed(ObjectType::AuthenticationContextClassReference, |body| {
        body["isAvailable"] = json!(false);
    });
    let contexts = "/identity/conditionalAccess/authenticationContextClassReferences";
    assert_eq!(
        calls(&plan),
        [patch(
            &format!("{contexts}/{}", id(9)),
            json!({"isAvailable": true})
        )]
    );
}

#[test]
fn the_settings_of_a_method_are_set_back_at_a_path_of_their_own() {
    let (live, plan) = changed(ObjectType::AuthenticationMethodsPolicy, |body| {
        body["reconfirmationInDays"] = json!(7);
        let methods = &mut body["authenticationMethodConfigurations"];
        methods[0]["includeTargets"] = json!([]);
        methods[1]["state"] = json!("enabled");
    });
    let policy = "/policies/authenticationMethodsPolicy";
    let methods = format!("{policy}/authenticationMethodConfigurations");
    assert_eq!(
        calls(&plan),
        [
            patch(policy, json!({"reconfirmationInDays": 0})),
            patch(
                &format!("{methods}/Fido2"),
                json!({"@odata.type": "#microsoft.graph.fido2AuthenticationMethodConfiguration",
                    "state": "enabled", "includeTargets": [{"targetType": "group", "id": "all_users"}]})
            ),
            patch(
                &format!("{methods}/Sms"),
                json!({"@odata.type": "#microsoft.graph.smsAuthenticationMethodConfiguration", "state": "disabled"})
            ),
        ]
    );
    let spec = ObjectType::AuthenticationMethodsPolicy.spec();
    let base = full(ObjectType::AuthenticationMethodsPolicy, 9).body();
    for step in &plan.steps {
        for guard in &step.guards {
            assert_eq!(
                guard.found_in(spec, &live.objects[0].body()).as_ref(),
                Some(&guard.before)
            );
            assert_eq!(guard.found_in(spec, &base).as_ref(), Some(&guard.after));
        }
    }
}

#[test]
fn what_a_strength_accepts_is_set_back_by_its_action() {
    let (_, plan) = changed(ObjectType::AuthenticationStrengthPolicy, |body| {
        body["allowedCombinations"] = json!(["fido2", "password,sms", "password,voice"]);
        body["combinationConfigurations"] = json!([]);
    });
    let item = format!("/policies/authenticationStrengthPolicies/{}", id(9));
    assert_eq!(
        calls(&plan),
        [(
            HttpMethod::Post,
            format!("{item}/updateAllowedCombinations"),
            Some(json!({"allowedCombinations": ["fido2", "password,sms"]}))
        )]
    );
    let left: Vec<_> = plan
        .exclusions
        .iter()
        .map(|one| (one.obstacle, one.part.as_str()))
        .collect();
    assert_eq!(left, [(Obstacle::OwnEndpoint, "combinationConfigurations")]);
}

#[test]
fn strengths_and_contexts_are_never_deleted_and_units_go_to_the_bin() {
    let nothing = content(vec![], vec![]);
    for object_type in [
        ObjectType::AuthenticationStrengthPolicy,
        ObjectType::AuthenticationContextClassReference,
    ] {
        let there = content(vec![full(object_type, 9)], vec![]);
        let plan = planned(&nothing, &there, ROLLBACK);
        assert_eq!(
            (plan.steps.len(), plan.exclusions[0].obstacle),
            (0, Obstacle::NotSoftDeletable)
        );
        let plan = planned(&there, &nothing, ROLLBACK);
        assert_eq!(
            (plan.steps.len(), plan.exclusions[0].obstacle),
            (0, Obstacle::HardDeleted)
        );
    }
    let unit = full(ObjectType::AdministrativeUnit, 9);
    let there = content(vec![unit.clone()], vec![]);
    assert_eq!(
        actions(&planned(&nothing, &there, ROLLBACK)),
        [(Action::SoftDelete, id(9))]
    );
    let bin = content(vec![deleted(unit)], vec![]);
    assert_eq!(
        actions(&planned(&there, &bin, ROLLBACK)),
        [(Action::RestoreDeleted, id(9))]
    );
}
