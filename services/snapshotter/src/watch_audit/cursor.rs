//! How far a tenant's log was followed, and who follows it: numbered documents, each
//! created once, of which the highest counts.
//!
//! One document is both the place to go on from and the claim on the tenant, so that
//! neither can be written without the other. Nobody's correctness rests on it: who has
//! lost it reads what another reads too.

use chrono::{DateTime, Utc};
use prost::Message;
use proto::convert::{time, timestamp};
use proto::v1::AuditCursor;
use store::layout::AUDIT;
use store::{Area, StoreError, TenantVault};

use crate::Error;

/// A cursor as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Nothing that was done before is told.
    pub(super) since: DateTime<Utc>,
    /// When the log was last read as a whole.
    pub(super) read: DateTime<Utc>,
    /// Who follows.
    pub(super) holder: String,
    /// Until when nobody else does.
    pub(super) expires: DateTime<Utc>,
}

/// The cursor that counts; `None` where the tenant was never followed.
pub(super) async fn newest(vault: &TenantVault) -> Result<Option<Cursor>, Error> {
    let names = vault.list_names(Area::Cursors, AUDIT).await?;
    let number = |name: &String| name.parse::<u64>().ok();
    let Some(number) = names.iter().filter_map(number).max() else {
        return Ok(None);
    };
    let name = name(number);
    let bytes = vault.get(Area::Cursors, AUDIT, &name).await?;
    let stored = AuditCursor::decode(bytes).map_err(|error| damaged(&name, &error))?;
    let at = |field: &str, at: &Option<prost_types::Timestamp>| {
        let at = at.as_ref().and_then(time);
        at.ok_or_else(|| damaged(&name, &format!("it has no {field}")))
    };
    Ok(Some(Cursor {
        number,
        since: at("since_time", &stored.since_time)?,
        read: at("read_time", &stored.read_time)?,
        expires: at("expire_time", &stored.expire_time)?,
        holder: stored.holder,
    }))
}

/// Stores a cursor; whether another with its number was there before.
pub(super) async fn store(vault: &TenantVault, cursor: &Cursor) -> Result<Stored, Error> {
    let message = AuditCursor {
        since_time: Some(timestamp(cursor.since)),
        read_time: Some(timestamp(cursor.read)),
        holder: cursor.holder.clone(),
        expire_time: Some(timestamp(cursor.expires)),
    };
    let content = message.encode_to_vec().into();
    let name = name(cursor.number);
    match vault.put(Area::Cursors, AUDIT, &name, content).await {
        Ok(()) => Ok(Stored::Ours),
        Err(StoreError::Exists { .. }) => Ok(Stored::Theirs),
        Err(error) => Err(error.into()),
    }
}

/// Whose cursor a number has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// The one that was to be stored.
    Ours,
    /// Another's, who was faster.
    Theirs,
}

fn name(number: u64) -> String {
    format!("{number:010}")
}

fn damaged(name: &str, detail: &dyn std::fmt::Display) -> Error {
    Error::Store(StoreError::Corrupt {
        path: format!("{}/{AUDIT}/{name}", Area::Cursors.name()),
        detail: detail.to_string(),
    })
}
