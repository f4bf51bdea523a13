//! What the pages of signals say, as plain data.
//!
//! Owns the filter of the list, and the way from the command that helps to the page that
//! does the same. Pure.

use super::super::asked::Asked;
use super::super::error::PageError;
use super::super::parts::{Badge, Tone, address};
use super::super::told::{Deed, Fact, Facts, Object, Who, count, page_of, state};
use super::severity;
use chrono::{Days, NaiveDate, NaiveTime};
use prost_types::Timestamp;
use proto::v1::{self, DeliveryState, Severity, SignalSource};
use show::text::id_of;
use show::words;

/// How many signals stand on a page.
const PAGE: i32 = 50;

/// Severities as they stand in an address, with what a person reads.
pub(super) const SEVERITIES: [(&str, &str, Severity); 4] = [
    ("critical", "Critical", Severity::Critical),
    ("high", "High or more", Severity::High),
    ("medium", "Medium or more", Severity::Medium),
    ("low", "Low or more", Severity::Low),
];

/// What the filter says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) severity: String,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) undelivered: bool,
    pub(super) page_token: String,
}

impl Choice {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            severity: asked.text("severity").to_owned(),
            from: asked.text("from").to_owned(),
            until: asked.text("until").to_owned(),
            undelivered: asked.is_set("undelivered"),
            page_token: asked.text("page_token").to_owned(),
        }
    }

    pub(super) fn query(&self) -> Vec<(&str, &str)> {
        vec![
            ("severity", &self.severity),
            ("from", &self.from),
            ("until", &self.until),
            ("undelivered", if self.undelivered { "1" } else { "" }),
        ]
    }

    pub(super) fn is_everything(&self) -> bool {
        self.query().iter().all(|(_, value)| value.is_empty())
    }

    /// # Errors
    /// Where a day is none.
    pub(super) fn request(&self, parent: String) -> Result<v1::ListSignalsRequest, PageError> {
        let severity = SEVERITIES
            .iter()
            .find(|(name, _, _)| *name == self.severity);
        let severity = severity.map_or(Severity::Unspecified, |(_, _, it)| *it);
        Ok(v1::ListSignalsRequest {
            parent,
            page_size: PAGE,
            page_token: self.page_token.clone(),
            min_severity: severity.into(),
            from_time: day("from", &self.from, 0)?,
            // The last day counts as a whole.
            until_time: day("until", &self.until, 1)?,
            undelivered: self.undelivered,
        })
    }
}

/// The beginning of a day, or of one that many days later.
fn day(field: &'static str, text: &str, later: u64) -> Result<Option<Timestamp>, PageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = text.parse::<NaiveDate>().ok();
    let day = day.and_then(|day| day.checked_add_days(Days::new(later)));
    let Some(day) = day else {
        return Err(PageError::invalid(
            field,
            "a day such as 2026-11-28 is expected",
        ));
    };
    Ok(Some(Timestamp {
        seconds: day.and_time(NaiveTime::MIN).and_utc().timestamp(),
        nanos: 0,
    }))
}

/// One signal of the list.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) href: String,
    pub(super) badge: Badge,
    pub(super) title: String,
    pub(super) time: Option<Timestamp>,
    pub(super) who: Option<Who>,
    pub(super) rule: String,
    pub(super) delivery: Option<Badge>,
}

impl Line {
    pub(super) fn of(signal: &v1::Signal) -> Self {
        Self {
            href: page_of(&signal.name),
            badge: severity(signal.severity()),
            title: signal.title.clone(),
            time: signal.time,
            who: Who::of(signal.actor.as_ref()),
            rule: signal.rule.clone(),
            delivery: signal.delivery.as_ref().map(delivery),
        }
    }
}

fn delivery(delivery: &v1::SignalDelivery) -> Badge {
    match delivery.state() {
        DeliveryState::Delivered => Badge::new(Tone::Good, "Delivered"),
        DeliveryState::Pending => Badge::new(Tone::Busy, "On its way"),
        DeliveryState::Dead => Badge::new(Tone::Bad, "Not delivered"),
        DeliveryState::Passed => Badge::new(Tone::Plain, "Not for the webhook"),
        DeliveryState::Unspecified => Badge::new(Tone::Plain, "Unknown"),
    }
}

/// One object that a signal is about.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) kind: &'static str,
    pub(super) object: Object,
    pub(super) deed: Option<Deed>,
}

/// One thing that the log names, and what the snapshot has of it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) object: Object,
    pub(super) sign_in_name: String,
    /// What the snapshot calls it; nothing where it does not have it.
    pub(super) in_snapshot: Option<String>,
    /// Where it is shown.
    pub(super) href: String,
}

/// A signal with all that there is to say.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) badge: Badge,
    pub(super) description: String,
    pub(super) facts: Facts,
    pub(super) who: Option<Who>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) more: String,
    pub(super) counts: Vec<String>,
    pub(super) targets: Vec<Target>,
    pub(super) audit_ids: Vec<String>,
    pub(super) command: String,
    /// Where the same as with the command is done; empty where nothing is.
    pub(super) restore: String,
    pub(super) delivery: Option<Badge>,
    pub(super) deliveries: Facts,
    pub(super) problem: String,
}

impl Whole {
    /// `restores` is the path where a plan is made.
    pub(super) fn of(signal: &v1::Signal, restores: &str) -> Self {
        let all: i64 = signal.counts.iter().map(|count| count.count).sum();
        let named = i64::try_from(signal.evidence.len()).unwrap_or(i64::MAX);
        let attempt = signal
            .delivery
            .as_ref()
            .and_then(|it| it.last_attempt.as_ref());
        Self {
            badge: severity(signal.severity()),
            description: signal.description.clone(),
            facts: Facts {
                facts: facts(signal),
            },
            who: Who::of(signal.actor.as_ref()),
            evidence: signal.evidence.iter().map(evidence).collect(),
            more: match all > named && named > 0 {
                true => count(all - named, "more object", "more objects"),
                false => String::new(),
            },
            counts: signal.counts.iter().map(of_all).collect(),
            targets: signal.targets.iter().map(|it| target(signal, it)).collect(),
            audit_ids: signal.audit_ids.clone(),
            restore: restore(signal, restores),
            command: signal.command.clone(),
            delivery: signal.delivery.as_ref().map(delivery),
            deliveries: Facts {
                facts: signal.delivery.as_ref().map(deliveries).unwrap_or_default(),
            },
            problem: attempt.map(|it| it.problem.clone()).unwrap_or_default(),
        }
    }
}

fn facts(signal: &v1::Signal) -> Vec<Fact> {
    let source = match signal.source() {
        SignalSource::Drift => "the difference between two daily snapshots",
        SignalSource::Audit => "the tenant's audit log",
        SignalSource::GuardedChange => "a change that protects the tenant less",
        SignalSource::Posture => "the protection after two daily snapshots",
        SignalSource::Unspecified => "",
    };
    let mut facts = vec![
        Fact::time("Happened", signal.time),
        Fact::time("Raised", signal.raise_time),
        Fact::text("Rule", signal.rule.clone()),
    ];
    if !source.is_empty() {
        facts.push(Fact::text("Raised from", source));
    }
    if !signal.report.is_empty() {
        facts.push(Fact::link(
            "Every change",
            "in the report",
            page_of(&signal.report),
        ));
    }
    let states = [("Before", &signal.base), ("After", &signal.target)];
    let states = states.into_iter().filter(|(_, name)| !name.is_empty());
    facts.extend(states.map(|(label, name)| state(label, name)));
    facts
}

fn evidence(one: &v1::SignalEvidence) -> Evidence {
    Evidence {
        kind: words::kind(one.kind()).0,
        object: Object::of(one.object.as_ref()),
        deed: one.activity.as_ref().map(Deed::of),
    }
}

fn of_all(of: &v1::SignalCount) -> String {
    let title = words::title(&of.r#type);
    let number = |it: i64| words::number(u64::try_from(it).unwrap_or_default());
    match of.total {
        0 => format!("{}: {}", title, number(of.count)),
        total => format!("{}: {} of {}", title, number(of.count), number(total)),
    }
}

fn target(signal: &v1::Signal, target: &v1::SignalTarget) -> Target {
    let object = Object::of(target.object.as_ref());
    let base = page_of(&signal.base);
    let href = match target.in_snapshot && !base.is_empty() {
        true => address(
            &format!("{base}/objects/{}", object.id),
            &[("type", &object.type_name)],
        ),
        false => String::new(),
    };
    Target {
        sign_in_name: target.user_principal_name.clone(),
        in_snapshot: target
            .in_snapshot
            .then(|| target.snapshot_display_name.clone()),
        object,
        href,
    }
}

/// The page that makes the plan of the signal's command, else of its report.
fn restore(signal: &v1::Signal, path: &str) -> String {
    let query = match (signal.command.as_str(), signal.report.as_str()) {
        ("", "") => return String::new(),
        ("", report) => vec![("report", id_of(report))],
        (command, _) => of_command(command),
    };
    address(path, &query)
}

/// The flags of `rewind restore plan` as a form takes them.
fn of_command(command: &str) -> Vec<(&'static str, &str)> {
    let mut query = Vec::new();
    let mut flag = "";
    for word in command.split_whitespace() {
        if word == "--recreate-hard-deleted" {
            query.push(("recreate", "1"));
        } else if word.starts_with("--") {
            flag = word;
        } else {
            let field = match flag {
                "--snapshot" => "snapshot",
                "--id" => "id",
                "--type" => "type",
                "--added" => "added",
                _ => continue,
            };
            query.extend(word.split(',').map(|value| (field, value)));
        }
    }
    query
}

fn deliveries(delivery: &v1::SignalDelivery) -> Vec<Fact> {
    let mut facts = vec![Fact::text(
        "Sent",
        match delivery.attempts {
            0 => "not yet".to_owned(),
            n => count(n.into(), "time", "times"),
        },
    )];
    if let Some(last) = &delivery.last_attempt {
        facts.push(Fact::time("Last attempt", last.time));
        if last.http_status != 0 {
            let status = format!("HTTP {}", last.http_status);
            facts.push(Fact::text("Answer", status));
        }
    }
    if delivery.next_time.is_some() {
        facts.push(Fact::time("Next attempt", delivery.next_time));
    }
    facts
}

#[cfg(test)]
mod tests;
