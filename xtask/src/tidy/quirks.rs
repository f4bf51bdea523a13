//! Each row of `docs/quirks.md` and `docs/threat-model.md` is held by tests that exist.
//!
//! A row of a table cites its tests as `path.rs::name` in backticks, or says in its last cell why it needs none, beginning with `none:`.
//! Must never judge whether the test is any good: that is a reader's work.

use super::laws::exists;
use super::markdown::{prose, quoted};
use super::{Finding, Tree};

const PAGES: [&str; 2] = ["docs/quirks.md", "docs/threat-model.md"];

/// Check the rows' citations.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    PAGES
        .iter()
        .flat_map(|page| check_page(page, tree))
        .collect()
}

fn check_page(page: &str, tree: &Tree) -> Vec<Finding> {
    let text = tree.text(page).unwrap_or_default();
    prose(text)
        .filter(|(_, text)| text.starts_with('|'))
        .filter(|(_, text)| !is_heading(text))
        .flat_map(|(line, text)| row(page, line, text, tree))
        .collect()
}

/// The first rows of a table: its names and the rule below them.
fn is_heading(row: &str) -> bool {
    let rule = row.chars().all(|c| "|-: ".contains(c));
    rule || row.trim_end_matches(['|', ' ']).ends_with("held by")
}

fn row(page: &str, line: usize, text: &str, tree: &Tree) -> Vec<Finding> {
    let cited: Vec<&str> = quoted(text).filter(|name| name.contains(".rs::")).collect();
    let last = text.trim_end_matches(['|', ' ']).rsplit('|').next();
    let needs_none = last.is_some_and(|cell| cell.trim_start().starts_with("none:"));
    if cited.is_empty() && !needs_none {
        return vec![Finding::at(page, line, "the row cites no test")];
    }
    cited
        .into_iter()
        .filter(|cited| !exists(cited, tree))
        .map(|cited| Finding::at(page, line, format!("cites `{cited}`, which is not there")))
        .collect()
}
