//! Values as a person reads them.
//!
//! Owns shortening, times, sizes and the taming of text that comes from a
//! tenant, where anybody may have named a thing to play tricks on a terminal.

use chrono::{DateTime, SecondsFormat, Utc};
use prost_types::Timestamp;

/// The longest value that a table shows.
const LONGEST: usize = 72;

/// Text that cannot steer a terminal: control and direction characters, and
/// those that nobody sees, are written out.
#[must_use]
pub fn tame(text: &str) -> String {
    written_out(text, steers)
}

/// The same, with the line breaks and tabs that a description may well have.
#[must_use]
pub fn tame_lines(text: &str) -> String {
    written_out(text, |c| steers(c) && !matches!(c, '\n' | '\r' | '\t'))
}

fn steers(c: char) -> bool {
    c.is_control()
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

fn written_out(text: &str, steers: impl Fn(char) -> bool) -> String {
    if !text.contains(&steers) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| {
            if steers(c) {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// Text shortened for a table: the beginning and the end stay, since ids and
/// addresses often differ only there.
#[must_use]
pub fn shorten(text: &str) -> String {
    let text = tame(text);
    let length = text.chars().count();
    if length <= LONGEST {
        return text;
    }
    let tail = LONGEST / 4;
    let head = LONGEST - tail - 1;
    text.chars()
        .take(head)
        .chain(['…'])
        .chain(text.chars().skip(length - tail))
        .collect()
}

/// A JSON value, or its absence, shortened for a table.
#[must_use]
pub fn json(value: Option<&str>) -> String {
    value.map_or_else(|| "(none)".to_owned(), shorten)
}

/// A time in UTC to the second; a dash where there is none.
#[must_use]
pub fn time(value: Option<&Timestamp>) -> String {
    utc(value).map_or_else(
        || "-".to_owned(),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

/// A time in UTC, where there is one and it is in range.
#[must_use]
pub fn utc(value: Option<&Timestamp>) -> Option<DateTime<Utc>> {
    value.and_then(proto::convert::time)
}

/// A size in bytes, in the largest unit that leaves a whole part.
#[must_use]
pub fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = i128::from(bytes) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// An enum's name without its prefix, in small letters: `SOFT_DELETED` of
/// `CHANGE_KIND_SOFT_DELETED` becomes `soft deleted`.
#[must_use]
pub fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .to_ascii_lowercase()
        .replace('_', " ")
}

/// A count with its noun.
#[must_use]
pub fn count(number: i64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The last part of a resource name.
#[must_use]
pub fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_keep_both_ends() {
        let fits = "x".repeat(LONGEST);
        assert_eq!(shorten(&fits), fits);
        let long = format!("{}{}", "a".repeat(100), "z".repeat(100));
        let short = shorten(&long);
        assert_eq!(short.chars().count(), LONGEST);
        assert!(short.starts_with("aaa") && short.ends_with("zzz") && short.contains('…'));
    }

    #[test]
    fn characters_are_never_cut() {
        let long = "ä€😀".repeat(60);
        assert_eq!(shorten(&long).chars().count(), LONGEST);
    }

    #[test]
    fn absence_differs_from_an_empty_value() {
        assert_eq!(json(None), "(none)");
        assert_eq!(json(Some("\"\"")), "\"\"");
        assert_eq!(json(Some("null")), "null");
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(tame("Adele Vance"), "Adele Vance");
        assert_eq!(
            tame("a\u{1b}[31mb\nc\u{202e}d"),
            "a\\u{1b}[31mb\\nc\\u{202e}d"
        );
        assert_eq!(tame("a\u{200b}b\u{2028}c"), "a\\u{200b}b\\u{2028}c");
        assert_eq!(tame_lines("a\n\tb\u{1b}"), "a\n\tb\\u{1b}");
    }

    #[test]
    fn sizes_and_words_are_plain() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(5_767_168), "5.5 MiB");
        assert_eq!(
            size(i64::MAX),
            "8388608.0 TiB".replace("8388608.0", "8388607.9")
        );
        assert_eq!(
            word("CHANGE_KIND_SOFT_DELETED", "CHANGE_KIND_"),
            "soft deleted"
        );
        assert_eq!(count(1, "link", "links"), "1 link");
        assert_eq!(id_of("tenants/a/plans/b"), "b");
        assert_eq!(time(None), "-");
        assert_eq!(
            time(Some(&Timestamp {
                seconds: 0,
                nanos: 0
            })),
            "1970-01-01T00:00:00Z"
        );
    }
}
