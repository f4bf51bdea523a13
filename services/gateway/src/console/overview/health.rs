//! How a tenant stands, at a glance.
//!
//! Pure: a judgement of facts at a time.

use super::source::{Facts, Known};
use crate::console::parts::Tone;
use chrono::{DateTime, TimeDelta, Utc};

/// How old the newest snapshot of a tenant that is backed up daily may be: a day, and
/// half of one for a run that began late and took long.
const FRESH: TimeDelta = TimeDelta::hours(36);

/// A judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    /// The less, the sooner somebody should look.
    pub(crate) urgency: u8,
    pub(crate) tone: Tone,
    pub(crate) word: &'static str,
    /// What that means; empty where the word says it.
    pub(crate) detail: &'static str,
}

/// Judges a tenant; the worst that there is to say of it counts.
pub(crate) fn judge(facts: &Facts, now: DateTime<Utc>) -> Health {
    let health = |urgency, tone, word, detail| Health {
        urgency,
        tone,
        word,
        detail,
    };
    let known = match &facts.known {
        Known::Yes(known) => known,
        Known::Unavailable => {
            return health(
                2,
                Tone::Plain,
                "Not known",
                "The snapshots of the tenant cannot be asked for at the moment.",
            );
        }
        Known::Hidden => {
            return health(
                9,
                Tone::Plain,
                "Not shown",
                "Your role does not show the tenant's snapshots.",
            );
        }
    };
    if known.problems > 0 {
        return health(
            0,
            Tone::Bad,
            "Damaged",
            "A stored snapshot cannot be read. Verify the tenant's snapshots.",
        );
    }
    let Some(newest) = &known.newest else {
        return health(
            4,
            Tone::Warn,
            "No snapshot",
            "Nothing of the tenant is backed up yet.",
        );
    };
    if now - newest.time > FRESH {
        return health(
            1,
            Tone::Bad,
            "Late",
            "The newest snapshot is older than 36 hours.",
        );
    }
    if known.signals.is_some_and(|signals| signals > 0) {
        return health(
            3,
            Tone::Bad,
            "Signals",
            "Something of high or critical severity was seen in the last seven days.",
        );
    }
    if !newest.complete {
        return health(
            5,
            Tone::Warn,
            "Incomplete",
            "The newest snapshot lacks a part that could not be read.",
        );
    }
    health(8, Tone::Good, "In order", "")
}

#[cfg(test)]
mod tests {
    use super::super::source::{Newest, Snapshots};
    use super::*;

    #[test]
    fn the_worst_counts() {
        let now = DateTime::UNIX_EPOCH;
        let known = |hours: Option<i64>, complete, problems, signals| {
            Known::Yes(Snapshots {
                newest: hours.map(|hours| Newest {
                    time: now - TimeDelta::hours(hours),
                    complete,
                    objects: 1,
                    stored: 1,
                }),
                problems,
                signals,
            })
        };
        for (facts, word) in [
            (known(Some(1), true, 0, Some(0)), "In order"),
            (known(Some(36), true, 0, None), "In order"),
            (known(Some(37), true, 0, Some(0)), "Late"),
            (known(Some(37), false, 0, Some(3)), "Late"),
            (known(Some(1), false, 0, Some(0)), "Incomplete"),
            (known(Some(1), false, 0, Some(1)), "Signals"),
            (known(None, true, 0, Some(0)), "No snapshot"),
            (known(None, true, 1, Some(0)), "Damaged"),
            (known(Some(1), true, 1, Some(1)), "Damaged"),
            (Known::Unavailable, "Not known"),
            (Known::Hidden, "Not shown"),
        ] {
            let facts = Facts {
                id: String::new(),
                name: String::new(),
                known: facts,
            };
            assert_eq!(judge(&facts, now).word, word, "{facts:?}");
        }
    }
}
