//! The settings of a second store beside the first.
//!
//! Owns which settings belong together. It must never let one store be reached
//! with half of the other's settings: at the first's endpoint with the second's
//! bucket, or as one of them with the other's token.

use super::Setting;

/// Where a cloud's store is, and who its user is: of each group a second store has
/// all of its own or none.
const GROUPS: [&[&str]; 6] = [
    &[
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    ],
    &[
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ENDPOINT_URL_STS",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ],
    &["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT"],
    &[
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_AUTHORITY_HOST",
        "IDENTITY_ENDPOINT",
    ],
    &["GOOGLE_BASE_URL"],
    &[
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
    ],
];
/// Which of the groups say where a store is, by the scheme of its URL.
const PLACES: [(&str, usize); 3] = [("s3", 0), ("az", 2), ("gs", 4)];

/// Looks settings up for a second store: with the prefix where any of the same
/// group is given with it, and otherwise as for the first.
pub(crate) fn prefixed<'a>(
    prefix: &'a str,
    setting: Setting<'a>,
) -> impl Fn(&str) -> Option<String> + Sync + 'a {
    move |name| match group(name).is_some_and(|group| is_given(prefix, group, setting)) {
        true => given(prefix, name, setting),
        false => setting(name),
    }
}

/// Whether a second store of this scheme has settings of its own that say where
/// it is.
pub(crate) fn own_place(prefix: &str, scheme: &str, setting: Setting<'_>) -> bool {
    PLACES
        .iter()
        .any(|(of, group)| *of == scheme && is_given(prefix, GROUPS[*group], setting))
}

fn group(name: &str) -> Option<&'static [&'static str]> {
    GROUPS.into_iter().find(|group| group.contains(&name))
}

fn is_given(prefix: &str, group: &[&str], setting: Setting<'_>) -> bool {
    group
        .iter()
        .any(|name| given(prefix, name, setting).is_some())
}

fn given(prefix: &str, name: &str, setting: Setting<'_>) -> Option<String> {
    setting(&format!("{prefix}{name}")).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{AZURE_SETTINGS, GOOGLE_SETTINGS, S3_SETTINGS};

    #[test]
    fn every_setting_belongs_to_one_group() {
        let names = S3_SETTINGS
            .iter()
            .map(|(name, _)| *name)
            .chain(AZURE_SETTINGS.iter().map(|(name, _)| *name))
            .chain(GOOGLE_SETTINGS.iter().map(|(name, _)| *name));
        let mut count = 0;
        for name in names {
            let groups = GROUPS.iter().filter(|group| group.contains(&name));
            assert_eq!(groups.count(), 1, "{name}");
            count += 1;
        }
        assert_eq!(count, GROUPS.iter().map(|group| group.len()).sum::<usize>());
    }

    #[test]
    fn of_a_group_all_are_the_seconds_own_or_none() {
        let settings = [
            ("AWS_ENDPOINT_URL", "https://one"),
            ("AWS_REGION", "one"),
            ("AWS_ACCESS_KEY_ID", "one"),
            ("AWS_SESSION_TOKEN", "one"),
            ("COPY_AWS_REGION", "two"),
            ("COPY_AWS_SESSION_TOKEN", ""),
            ("AZURE_CLIENT_ID", "one"),
            ("COPY_AZURE_STORAGE_ACCOUNT_NAME", "two"),
        ];
        let setting = |name: &str| {
            let found = settings.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let second = prefixed("COPY_", &setting);
        for (name, expected) in [
            // It has a region of its own, so the first's endpoint is not its.
            ("AWS_REGION", Some("two")),
            ("AWS_ENDPOINT_URL", None),
            // What is empty is not given.
            ("AWS_ACCESS_KEY_ID", Some("one")),
            ("AWS_SESSION_TOKEN", Some("one")),
            // The same identity in another account.
            ("AZURE_STORAGE_ACCOUNT_NAME", Some("two")),
            ("AZURE_CLIENT_ID", Some("one")),
            ("SOMETHING_ELSE", None),
        ] {
            assert_eq!(second(name).as_deref(), expected, "{name}");
        }
        assert!(own_place("COPY_", "s3", &setting) && own_place("COPY_", "az", &setting));
        assert!(!own_place("COPY_", "gs", &setting) && !own_place("COPY_", "file", &setting));
    }
}
