//! What a request carries that no plan holds, and what is taken for its work.

use std::collections::HashSet;

use model::call::HttpMethod;
use model::plan::Action;
use model::{ObjectRef, ObjectType};
use runtime::SeededIds;

use super::*;

const OLD: &str = "00000000-0000-4000-8000-000000000001";

fn step(object_type: ObjectType, path: &str, body: Value) -> Step {
    Step {
        number: 1,
        action: Action::Recreate,
        object: ObjectRef {
            object_type,
            id: ObjectId::parse(OLD).expect("valid"),
            name: "Adele".to_owned(),
        },
        reason: String::new(),
        attributes: Vec::new(),
        links: Vec::new(),
        guards: Vec::new(),
        call: Call {
            method: HttpMethod::Post,
            path: path.to_owned(),
            body: Some(body),
        },
        after: Vec::new(),
        made_anew: Vec::new(),
    }
}

fn user() -> Step {
    let body = json!({"userPrincipalName": "a@contoso.com", "jobTitle": "Clerk"});
    step(ObjectType::User, "/users", body)
}

#[test]
fn each_user_gets_a_password_of_their_own_that_the_directory_takes() {
    let ids = SeededIds::new(7);
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let call = with_password(&user(), &ids);
        let profile = &call.body.expect("a body")["passwordProfile"];
        assert_eq!(profile["forceChangePasswordNextSignIn"], true);
        let password = profile["password"].as_str().expect("a text").to_owned();
        assert!(password.len() >= 36 && password.len() <= 256, "{password}");
        for kind in [
            char::is_ascii_uppercase as fn(&char) -> bool,
            char::is_ascii_lowercase,
            char::is_ascii_digit,
            char::is_ascii_punctuation,
        ] {
            assert!(password.chars().any(|c| kind(&c)), "{password}");
        }
        assert!(seen.insert(password), "none twice");
    }
    let group = step(ObjectType::Group, "/groups", json!({"displayName": "G"}));
    assert_eq!(with_password(&group, &ids), group.call);
}

#[test]
fn an_object_is_looked_for_by_what_no_other_shares() {
    let check = |step: Step, expected: Option<(Key, &str)>| {
        let found = key_of(&step);
        let found = found.as_ref().map(|(key, value)| (*key, value.as_str()));
        assert_eq!(found, expected);
    };
    check(user(), Some((Key::SignInName, "a@contoso.com")));
    let group = step(ObjectType::Group, "/groups(uniqueName='x-1')", json!({}));
    check(group, Some((Key::UniqueName, "x-1")));
    let body = json!({"appId": "a-1"});
    let principal = step(ObjectType::ServicePrincipal, "/servicePrincipals", body);
    check(principal, Some((Key::AppId, "a-1")));
    let unit = step(ObjectType::AdministrativeUnit, "/units", json!({}));
    check(unit, None);
}

#[test]
fn only_what_was_asked_for_is_taken_for_ours() {
    let ours = |title: &str, more: &str| {
        let found = json!({"userPrincipalName": "a@contoso.com", "jobTitle": title, "city": more,
            "createdDateTime": "2026-01-01T00:00:00Z"});
        let found = found.as_object().expect("an object");
        is_ours(&user(), Key::SignInName, "a@contoso.com", found)
    };
    assert!(ours("Clerk", "Bern"));
    assert!(!ours("Impostor", "Bern"));
    let group = step(ObjectType::Group, "/groups", json!({"displayName": "G"}));
    let other = Body::from_iter([("displayName".to_owned(), json!("H"))]);
    let own = format!("rewind-{OLD}");
    assert!(is_ours(&group, Key::UniqueName, &own, &other));
    assert!(!is_ours(&group, Key::UniqueName, "x-1", &other));
}
