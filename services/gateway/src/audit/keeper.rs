//! The chains that this process writes.
//!
//! Owns which chain an entry goes to, one writer for each chain at a time, and that
//! nothing is told to be written before it is. Entries that come while a file is being
//! written go into the next one together. What cannot be written is tried again until
//! the process ends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use model::TenantId;
use parking_lot::Mutex;
use prost::Message;
use proto::convert::timestamp;
use proto::v1::{AuditCheckpoint, AuditEntry, AuditHead, AuditKind, AuditRecord, AuditStart};
use runtime::{Clock, Ids};
use store::audit::{Chains, Head};
use store::{StoreError, Vault};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::queue::{Added, Batch, Full, Haste, Landed, Next, Queue, Waiting};
use crate::metrics::Metrics;

/// For how long a chain's key is used before it is asked for again.
const KEY_AGE: Duration = Duration::from_secs(10);
/// How long the first pause is where a file cannot be written; each further one is twice
/// as long.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Of how many other processes' chains a new one tells the end.
const OTHERS: usize = 200;
/// How many of them are looked at, and how many chains ended, at a time.
const AT_A_TIME: usize = 16;

/// A tenant's chain, or with `None` the installation's.
pub(super) type Place = Option<TenantId>;

/// Why an entry is not known to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unwritten {
    /// It will not be: there is no room for it.
    #[error("too much waits to be written to the audit")]
    NoRoom,
    /// It may be, later.
    #[error("the audit cannot be written in time")]
    Late,
}

/// One chain that this process writes.
#[derive(Debug)]
struct Chain {
    place: Place,
    queue: Queue,
    /// Held by the one who writes.
    end: tokio::sync::Mutex<End>,
}

impl Chain {
    /// What those are told who wait for something that was written to it.
    fn landed(&self) -> Landed {
        match self.place {
            Some(_) => Landed::There,
            None => Landed::Installation,
        }
    }
}

/// Where a chain has come to.
#[derive(Debug)]
struct End {
    writer: String,
    head: Head,
    time: DateTime<Utc>,
    opened: Option<(Chains, Instant)>,
}

/// All chains that this process writes.
#[derive(Debug)]
pub(super) struct Keeper {
    vault: Vault,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    metrics: Metrics,
    writer: String,
    calls: AtomicI64,
    chains: Mutex<HashMap<Place, Arc<Chain>>>,
    /// The chains of tenants that went on since the last checkpoint.
    moved: Mutex<BTreeMap<TenantId, AuditHead>>,
}

impl Keeper {
    pub(super) fn new(
        vault: Vault,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        metrics: Metrics,
    ) -> Self {
        Self {
            writer: fresh_writer(clock.as_ref(), ids.as_ref()),
            vault,
            clock,
            ids,
            metrics,
            calls: AtomicI64::new(0),
            chains: Mutex::default(),
            moved: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The number of the next mutation.
    pub(super) fn call(&self) -> i64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Writes an entry some time soon; where there is no room it is lost, and counted.
    pub(super) fn note(self: &Arc<Self>, place: Place, entry: AuditEntry, haste: Haste) {
        let chain = self.chain(place);
        // What is lost is counted.
        let _ = self.add(&chain, Waiting::new(entry, None), haste);
    }

    /// Writes an entry to a tenant's chain that the installation's has, too.
    pub(super) fn copy(self: &Arc<Self>, tenant: TenantId, entry: AuditEntry) {
        let chain = self.chain(Some(tenant));
        // What is lost is counted.
        let _ = self.add(&chain, Waiting::copy(entry), Haste::Urgent);
    }

    fn add(
        self: &Arc<Self>,
        chain: &Arc<Chain>,
        waiting: Waiting,
        haste: Haste,
    ) -> Result<(), Unwritten> {
        let lost = match waiting.entry.kind() {
            AuditKind::Mutation => 0,
            _ => waiting.entry.count,
        };
        match chain.queue.add(waiting, haste) {
            Ok(added) => {
                self.go_on(chain, added);
                Ok(())
            }
            Err(Full) => {
                self.metrics.audit_lost(lost);
                Err(Unwritten::NoRoom)
            }
        }
    }

    /// Writes an entry now and waits until it is written. Also where that is not known
    /// in time it may be written later.
    ///
    /// # Errors
    /// [`Unwritten`] where there is no room, or the time has passed.
    pub(super) async fn durable(
        self: &Arc<Self>,
        place: Place,
        entry: AuditEntry,
        patience: Duration,
    ) -> Result<Landed, Unwritten> {
        let (told, written) = oneshot::channel();
        let chain = self.chain(place);
        self.add(&chain, Waiting::new(entry, Some(told)), Haste::Urgent)?;
        match tokio::time::timeout(patience, written).await {
            Ok(Ok(landed)) => Ok(landed),
            Ok(Err(_)) | Err(_) => Err(Unwritten::Late),
        }
    }

    /// Begins the installation's chain, so that it is known from when on it is kept.
    pub(super) fn begin(self: &Arc<Self>) {
        let chain = self.chain(None);
        let added = chain.queue.open();
        self.go_on(&chain, added);
    }

    /// Tells in the installation's chain how far the tenants' chains have come, where
    /// any of them went on.
    pub(super) fn checkpoint(self: &Arc<Self>) {
        let heads = std::mem::take(&mut *self.moved.lock());
        if !heads.is_empty() {
            let entry = self.checkpoint_entry(heads, false);
            self.note(None, entry, Haste::Lazy);
        }
    }

    /// Writes everything that waits, and then that no chain goes on.
    pub(super) async fn close(self: &Arc<Self>) -> Result<(), Unwritten> {
        let chains: Vec<Arc<Chain>> = self.chains.lock().values().cloned().collect();
        let ended =
            futures::stream::iter(chains).for_each_concurrent(AT_A_TIME, |chain| async move {
                chain.queue.hurry();
                chain.queue.rest().await;
            });
        ended.await;
        let heads = std::mem::take(&mut *self.moved.lock());
        let entry = self.checkpoint_entry(heads, true);
        self.durable(None, entry, LONGEST_PAUSE).await.map(|_| ())
    }

    fn checkpoint_entry(&self, heads: BTreeMap<TenantId, AuditHead>, closed: bool) -> AuditEntry {
        AuditEntry {
            time: Some(timestamp(self.now())),
            kind: AuditKind::Checkpoint.into(),
            count: 1,
            checkpoint: Some(AuditCheckpoint {
                heads: heads.into_values().collect(),
                closed,
            }),
            ..AuditEntry::default()
        }
    }

    fn chain(&self, place: Place) -> Arc<Chain> {
        let mut chains = self.chains.lock();
        let chain = chains.entry(place.clone()).or_insert_with(|| {
            let end = End {
                writer: self.writer.clone(),
                head: Head::NONE,
                time: DateTime::UNIX_EPOCH,
                opened: None,
            };
            Arc::new(Chain {
                place,
                queue: Queue::default(),
                end: tokio::sync::Mutex::new(end),
            })
        });
        Arc::clone(chain)
    }

    fn go_on(self: &Arc<Self>, chain: &Arc<Chain>, added: Added) {
        // What is dropped after the end of the runtime cannot be written any more.
        if added == Added::Begin
            && let Ok(runtime) = Handle::try_current()
        {
            let (keeper, chain) = (Arc::clone(self), Arc::clone(chain));
            runtime.spawn(async move { keeper.write_all(&chain).await });
        }
    }

    /// Writes until nothing waits.
    async fn write_all(self: &Arc<Self>, chain: &Arc<Chain>) {
        let mut end = chain.end.lock().await;
        while let Next::Write(batch) = chain.queue.next().await {
            self.metrics.audit_lost(batch.stale);
            self.write(chain, &mut end, batch).await;
        }
    }

    /// Writes one file, however long that takes, unless the tenant has no chain; then
    /// the installation's has what was to be written.
    async fn write(self: &Arc<Self>, chain: &Chain, end: &mut End, batch: Batch) {
        let Batch { waiting, lost, .. } = batch;
        let mut entries = Vec::new();
        if lost > 0 {
            entries.push(self.loss(lost));
        }
        entries.extend(waiting.iter().map(|waiting| waiting.entry.clone()));
        let mut pause = PAUSE;
        loop {
            match self.try_write(chain, end, &entries).await {
                Ok(()) => break tell(waiting, chain.landed()),
                Err(error) if chain.place.is_some() && has_no_chain(&error) => {
                    let installation = self.chain(None);
                    let mut moved = waiting;
                    moved.retain(|waiting| !waiting.is_copy);
                    let added = installation.queue.take_over(moved, lost);
                    self.go_on(&installation, added);
                    end.opened = None;
                    if end.head == Head::NONE {
                        // Nobody fills the memory with tenants that do not exist.
                        self.chains.lock().remove(&chain.place);
                    }
                    return;
                }
                Err(error) => {
                    self.metrics.audit_failed();
                    let cause = runtime::status::chain(&error);
                    tracing::error!(cause, "the audit cannot be written");
                    end.opened = None;
                    if matches!(error, StoreError::Exists { .. }) {
                        // Two writers never share a chain.
                        end.writer = fresh_writer(self.clock.as_ref(), self.ids.as_ref());
                        end.head = Head::NONE;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    async fn try_write(
        &self,
        chain: &Chain,
        end: &mut End,
        entries: &[AuditEntry],
    ) -> Result<(), StoreError> {
        let chains = self.opened(chain, end).await?;
        let mut record = AuditRecord {
            time: None,
            entries: Vec::new(),
        };
        if end.head == Head::NONE {
            record.entries.push(self.start(chain, &chains).await?);
        } else if entries.is_empty() {
            return Ok(());
        }
        record.entries.extend(entries.iter().cloned());
        end.time = end.time.max(self.now());
        record.time = Some(timestamp(end.time));
        let started = Instant::now();
        let body = record.encode_to_vec();
        end.head = append(&chains, &end.writer, end.head, &body, &self.metrics).await?;
        self.metrics
            .audit_written(record.entries.len(), started.elapsed());
        if let Some(tenant) = &chain.place {
            let head = AuditHead {
                tenant: tenant.to_string(),
                writer: end.writer.clone(),
                number: i64::try_from(end.head.number).unwrap_or(i64::MAX),
                hash: end.head.hash.to_hex().to_string(),
            };
            self.moved.lock().insert(tenant.clone(), head);
        }
        Ok(())
    }

    /// The chains with their key, which is asked for now and then, since tenants are
    /// erased.
    async fn opened(&self, chain: &Chain, end: &mut End) -> Result<Chains, StoreError> {
        if let Some((chains, since)) = &end.opened
            && since.elapsed() < KEY_AGE
        {
            return Ok(chains.clone());
        }
        let chains = match &chain.place {
            Some(tenant) => self.vault.tenant(tenant).await?.audit(),
            None => self.vault.installation_audit().await?,
        };
        end.opened = Some((chains.clone(), Instant::now()));
        Ok(chains)
    }

    /// What a chain begins with.
    async fn start(&self, chain: &Chain, chains: &Chains) -> Result<AuditEntry, StoreError> {
        let others = match &chain.place {
            Some(_) => Vec::new(),
            None => others(chains, &self.writer).await?,
        };
        Ok(AuditEntry {
            time: Some(timestamp(self.now())),
            kind: AuditKind::Start.into(),
            count: 1,
            start: Some(AuditStart {
                program_version: env!("CARGO_PKG_VERSION").to_owned(),
                others,
            }),
            ..AuditEntry::default()
        })
    }

    fn loss(&self, count: i64) -> AuditEntry {
        AuditEntry {
            time: Some(timestamp(self.now())),
            kind: AuditKind::Lost.into(),
            count,
            ..AuditEntry::default()
        }
    }
}

/// Adds a file. It is the very same one as long as nobody knows whether it landed: one
/// that was told to be written must not follow on one that is not there.
async fn append(
    chains: &Chains,
    writer: &str,
    end: Head,
    body: &[u8],
    metrics: &Metrics,
) -> Result<Head, StoreError> {
    let mut pause = PAUSE;
    loop {
        match chains.append(writer, end, body).await {
            Err(error @ StoreError::Unavailable { .. }) => {
                metrics.audit_failed();
                let cause = runtime::status::chain(&error);
                tracing::error!(cause, "the audit cannot be written");
            }
            other => return other,
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

fn tell(waiting: Vec<Waiting>, landed: Landed) {
    for told in waiting.into_iter().filter_map(|waiting| waiting.told) {
        // Who went away meanwhile need not know.
        let _ = told.send(landed);
    }
}

/// Whether a tenant has no chain that could be read again, or none that could be
/// written now: nothing is refused for that a tenant's key is damaged or away.
fn has_no_chain(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NotFound { .. } | StoreError::Key(_) | StoreError::Corrupt { .. }
    )
}

/// The ends of the newest of the other processes' chains.
async fn others(chains: &Chains, own: &str) -> Result<Vec<AuditHead>, StoreError> {
    let writers = chains.writers().await?.into_iter().rev();
    let newest = writers.filter(|writer| writer != own).take(OTHERS);
    let heads = futures::stream::iter(newest)
        .map(|writer| async move {
            let number = chains.last_number(&writer, 0).await?;
            Ok::<_, StoreError>(AuditHead {
                writer,
                number: i64::try_from(number).unwrap_or(i64::MAX),
                ..AuditHead::default()
            })
        })
        .buffered(AT_A_TIME)
        .collect::<Vec<_>>();
    heads.await.into_iter().collect()
}

/// A name for the chains of one process, sorted by its start.
fn fresh_writer(clock: &dyn Clock, ids: &dyn Ids) -> String {
    format!("{}-{}", clock.now().format("%Y%m%dT%H%M%S"), ids.short())
}
