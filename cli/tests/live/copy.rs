//! Copies in another store, and an installation that starts from the copy alone.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Up, World, largest_run, list, run, text};

/// What `snapshot copy` tells: the name, the state, and how many files.
fn told(copies: &Value) -> Vec<(String, String, i64)> {
    let one = |copy: &Value| {
        let files = copy["fileCount"].as_i64().expect("a number");
        (text(&copy["name"]), text(&copy["state"]), files)
    };
    list(copies).iter().map(one).collect()
}

fn url(folder: &std::path::Path) -> PathBuf {
    PathBuf::from(format!("file://{}", folder.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_had_again_from_the_copy_alone() {
    let mut world = World::with_snapshot(24).await;
    let before = text(&world.json(&["snapshot", "show", "latest"]).await["name"]);
    let refused = world.run(&["snapshot", "copy"]).await;
    refused.fails(1, &["[NO_COPY_STORE]", "REWIND_COPY_URL"]);
    world.stop().await.exits(0);

    let copy = world.data().with_file_name("copy");
    world.resume_with("REWIND_COPY_URL", &url(&copy)).await;
    let user = world.a_user().await;
    world.set_department(&user, "Research").await;
    let after = world.snapshot().await;
    world
        .json(&["snapshot", "hold", &before, "--reason", "case 7"])
        .await;
    let (copied, present) = ("COPY_STATE_COPIED", "COPY_STATE_PRESENT");
    let one = world.json(&["snapshot", "copy", "latest"]).await;
    let [(name, state, files)] = &told(&one)[..] else {
        panic!("{one}");
    };
    assert_eq!((name, state.as_str()), (&after, copied));
    assert!((3..=5).contains(files), "{one}");
    let all = world.json(&["snapshot", "copy", "--all"]).await;
    let expected = [
        (after.clone(), present.to_owned(), 0),
        (before.clone(), copied.to_owned(), 1),
    ];
    assert_eq!(told(&all), expected);
    let findings = world.json(&["store", "check"]).await;
    let stores: Vec<String> = list(&findings["findings"])
        .iter()
        .map(|finding| text(&finding["store"]))
        .collect();
    for store in ["data", "keys", "copy-data", "copy-keys"] {
        assert!(stores.iter().any(|found| found == store), "{stores:?}");
    }
    let listed = world.json(&["snapshot", "list"]).await;

    // The building burns down; the key file was kept elsewhere.
    world.kill().await;
    let key = std::fs::read(world.data().join("key")).expect("there is a key");
    std::fs::remove_dir_all(world.data()).expect("it is gone");
    std::fs::create_dir(world.data()).expect("a new folder");
    std::fs::rename(&copy, world.data().join("store")).expect("the copy is there");
    std::fs::write(world.data().join("key"), key).expect("it can be written");
    world.resume().await;
    assert_eq!(world.json(&["snapshot", "list"]).await, listed);
    let held = world.json(&["snapshot", "show", &before]).await;
    assert_eq!(held["holdReason"], "case 7");
    world.is_whole(&after).await;
    let report = world.report(&before).await;
    assert_eq!(report["counts"]["modified"], json!(1), "{report}");
    // The days go on from there.
    let next = world.snapshot().await;
    assert_eq!(
        world.json(&["snapshot", "show", &next]).await["since"],
        after
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_put_back_from_the_copy() {
    let mut world = World::with_snapshot(24).await;
    world.stop().await.exits(0);
    let copy = world.data().with_file_name("copy");
    world.resume_with("REWIND_COPY_URL", &url(&copy)).await;
    world.json(&["snapshot", "copy"]).await;
    let path = largest_run(&world.data().join("store"));
    let whole = std::fs::read(&path).expect("it is there");
    let mut spoilt = whole.clone();
    spoilt.truncate(whole.len() / 2);
    std::fs::write(&path, &spoilt).expect("it can be written");
    let verify = ["snapshot", "verify", "--depth", "every-byte"];
    let found = world.run(&verify).await.exits(1);
    assert!(found.out.contains("truncated"), "{found:?}");
    let repaired = world.run(&["snapshot", "repair"]).await.exits(0);
    assert!(repaired.out.contains("PUT BACK"), "{repaired:?}");
    assert_eq!(std::fs::read(&path).expect("it is there"), whole);
    world.run(&verify).await.exits(0);
    world.is_whole("latest").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_in_the_store_itself_is_a_mistake_in_the_settings() {
    let mut world = World::start(5).await;
    world.stop().await.exits(0);
    let mut command = Up::command(&world.data());
    command.env("REWIND_COPY_URL", url(&world.data().join("store")));
    let refused = run(&mut command).await;
    refused.fails(64, &["[NO_COPY_STORE]"]);
}
