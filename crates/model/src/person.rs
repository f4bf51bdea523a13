//! What a caller is called from the door on, and when two names are one person's.
//!
//! Owns the form of a name whose bearer an identity provider vouches for: what people
//! read, `#`, and a tag that follows from the provider and its own key for the person.
//! The first half may change or be taken by somebody else, the tag may not. Names from
//! an operator's files have no tag, so neither kind can pass for the other.

/// Stands between what people read and the tag.
const MARK: char = '#';

/// A name with the tag of whoever bears it.
#[must_use]
pub fn tagged(name: &str, tag: &str) -> String {
    format!("{name}{MARK}{tag}")
}

/// The part of a name that people read.
#[must_use]
pub fn shown(name: &str) -> &str {
    name.rsplit_once(MARK).map_or(name, |(shown, _)| shown)
}

/// Whether two names are one person's. Of tagged ones the tags decide; names without
/// differ not by case alone.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    match (one.rsplit_once(MARK), other.rsplit_once(MARK)) {
        (Some((_, one)), Some((_, other))) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_decides_where_there_is_one() {
        for (one, other, expected) in [
            ("anna", "Anna", true),
            ("anna", "ben", false),
            ("anna#1", "anna#2", false),
            ("anna#1", "ann#1", true),
            ("anna#1", "anna", false),
            ("a#b#1", "c#1", true),
            ("", "", true),
        ] {
            assert_eq!(is_same(one, other), expected, "{one} {other}");
            assert_eq!(is_same(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn people_read_the_first_part() {
        assert_eq!(shown(&tagged("anna@contoso.com", "0f")), "anna@contoso.com");
        assert_eq!(shown("anna"), "anna");
    }
}
