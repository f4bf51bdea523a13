//! `cargo xtask docs`: the pages of documentation that follow from the code.
//!
//! Owns which pages there are.
//! Must never write a page that a test does not compare with the code.

use anyhow::{Context, Result};

use crate::exec;
use crate::repo::Repo;

/// Write each page anew.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let print = ["run", "--quiet", "-p", "rewind-model", "--example", "types"];
    let page = exec::output(&mut repo.cargo(print))?;
    let path = repo.root().join("docs/types.md");
    std::fs::write(&path, page).with_context(|| format!("could not write {}", path.display()))
}
