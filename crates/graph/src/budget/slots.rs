//! Whose turn it is in the Conditional Access lane, by the wall clock.
//!
//! The lane has room for one request a second over all processes, so shares
//! that sum to one are not enough: two processes may send at the same moment.
//! Each role therefore sends only at the beginning of its own time slots. A
//! slot is longer than a second by what clocks, timers and the ways to Graph
//! may differ; where they differ by more, Graph refuses, and the client waits.
//! Waits for nothing itself; it only says how long.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Role;

/// The length of a slot in milliseconds.
const SLOT: i64 = 1_250;
/// How late in its slot a request may be sent. What is left of the slot beyond a
/// second, 150 milliseconds, is the allowance for clocks and for the network.
const LATEST: i64 = 100;
/// Whose the slots are, in turn: a differ, for which a person waits, has two of the
/// four.
const TURNS: [Role; 4] = [Role::Differ, Role::Collector, Role::Differ, Role::Restorer];

/// How long until a role may send; nothing where it may send now.
pub(super) fn wait(role: Role, now: DateTime<Utc>) -> Duration {
    let cycle = SLOT * TURNS.len() as i64;
    let at = now.timestamp_millis().rem_euclid(cycle);
    let millis = TURNS
        .iter()
        .zip(0_i64..)
        .filter(|(whose, _)| **whose == role)
        .map(|(_, turn)| turn * SLOT)
        .map(|start| match at - start {
            0..=LATEST => 0,
            passed => (-passed).rem_euclid(cycle),
        })
        .min();
    // Whoever is alone has no one to wait for.
    Duration::from_millis(millis.unwrap_or(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_waits_for_its_own_slot() {
        let check = |role, at: i64, expected| {
            // Any multiple of the cycle of five seconds.
            let now = DateTime::from_timestamp_millis(1_793_520_000_000 + at).unwrap();
            assert_eq!(
                wait(role, now),
                Duration::from_millis(expected),
                "{role:?} {at}"
            );
        };
        check(Role::Differ, 0, 0);
        check(Role::Differ, 100, 0);
        check(Role::Differ, 101, 2_399);
        check(Role::Differ, 2_499, 1);
        check(Role::Differ, 2_500, 0);
        check(Role::Differ, 4_999, 1);
        check(Role::Collector, 0, 1_250);
        check(Role::Collector, 1_300, 0);
        check(Role::Collector, 1_400, 4_850);
        check(Role::Restorer, 0, 3_750);
        check(Role::Restorer, 4_999, 3_751);
        check(Role::Alone, 777, 0);
    }

    #[test]
    fn two_roles_are_never_within_a_second() {
        let sends = |role| -> Vec<i64> {
            let all = (0..10_000).step_by(25);
            all.filter(|at| wait(role, moment(*at)).is_zero()).collect()
        };
        let roles = [Role::Collector, Role::Differ, Role::Restorer];
        let sends: Vec<(Role, i64)> = roles
            .into_iter()
            .flat_map(|role| sends(role).into_iter().map(move |at| (role, at)))
            .collect();
        for ((role, at), (other, then)) in
            sends.iter().flat_map(|a| sends.iter().map(move |b| (a, b)))
        {
            // Within one window it is one process, which sends once.
            let apart = (then - at).abs();
            assert!(
                apart >= SLOT - LATEST || (role == other && apart <= LATEST),
                "{role:?} {at}, {other:?} {then}"
            );
        }
    }

    fn moment(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }
}
