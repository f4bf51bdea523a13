//! Taking apart the JSON that Graph sends, without rewriting what is kept.

use std::borrow::Cow;
use std::fmt;

use model::{Object, ObjectId, ObjectState, ObjectType};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::directory::{NextLink, Page};
use crate::error::GraphError;

/// Reads a collection: `value` and `@odata.nextLink`.
pub(crate) fn page(body: &[u8], path: &str) -> Result<Page, GraphError> {
    #[derive(serde::Deserialize)]
    struct Collection {
        #[serde(default)]
        value: Option<Vec<Box<RawValue>>>,
        #[serde(default, rename = "@odata.nextLink")]
        next: Option<String>,
    }
    let collection: Collection =
        serde_json::from_slice(body).map_err(|error| GraphError::garbled(&error, path))?;
    let Some(items) = collection.value else {
        return Err(GraphError::Unexpected {
            what: "it has no value array".to_owned(),
            path: path.to_owned(),
        });
    };
    Ok(Page {
        items,
        next: collection.next.map(NextLink::new),
    })
}

/// Reads the single relation that was expanded in an object, as a page of at most one.
pub(crate) fn single(body: &[u8], relation: &str, path: &str) -> Result<Page, GraphError> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|error| GraphError::garbled(&error, path))?;
    let value = fields
        .0
        .into_iter()
        .find(|(key, value)| key == relation && value.get() != "null");
    Ok(Page {
        items: value
            .map(|(_, value)| value.to_owned())
            .into_iter()
            .collect(),
        next: None,
    })
}

/// Reads the one object of a type that has no list, as a page of one.
pub(crate) fn singleton(body: &[u8], path: &str) -> Result<Page, GraphError> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let garbled = |error| GraphError::garbled(&error, path);
    let (json, _) = split(text, &["@odata.context"]).map_err(garbled)?;
    let item = RawValue::from_string(json.into_owned()).map_err(garbled)?;
    Ok(Page {
        items: vec![item],
        next: None,
    })
}

/// Reads one object, without what the envelope added to it.
pub(crate) fn object(
    object_type: ObjectType,
    state: ObjectState,
    id: &ObjectId,
    json: &str,
    path: &str,
) -> Result<Object, GraphError> {
    let malformed = |what: String| GraphError::Malformed {
        what,
        path: path.to_owned(),
    };
    let (json, _) =
        split(json, &["@odata.context"]).map_err(|error| GraphError::garbled(&error, path))?;
    let object =
        Object::from_json(object_type, state, &json).map_err(|error| malformed(reason(&error)))?;
    if !object.id.as_str().eq_ignore_ascii_case(id.as_str()) {
        return Err(malformed("it has the id of another object".to_owned()));
    }
    Ok(object)
}

/// The `id` of an item.
pub(crate) fn id(item: &RawValue) -> Result<ObjectId, String> {
    Object::id_of(item.get()).map_err(|error| reason(&error))
}

/// Why something is no object, without repeating what it is.
pub(crate) fn reason(error: &model::object::MalformedObject) -> String {
    use model::object::MalformedObject;
    match error {
        MalformedObject::Json(_) => "is not json of the right shape",
        MalformedObject::NotAnObject => "is no json object",
        MalformedObject::NoId => "has no id",
        MalformedObject::BadId(_) => "has an id that is none",
    }
    .to_owned()
}

/// Fields that were taken out of an object.
pub(crate) type Taken = Vec<(String, Box<RawValue>)>;

/// Takes fields, and their annotations, out of an object; the rest keeps its
/// order and its text.
pub(crate) fn split<'a>(
    json: &'a str,
    names: &[&str],
) -> Result<(Cow<'a, str>, Taken), serde_json::Error> {
    if !names.iter().any(|name| json.contains(name)) {
        return Ok((Cow::Borrowed(json), Vec::new()));
    }
    let Fields(fields) = serde_json::from_str(json)?;
    let belongs = |key: &str| {
        names.iter().any(|name| {
            key.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
        })
    };
    let mut rest = String::with_capacity(json.len());
    let mut taken = Vec::new();
    for (key, value) in fields {
        if belongs(&key) {
            taken.push((key.into_owned(), value.to_owned()));
            continue;
        }
        rest.push(if rest.is_empty() { '{' } else { ',' });
        rest.push_str(&serde_json::to_string(&key)?);
        rest.push(':');
        rest.push_str(value.get());
    }
    rest.push_str(if rest.is_empty() { "{}" } else { "}" });
    Ok((Cow::Owned(rest), taken))
}

/// The fields of an object, in order, values untouched.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(serde::Deserialize)]
                struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut fields = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_keeps_order_and_text() {
        let check = |json: &str, rest: &str, taken: &[&str]| {
            let (left, out) = split(json, &["manager"]).unwrap();
            assert_eq!(left, rest);
            assert_eq!(
                out.iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect::<Vec<_>>(),
                taken
            );
        };
        check(
            r#"{"b":1.0,"a":"x\u00e9"}"#,
            r#"{"b":1.0,"a":"x\u00e9"}"#,
            &[],
        );
        check(
            r#"{"b":1.0,"manager":{"id":"m"},"a":[ 1 ]}"#,
            r#"{"b":1.0,"a":[ 1 ]}"#,
            &[r#"manager={"id":"m"}"#],
        );
        check(
            r#"{"manager@odata.context":"c","manager":null}"#,
            "{}",
            &[r#"manager@odata.context="c""#, "manager=null"],
        );
        check(
            r#"{"managerial":1,"jobTitle":"manager"}"#,
            r#"{"managerial":1,"jobTitle":"manager"}"#,
            &[],
        );
    }
}
