//! Identifiers as distinct types, validated once where they enter.

use std::fmt;

/// An identifier that is empty, too long or holds a character that a storage
/// key may not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not valid: {expected}")]
pub struct InvalidId {
    what: &'static str,
    value: String,
    expected: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses an identifier.
            ///
            /// # Errors
            /// [`InvalidId`] where the text has another shape.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> Option<String> = $valid;
                valid(text).map(|text| Self(text.into())).ok_or_else(|| InvalidId {
                    what: $what,
                    value: text.chars().take(80).collect(),
                    expected: $expected,
                })
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
    };
}

/// Lowercase letters, digits and hyphens, at most 80: fit for a storage key.
fn slug(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 80
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'T');
    fits.then(|| text.to_owned())
}

/// The bytes that an object's id may hold; a table, since millions of ids are read.
const OBJECT_ID: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        byte += 1;
    }
    table
};

identifier!(
    /// A tenant: the directory's GUID, lowercase with hyphens.
    TenantId, "tenant id", "a GUID is expected",
    |text| uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 36).map(|id| id.to_string())
);
identifier!(
    /// A directory object's id as Graph gives it: a GUID for most types, a short
    /// name for some policies.
    ObjectId, "object id", "1 to 128 letters, digits, hyphens, underscores or dots are expected",
    |text| {
        let fits = !text.is_empty()
            && text.len() <= 128
            && text.bytes().all(|b| OBJECT_ID[usize::from(b)]);
        fits.then(|| text.to_owned())
    }
);
identifier!(
    /// A snapshot: the slot it was taken for, `YYYYMMDD-daily` or
    /// `YYYYMMDDTHHMMSS-{hash}`.
    SnapshotId, "snapshot id", "lowercase letters, digits and hyphens are expected", slug
);
identifier!(
    /// A difference report.
    ReportId, "report id", "lowercase letters, digits and hyphens are expected", slug
);
identifier!(
    /// A restore plan.
    PlanId, "plan id", "lowercase letters, digits and hyphens are expected", slug
);
identifier!(
    /// A restore: one application of a plan. It carries the plan's id.
    RestoreId, "restore id", "lowercase letters, digits and hyphens are expected", slug
);
identifier!(
    /// A signal: the slot of the snapshot that it was raised after, or when it was done,
    /// and its rule; of one entry of the audit log a mark of that, too.
    SignalId, "signal id", "lowercase letters, digits and hyphens are expected", slug
);
