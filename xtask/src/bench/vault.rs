//! `cargo xtask bench vault`: five days of a tenant in the vault, beside restic and borg, and reads of single objects.
//!
//! Owns what is measured and which targets it is held against.
//! All three store the same days in the same run, one after another, on the same disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use super::table::Table;
use super::{machine, page};
use crate::exec::{self, announce};
use crate::repo::Repo;
use crate::tools;

const DAYS: u64 = 5;
/// Of so many memberships one moves each day, which is one link gone and one come.
const MOVES: [u64; 2] = [96, 24];
const MIB: f64 = 1_048_576.0;

/// How `cargo xtask bench vault` is told what to do.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Users of the tenant whose days are stored.
    #[arg(long, default_value_t = 100_000)]
    users: u64,
    /// Users of the tenant of which single objects are read; 0 leaves that out.
    #[arg(long, default_value_t = 1_000_000)]
    objects: u64,
    /// How many objects are read.
    #[arg(long, default_value_t = 200)]
    samples: u64,
    /// Where the stores and files are made; a temporary folder where absent.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Writes the figures into a Markdown page, such as docs/benchmarks.md.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// One of those that store the days.
struct Keeper {
    name: &'static str,
    /// Seconds of each day, and bytes stored after it.
    days: Vec<(f64, u64)>,
}

impl Keeper {
    fn seconds(&self) -> f64 {
        self.days.iter().map(|(seconds, _)| seconds).sum()
    }

    fn stored(&self) -> f64 {
        self.days.last().map_or(0.0, |(_, bytes)| *bytes as f64)
    }

    fn growth(&self) -> f64 {
        let first = self.days.first().map_or(0.0, |(_, bytes)| *bytes as f64);
        self.stored() / first
    }
}

/// Five days, and who stored them.
struct Course {
    /// How many links changed after the first day.
    links: u64,
    keepers: [Keeper; 3],
}

/// Milliseconds that it took to read an object.
struct Points {
    p50: f64,
    p99: f64,
}

/// Measure, print, and write where that was asked for.
pub(crate) fn run(repo: &Repo, arguments: &Arguments) -> Result<()> {
    announce("build for release");
    let mut build = repo.cargo(["build", "--release", "--locked"]);
    exec::run(build.args(["-p", "rewind-store", "--example", "vault"]))?;
    let program = repo.released("examples/vault");
    for (name, package) in [("restic", "restic"), ("borg", "borgbackup")] {
        if !exec::succeeds(Command::new(name).arg("--version")) {
            tools::debian(&[package])?;
        }
    }
    let mut about = machine::describe(repo)?;
    about.push(format!(
        "Load before the run (processes that wanted to run, average of a minute): {}.",
        machine::load()
    ));
    for name in ["restic", "borg"] {
        let said = exec::output(Command::new(name).arg(version_of(name)))?;
        let line = said.lines().next().unwrap_or_default();
        about.push(format!("Compared with: {line}."));
    }
    let temporary = match &arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let temporary = temporary.context("no temporary folder")?;
    let mut courses = Vec::new();
    for moves in MOVES {
        let folder = tempfile::tempdir_in(temporary.path())?;
        courses.push(days(&program, folder.path(), arguments.users, moves)?);
    }
    let points = match arguments.objects {
        0 => None,
        _ => Some(points(&program, temporary.path(), arguments)?),
    };
    let text = report(&about, arguments, &courses, points.as_ref());
    println!("\n{text}");
    match &arguments.write {
        Some(path) => page::write(&repo.root().join(path), "vault", &text),
        None => Ok(()),
    }
}

fn version_of(name: &str) -> &'static str {
    match name {
        "restic" => "version",
        _ => "--version",
    }
}

fn days(program: &Path, folder: &Path, users: u64, moves: u64) -> Result<Course> {
    let (store, files) = (folder.join("store"), folder.join("files"));
    let (restic, borg) = (folder.join("restic"), folder.join("borg"));
    fs::create_dir(&files)?;
    exec::output(&mut restic_command(folder, &restic, &["init"]))?;
    exec::output(borg_command(folder, &["init", "--encryption=repokey-blake2"]).arg(&borg))?;
    let keeper = |name| Keeper {
        name,
        days: Vec::new(),
    };
    let mut keepers = ["Rewind", "restic", "borg"].map(keeper);
    let mut links = 0;
    for day in 1..=DAYS {
        announce(&format!("day {day}"));
        let said = ask(Command::new(program)
            .arg("day")
            .args([&store, &files])
            .args([day, users, moves].map(|number| number.to_string())))?;
        if day > 1 {
            links += said["links"].as_u64().context("no links")?;
        }
        let seconds = said["seconds"].as_f64().context("no seconds")?;
        keepers[0].days.push((seconds, size(&store)?));

        let mut backup = restic_command(folder, &restic, &["backup", "--quiet"]);
        keepers[1]
            .days
            .push((timed(backup.arg(&files))?, size(&restic)?));

        let mut create = borg_command(folder, &["create", "--compression", "zstd,3"]);
        create
            .arg(format!("{}::day-{day}", borg.display()))
            .arg(&files);
        keepers[2].days.push((timed(&mut create)?, size(&borg)?));
        for keeper in &keepers {
            if let Some((seconds, bytes)) = keeper.days.last() {
                let stored = *bytes as f64 / MIB;
                println!(
                    "    {}: {seconds:.2} s, {stored:.1} MiB stored",
                    keeper.name
                );
            }
        }
    }
    Ok(Course { links, keepers })
}

/// A program that keeps all it writes in a folder, with a password that protects nothing.
fn restic_command(folder: &Path, repository: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("restic");
    command
        .args(words)
        .arg("--repo")
        .arg(repository)
        .arg("--cache-dir")
        .arg(folder.join("restic-cache"))
        .env("RESTIC_PASSWORD", "bench");
    command
}

fn borg_command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("borg");
    command
        .args(words)
        .env("BORG_BASE_DIR", folder.join("borg-base"))
        .env("BORG_PASSPHRASE", "bench");
    command
}

fn points(program: &Path, folder: &Path, arguments: &Arguments) -> Result<Points> {
    announce(&format!("{} objects", arguments.objects));
    let store = folder.join("large");
    let users = arguments.objects.to_string();
    ask(Command::new(program).arg("day").arg(&store).args([
        "-",
        "1",
        &users,
        &MOVES[0].to_string(),
    ]))?;
    let samples = arguments.samples.to_string();
    let said = ask(Command::new(program)
        .arg("points")
        .arg(&store)
        .args([&users, &samples]))?;
    let figure = |name: &str| said[name].as_f64().with_context(|| format!("no {name}"));
    Ok(Points {
        p50: figure("p50")?,
        p99: figure("p99")?,
    })
}

fn ask(command: &mut Command) -> Result<Value> {
    let said = exec::output(command)?;
    serde_json::from_str(&said).context("the program printed no JSON")
}

fn timed(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    exec::output(command)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}

fn report(
    about: &[String],
    arguments: &Arguments,
    courses: &[Course],
    points: Option<&Points>,
) -> String {
    let about: String = about.iter().map(|line| format!("{line}\n")).collect();
    let mut text = format!("{INTRODUCTION}{about}");
    for course in courses {
        text += &format!(
            "\n### Five days of {} users, {} links changed\n\n{}",
            arguments.users,
            course.links,
            kept(&course.keepers)
        );
    }
    if let Some(points) = points {
        let mut table = Table::default();
        table.row(["", "milliseconds", "target"].map(str::to_owned));
        let p50 = format!("{:.1}{}", points.p50, missed(points.p50 > 20.0));
        table.row(["p50".to_owned(), p50, "≤ 20".to_owned()]);
        table.row([
            "p99".to_owned(),
            format!("{:.1}", points.p99),
            String::new(),
        ]);
        text += &format!(
            "\n### One object of {}, cold, {} times\n\n{}",
            arguments.objects,
            arguments.samples,
            table.render()
        );
    }
    text
}

/// What each took and stored.
fn kept(keepers: &[Keeper; 3]) -> String {
    let [rewind, restic, _] = keepers;
    let mut table = Table::default();
    let names = keepers.iter().map(|keeper| keeper.name.to_owned());
    let heading = std::iter::once(String::new()).chain(names);
    table.row(heading.chain(std::iter::once("target".to_owned())));
    let mut line = |name: String, figure: &dyn Fn(&Keeper) -> String, target: &str| {
        let cells = keepers.iter().map(figure);
        let row = std::iter::once(name).chain(cells);
        table.row(row.chain(std::iter::once(target.to_owned())));
    };
    for day in 0..keepers[0].days.len() {
        let figure = |keeper: &Keeper| format!("{:.2} s", keeper.days[day].0);
        line(format!("seconds of day {}", day + 1), &figure, "");
    }
    line(
        "seconds of all days".to_owned(),
        &|keeper| format!("{:.2} s", keeper.seconds()),
        "",
    );
    for day in [0, keepers[0].days.len() - 1] {
        let figure = |keeper: &Keeper| format!("{:.1} MiB", keeper.days[day].1 as f64 / MIB);
        line(format!("bytes stored after day {}", day + 1), &figure, "");
    }
    line(
        "five days ÷ one day".to_owned(),
        &|keeper| {
            format!(
                "{:.3}{}",
                keeper.growth(),
                missed(std::ptr::eq(keeper, rewind) && keeper.growth() > 1.10)
            )
        },
        "≤ 1.10",
    );
    line(
        "times as large as Rewind".to_owned(),
        &|keeper| {
            let times = keeper.stored() / rewind.stored();
            format!(
                "{times:.1}{}",
                missed(std::ptr::eq(keeper, restic) && times < 5.0)
            )
        },
        "≥ 5 (restic)",
    );
    line(
        "times as long as Rewind".to_owned(),
        &|keeper| {
            let times = keeper.seconds() / rewind.seconds();
            format!(
                "{times:.1}{}",
                missed(std::ptr::eq(keeper, restic) && times < 10.0)
            )
        },
        "≥ 10 (restic)",
    );
    table.render()
}

/// A word where a figure misses its target.
fn missed(is_missed: bool) -> &'static str {
    if is_missed { " (missed)" } else { "" }
}

const INTRODUCTION: &str = "\
## The vault

`cargo xtask bench vault --write docs/benchmarks.md` wrote this part.

A made-up tenant of users and groups, three memberships for each user, is stored on five days: each day one user in a hundred changes, and some memberships move, of each of which one link goes and one comes.
Rewind's seconds are those of the store's own commit, from the changes at hand to the written manifest.
restic and borg (with zstd at level 3) store the same days as files, one of JSON for each object, the members of a group inside the group's; both keep what they know of files between the days, and the files are in the page cache.
Bytes are those of all files in each store.

A single object is read from a folder, with the manifest, after Linux was told to forget every file of the store.

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misses_its_target_is_marked() {
        let keeper = |name, seconds, bytes: [u64; 2]| Keeper {
            name,
            days: bytes.map(|bytes| (seconds, bytes)).to_vec(),
        };
        let keepers = [
            keeper("Rewind", 1.0, [100, 120]),
            keeper("restic", 30.0, [400, 480]),
            keeper("borg", 5.0, [1_000, 1_200]),
        ];
        let arguments = Arguments {
            users: 10,
            objects: 1,
            samples: 2,
            folder: None,
            write: None,
        };
        let points = Points {
            p50: 21.0,
            p99: 30.0,
        };
        let courses = [Course { links: 7, keepers }];
        let text = report(&[], &arguments, &courses, Some(&points));
        for part in [
            "7 links changed",
            "1.200 (missed)",
            "4.0 (missed)",
            " 30.0 |",
            "21.0 (missed)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("30.0 (missed)"), "{text}");
    }
}
