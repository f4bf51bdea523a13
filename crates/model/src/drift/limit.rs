//! From when on a rule finds something.

use std::fmt;
use std::str::FromStr;

/// From how many objects on a share counts: that one person left a small office is
/// no news.
pub const LEAST_OF_A_SHARE: u64 = 3;

/// All objects of a type, in hundredths of a percent.
const ALL: u32 = 10_000;

/// From when on a rule finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// More than this share of a type's objects, in hundredths of a percent, and at
    /// least [`LEAST_OF_A_SHARE`].
    Share(u32),
    /// This many or more.
    Count(u32),
}

/// A limit that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no limit: a share such as 5%, a number from 1 on, or any is expected")]
pub struct InvalidLimit(String);

impl Limit {
    /// Whether `count` is too much; `total` is how many objects there were.
    #[must_use]
    pub fn is_passed(self, count: u64, total: u64) -> bool {
        match self {
            Self::Count(least) => count >= u64::from(least),
            Self::Share(share) => {
                let (count_of_all, share_of_total) = (
                    u128::from(count) * u128::from(ALL),
                    u128::from(share) * u128::from(total),
                );
                count >= LEAST_OF_A_SHARE && count_of_all > share_of_total
            }
        }
    }

    /// Whether something may pass it that would not pass another.
    #[must_use]
    pub fn finds_later_than(self, other: Self) -> bool {
        match (self, other) {
            (Self::Share(own), Self::Share(other)) | (Self::Count(own), Self::Count(other)) => {
                own > other
            }
            (Self::Count(1), Self::Share(_)) => false,
            (Self::Count(_), Self::Share(_)) | (Self::Share(_), Self::Count(_)) => true,
        }
    }

    /// As a sentence goes on after "its limit is".
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Self::Count(1) => "any".to_owned(),
            Self::Count(least) => format!("{least} or more"),
            Self::Share(_) => {
                format!("more than {self} of a type's objects, and at least {LEAST_OF_A_SHARE}")
            }
        }
    }
}

impl FromStr for Limit {
    type Err = InvalidLimit;

    /// Reads `5%`, `0.25%`, `20` or `any`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidLimit(text.to_owned());
        if text == "any" {
            return Ok(Self::Count(1));
        }
        let digits = |text: &str| -> Option<u32> {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        };
        let Some(percent) = text.strip_suffix('%') else {
            let least = digits(text).filter(|least| *least > 0);
            return least.map(Self::Count).ok_or_else(invalid);
        };
        let (whole, part) = percent.split_once('.').unwrap_or((percent, "00"));
        let part = match part.len() {
            1 => digits(part).map(|tenths| tenths * 10),
            2 => digits(part),
            _ => None,
        };
        let share = digits(whole).zip(part).and_then(|(whole, part)| {
            let share = whole.checked_mul(100)?.checked_add(part)?;
            (share < ALL).then_some(share)
        });
        share.map(Self::Share).ok_or_else(invalid)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(1) => f.write_str("any"),
            Self::Count(least) => write!(f, "{least}"),
            Self::Share(share) => match (share / 100, share % 100) {
                (whole, 0) => write!(f, "{whole}%"),
                (whole, part) => write!(f, "{whole}.{part:02}%"),
            },
        }
    }
}
