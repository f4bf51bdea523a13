//! `cargo xtask tidy`: the rules of CONTRIBUTING.md that no other tool knows.
//!
//! Owns the reading of the tree; each check below is a function from that [`Tree`] to [`Finding`]s.
//! Must never change a file.

use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use crate::repo::Repo;

mod arrows;
mod laws;
mod links;
mod markdown;
mod paths;
mod quirks;
mod reasons;
mod rust;
mod source;

/// Run every check, print what was found, and fail if that is anything.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let tree = Tree::read(repo)?;
    let metadata = MetadataCommand::new()
        .current_dir(repo.root())
        .other_options(["--locked".to_owned()])
        .exec()
        .context("could not read the dependency graph")?;
    let mut findings = arrows::check(&arrows::Crates::from(&metadata), &tree);
    findings.extend(CHECKS.iter().flat_map(|check| check(&tree)));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy found one thing to put right"),
        count => bail!("tidy found {count} things to put right"),
    }
}

type Check = fn(&Tree) -> Vec<Finding>;

const CHECKS: [Check; 6] = [
    source::check,
    laws::check,
    quirks::check,
    reasons::check,
    paths::check,
    links::check,
];

/// Something to put right, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    /// Lines count from one.
    fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// The files that git tracks or would track; paths are relative to the root, with `/`.
struct Tree {
    files: Vec<File>,
}

/// One file; the text of a binary file is empty.
struct File {
    path: String,
    text: String,
}

impl Tree {
    fn read(repo: &Repo) -> Result<Self> {
        let listed = repo.git([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])?;
        let files = listed
            .split_terminator('\0')
            .filter_map(|path| {
                // A file that git still tracks may be gone already.
                let bytes = fs::read(repo.root().join(path)).ok()?;
                Some(File {
                    path: path.to_owned(),
                    text: String::from_utf8(bytes).unwrap_or_default(),
                })
            })
            .collect();
        Ok(Self { files })
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    }

    fn with_extension<'tree>(&'tree self, extension: &str) -> impl Iterator<Item = &'tree File> {
        let ending = format!(".{extension}");
        self.files
            .iter()
            .filter(move |file| file.path.ends_with(&ending))
    }

    /// Whether a file or folder of that path exists.
    fn holds(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self
                .files
                .iter()
                .any(|file| file.path == path || file.path.starts_with(&folder))
    }
}

/// The lines of a text, numbered from one.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests;
