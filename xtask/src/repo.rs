//! Where things are: the root of the repository and the folder for installed tools.
//!
//! Must never hold a path that is true on one machine only.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::exec;

/// The repository that the current folder belongs to.
pub(crate) struct Repo {
    root: PathBuf,
    target: PathBuf,
}

impl Repo {
    /// Ask cargo where the workspace is.
    pub(crate) fn find() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .no_deps()
            .exec()
            .context("could not read the workspace")?;
        Ok(Self {
            root: metadata.workspace_root.into(),
            target: metadata.target_directory.into(),
        })
    }

    /// The folder that holds the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where tools are installed: below cargo's target folder, so that `cargo clean` removes them.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A folder below the one that cargo builds in.
    pub(crate) fn below_target(&self, folder: &str) -> PathBuf {
        self.target.join(folder)
    }

    /// Where cargo puts a program that was built for release.
    pub(crate) fn released(&self, program: &str) -> PathBuf {
        self.target.join("release").join(program)
    }

    /// A command that runs at the root.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// A cargo command that runs at the root.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        command
    }

    /// What a git command prints.
    pub(crate) fn git<const N: usize>(&self, arguments: [&str; N]) -> Result<String> {
        exec::output(self.command("git").args(arguments))
    }
}
