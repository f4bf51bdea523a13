//! One object on the page, with its old and current values side by side.

use askama::Template;
use proto::v1;

use super::super::Error;
use crate::compare::{Cell, Row, rows};
use crate::text::{shorten, tame};
use crate::who::activity;
use crate::words;

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

impl Entry {
    /// What is to be shown of a change.
    ///
    /// # Errors
    /// [`Error::NotUnderstood`] where the change cannot be understood.
    pub(super) fn of(change: &v1::Change) -> Result<Self, Error> {
        let object = change.object.clone().unwrap_or_default();
        let (kind, class) = words::kind(change.kind());
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
            rows: rows(&change.attributes, &change.links, &change.references)?,
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
