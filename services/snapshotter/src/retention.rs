//! Lets go of old snapshots after each new one.
//!
//! What goes wrong here must never keep a snapshot from being taken: it is logged
//! and counted, and the next one tries again.

use store::{TenantRecord, TenantVault};

use crate::Context;

/// Applies the tenant's policy.
pub(crate) async fn apply(context: &Context, vault: &TenantVault, record: &TenantRecord) {
    let now = context.deps.clock.now();
    match vault.prune(&record.retention, context.grace, now).await {
        Ok(done) => {
            context.metrics.pruned(&record.id, done.files, done.bytes);
            let ids = |ids: &[model::SnapshotId]| -> Vec<String> {
                ids.iter().map(ToString::to_string).collect()
            };
            tracing::info!(
                marked = ?ids(&done.marked),
                spared = ?ids(&done.spared),
                removed = ?ids(&done.removed),
                given_up = ?ids(&done.given_up),
                reports = done.reports.len(),
                files = done.files,
                bytes = done.bytes,
                waits_for = done.waits_for.as_ref().map(tracing::field::display),
                "retention was applied"
            );
        }
        Err(error) => {
            context.metrics.retention_failed(&record.id);
            tracing::error!(
                error = runtime::status::chain(&error),
                "retention could not be applied; nothing more is deleted"
            );
        }
    }
}
