//! Sizes of tenants, as benchmarks are asked for them.

use std::str::FromStr;

/// About how many objects a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, factor) = match text.to_lowercase().chars().last() {
            Some('k') => (&text[..text.len() - 1], 1_000),
            Some('m') => (&text[..text.len() - 1], 1_000_000),
            _ => (text, 1),
        };
        let number: u64 = digits
            .parse()
            .map_err(|_| format!("`{text}` is no size like 10k or 1m"))?;
        Ok(Self(number * factor))
    }
}

impl Size {
    /// About so many objects.
    pub(super) fn of(objects: u64) -> Self {
        Self(objects)
    }

    /// As it was asked for.
    pub(super) fn name(self) -> String {
        match self.0 {
            n if n >= 1_000_000 && n.is_multiple_of(1_000_000) => format!("{}M", n / 1_000_000),
            n if n >= 1_000 && n.is_multiple_of(1_000) => format!("{}k", n / 1_000),
            n => n.to_string(),
        }
    }

    /// About how many objects.
    pub(super) fn objects(self) -> u64 {
        self.0
    }

    /// Of a hundred objects 64 are users and four are groups; applications, their service principals and the assignments of their roles come along.
    pub(super) fn users(self) -> u64 {
        self.0 * 64 / 100
    }

    /// See [`Size::users`].
    pub(super) fn groups(self) -> u64 {
        self.0 * 4 / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_named() {
        for (text, number, name) in [
            ("10k", 10_000, "10k"),
            ("1M", 1_000_000, "1M"),
            ("1500", 1_500, "1500"),
        ] {
            let size = Size::from_str(text);
            assert_eq!(size, Ok(Size(number)));
            assert_eq!(size.map(Size::name), Ok(name.to_owned()));
        }
        assert!(Size::from_str("many").is_err() && Size::from_str("").is_err());
    }
}
