//! One request, and what its answer means for whoever sent it.
//!
//! Decides whether an attempt is done, final, or worth repeating; sends nothing.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::error::GraphError;
use crate::retry::{FAILED, THROTTLED, retry_after};

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing.
    Freely,
    /// It writes: only where it was certainly not carried out.
    IfRefused,
}

/// One request, below the version root or at a next link.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) path: String,
    pub(crate) body: Option<Bytes>,
    pub(crate) repeat: Repeat,
}

/// How one attempt ended.
pub(crate) enum Outcome {
    Done(Bytes),
    Failed(GraphError),
    TokenRefused(GraphError),
    /// May be tried again after a while.
    Passing {
        error: GraphError,
        told: Option<Duration>,
        first: Duration,
    },
}

impl Request {
    pub(crate) fn judge(&self, status: u16, headers: &HeaderMap, body: Bytes) -> Outcome {
        let told = retry_after(headers);
        let request_id = headers
            .get("request-id")
            .and_then(|value| value.to_str().ok());
        let error = || GraphError::from_answer(status, &body, request_id, &self.path);
        match verdict(status, told, self.repeat) {
            Verdict::Done => Outcome::Done(body),
            Verdict::TokenRefused => Outcome::TokenRefused(error()),
            Verdict::Throttled => Outcome::Passing {
                error: GraphError::Throttled {
                    retry_after: told,
                    path: self.path.clone(),
                },
                told,
                first: THROTTLED,
            },
            Verdict::Down => Outcome::Passing {
                error: error(),
                told,
                first: FAILED,
            },
            Verdict::Unknown => Outcome::Failed(GraphError::Ambiguous {
                what: format!("HTTP {status}"),
                path: self.path.clone(),
            }),
            Verdict::Failed => Outcome::Failed(error()),
        }
    }

    pub(crate) fn cut_off(&self, error: &reqwest::Error) -> Outcome {
        let what = describe(error).to_owned();
        let path = self.path.clone();
        if self.repeat == Repeat::Freely || error.is_connect() {
            return Outcome::Passing {
                error: GraphError::Unavailable { what, path },
                told: None,
                first: FAILED,
            };
        }
        Outcome::Failed(GraphError::Ambiguous { what, path })
    }
}

/// What a status means for the request that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    TokenRefused,
    Throttled,
    /// Not carried out, or without effect; may work later.
    Down,
    /// A write that may have been carried out.
    Unknown,
    Failed,
}

pub(crate) fn verdict(status: u16, told: Option<Duration>, repeat: Repeat) -> Verdict {
    match (status, repeat) {
        (200..=299, _) => Verdict::Done,
        (401, _) => Verdict::TokenRefused,
        (429, _) => Verdict::Throttled,
        (503, _) if told.is_some() => Verdict::Throttled,
        (408 | 500..=599, Repeat::Freely) => Verdict::Down,
        (408 | 500..=599, Repeat::IfRefused) => Verdict::Unknown,
        _ => Verdict::Failed,
    }
}

/// A network error without its URL, which may hold a skip token.
pub(crate) fn describe(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
