use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::call::HttpMethod;
use crate::catalogue::{LinkKind, ObjectType};
use crate::diff::{Scope, diff, tests::any_content};
use crate::fixture::{content, full, further, group, id, link, object, user};
use crate::object::{Link, Object, ObjectState};

const ROLLBACK: Options = Options {
    added: Added::SoftDelete,
    relationships: Relationships::Rollback,
    ca_state: CaState::Snapshot,
    lockout: Lockout::Refused,
    hard_deleted: HardDeleted::Leave,
};

/// What policies may name: the live users and groups.
fn existing(live: &Content) -> HashSet<Reference> {
    use crate::references::ReferenceKind as Kind;
    let live = live
        .objects
        .iter()
        .filter(|object| object.state == ObjectState::Live);
    let named = live.filter_map(|object| {
        let kind = match object.object_type {
            ObjectType::User => Kind::User,
            ObjectType::Group => Kind::Group,
            _ => return None,
        };
        Some(Reference {
            kind,
            id: object.id.to_string(),
        })
    });
    named.collect()
}

fn planned(base: &Content, live: &Content, options: Options) -> Plan {
    planned_as(base, live, options, &HashSet::new(), &BTreeMap::new())
}

/// The same for an application with access through `own` that lacks permissions.
fn planned_as(
    base: &Content,
    live: &Content,
    options: Options,
    own: &HashSet<ObjectId>,
    lacking: &BTreeMap<ObjectType, Vec<&'static str>>,
) -> Plan {
    planned_for(base, live, options, own, lacking, &Accounts::default())
}

/// The same where certain accounts must be able to sign in.
fn planned_for(
    base: &Content,
    live: &Content,
    options: Options,
    own: &HashSet<ObjectId>,
    lacking: &BTreeMap<ObjectType, Vec<&'static str>>,
    accounts: &Accounts,
) -> Plan {
    let difference = diff(base, live, &Scope::default());
    plan(&Situation {
        difference: &difference,
        scope: &Scope::default(),
        base,
        live,
        resolved: &existing(live),
        own,
        lacking,
        accounts,
        options,
    })
}

fn deleted(object: Object) -> Object {
    Object {
        state: ObjectState::Deleted,
        ..object
    }
}

/// Carries a plan out on a value, as Graph would.
fn apply(live: &Content, plan: &Plan) -> Content {
    let mut live = live.clone();
    for step in &plan.steps {
        let key = (step.object.object_type, &step.object.id);
        let place = live.objects.iter().position(|object| object.key() == key);
        let parts: Vec<&str> = step.call.path.split('/').collect();
        match (step.call.method, step.action) {
            (HttpMethod::Post, Action::RestoreDeleted) => {
                live.objects[place.expect("in the bin")].state = ObjectState::Live;
            }
            (HttpMethod::Delete, Action::SoftDelete) => {
                let gone = &step.object.id;
                live.objects[place.expect("live")].state = ObjectState::Deleted;
                live.links
                    .retain(|link| link.source != *gone && link.target != *gone);
            }
            (HttpMethod::Patch, Action::Update) => {
                let object = &mut live.objects[place.expect("live")];
                let mut body = object.body();
                body.extend(
                    step.call
                        .body
                        .clone()
                        .and_then(|body| body.as_object().cloned())
                        .expect("a body"),
                );
                *object = Object::from_body(object.object_type, object.state, &body)
                    .expect("well-formed");
            }
            (_, Action::AddLinks) => {
                live.links.extend(step.links.iter().map(|link| Link {
                    kind: link.kind,
                    source: step.object.id.clone(),
                    target: link.target.clone(),
                }));
            }
            (HttpMethod::Delete, Action::RemoveLink) => {
                assert_eq!(
                    parts.last(),
                    Some(&"$ref"),
                    "without it, the object itself would be deleted"
                );
                let end = &step.links[0].target;
                live.links
                    .retain(|link| !(link.source == step.object.id && link.target == *end));
            }
            other => panic!("unexpected step {other:?}"),
        }
    }
    live.sorted()
}

fn actions(plan: &Plan) -> Vec<(Action, ObjectId)> {
    plan.steps
        .iter()
        .map(|step| (step.action, step.object.id.clone()))
        .collect()
}

#[test]
fn the_order_is_return_update_links_removal() {
    let base = content(
        vec![user(1, "a"), user(2, "a"), group(9)],
        vec![
            link(LinkKind::GroupMembers, 9, 1),
            link(LinkKind::GroupMembers, 9, 2),
        ],
    );
    let live = content(
        vec![deleted(user(1, "b")), user(2, "b"), user(3, "x"), group(9)],
        vec![link(LinkKind::GroupMembers, 9, 3)],
    );
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [
            (Action::RestoreDeleted, id(1)),
            (Action::Update, id(1)),
            (Action::Update, id(2)),
            (Action::AddLinks, id(9)),
            (Action::AddLinks, id(9)),
            (Action::RemoveLink, id(9)),
            (Action::SoftDelete, id(3)),
        ]
    );
    assert_eq!(plan.steps[1].after, [1], "an update waits for the return");
    assert!(
        plan.steps[3].after.is_empty() != plan.steps[4].after.is_empty(),
        "one link waits for the return, the other does not"
    );
    assert_eq!(
        plan.steps[5].after,
        Vec::<u32>::new(),
        "a rogue member does not stay because another cannot come back"
    );
}

#[test]
fn added_objects_are_kept_unless_asked() {
    let plan = planned(
        &content(vec![], vec![]),
        &content(vec![user(1, "a")], vec![]),
        Options::default(),
    );
    assert_eq!(plan.steps, []);
    assert_eq!(plan.exclusions[0].obstacle, Obstacle::AddedKept);
}

#[test]
fn mail_enabled_security_groups_are_never_deleted() {
    let live = object(
        ObjectType::Group,
        1,
        ObjectState::Live,
        json!({"groupTypes": [], "mailEnabled": true, "securityEnabled": true}),
    );
    let plan = planned(
        &content(vec![], vec![]),
        &content(vec![live], vec![]),
        ROLLBACK,
    );
    assert_eq!(
        (plan.steps.len(), plan.exclusions[0].obstacle),
        (0, Obstacle::NotSoftDeletable)
    );
}

#[test]
fn synced_objects_are_excluded_with_the_reason() {
    let synced = |title: &str| {
        object(
            ObjectType::User,
            1,
            ObjectState::Live,
            json!({"jobTitle": title, "onPremisesSyncEnabled": true}),
        )
    };
    let plan = planned(
        &content(vec![synced("a")], vec![]),
        &content(vec![synced("b")], vec![]),
        ROLLBACK,
    );
    assert_eq!(
        (plan.steps.len(), plan.exclusions[0].obstacle),
        (0, Obstacle::OnPremisesSynced)
    );
}

#[test]
fn a_trusted_location_is_untrusted_before_it_goes() {
    let body = json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "L", "isTrusted": true, "ipRanges": []});
    let live = content(
        vec![object(
            ObjectType::NamedLocation,
            1,
            ObjectState::Live,
            body,
        )],
        vec![],
    );
    let plan = planned(&content(vec![], vec![]), &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::Untrust, id(1)), (Action::SoftDelete, id(1))]
    );
    assert_eq!(plan.steps[1].after, [1]);
    assert_eq!(
        plan.steps[0].call.body,
        Some(json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": false}))
    );
}

#[test]
fn a_restored_location_is_trusted_again() {
    let location = |state| {
        let body = json!({"@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "L", "isTrusted": true});
        object(ObjectType::NamedLocation, 1, state, body)
    };
    let (base, live) = (
        content(vec![location(ObjectState::Live)], vec![]),
        content(vec![location(ObjectState::Deleted)], vec![]),
    );
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::RestoreDeleted, id(1)), (Action::Update, id(1))]
    );
    assert_eq!(
        plan.steps[1]
            .call
            .body
            .as_ref()
            .and_then(|body| body.get("isTrusted")),
        Some(&json!(true))
    );
}

fn policy(excluded: &str, session: Value) -> Object {
    let body = json!({"displayName": "P", "state": "enabled", "sessionControls": session, "templateId": null, "conditions": {
        "clientAppTypes": ["all"], "platforms": null, "users": {"includeUsers": ["All"], "excludeUsers": [excluded]}}});
    object(
        ObjectType::ConditionalAccessPolicy,
        1,
        ObjectState::Live,
        body,
    )
}

#[test]
fn a_policy_is_never_written_with_an_unresolved_reference() {
    let (lost, rogue) = (id(7), id(8));
    let base = content(
        vec![
            policy(lost.as_str(), Value::Null),
            user(2, "a"),
            user(7, "a"),
        ],
        vec![],
    );
    let live = content(
        vec![policy(rogue.as_str(), Value::Null), user(2, "b")],
        vec![],
    );
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::Update, id(2))],
        "the others go on"
    );
    let refused = plan
        .exclusions
        .iter()
        .find(|one| one.obstacle == Obstacle::UnresolvedReference);
    assert!(
        refused.is_some_and(|one| one.detail.contains(lost.as_str())),
        "{:?}",
        plan.exclusions
    );
}

#[test]
fn a_reference_that_the_live_policy_holds_is_kept() {
    let lost = id(7);
    let base = content(vec![policy(lost.as_str(), Value::Null)], vec![]);
    let live = content(
        vec![policy(
            lost.as_str(),
            json!({"persistentBrowser": {"mode": "always", "isEnabled": true}}),
        )],
        vec![],
    );
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        plan.steps[0].call.body,
        Some(json!({"sessionControls": null}))
    );
}

#[test]
fn roles_are_disabled_before_they_go() {
    let app = |roles: Value| {
        object(
            ObjectType::Application,
            1,
            ObjectState::Live,
            json!({"displayName": "A", "appRoles": roles}),
        )
    };
    let base = content(
        vec![app(
            json!([{"id": "r1", "value": "Read", "isEnabled": true}]),
        )],
        vec![],
    );
    let rogue = json!([{"id": "r1", "value": "Read", "isEnabled": true}, {"id": "r2", "value": "Own.All", "isEnabled": true}]);
    let live = content(vec![app(rogue)], vec![]);
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::DisableEntries, id(1)), (Action::Update, id(1))]
    );
    assert_eq!(plan.steps[1].after, [1]);
    assert_eq!(
        plan.steps[0].guards[0].after, plan.steps[1].guards[0].before,
        "the second starts where the first ends"
    );
    let disabled = plan.steps[0]
        .call
        .body
        .as_ref()
        .and_then(|body| body["appRoles"][1]["isEnabled"].as_bool());
    assert_eq!(disabled, Some(false));
}

#[test]
fn the_manager_is_replaced_in_one_write() {
    let people = || vec![user(1, "a"), user(2, "a"), user(3, "a")];
    let base = content(people(), vec![link(LinkKind::UserManager, 1, 2)]);
    let live = content(people(), vec![link(LinkKind::UserManager, 1, 3)]);
    let plan = planned(&base, &live, ROLLBACK);
    let [step] = &plan.steps[..] else {
        panic!("one step: {plan:?}")
    };
    assert_eq!(
        (step.call.method, step.call.path.as_str()),
        (
            HttpMethod::Put,
            format!("/users/{}/manager/$ref", id(1)).as_str()
        )
    );
    let ends: Vec<_> = step
        .links
        .iter()
        .map(|link| (link.target.clone(), link.direction))
        .collect();
    assert_eq!(
        ends,
        [
            (id(2), crate::diff::Direction::Added),
            (id(3), crate::diff::Direction::Removed)
        ]
    );
}

#[test]
fn merging_removes_nothing_and_skipping_writes_nothing() {
    let base = content(
        vec![user(1, "a"), user(2, "a"), group(9)],
        vec![link(LinkKind::GroupMembers, 9, 1)],
    );
    let live = content(
        vec![user(1, "a"), user(2, "a"), group(9)],
        vec![link(LinkKind::GroupMembers, 9, 2)],
    );
    let with = |relationships| {
        planned(
            &base,
            &live,
            Options {
                relationships,
                ..ROLLBACK
            },
        )
    };
    assert_eq!(
        actions(&with(Relationships::Merge)),
        [(Action::AddLinks, id(9))]
    );
    assert_eq!(with(Relationships::Skip).steps, []);
    assert_eq!(with(Relationships::Skip).exclusions.len(), 2);
}

#[test]
fn a_bin_that_hides_a_value_is_not_believed() {
    let shown = |enabled| {
        object(
            ObjectType::Group,
            1,
            ObjectState::Live,
            json!({"displayName": "G", "groupTypes": [], "securityEnabled": enabled}),
        )
    };
    let plan = planned(
        &content(vec![shown(true)], vec![]),
        &content(vec![deleted(shown(false))], vec![]),
        ROLLBACK,
    );
    assert_eq!(actions(&plan), [(Action::RestoreDeleted, id(1))]);
}

proptest! {
    #[test]
    fn applying_a_plan_leads_to_the_snapshot(base in any_content(), live in any_content()) {
        let plan = planned(&base, &live, ROLLBACK);
        let after = apply(&live, &plan);
        let left = diff(&base, &after, &Scope::default()).changes;
        prop_assert_eq!(judge(&left, &planned_ids(&plan), &plan.exclusions), Left::default());
    }

    #[test]
    fn restoring_twice_is_restoring_once(base in any_content(), live in any_content()) {
        let after = apply(&live, &planned(&base, &live, ROLLBACK));
        prop_assert_eq!(planned(&base, &after, ROLLBACK).steps, vec![]);
    }

    #[test]
    fn no_call_purges(base in any_content(), live in any_content()) {
        for step in planned(&base, &live, ROLLBACK).steps {
            prop_assert!(!(step.call.method == HttpMethod::Delete && step.call.path.contains("deletedItems")));
        }
    }
}

#[test]
fn every_call_is_below_the_version_root() {
    let base = content(
        vec![user(1, "a"), group(9)],
        vec![
            link(LinkKind::GroupMembers, 9, 1),
            link(LinkKind::GroupOwners, 9, 1),
        ],
    );
    let live = content(vec![user(1, "b"), group(9)], vec![]);
    for step in planned(&base, &live, ROLLBACK).steps {
        assert!(
            step.call.path.starts_with('/') && !step.call.path.contains("//"),
            "{}",
            step.call.path
        );
        let body: Map<String, Value> = step
            .call
            .body
            .as_ref()
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if let Some(reference) = body.get("@odata.id").and_then(Value::as_str) {
            assert!(reference.starts_with("{graph}/"), "{reference}");
        }
    }
}

/// The objects that a plan writes to.
fn planned_ids(plan: &Plan) -> HashSet<ObjectId> {
    plan.steps
        .iter()
        .map(|step| step.object.id.clone())
        .collect()
}

#[test]
fn a_verification_tells_failure_from_what_came_later() {
    let base = content(vec![user(1, "a"), user(2, "a"), user(3, "a")], vec![]);
    let live = content(
        vec![user(1, "b"), deleted(user(2, "a")), user(3, "a")],
        vec![],
    );
    let plan = planned(&base, &live, ROLLBACK);
    let later = content(
        vec![
            user(1, "b"),
            deleted(user(2, "a")),
            user(3, "z"),
            user(4, "new"),
        ],
        vec![],
    );
    let left = diff(&base, &later, &Scope::default()).changes;
    let judged = judge(&left, &planned_ids(&plan), &plan.exclusions);
    assert_eq!(
        judged.unexpected,
        [
            format!("user \"User 1\" ({}) differs in jobTitle", id(1)),
            format!("user \"User 2\" ({}) is soft-deleted", id(2)),
        ]
    );
    assert_eq!(
        judged.meanwhile,
        [
            format!("user \"User 3\" ({}) differs in jobTitle", id(3)),
            format!("user \"User 4\" ({}) is added", id(4)),
        ]
    );
}

#[test]
fn what_needs_another_permission_is_another_write() {
    let person = |enabled: bool, title: &str, phone: &str| {
        let body = json!({"displayName": "P", "accountEnabled": enabled, "jobTitle": title, "mobilePhone": phone});
        object(ObjectType::User, 1, ObjectState::Live, body)
    };
    let base = content(vec![person(true, "a", "1")], vec![]);
    let live = content(vec![person(false, "b", "2")], vec![]);
    let plan = planned(&base, &live, ROLLBACK);
    let written: Vec<Vec<String>> = plan
        .steps
        .iter()
        .map(|step| {
            step.guards
                .iter()
                .map(|guard| guard.property.clone())
                .collect()
        })
        .collect();
    assert_eq!(
        written,
        [
            vec!["jobTitle"],
            vec!["accountEnabled"],
            vec!["mobilePhone"]
        ]
    );
}

#[test]
fn what_cannot_be_cleared_does_not_spoil_the_rest() {
    let person = |title: &str, location: Value| {
        let body = json!({"displayName": "P", "jobTitle": title, "usageLocation": location});
        object(ObjectType::User, 1, ObjectState::Live, body)
    };
    let base = content(vec![person("a", Value::Null)], vec![]);
    let live = content(vec![person("b", json!("SE"))], vec![]);
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(plan.steps[0].call.body, Some(json!({"jobTitle": "a"})));
    assert_eq!(plan.exclusions[0].part, "usageLocation");
}

#[test]
fn an_added_credential_that_is_kept_is_named_as_a_risk() {
    let app = |credentials: Value| {
        let body = json!({"displayName": "A", "passwordCredentials": credentials});
        object(ObjectType::Application, 1, ObjectState::Live, body)
    };
    let base = content(vec![app(json!([{"keyId": "k1"}]))], vec![]);
    let live = content(
        vec![app(json!([{"keyId": "k1"}, {"keyId": "rogue"}]))],
        vec![],
    );
    let plan = planned(&base, &live, Options::default());
    assert_eq!(plan.steps, []);
    assert_eq!(plan.exclusions[0].obstacle, Obstacle::CredentialAdded);
    assert!(
        plan.risks
            .iter()
            .any(|risk| risk.contains("can still sign in")),
        "{:?}",
        plan.risks
    );
}

#[test]
fn a_name_that_an_intruder_took_is_freed_first() {
    let named = |n: u8, state: ObjectState, name: &str| {
        let body = json!({"displayName": format!("User {n}"), "userPrincipalName": name});
        object(ObjectType::User, n, state, body)
    };
    let chief = "ceo@example.com";
    let in_bin = format!("{}{chief}", id(1).as_str().replace('-', ""));
    let base = content(vec![named(1, ObjectState::Live, chief)], vec![]);
    let live = content(
        vec![
            named(1, ObjectState::Deleted, &in_bin),
            named(2, ObjectState::Live, chief),
        ],
        vec![],
    );
    let plan = planned(&base, &live, ROLLBACK);
    let expected = [(Action::SoftDelete, id(2)), (Action::RestoreDeleted, id(1))];
    assert_eq!(
        actions(&plan),
        expected,
        "and the prefix of the bin is no change"
    );
    assert_eq!(plan.steps[1].after, [1]);
}

#[test]
fn a_policy_is_not_switched_on_when_its_exclusion_is_lost() {
    let with_state = |state: &str, excluded: &ObjectId| {
        let mut body = policy(excluded.as_str(), Value::Null).body();
        body.insert("state".to_owned(), json!(state));
        Object::from_body(
            ObjectType::ConditionalAccessPolicy,
            ObjectState::Live,
            &body,
        )
        .expect("well-formed")
    };
    // The excluded account existed in the snapshot and is purged; the policy was
    // switched off, and still names it.
    let base = content(
        vec![with_state("enabled", &id(7)), user(7, "break glass")],
        vec![],
    );
    let live = content(vec![with_state("disabled", &id(7))], vec![]);
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(plan.steps, []);
    assert!(
        plan.exclusions
            .iter()
            .any(|one| one.obstacle == Obstacle::UnresolvedReference)
    );
    // One that named nobody in the snapshot either is as it was.
    let base = content(vec![with_state("enabled", &id(7))], vec![]);
    assert_eq!(planned(&base, &live, ROLLBACK).steps.len(), 1);
}

#[test]
fn a_policy_waits_for_the_members_of_the_group_it_excludes() {
    let policy = |state: &str| {
        let body = json!({"displayName": "P", "state": state, "conditions": {"clientAppTypes": ["all"],
            "users": {"includeUsers": ["All"], "excludeGroups": [id(9).as_str()]}}});
        object(
            ObjectType::ConditionalAccessPolicy,
            1,
            ObjectState::Live,
            body,
        )
    };
    let member = vec![link(LinkKind::GroupMembers, 9, 2)];
    let base = content(vec![policy("enabled"), group(9), user(2, "a")], member);
    let live = content(vec![policy("disabled"), group(9), user(2, "a")], vec![]);
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::AddLinks, id(9)), (Action::Update, id(1))]
    );
    assert_eq!(plan.steps[1].after, [1]);
}

#[test]
fn types_that_must_not_be_written_are_named_and_left_alone() {
    let lacking = further().map(|object_type| (object_type, vec!["Some.ReadWrite.All"]));
    let lacking: BTreeMap<ObjectType, Vec<&'static str>> = lacking.collect();
    let exclusions = |base: &Content, live: &Content, options| {
        let plan = planned_as(base, live, options, &HashSet::new(), &lacking);
        assert_eq!(plan.steps, [], "nothing is written");
        plan.exclusions
    };
    for object_type in further() {
        let there = content(vec![full(object_type, 9)], vec![]);
        let nothing = content(vec![], vec![]);
        let mut other = crate::fixture::body(object_type);
        let known = |class: Class| {
            let mut of_class = object_type.spec().properties.iter();
            of_class.find(|property| property.class == class)
        };
        let property = known(Class::Restorable).or_else(|| known(Class::ReadOnly));
        other[property.expect("each type has one").name] = json!("other");
        let changed = object(object_type, 9, ObjectState::Live, other);
        let mut cases = vec![
            (there.clone(), nothing.clone()),
            (nothing, there.clone()),
            (there.clone(), content(vec![changed], vec![])),
        ];
        if object_type.spec().deleted.is_some() {
            let bin = content(vec![deleted(full(object_type, 9))], vec![]);
            cases.push((there.clone(), bin.clone()));
            cases.push((bin, there));
        }
        for (base, live) in &cases {
            for options in [Options::default(), ROLLBACK] {
                let left: Vec<(Obstacle, String)> = exclusions(base, live, options)
                    .into_iter()
                    .map(|exclusion| (exclusion.obstacle, exclusion.part))
                    .collect();
                assert_eq!(
                    left,
                    [(Obstacle::PermissionMissing, String::new())],
                    "{object_type}"
                );
            }
        }
    }
}

#[test]
fn members_of_a_unit_come_and_go_like_those_of_a_group() {
    let unit = object(
        ObjectType::AdministrativeUnit,
        1,
        ObjectState::Live,
        json!({"displayName": "Branch"}),
    );
    let members = |ends: &[u8]| {
        let kind = LinkKind::AdministrativeUnitMembers;
        let links = ends.iter().map(|end| link(kind, 1, *end)).collect();
        content(vec![unit.clone(), user(2, "a"), user(3, "a")], links)
    };
    let (base, live) = (members(&[2]), members(&[3]));
    let plan = planned(&base, &live, ROLLBACK);
    let calls: Vec<(HttpMethod, &str)> = plan
        .steps
        .iter()
        .map(|step| (step.call.method, step.call.path.as_str()))
        .collect();
    let members = format!("/directory/administrativeUnits/{}/members", id(1));
    assert_eq!(
        calls,
        [
            (HttpMethod::Post, format!("{members}/$ref").as_str()),
            (
                HttpMethod::Delete,
                format!("{members}/{}/$ref", id(3)).as_str()
            ),
        ]
    );

    let lacking = BTreeMap::from([(ObjectType::AdministrativeUnit, vec!["Some.ReadWrite.All"])]);
    let plan = planned_as(&base, &live, ROLLBACK, &HashSet::new(), &lacking);
    assert_eq!(plan.steps, []);
    let left: Vec<(Obstacle, String)> = plan
        .exclusions
        .into_iter()
        .map(|exclusion| (exclusion.obstacle, exclusion.part))
        .collect();
    let expected = [2, 3].map(|end| format!("administrativeUnit/members:{}", id(end)));
    assert_eq!(
        left,
        expected.map(|part| (Obstacle::PermissionMissing, part))
    );
}

#[test]
fn a_member_that_comes_back_is_made_sure_of_in_its_unit() {
    let unit = || {
        object(
            ObjectType::AdministrativeUnit,
            1,
            ObjectState::Live,
            json!({"displayName": "Branch"}),
        )
    };
    let members = vec![link(LinkKind::AdministrativeUnitMembers, 1, 2)];
    let base = content(vec![unit(), user(2, "a")], members);
    let live = content(vec![unit(), deleted(user(2, "a"))], vec![]);
    let plan = planned(&base, &live, ROLLBACK);
    assert_eq!(
        actions(&plan),
        [(Action::RestoreDeleted, id(2)), (Action::AddLinks, id(1))]
    );
}

mod lockout;
mod parts;
mod policies;
mod quirks;
mod recreate;
mod relations;
mod states;
mod undo;
