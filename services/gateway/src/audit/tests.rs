use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use model::TenantId;
use proptest::prelude::*;
use prost::Message;
use proto::v1::{AuditFilter, AuditRecord};
use runtime::{ManualClock, SeededIds};
use store::audit::Head;
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::object_store::path::Path;
use store::{Kek, Vault};
use testkit::store::{FaultStore, moment, record, tenant};
use testkit::time::{run, wait};

use super::keeper::Place;
use super::list::Lister;
use super::*;

/// Small, since sealing takes real time.
const STEP: Duration = Duration::from_micros(250);

struct House {
    faults: Arc<FaultStore>,
    vault: Vault,
    clock: Arc<ManualClock>,
    metrics: Metrics,
    keeper: Arc<Keeper>,
    tenant: TenantId,
}

impl House {
    async fn new() -> Self {
        let faults = Arc::new(FaultStore::new(Arc::new(InMemory::new())));
        let store = Arc::clone(&faults) as Arc<dyn ObjectStore>;
        let vault = Vault::new(store, Arc::new(Kek::from_bytes([7; 32])));
        let tenant = tenant(1);
        vault
            .create_tenant(&record(&tenant))
            .await
            .expect("registered");
        let (clock, metrics) = (Arc::new(ManualClock::new(moment(0))), Metrics::default());
        let keeper = Keeper::new(
            vault.clone(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(SeededIds::new(1)),
            metrics.clone(),
        );
        Self {
            faults,
            vault,
            clock,
            metrics,
            keeper: Arc::new(keeper),
            tenant,
        }
    }

    fn place(&self) -> Place {
        Some(self.tenant.clone())
    }

    fn entry(&self, kind: AuditKind, resource: &str) -> AuditEntry {
        AuditEntry {
            time: Some(timestamp(self.clock.now())),
            kind: kind.into(),
            resource: resource.to_owned(),
            count: 1,
            ..AuditEntry::default()
        }
    }

    /// Waits until so many entries are written.
    async fn until(&self, entries: usize) -> Vec<AuditRecord> {
        loop {
            let records = self.records().await;
            let written: usize = records.iter().map(|record| record.entries.len()).sum();
            if written >= entries {
                return records;
            }
            wait(Duration::from_secs(1)).await;
        }
    }

    async fn records(&self) -> Vec<AuditRecord> {
        let chains = self
            .vault
            .tenant(&self.tenant)
            .await
            .expect("there")
            .audit();
        let mut records = Vec::new();
        for (writer, numbers) in chains.list().await.expect("listed").chains {
            for number in numbers {
                let entry = chains.read(&writer, number).await.expect("whole");
                let body = entry.expect("there").body;
                records.push(AuditRecord::decode(body).expect("a record"));
            }
        }
        records
    }
}

#[test]
fn what_is_durable_at_the_same_time_shares_files() {
    run(STEP, async {
        let house = House::new().await;
        let first = house.entry(AuditKind::Mutation, "first");
        let landed = house.keeper.durable(house.place(), first, PATIENCE).await;
        assert_eq!(landed, Ok(Landed::There));
        let before = house.faults.puts();
        let all = (0..300).map(|n| {
            let entry = house.entry(AuditKind::Mutation, &n.to_string());
            house.keeper.durable(house.place(), entry, PATIENCE)
        });
        for landed in futures::future::join_all(all).await {
            assert_eq!(landed, Ok(Landed::There));
        }
        let puts = house.faults.puts() - before;
        assert!(puts <= 3, "{puts} files for 300 entries");
        let records = house.records().await;
        assert_eq!(records[0].entries[0].kind(), AuditKind::Start);
        let entries: usize = records.iter().map(|record| record.entries.len()).sum();
        assert_eq!(entries, 302);
    });
}

#[test]
fn what_was_told_to_be_written_is_there_whatever_the_store_answers() {
    run(STEP, async {
        use testkit::store::Fault;
        let house = House::new().await;
        let faults = [Fault::Refuse, Fault::LoseAnswer, Fault::Conflict];
        for (n, fault) in faults.into_iter().cycle().take(12).enumerate() {
            house.faults.on_put(1, fault);
            let entry = house.entry(AuditKind::Mutation, &n.to_string());
            let landed = house.keeper.durable(house.place(), entry, PATIENCE).await;
            assert_eq!(landed, Ok(Landed::There), "{fault:?}");
        }
        let records = house.records().await;
        let told = records.iter().flat_map(|record| &record.entries);
        let told: Vec<&str> = told
            .filter(|entry| entry.kind() == AuditKind::Mutation)
            .map(|entry| entry.resource.as_str())
            .collect();
        let expected: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        assert_eq!(told, expected, "each once, in order");
    });
}

#[test]
fn reads_wait_for_one_another_but_not_for_long() {
    run(STEP, async {
        let house = House::new().await;
        let note = |n: u32| {
            let entry = house.entry(AuditKind::Read, &n.to_string());
            house.keeper.note(house.place(), entry, Haste::Lazy);
        };
        for n in 0..5 {
            note(n);
            wait(Duration::from_millis(100)).await;
        }
        assert!(house.records().await.is_empty(), "they are gathered");
        wait(Duration::from_millis(600)).await;
        let records = house.records().await;
        assert_eq!(records.len(), 1, "after a second they are there");
        assert_eq!(records[0].entries.len(), 6);
        note(5);
        wait(Duration::from_millis(100)).await;
        let urgent = house.entry(AuditKind::Mutation, "now");
        let landed = house.keeper.durable(house.place(), urgent, PATIENCE).await;
        assert_eq!(landed, Ok(Landed::There));
        let records = house.records().await;
        assert_eq!(
            records[1].entries.len(),
            2,
            "a mutation takes along what waits"
        );
    });
}

#[test]
fn what_is_lost_is_counted_in_the_next_file_and_in_the_metric() {
    run(STEP, async {
        let house = House::new().await;
        house.faults.break_after(0);
        let note = |n: usize| {
            let entry = house.entry(AuditKind::Read, &n.to_string());
            house.keeper.note(house.place(), entry, Haste::Lazy);
        };
        note(0);
        wait(Duration::from_secs(2)).await;
        // That one is about to be written; these wait.
        (0..queue::MOST + 25).for_each(note);
        assert_eq!(house.metrics.lost_so_far(), 25);
        let refused = house.entry(AuditKind::Mutation, "m");
        let refused = house.keeper.durable(house.place(), refused, PATIENCE).await;
        assert_eq!(refused, Err(Unwritten::NoRoom));
        assert_eq!(
            house.metrics.lost_so_far(),
            25,
            "a mutation is refused, not lost"
        );
        house.faults.mend();
        let records = house.until(queue::MOST + 3).await;
        let lost = records.iter().flat_map(|record| &record.entries);
        let lost: Vec<i64> = lost
            .filter(|entry| entry.kind() == AuditKind::Lost)
            .map(|entry| entry.count)
            .collect();
        assert_eq!(lost, [25]);
    });
}

#[test]
fn what_waited_for_too_long_is_lost_and_counted() {
    run(Duration::from_millis(200), async {
        let house = House::new().await;
        house.faults.break_after(0);
        let entry = house.entry(AuditKind::Read, "being written");
        house.keeper.note(house.place(), entry, Haste::Urgent);
        wait(Duration::from_secs(30)).await;
        let entry = house.entry(AuditKind::Read, "late");
        house.keeper.note(house.place(), entry, Haste::Lazy);
        let end = house.entry(AuditKind::Outcome, "an outcome");
        house.keeper.note(house.place(), end, Haste::Lazy);
        wait(Duration::from_secs(700)).await;
        house.faults.mend();
        let records = house.until(4).await;
        let kinds: Vec<AuditKind> = records
            .iter()
            .flat_map(|record| record.entries.iter().map(AuditEntry::kind))
            .collect();
        assert_eq!(
            kinds,
            [
                AuditKind::Start,
                AuditKind::Read,
                AuditKind::Lost,
                AuditKind::Outcome
            ]
        );
        assert_eq!(house.metrics.lost_so_far(), 1);
    });
}

#[test]
fn a_chain_that_somebody_else_wrote_to_is_left_to_them() {
    run(STEP, async {
        let house = House::new().await;
        let entry = house.entry(AuditKind::Mutation, "1");
        let landed = house.keeper.durable(house.place(), entry, PATIENCE).await;
        assert_eq!(landed, Ok(Landed::There));
        let chains = house
            .vault
            .tenant(&house.tenant)
            .await
            .expect("there")
            .audit();
        let writer = chains.writers().await.expect("listed").remove(0);
        let first = chains
            .read(&writer, 1)
            .await
            .expect("whole")
            .expect("there");
        let head = Head {
            number: 1,
            hash: first.hash,
        };
        chains
            .append(&writer, head, b"another's")
            .await
            .expect("theirs");
        let entry = house.entry(AuditKind::Mutation, "2");
        let landed = house.keeper.durable(house.place(), entry, PATIENCE).await;
        assert_eq!(landed, Ok(Landed::There), "in a chain of its own");
        assert_eq!(chains.writers().await.expect("listed").len(), 2);
    });
}

#[test]
fn nothing_is_made_of_a_tenant_that_is_not_registered() {
    run(STEP, async {
        let house = House::new().await;
        let unknown = tenant(9);
        let entry = house.entry(AuditKind::Read, "r");
        house.keeper.note(Some(unknown.clone()), entry, Haste::Lazy);
        let entry = house.entry(AuditKind::Mutation, "m");
        let landed = house
            .keeper
            .durable(Some(unknown.clone()), entry, PATIENCE)
            .await;
        assert_eq!(landed, Ok(Landed::Installation));
        assert_eq!(
            house.vault.tenant_ids().await.expect("listed"),
            std::slice::from_ref(&house.tenant)
        );
        let chains = house.vault.installation_audit().await.expect("there");
        let written = chains.list().await.expect("listed").chains;
        assert_eq!(written.len(), 1);
    });
}

/// An entry of a made-up chain.
#[derive(Debug, Clone)]
struct Told {
    writer: usize,
    /// How much later than the one before, in seconds.
    later: i64,
    kind: AuditKind,
    /// Whether it is in the same file as the one before of its writer.
    along: bool,
}

fn told() -> impl Strategy<Value = Told> {
    let kind = prop_oneof![
        3 => Just(AuditKind::Read),
        2 => Just(AuditKind::Mutation),
        1 => Just(AuditKind::Denial),
        1 => Just(AuditKind::Checkpoint),
    ];
    (0..3_usize, 0..400_i64, kind, any::<bool>()).prop_map(|(writer, later, kind, along)| Told {
        writer,
        later,
        kind,
        along,
    })
}

const WRITERS: [&str; 3] = [
    "20260921t000000-a",
    "20260921t000000-b",
    "20260921t000001-c",
];

/// Writes the chains; every other mutation has its outcome, in a later file.
async fn written(house: &House, all: &[Told]) -> Vec<(DateTime<Utc>, String, AuditKind, bool)> {
    let chains = house
        .vault
        .tenant(&house.tenant)
        .await
        .expect("there")
        .audit();
    let mut files: [Vec<AuditRecord>; 3] = Default::default();
    let mut expected = Vec::new();
    let (mut now, mut calls) = (moment(0), 0);
    for (n, told) in all.iter().enumerate() {
        // As fine as a real clock is.
        now += TimeDelta::nanoseconds(told.later * 1_000_000_007);
        let of_it = &mut files[told.writer];
        let mut entry = house.entry(told.kind, &format!("{n:04}"));
        entry.time = Some(timestamp(now));
        let mut ends = false;
        if told.kind == AuditKind::Mutation {
            calls += 1;
            entry.call = calls;
            ends = calls % 2 == 0;
        }
        let same_time = of_it.last().is_some_and(|file| file.time == entry.time);
        match of_it.last_mut() {
            Some(file) if told.along && same_time => file.entries.push(entry),
            _ => of_it.push(AuditRecord {
                time: entry.time,
                entries: vec![entry],
            }),
        }
        if ends {
            let outcome = AuditOutcome {
                result: AuditResult::Succeeded.into(),
                ..AuditOutcome::default()
            };
            of_it.push(AuditRecord {
                time: Some(timestamp(now)),
                entries: vec![AuditEntry {
                    call: calls,
                    outcome: Some(outcome),
                    ..house.entry(AuditKind::Outcome, "")
                }],
            });
        }
        if told.kind != AuditKind::Checkpoint {
            expected.push((now, format!("{n:04}"), told.kind, ends));
        }
    }
    for (writer, files) in WRITERS.iter().zip(files) {
        let mut head = Head::NONE;
        for file in files {
            let body = file.encode_to_vec();
            head = chains.append(writer, head, &body).await.expect("written");
        }
    }
    expected
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn pages_of_any_size_make_up_the_list_in_order_with_outcomes(
        all in prop::collection::vec(told(), 0..60),
        size in 1..20_i32,
        window in prop::option::of((0..20_000_i64, 0..20_000_i64)),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let house = House::new().await;
            let mut expected = written(&house, &all).await;
            let chains = house.vault.tenant(&house.tenant).await.expect("there").audit();
            let mut filter = AuditFilter::default();
            if let Some((from, length)) = window {
                let (from, until) = (moment(from), moment(from + length));
                expected.retain(|(at, ..)| (from..until).contains(at));
                filter.from_time = Some(timestamp(from));
                filter.until_time = Some(timestamp(until));
            }
            let lister = Lister::default();
            let (mut token, mut seen) = (String::new(), Vec::new());
            loop {
                let filter = Some(filter.clone());
                let page = lister.list(&house.place(), &chains, filter, size, &token).await;
                let page = page.expect("listed");
                prop_assert!(page.entries.len() <= usize::try_from(size).unwrap());
                prop_assert_eq!(page.unreadable, 0);
                seen.extend(page.entries);
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            let at = |entry: &AuditEntry| proto::convert::time(entry.time.as_ref().unwrap()).unwrap();
            prop_assert!(seen.windows(2).all(|pair| at(&pair[0]) >= at(&pair[1])), "newest first");
            let mut seen: Vec<_> = seen.iter().map(|entry| {
                let ended = entry.outcome.as_ref().is_some_and(|outcome| {
                    outcome.result() == AuditResult::Succeeded
                });
                (at(entry), entry.resource.clone(), entry.kind(), ended)
            }).collect();
            seen.sort_by(|a, b| a.1.cmp(&b.1));
            prop_assert_eq!(seen, expected);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_list_is_chosen_by_caller_method_result_and_kind_and_names_what_it_cannot_read() {
    let house = House::new().await;
    let chains = house
        .vault
        .tenant(&house.tenant)
        .await
        .expect("there")
        .audit();
    let call = |caller: &str, method: &str, result: AuditResult| AuditEntry {
        caller: caller.to_owned(),
        method: format!("rewind.v1.{method}"),
        outcome: Some(AuditOutcome {
            result: result.into(),
            ..AuditOutcome::default()
        }),
        ..house.entry(AuditKind::Read, "")
    };
    let (ok, denied) = (AuditResult::Succeeded, AuditResult::Denied);
    let files = [
        vec![
            call("ana", "SnapshotService/GetSnapshot", ok),
            call("ben", "DiffService/GetReport", ok),
        ],
        vec![call("ana", "OtherService/GetSnapshot", denied)],
        vec![call("ana", "SnapshotService/WatchSnapshot", ok)],
    ];
    let mut head = Head::NONE;
    for entries in files {
        let time = Some(timestamp(house.clock.now()));
        let body = AuditRecord { time, entries }.encode_to_vec();
        head = chains
            .append(WRITERS[0], head, &body)
            .await
            .expect("written");
    }
    let place = house.place();
    let lister = Lister::default();
    let ids = async |filter: AuditFilter| {
        let page = lister.list(&place, &chains, Some(filter), 0, "").await;
        let page = page.expect("listed");
        let ids = page
            .entries
            .into_iter()
            .map(|entry| entry.id[WRITERS[0].len()..].to_owned());
        (ids.collect::<Vec<_>>(), page.unreadable)
    };
    let method = |method: &str| AuditFilter {
        method: method.to_owned(),
        ..AuditFilter::default()
    };
    assert_eq!(
        ids(AuditFilter::default()).await.0,
        ["/3/0", "/2/0", "/1/1", "/1/0"]
    );
    assert_eq!(ids(method("GetSnapshot")).await.0, ["/2/0", "/1/0"]);
    assert_eq!(ids(method("SnapshotService/GetSnapshot")).await.0, ["/1/0"]);
    assert_eq!(
        ids(method("/rewind.v1.SnapshotService/GetSnapshot"))
            .await
            .0,
        ["/1/0"]
    );
    assert!(
        ids(method("Snapshot")).await.0.is_empty(),
        "a part of a name is none"
    );
    let of_ben = AuditFilter {
        caller: "ben".to_owned(),
        ..AuditFilter::default()
    };
    assert_eq!(ids(of_ben).await.0, ["/1/1"]);
    let of_denied = AuditFilter {
        result: denied.into(),
        ..AuditFilter::default()
    };
    assert_eq!(ids(of_denied).await.0, ["/2/0"]);
    let starts = AuditFilter {
        kinds: vec![AuditKind::Start.into()],
        ..AuditFilter::default()
    };
    assert!(ids(starts).await.0.is_empty());

    let path = format!("tenants/{}/audit/{}/0000000002", house.tenant, WRITERS[0]);
    testkit::store::tamper(house.faults.as_ref(), &Path::from(path), |bytes| {
        bytes.truncate(9);
    })
    .await;
    assert_eq!(
        ids(AuditFilter::default()).await,
        (
            vec!["/3/0".to_owned(), "/1/1".to_owned(), "/1/0".to_owned()],
            1
        )
    );
    let wrong = AuditFilter {
        result: 99,
        ..AuditFilter::default()
    };
    for (filter, size, token) in [
        (wrong, 0, ""),
        (AuditFilter::default(), -1, ""),
        (AuditFilter::default(), 0, "x"),
    ] {
        let refused = lister
            .list(&place, &chains, Some(filter), size, token)
            .await;
        assert!(matches!(refused, Err(GatewayError::Invalid { .. })));
    }
}
