//! A large tenant whose Graph has its bad day, and keeps its quotas.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::DateTime;
use graph::{Connections, Limits, Mode, Request, collect};
use model::snapshot::{Change, Completeness};
use simulator::{
    Clock, FaultMix, FaultWeights, Population, Simulator, TenantSpec, Throttle, ViolationKind,
};

use crate::world::{TENANT, reader, run};

const USERS: usize = 100_000;

#[test]
fn a_large_tenant_in_trouble_is_read_whole_within_its_quotas() {
    run(read_a_large_tenant());
}

async fn read_a_large_tenant() {
    let start = DateTime::from_timestamp(1_790_000_000, 0).expect("a date in range");
    let simulator = Simulator::with_clock(Clock::tokio(start));
    let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
    let made = tenant.populate(&Population {
        users: USERS,
        groups: 500,
        seed: 7,
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let server = simulator.serve(listener).await;
    simulator.set_throttle(Throttle::Documented);
    simulator.set_fault_mix(Some(FaultMix {
        weights: FaultWeights {
            throttled: 2,
            throttled_briefly: 2,
            unavailable: 2,
            unavailable_until: 2,
            reset: 2,
            reset_in_body: 1,
            truncated: 1,
            ..FaultWeights::none()
        },
        ..FaultMix::of(0.1, 7)
    }));

    let begun = tokio::time::Instant::now();
    let (objects, links) = (AtomicU64::new(0), AtomicU64::new(0));
    let request = Request {
        sleep: waits(),
        ..Request::all(Mode::Whole)
    };
    let now: graph::Now = Arc::new(move || start + begun.elapsed());
    let connections = Connections::new().expect("connections");
    let outcome = collect(
        &reader(
            &server,
            connections,
            Limits::Documented,
            waits(),
            Arc::clone(&now),
        ),
        &request,
        &*now,
        &|_| {},
        &|change| match change {
            Change::Put(_) => drop(objects.fetch_add(1, Ordering::Relaxed)),
            Change::Linked(_) => drop(links.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        },
    )
    .await
    .expect("the tenant answers");

    let problems: Vec<&Completeness> = outcome
        .completeness
        .iter()
        .filter(|record| !record.is_complete())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
    assert!(objects.load(Ordering::Relaxed) >= made.users as u64);
    let counters = simulator.counters();
    let spoilt: u64 = counters.faults.values().sum();
    println!(
        "{} objects and {} links by {} requests and {} units in {:?} of the tenant's time; {spoilt} faults {:?}",
        objects.load(Ordering::Relaxed),
        links.load(Ordering::Relaxed),
        counters.total,
        counters.units,
        begun.elapsed(),
        counters.faults,
    );
    assert!(spoilt > counters.total / 20, "{spoilt} faults are few");
    assert_eq!(counters.throttled, 0, "a quota was passed");
    for kind in [
        ViolationKind::RetryAfterIgnored,
        ViolationKind::QuotaPassed,
        ViolationKind::BatchTooLarge,
        ViolationKind::DeltaLinkChanged,
        ViolationKind::TopTooLarge,
        ViolationKind::ManyExpanded,
    ] {
        let broken: Vec<_> = counters
            .violations
            .iter()
            .filter(|violation| violation.kind == kind)
            .take(5)
            .collect();
        assert!(broken.is_empty(), "{broken:?}");
    }
}

/// Waits that pass at once, with everybody's time.
fn waits() -> graph::Sleeper {
    Arc::new(|wait| {
        let until = tokio::time::Instant::now() + wait;
        Box::pin(async move {
            // What was sent or answered before is heard before: time must not jump
            // over it. A large answer is taken apart on the other thread, one after
            // another, so that all before this one have ended when it has.
            for _ in 0..3 {
                for _ in 0..200 {
                    tokio::task::yield_now().await;
                }
                tokio::task::spawn_blocking(|| ())
                    .await
                    .expect("nothing to do");
            }
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            tokio::time::advance(left).await;
        })
    })
}
