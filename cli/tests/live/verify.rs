//! Damage to the files of an installation that runs: found, named, and what can be
//! done about it.

use std::path::{Path, PathBuf};

use crate::support::{World, text};

/// The largest run in the store: the base that all snapshots stand on.
fn base(data: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it can be listed") {
            let path = entry.expect("it is there").path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    let is_run = |path: &PathBuf| path.to_string_lossy().ends_with(".parquet.age");
    let size = |path: &PathBuf| std::fs::metadata(path).expect("it is there").len();
    let runs = files.into_iter().filter(is_run);
    runs.max_by_key(size).expect("there is a run")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_is_found_and_what_it_touches_is_said() {
    let world = World::with_snapshot(24).await;
    world.run(&["snapshot", "verify"]).await.exits(0);
    let close = ["snapshot", "verify", "--depth", "every-byte"];
    let whole = world.json(&close).await;
    assert!(whole["damages"].is_null() || whole["damages"] == serde_json::json!([]));
    assert_eq!(whole["snapshotCount"], 1);

    let path = base(&world.data());
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
