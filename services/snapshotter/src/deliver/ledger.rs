//! What is stored of deliveries: documents that are created once, so that any
//! replica can go on where another stopped.
//!
//! A delivery is a signal's own, or one that somebody asked for later. Its documents
//! are `attempt-NN` before each attempt, `outcome-NN` after one that failed, and one
//! of `delivered`, `dead` and `passed` in the end; one that was asked for has a name
//! and a folder of its own, with `begun`. Beside a signal's own lies `recorded` where
//! a collector of log records was told.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use proto::convert::{time, timestamp};
use proto::v1::{DeliveryAttempt, DeliveryState, SignalDelivery};
use store::{Area, StoreError, TenantVault};

use super::backoff;
use crate::{Error, signals};

/// How long ago the day may be that a signal's name begins with for the signal to be
/// looked for: longer than an audit log reaches back, or drift.
pub(crate) const LOOK_BACK: TimeDelta = TimeDelta::days(40);

/// The document of a delivery that somebody asked for.
const BEGUN: &str = "begun";
/// The document that says that a collector was told.
const RECORDED: &str = "recorded";
/// What the names of attempts begin with.
const ATTEMPT: &str = "attempt-";
/// What the names of outcomes begin with.
const OUTCOME: &str = "outcome-";

/// The first ids that count at a time, as the beginning of a name.
pub(crate) fn window(from: DateTime<Utc>) -> String {
    from.format("%Y%m%d").to_string()
}

/// Which delivery; in the order in which they began.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    /// Its own name.
    id: String,
    /// The signal that is delivered.
    pub(crate) signal: String,
}

impl Delivery {
    /// The signal's own.
    pub(crate) fn first(signal: &str) -> Self {
        Self::asked(signal, signal)
    }

    /// One that was asked for.
    pub(crate) fn asked(id: &str, signal: &str) -> Self {
        Self {
            id: id.to_owned(),
            signal: signal.to_owned(),
        }
    }

    /// Whether it is the signal's own.
    pub(crate) fn is_first(&self) -> bool {
        self.id == self.signal
    }

    /// Its own name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Creates one of its documents; whether there was none yet.
    async fn put(
        &self,
        vault: &TenantVault,
        name: &str,
        content: &DeliveryAttempt,
    ) -> Result<bool, StoreError> {
        let name = self.name(name);
        let content = content.encode_to_vec().into();
        match vault.put(Area::Deliveries, &self.id, &name, content).await {
            Ok(()) => Ok(true),
            Err(StoreError::Exists { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, vault: &TenantVault, name: &str) -> Result<DeliveryAttempt, Error> {
        let name = self.name(name);
        let bytes = vault.get(Area::Deliveries, &self.id, &name).await?;
        DeliveryAttempt::decode(bytes).map_err(|error| Error::DamagedSignal {
            id: self.id.clone(),
            detail: error.to_string(),
        })
    }

    /// A document's name below the delivery's own.
    fn name(&self, name: &str) -> String {
        match self.is_first() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.signal),
        }
    }

    /// Says that somebody asked for it; whether nobody had.
    pub(crate) async fn begin(
        &self,
        vault: &TenantVault,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let begun = DeliveryAttempt {
            time: Some(timestamp(now)),
            ..DeliveryAttempt::default()
        };
        self.put(vault, BEGUN, &begun).await
    }

    /// Takes the next attempt; whether nobody else had.
    pub(crate) async fn attempt(
        &self,
        vault: &TenantVault,
        attempt: &DeliveryAttempt,
    ) -> Result<bool, StoreError> {
        let name = format!("{ATTEMPT}{:02}", attempt.number);
        self.put(vault, &name, attempt).await
    }

    /// Notes that an attempt failed.
    pub(crate) async fn failed(
        &self,
        vault: &TenantVault,
        attempt: &DeliveryAttempt,
    ) -> Result<(), StoreError> {
        let name = format!("{OUTCOME}{:02}", attempt.number);
        self.put(vault, &name, attempt).await.map(drop)
    }

    /// Notes that a collector was told of the signal.
    pub(crate) async fn recorded(
        &self,
        vault: &TenantVault,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let told = DeliveryAttempt {
            time: Some(timestamp(now)),
            ..DeliveryAttempt::default()
        };
        self.put(vault, RECORDED, &told).await.map(drop)
    }

    /// Ends it; whether it had not ended.
    pub(crate) async fn end(
        &self,
        vault: &TenantVault,
        end: End,
        last: &DeliveryAttempt,
    ) -> Result<bool, StoreError> {
        self.put(vault, end.name(), last).await
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The webhook took it.
    Delivered,
    /// It was sent in vain for the last time.
    Dead,
    /// Nothing was to be sent.
    Passed,
}

impl End {
    const ALL: [Self; 3] = [Self::Delivered, Self::Dead, Self::Passed];

    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Passed => "passed",
        }
    }
}

/// Which documents a delivery has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Documents {
    /// The number of the last attempt.
    pub(crate) attempts: u32,
    /// The number of the last that is known to have failed.
    pub(super) failures: u32,
    /// How it ended.
    pub(crate) end: Option<End>,
    /// Whether a collector was told.
    pub(crate) recorded: bool,
}

impl Documents {
    fn see(&mut self, name: &str) {
        let number = |prefix| name.strip_prefix(prefix)?.parse::<u32>().ok();
        if let Some(number) = number(ATTEMPT) {
            self.attempts = self.attempts.max(number);
        } else if let Some(number) = number(OUTCOME) {
            self.failures = self.failures.max(number);
        } else if name == RECORDED {
            self.recorded = true;
        } else if let Some(end) = End::ALL.into_iter().find(|end| end.name() == name) {
            // Taken late is taken.
            if self.end != Some(End::Delivered) {
                self.end = Some(end);
            }
        }
    }

    /// Whether it is known how the last attempt ended.
    pub(crate) fn is_known_to_have_failed(&self) -> bool {
        self.failures >= self.attempts
    }

    fn state(&self) -> DeliveryState {
        match self.end {
            None => DeliveryState::Pending,
            Some(End::Delivered) => DeliveryState::Delivered,
            Some(End::Dead) => DeliveryState::Dead,
            Some(End::Passed) => DeliveryState::Passed,
        }
    }
}

/// Deliveries, each with the documents that it has.
pub(crate) type Ledger = BTreeMap<Delivery, Documents>;

/// The deliveries whose names begin from a text on.
///
/// # Errors
/// `STORE_UNAVAILABLE`.
pub(crate) async fn read(vault: &TenantVault, from: &str) -> Result<Ledger, StoreError> {
    let mut ledger = Ledger::new();
    for listed in vault.list_documents(Area::Deliveries, from).await? {
        let (delivery, name) = match listed.name.split_once('/') {
            Some((signal, name)) => (Delivery::asked(&listed.id, signal), name),
            None => (Delivery::first(&listed.id), listed.name.as_str()),
        };
        ledger.entry(delivery).or_default().see(name);
    }
    Ok(ledger)
}

/// The deliveries of the last weeks, also those that have not begun.
///
/// # Errors
/// `STORE_UNAVAILABLE`.
pub(crate) async fn recent(vault: &TenantVault, now: DateTime<Utc>) -> Result<Ledger, StoreError> {
    let from = window(now - LOOK_BACK);
    let mut ledger = read(vault, &from).await?;
    for listed in vault.list_documents(Area::Signals, &from).await? {
        if listed.name == signals::SIGNAL {
            ledger.entry(Delivery::first(&listed.id)).or_default();
        }
    }
    Ok(ledger)
}

/// The last thing that is known of the last attempt.
///
/// # Errors
/// `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
pub(crate) async fn last(
    vault: &TenantVault,
    delivery: &Delivery,
    documents: &Documents,
) -> Result<Option<DeliveryAttempt>, Error> {
    let number = documents.attempts;
    let name = match documents.end {
        Some(End::Delivered) => End::Delivered.name().to_owned(),
        _ if number == 0 => return Ok(None),
        _ if documents.failures == number => format!("{OUTCOME}{number:02}"),
        _ => format!("{ATTEMPT}{number:02}"),
    };
    delivery.get(vault, &name).await.map(Some)
}

/// When the next attempt begins after one.
pub(crate) fn next(delivery: &Delivery, last: &DeliveryAttempt) -> Option<DateTime<Utc>> {
    let read = |at: &Option<prost_types::Timestamp>| at.as_ref().and_then(time);
    let (began, not_before) = (read(&last.time)?, read(&last.not_before));
    let number = u32::try_from(last.number).unwrap_or_default();
    Some(backoff::next(delivery.id(), number, began, not_before))
}

/// The newest delivery of a signal that has begun, among others.
pub(crate) fn newest<'a>(
    ledger: &'a Ledger,
    signal: &str,
) -> Option<(&'a Delivery, &'a Documents)> {
    // Beside what was not sent yet there may be no more than that a collector was told.
    let has_begun = |it: &Delivery, documents: &Documents| {
        !it.is_first() || documents.attempts > 0 || documents.end.is_some()
    };
    let of_signal = ledger.iter();
    let of_signal = of_signal.filter(|(it, docs)| it.signal == signal && has_begun(it, docs));
    // A signal's own may be named before or after one that was asked for.
    of_signal.max_by_key(|(it, _)| (!it.is_first(), it.id()))
}

/// A delivery as an answer.
///
/// # Errors
/// `STORE_CORRUPT`; `STORE_UNAVAILABLE`.
pub(crate) async fn message(
    vault: &TenantVault,
    delivery: &Delivery,
    documents: &Documents,
) -> Result<SignalDelivery, Error> {
    let last_attempt = last(vault, delivery, documents).await?;
    let goes_on = documents.end.is_none() && documents.attempts < backoff::ATTEMPTS;
    let next_time = last_attempt.as_ref().filter(|_| goes_on);
    let next_time = next_time.and_then(|last| next(delivery, last));
    Ok(SignalDelivery {
        state: documents.state().into(),
        attempts: i32::try_from(documents.attempts).unwrap_or(i32::MAX),
        last_attempt,
        next_time: next_time.map(timestamp),
    })
}
