//! What `cargo xtask bench restore` runs: a restore of many changes at the quotas that
//! Microsoft documents, in simulated time.
//!
//! ```text
//! restore CHANGES USERS GROUPS
//! ```
//! Simulator and services are one process, in which an hour of waiting takes no time; each
//! answer of Graph takes 120 ms of that time. Prints one line of JSON.

#![expect(
    clippy::print_stdout,
    reason = "its result is a line on standard output"
)]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/histories/house.rs"]
mod house;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/histories/mortal.rs"]
mod mortal;

use std::error::Error;
use std::time::Duration;

use graph::Limits;
use serde_json::{Value, json};
use simulator::{FaultMix, FaultWeights, Population, Reach, Throttle};
use tokio::time::Instant;

use house::House;
use mortal::Life;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How time passes.
const STEP: Duration = Duration::from_millis(10);
/// Of so many changes one is made where Conditional Access and settings are changed too.
const DAILY: usize = 1_000;
/// So many of the steps that did not succeed are told.
const FEW: usize = 20;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [changes, users, groups] = &arguments[..] else {
        return Err("three numbers are expected: changes, users, groups".into());
    };
    let population = Population {
        users: users.parse()?,
        groups: groups.parse()?,
        seed: 7,
    };
    let told = testkit::time::run(STEP, measure(changes.parse()?, &population))?;
    println!("{told}");
    Ok(())
}

/// The first of what a restore says.
fn few(sentences: &[String]) -> &[String] {
    &sentences[..sentences.len().min(FEW)]
}

async fn measure(changes: usize, population: &Population) -> Outcome<Value> {
    let mut house = House::new(7, Limits::Documented).await;
    house.tenant.populate(population);
    let base = house.snapshot().await?;
    let daily = changes / DAILY;
    let made = house
        .tenant
        .mutate_within(Reach::Directory, 7, changes - daily)
        .len()
        + house.tenant.mutate_within(Reach::Daily, 8, daily).len();
    house.simulator.set_throttle(Throttle::Documented);
    house.simulator.set_fault_mix(Some(FaultMix {
        rate: 1.0,
        seed: 7,
        weights: FaultWeights {
            slow: 1,
            ..FaultWeights::none()
        },
    }));
    house.simulator.reset_counters();
    let restorer = house.restorer(Life::forgetful()).await;
    let start = Instant::now();
    let plan = restorer.plan(&base, house.request_id()).await?;
    let planned = start.elapsed();
    let start = Instant::now();
    let restore = match restorer.apply(&plan).await {
        Some(outcome) => outcome?,
        None => return Err("the restorer ended".into()),
    };
    let applied = start.elapsed();
    let troubles = restorer.troubles(&restore).await?;
    let troubles = troubles.iter().map(|one| {
        let object = one.object.clone().unwrap_or_default();
        format!("{:?} of {}: {}", one.action(), object.r#type, one.detail)
    });
    let troubles: Vec<String> = troubles.take(FEW).collect();
    let span = restorer.life.span();
    let writing = span
        .time
        .map_or(Duration::ZERO, |(first, last)| last - first);
    let counters = house.simulator.counters();
    Ok(json!({
        "changes": made,
        "steps": plan.step_count,
        "exclusions": plan.exclusion_count,
        "planned": planned.as_secs_f64(),
        "applied": applied.as_secs_f64(),
        "writing": writing.as_secs_f64(),
        "writes": span.writes,
        "slowWrites": span.slow,
        "refused": counters.throttled_lanes.values().sum::<u64>(),
        "violations": counters.violations.len(),
        "requests": counters.received,
        "done": restore.applied + restore.already_done,
        "failed": restore.failed + restore.conflicts + restore.skipped,
        "verified": restore.verified,
        "unexpected": few(&restore.unexpected),
        "meanwhile": few(&restore.meanwhile),
        "troubles": troubles,
    }))
}
