//! What the service measures, under the names by which it is found.
//!
//! No value may tell anything of a tenant's content but how much of it there is.

use chrono::{DateTime, TimeDelta, Utc};
use model::TenantId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use store::Verified;

/// Which tenant a value is of; there are as many as the installation has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tenant {
    tenant: String,
}

/// Why a snapshot of a tenant was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NotTaken {
    tenant: String,
    reason: String,
}

/// What signals were raised by, and how severe they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Raised {
    rule: String,
    severity: &'static str,
}

/// How an attempt at a webhook ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivered {
    tenant: String,
    outcome: &'static str,
}

/// The service's metrics. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    taken: Family<Tenant, Gauge>,
    not_taken: Family<NotTaken, Counter>,
    drift: Family<Tenant, Gauge>,
    pruned_files: Family<Tenant, Counter>,
    pruned_bytes: Family<Tenant, Counter>,
    retention_failures: Family<Tenant, Counter>,
    damages: Family<Tenant, Gauge>,
    verified_bytes: Family<Tenant, Counter>,
    verified_at: Family<Tenant, Gauge>,
    verify_failures: Family<Tenant, Counter>,
    copied_files: Family<Tenant, Counter>,
    copied_bytes: Family<Tenant, Counter>,
    copy_failures: Family<Tenant, Counter>,
    drift_watch_failures: Family<Tenant, Counter>,
    audit_watch_failures: Family<Tenant, Counter>,
    audit_log_losses: Family<Tenant, Counter>,
    audit_log_read: Family<Tenant, Gauge>,
    posture_failures: Family<Tenant, Counter>,
    signals: Family<Raised, Counter>,
    deliveries: Family<Delivered, Counter>,
    delivery_retries: Family<Tenant, Counter>,
    dead_letters: Family<Tenant, Counter>,
    undelivered_age: Family<Tenant, Gauge>,
    recorded: Family<Tenant, Counter>,
}

impl From<&TenantId> for Tenant {
    fn from(tenant: &TenantId) -> Self {
        Self {
            tenant: tenant.to_string(),
        }
    }
}

impl Metrics {
    /// Gives the metrics their names.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "rewind_snapshot_last_time",
            "When the newest daily snapshot that this process has seen was taken, since the Unix epoch",
            Unit::Seconds,
            self.taken.clone(),
        );
        registry.register(
            "rewind_snapshot_failures",
            "Times that a snapshot could not be taken, by the reason",
            self.not_taken.clone(),
        );
        registry.register(
            "rewind_snapshot_drift_rows",
            "Objects and links that the last full reading of a tenant found to differ from the snapshot before without having been announced as changed",
            self.drift.clone(),
        );
        registry.register(
            "rewind_retention_pruned_files",
            "Files that retention deleted",
            self.pruned_files.clone(),
        );
        registry.register_with_unit(
            "rewind_retention_pruned",
            "The size of the files that retention deleted",
            Unit::Bytes,
            self.pruned_bytes.clone(),
        );
        registry.register(
            "rewind_retention_failures",
            "Times that retention was broken off, for instance since a file is missing",
            self.retention_failures.clone(),
        );
        registry.register(
            "rewind_verify_damaged_files",
            "Stored files that the last look found damaged",
            self.damages.clone(),
        );
        registry.register_with_unit(
            "rewind_verify_read",
            "The size of the stored files of which every byte was looked at",
            Unit::Bytes,
            self.verified_bytes.clone(),
        );
        registry.register_with_unit(
            "rewind_verify_last_time",
            "When the stored files were looked at last, since the Unix epoch",
            Unit::Seconds,
            self.verified_at.clone(),
        );
        registry.register(
            "rewind_verify_failures",
            "Times that it could not be found out whether the stored files are whole",
            self.verify_failures.clone(),
        );
        registry.register(
            "rewind_copy_sent_files",
            "Files that were sent to the store of the copies",
            self.copied_files.clone(),
        );
        registry.register_with_unit(
            "rewind_copy_sent",
            "The size of the files that were sent to the store of the copies",
            Unit::Bytes,
            self.copied_bytes.clone(),
        );
        registry.register(
            "rewind_copy_failures",
            "Times that a daily snapshot, or an earlier one with it, could not be copied",
            self.copy_failures.clone(),
        );
        registry.register(
            "rewind_drift_watch_failures",
            "Times that a daily snapshot could not be compared with the one before",
            self.drift_watch_failures.clone(),
        );
        registry.register(
            "rewind_audit_watch_failures",
            "Times that a tenant's audit log could not be followed",
            self.audit_watch_failures.clone(),
        );
        registry.register(
            "rewind_audit_log_losses",
            "Times that a part of a tenant's audit log was not read before the directory gave it up",
            self.audit_log_losses.clone(),
        );
        registry.register_with_unit(
            "rewind_audit_log_read_time",
            "Up to when the audit log was read of the tenants that this process follows, since the Unix epoch",
            Unit::Seconds,
            self.audit_log_read.clone(),
        );
        registry.register(
            "rewind_posture_watch_failures",
            "Times that the posture could not be taken, or compared, after a daily snapshot",
            self.posture_failures.clone(),
        );
        registry.register(
            "rewind_signals",
            "Signals that were raised",
            self.signals.clone(),
        );
        registry.register(
            "rewind_signal_deliveries",
            "Times that a signal was sent to a webhook, by whether it took it",
            self.deliveries.clone(),
        );
        registry.register(
            "rewind_signal_delivery_retries",
            "Times that a signal was sent to a webhook again",
            self.delivery_retries.clone(),
        );
        registry.register(
            "rewind_signal_dead_letters",
            "Signals that were sent to a webhook in vain for the last time",
            self.dead_letters.clone(),
        );
        registry.register_with_unit(
            "rewind_signal_undelivered_age",
            "How long ago the oldest signal was raised that is on its way to a webhook; 0 where there is none",
            Unit::Seconds,
            self.undelivered_age.clone(),
        );
        registry.register(
            "rewind_signal_records",
            "Log records of signals that a collector was told",
            self.recorded.clone(),
        );
    }

    /// Tells when a tenant's newest daily snapshot was taken.
    pub(crate) fn taken(&self, tenant: &TenantId, at: DateTime<Utc>) {
        self.taken.get_or_create(&tenant.into()).set(at.timestamp());
    }

    /// Tells that no daily snapshots are expected of a tenant any more.
    pub(crate) fn forgotten(&self, tenant: &TenantId) {
        self.taken.remove(&tenant.into());
    }

    /// Tells that a snapshot could not be taken.
    pub(crate) fn not_taken(&self, tenant: &TenantId, reason: &str) {
        let not_taken = NotTaken {
            tenant: tenant.to_string(),
            reason: reason.to_owned(),
        };
        self.not_taken.get_or_create(&not_taken).inc();
    }

    /// Tells what a look at the stored files found.
    pub(crate) fn verified(&self, tenant: &TenantId, found: &Verified, now: DateTime<Utc>) {
        let tenant = tenant.into();
        let damages = i64::try_from(found.damages.len()).unwrap_or(i64::MAX);
        self.damages.get_or_create(&tenant).set(damages);
        self.verified_bytes
            .get_or_create(&tenant)
            .inc_by(found.bytes_read);
        self.verified_at.get_or_create(&tenant).set(now.timestamp());
    }

    /// Tells that the stored files could not be looked at.
    pub(crate) fn verify_failed(&self, tenant: &TenantId) {
        self.verify_failures.get_or_create(&tenant.into()).inc();
    }

    /// Tells what was copied.
    pub(crate) fn copied(&self, tenant: &TenantId, files: u64, bytes: u64) {
        let tenant = tenant.into();
        self.copied_files.get_or_create(&tenant).inc_by(files);
        self.copied_bytes.get_or_create(&tenant).inc_by(bytes);
    }

    /// Tells that not everything could be copied.
    pub(crate) fn copy_failed(&self, tenant: &TenantId) {
        self.copy_failures.get_or_create(&tenant.into()).inc();
    }

    /// Tells that the posture could not be taken or compared.
    pub(crate) fn posture_failed(&self, tenant: &TenantId) {
        let failures = self.posture_failures.get_or_create(&tenant.into());
        failures.inc();
    }

    /// Tells that two daily snapshots could not be compared.
    pub(crate) fn drift_watch_failed(&self, tenant: &TenantId) {
        let failures = self.drift_watch_failures.get_or_create(&tenant.into());
        failures.inc();
    }

    /// Tells that a tenant's audit log could not be followed.
    pub(crate) fn audit_watch_failed(&self, tenant: &TenantId) {
        let failures = self.audit_watch_failures.get_or_create(&tenant.into());
        failures.inc();
    }

    /// Tells that a part of a tenant's audit log is gone unread.
    pub(crate) fn audit_log_lost(&self, tenant: &TenantId) {
        self.audit_log_losses.get_or_create(&tenant.into()).inc();
    }

    /// Tells up to when a tenant's audit log was read.
    pub(crate) fn audit_log_read(&self, tenant: &TenantId, until: DateTime<Utc>) {
        let read = self.audit_log_read.get_or_create(&tenant.into());
        read.set(until.timestamp());
    }

    /// Tells that this process does not follow a tenant any more.
    pub(crate) fn audit_watch_ended(&self, tenant: &TenantId) {
        self.audit_log_read.remove(&tenant.into());
    }

    /// Tells that a signal was raised.
    pub(crate) fn raised(&self, rule: &str, severity: &'static str) {
        let raised = Raised {
            rule: rule.to_owned(),
            severity,
        };
        self.signals.get_or_create(&raised).inc();
    }

    /// Tells that a webhook took a signal.
    pub(crate) fn delivered(&self, tenant: &TenantId) {
        self.delivery(tenant, "delivered");
    }

    /// Tells that a webhook did not take a signal.
    pub(crate) fn delivery_failed(&self, tenant: &TenantId) {
        self.delivery(tenant, "failed");
    }

    fn delivery(&self, tenant: &TenantId, outcome: &'static str) {
        let delivered = Delivered {
            tenant: tenant.to_string(),
            outcome,
        };
        self.deliveries.get_or_create(&delivered).inc();
    }

    /// Tells that a signal is sent again.
    pub(crate) fn delivery_retried(&self, tenant: &TenantId) {
        self.delivery_retries.get_or_create(&tenant.into()).inc();
    }

    /// Tells that a signal is not sent any more.
    pub(crate) fn dead_letter(&self, tenant: &TenantId) {
        self.dead_letters.get_or_create(&tenant.into()).inc();
    }

    /// Tells that a collector was told of a signal.
    pub(crate) fn recorded(&self, tenant: &TenantId) {
        self.recorded.get_or_create(&tenant.into()).inc();
    }

    /// Tells how old the oldest signal is that is under way; of tenants that never
    /// had one, nothing.
    pub(crate) fn undelivered(&self, tenant: &TenantId, age: Option<TimeDelta>) {
        let tenant = tenant.into();
        if age.is_none() && self.undelivered_age.get(&tenant).is_none() {
            return;
        }
        let seconds = age.map_or(0, |age| age.num_seconds().max(0));
        self.undelivered_age.get_or_create(&tenant).set(seconds);
    }

    /// Tells what retention deleted.
    pub(crate) fn pruned(&self, tenant: &TenantId, files: u64, bytes: u64) {
        let tenant = tenant.into();
        self.pruned_files.get_or_create(&tenant).inc_by(files);
        self.pruned_bytes.get_or_create(&tenant).inc_by(bytes);
    }

    /// Tells that retention was broken off.
    pub(crate) fn retention_failed(&self, tenant: &TenantId) {
        self.retention_failures.get_or_create(&tenant.into()).inc();
    }

    /// Tells how far what was announced had gone astray from the tenant.
    pub(crate) fn drifted(&self, tenant: &TenantId, rows: u64) {
        tracing::info!(%tenant, rows, "everything was read again and compared");
        self.drift
            .get_or_create(&tenant.into())
            .set(i64::try_from(rows).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_told_for_each_tenant() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let tenant = TenantId::parse("00000001-0000-4000-8000-000000000000").unwrap();
        metrics.drifted(&tenant, 9);
        metrics.drifted(&tenant, 7);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = format!("rewind_snapshot_drift_rows{{tenant=\"{tenant}\"}} 7\n");
        assert!(text.contains(&line), "{text}");
    }

    #[test]
    fn the_newest_snapshot_is_told_until_none_is_expected() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let tenant = TenantId::parse("00000001-0000-4000-8000-000000000000").unwrap();
        let text = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        metrics.taken(&tenant, DateTime::from_timestamp(1_790_000_000, 0).unwrap());
        metrics.not_taken(&tenant, "GRAPH_UNAVAILABLE");
        for line in [
            format!("rewind_snapshot_last_time_seconds{{tenant=\"{tenant}\"}} 1790000000\n"),
            format!(
                "rewind_snapshot_failures_total{{tenant=\"{tenant}\",reason=\"GRAPH_UNAVAILABLE\"}} 1\n"
            ),
        ] {
            assert!(text().contains(&line), "{line} in {}", text());
        }
        metrics.forgotten(&tenant);
        assert!(!text().contains("rewind_snapshot_last_time_seconds{"));
    }

    #[test]
    fn what_is_deleted_and_copied_adds_up() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let tenant = TenantId::parse("00000001-0000-4000-8000-000000000000").unwrap();
        metrics.pruned(&tenant, 3, 1_000);
        metrics.pruned(&tenant, 1, 24);
        metrics.retention_failed(&tenant);
        metrics.copied(&tenant, 2, 512);
        metrics.copy_failed(&tenant);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for (name, value) in [
            ("rewind_retention_pruned_files_total", 4),
            ("rewind_retention_pruned_bytes_total", 1_024),
            ("rewind_retention_failures_total", 1),
            ("rewind_copy_sent_files_total", 2),
            ("rewind_copy_sent_bytes_total", 512),
            ("rewind_copy_failures_total", 1),
        ] {
            let line = format!("{name}{{tenant=\"{tenant}\"}} {value}\n");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }

    #[test]
    fn damage_is_told_until_it_is_mended() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let tenant = TenantId::parse("00000001-0000-4000-8000-000000000000").unwrap();
        let lines = |found: &Verified| {
            let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
            metrics.verified(&tenant, found, now);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        let mut found = Verified {
            bytes_read: 700,
            ..Verified::default()
        };
        found.damages.push(store::Damage {
            path: "runs/x".to_owned(),
            kind: store::DamageKind::Missing,
            detail: "it is missing".to_owned(),
            snapshots: Vec::new(),
            holds: None,
            unreadable: Vec::new(),
        });
        let label = format!("{{tenant=\"{tenant}\"}}");
        let text = lines(&found);
        assert!(
            text.contains(&format!("rewind_verify_damaged_files{label} 1\n")),
            "{text}"
        );
        let text = lines(&Verified::default());
        for line in [
            format!("rewind_verify_damaged_files{label} 0\n"),
            format!("rewind_verify_read_bytes_total{label} 700\n"),
            format!("rewind_verify_last_time_seconds{label} 1790000000\n"),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
