//! Snapshots in a storm: writers side by side, killed and started again, with
//! retention after each.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use graph::{Mode, Request, collect_content};
use model::retention::Policy;
use model::snapshot::Content;
use model::{ErrorKind, Link, LinkKind, Object, ObjectState, ObjectType, SnapshotId, slot};
use proto::v1::Snapshot;
use runtime::Clock;
use store::object_store::path::Path;
use store::{Manifest, SnapshotMeta, StoreError, TenantVault, Trigger, Vault, layout};
use testkit::store::{Lag, Struck, Weather, meta};

use crate::house::{House, killed_after};
use crate::{Dice, all_run, seeds};

/// How many snapshots retention keeps at least.
const MINIMUM: u32 = 2;
/// How many days a storm lasts.
const DAYS: u64 = 4;

/// What the flows did.
#[derive(Debug, Default)]
struct Counted {
    acknowledged: usize,
    refused: usize,
    pruned: usize,
    read: usize,
    killed: usize,
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.pruned += other.pruned;
        self.read += other.read;
        self.killed += other.killed;
    }
}

/// What the tenant was from when on.
#[derive(Default)]
struct Past(BTreeMap<DateTime<Utc>, Content>);

impl Past {
    /// Checks that a snapshot holds what the tenant was when it was taken.
    fn assert_true(&self, manifest: &Manifest, found: &Content) {
        let (_, was) = self.0.range(..=manifest.meta.started).next_back().unwrap();
        assert_eq!(found.objects, was.objects, "{}", manifest.id());
        assert_eq!(found.links, was.links, "{}", manifest.id());
    }
}

/// Lets something change in the tenant.
fn change(house: &House, dice: &mut Dice, day: u64) {
    let content = house.directory.content();
    let users: Vec<&Object> = content
        .objects
        .iter()
        .filter(|it| it.object_type == ObjectType::User && it.state == ObjectState::Live)
        .collect();
    let pick = |dice: &mut Dice| users[usize::try_from(dice.roll(users.len() as u64)).unwrap()];
    let user = pick(dice);
    let mut body = user.body();
    body.insert("department".to_owned(), format!("Day {day}").into());
    let changed = Object::from_body(ObjectType::User, user.state, &body).unwrap();
    house.directory.put(changed);
    match dice.roll(4) {
        0 => {
            let user = pick(dice);
            let deleted = Object::from_body(ObjectType::User, ObjectState::Deleted, &user.body());
            house.directory.put(deleted.unwrap());
        }
        1 => {
            let user = pick(dice);
            house.directory.purge(ObjectType::User, &user.id);
        }
        2 => {
            if let Some(link) = content.links.first() {
                house.directory.unlink(link);
            }
        }
        _ => {
            let group = content
                .objects
                .iter()
                .find(|object| object.object_type == ObjectType::Group);
            house.directory.link(Link {
                kind: LinkKind::GroupOwners,
                source: group.unwrap().id.clone(),
                target: pick(dice).id.clone(),
            });
        }
    }
}

/// Reads everything that a process sees in a storm; how much was read.
async fn read(past: &Past, vaults: &Vault, house: &House) -> Result<usize, StoreError> {
    let vault = vaults.tenant(house.tenant()).await?;
    let (manifests, problems) = vault.manifests().await?;
    assert!(problems.is_empty(), "{problems:?}");
    let mut count = 0;
    for manifest in &manifests {
        match vault.read(manifest).await {
            Ok(found) => {
                past.assert_true(manifest, &found);
                count += 1;
            }
            Err(error) => is_no_damage(house, manifest.id(), &error).await,
        }
        match vault.keys(manifest).await {
            Ok(keys) => {
                let (_, was) = past.0.range(..=manifest.meta.started).next_back().unwrap();
                let ids = |(object_type, id): (ObjectType, model::ObjectId)| (object_type, id);
                let found: Vec<_> = keys
                    .into_iter()
                    .map(|key| ids((key.object_type, key.id)))
                    .collect();
                let expected: Vec<_> = was
                    .objects
                    .iter()
                    .map(|object| ids((object.object_type, object.id.clone())))
                    .collect();
                assert_eq!(found, expected);
                count += 1;
            }
            Err(error) => is_no_damage(house, manifest.id(), &error).await,
        }
    }
    Ok(count)
}

/// Checks that nothing is called damaged that is not, but for what was pruned
/// while it was read.
async fn is_no_damage(house: &House, id: &SnapshotId, error: &StoreError) {
    if !matches!(error, StoreError::Unavailable { .. }) {
        let there = house.vault.manifest(id).await;
        assert!(
            matches!(there, Err(StoreError::NotFound { .. })),
            "{id}: {error:?}"
        );
    }
}

/// A writer without a service around it, as far as it gets.
async fn write(house: &House, vaults: Vault, request_id: &str) -> Result<Manifest, StoreError> {
    let now = house.clock.now();
    let vault = vaults.tenant(house.tenant()).await?;
    let id = SnapshotId::parse(&slot::on_demand(now, request_id)).unwrap();
    vault
        .claim(&id, request_id, now, TimeDelta::minutes(30))
        .await?;
    let tick = || house.clock.now();
    let request = Request::all(Mode::Whole);
    let content = collect_content(house.directory.as_ref(), &request, &tick, &|_| {}).await;
    let meta = SnapshotMeta {
        id,
        trigger: Trigger::OnDemand,
        started: now,
        finished: now,
        ..meta("20261120-daily", request_id, 0)
    };
    vault.commit_content(&meta, &content.unwrap()).await
}

fn id_of(name: &str) -> SnapshotId {
    let (_, id) = proto::name::parse_snapshot("name", name).unwrap();
    id
}

/// Days of a tenant, each with two snapshots, a writer that is killed, and a reader.
async fn days(seed: u64) -> (Counted, Struck) {
    // Retention rests on lists that show what was written before.
    let weather = Weather::of(12, Lag::OfDeletions);
    let retention = few();
    let house = House::new(seed, weather, retention).await;
    let (mut dice, mut counted, mut past) = (Dice::new(seed), Counted::default(), Past::default());
    let mut acknowledged = BTreeSet::new();
    let taken_at = |snapshot: &Snapshot| {
        let at = snapshot.start_time.unwrap_or_default();
        DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).unwrap()).unwrap()
    };
    let (mut first, mut second) = (house.snapshotter().await, house.snapshotter().await);
    for day in 0..DAYS {
        house.clock.next_day();
        change(&house, &mut dice, day);
        past.0.insert(house.clock.now(), house.directory.content());
        for process in [&mut first, &mut second] {
            if process.store.is_severed() {
                counted.killed += 1;
                *process = house.snapshotter().await;
            }
            if dice.roll(5) == 0 {
                process.store.sever_after(dice.roll(80));
            }
        }
        let requests = [format!("day-{day}"), format!("day-{day}-more")];
        let (alone, looked_at) = (dice.roll(3) == 0, dice.roll(2) == 0);
        let also = async {
            match alone {
                true => None,
                false => Some(second.take(&requests[1]).await),
            }
        };
        let (_, other) = house.next_process();
        let killed = format!("killed-{day}");
        let (turns, busy) = (dice.roll(400), dice.roll(3) == 0);
        let writer = async {
            match busy {
                true => killed_after(turns, write(&house, other, &killed)).await,
                false => None,
            }
        };
        let (_, reading) = house.next_process();
        let reader = async {
            match looked_at {
                true => read(&past, &reading, &house).await,
                false => Ok(0),
            }
        };
        let (one, two, three, found) =
            futures::join!(first.take(&requests[0]), also, writer, reader,);
        for taken in [Some(one), two].into_iter().flatten() {
            match taken {
                Ok(snapshot) => {
                    acknowledged.insert((taken_at(&snapshot), id_of(&snapshot.name)));
                }
                Err(_) => counted.refused += 1,
            }
        }
        match three {
            Some(Ok(manifest)) => {
                acknowledged.insert((manifest.meta.started, manifest.id().clone()));
            }
            Some(Err(error)) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Unavailable | ErrorKind::Conflict),
                    "{error:?}"
                );
            }
            None => counted.killed += usize::from(busy),
        }
        match found {
            Ok(read) => counted.read += read,
            Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}"),
        }
    }
    house.storm.calm().await;
    house.clock.next_day();
    change(&house, &mut dice, DAYS);
    past.0.insert(house.clock.now(), house.directory.content());
    let calm = house.snapshotter().await;
    let last = calm.take("after the storm").await.unwrap();
    acknowledged.insert((taken_at(&last), id_of(&last.name)));

    // Claims of the last day end, and what nobody names goes.
    for _ in 0..3 {
        house.clock.next_day();
        let grace = TimeDelta::days(1);
        let done = house
            .vault
            .prune(&retention, grace, house.clock.now())
            .await;
        let done = done.unwrap();
        assert_eq!(done.waits_for, None);
    }
    let visible = assert_whole(&house.vault, &past).await;
    let there: BTreeSet<_> = visible
        .values()
        .map(|it| (it.meta.started, it.id().clone()))
        .collect();
    let gone: Vec<_> = acknowledged.difference(&there).collect();
    for snapshot in &gone {
        let newer = there.range(*snapshot..).count();
        assert!(
            newer >= MINIMUM as usize,
            "{snapshot:?} is lost: only {newer} newer ones are there: {there:?}"
        );
    }
    assert_no_garbage(&house, &visible).await;
    counted.pruned += gone.len();
    counted.acknowledged += acknowledged.len();
    (counted, house.storm.struck())
}

/// Checks that all snapshots can be read, and hold what the tenant was.
async fn assert_whole(vault: &TenantVault, past: &Past) -> BTreeMap<SnapshotId, Manifest> {
    let (manifests, problems) = vault.manifests().await.unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let mut visible = BTreeMap::new();
    for manifest in manifests {
        past.assert_true(&manifest, &vault.read(&manifest).await.unwrap());
        visible.insert(manifest.id().clone(), manifest);
    }
    visible
}

/// Checks that there is no run but those that snapshots name.
async fn assert_no_garbage(house: &House, visible: &BTreeMap<SnapshotId, Manifest>) {
    let folder = layout::runs(house.tenant());
    let runs = house.store.list(Some(&folder)).map_ok(|meta| meta.location);
    let runs: BTreeSet<Path> = runs.try_collect().await.unwrap();
    let named = visible.values().flat_map(|manifest| &manifest.runs);
    let named: BTreeSet<Path> = named
        .map(|run| layout::run(house.tenant(), &run.hash))
        .collect();
    assert_eq!(runs, named);
}

/// Keeps the newest few, so that much goes in few days.
fn few() -> Policy {
    Policy {
        recent: 0,
        minimum: MINIMUM,
        ..Policy::default()
    }
}

fn check(range: std::ops::Range<u64>) {
    let counted = seeds(range, days);
    println!("{counted:?}");
    if all_run() {
        assert!(counted.acknowledged > 1000, "{counted:?}");
        assert!(counted.refused > 100, "{counted:?}");
        assert!(counted.pruned > 300, "{counted:?}");
        assert!(counted.read > 500, "{counted:?}");
        assert!(counted.killed > 100, "{counted:?}");
    }
}

#[test]
fn no_snapshot_is_lost_and_none_is_wrong() {
    check(0..500);
}

#[test]
fn no_snapshot_is_lost_and_none_is_wrong_in_five_hundred_more() {
    check(500..1000);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_there_counts_more_than_how_its_job_ended() {
    let house = House::new(0, Weather::of(0, Lag::OfDeletions), few()).await;
    let snapshotter = house.snapshotter().await;
    let (now, half) = (house.clock.now(), TimeDelta::minutes(30));
    for seconds in 0..60 {
        let at = now + TimeDelta::seconds(seconds);
        let id = SnapshotId::parse(&slot::on_demand(at, "mine")).unwrap();
        house.vault.claim(&id, "another", now, half).await.unwrap();
    }
    let refused = snapshotter.take("mine").await.unwrap_err();
    let reason = runtime::status::parse(&refused).reason;
    assert_eq!(reason.as_deref(), Some("SLOT_TAKEN"), "{refused:?}");
    let id = refused.message().split_whitespace().nth(1).unwrap();
    let id = SnapshotId::parse(id).unwrap();
    let meta = SnapshotMeta {
        id: id.clone(),
        ..meta("20261120-daily", "another", 0)
    };
    let content = house.directory.content();
    house.vault.commit_content(&meta, &content).await.unwrap();
    let taken = snapshotter.take("mine").await.unwrap();
    assert_eq!(id_of(&taken.name), id);
}
