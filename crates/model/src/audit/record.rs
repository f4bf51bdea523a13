//! What an entry of the log says beyond who did what: what it is about, by name, and
//! the values before and after.
//!
//! Owns the decoding of values, which the log writes as JSON text inside JSON strings.
//! It keeps what it cannot decode as text, and decides nothing.

use serde_json::Value;

use super::{Entry, MalformedEntry, text};

/// How often a value is unwrapped at most: text in a list in text is two.
const DEPTH: usize = 4;

/// An entry with everything that was sent of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who did what, when.
    pub entry: Entry,
    /// What it is about, in the order of the log.
    pub targets: Vec<Target>,
}

/// One thing that an entry is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Its id, lowercase; of what is no object of the directory, a name or nothing.
    pub id: String,
    /// What the log calls it. May be empty.
    pub name: String,
    /// Its type in the log's words: `User`, `ServicePrincipal`, `Role`, `Policy`.
    pub kind: String,
    /// Of a user, the sign-in name. May be empty.
    pub user_principal_name: String,
    /// What the entry says was changed of it.
    pub changed: Vec<Changed>,
}

/// A property that an entry says was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its name in the log's words: `AccountEnabled`, `Role.TemplateId`.
    pub name: String,
    old: Option<String>,
    new: Option<String>,
}

impl Record {
    /// Takes one entry as Graph sent it; `None` where what it tells of did not succeed.
    ///
    /// # Errors
    /// [`MalformedEntry`] as [`Entry::from_value`].
    pub fn from_value(value: &Value) -> Result<Option<Self>, MalformedEntry> {
        let Some(entry) = Entry::from_value(value)? else {
            return Ok(None);
        };
        let targets = value.get("targetResources").and_then(Value::as_array);
        let targets = targets.into_iter().flatten().map(Target::from_value);
        Ok(Some(Self {
            entry,
            targets: targets.collect(),
        }))
    }

    /// All that was changed, of whatever.
    pub fn changed(&self) -> impl Iterator<Item = &Changed> {
        self.targets.iter().flat_map(|target| &target.changed)
    }

    /// Whether it is about an object, or names it among its values.
    #[must_use]
    pub fn names(&self, id: &str) -> bool {
        self.entry.names(id)
    }
}

impl Target {
    fn from_value(value: &Value) -> Self {
        let own = |key: &str| text(value, key).unwrap_or_default().to_owned();
        let changed = value.get("modifiedProperties").and_then(Value::as_array);
        let changed = changed.into_iter().flatten().filter_map(|property| {
            let side = |key: &str| text(property, key).map(str::to_owned);
            Some(Changed {
                name: text(property, "displayName")?.to_owned(),
                old: side("oldValue"),
                new: side("newValue"),
            })
        });
        // Microsoft's own examples write `type` and `Type`.
        let kind = text(value, "type").or_else(|| text(value, "Type"));
        Self {
            id: own("id").to_lowercase(),
            name: own("displayName"),
            kind: kind.unwrap_or_default().to_owned(),
            user_principal_name: own("userPrincipalName"),
            changed: changed.collect(),
        }
    }
}

impl Changed {
    /// The value before; `None` where there was none, or the log does not say.
    #[must_use]
    pub fn before(&self) -> Option<Value> {
        decoded(self.old.as_deref()?)
    }

    /// The value after; `None` where there is none, or the log does not say.
    #[must_use]
    pub fn after(&self) -> Option<Value> {
        decoded(self.new.as_deref()?)
    }
}

/// What text means: JSON where it is JSON, as often as it is wrapped, else itself.
/// The directory wraps single values in lists of one, which are unwrapped too.
fn decoded(text: &str) -> Option<Value> {
    let mut value = Value::String(text.to_owned());
    for _ in 0..DEPTH {
        let inner = match &value {
            Value::String(text) => serde_json::from_str(text).ok(),
            Value::Array(items) => match &items[..] {
                [only @ (Value::String(_) | Value::Bool(_) | Value::Null)] => Some(only.clone()),
                _ => None,
            },
            _ => None,
        };
        match inner {
            // A number in text may as well be a name.
            Some(Value::Number(_)) | None => break,
            Some(inner) => value = inner,
        }
    }
    (!value.is_null()).then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_unwrapped_as_often_as_they_are_wrapped() {
        let check = |text: &str, expected: Option<Value>| {
            assert_eq!(decoded(text), expected, "{text}");
        };
        check("True", Some(json!("True")));
        check("[true]", Some(json!(true)));
        check("\"[\\\"x\\\"]\"", Some(json!("x")));
        check("[\"a\",\"b\"]", Some(json!(["a", "b"])));
        check("[]", Some(json!([])));
        check("{\"state\":\"enabled\"}", Some(json!({"state": "enabled"})));
        check("[{\"keyId\":\"k\"}]", Some(json!([{"keyId": "k"}])));
        check("null", None);
        check("\"\\\"62e90394\\\"\"", Some(json!("62e90394")));
        check("{\"cut\":\"off", Some(json!("{\"cut\":\"off")));
        check("12", Some(json!("12")));
    }

    #[test]
    fn a_record_says_what_it_is_about() {
        let sent = json!({
            "id": "Directory_1", "result": "success",
            "activityDateTime": "2026-11-21T10:00:00Z", "activityDisplayName": "Update user",
            "targetResources": [
                {"id": "AB", "displayName": null, "Type": "User", "userPrincipalName": "a@b.example",
                 "modifiedProperties": [
                    {"displayName": "AccountEnabled", "oldValue": "[true]", "newValue": "[false]"},
                    {"displayName": null, "oldValue": "1", "newValue": "2"},
                 ]},
                {"displayName": "Nameless", "type": "Other"},
            ],
        });
        let record = Record::from_value(&sent).expect("well-formed");
        let record = record.expect("it succeeded");
        assert!(record.names("ab"));
        let [user, other] = &record.targets[..] else {
            panic!("two targets are expected: {record:?}");
        };
        assert_eq!(
            (user.id.as_str(), user.kind.as_str(), user.name.as_str()),
            ("ab", "User", "")
        );
        assert_eq!(user.user_principal_name, "a@b.example");
        assert_eq!((other.id.as_str(), other.kind.as_str()), ("", "Other"));
        let changed: Vec<_> = record.changed().collect();
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].before(), Some(json!(true)));
        assert_eq!(changed[0].after(), Some(json!(false)));
    }
}
