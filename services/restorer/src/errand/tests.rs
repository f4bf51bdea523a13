use super::*;
use model::call::{Call, HttpMethod};
use model::diff::{Direction, LinkChange};
use model::{LinkKind, ObjectId, ObjectType};

fn id(n: usize) -> ObjectId {
    ObjectId::parse(&format!("00000000-0000-4000-8000-{n:012}")).expect("an id")
}

fn step(number: u32, action: Action, object: usize, links: usize) -> Step {
    let link = |n: usize| LinkChange {
        kind: LinkKind::GroupMembers,
        target: id(100 + n),
        target_name: None,
        direction: Direction::Added,
    };
    Step {
        number,
        action,
        object: ObjectRef {
            object_type: ObjectType::Group,
            id: id(object),
            name: "G".to_owned(),
        },
        reason: String::new(),
        attributes: Vec::new(),
        links: (0..links).map(link).collect(),
        guards: Vec::new(),
        call: Call {
            method: HttpMethod::Patch,
            path: "/groups/1".to_owned(),
            body: None,
        },
        after: Vec::new(),
        made_anew: Vec::new(),
    }
}

fn steps() -> Vec<Step> {
    vec![
        step(1, Action::RestoreDeleted, 1, 0),
        step(2, Action::Update, 1, 0),
        step(3, Action::Update, 2, 0),
        step(4, Action::AddLinks, 2, 20),
        step(5, Action::RemoveLink, 3, 1),
    ]
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("in range")
}

#[test]
fn a_plan_counts_objects_and_links_and_waits_as_long_as_an_approval_counts() {
    let policy: Policy = "on,expires=2h".parse().expect("a policy");
    let errand = Errand {
        note: "mine".to_owned(),
        ..Errand::default()
    };
    let errand = planned(errand, &steps(), &policy, at(1000));
    assert_eq!((errand.object_count, errand.link_count), (2, 21));
    assert_eq!(errand.apply_until, Some(timestamp(at(1000 + 7200))));
    assert_eq!(errand.note, "mine");
}

#[test]
fn only_what_was_done_whole_counts_as_changed() {
    let outcomes = |states: &[OutcomeState]| -> BTreeMap<u32, Outcome> {
        let outcome = |state: &OutcomeState| Outcome {
            state: *state as i32,
            ..Outcome::default()
        };
        (1..).zip(states.iter().map(outcome)).collect()
    };
    use OutcomeState::{AlreadyDone, Applied, Conflict, Failed, Skipped};
    for (states, objects, links) in [
        (vec![Applied, Applied, Applied, Applied, Applied], 2, 21),
        (
            vec![AlreadyDone, Applied, Failed, Failed, AlreadyDone],
            1,
            1,
        ),
        (vec![Applied, Conflict, Applied, Applied, Skipped], 1, 20),
        (vec![Applied], 0, 0),
        (vec![], 0, 0),
    ] {
        let errand = ended(Errand::default(), &steps(), &outcomes(&states));
        assert_eq!(
            (errand.changed_objects, errand.changed_links),
            (objects, links),
            "{states:?}"
        );
    }
}

#[test]
fn what_was_not_begun_in_time_has_failed() {
    let errand = Errand {
        apply_until: Some(timestamp(at(100))),
        ..Errand::default()
    };
    assert_eq!(overdue(&errand, true, at(99)), None);
    assert_eq!(
        overdue(&Errand::default(), true, at(99)),
        None,
        "not planned yet"
    );
    let reason = |asks| overdue(&errand, asks, at(100)).expect("too late").reason;
    assert_eq!(reason(true), "APPROVAL_EXPIRED");
    assert_eq!(reason(false), "BACKEND_UNAVAILABLE");
}
