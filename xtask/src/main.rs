//! Checks and chores of this repository: `cargo xtask test`, `ci` and `tidy`.
//!
//! Owns what CI runs and how tools are installed.
//! Must never be needed to build the product, and no other crate may depend on it.
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool answers on standard output"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the clock and environment seams are for the product; chores time themselves and start processes"
)]

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::repo::Repo;

mod ci;
mod exec;
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
    },
    /// Check the rules of CONTRIBUTING.md that no other tool knows.
    Tidy,
}

fn main() -> Result<()> {
    let chore = Cli::parse().chore;
    let repo = Repo::find()?;
    match chore {
        Chore::Test { extra } => test::run(&repo, test::Profile::Default, &extra),
        Chore::Ci { base } => ci::run(&repo, base.as_deref()),
        Chore::Tidy => tidy::run(&repo),
    }
}
