//! Tells signals as they are raised, each at least once, whichever replica raised it.
//!
//! What is new follows from the list of what is stored and from nothing that only
//! this process knows. Names do not tell the order in which signals were raised: one
//! may be raised late, under the name of an earlier day. So all of the last weeks are
//! listed each time, and a watcher that comes back says when the store had written
//! the last that it was told.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt};
use model::ErrorKind;
use proto::convert::InvalidMessage;
use proto::name;
use proto::v1::{Signal, WatchSignalsRequest, WatchSignalsResponse};
use runtime::jobs::Watch;
use runtime::status::{Fault, chain, status};
use store::{Area, Listed, TenantVault};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use crate::deliver::ledger::{LOOK_BACK, window};
use crate::signals::{self, AT_ONCE, Filter, SIGNAL};
use crate::{Context, Error};

/// Messages that wait for a caller who is slower.
const AHEAD: usize = 16;
/// How often a caller hears something at least.
const SILENCE: Duration = Duration::from_secs(30);
/// How much may come again: the clocks of a store's machines may differ, and a file
/// may be seen some time after it was written.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// How much earlier than its name says a signal's time may be, and more.
const A_DAY: TimeDelta = TimeDelta::days(1);

/// Begins to watch.
///
/// # Errors
/// `INVALID_ARGUMENT` for a cursor or a time that is not valid; `NOT_FOUND`;
/// `STORE_UNAVAILABLE`.
pub(crate) async fn watch(
    context: &Context,
    request: WatchSignalsRequest,
) -> Result<Watch<WatchSignalsResponse>, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    let filter = Filter::new(request.min_severity, request.from_time.as_ref(), None)?;
    let from = match request.after.as_str() {
        "" if filter.from.is_some() => Start::Beginning,
        "" => Start::Now,
        cursor => Start::Cursor(read_cursor(cursor)?),
    };
    let newest = match from {
        Start::Cursor(at) => Some(at),
        Start::Beginning | Start::Now => None,
    };
    let view = View {
        began: context.deps.clock.now(),
        context: context.clone(),
        vault: context.deps.vault.tenant(&tenant).await?,
        filter,
        seen: HashSet::new(),
        newest,
    };
    let (messages, stream) = mpsc::channel(AHEAD);
    let first = view.list(from).await?;
    tokio::spawn(view.follow(from, first, messages));
    Ok(Box::pin(ReceiverStream::new(stream)))
}

/// From where on signals are told.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// All that there are.
    Beginning,
    /// What the store wrote at a time or later.
    Cursor(DateTime<Utc>),
    /// What is raised from now on.
    Now,
}

fn read_cursor(text: &str) -> Result<DateTime<Utc>, InvalidMessage> {
    let at = DateTime::parse_from_rfc3339(text);
    at.map(|at| at.to_utc())
        .map_err(|_| InvalidMessage::new("after", "the cursor of an earlier answer is expected"))
}

fn cursor(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// What a watcher has seen.
struct View {
    context: Context,
    vault: TenantVault,
    filter: Filter,
    seen: HashSet<String>,
    /// When it began to look.
    began: DateTime<Utc>,
    /// When the store wrote the newest that was seen.
    newest: Option<DateTime<Utc>>,
}

impl View {
    /// The signals that may be new.
    async fn list(&self, from: Start) -> Result<Vec<Listed>, Error> {
        let now = self.context.deps.clock.now();
        let mut oldest = now;
        if let Start::Cursor(at) = from {
            oldest = oldest.min(at);
        }
        // A cursor may say any time at all.
        let weeks = |at: DateTime<Utc>| at.checked_sub_signed(LOOK_BACK);
        let mut oldest = weeks(oldest).unwrap_or(DateTime::UNIX_EPOCH);
        if let (Start::Beginning, Some(at)) = (from, self.filter.from) {
            oldest = oldest.min(at.checked_sub_signed(A_DAY).unwrap_or(oldest));
        }
        let oldest = window(oldest.max(DateTime::UNIX_EPOCH));
        let mut listed = self.vault.list_documents(Area::Signals, &oldest).await?;
        listed.retain(|it| it.name == SIGNAL);
        Ok(listed)
    }

    /// Tells what is new until the caller goes away, the service stops, or the store
    /// cannot be read.
    async fn follow(
        mut self,
        from: Start,
        first: Vec<Listed>,
        messages: mpsc::Sender<Result<WatchSignalsResponse, tonic::Status>>,
    ) {
        match from {
            Start::Beginning => {}
            Start::Now => self.see(first.iter()),
            Start::Cursor(at) => {
                let told = at.checked_sub_signed(OVERLAP).unwrap_or(at);
                self.see(first.iter().filter(|it| it.written < told));
            }
        }
        let mut listed = first;
        let mut spoke: Option<Instant> = None;
        loop {
            let told = match self.tell(listed, &messages).await {
                Ok(Some(told)) => told,
                Ok(None) => return,
                Err(error) => {
                    // Where nobody listens any more, nobody misses it.
                    self.say(Err(status(&error)), &messages).await;
                    return;
                }
            };
            if told > 0 || spoke.is_none_or(|at| at.elapsed() >= SILENCE) {
                let message = WatchSignalsResponse {
                    signal: None,
                    // Of what is older, nothing is to be told.
                    cursor: cursor(self.newest.unwrap_or(self.began)),
                };
                if !self.say(Ok(message), &messages).await {
                    return;
                }
                spoke = Some(Instant::now());
            }
            tokio::select! {
                () = messages.closed() => return,
                () = self.context.ending.cancelled() => return,
                () = tokio::time::sleep(self.context.signal_poll) => {}
            }
            listed = match self.list(Start::Now).await {
                Ok(listed) => listed,
                Err(error) => {
                    self.say(Err(status(&error)), &messages).await;
                    return;
                }
            };
        }
    }

    /// Says something; whether somebody listens and the service goes on.
    async fn say(
        &self,
        message: Result<WatchSignalsResponse, tonic::Status>,
        messages: &mpsc::Sender<Result<WatchSignalsResponse, tonic::Status>>,
    ) -> bool {
        tokio::select! {
            biased;
            () = self.context.ending.cancelled() => false,
            said = messages.send(message) => said.is_ok(),
        }
    }

    /// Tells what of a list was not seen yet, in the order in which it was written;
    /// how many were told, or `None` where nobody listens or the service stops.
    async fn tell(
        &mut self,
        listed: Vec<Listed>,
        messages: &mpsc::Sender<Result<WatchSignalsResponse, tonic::Status>>,
    ) -> Result<Option<usize>, Error> {
        let fresh = listed.iter().filter(|it| !self.seen.contains(&it.id));
        let mut fresh: Vec<Listed> = fresh.cloned().collect();
        fresh.sort_by(|a, b| (a.written, &a.id).cmp(&(b.written, &b.id)));
        let mut told = 0;
        let vault = &self.vault;
        let mut read = futures::stream::iter(fresh)
            .map(|it| async move { Ok::<_, Error>((readable(vault, &it).await?, it.written)) })
            .buffered(AT_ONCE);
        while let Some((signal, written)) = read.try_next().await? {
            let Some(signal) = signal.filter(|signal| self.filter.holds(signal)) else {
                continue;
            };
            let message = WatchSignalsResponse {
                signal: Some(signal),
                cursor: cursor(written),
            };
            if !self.say(Ok(message), messages).await {
                return Ok(None);
            }
            told += 1;
        }
        drop(read);
        // What is listed no more is too old to be listed again.
        self.seen.clear();
        self.see(listed.iter());
        Ok(Some(told))
    }

    fn see<'a>(&mut self, listed: impl Iterator<Item = &'a Listed>) {
        for it in listed {
            self.newest = self.newest.max(Some(it.written));
            self.seen.insert(it.id.clone());
        }
    }
}

/// A signal; `None` where it is damaged, which is told and keeps no other from
/// being seen.
async fn readable(vault: &TenantVault, listed: &Listed) -> Result<Option<Signal>, Error> {
    match signals::read(vault, &listed.id).await {
        Ok(signal) => Ok(Some(signal)),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let error = chain(&error);
            tracing::error!(tenant = %vault.id(), signal = listed.id, error, "a signal cannot be told");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
