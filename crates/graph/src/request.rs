//! One request, and what its answer means for whoever sent it.
//!
//! Decides whether an attempt is done, final, or worth repeating; sends nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::IgnoredAny;

use crate::budget::{Cost, Heard, Sound};
use crate::busy::busy;
use crate::error::GraphError;
use crate::retry::retry_after;

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
    pub(crate) cost: Cost,
}

/// Reads a body that says that all went well; what it cannot read is asked for
/// again.
pub(crate) type Take<T> = Arc<dyn Fn(Bytes, &str) -> Result<(T, Inside), GraphError> + Send + Sync>;

/// What the body of an answer says about the quotas; only a batch says anything.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Inside {
    /// How many parts were throttled.
    pub(crate) throttled: u32,
    /// How many parts were refused.
    pub(crate) refused: u32,
    /// The longest wait that a part asked for.
    pub(crate) told: Option<Duration>,
    pub(crate) units: Units,
}

/// Where the units that Graph counted are found.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) enum Units {
    /// In the headers of the answer.
    #[default]
    OfAnswer,
    /// With the parts of a batch, where each has them. What a batch says of
    /// itself is not what its parts cost.
    OfParts(Option<u32>),
}

/// Takes a body that is JSON, whatever it holds.
pub(crate) fn any_json(body: Bytes, path: &str) -> Result<(Bytes, Inside), GraphError> {
    match serde_json::from_slice::<IgnoredAny>(&body) {
        Ok(_) => Ok((body, Inside::default())),
        Err(error) => Err(GraphError::garbled(&error, path)),
    }
}

/// Takes any body: a write has been carried out, whatever it says.
pub(crate) fn anything(body: Bytes, _: &str) -> Result<(Bytes, Inside), GraphError> {
    Ok((body, Inside::default()))
}

/// How one attempt ended.
pub(crate) enum Outcome<T> {
    Done(T, Inside),
    Failed(GraphError),
    TokenRefused(GraphError),
    /// Refused for now; the lane is closed for a while.
    Throttled(GraphError, Option<Duration>),
    /// Failed; may work later, and on another connection.
    Down(GraphError),
    /// Answered with something that cannot be read.
    Unreadable(GraphError),
}

impl Request {
    pub(crate) async fn judge<T: Send + 'static>(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: Bytes,
        take: &Take<T>,
    ) -> Outcome<T> {
        let told = retry_after(headers);
        let request_id = headers
            .get("request-id")
            .and_then(|value| value.to_str().ok());
        let error = || GraphError::from_answer(status, &body, request_id, &self.path);
        match verdict(status, told, self.repeat) {
            Verdict::Done => self.take(headers, body, take).await,
            Verdict::TokenRefused => Outcome::TokenRefused(error()),
            Verdict::Throttled => Outcome::Throttled(
                GraphError::Throttled {
                    retry_after: told,
                    path: self.path.clone(),
                },
                told,
            ),
            Verdict::Down => Outcome::Down(error()),
            Verdict::Unknown => Outcome::Failed(GraphError::Ambiguous {
                what: format!("HTTP {status}"),
                path: self.path.clone(),
            }),
            Verdict::Failed => Outcome::Failed(error()),
        }
    }

    /// Takes a body that says that all went well, if it can be read.
    async fn take<T: Send + 'static>(
        &self,
        headers: &HeaderMap,
        body: Bytes,
        take: &Take<T>,
    ) -> Outcome<T> {
        let unexpected = |what: &str| {
            Outcome::Unreadable(GraphError::Unexpected {
                what: what.to_owned(),
                path: self.path.clone(),
            })
        };
        let kind = headers.get(CONTENT_TYPE);
        if self.repeat == Repeat::Freely {
            if body.is_empty() {
                return unexpected("its body is empty");
            }
            if kind.is_some_and(|kind| !is_json(kind.as_bytes())) {
                return unexpected("it is of another content type than json");
            }
        }
        let (take, path) = (Arc::clone(take), self.path.clone());
        match busy(body.len(), move || take(body, &path)).await {
            Ok((value, inside)) => Outcome::Done(value, inside),
            Err(error) => Outcome::Unreadable(error),
        }
    }

    pub(crate) fn cut_off<T>(&self, error: &reqwest::Error) -> Outcome<T> {
        let what = describe(error).to_owned();
        let path = self.path.clone();
        if self.repeat == Repeat::Freely || error.is_connect() {
            return Outcome::Down(GraphError::Unavailable { what, path });
        }
        Outcome::Failed(GraphError::Ambiguous { what, path })
    }
}

impl<T> Outcome<T> {
    /// How many requests were throttled, and how many were denied: one, or as
    /// many as the parts of a batch.
    pub(crate) fn refusals(&self) -> (u64, u64) {
        match self {
            Self::Done(_, inside) => (inside.throttled.into(), inside.refused.into()),
            Self::Throttled(..) => (1, 0),
            Self::Failed(GraphError::Denied { .. }) => (0, 1),
            _ => (0, 0),
        }
    }

    /// What the answer says about the quotas.
    pub(crate) fn heard(&self, headers: &HeaderMap) -> Heard {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let whole = text("x-ms-resource-unit").and_then(|units| units.trim().parse().ok());
        let (sound, units) = match self {
            Self::Done(_, inside) => {
                let sound = match inside.throttled {
                    0 => Sound::Good,
                    _ => Sound::Throttled(inside.told),
                };
                let units = match inside.units {
                    Units::OfAnswer => whole,
                    Units::OfParts(units) => units,
                };
                (sound, units)
            }
            Self::Throttled(_, told) => (Sound::Throttled(*told), whole),
            Self::Failed(_) | Self::TokenRefused(_) => (Sound::Good, whole),
            Self::Down(_) | Self::Unreadable(_) => (Sound::Bad, whole),
        };
        Heard {
            sound,
            units,
            used: text("x-ms-throttle-limit-percentage").and_then(|used| used.trim().parse().ok()),
        }
    }
}

fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let kind = kind.trim_ascii().to_ascii_lowercase();
    kind.ends_with(b"/json") || kind.ends_with(b"+json")
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
