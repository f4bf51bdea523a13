//! Copies snapshots into the store that the settings name: when asked, and by
//! itself after each daily snapshot.
//!
//! One snapshot that cannot be copied never keeps others from it. It must never
//! send anything where a caller says.

use std::collections::VecDeque;

use model::{ErrorKind, SnapshotId, TenantId};
use proto::name;
use proto::v1::{CopySnapshotsRequest, CopySnapshotsResponse, CopyState, SnapshotCopy};
use runtime::jobs::Watch;
use runtime::status::{chain, status};
use store::{Carried, Copies, Copying, Problem, StoreError, TenantVault};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::metrics::Metrics;
use crate::{Context, Error, message};

/// Messages that wait for a caller who is slower.
const AHEAD: usize = 4;

/// Copies one snapshot, or all of a tenant, and tells what becomes of each.
///
/// # Errors
/// `NO_COPY_STORE` where there is no other store to copy to. Of one snapshot that
/// is named, what is wrong with it; of all, it is part of the answer.
pub(crate) async fn copy(
    context: &Context,
    request: CopySnapshotsRequest,
) -> Result<Watch<CopySnapshotsResponse>, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    let vault = context.deps.vault.tenant(&tenant).await?;
    let copies = context.deps.copies.as_ref().ok_or(Error::NoCopyStore)?;
    let mut work = match request.snapshot.as_str() {
        "" => Work::all(context, copies, &vault).await?,
        id => {
            let id = name::parse_snapshot_in("snapshot", &tenant, id)?;
            let id = vault.find(&id).await?.id().clone();
            Work::one(context, copies, &tenant, id).await?
        }
    };
    let (messages, stream) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        while let Some(outcome) = work.next().await {
            let message = outcome
                .map(|copy| CopySnapshotsResponse { copy: Some(copy) })
                .map_err(|error| status(&Error::from(error)));
            // Where the caller has gone away, the copying ends.
            if messages.send(message).await.is_err() {
                return;
            }
        }
    });
    Ok(Box::pin(ReceiverStream::new(stream)))
}

/// Copies everything of a tenant that is not in the copy, where there is one. What
/// goes wrong here is logged and counted, and the next time tries again.
pub(crate) async fn catch_up(context: &Context, tenant: &TenantId) {
    let Some(copies) = &context.deps.copies else {
        return;
    };
    match everything(context, copies, tenant).await {
        Ok(0) => tracing::info!("the copy is up to date"),
        Ok(_) => context.metrics.copy_failed(tenant),
        Err(error) => {
            context.metrics.copy_failed(tenant);
            let error = chain(&error);
            tracing::warn!(error, "the copying was broken off; the next one goes on");
        }
    }
}

/// Copies all of a tenant; how many snapshots could not be copied.
async fn everything(
    context: &Context,
    copies: &Copies,
    tenant: &TenantId,
) -> Result<usize, StoreError> {
    let vault = context.deps.vault.tenant(tenant).await?;
    let mut work = Work::all(context, copies, &vault).await?;
    let mut failures = 0;
    while let Some(outcome) = work.next().await {
        let copy = outcome?;
        if copy.state() == CopyState::Failed {
            failures += 1;
            let (snapshot, problem) = (copy.name, copy.problem);
            tracing::warn!(snapshot, problem, "a snapshot could not be copied");
        }
    }
    Ok(failures)
}

/// What is left to copy of a tenant.
struct Work {
    metrics: Metrics,
    tenant: TenantId,
    copying: Copying,
    left: VecDeque<Left>,
}

/// A snapshot that is left to copy.
enum Left {
    /// The only one that was asked for: what is wrong with it is the answer.
    Only(SnapshotId),
    /// One of all: what is wrong with it is told beside the others.
    OneOfAll(SnapshotId),
    /// One whose manifest cannot be read.
    Damaged(Problem),
}

impl Work {
    async fn one(
        context: &Context,
        copies: &Copies,
        tenant: &TenantId,
        id: SnapshotId,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            metrics: context.metrics.clone(),
            tenant: tenant.clone(),
            copying: copies.begin(&context.deps.vault, tenant).await?,
            left: [Left::Only(id)].into(),
        })
    }

    /// All snapshots, the newest first.
    async fn all(
        context: &Context,
        copies: &Copies,
        vault: &TenantVault,
    ) -> Result<Self, StoreError> {
        let copying = copies.begin(&context.deps.vault, vault.id()).await?;
        let (manifests, problems) = vault.manifests().await?;
        let manifests = manifests.iter();
        let readable = manifests.map(|manifest| Left::OneOfAll(manifest.id().clone()));
        Ok(Self {
            metrics: context.metrics.clone(),
            tenant: vault.id().clone(),
            copying,
            left: readable
                .chain(problems.into_iter().map(Left::Damaged))
                .collect(),
        })
    }

    /// Copies the next one. After an error nothing more is tried.
    async fn next(&mut self) -> Option<Result<SnapshotCopy, StoreError>> {
        let outcome = match self.left.pop_front()? {
            Left::Only(id) => self.carry(&id).await,
            Left::OneOfAll(id) => match self.carry(&id).await {
                Err(error) if is_its_own(&error) => Ok(failed(&self.tenant, &id, &error)),
                outcome => outcome,
            },
            Left::Damaged(Problem { slot, error, .. }) => Ok(failed(&self.tenant, &slot, &error)),
        };
        if outcome.is_err() {
            self.left.clear();
        }
        Some(outcome)
    }

    async fn carry(&mut self, id: &SnapshotId) -> Result<SnapshotCopy, StoreError> {
        let done = self.copying.snapshot(id).await?;
        self.metrics.copied(&self.tenant, done.files, done.bytes);
        let state = match done.carried {
            Carried::Copied => CopyState::Copied,
            Carried::Present => CopyState::Present,
            Carried::LetGo => CopyState::LetGo,
        };
        Ok(SnapshotCopy {
            name: name::snapshot(&self.tenant, id),
            state: state.into(),
            file_count: message::count(done.files),
            sent_bytes: message::count(done.bytes),
            ..SnapshotCopy::default()
        })
    }
}

/// Whether an error says something of the one snapshot alone.
fn is_its_own(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Conflict
    )
}

fn failed(tenant: &TenantId, id: &SnapshotId, error: &StoreError) -> SnapshotCopy {
    SnapshotCopy {
        name: name::snapshot(tenant, id),
        state: CopyState::Failed.into(),
        problem: chain(error),
        reason: error.reason().to_string(),
        ..SnapshotCopy::default()
    }
}

#[cfg(test)]
mod tests;
