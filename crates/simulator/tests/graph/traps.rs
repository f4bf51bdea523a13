//! Delta rounds at their worst: a follower that keeps the documented rules never goes astray.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use simulator::{Clock, DeltaTraps, Replication, Simulator};

use crate::support::{Bench, id, ids};

/// A small seeded generator of choices.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What a follower of users and groups knows.
#[derive(Default)]
struct Mirror {
    users: BTreeMap<String, Value>,
    groups: BTreeMap<String, BTreeSet<String>>,
}

impl Mirror {
    fn take_user(&mut self, item: &Value) {
        if item["@removed"].is_object() {
            self.users.remove(&id(item));
        } else {
            self.users.insert(id(item), item["department"].clone());
        }
    }

    fn take_group(&mut self, item: &Value) {
        let group = id(item);
        if item["@removed"].is_object() {
            // A restored group appears as a new one, with all its members.
            self.groups.remove(&group);
            return;
        }
        let members = self.groups.entry(group).or_default();
        for link in item["members@delta"].as_array().into_iter().flatten() {
            if link["@removed"].is_object() {
                members.remove(&id(link));
            } else {
                members.insert(id(link));
            }
        }
    }

    /// Members that are live, since deleting one says nothing about its groups.
    fn live_members(&self) -> BTreeMap<String, BTreeSet<String>> {
        let live = |members: &BTreeSet<String>| {
            let live = members
                .iter()
                .filter(|member| self.users.contains_key(*member));
            live.cloned().collect()
        };
        self.groups
            .iter()
            .map(|(group, members)| (group.clone(), live(members)))
            .collect()
    }
}

/// A tenant that changes while it is followed.
struct World {
    bench: Bench,
    clock: Clock,
    dice: Dice,
    users: Vec<String>,
    groups: Vec<String>,
    binned: Vec<String>,
    pages: usize,
    empty_pages: usize,
}

impl World {
    async fn new(seed: u64) -> Self {
        let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 8, 0, 0).unwrap());
        let bench = Bench::on(Simulator::with_clock(clock.clone())).await;
        let mut world = Self {
            bench,
            clock,
            dice: Dice(seed),
            users: Vec::new(),
            groups: Vec::new(),
            binned: Vec::new(),
            pages: 0,
            empty_pages: 0,
        };
        for n in 0..20 {
            world.users.push(world.bench.user(&format!("u{n}")).await);
        }
        for n in 0..4 {
            let group = world.bench.group(&format!("g{n}")).await;
            for user in &world.users[n..12 + n] {
                let member = world.bench.reference(user);
                let path = format!("/groups/{group}/members/$ref");
                world.bench.post(&path, member).await.expect(204);
            }
            world.groups.push(group);
        }
        world
    }

    /// One random change; a refused one is as good as none.
    async fn change(&mut self) {
        self.clock.advance(Duration::from_millis(700));
        let user = self.dice.pick(&self.users).clone();
        let group = self.dice.pick(&self.groups).clone();
        let bench = &self.bench;
        match self.dice.below(9) {
            0 | 1 => {
                let department = format!("D{}", self.dice.below(1_000));
                let body = json!({ "department": department });
                bench.patch(&format!("/users/{user}"), body).await;
            }
            2 => {
                let path = format!("/groups/{group}/members/$ref");
                bench.post(&path, bench.reference(&user)).await;
            }
            3 => {
                let path = format!("/groups/{group}/members/{user}/$ref");
                bench.delete(&path).await;
            }
            4 => {
                bench.delete(&format!("/users/{user}")).await;
                self.binned.push(user);
            }
            5 => {
                bench.delete(&format!("/groups/{group}")).await;
                self.binned.push(group);
            }
            6 | 7 if !self.binned.is_empty() => {
                let gone = self.dice.pick(&self.binned).clone();
                let path = format!("/directory/deletedItems/{gone}/restore");
                bench.send("POST", &path, None).await;
            }
            8 if !self.binned.is_empty() && self.dice.below(3) == 0 => {
                let gone = self.dice.pick(&self.binned).clone();
                bench
                    .delete(&format!("/directory/deletedItems/{gone}"))
                    .await;
            }
            _ => {
                let name = format!("n{}", self.dice.below(1_000_000));
                self.users.push(bench.user(&name).await);
            }
        }
    }

    /// Follows a round to its end while the tenant changes; answers the delta link.
    async fn follow(&mut self, start: &str, changes: bool, mut take: impl FnMut(&Value)) -> String {
        let mut link = start.to_owned();
        for _ in 0..400 {
            if changes && self.dice.below(2) == 0 {
                self.change().await;
            }
            let page = self.bench.get(&link).await.expect(200);
            let items = page["value"].as_array().unwrap();
            items.iter().for_each(&mut take);
            self.pages += 1;
            match page["@odata.deltaLink"].as_str() {
                Some(link) => return link.to_owned(),
                None => page["@odata.nextLink"]
                    .as_str()
                    .unwrap()
                    .clone_into(&mut link),
            }
            self.empty_pages += usize::from(items.is_empty());
        }
        panic!("the round never ended");
    }

    /// What is really there, read without any lag or trap.
    async fn truth(&self) -> (BTreeMap<String, Value>, BTreeMap<String, BTreeSet<String>>) {
        let mut users = BTreeMap::new();
        for user in self.bench.all("/users?$select=id,department").await {
            users.insert(id(&user), user["department"].clone());
        }
        let mut groups = BTreeMap::new();
        for group in ids(&self.bench.all("/groups?$select=id").await) {
            let path = format!("/groups/{group}/members?$select=id");
            let members = ids(&self.bench.all(&path).await);
            groups.insert(group, members.into_iter().collect());
        }
        (users, groups)
    }
}

const LAG: Duration = Duration::from_secs(20);

/// Follows a changing tenant through several rounds and compares at the end.
async fn check(seed: u64, traps: DeltaTraps, lag: Duration) -> World {
    let mut world = World::new(seed).await;
    world.bench.simulator.set_delta_traps(traps);
    world
        .bench
        .simulator
        .set_replication(Replication { max_lag: lag, seed });
    // Replicas differ from the first page on.
    for _ in 0..12 {
        world.change().await;
    }
    let mut mirror = Mirror::default();
    let mut users = "/users/delta?$select=department".to_owned();
    let mut groups = "/groups/delta?$select=displayName,members".to_owned();
    for round in 0..5 {
        // The last round is quiet, so that it can be compared.
        let changes = round < 4;
        if !changes {
            world.clock.advance(lag);
        }
        users = world
            .follow(&users, changes, |item| mirror.take_user(item))
            .await;
        groups = world
            .follow(&groups, changes, |item| mirror.take_group(item))
            .await;
    }
    let (live, linked) = world.truth().await;
    assert_eq!(mirror.users, live, "users, seed {seed}");
    assert_eq!(mirror.live_members(), linked, "groups, seed {seed}");
    world
}

#[tokio::test]
async fn a_follower_that_keeps_the_rules_survives_every_trap() {
    let (mut pages, mut empty) = (0, 0);
    for seed in 0..25 {
        let world = check(seed, DeltaTraps::all(seed), Duration::ZERO).await;
        pages += world.pages;
        empty += world.empty_pages;
    }
    assert!(
        pages > 600 && empty > 50,
        "{pages} pages, {empty} of them empty"
    );
}

#[tokio::test]
async fn late_replicas_lose_no_change() {
    let small_pages = DeltaTraps {
        page: Some(4),
        slice: Some(3),
        ..DeltaTraps::default()
    };
    for seed in 0..15 {
        check(seed, small_pages.clone(), LAG).await;
    }
}

#[tokio::test]
async fn traps_and_late_replicas_together_lose_no_change() {
    for seed in 100..115 {
        check(seed, DeltaTraps::all(seed), LAG).await;
    }
}

/// All items of a first round and of the later round after `change`.
async fn two_rounds(traps: DeltaTraps) -> (World, Vec<Value>, Vec<Value>) {
    let mut world = World::new(1).await;
    let user = world.users[19].clone();
    world.bench.delete(&format!("/users/{user}")).await;
    world.bench.simulator.set_delta_traps(traps);
    let mut first = Vec::new();
    let start = "/groups/delta";
    let link = world
        .follow(start, false, |item| first.push(item.clone()))
        .await;
    let (group, user) = (world.groups[0].clone(), world.users[0].clone());
    let body = json!({ "description": "new" });
    world.bench.patch(&format!("/groups/{group}"), body).await;
    world.bench.delete(&format!("/users/{user}")).await;
    world
        .bench
        .delete(&format!("/directory/deletedItems/{user}"))
        .await
        .expect(204);
    let mut later = Vec::new();
    world
        .follow(&link, false, |item| later.push(item.clone()))
        .await;
    (world, first, later)
}

#[tokio::test]
async fn each_trap_alone_does_what_it_says() {
    let none = DeltaTraps {
        seed: 7,
        page: Some(2),
        slice: Some(3),
        ..DeltaTraps::default()
    };
    let groups = |items: &[Value]| ids(items);
    let (_, plain, plain_later) = two_rounds(none.clone()).await;
    // Four groups of twelve members in slices of three, one group after the other.
    assert_eq!(plain.len(), 16, "{plain:?}");
    let mut runs = groups(&plain);
    runs.dedup();
    assert_eq!(runs.len(), 4);
    let removed = |items: &[Value]| {
        items
            .iter()
            .flat_map(|item| item["members@delta"].as_array().into_iter().flatten())
            .filter(|link| link["@removed"].is_object())
            .count()
    };
    assert_eq!(removed(&plain_later), 1, "{plain_later:?}");

    let traps = DeltaTraps {
        silent_hard_deletes: true,
        ..none.clone()
    };
    let (_, _, later) = two_rounds(traps).await;
    assert_eq!(removed(&later), 0, "{later:?}");

    let traps = DeltaTraps {
        interleaved_slices: true,
        ..none.clone()
    };
    let (_, first, _) = two_rounds(traps).await;
    let mut runs = groups(&first);
    runs.dedup();
    assert!(runs.len() > 4, "slices of one group stand apart: {runs:?}");

    let traps = DeltaTraps {
        duplicates: true,
        ..none.clone()
    };
    let (_, first, _) = two_rounds(traps).await;
    assert!(first.len() > 16);

    let traps = DeltaTraps {
        replays: true,
        ..none.clone()
    };
    let (_, first, later) = two_rounds(traps).await;
    assert!(first.len() > 16 || later.len() > plain_later.len());

    let traps = DeltaTraps {
        removed_at_first: true,
        ..none.clone()
    };
    let (_, first, _) = two_rounds(traps).await;
    assert!(first.iter().any(|item| item["@removed"].is_object()));

    let traps = DeltaTraps {
        empty_pages: true,
        ..none
    };
    let (world, ..) = two_rounds(traps).await;
    assert!(world.empty_pages > 0);
}

#[tokio::test]
async fn a_fresh_token_on_a_stale_replica_is_handed_back() {
    let mut world = World::new(3).await;
    let start = "/users/delta?$select=department";
    let link = world.follow(start, false, |_| {}).await;
    world.bench.simulator.set_replication(Replication {
        max_lag: LAG,
        seed: 1,
    });
    world.clock.advance(Duration::from_secs(1));
    let user = world.users[0].clone();
    let body = json!({ "department": "late" });
    world
        .bench
        .patch(&format!("/users/{user}"), body)
        .await
        .expect(204);
    world.clock.advance(Duration::from_secs(10));
    // Half of the replicas know the change; once a follower has it, none may take it back.
    let (mut link, mut seen, mut before) = (link, 0, 0);
    for _ in 0..40 {
        let mut items = 0;
        link = world.follow(&link, false, |_| items += 1).await;
        seen += items;
        before += usize::from(seen == 0);
    }
    assert_eq!(seen, 1, "told once");
    assert!(before > 0, "and later than at once");
}

#[tokio::test]
async fn a_mark_covers_what_a_late_read_may_still_miss() {
    let mut world = World::new(4).await;
    world.bench.simulator.set_replication(Replication {
        max_lag: LAG,
        seed: 1,
    });
    world.clock.advance(Duration::from_secs(1));
    let user = world.users[0].clone();
    let body = json!({ "department": "late" });
    let path = format!("/users/{user}");
    world.bench.patch(&path, body).await.expect(204);
    world.clock.advance(Duration::from_secs(1));
    let start = "/users/delta?$select=department&$deltatoken=latest";
    let link = world.follow(start, false, |_| {}).await;
    world.clock.advance(LAG);
    let mut told = Vec::new();
    let link = world.follow(&link, false, |item| told.push(id(item))).await;
    assert_eq!(told, [user]);
    world
        .follow(&link, false, |item| panic!("told twice: {item}"))
        .await;
}

#[tokio::test]
async fn reads_lag_writes_do_not_and_in_the_end_all_agree() {
    let mut world = World::new(5).await;
    world.bench.simulator.set_replication(Replication {
        max_lag: LAG,
        seed: 2,
    });
    world.clock.advance(Duration::from_secs(1));
    let path = format!("/users/{}", world.users[0]);
    let body = json!({ "department": "new" });
    world.bench.patch(&path, body).await.expect(204);
    world.clock.advance(Duration::from_secs(10));
    let select = format!("{path}?$select=department");
    let batch = json!({ "requests": [{ "id": "1", "method": "GET", "url": select }] });
    let mut seen = BTreeSet::new();
    for _ in 0..30 {
        let single = world.bench.get(&select).await.expect(200)["department"].clone();
        let batched = world.bench.post("/$batch", batch.clone()).await.expect(200);
        let batched = batched["responses"][0]["body"]["department"].clone();
        seen.extend([format!("single {single}"), format!("batch {batched}")]);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    // A write sees what a lagging read may not: the group is there and the member is new.
    let fresh = world.bench.user("fresh").await;
    let group = world.groups[0].clone();
    let members = format!("/groups/{group}/members/$ref");
    world
        .bench
        .post(&members, world.bench.reference(&fresh))
        .await
        .expect(204);
    world.clock.advance(LAG);
    for _ in 0..30 {
        world
            .bench
            .get(&format!("/users/{fresh}"))
            .await
            .expect(200);
        let user = world.bench.get(&select).await.expect(200);
        assert_eq!(user["department"], "new");
    }
    world.change().await;
}
