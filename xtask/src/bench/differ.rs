//! `cargo xtask bench differ`: reports on tenants of several sizes, of which little, more and much changed.
//!
//! Owns what is measured and which targets it is held against.
//! Seconds are those that the client waits, from its start to the printed report.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use super::control::Asked;
use super::size::Size;
use super::world::{self, Limits, World, number};
use super::{machine, page};
use crate::exec::announce;
use crate::repo::Repo;

mod others;
mod report;

/// How often a report is repeated.
const REPEATS: usize = 20;

/// How `cargo xtask bench differ` is told what to do.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Objects of the tenants, such as `10k` or `1m`.
    #[arg(long, value_delimiter = ',', default_values = ["10k", "100k", "1m"])]
    sizes: Vec<Size>,
    /// Of a thousand objects, how many are changed.
    #[arg(long, value_delimiter = ',', default_values = ["1", "10", "100"])]
    shares: Vec<u64>,
    /// Up to so many objects others compare the same, where ten of a thousand changed.
    #[arg(long, default_value = "100k")]
    others: Size,
    /// Seconds after which others are stopped.
    #[arg(long, default_value_t = 300)]
    other_seconds: u64,
    /// Writes the figures into a Markdown page, such as docs/benchmarks.md.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// One report, and what it took.
struct Made {
    seconds: f64,
    /// Requests to Graph and to the login.
    asked: Asked,
    /// The most memory that the differ had, in bytes, since its start.
    peak: u64,
    report: Value,
}

impl Made {
    fn requests(&self) -> u64 {
        self.asked.requests + self.asked.tokens
    }

    /// How many objects it says changed, and how many links.
    fn changed(&self) -> (u64, u64) {
        let count = |name: &str| number(&self.report["counts"][name]);
        let kinds = [
            "added",
            "modified",
            "softDeleted",
            "hardDeleted",
            "restored",
        ];
        (kinds.iter().map(|kind| count(kind)).sum(), count("links"))
    }
}

/// The figures of one size and share.
struct Figures {
    size: Size,
    /// Of a thousand objects so many were changed.
    share: u64,
    /// Changes that were made.
    changes: u64,
    /// How many objects there are.
    objects: u64,
    /// By a differ that remembers nothing.
    first: Made,
    /// Seconds of the same report again, from memory: the median.
    again: f64,
    /// Between two snapshots, by a differ that remembers nothing.
    between: Made,
    others: Option<others::Others>,
}

/// The figures of one size with quotas.
struct Quiet {
    size: Size,
    /// Seconds of a report where nothing is new.
    seconds: f64,
    /// Requests of one such report.
    requests: u64,
}

/// Measure, print, and write where that was asked for.
pub(crate) fn run(repo: &Repo, arguments: &Arguments) -> Result<()> {
    announce("build for release");
    world::build(repo)?;
    let load = machine::load();
    let mut about = machine::describe(repo)?;
    about.push(
        "Changed are users, groups, applications, service principals and what ties them \
         together. Of policies and administrative units a tenant has few at any size: the \
         changes of a large one would delete most of them, which is read twice before it is \
         believed."
            .to_owned(),
    );
    about.push(format!(
        "Load before the run (processes that wanted to run, average of a minute): {load}."
    ));
    let (mut figures, mut quiet) = (Vec::new(), Vec::new());
    for size in &arguments.sizes {
        announce(&format!("{} objects", size.name()));
        let measured = measure(repo, *size, arguments, &mut figures);
        quiet.push(measured.with_context(|| format!("at {} objects", size.name()))?);
    }
    let tables = report::tables(&figures, &quiet);
    println!("\n{tables}");
    match &arguments.write {
        Some(path) => {
            let part = report::part(&about, &tables);
            page::write(&repo.root().join(path), "differ", &part)
        }
        None => Ok(()),
    }
}

fn measure(
    repo: &Repo,
    size: Size,
    arguments: &Arguments,
    figures: &mut Vec<Figures>,
) -> Result<Quiet> {
    let world = World::start(repo, size.users(), size.groups())?;
    println!("    the tenant was made up in {:.1} s", world.made_in);
    let mut base = take(&world)?;
    for share in &arguments.shares {
        let changes = world.control.mutate_within(
            "directory",
            size.objects() + share,
            size.objects() * share / 1_000,
        )?;
        let (first, again) = {
            let differ = world.differ(Limits::Off)?;
            let first = make(&world, &differ, &base, &[])?;
            world.control.clear()?;
            let again = median(REPEATS, || {
                let start = Instant::now();
                let report = world.report(&base, &["--max-age", "1h"])?;
                ensure!(
                    report["method"] == "cached_read",
                    "the report is not from memory but {}",
                    report["method"]
                );
                Ok(start.elapsed().as_secs_f64())
            })?;
            let asked = world.control.asked()?;
            ensure!(
                asked.requests == 0,
                "reports from memory asked Graph: {:?}",
                asked.routes
            );
            (first, again)
        };
        let next = take(&world)?;
        let between = {
            let differ = world.differ(Limits::Off)?;
            make(&world, &differ, &base, &["--against", &next])?
        };
        // Of a large tenant a snapshot that follows changes asks only guests and whoever
        // had one for sponsors, and says so; a full reading asks everybody.
        ensure!(
            between.changed() == first.changed() || first.report["method"] == "full_read",
            "the two reports differ: {:?} and {:?}",
            first.changed(),
            between.changed()
        );
        let compared = *share == 10 && size.objects() <= arguments.others.objects();
        let others = match compared {
            true => Some(others::compare(
                repo,
                &world,
                [&base, &next],
                arguments.other_seconds,
            )?),
            false => None,
        };
        let made = Figures {
            size,
            share: *share,
            changes,
            objects: number(&first.report["comparedCount"]),
            first,
            again,
            between,
            others,
        };
        report::tell(&made);
        figures.push(made);
        base = next;
    }
    quiet(&world, size, &base)
}

/// Nothing is new, both sides keep the documented quotas, and the differ knows the tenant.
fn quiet(world: &World, size: Size, base: &str) -> Result<Quiet> {
    world.control.throttle(Limits::Documented)?;
    let differ = world.differ(Limits::Documented)?;
    make(world, &differ, base, &[])?;
    let made = make(world, &differ, base, &[])?;
    ensure!(
        made.changed() == (0, 0),
        "something is new: {}",
        made.report
    );
    let (seconds, requests) = (made.seconds, made.requests());
    println!("    nothing new, with quotas: {seconds:.3} s, {requests} requests");
    for (route, count) in &made.asked.routes {
        println!("        {count:>4} {route}");
    }
    Ok(Quiet {
        size,
        seconds,
        requests,
    })
}

/// Take a snapshot with a snapshotter of its own; its id.
fn take(world: &World) -> Result<String> {
    let _snapshotter = world.snapshotter()?;
    let snapshot = world.take()?;
    let name = snapshot["name"]
        .as_str()
        .context("a snapshot has no name")?;
    let id = name.rsplit('/').next().unwrap_or_default();
    // Two snapshots of one second would be one.
    std::thread::sleep(std::time::Duration::from_secs(1));
    Ok(id.to_owned())
}

fn make(
    world: &World,
    differ: &super::process::Process,
    base: &str,
    more: &[&str],
) -> Result<Made> {
    world.control.clear()?;
    let start = Instant::now();
    let report = world.report(base, more)?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(
        report["notCompared"].as_array().is_none_or(Vec::is_empty),
        "not all was compared: {report:#}"
    );
    Ok(Made {
        seconds,
        asked: world.control.asked()?,
        peak: differ.usage()?.peak,
        report,
    })
}

/// The median of some measurements.
fn median(times: usize, mut measure: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..times {
        seconds.push(measure()?);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}
