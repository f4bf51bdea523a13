//! Takes one snapshot: claim, licence, read, commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use graph::{Mode, Progress, Request, collect, giving_way};
use model::error::reason;
use model::licence::Licence;
use model::snapshot::Kind;
use model::{SnapshotId, TenantId};
use proto::convert::timestamp;
use proto::v1::{Snapshot, SnapshotState, WatchSnapshotResponse};
use runtime::clock::Clock;
use runtime::jobs::{JobHandle, Start};
use runtime::status::{Fault, status};
use store::{
    Announced, Claim, Draft, Manifest, SnapshotMeta, StoreError, Taken, TenantState, TenantVault,
    Trigger,
};
use tracing::Instrument;

use crate::{Context, Error, base, copy, message, retention, verify, watch_drift, watch_posture};

/// How long a claim on a slot is honoured by others. A claim only saves work:
/// the manifest's conditional create decides who wins.
const CLAIM: TimeDelta = TimeDelta::minutes(30);
/// How often a claim is renewed.
const RENEWAL: Duration = Duration::from_secs(300);
/// How long before its end a claim that cannot be renewed is given up: more than
/// clocks differ, and than it takes until the end is looked at again.
const MARGIN: TimeDelta = TimeDelta::minutes(8);

/// How many tenants are looked after at once when their daily snapshots are taken.
pub(crate) const TURNS: usize = 4;

/// Counts a snapshot that could not be taken. It is no failure that another replica takes
/// it, and of a tenant that is suspended none is expected.
fn count(context: &Context, tenant: &TenantId, error: &Error) {
    match error {
        Error::Suspended => context.metrics.forgotten(tenant),
        error => match error.reason() {
            reason::SLOT_TAKEN | reason::ALREADY_EXISTS => {}
            reason => context.metrics.not_taken(tenant, reason),
        },
    }
}

/// Starts a snapshot in the background, or joins the one that runs.
pub(crate) fn start(
    context: &Context,
    tenant: &TenantId,
    slot: &SnapshotId,
    trigger: Trigger,
) -> WatchSnapshotResponse {
    let name = proto::name::snapshot(tenant, slot);
    let initial = Context::running(Snapshot {
        name: name.clone(),
        state: SnapshotState::Running as i32,
        start_time: Some(timestamp(context.deps.clock.now())),
        trigger: trigger.name().to_owned(),
        ..Snapshot::default()
    });
    match context.jobs.start(name, initial.clone()) {
        Start::Running(value) => value,
        Start::New(job) => {
            let span = tracing::info_span!("snapshot", %tenant, snapshot = %slot);
            let (context, tenant, slot) = (context.clone(), tenant.clone(), slot.clone());
            let run = async move {
                let result = take(&context, &tenant, &slot, trigger, &job).await;
                match &result {
                    Ok(manifest) => {
                        tracing::info!(complete = manifest.is_complete(), "snapshot committed");
                    }
                    Err(error) => {
                        tracing::warn!(error = runtime::status::chain(error), "snapshot not taken");
                        note(&context, &tenant, error);
                        count(&context, &tenant, error);
                    }
                }
                context.news.ring(&tenant);
                let done = |manifest: Manifest| WatchSnapshotResponse {
                    read_count: message::count(manifest.object_count()),
                    snapshot: Some(message::snapshot(&manifest)),
                    phase: "done".to_owned(),
                };
                let daily = trigger == Trigger::Scheduled && result.is_ok();
                job.finish(result.map(done).map_err(|error| status(&error)));
                if daily {
                    look_after(&context, &tenant).await;
                }
            };
            tokio::spawn(run.instrument(span));
            initial
        }
    }
}

async fn take(
    context: &Context,
    tenant: &TenantId,
    slot: &SnapshotId,
    trigger: Trigger,
    job: &JobHandle<WatchSnapshotResponse>,
) -> Result<Manifest, Error> {
    let deps = &context.deps;
    let vault = deps.vault.tenant(tenant).await?;
    let record = deps.vault.registered(tenant).await?;
    if record.state != TenantState::Active {
        return Err(Error::Suspended);
    }
    let attempt = deps.ids.uuid().to_string();
    let mut claim = vault.claim(slot, &attempt, deps.clock.now(), CLAIM).await?;
    let work = read_and_commit(context, &vault, &record, slot, trigger, &attempt, job);
    let taken = while_held(deps.clock.as_ref(), &vault, &mut claim, work).await;
    if taken.is_err()
        && let Err(error) = vault.release(&claim).await
    {
        tracing::warn!(
            error = runtime::status::chain(&error),
            "the claim could not be released; it expires by itself"
        );
    }
    taken
}

/// Works as long as the claim is held, and renews it in time: whoever has lost
/// a claim must not go on calling the tenant beside the one who took over.
async fn while_held<T>(
    clock: &dyn Clock,
    vault: &TenantVault,
    claim: &mut Claim,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let holding = async {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match vault.renew(claim, clock.now(), CLAIM).await {
                Ok(renewed) => *claim = renewed,
                Err(error @ StoreError::SlotTaken { .. }) => return error,
                // The store may answer next time, as long as the claim lasts.
                Err(error) if claim.expires_at - clock.now() <= MARGIN => return error,
                Err(error) => tracing::warn!(
                    error = runtime::status::chain(&error),
                    "the claim could not be renewed; it lasts for now"
                ),
            }
        }
    };
    tokio::select! {
        done = work => done,
        lost = holding => Err(lost.into()),
    }
}

async fn read_and_commit(
    context: &Context,
    vault: &store::TenantVault,
    record: &store::TenantRecord,
    slot: &SnapshotId,
    trigger: Trigger,
    attempt: &str,
    job: &JobHandle<WatchSnapshotResponse>,
) -> Result<Manifest, Error> {
    let deps = &context.deps;
    let directory = (deps.connect)(record)?;
    let started = deps.clock.now();
    let skus = directory.subscribed_skus().await?;
    let licence = Licence::from_subscribed_skus(&skus);
    if licence == Licence::None {
        return Err(Error::Licence {
            found: model::licence::found(&skus),
        });
    }
    let (base, mode) = base::choose(vault, context.reconcile_every).await?;
    let followed = matches!(mode, Mode::Since(_));
    let reconciled = matches!(mode, Mode::Reconcile(_));
    let progress = job.progress();
    let read = AtomicU64::new(0);
    let clock = deps.clock.clone();
    let draft = Draft::default();
    let (request, tick) = (Request::all(mode), move || clock.now());
    let told = |step: Progress| {
        let total = read.fetch_add(step.added, Ordering::Relaxed) + step.added;
        progress.modify(|value| value.read_count = message::count(total));
    };
    let apply = |change| draft.apply(change);
    let reading = collect(directory.as_ref(), &request, &tick, &told, &apply);
    let restore_runs = || vault.restore_runs(deps.clock.now());
    let outcome = giving_way(directory.as_ref(), restore_runs, reading).await?;
    let objects = |kind: Kind| matches!(kind, Kind::Objects(_));
    let mut kinds = outcome
        .completeness
        .iter()
        .filter(|record| objects(record.kind));
    if kinds.clone().all(|record| !record.is_complete()) {
        let problem = kinds
            .find_map(|record| record.problem.clone())
            .unwrap_or_default();
        return Err(Error::NothingRead(problem));
    }
    job.modify(|value| value.phase = "writing".to_owned());
    let meta = SnapshotMeta {
        id: slot.clone(),
        attempt: attempt.to_owned(),
        trigger,
        started,
        finished: deps.clock.now(),
        licence,
    };
    let before = base.as_ref().map_or(0, |base| base.lineage.incremental);
    let taken = Taken {
        completeness: outcome.completeness,
        tokens: outcome.tokens,
        unsettled: outcome.unsettled,
        incremental: if followed { before + 1 } else { 0 },
        announced: Announced {
            kinds: outcome.reconciled,
            ids: outcome.announced,
        },
    };
    let manifest = vault
        .commit(&meta, draft, taken, base.as_ref(), &|| deps.clock.now())
        .await?;
    if reconciled {
        context.metrics.drifted(&record.id, manifest.lineage.drift);
    }
    retention::apply(context, vault, record).await;
    Ok(manifest)
}

/// Looks after a daily snapshot for damage, copies it, watches for drift, and takes the posture. By then the
/// snapshot is taken and its claim is not needed any more.
async fn look_after(context: &Context, tenant: &TenantId) {
    let turn = context.turns.acquire().await;
    let _turn = turn.expect("invariant: turns are never closed");
    verify::daily(context, tenant).await;
    copy::catch_up(context, tenant).await;
    // Last, since it waits for another service.
    watch_drift::catch_up(context, tenant).await;
    watch_posture::catch_up(context, tenant).await;
    context.news.ring(tenant);
}

/// Notes why a snapshot was not taken, unless another process takes it or nobody should.
fn note(context: &Context, tenant: &TenantId, error: &Error) {
    let expected = matches!(
        error,
        Error::Suspended | Error::Store(StoreError::SlotTaken { .. } | StoreError::Exists { .. })
    );
    if !expected {
        let detail = runtime::status::chain(error);
        let now = context.deps.clock.now();
        context
            .failures
            .failed(tenant, error.reason(), &detail, now);
    }
}

#[cfg(test)]
mod tests;
