//! What is told beside a change: who did it, and what the ids in its values are
//! called. Both go out only: nothing is decided by them.

use model::audit::{Entry, Initiator, InitiatorType};
use model::names::Named;

use super::timestamp;
use crate::v1;

/// An entry of the audit log as a message; `rewind` are the ids, as far as they are
/// known, of the application with which restores are written: its client id, and that
/// of its service principal, which the log may name alone.
#[must_use]
pub fn activity<'a>(entry: &Entry, rewind: impl IntoIterator<Item = &'a str>) -> v1::Activity {
    v1::Activity {
        initiated_by: entry.initiator.as_ref().map(|by| initiator(by, rewind)),
        activity: entry.activity.clone(),
        time: Some(timestamp(entry.time)),
        correlation_id: entry.correlation_id.clone(),
        properties: entry.properties.clone(),
    }
}

fn initiator<'a>(by: &Initiator, rewind: impl IntoIterator<Item = &'a str>) -> v1::Initiator {
    let kind = match by.kind {
        InitiatorType::User => v1::InitiatorType::User,
        InitiatorType::Application => v1::InitiatorType::Application,
    };
    let is_rewind = by.kind == InitiatorType::Application
        && rewind.into_iter().any(|id| id.eq_ignore_ascii_case(&by.id));
    v1::Initiator {
        r#type: kind.into(),
        id: by.id.clone(),
        display_name: by.name.clone(),
        ip_address: by.ip_address.clone(),
        is_rewind,
    }
}

/// An object that a value names, as a message.
#[must_use]
pub fn reference(named: &Named) -> v1::ObjectRef {
    v1::ObjectRef {
        r#type: named.object_type.to_owned(),
        id: named.id.clone(),
        display_name: named.name.clone(),
    }
}
