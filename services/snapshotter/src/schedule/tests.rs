//! Days of the schedule in simulated time: many tenants, replicas that are killed, and
//! tenants in trouble.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::snapshot::{Completeness, Content, Kind, Method};
use parking_lot::Mutex;
use runtime::clock::Clock;
use runtime::ids::SystemIds;
use store::object_store::memory::InMemory;
use store::object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use store::{Kek, TenantRecord, Vault};
use testkit::store::{meta, moment, record, tenant};
use testkit::time::wait;

use super::*;
use crate::Deps;

/// A clock that goes with tokio's time, which these tests pause.
#[derive(Debug)]
struct Paused {
    begin: DateTime<Utc>,
    since: Instant,
}

impl Clock for Paused {
    fn now(&self) -> DateTime<Utc> {
        self.begin + self.since.elapsed()
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn vault() -> Vault {
    Vault::new(
        Arc::new(InMemory::new()),
        Arc::new(Kek::from_bytes([7; 32])),
    )
}

fn context(vault: &Vault, clock: &Arc<Paused>) -> Context {
    Context::new(Deps {
        copies: None,
        differ: None,
        vault: vault.clone(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        ids: Arc::new(SystemIds),
        connect: Arc::new(|_| Err(Error::Suspended)),
    })
}

fn clock(begin: &str) -> Arc<Paused> {
    Arc::new(Paused {
        begin: at(begin),
        since: Instant::now(),
    })
}

/// A complete snapshot of nobody.
fn nothing() -> Content {
    let complete = |kind| Completeness::begun(kind, Method::SingleRead, moment(0));
    Content {
        completeness: Kind::all().into_iter().map(complete).collect(),
        ..Content::default()
    }
}

/// Takes snapshots as the real one does, claim and commit, of tenants that are read for
/// a while.
#[derive(Debug, Default)]
struct Reader {
    /// Where only the file is created that makes a snapshot, and decides who wins, so
    /// that many thousands take little time; sealed snapshots are committed without it.
    bare: Option<Arc<InMemory>>,
    /// How often each slot's snapshot was committed.
    committed: Mutex<HashMap<(TenantId, SnapshotId), usize>>,
    /// Readings that are under way, of which there may be one for each tenant.
    reading: Mutex<HashMap<TenantId, usize>>,
    most_at_once: AtomicUsize,
    in_vain: AtomicUsize,
}

impl Reader {
    fn take(
        self: &Arc<Self>,
        context: &Context,
        holder: &str,
        takes: fn(&TenantId) -> u64,
    ) -> Take {
        let (reader, context, holder) = (Arc::clone(self), context.clone(), holder.to_owned());
        Arc::new(move |tenant, slot| {
            let (reader, context, holder) = (Arc::clone(&reader), context.clone(), holder.clone());
            Box::pin(async move { reader.read(&context, &holder, tenant, slot, takes).await })
        })
    }

    async fn read(
        &self,
        context: &Context,
        holder: &str,
        tenant: TenantId,
        slot: SnapshotId,
        takes: fn(&TenantId) -> u64,
    ) -> Outcome {
        let now = context.deps.clock.now();
        let vault = context.deps.vault.tenant(&tenant).await.expect("there");
        let claim = match vault
            .claim(&slot, holder, now, TimeDelta::minutes(30))
            .await
        {
            Ok(claim) => claim,
            Err(StoreError::SlotTaken { .. }) => {
                self.in_vain.fetch_add(1, Ordering::Relaxed);
                return Outcome::Taken;
            }
            Err(StoreError::Exists { .. }) => return Outcome::There,
            Err(error) => panic!("{error}"),
        };
        let reading = Reading::begin(self, &tenant);
        wait(Duration::from_secs(takes(&tenant))).await;
        let seconds = (now - moment(0)).num_seconds();
        let meta = meta(slot.as_str(), holder, seconds);
        let committed = match &self.bare {
            None => vault.commit_content(&meta, &nothing()).await.is_ok(),
            Some(store) => {
                let path = store::layout::manifest(&tenant, &slot);
                let create = PutOptions::from(PutMode::Create);
                store.put_opts(&path, "there".into(), create).await.is_ok()
            }
        };
        drop(reading);
        vault.release(&claim).await.expect("released");
        if committed {
            *self.committed.lock().entry((tenant, slot)).or_default() += 1;
        }
        Outcome::There
    }

    /// The commits of each slot of one name.
    fn of(&self, slot: &str) -> HashMap<TenantId, usize> {
        let committed = self.committed.lock();
        let of = committed.iter().filter(|((_, it), _)| it.as_str() == slot);
        of.map(|((tenant, _), count)| (tenant.clone(), *count))
            .collect()
    }
}

/// One reading, which ends also where its process is killed.
struct Reading<'a>(&'a Reader, TenantId);

impl<'a> Reading<'a> {
    fn begin(reader: &'a Reader, tenant: &TenantId) -> Self {
        let mut reading = reader.reading.lock();
        let of_tenant = reading.entry(tenant.clone()).or_default();
        *of_tenant += 1;
        reader.most_at_once.fetch_max(*of_tenant, Ordering::Relaxed);
        Self(reader, tenant.clone())
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0.reading.lock().get_mut(&self.1) {
            *count -= 1;
        }
    }
}

/// The memory of this process that is in use, in bytes; none where nobody says.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[tokio::test(start_paused = true)]
async fn a_day_of_ten_thousand_tenants_misses_and_doubles_no_slot() {
    const TENANTS: u32 = 10_000;
    let store = Arc::new(InMemory::new());
    let vault = Vault::new(store.clone(), Arc::new(Kek::from_bytes([7; 32])));
    let yesterday = SnapshotId::parse("20261122-daily").expect("a slot");
    let before = resident();
    for n in 0..TENANTS {
        let all_day = TenantRecord {
            schedule: "00:00-24:00".parse().expect("a window"),
            ..record(&tenant(n))
        };
        vault.create_tenant(&all_day).await.expect("new");
        // They were read the day before, so that none is new.
        let path = store::layout::manifest(&tenant(n), &yesterday);
        store.put(&path, "there".into()).await.expect("written");
    }
    let clock = clock("2026-11-23T00:00:00Z");
    let reader = Arc::new(Reader {
        bare: Some(Arc::clone(&store)),
        ..Reader::default()
    });
    // Of three in four tenants a reading takes ten seconds, of the others longer.
    let takes = |tenant: &TenantId| match tenant.as_str().as_bytes()[7] % 4 {
        0 => 40,
        _ => 10,
    };
    let mut replicas = Vec::new();
    for n in 0..3 {
        let context = context(&vault, &clock);
        let take = reader.take(&context, &format!("replica-{n}"), takes);
        let scheduler = Scheduler::new(context, &format!("replica-{n}"), take)
            .listing_every(Duration::from_secs(3_600));
        replicas.push(tokio::spawn(scheduler.run(CancellationToken::new())));
    }
    // One is killed in the midst of what it does, and stays away.
    wait(Duration::from_secs(7 * 3_600 + 17)).await;
    let killed = replicas.pop().expect("three");
    killed.abort();
    let _ = killed.await;
    // The day, and for its last slots the time to take them.
    let left = at("2026-11-24T00:40:00Z") - clock.now();
    wait(left.to_std().expect("later")).await;
    replicas.iter().for_each(tokio::task::JoinHandle::abort);

    let slots = reader.of("20261123-daily");
    assert_eq!(slots.len(), TENANTS as usize, "no slot is missed");
    assert!(
        slots.values().all(|count| *count == 1),
        "none is taken twice"
    );
    assert_eq!(
        reader.most_at_once.load(Ordering::Relaxed),
        1,
        "no tenant is read by two at once"
    );
    let in_vain = reader.in_vain.load(Ordering::Relaxed);
    assert!(
        in_vain < TENANTS as usize / 2,
        "replicas came {in_vain} times in vain"
    );
    if let Some((before, after)) = before.zip(resident()) {
        // Without what is stored, which is in memory here; with three processes in one.
        let stored = stored(store.as_ref()).await;
        let used = after.saturating_sub(before).saturating_sub(stored);
        let each = used / u64::from(TENANTS);
        println!("{each} bytes for each idle tenant in three replicas; {in_vain} vain attempts");
        assert!(each <= 3 * 16 * 1024, "{each} bytes for each tenant");
    }
}

/// The size of all that is stored.
async fn stored(store: &InMemory) -> u64 {
    let metas: Vec<_> = store.list(None).collect().await;
    metas
        .iter()
        .map(|meta| meta.as_ref().map_or(0, |it| it.size))
        .sum()
}

#[tokio::test(start_paused = true)]
async fn tenants_that_take_for_ever_hold_up_nobody() {
    let vault = vault();
    for n in 0..100 {
        vault.create_tenant(&record(&tenant(n))).await.expect("new");
    }
    let clock = clock("2026-11-23T12:00:00Z");
    let reader = Arc::new(Reader::default());
    let context = context(&vault, &clock);
    // One in five is throttled so that its reading lasts for days.
    let takes = |tenant: &TenantId| match u32::from_str_radix(&tenant.as_str()[..8], 16) {
        Ok(n) if n % 5 == 0 => 100 * 3_600,
        _ => 20,
    };
    let take = reader.take(&context, "one", takes);
    let stop = CancellationToken::new();
    let scheduler = tokio::spawn(Scheduler::new(context, "one", take).run(stop.clone()));
    // Twenty of them can have the four places for ten minutes each, five times over.
    wait(Duration::from_secs(75 * 60)).await;
    assert_eq!(reader.of("20261123-daily").len(), 80);
    stop.cancel();
    scheduler.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn a_new_tenant_is_read_at_once_and_then_in_its_window() {
    let vault = vault();
    let early = TenantRecord {
        schedule: "02:00-03:00".parse().expect("a window"),
        ..record(&tenant(1))
    };
    vault.create_tenant(&early).await.expect("new");
    let clock = clock("2026-11-23T00:30:00Z");
    let reader = Arc::new(Reader::default());
    let context = context(&vault, &clock);
    let take = reader.take(&context, "one", |_| 5);
    tokio::spawn(Scheduler::new(context.clone(), "one", take).run(CancellationToken::new()));
    wait(Duration::from_secs(300)).await;
    assert_eq!(
        reader.of("20261123-daily").len(),
        1,
        "the first one waits for nothing"
    );
    assert_eq!(
        reader.committed.lock().len(),
        1,
        "and no slot of another day"
    );
    let due = early
        .schedule
        .due(&tenant(1), at("2026-11-24T00:00:00Z").date_naive());
    wait((due - clock.now()).to_std().expect("later") - Duration::from_secs(2)).await;
    assert_eq!(reader.of("20261124-daily").len(), 0);
    wait(Duration::from_secs(SPREAD + 20)).await;
    assert_eq!(reader.of("20261124-daily").len(), 1);
    assert_eq!(reader.committed.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_or_is_not_served_rests_and_keeps_no_other_from_its_snapshot() {
    let vault = vault();
    for n in 1..=3 {
        vault.create_tenant(&record(&tenant(n))).await.expect("new");
    }
    let clock = clock("2026-11-23T12:00:00Z");
    vault
        .erase_keys(&tenant(1), clock.now())
        .await
        .expect("erased");
    let context = context(&vault, &clock);
    let suspended = vault.tenant_record(&tenant(2)).await.expect("read");
    let mut suspended = suspended.expect("there");
    suspended.value.state = TenantState::Suspended;
    vault.update_tenant(&suspended).await.expect("updated");
    assert_eq!(
        look(&context, &tenant(1)).await,
        Look::Later(clock.now() + REST)
    );
    assert_eq!(
        look(&context, &tenant(2)).await,
        Look::Later(clock.now() + IDLE)
    );
    let tries = Arc::new(Mutex::new(Vec::new()));
    let (noted, time) = (Arc::clone(&tries), Arc::clone(&clock));
    let take: Take = Arc::new(move |tenant, _| {
        noted.lock().push((tenant, time.now()));
        Box::pin(std::future::ready(Outcome::Failed))
    });
    tokio::spawn(Scheduler::new(context, "one", take).run(CancellationToken::new()));
    wait(Duration::from_secs(3_540)).await;
    let first = tries.lock().clone();
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0].0, tenant(3));
    wait(Duration::from_secs(120)).await;
    assert_eq!(tries.lock().len(), 2, "an hour later it is tried again");
}

#[tokio::test]
async fn a_snapshot_on_demand_is_none_of_the_schedule() {
    let vault = vault();
    vault.create_tenant(&record(&tenant(1))).await.expect("new");
    let opened = vault.tenant(&tenant(1)).await.expect("there");
    let on_demand = meta("20261123T110000-0123456789abcdef", "x", 0);
    opened
        .commit_content(&on_demand, &nothing())
        .await
        .expect("committed");
    let clock = Arc::new(runtime::ManualClock::new(at("2026-11-23T12:00:00Z")));
    let context = Context::new(Deps {
        copies: None,
        differ: None,
        vault,
        clock,
        ids: Arc::new(SystemIds),
        connect: Arc::new(|_| Err(Error::Suspended)),
    });
    let due = SnapshotId::parse("20261123-daily").expect("valid");
    assert_eq!(look(&context, &tenant(1)).await, Look::Due(due));
}
