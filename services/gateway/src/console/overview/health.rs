//! How a tenant stands, at a glance.
//!
//! Pure: judgements of facts at a time.

use super::source::Snapshots;
use crate::console::parts::Tone;
use chrono::{DateTime, TimeDelta, Utc};
use proto::v1::{TenantOverview, TenantState};

/// How old the newest snapshot of a tenant that is backed up daily may be: a day, and
/// half of one for a run that began late and took long.
const FRESH: TimeDelta = TimeDelta::hours(36);

/// A judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) tone: Tone,
    pub(crate) word: &'static str,
    /// What that means; empty where the word says it, or where more is told beside it.
    pub(crate) detail: &'static str,
}

/// Judges a tenant of the overview, which tells by itself why somebody should look.
pub(super) fn of_overview(one: &TenantOverview) -> Health {
    let health = |tone, word| Health {
        tone,
        word,
        detail: "",
    };
    let (summary, signals) = (one.summary.as_ref(), one.signals.unwrap_or_default());
    let is_late = one.age_seconds.is_some_and(|age| age > FRESH.num_seconds());
    let is_severe = one.state() == TenantState::Unspecified
        || signals.critical > 0
        || signals.high > 0
        || summary.is_some_and(|it| it.failure.is_some())
        || is_late;
    let is_new = summary.is_none_or(|it| it.last_snapshot.is_empty());
    match one.state() {
        TenantState::Suspended => health(Tone::Plain, "Suspended"),
        TenantState::Offboarded => health(Tone::Plain, "Erased"),
        _ if !one.attention.is_empty() && is_severe => health(Tone::Bad, "Needs attention"),
        _ if !one.attention.is_empty() => health(Tone::Warn, "To be looked at"),
        _ if is_new => health(Tone::Warn, "No snapshot"),
        _ => health(Tone::Good, "In order"),
    }
}

/// Judges a tenant by its snapshots; the worst that there is to say of it counts.
pub(crate) fn judge(known: &Snapshots, now: DateTime<Utc>) -> Health {
    let health = |tone, word, detail| Health { tone, word, detail };
    if known.problems > 0 {
        return health(
            Tone::Bad,
            "Damaged",
            "A stored snapshot cannot be read. Verify the tenant's snapshots.",
        );
    }
    let Some(newest) = &known.newest else {
        return health(
            Tone::Warn,
            "No snapshot",
            "Nothing of the tenant is backed up yet.",
        );
    };
    if now - newest.time > FRESH {
        return health(
            Tone::Bad,
            "Late",
            "The newest snapshot is older than 36 hours.",
        );
    }
    if known.signals.is_some_and(|signals| signals > 0) {
        return health(
            Tone::Bad,
            "Signals",
            "Something of high or critical severity was seen in the last seven days.",
        );
    }
    if !newest.complete {
        return health(
            Tone::Warn,
            "Incomplete",
            "The newest snapshot lacks a part that could not be read.",
        );
    }
    health(Tone::Good, "In order", "")
}

#[cfg(test)]
mod tests {
    use super::super::source::Newest;
    use super::*;
    use proto::v1::{SignalTotals, SummaryFailure, TenantSummary};

    #[test]
    fn the_worst_counts() {
        let now = DateTime::UNIX_EPOCH;
        let known = |hours: Option<i64>, complete, problems, signals| Snapshots {
            newest: hours.map(|hours| Newest {
                time: now - TimeDelta::hours(hours),
                complete,
            }),
            problems,
            signals,
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
        ] {
            assert_eq!(judge(&facts, now).word, word, "{facts:?}");
        }
    }

    #[test]
    fn an_overview_is_judged_by_its_reasons() {
        let one = |change: fn(&mut TenantOverview)| {
            let mut one = TenantOverview {
                state: TenantState::Active.into(),
                summary: Some(TenantSummary {
                    last_snapshot: "20261123-daily".to_owned(),
                    ..TenantSummary::default()
                }),
                age_seconds: Some(60),
                ..TenantOverview::default()
            };
            change(&mut one);
            of_overview(&one).word
        };
        assert_eq!(one(|_| ()), "In order");
        assert_eq!(one(|it| it.summary = None), "No snapshot");
        assert_eq!(one(|it| it.set_state(TenantState::Suspended)), "Suspended");
        assert_eq!(one(|it| it.set_state(TenantState::Offboarded)), "Erased");
        assert_eq!(
            one(|it| it.attention = vec!["1 guarded changes are open".to_owned()]),
            "To be looked at"
        );
        let severe: [fn(&mut TenantOverview); 3] = [
            |it| it.age_seconds = Some(37 * 3600),
            |it| {
                it.signals = Some(SignalTotals {
                    high: 1,
                    ..SignalTotals::default()
                });
            },
            |it| {
                it.summary = Some(TenantSummary {
                    failure: Some(SummaryFailure::default()),
                    ..TenantSummary::default()
                });
            },
        ];
        for change in severe {
            let mut told = TenantOverview {
                state: TenantState::Active.into(),
                attention: vec!["why".to_owned()],
                ..TenantOverview::default()
            };
            change(&mut told);
            assert_eq!(of_overview(&told).word, "Needs attention", "{told:?}");
        }
    }
}
