//! How all tenants are, held in memory.
//!
//! Owns what this gateway knows of each tenant beside its registration: one row, from the
//! newest summary that is stored. Rows are refreshed by lists, in passes whose pace
//! follows from how long one takes, and are made anew after a restart; nothing rests on
//! them. A caller's tenants are chosen before anything else is looked at.

mod choose;
mod row;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use model::{ErrorKind, TenantId};
use parking_lot::RwLock;
use prost::Message;
use proto::v1::{ListTenantOverviewsRequest, ListTenantOverviewsResponse, TenantSummary};
use runtime::Clock;
use store::{KeyError, StoreError, Vault};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::Caller;
use crate::error::GatewayError;
pub(crate) use choose::Choice;
pub(crate) use row::Row;

/// How many tenants are looked at at a time.
const AT_ONCE: usize = 32;
/// What part of the time passes may take: one in so many.
const DUTY: u32 = 20;
/// The shortest and the longest rest between two passes.
const SHORTEST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(600);
/// The number of a summary that could not be read; no summary has it.
const UNREAD: u64 = u64::MAX;
/// For how long a look at all of few tenants is good enough for the next who asks.
#[cfg(not(test))]
const FRESH: Duration = Duration::from_secs(3);
/// Tests see what they have just stored.
#[cfg(test)]
const FRESH: Duration = Duration::ZERO;
/// Of so few tenants all are looked at when somebody asks.
const FEW: usize = 64;

/// The rows. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    vault: Vault,
    clock: Arc<dyn Clock>,
    rows: Arc<RwLock<HashMap<TenantId, Arc<Row>>>>,
    refreshed: Arc<RwLock<Option<DateTime<Utc>>>>,
    /// One pass at a time; when the last one ended.
    pass: Arc<Mutex<Option<Instant>>>,
}

impl Index {
    pub(crate) fn new(vault: Vault, clock: Arc<dyn Clock>) -> Self {
        Self {
            vault,
            clock,
            rows: Arc::default(),
            refreshed: Arc::default(),
            pass: Arc::default(),
        }
    }

    /// Keeps the rows fresh until the token is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let begun = Instant::now();
            let work = async {
                if let Err(error) = self.refresh().await {
                    let error = runtime::status::chain(&error);
                    tracing::warn!(
                        error,
                        "the overview could not be refreshed; the next pass tries again"
                    );
                }
                let rest = (begun.elapsed() * DUTY).clamp(SHORTEST, LONGEST);
                tokio::time::sleep(rest).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = work => {}
            }
        }
    }

    /// Looks at every tenant once, unless somebody has just done so.
    async fn refresh_unless_fresh(&self) -> Result<(), StoreError> {
        let mut last = self.pass.lock().await;
        match *last {
            Some(at) if at.elapsed() < FRESH => Ok(()),
            _ => self.look_at_all(&mut last).await,
        }
    }

    /// Looks at every tenant once.
    ///
    /// # Errors
    /// Unavailable where tenants cannot be listed. One tenant's trouble is not the
    /// others'.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let mut last = self.pass.lock().await;
        self.look_at_all(&mut last).await
    }

    /// Does so, and notes when.
    async fn look_at_all(&self, last: &mut Option<Instant>) -> Result<(), StoreError> {
        let begun = self.clock.now();
        let ids = self.vault.tenant_ids().await?;
        let there: HashSet<&TenantId> = ids.iter().collect();
        self.rows.write().retain(|id, _| there.contains(id));
        futures::stream::iter(&ids)
            .for_each_concurrent(AT_ONCE, |id| async move {
                if let Err(error) = self.look(id).await {
                    let error = runtime::status::chain(&error);
                    tracing::warn!(tenant = %id, error, "a tenant's overview could not be read");
                }
            })
            .await;
        *self.refreshed.write() = Some(begun);
        *last = Some(Instant::now());
        Ok(())
    }

    /// Looks at one tenant: at what is new alone.
    ///
    /// # Errors
    /// Unavailable; Corrupt.
    pub(crate) async fn look(&self, id: &TenantId) -> Result<(), StoreError> {
        let known = self.rows.read().get(id).cloned();
        let registration = self.vault.registration_number(id).await?;
        if registration == 0 {
            // It was cut short.
            self.rows.write().remove(id);
            return Ok(());
        }
        let summary = self.vault.summary_number(id).await?;
        let numbers = (registration, summary);
        if known.as_ref().is_some_and(|row| row.numbers == numbers) {
            return Ok(());
        }
        let record = match self.vault.registration_version(id, registration).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // It is shown by its id alone.
                self.rows
                    .write()
                    .insert(id.clone(), Arc::new(Row::damaged(id, numbers)));
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let told = match &known {
            Some(row) if row.numbers.1 == summary => Ok(row.summary.clone()),
            _ => self.summary(id, summary).await,
        };
        let (row, outcome) = match told {
            Ok(told) => (Row::of(&record, numbers, told), Ok(())),
            Err(error) => {
                // It is shown with what was known before, and read again by the next pass.
                let before = known.map(|row| row.summary.clone()).unwrap_or_default();
                let row = Row::of(&record, (registration, UNREAD), before);
                (row.in_trouble(error.reason().0), Err(error))
            }
        };
        self.rows.write().insert(id.clone(), Arc::new(row));
        outcome
    }

    /// A tenant's newest summary; an empty one where there is none that can be read.
    async fn summary(&self, id: &TenantId, number: u64) -> Result<TenantSummary, StoreError> {
        if number == 0 {
            return Ok(TenantSummary::default());
        }
        let read = async { self.vault.tenant(id).await?.summary().await };
        match read.await {
            Ok(found) => Ok(found
                .and_then(|(_, content)| TenantSummary::decode(content).ok())
                .unwrap_or_default()),
            Err(StoreError::Key(KeyError::Erased) | StoreError::Changed { .. }) => {
                Ok(TenantSummary::default())
            }
            Err(error) => Err(error),
        }
    }

    /// The rows of these tenants; those that are not known yet are looked at.
    ///
    /// # Errors
    /// Unavailable.
    pub(crate) async fn rows(&self, ids: &[TenantId]) -> Result<Vec<Arc<Row>>, StoreError> {
        let unknown: Vec<TenantId> = {
            let rows = self.rows.read();
            let unknown = ids.iter().filter(|id| !rows.contains_key(id));
            unknown.cloned().collect()
        };
        let look = |id: TenantId| async move { (self.look(&id).await, id) };
        let mut looks = futures::stream::iter(unknown)
            .map(look)
            .buffer_unordered(AT_ONCE);
        while let Some((looked, id)) = looks.next().await {
            match looked {
                // Whoever has a row is shown by it.
                Err(error) if !self.rows.read().contains_key(&id) => return Err(error),
                Err(error) => {
                    let error = runtime::status::chain(&error);
                    tracing::warn!(tenant = %id, error, "a tenant's overview could not be read");
                }
                Ok(()) => {}
            }
        }
        let rows = self.rows.read();
        Ok(ids.iter().filter_map(|id| rows.get(id).cloned()).collect())
    }

    /// Tells how the caller's tenants are.
    ///
    /// # Errors
    /// Invalid where the page or the order is not valid.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        request: &ListTenantOverviewsRequest,
    ) -> Result<ListTenantOverviewsResponse, GatewayError> {
        let choice = Choice::of_overviews(request)?;
        if self.rows.read().len() <= FEW {
            self.refresh_unless_fresh().await?;
        }
        let mut rows: Vec<Arc<Row>> = {
            let rows = self.rows.read();
            let seen = rows.iter().filter(|(id, _)| caller.may_see(id));
            seen.map(|(_, row)| Arc::clone(row)).collect()
        };
        rows.retain(|row| choice.holds(row));
        let mut answer = choose::page(rows, request, self.clock.now())?;
        answer.refresh_time = self.refreshed.read().map(proto::convert::timestamp);
        Ok(answer)
    }
}
