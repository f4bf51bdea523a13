//! The keys of an installation that runs: exported, re-wrapped, rotated.

use serde_json::json;

use crate::support::{TENANT, Up, World, run, text};

/// Another key file than the one that `up` made.
const OTHER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_installations_key_is_changed_and_what_was_kept_stays_readable() {
    let mut world = World::with_snapshot(24).await;
    world.stop().await.exits(0);
    let key = world.data().join("key");
    let old = world.data().join("old-key");
    std::fs::rename(&key, &old).expect("there is a key");
    std::fs::write(&key, OTHER).expect("it can be written");
    let refused = run(&mut Up::command(&world.data())).await;
    refused.fails(7, &["[KEY_UNAVAILABLE]"]);

    world.resume_with("REWIND_OLD_KEY_FILE", &old).await;
    world.is_whole("latest").await;
    let done = |written, deleted| {
        json!([{
            "name": format!("tenants/{}", TENANT),
            "writtenCount": written,
            "deletedCount": deleted,
        }])
    };
    assert_eq!(world.json(&["keys", "rewrap"]).await, done(1, 1));
    assert_eq!(world.json(&["keys", "rewrap"]).await, done(0, 0));
    world.stop().await.exits(0);

    world.resume().await;
    world.is_whole("latest").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_exported_sealed_and_rotated_while_everything_goes_on() {
    let world = World::with_snapshot(24).await;
    let before = world.json(&["snapshot", "show", "latest"]).await;
    let bundles = world.data().join("bundles");
    let to = bundles.display().to_string();
    let export = ["keys", "export", "--recipient", RECIPIENT, "--to", &to];
    let written = world.json(&export).await;
    let bundle = std::fs::read(text(&written[0]["path"])).expect("it was written");
    assert!(bundle.starts_with(b"age-encryption.org/v1\n-> X25519 "));
    let secret = world
        .run(&["keys", "export", "--recipient", "age1nobody", "--to", &to])
        .await;
    secret.fails(2, &["age public key"]);

    assert_eq!(world.json(&["keys", "rotate"]).await["number"], 2);
    let name = world.snapshot().await;
    assert_ne!(name, text(&before["name"]));
    for snapshot in [&name, &text(&before["name"])] {
        world.is_whole(snapshot).await;
    }
}
