//! Damage to the files of an installation that runs: found, named, and what can be
//! done about it.

use crate::support::{World, largest_run, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_is_found_and_what_it_touches_is_said() {
    let world = World::with_snapshot(24).await;
    world.run(&["snapshot", "verify"]).await.exits(0);
    let close = ["snapshot", "verify", "--depth", "every-byte"];
    let whole = world.json(&close).await;
    assert!(whole["damages"].is_null() || whole["damages"] == serde_json::json!([]));
    assert_eq!(whole["snapshotCount"], 1);

    let path = largest_run(&world.data());
    let mut bytes = std::fs::read(&path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).expect("it can be written");
    let run = world.run(&close).await;
    let name = path
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let run = run.exits(1);
    assert!(
        run.out.contains(&name) && run.out.contains("altered"),
        "{run:?}"
    );

    // There is no copy: what is damaged stays damaged until its snapshot is let go.
    let run = world.run(&["snapshot", "repair"]).await;
    run.exits(1).says(&["REWIND_COPY_URL"]);
    let snapshot = text(&world.json(&["snapshot", "show", "latest"]).await["name"]);
    let run = world
        .run(&["snapshot", "repair", "--drop", &snapshot])
        .await;
    run.exits(0);
    let run = world.run(&["snapshot", "show", "latest"]).await;
    run.fails(4, &["[NOT_FOUND]"]);
    world.snapshot().await;
    world.run(&close).await.exits(0);
    world.is_whole("latest").await;
}
