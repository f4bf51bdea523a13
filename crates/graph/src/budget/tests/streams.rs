//! Random streams of requests, as Graph would see them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use proptest::prelude::*;
use tokio::time::Instant;

use crate::retry::by_tokio;

use super::{Budget, Budgets, Cost, Heard, Lane, Role, Sound, cost, enter, heard, part, tenant};

/// One request of a random stream, and how Graph treats it.
#[derive(Debug, Clone)]
struct Step {
    app: usize,
    cost: Cost,
    /// Milliseconds before it is asked for, on the way, and until the answer.
    times: (u64, u64, u64),
    /// Units that Graph counts beyond the estimate.
    more: u32,
    sound: Sound,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lane = prop_oneof![
        8 => (1_u32..100, 0_u32..2).prop_map(|(units, writes)| cost(Lane::Directory, units, writes)),
        1 => Just(cost(Lane::ConditionalAccess, 1, 0)),
        1 => Just(cost(Lane::Audit, 1, 0)),
    ];
    let sound = prop_oneof![
        16 => Just(Sound::Good),
        1 => Just(Sound::Bad),
        1 => Just(Sound::Throttled(None)),
        1 => (1_u64..20_000).prop_map(|wait| Sound::Throttled(Some(Duration::from_millis(wait)))),
    ];
    let times = (0_u64..100, 0_u64..150, 0_u64..300);
    let step =
        (0_usize..2, lane, times, 0_u32..3, sound).prop_map(|(app, cost, times, more, sound)| {
            Step {
                app,
                cost,
                times,
                more,
                sound,
            }
        });
    prop::collection::vec(step, 1..400)
}

/// What Graph sees of a request.
struct Arrival {
    app: usize,
    cost: Cost,
    sent: Instant,
    at: Instant,
}

/// A wait that Graph ordered, from when the answer came.
struct Order {
    app: usize,
    lane: Lane,
    from: Instant,
    until: Instant,
}

/// Sends the steps from eight tasks for each of two applications of one tenant.
async fn play(steps: Vec<Step>) -> (Vec<Arrival>, Vec<Order>) {
    let budgets = Budgets::default();
    let of = |app| budgets.of(app, &tenant(1), part(Role::Alone));
    let apps = [of("a"), of("b")];
    let record = Mutex::new((Vec::new(), Vec::new()));
    let tasks = (0..8).map(|task| {
        let (apps, record, steps) = (&apps, &record, &steps);
        async move {
            for step in steps.iter().skip(task).step_by(8) {
                one(&apps[step.app], step, record).await;
            }
        }
    });
    join_all(tasks).await;
    record.into_inner().unwrap()
}

async fn one(budget: &Arc<Budget>, step: &Step, record: &Mutex<(Vec<Arrival>, Vec<Order>)>) {
    let wait = by_tokio();
    let millis = |millis| wait(Duration::from_millis(millis));
    let (before, there, back) = step.times;
    millis(before).await;
    let ticket = enter(budget, step.cost).await.unwrap();
    let sent = Instant::now();
    millis(there).await;
    let counted = step.cost.units + step.more;
    record.lock().unwrap().0.push(Arrival {
        app: step.app,
        cost: cost(step.cost.lane, counted, step.cost.writes),
        sent,
        at: Instant::now(),
    });
    millis(back).await;
    let from = Instant::now();
    if let Sound::Throttled(Some(wait)) = step.sound {
        record.lock().unwrap().1.push(Order {
            app: step.app,
            lane: step.cost.lane,
            from,
            until: from + wait,
        });
    }
    let units = Some(counted);
    ticket.heard(
        Heard {
            units,
            ..heard(step.sound)
        },
        0.5,
    );
}

/// The most that was ever drawn from a bucket that refills at a rate.
fn most_drawn(draws: impl Iterator<Item = (Instant, f64)>, per_second: f64) -> f64 {
    let (mut drawn, mut most) = (0.0_f64, 0.0_f64);
    let mut last: Option<Instant> = None;
    for (at, amount) in draws {
        let passed = last.map_or(0.0, |last| (at - last).as_secs_f64());
        drawn = (drawn - passed * per_second).max(0.0) + amount;
        most = most.max(drawn);
        last = Some(at);
    }
    most
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_quota_is_passed_and_no_ordered_wait_cut_short(steps in steps()) {
        let count = steps.len();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (mut arrivals, orders) = runtime.block_on(play(steps));
        prop_assert_eq!(arrivals.len(), count);
        arrivals.sort_by_key(|arrival| arrival.at);
        let most = |app: Option<usize>, lane, per_second, of: fn(&Cost) -> u32| {
            let draws = arrivals
                .iter()
                .filter(|arrival| arrival.cost.lane == lane && app.is_none_or(|app| arrival.app == app))
                .map(|arrival| (arrival.at, f64::from(of(&arrival.cost))));
            most_drawn(draws, per_second)
        };
        for app in [0, 1] {
            prop_assert!(most(Some(app), Lane::Directory, 350.0, |cost| cost.units) <= 3_500.0);
            prop_assert!(most(Some(app), Lane::Directory, 20.0, |cost| cost.writes) <= 3_000.0);
            prop_assert!(most(Some(app), Lane::Audit, 0.5, |_| 1) <= 5.0 + 1e-6);
        }
        prop_assert!(most(None, Lane::ConditionalAccess, 1.0, |_| 1) <= 1.0 + 1e-6);
        for order in &orders {
            let shared = order.lane == Lane::ConditionalAccess;
            let early = arrivals.iter().any(|arrival| {
                arrival.cost.lane == order.lane
                    && (shared || arrival.app == order.app)
                    && arrival.sent > order.from
                    && arrival.sent < order.until
            });
            prop_assert!(!early, "a request was sent before an ordered wait had passed");
        }
    }
}
