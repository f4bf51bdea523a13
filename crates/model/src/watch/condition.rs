//! What must be so, beside an activity's name, for a record to count.
//!
//! The log may leave values out or cut them off. Where what would decide is not
//! there, a record counts: one look too many is cheaper than one too few.

use serde_json::Value;

use super::Ground;
use crate::audit::{Changed, Record};
use crate::roles;

/// What must be so for a record to count.
#[derive(Debug, Clone, Copy)]
pub enum Condition {
    /// Nothing more.
    None,
    /// An account that must keep its way in is what it is about, or did it.
    BreakGlass,
    /// It is about Rewind's own applications.
    OwnApplication,
    /// An application or service principal got a password or a key; the flag says
    /// whether one counts that names no credentials.
    GainedCredential(Unnamed),
    /// An application was made to trust an outside identity, or another one.
    GainedFederated,
    /// Consent was given for everybody.
    ForEveryone,
    /// The role may be privileged.
    PrivilegedRole,
    /// An account was switched off.
    Disabled,
    /// It is about a service principal, not a user or a group.
    ToServicePrincipal,
}

/// Whether a record counts that does not name what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// It does.
    Counts,
    /// It does not.
    DoesNot,
}

/// The lists of credentials, as the log and the directory call them.
const CREDENTIALS: [&str; 3] = ["keydescription", "keycredentials", "passwordcredentials"];

impl Condition {
    pub(super) fn holds(self, record: &Record, ground: &Ground) -> bool {
        match self {
            Self::None => true,
            Self::BreakGlass => is_break_glass(record, ground),
            Self::OwnApplication => is_own(record, ground),
            Self::GainedCredential(unnamed) => gained_credential(record, unnamed),
            Self::GainedFederated => named(record, |name| name.contains("federatedidentity"))
                .any(|changed| changed.after().is_some_and(|after| !is_empty(&after))),
            Self::ForEveryone => is_for_everyone(record),
            Self::PrivilegedRole => role(record).is_none_or(|role| roles::may_be_privileged(&role)),
            Self::Disabled => {
                let became =
                    |changed: &Changed| changed.after().is_some_and(|after| is_false(&after));
                let was =
                    |changed: &Changed| changed.before().is_some_and(|before| is_false(&before));
                named(record, |name| name == "accountenabled")
                    .any(|changed| became(changed) && !was(changed))
            }
            Self::ToServicePrincipal => {
                let is = |kind: &str| record.targets.iter().any(|it| is_a(&it.kind, kind));
                !is("User") && !is("Group")
            }
        }
    }
}

/// What was changed, by the lowercase name of the property.
fn named(record: &Record, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &Changed> {
    record
        .changed()
        .filter(move |changed| wanted(&changed.name.to_lowercase()))
}

fn is_a(kind: &str, name: &str) -> bool {
    kind.eq_ignore_ascii_case(name)
}

fn is_break_glass(record: &Record, ground: &Ground) -> bool {
    let by = record.entry.initiator.iter().map(|by| &by.id);
    let about = record.targets.iter().map(|target| &target.id);
    by.chain(about).any(|id| ground.break_glass.contains(id))
}

/// Of a service principal the log tells the names that it signs in by, the client id
/// among them.
fn is_own(record: &Record, ground: &Ground) -> bool {
    let spelled = |id: &str| {
        let mut names = named(record, |name| name.contains("serviceprincipalname"));
        names.any(|names| {
            let sides = [names.before(), names.after()];
            let mut sides = sides.into_iter().flatten();
            sides.any(|side| side.to_string().to_lowercase().contains(id))
        })
    };
    let mut own = ground.own.iter();
    own.any(|id| record.names(id) || spelled(id))
}

fn gained_credential(record: &Record, unnamed: Unnamed) -> bool {
    let mut lists = named(record, |name| CREDENTIALS.contains(&name)).peekable();
    if lists.peek().is_none() {
        return unnamed == Unnamed::Counts;
    }
    lists.any(|list| {
        let (before, after) = (elements(list.before()), elements(list.after()));
        match (before, after) {
            (Some(before), Some(after)) => after.iter().any(|one| !before.contains(one)),
            // Cut off, or written in a way that nobody knows.
            _ => true,
        }
    })
}

/// What a list holds, each element by what tells it from others; `None` where it is
/// no list.
fn elements(list: Option<Value>) -> Option<Vec<Value>> {
    match list {
        None => Some(Vec::new()),
        Some(Value::Array(items)) => Some(items.into_iter().map(key).collect()),
        // A list of one was unwrapped; of text that is no JSON nothing is known.
        Some(Value::String(text))
            if text.starts_with(['[', '{']) && !text.ends_with([']', '}']) =>
        {
            None
        }
        Some(only) => Some(vec![key(only)]),
    }
}

/// By what a credential is told from others.
fn key(credential: Value) -> Value {
    match credential.get("keyId") {
        Some(id) => id.clone(),
        None => credential,
    }
}

fn is_for_everyone(record: &Record) -> bool {
    const CONSENT: [&str; 4] = [
        "delegatedpermissiongrant.consenttype",
        "consenttype",
        "consentcontext.isadminconsent",
        "consentaction.permissions",
    ];
    let mut told = named(record, |name| CONSENT.contains(&name)).peekable();
    if told.peek().is_none() {
        return true;
    }
    told.any(|changed| match changed.after() {
        Some(Value::String(text)) => {
            text.eq_ignore_ascii_case("true") || text.to_lowercase().contains("allprincipals")
        }
        Some(Value::Bool(yes)) => yes,
        Some(other) => other.to_string().to_lowercase().contains("allprincipals"),
        None => false,
    })
}

/// The role's template, as far as a record tells.
fn role(record: &Record) -> Option<String> {
    let text = |changed: &Changed| {
        let value = changed.after().or_else(|| changed.before())?;
        Some(value.as_str()?.to_owned())
    };
    let template = named(record, |name| name == "role.templateid").find_map(text);
    let target = || {
        let mut targets = record.targets.iter();
        targets
            .find(|target| is_a(&target.kind, "Role"))
            .map(|target| target.id.clone())
    };
    template.or_else(target).filter(|role| !role.is_empty())
}

fn is_false(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => !yes,
        Value::String(text) => text.eq_ignore_ascii_case("false"),
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}
