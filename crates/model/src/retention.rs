//! Which snapshots are kept.
//!
//! Owns the judgement alone: it is given what is there and says what is to go.
//! It must never let go, of any kind, the newest snapshots that are complete for
//! it, so that a permission that was taken away, or a flood of snapshots, cannot
//! push out what was read before.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use crate::SnapshotId;
use crate::snapshot::Kind;

/// What a tenant's history is to hold. Each number is judged kind by kind, among
/// the snapshots that are complete for the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The most recent daily snapshots.
    pub recent: u32,
    /// The newest daily snapshot of each of that many of the last days that have one.
    pub days: u32,
    /// The same of weeks, which begin on Monday.
    pub weeks: u32,
    /// The same of months.
    pub months: u32,
    /// The least age in days before anything goes, whatever comes after it.
    pub floor_days: u32,
    /// The most recent snapshots, on demand or daily; at least one counts always.
    pub minimum: u32,
}

impl Default for Policy {
    /// The five most recent daily ones.
    fn default() -> Self {
        Self {
            recent: 5,
            days: 0,
            weeks: 0,
            months: 0,
            floor_days: 0,
            minimum: 1,
        }
    }
}

impl Policy {
    /// Whether anything could be let go earlier than by another policy: one number
    /// that is smaller is enough, whatever the others are.
    #[must_use]
    pub fn keeps_less_than(&self, other: &Self) -> bool {
        let numbers = |it: &Self| {
            [
                it.recent,
                it.days,
                it.weeks,
                it.months,
                it.floor_days,
                it.minimum.max(1),
            ]
        };
        let (ours, theirs) = (numbers(self), numbers(other));
        ours.iter().zip(theirs).any(|(ours, theirs)| *ours < theirs)
    }
}

/// A policy that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no retention: NAME=NUMBER with recent, days, weeks, months, floor-days, minimum is expected, separated by commas"
)]
pub struct InvalidPolicy(String);

impl std::str::FromStr for Policy {
    type Err = InvalidPolicy;

    /// Reads `recent=5,weeks=4,months=12`; what is not named is as by default.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPolicy(text.to_owned());
        let mut policy = Self::default();
        let mut named = HashSet::new();
        for part in text.split(',') {
            let (name, number) = part.split_once('=').ok_or_else(invalid)?;
            let number: u32 = number.parse().map_err(|_| invalid())?;
            let place = match name {
                "recent" => &mut policy.recent,
                "days" => &mut policy.days,
                "weeks" => &mut policy.weeks,
                "months" => &mut policy.months,
                "floor-days" => &mut policy.floor_days,
                "minimum" => &mut policy.minimum,
                _ => return Err(invalid()),
            };
            *place = number;
            if !named.insert(name) {
                return Err(invalid());
            }
        }
        Ok(policy)
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            recent,
            days,
            weeks,
            months,
            floor_days,
            minimum,
        } = self;
        write!(
            f,
            "recent={recent},days={days},weeks={weeks},months={months},floor-days={floor_days},minimum={minimum}"
        )
    }
}

/// A snapshot, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: SnapshotId,
    /// When its reading began.
    pub taken: DateTime<Utc>,
    /// Whether it is one of the schedule's, of which there is one a day.
    pub daily: bool,
    /// The kinds for which it is complete.
    pub complete: BTreeSet<Kind>,
    /// Whether it is to be kept whatever else holds.
    pub held: bool,
}

/// The snapshots that are to go at a time.
#[must_use]
pub fn expired(policy: &Policy, now: DateTime<Utc>, all: &[Candidate]) -> BTreeSet<SnapshotId> {
    let mut newest_first: Vec<&Candidate> = all.iter().collect();
    newest_first.sort_by(|a, b| (b.taken, &b.id).cmp(&(a.taken, &a.id)));
    let kinds: BTreeSet<Kind> = all
        .iter()
        .flat_map(|it| it.complete.iter().copied())
        .collect();
    let (mut kept, mut recent) = (HashSet::new(), HashSet::new());
    for kind in kinds {
        let complete = newest_first.iter().filter(|it| it.complete.contains(&kind));
        let any: Vec<&SnapshotId> = complete.clone().map(|it| &it.id).collect();
        kept.extend(any.into_iter().take(number(policy.minimum.max(1))));
        let daily: Vec<&Candidate> = complete.copied().filter(|it| it.daily).collect();
        let of_kind = daily.iter().take(number(policy.recent));
        recent.extend(of_kind.map(|it| &it.id));
        kept.extend(newest_of(&daily, policy.days, |at| {
            (at.year(), at.ordinal())
        }));
        kept.extend(newest_of(&daily, policy.weeks, |at| {
            let week = at.iso_week();
            (week.year(), week.week())
        }));
        kept.extend(newest_of(&daily, policy.months, |at| {
            (at.year(), at.month())
        }));
    }
    kept.extend(&recent);
    let mut newer = 0;
    let mut gone = BTreeSet::new();
    for it in newest_first {
        // What does not count itself goes when the recent ones have all come after.
        let overtaken = newer >= number(policy.recent);
        let floor = TimeDelta::days(policy.floor_days.into());
        let young = it
            .taken
            .checked_add_signed(floor)
            .is_none_or(|until| until > now);
        newer += usize::from(recent.contains(&it.id));
        if !(kept.contains(&it.id) || it.held || young) && overtaken {
            gone.insert(it.id.clone());
        }
    }
    gone
}

/// The newest snapshot of each of that many periods.
fn newest_of<'a, P: Ord>(
    newest_first: &[&'a Candidate],
    periods: u32,
    period: impl Fn(DateTime<Utc>) -> P,
) -> Vec<&'a SnapshotId> {
    let mut newest = BTreeMap::new();
    for it in newest_first {
        newest.entry(period(it.taken)).or_insert(&it.id);
    }
    newest.into_values().rev().take(number(periods)).collect()
}

fn number(of: u32) -> usize {
    usize::try_from(of).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
