//! Relative links in Markdown lead to files of this repository.
//!
//! Must never touch the network: links to other sites are not checked.

use super::markdown::{prose, unquoted};
use super::{File, Finding, Tree};

/// Check every Markdown file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("md")
        .flat_map(|file| check_file(file, tree))
        .collect()
}

fn check_file(file: &File, tree: &Tree) -> Vec<Finding> {
    prose(&file.text)
        .flat_map(|(number, line)| {
            targets(&unquoted(line))
                .into_iter()
                .filter(|target| !leads_somewhere(target, &file.path, tree))
                .map(|target| {
                    let message = format!("the link to `{target}` leads nowhere");
                    Finding::at(&file.path, number, message)
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The targets of `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<String> {
    let inline = line.split("](").skip(1).filter_map(|after| {
        let end = after.find([')', ' '])?;
        Some(&after[..end])
    });
    let defined = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .and_then(|(_, target)| target.split_whitespace().next());
    inline.chain(defined).map(str::to_owned).collect()
}

fn leads_somewhere(target: &str, from: &str, tree: &Tree) -> bool {
    let target = target.trim_start_matches('<').trim_end_matches('>');
    let elsewhere = target.contains("://") || target.starts_with("mailto:");
    let path = target.split('#').next().unwrap_or_default();
    elsewhere || path.is_empty() || resolve(path, from).is_some_and(|path| tree.holds(&path))
}

/// The path from the root; `None` where it leaves the repository.
fn resolve(path: &str, from: &str) -> Option<String> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = match path.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => folder.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
