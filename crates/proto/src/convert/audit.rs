//! What is told beside a change: who did it, and what the ids in its values are
//! called. Both go out only: nothing is decided by them.

use model::audit::{Entry, Initiator, InitiatorType};
use model::names::Named;

use super::timestamp;
use crate::v1;

/// An entry of the audit log as a message; `rewind` is the id of the application
/// with which restores are written, where it is known.
#[must_use]
pub fn activity(entry: &Entry, rewind: Option<&str>) -> v1::Activity {
    v1::Activity {
        initiated_by: entry.initiator.as_ref().map(|by| initiator(by, rewind)),
        activity: entry.activity.clone(),
        time: Some(timestamp(entry.time)),
        correlation_id: entry.correlation_id.clone(),
        properties: entry.properties.clone(),
    }
}

fn initiator(by: &Initiator, rewind: Option<&str>) -> v1::Initiator {
    let kind = match by.kind {
        InitiatorType::User => v1::InitiatorType::User,
        InitiatorType::Application => v1::InitiatorType::Application,
    };
    let is_rewind = by.kind == InitiatorType::Application
        && rewind.is_some_and(|id| id.eq_ignore_ascii_case(&by.id));
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
