//! Bad input, broken parts and damaged files: the exit code and the words that
//! follow, and that nothing is lost.

use std::path::Path;

use serde_json::{Value, json};
use simulator::{Fault, FaultResponse, Licence, TenantSpec};

use crate::support::{
    TENANT, Up, WRONG_SECRET, World, entries, list, registration, rewind, run, text, words,
};

/// A tenant that nobody registered.
const NOBODY: &str = "5a1d0000-0000-4000-8000-0000000000ee";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_exist_exits_4() {
    let world = World::with_snapshot(24).await;
    let cases: &[&[&str]] = &[
        &["--tenant", NOBODY, "snapshot", "take"],
        &["--tenant", NOBODY, "snapshot", "list"],
        &["--tenant", NOBODY, "diff", "list"],
        &["--tenant", NOBODY, "restore", "list"],
        &["tenant", "show", NOBODY],
        &["tenant", "check", NOBODY],
        &["snapshot", "show", "20200101-daily"],
        &["diff", "create", "--snapshot", "20200101-daily"],
        &[
            "diff",
            "create",
            "--snapshot",
            "latest",
            "--against",
            "20200101-daily",
        ],
        &["diff", "show", "20200101-nothing"],
        &["restore", "plan", "--report", "20200101-nothing"],
        &["restore", "plan", "--snapshot", "20200101-daily"],
        &["restore", "show", "20200101-nothing"],
        &["restore", "apply", "20200101-nothing"],
        &["restore", "resume", "20200101-nothing"],
        &["restore", "watch", "20200101-nothing"],
        &["restore", "failures", "20200101-nothing"],
    ];
    for case in cases {
        world.run(case).await.fails(4, &["error: ", "[NOT_FOUND]"]);
    }
    let named = format!("tenants/{NOBODY}/snapshots/latest");
    let run = world.run(&["snapshot", "show", &named]).await;
    run.fails(4, &["[NOT_FOUND]"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_arguments_exit_2() {
    let world = World::with_snapshot(24).await;
    let asked = world.simulator.counters().total;
    let cases: &[(&[&str], &str)] = &[
        (&["tenant", "show", "contoso"], "contoso"),
        (&["snapshot", "show", "tenants/x/snapshots/y"], "tenants/x"),
        (
            &[
                "diff",
                "create",
                "--snapshot",
                "latest",
                "--type",
                "mailbox",
            ],
            "mailbox",
        ),
        (
            &[
                "diff",
                "create",
                "--snapshot",
                "latest",
                "--max-age",
                "soon",
            ],
            "--max-age",
        ),
        (&["restore", "plan", "--all"], "--snapshot"),
        (&["restore", "apply", "Not An Id"], "Not An Id"),
        (&["up", "--listen", "0.0.0.0"], "--listen"),
    ];
    for (case, word) in cases {
        world.run(case).await.fails(2, &["error: ", word]);
    }
    assert_eq!(world.simulator.counters().total, asked, "nobody was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_exits_5() {
    let world = World::with_snapshot(24).await;
    let folder = tempfile::tempdir().expect("a folder");
    let with = async |name: &str, content: Option<&str>, words: &[&str]| {
        let file = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&file, content).expect("a token file");
        }
        let mut command = world.client(&["snapshot", "take"]);
        let run = run(command.env("REWIND_TOKEN_FILE", &file)).await;
        run.fails(5, words)
    };
    with("absent", None, &["absent", "operator.token"]).await;
    with("empty", Some("\n"), &["it is empty"]).await;
    let wrong = "a-token-that-nobody-gave-out-0123456789";
    let run = with("wrong", Some(wrong), &["[UNAUTHENTICATED]", "--token-file"]).await;
    assert!(!run.err.contains(wrong), "{run:?}");
    let log = world.up().log();
    assert!(!log.contains(wrong), "{log}");
    assert_eq!(list(&world.json(&["snapshot", "list"]).await).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_exits_5_and_is_nowhere() {
    let mut world = World::start(24).await;
    let url = world.server.url();
    let wrong = registration(TENANT, &url, "WRONG");
    world.run(&words(&wrong)).await.exits(0);
    let shows = ["AADSTS7000215", "[CREDENTIAL_REJECTED]"];
    let taken = world.run(&["snapshot", "take"]).await.fails(5, &shows);
    let checked = world.run_json(&["tenant", "check"]).await.exits(1);
    assert_eq!(checked.json()["canSnapshot"], false);
    assert_eq!(checked.json()["canRestore"], true);
    let table = world.run(&["tenant", "check"]).await.exits(1);
    assert!(table.out.contains("CREDENTIAL_REJECTED"), "{table:?}");
    let listed = world.json(&["snapshot", "list"]).await;
    assert_eq!(listed, json!([]));

    let ended = world.stop().await.exits(0);
    let mut said = format!("{taken:?}{checked:?}{table:?}{ended:?}").into_bytes();
    assert!(ended.err.contains("AADSTS7000215"), "{}", ended.err);
    for (_, content) in world.files() {
        said.extend(content);
    }
    let secret = WRONG_SECRET.as_bytes();
    assert!(!said.windows(secret.len()).any(|part| part == secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_at_the_other_end_exits_7() {
    let world = World::start(24).await;
    let nowhere = "http://127.0.0.1:1";
    let arguments = registration(TENANT, nowhere, "PRACTICE");
    world.run(&words(&arguments)).await.exits(0);
    let taken = world.run(&["snapshot", "take"]).await;
    taken.fails(7, &["[GRAPH_UNAVAILABLE]", "login host"]);
    assert_eq!(world.json(&["snapshot", "list"]).await, json!([]));

    let mut command = world.client(&["snapshot", "list"]);
    let unreachable = run(command.env("REWIND_GATEWAY", nowhere)).await;
    unreachable.fails(7, &["no gateway answers", "rewind up"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_licence_exits_8() {
    let world = World::start(24).await;
    let spec = TenantSpec {
        licence: Licence::None,
        ..TenantSpec::practice(NOBODY)
    };
    world.simulator.add_tenant(spec);
    let arguments = registration(NOBODY, &world.server.url(), "PRACTICE");
    world.run(&words(&arguments)).await.exits(0);
    let taken = world.run(&["snapshot", "take"]).await;
    taken.fails(8, &["[LICENCE_REQUIRED]", "P1 or P2"]);
    let checked = world.run_json(&["tenant", "check"]).await.exits(8);
    assert_eq!(checked.json()["canSnapshot"], false);
    assert_eq!(world.json(&["snapshot", "list"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbled_answer_exits_3_and_names_the_kind() {
    let world = World::with_snapshot(24).await;
    let garbled = Fault::once("GET", "/users*", FaultResponse::MalformedJson);
    world.simulator.inject(garbled.times(1000));
    let taken = world.run_json(&["snapshot", "take"]).await.exits(3);
    let taken = taken
        .says(&["warning: user could not be read completely"])
        .json();
    assert_eq!(taken["state"], "SNAPSHOT_STATE_INCOMPLETE");
    let report = world.run_json(&["diff", "create", "--snapshot", "latest"]);
    let report = report.await.exits(3).says(&["warning: not compared: user"]);
    let counts = report.json()["counts"].clone();
    assert_eq!(counts["hardDeleted"], 0, "what was not read is not deleted");
    world.simulator.clear_faults();
    let latest = world.json(&["snapshot", "show", "latest"]).await;
    assert_ne!(latest["name"], taken["name"]);
    world.is_whole(&text(&latest["name"])).await;
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("it can be written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_exits_1_and_is_named() {
    let mut world = World::with_snapshot(24).await;
    let runs = entries(&world.vault().join("runs"));
    assert_eq!(runs.len(), 2);
    for damaged in &runs {
        let name = damaged.file_name().expect("a name").to_string_lossy();
        flip(damaged);
        for command in [
            "diff create --snapshot latest",
            "restore plan --snapshot latest",
        ] {
            let command: Vec<&str> = command.split(' ').collect();
            world
                .run(&command)
                .await
                .fails(1, &["[STORE_CORRUPT]", &name]);
        }
        flip(damaged);
    }
    world.is_whole("latest").await;

    let good = world.snapshot().await;
    let manifests = entries(&world.vault().join("snapshots"));
    let bad = manifests.iter().find(|folder| {
        let name = folder.file_name().expect("a name").to_string_lossy();
        !good.ends_with(&*name)
    });
    let bad = bad.expect("there are two");
    flip(&bad.join("manifest"));
    let id = bad.file_name().expect("a name").to_string_lossy();
    let listed = world.run_json(&["snapshot", "list"]).await.exits(3);
    let listed = listed.says(&["warning: ", &id]).json();
    assert_eq!(list(&listed).len(), 1);
    assert_eq!(listed[0]["name"], good);
    let shown = world.run(&["snapshot", "show", &id]).await;
    shown.fails(1, &["[STORE_CORRUPT]", &id]);
    world.is_whole(&good).await;
    let log = world.stop().await.exits(0).err;
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_after_the_plan_is_a_conflict_and_stays() {
    let world = World::with_snapshot(24).await;
    let user = world.a_user().await;
    let before = world.department(&user).await;
    world.set_department(&user, "Second").await;
    let location = json!({
        "@odata.type": "#microsoft.graph.countryNamedLocation",
        "displayName": "Nowhere",
        "countriesAndRegions": ["AQ"],
    });
    let path = "/identity/conditionalAccess/namedLocations";
    let location = world.graph("POST", path, Some(location)).await;
    let plan = [
        "restore",
        "plan",
        "--snapshot",
        "latest",
        "--added",
        "soft-delete",
    ];
    let plan = world.json(&plan).await;
    assert_eq!(plan["plan"]["stepCount"], 2, "{plan}");
    let name = text(&plan["plan"]["name"]);
    world.set_department(&user, "Third").await;

    let applied = world.run_json(&["restore", "apply", &name]).await.exits(3);
    let applied = applied.says(&["1 step did not succeed", "rewind restore failures"]);
    let restore = applied.json();
    assert_eq!(restore["state"], "RESTORE_STATE_SUCCEEDED_WITH_WARNINGS");
    assert_eq!(
        (&restore["conflicts"], &restore["applied"]),
        (&json!(1), &json!(1)),
        "{restore}"
    );
    let failures = world.json(&["restore", "failures", &name]).await;
    let [failure] = list(&failures) else {
        panic!("one failure, but {failures}");
    };
    assert_eq!(failure["state"], "OUTCOME_STATE_CONFLICT");
    assert_eq!(failure["object"]["id"], user);
    assert!(text(&failure["detail"]).contains("department"), "{failure}");
    let table = world.run(&["restore", "failures", &name]).await.exits(0);
    assert!(table.out.contains(&user), "{table:?}");
    assert_eq!(world.department(&user).await, "Third");

    // A new plan sees what is there now.
    let plan = ["restore", "plan", "--snapshot", "latest"];
    let plan = text(&world.json(&plan).await["plan"]["name"]);
    world.run(&["restore", "apply", &plan]).await.exits(0);
    assert_eq!(world.department(&user).await, before);
    let gone = world.simulator.dump(TENANT)["objects"].to_string();
    assert!(!gone.contains(&text(&location["id"])));
}

/// The files below the data folder, but for the key that was swapped.
fn kept(world: &World) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = world.files();
    files.retain(|(path, _)| path.file_name() != Some("key".as_ref()));
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_key_nothing_is_read_and_nothing_touched() {
    let mut world = World::with_snapshot(24).await;
    world.stop().await.exits(0);
    let key = world.data().join("key");
    let right = std::fs::read(&key).expect("there is a key");
    let files = kept(&world);

    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
    std::fs::write(&key, other).expect("it can be written");
    let refused = run(&mut Up::command(&world.data())).await;
    refused.fails(
        7,
        &["opens none of the tenants' data keys", "[KEY_UNAVAILABLE]"],
    );
    assert_eq!(kept(&world), files, "the data is as it was");

    std::fs::write(&key, "no key at all").expect("it can be written");
    let refused = run(&mut Up::command(&world.data())).await;
    refused.fails(
        7,
        &["the key file", "32 bytes, in base64", "[KEY_UNAVAILABLE]"],
    );
    assert_eq!(kept(&world), files, "the data is as it was");

    std::fs::write(&key, right).expect("it can be written");
    world.resume().await;
    world.is_whole("latest").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_installations_share_one_folder() {
    let mut world = World::start(24).await;
    let first = world.up().url.clone();
    let second = Up::start(&world.data()).await;
    let through = async |url: &str, command: &str| -> Value {
        let arguments: Vec<&str> = command.split(' ').collect();
        let mut client = world.client(&arguments);
        client.env("REWIND_GATEWAY", url).args(["--output", "json"]);
        run(&mut client).await.exits(0).json()
    };
    assert_ne!(first, second.url);
    world.register().await;
    let (one, two) = tokio::join!(
        through(&first, "snapshot take"),
        through(&second.url, "snapshot take")
    );
    assert_ne!(one["name"], two["name"]);
    for url in [&first, &second.url] {
        let listed = through(url, "snapshot list").await;
        assert_eq!(list(&listed).len(), 2);
        assert!(list(&listed).contains(&one) && list(&listed).contains(&two));
    }
    let report = through(&first, "diff create --snapshot latest").await;
    let shown = through(&second.url, &format!("diff show {}", text(&report["name"]))).await;
    assert_eq!(shown["report"], report);
    second.stop().await.exits(0);
    world.stop().await.exits(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_served_is_said() {
    let world = World::start(24).await;
    let taken = world.up().url.replace("http://", "");
    let folder = tempfile::tempdir().expect("a folder");
    let mut busy = rewind();
    busy.args(["up", "--listen", &taken, "--data"])
        .arg(folder.path().join("data"));
    run(&mut busy)
        .await
        .fails(7, &["the gateway cannot start", "in use"]);
    let mut open = rewind();
    open.args(["up", "--listen", "0.0.0.0:0", "--data"])
        .arg(folder.path().join("data"));
    run(&mut open).await.fails(2, &["loopback"]);
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").expect("a file");
    let blocked = run(&mut Up::command(&file)).await;
    blocked.fails(1, &["cannot be made", "file"]);
}
