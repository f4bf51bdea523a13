//! `cargo xtask ci`: everything a change must pass, cheap checks first.
//!
//! Must never pass where a step could not run; the two exceptions, a missing base for protos and a missing advisory database, are said aloud.

use std::path::Path;

use anyhow::{Result, bail};

use crate::exec::{announce, run as execute, step, succeeds};
use crate::repo::Repo;
use crate::test::{self, Profile};
use crate::tidy;
use crate::tools;

/// What a run was asked for.
pub(crate) struct Request {
    /// The commit whose protos this tree must stay compatible with.
    pub(crate) base: Option<String>,
    /// The one step to run, where not all are wanted.
    pub(crate) only: Option<String>,
}

type Step = fn(&Repo, &Request) -> Result<()>;

/// The steps before the tests, cheap ones first.
const STEPS: [(&str, Step); 7] = [
    ("formatting", formatting),
    ("tidy", |repo, _| tidy::run(repo)),
    ("typos", typos),
    ("protos", protos),
    ("dependencies", dependencies),
    ("clippy", clippy),
    ("documentation", documentation),
];

/// Run every step; the first that fails ends the run.
pub(crate) fn run(repo: &Repo, request: &Request) -> Result<()> {
    if let Some(only) = &request.only {
        return run_one(repo, request, only);
    }
    for (name, body) in STEPS {
        step(name, || body(repo, request))?;
    }
    // No line of ours follows this step: the log ends with the runner's summary.
    announce("tests");
    test::run(repo, Profile::Ci, &[])
}

fn run_one(repo: &Repo, request: &Request, only: &str) -> Result<()> {
    match STEPS.iter().find(|(name, _)| *name == only) {
        Some((name, body)) => step(name, || body(repo, request)),
        None => {
            let names = STEPS.map(|(name, _)| name).join(", ");
            bail!("no step `{only}`; there are: {names}")
        }
    }
}

fn formatting(repo: &Repo, _: &Request) -> Result<()> {
    execute(&mut repo.cargo(["fmt", "--all", "--check"]))
}

fn typos(repo: &Repo, _: &Request) -> Result<()> {
    execute(&mut repo.command(tools::TYPOS.install(repo)?))
}

fn clippy(repo: &Repo, _: &Request) -> Result<()> {
    let mut command = repo.cargo(["clippy", "--workspace", "--all-targets", "--locked"]);
    execute(command.args(["--", "-D", "warnings"]))
}

fn documentation(repo: &Repo, _: &Request) -> Result<()> {
    let mut command = repo.cargo(["doc", "--no-deps", "--workspace", "--locked"]);
    execute(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Lint the protos, and compare them with those of the base.
fn protos(repo: &Repo, request: &Request) -> Result<()> {
    if repo.git(["ls-files", "--", "proto/*.proto"])?.is_empty() {
        println!("    skipped: no protos are tracked");
        return Ok(());
    }
    let buf = tools::BUF.install(repo)?;
    execute(repo.command(&buf).arg("lint"))?;
    match base_commit(repo, request.base.as_deref()) {
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
fn dependencies(repo: &Repo, _: &Request) -> Result<()> {
    let deny = tools::DENY.install(repo)?;
    let check = || {
        let mut command = repo.command(&deny);
        command.args(["--locked", "check", "--hide-inclusion-graph"]);
        command
    };
    execute(check().args(["licenses", "bans", "sources"]))?;
    if succeeds(repo.command(&deny).args(["fetch", "db"])) {
        execute(check().arg("advisories"))
    } else {
        println!("    advisories skipped: their database cannot be fetched from here");
        Ok(())
    }
}
