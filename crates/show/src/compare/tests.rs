//! What stands in the cells.

use super::*;

fn change(before: Option<&str>, after: Option<&str>) -> v1::AttributeChange {
    v1::AttributeChange {
        path: "conditions.users.excludeUsers".to_owned(),
        before_json: before.map(str::to_owned),
        after_json: after.map(str::to_owned),
        ..v1::AttributeChange::default()
    }
}

fn known(id: &str, name: &str) -> v1::ObjectRef {
    v1::ObjectRef {
        r#type: "user".to_owned(),
        id: id.to_owned(),
        display_name: name.to_owned(),
    }
}

/// A cell in a line: marks by signs, JSON in backquotes, names in brackets.
fn told(cell: &Cell) -> String {
    let one = |element: &Element| {
        let text = match element.json {
            true => format!("`{}`", element.text.replace('\n', "")),
            false => element.text.clone(),
        };
        match element.name.as_str() {
            "" => text,
            name => format!("{text} [{name}]"),
        }
    };
    match cell {
        Cell::Nothing(word) => format!("({word})"),
        Cell::One(element) => one(element),
        Cell::Elements { elements, same } => {
            let told = elements
                .iter()
                .map(|(mark, element)| format!("{}{}", mark.sign(), one(element)));
            let mut told: Vec<String> = told.collect();
            told.extend((!same.is_empty()).then(|| format!("({same})")));
            told.join(", ")
        }
        Cell::Link { mark, name, id } => format!("{}{id} [{name}]", mark.sign()),
    }
}

fn check(change: &v1::AttributeChange, before: &str, after: &str) {
    let names = [known("u-1", "Ann"), known("u-2", "Bo\u{202e}b")];
    let row = attribute(change, &names).expect("understood");
    assert_eq!([told(&row.cells[0]), told(&row.cells[1])], [before, after]);
    assert_eq!(row.path, ["conditions.", "users.", "excludeUsers"]);
}

#[test]
fn single_values_stand_as_they_are() {
    for (before, after, old, current) in [
        (Some("\"Clerk\""), Some("\"Boss\""), "Clerk", "Boss"),
        (None, Some("true"), "(not set)", "`true`"),
        (Some("\"\""), Some("{\"a\":1}"), "(empty)", "`{  \"a\": 1}`"),
        (
            Some("\"u-1\""),
            Some("\"u-2\""),
            "u-1 [Ann]",
            "u-2 [Bo\\u{202e}b]",
        ),
        (Some("[\"a\"]"), None, "`[  \"a\"]`", "(not set)"),
    ] {
        check(&change(before, after), old, current);
    }
}

#[test]
fn a_set_shows_what_came_and_what_went() {
    let mut set = change(Some("[\"u-1\",\"x\",\"y\"]"), Some("[\"u-2\",\"x\",\"y\"]"));
    set.removed_json = vec!["\"u-1\"".to_owned()];
    set.added_json = vec!["\"u-2\"".to_owned()];
    check(
        &set,
        "\u{2212} u-1 [Ann], (and 2 unchanged)",
        "+ u-2 [Bo\\u{202e}b], (and 2 unchanged)",
    );
    set.added_json.clear();
    set.after_json = Some("[\"x\",\"y\"]".to_owned());
    check(
        &set,
        "\u{2212} u-1 [Ann], (and 2 unchanged)",
        "(2 unchanged)",
    );
    set.after_json = None;
    check(&set, "\u{2212} u-1 [Ann], (and 2 unchanged)", "(not set)");
}

#[test]
fn an_ordered_list_marks_what_the_other_side_lacks() {
    let list = change(Some("[\"a\",\"b\",\"b\"]"), Some("[\"b\",\"c\"]"));
    check(&list, "\u{2212} a, b, \u{2212} b", "b, + c");
}

#[test]
fn a_link_stands_where_it_was() {
    let mut link = v1::LinkChange {
        relation: "group/members".to_owned(),
        target_id: "u-1".to_owned(),
        target_name: "Ann".to_owned(),
        direction: LinkDirection::Removed.into(),
    };
    let row = |link: &v1::LinkChange| {
        let row = super::link(link).expect("understood");
        (row.path.concat(), row.cells.map(|cell| told(&cell)))
    };
    let expected = ["\u{2212} u-1 [Ann]".to_owned(), "(not linked)".to_owned()];
    assert_eq!(row(&link), ("members".to_owned(), expected));
    link.direction = LinkDirection::Added.into();
    let expected = ["(not linked)".to_owned(), "+ u-1 [Ann]".to_owned()];
    assert_eq!(row(&link), ("members".to_owned(), expected));
    link.direction = LinkDirection::Unspecified.into();
    assert!(matches!(super::link(&link), Err(Error::NotUnderstood(_))));
    let broken = change(Some("nope"), None);
    assert!(matches!(
        attribute(&broken, &[]),
        Err(Error::NotUnderstood(_))
    ));
}
