//! Each error reason that a client can see has a page, and each page a reason.
//!
//! The reasons are the string constants below the line `// reasons` in the model's error module.

use std::collections::BTreeMap;

use super::{Finding, Tree, numbered};

const SOURCE: &str = "crates/model/src/error.rs";
const MARKER: &str = "// reasons";
const PAGES: &str = "docs/errors/";
const INDEX: &str = "docs/errors/README.md";

/// Check the reasons against the pages, and the pages against their index.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(source) = tree.text(SOURCE) else {
        return vec![Finding::at(
            SOURCE,
            1,
            "the module of error reasons is missing",
        )];
    };
    let reasons = reasons(source);
    if reasons.is_empty() {
        let message = format!("no string constants follow a line `{MARKER}`");
        return vec![Finding::at(SOURCE, 1, message)];
    }
    let index = tree.text(INDEX).unwrap_or_default();
    let without_page = reasons
        .iter()
        .filter(|(reason, _)| !tree.holds(&page_of(reason)))
        .map(|(reason, line)| Finding::at(SOURCE, *line, format!("write {}", page_of(reason))));
    let without_reason = pages(tree)
        .filter(|(_, reason)| !reasons.contains_key(*reason))
        .map(|(path, reason)| Finding::at(path, 1, format!("no code gives the reason {reason}")));
    let without_entry = pages(tree)
        .filter(|(_, reason)| !index.contains(&format!("({reason}.md)")))
        .map(|(_, reason)| Finding::at(INDEX, 1, format!("link {reason}.md")));
    without_page
        .chain(without_reason)
        .chain(without_entry)
        .collect()
}

fn page_of(reason: &str) -> String {
    format!("{PAGES}{reason}.md")
}

/// The path and reason of each page.
fn pages(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| *path != INDEX)
        .filter_map(|path| {
            let reason = path.strip_prefix(PAGES)?.strip_suffix(".md")?;
            Some((path, reason))
        })
}

/// The reasons and the lines that declare them.
fn reasons(source: &str) -> BTreeMap<&str, usize> {
    numbered(source)
        .skip_while(|(_, line)| line.trim() != MARKER)
        .filter_map(|(number, line)| {
            let declared = line.trim().strip_prefix("pub const ")?;
            let (_, value) = declared.split_once(": &str = \"")?;
            let reason = value.strip_suffix("\";")?;
            is_reason(reason).then_some((reason, number))
        })
        .collect()
}

fn is_reason(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}
