//! `cargo xtask bench collect`: snapshots of a made-up tenant, first and next day, beside Microsoft's SDK.
//!
//! Owns what is measured and which targets it is held against.
//! Must never change a setting of the product to look better, except that no quota is kept, as the simulator keeps none.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chrono::DateTime;
use clap::Args;

use super::control::Asked;
use super::process::Usage;
use super::sdk::{self, Managed};
use super::size::Size;
use super::world::{self, World, number};
use super::{least, machine, page};
use crate::exec::announce;
use crate::repo::Repo;

mod report;

/// How `cargo xtask bench collect` is told what to do.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Objects of the tenants, such as `10k` or `1m`.
    #[arg(long, value_delimiter = ',', default_values = ["10k", "100k", "1m"])]
    sizes: Vec<Size>,
    /// Seconds for Microsoft's SDK at each size; 0 leaves it out.
    #[arg(long, default_value_t = 60)]
    sdk_seconds: u64,
    /// Writes the figures to a Markdown page, such as docs/benchmarks.md.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Tells each route that was asked, too.
    #[arg(long)]
    routes: bool,
}

/// What one snapshot took.
struct Taken {
    /// Seconds from the snapshot's start time to its end time.
    seconds: f64,
    /// Seconds that the client waited.
    waited: f64,
    objects: u64,
    links: u64,
    /// Requests, the login's included.
    requests: u64,
    asked: Asked,
    used: Usage,
    /// CPU seconds of the simulator meanwhile.
    simulator_cpu: f64,
    /// Bytes that came to the store.
    stored: u64,
    counts: BTreeMap<String, u64>,
    reading: String,
}

/// The figures of one size.
struct Figures {
    size: Size,
    made_in: f64,
    first: Taken,
    least: u64,
    changes: u64,
    next: Taken,
    sdk: Result<Option<Managed>>,
    simulator: Usage,
}

/// Measure, print, and write where that was asked for.
pub(crate) fn run(repo: &Repo, arguments: &Arguments) -> Result<()> {
    announce("build for release");
    world::build(repo)?;
    let load = machine::load();
    let mut about = machine::describe(repo)?;
    about.push(format!(
        "Load before the run (processes that wanted to run, average of a minute): {load}."
    ));
    let mut figures = Vec::new();
    for size in &arguments.sizes {
        announce(&format!("{} objects", size.name()));
        let measured = measure(repo, *size, arguments);
        figures.push(measured.with_context(|| format!("at {} objects", size.name()))?);
    }
    println!("\n{}", report::tables(&figures));
    match &arguments.write {
        Some(path) => {
            let part = report::part(&about, &figures);
            page::write(&repo.root().join(path), "collect", &part)
        }
        None => Ok(()),
    }
}

fn measure(repo: &Repo, size: Size, arguments: &Arguments) -> Result<Figures> {
    let world = World::start(repo, size.users(), size.groups())?;
    println!("    the tenant was made up in {:.1} s", world.made_in);
    let first = take(&world)?;
    tell("first snapshot", &first, arguments.routes);
    let least = least::requests(&first.counts)?;
    let changes = world.control.mutate(size.objects(), size.objects() / 100)?;
    let next = take(&world)?;
    tell("next snapshot", &next, arguments.routes);
    ensure!(
        next.reading == "READING_INCREMENTAL",
        "the next snapshot did not follow changes but was {}",
        next.reading
    );
    let sdk = match arguments.sdk_seconds {
        0 => Ok(None),
        seconds => sdk::read(repo, &world, seconds).map(Some),
    };
    match &sdk {
        Ok(Some(sdk)) => println!(
            "    msgraph-sdk: {} objects and {} links in {:.1} s",
            sdk.objects, sdk.links, sdk.seconds
        ),
        Ok(None) => {}
        Err(error) => println!("    msgraph-sdk could not be measured: {error:#}"),
    }
    Ok(Figures {
        size,
        made_in: world.made_in,
        first,
        least,
        changes,
        next,
        sdk,
        simulator: world.simulator.usage()?,
    })
}

/// Take one snapshot with a snapshotter that has done nothing before.
fn take(world: &World) -> Result<Taken> {
    let snapshotter = world.snapshotter()?;
    world.control.clear()?;
    let stored = world.stored()?;
    let (before, simulator) = (snapshotter.usage()?, world.simulator.usage()?);
    let start = Instant::now();
    let snapshot = world.take()?;
    let waited = start.elapsed().as_secs_f64();
    let (after, simulator_after) = (snapshotter.usage()?, world.simulator.usage()?);
    let asked = world.control.asked()?;
    let text = |field: &str| snapshot[field].as_str().unwrap_or_default();
    let moment = |field: &str| {
        DateTime::parse_from_rfc3339(text(field)).with_context(|| format!("no {field}"))
    };
    let took = moment("endTime")? - moment("startTime")?;
    let kinds = snapshot["kinds"].as_array().context("no kinds")?;
    let counts = kinds
        .iter()
        .map(|kind| {
            let name = kind["kind"].as_str().unwrap_or_default().to_owned();
            (name, number(&kind["count"]))
        })
        .collect();
    Ok(Taken {
        seconds: took.as_seconds_f64(),
        waited,
        objects: number(&snapshot["objectCount"]),
        links: number(&snapshot["linkCount"]),
        requests: asked.requests + asked.tokens,
        asked,
        used: Usage {
            cpu: after.cpu - before.cpu,
            peak: after.peak,
        },
        simulator_cpu: simulator_after.cpu - simulator.cpu,
        stored: world.stored()? - stored,
        counts,
        reading: text("reading").to_owned(),
    })
}

fn tell(what: &str, taken: &Taken, routes: bool) {
    println!(
        "    {what}: {:.2} s ({:.2} s waited), {} objects, {} links, {} requests, {} units, {:.2} s of CPU, {:.0} MiB, {:.1} MiB stored; simulator {:.2} s of CPU",
        taken.seconds,
        taken.waited,
        taken.objects,
        taken.links,
        taken.requests,
        taken.asked.units,
        taken.used.cpu,
        taken.used.peak as f64 / 1_048_576.0,
        taken.stored as f64 / 1_048_576.0,
        taken.simulator_cpu,
    );
    if routes {
        for (route, count) in &taken.asked.routes {
            println!("        {count:>7} {route}");
        }
        for (kind, count) in &taken.counts {
            println!("        {count:>9} {kind}");
        }
    }
}
