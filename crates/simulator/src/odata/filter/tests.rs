//! Table tests of the filter parser and its evaluation.

use serde_json::json;

use super::{Filter, dig};

#[track_caller]
fn check(filter: &str, expected: bool) {
    let object = json!({
        "id": "7",
        "displayName": "Ada O'Hara",
        "accountEnabled": true,
        "mail": null,
        "createdDateTime": "2026-03-01T10:00:00Z",
        "groupTypes": ["Unified"],
        "identities": [{"issuer": "a", "issuerAssignedId": "x"}],
        "user": {"id": "u1"},
        "number": 3
    });
    let parsed = Filter::parse(filter).unwrap();
    assert_eq!(
        parsed.matches(&|path| dig(&object, path)),
        expected,
        "{filter}"
    );
}

#[test]
fn filters_decide_as_the_service_does() {
    check("displayName eq 'ada o''hara'", true);
    check("displayName eq 'Bo'", false);
    check("startswith(displayName,'ADA')", true);
    check(
        "startsWith(displayName, 'Bo') or accountEnabled eq true",
        true,
    );
    check("not startswith(displayName,'Ada')", false);
    check("mail eq null", true);
    check("mail ne null", false);
    check("groupTypes/any(c:c eq 'Unified')", true);
    check("groupTypes/any(c: c eq 'Dynamic')", false);
    check("NOT(groupTypes/any(s:s eq 'Unified'))", false);
    check("otherMails/any()", false);
    check(
        "identities/any(c:c/issuer eq 'a' and c/issuerAssignedId eq 'x')",
        true,
    );
    check("displayName in ('x', 'Ada O''Hara')", true);
    check(
        "createdDateTime ge 2026-02-28T00:00:00Z and createdDateTime le 2026-03-01T12:00:00+03:00",
        false,
    );
    check("createdDateTime ge 2026-03-01T10:00:00Z", true);
    check("user/id eq 'u1'", true);
    check("number gt 2 and (number lt 4)", true);
}

#[test]
fn malformed_filters_are_refused() {
    for text in [
        "displayName eq",
        "eq 'x'",
        "displayName like 'x'",
        "displayName eq 'x",
        "(a eq 1",
    ] {
        assert!(Filter::parse(text).is_err(), "{text}");
    }
}

#[test]
fn delta_ids_are_found() {
    let filter = Filter::parse("id eq 'a' or id eq 'b'").unwrap();
    assert_eq!(filter.ids(), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(Filter::parse("mail eq 'a'").unwrap().ids(), None);
}
