//! Programmed misbehaviour: what to do to which requests, how often.
//!
//! Faults are consulted before the request is served; they never change the directory themselves.

pub(crate) mod mix;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens to a matched request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FaultResponse {
    /// An error answer; `retry_after` becomes the header, as written (`"2.128"` is allowed).
    Status {
        /// HTTP status.
        code: u16,
        /// `Retry-After`, if any.
        retry_after: Option<String>,
    },
    /// The request is served after a pause.
    Delay(#[serde(with = "milliseconds")] Duration),
    /// The connection ends before the request is served.
    Disconnect,
    /// The request is served, then the connection ends before the answer arrives.
    DisconnectAfter,
    /// The request is served, then the connection ends in the middle of the answer.
    ResetInBody,
    /// The request is served; the answer's text ends half-way, as if that were all of it.
    TruncatedBody,
    /// 200 with a body that is no JSON; the request is not served.
    MalformedJson,
}

impl FaultResponse {
    /// What the statistics call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Status { code, .. } => format!("status {code}"),
            Self::Delay(_) => "delay".to_owned(),
            Self::Disconnect => "disconnect".to_owned(),
            Self::DisconnectAfter => "disconnect after".to_owned(),
            Self::ResetInBody => "reset in body".to_owned(),
            Self::TruncatedBody => "truncated body".to_owned(),
            Self::MalformedJson => "malformed json".to_owned(),
        }
    }
}

/// A pause as JSON: milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(pause: &Duration, to: S) -> Result<S::Ok, S::Error> {
        u64::try_from(pause.as_millis())
            .unwrap_or(u64::MAX)
            .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// Which requests a fault applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    /// HTTP method; any when `None`.
    pub method: Option<String>,
    /// Path pattern without the query, below `/v1.0` (or from the root for login paths);
    /// `*` stands for any run of characters. Letter case is ignored.
    pub path: String,
}

/// A fault in the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Which requests.
    #[serde(flatten)]
    pub matcher: Matcher,
    /// How many matching requests to let through first.
    #[serde(default)]
    pub skip: usize,
    /// How many requests to spoil; then the fault is spent.
    #[serde(default = "once")]
    pub times: usize,
    /// What to do.
    pub response: FaultResponse,
}

fn once() -> usize {
    1
}

impl Fault {
    /// Spoils the next request with this method (`"*"` for any) and path pattern.
    #[must_use]
    pub fn once(method: &str, path: &str, response: FaultResponse) -> Self {
        Self {
            matcher: Matcher {
                method: (method != "*").then(|| method.to_owned()),
                path: path.to_owned(),
            },
            skip: 0,
            times: 1,
            response,
        }
    }

    /// The same for `times` requests.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Lets `skip` matching requests pass first.
    #[must_use]
    pub fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }
}

impl Matcher {
    fn matches(&self, method: &str, path: &str) -> bool {
        self.method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && glob(&self.path.to_lowercase(), &path.to_lowercase())
    }
}

/// Takes the first fault that applies from the queue.
pub(crate) fn take(queue: &mut Vec<Fault>, method: &str, path: &str) -> Option<FaultResponse> {
    let mut chosen = None;
    for fault in queue.iter_mut() {
        if !fault.matcher.matches(method, path) {
            continue;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            continue;
        }
        fault.times = fault.times.saturating_sub(1);
        chosen = Some(fault.response.clone());
        break;
    }
    queue.retain(|fault| fault.times > 0);
    chosen
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            let Some(rest) = text.strip_prefix(head) else {
                return false;
            };
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| glob(tail, &rest[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultResponse, glob, take};

    #[test]
    fn patterns_cover_prefixes_and_inner_runs() {
        assert!(glob("/users*", "/users/1/manager"));
        assert!(glob("/groups/*/members/$ref", "/groups/7/members/$ref"));
        assert!(!glob("/groups/*/members", "/groups/7/owners"));
        assert!(glob("*", ""));
    }

    #[test]
    fn a_fault_is_spent_after_its_times() {
        let mut queue = vec![
            Fault::once("GET", "/users", FaultResponse::Disconnect)
                .times(2)
                .after(1),
        ];
        let hits: Vec<bool> = (0..4)
            .map(|_| take(&mut queue, "GET", "/users").is_some())
            .collect();
        assert_eq!(hits, [false, true, true, false]);
        assert!(queue.is_empty());
    }
}
