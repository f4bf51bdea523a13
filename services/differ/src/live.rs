//! The live tenant as a state that can be compared like a snapshot.
//!
//! What changed since the newest snapshot, or since the last time, is read and
//! committed aside of the store, in memory. So a reading costs what changed, and
//! nothing of it is kept but by the cache. It must never pass off a kind that was
//! not read as one that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use graph::{Mode, collect, giving_way};
use model::SnapshotId;
use model::licence::Licence;
use model::snapshot::Completeness;
use proto::v1::WatchReportResponse;
use runtime::jobs::JobHandle;
use store::{
    Announced, Aside, Draft, Manifest, SnapshotMeta, StoreError, Taken, TenantVault, Trigger,
};

use crate::progress::Meter;
use crate::{Context, Error};

/// How long a reading waits for a quota that a restore has, where there is no
/// earlier reading to use: longer than the mark of a restore that was killed
/// stands, and not longer than a person waits.
const PATIENCE: Duration = Duration::from_secs(90);
/// How much may be added to a live state in memory before it is made anew from the
/// newest snapshot: 64 MiB.
const MOST_ADDED: u64 = 64 << 20;

/// A live tenant as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// The state, and the vault that reads it.
    pub(crate) manifest: Manifest,
    pub(crate) aside: Aside,
    /// When the reading began.
    pub(crate) read_at: DateTime<Utc>,
    /// The snapshot that it goes back to; `None` where everything was read.
    pub(crate) since: Option<SnapshotId>,
    /// How much of it is held in memory, in bytes.
    pub(crate) added: u64,
}

impl Live {
    /// The records of the kinds that an earlier reading stands in for.
    pub(crate) fn older(&self) -> impl Iterator<Item = &Completeness> {
        let records = self.manifest.completeness.iter();
        records.filter(|record| record.is_complete() && record.not_after < self.read_at)
    }

    /// To when the oldest part of it dates.
    pub(crate) fn dates_from(&self) -> DateTime<Utc> {
        let older = self.older().map(|record| record.not_before);
        older.min().unwrap_or(self.read_at)
    }
}

/// How a live state is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// What changed, and of kinds whose quota a restore has what is known of them.
    AsFarAsPossible,
    /// Everything, but of kinds whose quota a restore has what can be read in time.
    Whole,
    /// Everything, for this order.
    Full,
}

/// Reads the tenant: what changed since `last` or the newest snapshot, where there
/// is one whose changes can be followed. It is taken to be about as large as `like`.
///
/// # Errors
/// `NOT_FOUND`; where nothing could be read, why; `STORE_UNAVAILABLE`.
pub(crate) async fn read(
    context: &Context,
    vault: &TenantVault,
    freshness: Freshness,
    job: &JobHandle<WatchReportResponse>,
    last: Option<Arc<Live>>,
    like: &Manifest,
) -> Result<Arc<Live>, Error> {
    let deps = &context.deps;
    let record = deps.vault.registered(vault.id()).await?;
    let directory = (deps.connect)(&record)?;
    let read_at = deps.clock.now();
    let footing = match freshness {
        Freshness::Whole | Freshness::Full => Footing::nothing(vault),
        Freshness::AsFarAsPossible => Footing::newest(vault, last).await?,
    };
    let mut request = graph::Request::all(footing.mode);
    if freshness != Freshness::Full {
        request.patience = PATIENCE;
        request.infer_empty_bins = true;
    }
    let meter = match &request.mode {
        Mode::Whole | Mode::Reconcile(_) => Meter::of_all(job, like),
        Mode::Since(_) => Meter::of_changes(job),
    };
    let (clock, count) = (Arc::clone(&deps.clock), AtomicU64::new(0));
    let told = move |step: graph::Progress| {
        meter.tell(count.fetch_add(step.added, Ordering::Relaxed) + step.added);
    };
    let tick = move || clock.now();
    let draft = Draft::default();
    let apply = |change| draft.apply(change);
    let reading = collect(directory.as_ref(), &request, &tick, &told, &apply);
    let restore_runs = || vault.restore_runs(deps.clock.now());
    let outcome = giving_way(directory.as_ref(), restore_runs, reading).await?;
    let attempt = deps.ids.uuid().simple().to_string();
    let meta = SnapshotMeta {
        id: SnapshotId::parse(&format!("live-{attempt}")).expect("invariant: a snapshot id"),
        attempt,
        trigger: Trigger::OnDemand,
        started: read_at,
        finished: deps.clock.now(),
        licence: Licence::None,
    };
    let taken = Taken {
        completeness: outcome.completeness,
        tokens: outcome.tokens,
        unsettled: outcome.unsettled,
        incremental: 0,
        announced: Announced::default(),
    };
    let manifest = footing
        .aside
        .vault
        .commit(&meta, draft, taken, footing.base.as_ref(), &|| {
            deps.clock.now()
        })
        .await?;
    let added = footing.aside.bytes().await?;
    Ok(Arc::new(Live {
        manifest,
        aside: footing.aside,
        read_at,
        since: footing.since,
        added,
    }))
}

/// What a reading goes on from.
struct Footing {
    aside: Aside,
    base: Option<Manifest>,
    mode: Mode,
    since: Option<SnapshotId>,
}

impl Footing {
    fn nothing(vault: &TenantVault) -> Self {
        Self {
            aside: vault.aside(),
            base: None,
            mode: Mode::Whole,
            since: None,
        }
    }

    /// The last state while it goes back to the newest snapshot and is small, else
    /// that snapshot; a damaged one is passed over.
    async fn newest(vault: &TenantVault, last: Option<Arc<Live>>) -> Result<Self, StoreError> {
        let (manifests, _) = vault.manifests().await?;
        let followed = |it: &Manifest| !it.tokens.is_empty() && !it.is_expiring();
        for manifest in manifests.into_iter().filter(followed) {
            let since = Some(manifest.id().clone());
            let standing = last.as_ref().filter(|live| {
                live.since == since && live.added <= MOST_ADDED && followed(&live.manifest)
            });
            let (aside, base) = match standing {
                Some(live) => (live.aside.clone(), live.manifest.clone()),
                None => (vault.aside(), manifest),
            };
            match aside.vault.past(&base).await {
                Ok(past) => {
                    return Ok(Self {
                        aside,
                        base: Some(base),
                        mode: Mode::Since(past),
                        since,
                    });
                }
                Err(error @ StoreError::Corrupt { .. }) => tracing::warn!(
                    base = %base.id(),
                    error = runtime::status::chain(&error),
                    "a snapshot is damaged, so the tenant is compared by way of an older one"
                ),
                Err(error) => return Err(error),
            }
        }
        Ok(Self::nothing(vault))
    }
}
