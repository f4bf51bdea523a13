//! Which restore plans need a second person, and whether one has agreed.
//!
//! Owns the policy of a tenant in the form that people write, the reasons that follow
//! from it for a plan, and the judgement of the approvals that were given. It knows
//! neither tokens nor documents: who calls and what is stored, others say.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

use crate::catalogue::ObjectType;
use crate::object::ObjectRef;
use crate::person;

/// More steps than this need a second person, unless the policy says otherwise.
///
/// A person's own mistakes are put right with fewer; what takes more is an incident.
const CHANGES: usize = 100;
/// Hours that an approval counts, unless the policy says otherwise.
const HOURS: u32 = 24;
/// The most hours that a policy may name: 30 days, after which the recycle bin is
/// empty and no plan fits any more.
const MOST_HOURS: u32 = 720;

/// The types that decide who may sign in, and how.
pub const CONDITIONAL_ACCESS: [ObjectType; 4] = [
    ObjectType::ConditionalAccessPolicy,
    ObjectType::NamedLocation,
    ObjectType::AuthenticationStrengthPolicy,
    ObjectType::AuthenticationContextClassReference,
];

/// A tenant's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether plans are approved at all.
    pub on: bool,
    /// Plans of more steps need a second person; `None` where the number of steps
    /// does not matter.
    pub changes: Option<usize>,
    /// Plans that touch Conditional Access do.
    pub conditional_access: bool,
    /// Plans that touch holders of directory roles, or the roles, do.
    pub privileged: bool,
    /// For how long an approval counts, in hours.
    pub expires_after_hours: u32,
}

impl Default for Policy {
    /// Off: a second person has to exist before one can be asked for, and an
    /// installation of one operator must be able to restore on its worst day. Whoever
    /// has two people switches it on, with every trigger.
    fn default() -> Self {
        Self {
            on: false,
            changes: Some(CHANGES),
            conditional_access: true,
            privileged: true,
            expires_after_hours: HOURS,
        }
    }
}

/// Settings that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// It does not say whether.
    #[error("{0:?} is neither on nor off")]
    Switch(String),
    /// A part that is no setting.
    #[error(
        "{0:?} is no setting; changes=N, changes=off, conditional-access=off, privileged=off and expires=Nh are"
    )]
    Part(String),
    /// A setting is named twice.
    #[error("{0} is named twice")]
    Twice(&'static str),
    /// The time is too short or too long.
    #[error("{0:?} is no time from 1h to {most}h", most = MOST_HOURS)]
    Expiry(String),
}

impl FromStr for Policy {
    type Err = InvalidPolicy;

    /// Reads `on`, `off`, `on,changes=50,conditional-access=off,expires=8h`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let on = match parts.next() {
            Some("on") => true,
            Some("off") => false,
            other => return Err(InvalidPolicy::Switch(other.unwrap_or_default().to_owned())),
        };
        let mut policy = Self {
            on,
            ..Self::default()
        };
        let mut named = Vec::new();
        for part in parts {
            let name = policy.set(part)?;
            if named.contains(&name) {
                return Err(InvalidPolicy::Twice(name));
            }
            named.push(name);
        }
        Ok(policy)
    }
}

impl Policy {
    /// Takes one `NAME=VALUE` and answers the name.
    fn set(&mut self, part: &str) -> Result<&'static str, InvalidPolicy> {
        let malformed = || InvalidPolicy::Part(part.to_owned());
        let (name, value) = part.split_once('=').ok_or_else(malformed)?;
        let switch = || match value {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(malformed()),
        };
        match name {
            "changes" => {
                self.changes = match value {
                    "off" => None,
                    number => Some(number.parse().map_err(|_| malformed())?),
                };
                Ok("changes")
            }
            "conditional-access" => {
                self.conditional_access = switch()?;
                Ok("conditional-access")
            }
            "privileged" => {
                self.privileged = switch()?;
                Ok("privileged")
            }
            "expires" => {
                let hours = value.strip_suffix('h').and_then(|hours| hours.parse().ok());
                self.expires_after_hours =
                    hours
                        .filter(|hours| (1..=MOST_HOURS).contains(hours))
                        .ok_or_else(|| InvalidPolicy::Expiry(value.to_owned()))?;
                Ok("expires")
            }
            _ => Err(malformed()),
        }
    }

    /// Why a plan needs a second person, in a sentence each; empty where it does not.
    #[must_use]
    pub fn reasons(&self, grounds: &Grounds) -> Vec<String> {
        if !self.on || grounds.steps == 0 {
            return Vec::new();
        }
        let mut reasons = Vec::new();
        if let Some(most) = self.changes.filter(|most| grounds.steps > *most) {
            let steps = grounds.steps;
            reasons.push(format!("it has {steps} steps, more than {most}"));
        }
        if self.conditional_access && grounds.conditional_access {
            reasons.push("it changes Conditional Access".to_owned());
        }
        if self.privileged {
            reasons.extend(grounds.privileged_sentence());
        }
        reasons
    }

    /// Whether a plan could be applied without a second person, or with an older
    /// approval, that could not by another policy.
    #[must_use]
    pub fn asks_less_than(&self, other: &Self) -> bool {
        if !other.on {
            return false;
        }
        let more_changes = match (self.changes, other.changes) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(ours), Some(theirs)) => ours > theirs,
        };
        !self.on
            || more_changes
            || (other.conditional_access && !self.conditional_access)
            || (other.privileged && !self.privileged)
            || self.expires_after_hours > other.expires_after_hours
    }

    fn lifetime(&self) -> TimeDelta {
        TimeDelta::hours(i64::from(self.expires_after_hours))
    }
}

impl fmt::Display for Policy {
    /// The switch, then what is not as by default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::default();
        let switch = |on| if on { "on" } else { "off" };
        f.write_str(switch(self.on))?;
        if self.changes != usual.changes {
            match self.changes {
                Some(most) => write!(f, ",changes={most}")?,
                None => f.write_str(",changes=off")?,
            }
        }
        if self.conditional_access != usual.conditional_access {
            write!(f, ",conditional-access={}", switch(self.conditional_access))?;
        }
        if self.privileged != usual.privileged {
            write!(f, ",privileged={}", switch(self.privileged))?;
        }
        if self.expires_after_hours != usual.expires_after_hours {
            write!(f, ",expires={}h", self.expires_after_hours)?;
        }
        Ok(())
    }
}

/// What a policy looks at in a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grounds {
    /// How many steps it has.
    pub steps: usize,
    /// Whether it writes one of the types of [`CONDITIONAL_ACCESS`].
    pub conditional_access: bool,
    /// The holders of directory roles that it touches, and the role assignments.
    pub privileged: Vec<ObjectRef>,
    /// Whether who holds directory roles is not known, and it touches what may.
    pub holders_unknown: bool,
}

impl Grounds {
    fn privileged_sentence(&self) -> Option<String> {
        if let Some(first) = self.privileged.first() {
            let object = format!("{} \"{}\"", first.object_type, first.name);
            return Some(match self.privileged.len() - 1 {
                0 => format!("it touches a holder of a directory role: {object}"),
                others => {
                    format!("it touches holders of directory roles: {object} and {others} more")
                }
            });
        }
        self.holders_unknown
            .then(|| "it may touch holders of directory roles, who could not be read".to_owned())
    }
}

/// That somebody agreed to a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What the approver is called.
    pub approver: String,
    /// When it was given.
    pub given_at: DateTime<Utc>,
    /// Until when it counts, by the policy of that time.
    pub expires_at: DateTime<Utc>,
    /// The hash of the plan that was agreed to.
    pub plan_hash: String,
}

impl Approval {
    /// An approval given now, under the stricter of the policies.
    #[must_use]
    pub fn given(approver: &str, plan_hash: &str, now: DateTime<Utc>, policies: &[Policy]) -> Self {
        Self {
            approver: approver.to_owned(),
            given_at: now,
            expires_at: now + lifetime(policies),
            plan_hash: plan_hash.to_owned(),
        }
    }

    /// Until when it counts where a policy may have become stricter since.
    #[must_use]
    pub fn counts_until(&self, policies: &[Policy]) -> DateTime<Utc> {
        self.expires_at.min(self.given_at + lifetime(policies))
    }
}

fn lifetime(policies: &[Policy]) -> TimeDelta {
    let on = policies.iter().filter(|policy| policy.on);
    on.map(Policy::lifetime)
        .min()
        .unwrap_or_else(|| Policy::default().lifetime())
}

/// What the approvals of a plan come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Somebody else has agreed to it, and it still counts.
    Approved(&'a Approval),
    /// Somebody had, too long ago.
    Expired(&'a Approval),
    /// Somebody has agreed to another plan of that name.
    Stale(&'a Approval),
    /// Nobody but perhaps its author has.
    Missing,
}

/// Judges the approvals of a plan, the oldest first.
///
/// An approval by the author is none: it would be no second person.
#[must_use]
pub fn standing<'a>(
    approvals: &'a [Approval],
    author: &str,
    plan_hash: &str,
    now: DateTime<Utc>,
    policies: &[Policy],
) -> Standing<'a> {
    let of_others = || {
        approvals
            .iter()
            .rev()
            .filter(|one| !person::is_same(&one.approver, author))
    };
    let of_this = || of_others().filter(|one| one.plan_hash == plan_hash);
    // Any that still counts will do, also where a later one counts for less long.
    let longest = of_this().max_by_key(|one| one.counts_until(policies));
    match (longest, of_others().next()) {
        (Some(one), _) if now < one.counts_until(policies) => Standing::Approved(one),
        (Some(one), _) => Standing::Expired(one),
        (None, Some(other)) => Standing::Stale(other),
        (None, None) => Standing::Missing,
    }
}

#[cfg(test)]
mod tests;
