//! Budgets under load: no quota is passed, no ordered wait is cut short.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use model::TenantId;
use tokio::time::Instant;

use super::{
    Budget, Budgets, Cost, Heard, Lane, LaneUse, Limits, Manner, Part, Role, Sound, Ticket,
};
use crate::auth::Now;
use crate::error::GraphError;
use crate::retry::by_tokio;

mod streams;

fn tenant(number: u32) -> TenantId {
    TenantId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
}

fn part(role: Role) -> Part {
    Part {
        role,
        replicas: 1,
        limits: Limits::Documented,
    }
}

fn alone(number: u32) -> Arc<Budget> {
    Budgets::default().of("app", &tenant(number), part(Role::Alone))
}

/// A wall clock that goes with tokio's time: `skew` ahead of it.
fn wall(skew: TimeDelta) -> Now {
    // The same for all, so that clocks of two clients agree but for their skew.
    thread_local!(static START: Instant = Instant::now());
    Arc::new(move || {
        let passed = START.with(|start| start.elapsed());
        DateTime::<Utc>::UNIX_EPOCH + passed + skew
    })
}

async fn enter(budget: &Arc<Budget>, cost: Cost) -> Result<Ticket, GraphError> {
    enter_at(budget, cost, &wall(TimeDelta::zero())).await
}

async fn enter_at(budget: &Arc<Budget>, cost: Cost, now: &Now) -> Result<Ticket, GraphError> {
    let sleep = by_tokio();
    let manner = Manner {
        sleep: &sleep,
        now,
        ceiling: 8,
        patience: Duration::from_secs(300),
        path: "/x",
    };
    budget.enter(cost, &manner).await
}

fn read(units: u32) -> Cost {
    cost(Lane::Directory, units, 0)
}

fn cost(lane: Lane, units: u32, writes: u32) -> Cost {
    Cost {
        lane,
        units,
        writes,
    }
}

fn heard(sound: Sound) -> Heard {
    Heard {
        sound,
        units: None,
        used: None,
    }
}

/// How long requests one after another take that are answered at once.
async fn seconds(budget: &Arc<Budget>, costs: impl IntoIterator<Item = Cost>) -> f64 {
    let start = Instant::now();
    for cost in costs {
        drop(enter(budget, cost).await.unwrap());
    }
    start.elapsed().as_secs_f64()
}

fn about(seconds: f64, expected: f64) {
    let near = (seconds - expected).abs() <= expected * 0.01 + 0.01;
    assert!(near, "{seconds} is not about {expected}");
}

#[tokio::test(start_paused = true)]
async fn each_quota_has_its_pace() {
    // A burst of nine tenths, then the documented rate.
    let check = async |role, costs: Vec<Cost>, expected| {
        let budget = Budgets::default().of("app", &tenant(1), part(role));
        about(seconds(&budget, costs).await, expected);
    };
    check(Role::Alone, vec![read(50); 63], 0.0).await;
    check(Role::Alone, vec![read(50); 70 + 63], 10.0).await;
    check(Role::Differ, vec![read(50); 14 * 3], 30.0 - 9.0).await;
    let write = cost(Lane::Directory, 1, 1);
    check(Role::Alone, vec![write; 2_700], 0.0).await;
    check(Role::Restorer, vec![write; 2_700 + 3_000], 150.0).await;
    let audit = cost(Lane::Audit, 1, 0);
    check(Role::Alone, vec![audit; 4], 0.0).await;
    check(Role::Collector, vec![audit; 30], (30.0 - 2.7) / 0.3).await;
    let policy = cost(Lane::ConditionalAccess, 1, 0);
    check(Role::Alone, vec![policy; 11], 10.0).await;
    // Two slots in five seconds, and one; counted from a slot on.
    for (role, expected) in [(Role::Differ, 25.0), (Role::Collector, 50.0)] {
        let budget = Budgets::default().of("app", &tenant(1), part(role));
        seconds(&budget, [policy]).await;
        about(seconds(&budget, vec![policy; 10]).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_size_of_a_tenant_sets_the_pace() {
    let budget = alone(1);
    let pace = async || {
        seconds(&budget, vec![read(100); 200]).await;
        20_000.0 / seconds(&budget, vec![read(100); 200]).await
    };
    about(pace().await, 350.0);
    budget.saw_users(60);
    about(pace().await, 500.0);
    budget.saw_users(999);
    budget.saw_users(3);
    about(pace().await, 800.0);
    budget.set_users(3);
    about(pace().await, 350.0);
}

#[tokio::test(start_paused = true)]
async fn what_graph_counts_replaces_the_estimate() {
    let budget = alone(1);
    let answer = async |estimate, counted| {
        let ticket = enter(&budget, read(estimate)).await.unwrap();
        let units = Some(counted);
        ticket.heard(
            Heard {
                units,
                ..heard(Sound::Good)
            },
            0.0,
        );
    };
    answer(3_000, 0).await;
    about(seconds(&budget, [read(3_150)]).await, 0.0);
    tokio::time::advance(Duration::from_secs(100)).await;
    answer(1, 3_150 + 3_500).await;
    about(seconds(&budget, [read(350)]).await, 11.0);
}

#[tokio::test(start_paused = true)]
async fn an_application_has_one_quota_over_all_tenants() {
    let budgets = Budgets::default();
    let replicas = 100;
    let part = Part {
        replicas,
        ..part(Role::Alone)
    };
    let start = Instant::now();
    let tenants: Vec<_> = (0..10)
        .map(|number| budgets.of("app", &tenant(number), part))
        .collect();
    let work = tenants
        .iter()
        .map(|budget| seconds(budget, vec![read(50); 30]));
    join_all(work).await;
    // 15,000 units at a hundredth of 7,500 a second; a burst of 1,350.
    about(start.elapsed().as_secs_f64(), (15_000.0 - 1_350.0) / 75.0);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_waits_holds_up_no_other() {
    let budgets = Budgets::default();
    let (slow, quick) = (
        budgets.of("app", &tenant(1), part(Role::Alone)),
        budgets.of("app", &tenant(2), part(Role::Alone)),
    );
    let told = Sound::Throttled(Some(Duration::from_secs(200)));
    for lane in [Lane::Directory, Lane::ConditionalAccess] {
        let ticket = enter(&slow, cost(lane, 1, 0)).await.unwrap();
        assert_eq!(ticket.heard(heard(told), 0.0), Duration::from_secs(200));
    }
    let policy = cost(Lane::ConditionalAccess, 1, 0);
    let waiting = join_all([seconds(&slow, [read(1)]), seconds(&slow, [policy])]);
    let (waited, other) = tokio::join!(waiting, seconds(&quick, [read(1), policy]));
    about(other, 0.0);
    about(waited[0], 200.0);
    about(waited[1], 200.0);
    // Lanes are apart, too.
    let audit = cost(Lane::Audit, 1, 0);
    let ticket = enter(&quick, audit).await.unwrap();
    ticket.heard(heard(told), 0.0);
    drop(ticket);
    about(seconds(&quick, [read(1)]).await, 0.0);
    about(seconds(&quick, [audit]).await, 200.0);
}

#[tokio::test(start_paused = true)]
async fn who_asks_first_is_served_first() {
    let budget = alone(1);
    seconds(&budget, [read(3_150)]).await;
    let served = std::sync::Mutex::new(Vec::new());
    let asked = [3_000, 1, 50, 2, 3_000, 1];
    let work = asked.iter().enumerate().map(|(place, units)| {
        let (budget, served) = (&budget, &served);
        async move {
            drop(enter(budget, read(*units)).await.unwrap());
            served.lock().unwrap().push(place);
        }
    });
    join_all(work).await;
    assert_eq!(served.into_inner().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn fewer_requests_are_under_way_when_a_limit_is_near() {
    let budget = alone(1);
    let room = async |budget: &Arc<Budget>| {
        let mut tickets = Vec::new();
        while let Some(ticket) = futures::FutureExt::now_or_never(enter(budget, read(1))) {
            tickets.push(ticket.unwrap());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        tickets
    };
    assert_eq!(room(&budget).await.len(), 4);
    for _ in 0..100 {
        let ticket = enter(&budget, read(1)).await.unwrap();
        ticket.heard(heard(Sound::Good), 0.0);
    }
    let tickets = room(&budget).await;
    assert_eq!(tickets.len(), 8);
    for ticket in &tickets {
        let used = Some(0.8);
        ticket.heard(
            Heard {
                used,
                ..heard(Sound::Good)
            },
            0.0,
        );
    }
    drop(tickets);
    let tickets = room(&budget).await;
    assert_eq!(tickets.len(), 5);
    tickets[0].heard(heard(Sound::Throttled(None)), 0.0);
    drop(tickets);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(room(&budget).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_conditional_access_lane_is_the_tenants() {
    let budgets = Budgets::default();
    let reader = budgets.of("reader", &tenant(1), part(Role::Differ));
    let writer = budgets.of("writer", &tenant(1), part(Role::Restorer));
    let policy = cost(Lane::ConditionalAccess, 1, 0);
    writer.set_conditional_access(LaneUse::Whole);
    reader.set_conditional_access(LaneUse::Refuse);
    about(seconds(&writer, vec![policy; 11]).await, 10.0);
    assert_eq!(
        enter(&reader, policy).await.err().unwrap().to_string(),
        "/x is out of reach: a restore has the conditional access quota"
    );
    // One that waits for its turn when a restore begins is refused, too.
    reader.set_conditional_access(LaneUse::Share);
    drop(enter(&reader, policy).await.unwrap());
    let begins = async {
        tokio::time::advance(Duration::from_secs(1)).await;
        reader.set_conditional_access(LaneUse::Refuse);
    };
    let (refused, ()) = tokio::join!(enter(&reader, policy), begins);
    assert!(matches!(refused.err(), Some(GraphError::Yielded { .. })));
    let write = cost(Lane::ConditionalAccess, 1, 1);
    assert!(matches!(
        enter(&reader, write).await.err().unwrap(),
        GraphError::Refused { .. }
    ));
}

/// When the requests of processes that know nothing of one another are sent.
async fn processes(clocks: [(Role, i64); 3], requests: usize) -> Vec<(Role, Instant)> {
    let policy = cost(Lane::ConditionalAccess, 1, 0);
    let sent = std::sync::Mutex::new(Vec::new());
    let work = clocks.map(|(role, skew)| {
        let (sent, now) = (&sent, wall(TimeDelta::milliseconds(skew)));
        async move {
            let budget = Budgets::default().of("app", &tenant(1), part(role));
            for _ in 0..requests {
                let ticket = enter_at(&budget, policy, &now).await.unwrap();
                sent.lock().unwrap().push((role, Instant::now()));
                by_tokio()(Duration::from_millis(180)).await;
                drop(ticket);
            }
        }
    });
    join_all(work).await;
    sent.into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn processes_take_turns_in_the_conditional_access_lane() {
    for skews in [[0, 0, 0], [75, -75, 0], [-75, 75, -75]] {
        let roles = [Role::Collector, Role::Differ, Role::Restorer];
        let clocks = [0, 1, 2].map(|place| (roles[place], skews[place]));
        let start = Instant::now();
        let sent = processes(clocks, 40).await;
        for pair in sent.windows(2) {
            let apart = pair[1].1 - pair[0].1;
            assert!(apart >= Duration::from_secs(1), "{pair:?}: {apart:?}");
        }
        // None starves, and together they use four fifths of the lane.
        let done = |role| sent.iter().rfind(|(whose, _)| *whose == role).unwrap().1 - start;
        assert!(done(Role::Differ) <= Duration::from_millis(40 * 2_500));
        assert!(done(Role::Collector) <= Duration::from_millis(40 * 5_000 + 1_250));
        assert!(done(Role::Restorer) <= Duration::from_millis(40 * 5_000 + 3_750));
    }
}

#[tokio::test(start_paused = true)]
async fn idle_budgets_are_dropped_and_busy_ones_kept() {
    let budgets = Budgets::default();
    let held = budgets.of("app", &tenant(0), part(Role::Alone));
    for number in 1..10_000 {
        let budget = budgets.of("app", &tenant(number), part(Role::Alone));
        drop(enter(&budget, read(1)).await.unwrap());
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(budgets.len() <= 1_300, "{}", budgets.len());
    let again = budgets.of("app", &tenant(0), part(Role::Alone));
    assert!(Arc::ptr_eq(&held, &again));
    let recent = budgets.of("app", &tenant(9_999), part(Role::Alone));
    assert!(
        !recent
            .state()
            .quota
            .units
            .wait(Instant::now(), super::bucket::Rate::new(1.0, 1e9, 1.0), 1.0)
            .is_zero()
    );
    assert!(size_of::<Budget>() <= 1024, "{}", size_of::<Budget>());
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_all_patience_is_given_back() {
    let budget = alone(1);
    let ticket = enter(&budget, read(1)).await.unwrap();
    ticket.heard(heard(Sound::Throttled(Some(Duration::from_secs(600)))), 0.0);
    let error = enter(&budget, read(1)).await.err().unwrap();
    let retry_after = Some(Duration::from_secs(600));
    assert!(
        matches!(error, GraphError::Throttled { retry_after: told, .. } if told == retry_after)
    );
}
