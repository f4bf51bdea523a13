//! JSON read without being rebuilt: whether a text is sound, and its canonical form.
//!
//! A tenant has millions of objects, each read once to be checked and once to
//! be hashed, so neither may allocate a value for each member. The canonical
//! form is that of RFC 8785; what this module cannot write itself (numbers that
//! are no small integers, names beyond ASCII) goes through the library that can.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The largest integer that RFC 8785 writes as it stands.
const LARGEST: u64 = 1 << 53;

/// Any JSON value, looked at and dropped. What deserialises into it can be
/// parsed into a value later, unlike what is merely skipped: numbers are in
/// range, escapes are characters, and it is not nested too deeply.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;
        impl<'de> Visitor<'de> for Look {
            type Value = Sound;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("json")
            }

            fn visit_unit<E>(self) -> Result<Sound, E> {
                Ok(Sound)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
                Ok(Sound)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
                Ok(Sound)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
                Ok(Sound)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
                Ok(Sound)
            }

            fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
                Ok(Sound)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sound, A::Error> {
                while items.next_element::<Sound>()?.is_some() {}
                Ok(Sound)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Sound, A::Error> {
                while members.next_key::<Sound>()?.is_some() {
                    members.next_value::<Sound>()?;
                }
                Ok(Sound)
            }
        }
        deserializer.deserialize_any(Look)
    }
}

/// What the top of an object says of itself.
pub(crate) struct Head<'a> {
    /// Whether the value is an object at all.
    pub(crate) is_object: bool,
    /// Its `id`, where that is a string.
    pub(crate) id: Option<Cow<'a, str>>,
}

impl<'a> Head<'a> {
    /// Checks a whole text.
    ///
    /// # Errors
    /// Where it could not be parsed into a value.
    pub(crate) fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Head<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Head<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("json")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Head<'de>, A::Error> {
                let mut id = None;
                while let Some(Text(name)) = members.next_key()? {
                    if name == "id" {
                        id = members.next_value::<MaybeText<'de>>()?.0;
                    } else {
                        members.next_value::<Sound>()?;
                    }
                }
                Ok(Head {
                    is_object: true,
                    id,
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Head<'de>, A::Error> {
                while items.next_element::<Sound>()?.is_some() {}
                Ok(NO_OBJECT)
            }

            fn visit_unit<E>(self) -> Result<Head<'de>, E> {
                Ok(NO_OBJECT)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Head<'de>, E> {
                Ok(NO_OBJECT)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Head<'de>, E> {
                Ok(NO_OBJECT)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Head<'de>, E> {
                Ok(NO_OBJECT)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Head<'de>, E> {
                Ok(NO_OBJECT)
            }

            fn visit_str<E>(self, _: &str) -> Result<Head<'de>, E> {
                Ok(NO_OBJECT)
            }
        }
        deserializer.deserialize_any(Top)
    }
}

const NO_OBJECT: Head<'static> = Head {
    is_object: false,
    id: None,
};

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A text, or nothing where the value is of another shape.
struct MaybeText<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for MaybeText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Tree::deserialize(deserializer)? {
            Tree::Text(text) => Some(text),
            _ => None,
        }))
    }
}

/// A JSON value whose texts lie, where they can, in the source.
#[derive(Debug, PartialEq)]
pub enum Tree<'a> {
    /// `null`, `true` or `false`.
    Word(&'static str),
    /// A number that fits.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// An array.
    Items(Vec<Tree<'a>>),
    /// An object, its members in their order.
    Members(Vec<(Cow<'a, str>, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    /// Reads a text.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// A member of an object, where it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let Self::Members(members) = self else {
            return None;
        };
        // Of a name that occurs twice, the last one counts.
        let (_, value) = members.iter().rev().find(|(key, _)| key == name)?;
        match value {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Takes a member out of an object.
    pub fn drop_member(&mut self, name: &str) {
        if let Self::Members(members) = self {
            members.retain(|(key, _)| key != name);
        }
    }

    /// Writes the canonical form; `false` where this module cannot, and then
    /// `out` holds an unfinished text.
    #[must_use]
    pub fn write_canonical(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Word(word) => out.extend_from_slice(word.as_bytes()),
            Self::Integer(number) if number.unsigned_abs() <= LARGEST => {
                out.extend_from_slice(number.to_string().as_bytes());
            }
            Self::Integer(_) | Self::Number(_) => return false,
            Self::Text(text) => push_text(text, out),
            Self::Items(items) => {
                out.push(b'[');
                for (index, item) in items.iter_mut().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    if !item.write_canonical(out) {
                        return false;
                    }
                }
                out.push(b']');
            }
            Self::Members(members) => return push_members(members, out),
        }
        true
    }
}

fn push_members(members: &mut [(Cow<'_, str>, Tree<'_>)], out: &mut Vec<u8>) -> bool {
    // RFC 8785 sorts by UTF-16 units, which for ASCII are the bytes.
    if members.iter().any(|(name, _)| !name.is_ascii()) {
        return false;
    }
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return false;
    }
    out.push(b'{');
    for (index, (name, value)) in members.iter_mut().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(name, out);
        out.push(b':');
        if !value.write_canonical(out) {
            return false;
        }
    }
    out.push(b'}');
    true
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    if text
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
    {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // The library escapes as RFC 8785 wants it.
        serde_json::to_writer(out, text).expect("invariant: a text is writable");
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tree<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Grow;
        impl<'de> Visitor<'de> for Grow {
            type Value = Tree<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("json")
            }

            fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
                Ok(Tree::Word("null"))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tree<'de>, E> {
                Ok(Tree::Word(if value { "true" } else { "false" }))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree<'de>, E> {
                Ok(Tree::Integer(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree<'de>, E> {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "such a number is only ever written by the library, from the source"
                )]
                let beyond = Tree::Number(value as f64);
                Ok(i64::try_from(value).map_or(beyond, Tree::Integer))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tree<'de>, E> {
                Ok(Tree::Number(value))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Tree<'de>, E> {
                Ok(Tree::Text(Cow::Owned(value.to_owned())))
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Tree<'de>, E> {
                Ok(Tree::Text(Cow::Borrowed(value)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(Tree::Items(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(Text(name)) = members.next_key()? {
                    all.push((name, members.next_value()?));
                }
                Ok(Tree::Members(all))
            }
        }
        deserializer.deserialize_any(Grow)
    }
}

/// A JSON object's canonical form (RFC 8785), without one of its members, and
/// what a person calls it.
///
/// # Errors
/// Where the text is no JSON that has a canonical form.
pub fn canonical(json: &str, without: &str) -> Result<Canonical, serde_json::Error> {
    let mut tree = Tree::read(json)?;
    tree.drop_member(without);
    let name = ["displayName", "userPrincipalName"]
        .iter()
        .find_map(|key| tree.text(key).filter(|text| !text.is_empty()))
        .map(str::to_owned);
    let mut text = Vec::with_capacity(json.len());
    if !tree.write_canonical(&mut text) {
        let mut value: serde_json::Value = serde_json::from_str(json)?;
        if let Some(members) = value.as_object_mut() {
            members.remove(without);
        }
        text = serde_json_canonicalizer::to_vec(&value)?;
    }
    Ok(Canonical { name, text })
}

/// The answer of [`canonical`].
#[derive(Debug, PartialEq, Eq)]
pub struct Canonical {
    /// `displayName`, else `userPrincipalName`, where one is there.
    pub name: Option<String>,
    /// The canonical text.
    pub text: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("json has no other", |number| number.is_finite())
                .prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z@.é😀]{0,6}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_canonical_form_is_that_of_the_library(
            members in prop::collection::btree_map("[a-zA-Z@.]{1,8}", value(), 0..8),
        ) {
            let value = Value::Object(members.into_iter().collect());
            let ours = canonical(&value.to_string(), "absent").unwrap().text;
            prop_assert_eq!(
                String::from_utf8(ours).unwrap(),
                serde_json_canonicalizer::to_string(&value).unwrap()
            );
        }

        #[test]
        fn what_is_sound_can_be_parsed(text in r#"[\[\]{}:,"a0-9.eu\\ -]{0,24}"#) {
            let sound = serde_json::from_str::<Sound>(&text).is_ok();
            prop_assert_eq!(sound, serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn names_and_members_are_taken_from_the_top() {
        let check = |value: Value, name: Option<&str>, text: &str| {
            let canonical = canonical(&value.to_string(), "@odata.context").unwrap();
            assert_eq!(canonical.name.as_deref(), name, "{value}");
            assert_eq!(String::from_utf8(canonical.text).unwrap(), text);
        };
        check(
            json!({"id": "1", "displayName": "A", "@odata.context": "x"}),
            Some("A"),
            r#"{"displayName":"A","id":"1"}"#,
        );
        check(
            json!({"displayName": "", "userPrincipalName": "u@x"}),
            Some("u@x"),
            r#"{"displayName":"","userPrincipalName":"u@x"}"#,
        );
        check(
            json!({"n": 1.5, "é": {"@odata.context": 1}}),
            None,
            r#"{"n":1.5,"é":{"@odata.context":1}}"#,
        );
    }
}
