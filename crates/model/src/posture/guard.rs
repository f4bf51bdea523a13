//! What stands behind an authentication context.
//!
//! Owns the choice of the policies that are for a context and count, and what they make
//! sure of together: all of them bind at once, so that one which does is enough.

use std::collections::BTreeSet;

use serde_json::Value;

use super::controls::{Controls, Strengths};
use super::{Known, Seen, Unread, coverage};
use crate::id::ObjectId;
use crate::lockout::texts;
use crate::object::Object;

/// A context as it is.
pub(super) enum Context {
    /// There is none of that id.
    Absent,
    /// It is there, and applications do not see it.
    Unpublished(String),
    /// It is there and published.
    Published(String),
}

/// An enabled policy for a context.
#[derive(Debug)]
pub(super) struct Enabled {
    pub(super) id: ObjectId,
    pub(super) name: String,
    /// The whole policy.
    pub(super) body: Value,
    pub(super) controls: Controls,
    /// How it can be got round, but for its device filter.
    ways_round: Vec<String>,
}

/// The policies for a context.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) enabled: Vec<Enabled>,
    /// Those that are not enabled: what each is called, and its state.
    pub(super) others: Vec<String>,
    /// The same, as they would bind if they were.
    pub(super) asleep: Vec<Enabled>,
}

/// Looks a context up.
pub(super) fn context(seen: &Seen, id: &str) -> Known<Context> {
    let contexts = seen.contexts.as_ref().map_err(Clone::clone)?;
    let mut contexts = contexts.iter();
    let found = contexts.find(|context| context.id.as_str().eq_ignore_ascii_case(id));
    Ok(match found {
        None => Context::Absent,
        Some(found) if found.body().get("isAvailable") == Some(&Value::Bool(true)) => {
            Context::Published(found.name())
        }
        Some(found) => Context::Unpublished(found.name()),
    })
}

impl Guard {
    /// The policies for a context; `roles` are those whose holders it has to bind, where
    /// they are known.
    pub(super) fn of(
        seen: &Seen,
        context: &str,
        roles: Option<&BTreeSet<ObjectId>>,
    ) -> Result<Self, Unread> {
        let strengths = Strengths::of(seen);
        let policies = seen.policies.as_ref().map_err(Clone::clone)?;
        let mut guard = Self {
            enabled: Vec::new(),
            others: Vec::new(),
            asleep: Vec::new(),
        };
        let mut policies: Vec<&Object> = policies.iter().collect();
        policies.sort_by_key(|policy| policy.name());
        for policy in policies {
            let (name, body) = (policy.name(), Value::Object(policy.body()));
            if !is_for(&body, context) {
                continue;
            }
            let found = Enabled {
                id: policy.id.clone(),
                name,
                controls: Controls::of(&body, &strengths),
                ways_round: coverage::ways_round(&body, roles),
                body,
            };
            let state = found.body.get("state").and_then(Value::as_str);
            if state == Some("enabled") {
                guard.enabled.push(found);
                continue;
            }
            guard.others.push(format!(
                "policy \"{}\" is {}",
                found.name,
                match state {
                    Some("enabledForReportingButNotEnforced") => "in report-only mode",
                    Some("disabled") => "disabled",
                    _ => "in a state that is not known",
                }
            ));
            guard.asleep.push(found);
        }
        Ok(guard)
    }

    /// The enabled policies that ask something of everybody, on every device.
    pub(super) fn whole(&self) -> impl Iterator<Item = &Enabled> {
        let enabled = self.enabled.iter();
        enabled.filter(|policy| policy.is_whole())
    }

    /// The policy that makes sure that everybody signed in with what cannot be phished:
    /// its name, or `None` where there is none; an error where that is not known.
    pub(super) fn resists_phishing(&self, seen: &Seen) -> Known<Option<&str>> {
        let mut whole = self.whole();
        if let Some(policy) = whole.find(|it| it.controls.resist_phishing() == Some(true)) {
            return Ok(Some(&policy.name));
        }
        let unknown = self
            .whole()
            .any(|it| it.controls.resist_phishing().is_none());
        match &seen.strengths {
            Err(unread) if unknown => Err(unread.clone()),
            _ => Ok(None),
        }
    }

    /// The policy that makes sure that everybody was on a managed device.
    pub(super) fn needs_device(&self) -> Option<&str> {
        let mut whole = self.whole();
        let found = whole.find(|policy| policy.controls.need_device())?;
        Some(&found.name)
    }

    /// The policy that lets through only devices which its filter describes, and the
    /// rule of that.
    pub(super) fn needs_workstation(&self) -> Option<(&str, &str)> {
        let mut all = self.enabled.iter();
        all.find_map(|policy| Some((policy.name.as_str(), policy.workstations()?)))
    }
}

impl Enabled {
    /// The rule of the devices that it lets through alone; `None` where it lets others
    /// through.
    pub(super) fn workstations(&self) -> Option<&str> {
        let rule = match coverage::device_filter(&self.body) {
            None => "no device at all",
            Some(filter) if coverage::lets_through_described_only(filter) => filter.1,
            Some(_) => return None,
        };
        (self.ways_round.is_empty() && self.controls.block()).then_some(rule)
    }

    /// Whether it asks something of everybody, on every device.
    pub(super) fn is_whole(&self) -> bool {
        self.controls.ask_for_something() && self.gaps().is_empty()
    }

    /// How it can be got round.
    pub(super) fn gaps(&self) -> Vec<String> {
        let filter = coverage::device_filter(&self.body);
        let filter = filter.map(|_| "it is for some devices only".to_owned());
        self.ways_round.iter().cloned().chain(filter).collect()
    }
}

/// Whether a policy is for an authentication context.
#[must_use]
pub fn is_for(policy: &Value, context: &str) -> bool {
    let place = "/conditions/applications/includeAuthenticationContextClassReferences";
    let mut named = texts(policy, place).into_iter();
    named.any(|one| one.eq_ignore_ascii_case(context))
}
