//! Restores of a tenant after random attacks: it is as the snapshot again, but for what the
//! plan said could not be done, by the simulator's own account.
//!
//! A failing seed is printed; `HISTORY_SEED=n` runs it alone.

mod account;
mod reach;

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use graph::Limits;
use model::ObjectId;
use model::call::{Call, HttpMethod};
use model::plan::{Action, Step, add_call};
use proto::convert::{model_exclusion, model_step};
use proto::v1::{Plan, Restore, RestoreState};
use simulator::{FaultMix, Population, Reach, Replication, Throttle, ViolationKind};
use store::Manifest;

use crate::chosen;
use crate::house::{House, Restorer, TENANT};
use crate::mortal::{Death, Life};

/// How time passes: an answer over loopback takes about twice as long.
const STEP: Duration = Duration::from_millis(150);
/// A plan that finds nothing to do is the last.
const MOST_PLANS: usize = 4;
/// How often something is begun that faults cut off.
const MOST_TRIES: usize = 12;

fn dice(seed: u64, step: u64) -> u64 {
    let mut value =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value ^= value >> 29;
    value = value.wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 32)
}

/// What a seed did.
#[derive(Debug, Default)]
struct Did {
    wrong: Vec<String>,
    steps: usize,
    kills: usize,
    cut_off: usize,
    plans: usize,
}

/// A restore after an attack, with everything in its way.
async fn restore(seed: u64) -> Did {
    let mut did = Did::default();
    let mut house = House::new(seed, Limits::Documented).await;
    house.tenant.populate(&Population {
        users: 12,
        groups: 4,
        seed,
    });
    // Something is in the recycle bins before anybody looks.
    house.tenant.mutate(seed ^ 0x5eed, 6);
    house.simulator.set_throttle(Throttle::Documented);
    house
        .simulator
        .set_fault_mix(Some(FaultMix::of(0.03, seed)));
    let Some(base) = snapshot(&house, &mut did).await else {
        return did;
    };
    let before = house.simulator.dump(TENANT);
    let changes = usize::try_from(1 + seed % 30).unwrap();
    let attack = house
        .tenant
        .mutate_within(Reach::Everything, seed ^ 0xa77ac, changes);
    testkit::time::wait(Duration::from_secs(5)).await;
    house.simulator.set_replication(Replication {
        max_lag: Duration::from_secs(3),
        seed,
    });
    let mut written = Vec::new();
    for round in 0..MOST_PLANS {
        did.plans += 1;
        let death = (round == 0 && seed.is_multiple_of(3)).then(|| {
            let writes = dice(seed, 1) % (1 + seed % 30);
            match dice(seed, 2) % 2 {
                0 => Death::Before(writes),
                _ => Death::After(writes),
            }
        });
        let Some(planned) = carry_out(&mut house, &base, death, &mut did).await else {
            break;
        };
        let after = house.simulator.dump(TENANT);
        let last = planned.steps.is_empty() || round + 1 == MOST_PLANS;
        did.wrong.extend(outside(&planned));
        written.extend(planned.calls);
        if last {
            did.wrong
                .extend(account::wrong([&before, &after], &planned.exclusions));
            did.wrong.extend(account::hard_deleted(&written, &after));
            break;
        }
        testkit::time::wait(Duration::from_secs(4)).await;
    }
    did.wrong.extend(broken_rules(&house));
    if !did.wrong.is_empty() {
        did.wrong.push(format!(
            "after {} changes: {}",
            attack.len(),
            attack.join("\n    ")
        ));
    }
    did
}

async fn snapshot(house: &House, did: &mut Did) -> Option<Manifest> {
    for _ in 0..MOST_TRIES {
        let Ok(manifest) = house.snapshot().await else {
            did.cut_off += 1;
            continue;
        };
        if manifest
            .completeness
            .iter()
            .all(model::snapshot::Completeness::is_complete)
        {
            return Some(manifest);
        }
        did.cut_off += 1;
        testkit::time::wait(Duration::from_secs(2)).await;
    }
    did.wrong.push("no whole snapshot".to_owned());
    None
}

/// A plan that was carried out, and what was written for it.
struct Planned {
    steps: Vec<Step>,
    exclusions: Vec<model::plan::Exclusion>,
    calls: Vec<Call>,
}

/// Plans and applies, on a new restorer wherever one is killed.
async fn carry_out(
    house: &mut House,
    base: &Manifest,
    death: Option<Death>,
    did: &mut Did,
) -> Option<Planned> {
    let mut restorer = house.restorer(Life::until(death)).await;
    let plan = plan(house, &restorer, base, did).await?;
    let steps = restorer.steps(&plan).await.unwrap();
    let exclusions = restorer.exclusions(&plan).await.unwrap();
    let mut planned = Planned {
        steps: steps.iter().map(|step| model_step(step).unwrap()).collect(),
        exclusions: exclusions
            .iter()
            .map(|exclusion| model_exclusion(exclusion).unwrap())
            .collect(),
        calls: Vec::new(),
    };
    did.steps += planned.steps.len();
    let mut ended = None;
    for _ in 0..MOST_TRIES {
        match restorer.apply(&plan).await {
            Some(Ok(restore)) => {
                ended = Some(restore);
                break;
            }
            // Faults broke it off, and it can be resumed.
            Some(Err(_)) => did.cut_off += 1,
            None => {
                did.kills += 1;
                planned.calls.extend(restorer.life.calls());
                // A process takes longer than this to start; the quota of Conditional Access
                // is one request a second, and the next one does not know of the last.
                testkit::time::wait(Duration::from_secs(2)).await;
                restorer = house.restorer(Life::until(None)).await;
            }
        }
    }
    planned.calls.extend(restorer.life.calls());
    match ended {
        None => did.wrong.push("the plan was never carried out".to_owned()),
        Some(restore) => did.wrong.extend(badly_ended(&restorer, &restore).await),
    }
    Some(planned)
}

async fn plan(house: &House, restorer: &Restorer, base: &Manifest, did: &mut Did) -> Option<Plan> {
    let mut last = None;
    for _ in 0..MOST_TRIES {
        match restorer.plan(base, house.request_id()).await {
            Ok(plan) => return Some(plan),
            Err(status) => last = Some(status),
        }
        did.cut_off += 1;
        testkit::time::wait(Duration::from_secs(2)).await;
    }
    did.wrong.push(format!("no plan: {last:?}"));
    None
}

/// What is wrong with how a restore ended.
async fn badly_ended(restorer: &Restorer, restore: &Restore) -> Vec<String> {
    let mut wrong = Vec::new();
    let state = restore.state();
    if !matches!(
        state,
        RestoreState::Succeeded | RestoreState::SucceededWithWarnings
    ) {
        wrong.push(format!("it ended as {state:?}"));
    }
    for trouble in restorer.troubles(restore).await.unwrap() {
        let (action, object) = (trouble.action(), trouble.object.clone().unwrap_or_default());
        wrong.push(format!(
            "step {} {action:?} {} {} ended as {:?}: {}",
            trouble.step,
            object.r#type,
            object.id,
            trouble.state(),
            trouble.detail
        ));
    }
    wrong
}

/// The writes that stand in no step of the plan.
fn outside(planned: &Planned) -> Vec<String> {
    let steps: HashSet<String> = planned.steps.iter().map(|step| said(&step.call)).collect();
    let part_of_a_step = |call: &Call| {
        let body = call
            .body
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        planned
            .steps
            .iter()
            .filter(|step| step.action == Action::AddLinks)
            .any(|step| {
                let kind = step.links[0].kind;
                let named: Vec<ObjectId> = step
                    .links
                    .iter()
                    .map(|link| link.target.clone())
                    .filter(|target| body.contains(target.as_str()))
                    .collect();
                !named.is_empty() && said(&add_call(kind, &step.object.id, &named)) == said(call)
            })
    };
    let stray = planned.calls.iter();
    let stray = stray.filter(|call| !steps.contains(&said(call)) && !part_of_a_step(call));
    stray
        .map(|call| format!("written outside the plan: {}", said(call)))
        .collect()
}

fn said(call: &Call) -> String {
    let body = call.body.as_ref().map(ToString::to_string);
    format!(
        "{} {} {}",
        call.method.as_str(),
        call.path,
        body.unwrap_or_default()
    )
}

/// What callers did that Microsoft tells them not to do.
fn broken_rules(house: &House) -> Vec<String> {
    let counters = house.simulator.counters();
    let mut wrong: Vec<String> = counters
        .violations
        .iter()
        // Time moves by steps that are longer than what may be on its way here.
        .filter(|violation| violation.kind != ViolationKind::RetryAfterIgnored)
        .map(|violation| format!("{violation:?}"))
        .collect();
    if counters.throttled > 0 {
        wrong.push(format!("{} requests passed a quota", counters.throttled));
    }
    wrong
}

/// Whether a call takes something away.
fn deletes(call: &Call) -> bool {
    call.method == HttpMethod::Delete
}

fn restores(seeds: Range<u64>) {
    let (mut total, mut ran) = (Did::default(), 0);
    for seed in chosen(seeds) {
        let did = testkit::time::run(STEP, restore(seed));
        assert!(
            did.wrong.is_empty(),
            "the restore with HISTORY_SEED={seed} went wrong:\n{}",
            did.wrong[..did.wrong.len().min(40)].join("\n")
        );
        total.steps += did.steps;
        total.kills += did.kills;
        total.cut_off += did.cut_off;
        total.plans += did.plans;
        ran += 1;
    }
    println!("{ran} restores: {total:?}");
    if ran > 1 {
        assert!(total.steps > 5 * ran && 10 * total.kills > ran, "{total:?}");
    }
}

#[test]
fn a_tenant_is_as_it_was_after_any_attack() {
    restores(10_000..10_200);
}

#[test]
fn a_tenant_is_as_it_was_after_two_hundred_more() {
    restores(10_200..10_400);
}

#[test]
fn a_tenant_is_as_it_was_after_the_third_two_hundred() {
    restores(10_400..10_600);
}

#[test]
fn a_tenant_is_as_it_was_after_the_fourth_two_hundred() {
    restores(10_600..10_800);
}

#[test]
fn a_tenant_is_as_it_was_after_the_last_two_hundred() {
    restores(10_800..11_000);
}
