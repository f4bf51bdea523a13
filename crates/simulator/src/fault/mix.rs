//! Random misbehaviour: one request in so many is spoilt, by a seeded choice among kinds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::FaultResponse;
use crate::ids::Ids;

/// A random mix of faults over all Graph requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultMix {
    /// The share of requests that are spoilt, from 0 to 1.
    pub rate: f64,
    /// Chooses which, and how.
    #[serde(default)]
    pub seed: u64,
    /// How often each kind is chosen, against the others.
    #[serde(default)]
    pub weights: FaultWeights,
}

impl FaultMix {
    /// Every kind alike.
    #[must_use]
    pub fn of(rate: f64, seed: u64) -> Self {
        Self {
            rate,
            seed,
            weights: FaultWeights::default(),
        }
    }
}

/// The weight of each kind of fault; one each by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct FaultWeights {
    /// 429 with a whole number of seconds to wait.
    pub throttled: u32,
    /// 429 with a fraction of a second to wait.
    pub throttled_briefly: u32,
    /// 503 that says when to come back.
    pub unavailable_until: u32,
    /// 503 that does not.
    pub unavailable: u32,
    /// 504.
    pub timed_out: u32,
    /// The connection ends before the request is served.
    pub reset: u32,
    /// The request is served; the connection ends in the middle of the answer.
    pub reset_in_body: u32,
    /// The request is served; the answer's text ends half-way, as if that were all.
    pub truncated: u32,
    /// 200 with a body that is no JSON.
    pub malformed: u32,
    /// The answer takes longer.
    pub slow: u32,
    /// 401: the access token is no longer valid.
    pub expired_token: u32,
}

impl Default for FaultWeights {
    fn default() -> Self {
        Self {
            throttled: 1,
            throttled_briefly: 1,
            unavailable_until: 1,
            unavailable: 1,
            timed_out: 1,
            reset: 1,
            reset_in_body: 1,
            truncated: 1,
            malformed: 1,
            slow: 1,
            expired_token: 1,
        }
    }
}

impl FaultWeights {
    /// No fault at all, to name a few over.
    #[must_use]
    pub fn none() -> Self {
        Self {
            throttled: 0,
            throttled_briefly: 0,
            unavailable_until: 0,
            unavailable: 0,
            timed_out: 0,
            reset: 0,
            reset_in_body: 0,
            truncated: 0,
            malformed: 0,
            slow: 0,
            expired_token: 0,
        }
    }

    /// What can happen to one request of a batch.
    fn of_item(&self) -> [(u32, FaultResponse); 4] {
        [
            (self.throttled, status(429, Some("1"))),
            (self.throttled_briefly, status(429, Some("0.25"))),
            (self.unavailable_until, status(503, Some("1"))),
            (self.unavailable, status(503, None)),
        ]
    }

    fn of_connection(&self) -> [(u32, FaultResponse); 7] {
        [
            (self.timed_out, status(504, None)),
            (self.reset, FaultResponse::Disconnect),
            (self.reset_in_body, FaultResponse::ResetInBody),
            (self.truncated, FaultResponse::TruncatedBody),
            (self.malformed, FaultResponse::MalformedJson),
            (self.slow, FaultResponse::Delay(Duration::from_millis(120))),
            (self.expired_token, status(401, None)),
        ]
    }
}

fn status(code: u16, retry_after: Option<&str>) -> FaultResponse {
    FaultResponse::Status {
        code,
        retry_after: retry_after.map(str::to_owned),
    }
}

/// Where a request came: inside a batch it has no connection of its own to lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Alone,
    InBatch,
    /// Outside Graph, where nothing is spoilt at random.
    Login,
}

/// A mix with its generator.
#[derive(Debug)]
pub(crate) struct Mixer {
    pub(crate) mix: FaultMix,
    dice: Ids,
}

impl Mixer {
    pub(crate) fn new(mix: FaultMix) -> Self {
        let dice = Ids::seeded(mix.seed);
        Self { mix, dice }
    }

    /// The fault of the next request, for most requests none.
    pub(crate) fn roll(&mut self, place: Place) -> Option<FaultResponse> {
        const STEPS: u32 = 1_000_000;
        if place == Place::Login {
            return None;
        }
        let roll = u32::try_from(self.dice.below(STEPS as usize)).unwrap_or(0);
        if f64::from(roll) >= self.mix.rate * f64::from(STEPS) {
            return None;
        }
        let mut kinds = self.mix.weights.of_item().to_vec();
        if place == Place::Alone {
            kinds.extend(self.mix.weights.of_connection());
        }
        let total: u32 = kinds.iter().map(|(weight, _)| weight).sum();
        let mut at = u32::try_from(self.dice.below(total as usize)).unwrap_or(0);
        for (weight, response) in kinds {
            if at < weight {
                return Some(response);
            }
            at -= weight;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_spoils_its_share_with_every_kind() {
        let mut mixer = Mixer::new(FaultMix::of(0.1, 5));
        let faults: Vec<FaultResponse> = (0..20_000)
            .filter_map(|_| mixer.roll(Place::Alone))
            .collect();
        assert!((1_800..2_200).contains(&faults.len()), "{}", faults.len());
        let kinds: std::collections::BTreeSet<String> =
            faults.iter().map(|fault| format!("{fault:?}")).collect();
        assert_eq!(kinds.len(), 11, "{kinds:?}");
        let inner: Vec<FaultResponse> = (0..20_000)
            .filter_map(|_| mixer.roll(Place::InBatch))
            .collect();
        assert!(inner.iter().all(|fault| matches!(
            fault,
            FaultResponse::Status {
                code: 429 | 503,
                ..
            }
        )));
    }

    #[test]
    fn weights_choose_the_kind_and_may_be_all_zero() {
        let only = |weights| FaultMix {
            rate: 1.0,
            seed: 1,
            weights,
        };
        let mut slow = Mixer::new(only(FaultWeights {
            slow: 1,
            ..FaultWeights::none()
        }));
        assert!(matches!(
            slow.roll(Place::Alone),
            Some(FaultResponse::Delay(_))
        ));
        assert_eq!(slow.roll(Place::InBatch), None);
    }
}
