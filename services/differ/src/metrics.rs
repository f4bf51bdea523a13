//! What the service measures, under the names by which it is found.
//!
//! No value may tell anything of a tenant's content but how much of it there is.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use proto::v1::ReportState;

/// Which cache a value is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabel {
    cache: &'static str,
}

/// How reports ended that a value is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabel {
    end: &'static str,
}

/// How a report ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is made and stored.
    Succeeded,
    /// It could not be made.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl End {
    /// The end of a report by the state that it ended in; none where it failed.
    pub(crate) fn of(state: Option<ReportState>) -> Self {
        match state {
            Some(ReportState::Succeeded) => Self::Succeeded,
            Some(ReportState::Cancelled) => Self::Cancelled,
            Some(ReportState::Failed | ReportState::Running | ReportState::Unspecified) | None => {
                Self::Failed
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What goes into and out of one cache.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) evictions: Counter,
    /// In bytes.
    pub(crate) weight: Gauge,
}

/// The service's metrics. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    hits: Family<CacheLabel, Counter>,
    misses: Family<CacheLabel, Counter>,
    evictions: Family<CacheLabel, Counter>,
    weight: Family<CacheLabel, Gauge>,
    reports: Family<EndLabel, Counter>,
    duration: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            hits: Family::default(),
            misses: Family::default(),
            evictions: Family::default(),
            weight: Family::default(),
            reports: Family::default(),
            // From 50 ms to 27 minutes.
            duration: Histogram::new(exponential_buckets(0.05, 2.0, 16)),
        }
    }
}

impl Metrics {
    /// Gives the metrics their names.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "rewind_cache_hits",
            "Times that something was there, or was being loaded for another caller",
            self.hits.clone(),
        );
        registry.register(
            "rewind_cache_misses",
            "Times that something had to be loaded or made",
            self.misses.clone(),
        );
        registry.register(
            "rewind_cache_evictions",
            "Entries that went to make room for others",
            self.evictions.clone(),
        );
        registry.register_with_unit(
            "rewind_cache_weight",
            "About how much memory the entries take",
            Unit::Bytes,
            self.weight.clone(),
        );
        registry.register(
            "rewind_reports",
            "Difference reports that ended, by how",
            self.reports.clone(),
        );
        registry.register_with_unit(
            "rewind_report_duration",
            "How long the making of reports took that were made",
            Unit::Seconds,
            self.duration.clone(),
        );
    }

    /// What is told of the cache of that name.
    pub(crate) fn cache(&self, cache: &'static str) -> Traffic {
        let label = CacheLabel { cache };
        Traffic {
            hits: self.hits.get_or_create_owned(&label),
            misses: self.misses.get_or_create_owned(&label),
            evictions: self.evictions.get_or_create_owned(&label),
            weight: self.weight.get_or_create_owned(&label),
        }
    }

    /// Tells that a report ended, and after how long.
    pub(crate) fn ended(&self, end: End, took: Duration) {
        let label = EndLabel { end: end.name() };
        self.reports.get_or_create(&label).inc();
        if end == End::Succeeded {
            self.duration.observe(took.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("encoded");
        text
    }

    fn check(metrics: &Metrics, lines: &[&str]) {
        let text = text(metrics);
        for line in lines {
            assert!(text.contains(&format!("{line}\n")), "{line} in {text}");
        }
    }

    #[test]
    fn each_cache_has_its_own_figures() {
        let metrics = Metrics::default();
        metrics.cache("live").hits.inc_by(3);
        metrics.cache("live").weight.inc_by(700);
        metrics.cache("changes").misses.inc();
        check(
            &metrics,
            &[
                "rewind_cache_hits_total{cache=\"live\"} 3",
                "rewind_cache_hits_total{cache=\"changes\"} 0",
                "rewind_cache_misses_total{cache=\"changes\"} 1",
                "rewind_cache_evictions_total{cache=\"live\"} 0",
                "rewind_cache_weight_bytes{cache=\"live\"} 700",
            ],
        );
    }

    #[test]
    fn only_what_was_made_has_a_duration() {
        let metrics = Metrics::default();
        metrics.ended(End::Succeeded, Duration::from_millis(1_500));
        metrics.ended(End::Failed, Duration::from_secs(60));
        check(
            &metrics,
            &[
                "rewind_reports_total{end=\"succeeded\"} 1",
                "rewind_reports_total{end=\"failed\"} 1",
                "rewind_report_duration_seconds_count 1",
                "rewind_report_duration_seconds_sum 1.5",
            ],
        );
    }
}
