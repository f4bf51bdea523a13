//! Many reads in one request.
//!
//! Graph answers a batch in any order and judges each part by itself: a part
//! may be throttled inside a batch that succeeded. Only reads go this way.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::client::{Client, PREFER};
use crate::error::GraphError;
use crate::request::{Repeat, Verdict, verdict};
use crate::retry::{Attempts, FAILED, Next, THROTTLED, parse_retry_after};

/// The most parts that Graph takes.
const PARTS: usize = 20;
/// Batches under way at a time for one call.
const BATCHES: usize = 4;

/// The answer to one part.
pub(crate) type Part = Result<Box<RawValue>, GraphError>;

impl Client {
    /// Reads many URLs below the version root; part i answers URL i.
    pub(crate) async fn get_many(&self, urls: &[String]) -> Result<Vec<Part>, GraphError> {
        stream::iter(
            urls.chunks(PARTS)
                .map(|chunk| self.batch(chunk))
                .collect::<Vec<_>>(),
        )
        .buffered(BATCHES)
        .try_concat()
        .await
    }

    async fn batch(&self, urls: &[String]) -> Result<Vec<Part>, GraphError> {
        if let [url] = urls {
            return Ok(vec![
                self.get(url)
                    .await
                    .and_then(|answer| raw(&answer.body, &answer.path)),
            ]);
        }
        let settings = self.settings();
        let mut attempts = Attempts::new(settings.retry, &settings.sleep);
        let mut parts: Vec<Option<Part>> = urls.iter().map(|_| None).collect();
        let mut renewed = false;
        loop {
            let open: Vec<usize> = (0..urls.len())
                .filter(|index| parts[*index].is_none())
                .collect();
            let round = self.round(urls, &open).await?;
            let mut again = !round.passing.is_empty();
            if round.token_refused {
                again = !std::mem::replace(&mut renewed, true);
                self.renew_token().await?;
            }
            if let Some(first) = round.wait.filter(|_| again) {
                again = attempts.pause(round.told, first).await == Next::Again;
            }
            for (index, answer) in round.done {
                parts[index] = Some(answer);
            }
            if !again {
                for (index, error) in round.passing {
                    parts[index] = Some(Err(error));
                }
            }
            if parts.iter().all(Option::is_some) {
                return Ok(parts.into_iter().flatten().collect());
            }
        }
    }

    /// Sends the open parts once.
    async fn round(&self, urls: &[String], open: &[usize]) -> Result<Round, GraphError> {
        let requests: Vec<_> = open
            .iter()
            .map(|index| json!({"id": index.to_string(), "method": "GET", "url": urls[*index], "headers": {"Prefer": PREFER}}))
            .collect();
        let answer = self
            .ask("/$batch", &json!({ "requests": requests }))
            .await?;
        let Responses { responses } = serde_json::from_slice(&answer.body)
            .map_err(|error| GraphError::garbled(&error, &answer.path))?;
        let mut answers: HashMap<String, Response> = responses
            .into_iter()
            .map(|response| (response.id.clone(), response))
            .collect();
        let mut round = Round::default();
        for index in open {
            let path = urls[*index].split('?').next().unwrap_or_default();
            match answers.remove(&index.to_string()) {
                Some(response) => round.take(*index, response, path),
                None => {
                    let what = "the batch has no answer to it".to_owned();
                    round.done.push((
                        *index,
                        Err(GraphError::Unexpected {
                            what,
                            path: path.to_owned(),
                        }),
                    ));
                }
            }
        }
        Ok(round)
    }
}

/// What one sending of a batch brought.
#[derive(Default)]
struct Round {
    done: Vec<(usize, Part)>,
    passing: Vec<(usize, GraphError)>,
    /// The longest wait that a part asked for.
    told: Option<Duration>,
    /// The first wait where no part asked for one.
    wait: Option<Duration>,
    token_refused: bool,
}

impl Round {
    fn take(&mut self, index: usize, response: Response, path: &str) {
        let told = response.retry_after();
        let status = response.status;
        let text = response.body.as_deref().map_or("", RawValue::get);
        let error = || GraphError::from_answer(status, text.as_bytes(), None, path);
        match verdict(status, told, Repeat::Freely) {
            Verdict::Done => {
                let missing = || GraphError::Unexpected {
                    what: "the part has no body".to_owned(),
                    path: path.to_owned(),
                };
                self.done.push((index, response.body.ok_or_else(missing)));
            }
            Verdict::Failed | Verdict::Unknown => self.done.push((index, Err(error()))),
            Verdict::TokenRefused => {
                self.token_refused = true;
                self.passing.push((index, error()));
            }
            Verdict::Throttled => {
                self.wait = Some(THROTTLED);
                self.told = self.told.max(told);
                self.passing.push((
                    index,
                    GraphError::Throttled {
                        retry_after: told,
                        path: path.to_owned(),
                    },
                ));
            }
            Verdict::Down => {
                self.wait = self.wait.max(Some(FAILED));
                self.told = self.told.max(told);
                self.passing.push((index, error()));
            }
        }
    }
}

#[derive(Deserialize)]
struct Responses {
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    id: String,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, serde_json::Value>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

impl Response {
    fn retry_after(&self) -> Option<Duration> {
        let header = |wanted: &str| {
            self.headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value)
        };
        let text = |value: &serde_json::Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        parse_retry_after(
            &text(header("Retry-After")?),
            header("Date").map(text).as_deref(),
        )
    }
}

pub(crate) fn raw(body: &[u8], path: &str) -> Part {
    serde_json::from_slice(body).map_err(|error| GraphError::garbled(&error, path))
}
