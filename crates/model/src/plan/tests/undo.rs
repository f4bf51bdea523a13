//! The way back from a restore.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::plan::state;

/// What a step writes, as a tenant has it.
fn found(step: &Step, tenant: &Content) -> Option<Value> {
    let object = tenant.object(step.object.object_type, &step.object.id);
    match step.action {
        Action::RestoreDeleted | Action::SoftDelete => object.map(|object| state(object.state)),
        Action::AddLinks | Action::RemoveLink => {
            let kind = step.links.first()?.kind;
            let present = tenant.links_of(kind, &step.object.id).iter();
            let present: BTreeSet<ObjectId> = present.map(|link| link.target.clone()).collect();
            Some(step.links_among(kind, &present))
        }
        Action::MakeAnew | Action::RemoveRelation => {
            object.map(|object| Value::Object(object.body()))
        }
        _ => object.map(|object| step.properties_in(&object.body())),
    }
}

/// Carries a plan out, and keeps the record of each step.
fn restored(live: &Content, plan: &Plan) -> (Content, Vec<Applied>) {
    let (mut tenant, mut applied) = (live.clone(), Vec::new());
    for step in &plan.steps {
        let before = found(step, &tenant);
        let one = Plan {
            steps: vec![step.clone()],
            ..Plan::default()
        };
        tenant = apply(&tenant, &one);
        let after = found(step, &tenant);
        applied.push(Applied {
            step: step.clone(),
            before,
            after,
        });
    }
    (tenant, applied)
}

fn undone(applied: &[Applied], tenant: &Content) -> Plan {
    undone_as(applied, tenant, &HashSet::new())
}

fn undone_as(applied: &[Applied], tenant: &Content, own: &HashSet<ObjectId>) -> Plan {
    let live = tenant.objects.iter();
    let live = live.filter(|object| object.state == ObjectState::Live);
    undo(&Undoing {
        applied,
        returned: &live
            .map(|object| (object.id.clone(), object.body()))
            .collect(),
        resolved: &existing(tenant),
        own,
        lacking: &BTreeMap::new(),
    })
}

/// A record of one step that is not carried out on a model tenant.
fn record(step: Step, before: Value, after: Value) -> Applied {
    let some = |value: Value| Some(value).filter(|value| !value.is_null());
    Applied {
        step,
        before: some(before),
        after: some(after),
    }
}

fn only_step(base: &Content, live: &Content) -> Step {
    let mut plan = planned(base, live, ROLLBACK);
    assert_eq!(plan.steps.len(), 1, "{plan:#?}");
    plan.steps.remove(0)
}

proptest! {
    #[test]
    fn an_undo_leads_to_just_before_the_restore(base in any_content(), live in any_content()) {
        let options = Options { added: Added::Keep, ..ROLLBACK };
        let (after, applied) = restored(&live, &planned(&base, &live, options));
        let way_back = undone(&applied, &after);
        prop_assert_eq!(&way_back.exclusions, &vec![]);
        prop_assert_eq!(apply(&after, &way_back), live);
    }

    #[test]
    fn no_step_of_an_undo_comes_before_what_it_waits_for(base in any_content(), live in any_content()) {
        let (after, applied) = restored(&live, &planned(&base, &live, ROLLBACK));
        for (number, step) in (1_u32..).zip(undone(&applied, &after).steps) {
            prop_assert_eq!(step.number, number);
            prop_assert!(step.after.iter().all(|before| *before < number));
            prop_assert!(!(step.call.method == HttpMethod::Delete && step.call.path.contains("deletedItems")));
        }
    }
}

#[test]
fn the_last_step_is_undone_first_and_what_waited_goes_before() {
    let base = content(
        vec![user(1, "a"), group(9)],
        vec![link(LinkKind::GroupMembers, 9, 1)],
    );
    let live = content(vec![deleted(user(1, "b")), group(9)], vec![]);
    let (after, applied) = restored(&live, &planned(&base, &live, ROLLBACK));
    let plan = undone(&applied, &after);
    assert_eq!(
        actions(&plan),
        [
            (Action::RemoveLink, id(9)),
            (Action::Update, id(1)),
            (Action::SoftDelete, id(1)),
        ]
    );
    assert_eq!(plan.steps[2].after, [1, 2]);
    assert_eq!(plan.steps[1].attributes[0].after, Some(json!("b")));
    assert_eq!(plan.steps[0].reason, "undoes step 3 of the restore");
}

#[test]
fn the_guards_are_what_the_restore_left() {
    let base = content(vec![user(1, "a")], vec![]);
    let live = content(vec![user(1, "b")], vec![]);
    let (after, applied) = restored(&live, &planned(&base, &live, ROLLBACK));
    let plan = undone(&applied, &after);
    let (there, back) = (&applied[0].step.guards[0], &plan.steps[0].guards[0]);
    assert_eq!((&back.before, &back.after), (&there.after, &there.before));
}

#[test]
fn only_what_the_restore_changed_is_undone() {
    let objects = || vec![user(1, "a"), user(2, "a"), group(9)];
    let members = |ends: &[u8]| {
        ends.iter()
            .map(|end| link(LinkKind::GroupMembers, 9, *end))
            .collect()
    };
    let base = content(objects(), members(&[1, 2]));
    let live = content(objects(), members(&[]));
    let step = only_step(&base, &live);
    // One of the two was added by somebody else in between.
    let ends = |ids: Value| json!({ "group/members": ids });
    let both = [id(1).to_string(), id(2).to_string()];
    let applied = [record(step, ends(json!([both[0]])), ends(json!(both)))];
    let plan = undone(&applied, &base);
    assert_eq!(actions(&plan), [(Action::RemoveLink, id(9))]);
    assert_eq!(plan.steps[0].links[0].target, id(2));
}

#[test]
fn a_replaced_manager_comes_back_in_one_write() {
    let objects = || vec![user(1, "a"), user(2, "a"), user(3, "a")];
    let base = content(objects(), vec![link(LinkKind::UserManager, 1, 2)]);
    let live = content(objects(), vec![link(LinkKind::UserManager, 1, 3)]);
    let step = only_step(&base, &live);
    let manager = |n: u8| json!({ "user/manager": [id(n).as_str()] });
    let plan = undone(&[record(step.clone(), manager(3), manager(2))], &base);
    let call = &plan.steps[0].call;
    assert_eq!((plan.steps.len(), call.method), (1, HttpMethod::Put));
    assert_eq!(
        call.body,
        Some(json!({"@odata.id": format!("{{graph}}/users/{}", id(3))}))
    );
    let none = json!({ "user/manager": [] });
    let plan = undone(&[record(step, none, manager(2))], &base);
    assert_eq!(plan.steps[0].call.method, HttpMethod::Delete);
}

#[test]
fn roles_are_disabled_before_an_undo_takes_them_away() {
    let roles = |ids: &[&str]| {
        let roles: Vec<Value> = ids
            .iter()
            .map(|id| json!({"id": id, "value": id, "isEnabled": true}))
            .collect();
        let body = json!({"displayName": "App", "appRoles": roles});
        content(
            vec![object(ObjectType::Application, 4, ObjectState::Live, body)],
            vec![],
        )
    };
    let (base, live) = (roles(&["r1", "r2"]), roles(&["r1"]));
    let step = only_step(&base, &live);
    let of = |tenant: &Content| {
        let body = tenant.objects[0].body();
        json!({ "appRoles": body["appRoles"] })
    };
    let plan = undone(&[record(step, of(&live), of(&base))], &base);
    assert_eq!(
        actions(&plan),
        [(Action::DisableEntries, id(4)), (Action::Update, id(4))]
    );
    assert_eq!(plan.steps[1].after, [1]);
    assert_eq!(
        plan.steps[0]
            .call
            .body
            .as_ref()
            .map(|body| &body["appRoles"][1]["isEnabled"]),
        Some(&json!(false))
    );
}

#[test]
fn what_was_made_anew_is_removed_by_its_new_id_and_what_was_removed_is_made_anew() {
    let grant = |n: u8, scope: &str| {
        full(ObjectType::OAuth2PermissionGrant, n)
            .body()
            .into_iter()
            .chain([("scope".to_owned(), json!(scope))])
            .collect::<Map<String, Value>>()
    };
    let as_object = |body: &Map<String, Value>| {
        Object::from_body(ObjectType::OAuth2PermissionGrant, ObjectState::Live, body)
            .expect("well-formed")
    };
    let old = grant(9, "User.Read");
    let with = content(vec![as_object(&old)], vec![]);
    let without = content(vec![], vec![]);

    let made = only_step(&with, &without);
    let mut new = old.clone();
    new.insert("id".to_owned(), json!(id(10).as_str()));
    let plan = undone(
        &[record(
            made.clone(),
            Value::Null,
            Value::Object(new.clone()),
        )],
        &without,
    );
    assert_eq!(
        (plan.steps[0].action, plan.steps[0].call.path.as_str()),
        (
            Action::RemoveRelation,
            format!("/oauth2PermissionGrants/{}", id(10)).as_str()
        )
    );
    let own = [id(1)].into();
    let plan = undone_as(
        &[record(made, Value::Null, Value::Object(new))],
        &without,
        &own,
    );
    assert_eq!(plan.steps, [], "own access is never taken away");
    assert_eq!(plan.exclusions[0].obstacle, Obstacle::OwnAccess);

    let removed = only_step(&without, &with);
    let plan = undone(&[record(removed, Value::Object(old), Value::Null)], &with);
    assert_eq!(plan.steps[0].action, Action::MakeAnew);
    assert_eq!(plan.steps[0].call.path, "/oauth2PermissionGrants");
}

#[test]
fn what_cannot_be_undone_is_named() {
    let credential = json!({"keyId": "k", "displayName": "rogue"});
    let app = |credentials: Value| {
        let body = json!({"displayName": "App", "passwordCredentials": credentials});
        content(
            vec![object(ObjectType::Application, 4, ObjectState::Live, body)],
            vec![],
        )
    };
    let (base, live) = (app(json!([])), app(json!([credential])));
    let removal = only_step(&base, &live);
    let update = only_step(
        &content(vec![user(1, "a")], vec![]),
        &content(vec![user(1, "b")], vec![]),
    );
    let applied = [
        record(removal, json!({}), json!({})),
        record(update, Value::Null, Value::Null),
    ];
    let plan = undone(&applied, &base);
    assert_eq!(plan.steps, []);
    let named: Vec<_> = plan
        .exclusions
        .iter()
        .map(|one| (one.object.id.clone(), one.obstacle, one.part.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            (id(1), Obstacle::NotJournalled, ""),
            (id(4), Obstacle::Secret, "passwordCredentials"),
        ]
    );
}

#[test]
fn a_policy_is_not_undone_to_name_what_does_not_exist() {
    let of = |users: Value| {
        let body = json!({"displayName": "P", "state": "enabled", "conditions": {"users": users}});
        object(
            ObjectType::ConditionalAccessPolicy,
            7,
            ObjectState::Live,
            body,
        )
    };
    let gone = "00000000-0000-4000-8000-0000000000aa";
    let before = of(json!({"includeUsers": ["All"], "excludeUsers": [gone]}));
    let after = of(json!({"includeUsers": ["All"]}));
    let (base, live) = (content(vec![after], vec![]), content(vec![before], vec![]));
    let (tenant, applied) = restored(&live, &planned(&base, &live, ROLLBACK));
    let plan = undone(&applied, &tenant);
    assert_eq!(plan.steps, []);
    assert_eq!(plan.exclusions[0].obstacle, Obstacle::UnresolvedReference);
}

#[test]
fn what_was_written_unnoted_is_known_by_what_the_plan_saw() {
    let base = content(vec![user(1, "a"), user(2, "a"), group(9)], vec![]);
    let live = content(
        vec![user(1, "b"), user(2, "a"), group(9)],
        vec![link(LinkKind::GroupMembers, 9, 2)],
    );
    let plan = planned(&base, &live, ROLLBACK);
    let (_, applied) = restored(&live, &plan);
    assert_eq!(applied.len(), 2);
    for one in &applied {
        assert_eq!(
            one.step.planned_before(one.after.as_ref()),
            one.before,
            "{one:#?}"
        );
    }
    let deep = |fields: Value| {
        let mut body = json!({"displayName": "P", "state": "enabled"});
        body["conditions"] = fields;
        content(
            vec![object(
                ObjectType::ConditionalAccessPolicy,
                7,
                ObjectState::Live,
                body,
            )],
            vec![],
        )
    };
    let (base, live) = (
        deep(json!({"users": {"includeUsers": ["All"]}, "clientAppTypes": ["all"]})),
        deep(json!({"users": {"includeUsers": ["None"]}, "clientAppTypes": ["all"]})),
    );
    let step = only_step(&base, &live);
    let of = |tenant: &Content| step.properties_in(&tenant.objects[0].body());
    assert_eq!(step.planned_before(Some(&of(&base))), Some(of(&live)));
}

#[test]
fn what_named_something_made_anew_is_undone_by_its_new_id() {
    let base = content(
        vec![user(1, "a"), group(9)],
        vec![link(LinkKind::GroupMembers, 9, 1)],
    );
    let live = content(vec![user(1, "a"), group(9)], vec![]);
    let mut step = only_step(&base, &live);
    step.made_anew = vec![id(1)];
    let entry = crate::lineage::Entry {
        object_type: ObjectType::User,
        old: id(1),
        new: id(77),
        app_ids: None,
        made: chrono::DateTime::UNIX_EPOCH,
        restore: crate::id::PlanId::parse("p").expect("valid"),
    };
    let lineage = crate::lineage::Lineage::new(vec![entry]);
    let step = step.in_new_ids(&lineage).expect("made");
    let added = step.links_among(LinkKind::GroupMembers, &BTreeSet::from([id(77)]));
    let none = step.links_among(LinkKind::GroupMembers, &BTreeSet::new());
    let plan = undone(&[record(step, none, added)], &live);
    let [step] = &plan.steps[..] else {
        panic!("one step: {plan:#?}")
    };
    assert!(step.call.path.contains(id(77).as_str()), "{step:?}");
    assert_eq!(step.made_anew, [], "it is in new ids already");
}
