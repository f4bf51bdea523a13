//! The v1.0 schema of a policy's nested parts, as data, and the matcher for it.

use serde_json::Value;

/// The form of a member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    Text,
    OneOf(&'static [&'static str]),
    Texts,
    EachOf(&'static [&'static str]),
    Flag,
    Number,
    Object(&'static [(&'static str, Field)]),
}

use Field::{EachOf, Flag, Number, Object, OneOf, Text, Texts};

const RISKS: &[&str] = &["low", "medium", "high", "hidden", "none"];
const PLATFORMS: &[&str] = &[
    "android",
    "iOS",
    "windows",
    "windowsPhone",
    "macOS",
    "all",
    "linux",
];
const CLIENT_APPS: &[&str] = &[
    "all",
    "browser",
    "mobileAppsAndDesktopClients",
    "exchangeActiveSync",
    "easSupported",
    "other",
];
const CONTROLS: &[&str] = &[
    "block",
    "mfa",
    "compliantDevice",
    "domainJoinedDevice",
    "approvedApplication",
    "compliantApplication",
    "passwordChange",
    "riskRemediation",
];
const FILTER: &[(&str, Field)] = &[("mode", OneOf(&["include", "exclude"])), ("rule", Text)];
const GUESTS: &[(&str, Field)] = &[
    ("guestOrExternalUserTypes", Text),
    (
        "externalTenants",
        Object(&[
            ("@odata.type", Text),
            ("membershipKind", OneOf(&["all", "enumerated"])),
            ("members", Texts),
        ]),
    ),
];

pub(super) const CONDITIONS: &[(&str, Field)] = &[
    (
        "applications",
        Object(&[
            ("applicationFilter", Object(FILTER)),
            ("excludeApplications", Texts),
            ("includeApplications", Texts),
            ("includeAuthenticationContextClassReferences", Texts),
            ("includeUserActions", Texts),
        ]),
    ),
    ("authenticationFlows", Object(&[("transferMethods", Text)])),
    ("clientAppTypes", EachOf(CLIENT_APPS)),
    (
        "clientApplications",
        Object(&[
            ("excludeServicePrincipals", Texts),
            ("includeServicePrincipals", Texts),
            ("servicePrincipalFilter", Object(FILTER)),
        ]),
    ),
    ("devices", Object(&[("deviceFilter", Object(FILTER))])),
    ("insiderRiskLevels", Text),
    (
        "locations",
        Object(&[("excludeLocations", Texts), ("includeLocations", Texts)]),
    ),
    (
        "platforms",
        Object(&[
            ("excludePlatforms", EachOf(PLATFORMS)),
            ("includePlatforms", EachOf(PLATFORMS)),
        ]),
    ),
    ("servicePrincipalRiskLevels", EachOf(RISKS)),
    ("signInRiskLevels", EachOf(RISKS)),
    ("userRiskLevels", EachOf(RISKS)),
    (
        "users",
        Object(&[
            ("excludeGroups", Texts),
            ("excludeGuestsOrExternalUsers", Object(GUESTS)),
            ("excludeRoles", Texts),
            ("excludeUsers", Texts),
            ("includeGroups", Texts),
            ("includeGuestsOrExternalUsers", Object(GUESTS)),
            ("includeRoles", Texts),
            ("includeUsers", Texts),
        ]),
    ),
];

pub(super) const GRANT_CONTROLS: &[(&str, Field)] = &[
    ("operator", OneOf(&["AND", "OR"])),
    ("builtInControls", EachOf(CONTROLS)),
    ("customAuthenticationFactors", Texts),
    ("termsOfUse", Texts),
    // Only a reference is taken; the strength itself is written elsewhere.
    (
        "authenticationStrength",
        Object(&[("id", Text), ("@odata.type", Text)]),
    ),
];

pub(super) const SESSION_CONTROLS: &[(&str, Field)] = &[
    (
        "applicationEnforcedRestrictions",
        Object(&[("isEnabled", Flag)]),
    ),
    (
        "cloudAppSecurity",
        Object(&[
            ("isEnabled", Flag),
            (
                "cloudAppSecurityType",
                OneOf(&["mcasConfigured", "monitorOnly", "blockDownloads"]),
            ),
        ]),
    ),
    ("disableResilienceDefaults", Flag),
    (
        "persistentBrowser",
        Object(&[("isEnabled", Flag), ("mode", OneOf(&["always", "never"]))]),
    ),
    ("secureSignInSession", Object(&[("isEnabled", Flag)])),
    (
        "signInFrequency",
        Object(&[
            ("isEnabled", Flag),
            ("value", Number),
            ("type", OneOf(&["days", "hours"])),
            (
                "authenticationType",
                OneOf(&[
                    "primaryAndSecondaryAuthentication",
                    "secondaryAuthentication",
                ]),
            ),
            ("frequencyInterval", OneOf(&["timeBased", "everyTime"])),
        ]),
    ),
];

pub(super) const SESSION_NAMES: &[&str] = &[
    "applicationEnforcedRestrictions",
    "cloudAppSecurity",
    "disableResilienceDefaults",
    "persistentBrowser",
    "secureSignInSession",
    "signInFrequency",
];

/// Lists and nullable members that a nested condition always shows once it is there.
pub(super) const NESTED: &[(&str, &[&str], &[&str])] = &[
    (
        "applications",
        &[
            "includeApplications",
            "excludeApplications",
            "includeUserActions",
            "includeAuthenticationContextClassReferences",
        ],
        &["applicationFilter"],
    ),
    (
        "users",
        &[
            "includeUsers",
            "excludeUsers",
            "includeGroups",
            "excludeGroups",
            "includeRoles",
            "excludeRoles",
        ],
        &[
            "includeGuestsOrExternalUsers",
            "excludeGuestsOrExternalUsers",
        ],
    ),
    ("locations", &["includeLocations", "excludeLocations"], &[]),
    ("platforms", &["includePlatforms", "excludePlatforms"], &[]),
    (
        "clientApplications",
        &["includeServicePrincipals", "excludeServicePrincipals"],
        &["servicePrincipalFilter"],
    ),
];

/// Whether an object has only known members in their right form.
pub(super) fn matches(fields: &[(&str, Field)], value: &Value) -> bool {
    let Value::Object(members) = value else {
        return false;
    };
    members.iter().all(|(name, value)| {
        fields
            .iter()
            .find(|(known, _)| known == name)
            .is_some_and(|(_, field)| value.is_null() || fits(*field, value))
    })
}

fn fits(field: Field, value: &Value) -> bool {
    let each = |allowed: &dyn Fn(&str) -> bool| {
        value
            .as_array()
            .is_some_and(|items| items.iter().all(|item| item.as_str().is_some_and(allowed)))
    };
    match field {
        Text => value.is_string(),
        OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
        Texts => each(&|_| true),
        EachOf(names) => each(&|text| names.contains(&text)),
        Flag => value.is_boolean(),
        Number => value.is_i64(),
        Object(fields) => matches(fields, value),
    }
}
