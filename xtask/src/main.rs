//! Checks and chores of this repository: `cargo xtask test`, `ci`, `tidy`, `docs`, `image` and `bench`.
//!
//! Owns what CI runs and how tools are installed.
//! Must never be needed to build the product, and no other crate may depend on it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its caller"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the clock and environment seams are for the product; chores time themselves and start processes"
)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::repo::Repo;

mod bench;
mod ci;
mod docs;
mod exec;
mod image;
mod repo;
mod test;
mod tidy;
mod tools;

/// Checks and chores of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the tests need and run them all.
    Test {
        /// Arguments for the test runner, such as a test's name; the documentation's tests are then left out.
        #[arg(last = true)]
        extra: Vec<String>,
    },
    /// Everything a change must pass, cheap checks first.
    Ci {
        /// The commit whose protos this tree must stay compatible with.
        #[arg(long)]
        base: Option<String>,
        /// One step alone, such as `typos`.
        #[arg(long, value_name = "STEP")]
        only: Option<String>,
    },
    /// Check the rules of CONTRIBUTING.md that no other tool knows.
    Tidy,
    /// Write the pages of documentation that follow from the code.
    Docs,
    /// Write the container images, each as an archive that containerd and Docker take.
    Image(image::Request),
    /// Measure the product, built for release, against its targets.
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    let repo = Repo::find()?;
    match chore {
        Chore::Test { extra } => test::run(&repo, test::Profile::Default, &extra),
        Chore::Ci { base, only } => ci::run(&repo, &ci::Request { base, only }),
        Chore::Tidy => tidy::run(&repo),
        Chore::Docs => docs::run(&repo),
        Chore::Image(request) => image::run(&repo, &request),
        Chore::Bench(bench) => bench::run(&repo, &bench),
    }
}
