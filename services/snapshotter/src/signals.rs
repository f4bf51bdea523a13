//! Stored signals: one document each, created once under a name that follows from
//! what it tells.
//!
//! A signal is never changed and never deleted but with its tenant. Names begin with
//! a day, so that they sort by time, though not always in the order in which they
//! were raised. What becomes of one on its way to a webhook is told beside it.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use model::SignalId;
use model::drift::Severity;
use prost::Message;
use proto::convert::{InvalidMessage, time, timestamp};
use proto::name;
use proto::v1::{DeliveryState, ListSignalsRequest, ListSignalsResponse, Signal, SignalDelivery};
use runtime::page::After;
use store::{Area, StoreError, TenantVault, Webhook};

use crate::deliver::{ledger, wants};
use crate::{Context, Error};

/// The document that is a signal.
pub(crate) const SIGNAL: &str = "signal";
/// How many signals are read at once.
pub(crate) const AT_ONCE: usize = 16;
/// How much earlier than its name says a signal's time may be, and more.
const A_DAY: TimeDelta = TimeDelta::days(1);

/// Before the name of every signal.
const FIRST: &str = "0";

/// Stores a signal and tells it, unless it was raised before.
pub(crate) async fn raise(
    context: &Context,
    vault: &TenantVault,
    id: &SignalId,
    severity: Severity,
    signal: &Signal,
) -> Result<(), Error> {
    let raised = Signal {
        raise_time: Some(timestamp(context.deps.clock.now())),
        ..signal.clone()
    };
    let content = raised.encode_to_vec().into();
    match vault.put(Area::Signals, id.as_str(), SIGNAL, content).await {
        Ok(()) => {}
        Err(StoreError::Exists { .. }) => {
            // Whoever raised it may have ended before it was sent.
            context.bell.ring(vault.id());
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    // From here on every replica can find it and bring it to a webhook.
    context.bell.ring(vault.id());
    context.news.ring(vault.id());
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
    let way = Way::open(context, &vault, FIRST).await?;
    let read = |id: String| {
        let (vault, way) = (&vault, &way);
        async move {
            let mut signal = read(vault, &id).await?;
            signal.delivery = way.of(vault, &id, &signal).await?;
            Ok::<_, Error>((signal, id))
        }
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
    let mut signal = read(&vault, id.as_str()).await?;
    // None began before the signal was raised, and its own has its name.
    let raised = raised_at(&signal).and_then(|raised| raised.checked_sub_signed(A_DAY));
    let begun = raised.map_or_else(|| FIRST.to_owned(), ledger::window);
    let way = Way::open(context, &vault, id.as_str().min(begun.as_str())).await?;
    signal.delivery = way.of(&vault, id.as_str(), &signal).await?;
    Ok(signal)
}

/// What is known of a tenant's signals on their way to its webhook.
struct Way {
    webhook: Option<Webhook>,
    ledger: ledger::Ledger,
}

impl Way {
    /// Of deliveries whose names begin from a text on.
    async fn open(context: &Context, vault: &TenantVault, from: &str) -> Result<Self, Error> {
        let record = context.deps.vault.registered(vault.id()).await?;
        Ok(Self {
            webhook: record.webhook,
            ledger: ledger::read(vault, from).await?,
        })
    }

    /// How a signal is on its way, where it has any.
    async fn of(
        &self,
        vault: &TenantVault,
        id: &str,
        signal: &Signal,
    ) -> Result<Option<SignalDelivery>, Error> {
        if let Some((delivery, documents)) = ledger::newest(&self.ledger, id) {
            return ledger::message(vault, delivery, documents).await.map(Some);
        }
        let wanted = self.webhook.as_ref();
        let wanted = wanted.is_some_and(|webhook| wants(webhook, signal));
        Ok(wanted.then(|| SignalDelivery {
            state: DeliveryState::Pending.into(),
            ..SignalDelivery::default()
        }))
    }
}

/// When a signal was raised; of one from before this was kept, what it tells of.
pub(crate) fn raised_at(signal: &Signal) -> Option<DateTime<Utc>> {
    let at = signal.raise_time.as_ref().or(signal.time.as_ref());
    at.and_then(time)
}

/// A stored signal.
///
/// # Errors
/// `NOT_FOUND`; `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
pub(crate) async fn read(vault: &TenantVault, id: &str) -> Result<Signal, Error> {
    let bytes = vault.get(Area::Signals, id, SIGNAL).await?;
    Signal::decode(bytes).map_err(|error| Error::DamagedSignal {
        id: id.to_owned(),
        detail: error.to_string(),
    })
}

/// Which signals a caller wants to see.
#[derive(Debug)]
pub(crate) struct Filter {
    least: i32,
    pub(crate) from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    undelivered: bool,
}

impl Filter {
    fn read(request: &ListSignalsRequest) -> Result<Self, InvalidMessage> {
        let (from, until) = (&request.from_time, &request.until_time);
        let filter = Self::new(request.min_severity, from.as_ref(), until.as_ref())?;
        Ok(Self {
            undelivered: request.undelivered,
            ..filter
        })
    }

    /// By severity and time.
    ///
    /// # Errors
    /// [`InvalidMessage`] for a time that is out of range.
    pub(crate) fn new(
        least: i32,
        from: Option<&prost_types::Timestamp>,
        until: Option<&prost_types::Timestamp>,
    ) -> Result<Self, InvalidMessage> {
        let read = |field: &'static str, at: Option<&prost_types::Timestamp>| {
            let out_of_range = || InvalidMessage::new(field, "a time in range is expected");
            at.map(|at| time(at).ok_or_else(out_of_range)).transpose()
        };
        Ok(Self {
            least,
            from: read("from_time", from)?,
            until: read("until_time", until)?,
            undelivered: false,
        })
    }

    pub(crate) fn holds(&self, signal: &Signal) -> bool {
        let at = signal.time.as_ref().and_then(time);
        let state = signal.delivery.as_ref().map(SignalDelivery::state);
        let undelivered = matches!(state, Some(DeliveryState::Pending | DeliveryState::Dead));
        signal.severity >= self.least
            && self.from.is_none_or(|from| at >= Some(from))
            && self.until.is_none_or(|until| at < Some(until))
            && (undelivered || !self.undelivered)
    }

    /// Whether this one and all behind it are too old.
    fn is_behind(&self, signal: &Signal) -> bool {
        let at = signal.time.as_ref().and_then(time);
        self.from.is_some_and(|from| at < Some(from - A_DAY))
    }
}
