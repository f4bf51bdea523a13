//! When a tenant's daily snapshots begin.
//!
//! Owns the arithmetic alone: a window of the day, the same for many tenants, and in it
//! each tenant's own second, which follows from its id, so that neither a restart nor
//! another replica moves it and the tenants of a window spread over it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::{SnapshotId, TenantId, slot};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A part of the day, in UTC; it may pass midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The minute of the day in which it begins.
    begin: u16,
    /// How many minutes it lasts, a day at most.
    minutes: u16,
}

impl Default for Window {
    /// From midnight to six: the working day of nobody in Europe or America.
    fn default() -> Self {
        Self {
            begin: 0,
            minutes: 6 * 60,
        }
    }
}

/// A window that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time window: HH:MM-HH:MM in UTC is expected, such as 22:00-04:00")]
pub struct InvalidWindow(String);

impl FromStr for Window {
    type Err = InvalidWindow;

    /// Reads `22:00-04:00`; `00:00-24:00` is all day.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidWindow(text.to_owned());
        let (begin, end) = text.split_once('-').ok_or_else(invalid)?;
        let begin = minute(begin).filter(|begin| *begin < DAY);
        let (begin, end) = begin.zip(minute(end)).ok_or_else(invalid)?;
        let minutes = match end.cmp(&begin) {
            std::cmp::Ordering::Greater => end - begin,
            // To the same minute of the next day would be told from nothing by nobody.
            std::cmp::Ordering::Equal => return Err(invalid()),
            std::cmp::Ordering::Less => end + DAY - begin,
        };
        Ok(Self { begin, minutes })
    }
}

/// The minute of the day that `HH:MM` is, up to 24:00.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| {
        let fits = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= DAY).then_some(of_day)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.begin + self.minutes;
        // 24:00 is written so, and not as midnight, where the window ends with its day.
        let end = if end > DAY { end - DAY } else { end };
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            self.begin / 60,
            self.begin % 60,
            end / 60,
            end % 60
        )
    }
}

impl Window {
    /// When a tenant's snapshot of a day begins; the day is the one on which the
    /// window does.
    #[must_use]
    pub fn due(self, tenant: &TenantId, day: NaiveDate) -> DateTime<Utc> {
        let hash = blake3::hash(tenant.as_str().as_bytes());
        let first: [u8; 8] = std::array::from_fn(|n| hash.as_bytes()[n]);
        let seconds = u64::from_be_bytes(first) % (u64::from(self.minutes) * 60);
        let into = u64::from(self.begin) * 60 + seconds;
        let midnight = day.and_time(NaiveTime::MIN).and_utc();
        midnight + TimeDelta::seconds(i64::try_from(into).unwrap_or_default())
    }

    /// The newest slot of a tenant that has begun, and when it did.
    #[must_use]
    pub fn newest(self, tenant: &TenantId, now: DateTime<Utc>) -> (SnapshotId, DateTime<Utc>) {
        let begun = days_around(now)
            .rev()
            .map(|day| (day, self.due(tenant, day)))
            .find(|(_, due)| *due <= now);
        let (day, due) = begun.expect("invariant: no window is two days long");
        (slot::daily(day), due)
    }

    /// When a tenant's next slot begins.
    #[must_use]
    pub fn next(self, tenant: &TenantId, now: DateTime<Utc>) -> DateTime<Utc> {
        let dues = days_around(now).map(|day| self.due(tenant, day));
        let mut later = dues.filter(|due| *due > now);
        later
            .next()
            .expect("invariant: tomorrow's slot has not begun")
    }
}

/// The days whose slots may begin around a time: a window ends up to two days after the
/// midnight of its day.
fn days_around(now: DateTime<Utc>) -> impl DoubleEndedIterator<Item = NaiveDate> {
    let today = now.date_naive();
    let before = |days| today.checked_sub_days(Days::new(days));
    let days = [before(2), before(1), Some(today), today.succ_opt()];
    days.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u32) -> TenantId {
        TenantId::parse(&format!("{n:08x}-0000-4000-8000-000000000000")).expect("a GUID")
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn windows_are_read_and_written() {
        for text in [
            "00:00-06:00",
            "22:00-04:00",
            "00:00-24:00",
            "12:30-12:31",
            "06:00-00:00",
        ] {
            let window: Window = text.parse().expect(text);
            assert_eq!(
                window.to_string().replace("24:00", "00:00"),
                text.replace("24:00", "00:00")
            );
            assert_eq!(window.to_string().parse::<Window>(), Ok(window), "{text}");
        }
        assert_eq!(Window::default().to_string(), "00:00-06:00");
        for text in [
            "",
            "00:00",
            "6-7",
            "00:00-00:00",
            "24:00-01:00",
            "00:60-01:00",
            "25:00-26:00",
            "+1:00-02:00",
            "00:00-24:01",
            "00:00-06:00Z",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_tenant_has_one_slot_a_day_within_its_window() {
        for text in ["00:00-06:00", "22:00-04:00", "00:00-24:00", "23:59-23:58"] {
            let window: Window = text.parse().expect(text);
            for n in 0..200 {
                let mut now = at("2026-11-23T00:00:00Z");
                let mut slots = Vec::new();
                while now < at("2026-11-30T00:00:00Z") {
                    let next = window.next(&tenant(n), now);
                    assert!(next > now && next - now <= TimeDelta::days(1), "{text} {n}");
                    let (slot, due) = window.newest(&tenant(n), next);
                    assert_eq!(due, next, "{text} {n}");
                    let (before, _) = window.newest(&tenant(n), next - TimeDelta::seconds(1));
                    assert_ne!(slot, before, "{text} {n}");
                    slots.push(slot);
                    now = next;
                }
                let mut once = slots.clone();
                once.dedup();
                assert_eq!((once, slots.len()), (slots.clone(), 8), "{text} {n}");
            }
        }
    }

    #[test]
    fn the_tenants_of_a_window_spread_over_it() {
        let window: Window = "22:00-02:00".parse().expect("a window");
        let mut hours = [0_u32; 4];
        let begin = at("2026-11-23T22:00:00Z");
        for n in 0..4_000 {
            let due = window.due(&tenant(n), begin.date_naive());
            let hour = usize::try_from((due - begin).num_hours()).expect("after it began");
            hours[hour] += 1;
        }
        assert!(
            hours.iter().all(|count| (850..1_150).contains(count)),
            "{hours:?}"
        );
    }
}
