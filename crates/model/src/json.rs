//! JSON read without being rebuilt: whether a text is sound, and its canonical form.
//!
//! A tenant has millions of objects, each read once to be checked and once to
//! be hashed, so neither may allocate a value for each member. The canonical
//! form is that of RFC 8785; what this module cannot write itself (numbers that
//! are no small integers, names beyond ASCII) goes through the library that can.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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

/// An object that was looked at whole, with some members taken out of it.
#[derive(Debug)]
pub struct Apart<'a> {
    /// Whether the value is an object at all.
    pub is_object: bool,
    /// Its `id`, where that is a string.
    pub id: Option<Cow<'a, str>>,
    /// The members that were taken, with their annotations, in order; of their
    /// values only the bounds were looked at.
    pub taken: Vec<(&'a str, &'a RawValue)>,
    json: &'a str,
}

/// Takes members out of an object; the rest keeps its order and its text.
///
/// # Errors
/// Where the text could not be parsed into a value.
pub fn apart<'a>(json: &'a str, names: &[&str]) -> Result<Apart<'a>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let top = Top { names }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(Apart {
        is_object: top.is_object,
        id: top.id,
        taken: top.taken,
        json,
    })
}

impl<'a> Apart<'a> {
    /// A member that was taken, unless it is null.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&'a RawValue> {
        let mut taken = self.taken.iter().rev();
        let (_, value) = taken.find(|(key, _)| *key == name)?;
        (value.get() != "null").then_some(value)
    }

    /// The object without what was taken.
    #[must_use]
    pub fn rest(&self) -> Cow<'a, str> {
        if self.taken.is_empty() {
            return Cow::Borrowed(self.json);
        }
        let offset = |part: &str| part.as_ptr() as usize - self.json.as_ptr() as usize;
        let mut rest = String::with_capacity(self.json.len());
        let mut from = 0;
        for (key, value) in &self.taken {
            // From the name's quote to the end of the value, with one comma.
            let (start, end) = (offset(key) - 1, offset(value.get()) + value.get().len());
            let before = self.json[from..start].trim_end();
            let behind = self.json[end..].trim_start();
            match (before.strip_suffix(','), behind.strip_prefix(',')) {
                (Some(before), _) => {
                    rest.push_str(before);
                    from = end;
                }
                (None, Some(behind)) => {
                    rest.push_str(before);
                    from = self.json.len() - behind.len();
                }
                (None, None) => {
                    rest.push_str(before);
                    from = end;
                }
            }
        }
        rest.push_str(&self.json[from..]);
        Cow::Owned(rest)
    }
}

/// What is found at the top of a value.
struct Found<'a> {
    is_object: bool,
    id: Option<Cow<'a, str>>,
    taken: Vec<(&'a str, &'a RawValue)>,
}

/// Looks for members.
struct Top<'n> {
    names: &'n [&'n str],
}

impl Top<'_> {
    /// Whether a member is one of those, or an annotation of one.
    fn takes(&self, member: &str) -> bool {
        self.names.iter().any(|name| {
            member
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
        })
    }
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found {
            is_object: true,
            id: None,
            taken: Vec::new(),
        };
        while let Some(Text(name)) = members.next_key()? {
            if self.takes(&name) {
                let Cow::Borrowed(name) = name else {
                    return Err(A::Error::custom("a name is escaped"));
                };
                found.taken.push((name, members.next_value()?));
            } else if name == "id" {
                found.id = members.next_value::<MaybeText<'de>>()?.0;
            } else {
                members.next_value::<Sound>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found<'de>, A::Error> {
        while items.next_element::<Sound>()?.is_some() {}
        Ok(NO_OBJECT)
    }

    fn visit_unit<E>(self) -> Result<Found<'de>, E> {
        Ok(NO_OBJECT)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'de>, E> {
        Ok(NO_OBJECT)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<'de>, E> {
        Ok(NO_OBJECT)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found<'de>, E> {
        Ok(NO_OBJECT)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<'de>, E> {
        Ok(NO_OBJECT)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found<'de>, E> {
        Ok(NO_OBJECT)
    }
}

const NO_OBJECT: Found<'static> = Found {
    is_object: false,
    id: None,
    taken: Vec::new(),
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
    // To look at all bytes is quicker than to stop at the first that is special.
    let plain = |plain: bool, byte: u8| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\');
    if text.bytes().fold(true, plain) {
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

/// The member that tells how an object was read.
const CONTEXT: &str = "@odata.context";

/// An object's canonical form (RFC 8785), without the context of its reading, and
/// what a person calls it.
///
/// # Errors
/// Where the text is no JSON that has a canonical form.
pub fn canonical(json: &str) -> Result<Canonical, serde_json::Error> {
    let mut tree = Tree::read(json)?;
    tree.drop_member(CONTEXT);
    let name = ["displayName", "userPrincipalName"]
        .iter()
        .find_map(|key| tree.text(key).filter(|text| !text.is_empty()))
        .map(str::to_owned);
    let mut text = Vec::with_capacity(json.len());
    if !tree.write_canonical(&mut text) {
        let mut value: serde_json::Value = serde_json::from_str(json)?;
        if let Some(members) = value.as_object_mut() {
            members.remove(CONTEXT);
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

impl Canonical {
    /// What tells two states of an object apart.
    #[must_use]
    pub fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.text)
    }
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

    #[test]
    fn what_is_taken_out_leaves_the_rest_as_it_was() {
        let check = |json: &str, rest: &str, taken: &[&str]| {
            let apart = apart(json, &["manager"]).unwrap();
            let found: Vec<String> = apart
                .taken
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            assert_eq!(
                (&*apart.rest(), found),
                (rest, taken.iter().map(ToString::to_string).collect())
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
            r#"{ "manager" : 1 , "a" : 2 , "manager@x" : 3 }"#,
            r#"{ "a" : 2  }"#,
            &["manager=1", "manager@x=3"],
        );
        check(r#"{"manager":1,"a":2}"#, r#"{"a":2}"#, &["manager=1"]);
        check(r#"{"a":2,"manager":1}"#, r#"{"a":2}"#, &["manager=1"]);
        check(
            r#"{"managerial":1,"jobTitle":"manager"}"#,
            r#"{"managerial":1,"jobTitle":"manager"}"#,
            &[],
        );
        assert!(apart(r#"{"manage\u0072":1}"#, &["manager"]).is_err());
        assert!(apart(r#"{"manager":1} 2"#, &["manager"]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_canonical_form_is_that_of_the_library(
            members in prop::collection::btree_map("[a-zA-Z@.]{1,8}", value(), 0..8),
        ) {
            let value = Value::Object(members.into_iter().collect());
            let ours = canonical(&value.to_string()).unwrap().text;
            prop_assert_eq!(
                String::from_utf8(ours).unwrap(),
                serde_json_canonicalizer::to_string(&value).unwrap()
            );
        }

        #[test]
        fn the_rest_is_the_object_without_what_was_taken(
            members in prop::collection::vec((prop::sample::select(vec!["a", "b", "b@c", "id", "z"]), value()), 0..6),
            gap in prop::sample::select(vec!["", " ", "\n\t"]),
        ) {
            let text: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{gap}\"{key}\"{gap}:{gap}{value}{gap}"))
                .collect();
            let json = format!("{{{}}}", text.join(","));
            let apart = apart(&json, &["b"]).unwrap();
            let mut expected: serde_json::Map<String, Value> = serde_json::from_str(&json).unwrap();
            expected.retain(|key, _| !key.starts_with('b'));
            let rest: Value = serde_json::from_str(&apart.rest()).unwrap();
            prop_assert_eq!(rest, Value::Object(expected));
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
            let canonical = canonical(&value.to_string()).unwrap();
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
