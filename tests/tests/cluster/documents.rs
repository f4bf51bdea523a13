//! Commands that the documents show are commands that there are.
//!
//! Each is given to the client with `--help` behind it, so that every word is understood and nothing happens.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::images::built;
use crate::rendered::root;

/// Every page for whoever runs or uses Rewind; that of the format has words that begin alike and are no commands.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    for folder in ["docs", "docs/runbooks"] {
        let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
        let entries = entries.map(|entry| entry.expect("an entry").path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    pages.retain(|page| !page.ends_with("docs/format.md"));
    pages.sort();
    pages
}

/// The commands of a page: lines of its shell blocks, and what stands between backticks.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let (mut inside, mut begun) = (false, String::new());
    for line in text.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            inside = fence == "sh";
            continue;
        }
        if inside {
            begun.push_str(line.trim());
            match begun.strip_suffix('\\') {
                Some(first) => begun = first.to_owned(),
                None => commands.push(std::mem::take(&mut begun)),
            }
        } else {
            commands.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let commands = commands.into_iter().map(|command| {
        let bare = command
            .split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        // Some are run with a token of their own.
        match bare.strip_prefix("REWIND_") {
            Some(rest) => rest
                .split_once(' ')
                .map_or_else(|| bare.clone(), |(_, rest)| rest.to_owned()),
            None => bare,
        }
    });
    commands
        .filter(|command| command.starts_with("rewind ") && !command.contains(['…', '|', '$', '<']))
        .collect()
}

/// The words of a command, of which some are in quotes, with something that fits in the
/// place of what stands there in capitals.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for c in command.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => (quote, begun) = (Some(c), true),
            None if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words.iter().map(|word| filled(word)).collect()
}

/// A word with what fits in the place of the parts in capitals.
fn filled(word: &str) -> String {
    let mut filled = String::new();
    let mut part = String::new();
    for c in word.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || "-_./".contains(c) {
            part.push(c);
            continue;
        }
        filled.push_str(example(&part).unwrap_or(&part));
        part.clear();
        if c != '\0' {
            filled.push(c);
        }
    }
    filled
}

/// What fits where a page says this.
fn example(placeholder: &str) -> Option<&'static str> {
    Some(match placeholder {
        "GUID" | "TENANT" | "ID" | "USER" | "GROUP" | "OLD" | "NEW" => {
            "0a1b2c3d-0000-4000-8000-00000000beef"
        }
        "REPORT" | "PLAN" | "RESTORE" | "SIGNAL" | "SNAPSHOT" | "BEFORE" | "AFTER" | "OLDER"
        | "NEWER" => "20261121-daily",
        "URL" => "https://example.org/",
        "REFERENCE" => "env:REWIND_CREDENTIAL_WEBHOOK_X",
        _ => return None,
    })
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let client = built().join("rewind");
    assert!(client.exists(), "{} is not built", client.display());
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("text");
        for command in commands(&text) {
            count += 1;
            if let Some(problem) = misunderstood(&client, &command) {
                wrong.push(format!("{}: {command}: {problem}", page.display()));
            }
        }
    }
    assert!(count > 100, "{count} commands");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn misunderstood(client: &Path, command: &str) -> Option<String> {
    let words = words(command);
    let output = Command::new(client)
        .args(&words[1..])
        .arg("--help")
        .output()
        .expect("started");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(errors)
}
