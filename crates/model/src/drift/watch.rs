//! What a tenant watches: whether, and from when on each rule finds something.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{InvalidLimit, Limit, RULES, Rule, rule};

/// A tenant's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Whether drift is watched at all.
    pub on: bool,
    /// What differs from the rules' own limits, by the rule's name; `None` where the
    /// rule is off.
    limits: BTreeMap<&'static str, Option<Limit>>,
}

impl Default for Watch {
    /// On: it reads what is stored already and asks the tenant for nothing but its
    /// audit log.
    fn default() -> Self {
        Self {
            on: true,
            limits: BTreeMap::new(),
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
    #[error("there is no rule {0:?}; one of {names} is expected", names = names())]
    Rule(String),
    /// The rule is named twice.
    #[error("the rule {0} is named twice")]
    Twice(&'static str),
    /// The limit of a rule.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
}

fn names() -> String {
    RULES.map(|rule| rule.name).join(", ")
}

impl Watch {
    /// Adds what a person writes of one rule: `RULE=LIMIT` or `RULE=off`.
    ///
    /// # Errors
    /// [`InvalidWatch`] for an unknown rule, one named before, or a malformed limit.
    pub fn set(&mut self, text: &str) -> Result<(), InvalidWatch> {
        let (name, limit) = text
            .split_once('=')
            .ok_or_else(|| InvalidWatch::Part(text.to_owned()))?;
        let known = rule(name).ok_or_else(|| InvalidWatch::Rule(name.to_owned()))?;
        let limit = match limit {
            "off" => None,
            limit => Some(limit.parse()?),
        };
        match self.limits.insert(known.name, limit) {
            None => Ok(()),
            Some(_) => Err(InvalidWatch::Twice(known.name)),
        }
    }

    /// The rules that count, each with its limit; none where nothing is watched.
    pub fn rules(&self) -> impl Iterator<Item = (&'static Rule, Limit)> {
        let limit = |rule: &'static Rule| {
            let own = self.limits.get(rule.name).copied();
            Some((rule, own.unwrap_or(Some(rule.limit))?))
        };
        RULES.iter().filter(|_| self.on).copied().filter_map(limit)
    }
}

impl FromStr for Watch {
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

impl fmt::Display for Watch {
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
