//! Many reads in one request.
//!
//! Graph answers a batch in any order and judges each part by itself: a part
//! may be throttled inside a batch that succeeded. Only reads go this way.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::budget::{Cost, Lane};
use crate::client::{Client, PREFER};
use crate::error::GraphError;
use crate::request::{Inside, Repeat, Units, Verdict, verdict};
use crate::retry::{Next, Patience, parse_retry_after};

/// The most parts that Graph takes.
const PARTS: usize = 20;

/// The answer to one part.
pub(crate) type Part = Result<Box<RawValue>, GraphError>;

impl Client {
    /// Reads many URLs below the version root; part i answers URL i.
    pub(crate) async fn get_many(&self, urls: &[String]) -> Result<Vec<Part>, GraphError> {
        // In a batch, parts of a slow lane would all be sent at once.
        let quick = |url: &String| Cost::of(&Method::GET, url).lane == Lane::Directory;
        let (quick, slow): (Vec<usize>, Vec<usize>) =
            (0..urls.len()).partition(|index| quick(&urls[*index]));
        let batches: Vec<_> = quick
            .chunks(PARTS)
            .map(|chunk| self.batch(urls, chunk))
            .collect();
        let batches = stream::iter(batches)
            .buffer_unordered(self.settings().in_flight.max(1))
            .try_concat();
        let (answered, single) = tokio::join!(batches, self.one_by_one(urls, &slow));
        let mut answered: Vec<(usize, Part)> = answered?;
        answered.extend(single);
        answered.sort_by_key(|(index, _)| *index);
        Ok(answered.into_iter().map(|(_, part)| part).collect())
    }

    async fn one_by_one(&self, urls: &[String], wanted: &[usize]) -> Vec<(usize, Part)> {
        let mut parts = Vec::with_capacity(wanted.len());
        for index in wanted {
            let answer = self.get(&urls[*index]).await;
            parts.push((
                *index,
                answer.and_then(|answer| raw(&answer.body, &answer.path)),
            ));
        }
        parts
    }

    async fn batch(
        &self,
        urls: &[String],
        wanted: &[usize],
    ) -> Result<Vec<(usize, Part)>, GraphError> {
        if wanted.len() == 1 {
            return Ok(self.one_by_one(urls, wanted).await);
        }
        let mut patience = Patience::new(self.settings().retry);
        let mut open = wanted.to_vec();
        let mut parts = Vec::with_capacity(wanted.len());
        let mut renewed = false;
        loop {
            let round = self.round(urls, &open).await?;
            parts.extend(round.done);
            let mut again = !round.passing.is_empty();
            if round.token_refused {
                again = !std::mem::replace(&mut renewed, true);
                self.renew_token().await?;
            }
            if again && (round.down || !round.closed.is_zero()) {
                let wait = match round.down {
                    true => self.failed(&mut patience),
                    false => Duration::ZERO,
                };
                again = self.pause(&mut patience, round.closed, wait).await == Next::Again;
            }
            if !again {
                let failed = round.passing.into_iter();
                parts.extend(failed.map(|(index, error)| (index, Err(error))));
                return Ok(parts);
            }
            open = round.passing.into_iter().map(|(index, _)| index).collect();
        }
    }

    /// Sends the open parts once.
    async fn round(&self, urls: &[String], open: &[usize]) -> Result<Round, GraphError> {
        let requests: Vec<_> = open
            .iter()
            .map(|index| json!({"id": index.to_string(), "method": "GET", "url": urls[*index], "headers": {"Prefer": PREFER}}))
            .collect();
        let cost = Cost::of_batch(open.iter().map(|index| urls[*index].as_str()));
        let path = |index: &usize| urls[*index].split('?').next().unwrap_or_default();
        let asked: Vec<(usize, String)> = open
            .iter()
            .map(|index| (*index, path(index).to_owned()))
            .collect();
        let take = Arc::new(move |body: Bytes, path: &str| Round::read(&body, path, &asked));
        let answer = self
            .ask_many(&json!({ "requests": requests }), cost, take)
            .await?;
        Ok(Round {
            closed: answer.closed,
            ..answer.body
        })
    }
}

/// What one sending of a batch brought.
#[derive(Default)]
struct Round {
    done: Vec<(usize, Part)>,
    passing: Vec<(usize, GraphError)>,
    /// How long the lane is closed because of parts that were throttled.
    closed: Duration,
    /// Whether a part failed and may work later.
    down: bool,
    token_refused: bool,
}

impl Round {
    /// Reads the answers to the open parts, and what they say about the quotas.
    fn read(
        body: &[u8],
        path: &str,
        asked: &[(usize, String)],
    ) -> Result<(Self, Inside), GraphError> {
        let Responses { responses } =
            serde_json::from_slice(body).map_err(|error| GraphError::garbled(&error, path))?;
        let mut round = Self::default();
        let mut inside = Inside {
            units: Units::OfParts(responses.iter().map(Response::units).sum()),
            ..Inside::default()
        };
        let mut answers: HashMap<&str, &Response<'_>> = responses
            .iter()
            .map(|response| (&*response.id, response))
            .collect();
        for (index, path) in asked {
            match answers.remove(index.to_string().as_str()) {
                Some(response) => round.take(*index, response, path, &mut inside),
                None => {
                    let what = "the batch has no answer to it".to_owned();
                    let path = path.clone();
                    round
                        .done
                        .push((*index, Err(GraphError::Unexpected { what, path })));
                }
            }
        }
        Ok((round, inside))
    }

    fn take(&mut self, index: usize, response: &Response<'_>, path: &str, inside: &mut Inside) {
        let told = response.retry_after();
        let status = response.status;
        let text = response.body.map_or("", RawValue::get);
        let error = || GraphError::from_answer(status, text.as_bytes(), None, path);
        match verdict(status, told, Repeat::Freely) {
            Verdict::Done => {
                let missing = || GraphError::Unexpected {
                    what: "the part has no body".to_owned(),
                    path: path.to_owned(),
                };
                let body = response.body.map(ToOwned::to_owned);
                self.done.push((index, body.ok_or_else(missing)));
            }
            Verdict::Failed | Verdict::Unknown => {
                inside.refused += u32::from(status == 403);
                self.done.push((index, Err(error())));
            }
            Verdict::TokenRefused => {
                self.token_refused = true;
                self.passing.push((index, error()));
            }
            Verdict::Throttled => {
                inside.throttled += 1;
                inside.told = inside.told.max(told);
                let path = path.to_owned();
                let retry_after = told;
                self.passing
                    .push((index, GraphError::Throttled { retry_after, path }));
            }
            Verdict::Down => {
                self.down = true;
                self.passing.push((index, error()));
            }
        }
    }
}

#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(borrow)]
    responses: Vec<Response<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, serde_json::Value>,
    #[serde(default, borrow)]
    body: Option<&'a RawValue>,
}

impl Response<'_> {
    fn header(&self, wanted: &str) -> Option<String> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        let text = value.as_str().map(str::to_owned);
        Some(text.unwrap_or_else(|| value.to_string()))
    }

    fn retry_after(&self) -> Option<Duration> {
        parse_retry_after(&self.header("Retry-After")?, self.header("Date").as_deref())
    }

    /// The units that Graph counted for the part.
    fn units(&self) -> Option<u32> {
        self.header("x-ms-resource-unit")?.trim().parse().ok()
    }
}

pub(crate) fn raw(body: &[u8], path: &str) -> Part {
    serde_json::from_slice(body).map_err(|error| GraphError::garbled(&error, path))
}
