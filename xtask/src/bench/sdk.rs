//! What people use today: Microsoft's Python SDK with eight workers, reading the same from the same simulator.
//!
//! It may take an hour for what Rewind reads in seconds, so it is stopped after a while and its rate counts.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::world::{READER, SECRET, TENANT, World};
use crate::exec;
use crate::repo::Repo;
use crate::tools;

const SCRIPT: &str = "xtask/src/bench/collect.py";

/// What the SDK managed.
pub(crate) struct Managed {
    pub(crate) seconds: f64,
    pub(crate) objects: u64,
    pub(crate) links: u64,
    pub(crate) cpu: f64,
    pub(crate) peak: u64,
    /// Whether it came to the end.
    pub(crate) complete: bool,
}

/// Let it read for some seconds.
pub(crate) fn read(repo: &Repo, world: &World, seconds: u64) -> Result<Managed> {
    let python = tools::GRAPH_SDK.install(repo)?;
    let mut command = Command::new(python);
    command
        .arg(repo.root().join(SCRIPT))
        .args([&world.simulator_url, TENANT, READER, SECRET])
        .arg(seconds.to_string());
    let said = exec::output(&mut command).map_err(|error| last_line(&error))?;
    let said: Value = serde_json::from_str(&said).context("the SDK's reader printed no JSON")?;
    managed(&said).context("the SDK's reader printed other JSON")
}

/// Of a long complaint of Python, what it comes to.
fn last_line(error: &anyhow::Error) -> anyhow::Error {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().to_owned();
    anyhow::Error::msg(line)
}

fn managed(said: &Value) -> Option<Managed> {
    Some(Managed {
        seconds: said["seconds"].as_f64()?,
        objects: said["objects"].as_u64()?,
        links: said["links"].as_u64()?,
        cpu: said["cpu"].as_f64()?,
        peak: said["peak"].as_u64()?,
        complete: said["complete"].as_bool()?,
    })
}
