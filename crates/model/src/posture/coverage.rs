//! Whether a policy binds everybody who could, wherever they are.
//!
//! Owns the reading of conditions for that question, on the side of caution: a
//! condition that is not understood counts as a way round. What the policy asks for is
//! not looked at.
//!
//! Source: the resource pages of `conditionalAccessConditionSet` and
//! `conditionalAccessUsers`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::id::ObjectId;
use crate::lockout::texts;

/// Conditions that a sentence of their own is for; all others are ways round by their
/// name.
const KNOWN: [&str; 7] = [
    "users",
    "applications",
    "clientAppTypes",
    "platforms",
    "locations",
    "devices",
    // It is about applications, not about people.
    "servicePrincipalRiskLevels",
];

/// The ways round a policy for those who hold one of the roles (template ids; `None`
/// where they are not known), but for its device filter; none where it binds all.
pub(super) fn ways_round(policy: &Value, roles: Option<&BTreeSet<ObjectId>>) -> Vec<String> {
    let nothing = Value::Null;
    let conditions = policy.get("conditions").unwrap_or(&nothing);
    let mut ways = Vec::new();
    if !includes_all(conditions, roles) {
        ways.push("it is not for all users".to_owned());
    }
    let clients = texts(conditions, "/clientAppTypes");
    let has = |wanted: &str| clients.contains(&wanted);
    let people = has("browser") && has("mobileAppsAndDesktopClients");
    if !clients.is_empty() && !has("all") && !people {
        ways.push("it is for some client apps only".to_owned());
    }
    let narrowed = |include: &str, exclude: &str, all: &str| {
        let named = texts(conditions, include);
        let some = !named.is_empty() && !named.iter().any(|one| one.eq_ignore_ascii_case(all));
        some || !texts(conditions, exclude).is_empty()
    };
    if narrowed(
        "/platforms/includePlatforms",
        "/platforms/excludePlatforms",
        "all",
    ) {
        ways.push("it is for some platforms only".to_owned());
    }
    if narrowed(
        "/locations/includeLocations",
        "/locations/excludeLocations",
        "All",
    ) {
        ways.push("it is for some locations only".to_owned());
    }
    let others = conditions.as_object().into_iter().flatten();
    let others = others.filter(|(name, value)| {
        let known = KNOWN.contains(&name.as_str()) || name.contains('@');
        !known && says_something(value)
    });
    ways.extend(others.map(|(name, _)| format!("it has the condition {name}")));
    ways
}

/// The rule of a policy's device filter, and whether it is about the devices that the
/// rule describes (`include`) or about all others (`exclude`).
pub(super) fn device_filter(policy: &Value) -> Option<(&str, &str)> {
    let filter = policy.pointer("/conditions/devices/deviceFilter")?;
    let text = |name: &str| filter.get(name).and_then(Value::as_str);
    Some((text("mode")?, text("rule")?))
}

/// Whether a policy that blocks lets through only devices that its filter describes.
///
/// A rule of negative operators alone also holds for devices that are not known, whose
/// attributes are empty ("Conditional Access: Filter for devices").
///
/// The same holds for comparisons with nothing; a rule that turns a part of it round is
/// not looked into.
pub(super) fn lets_through_described_only((mode, rule): (&str, &str)) -> bool {
    let plain = rule.to_ascii_lowercase();
    let words = || plain.split(|it: char| it.is_whitespace() || "()[],".contains(it));
    if words().any(|word| matches!(word, "not" | "null" | "$null" | "\"\"" | "''")) {
        return false;
    }
    let mut operators = rule.split_whitespace().filter(|word| {
        let word = word.trim_start_matches('(');
        word.starts_with('-') && !matches!(word.to_ascii_lowercase().as_str(), "-and" | "-or")
    });
    let negates = |word: &str| {
        let word = word.to_ascii_lowercase();
        word == "-ne" || word.starts_with("-not")
    };
    match mode {
        "exclude" => {
            operators.next().is_some_and(|first| !negates(first)) && !operators.any(negates)
        }
        "include" => operators.next().is_some_and(negates) && operators.all(negates),
        _ => false,
    }
}

/// All users, or every role that counts.
fn includes_all(conditions: &Value, roles: Option<&BTreeSet<ObjectId>>) -> bool {
    let users = texts(conditions, "/users/includeUsers");
    let included = texts(conditions, "/users/includeRoles");
    let is_included = |role: &ObjectId| {
        let mut included = included.iter();
        included.any(|one| one.eq_ignore_ascii_case(role.as_str()))
    };
    users.contains(&"All")
        || roles.is_some_and(|roles| !roles.is_empty() && roles.iter().all(is_included))
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty() && text != "none",
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| !name.contains('@') && says_something(value)),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
