//! Severities and counts of signals.

use model::drift::{Count, Severity};

use crate::v1;

/// A severity as a message.
#[must_use]
pub fn severity(severity: Severity) -> v1::Severity {
    match severity {
        Severity::Low => v1::Severity::Low,
        Severity::Medium => v1::Severity::Medium,
        Severity::High => v1::Severity::High,
        Severity::Critical => v1::Severity::Critical,
    }
}

/// A severity of a message; `None` where it is not set.
#[must_use]
pub fn model_severity(severity: v1::Severity) -> Option<Severity> {
    match severity {
        v1::Severity::Unspecified => None,
        v1::Severity::Low => Some(Severity::Low),
        v1::Severity::Medium => Some(Severity::Medium),
        v1::Severity::High => Some(Severity::High),
        v1::Severity::Critical => Some(Severity::Critical),
    }
}

/// How many objects of a type a finding counted, as a message.
#[must_use]
pub fn signal_count(count: &Count) -> v1::SignalCount {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    v1::SignalCount {
        r#type: count.object_type.to_string(),
        count: number(count.count),
        total: number(count.total),
    }
}
