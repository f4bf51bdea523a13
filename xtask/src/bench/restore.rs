//! `cargo xtask bench restore`: a restore of many changes, at the documented quotas in simulated time, and without quotas.
//!
//! Owns what is measured and which targets it is held against.
//! Simulated hours do not depend on the machine; the rates without quotas do.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use super::process::Usage;
use super::table::Table;
use super::world::{self, Limits, World, number};
use super::{machine, page};
use crate::exec::{self, announce};
use crate::repo::Repo;

/// Writes that an application may make in one tenant: 3,000 in 150 seconds.
const WRITES_A_SECOND: f64 = 20.0;
/// Hours that 500,000 changes may take.
const HOURS: f64 = 7.5;
/// The changes that the target speaks of.
const MANY: u64 = 500_000;
/// The part of the quota that is to be used.
const SHARE: f64 = 0.95;
const MIB: f64 = 1_048_576.0;

/// How `cargo xtask bench restore` is told what to do.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Changes that are made and restored at the documented quotas.
    #[arg(long, default_value_t = MANY)]
    changes: u64,
    /// Changes that are made and restored without quotas.
    #[arg(long, default_value_t = 50_000)]
    unthrottled: u64,
    /// Writes the figures into a Markdown page, such as docs/benchmarks.md.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// A restore at the documented quotas, as the program that ran it tells.
struct Paced {
    told: Value,
    /// Seconds that it really took, with all that was needed to make it up.
    took: f64,
}

/// A restore without quotas.
struct Free {
    changes: u64,
    steps: u64,
    /// Seconds from asking for a plan to having it.
    planned: f64,
    /// Seconds from applying it to the end of the comparison.
    applied: f64,
    writes: u64,
    requests: u64,
    failed: u64,
    verified: bool,
    /// What the restorer used, planning included.
    usage: Usage,
    /// CPU seconds of the simulator meanwhile.
    simulator: f64,
}

/// Measure, print, and write where that was asked for.
pub(crate) fn run(repo: &Repo, arguments: &Arguments) -> Result<()> {
    announce("build for release");
    world::build(repo)?;
    let mut build = repo.cargo(["build", "--release", "--locked"]);
    exec::run(build.args(["-p", "rewind-tests", "--example", "restore"]))?;
    let mut about = machine::describe(repo)?;
    about.push(format!(
        "Load before the run (processes that wanted to run, average of a minute): {}.",
        machine::load()
    ));
    announce(&format!(
        "{} changes at the documented quotas",
        arguments.changes
    ));
    let paced = paced(repo, arguments.changes)?;
    announce(&format!("{} changes without quotas", arguments.unthrottled));
    let free = free(repo, arguments.unthrottled)?;
    let tables = tables(&paced, &free);
    println!("\n{tables}");
    match &arguments.write {
        Some(path) => {
            let about: String = about.iter().map(|line| format!("{line}\n")).collect();
            let text = format!("{INTRODUCTION}{about}\n{tables}");
            page::write(&repo.root().join(path), "restore", &text)
        }
        None => Ok(()),
    }
}

/// Users and groups of a tenant in which so many changes seldom meet.
fn population(changes: u64) -> (u64, u64) {
    ((changes / 2).max(100), (changes / 25).max(20))
}

fn paced(repo: &Repo, changes: u64) -> Result<Paced> {
    let (users, groups) = population(changes);
    let mut command = Command::new(repo.released("examples/restore"));
    command.args([changes, users, groups].map(|number| number.to_string()));
    let start = Instant::now();
    let said = exec::output(&mut command)?;
    let took = start.elapsed().as_secs_f64();
    let told = serde_json::from_str(&said).context("the program printed no JSON")?;
    println!("    {told}");
    Ok(Paced { told, took })
}

fn free(repo: &Repo, changes: u64) -> Result<Free> {
    let (users, groups) = population(changes);
    let world = World::start(repo, users, groups)?;
    let base = {
        let _snapshotter = world.snapshotter()?;
        let snapshot = world.take()?;
        let name = snapshot["name"]
            .as_str()
            .context("a snapshot has no name")?;
        name.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let made = world.control.mutate_within("directory", 7, changes)?;
    let _differ = world.differ(Limits::Off)?;
    let restorer = world.restorer(Limits::Off)?;
    world.control.clear()?;
    let before = world.simulator.usage()?.cpu;
    let start = Instant::now();
    let plan = world.restore(&[
        "plan",
        "--snapshot",
        &base,
        "--all",
        "--added",
        "soft-delete",
    ])?;
    let planned = start.elapsed().as_secs_f64();
    let name = plan["plan"]["name"]
        .as_str()
        .context("a plan has no name")?;
    let steps = number(&plan["plan"]["stepCount"]);
    let start = Instant::now();
    let restore = world.restore(&["apply", name])?;
    let applied = start.elapsed().as_secs_f64();
    let asked = world.control.asked()?;
    let count = |name: &str| number(&restore[name]);
    ensure!(
        count("applied") + count("alreadyDone") > 0,
        "nothing was restored: {restore:#}"
    );
    Ok(Free {
        changes: made,
        steps,
        planned,
        applied,
        writes: asked.writes,
        requests: asked.requests,
        failed: count("failed") + count("conflicts") + count("skipped"),
        verified: restore["verified"] == true,
        usage: restorer.usage()?,
        simulator: world.simulator.usage()?.cpu - before,
    })
}

/// A figure, marked where it misses its target.
fn marked(figure: String, is_missed: bool) -> String {
    match is_missed {
        true => format!("{figure} (missed)"),
        false => figure,
    }
}

fn tables(paced: &Paced, free: &Free) -> String {
    let told = |name: &str| paced.told[name].as_f64().unwrap_or_default();
    let count = |name: &str| number(&paced.told[name]);
    let mut table = Table::default();
    let mut row = |name: &str, figure: String, target: &str| {
        table.row([name.to_owned(), figure, target.to_owned()]);
    };
    let hours = told("applied") / 3_600.0;
    let limit = HOURS * count("changes") as f64 / MANY as f64;
    let share = told("writes") / (told("writing") * WRITES_A_SECOND);
    let judged = told("writing") > 600.0;
    row("", "documented quotas".to_owned(), "target");
    row("changes made", count("changes").to_string(), "");
    row("steps of the plan", count("steps").to_string(), "");
    row("writes to the directory", count("writes").to_string(), "");
    row(
        "writes of Conditional Access",
        count("slowWrites").to_string(),
        "",
    );
    row(
        "hours to plan",
        format!("{:.2}", told("planned") / 3_600.0),
        "",
    );
    row(
        "hours to apply and compare",
        marked(format!("{hours:.2}"), judged && hours > limit),
        "≤ 7.5 for 500,000 changes",
    );
    row(
        "share of the write quota",
        marked(format!("{:.1} %", share * 100.0), judged && share < SHARE),
        "≥ 95 %",
    );
    row(
        "requests refused with 429",
        marked(count("refused").to_string(), count("refused") > 0),
        "0",
    );
    row(
        "rules of Graph broken",
        marked(count("violations").to_string(), count("violations") > 0),
        "0",
    );
    row(
        "steps that did not succeed",
        count("failed").to_string(),
        "",
    );
    row(
        "requests ÷ steps",
        format!("{:.2}", told("requests") / told("steps").max(1.0)),
        "",
    );
    row(
        "seconds that this really took",
        format!("{:.0}", paced.took),
        "",
    );
    let first = table.render();

    let mut table = Table::default();
    let mut row = |name: &str, figure: String| table.row([name.to_owned(), figure]);
    row("", "without quotas".to_owned());
    row("changes made", free.changes.to_string());
    row("steps of the plan", free.steps.to_string());
    row("seconds to plan and show", format!("{:.1} s", free.planned));
    row(
        "seconds to apply and compare",
        format!("{:.1} s", free.applied),
    );
    row(
        "writes a second",
        format!("{:.0}", free.writes as f64 / free.applied),
    );
    row("requests", free.requests.to_string());
    row("steps that did not succeed", free.failed.to_string());
    row(
        "compared and found as planned",
        if free.verified { "yes" } else { "no" }.to_owned(),
    );
    row(
        "CPU seconds of the restorer",
        format!("{:.1} s", free.usage.cpu),
    );
    row(
        "CPU seconds of the simulator",
        format!("{:.1} s", free.simulator),
    );
    row(
        "the restorer's peak memory",
        format!("{:.0} MiB", free.usage.peak as f64 / MIB),
    );
    format!("{first}\n{}", table.render())
}

const INTRODUCTION: &str = "\
## Restores

`cargo xtask bench restore --write docs/benchmarks.md` wrote this part.

Random changes are made to a tenant of which a snapshot was taken: to objects, links, grants, assignments and credentials, and a few to policies and settings; then everything is restored, and what was added is deleted.
At the documented quotas simulator and services are one process in simulated time, in which each answer of Graph takes 120 ms; hours are of that time, and depend on no machine.
The share is that of the writes that Microsoft documents, 20 a second for an application in a tenant, from the first write to the directory to the last; Conditional Access has a quota of its own, of one request a second.
Without quotas simulator, gateway, differ and restorer are processes of their own on one machine, talk over loopback without TLS, and share its cores.

";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_misses_its_target_is_marked() {
        let paced = |writing: f64, refused: u64| Paced {
            told: json!({
                "changes": 500_000, "steps": 400_000, "writes": 360_000, "slowWrites": 10,
                "planned": 60.0, "applied": writing + 30.0, "writing": writing,
                "refused": refused, "violations": 0, "requests": 800_000, "failed": 0,
            }),
            took: 300.0,
        };
        let free = Free {
            changes: 10,
            steps: 9,
            planned: 1.0,
            applied: 2.0,
            writes: 9,
            requests: 20,
            failed: 0,
            verified: true,
            usage: Usage::default(),
            simulator: 0.5,
        };
        let good = tables(&paced(18_500.0, 0), &free);
        assert!(
            !good.contains("missed") && good.contains("97.3 %"),
            "{good}"
        );
        let bad = tables(&paced(28_000.0, 3), &free);
        for part in ["7.79 (missed)", "64.3 % (missed)", "3 (missed)"] {
            assert!(bad.contains(part), "{part}: {bad}");
        }
    }
}
