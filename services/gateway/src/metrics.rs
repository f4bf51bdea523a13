//! What the gateway measures, under the names by which it is found.
//!
//! No value may tell anything of a tenant, nor of who calls.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Why calls were refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: String,
}

/// The gateway's metrics. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    audit_entries: Counter,
    audit_lost: Counter,
    audit_failures: Counter,
    audit_refused: Counter,
    audit_late: Counter,
    audit_write: Histogram,
    refused: Family<Refused, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            audit_entries: Counter::default(),
            audit_lost: Counter::default(),
            audit_failures: Counter::default(),
            audit_refused: Counter::default(),
            audit_late: Counter::default(),
            // From 1 ms to 16 s.
            audit_write: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            refused: Family::default(),
        }
    }
}

impl Metrics {
    /// Gives the metrics their names.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "rewind_audit_entries",
            "Audit entries that were written",
            self.audit_entries.clone(),
        );
        registry.register(
            "rewind_audit_lost_entries",
            "Audit entries of reads and refusals that were lost, since they could not be written in time",
            self.audit_lost.clone(),
        );
        registry.register(
            "rewind_audit_write_failures",
            "Times that a file of the audit could not be written, and was tried again",
            self.audit_failures.clone(),
        );
        registry.register(
            "rewind_audit_refused_mutations",
            "Mutations that were not carried out, since they could not be written before",
            self.audit_refused.clone(),
        );
        registry.register(
            "rewind_audit_late_entries",
            "Outcomes and refusals that were answered before it was known that they are written",
            self.audit_late.clone(),
        );
        registry.register_with_unit(
            "rewind_audit_write_duration",
            "How long the writing of a file of the audit took",
            Unit::Seconds,
            self.audit_write.clone(),
        );
        registry.register(
            "rewind_refused_calls",
            "Calls that the gateway refused, by reason",
            self.refused.clone(),
        );
    }

    /// Tells that a file was written.
    pub(crate) fn audit_written(&self, entries: usize, took: Duration) {
        self.audit_entries.inc_by(entries as u64);
        self.audit_write.observe(took.as_secs_f64());
    }

    /// Tells that so many entries were lost.
    pub(crate) fn audit_lost(&self, count: i64) {
        self.audit_lost
            .inc_by(u64::try_from(count).unwrap_or_default());
    }

    /// Tells that a file could not be written.
    pub(crate) fn audit_failed(&self) {
        self.audit_failures.inc();
    }

    /// Tells that a mutation was refused for want of the audit.
    pub(crate) fn audit_refused(&self) {
        self.audit_refused.inc();
    }

    /// Tells that something was answered before it was known to be written.
    pub(crate) fn audit_late(&self) {
        self.audit_late.inc();
    }

    /// Tells that a call was refused.
    pub(crate) fn refused(&self, reason: &str) {
        let reason = reason.to_owned();
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    /// How many entries were lost so far.
    #[cfg(test)]
    pub(crate) fn lost_so_far(&self) -> u64 {
        self.audit_lost.get()
    }
}
