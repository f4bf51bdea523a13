//! Old and current values side by side.
//!
//! Owns how an attribute and a link that differ fall into cells, lists element by
//! element, and which of the ids in them have names. Text in a cell is tamed.

use proto::v1::{self, LinkDirection};
use serde_json::Value;

use crate::document::Error;
use crate::text::{tame, tame_lines};
use crate::words;

/// One attribute or link that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The path in parts, between which a line may break.
    pub path: Vec<String>,
    /// What a reader should know of the attribute; empty where nothing.
    pub note: &'static str,
    /// The old and the current value.
    pub cells: [Cell; 2],
}

/// One side of what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// No value, in a word.
    Nothing(&'static str),
    /// A single value.
    One(Element),
    /// A list.
    Elements {
        /// Those that this side alone has, and in ordered lists the others too.
        elements: Vec<(Mark, Element)>,
        /// How many more both sides have, in words; empty where none.
        same: String,
    },
    /// The other end of a link.
    Link {
        /// Whether it came or went.
        mark: Mark,
        /// Its name; empty where that is not known.
        name: String,
        /// Its id.
        id: String,
    },
}

/// A value, or one element of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// What it says.
    pub text: String,
    /// Whether that is JSON, and no plain text.
    pub json: bool,
    /// What the object is called whose id the text is; empty where it is no id of a
    /// known object.
    pub name: String,
}

/// How many characters of a value stand in a table at most,
const LONGEST: usize = 320;
/// and how many of a longer one are its beginning.
const BEGINNING: usize = 120;

impl Element {
    /// The beginning, where the whole is too long to stand in a table.
    #[must_use]
    pub fn beginning(&self) -> Option<String> {
        let is_long = self.text.chars().nth(LONGEST).is_some();
        is_long.then(|| {
            self.text
                .chars()
                .take(BEGINNING)
                .chain(['\u{2026}'])
                .collect()
        })
    }
}

/// Whether only the old or only the current state has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Only the old one.
    Removed,
    /// Only the current one.
    Added,
    /// Both.
    Same,
}

impl Mark {
    /// The sign that says the same without colour.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Removed => "\u{2212} ",
            Self::Added => "+ ",
            Self::Same => "",
        }
    }

    /// Whether it is [`Mark::Added`].
    #[must_use]
    pub fn is_added(self) -> bool {
        self == Self::Added
    }

    /// Whether it is [`Mark::Removed`].
    #[must_use]
    pub fn is_removed(self) -> bool {
        self == Self::Removed
    }
}

/// Every attribute and link of a change.
///
/// # Errors
/// [`Error::NotUnderstood`] where the change is not as the contract says.
pub fn rows(
    attributes: &[v1::AttributeChange],
    links: &[v1::LinkChange],
    references: &[v1::ObjectRef],
) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::with_capacity(attributes.len() + links.len());
    for change in attributes {
        rows.push(attribute(change, references)?);
    }
    for change in links {
        rows.push(link(change)?);
    }
    Ok(rows)
}

fn attribute(change: &v1::AttributeChange, names: &[v1::ObjectRef]) -> Result<Row, Error> {
    let before = change.before_json.as_deref().map(value).transpose()?;
    let after = change.after_json.as_deref().map(value).transpose()?;
    let cells = if is_set(change) {
        [
            set(before.as_ref(), Mark::Removed, &change.removed_json, names)?,
            set(after.as_ref(), Mark::Added, &change.added_json, names)?,
        ]
    } else {
        [
            side(before.as_ref(), Mark::Removed, after.as_ref(), names),
            side(after.as_ref(), Mark::Added, before.as_ref(), names),
        ]
    };
    Ok(Row {
        path: change.path.split_inclusive('.').map(tame).collect(),
        note: words::class(change.class()),
        cells,
    })
}

/// Whether the report tells which elements came and went; it does not where only
/// their order differs.
fn is_set(change: &v1::AttributeChange) -> bool {
    !(change.added_json.is_empty() && change.removed_json.is_empty())
}

/// A value, seen beside the one on the other side.
fn side(this: Option<&Value>, mark: Mark, other: Option<&Value>, names: &[v1::ObjectRef]) -> Cell {
    match (this, other) {
        (None, _) => Cell::Nothing("not set"),
        (Some(Value::String(text)), _) if text.is_empty() => Cell::Nothing("empty"),
        (Some(Value::Array(these)), Some(Value::Array(others))) => {
            ordered(these, mark, others, names)
        }
        (Some(value), _) => Cell::One(element(value, names)),
    }
}

/// A list whose order counts: all of it, with what the other side has not marked.
fn ordered(these: &[Value], mark: Mark, others: &[Value], names: &[v1::ObjectRef]) -> Cell {
    let mut others: Vec<&Value> = others.iter().collect();
    let elements = these.iter().map(|value| {
        let found = others.iter().position(|other| *other == value);
        let mark = found.map_or(mark, |at| {
            others.swap_remove(at);
            Mark::Same
        });
        (mark, element(value, names))
    });
    Cell::Elements {
        elements: elements.collect(),
        same: String::new(),
    }
}

/// A list whose order does not count: what this side alone has.
fn set(
    all: Option<&Value>,
    mark: Mark,
    own: &[String],
    names: &[v1::ObjectRef],
) -> Result<Cell, Error> {
    let all = match all {
        None => return Ok(Cell::Nothing("not set")),
        Some(Value::Array(all)) => all.len(),
        Some(other) => return Ok(Cell::One(element(other, names))),
    };
    let same = all.saturating_sub(own.len()) as u64;
    let same = match (same, own.is_empty()) {
        (0, _) => String::new(),
        (same, true) => format!("{} unchanged", words::number(same)),
        (same, false) => format!("and {} unchanged", words::number(same)),
    };
    let own = own
        .iter()
        .map(|text| Ok((mark, element(&value(text)?, names))));
    Ok(Cell::Elements {
        elements: own.collect::<Result<_, Error>>()?,
        same,
    })
}

fn element(value: &Value, names: &[v1::ObjectRef]) -> Element {
    let Value::String(text) = value else {
        return Element {
            text: tame_lines(&format!("{value:#}")),
            json: true,
            name: String::new(),
        };
    };
    let known = names.iter().find(|one| one.id == *text);
    Element {
        text: tame_lines(text),
        json: false,
        name: known.map_or_else(String::new, |one| tame(&one.display_name)),
    }
}

fn link(change: &v1::LinkChange) -> Result<Row, Error> {
    let end = |mark| Cell::Link {
        mark,
        name: tame(&change.target_name),
        id: tame(&change.target_id),
    };
    let relation = change
        .relation
        .split_once('/')
        .map_or(change.relation.as_str(), |(_, relation)| relation);
    Ok(Row {
        path: vec![tame(relation)],
        note: "link",
        cells: match direction(change)? {
            LinkDirection::Removed => [end(Mark::Removed), Cell::Nothing("not linked")],
            LinkDirection::Added | LinkDirection::Unspecified => {
                [Cell::Nothing("not linked"), end(Mark::Added)]
            }
        },
    })
}

/// A value of a report.
///
/// # Errors
/// [`Error::NotUnderstood`] where it is no JSON.
pub(crate) fn value(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|_| Error::NotUnderstood("it has a value that is no JSON"))
}

/// Whether a link came or went.
///
/// # Errors
/// [`Error::NotUnderstood`] where the link neither came nor went.
pub(crate) fn direction(link: &v1::LinkChange) -> Result<LinkDirection, Error> {
    match link.direction() {
        LinkDirection::Unspecified => Err(Error::NotUnderstood(
            "it has a link that neither came nor went",
        )),
        known => Ok(known),
    }
}

#[cfg(test)]
mod tests;
