//! Stored signals: one document each, created once under a name that follows from
//! what it tells.
//!
//! A signal is never changed and never deleted but with its tenant. Names begin with
//! a day, so that they sort by time.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use model::SignalId;
use model::drift::Severity;
use prost::Message;
use proto::convert::{InvalidMessage, time};
use proto::name;
use proto::v1::{ListSignalsRequest, ListSignalsResponse, Signal};
use runtime::page::After;
use store::{Area, StoreError, TenantVault};

use crate::{Context, Error};

/// The document that is a signal.
const SIGNAL: &str = "signal";
/// How many signals are read at once.
const AT_ONCE: usize = 16;
/// How much earlier than its name says a signal's time may be, and more.
const A_DAY: TimeDelta = TimeDelta::days(1);

/// Stores a signal and tells it, unless it was raised before.
pub(crate) async fn raise(
    context: &Context,
    vault: &TenantVault,
    id: &SignalId,
    severity: Severity,
    signal: &Signal,
) -> Result<(), Error> {
    let content = signal.encode_to_vec().into();
    match vault.put(Area::Signals, id.as_str(), SIGNAL, content).await {
        Ok(()) => {}
        Err(StoreError::Exists { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let severity = severity.name();
    context.metrics.raised(&signal.rule, severity);
    tracing::warn!(
        tenant = %vault.id(),
        signal = %id,
        rule = signal.rule,
        severity,
        title = signal.title,
        report = signal.report,
        "a signal was raised"
    );
    Ok(())
}

/// A tenant's signals, newest first.
///
/// # Errors
/// `INVALID_ARGUMENT` for a page or a time that is not valid; `NOT_FOUND`;
/// `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
pub(crate) async fn list(
    context: &Context,
    request: ListSignalsRequest,
) -> Result<ListSignalsResponse, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    let after = After::read(request.page_size, &request.page_token)?;
    let filter = Filter::read(&request)?;
    let vault = context.deps.vault.tenant(&tenant).await?;
    let mut ids = vault.list_ids(Area::Signals).await?;
    ids.retain(|id| after.key.as_ref().is_none_or(|key| id < key));
    let read = |id: String| {
        let vault = &vault;
        async move { Ok::<_, Error>((read(vault, &id).await?, id)) }
    };
    let newest_first = ids.into_iter().rev();
    let mut found = futures::stream::iter(newest_first)
        .map(read)
        .buffered(AT_ONCE);
    let mut signals: Vec<(Signal, String)> = Vec::new();
    while let Some((signal, id)) = found.try_next().await? {
        if filter.is_behind(&signal) {
            break;
        }
        if !filter.holds(&signal) {
            continue;
        }
        if signals.len() == after.limit {
            let last = signals.last().map(|(_, id)| After::token(id));
            return Ok(answer(signals, last.unwrap_or_default()));
        }
        signals.push((signal, id));
    }
    Ok(answer(signals, String::new()))
}

fn answer(signals: Vec<(Signal, String)>, next_page_token: String) -> ListSignalsResponse {
    ListSignalsResponse {
        signals: signals.into_iter().map(|(signal, _)| signal).collect(),
        next_page_token,
    }
}

/// One signal.
///
/// # Errors
/// `INVALID_ARGUMENT`; `NOT_FOUND`; `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
pub(crate) async fn get(context: &Context, full_name: &str) -> Result<Signal, Error> {
    let (tenant, id) = name::parse_signal("name", full_name)?;
    let vault = context.deps.vault.tenant(&tenant).await?;
    read(&vault, id.as_str()).await
}

async fn read(vault: &TenantVault, id: &str) -> Result<Signal, Error> {
    let bytes = vault.get(Area::Signals, id, SIGNAL).await?;
    Signal::decode(bytes).map_err(|error| Error::DamagedSignal {
        id: id.to_owned(),
        detail: error.to_string(),
    })
}

/// Which signals a caller wants to see.
#[derive(Debug)]
struct Filter {
    least: i32,
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl Filter {
    fn read(request: &ListSignalsRequest) -> Result<Self, InvalidMessage> {
        let read = |field: &'static str, at: &Option<prost_types::Timestamp>| {
            let out_of_range = || InvalidMessage::new(field, "a time in range is expected");
            at.as_ref()
                .map(|at| time(at).ok_or_else(out_of_range))
                .transpose()
        };
        Ok(Self {
            least: request.min_severity,
            from: read("from_time", &request.from_time)?,
            until: read("until_time", &request.until_time)?,
        })
    }

    fn holds(&self, signal: &Signal) -> bool {
        let at = signal.time.as_ref().and_then(time);
        signal.severity >= self.least
            && self.from.is_none_or(|from| at >= Some(from))
            && self.until.is_none_or(|until| at < Some(until))
    }

    /// Whether this one and all behind it are too old.
    fn is_behind(&self, signal: &Signal) -> bool {
        let at = signal.time.as_ref().and_then(time);
        self.from.is_some_and(|from| at < Some(from - A_DAY))
    }
}
