//! What a benchmark ran on, and when.
//!
//! Must never name the machine.

use std::fs;

use anyhow::Result;
use chrono::Utc;

use crate::repo::Repo;

/// Describe the machine, the moment and the commit, one line each.
pub(crate) fn describe(repo: &Repo) -> Result<Vec<String>> {
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism()?;
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.trim_end_matches("kB").trim().parse::<u64>().ok())
        .unwrap_or_default();
    let commit = repo.git(["rev-parse", "--short=12", "HEAD"])?;
    let changed = !repo.git(["status", "--porcelain"])?.trim().is_empty();
    Ok(vec![
        format!(
            "Machine: {cores} cores ({model}), {:.1} GiB of memory.",
            memory as f64 / 1024.0 / 1024.0
        ),
        format!("Date: {}.", Utc::now().format("%Y-%m-%d %H:%M UTC")),
        format!(
            "Commit: `{}`{}.",
            commit.trim(),
            if changed { " with changes" } else { "" }
        ),
    ])
}

/// Processes that wanted to run, on average over the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}
