//! Tenants that are attacked while their logs are followed, by processes that are
//! killed, through faults; and who follows when.

mod oracle;
mod world;

use std::collections::BTreeMap;
use std::task::Poll;

use chrono::TimeDelta;
use model::SignalId;
use model::snapshot::{Completeness, Content, Kind, Method};
use model::{Object, ObjectState, ObjectType};
use prometheus_client::registry::Registry;
use proto::v1::{ChangeKind, InitiatorType, Signal, SignalSource};
use runtime::clock::Clock as _;
use serde_json::{Value, json};
use simulator::{Reach, TenantSpec};
use store::{Area, TenantState};
use testkit::store::meta;
use tokio_util::sync::CancellationToken;

use super::*;
use oracle::{Must, expected, hours};
use world::{Dice, Process, TENANT, World, id, run};

/// Limits that a small tenant can pass.
const WATCH: &str = "on,mass-delete=3,bulk-disable=2";
/// How many changes an attack makes.
const CHANGES: u64 = 70;

/// What was told one by one, by time and rule: of each the ids that it is about.
fn told(signals: &[Signal]) -> BTreeMap<(i64, String), Vec<Vec<String>>> {
    let mut told: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for signal in signals.iter().filter(|it| !it.name.ends_with("-hour")) {
        let targets = signal.targets.iter();
        let ids = targets.filter_map(|it| it.object.clone().map(|it| it.id));
        let time = signal.time.unwrap_or_default().seconds;
        let key = (time, signal.rule.clone());
        told.entry(key).or_default().push(ids.collect());
    }
    told
}

/// Attacks a tenant for some hours, and follows its log through it.
async fn attack(seed: u64) -> Vec<String> {
    let world = World::new(seed, WATCH).await;
    let mut dice = Dice::new(seed);
    let mut process = world.process();
    process.look().await;
    world.spoil(0.1, seed);
    let (mut expectations, mut counted) = (Vec::new(), BTreeMap::<&str, Vec<_>>::new());
    for step in 0..CHANGES {
        // Some come in quick succession, so that limits are passed.
        let seconds = if dice.roll(3) == 0 { 400 } else { 20 };
        world.pass(1 + dice.roll(seconds)).await;
        let before = world.simulator.dump(TENANT);
        let time = world.clock.now().timestamp();
        let lines = world
            .tenant
            .mutate_within(Reach::Everything, seed * 1_000 + step, 1);
        let after = world.simulator.dump(TENANT);
        for line in &lines {
            for (must, about) in expected(line, &before, &after) {
                if let Must::Count(rule) = must {
                    counted.entry(rule).or_default().push((time, about.clone()));
                }
                expectations.push((time, must, about));
            }
        }
        match dice.roll(6) {
            // It dies somewhere on the way, and another takes its place.
            0 => {
                process.look_until_killed(dice.roll(120)).await;
                process = world.process();
            }
            1 | 2 => {
                process.look().await;
            }
            // An outage.
            3 if dice.roll(8) == 0 => world.pass(20_000).await,
            _ => {}
        }
    }
    // What is late comes, what is held ends, and somebody looks.
    world.pass(8_000).await;
    world.spoil(0.0, seed);
    process.look().await;
    let signals = world.signals().await;
    let mut wrong = oracle::compare(&expectations, &told(&signals));
    for (rule, least) in [("mass-delete", 3), ("bulk-disable", 2)] {
        let counted = counted.remove(rule).unwrap_or_default();
        let must: Vec<i64> = hours(&counted, least).into_iter().collect();
        let is = |it: &&Signal| it.rule == rule;
        let hour = |it: &Signal| {
            let (time, _) = it.name.rsplit('/').next()?.split_once('-')?;
            let time = chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S").ok()?;
            Some(time.and_utc().timestamp().div_euclid(3_600))
        };
        let found: Vec<i64> = signals.iter().filter(is).filter_map(hour).collect();
        if found != must {
            wrong.push(format!("{rule} was told in {found:?} in place of {must:?}"));
        }
    }
    let actors = signals.iter().filter_map(|it| it.actor.clone());
    let foreign = actors.filter(|by| by.display_name != "Daily Work" || by.is_rewind);
    wrong.extend(foreign.map(|by| format!("somebody else did it: {by:?}")));
    wrong
}

#[test]
fn random_attacks_raise_exactly_their_signals() {
    for seed in 0..24 {
        let wrong = run(attack(seed));
        assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
    }
}

fn metric(of: &Follower, series: &str) -> Option<String> {
    let mut registry = Registry::default();
    of.context.metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let series = format!("{series}{{tenant=\"{TENANT}\"}}");
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(&series)?.trim().to_owned()))
}

/// Somebody, not Rewind, takes a user out of the bin; who that user is.
fn disturb(world: &World) -> String {
    let users = live(world, ObjectType::User, |body| {
        body["onPremisesSyncEnabled"] != true
    });
    let user = users[0].clone();
    world.send("DELETE", &format!("/users/{user}"), None);
    let path = format!("/directory/deletedItems/{user}/restore");
    world.send("POST", &path, None);
    user
}

#[test]
fn of_two_processes_one_follows_and_the_other_makes_no_call() {
    run(async {
        let world = World::new(1, "on").await;
        let (mut one, mut other) = (world.process(), world.process());
        one.look().await;
        for _ in 0..30 {
            world.pass(300).await;
            let before = world.asked("");
            let again = other.look().await;
            assert_eq!(world.asked(""), before, "it does not hold the tenant");
            assert!(again > world.clock.now());
            one.look().await;
            assert_eq!(world.asked(""), before + 1, "one page of the log");
        }
        let last = metric(&one.of, "rewind_audit_log_read_time_seconds");
        assert_eq!(last, Some(world.clock.now().timestamp().to_string()));
        assert_eq!(
            metric(&other.of, "rewind_audit_log_read_time_seconds"),
            None
        );

        // One lets go; the other follows as soon as it looks.
        one.followed.let_go(&one.of).await;
        assert_eq!(metric(&one.of, "rewind_audit_log_read_time_seconds"), None);
        let asked = world.asked("auditlogs");
        other.look().await;
        assert_eq!(world.asked("auditlogs"), asked + 1);
        one.look().await;
        assert_eq!(world.asked("auditlogs"), asked + 1);

        // The other dies: one goes on within the hour.
        drop(other);
        let mut waited = 0;
        while world.asked("auditlogs") == asked + 1 {
            assert!(waited <= 3_600, "nobody goes on");
            world.pass(300).await;
            waited += 300;
            one.look().await;
        }
        assert!(waited > 3_000, "it was held until then: {waited}");
    });
}

#[test]
fn a_process_that_slept_has_lost_the_tenant_and_does_no_harm() {
    run(async {
        let world = World::new(2, "on").await;
        let (mut sleeper, mut other) = (world.process(), world.process());
        sleeper.look().await;
        world.pass(4_000).await;
        other.look().await;
        let asked = world.asked("");
        sleeper.look().await;
        assert_eq!(world.asked(""), asked, "another follows meanwhile");
        // Both read the same, as after clocks that differ: nothing is told twice.
        let restored = disturb(&world);
        world.pass(4_000).await;
        let mut third = world.process();
        other.look().await;
        world.pass(3_700).await;
        third.look().await;
        let signals = world.signals().await;
        let about = |signal: &&Signal| {
            signal.rule == "foreign-restore"
                && signal.targets[0].object.as_ref().unwrap().id == restored
        };
        assert_eq!(signals.iter().filter(about).count(), 1, "{signals:#?}");
    });
}

#[test]
fn what_the_directory_gave_up_is_told_once() {
    run(async {
        let world = World::new(3, "on").await;
        let mut process = world.process();
        process.look().await;
        disturb(&world);
        world.pass(40 * 86_400).await;
        disturb(&world);
        world.pass(7_200).await;
        // It dies when the signal is stored and the cursor is not.
        for turns in [40, 80, 160, 320, 640] {
            let mut process = world.process();
            process.look_until_killed(turns).await;
            world.pass(3_700).await;
        }
        let mut process = world.process();
        process.look().await;
        let signals = world.signals().await;
        let gaps: Vec<&Signal> = signals.iter().filter(|it| it.rule == "log-gap").collect();
        assert_eq!(gaps.len(), 1, "{gaps:#?}");
        assert!(gaps[0].title.contains(" to "), "{}", gaps[0].title);
        let raised = gaps[0].time.unwrap_or_default().seconds;
        let ago = world.clock.now().timestamp() - raised;
        assert!(ago < 86_400, "told for a time {ago} seconds ago");
        let day = chrono::DateTime::from_timestamp(raised, 0).unwrap();
        let begins = format!("/{}-log-gap-", day.format("%Y%m%d"));
        assert!(gaps[0].name.contains(&begins), "{}", gaps[0].name);
        let restores = signals.iter().filter(|it| it.rule == "foreign-restore");
        assert_eq!(restores.count(), 1, "the first is lost, the second is not");
        assert_eq!(
            metric(&process.of, "rewind_audit_watch_failures_total"),
            None
        );
    });
}

#[test]
fn only_active_licensed_tenants_that_want_it_are_followed() {
    run(async {
        let world = World::new(4, "off").await;
        let mut process = world.process();
        process.look().await;
        assert_eq!(world.asked(""), 0, "it is off");
        world
            .register(|it| it.audit_watch = "on".parse().unwrap())
            .await;
        world.pass(1_000).await;
        process.look().await;
        assert_eq!(world.asked("auditlogs"), 1);
        world.register(|it| it.state = TenantState::Suspended).await;
        world.pass(1_000).await;
        let before = world.asked("");
        process.look().await;
        assert_eq!(world.asked(""), before, "it is suspended");
        world.register(|it| it.state = TenantState::Active).await;
        let mut spec = TenantSpec::practice(TENANT);
        spec.licence = simulator::Licence::None;
        world.simulator.add_tenant(spec);
        world.pass(4_000).await;
        process.look().await;
        assert_eq!(world.asked("auditlogs"), 1, "it has no licence");
        assert!(world.asked("subscribedskus") >= 2);
        assert_eq!(world.signals().await, []);
    });
}

#[test]
fn a_log_that_may_not_be_read_is_told_and_tried_again() {
    run(async {
        let world = World::new(5, "on").await;
        let mut spec = TenantSpec::practice(TENANT);
        spec.apps[0].roles.remove("AuditLog.Read.All");
        world.simulator.add_tenant(spec);
        let mut process = world.process();
        let again = process.look().await;
        assert!(again >= world.clock.now() + TimeDelta::minutes(59));
        let failures = metric(&process.of, "rewind_audit_watch_failures_total");
        assert_eq!(failures.as_deref(), Some("1"));
        assert_eq!(world.signals().await, [], "it was never read");
        world.simulator.add_tenant(TenantSpec::practice(TENANT));
        world.pass(3_600).await;
        process.look().await;
        // By when it says again that it has the tenant, and keeps how far it read.
        world.pass(1_900).await;
        process.look().await;
        let failures = metric(&process.of, "rewind_audit_watch_failures_total");
        assert_eq!(failures.as_deref(), Some("1"));

        // Now that it was read, it is news that it may not be any more: once.
        let mut spec = TenantSpec::practice(TENANT);
        spec.apps[0].roles.remove("AuditLog.Read.All");
        world.simulator.add_tenant(spec);
        for _ in 0..30 {
            world.pass(3_700).await;
            process.look().await;
        }
        world.pass(3_700).await;
        world.process().look().await;
        let signals = world.signals().await;
        let rules: Vec<&str> = signals.iter().map(|it| it.rule.as_str()).collect();
        assert_eq!(rules, ["audit-log-closed"], "{signals:#?}");
    });
}

#[test]
fn what_lies_far_back_is_read_a_part_a_look() {
    run(async {
        let world = World::new(9, "on").await;
        let mut process = world.process();
        process.look().await;
        world.pass(20 * 3_600).await;
        let mut looks = 1;
        while process.look_once().await <= world.clock.now() {
            looks += 1;
        }
        assert_eq!(looks, 4, "six hours each");
    });
}

#[test]
fn a_tenant_whose_look_broke_down_is_looked_at_again() {
    run(async {
        let world = World::new(10, "on").await;
        let of = world.process().of;
        let mut tenants = Tenants::default();
        tenants.list(&of).await.unwrap();
        tenants.queue.clear();
        tenants.known.insert(id(), None);
        let mut looks: JoinSet<Looked> = JoinSet::new();
        let breaks = std::future::poll_fn(|_| -> Poll<Looked> { panic!("it breaks down") });
        let task = looks.spawn(breaks);
        tenants.looking.insert(task.id(), id());
        let ended = looks.join_next_with_id().await.unwrap();
        tenants.back(&of, ended);
        assert!(tenants.known[&id()].is_some());
        let (due, tenant) = tenants.queue.first().unwrap();
        assert_eq!((*due, tenant), (world.clock.now() + of.every, &id()));
        let failures = metric(&of, "rewind_audit_watch_failures_total");
        assert_eq!(failures.as_deref(), Some("1"));
    });
}

#[test]
fn the_writer_is_known_by_its_service_principal_alone() {
    run(async {
        let mut world = World::new(11, "on").await;
        // The client id follows from the tenant: whoever makes the same application in
        // the same tenant gets it again.
        let register = |tenant: &simulator::TenantHandle| {
            let body = json!({"displayName": "Rewind Writer"});
            let intruder = simulator::INTRUDER_CLIENT_ID;
            let status = tenant.send(intruder, "POST", "/applications", Some(&body));
            assert_eq!(status, 201);
            let applications = live(&world, ObjectType::Application, |it| {
                it["displayName"] == "Rewind Writer"
            });
            let dump = world.simulator.dump(TENANT);
            let all = &dump["objects"][ObjectType::Application.name()];
            let application = &all[applications[0].as_str()];
            application["appId"].as_str().unwrap().to_owned()
        };
        let spec = TenantSpec::practice(TENANT);
        let writer = register(&world.simulator.add_tenant(spec.clone()));
        let mut spec = spec;
        spec.apps[1].client_id.clone_from(&writer);
        let tenant = world.simulator.add_tenant(spec);
        assert_eq!(register(&tenant), writer);
        world.tenant = tenant;
        let principal = json!({"appId": writer});
        world.send("POST", "/servicePrincipals", Some(principal));
        let principals = live(&world, ObjectType::ServicePrincipal, |it| {
            it["appId"] == writer.as_str()
        });
        let principal = principals[0].as_str();
        world.tenant.populate(&simulator::Population {
            users: 14,
            groups: 4,
            seed: 11,
        });
        let users = live(&world, ObjectType::User, |body| {
            body["onPremisesSyncEnabled"] != true
        });
        let (user, glass) = (users[0].as_str(), users[1].as_str());
        let own = model::Application::Own {
            client_id: writer.clone(),
            proof: model::Proof {
                kind: model::ProofKind::Secret,
                reference: "env:X".to_owned(),
            },
        };
        let glasses = vec![model::ObjectId::parse(glass).unwrap()];
        world
            .register(|it| {
                it.writer = Some(own);
                it.break_glass = glasses;
            })
            .await;
        world.pass(10).await;
        let mut process = world.process();
        process.look().await;
        for n in 0..12 {
            world.pass(1).await;
            let title = Some(json!({"jobTitle": format!("Clerk {n}")}));
            world.send_as(&writer, "PATCH", &format!("/users/{glass}"), title);
            world.send_as(&writer, "DELETE", &format!("/users/{user}"), None);
            let path = format!("/directory/deletedItems/{user}/restore");
            world.send_as(&writer, "POST", &path, None);
        }
        let signals = catch_up(&world, &mut process).await;
        let rules: Vec<&str> = signals.iter().map(|it| it.rule.as_str()).collect();
        assert_eq!(rules, ["break-glass"; 12], "no restore is foreign");
        let actors: Vec<_> = signals.iter().filter_map(|it| it.actor.clone()).collect();
        assert!(actors.iter().all(|by| by.is_rewind), "{actors:#?}");
        let ids = actors.iter().map(|by| by.id.as_str());
        let ids: std::collections::BTreeSet<&str> = ids.collect();
        assert_eq!(ids, [writer.as_str(), principal].into());
    });
}

/// Takes a snapshot of some objects of the tenant, as they are now.
async fn snapshot(world: &World, slot: &str, ids: &[(ObjectType, &str)]) {
    let dump = world.simulator.dump(TENANT);
    let object = |(object_type, id): &(ObjectType, &str)| {
        let mut body = dump["objects"][object_type.name()][id].clone();
        body["id"] = (*id).into();
        Object::from_json(*object_type, ObjectState::Live, &body.to_string()).unwrap()
    };
    let at = world.clock.now();
    let complete = |kind| Completeness::begun(kind, Method::SingleRead, at);
    let content = Content {
        objects: ids.iter().map(object).collect(),
        completeness: Kind::all().into_iter().map(complete).collect(),
        ..Content::default()
    };
    let vault = world.vault.tenant(&id()).await.unwrap();
    let meta = meta(slot, "a", (at - testkit::store::moment(0)).num_seconds());
    vault
        .commit_content(&meta, &content.sorted())
        .await
        .unwrap();
}

fn live(world: &World, object_type: ObjectType, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let dump = world.simulator.dump(TENANT);
    let all = dump["objects"][object_type.name()].as_object().cloned();
    let all = all.unwrap_or_default().into_iter();
    all.filter(|(_, body)| wanted(body))
        .map(|(id, _)| id)
        .collect()
}

async fn catch_up(world: &World, process: &mut Process) -> Vec<Signal> {
    world.pass(3_700).await;
    process.followed = super::follow::Followed::default();
    process.look().await;
    world.signals().await
}

#[test]
fn a_signal_says_who_did_what_and_what_would_put_it_back() {
    run(async {
        let world = World::new(6, "on").await;
        let users = live(&world, ObjectType::User, |body| {
            body["onPremisesSyncEnabled"] != true
        });
        let policies = live(&world, ObjectType::ConditionalAccessPolicy, |_| true);
        let (user, policy) = (users[0].as_str(), policies[0].as_str());
        let kinds = [
            (ObjectType::User, user),
            (ObjectType::ConditionalAccessPolicy, policy),
        ];
        snapshot(&world, "20260921-daily", &kinds).await;
        let glass = users[1].clone();
        world
            .register(|it| it.break_glass = vec![model::ObjectId::parse(&glass).unwrap()])
            .await;
        let mut process = world.process();
        process.look().await;
        world.pass(100).await;
        world.send("DELETE", &format!("/users/{user}"), None);
        world.send("DELETE", &format!("/directory/deletedItems/{user}"), None);
        let path = format!("/identity/conditionalAccess/policies/{policy}");
        world.send("PATCH", &path, Some(json!({"state": "disabled"})));
        let title = Some(json!({"jobTitle": "Clerk"}));
        world.send("PATCH", &format!("/users/{glass}"), title);
        // One that was taken meanwhile holds what was done, and is no base.
        world.pass(100).await;
        snapshot(&world, "20260922-daily", &kinds[1..]).await;
        let signals = catch_up(&world, &mut process).await;
        let rules: Vec<&str> = signals.iter().map(|it| it.rule.as_str()).collect();
        let mut sorted = rules.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            ["break-glass", "hard-delete", "policy-change"],
            "{signals:#?}"
        );
        let of = |rule: &str| signals.iter().find(|it| it.rule == rule).unwrap();

        let purged = of("hard-delete");
        assert_eq!(purged.source(), SignalSource::Audit);
        let actor = purged.actor.clone().unwrap();
        assert_eq!(actor.r#type(), InitiatorType::Application);
        assert_eq!(actor.id, simulator::INTRUDER_CLIENT_ID);
        assert!(!actor.is_rewind);
        assert_eq!(purged.audit_ids.len(), 1);
        assert!(purged.audit_ids[0].starts_with("Directory_"));
        let parent = format!("tenants/{TENANT}");
        assert_eq!(purged.base, format!("{parent}/snapshots/20260921-daily"));
        let target = &purged.targets[0];
        assert!(target.in_snapshot && !target.snapshot_display_name.is_empty());
        let object = target.object.clone().unwrap();
        assert_eq!((object.r#type.as_str(), object.id.as_str()), ("user", user));
        assert_eq!(
            purged.command,
            format!(
                "rewind restore plan --tenant {TENANT} --snapshot 20260921-daily --id {user} --recreate-hard-deleted"
            )
        );
        assert_eq!(purged.evidence[0].kind(), ChangeKind::HardDeleted);
        let activity = purged.evidence[0].activity.clone().unwrap();
        assert_eq!(activity.activity, "Hard Delete user");

        let changed = of("policy-change");
        assert_eq!(
            changed.command,
            format!(
                "rewind restore plan --tenant {TENANT} --snapshot 20260921-daily --id {policy}"
            )
        );
        assert_eq!(changed.evidence[0].kind(), ChangeKind::Modified);
        let touched = of("break-glass");
        assert!(!touched.targets[0].in_snapshot, "it is not in the snapshot");
        assert_eq!(touched.command, "", "so nothing would put it back");
        let names = purged.name.rsplit('/').next().unwrap();
        assert!(SignalId::parse(names).is_ok());
    });
}

#[test]
fn a_schedule_follows_all_tenants_and_lets_go_when_it_ends() {
    run(async {
        let world = World::new(7, "on").await;
        let context = world.process().of.context;
        let stop = CancellationToken::new();
        let every = TimeDelta::minutes(5);
        let running = tokio::spawn(super::run(context, every, stop.clone()));
        // Looks take no time of a clock that stands still.
        for _ in 0..200 {
            if world.asked("auditlogs") > 0 {
                break;
            }
            world.pass(1).await;
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(world.asked("auditlogs"), 1);
        stop.cancel();
        running.await.unwrap();
        let vault = world.vault.tenant(&id()).await.unwrap();
        let last = super::cursor::newest(&vault).await.unwrap().unwrap();
        assert_eq!(last.number, 2, "taken, and let go of");
        assert!(last.expires <= world.clock.now());
        let names = vault.list_names(Area::Cursors, "audit").await.unwrap();
        assert_eq!(names, ["0000000001", "0000000002"]);
    });
}
