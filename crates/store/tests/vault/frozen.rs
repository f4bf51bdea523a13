//! A process that is stopped in the middle of its snapshot and goes on when
//! retention has long passed it by.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use chrono::TimeDelta;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use store::object_store::ObjectStore;
use store::{StoreError, Vault, layout};
use testkit::store::{FaultStore, meta, moment, tenant};

use crate::prune::{five, following, id, named, prune, runs, slot, whole, whole_ones};
use crate::{kek, opened};

/// Where the writer finds the store; a process without it is the one that prunes.
const STORE: &str = "REWIND_TEST_FROZEN_WRITER";
/// What the writer says when its runs are stored and its manifest is next.
const WRITTEN: &str = "runs are written";
/// The slot that the writer works on.
const LATE: &str = "day-000-late";
/// This test, by the name that picks it alone.
const NAME: &str = "frozen::a_process_that_is_stopped_for_days_commits_nothing";

fn on_disk(folder: &Path) -> Arc<dyn ObjectStore> {
    let url = format!("file://{}", folder.display());
    store::open_store(&url, &|_| None).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process that the test started finds its part in it here"
)]
fn asked_to_write() -> Option<PathBuf> {
    std::env::var_os(STORE).map(PathBuf::from)
}

#[tokio::test]
async fn a_process_that_is_stopped_for_days_commits_nothing() {
    match asked_to_write() {
        Some(folder) => write(&folder).await,
        None => stop_and_prune().await,
    }
}

/// The writer: goes on from the first snapshot, and finds out that it is too late.
async fn write(folder: &Path) {
    let faults = Arc::new(FaultStore::new(on_disk(folder)));
    let vaults = Vault::new(faults.clone(), kek(1));
    let vault = vaults.tenant(&tenant(1)).await.unwrap();
    let mine = meta(LATE, "w", 60);
    vault
        .claim(&mine.id, "w", moment(60), TimeDelta::minutes(30))
        .await
        .unwrap();
    let base = vault.manifest(&id(&slot(0))).await.unwrap();
    let gate = faults.gate(&layout::manifest(vault.id(), &mine.id));
    let going_on = async {
        gate.reached().await;
        say(WRITTEN);
        // The word comes while this process is stopped, so it is read afterwards.
        let mut word = String::new();
        std::io::stdin().read_line(&mut word).unwrap();
        assert_eq!(word, "go on\n");
        gate.open();
    };
    let (late, ()) = tokio::join!(following(&vault, &mine, &base, "late"), going_on);
    assert!(
        matches!(&late, Err(StoreError::GivenUp { slot }) if slot == LATE),
        "{late:?}"
    );
}

#[expect(clippy::print_stdout, reason = "the other process waits for the line")]
fn say(text: &str) {
    println!("{text}");
    std::io::stdout().flush().unwrap();
}

/// The process that prunes while the writer is stopped.
async fn stop_and_prune() {
    let folder = tempfile::tempdir().unwrap();
    let store = on_disk(folder.path());
    let (_, vault) = opened(Arc::clone(&store)).await;
    let base = whole(&vault, 0).await;
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(STORE, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().ends_with(WRITTEN)),
        "the writer gets to its manifest"
    );
    let before = runs(store.as_ref()).await;
    let of_base = named(vault.id(), std::slice::from_ref(&base));
    assert!(before.len() > of_base.len(), "the writer's runs are there");

    let pid = Pid::from_child(&writer);
    kill_process(pid, Signal::STOP).unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
    let mut stdin = writer.stdin.take().unwrap();
    stdin.write_all(b"go on\n").unwrap();

    for day in 1..8 {
        whole(&vault, day).await;
    }
    prune(&vault, &five(), 7).await.unwrap();
    let done = prune(&vault, &five(), 8).await.unwrap();
    assert!(done.removed.contains(&id(&slot(0))), "{done:?}");
    let left = runs(store.as_ref()).await;
    assert!(left.is_disjoint(&before), "nobody names them any more");
    let left: Vec<String> = (3..8).map(slot).collect();
    assert_eq!(whole_ones(&vault).await, left);

    kill_process(pid, Signal::CONT).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let ended = writer.wait().unwrap();
    assert!(ended.success(), "{ended}: {rest:#?}");
    assert_eq!(whole_ones(&vault).await, left);
    let late = vault.manifest(&id(LATE)).await;
    assert!(matches!(late, Err(StoreError::NotFound { .. })), "{late:?}");
    prune(&vault, &five(), 9).await.unwrap();
    let (manifests, problems) = vault.manifests().await.unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(
        runs(store.as_ref()).await,
        named(vault.id(), &manifests),
        "what the writer left is gone"
    );
}
