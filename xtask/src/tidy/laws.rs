//! Each law of ARCHITECTURE.md is held by tests that exist.
//!
//! A law begins at `**Law N`, ends at the next law or heading, and cites its tests as `path.rs::name` in backticks.
//! Must never judge whether the test is any good: that is a reader's work.

use super::markdown::{prose, quoted};
use super::{Finding, Tree};

const PAGE: &str = "ARCHITECTURE.md";

struct Law<'page> {
    number: u32,
    line: usize,
    tests: Vec<(usize, &'page str)>,
}

/// Check the laws' numbers and citations.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.text(PAGE) else {
        return vec![Finding::at(PAGE, 1, "the page of laws is missing")];
    };
    let laws = laws(page);
    if laws.is_empty() {
        return vec![Finding::at(PAGE, 1, "no line begins with `**Law N`")];
    }
    let mut findings = order(&laws);
    for law in &laws {
        findings.extend(citations(law, tree));
    }
    findings
}

fn laws(page: &str) -> Vec<Law<'_>> {
    let mut laws: Vec<Law<'_>> = Vec::new();
    let mut inside = false;
    for (line, text) in prose(page) {
        if let Some(number) = number_of(text) {
            inside = true;
            laws.push(Law {
                number,
                line,
                tests: Vec::new(),
            });
        } else if text.starts_with('#') {
            inside = false;
        }
        if let Some(law) = laws.last_mut().filter(|_| inside) {
            let cited = quoted(text).filter(|name| name.contains(".rs::"));
            law.tests.extend(cited.map(|name| (line, name)));
        }
    }
    laws
}

/// The number of the law that begins on this line, which may be an item of a list.
fn number_of(line: &str) -> Option<u32> {
    let start = line.trim_start_matches(|c: char| c.is_ascii_digit() || "-*.# ".contains(c));
    let digits = start.strip_prefix("Law ")?;
    let marked = line.contains("**Law ");
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse().ok().filter(|_| marked)
}

fn order(laws: &[Law<'_>]) -> Vec<Finding> {
    laws.windows(2)
        .filter(|pair| pair[0].number >= pair[1].number)
        .map(|pair| {
            let message = format!("law {} follows law {}", pair[1].number, pair[0].number);
            Finding::at(PAGE, pair[1].line, message)
        })
        .collect()
}

fn citations(law: &Law<'_>, tree: &Tree) -> Vec<Finding> {
    if law.tests.is_empty() {
        let message = format!("law {} cites no test", law.number);
        return vec![Finding::at(PAGE, law.line, message)];
    }
    law.tests
        .iter()
        .filter(|(_, cited)| !exists(cited, tree))
        .map(|(line, cited)| {
            let message = format!("law {} cites `{cited}`, which is not there", law.number);
            Finding::at(PAGE, *line, message)
        })
        .collect()
}

/// Whether a test that is cited as `path.rs::name` is there.
pub(super) fn exists(cited: &str, tree: &Tree) -> bool {
    let Some((path, name)) = cited.split_once("::") else {
        return false;
    };
    let name = name.rsplit("::").next().unwrap_or(name);
    let declared = [format!("fn {name}("), format!("fn {name}<")];
    tree.text(path)
        .is_some_and(|text| declared.iter().any(|text_of| text.contains(text_of)))
}
