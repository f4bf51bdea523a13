use chrono::DateTime;
use model::ObjectRef;
use model::call::HttpMethod;
use model::lineage::Entry;

use super::*;

fn id(text: &str) -> ObjectId {
    ObjectId::parse(text).expect("valid")
}

const OLD: &str = "0a1b2c3d-0000-4000-8000-000000000001";
const NEW: &str = "0a1b2c3d-0000-4000-8000-000000000002";

fn step(action: Action) -> Step {
    Step {
        number: 4,
        action,
        object: ObjectRef {
            object_type: ObjectType::User,
            id: id(OLD),
            name: "Ada".to_owned(),
        },
        reason: String::new(),
        attributes: Vec::new(),
        links: Vec::new(),
        guards: Vec::new(),
        call: model::call::Call {
            method: HttpMethod::Patch,
            path: format!("/users/{OLD}"),
            body: None,
        },
        after: Vec::new(),
        made_anew: match action {
            Action::Recreate => Vec::new(),
            _ => vec![id(OLD)],
        },
    }
}

#[test]
fn only_a_step_that_surely_wrote_nothing_goes_unmentioned() {
    let check = |action, state: OutcomeState, detail: &str, sent: bool, expected: bool| {
        let outcome = Outcome {
            state: state as i32,
            detail: detail.to_owned(),
            request_id: if sent { "r" } else { "" }.to_owned(),
            ..Outcome::default()
        };
        let step = step(action);
        assert_eq!(may_have_written(&step, &outcome), expected, "{detail}");
    };
    let path = || "/users".to_owned();
    let denied = graph::GraphError::Denied {
        code: "c".to_owned(),
        message: "m".to_owned(),
        path: path(),
    };
    let lost = graph::GraphError::Ambiguous {
        path: path(),
        what: "cut off".to_owned(),
    };
    let unseen = "was written, but reads do not show it";
    let (failed, update) = (OutcomeState::Failed, Action::Update);
    check(update, failed, unseen, true, true);
    check(update, failed, &lost.to_string(), false, true);
    check(update, failed, &denied.to_string(), true, false);
    let nothing = graph::GraphError::NotFound { path: path() };
    check(update, failed, &nothing.to_string(), true, false);
    check(update, failed, "a step before it failed", false, false);
    check(update, OutcomeState::AlreadyDone, "", false, false);
    check(update, OutcomeState::Conflict, "differs", true, false);
    let unknown = "the answer to the request was lost";
    check(Action::Recreate, failed, unknown, false, true);
    check(Action::Recreate, failed, &denied.to_string(), false, false);
}

#[test]
fn steps_are_inverted_in_the_ids_of_what_was_made_anew() {
    let lineage = Lineage::new(vec![Entry {
        object_type: ObjectType::User,
        old: id(OLD),
        new: id(NEW),
        app_ids: None,
        made: DateTime::UNIX_EPOCH,
        restore: PlanId::parse("p").expect("valid"),
    }]);
    let update = as_journalled(&step(Action::Update), &lineage).expect("made");
    assert_eq!(update.object.id, id(NEW));
    assert_eq!(update.call.path, format!("/users/{NEW}"));
    let made = as_journalled(&step(Action::Recreate), &lineage).expect("made");
    assert_eq!(made.object.id, id(NEW), "a person finds it by this id");
    let unknown = as_journalled(&step(Action::Update), &Lineage::default());
    assert_eq!(unknown, Err(id(OLD)));
}
