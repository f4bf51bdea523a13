//! A table with a row for each attribute and link that differs: CSV as RFC 4180
//! has it, in UTF-8.
//!
//! Owns the columns, whose names and order do not change, and that no cell is a
//! formula: in a tenant anybody may name things, and a spreadsheet runs what
//! begins like one.

use std::io::Write;

use csv::{Terminator, Writer, WriterBuilder};
use proto::v1::{self, AttributeClass, LinkDirection};
use serde_json::Value;

use super::{Document, Error, direction, key, value};
use crate::text::{id_of, tame_lines, time, utc};

/// The columns. The first five are the same in all rows, so that tables of many
/// tenants can be joined.
const COLUMNS: [&str; 18] = [
    "tenant",
    "report",
    "snapshot",
    "target",
    "target_time",
    "type",
    "id",
    "name",
    "kind",
    "part",
    "path",
    "old",
    "current",
    "added",
    "removed",
    "class",
    "link_name",
    "obstacles",
];

/// A table that is being written.
pub struct Rows<W: Write> {
    out: Writer<W>,
    report: [String; 5],
}

/// The cells from `part` to `link_name`.
type Part = [String; 8];

impl<W: Write> Rows<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn begin(report: &v1::Report, out: W) -> Result<Self, Error> {
        let mut out = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .from_writer(out);
        out.write_record(COLUMNS).map_err(failed)?;
        let tenant = report.name.split('/').nth(1).unwrap_or_default();
        let target_time = utc(report.target_time.as_ref())
            .map(|_| time(report.target_time.as_ref()))
            .unwrap_or_default();
        Ok(Self {
            out,
            report: [
                tenant.to_owned(),
                id_of(&report.name).to_owned(),
                id_of(&report.base).to_owned(),
                id_of(&report.target).to_owned(),
                target_time,
            ],
        })
    }
}

impl<W: Write> Document for Rows<W> {
    fn change(&mut self, change: &v1::Change) -> Result<(), Error> {
        let object = change.object.clone().unwrap_or_default();
        let kind = key(change.kind().as_str_name(), "CHANGE_KIND_");
        let object = [object.r#type, object.id, object.display_name, kind];
        let obstacles: Vec<String> = change
            .obstacles()
            .map(|obstacle| key(obstacle.as_str_name(), "OBSTACLE_"))
            .collect();
        let obstacles = [obstacles.join(" ")];

        let mut parts = Vec::with_capacity(change.attributes.len() + change.links.len());
        for attribute in &change.attributes {
            parts.push(self::attribute(attribute)?);
        }
        for link in &change.links {
            parts.push(self::link(link)?);
        }
        if parts.is_empty() {
            // A deletion, say, must not be missing only since nothing else differs.
            parts.push(part("object"));
        }
        for part in &parts {
            let cells = self.report.iter().chain(&object).chain(part);
            let cells = cells.chain(&obstacles).map(|cell| harmless(cell));
            self.out.write_record(cells).map_err(failed)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.out.flush().map_err(Error::Output)
    }
}

fn part(name: &str) -> Part {
    let mut cells = Part::default();
    cells[0] = name.to_owned();
    cells
}

fn attribute(change: &v1::AttributeChange) -> Result<Part, Error> {
    let side = |text: &Option<String>| text.as_deref().map_or(Ok(String::new()), plain);
    Ok([
        "attribute".to_owned(),
        change.path.clone(),
        side(&change.before_json)?,
        side(&change.after_json)?,
        list(&change.added_json)?,
        list(&change.removed_json)?,
        match change.class() {
            AttributeClass::Unspecified => String::new(),
            class => key(class.as_str_name(), "ATTRIBUTE_CLASS_"),
        },
        String::new(),
    ])
}

/// A link has its other end where an attribute has its value.
fn link(change: &v1::LinkChange) -> Result<Part, Error> {
    let mut cells = part("link");
    cells[1].clone_from(&change.relation);
    let side = match direction(change)? {
        LinkDirection::Removed => 2,
        LinkDirection::Added | LinkDirection::Unspecified => 3,
    };
    cells[side].clone_from(&change.target_id);
    cells[7].clone_from(&change.target_name);
    Ok(cells)
}

/// A text as it is, anything else as JSON.
fn plain(text: &str) -> Result<String, Error> {
    Ok(match value(text)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// Elements as a JSON list; nothing where there are none.
fn list(texts: &[String]) -> Result<String, Error> {
    if texts.is_empty() {
        return Ok(String::new());
    }
    let values: Result<Vec<Value>, Error> = texts.iter().map(|text| value(text)).collect();
    Ok(Value::Array(values?).to_string())
}

/// A cell that no spreadsheet takes for a formula. What begins like one, or with
/// an apostrophe, gets an apostrophe before it, so that one can be taken away
/// again.
fn harmless(cell: &str) -> String {
    const FORMULAS: [char; 12] = [
        '=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠',
    ];
    let cell = tame_lines(cell);
    if cell.starts_with(FORMULAS) {
        format!("'{cell}")
    } else {
        cell
    }
}

fn failed(error: csv::Error) -> Error {
    Error::Output(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_apostrophe_can_be_taken_away_again(text in "[=+@'a\\t\\n -]{0,4}|.*") {
            let cell = harmless(&text);
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
            prop_assert_eq!(cell.strip_prefix('\'').unwrap_or(&cell), tame_lines(&text));
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("", ""),
            ("Ann", "Ann"),
            ("a=b", "a=b"),
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("\n=1", "'\n=1"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("\u{1b}=1", "\\u{1b}=1"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(harmless(cell), written, "{cell:?}");
        }
    }

    #[test]
    fn texts_stand_as_they_are_and_the_rest_as_json() {
        let check = |text: &str, expected: &str| {
            assert_eq!(plain(text).expect("JSON"), expected);
        };
        check("\"Clerk\"", "Clerk");
        check("\"\"", "");
        check("true", "true");
        check("-1", "-1");
        check("{\"b\": [1, \"x\"]}", "{\"b\":[1,\"x\"]}");
        assert!(matches!(plain("Clerk"), Err(Error::NotUnderstood(_))));
        assert_eq!(list(&[]).expect("nothing"), "");
        let two = ["\"a\"".to_owned(), "{}".to_owned()];
        assert_eq!(list(&two).expect("a list"), "[\"a\",{}]");
    }
}
