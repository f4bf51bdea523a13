//! `rewind up` killed in the middle of its work, and started again.
//!
//! What decides the moment is what the tenant was asked: a fault holds every
//! further request, the counters tell when the ones before were answered, and
//! the kill follows. Nothing here waits for a time to pass.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator::attack::Deed;
use simulator::{Fault, FaultResponse};
use tokio::process::Child;

use crate::support::{
    FOREVER, TENANT, Up, World, answered, differing, entries, list, run, text, until,
};

/// More requests than any test makes.
const ALL: usize = 1_000_000;

/// Holds every further request with this method and path once `pass` went by.
fn hold(world: &World, method: &str, path: &str, pass: u64) {
    let pass = usize::try_from(pass).expect("a small number");
    let fault = Fault::once(method, path, FaultResponse::Delay(FOREVER));
    world.simulator.inject(fault.after(pass).times(ALL));
}

fn reads(world: &World) -> u64 {
    answered(&world.simulator.counters(), "GET")
}

fn names(resources: &Value) -> BTreeSet<String> {
    let names = list(resources).iter().map(|item| text(&item["name"]));
    names.collect()
}

/// Starts a command that is not waited for.
fn spawn(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.client(arguments);
    let command = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command.spawn().expect("rewind runs")
}

/// Checks what a killed snapshot left: all of it or nothing. Whether it is there.
async fn whole_or_absent(world: &World, killed: &str, others: &BTreeSet<String>) -> bool {
    let listed = world.run_json(&["snapshot", "list"]).await.exits(0);
    assert_eq!(listed.err, "", "nothing half-written is visible");
    let listed = names(&listed.json());
    let there = listed.contains(killed);
    let mut expected = others.clone();
    expected.extend(there.then(|| killed.to_owned()));
    assert_eq!(listed, expected);
    if there {
        world.is_whole(killed).await;
    } else {
        world
            .run(&["snapshot", "show", killed])
            .await
            .fails(4, &["NOT_FOUND"]);
    }
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_killed_while_reading_is_whole_or_absent() {
    let mut world = World::start(60).await;
    world.register().await;
    // A tenant that is read as if for the first time, then one whose changes are
    // followed, which takes fewer reads.
    let mut good = BTreeSet::new();
    for pass in [1, 20, 40] {
        let killed = killed_after(&mut world, pass).await;
        assert!(!whole_or_absent(&world, &killed, &good).await);
    }
    good.insert(world.snapshot().await);
    let idle = reads(&world);
    good.insert(world.snapshot().await);
    let needed = reads(&world) - idle;
    assert!(
        needed > 20,
        "{needed} reads are too few to be killed between"
    );

    for pass in [1, needed / 4, needed / 2, needed * 3 / 4, needed - 1] {
        let killed = killed_after(&mut world, pass).await;
        let there = whole_or_absent(&world, &killed, &good).await;
        assert!(!there || pass > 1, "it cannot be whole after one read");
        good.extend(there.then_some(killed));
        let next = world.snapshot().await;
        world.is_whole(&next).await;
        good.insert(next);
    }
}

/// Kills the installation once so many reads of a snapshot are answered, and starts
/// it again; the snapshot's name.
async fn killed_after(world: &mut World, pass: u64) -> String {
    let before = reads(world);
    hold(world, "GET", "*", pass);
    let started = world.json(&["snapshot", "take", "--detach"]).await;
    until("the reads before the kill are answered", || {
        reads(world) >= before + pass
    })
    .await;
    world.kill().await;
    world.resume().await;
    text(&started["name"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_killed_while_writing_is_whole_or_absent() {
    let mut world = World::start(1500).await;
    world.register().await;
    let mut good = BTreeSet::new();
    // A file of a run, the second one, the folder of the manifest.
    for (folder, more) in [("runs", 1), ("runs", 2), ("snapshots", 1)] {
        let folder = world.vault().join(folder);
        let files = entries(&folder).len() + more;
        let started = world.json(&["snapshot", "take", "--detach"]).await;
        let killed = text(&started["name"]);
        until("it writes", || entries(&folder).len() >= files).await;
        world.kill().await;
        world.resume().await;
        let there = whole_or_absent(&world, &killed, &good).await;
        if there {
            good.insert(killed);
        }
    }
    let next = world.snapshot().await;
    world.is_whole(&next).await;
    for snapshot in &good {
        world.is_whole(snapshot).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_report_is_absent_and_a_new_one_works() {
    let mut world = World::with_snapshot(40).await;
    let user = world.a_user().await;
    world.set_department(&user, "Elsewhere").await;
    for pass in [1, 8, 20] {
        let before = reads(&world);
        hold(&world, "GET", "*", pass);
        let create = ["diff", "create", "--snapshot", "latest", "--detach"];
        let killed = text(&world.json(&create).await["name"]);
        until("the reads before the kill are answered", || {
            reads(&world) >= before + pass
        })
        .await;
        world.kill().await;
        world.resume().await;
        let listed = world.json(&["diff", "list"]).await;
        assert!(!names(&listed).contains(&killed), "{listed}");
        world
            .run(&["diff", "show", &killed])
            .await
            .fails(4, &["NOT_FOUND"]);
        let report = world.report("latest").await;
        assert_eq!(report["counts"]["modified"], 1, "{report}");
        assert!(names(&world.json(&["diff", "list"]).await).contains(&text(&report["name"])));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_plan_is_absent_and_a_new_one_works() {
    let mut world = World::with_snapshot(40).await;
    world.attack().await;
    let plan = ["restore", "plan", "--snapshot", "latest"];
    let idle = reads(&world);
    let steps = world.json(&plan).await["steps"].clone();
    let needed = reads(&world) - idle;
    // While the differ compares, and while the restorer reads again.
    for pass in [1, needed / 2, needed - 3] {
        let before = reads(&world);
        hold(&world, "GET", "*", pass);
        let killed = world.json(&[&plan[..], &["--detach"]].concat()).await;
        let killed = text(&killed["plan"]["name"]);
        until("the reads before the kill are answered", || {
            reads(&world) >= before + pass
        })
        .await;
        world.kill().await;
        world.resume().await;
        let listed = world.json(&["restore", "list"]).await;
        let shown = listed.to_string();
        assert!(!shown.contains(&killed), "{killed} in {shown}");
        for command in ["show", "apply", "resume", "failures", "watch"] {
            let run = world.run(&["restore", command, &killed]).await;
            run.fails(4, &["NOT_FOUND"]);
        }
        let next = world.json(&plan).await;
        assert_eq!(next["steps"], steps);
    }
}

/// When a restore is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Before the write after so many of one method, which is held.
    HeldWrite(u64),
    /// At a read, so that writes are done whose outcome nobody wrote down.
    HeldRead(u64),
    /// As soon as so many writes are seen; nothing is held.
    Running(u64),
    /// The same, but the answers to the writes are lost.
    Unanswered(u64),
}

/// A tenant after an attack, with a plan to take everything back.
struct Attacked {
    world: World,
    before: Value,
    deeds: Vec<Deed>,
    plan: String,
    steps: u64,
}

impl Attacked {
    async fn start() -> Self {
        let world = World::with_snapshot(60).await;
        let before = world.simulator.dump(TENANT);
        let deeds = world.attack().await;
        let plan = [
            "restore",
            "plan",
            "--snapshot",
            "latest",
            "--added",
            "soft-delete",
        ];
        let plan = world.json(&plan).await["plan"].clone();
        Self {
            world,
            before,
            deeds,
            plan: text(&plan["name"]),
            steps: plan["stepCount"].as_u64().expect("a number"),
        }
    }

    fn writes(&self) -> u64 {
        self.world.simulator.counters().writes
    }

    /// Writes with one method, the most that any has.
    fn writes_alike(&self) -> u64 {
        let counters = self.world.simulator.counters();
        let kinds = ["PATCH", "PUT", "DELETE"].map(|method| answered(&counters, method));
        let posts = |end: &str| {
            let alike = counters.requests.iter();
            let alike = alike.filter(|(kind, _)| kind.starts_with("POST ") && kind.ends_with(end));
            alike.map(|(_, count)| count).sum::<u64>()
        };
        let posts = [posts("/restore"), posts("/$ref")];
        kinds.into_iter().chain(posts).max().unwrap_or_default()
    }

    /// Sets the trap; the number that springs it, to be compared with [`Self::seen`].
    fn prepare(&self, moment: Moment, round: u64) -> u64 {
        self.world.simulator.reset_counters();
        match moment {
            Moment::HeldWrite(pass) => {
                for method in ["PATCH", "PUT", "DELETE"] {
                    hold(&self.world, method, "*", pass);
                }
                hold(&self.world, "POST", "*/restore", pass);
                hold(&self.world, "POST", "*/$ref", pass);
                pass
            }
            Moment::HeldRead(pass) => {
                // Later rounds read more before they come to something new.
                let pass = pass + 10 * round;
                hold(&self.world, "GET", "*", pass);
                pass
            }
            Moment::Running(writes) => writes,
            Moment::Unanswered(writes) => {
                for method in ["PATCH", "DELETE"] {
                    let lost = Fault::once(method, "*", FaultResponse::DisconnectAfter);
                    self.world.simulator.inject(lost.after(1).times(1));
                }
                writes
            }
        }
    }

    fn seen(&self, moment: Moment) -> u64 {
        match moment {
            Moment::HeldWrite(_) => self.writes_alike(),
            Moment::HeldRead(_) => reads(&self.world),
            Moment::Running(_) | Moment::Unanswered(_) => self.writes(),
        }
    }

    /// Applies the plan and kills it over and over, until it is through; how
    /// often it was killed, and how many writes there were in all.
    async fn killed_until_done(&mut self, moment: Moment) -> (u64, u64) {
        let (mut kills, mut writes) = (0, 0);
        loop {
            let spring = self.prepare(moment, kills);
            let command = if kills == 0 { "apply" } else { "resume" };
            let mut client = spawn(&self.world, &["restore", command, &self.plan]);
            let mut ended = None;
            until("it is the moment, or the restore is through", || {
                ended = client.try_wait().expect("it is a child");
                ended.is_some() || self.seen(moment) >= spring
            })
            .await;
            if let Some(status) = ended {
                assert_eq!(status.code(), Some(0), "{moment:?} after {kills} kills");
                return (kills, writes + self.writes());
            }
            self.world.kill().await;
            // It would look for the gateway for some seconds.
            client.kill().await.expect("it is killed");
            kills += 1;
            writes += self.writes();
            assert!(kills < 60, "it does not get on: {moment:?}");
            self.world.resume().await;
            self.is_interrupted(kills).await;
        }
    }

    /// What is told of a restore whose process was killed.
    async fn is_interrupted(&self, kills: u64) {
        let listed = self.world.json(&["restore", "list"]).await;
        let [restore] = list(&listed) else {
            panic!("one plan, one restore, but {listed}");
        };
        let count = |field: &str| restore[field].as_u64().expect("a number");
        for field in ["conflicts", "failed", "skipped"] {
            assert_eq!(count(field), 0, "{restore}");
        }
        if restore["state"] == "RESTORE_STATE_SUCCEEDED" {
            // The result was written, and the kill came before it was told.
            assert_eq!(count("applied") + count("alreadyDone"), self.steps);
            return;
        }
        let planned = restore["state"] == "RESTORE_STATE_PLANNED" && kills == 1;
        assert!(
            planned || restore["state"] == "RESTORE_STATE_INTERRUPTED",
            "{restore}"
        );
        // What `watch` says of it is the same each time.
        if !planned && kills < 3 {
            let name = text(&restore["name"]);
            let watched = self.world.run(&["restore", "watch", &name]).await.exits(7);
            watched.says(&["interrupted", "rewind restore resume"]);
        }
    }

    /// Checks that the tenant is what it was and that the restore says so.
    async fn is_restored(&self) -> Value {
        let restore = self.world.json(&["restore", "watch", &self.plan]).await;
        assert_eq!(restore["state"], "RESTORE_STATE_SUCCEEDED", "{restore}");
        assert_eq!(restore["verified"], true, "{restore}");
        assert_eq!(restore["unexpected"], json!([]));
        let count = |field: &str| restore[field].as_u64().expect("a number");
        assert_eq!(count("stepCount"), self.steps);
        assert_eq!(count("applied") + count("alreadyDone"), self.steps);
        let differing = differing(&self.world, &self.before, &self.deeds);
        assert_eq!(differing, Vec::<String>::new(), "object by object");
        restore
    }
}

/// A restore that is killed again and again ends as one that is left alone: the
/// same tenant, after the same number of writes.
async fn as_if_left_alone(moment: Moment, fewest_kills: u64) {
    let mut attacked = Attacked::start().await;
    let (kills, writes) = attacked.killed_until_done(moment).await;
    assert!(
        kills >= fewest_kills,
        "{moment:?}: killed {kills} times only"
    );
    attacked.is_restored().await;

    let alone = Attacked::start().await;
    assert_eq!(alone.steps, attacked.steps);
    alone.world.simulator.reset_counters();
    let apply = ["restore", "apply", &alone.plan];
    alone.world.json(&apply).await;
    alone.is_restored().await;
    assert_eq!(
        writes,
        alone.writes(),
        "nothing is written twice: {moment:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_before_every_third_write_is_as_if_left_alone() {
    as_if_left_alone(Moment::HeldWrite(3), 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_after_every_write_is_as_if_left_alone() {
    as_if_left_alone(Moment::HeldWrite(1), 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_between_write_and_journal_is_as_if_left_alone() {
    as_if_left_alone(Moment::HeldRead(20), 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_while_running_is_as_if_left_alone() {
    as_if_left_alone(Moment::Running(5), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_after_lost_answers_is_as_if_left_alone() {
    as_if_left_alone(Moment::Unanswered(5), 2).await;
}

/// Another process takes over what the killed one left, in the same folder and
/// with a plan of the first one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_apply_one_plan_each_step_is_written_once() {
    let mut attacked = Attacked::start().await;
    let other = Up::start(&attacked.world.data()).await;
    attacked.world.simulator.reset_counters();
    hold(&attacked.world, "PATCH", "*", 2);
    let mut first = spawn(&attacked.world, &["restore", "apply", &attacked.plan]);
    until("the first one is in the middle", || {
        answered(&attacked.world.simulator.counters(), "PATCH") >= 2
    })
    .await;
    attacked.world.simulator.clear_faults();
    // Whoever finds the other's entry in the journal stops with a conflict;
    // once the first one hangs in a write, the second one goes on alone.
    let mut conflicts = 0;
    loop {
        let mut second = attacked
            .world
            .client(&["restore", "resume", &attacked.plan]);
        second.env("REWIND_GATEWAY", &other.url);
        let ended = run(&mut second).await;
        if ended.code != Some(6) {
            ended.exits(0);
            break;
        }
        conflicts += 1;
        assert!(conflicts < 20, "{ended:?}");
    }
    attacked.world.kill().await;
    first.kill().await.expect("it is killed");
    attacked.world.resume().await;
    attacked.is_restored().await;
    let log = other.log();
    assert!(!log.contains("panicked"), "{log}");
    other.kill().await;
}
