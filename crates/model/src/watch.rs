//! What in a tenant's audit log somebody should look at, soon after it was done.
//!
//! Owns the rules, as data, and the judgement over the log's records. What it finds
//! follows from the records alone: not from their order, nor from how often one is
//! seen, nor from how a time was cut into readings, so that whoever reads again finds
//! the same under the same names.
//!
//! It never tells whether something was meant, and reads no state of the directory.

mod condition;
mod rules;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::SignalId;
use crate::audit::{InitiatorType, Record};
use crate::catalogue::ObjectType;
use crate::drift::{Limit, Severity, Switches, Table};

pub use condition::Condition;
pub use rules::{AUDIT_LOG_CLOSED, LOG_GAP, RULES, rule};

/// How many records a finding keeps.
pub const MOST: usize = 200;

/// Within which time rules count that have a limit of more than one.
pub const WINDOW: TimeDelta = TimeDelta::hours(1);

/// One thing to watch.
#[derive(Debug)]
pub struct Rule {
    /// Its name, which stays: settings and signals are known by it.
    pub name: &'static str,
    /// What happened where it finds something.
    pub title: &'static str,
    /// What it counts, as the end of "the rule counts …".
    pub counted: &'static str,
    /// What it counts.
    pub deeds: &'static [Deed],
    /// From how many on it finds something, unless a tenant's settings say otherwise.
    pub limit: Limit,
    /// How soon somebody should look.
    pub severity: Severity,
    /// What it makes of Rewind's own writes.
    pub own_writes: OwnWrites,
}

/// What a rule makes of what Rewind's own writer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnWrites {
    /// It finds them as anybody's, and says whose they are.
    Marked,
    /// They are what a person had planned and approved.
    PassedOver,
}

/// Something that is done, as the log tells of it.
#[derive(Debug)]
pub struct Deed {
    /// What the activity is called.
    pub activity: Activity,
    /// What else must be so.
    pub condition: Condition,
    /// What would put it back.
    pub remedy: Remedy,
}

/// Names of activities, in any case.
#[derive(Debug, Clone, Copy)]
pub enum Activity {
    /// Whatever is done.
    Any,
    /// One of these.
    Is(&'static [&'static str]),
    /// It begins with the first, and has all of the others in it.
    Has(&'static str, &'static [&'static str]),
    /// It has all of the first in it, and begins with none of the others.
    HasNot(&'static [&'static str], &'static [&'static str]),
    /// As `Has`, and it has none of the last in it.
    HasBut(
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
    ),
}

/// What a restore would have to be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing that a restore could do.
    None,
    /// What the record is about, as a snapshot has it.
    Targets,
    /// That, without credentials that were added.
    TargetsWithout,
    /// That, made anew under another id.
    Anew,
    /// All of a type: what ties objects together, of which the log tells no ids, or the
    /// only one there is.
    OfType(ObjectType),
}

/// What is known of a tenant, beside its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    /// Accounts that must keep their way in, by id, lowercase.
    pub break_glass: HashSet<String>,
    /// Rewind's own applications and service principals, by id, lowercase, and their
    /// client ids.
    pub own: HashSet<String>,
    /// The client id with which Rewind writes, and the ids that its application has in
    /// the tenant, lowercase.
    pub writer: HashSet<String>,
}

impl Ground {
    /// Whether Rewind did it. Of an application the log may name the service principal
    /// alone, as its resource `appIdentity` allows.
    #[must_use]
    pub fn is_rewinds(&self, record: &Record) -> bool {
        let by = record.entry.initiator.as_ref();
        by.is_some_and(|by| by.kind == InitiatorType::Application && self.writer.contains(&by.id))
    }
}

impl Activity {
    fn fits(self, activity: &str) -> bool {
        let has = |words: &[&str]| words.iter().all(|word| activity.contains(word));
        match self {
            Self::Any => true,
            Self::Is(names) => names.contains(&activity),
            Self::Has(start, words) => activity.starts_with(start) && has(words),
            Self::HasBut(start, words, but) => {
                activity.starts_with(start)
                    && has(words)
                    && !but.iter().any(|word| activity.contains(word))
            }
            Self::HasNot(words, starts) => {
                has(words) && !starts.iter().any(|start| activity.starts_with(start))
            }
        }
    }
}

impl Rule {
    /// The deed that a record tells of, if it is one of the rule's.
    fn deed(&self, record: &Record, ground: &Ground) -> Option<&'static Deed> {
        if self.own_writes == OwnWrites::PassedOver && ground.is_rewinds(record) {
            return None;
        }
        let activity = record.entry.activity.to_lowercase();
        let fits =
            |deed: &&Deed| deed.activity.fits(&activity) && deed.condition.holds(record, ground);
        self.deeds.iter().find(fits)
    }
}

/// The rules of the audit log, in [`RULES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfAudit;

impl Table for OfAudit {
    type Rule = Rule;

    fn rules() -> &'static [&'static Rule] {
        &RULES
    }

    fn head(rule: &'static Rule) -> (&'static str, Limit) {
        (rule.name, rule.limit)
    }

    fn admits(limit: Limit) -> bool {
        matches!(limit, Limit::Count(_))
    }
}

/// What a tenant watches of its audit log.
pub type Watch = Switches<OfAudit>;

/// A record with the deed that it was taken for.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The record.
    pub record: Record,
    /// What it tells of.
    pub deed: &'static Deed,
}

/// Something that somebody should look at.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The limit that was passed.
    pub limit: Limit,
    /// The name under which it is raised.
    pub id: SignalId,
    /// When it was done; of many, when the first that is counted was.
    pub time: DateTime<Utc>,
    /// How many different things it is about.
    pub count: u64,
    /// The records, oldest first, at most [`MOST`].
    pub seen: Vec<Seen>,
    /// How many more there are.
    pub more: usize,
}

impl Finding {
    /// What happened, in one sentence.
    #[must_use]
    pub fn title(&self) -> String {
        let what = match self.limit {
            Limit::Count(1) => {
                let first = self.seen.first();
                let names = first.map(|seen| named(&seen.record)).unwrap_or_default();
                let activity = first.map(|seen| seen.record.entry.activity.clone());
                let words = activity
                    .into_iter()
                    .chain((!names.is_empty()).then_some(names));
                words.collect::<Vec<_>>().join(": ")
            }
            _ => format!("{} within an hour", self.count),
        };
        format!("{} ({what})", self.rule.title)
    }

    /// What the rule looks for, with the limit that was passed.
    #[must_use]
    pub fn description(&self) -> String {
        let limit = self.limit.in_words();
        let within = match self.limit {
            Limit::Count(1) => "",
            _ => " within an hour",
        };
        format!(
            "The rule counts {}; its limit is {limit}{within}.",
            self.rule.counted
        )
    }
}

/// What a record is about, for people.
fn named(record: &Record) -> String {
    let name = |target: &crate::audit::Target| {
        let names = [&target.name, &target.user_principal_name, &target.id];
        names.into_iter().find(|name| !name.is_empty()).cloned()
    };
    let names: Vec<String> = record.targets.iter().filter_map(name).take(3).collect();
    names.join(", ")
}

/// Judges records, in any order, for the rules that a tenant watches.
#[derive(Debug)]
pub struct Tally<'a> {
    ground: &'a Ground,
    /// Nothing counts that was done before.
    since: DateTime<Utc>,
    rules: Vec<(&'static Rule, Limit)>,
    /// Of each rule, by time and id.
    seen: Vec<BTreeMap<(DateTime<Utc>, String), Seen>>,
}

impl<'a> Tally<'a> {
    /// Begins with nothing.
    #[must_use]
    pub fn new(watch: &Watch, ground: &'a Ground, since: DateTime<Utc>) -> Self {
        let rules: Vec<_> = watch.rules().collect();
        Self {
            ground,
            since,
            seen: rules.iter().map(|_| BTreeMap::new()).collect(),
            rules,
        }
    }

    /// Judges a record; one that comes again changes nothing.
    pub fn see(&mut self, record: &Record) {
        if record.entry.time < self.since {
            return;
        }
        for ((rule, _), seen) in self.rules.iter().zip(&mut self.seen) {
            let Some(deed) = rule.deed(record, self.ground) else {
                continue;
            };
            let key = (record.entry.time, record.entry.id.clone());
            seen.entry(key).or_insert_with(|| Seen {
                record: record.clone(),
                deed,
            });
        }
    }

    /// What was found, oldest first.
    #[must_use]
    pub fn findings(self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ((rule, limit), seen) in self.rules.into_iter().zip(self.seen) {
            match limit {
                Limit::Count(least) if least > 1 => {
                    findings.extend(many(rule, limit, least, &seen));
                }
                _ => findings.extend(seen.into_values().map(|seen| one(rule, limit, seen))),
            }
        }
        findings.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        findings
    }
}

/// A finding of its own for each record.
fn one(rule: &'static Rule, limit: Limit, seen: Seen) -> Finding {
    let entry = &seen.record.entry;
    let hash = blake3::hash(entry.id.as_bytes()).to_hex();
    Finding {
        rule,
        limit,
        id: id(entry.time, rule, &hash[..16]),
        time: entry.time,
        count: 1,
        seen: vec![seen],
        more: 0,
    }
}

/// The name of what was done at a time.
fn id(time: DateTime<Utc>, rule: &Rule, mark: &str) -> SignalId {
    let text = format!("{}-{}-{mark}", time.format("%Y%m%dT%H%M%S"), rule.name);
    SignalId::parse(&text).expect("invariant: a time, a rule's name and a mark are a signal id")
}

/// One finding for each hour of the clock in which the limit stood passed: in the
/// hour up to some record, so many different things or more.
fn many(
    rule: &'static Rule,
    limit: Limit,
    least: u32,
    seen: &BTreeMap<(DateTime<Utc>, String), Seen>,
) -> Vec<Finding> {
    let all: Vec<&Seen> = seen.values().collect();
    let mut within: HashMap<&str, usize> = HashMap::new();
    let mut first = 0;
    // Of each hour the places of the first record that counts and of the last.
    let mut hours: BTreeMap<i64, (usize, usize)> = BTreeMap::new();
    for (place, seen) in all.iter().enumerate() {
        *within.entry(about(&seen.record)).or_default() += 1;
        let time = seen.record.entry.time;
        while all[first].record.entry.time <= time - WINDOW {
            let gone = about(&all[first].record);
            if let Some(count) = within.get_mut(gone) {
                *count -= 1;
                if *count == 0 {
                    within.remove(gone);
                }
            }
            first += 1;
        }
        if within.len() as u64 >= u64::from(least) {
            let hour = time.timestamp().div_euclid(3600);
            hours.entry(hour).or_insert((first, place)).1 = place;
        }
    }
    let finding = |(hour, (first, last)): (i64, (usize, usize))| {
        let counted = &all[first..=last];
        let different: HashSet<&str> = counted.iter().map(|seen| about(&seen.record)).collect();
        let begins = DateTime::from_timestamp(hour * 3600, 0).unwrap_or_default();
        let kept = counted.iter().take(MOST).copied().cloned();
        Finding {
            rule,
            limit,
            id: id(begins, rule, "hour"),
            time: begins.max(counted[0].record.entry.time),
            count: different.len() as u64,
            seen: kept.collect(),
            more: counted.len().saturating_sub(MOST),
        }
    };
    hours.into_iter().map(finding).collect()
}

/// What a record counts for: the first thing that it is about, else itself.
fn about(record: &Record) -> &str {
    let mut targets = record.targets.iter().map(|target| target.id.as_str());
    targets
        .find(|id| !id.is_empty())
        .unwrap_or(&record.entry.id)
}

#[cfg(test)]
mod tests;
