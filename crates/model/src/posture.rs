//! How well a tenant is guarded against hard deletion.
//!
//! Owns the checks, what each asks of the tenant, the sentence it says, and the score.
//! What could not be read is said to be not known and never counts as good. It judges
//! what a caller has read, and reads and changes nothing itself.
//!
//! The defence is a chain: the action is protected by an authentication context, the
//! context is published, enabled Conditional Access policies are for it, and those ask
//! for a phishing-resistant sign-in on a device that is managed. Beside it stand the
//! accounts that must stay out of it, the actions with which it could be taken apart,
//! and who could delete at all. Protected actions bind people, never applications.
//!
//! Source: Microsoft Entra, "What are protected actions?" and "Add, test, or remove
//! protected actions".

mod chain;
mod controls;
mod coverage;
mod guard;
mod harden;
mod reach;
mod table;
mod weakened;

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::drift::Severity;
use crate::id::ObjectId;
use crate::object::Object;

pub use guard::is_for;
pub use harden::{CONTEXT_NAME, TO_PROTECT, Wish, by_hand, harden, is_workstation_rule};
pub use reach::{Holders, MOST_PEOPLE, RoleHolders};
pub use table::{ALL as CHECKS, CheckKind, HARD_DELETE};
pub use weakened::{RULE as WEAKENED, Told, Weakening, open_questions, weakened};

/// What was read of a part of a tenant, or why it was not.
pub type Known<T> = Result<T, Unread>;

/// Why a part of a tenant is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// What could not be read, as the subject of a sentence: `the role assignments`.
    pub what: &'static str,
    /// Why, as the end of a sentence.
    pub why: String,
    /// The application permission that the reader would need; `None` where that is not
    /// what is missing.
    pub permission: Option<&'static str>,
}

/// An action of Microsoft Entra's that a tenant may protect (`unifiedRbacResourceAction`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The id by which Graph knows it.
    pub id: String,
    /// Its name, such as [`HARD_DELETE`].
    pub name: String,
    /// Whether it can be protected.
    pub settable: bool,
    /// The authentication context that protects it, such as `c1`.
    pub context: Option<String>,
}

/// A directory role (`unifiedRoleDefinition`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The id by which assignments name it.
    pub id: ObjectId,
    /// The template's id by which policies name it.
    pub template: ObjectId,
    /// What it is called.
    pub name: String,
    /// Whether it has any effect.
    pub enabled: bool,
    /// The actions that it allows.
    pub actions: Vec<String>,
}

/// What is known of those who hold roles.
#[derive(Debug, Clone, Default)]
pub struct Principals {
    /// What each is, as Graph writes it: `#microsoft.graph.user`. Who is not in it could
    /// not be looked up.
    pub types: HashMap<ObjectId, String>,
    /// The members of the groups among them.
    pub members: HashMap<ObjectId, BTreeSet<ObjectId>>,
}

/// An application permission of Microsoft Graph that an application holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Granted {
    /// The service principal that holds it.
    pub principal: ObjectId,
    /// What that is called.
    pub name: String,
    /// The permission, such as `User.DeleteRestore.All`.
    pub permission: String,
}

/// What is known of the accounts that must always get in.
#[derive(Debug, Clone, Default)]
pub struct BreakGlass {
    /// The live users among them.
    pub users: Vec<Object>,
    /// Who is in which group directly: those users, and the groups that they are in.
    pub memberships: HashSet<(ObjectId, ObjectId)>,
}

/// A tenant as it was read for a posture.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The actions in the namespace `microsoft.directory`.
    pub actions: Known<Vec<Action>>,
    /// The authentication contexts.
    pub contexts: Known<Vec<Object>>,
    /// The live Conditional Access policies.
    pub policies: Known<Vec<Object>>,
    /// The authentication strengths.
    pub strengths: Known<Vec<Object>>,
    /// The directory roles.
    pub roles: Known<Vec<Role>>,
    /// The active role assignments.
    pub assignments: Known<Vec<Object>>,
    /// What is known of those who hold them.
    pub principals: Known<Principals>,
    /// Who holds application permissions of Microsoft Graph.
    pub granted: Known<Vec<Granted>>,
    /// The accounts that must always get in, as the tenant is registered.
    pub registered: Vec<ObjectId>,
    /// What is known of those.
    pub break_glass: Known<BreakGlass>,
    /// The service principals of Rewind itself.
    pub own: BTreeSet<ObjectId>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is as it should be.
    Good,
    /// It is not: this is a finding.
    Finding,
    /// It could not be read.
    NotKnown,
    /// There is nothing to judge before an earlier check is good.
    NotReached,
}

impl Status {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Finding => "finding",
            Self::NotKnown => "not known",
            Self::NotReached => "not reached",
        }
    }
}

/// A part of the defence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// The action is protected.
    Action,
    /// By a published context.
    Context,
    /// For which policies are enabled.
    Policy,
    /// That ask for a strong sign-in.
    Strength,
    /// On a device that is managed.
    Device,
    /// The accounts that must stay out of it.
    BreakGlass,
    /// The actions with which the defence could be taken apart.
    OtherActions,
    /// Who could delete at all.
    Reach,
}

impl Layer {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Context => "context",
            Self::Policy => "policy",
            Self::Strength => "strength",
            Self::Device => "device",
            Self::BreakGlass => "break-glass",
            Self::OtherActions => "other actions",
            Self::Reach => "reach",
        }
    }
}

/// One question, answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which question.
    pub kind: &'static CheckKind,
    /// How it ended.
    pub status: Status,
    /// The answer.
    pub sentence: String,
    /// What it rests on.
    pub evidence: Vec<String>,
    /// What to do where it is not good; empty where it is.
    pub remedy: String,
}

impl Check {
    /// How soon somebody should do something; `None` where it is no finding.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        (self.status == Status::Finding).then_some(self.kind.severity)
    }
}

/// How well a tenant is guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posture {
    /// Every check, in the order of [`CHECKS`].
    pub checks: Vec<Check>,
    /// Who could delete for good today.
    pub holders: Holders,
}

impl Posture {
    /// The points of the checks that are good, of 100.
    #[must_use]
    pub fn score(&self) -> u32 {
        self.points(Status::Good)
    }

    /// The points of the checks that are not known, which are no part of the score.
    #[must_use]
    pub fn unknown_points(&self) -> u32 {
        self.points(Status::NotKnown)
    }

    fn points(&self, status: Status) -> u32 {
        let checks = self.checks.iter().filter(|check| check.status == status);
        checks.map(|check| check.kind.points).sum()
    }

    /// The checks that ended so.
    pub fn with(&self, status: Status) -> impl Iterator<Item = &Check> {
        let checks = self.checks.iter();
        checks.filter(move |check| check.status == status)
    }
}

/// Judges a tenant.
#[must_use]
pub fn judge(seen: &Seen) -> Posture {
    let holders = reach::holders(seen);
    let mut answers = chain::answers(seen, &holders);
    answers.extend(chain::other_actions(seen));
    answers.extend(reach::answers(seen, &holders));
    let check = |kind: &'static CheckKind| {
        let answer = answers
            .remove(kind.id)
            .expect("invariant: every check of the table is answered");
        answer.into_check(kind)
    };
    Posture {
        checks: CHECKS.iter().map(check).collect(),
        holders,
    }
}

/// How a check ended, before it is known which one it is.
#[derive(Debug, Clone)]
struct Answer {
    status: Status,
    sentence: String,
    evidence: Vec<String>,
    /// In place of the table's remedy.
    remedy: Option<String>,
}

/// Answers by the ids of their checks.
type Answers = HashMap<&'static str, Answer>;

impl Answer {
    fn new(status: Status, sentence: impl Into<String>) -> Self {
        Self {
            status,
            sentence: sentence.into(),
            evidence: Vec::new(),
            remedy: None,
        }
    }

    fn good(sentence: impl Into<String>) -> Self {
        Self::new(Status::Good, sentence)
    }

    fn finding(sentence: impl Into<String>) -> Self {
        Self::new(Status::Finding, sentence)
    }

    fn not_reached(after: &str) -> Self {
        Self::new(
            Status::NotReached,
            format!("There is nothing to judge, since {after}."),
        )
    }

    fn unknown(unread: &Unread) -> Self {
        let remedy = match unread.permission {
            Some(permission) => format!(
                "Grant the reader application {permission}, which `rewind tenant check` helps with, and ask again."
            ),
            None => "Ask again later.".to_owned(),
        };
        Self {
            remedy: Some(remedy),
            ..Self::new(
                Status::NotKnown,
                format!("Not known: {} could not be read.", unread.what),
            )
        }
        .told([unread.why.clone()])
    }

    fn told(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    fn into_check(self, kind: &'static CheckKind) -> Check {
        let remedy = match self.status {
            Status::Good | Status::NotReached => String::new(),
            Status::Finding | Status::NotKnown => {
                self.remedy.unwrap_or_else(|| kind.remedy.to_owned())
            }
        };
        Check {
            kind,
            status: self.status,
            sentence: self.sentence,
            evidence: self.evidence,
            remedy,
        }
    }
}

/// A count with its noun.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
