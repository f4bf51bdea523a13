//! One object on the page, with its old and current values side by side.

use askama::Template;
use proto::v1::{self, LinkDirection};
use serde_json::Value;

use super::super::{direction, value};
use super::words;
use crate::failure::Failure;
use crate::render::activity;
use crate::text::{shorten, tame, tame_lines};

#[derive(Template)]
#[template(path = "report/object.html", whitespace = "minimize")]
pub(super) struct Entry {
    kind: &'static str,
    class: &'static str,
    name: String,
    /// The whole name, where the other is shortened.
    whole_name: Option<String>,
    id: String,
    /// What stands in the way of putting it back, in a word or two each.
    obstacles: Vec<&'static str>,
    /// Who did what and when, as far as the audit log tells.
    activities: Vec<String>,
    rows: Vec<Row>,
    /// What is said where there are no rows.
    nothing_else: &'static str,
}

/// One attribute or link that differs.
struct Row {
    /// The path in parts, between which a line may break.
    path: Vec<String>,
    note: &'static str,
    /// The old and the current value.
    cells: [Cell; 2],
}

/// One side of what differs.
enum Cell {
    /// No value, in a word.
    Nothing(&'static str),
    /// A text.
    Text(String),
    /// Anything else, as JSON.
    Json(String),
    /// The elements of a list that only this side has, and how many both have.
    Elements {
        mark: Mark,
        elements: Vec<Element>,
        same: String,
    },
    /// The other end of a link.
    Link {
        mark: Mark,
        name: String,
        id: String,
    },
}

/// One element of a list.
enum Element {
    Text(String),
    Json(String),
}

/// Whether only the old or only the current state has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Removed,
    Added,
}

impl Entry {
    /// What is to be shown of a change.
    ///
    /// # Errors
    /// [`Failure::Answer`] where the change cannot be understood.
    pub(super) fn of(change: &v1::Change) -> Result<Self, Failure> {
        let object = change.object.clone().unwrap_or_default();
        let (kind, class) = words::kind(change.kind());
        let mut rows = Vec::with_capacity(change.attributes.len() + change.links.len());
        for attribute in &change.attributes {
            rows.push(self::attribute(attribute)?);
        }
        for link in &change.links {
            rows.push(self::link(link)?);
        }
        let (name, whole) = (shorten(&object.display_name), tame(&object.display_name));
        Ok(Self {
            kind,
            class,
            whole_name: (name != whole).then_some(whole),
            name,
            id: tame(&object.id),
            obstacles: change
                .obstacles()
                .map(|obstacle| words::obstacle(obstacle).0)
                .collect(),
            activities: activities(change),
            rows,
            nothing_else: words::nothing_else(change.kind()),
        })
    }
}

fn activities(change: &v1::Change) -> Vec<String> {
    let told = change.activities.iter().map(activity);
    let more = change.more_activities;
    let more = (more > 0).then(|| format!("and {more} more"));
    told.chain(more).collect()
}

fn attribute(change: &v1::AttributeChange) -> Result<Row, Failure> {
    let side = |text: &Option<String>, mark, own: &[String]| -> Result<Cell, Failure> {
        let Some(text) = text else {
            return Ok(Cell::Nothing("not set"));
        };
        Ok(match value(text)? {
            Value::String(text) if text.is_empty() => Cell::Nothing("empty"),
            Value::String(text) => Cell::Text(tame_lines(&text)),
            Value::Array(all) if is_set(change) => elements(mark, all.len(), own)?,
            other => Cell::Json(tame_lines(&format!("{other:#}"))),
        })
    };
    Ok(Row {
        path: parts(&change.path),
        note: words::class(change.class()),
        cells: [
            side(&change.before_json, Mark::Removed, &change.removed_json)?,
            side(&change.after_json, Mark::Added, &change.added_json)?,
        ],
    })
}

/// Whether the report tells which elements came and went; it does not where only
/// their order differs.
fn is_set(change: &v1::AttributeChange) -> bool {
    !(change.added_json.is_empty() && change.removed_json.is_empty())
}

fn elements(mark: Mark, all: usize, own: &[String]) -> Result<Cell, Failure> {
    let element = |text: &String| -> Result<Element, Failure> {
        Ok(match value(text)? {
            Value::String(text) => Element::Text(tame_lines(&text)),
            other => Element::Json(tame_lines(&format!("{other:#}"))),
        })
    };
    let same = all.saturating_sub(own.len()) as u64;
    let same = match (same, own.is_empty()) {
        (0, _) => String::new(),
        (same, true) => format!("{} unchanged", words::number(same)),
        (same, false) => format!("and {} unchanged", words::number(same)),
    };
    Ok(Cell::Elements {
        mark,
        elements: own.iter().map(element).collect::<Result<_, _>>()?,
        same,
    })
}

fn link(change: &v1::LinkChange) -> Result<Row, Failure> {
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

/// `conditions.users` as `conditions.` and `users`.
fn parts(path: &str) -> Vec<String> {
    path.split_inclusive('.').map(tame).collect()
}
