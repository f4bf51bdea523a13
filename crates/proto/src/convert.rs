//! Conversions between messages and the model.
//!
//! Each pair stands in one file per subject; a message that does not fit the
//! model gives an [`InvalidMessage`] with the path of the field.

mod approval;
mod audit;
mod diff;
mod errand;
mod plan;
mod posture;
mod signal;

pub use approval::{approval, grounds, model_approval, model_grounds};
pub use audit::{activity, reference};
pub use diff::{change, counts, model_change, model_scope, object_ref, scope, type_counts};
pub use errand::model_errand;
pub use plan::{
    exclusion, model_chosen, model_exclusion, model_options, model_parts, model_step, options,
    step, with_chosen,
};
pub use posture::{model_told, posture};
pub use signal::{model_severity, severity, signal_count};

use chrono::{DateTime, Utc};

/// A message that does not fit the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidMessage {
    /// The path of the field, as in the contract.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl InvalidMessage {
    /// Says what is wrong with a field.
    pub fn new(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self {
            field: field.into(),
            problem: problem.to_string(),
        }
    }
}

/// A time as a message.
#[must_use]
pub fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

/// A message as a time; `None` where it is out of range.
#[must_use]
pub fn time(timestamp: &prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(timestamp.seconds, u32::try_from(timestamp.nanos).ok()?)
}

#[cfg(test)]
mod tests;
