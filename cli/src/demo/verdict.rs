//! Whether the demonstration ended as it should.
//!
//! Four questions: was everything found that was done, and nothing else; did
//! every step succeed; is nothing left but what was hard-deleted; and is the
//! tenant itself, links included, what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::v1::{Change, ChangeKind, LinkDirection, Restore, RestoreState};
use serde_json::{Value, json};
use simulator::attack::{Deed, DeedKind};
use simulator::live_differences;

/// What is known of one changed object: kind, properties, links.
type Facts = (
    &'static str,
    BTreeSet<String>,
    BTreeSet<(String, String, String)>,
);

/// The answers.
pub(super) struct Verdict {
    made: BTreeMap<&'static str, usize>,
    found: BTreeMap<&'static str, usize>,
    gone: Vec<String>,
    problems: Vec<String>,
}

impl Verdict {
    pub(super) fn of(
        deeds: &[Deed],
        changes: &[Change],
        restore: &Restore,
        left: &[Change],
        dumps: (&Value, &Value),
    ) -> Self {
        let deleted: BTreeSet<&str> = deeds
            .iter()
            .filter(|deed| matches!(deed.kind, DeedKind::SoftDeleted | DeedKind::HardDeleted))
            .map(|deed| deed.id.as_str())
            .collect();
        let (made, found): (BTreeMap<String, Facts>, BTreeMap<String, Facts>) = (
            deeds.iter().map(|deed| of_deed(deed, &deleted)).collect(),
            changes.iter().map(of_change).collect(),
        );
        let mut problems = Vec::new();
        for key in made.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
            match (made.get(key), found.get(key)) {
                (Some(made), Some(found)) if made == found => {}
                (made, found) => problems.push(format!("{key}: done {made:?}, found {found:?}")),
            }
        }
        if restore.state() != RestoreState::Succeeded || !restore.verified {
            problems.push(format!(
                "the restore ended as {}",
                restore.state().as_str_name()
            ));
            problems.extend(restore.unexpected.iter().cloned());
        }
        let lost: BTreeMap<&str, &Deed> = deeds
            .iter()
            .filter(|deed| deed.kind == DeedKind::HardDeleted)
            .map(|deed| (deed.id.as_str(), deed))
            .collect();
        let left_ids: BTreeSet<&str> = left
            .iter()
            .filter_map(|change| Some(change.object.as_ref()?.id.as_str()))
            .collect();
        if left_ids != lost.keys().copied().collect() {
            problems.push(format!("left after the restore: {left_ids:?}"));
        }
        if let Some(other) = left
            .iter()
            .find(|change| change.kind() != ChangeKind::HardDeleted)
        {
            problems.push(format!("left after the restore: {other:?}"));
        }
        let differing = live_differences(dumps.0, dumps.1);
        problems.extend(
            differing
                .into_iter()
                .filter(|sentence| !lost.keys().any(|id| sentence.contains(id))),
        );
        let gone = lost
            .values()
            .map(|deed| {
                format!(
                    "{} \"{}\" ({})",
                    deed.object_type, deed.display_name, deed.id
                )
            })
            .collect();
        Self {
            made: tally(made.values()),
            found: tally(found.values()),
            gone,
            problems,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        let everything_happened = self.made.values().all(|count| *count > 0);
        everything_happened && self.problems.is_empty() && self.made == self.found
    }

    pub(super) fn made(&self) -> Value {
        json!(self.made)
    }

    pub(super) fn found(&self) -> Value {
        json!(self.found)
    }

    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    pub(super) fn text(&self, took: Duration) -> String {
        let numbers = |counts: &BTreeMap<&str, usize>| {
            counts
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut lines = vec![
            format!("changes made:  {}", numbers(&self.made)),
            format!("changes found: {}", numbers(&self.found)),
        ];
        lines.extend(
            self.gone
                .iter()
                .map(|object| format!("cannot come back, since it was hard-deleted: {object}")),
        );
        lines.extend(
            self.problems
                .iter()
                .map(|problem| format!("problem: {problem}")),
        );
        let end = if self.is_good() {
            "verified: everything else is as it was"
        } else {
            "not verified"
        };
        lines.push(format!("{end} ({:.1} s)", took.as_secs_f64()));
        lines.join("\n")
    }
}

fn tally<'a>(facts: impl Iterator<Item = &'a Facts>) -> BTreeMap<&'static str, usize> {
    let mut counts: BTreeMap<&'static str, usize> =
        ["added", "modified", "softDeleted", "hardDeleted", "links"]
            .map(|kind| (kind, 0))
            .into();
    for (kind, _, links) in facts {
        *counts.entry(kind).or_default() += 1;
        *counts.entry("links").or_default() += links.len();
    }
    counts
}

/// Properties and links matter of modified objects; of the others the kind
/// says it all. A link to an object that was deleted too is part of its deletion.
fn of_deed(deed: &Deed, deleted: &BTreeSet<&str>) -> (String, Facts) {
    let kind = match deed.kind {
        DeedKind::Added => "added",
        DeedKind::Modified => "modified",
        DeedKind::SoftDeleted => "softDeleted",
        DeedKind::HardDeleted => "hardDeleted",
    };
    let modified = deed.kind == DeedKind::Modified;
    let properties = deed
        .properties
        .iter()
        .filter(|_| modified)
        .cloned()
        .collect();
    let told = |(_, direction, target): &&(String, String, String)| {
        modified && !(direction == "removed" && deleted.contains(target.as_str()))
    };
    let links = deed.links.iter().filter(told).cloned().collect();
    (
        format!("{} {}", deed.object_type, deed.id),
        (kind, properties, links),
    )
}

fn of_change(change: &Change) -> (String, Facts) {
    let object = change.object.clone().unwrap_or_default();
    let kind = match change.kind() {
        ChangeKind::Added => "added",
        ChangeKind::Modified => "modified",
        ChangeKind::SoftDeleted => "softDeleted",
        ChangeKind::HardDeleted => "hardDeleted",
        ChangeKind::Restored => "restored",
        ChangeKind::Unspecified => "unknown",
    };
    let modified = change.kind() == ChangeKind::Modified;
    let property = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
    let properties = change
        .attributes
        .iter()
        .filter(|_| modified)
        .map(|attribute| property(&attribute.path))
        .collect();
    let links = change.links.iter().filter(|_| modified).map(|link| {
        let relation = link
            .relation
            .split('/')
            .next_back()
            .unwrap_or_default()
            .to_owned();
        let direction = if link.direction() == LinkDirection::Added {
            "added"
        } else {
            "removed"
        };
        (relation, direction.to_owned(), link.target_id.clone())
    });
    (
        format!("{} {}", object.r#type, object.id),
        (kind, properties, links.collect()),
    )
}
