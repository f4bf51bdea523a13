//! Looks for damage in what is stored: on demand, and after each daily snapshot of
//! one share of the files more closely, by turns.
//!
//! What is found must be told, loudly; but it must never keep a snapshot from
//! being taken, and nothing is repaired unasked.

use chrono::{DateTime, Datelike, Utc};
use model::TenantId;
use proto::name;
use proto::v1::{
    self, RepairSnapshotsRequest, RepairSnapshotsResponse, UnreadableRows, Verification,
    VerifyDepth, VerifySnapshotsRequest,
};
use store::{DamageKind, Depth, StoreError, TenantVault, Verified};

use crate::message::count;
use crate::{Context, Error};

/// Looks as closely as the request says.
///
/// # Errors
/// `NOT_FOUND`; `STORE_UNAVAILABLE`. Damage is no error.
pub(crate) async fn verify(
    context: &Context,
    request: VerifySnapshotsRequest,
) -> Result<Verification, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    let vault = context.deps.vault.tenant(&tenant).await?;
    let (depth, told) = match request.depth() {
        VerifyDepth::EveryByte => (Depth::EveryByte, VerifyDepth::EveryByte),
        VerifyDepth::Structure | VerifyDepth::Unspecified => {
            (Depth::Structure, VerifyDepth::Structure)
        }
    };
    let found = vault.verify(depth).await?;
    context
        .metrics
        .verified(&tenant, &found, context.deps.clock.now());
    Ok(Verification {
        name: name::tenant(&tenant),
        depth: told as i32,
        damages: damages(&vault, &found.damages),
        snapshot_count: count(found.snapshots),
        file_count: count(found.files),
        read_file_count: count(found.files_read),
        read_bytes: count(found.bytes_read),
        unnamed_file_count: count(found.unnamed_runs),
        unnamed_bytes: count(found.unnamed_bytes),
    })
}

/// Makes good what can be.
///
/// # Errors
/// `INVALID_ARGUMENT` where a snapshot is to be let go that is not damaged;
/// `NOT_FOUND`; `STORE_UNAVAILABLE`.
pub(crate) async fn repair(
    context: &Context,
    request: RepairSnapshotsRequest,
) -> Result<RepairSnapshotsResponse, Error> {
    let tenant = name::parse_tenant("parent", &request.parent)?;
    let drop = request.drop.iter();
    let drop = drop.map(|id| name::parse_snapshot_in("drop", &tenant, id));
    let drop = drop.collect::<Result<Vec<_>, _>>()?;
    let vault = context.deps.vault.tenant(&tenant).await?;
    let copy = copy_of(context, &tenant).await?;
    let now = context.deps.clock.now();
    let done = vault.repair(copy.as_ref(), &drop, now).await?;
    let named = |ids: &[model::SnapshotId]| {
        let names = ids.iter().map(|id| name::snapshot(&tenant, id));
        names.collect::<Vec<_>>()
    };
    Ok(RepairSnapshotsResponse {
        name: name::tenant(&tenant),
        has_copy: copy.is_some(),
        held: named(&done.held),
        dropped: named(&done.dropped),
        left: damages(&vault, &done.left),
        put_back: done.put_back,
    })
}

/// The tenant in the store of the copies, where there is one that holds it.
async fn copy_of(context: &Context, tenant: &TenantId) -> Result<Option<TenantVault>, Error> {
    let Some(copies) = &context.deps.copies else {
        return Ok(None);
    };
    match copies.vault().tenant(tenant).await {
        Ok(copy) => Ok(Some(copy)),
        // Nothing was copied yet.
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Looks at everything that is stored of a tenant, and at every byte of the share
/// whose turn it is.
pub(crate) async fn daily(context: &Context, tenant: &TenantId) {
    let now = context.deps.clock.now();
    let look = async {
        let vault = context.deps.vault.tenant(tenant).await?;
        vault.verify(depth(context.verify_days, now)).await
    };
    match look.await {
        Ok(found) => {
            context.metrics.verified(tenant, &found, now);
            report(&found);
        }
        Err(error) => {
            context.metrics.verify_failed(tenant);
            tracing::error!(
                error = runtime::status::chain(&error),
                "whether the stored files are whole could not be found out"
            );
        }
    }
}

/// The whole comes round once in so many days.
fn depth(days: u32, now: DateTime<Utc>) -> Depth {
    match days {
        0 => Depth::Structure,
        of => Depth::Share {
            of,
            turn: now.num_days_from_ce().unsigned_abs(),
        },
    }
}

fn report(found: &Verified) {
    for damage in &found.damages {
        let snapshots = damage.snapshots.iter().map(ToString::to_string);
        tracing::error!(
            path = damage.path,
            kind = damage.kind.name(),
            detail = damage.detail,
            snapshots = ?snapshots.collect::<Vec<_>>(),
            "a stored file is damaged"
        );
    }
    tracing::info!(
        damages = found.damages.len(),
        files = found.files,
        files_read = found.files_read,
        bytes_read = found.bytes_read,
        unnamed_runs = found.unnamed_runs,
        "the stored files were looked at"
    );
}

fn damages(vault: &TenantVault, damages: &[store::Damage]) -> Vec<v1::Damage> {
    let message = |damage: &store::Damage| v1::Damage {
        path: damage.path.clone(),
        kind: kind(damage.kind) as i32,
        detail: damage.detail.clone(),
        snapshots: {
            let names = damage.snapshots.iter();
            names.map(|id| name::snapshot(vault.id(), id)).collect()
        },
        holds: damage.holds.map_or("", store::RunKind::name).to_owned(),
        unreadable: damage.unreadable.iter().map(rows).collect(),
    };
    damages.iter().map(message).collect()
}

fn kind(kind: DamageKind) -> v1::DamageKind {
    match kind {
        DamageKind::Missing => v1::DamageKind::Missing,
        DamageKind::Truncated => v1::DamageKind::Truncated,
        DamageKind::Altered => v1::DamageKind::Altered,
        DamageKind::Misplaced => v1::DamageKind::Misplaced,
        DamageKind::Foreign => v1::DamageKind::Foreign,
    }
}

fn rows(span: &store::Span) -> UnreadableRows {
    UnreadableRows {
        r#type: span.name.clone(),
        first_id: span.first.clone(),
        last_id: span.last.clone(),
        count: count(span.rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_share_has_its_turn_within_the_days() {
        let day = |n: i64| DateTime::from_timestamp(1_790_000_000 + n * 86_400, 0).unwrap();
        let turn = |n: i64| match depth(7, day(n)) {
            Depth::Share { of: 7, turn } => turn % 7,
            other => panic!("{other:?}"),
        };
        let mut turns: Vec<u32> = (0..7).map(turn).collect();
        turns.sort_unstable();
        assert_eq!(turns, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(depth(0, day(3)), Depth::Structure);
    }
}
