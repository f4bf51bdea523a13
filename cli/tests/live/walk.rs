//! Every command as a new user would give it, for people and for programs.

use serde_json::{Value, json};
use simulator::attack::{Deed, DeedKind};
use tokio::process::Command;

use crate::support::{TENANT, World, differing, list, run, text, words};

/// Runs a command both ways, which must succeed; the JSON of it.
async fn both(world: &World, arguments: &[&str], first_word: &str) -> Value {
    let people = world.run(arguments).await.exits(0);
    assert_eq!(
        people.out.split_whitespace().next(),
        Some(first_word),
        "{people:?}"
    );
    let programs = world.run_json(arguments).await.exits(0);
    // Nobody is told twice what the result says already.
    assert_eq!(programs.err, people.err);
    programs.json()
}

fn id_of(resource: &Value) -> String {
    let name = text(&resource["name"]);
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

fn counts(report: &Value) -> Value {
    let mut counts = report["counts"].clone();
    let fields = counts.as_object_mut().expect("counts");
    fields.retain(|_, count| *count != 0);
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_are_registered_and_checked() {
    let mut world = World::start(24).await;
    let none = world.run_json(&["tenant", "list"]).await.exits(0);
    assert_eq!(none.json(), json!([]));
    world
        .run(&["snapshot", "take"])
        .await
        .fails(2, &["no tenant is registered", "rewind tenant add"]);

    let added = both(&world, &words(&world.registration()), "Name").await;
    assert_eq!(added["name"], format!("tenants/{TENANT}"));
    assert_eq!(
        added["reader"]["secretRef"],
        "env:REWIND_CREDENTIAL_READER_PRACTICE"
    );
    let listed = both(&world, &["tenant", "list"], "ID").await;
    assert_eq!(list(&listed), std::slice::from_ref(&added));
    assert_eq!(both(&world, &["tenant", "show"], "Name").await, added);
    let shown = both(&world, &["tenant", "show", TENANT], "Name").await;
    assert_eq!(shown, added);

    let checked = both(&world, &["tenant", "check"], "APPLICATION").await;
    assert_eq!(checked["canSnapshot"], true, "{checked}");
    assert_eq!(checked["canRestore"], true, "{checked}");
    assert!(
        list(&checked["items"])
            .iter()
            .all(|item| item["ok"] == true)
    );

    let ended = world.stop().await.exits(0);
    assert_eq!(ended.out, "", "a server has no result but that it is ready");
    for (path, content) in world.files() {
        for secret in [simulator::READER_SECRET, simulator::WRITER_SECRET] {
            let holds = |content: &[u8]| {
                content
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes())
            };
            assert!(!holds(&content), "a secret is in {}", path.display());
            assert!(!ended.err.contains(secret), "a secret is in the log");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_checked() {
    let world = World::start(24).await;
    let checked = both(&world, &["store", "check"], "STORE").await;
    let findings = list(&checked["findings"]);
    let needed: Vec<&Value> = findings.iter().filter(|it| it["needed"] == true).collect();
    assert_eq!(needed.len(), 8, "{checked}");
    for finding in needed {
        assert_eq!(finding["outcome"], "STORE_OUTCOME_OK", "{finding}");
    }
    let stays = |path: &std::path::Path| path.components().any(|it| it.as_os_str() == "probe");
    assert!(!world.files().iter().any(|(path, _)| stays(path)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_taken_and_shown() {
    let world = World::start(24).await;
    world.register().await;
    let users = world.tenant.count("user");
    let taken = both(&world, &["snapshot", "take"], "Name").await;
    assert_eq!(taken["state"], "SNAPSHOT_STATE_COMPLETE");
    let kind = |name: &str| {
        let kinds = list(&taken["kinds"]);
        kinds.iter().find(|kind| kind["kind"] == name)
    };
    assert_eq!(kind("user").expect("users are read")["count"], users);
    assert!(
        list(&taken["kinds"])
            .iter()
            .all(|kind| kind["complete"] == true)
    );

    let listed = both(&world, &["snapshot", "list"], "ID").await;
    assert_eq!(list(&listed).len(), 2);
    assert!(list(&listed).contains(&taken));
    let latest = both(&world, &["snapshot", "show", "latest"], "Name").await;
    assert_eq!(latest, taken);
    for name in [id_of(&taken), text(&taken["name"])] {
        let shown = both(&world, &["snapshot", "show", &name], "Name").await;
        assert_eq!(shown, taken);
    }

    let detached = world.json(&["snapshot", "take", "--detach"]).await;
    let name = text(&detached["name"]);
    let mut state = text(&detached["state"]);
    while state == "SNAPSHOT_STATE_RUNNING" {
        state = text(&world.json(&["snapshot", "show", &name]).await["state"]);
    }
    assert_eq!(state, "SNAPSHOT_STATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_searched_shown_and_exported() {
    let world = World::with_snapshot(24).await;
    let user = world.a_user().await;
    let show = ["snapshot", "show", "latest", "--id", &user];
    let shown = both(&world, &show, "Name").await;
    let about = &shown["object"]["object"];
    assert_eq!(
        (&about["id"], &about["type"]),
        (&json!(user), &json!("user"))
    );
    let body: Value = serde_json::from_str(&text(&shown["object"]["json"])).expect("JSON");
    let principal_name = text(&body["userPrincipalName"]).to_uppercase();
    for term in [&user, &principal_name, &text(&about["displayName"])] {
        let found = both(&world, &["snapshot", "search", term], "ID").await;
        let is_it = |object: &Value| object["object"] == *about;
        assert!(list(&found).iter().any(is_it), "{term}: {found}");
    }
    let groups = ["snapshot", "search", "--type", "group", &user];
    assert_eq!(world.json(&groups).await, json!([]));
    let nobody = ["snapshot", "show", "latest", "--id", "nobody"];
    world.run(&nobody).await.fails(4, &["NOT_FOUND"]);

    let snapshot = world.json(&["snapshot", "show", "latest"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    for format in ["json", "jsonl", "parquet"] {
        let to = folder.path().join(format);
        let to = to.to_str().expect("text");
        let export = ["snapshot", "export", "--snapshot", "latest", "--to", to];
        let exported = world
            .json(&[&export[..], &["--format", format]].concat())
            .await;
        assert_eq!(exported["snapshot"], snapshot["name"], "{format}");
        assert_eq!(exported["links"], snapshot["linkCount"], "{format}");
        assert!(exported["objects"].as_i64() >= snapshot["objectCount"].as_i64());
    }
    let path = format!("json/Users/{user}/{user}.json");
    let file = std::fs::read_to_string(folder.path().join(path)).expect("a file");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!(file, body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_tell_what_changed() {
    let world = World::with_snapshot(24).await;
    let user = world.a_user().await;
    let before = world.department(&user).await;
    let create = ["diff", "create", "--snapshot", "latest"];
    let with = |more: &[&'static str]| [&create[..], more].concat();
    let quiet = both(&world, &create, "Name").await;
    assert_eq!(counts(&quiet), json!({}), "{quiet}");

    let first = text(&world.json(&["snapshot", "show", "latest"]).await["name"]);
    world.set_department(&user, "Elsewhere").await;
    let one = json!({ "modified": 1 });
    let live = both(&world, &create, "Name").await;
    assert_eq!(counts(&live), one);
    assert_eq!(live["method"], "changes_read");
    assert_eq!(live["narrowed"], true, "{live}");
    let kinds = list(&live["kinds"]);
    assert!(kinds.iter().any(|kind| kind["kind"] == "user"), "{live}");
    let full = world.json(&with(&["--full", "--wait"])).await;
    assert_eq!(
        (counts(&full), text(&full["method"])),
        (one.clone(), "full_read".to_owned())
    );
    let aged = world.json(&with(&["--max-age", "10m"])).await;
    assert_eq!(counts(&aged), one);
    assert_eq!(aged["method"], "cached_read", "{aged}");
    assert_eq!(aged["targetTime"], full["targetTime"]);
    let groups = world.json(&with(&["--type", "group,application"])).await;
    assert_eq!(counts(&groups), json!({}));
    assert_eq!(
        groups["scope"]["types"],
        json!(["group", "application"]),
        "{groups}"
    );
    let users = world.json(&with(&["--type", "user"])).await;
    assert_eq!(counts(&users), one);
    let scoped = ["diff", "create", "--snapshot", "latest", "--id", &user];
    assert_eq!(counts(&world.json(&scoped).await), one);

    let second = world.snapshot().await;
    let between = ["diff", "create", "--snapshot", &first, "--against", &second];
    let between = both(&world, &between, "Name").await;
    assert_eq!(counts(&between), one);
    assert_eq!(between["method"], "snapshot");
    assert_eq!(between["target"], second);
    let shown = both(&world, &["diff", "show", &id_of(&between)], "Name").await;
    assert_eq!(shown["report"], between);
    let change = &shown["changes"][0];
    assert_eq!(change["object"]["id"], user);
    assert_eq!(change["kind"], "CHANGE_KIND_MODIFIED");
    assert_eq!(
        change["attributes"],
        json!([{
            "path": "department",
            "beforeJson": json!(before).to_string(),
            "afterJson": "\"Elsewhere\"",
            "addedJson": [],
            "removedJson": [],
            "class": "ATTRIBUTE_CLASS_RESTORABLE",
        }])
    );
    assert_eq!(shown["report"]["auditLog"]["state"], "AUDIT_LOG_STATE_READ");
    let by = &change["activities"][0]["initiatedBy"];
    assert_eq!(by["displayName"], "Mail Export Tool", "{change}");
    let show = |filter: &[&'static str]| {
        let named = ["diff".to_owned(), "show".to_owned(), id_of(&between)];
        let filter = filter.iter().map(|&word| word.to_owned());
        named.into_iter().chain(filter).collect::<Vec<String>>()
    };
    for (filter, found) in [
        (&["--actor", "mail export"], 1),
        (&["--actor", "somebody else"], 0),
        (&["--attribute", "department"], 1),
        (&["--attribute", "jobTitle"], 0),
        (&["--text", "elsewhere"], 1),
        (&["--kind", "soft-deleted"], 0),
    ] {
        let chosen = world.json(&words(&show(filter))).await;
        assert_eq!(list(&chosen["changes"]).len(), found, "{filter:?}");
    }
    let people = world.run(&words(&show(&[]))).await.exits(0);
    assert!(
        people.out.contains("by application Mail Export Tool ("),
        "{people:?}"
    );

    let detached = world.json(&with(&["--detach"])).await;
    let name = text(&detached["name"]);
    let shown = loop {
        let shown = world
            .run_json(&["diff", "show", &name])
            .await
            .exits(0)
            .json();
        if shown["report"]["state"] != "REPORT_STATE_RUNNING" {
            break shown;
        }
    };
    assert_eq!(shown["report"]["state"], "REPORT_STATE_SUCCEEDED");

    let listed = both(&world, &["diff", "list"], "ID").await;
    // Twice each, for people and programs: quiet, live, between; six once.
    assert_eq!(list(&listed).len(), 3 * 2 + 6, "{listed}");
    assert!(list(&listed).contains(&between));
}

/// The words that the steps of a plan have at `key`.
fn of_steps(plan: &Value, pointer: &str) -> Vec<String> {
    let mut words: Vec<String> = list(&plan["steps"])
        .iter()
        .map(|step| text(step.pointer(pointer).expect("every step has it")))
        .collect();
    words.sort();
    words.dedup();
    words
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_hold_what_was_asked_for() {
    let world = World::with_snapshot(40).await;
    let deeds = world.attack().await;
    let report = id_of(&world.report("latest").await);
    let writes = world.simulator.counters().writes;
    let plan =
        |more: &[&'static str]| [&["restore", "plan", "--snapshot", "latest"], more].concat();

    let kept = both(&world, &plan(&["--all"]), "Name").await;
    let said = world.run(&plan(&["--all"])).await.exits(0);
    said.says(&["objects added since stay", "--added soft-delete"]);
    assert_eq!(kept["plan"]["state"], "PLAN_STATE_READY");
    assert_eq!(kept["plan"]["stepCount"], list(&kept["steps"]).len());
    let reason = |plan: &Value, word: &str| {
        let exclusions = list(&plan["exclusions"]).iter();
        exclusions.filter(|item| item["obstacle"] == word).count()
    };
    assert!(reason(&kept, "OBSTACLE_ADDED_KEPT") > 0, "{kept}");
    assert!(!of_steps(&kept, "/action").contains(&"STEP_ACTION_SOFT_DELETE".to_owned()));

    let all = world.json(&plan(&["--added", "soft-delete"])).await;
    assert_eq!(reason(&all, "OBSTACLE_ADDED_KEPT"), 0, "{all}");
    assert!(of_steps(&all, "/action").contains(&"STEP_ACTION_SOFT_DELETE".to_owned()));
    assert_eq!(reason(&all, "OBSTACLE_HARD_DELETED"), 1);

    let from_report = [
        "restore",
        "plan",
        "--report",
        &report,
        "--added",
        "soft-delete",
    ];
    let from_report = both(&world, &from_report, "Name").await;
    assert_eq!(from_report["steps"], all["steps"]);
    assert_eq!(
        id_of(&json!({ "name": from_report["plan"]["report"] })),
        report
    );

    let users = world.json(&plan(&["--type", "user"])).await;
    // A user that comes back brings its links along, some of which start elsewhere.
    let (own, brought): (Vec<&Value>, Vec<&Value>) = list(&users["steps"])
        .iter()
        .partition(|step| step["object"]["type"] == "user");
    assert!(!own.is_empty(), "{users}");
    assert!(
        brought
            .iter()
            .all(|step| step["action"] == "STEP_ACTION_ADD_LINKS"),
        "{users}"
    );
    let changed = |deed: &&Deed| deed.object_type == "user" && deed.kind == DeedKind::Modified;
    let one = deeds.iter().find(changed).expect("there is one").id.clone();
    let only = ["restore", "plan", "--report", &report, "--id", &one];
    assert_eq!(of_steps(&world.json(&only).await, "/object/id"), [one]);

    let links = |plan: &Value| {
        let of = |word: &str| of_steps(plan, "/action").contains(&word.to_owned());
        (of("STEP_ACTION_ADD_LINKS"), of("STEP_ACTION_REMOVE_LINK"))
    };
    let skip = world.json(&plan(&["--relationships", "skip"])).await;
    let merge = world.json(&plan(&["--relationships", "merge"])).await;
    assert_eq!(links(&all), (true, true));
    assert_eq!(links(&merge), (true, false));
    assert_eq!(links(&skip), (false, false));

    let id = id_of(&kept["plan"]);
    for name in [&id, &text(&kept["plan"]["name"])] {
        let shown = both(&world, &["restore", "show", name], "Name").await;
        assert_eq!(shown, kept);
    }
    let listed = both(&world, &["restore", "list"], "ID").await;
    assert_eq!(list(&listed).len(), 10);
    assert!(
        list(&listed)
            .iter()
            .all(|item| item["state"] == "RESTORE_STATE_PLANNED")
    );
    let watched = world.run_json(&["restore", "watch", &id]).await.exits(0);
    watched.says(&["nothing is applied yet"]);
    assert_eq!(
        world.simulator.counters().writes,
        writes,
        "a plan writes nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_applied_and_told_of() {
    let world = World::with_snapshot(40).await;
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
    let plan = world.json(&plan).await;
    let id = id_of(&plan["plan"]);

    let started = world.json(&["restore", "apply", &id, "--detach"]).await;
    let name = text(&started["name"]);
    assert_eq!(name, format!("tenants/{TENANT}/restores/{id}"));
    let restore = both(&world, &["restore", "watch", &name], "Name").await;
    assert_eq!(restore["state"], "RESTORE_STATE_SUCCEEDED", "{restore}");
    assert_eq!(restore["verified"], true);
    let count = |field: &str| restore[field].as_u64().expect("a number");
    assert_eq!(count("applied") + count("alreadyDone"), count("stepCount"));
    assert_eq!(differing(&world, &before, &deeds), Vec::<String>::new());

    // What is done is done: nothing is written again.
    let writes = world.simulator.counters().writes;
    for arguments in [
        ["restore", "apply", &id],
        ["restore", "resume", &id],
        ["restore", "watch", &id],
        ["restore", "show", &name],
    ] {
        assert_eq!(both(&world, &arguments, "Name").await, restore);
    }
    assert_eq!(world.simulator.counters().writes, writes);
    let listed = both(&world, &["restore", "list"], "ID").await;
    assert_eq!(list(&listed), std::slice::from_ref(&restore));
    let failures = both(&world, &["restore", "failures", &id], "(none)").await;
    assert_eq!(failures, json!([]));
    let verification = text(&restore["verificationReport"]);
    let verified = world.json(&["diff", "show", &verification]).await;
    assert_eq!(counts(&verified["report"]), json!({ "hardDeleted": 1 }));
}

/// The README's own words, but for the ports, the folder and the names that a
/// person reads off: terminal 3, the intruder, and the way back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_works_as_written() {
    let world = World::start(24).await;
    let before = world.simulator.dump(TENANT);
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(readme).expect("there is one");
    let section = readme.split("## Try it with a practice tenant").nth(1);
    let section = section.and_then(|rest| rest.split("\n## ").next());
    let blocks = section.expect("there is such a section").split("```sh\n");
    let blocks: Vec<&str> = blocks
        .skip(1)
        .filter_map(|it| it.split("```").next())
        .collect();
    let [terminals, intruder, back, held] = blocks[..] else {
        panic!("four blocks, but {blocks:?}");
    };
    let (_, client) = terminals
        .split_once("# 3: the client\n")
        .expect("it is there");
    let back = back
        .replace(
            "diff create --snapshot latest",
            "diff create --snapshot latest >report",
        )
        .replace("REPORT", "$(sed -n '1s/.* //p' report)")
        .replace("restore plan", "restore plan >plan")
        .replace(" PLAN", " $(sed -n '1s/.* //p' plan)");
    let here = |script: &str| {
        script
            .replace("http://127.0.0.1:8443", &world.up().url)
            .replace("http://127.0.0.1:8444", &world.server.url())
            .replace("rewind-data/", "data/")
            .replace("0a1b2c3d-0000-4000-8000-00000000beef", TENANT)
            .replace("alias rewind='cargo run --release --quiet --'\n", "")
    };
    let shell = async |script: String| {
        let mut shell = Command::new("sh");
        shell
            .args(["-eu", "-c"])
            .arg(format!("rewind() {{ \"$REWIND\" \"$@\"; }}\n{script}"))
            .env("REWIND", env!("CARGO_BIN_EXE_rewind"))
            .current_dir(world.data().parent().expect("it has one"))
            .kill_on_drop(true);
        run(&mut shell).await.exits(0)
    };
    let export = client
        .lines()
        .next()
        .expect("the first line exports")
        .to_owned()
        + "\n";
    let made = shell(here(client)).await;
    assert!(made.out.contains("Can be restored   yes"), "{made:?}");
    let curl = Command::new("curl").arg("--version").output().await;
    if curl.is_ok() {
        shell(here(intruder)).await;
    } else {
        // What the README does with curl.
        let user = world.a_user().await;
        world.set_department(&user, "Taken over").await;
    }
    let differs = simulator::live_differences(&before, &world.simulator.dump(TENANT));
    assert!(
        differs.iter().any(|it| it.contains("Taken over")),
        "{differs:?}"
    );
    let undone = shell(here(&(export.clone() + &back))).await;
    assert_eq!(undone.err, "", "{undone:?}");
    assert!(undone.out.contains("Taken over"), "{undone:?}");
    let user = world.a_user().await;
    let held = held.replace("--id ID", &format!("--id {user}"));
    let seen = shell(here(&(export + &held))).await;
    assert!(seen.out.contains(&user), "{seen:?}");
    assert!(undone.out.contains("Verified"), "{undone:?}");
    assert_eq!(differing(&world, &before, &[]), Vec::<String>::new());
}
