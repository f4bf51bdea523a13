//! Plans that make hard-deleted objects anew.

use chrono::DateTime;

use super::*;
use crate::catalogue::OWNER;
use crate::id::PlanId;
use crate::lineage::{Entry, Lineage};

const ANEW: Options = Options {
    added: Added::Keep,
    hard_deleted: HardDeleted::MakeAnew,
    ..ROLLBACK
};

fn live_object(object_type: ObjectType, n: u8, body: Value) -> Object {
    object(object_type, n, ObjectState::Live, body)
}

fn person(n: u8) -> Object {
    let body = json!({"displayName": format!("User {n}"), "accountEnabled": true,
        "mailNickname": format!("u{n}"), "userPrincipalName": format!("u{n}@contoso.com"),
        "userType": "Member", "jobTitle": "a", "createdDateTime": "2020-01-01T00:00:00Z",
        "assignedLicenses": [{"skuId": "x"}], "proxyAddresses": ["SMTP:u@contoso.com"],
        "identities": [{"signInType": "userPrincipalName", "issuer": "contoso.com",
            "issuerAssignedId": format!("u{n}@contoso.com")}]});
    live_object(ObjectType::User, n, body)
}

fn policy(n: u8, state: &str, excluded: &[u8]) -> Object {
    let excluded: Vec<String> = excluded.iter().map(|n| id(*n).to_string()).collect();
    let body = json!({"displayName": format!("Policy {n}"), "state": state,
        "conditions": {"clientAppTypes": ["all"], "applications": {"includeApplications": ["All"]},
            "users": {"includeUsers": ["All"], "excludeUsers": excluded}},
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        "sessionControls": null, "templateId": "t"});
    live_object(ObjectType::ConditionalAccessPolicy, n, body)
}

fn lineage(pairs: &[(u8, u8)]) -> Lineage {
    let entry = |(old, new): &(u8, u8)| Entry {
        object_type: ObjectType::User,
        old: id(*old),
        new: id(*new),
        app_ids: None,
        made: DateTime::UNIX_EPOCH,
        restore: PlanId::parse("p").expect("valid"),
    };
    Lineage::new(pairs.iter().map(entry).collect())
}

fn body(step: &Step) -> &Map<String, Value> {
    let body = step.call.body.as_ref().and_then(Value::as_object);
    body.expect("a body")
}

fn only(plan: &Plan, action: Action) -> &Step {
    let mut steps = plan.steps.iter().filter(|step| step.action == action);
    let step = steps.next().expect("a step");
    assert_eq!(steps.next(), None, "one {action:?}");
    step
}

fn parts(plan: &Plan) -> Vec<(Obstacle, &str)> {
    let exclusions = plan.exclusions.iter();
    exclusions
        .map(|one| (one.obstacle, one.part.as_str()))
        .collect()
}

#[test]
fn it_is_done_only_where_it_is_asked_for() {
    let (base, live) = (content(vec![person(1)], vec![]), content(vec![], vec![]));
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(plan.steps, []);
    assert_eq!(parts(&plan), [(Obstacle::HardDeleted, "")]);
}

#[test]
fn a_user_is_made_without_a_password_in_the_plan() {
    let (base, live) = (content(vec![person(1)], vec![]), content(vec![], vec![]));
    let plan = planned(&base, &live, ANEW);
    let step = only(&plan, Action::Recreate);
    assert_eq!(
        (step.call.method, step.call.path.as_str()),
        (HttpMethod::Post, "/users")
    );
    assert_eq!(
        step.call.body,
        Some(
            json!({"displayName": "User 1", "accountEnabled": true, "mailNickname": "u1",
            "userPrincipalName": "u1@contoso.com", "userType": "Member", "jobTitle": "a"})
        )
    );
    assert_eq!(
        parts(&plan),
        [
            (Obstacle::OwnEndpoint, "assignedLicenses"),
            (Obstacle::ReadOnly, "proxyAddresses")
        ]
    );
    assert!(plan.risks.iter().any(|risk| risk.contains("password")));
    assert!(step.reason.contains("random password"), "{}", step.reason);
    assert!(!format!("{step:?}").contains("passwordProfile"));
}

#[test]
fn everything_that_is_tied_to_it_follows() {
    let role = live_object(
        ObjectType::RoleAssignment,
        20,
        json!({"principalId": id(1).as_str(), "roleDefinitionId": "r", "directoryScopeId": "/"}),
    );
    let unit = live_object(
        ObjectType::AdministrativeUnit,
        30,
        json!({"displayName": "Branch"}),
    );
    let links = vec![
        link(LinkKind::GroupMembers, 9, 1),
        link(LinkKind::UserManager, 2, 1),
        link(LinkKind::UserManager, 1, 2),
        link(LinkKind::AdministrativeUnitMembers, 30, 1),
    ];
    let base = content(
        vec![person(1), person(2), group(9), role, unit.clone()],
        links,
    );
    let live = content(vec![person(2), group(9), unit], vec![]);
    let plan = planned(&base, &live, ANEW);
    let made = only(&plan, Action::Recreate).number;
    let tied: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|step| step.action != Action::Recreate)
        .collect();
    assert_eq!(tied.len(), 5, "{:?}", actions(&plan));
    for step in tied {
        assert_eq!(step.made_anew, [id(1)], "{step:?}");
        assert!(step.after.contains(&made), "{step:?}");
        let new = step.in_new_ids(&lineage(&[(1, 77)])).expect("made");
        let call = format!("{:?} {:?}", new.call, new.links);
        let (new, old) = (id(77), id(1));
        assert!(call.contains(new.as_str()), "{call}");
        assert!(!call.contains(old.as_str()), "{call}");
        assert_eq!(step.in_new_ids(&lineage(&[(5, 6)])), Err(id(1)));
    }
}

#[test]
fn what_can_only_be_tied_elsewhere_is_named() {
    for (name, obstacle) in [
        ("onPremisesSyncEnabled", Obstacle::OnPremisesSynced),
        ("mailEnabled", Obstacle::ExchangeManaged),
    ] {
        tied_elsewhere(name, obstacle);
    }
}

fn tied_elsewhere(name: &str, obstacle: Obstacle) {
    let mut held = Value::Object(group(9).body());
    held[name] = json!(true);
    let held = live_object(ObjectType::Group, 9, held);
    let members = vec![link(LinkKind::GroupMembers, 9, 1)];
    let base = content(vec![person(1), held.clone()], members);
    let plan = planned(&base, &content(vec![held], vec![]), ANEW);
    assert_eq!(actions(&plan), [(Action::Recreate, id(1))]);
    let part = format!("group/members:{}", id(1));
    assert!(
        parts(&plan).contains(&(obstacle, part.as_str())),
        "{:?}",
        plan.exclusions
    );
}

#[test]
fn a_policy_that_names_it_names_the_new_one_and_nothing_else_changes() {
    let held = policy(40, "enabled", &[1, 2]);
    let base = content(vec![person(1), person(2), held.clone()], vec![]);
    let live = content(vec![person(2), held], vec![]);
    let plan = planned(&base, &live, ANEW);
    let step = only(&plan, Action::Update);
    assert_eq!(step.object.id, id(40));
    assert_eq!(step.made_anew, [id(1)]);
    assert_eq!(body(step).keys().collect::<Vec<_>>(), ["conditions"]);
    let [guard] = &step.guards[..] else {
        panic!("one guard")
    };
    assert_eq!(
        guard.before, guard.after,
        "by the former id nothing changes"
    );

    let new = step.in_new_ids(&lineage(&[(1, 77)])).expect("made");
    let excluded = &body(&new)["conditions"]["users"]["excludeUsers"];
    assert_eq!(*excluded, json!([id(77).as_str(), id(2).as_str()]));
    let spec = ObjectType::ConditionalAccessPolicy.spec();
    let found = |policy: Object| new.guards[0].found_in(spec, &policy.body());
    assert_eq!(
        found(policy(40, "enabled", &[2, 77])).as_deref(),
        Some(new.guards[0].after.as_str()),
        "it is done once the new id is there"
    );
    assert_eq!(
        found(policy(40, "enabled", &[1, 2])).as_deref(),
        Some(new.guards[0].before.as_str())
    );

    // One that is written anyway is written once.
    let off = policy(40, "disabled", &[]);
    let live = content(vec![person(2), off], vec![]);
    let plan = planned(&base, &live, ANEW);
    let step = only(&plan, Action::Update);
    assert_eq!(
        body(step).keys().collect::<Vec<_>>(),
        ["conditions", "state"]
    );
    assert_eq!(step.made_anew, [id(1)]);
    assert_eq!(plan.exclusions.len(), 2, "what does not follow the user");
}

#[test]
fn a_policy_is_made_after_those_that_it_names() {
    let base = content(vec![person(1), policy(40, "enabled", &[1])], vec![]);
    let plan = planned(&base, &content(vec![], vec![]), ANEW);
    let [user, made] = &plan.steps[..] else {
        panic!("two steps: {:?}", actions(&plan))
    };
    assert_eq!((user.object.id.clone(), &made.after[..]), (id(1), &[1][..]));
    assert_eq!(made.action, Action::Recreate);
    assert_eq!(made.call.path, "/identity/conditionalAccess/policies");
    let fields: Vec<&String> = body(made).keys().collect();
    assert_eq!(
        fields,
        ["conditions", "displayName", "grantControls", "state"],
        "neither ids nor templates nor empty session controls"
    );

    // Where one that it names does not come back it is not made either.
    let synced = person(1).body();
    let mut synced = Value::Object(synced);
    synced["onPremisesSyncEnabled"] = json!(true);
    let base = content(
        vec![
            live_object(ObjectType::User, 1, synced),
            policy(40, "enabled", &[1]),
        ],
        vec![],
    );
    let plan = planned(&base, &content(vec![], vec![]), ANEW);
    assert_eq!(plan.steps, []);
    assert_eq!(
        parts(&plan),
        [
            (Obstacle::NotRecreatable, ""),
            (Obstacle::UnresolvedReference, "")
        ]
    );
}

/// An application with its service principal, a role that user 2 holds in it, and a
/// policy that names it by its `appId`, which is id 50.
fn software() -> Vec<Object> {
    let app_id = id(50);
    let application = json!({"displayName": "Payroll", "appId": app_id.as_str(),
        "identifierUris": [format!("api://{app_id}")],
        "appRoles": [{"id": id(60).as_str(), "isEnabled": true, "value": "Read"}],
        "web": {"redirectUris": ["https://a.example"], "implicitGrantSettings":
            {"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false}},
        "passwordCredentials": [{"keyId": id(61).as_str(), "hint": "abc"}]});
    let principal = json!({"displayName": "Payroll", "appId": app_id.as_str(),
        "accountEnabled": true, "servicePrincipalType": "Application",
        "servicePrincipalNames": [app_id.as_str(), format!("api://{app_id}")]});
    let assignment = json!({OWNER: id(6).as_str(), "appRoleId": id(60).as_str(),
        "principalId": id(2).as_str(), "resourceId": id(6).as_str(), "principalType": "User"});
    let policy = json!({"displayName": "For payroll", "state": "enabled",
        "conditions": {"clientAppTypes": ["all"], "users": {"includeUsers": ["All"]},
            "applications": {"includeApplications": [app_id.as_str()]}}});
    let other = json!({"displayName": "Client", "appId": id(51).as_str(),
        "requiredResourceAccess": [{"resourceAppId": app_id.as_str(),
            "resourceAccess": [{"id": id(60).as_str(), "type": "Role"}]}]});
    vec![
        live_object(ObjectType::Application, 5, application),
        live_object(ObjectType::ServicePrincipal, 6, principal),
        live_object(ObjectType::AppRoleAssignment, 7, assignment),
        live_object(ObjectType::ConditionalAccessPolicy, 41, policy),
        live_object(ObjectType::Application, 8, other),
        person(2),
    ]
}

#[test]
fn what_names_an_application_by_its_app_id_follows_the_new_one() {
    let base = content(software(), vec![]);
    for principal_is_in_the_bin in [false, true] {
        let mut live = software();
        live.retain(|object| {
            object.object_type != ObjectType::AppRoleAssignment && object.id != id(5)
        });
        live.retain(|object| principal_is_in_the_bin || object.id != id(6));
        for object in &mut live {
            if object.id == id(6) {
                object.state = ObjectState::Deleted;
            }
        }
        let plan = planned(&base, &content(live, vec![]), ANEW);
        let told: Vec<(Action, &str, Vec<ObjectId>)> = plan
            .steps
            .iter()
            .map(|step| (step.action, step.call.path.as_str(), step.made_anew.clone()))
            .collect();
        let (application, assigned, other, policy) = (
            format!("/applications(uniqueName='rewind-{}')", id(5)),
            format!("/servicePrincipals/{}/appRoleAssignedTo", id(6)),
            format!("/applications/{}", id(8)),
            format!("/identity/conditionalAccess/policies/{}", id(41)),
        );
        let itself = format!("/applications/{}", id(5));
        assert_eq!(
            told,
            [
                (Action::Recreate, application.as_str(), vec![]),
                (Action::Update, itself.as_str(), vec![id(5), id(50)]),
                (Action::Recreate, "/servicePrincipals", vec![id(50)]),
                (Action::Update, other.as_str(), vec![id(50)]),
                (Action::MakeAnew, assigned.as_str(), vec![id(6)]),
                (Action::Update, policy.as_str(), vec![id(50)]),
            ]
        );
        let made = body(&plan.steps[0]);
        assert!(!made.contains_key("identifierUris"), "{made:?}");
        assert!(!made.contains_key("appId"), "{made:?}");
        assert_eq!(
            body(&plan.steps[2]).keys().collect::<Vec<_>>(),
            ["accountEnabled", "appId", "displayName"],
            "its names follow the application"
        );
        assert_eq!(
            parts(&plan),
            [(Obstacle::Secret, "passwordCredentials")],
            "{principal_is_in_the_bin}"
        );
        let entry = Entry {
            object_type: ObjectType::Application,
            old: id(5),
            new: id(70),
            app_ids: Some((id(50), id(71))),
            made: DateTime::UNIX_EPOCH,
            restore: PlanId::parse("p").expect("valid"),
        };
        let lineage = Lineage::new(vec![entry]);
        let uris = plan.steps[1].in_new_ids(&lineage).expect("made");
        assert_eq!(uris.call.path, format!("/applications/{}", id(70)));
        let expected = json!({"identifierUris": [format!("api://{}", id(71))]});
        assert_eq!(uris.call.body, Some(expected.clone()));
        let spec = ObjectType::Application.spec();
        let expected = expected.as_object().expect("an object");
        assert_eq!(
            uris.guards[0].found_in(spec, expected).as_deref(),
            Some(uris.guards[0].after.as_str())
        );
        assert_eq!(uris.guards[0].before, "", "none are there at first");
    }
}

#[test]
fn what_cannot_be_made_is_left_with_the_reason() {
    let check = |object: Object, expected: &str| {
        let base = content(vec![object], vec![]);
        let plan = planned(&base, &content(vec![], vec![]), ANEW);
        assert_eq!(plan.steps, []);
        let [exclusion] = &plan.exclusions[..] else {
            panic!("one exclusion: {:?}", plan.exclusions)
        };
        assert_eq!(exclusion.obstacle, Obstacle::NotRecreatable);
        assert!(
            exclusion.detail.contains(expected),
            "{} has not {expected}",
            exclusion.detail
        );
    };
    let guest = json!({"userPrincipalName": "g#EXT#@contoso.com", "userType": "Guest"});
    check(live_object(ObjectType::User, 1, guest), "invited");
    let synced = json!({"displayName": "G", "groupTypes": [], "onPremisesSyncEnabled": true});
    check(live_object(ObjectType::Group, 1, synced), "on-premises");
    let mail = json!({"displayName": "G", "groupTypes": [], "mailEnabled": true});
    check(live_object(ObjectType::Group, 1, mail), "Exchange");
    let context = json!({"displayName": "Contracts", "isAvailable": true});
    let of = ObjectType::AuthenticationContextClassReference;
    check(live_object(of, 1, context), "of the type");
}

#[test]
fn a_name_that_an_added_object_holds_is_not_taken_from_it() {
    let base = content(vec![person(1)], vec![]);
    let mut other = Value::Object(person(1).body());
    other["displayName"] = json!("Impostor");
    let live = content(vec![live_object(ObjectType::User, 3, other)], vec![]);
    let plan = planned(&base, &live, ANEW);
    assert_eq!(plan.steps, []);
    assert_eq!(
        parts(&plan),
        [(Obstacle::NotRecreatable, ""), (Obstacle::AddedKept, "")]
    );
    // Where what was added goes, it goes first.
    let options = Options {
        added: Added::SoftDelete,
        ..ANEW
    };
    let plan = planned(&base, &live, options);
    assert_eq!(
        actions(&plan),
        [(Action::SoftDelete, id(3)), (Action::Recreate, id(1))]
    );
    assert_eq!(plan.steps[1].after, [1]);
}

#[test]
fn groups_locations_units_and_strengths_are_made_as_graph_wants_them() {
    let check = |object: Object, path: &str, expected: Value| {
        let base = content(vec![object], vec![]);
        let plan = planned(&base, &content(vec![], vec![]), ANEW);
        let step = only(&plan, Action::Recreate);
        assert_eq!(step.call.path, path);
        assert_eq!(step.call.body, Some(expected));
    };
    let team = json!({"displayName": "Team", "groupTypes": ["Unified"], "mailEnabled": true,
        "securityEnabled": false, "mailNickname": "team", "visibility": "Private",
        "description": null, "mail": "team@contoso.com", "isAssignableToRole": null});
    check(
        live_object(ObjectType::Group, 1, team),
        &format!("/groups(uniqueName='rewind-{}')", id(1)),
        json!({"displayName": "Team", "groupTypes": ["Unified"], "mailEnabled": true,
            "securityEnabled": false, "mailNickname": "team", "visibility": "Private"}),
    );
    let named = json!({"displayName": "Named", "groupTypes": [], "uniqueName": "own-name",
        "securityEnabled": true, "mailEnabled": false, "mailNickname": "n"});
    check(
        live_object(ObjectType::Group, 1, named),
        "/groups(uniqueName='own-name')",
        json!({"displayName": "Named", "securityEnabled": true, "mailEnabled": false,
            "mailNickname": "n"}),
    );
    let location = json!({"@odata.type": "#microsoft.graph.ipNamedLocation",
        "displayName": "Office", "isTrusted": true, "createdDateTime": "2020-01-01T00:00:00Z",
        "ipRanges": [{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "1.2.3.0/24"}]});
    let mut made = location.clone();
    made.as_object_mut()
        .expect("an object")
        .remove("createdDateTime");
    check(
        live_object(ObjectType::NamedLocation, 1, location),
        "/identity/conditionalAccess/namedLocations",
        made,
    );
    let unit = json!({"displayName": "Branch", "isMemberManagementRestricted": true});
    check(
        live_object(ObjectType::AdministrativeUnit, 1, unit.clone()),
        "/directory/administrativeUnits",
        unit,
    );
    check(
        full(ObjectType::AuthenticationStrengthPolicy, 1),
        "/policies/authenticationStrengthPolicies",
        json!({"displayName": "Strong", "description": "keys",
            "allowedCombinations": ["fido2", "password,sms"]}),
    );
}

#[test]
fn a_policy_may_name_a_strength_that_is_made_anew() {
    let mut guarded = Value::Object(policy(40, "enabled", &[]).body());
    guarded["grantControls"] =
        json!({"operator": "AND", "authenticationStrength": {"id": id(1).as_str()}});
    let guarded = live_object(ObjectType::ConditionalAccessPolicy, 40, guarded);
    let strength = full(ObjectType::AuthenticationStrengthPolicy, 1);
    let base = content(vec![strength, guarded], vec![]);
    let plan = planned(&base, &content(vec![], vec![]), ANEW);
    let [strength, made] = &plan.steps[..] else {
        panic!("two steps: {:?} {:?}", actions(&plan), plan.exclusions)
    };
    assert_eq!((&strength.object.id, &made.object.id), (&id(1), &id(40)));
    assert_eq!((&made.after[..], &made.made_anew), (&[1][..], &vec![id(1)]));
}

#[test]
fn what_the_plan_deletes_or_leaves_as_it_is_is_not_made_to_name_the_new_one() {
    let mut rogue = Value::Object(group(9).body());
    rogue["groupTypes"] = json!(["DynamicMembership"]);
    rogue["membershipRule"] = json!(format!("user.objectId -eq \"{}\"", id(1)));
    let rogue = live_object(ObjectType::Group, 9, rogue);
    let base = content(vec![person(1)], vec![]);
    let live = content(vec![rogue], vec![]);
    let kept = planned(&base, &live, ANEW);
    assert_eq!(only(&kept, Action::Update).object.id, id(9));
    let deleting = Options {
        added: Added::SoftDelete,
        ..ANEW
    };
    let deleted = planned(&base, &live, deleting);
    assert_eq!(
        actions(&deleted),
        [(Action::Recreate, id(1)), (Action::SoftDelete, id(9))]
    );

    // A policy that names what does not exist any more, and somebody who is made anew.
    let base = content(
        vec![person(1), synced_person(2), policy(40, "enabled", &[1, 2])],
        vec![],
    );
    let live = content(vec![policy(40, "disabled", &[1])], vec![]);
    let plan = planned(&base, &live, ANEW);
    assert_eq!(actions(&plan), [(Action::Recreate, id(1))]);
    let left = |one: &&Exclusion| one.obstacle == Obstacle::UnresolvedReference;
    let left = plan.exclusions.iter().find(left).expect("it is told");
    assert_eq!((&left.object.id, left.part.as_str()), (&id(40), ""));
}

/// A user who cannot be made anew.
fn synced_person(n: u8) -> Object {
    let mut body = Value::Object(person(n).body());
    body["onPremisesSyncEnabled"] = json!(true);
    live_object(ObjectType::User, n, body)
}
