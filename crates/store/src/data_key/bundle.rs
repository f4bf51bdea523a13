//! A data key as text: what a recovery bundle holds.
//!
//! Owns that text, which the `age` tool reads as it is. It must never reach
//! anything but a cipher, nor be taken for the key of another tenant.

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use model::TenantId;
use zeroize::Zeroizing;

use super::{DataKey, Numbered};

/// The first line.
const TITLE: &str = "# rewind recovery bundle 1";

impl DataKey {
    /// The age identities as the text of an identity file.
    #[must_use]
    pub(crate) fn identity_file(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!("{TITLE}\n# tenant: {}\n", self.tenant));
        // Newly allocated memory leaves the old behind with what it held.
        text.reserve(self.keys.len() * 256);
        for key in &self.keys {
            let about = format!("# key: {}\n# public key: {}\n", key.number, key.recipient());
            text.push_str(&about);
            text.push_str(key.secret().expose_secret());
            text.push('\n');
        }
        text
    }

    /// The reverse. Comments that are not known are passed over.
    ///
    /// # Errors
    /// What is wrong with the text, without any of it.
    pub(crate) fn from_identity_file(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err("it holds no recovery bundle of this version");
        }
        let (mut tenant, mut keys): (Option<TenantId>, Vec<Numbered>) = (None, Vec::new());
        let (mut number, mut public) = (None, None);
        for line in lines {
            if let Some(id) = line.strip_prefix("# tenant: ") {
                tenant = TenantId::parse(id).ok();
            } else if let Some(text) = line.strip_prefix("# key: ") {
                number = text.parse().ok();
            } else if let Some(text) = line.strip_prefix("# public key: ") {
                public = Some(text);
            } else if !line.starts_with('#') && !line.is_empty() {
                let identity: Identity = line.parse().map_err(|_| "a key in it is damaged")?;
                let key = Numbered::new(number.take().ok_or("a key has no number")?, identity);
                if public.take() != Some(key.recipient().to_string().as_str()) {
                    return Err("a key does not belong to the public key above it");
                }
                if keys.last().is_some_and(|last| last.number >= key.number) {
                    return Err("its keys are out of order");
                }
                keys.push(key);
            }
        }
        match tenant {
            Some(tenant) if !keys.is_empty() => Ok(Self { tenant, keys }),
            _ => Err("it names no tenant, or holds no key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Zeroizing<String> {
        let tenant = TenantId::parse("11111111-0000-4000-8000-000000000000").unwrap();
        let mut key = DataKey::generate(tenant);
        key.keys.push(Numbered::generate(2));
        key.identity_file()
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written() {
        let text = text();
        let key = DataKey::from_identity_file(&text).unwrap();
        assert_eq!(key.numbers().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(key.identity_file(), text);
        let later = text.replace("# key: 1", "# made: 2026-11-27\n# key: 1");
        assert!(DataKey::from_identity_file(&later).is_ok());
    }

    #[test]
    fn a_bundle_that_is_none_is_refused_by_what_is_wrong() {
        let good = text();
        let lines: Vec<&str> = good.lines().collect();
        let without = |left_out: usize| {
            let kept = lines.iter().enumerate().filter(|(at, _)| *at != left_out);
            kept.map(|(_, line)| format!("{line}\n"))
                .collect::<String>()
        };
        let check = |text: String, expected: &str| {
            assert_eq!(DataKey::from_identity_file(&text).unwrap_err(), expected);
        };
        check(without(0), "it holds no recovery bundle of this version");
        check(without(1), "it names no tenant, or holds no key");
        check(without(2), "a key has no number");
        check(
            without(3),
            "a key does not belong to the public key above it",
        );
        check(
            good.replace("# key: 2", "# key: 1"),
            "its keys are out of order",
        );
        check(
            good.replace("# tenant: 1", "# tenant: x"),
            "it names no tenant, or holds no key",
        );
        check(
            good.replace(lines[4], "AGE-SECRET-KEY-1X"),
            "a key in it is damaged",
        );
        check(lines[..2].join("\n"), "it names no tenant, or holds no key");
        check(String::new(), "it holds no recovery bundle of this version");
    }
}
