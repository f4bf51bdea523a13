//! Tenants that change while they are read, with an oracle: the simulator knows
//! what it was at every moment.
//!
//! Each fourth seed runs, and all with `HISTORY_SEED=all`. A failing seed is printed;
//! `HISTORY_SEED=n` runs it alone.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that fails by panicking is a good test, and one that measures says what"
)]

mod house;
mod large;
#[expect(dead_code, reason = "the benchmark counts what is written")]
mod mortal;
mod oracle;
mod protect;
mod reports;
mod restores;
mod vault;
mod world;

use std::time::Duration;

use graph::{Mode, Outcome, Past, Request, collect};
use model::snapshot::{Change, Changes, Content, Kind};
use model::{Link, Object};
use parking_lot::Mutex;

use world::{Conditions, World, run};

/// A reading, with everything that the next one needs.
struct Reading {
    objects: Vec<Object>,
    links: Vec<Link>,
    outcome: Outcome,
}

impl Reading {
    fn content(&self) -> Content {
        Content::visible(
            self.objects.clone(),
            self.links.clone(),
            self.outcome.completeness.clone(),
        )
    }

    fn past(&self) -> Past {
        let mut past = Past {
            tokens: self.outcome.tokens.clone(),
            unsettled: self.outcome.unsettled.clone(),
            completeness: self.outcome.completeness.clone(),
            ..Past::default()
        };
        for object in &self.objects {
            if object.state == model::ObjectState::Deleted {
                past.bin.insert((object.object_type, object.id.clone()));
            }
        }
        for link in &self.links {
            let sources = past.sources.entry(link.kind).or_default();
            if sources.last() != Some(&link.source) {
                sources.push(link.source.clone());
            }
        }
        past
    }
}

/// Reads the tenant, on top of an earlier reading where there is one.
async fn take(world: &World, before: Option<&Reading>, mode: Mode) -> Reading {
    let mut changes = Changes::default();
    if let Some(before) = before {
        for object in &before.objects {
            changes.apply(Change::Put(object.clone()));
        }
        for link in &before.links {
            changes.apply(Change::Linked(link.clone()));
        }
    }
    let changes = Mutex::new(changes);
    let request = Request {
        sleep: world.sleeper(),
        ..Request::all(mode)
    };
    let outcome = collect(
        &world.reader(),
        &request,
        &world.clock(),
        &|_| {},
        &|change| changes.lock().apply(change),
    )
    .await
    .unwrap();
    let (objects, links) = changes.into_inner().into_rows(&outcome.completeness);
    Reading {
        objects,
        links,
        outcome,
    }
}

/// Runs histories with these seeds, each in a world of its own.
fn histories(
    seeds: std::ops::Range<u64>,
    conditions: impl Fn(u64) -> Conditions,
    history: impl AsyncFn(&World, &Conditions) -> Vec<String>,
) {
    let mut ran = 0;
    for seed in chosen(seeds) {
        let conditions = conditions(seed);
        let wrong = run(async {
            let world = World::new(&conditions).await;
            history(&world, &conditions).await
        });
        assert!(
            wrong.is_empty(),
            "history with HISTORY_SEED={seed} went wrong ({conditions:?}):\n{}",
            wrong[..wrong.len().min(12)].join("\n")
        );
        ran += 1;
    }
    println!("{ran} histories");
}

/// The seeds that run: each fourth, so that a run of all tests stays short; the one that
/// `HISTORY_SEED` names, or with `HISTORY_SEED=all` every one.
fn chosen(seeds: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
    let asked = asked_for();
    let only = asked.as_ref().and_then(|asked| asked.parse::<u64>().ok());
    let step = if asked.is_some() { 1 } else { 4 };
    let seeds = seeds.step_by(step);
    seeds.filter(move |seed| only.is_none_or(|only| only == *seed))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person says which seeds are to run"
)]
fn asked_for() -> Option<String> {
    std::env::var("HISTORY_SEED").ok()
}

/// The kinds of which a reading says that it is true of one moment.
fn exact(content: &Content) -> usize {
    let of_a_moment = |record: &&model::snapshot::Completeness| {
        record.method == model::snapshot::Method::Delta && record.not_before == record.not_after
    };
    content.completeness.iter().filter(of_a_moment).count()
}

/// What is wrong with a reading of a tenant that is quiet and visible everywhere.
fn wrong_now(world: &World, content: &Content) -> Vec<String> {
    let newest = world.newest();
    let mut wrong = Vec::new();
    for kind in Kind::all() {
        let (found, told) = (oracle::read(content, kind), oracle::told(&newest, kind));
        oracle::equal(kind, &found, &told, &mut wrong);
    }
    wrong
}

/// Reads a tenant that changes, then again when it is quiet.
async fn change_while_reading(world: &World, conditions: &Conditions) -> Vec<String> {
    world.be_restless(conditions.changes);
    let lag = i64::try_from(conditions.lag.as_secs()).unwrap();
    let first = take(world, None, Mode::Whole).await;
    let mut wrong = oracle::wrong(world, &first.content(), lag);
    if lag == 0 && !conditions.traps && exact(&first.content()) == 0 {
        let notes: Vec<_> = first
            .outcome
            .completeness
            .iter()
            .filter(|record| !record.note.is_empty())
            .map(|record| format!("{}: {}", record.kind.name(), record.note))
            .collect();
        let unsettled = &first.outcome.unsettled;
        wrong.push(format!(
            "nothing is said to be true of one moment ({notes:?}, {unsettled:?})"
        ));
    }
    world.be_restless(0);
    world.wait(conditions.lag + Duration::from_secs(1));
    let next = take(world, Some(&first), Mode::Since(first.past())).await;
    wrong.extend(
        wrong_now(world, &next.content())
            .into_iter()
            .map(|text| format!("next: {text}")),
    );
    wrong
}

fn plain(seed: u64) -> Conditions {
    Conditions {
        seed,
        changes: 8,
        traps: false,
        fault_rate: 0.1,
        lag: Duration::ZERO,
    }
}

#[test]
fn a_tenant_that_changes_is_read_as_of_one_moment() {
    histories(0..334, plain, change_while_reading);
}

#[test]
fn a_tenant_whose_change_tracking_plays_tricks_is_read_right() {
    let conditions = |seed| Conditions {
        traps: true,
        ..plain(seed)
    };
    histories(1000..1334, conditions, change_while_reading);
}

#[test]
fn a_tenant_whose_answers_lag_is_read_right_and_caught_up_with() {
    let conditions = |seed| Conditions {
        traps: seed % 2 == 0,
        lag: Duration::from_secs(5),
        ..plain(seed)
    };
    histories(2000..2334, conditions, change_while_reading);
}

/// Ten snapshots, each going on from the one before, of a tenant that changes
/// while they are taken and between them; the last one of a quiet tenant.
async fn follow_ten_times(world: &World, conditions: &Conditions) -> Vec<String> {
    let lag = i64::try_from(conditions.lag.as_secs()).unwrap();
    let mut chain = vault::Chain::new().await;
    let mut wrong = Vec::new();
    for day in 0..10 {
        world.be_restless(conditions.changes);
        let content = chain.take(world).await;
        let found = oracle::wrong(world, &content, lag);
        wrong.extend(found.into_iter().map(|text| format!("day {day}: {text}")));
    }
    world.be_restless(0);
    world.wait(conditions.lag + Duration::from_secs(1));
    let content = chain.take(world).await;
    wrong.extend(wrong_now(world, &content));
    let full = take(world, None, Mode::Whole).await.content();
    if full.objects.len() != content.objects.len() || full.links != content.links {
        wrong.push("a full reading finds something else".to_owned());
    }
    let followed = chain
        .newest
        .map_or(0, |manifest| manifest.lineage.incremental);
    if followed != 10 {
        wrong.push(format!("{followed} snapshots followed changes"));
    }
    wrong
}

fn followed(seed: u64) -> Conditions {
    Conditions {
        changes: 5,
        ..plain(seed)
    }
}

#[test]
fn chains_of_ten_snapshots_hold_what_a_full_reading_finds() {
    histories(3000..3334, followed, follow_ten_times);
}

#[test]
fn chains_hold_it_when_change_tracking_plays_tricks() {
    let conditions = |seed| Conditions {
        traps: true,
        ..followed(seed)
    };
    histories(4000..4334, conditions, follow_ten_times);
}

#[test]
fn chains_hold_it_when_answers_lag() {
    let conditions = |seed| Conditions {
        traps: seed % 2 == 0,
        lag: Duration::from_secs(4),
        ..followed(seed)
    };
    histories(5000..5334, conditions, follow_ten_times);
}

/// A report between two snapshots of a tenant that was changed in between.
async fn report_what_was_changed(world: &World, conditions: &Conditions) -> Vec<String> {
    let mut chain = vault::Chain::new().await;
    chain.take(world).await;
    let base = chain.newest.clone().unwrap();
    let before = world.simulator.dump(world::TENANT);
    let changes = usize::try_from(1 + conditions.seed % 40).unwrap();
    world.tenant.mutate(conditions.seed ^ 0xd1ff, changes);
    world.wait(Duration::from_secs(1));
    chain.take(world).await;
    let after = world.simulator.dump(world::TENANT);
    let (difference, base, target) = chain.report(&base).await;
    reports::wrong(&difference, [&base, &target], [&before, &after])
}

#[test]
fn a_report_lists_what_was_changed_and_nothing_else() {
    histories(6000..7000, plain, report_what_was_changed);
}
