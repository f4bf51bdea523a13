//! What a request carries that no plan holds, and what is taken for its work.

use std::collections::HashSet;

use model::call::HttpMethod;
use model::lineage::Entry;
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
    assert!(is_untraceable(&unit) && !is_untraceable(&user()));
    let other = Step {
        action: Action::Update,
        ..unit.clone()
    };
    assert!(!is_untraceable(&other), "it is made by no step");
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

#[test]
fn what_was_made_goes_on_record_without_a_password() {
    let new = "00000000-0000-4000-8000-000000000002";
    let answer = json!({"id": new, "userPrincipalName": "a@contoso.com", "jobTitle": "Clerk",
        "passwordProfile": {"password": "secret"}, "createdDateTime": "2026-01-01T00:00:00Z"});
    let answer = answer.as_object().expect("an object");
    let mut trail = Trail::default();
    let ((state, detail), made) = made(&user(), answer, "", &mut trail);
    assert_eq!((state, detail.as_str()), (OutcomeState::Applied, ""));
    assert_eq!(made.map(|made| made.new.to_string()).as_deref(), Some(new));
    let record = json!({"id": new, "userPrincipalName": "a@contoso.com", "jobTitle": "Clerk"});
    assert_eq!(trail.after, Some(record));
}

#[test]
fn what_this_plan_made_is_its_own_after_a_kill() {
    let id = |n: u32| ObjectId::parse(&format!("00000000-0000-4000-8000-{n:012}")).expect("valid");
    let plan = |text: &str| PlanId::parse(text).expect("valid");
    let (mine, theirs) = (plan("20261120t080000-1"), plan("20261120t080000-2"));
    let entry = Entry {
        object_type: ObjectType::User,
        old: id(1),
        new: id(2),
        app_ids: None,
        made: chrono::DateTime::UNIX_EPOCH,
        restore: mine.clone(),
    };
    let lineage = Lineage::new(vec![entry]);
    assert!(by_this_plan(&lineage, &id(2), &mine));
    assert!(!by_this_plan(&lineage, &id(2), &theirs));
    assert!(!by_this_plan(&lineage, &id(3), &mine));
}
