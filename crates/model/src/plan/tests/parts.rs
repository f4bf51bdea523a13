//! Single properties and links.

use serde_json::json;

use super::*;
use crate::lineage::Lineage;

fn parts(properties: &[&str], links: &[String]) -> Parts {
    let properties: Vec<String> = properties.iter().map(|name| (*name).to_owned()).collect();
    Parts::parse(&properties, links).expect("known")
}

/// What a plan with these parts does and names.
fn narrowed(base: &Content, live: &Content, parts: &Parts) -> (Plan, Vec<Exclusion>) {
    let (changes, whole) = parts.narrowed(diff(base, live, &Scope::default()).changes);
    let difference = Difference {
        changes,
        not_compared: Vec::new(),
    };
    let plan = plan(&Situation {
        difference: &difference,
        scope: &Scope::default(),
        base,
        live,
        resolved: &existing(live),
        own: &HashSet::new(),
        lacking: &BTreeMap::new(),
        accounts: &Accounts::default(),
        options: ROLLBACK,
    });
    (plan, whole)
}

#[test]
fn one_property_is_written_and_nothing_beside_it() {
    let with = |title: &str, department: &str| {
        let body = json!({"displayName": "U", "jobTitle": title, "department": department});
        content(
            vec![object(ObjectType::User, 1, ObjectState::Live, body)],
            vec![],
        )
    };
    let (plan, whole) = narrowed(&with("a", "a"), &with("b", "b"), &parts(&["jobTitle"], &[]));
    let bodies: Vec<_> = plan
        .steps
        .iter()
        .map(|step| step.call.body.clone())
        .collect();
    assert_eq!(bodies, [Some(json!({"jobTitle": "a"}))]);
    assert_eq!((plan.exclusions, whole), (vec![], vec![]));
}

#[test]
fn one_link_comes_back_and_the_others_stay_away() {
    let objects = || vec![user(1, "a"), user(2, "a"), user(3, "a"), group(9)];
    let base = content(
        objects(),
        vec![
            link(LinkKind::GroupMembers, 9, 1),
            link(LinkKind::GroupMembers, 9, 2),
        ],
    );
    let live = content(objects(), vec![link(LinkKind::GroupMembers, 9, 3)]);
    for text in [
        format!("group/members:{}", id(1)),
        format!("members:{}", id(1)),
    ] {
        let (plan, _) = narrowed(&base, &live, &parts(&[], &[text]));
        let calls: Vec<&str> = plan
            .steps
            .iter()
            .map(|step| step.call.path.as_str())
            .collect();
        assert_eq!(calls, [format!("/groups/{}/members/$ref", id(9))]);
        assert_eq!(plan.steps[0].links[0].target, id(1));
    }
}

#[test]
fn a_link_to_what_was_made_anew_is_named_by_either_id() {
    let lineage = Lineage::new(vec![crate::lineage::Entry {
        object_type: ObjectType::User,
        old: id(2),
        new: id(12),
        app_ids: None,
        made: chrono::DateTime::UNIX_EPOCH,
        restore: crate::id::PlanId::parse("p").expect("valid"),
    }]);
    // Content is in new ids.
    let objects = || vec![user(12, "a"), group(9)];
    let base = content(objects(), vec![link(LinkKind::GroupMembers, 9, 12)]);
    let live = content(objects(), vec![]);
    for end in [2, 12] {
        let parts = parts(&[], &[format!("members:{}", id(end))]);
        let (plan, _) = narrowed(&base, &live, &parts.in_new_ids(&lineage));
        assert_eq!(actions(&plan), [(Action::AddLinks, id(9))], "{end}");
    }
}

#[test]
fn an_old_and_a_new_manager_go_together() {
    let objects = || vec![user(1, "a"), user(2, "a"), user(3, "a")];
    let base = content(objects(), vec![link(LinkKind::UserManager, 1, 2)]);
    let live = content(objects(), vec![link(LinkKind::UserManager, 1, 3)]);
    for end in [2, 3] {
        let (plan, _) = narrowed(&base, &live, &parts(&[], &[format!("manager:{}", id(end))]));
        assert_eq!(actions(&plan), [(Action::AddLinks, id(1))]);
        assert_eq!(
            plan.steps[0].links.len(),
            2,
            "what the write replaces is told"
        );
    }
}

#[test]
fn objects_that_came_or_went_are_named_and_left_alone() {
    let base = content(vec![user(1, "a"), user(2, "a")], vec![]);
    let live = content(
        vec![deleted(user(1, "a")), user(2, "b"), user(3, "a")],
        vec![],
    );
    let (plan, whole) = narrowed(&base, &live, &parts(&["jobTitle"], &[]));
    assert_eq!(actions(&plan), [(Action::Update, id(2))]);
    let named: Vec<_> = whole
        .iter()
        .map(|one| (one.object.id.clone(), one.obstacle))
        .collect();
    assert_eq!(
        named,
        [
            (id(1), Obstacle::WholeObject),
            (id(3), Obstacle::WholeObject)
        ]
    );
}

#[test]
fn what_no_object_has_is_refused() {
    let refused = |properties: &[&str], links: &[&str]| {
        let texts = |list: &[&str]| {
            list.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        Parts::parse(&texts(properties), &texts(links)).expect_err("refused")
    };
    assert_eq!(
        refused(&["shoeSize"], &[]),
        InvalidPart::Property("shoeSize".to_owned())
    );
    for text in ["members", "friends:a", "members:", "group/friends:a"] {
        assert_eq!(refused(&[], &[text]), InvalidPart::Link(text.to_owned()));
    }
}

#[test]
fn the_state_of_a_policy_is_set_back_alone_where_its_conditions_are_lost() {
    let lost = "00000000-0000-4000-8000-0000000000aa";
    let of = |state: &str, users: Value| {
        object(
            ObjectType::ConditionalAccessPolicy,
            7,
            ObjectState::Live,
            json!({"displayName": "P", "state": state, "conditions": {"users": users}}),
        )
    };
    let gone = object(
        ObjectType::User,
        0xaa,
        ObjectState::Live,
        json!({"displayName": "Lost"}),
    );
    let base = content(
        vec![
            gone,
            of(
                "disabled",
                json!({"includeUsers": ["All"], "excludeUsers": [lost]}),
            ),
        ],
        vec![],
    );
    let live = content(
        vec![of("enabled", json!({"includeUsers": ["All"]}))],
        vec![],
    );
    let (plan, _) = narrowed(&base, &live, &parts(&["state"], &[]));
    let written: Vec<_> = plan
        .steps
        .iter()
        .map(|step| step.call.body.clone())
        .collect();
    assert_eq!(written, [Some(json!({"state": "disabled"}))]);
    let (plan, _) = narrowed(&base, &live, &parts(&["state", "conditions"], &[]));
    assert_eq!(plan.steps, []);
    let refused = plan.exclusions.iter().map(|one| one.obstacle);
    assert!(
        refused
            .into_iter()
            .any(|one| one == Obstacle::UnresolvedReference)
    );
}

#[test]
fn every_step_tells_its_permission_and_its_time() {
    let base = content(vec![user(1, "a"), user(2, "a")], vec![]);
    let live = content(vec![deleted(user(1, "a")), user(2, "b")], vec![]);
    let plan = planned(&base, &live, ROLLBACK);
    let told: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            (
                step.action,
                step.permissions().join(", "),
                step.estimate_seconds(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                Action::RestoreDeleted,
                "User.DeleteRestore.All".to_owned(),
                0.05
            ),
            (Action::Update, "User.ReadWrite.All".to_owned(), 0.05),
        ]
    );
    assert_eq!(estimate_seconds(&plan.steps), 1, "seconds are rounded up");
}
