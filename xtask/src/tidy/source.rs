//! What Rust files must and must not say.
//!
//! Must never repeat a check that rustc or clippy can make.

use super::rust::code_only;
use super::{File, Finding, Tree, numbered};

/// Text that no file may hold, and why.
const FORBIDDEN: [(&str, &str); 4] = [
    (
        "#[ignore",
        "an ignored test proves nothing: delete or mend it",
    ),
    (
        "#[should_panic",
        "assert the error instead: any panic would pass this test",
    ),
    ("todo!(", "finish it or leave it out"),
    ("unimplemented!(", "finish it or leave it out"),
];

/// Text that no test may hold.
const SLEEPS: [&str; 2] = ["thread::sleep", "time::sleep"];

/// Check every Rust file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("rs").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let code = code_only(&file.text);
    let mut findings = Vec::new();
    if file_name(&file.path) == "mod.rs" {
        findings.push(at(
            file,
            1,
            "name the module's file `foo.rs`, not `foo/mod.rs`",
        ));
    }
    if is_module(&file.path) && !file.text.trim_start().starts_with("//!") {
        let message = "begin with `//!`: what the module owns, what it must never do";
        findings.push(at(file, 1, message));
    }
    let tests_from = first_line_of_tests(&file.path, &code);
    for (number, line) in numbered(&code) {
        for (text, why) in FORBIDDEN {
            if line.contains(text) {
                findings.push(at(file, number, &format!("`{text}`: {why}")));
            }
        }
        if number >= tests_from && SLEEPS.iter().any(|sleep| line.contains(sleep)) {
            let message = "a test must not sleep: pause tokio's time or wait for the event";
            findings.push(at(file, number, message));
        }
    }
    findings
}

fn at(file: &File, line: usize, message: &str) -> Finding {
    Finding::at(&file.path, line, message)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A file below `src` that is not tests.
fn is_module(path: &str) -> bool {
    let below_src = if path.starts_with("src/") {
        Some(path)
    } else {
        path.split_once("/src/").map(|(_, below)| below)
    };
    below_src.is_some_and(|below| !is_tests(below))
}

fn is_tests(path: &str) -> bool {
    file_name(path) == "tests.rs" || path.split('/').any(|folder| folder == "tests")
}

/// Where tests begin: at the top of a file of tests, else at the inline module of tests, which comes last.
fn first_line_of_tests(path: &str, code: &str) -> usize {
    if is_tests(path) {
        return 1;
    }
    let mut marked = false;
    for (number, line) in numbered(code) {
        let line = line.trim();
        if marked && line.starts_with("mod ") && line.ends_with('{') {
            return number;
        }
        marked = line == "#[cfg(test)]" || (marked && (line.is_empty() || line.starts_with("#[")));
    }
    usize::MAX
}
