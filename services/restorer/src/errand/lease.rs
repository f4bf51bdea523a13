//! Who sees to an errand: one process, until a time that it puts off as long as it is at
//! it.
//!
//! Owns the numbered leases in the store. Like a claim of a slot, a lease saves work and
//! nothing else: a plan and each entry of a journal are created once, whoever writes
//! them. The next number is created by whoever holds the last one, or once that is over,
//! by anybody.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use model::{ErrorKind, PlanId};
use runtime::status::chain;
use store::{Area, StoreError};

use crate::documents::Documents;
use crate::{Context, Error};

/// How long nobody takes over from a process that says nothing any more.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(60);

/// The right to see to an errand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    number: u32,
    /// Its holder's number among all that had the errand, from 1.
    attempt: u32,
    until: DateTime<Utc>,
}

impl Lease {
    /// Reads what stands under a number. What nobody can read is over: no errand may
    /// stay for it.
    fn read(number: u32, content: &[u8]) -> Self {
        let text = std::str::from_utf8(content).unwrap_or_default();
        let (attempt, until) = text.split_once(' ').unwrap_or_default();
        let until = DateTime::parse_from_rfc3339(until).ok();
        Self {
            number,
            attempt: attempt.parse().unwrap_or_default(),
            until: until.map_or(DateTime::<Utc>::MIN_UTC, |until| until.with_timezone(&Utc)),
        }
    }

    fn content(self) -> Bytes {
        Bytes::from(format!("{} {}", self.attempt, self.until.to_rfc3339()))
    }
}

/// Whether a process sees to an errand, as far as is known.
pub(super) async fn is_held(context: &Context, documents: &Documents) -> Result<bool, Error> {
    let now = context.deps.clock.now();
    Ok(newest(documents)
        .await?
        .is_some_and(|lease| lease.until > now))
}

/// How many processes have seen to an errand, one after the other.
pub(super) async fn attempts(documents: &Documents) -> Result<u32, Error> {
    Ok(newest(documents).await?.map_or(0, |newest| newest.attempt))
}

/// Does some work for an errand as long as no other process sees to it.
///
/// # Errors
/// `AppliedElsewhere` where one does; otherwise those of the work and of the store.
pub(crate) async fn hold<T>(
    context: &Context,
    documents: &Documents,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let elsewhere = || Error::AppliedElsewhere {
        id: documents.id().to_string(),
    };
    let lease = take(context, documents).await?.ok_or_else(elsewhere)?;
    let result = tokio::select! {
        result = work => result,
        () = keep(context, documents, lease) => return Err(elsewhere()),
    };
    if let Err(error) = give_back(context, documents, lease).await {
        tracing::warn!(error = chain(&error), "an errand is held until its time");
    }
    result
}

/// Takes an errand that nobody sees to; `None` where somebody does.
async fn take(context: &Context, documents: &Documents) -> Result<Option<Lease>, Error> {
    let newest = newest(documents).await?;
    let now = context.deps.clock.now();
    if newest.is_some_and(|lease| lease.until > now) {
        return Ok(None);
    }
    let (number, attempt) = newest.map_or((0, 0), |lease| (lease.number, lease.attempt));
    let lease = Lease {
        number: number + 1,
        attempt: attempt + 1,
        until: now + LEASE,
    };
    Ok(put(documents, lease).await?.then_some(lease))
}

/// Renews a lease; returns when another process has taken over.
async fn keep(context: &Context, documents: &Documents, mut lease: Lease) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let next = Lease {
            number: lease.number + 1,
            until: context.deps.clock.now() + LEASE,
            ..lease
        };
        match put(documents, next).await {
            Ok(true) => lease = next,
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(error = chain(&error), "a lease is not renewed");
            }
        }
    }
}

/// Ends a lease, whatever number it has by now, unless another process took over.
async fn give_back(context: &Context, documents: &Documents, lease: Lease) -> Result<(), Error> {
    let newest = newest(documents).await?;
    if let Some(own) = newest.filter(|newest| newest.attempt == lease.attempt) {
        let ended = Lease {
            number: own.number + 1,
            until: context.deps.clock.now(),
            ..own
        };
        put(documents, ended).await?;
    }
    Ok(())
}

/// Creates a lease; whether it was the first of its number.
async fn put(documents: &Documents, lease: Lease) -> Result<bool, Error> {
    let (folder, name) = (folder(documents.id()), name(lease.number));
    let vault = documents.vault();
    match vault
        .put(Area::Cursors, &folder, &name, lease.content())
        .await
    {
        Ok(()) => Ok(true),
        Err(StoreError::Exists { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn newest(documents: &Documents) -> Result<Option<Lease>, Error> {
    let (vault, folder) = (documents.vault(), folder(documents.id()));
    let names = vault.list_names(Area::Cursors, &folder).await?;
    let numbers = names.iter().filter_map(|name| name.parse::<u32>().ok());
    let Some(number) = numbers.max() else {
        return Ok(None);
    };
    match vault.get(Area::Cursors, &folder, &name(number)).await {
        Ok(content) => Ok(Some(Lease::read(number, &content))),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Some(Lease::read(number, &[]))),
        Err(error) => Err(error.into()),
    }
}

fn folder(id: &PlanId) -> String {
    format!("errand-{id}")
}

fn name(number: u32) -> String {
    format!("{number:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_as_it_was_written_and_rubbish_is_over() {
        let lease = Lease {
            number: 7,
            attempt: 2,
            until: DateTime::from_timestamp(1_700_000_000, 5_000).expect("in range"),
        };
        assert_eq!(Lease::read(7, &lease.content()), lease);
        for rubbish in ["", "2", "2 tomorrow", "\u{fffd} \u{fffd}"] {
            let read = Lease::read(7, rubbish.as_bytes());
            assert_eq!(read.until, DateTime::<Utc>::MIN_UTC, "{rubbish}");
        }
    }
}
