//! What a tenant watches: whether, and from when on each rule finds something. The
//! same for every table of rules.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use super::{InvalidLimit, Limit, RULES, Rule};

/// A table of rules that a tenant can adjust.
pub trait Table: fmt::Debug + Clone + PartialEq + Eq + 'static {
    /// A rule of it.
    type Rule: 'static;

    /// All of them, in the order in which findings are told.
    fn rules() -> &'static [&'static Self::Rule];

    /// The name by which settings know a rule, and its own limit.
    fn head(rule: &'static Self::Rule) -> (&'static str, Limit);

    /// Whether its rules can have such a limit.
    fn admits(limit: Limit) -> bool;
}

/// The rules of drift, in [`RULES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfDrift;

impl Table for OfDrift {
    type Rule = Rule;

    fn rules() -> &'static [&'static Rule] {
        &RULES
    }

    fn head(rule: &'static Rule) -> (&'static str, Limit) {
        (rule.name, rule.limit)
    }

    fn admits(_: Limit) -> bool {
        true
    }
}

/// What a tenant watches of drift.
pub type Watch = Switches<OfDrift>;

/// A tenant's settings of one table of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches<T: Table> {
    /// Whether any of it is watched.
    pub on: bool,
    /// What differs from the rules' own limits, by the rule's name; `None` where the
    /// rule is off.
    limits: BTreeMap<&'static str, Option<Limit>>,
    table: PhantomData<T>,
}

impl<T: Table> Default for Switches<T> {
    /// On: it costs little, and the days on which it matters are not announced.
    fn default() -> Self {
        Self {
            on: true,
            limits: BTreeMap::new(),
            table: PhantomData,
        }
    }
}

/// Settings that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWatch {
    /// It does not say whether.
    #[error("{0:?} is neither on nor off")]
    Switch(String),
    /// A part that is no RULE=LIMIT.
    #[error("{0:?} is no RULE=LIMIT")]
    Part(String),
    /// There is no such rule.
    #[error("there is no rule {name:?}; one of {names} is expected")]
    Rule {
        /// What was named.
        name: String,
        /// The rules that there are.
        names: String,
    },
    /// The rule is named twice.
    #[error("the rule {0} is named twice")]
    Twice(&'static str),
    /// The limit of a rule.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
    /// A limit of a kind that the rule cannot have.
    #[error("{0} counts what happens, so that its limit is a number or any, and no share")]
    Share(&'static str),
}

impl<T: Table> Switches<T> {
    /// Adds what a person writes of one rule: `RULE=LIMIT` or `RULE=off`.
    ///
    /// # Errors
    /// [`InvalidWatch`] for an unknown rule, one named before, or a limit that is
    /// malformed or of no use to it.
    pub fn set(&mut self, text: &str) -> Result<(), InvalidWatch> {
        let (name, limit) = text
            .split_once('=')
            .ok_or_else(|| InvalidWatch::Part(text.to_owned()))?;
        let mut known = T::rules().iter().map(|rule| T::head(rule).0);
        let known = known
            .find(|known| *known == name)
            .ok_or_else(|| InvalidWatch::Rule {
                name: name.to_owned(),
                names: names::<T>(),
            })?;
        let limit: Option<Limit> = match limit {
            "off" => None,
            limit => Some(limit.parse()?),
        };
        if limit.is_some_and(|limit| !T::admits(limit)) {
            return Err(InvalidWatch::Share(known));
        }
        match self.limits.insert(known, limit) {
            None => Ok(()),
            Some(_) => Err(InvalidWatch::Twice(known)),
        }
    }

    /// Whether anything could pass unnoticed that would not by other settings: a rule
    /// that is off, or finds something later. Of limits of two kinds neither is the
    /// stricter.
    #[must_use]
    pub fn sees_less_than(&self, other: &Self) -> bool {
        let ours: BTreeMap<&str, Limit> = self
            .rules()
            .map(|(rule, limit)| (T::head(rule).0, limit))
            .collect();
        let mut theirs = other.rules();
        theirs.any(|(rule, limit)| {
            let own = ours.get(T::head(rule).0);
            own.is_none_or(|own| own.finds_later_than(limit))
        })
    }

    /// The rules that count, each with its limit; none where nothing is watched.
    pub fn rules(&self) -> impl Iterator<Item = (&'static T::Rule, Limit)> {
        let limit = |rule: &'static T::Rule| {
            let (name, usual) = T::head(rule);
            let own = self.limits.get(name).copied();
            Some((rule, own.unwrap_or(Some(usual))?))
        };
        let all = T::rules().iter().filter(|_| self.on).copied();
        all.filter_map(limit)
    }
}

fn names<T: Table>() -> String {
    let names: Vec<&str> = T::rules().iter().map(|rule| T::head(rule).0).collect();
    names.join(", ")
}

impl<T: Table> FromStr for Switches<T> {
    type Err = InvalidWatch;

    /// Reads `on`, `off`, `on,mass-disable=10%,conditional-access=off`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let on = match parts.next() {
            Some("on") => true,
            Some("off") => false,
            other => return Err(InvalidWatch::Switch(other.unwrap_or_default().to_owned())),
        };
        let mut watch = Self {
            on,
            ..Self::default()
        };
        parts.try_for_each(|part| watch.set(part))?;
        Ok(watch)
    }
}

impl<T: Table> fmt::Display for Switches<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.on { "on" } else { "off" })?;
        for (name, limit) in &self.limits {
            match limit {
                Some(limit) => write!(f, ",{name}={limit}")?,
                None => write!(f, ",{name}=off")?,
            }
        }
        Ok(())
    }
}
