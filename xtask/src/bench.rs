//! `cargo xtask bench`: how fast and how small the product is, against its targets.
//!
//! Owns which benchmarks there are; each builds what it measures for release and runs it as processes of its own.
//! Must never be part of the tests: figures depend on the machine and on what else it does.

use anyhow::Result;
use clap::Subcommand;

use crate::repo::Repo;

mod collect;
mod control;
mod differ;
mod gateway;
mod least;
mod machine;
mod page;
mod process;
mod restore;
mod sdk;
mod size;
mod table;
mod vault;
mod world;

/// The benchmarks.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Snapshots of tenants of several sizes, and Microsoft's SDK reading the same.
    Collect(collect::Arguments),
    /// Reports on tenants of several sizes of which little, more and much changed.
    Differ(differ::Arguments),
    /// Calls at a fixed rate, straight to a service and through the gateway.
    Gateway(gateway::Arguments),
    /// A restore of many changes, at the documented quotas in simulated time and without any.
    Restore(restore::Arguments),
    /// Five days in the vault beside restic and borg, and reads of single objects.
    Vault(vault::Arguments),
}

/// Run one benchmark.
pub(crate) fn run(repo: &Repo, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Collect(arguments) => collect::run(repo, arguments),
        Bench::Differ(arguments) => differ::run(repo, arguments),
        Bench::Gateway(arguments) => gateway::run(repo, arguments),
        Bench::Restore(arguments) => restore::run(repo, arguments),
        Bench::Vault(arguments) => vault::run(repo, arguments),
    }
}
