//! The keys of an installation: exported, re-wrapped, rotated, erased, lost and
//! taken back.

use std::path::PathBuf;

use age::secrecy::ExposeSecret;
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

/// Who keeps the recovery bundles: the identity file, and the bundle that it opens.
struct Rescuer {
    identity: PathBuf,
    bundle: PathBuf,
}

impl Rescuer {
    async fn of(world: &World) -> Self {
        let secret = age::x25519::Identity::generate();
        let folder = world.data().with_file_name("rescue");
        let to = folder.display().to_string();
        let recipient = secret.to_public().to_string();
        let export = ["keys", "export", "--recipient", &recipient, "--to", &to];
        let written = world.json(&export).await;
        let identity = folder.join("recovery.txt");
        std::fs::write(&identity, secret.to_string().expose_secret()).expect("it can be written");
        Self {
            identity,
            bundle: text(&written[0]["path"]).into(),
        }
    }

    /// The command, run beside the services or without them.
    fn import(&self, world: &World, tenant: &str, more: &[&str]) -> tokio::process::Command {
        let store = url::Url::from_directory_path(world.data().join("store"));
        let mut command = crate::support::rewind();
        command
            .args(["keys", "import", "--tenant", tenant, "--output", "json"])
            .args(["--store", store.expect("a path").as_str()])
            .arg("--key-file")
            .arg(world.data().join("key"))
            .arg("--bundle")
            .arg(&self.bundle)
            .arg("--identity")
            .arg(&self.identity)
            .args(more);
        command
    }
}

fn imported(written: u32, standing: u32, opened: u32) -> serde_json::Value {
    json!({
        "name": format!("tenants/{TENANT}"),
        "writtenCount": written,
        "standingCount": standing,
        "openedCount": opened,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_loss_of_the_wrapping_key_a_bundle_brings_everything_back() {
    let mut world = World::with_snapshot(24).await;
    let before = world.json(&["snapshot", "list"]).await;
    let rescuer = Rescuer::of(&world).await;
    world.stop().await.exits(0);
    let key = world.data().join("key");
    std::fs::remove_file(&key).expect("there was one");
    let refused = run(&mut Up::command(&world.data())).await;
    refused.fails(7, &["key file", "[KEY_UNAVAILABLE]"]);
    std::fs::write(&key, OTHER).expect("it can be written");
    let refused = run(&mut Up::command(&world.data())).await;
    refused.fails(
        7,
        &["opens none of the tenants' data keys", "[KEY_UNAVAILABLE]"],
    );

    let other = TENANT.replace('5', "6");
    let wrong = run(&mut rescuer.import(&world, &other, &[])).await;
    wrong.fails(2, &["the bundle is that of tenant", "[INVALID_ARGUMENT]"]);
    let done = run(&mut rescuer.import(&world, TENANT, &[])).await.exits(0);
    assert_eq!(done.json(), imported(1, 0, 1));
    assert!(!done.err.contains("SECRET") && !done.out.contains("SECRET"));
    let again = run(&mut rescuer.import(&world, TENANT, &[])).await.exits(0);
    assert_eq!(again.json(), imported(0, 1, 1));

    world.resume().await;
    assert_eq!(world.json(&["snapshot", "list"]).await, before);
    world.is_whole("latest").await;
    let rewrapped = world.json(&["keys", "rewrap"]).await;
    assert_eq!(rewrapped[0]["deletedCount"], 1, "{rewrapped}");
    world.snapshot().await;
    world.is_whole("latest").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_tenant_says_so_until_a_bundle_undoes_it() {
    let world = World::with_snapshot(24).await;
    let rescuer = Rescuer::of(&world).await;
    let erase = ["keys", "erase", "--tenant", TENANT, "--confirm"];
    let wrong = world.run(&[&erase[..], &["another"]].concat()).await;
    wrong.fails(2, &["once more", "[INVALID_ARGUMENT]"]);
    world.is_whole("latest").await;

    let run_erase = async || world.run_json(&[&erase[..], &[TENANT]].concat()).await;
    let asked = run_erase().await.exits(3).json();
    assert_eq!(asked["state"], "GUARDED_CHANGE_STATE_PENDING", "{asked}");
    world.is_whole("latest").await;
    let own = [
        "tenant",
        "change",
        "approve",
        "1",
        "--hash",
        &text(&asked["hash"]),
    ];
    let own = world.run(&own).await;
    own.fails(5, &["[APPROVAL_OF_OWN_PLAN]"]);
    world.approve_newest().await;
    let certificates = loop {
        let run = world.run_json(&["tenant", "certificate"]).await;
        if run.code == Some(0) {
            break run.json();
        }
    };
    assert_eq!(certificates[0]["proof"], "ok", "{certificates}");
    assert_eq!(certificates[0]["author"], "development", "{certificates}");
    assert_eq!(certificates[0]["approver"], "approver", "{certificates}");
    let again = run_erase().await.exits(0).json();
    assert_eq!(again["deletedCount"], 0);
    assert_eq!(again["proof"]["outcome"], "STORE_OUTCOME_OK", "{again}");
    let gone: [&[&str]; 5] = [
        &["snapshot", "list"],
        &["snapshot", "show", "latest"],
        &["snapshot", "take"],
        &["diff", "create", "--snapshot", "latest"],
        &["keys", "rotate"],
    ];
    for command in gone {
        let refused = world.run(command).await;
        refused.fails(1, &["the tenant was erased", "[KEY_ERASED]"]);
    }
    let tenants = world.json(&["tenant", "list"]).await;
    assert_eq!(tenants.as_array().map(Vec::len), Some(1), "{tenants}");

    let refused = run(&mut rescuer.import(&world, TENANT, &[])).await;
    refused.fails(1, &["[KEY_ERASED]", "--undo-erasure"]);
    let done = run(&mut rescuer.import(&world, TENANT, &["--undo-erasure"])).await;
    assert_eq!(done.exits(0).json(), imported(1, 0, 1));
    world.is_whole("latest").await;
}
