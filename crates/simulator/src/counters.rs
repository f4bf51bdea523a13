//! What was asked of the simulator, for tests that count requests.

use std::collections::BTreeMap;

/// Request counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests by method and path with ids replaced, such as `GET /groups/{id}/members`.
    /// The inner requests of a batch count one by one, and the batch itself once.
    pub requests: BTreeMap<String, u64>,
    /// All requests.
    pub total: u64,
    /// Requests that changed the directory or tried to (everything but GET, batches and look-ups).
    pub writes: u64,
    /// Answers with status 429.
    pub throttled: u64,
    /// Tokens handed out.
    pub tokens: u64,
}

impl Counters {
    /// The count of one kind of request, `0` when there was none.
    #[must_use]
    pub fn of(&self, kind: &str) -> u64 {
        self.requests.get(kind).copied().unwrap_or(0)
    }
}

/// The path with ids replaced.
pub(crate) fn path_kind(segments: &[String]) -> String {
    let mut kind = String::new();
    for segment in segments {
        kind.push('/');
        let is_id = uuid::Uuid::parse_str(segment).is_ok()
            || segment.contains('@')
            || segment.starts_with('(')
            || (segment.len() > 40 && !segment.contains('.'));
        kind.push_str(if is_id { "{id}" } else { segment });
    }
    kind
}
