//! No file names a folder of somebody's machine.

use super::{File, Finding, Tree, numbered};

/// Folders that exist on a machine somebody worked on; written in pieces, or this file would find itself.
const MACHINE: [&str; 2] = [concat!("/", "work/"), concat!("/", "root/")];

/// Check every text file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().flat_map(check_file).collect()
}

fn check_file(file: &File) -> impl Iterator<Item = Finding> {
    numbered(&file.text)
        .filter(|(_, line)| MACHINE.iter().any(|path| names(line, path)))
        .map(|(number, _)| Finding::at(&file.path, number, "a path of somebody's machine"))
}

/// Whether a line holds the path from its root, not as the middle of a longer one.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_-.})*".contains(c))
    })
}
