//! Values as a person reads them.
//!
//! Owns the filters of the templates: names that come from a tenant, numbers, sizes,
//! times. A module that derives a template says `use super::filters;`.

use askama::filters::{Html, HtmlSafeOutput, escape};
use askama::{Result, Values};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;

/// A number that is grouped.
pub(crate) trait Whole {
    fn whole(&self) -> i128;
}

macro_rules! whole {
    ($($type:ty)*) => {
        $(impl Whole for $type {
            fn whole(&self) -> i128 {
                *self as i128
            }
        })*
    };
}

whole!(i32 u32 i64 u64 usize);

impl<T: Whole + ?Sized> Whole for &T {
    fn whole(&self) -> i128 {
        (**self).whole()
    }
}

/// A moment, where it is known.
pub(crate) trait Moment {
    fn moment(&self) -> Option<DateTime<Utc>>;
}

impl Moment for Timestamp {
    fn moment(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.seconds, u32::try_from(self.nanos).ok()?)
    }
}

impl Moment for DateTime<Utc> {
    fn moment(&self) -> Option<DateTime<Utc>> {
        Some(*self)
    }
}

impl<T: Moment> Moment for Option<T> {
    fn moment(&self) -> Option<DateTime<Utc>> {
        self.as_ref()?.moment()
    }
}

impl<T: Moment + ?Sized> Moment for &T {
    fn moment(&self) -> Option<DateTime<Utc>> {
        (**self).moment()
    }
}

/// A name that comes from a tenant: isolated from the text around it, with what steers
/// direction or is not seen written out.
#[askama::filter_fn]
pub(crate) fn named<T: AsRef<str>>(text: T, _: &dyn Values) -> Result<HtmlSafeOutput<String>> {
    let tamed = tame(text.as_ref());
    let escaped = escape(&tamed, Html)?;
    Ok(HtmlSafeOutput(format!(
        "<bdi class=\"name\">{escaped}</bdi>"
    )))
}

/// Text of a tenant where there can be no element, such as an attribute or a title.
#[askama::filter_fn]
pub(crate) fn tamed<T: AsRef<str>>(text: T, _: &dyn Values) -> Result<String> {
    Ok(tame(text.as_ref()))
}

/// A number with its thousands apart: 12,345.
#[askama::filter_fn]
pub(crate) fn grouped<T: Whole>(number: T, _: &dyn Values) -> Result<String> {
    Ok(group(number.whole()))
}

/// A number of bytes: 3.4 MiB.
#[askama::filter_fn]
pub(crate) fn bytes<T: Whole>(number: T, _: &dyn Values) -> Result<String> {
    Ok(size(number.whole()))
}

/// A moment, in UTC; a dash where it is not known.
#[askama::filter_fn]
pub(crate) fn when<T: Moment>(moment: T, _: &dyn Values) -> Result<HtmlSafeOutput<String>> {
    Ok(HtmlSafeOutput(time(moment.moment())))
}

/// The path some levels above.
#[askama::filter_fn]
pub(crate) fn up<T: AsRef<str>>(path: T, _: &dyn Values, levels: usize) -> Result<String> {
    let mut path = path.as_ref();
    for _ in 0..levels {
        path = path.rsplit_once('/').map_or(path, |(above, _)| above);
    }
    Ok(path.to_owned())
}

/// Text that cannot steer how what is around it is shown.
pub(crate) fn tame(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            tamed.extend(c.escape_unicode());
        } else {
            tamed.push(c);
        }
    }
    tamed
}

/// Control and direction characters, and those that nobody sees; white space of a text
/// of several lines is none of them.
fn steers(c: char) -> bool {
    let is_space = matches!(c, '\n' | '\r' | '\t');
    (c.is_control() && !is_space)
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// A number with its thousands apart.
pub(crate) fn group(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    if number < 0 {
        text.push('−');
    }
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size with the unit that suits it.
pub(crate) fn size(bytes: i128) -> String {
    let bytes = bytes.max(0);
    let mut unit = 1024_i128;
    for name in ["KiB", "MiB", "GiB", "TiB"] {
        if bytes < unit * 1024 || name == "TiB" {
            if bytes < 1024 {
                break;
            }
            let tenths = bytes * 10 / unit;
            return format!("{}.{} {name}", group(tenths / 10), tenths % 10);
        }
        unit *= 1024;
    }
    format!("{bytes} bytes")
}

/// A moment as an element.
pub(crate) fn time(moment: Option<DateTime<Utc>>) -> String {
    match moment {
        None => "<span class=\"none\">—</span>".to_owned(),
        Some(moment) => format!(
            "<time datetime=\"{}\">{}</time>",
            moment.format("%Y-%m-%dT%H:%M:%SZ"),
            moment.format("%-d %b %Y, %H:%M UTC"),
        ),
    }
}

/// How long ago, or how long, in the largest unit that suits: 3 h, 2 days.
pub(crate) fn span(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..=0 => "0 s".to_owned(),
        1..=119 => format!("{seconds} s"),
        120..=7199 => format!("{minutes} min"),
        7200..=172_799 => format!("{hours} h"),
        _ => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_spans_are_read_at_a_glance() {
        let grouped = [0, 7, 999, 1000, 1_234_567, -45_678].map(group);
        assert_eq!(grouped, ["0", "7", "999", "1,000", "1,234,567", "−45,678"]);
        let sizes = [0, 1023, 1024, 1536, 5 << 20, 3 << 30, 5000 << 40].map(size);
        assert_eq!(
            sizes,
            [
                "0 bytes",
                "1023 bytes",
                "1.0 KiB",
                "1.5 KiB",
                "5.0 MiB",
                "3.0 GiB",
                "5,000.0 TiB"
            ]
        );
        let spans = [-5, 0, 5, 300, 7200, 200_000].map(span);
        assert_eq!(spans, ["0 s", "0 s", "5 s", "5 min", "2 h", "2 days"]);
    }

    #[test]
    fn what_steers_a_reader_is_written_out() {
        assert_eq!(
            tame("a\u{202e}b\u{2069}c\u{7}"),
            "a\\u{202e}b\\u{2069}c\\u{7}"
        );
        assert_eq!(tame("Zoë\nאבג"), "Zoë\nאבג");
    }
}
