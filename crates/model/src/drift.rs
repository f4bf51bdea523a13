//! What in a difference between two days somebody should look at.
//!
//! Owns the rules, as data, and the judgement over the changes. It never tells who
//! did something nor whether it was meant: a finding says that a limit was passed.

mod limit;
mod rules;
mod watch;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalogue::ObjectType;
use crate::diff::{Change, ChangeKind};
use crate::object;

pub use limit::{InvalidLimit, LEAST_OF_A_SHARE, Limit};
pub use rules::{RULES, rule};
pub use watch::{InvalidWatch, OfDrift, Switches, Table, Watch};

/// How many objects of each type a finding names.
pub const MOST_EVIDENCE: usize = 20;

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth a look within days.
    Medium,
    /// Worth a look today.
    High,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// All of them, the least severe first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The one that is written so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// One thing to watch.
#[derive(Debug)]
pub struct Rule {
    /// Its name, which stays: settings and signals are known by it.
    pub name: &'static str,
    /// What happened where it finds something.
    pub title: &'static str,
    /// What it counts, as the end of "the rule counts …".
    pub counted: &'static str,
    /// The changes that it counts.
    pub patterns: &'static [Pattern],
    /// From when on it finds something, unless a tenant's settings say otherwise.
    pub limit: Limit,
    /// How soon somebody should look.
    pub severity: Severity,
}

/// Changes of one type.
#[derive(Debug)]
pub struct Pattern {
    /// The type.
    pub object_type: ObjectType,
    /// What happened to the object.
    pub kinds: &'static [ChangeKind],
    /// What else must be so.
    pub condition: Condition,
}

/// What must be so for a change to count.
#[derive(Debug)]
pub enum Condition {
    /// Nothing more.
    None,
    /// The attribute became true or false.
    Became(&'static str, bool),
    /// One of these sets has an element that it had not.
    Gained(&'static [&'static str]),
    /// The text of the attribute, on the side that has it, is one of these.
    Holds(&'static str, fn(&str) -> bool),
    /// The object is a delegated grant for every user, and its scope has a word that
    /// it had not.
    WidenedForEveryone,
    /// The object is a group of a kind that has a recycle bin, by what it was.
    GroupWithBin,
}

impl Pattern {
    fn fits(&self, change: &Change) -> bool {
        change.object.object_type == self.object_type
            && self.kinds.contains(&change.kind)
            && self.condition.holds(change)
    }
}

impl Condition {
    fn holds(&self, change: &Change) -> bool {
        let mut attributes = change.attributes.iter();
        match self {
            Self::None => true,
            Self::Became(path, value) => {
                attributes.any(|one| one.path == *path && one.after == Some(Value::Bool(*value)))
            }
            Self::Gained(sets) => {
                attributes.any(|one| sets.contains(&one.path.as_str()) && !one.added.is_empty())
            }
            Self::Holds(path, fits) => attributes.filter(|one| one.path == *path).any(|one| {
                let sides = [&one.before, &one.after].into_iter().flatten();
                sides.filter_map(Value::as_str).any(fits)
            }),
            Self::GroupWithBin => {
                let was = |path: &str| {
                    let mut attributes = change.attributes.iter();
                    let one = attributes.find(|one| one.path == path);
                    one.and_then(|one| one.before.as_ref())
                };
                let types = was("groupTypes").and_then(Value::as_array);
                let unified = types.is_some_and(|types| types.iter().any(|it| it == "Unified"));
                unified || was("mailEnabled") != Some(&Value::Bool(true))
            }
            Self::WidenedForEveryone => {
                object::is_for_everyone(&change.object.name)
                    && attributes.any(|one| {
                        let words = |value: &Option<Value>| -> Vec<String> {
                            let text = value.as_ref().and_then(Value::as_str).unwrap_or_default();
                            text.split_whitespace().map(str::to_owned).collect()
                        };
                        let before = words(&one.before);
                        one.path == "scope"
                            && words(&one.after).iter().any(|word| !before.contains(word))
                    })
            }
        }
    }
}

/// A rule whose limit was passed.
#[derive(Debug, Clone)]
pub struct Finding<E> {
    /// The rule.
    pub rule: &'static Rule,
    /// The limit that was passed.
    pub limit: Limit,
    /// What was counted, by type; of a share only the types that passed it.
    pub counts: Vec<Count>,
    /// What was kept of the first changes, at most [`MOST_EVIDENCE`] of each type.
    pub evidence: Vec<E>,
}

/// How many objects of a type were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The type.
    pub object_type: ObjectType,
    /// How many.
    pub count: u64,
    /// How many there were before.
    pub total: u64,
}

impl<E> Finding<E> {
    /// What happened, in one sentence.
    #[must_use]
    pub fn title(&self) -> String {
        let told = |one: &Count| match self.limit {
            Limit::Share(_) => format!("{}: {} of {}", one.object_type, one.count, one.total),
            Limit::Count(_) => format!("{}: {}", one.object_type, one.count),
        };
        let counts: Vec<String> = self.counts.iter().map(told).collect();
        format!("{} ({})", self.rule.title, counts.join(", "))
    }

    /// What the rule looks for, with the limit that was passed.
    #[must_use]
    pub fn description(&self) -> String {
        let limit = self.limit.in_words();
        format!(
            "The rule counts {}; its limit is {limit}.",
            self.rule.counted
        )
    }
}

/// Counts changes, one by one, for the rules that a tenant watches.
#[derive(Debug)]
pub struct Tally<E> {
    counters: Vec<Counter<E>>,
    before: BTreeMap<ObjectType, u64>,
}

#[derive(Debug)]
struct Counter<E> {
    rule: &'static Rule,
    limit: Limit,
    seen: BTreeMap<ObjectType, (u64, Vec<E>)>,
}

impl<E> Tally<E> {
    /// Begins with nothing; `before` is how many live objects there were of each type.
    #[must_use]
    pub fn new(watch: &Watch, before: BTreeMap<ObjectType, u64>) -> Self {
        let counter = |(rule, limit)| Counter {
            rule,
            limit,
            seen: BTreeMap::new(),
        };
        Self {
            counters: watch.rules().map(counter).collect(),
            before,
        }
    }

    /// The types whose changes count for anything.
    #[must_use]
    pub fn types(&self) -> Vec<ObjectType> {
        let patterns = self.counters.iter().flat_map(|it| it.rule.patterns);
        let mut types: Vec<ObjectType> = patterns.map(|it| it.object_type).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    /// Counts a change; of the first ones the evidence is kept.
    pub fn see(&mut self, change: &Change, evidence: impl Fn() -> E) {
        for counter in &mut self.counters {
            if counter.rule.patterns.iter().any(|it| it.fits(change)) {
                let seen = counter.seen.entry(change.object.object_type).or_default();
                seen.0 += 1;
                if seen.1.len() < MOST_EVIDENCE {
                    seen.1.push(evidence());
                }
            }
        }
    }

    /// The rules whose limits were passed.
    #[must_use]
    pub fn findings(self) -> Vec<Finding<E>> {
        let Self { counters, before } = self;
        let finding = |counter: Counter<E>| counter.finding(&before);
        counters.into_iter().filter_map(finding).collect()
    }
}

impl<E> Counter<E> {
    /// A share is judged type by type, a number over all types together.
    fn finding(self, before: &BTreeMap<ObjectType, u64>) -> Option<Finding<E>> {
        let all: u64 = self.seen.values().map(|(count, _)| count).sum();
        let (mut counts, mut evidence) = (Vec::new(), Vec::new());
        for (object_type, (count, kept)) in self.seen {
            let total = before.get(&object_type).copied().unwrap_or_default();
            let passed = match self.limit {
                Limit::Share(_) => self.limit.is_passed(count, total),
                Limit::Count(_) => self.limit.is_passed(all, total),
            };
            if passed {
                counts.push(Count {
                    object_type,
                    count,
                    total,
                });
                evidence.extend(kept);
            }
        }
        (!counts.is_empty()).then_some(Finding {
            rule: self.rule,
            limit: self.limit,
            counts,
            evidence,
        })
    }
}

#[cfg(test)]
mod tests;
