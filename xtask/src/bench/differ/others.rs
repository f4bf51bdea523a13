//! What people use today: git and deepdiff, on the exported JSON of the same two states.
//!
//! Either may take very long, so it is stopped after a while.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::world::World;
use crate::repo::Repo;
use crate::tools;

const SCRIPT: &str = "xtask/src/bench/differ.py";
/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Seconds that others took; `None` where they were stopped.
pub(super) struct Others {
    pub(super) git: Option<f64>,
    pub(super) deepdiff: Option<f64>,
    /// Where they were stopped.
    pub(super) limit: u64,
}

/// Let them compare two snapshots.
pub(super) fn compare(
    repo: &Repo,
    world: &World,
    snapshots: [&str; 2],
    limit: u64,
) -> Result<Others> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let _snapshotter = world.snapshotter()?;
    let [before, after] = ["before", "after"].map(|name| folder.path().join(name));
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    for (snapshot, files, lines) in [
        (snapshots[0], &before, &first),
        (snapshots[1], &after, &second),
    ] {
        world.export(snapshot, files, "json")?;
        world.export(snapshot, lines, "jsonl")?;
    }
    let mut git = Command::new("git");
    git.args(["diff", "--no-index", "--no-renames", "--shortstat"])
        .args([&before, &after]);
    // It exits with 1 where it finds differences.
    let git = timed(&mut git, limit, &[0, 1])?;
    let git = git.map(|(seconds, _)| seconds);
    let mut python = Command::new(tools::DEEPDIFF.install(repo)?);
    python.arg(repo.root().join(SCRIPT)).args([&first, &second]);
    let deepdiff = match timed(&mut python, limit, &[0])? {
        // Without what it took to start and to read.
        Some((_, said)) => {
            let said: Value = serde_json::from_str(&said).context("deepdiff said no JSON")?;
            Some(said["seconds"].as_f64().context("no seconds")?)
        }
        None => None,
    };
    Ok(Others {
        git,
        deepdiff,
        limit,
    })
}

/// Seconds until a program ended, and the little that it said; `None` where it was
/// stopped before.
fn timed(command: &mut Command, limit: u64, good: &[i32]) -> Result<Option<(f64, String)>> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            let seconds = start.elapsed().as_secs_f64();
            let code = status.code();
            ensure!(
                code.is_some_and(|code| good.contains(&code)),
                "{command:?} ended with {status}"
            );
            let mut said = String::new();
            let mut output = child.stdout.take().context("no standard output")?;
            output.read_to_string(&mut said)?;
            return Ok(Some((seconds, said)));
        }
        if start.elapsed() > Duration::from_secs(limit) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}
