//! Restores in a storm: planned, applied and gone on with until they are done,
//! after which the tenant is as the snapshot and each step was done once.

use std::collections::{BTreeMap, BTreeSet};

use graph::DirectoryWriter;
use model::call::{Call, HttpMethod};
use model::diff::{Scope, diff};
use model::retention::Policy;
use model::{ObjectState, ObjectType};
use prost::Message;
use proto::v1::{JournalEntry, Outcome, OutcomeState, PlanState, RestoreState};
use serde_json::json;
use store::object_store::ObjectStoreExt;
use store::{Area, layout};
use testkit::store::{Lag, Struck, Weather};

use crate::house::House;
use crate::reports::snapshot;
use crate::{Dice, all_run, seeds};

/// What the flows did.
#[derive(Debug, Default)]
struct Counted {
    steps: usize,
    interrupted: usize,
    killed: usize,
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.interrupted += other.interrupted;
        self.killed += other.killed;
    }
}

/// Does harm of several sorts to the tenant.
async fn attack(house: &House, dice: &mut Dice) {
    let content = house.directory.content();
    let live: Vec<_> = content
        .objects
        .iter()
        .filter(|object| {
            object.object_type == ObjectType::User && object.state == ObjectState::Live
        })
        .map(|object| object.id.clone())
        .collect();
    let user = |n: u64| &live[usize::try_from(n).unwrap()];
    let mut calls = vec![Call {
        method: HttpMethod::Patch,
        path: format!("/users/{}", user(0)),
        body: Some(json!({"department": "Elsewhere"})),
    }];
    if dice.roll(2) == 0 {
        calls.push(Call {
            method: HttpMethod::Delete,
            path: format!("/users/{}", user(1 + dice.roll(2))),
            body: None,
        });
    }
    if dice.roll(2) == 0 {
        calls.push(Call {
            method: HttpMethod::Patch,
            path: format!("/users/{}", user(3 + dice.roll(2))),
            body: Some(json!({"accountEnabled": false, "jobTitle": "None"})),
        });
    }
    if dice.roll(3) == 0 {
        calls.push(Call {
            method: HttpMethod::Patch,
            path: "/identity/conditionalAccess/policies/00000004-0000-4000-8000-000000000000"
                .to_owned(),
            body: Some(json!({"state": "disabled"})),
        });
    }
    if dice.roll(3) == 0 {
        calls.push(Call {
            method: HttpMethod::Post,
            path: "/users".to_owned(),
            body: Some(
                json!({"displayName": "New", "userPrincipalName": "new@contoso.example",
                "accountEnabled": true, "mailNickname": "new"}),
            ),
        });
    }
    for call in calls {
        house.directory.write(&call).await.unwrap();
    }
    for link in content.links.iter().skip(4) {
        if dice.roll(2) == 0 {
            house.directory.unlink(link);
        }
    }
}

/// Restores a tenant after an attack.
async fn restore(seed: u64) -> (Counted, Struck) {
    let weather = Weather::of(20, Lag::OfAll);
    let house = House::new(seed, weather, Policy::default()).await;
    let (mut dice, mut counted) = (Dice::new(seed), Counted::default());
    let manifest = snapshot(&house, "20261120-daily").await;
    let base = proto::name::snapshot(house.tenant(), manifest.id());
    let before = house.vault.read(&manifest).await.unwrap();
    house.clock.next_day();
    attack(&house, &mut dice).await;
    let harm = house.directory.calls().len();

    let (mut differ, mut plan) = (house.differ().await, None);
    let mut restorer = house.restorer(&differ).await;
    for turn in 0..6 {
        if turn == 4 {
            house.storm.calm().await;
        }
        if restorer.store.is_severed() || turn == 4 && restorer.store.is_doomed() {
            counted.killed += 1;
            differ = house.differ().await;
            restorer = house.restorer(&differ).await;
        }
        if turn < 3 && dice.roll(3) == 0 {
            restorer.store.sever_after(dice.roll(60));
        }
        if plan.is_none() {
            plan = restorer.plan(&base, "restore").await.ok();
        }
        let Some(plan) = &plan else { continue };
        if restorer.apply(&plan.name).await.is_err() {
            counted.interrupted += 1;
        }
    }
    // In a calm everything succeeds.
    let plan = match plan {
        Some(plan) => plan,
        None => restorer.plan(&base, "restore").await.unwrap(),
    };
    assert_eq!(plan.state(), PlanState::Ready);
    let done = restorer.apply(&plan.name).await.unwrap();
    assert!(
        matches!(
            done.state(),
            RestoreState::Succeeded | RestoreState::SucceededWithWarnings
        ),
        "{done:?}"
    );
    assert_eq!(
        (done.failed, done.conflicts, done.skipped),
        (0, 0, 0),
        "{done:?}"
    );
    assert_eq!(done.applied + done.already_done, plan.step_count);
    counted.steps += usize::try_from(plan.step_count).unwrap();

    // The tenant is as it was.
    let now = house.directory.content();
    let now = model::snapshot::Content {
        completeness: before.completeness.clone(),
        ..now
    };
    let left = diff(&before, &now, &Scope::default()).changes;
    assert!(
        left.iter()
            .all(|change| change.object.name == "New" && !is_live(&now, &change.object.id)),
        "{left:?}"
    );

    // Each write was asked for once.
    let mut asked = BTreeSet::new();
    for call in house.directory.calls().into_iter().skip(harm) {
        let text = format!("{call:?}");
        assert!(asked.insert(text.clone()), "{text} was sent twice");
    }
    assert_consistent(&house, &plan.name, plan.step_count).await;
    (counted, house.storm.struck())
}

fn is_live(content: &model::snapshot::Content, id: &model::ObjectId) -> bool {
    let mut objects = content.objects.iter();
    objects.any(|object| object.id == *id && object.state == ObjectState::Live)
}

/// Checks that the journal has no gap, tells of each step's end once, and of an
/// intent before each end.
async fn assert_consistent(house: &House, plan: &str, steps: i32) {
    let (_, id) = proto::name::parse_plan("plan", plan).unwrap();
    let names = house.vault.list_names(Area::Restores, id.as_str()).await;
    let names = names.unwrap();
    let journal = names.iter().filter(|name| name.starts_with("journal/"));
    let (mut intended, mut ended) = (BTreeSet::new(), BTreeMap::<i32, Outcome>::new());
    for (number, name) in (1..).zip(journal) {
        assert_eq!(*name, format!("journal/{number:06}"));
        let entry = house.vault.get(Area::Restores, id.as_str(), name).await;
        let entry = JournalEntry::decode(entry.unwrap()).unwrap();
        intended.extend(entry.intents);
        for outcome in entry.outcomes {
            assert!(
                outcome.state() == OutcomeState::Skipped || intended.contains(&outcome.step),
                "{outcome:?}"
            );
            let twice = ended.insert(outcome.step, outcome);
            assert_eq!(twice, None);
        }
    }
    assert_eq!(ended.len(), usize::try_from(steps).unwrap());
    let path = layout::document(house.tenant(), Area::Restores, id.as_str(), "result");
    assert!(house.store.head(&path.unwrap()).await.is_ok());
}

fn check(range: std::ops::Range<u64>) {
    let counted = seeds(range, restore);
    println!("{counted:?}");
    if all_run() {
        assert!(counted.steps > 1000, "{counted:?}");
        assert!(counted.interrupted > 100, "{counted:?}");
        assert!(counted.killed > 50, "{counted:?}");
    }
}

#[test]
fn restores_end_as_if_there_had_been_no_storm() {
    check(0..500);
}

#[test]
fn restores_end_as_if_there_had_been_no_storm_in_five_hundred_more() {
    check(500..1000);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_was_cut_short_is_made_in_the_same_second() {
    let mut whole = 0;
    for operations in 0..60 {
        let house = House::new(operations, Weather::of(0, Lag::OfAll), Policy::default()).await;
        let manifest = snapshot(&house, "20261120-daily").await;
        let base = proto::name::snapshot(house.tenant(), manifest.id());
        attack(&house, &mut Dice::new(1)).await;
        let differ = house.differ().await;
        let restorer = house.restorer(&differ).await;
        restorer.store.sever_after(operations);
        whole += usize::from(restorer.plan(&base, "asked twice").await.is_ok());
        let restorer = house.restorer(&differ).await;
        let plan = restorer.plan(&base, "asked twice").await;
        assert!(plan.is_ok(), "{operations}: {plan:?}");
        let done = restorer.apply(&plan.unwrap().name).await.unwrap();
        assert!(done.applied > 0 && done.verified, "{operations}: {done:?}");
    }
    assert!((5..55).contains(&whole), "{whole} were not cut short");
}
