use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fixture::{body, content, full, further, group, id, link, object, user};
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

/// For every property of the catalogue null, absent and empty are one, and so are
/// a list in two orders unless the order has a meaning.
#[test]
fn no_property_makes_noise() {
    use crate::catalogue::Shape;
    for spec in crate::catalogue::TYPES {
        for property in spec.properties {
            let side = |value: Option<Value>| {
                let mut body = json!({"displayName": "same"});
                if property.name == "displayName" {
                    body = json!({});
                }
                if let Some(value) = value {
                    body[property.name] = value;
                }
                let object = object(spec.object_type, 1, ObjectState::Live, body);
                content(vec![object], vec![])
            };
            let place = format!("{}.{}", spec.name, property.name);
            for nothing in [json!(null), json!([]), json!({}), json!([null, {}])] {
                let changed = kinds(&side(None), &side(Some(nothing.clone())));
                assert_eq!(changed, [], "{place}: absent and {nothing}");
            }
            let orders = [json!(["a", "b"]), json!(["b", "a"])];
            let orders = match property.shape {
                Shape::Object => orders.map(|list| json!({"list": list})),
                Shape::Scalar | Shape::List | Shape::Set => orders,
            };
            let [one, other] = orders.map(|value| side(Some(value)));
            let has_order = property.shape == Shape::List && property.class != Class::Volatile;
            assert_eq!(!kinds(&one, &other).is_empty(), has_order, "{place}");
        }
    }
}

/// Another value of the same shape.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(_) => json!(90),
        Value::String(text) => json!(format!("{text}x")),
        Value::Array(items) => {
            let mut items = items.clone();
            let first = items.first_mut().expect("the fixture has an entry");
            // The id says which entry it is.
            *first = match &*first {
                Value::Object(entry) if entry.contains_key("id") => {
                    let mut entry = entry.clone();
                    entry.insert("state".to_owned(), json!("other"));
                    Value::Object(entry)
                }
                first => other(first),
            };
            Value::Array(items)
        }
        Value::Object(map) => {
            let change = |(key, value): (&String, &Value)| (key.clone(), other(value));
            let changed = map.iter().next().map(change);
            Value::Object(map.clone().into_iter().chain(changed).collect())
        }
        Value::Null => panic!("the fixture has a value"),
    }
}

#[test]
fn every_property_of_the_new_types_is_seen_in_its_own_shape() {
    for object_type in further() {
        for property in object_type.spec().properties {
            let mut changed = body(object_type);
            let old = changed.get(property.name);
            let old = old.unwrap_or_else(|| panic!("{object_type}.{}", property.name));
            changed[property.name] = other(old);
            let base = content(vec![full(object_type, 1)], vec![]);
            let target = content(
                vec![object(object_type, 1, ObjectState::Live, changed)],
                vec![],
            );
            let changes = diff(&base, &target, &Scope::default()).changes;
            let paths: Vec<&str> = changes
                .iter()
                .flat_map(|change| &change.attributes)
                .map(AttributeChange::property)
                .collect();
            let expected = (property.class != Class::Volatile).then_some(property.name);
            assert_eq!(
                paths,
                Vec::from_iter(expected),
                "{object_type}.{}",
                property.name
            );
        }
    }
}

/// Reverses every list and adds what Graph adds to its answers.
fn shuffled(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.reverse();
            items.iter_mut().for_each(shuffled);
        }
        Value::Object(map) => {
            map.values_mut().for_each(shuffled);
            map.insert("x@odata.context".to_owned(), json!("noise"));
            map.insert("nothing".to_owned(), Value::Null);
        }
        _ => {}
    }
}

#[test]
fn order_and_annotations_are_no_change_of_the_new_types() {
    for object_type in further() {
        let mut noisy = body(object_type);
        shuffled(&mut noisy);
        noisy["@odata.context"] = json!("https://graph.microsoft.com/v1.0/$metadata");
        noisy["@microsoft.graph.tips"] = json!("use $select");
        if object_type == ObjectType::OAuth2PermissionGrant {
            noisy["scope"] = json!(" Mail.Read  User.Read");
        }
        let base = content(vec![full(object_type, 1)], vec![]);
        let target = content(
            vec![object(object_type, 1, ObjectState::Live, noisy)],
            vec![],
        );
        assert_eq!(
            diff(&base, &target, &Scope::default()).changes,
            [],
            "{object_type}"
        );
    }
}

#[test]
fn the_settings_of_one_sign_in_method_change_by_themselves() {
    let mut changed = body(ObjectType::AuthenticationMethodsPolicy);
    changed["authenticationMethodConfigurations"][1]["state"] = json!("enabled");
    let target = object(
        ObjectType::AuthenticationMethodsPolicy,
        1,
        ObjectState::Live,
        changed,
    );
    let base = content(
        vec![full(ObjectType::AuthenticationMethodsPolicy, 1)],
        vec![],
    );
    let change = diff(&base, &content(vec![target], vec![]), &Scope::default())
        .changes
        .remove(0);
    let paths: Vec<&str> = change
        .attributes
        .iter()
        .map(|one| one.path.as_str())
        .collect();
    assert_eq!(paths, ["authenticationMethodConfigurations.Sms.state"]);
    assert_eq!(change.obstacles, [].into());
}

#[test]
fn a_grant_is_called_by_those_it_ties_together() {
    let client = object(
        ObjectType::ServicePrincipal,
        1,
        ObjectState::Live,
        json!({"displayName": "Mailer"}),
    );
    let base = content(
        vec![
            client,
            user(2, "a"),
            full(ObjectType::OAuth2PermissionGrant, 9),
        ],
        vec![],
    );
    let target = Content {
        objects: base.objects[..2].to_vec(),
        ..base.clone()
    };
    let change = diff(&base, &target, &Scope::default()).changes.remove(0);
    assert_eq!(
        change.object.name,
        format!("Mailer to {} for User 2: User.Read Mail.Read", id(3))
    );
    assert_eq!(change.obstacles, [].into(), "it can be made anew");
}

#[test]
fn what_ties_objects_together_goes_with_them() {
    // The fixtures name their ends by these ids.
    let ends = [
        (ObjectType::ServicePrincipal, 1),
        (ObjectType::User, 2),
        (ObjectType::ServicePrincipal, 3),
        (ObjectType::Application, 5),
    ];
    let check = |tie: ObjectType, with: &[u8]| {
        let tenant = |gone: Option<u8>, tied: bool| {
            let end = |(object_type, n): (ObjectType, u8)| {
                let state = if gone == Some(n) {
                    ObjectState::Deleted
                } else {
                    ObjectState::Live
                };
                object(object_type, n, state, json!({"displayName": "End"}))
            };
            let tied = tied.then(|| full(tie, 9));
            content(ends.into_iter().map(end).chain(tied).collect(), vec![])
        };
        for (_, n) in ends {
            let found = kinds(&tenant(None, true), &tenant(Some(n), false));
            let both = vec![
                (id(n), ChangeKind::SoftDeleted),
                (id(9), ChangeKind::HardDeleted),
            ];
            let expected = if with.contains(&n) {
                both[..1].to_vec()
            } else {
                both
            };
            assert_eq!(found, expected, "{tie} without {n}");
        }
        let alone = kinds(&tenant(None, true), &tenant(None, false));
        assert_eq!(alone, [(id(9), ChangeKind::HardDeleted)], "{tie}");
    };
    check(ObjectType::OAuth2PermissionGrant, &[1, 2, 3]);
    check(ObjectType::AppRoleAssignment, &[2, 3]);
    check(ObjectType::RoleAssignment, &[2]);
    check(ObjectType::FederatedIdentityCredential, &[5]);
    check(ObjectType::AuthenticationContextClassReference, &[]);
}

#[test]
fn a_tenant_that_synchronises_is_not_itself_synchronised() {
    let mut moved = body(ObjectType::Organization);
    moved["city"] = json!("Basel");
    let base = content(vec![full(ObjectType::Organization, 1)], vec![]);
    let target = object(ObjectType::Organization, 1, ObjectState::Live, moved);
    let change = diff(&base, &content(vec![target], vec![]), &Scope::default())
        .changes
        .remove(0);
    assert_eq!(change.obstacles, [Obstacle::ReadOnly].into());
}

#[test]
fn members_that_follow_from_the_rule_of_a_unit_are_not_compared() {
    let unit = |how: &str| {
        object(
            ObjectType::AdministrativeUnit,
            1,
            ObjectState::Live,
            json!({"displayName": "Branch", "membershipType": how}),
        )
    };
    let check = |how: &str, expected: usize| {
        let members = vec![link(LinkKind::AdministrativeUnitMembers, 1, 2)];
        let base = content(vec![unit(how), user(2, "a")], members);
        let target = content(vec![unit(how), user(2, "a")], vec![]);
        assert_eq!(kinds(&base, &target).len(), expected, "{how}");
    };
    check("Assigned", 1);
    check("Dynamic", 0);
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
