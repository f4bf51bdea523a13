use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fixture::{content, group, id, link, object, user};
use crate::object::Link;

fn kinds(base: &Content, target: &Content) -> Vec<(ObjectId, ChangeKind)> {
    diff(base, target, &Scope::default())
        .changes
        .into_iter()
        .map(|change| (change.object.id, change.kind))
        .collect()
}

fn deleted(n: u8, title: &str) -> Object {
    Object {
        state: ObjectState::Deleted,
        ..user(n, title)
    }
}

#[test]
fn each_kind_of_change_is_told_apart() {
    let base = content(
        vec![
            user(1, "a"),
            user(2, "a"),
            user(3, "a"),
            user(4, "a"),
            deleted(5, "a"),
            deleted(6, "a"),
        ],
        vec![],
    );
    let target = content(
        vec![
            user(1, "a"),
            user(2, "b"),
            deleted(3, "a"),
            deleted(6, "a"),
            user(5, "a"),
            user(7, "a"),
        ],
        vec![],
    );
    use ChangeKind::{Added, HardDeleted, Modified, Restored, SoftDeleted};
    let expected = [
        (2, Modified),
        (3, SoftDeleted),
        (4, HardDeleted),
        (5, Restored),
        (7, Added),
    ];
    assert_eq!(
        kinds(&base, &target),
        expected.map(|(n, kind)| (id(n), kind))
    );
}

#[test]
fn what_was_not_read_is_not_deleted() {
    let base = content(vec![user(1, "a"), group(2)], vec![]);
    let mut target = content(vec![], vec![]);
    for record in target
        .completeness
        .iter_mut()
        .filter(|record| record.kind == Kind::Objects(ObjectType::User))
    {
        record.problem = Some("403 on page 2".to_owned());
    }
    let difference = diff(&base, &target, &Scope::default());
    assert_eq!(
        difference
            .changes
            .iter()
            .map(|change| change.object.object_type)
            .collect::<Vec<_>>(),
        [ObjectType::Group]
    );
    assert!(
        difference
            .not_compared
            .contains(&"user: 403 on page 2 in the target".to_owned()),
        "{:?}",
        difference.not_compared
    );
}

#[test]
fn an_unreadable_bin_leaves_deletions_open() {
    let base = content(vec![user(1, "a")], vec![]);
    let mut target = content(vec![], vec![]);
    target
        .completeness
        .retain(|record| record.kind != Kind::Deleted(ObjectType::User));
    let difference = diff(&base, &target, &Scope::default());
    assert_eq!(difference.changes, []);
    assert_eq!(
        difference.not_compared,
        ["deleted/user: not read in the target"]
    );
}

#[test]
fn nested_sets_show_their_elements() {
    let policy = |excluded: Value| {
        let body = json!({"displayName": "P", "state": "enabled", "conditions": {"users": {"includeUsers": ["All"], "excludeUsers": excluded}}});
        object(
            ObjectType::ConditionalAccessPolicy,
            1,
            ObjectState::Live,
            body,
        )
    };
    let base = content(vec![policy(json!(["a", "b"]))], vec![]);
    let target = content(vec![policy(json!(["b", "rogue"]))], vec![]);
    let change = diff(&base, &target, &Scope::default()).changes.remove(0);
    let [attribute] = &change.attributes[..] else {
        panic!("one attribute: {change:?}")
    };
    assert_eq!(attribute.path, "conditions.users.excludeUsers");
    assert_eq!(
        (&attribute.added, &attribute.removed),
        (&vec![json!("rogue")], &vec![json!("a")])
    );
}

#[test]
fn links_of_the_deleted_are_part_of_the_deletion() {
    let members = |targets: &[u8]| {
        targets
            .iter()
            .map(|n| link(LinkKind::GroupMembers, 9, *n))
            .collect::<Vec<_>>()
    };
    let base = content(vec![group(9), user(1, "a"), user(2, "a")], members(&[1, 2]));
    let target = content(vec![group(9), deleted(1, "a"), user(2, "a")], members(&[]));
    let difference = diff(&base, &target, &Scope::default());
    let links: Vec<_> = difference
        .changes
        .iter()
        .flat_map(|change| &change.links)
        .collect();
    let [only] = links[..] else {
        panic!("one link: {links:?}")
    };
    assert_eq!(
        (&only.target, only.direction, only.target_name.as_deref()),
        (&id(2), Direction::Removed, Some("User 2"))
    );
}

#[test]
fn members_of_a_dynamic_group_are_not_compared() {
    let dynamic = object(
        ObjectType::Group,
        9,
        ObjectState::Live,
        json!({"groupTypes": ["DynamicMembership"], "membershipRule": "x"}),
    );
    let base = content(
        vec![dynamic.clone(), user(1, "a")],
        vec![link(LinkKind::GroupMembers, 9, 1)],
    );
    let target = content(vec![dynamic, user(1, "a")], vec![]);
    assert_eq!(kinds(&base, &target), []);
}

#[test]
fn volatile_and_annotated_values_are_no_change() {
    let one = object(
        ObjectType::User,
        1,
        ObjectState::Live,
        json!({"displayName": "A", "@odata.context": "x", "otherMails": ["a", "b"]}),
    );
    let other = json!({"displayName": "A", "otherMails": ["b", "a"], "jobTitle": null, "lastPasswordChangeDateTime": "2026-01-01T00:00:00Z"});
    let other = object(ObjectType::User, 1, ObjectState::Live, other);
    assert_eq!(
        kinds(&content(vec![one], vec![]), &content(vec![other], vec![])),
        []
    );
}

/// Every property of the catalogue is either compared or volatile.
#[test]
fn no_property_is_hidden() {
    for spec in crate::catalogue::TYPES {
        for property in spec.properties {
            let side = |value: &str| {
                let value = if property.shape == crate::catalogue::Shape::Object {
                    json!({"logoutUrl": value})
                } else {
                    json!([value])
                };
                object(
                    spec.object_type,
                    1,
                    ObjectState::Live,
                    json!({"displayName": "same", (property.name): value}),
                )
            };
            let changed = kinds(
                &content(vec![side("a")], vec![]),
                &content(vec![side("b")], vec![]),
            );
            let seen = !changed.is_empty();
            assert_eq!(
                seen,
                property.class != Class::Volatile,
                "{}.{}",
                spec.name,
                property.name
            );
        }
    }
}

pub(crate) fn any_content() -> impl Strategy<Value = Content> {
    let users = proptest::collection::vec((0_u8..6, "[ab]", any::<bool>()), 0..6);
    let groups = proptest::collection::vec(6_u8..9, 0..3);
    let links = proptest::collection::vec((6_u8..9, 0_u8..6), 0..8);
    (users, groups, links).prop_map(|(users, groups, links)| {
        let state = |live: bool| {
            if live {
                ObjectState::Live
            } else {
                ObjectState::Deleted
            }
        };
        let mut objects: Vec<Object> = users
            .into_iter()
            .map(|(n, title, live)| Object {
                state: state(live),
                ..user(n, &title)
            })
            .collect();
        objects.extend(groups.into_iter().map(group));
        let content = content(objects, vec![]);
        let live = |object_type, n| {
            content
                .object(object_type, &id(n))
                .is_some_and(|object| object.state == ObjectState::Live)
        };
        let links: Vec<Link> = links
            .into_iter()
            .filter(|(source, target)| {
                live(ObjectType::Group, *source) && live(ObjectType::User, *target)
            })
            .map(|(source, target)| link(LinkKind::GroupMembers, source, target))
            .collect();
        Content { links, ..content }.sorted()
    })
}

proptest! {
    #[test]
    fn nothing_differs_from_itself(content in any_content()) {
        prop_assert_eq!(diff(&content, &content, &Scope::default()).changes, vec![]);
    }

    #[test]
    fn a_scope_only_filters(base in any_content(), target in any_content(), n in 0_u8..9) {
        let scope = Scope { ids: [id(n)].into(), ..Scope::default() };
        let all = diff(&base, &target, &Scope::default()).changes;
        let expected: Vec<Change> = all.into_iter().filter(|change| change.object.id == id(n)).collect();
        prop_assert_eq!(diff(&base, &target, &scope).changes, expected);
    }
}
