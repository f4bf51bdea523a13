//! Until when a call has to be answered.
//!
//! Owns the reading and writing of `grpc-timeout`, as gRPC over HTTP/2 defines it, and
//! the most that a caller can ask for.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// The header.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");
/// The most digits of its number.
const DIGITS: usize = 8;

/// How long a call may take: as the caller says, if that is not more than the most.
pub(crate) fn of(headers: &HeaderMap, most: Duration) -> Duration {
    headers
        .get(HEADER)
        .and_then(read)
        .map_or(most, |asked| asked.min(most))
}

fn read(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The header's value, in milliseconds while those fit.
pub(crate) fn value(deadline: Duration) -> HeaderValue {
    let milliseconds = deadline.as_millis();
    let text = if milliseconds < 10_u128.pow(8) {
        format!("{milliseconds}m")
    } else {
        format!("{}S", deadline.as_secs().min(10_u64.pow(8) - 1))
    };
    HeaderValue::from_str(&text).expect("invariant: digits and a letter are fit for a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_can_ask_for_less_and_not_for_more() {
        let most = Duration::from_secs(60);
        for (asked, expected) in [
            (None, most),
            (Some("7S"), Duration::from_secs(7)),
            (Some("1M"), most),
            (Some("2M"), most),
            (Some("99999999H"), most),
            (Some("1500m"), Duration::from_millis(1500)),
            (Some("20u"), Duration::from_micros(20)),
            (Some("30n"), Duration::from_nanos(30)),
            (Some("0S"), Duration::ZERO),
            (Some("123456789n"), most),
            (Some("S"), most),
            (Some(""), most),
            (Some("-1S"), most),
            (Some("1s"), most),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(asked.map(|text| (HEADER, HeaderValue::from_static(text))));
            assert_eq!(of(&headers, most), expected, "{asked:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for deadline in [
            Duration::from_millis(1),
            Duration::from_millis(99_999_999),
            Duration::from_secs(100_000),
            Duration::from_secs(10_u64.pow(8) - 1),
        ] {
            assert_eq!(read(&value(deadline)), Some(deadline));
        }
    }
}
