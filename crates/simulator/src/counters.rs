//! What was asked of the simulator, for tests that count requests and for operators who tune.
//!
//! Counts only: nothing here decides what is answered.

pub(crate) mod watch;

use std::collections::BTreeMap;

use serde::Serialize;

/// Request counts since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Requests by method and path with ids replaced, such as `GET /groups/{id}/members`.
    /// The inner requests of a batch count one by one, and the batch itself once. A request that
    /// a fault kept from being served is counted under `faults` only.
    pub requests: BTreeMap<String, u64>,
    /// What the requests of each route cost, under the names of `requests`.
    pub routes: BTreeMap<String, RouteCount>,
    /// Requests, writes and tokens of each app, by client id.
    pub apps: BTreeMap<String, AppCount>,
    /// All requests.
    pub total: u64,
    /// HTTP requests to Graph that were answered, a batch being one.
    pub received: u64,
    /// Requests that changed the directory or tried to (everything but GET, batches and look-ups).
    pub writes: u64,
    /// Resource units of all requests.
    pub units: u64,
    /// Bytes of all answers' bodies; the inner answers of a batch are part of the batch's.
    pub bytes: u64,
    /// Requests that came again under a `client-request-id` that was used before.
    pub retried: u64,
    /// Requests refused with status 429 because a limit was passed.
    pub throttled: u64,
    /// Answers with status 429 by lane, those of faults included.
    pub throttled_lanes: BTreeMap<&'static str, u64>,
    /// Tokens handed out.
    pub tokens: u64,
    /// Faults by what they did.
    pub faults: BTreeMap<String, u64>,
    /// What callers did that Microsoft tells them not to do; the first ten thousand.
    pub violations: Vec<Violation>,
    /// All violations by kind.
    pub violation_counts: BTreeMap<ViolationKind, u64>,
}

/// What the requests of one route cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteCount {
    /// Resource units.
    pub units: u64,
    /// Bytes of the answers' bodies.
    pub bytes: u64,
    /// Refusals because a limit was passed.
    pub throttled: u64,
}

/// What one app asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppCount {
    /// Requests, as in [`Counters::total`].
    pub requests: u64,
    /// Writes among them.
    pub writes: u64,
    /// Resource units.
    pub units: u64,
    /// Refusals because a limit was passed.
    pub throttled: u64,
    /// Tokens handed out.
    pub tokens: u64,
}

/// Something that a well-behaved caller does not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// What it is.
    pub kind: ViolationKind,
    /// Tenant id.
    pub tenant: String,
    /// Client id.
    pub app: String,
    /// The route, as in [`Counters::requests`].
    pub route: String,
    /// The simulator's time.
    pub at: String,
    /// More, in words.
    pub detail: String,
}

/// The kinds of [`Violation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ViolationKind {
    /// A request came before the `Retry-After` that its app was told had passed.
    RetryAfterIgnored,
    /// A documented limit was passed.
    QuotaPassed,
    /// A batch held more than twenty requests.
    BatchTooLarge,
    /// A deleted item was deleted for good.
    Purge,
    /// A `DELETE` named a link without `/$ref`, which deletes the object itself.
    LinkWithoutRef,
    /// Options were added to a delta or next link of a delta round.
    DeltaLinkChanged,
    /// `$top` was above the largest page.
    TopTooLarge,
    /// More than one relation was expanded.
    ManyExpanded,
}

const MOST_VIOLATIONS: usize = 10_000;

impl Counters {
    /// The count of one kind of request, `0` when there was none.
    #[must_use]
    pub fn of(&self, kind: &str) -> u64 {
        self.requests.get(kind).copied().unwrap_or(0)
    }

    /// How often a rule was broken.
    #[must_use]
    pub fn violations_of(&self, kind: ViolationKind) -> u64 {
        self.violation_counts.get(&kind).copied().unwrap_or(0)
    }

    pub(crate) fn violate(&mut self, violation: Violation) {
        *self.violation_counts.entry(violation.kind).or_default() += 1;
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(violation);
        }
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
