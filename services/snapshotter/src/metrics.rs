//! What the service measures, under the names by which it is found.
//!
//! No value may tell anything of a tenant's content but how much of it there is.

use model::TenantId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Which tenant a value is of; there are as many as the installation has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tenant {
    tenant: String,
}

/// The service's metrics. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    drift: Family<Tenant, Gauge>,
}

impl Metrics {
    /// Gives the metrics their names.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "rewind_snapshot_drift_rows",
            "Objects and links that the last full reading of a tenant found to differ from the snapshot before without having been announced as changed",
            self.drift.clone(),
        );
    }

    /// Tells how far what was announced had gone astray from the tenant.
    pub(crate) fn drifted(&self, tenant: &TenantId, rows: u64) {
        tracing::info!(%tenant, rows, "everything was read again and compared");
        let tenant = Tenant {
            tenant: tenant.to_string(),
        };
        self.drift
            .get_or_create(&tenant)
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
}
