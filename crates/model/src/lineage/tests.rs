use serde_json::json;

use super::*;
use crate::catalogue::LinkKind;
use crate::fixture::{content, group, id, link, object, user};
use crate::object::ObjectState;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("in range")
}

fn entry(old: u8, new: u8, seconds: i64) -> Entry {
    Entry {
        object_type: ObjectType::User,
        old: id(old),
        new: id(new),
        app_ids: None,
        made: at(seconds),
        restore: PlanId::parse("p").expect("valid"),
    }
}

#[test]
fn an_id_is_replaced_wherever_it_stands() {
    let lineage = Lineage::new(vec![entry(1, 2, 0)]);
    let (old, new) = (id(1), id(2));
    for text in [
        "ID",
        "/administrativeUnits/ID",
        "user.id -in ['ID', 'x']",
        "msalID://auth",
        "ID ID",
        "\u{e4}ID\u{e4}",
    ] {
        let before = text.replace("ID", old.as_str());
        assert_eq!(lineage.text(&before), text.replace("ID", new.as_str()));
        let upper = text.replace("ID", &old.as_str().to_uppercase());
        assert_eq!(lineage.text(&upper), text.replace("ID", new.as_str()));
        let other = text.replace("ID", id(3).as_str());
        assert!(matches!(lineage.text(&other), Cow::Borrowed(_)));
    }
    let mut value = json!({old.as_str(): [old.as_str(), {"a": old.as_str()}, 1, null]});
    lineage.value(&mut value);
    assert_eq!(
        value,
        json!({old.as_str(): [new.as_str(), {"a": new.as_str()}, 1, null]}),
        "names of properties stay"
    );
}

#[test]
fn guids_are_found_in_a_text() {
    let text = format!("{}x{} 0000-4000", id(1), id(2).as_str().to_uppercase());
    let found: Vec<String> = guids(&text).into_iter().collect();
    assert_eq!(found, [id(1).to_string(), id(2).to_string()]);
}

#[test]
fn what_was_made_anew_twice_goes_on_in_the_last() {
    let lineage = Lineage::new(vec![entry(1, 2, 10), entry(2, 3, 20)]);
    assert_eq!(lineage.current(&id(1)), id(3));
    assert_eq!(lineage.current(&id(2)), id(3));
    assert_eq!(lineage.current(&id(3)), id(3));
    let later = lineage.since(at(15));
    assert_eq!(
        later.current(&id(1)),
        id(1),
        "a state from between knows only the second"
    );
    assert_eq!(later.current(&id(2)), id(3));
    let scope = Scope {
        ids: BTreeSet::from([id(2), id(9)]),
        ..Scope::default()
    };
    let wide = BTreeSet::from([id(1), id(2), id(3), id(9)]);
    assert_eq!(lineage.widened(&scope).ids, wide);
    assert_eq!(lineage.widened(&Scope::default()), Scope::default());
}

#[test]
fn a_state_is_read_in_todays_ids() {
    let lineage = Lineage::new(vec![entry(1, 8, 0)]);
    let base = content(
        vec![user(1, "a"), user(2, "b"), group(9)],
        vec![
            link(LinkKind::GroupMembers, 9, 1),
            link(LinkKind::UserManager, 1, 2),
        ],
    );
    let expected = content(
        vec![
            user(2, "b"),
            object(
                ObjectType::User,
                8,
                ObjectState::Live,
                json!({"displayName": "User 1", "jobTitle": "a", "accountEnabled": true}),
            ),
            group(9),
        ],
        vec![
            link(LinkKind::GroupMembers, 9, 8),
            link(LinkKind::UserManager, 8, 2),
        ],
    );
    assert_eq!(lineage.content(base.clone()), expected);
    assert_eq!(
        lineage.content(expected.clone()),
        expected,
        "reading it so twice is reading it so once"
    );
    assert_eq!(Lineage::default().content(base.clone()), base);
}

#[test]
fn of_both_todays_object_stays() {
    let lineage = Lineage::new(vec![entry(1, 2, 0)]);
    let both = content(vec![user(1, "former"), user(2, "today")], vec![]);
    assert_eq!(
        lineage.content(both).objects,
        content(vec![user(2, "today")], vec![]).objects
    );
}

#[test]
fn what_an_object_is_born_with_is_no_difference() {
    let lineage = Lineage::new(vec![entry(1, 2, 0)]);
    let born = |n, title: &str, year: u16, unique: Option<&str>| {
        let mut body = json!({"jobTitle": title, "securityIdentifier": format!("S-{n}"),
            "createdDateTime": format!("{year}-01-01T00:00:00Z")});
        if let Some(unique) = unique {
            body["uniqueName"] = json!(unique);
        }
        content(
            vec![object(ObjectType::User, n, ObjectState::Live, body)],
            vec![],
        )
    };
    let (base, target) = (born(1, "a", 2020, None), born(2, "b", 2026, Some("u")));
    let mut base = lineage.content(base);
    lineage.settle(&mut base, &target);
    let difference = crate::diff::diff(&base, &target, &Scope::default());
    let [change] = &difference.changes[..] else {
        panic!("one change: {difference:?}");
    };
    assert_eq!(change.kind, crate::diff::ChangeKind::Modified);
    let paths: Vec<&str> = change
        .attributes
        .iter()
        .map(|it| it.path.as_str())
        .collect();
    assert_eq!(paths, ["jobTitle"]);
}
