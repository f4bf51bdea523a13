//! `cargo xtask ci`: everything a change must pass, cheap checks first.
//!
//! Must never pass where a step could not run; the two exceptions, a missing base for protos and a missing advisory database, are said aloud.

use std::path::Path;

use anyhow::Result;

use crate::exec::{announce, run as execute, step, succeeds};
use crate::repo::Repo;
use crate::test::{self, Profile};
use crate::tidy;
use crate::tools;

/// Run every step; the first that fails ends the run.
pub(crate) fn run(repo: &Repo, base: Option<&str>) -> Result<()> {
    step("formatting", || {
        execute(&mut repo.cargo(["fmt", "--all", "--check"]))
    })?;
    step("tidy", || tidy::run(repo))?;
    step("typos", || {
        execute(&mut repo.command(tools::TYPOS.install(repo)?))
    })?;
    step("protos", || protos(repo, base))?;
    step("dependencies", || dependencies(repo))?;
    step("clippy", || clippy(repo))?;
    step("documentation", || documentation(repo))?;
    // No line follows this step: the log ends with the runner's own summary.
    announce("tests");
    test::run(repo, Profile::Ci, &[])
}

fn clippy(repo: &Repo) -> Result<()> {
    let mut command = repo.cargo(["clippy", "--workspace", "--all-targets", "--locked"]);
    execute(command.args(["--", "-D", "warnings"]))
}

fn documentation(repo: &Repo) -> Result<()> {
    let mut command = repo.cargo(["doc", "--no-deps", "--workspace", "--locked"]);
    execute(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Lint the protos, and compare them with those of the base.
fn protos(repo: &Repo, base: Option<&str>) -> Result<()> {
    if repo.git(["ls-files", "--", "proto/*.proto"])?.is_empty() {
        println!("    skipped: no protos are tracked");
        return Ok(());
    }
    let buf = tools::BUF.install(repo)?;
    execute(repo.command(&buf).arg("lint"))?;
    match base_commit(repo, base) {
        Some(commit) => breaking(repo, &buf, &commit),
        None => {
            println!("    comparison skipped: no earlier commit is known");
            Ok(())
        }
    }
}

fn breaking(repo: &Repo, buf: &Path, commit: &str) -> Result<()> {
    let listed = repo.git(["ls-tree", "-r", "--name-only", commit, "--", "proto"])?;
    if !listed.lines().any(|path| path.ends_with(".proto")) {
        println!("    comparison skipped: {commit} has no protos");
        return Ok(());
    }
    let against = format!(".git#ref={commit}");
    execute(repo.command(buf).args(["breaking", "--against", &against]))
}

/// The last landed commit: the one asked for, else where this branch left `origin/main`, else the parent.
fn base_commit(repo: &Repo, asked: Option<&str>) -> Option<String> {
    let revision = |git: Result<String>| git.ok().map(|hash| hash.trim().to_owned());
    if let Some(asked) = asked {
        return Some(asked.to_owned());
    }
    let head = revision(repo.git(["rev-parse", "--verify", "HEAD"]))?;
    revision(repo.git(["merge-base", "HEAD", "origin/main"]))
        .filter(|fork| *fork != head)
        .or_else(|| revision(repo.git(["rev-parse", "--verify", "HEAD~"])))
}

/// Licences, bans and sources always; advisories where their database can be fetched.
fn dependencies(repo: &Repo) -> Result<()> {
    let deny = tools::DENY.install(repo)?;
    let check = || {
        let mut command = repo.command(&deny);
        command.args(["--locked", "check"]);
        command
    };
    execute(check().args(["licenses", "bans", "sources"]))?;
    if succeeds(repo.command(&deny).args(["fetch", "db"])) {
        execute(check().args(["--disable-fetch", "advisories"]))
    } else {
        println!("    advisories skipped: their database cannot be fetched from here");
        Ok(())
    }
}
