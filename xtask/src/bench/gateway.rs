//! `cargo xtask bench gateway`: what the gateway adds to a call, at a fixed rate of calls.
//!
//! Owns what is measured and which target it is held against. Gateway, snapshotter and whoever
//! calls are processes of their own on the same two cores.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use super::process::Usage;
use super::table::Table;
use super::world::{self, World, number};
use super::{machine, page};
use crate::exec::{self, announce};
use crate::repo::Repo;

/// Microseconds that the slowest call of a hundred may take longer through the gateway.
const ADDED: u64 = 2_000;

/// How `cargo xtask bench gateway` is told what to do.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Calls a second.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Seconds that are measured, each way.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Writes the figures into a Markdown page, such as docs/benchmarks.md.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Measure, print, and write where that was asked for.
pub(crate) fn run(repo: &Repo, arguments: &Arguments) -> Result<()> {
    announce("build for release");
    world::build(repo)?;
    let mut build = repo.cargo(["build", "--release", "--locked"]);
    exec::run(build.args(["-p", "rewind-gateway", "--example", "calls"]))?;
    let mut about = machine::describe(repo)?;
    about.push(format!(
        "Load before the run (processes that wanted to run, average of a minute): {}.",
        machine::load()
    ));
    announce(&format!("{} calls a second", arguments.rate));
    let world = World::start(repo, 100, 10)?;
    let _snapshotter = world.snapshotter()?;
    let snapshot = world.take()?;
    let name = snapshot["name"]
        .as_str()
        .context("a snapshot has no name")?;
    let mut calls = Command::new(repo.released("examples/calls"));
    calls.args(world.calls_of(name));
    calls.args([arguments.rate.to_string(), arguments.seconds.to_string()]);
    let before = world.door.usage()?.cpu;
    let said = exec::output(&mut calls)?;
    let mut usage = world.door.usage()?;
    usage.cpu -= before;
    let told: Value = serde_json::from_str(&said).context("the program printed no JSON")?;
    let tables = table(&told, usage, arguments);
    println!("\n{tables}");
    match &arguments.write {
        Some(path) => {
            let about: String = about.iter().map(|line| format!("{line}\n")).collect();
            let text = format!("{INTRODUCTION}{about}\n{tables}");
            page::write(&repo.root().join(path), "gateway", &text)
        }
        None => Ok(()),
    }
}

/// The figures, and how far the gateway's are from those without it.
fn table(told: &Value, usage: Usage, arguments: &Arguments) -> String {
    let mut table = Table::default();
    table.row(["", "straight", "through the gateway", "added", "target"].map(str::to_owned));
    for (name, key) in [
        ("half of the calls", "p50"),
        ("99 of 100", "p99"),
        ("999 of 1,000", "p999"),
        ("all", "most"),
    ] {
        let [straight, through] = ["straight", "through"].map(|way| number(&told[way][key]));
        let added = through.saturating_sub(straight);
        let is_judged = key == "p99";
        let missed = match is_judged && added > ADDED {
            true => " (missed)",
            false => "",
        };
        table.row([
            name.to_owned(),
            milliseconds(straight),
            milliseconds(through),
            format!("{}{missed}", milliseconds(added)),
            if is_judged { "≤ 2 ms" } else { "" }.to_owned(),
        ]);
    }
    let calls = number(&told["through"]["calls"]);
    format!(
        "{}\n{} calls a second for {} seconds each way; for the {calls} through it the gateway took {:.1} CPU seconds, and at most {:.0} MiB.\n",
        table.render(),
        arguments.rate,
        arguments.seconds,
        usage.cpu,
        usage.peak as f64 / 1_048_576.0,
    )
}

fn milliseconds(microseconds: u64) -> String {
    format!("{:.2} ms", microseconds as f64 / 1_000.0)
}

const INTRODUCTION: &str = "\
## The gateway

`cargo xtask bench gateway --write docs/benchmarks.md` wrote this part.

One snapshot is asked for again and again: straight from the snapshotter, with the signature that a gateway writes, then through the gateway with a token.
Calls begin by the clock, whether or not earlier ones are answered, and each is timed from when it was to begin.
The three are processes of their own on one machine, talk over loopback without TLS, and share its cores.

";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_gateway_adds_is_judged_at_99_of_100() {
        let of = |p99: u64| {
            let told = json!({
                "straight": {"calls": 10, "p50": 300, "p99": 900, "p999": 5_000, "most": 9_000},
                "through": {"calls": 10, "p50": 700, "p99": p99, "p999": 9_000, "most": 20_000},
            });
            let arguments = Arguments {
                rate: 1_000,
                seconds: 60,
                write: None,
            };
            table(&told, Usage::default(), &arguments)
        };
        let good = of(2_900);
        assert!(
            !good.contains("missed") && good.contains("2.00 ms"),
            "{good}"
        );
        assert!(of(2_901).contains("2.00 ms (missed)"));
    }
}
