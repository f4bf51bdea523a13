//! Tables and lists of fields, for people.
//!
//! Owns their look: no borders, fitted to the terminal, neither colours nor
//! wrapping where the output is piped. It never decides what is shown.

use std::io::IsTerminal;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

use crate::text::tame;

/// Terminals that say they are narrower are not asked to wrap: some that are
/// none say zero.
const NARROWEST: u16 = 40;

/// A table under a heading; says so where it is empty.
///
/// The first column names the row and is never wrapped, so that it can be
/// copied.
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = plain();
    if std::io::stdout().is_terminal() && table.width().is_some_and(|width| width >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(heading);
    for row in rows {
        table.add_row(row.map(|cell| tame(&cell)));
    }
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    if table.is_empty() {
        "(none)".to_owned()
    } else {
        render(&table)
    }
}

/// One line for each field, never wrapped, so that a value can be copied.
pub(crate) fn fields<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = plain();
    for (name, value) in rows {
        table.add_row([name.to_owned(), tame(&value)]);
    }
    render(&table)
}

fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if !std::io::stdout().is_terminal() {
        table.force_no_tty();
    }
    table
}

fn render(table: &Table) -> String {
    // Each cell is padded by one space, the first one too.
    let lines: Vec<String> = table
        .lines()
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect();
    lines.join("\n")
}
