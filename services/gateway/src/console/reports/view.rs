//! What the pages of reports say, as plain data.
//!
//! Pure: messages come in, and what a template shows goes out.

use super::super::error::PageError;
use super::super::parts::{Badge, Tone, address};
use super::super::told::{Deed, Fact, Facts, Object, Sides, count, page_of, percent, scope, state};
use super::choice::KINDS;
use prost_types::Timestamp;
use proto::v1::{self, AuditLogState, ChangeCounts, ChangeKind, Obstacle, ReportState};
use show::compare::rows;
use show::text::id_of;
use show::words::{self, number};

/// How a report stands.
pub(super) fn badge(report: &v1::Report) -> Badge {
    match report.state() {
        ReportState::Running => Badge::new(Tone::Busy, "Running"),
        ReportState::Succeeded if report.not_compared.is_empty() => {
            Badge::new(Tone::Good, "Complete")
        }
        ReportState::Succeeded => Badge::new(Tone::Warn, "Partly compared"),
        ReportState::Failed => Badge::new(Tone::Bad, "Failed"),
        ReportState::Cancelled => Badge::new(Tone::Plain, "Cancelled"),
        ReportState::Unspecified => Badge::new(Tone::Plain, "Unknown"),
    }
}

/// One report of the list.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) href: String,
    pub(super) id: String,
    /// What was compared with what.
    pub(super) states: [Fact; 2],
    pub(super) scope: String,
    pub(super) badge: Badge,
    pub(super) made: Option<Timestamp>,
    pub(super) changes: String,
}

impl Line {
    pub(super) fn of(report: &v1::Report) -> Self {
        let counts = report.counts.unwrap_or_default();
        Self {
            href: format!("/{}", report.name),
            id: id_of(&report.name).to_owned(),
            states: [state("From", &report.base), state("To", &report.target)],
            scope: scope(report.scope.as_ref()),
            badge: badge(report),
            made: report.create_time,
            changes: match report.state() {
                ReportState::Succeeded => in_words(&counts),
                _ => String::new(),
            },
        }
    }
}

fn of_kind(counts: &ChangeCounts, kind: ChangeKind) -> i64 {
    match kind {
        ChangeKind::Added => counts.added,
        ChangeKind::Modified => counts.modified,
        ChangeKind::SoftDeleted => counts.soft_deleted,
        ChangeKind::HardDeleted => counts.hard_deleted,
        ChangeKind::Restored => counts.restored,
        ChangeKind::Unspecified => 0,
    }
}

fn objects(counts: &ChangeCounts) -> i64 {
    KINDS.iter().map(|(_, kind)| of_kind(counts, *kind)).sum()
}

/// `3 added, 12 modified, 1 link`.
pub(super) fn in_words(counts: &ChangeCounts) -> String {
    let kinds = KINDS.iter().map(|(_, kind)| {
        let label = words::kind(*kind).0.to_lowercase();
        (of_kind(counts, *kind), label)
    });
    let links = if counts.links == 1 { "link" } else { "links" };
    let parts: Vec<String> = kinds
        .chain([(counts.links, links.to_owned())])
        .filter(|(count, _)| *count > 0)
        .map(|(count, label)| format!("{} {label}", shown(count)))
        .collect();
    match parts.is_empty() {
        true => "nothing differs".to_owned(),
        false => parts.join(", "),
    }
}

fn shown(count: i64) -> String {
    number(u64::try_from(count).unwrap_or_default())
}

/// How many changes there are of a kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KindCount {
    pub(super) label: &'static str,
    pub(super) class: &'static str,
    pub(super) number: String,
    /// Where only these are shown; empty where there are none.
    pub(super) href: String,
}

/// How many changes there are of a type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TypeRow {
    pub(super) title: String,
    pub(super) href: String,
    /// Of each kind: how many, and where these are shown; empty where there are none.
    pub(super) kinds: Vec<(String, String)>,
    pub(super) links: String,
    pub(super) objects: String,
}

/// What a report says before its changes.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) badge: Badge,
    pub(super) facts: Facts,
    pub(super) objects: i64,
    pub(super) kinds: Vec<KindCount>,
    pub(super) types: Vec<TypeRow>,
    pub(super) not_compared: Vec<String>,
    pub(super) older: Vec<String>,
    /// What is to be said of the audit log where it was not read as a whole.
    pub(super) log: Option<String>,
    pub(super) is_running: bool,
    pub(super) is_made: bool,
    /// Where the page of the base is.
    pub(super) base: String,
}

impl Head {
    pub(super) fn of(report: &v1::Report) -> Self {
        let path = format!("/{}", report.name);
        let counts = report.counts.unwrap_or_default();
        let kinds = KINDS.iter().map(|(name, kind)| {
            let (label, class) = words::kind(*kind);
            let (number, href) = cell(&path, of_kind(&counts, *kind), &[("kind", name)]);
            let class = if href.is_empty() { "none-of" } else { class };
            KindCount {
                label,
                class,
                number: if number.is_empty() {
                    "0".to_owned()
                } else {
                    number
                },
                href,
            }
        });
        let links = KindCount {
            label: "Links",
            class: if counts.links == 0 {
                "none-of"
            } else {
                "links"
            },
            number: shown(counts.links),
            href: String::new(),
        };
        Self {
            id: id_of(&report.name).to_owned(),
            badge: badge(report),
            facts: Facts {
                facts: facts(report),
            },
            objects: objects(&counts),
            kinds: kinds.chain([links]).collect(),
            types: report
                .type_counts
                .iter()
                .map(|of| type_row(&path, of))
                .collect(),
            not_compared: report.not_compared.clone(),
            older: report.older.clone(),
            log: log(report.audit_log.as_ref()),
            is_running: report.state() == ReportState::Running,
            is_made: report.state() == ReportState::Succeeded,
            base: page_of(&report.base),
            path,
        }
    }
}

/// A count with where the changes are shown that it counts.
fn cell(path: &str, count: i64, query: &[(&str, &str)]) -> (String, String) {
    match count {
        0 => (String::new(), String::new()),
        count => (shown(count), format!("{}#changes", address(path, query))),
    }
}

fn type_row(path: &str, of: &v1::TypeCounts) -> TypeRow {
    let counts = of.counts.unwrap_or_default();
    let of_type = ("type", of.r#type.as_str());
    let kinds = KINDS
        .iter()
        .map(|(name, kind)| cell(path, of_kind(&counts, *kind), &[of_type, ("kind", name)]));
    let (objects, href) = cell(path, objects(&counts), &[of_type]);
    TypeRow {
        title: words::title(&of.r#type),
        href,
        kinds: kinds.collect(),
        links: cell(path, counts.links, &[]).0,
        objects,
    }
}

fn facts(report: &v1::Report) -> Vec<Fact> {
    let how = match report.method.as_str() {
        "full_read" => "read as a whole for this report",
        "changes_read" => "brought up to date for this report",
        "cached_read" => "as read for an earlier report",
        _ => "",
    };
    let target = match report.target.as_str() {
        "live" if report.target_time.is_some() => Fact::text("Current", "the live tenant as of"),
        other => state("Current", other),
    };
    let target = target.at(report.target_time);
    let mut facts = vec![
        state("Old", &report.base),
        target,
        Fact::text("Compared", scope(report.scope.as_ref())),
        Fact::time("Asked for", report.create_time),
    ];
    if report.compared_count > 0 {
        let many = count(report.compared_count, "object", "objects");
        facts.push(Fact::text("Objects compared", many));
    }
    if !how.is_empty() {
        facts.push(Fact::text("Live state", how));
    }
    facts
}

fn log(log: Option<&v1::AuditLog>) -> Option<String> {
    let log = log?;
    let state = match log.state() {
        AuditLogState::Read if log.detail.is_empty() => return None,
        AuditLogState::Unspecified => return None,
        AuditLogState::Read => "The audit log was read.",
        AuditLogState::Partial => {
            "The audit log was read in part, so that some changes are told without who made them."
        }
        AuditLogState::Denied => {
            "The audit log was denied, so that nothing tells who made the changes."
        }
        AuditLogState::Unavailable => {
            "The audit log could not be read, so that nothing tells who made the changes."
        }
    };
    Some(format!("{state} {}", log.detail).trim_end().to_owned())
}

/// Whether a restore can put something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restorable {
    Yes,
    InPart,
    No,
}

/// What keeps an object as a whole from being put back.
const WHOLE: [Obstacle; 8] = [
    Obstacle::HardDeleted,
    Obstacle::OnPremisesSynced,
    Obstacle::ExchangeManaged,
    Obstacle::TypeNotRestored,
    Obstacle::OwnAccess,
    Obstacle::LastAdministrator,
    Obstacle::NotSoftDeletable,
    Obstacle::NotRecreatable,
];

fn restorable(change: &v1::Change) -> Restorable {
    let mut obstacles = change.obstacles();
    if change.obstacles.is_empty() {
        Restorable::Yes
    } else if obstacles.any(|one| WHOLE.contains(&one)) {
        Restorable::No
    } else {
        Restorable::InPart
    }
}

/// One object that differs.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) object: Object,
    pub(super) kind: &'static str,
    pub(super) class: &'static str,
    pub(super) restorable: Badge,
    /// How much differs, in words.
    pub(super) extent: String,
    pub(super) sides: Sides,
    /// What is said where there are no rows.
    pub(super) nothing_else: &'static str,
    /// What stands in the way: in a word or two, and why.
    pub(super) obstacles: Vec<(&'static str, &'static str)>,
    pub(super) deeds: Vec<Deed>,
    pub(super) more_deeds: String,
}

impl Entry {
    /// # Errors
    /// Where the change is not as the contract says.
    pub(super) fn of(change: &v1::Change) -> Result<Self, PageError> {
        let (kind, class) = words::kind(change.kind());
        let restorable = match restorable(change) {
            Restorable::Yes => Badge::new(Tone::Good, "Can be put back"),
            Restorable::InPart => Badge::new(Tone::Warn, "Only in part"),
            Restorable::No => Badge::new(Tone::Bad, "Cannot be put back"),
        };
        let object = Object::of(change.object.as_ref());
        let rows = rows(&change.attributes, &change.links, &change.references);
        let sides = Sides {
            caption: format!("What differs of {}", object.name.short),
            labels: ["Old", "Current"],
            rows: rows.map_err(not_understood)?,
        };
        Ok(Self {
            object,
            kind,
            class,
            restorable,
            extent: extent(change),
            sides,
            nothing_else: words::nothing_else(change.kind()),
            obstacles: change.obstacles().map(words::obstacle).collect(),
            deeds: change.activities.iter().map(Deed::of).collect(),
            more_deeds: match change.more_activities {
                0 => String::new(),
                more => count(more.into(), "more entry", "more entries"),
            },
        })
    }

    /// Who did the newest thing that the log tells.
    pub(super) fn newest(&self) -> Option<&Deed> {
        self.deeds.iter().find(|deed| deed.by.is_some())
    }
}

pub(crate) fn not_understood(error: show::document::Error) -> PageError {
    tracing::error!(%error, "an answer of a service is not as the contract says");
    PageError::internal()
}

/// `jobTitle, department and 3 more; 2 links`.
fn extent(change: &v1::Change) -> String {
    const NAMED: usize = 3;
    let paths: Vec<&str> = change
        .attributes
        .iter()
        .map(|it| it.path.as_str())
        .collect();
    let mut parts = Vec::new();
    if !paths.is_empty() {
        let named = paths[..paths.len().min(NAMED)].join(", ");
        parts.push(match paths.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named} and {more} more"),
        });
    }
    if !change.links.is_empty() {
        let links = i64::try_from(change.links.len()).unwrap_or(i64::MAX);
        parts.push(count(links, "link", "links"));
    }
    parts.join("; ")
}

/// How far a report is that is being made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) phase: String,
    pub(super) detail: String,
    /// From 0 to 100, where it can be told.
    pub(super) percent: Option<i64>,
}

impl Progress {
    pub(super) fn of(message: &v1::WatchReportResponse) -> Self {
        let phase = match message.phase.as_str() {
            "" => "Starting",
            "reading tenant" => "Reading the tenant",
            "comparing" => "Comparing",
            "reading audit log" => "Reading who did what",
            "writing" => "Storing the report",
            other => other,
        };
        let mut detail = Vec::new();
        if message.read_count > 0 {
            let read = count(
                message.read_count,
                "object or link read",
                "objects and links read",
            );
            detail.push(match message.expected_count {
                0 => read,
                expected => format!("{read} of about {}", shown(expected)),
            });
        }
        if let Some(left) = &message.remaining_time {
            let (minutes, seconds) = (left.seconds / 60, left.seconds % 60);
            detail.push(format!("about {minutes}:{seconds:02} left"));
        }
        let known = message.expected_count > 0;
        Self {
            phase: phase.to_owned(),
            detail: detail.join(", "),
            percent: known.then(|| percent(message.read_count, message.expected_count)),
        }
    }
}

#[cfg(test)]
mod tests;
