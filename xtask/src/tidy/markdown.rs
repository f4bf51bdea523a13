//! A reader of Markdown that is just good enough for links and quoted names.

use super::numbered;

/// The lines outside fenced blocks, numbered from one.
pub(super) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    numbered(text).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What stands between backticks in a line.
pub(super) fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A line without what stands between backticks.
pub(super) fn unquoted(line: &str) -> String {
    line.split('`').step_by(2).collect()
}
