//! One object's properties, kept as ready-made JSON fragments.
//!
//! A property that equals its type's "never set" value is not stored at all, so a tenant of a
//! million objects fits in memory and a list is served by copying bytes. A record never holds
//! links: those belong to the tenant state.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalog::{Kind, Shown};
use crate::state::grants::Grant;

/// Key under which properties outside the table (directory extensions) are kept as one object.
const EXTRA: u16 = u16::MAX;

/// The set properties of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Key and end offset, sorted by key.
    index: Box<[(u16, u32)]>,
    bytes: Box<[u8]>,
}

/// Whether an object is shown among others or alone: public keys are returned only alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    List,
    Single,
}

/// A directory object: identity, type and properties.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub id: Uuid,
    pub kind: Kind,
    pub record: Record,
}

impl Record {
    /// Builds a record from `(name, value)` pairs; names that the type does not know are kept
    /// only where they are directory extensions. Returns the record and the names dropped.
    pub(crate) fn from_map(kind: Kind, map: &Map<String, Value>) -> (Self, Vec<String>) {
        let shape = kind.shape();
        let mut entries: Vec<(u16, &Value)> = Vec::with_capacity(map.len());
        let mut extra = Map::new();
        let mut dropped = Vec::new();
        for (name, value) in map {
            match shape.key(name) {
                Some(key) => entries.push((key, value)),
                None if name == "id" => {}
                None if name.starts_with("extension_") => {
                    if !value.is_null() {
                        extra.insert(name.clone(), value.clone());
                    }
                }
                None => dropped.push(name.clone()),
            }
        }
        entries.sort_unstable_by_key(|entry| entry.0);
        let extra = Value::Object(extra);
        if extra != Value::Object(Map::new()) {
            entries.push((EXTRA, &extra));
        }
        let mut index = Vec::with_capacity(entries.len());
        let mut bytes = Vec::with_capacity(1024);
        for (key, value) in entries {
            let unset = if key == EXTRA {
                ""
            } else {
                shape.prop(key).unset
            };
            let start = bytes.len();
            serde_json::to_writer(&mut bytes, value).expect("invariant: a JSON value is writable");
            if is_unset(unset, &bytes[start..], value) {
                bytes.truncate(start);
            } else {
                let end = u32::try_from(bytes.len()).expect("invariant: an object is below 4 GiB");
                index.push((key, end));
            }
        }
        let record = Self {
            index: index.into(),
            bytes: bytes.into(),
        };
        (record, dropped)
    }

    /// The stored JSON text of a property, if it is set.
    pub(crate) fn raw(&self, key: u16) -> Option<&[u8]> {
        let at = self
            .index
            .binary_search_by_key(&key, |entry| entry.0)
            .ok()?;
        Some(self.slice(at))
    }

    fn slice(&self, at: usize) -> &[u8] {
        let start = at
            .checked_sub(1)
            .map_or(0, |before| self.index[before].1 as usize);
        &self.bytes[start..self.index[at].1 as usize]
    }

    /// A copy with `changes` applied.
    pub(crate) fn with(&self, kind: Kind, changes: &Map<String, Value>) -> Self {
        let mut map = self.to_map(kind);
        for (name, value) in changes {
            map.insert(name.clone(), value.clone());
        }
        Self::from_map(kind, &map).0
    }

    /// The set properties only.
    pub(crate) fn to_map(&self, kind: Kind) -> Map<String, Value> {
        let shape = kind.shape();
        let mut map = Map::new();
        for (at, (key, _)) in self.index.iter().enumerate() {
            let value = parse(self.slice(at));
            if *key == EXTRA {
                if let Value::Object(extra) = value {
                    map.extend(extra);
                }
            } else {
                map.insert(shape.prop(*key).name.to_owned(), value);
            }
        }
        map
    }

    fn extra(&self, name: &str) -> Option<Value> {
        let mut extra = parse(self.raw(EXTRA)?);
        extra.get_mut(name).map(Value::take)
    }
}

impl Object {
    /// The value of a property; its "never set" value when it was never set.
    pub(crate) fn value(&self, name: &str) -> Value {
        if name == "id" {
            return Value::String(self.wire_id());
        }
        let shape = self.kind.shape();
        match shape.key(name) {
            Some(key) => self
                .record
                .raw(key)
                .map_or_else(|| parse(shape.prop(key).unset.as_bytes()), parse),
            None => self.record.extra(name).unwrap_or(Value::Null),
        }
    }

    /// The id as the wire shows it.
    pub(crate) fn wire_id(&self) -> String {
        match self.kind {
            Kind::Grant => Grant::of(self).id(),
            _ => self.id.to_string(),
        }
    }

    /// Writes the id as the first member.
    pub(crate) fn push_id(&self, out: &mut Vec<u8>) {
        match self.kind {
            Kind::Grant => push_pair(out, "id", format!("\"{}\"", self.wire_id()).as_bytes()),
            _ => push_id(out, self.id),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.value(name) == Value::Bool(true)
    }

    pub(crate) fn has_item(&self, name: &str, item: &str) -> bool {
        self.value(name)
            .as_array()
            .is_some_and(|items| items.iter().any(|held| held == item))
    }

    pub(crate) fn display_name(&self) -> String {
        self.text("displayName").unwrap_or_default()
    }

    /// Writes `"name":value` pairs of the asked properties, comma-separated, without braces.
    pub(crate) fn render(&self, out: &mut Vec<u8>, select: Option<&[String]>, detail: Detail) {
        let shape = self.kind.shape();
        match select {
            None => {
                self.push_id(out);
                let location = (self.kind == Kind::Location).then(|| self.location_properties());
                for (prop, key) in shape.props.iter().zip(0u16..) {
                    if prop.shown != Shown::Default
                        || location.is_some_and(|names| !names.contains(&prop.name))
                    {
                        continue;
                    }
                    self.render_key(out, prop.name, key, Detail::List);
                }
            }
            Some(names) => {
                for name in names {
                    if name == "id" {
                        self.push_id(out);
                    } else if let Some(key) = shape.key(name) {
                        self.render_key(out, name, key, detail);
                    } else if let Some(value) = self.record.extra(name) {
                        push_pair(out, name, value.to_string().as_bytes());
                    }
                }
                // Polymorphic objects say what they are whatever was selected.
                if self.kind == Kind::Location && !names.iter().any(|name| name == "@odata.type") {
                    self.render_key(out, "@odata.type", 0, detail);
                }
            }
        }
    }

    fn render_key(&self, out: &mut Vec<u8>, name: &str, key: u16, detail: Detail) {
        let raw = self
            .record
            .raw(key)
            .unwrap_or_else(|| self.kind.shape().prop(key).unset.as_bytes());
        if name == "keyCredentials" && raw.len() > 2 && detail == Detail::List {
            // The public key is returned for a single object with an explicit $select only.
            let mut value = parse(raw);
            for credential in value.as_array_mut().into_iter().flatten() {
                credential["key"] = Value::Null;
            }
            push_pair(out, name, value.to_string().as_bytes());
        } else {
            push_pair(out, name, raw);
        }
    }

    fn location_properties(&self) -> &'static [&'static str] {
        let odata_type = self.text("@odata.type").unwrap_or_default();
        if odata_type.ends_with("countryNamedLocation") {
            &[
                "@odata.type",
                "displayName",
                "createdDateTime",
                "modifiedDateTime",
                "deletedDateTime",
                "countriesAndRegions",
                "includeUnknownCountriesAndRegions",
                "countryLookupMethod",
            ]
        } else {
            &[
                "@odata.type",
                "displayName",
                "createdDateTime",
                "modifiedDateTime",
                "deletedDateTime",
                "ipRanges",
                "isTrusted",
            ]
        }
    }
}

fn is_unset(unset: &str, text: &[u8], value: &Value) -> bool {
    // Field order inside an object may differ from the table's, so objects are compared parsed.
    unset.as_bytes() == text
        || (unset.starts_with('{') && value.is_object() && *value == parse(unset.as_bytes()))
}

pub(crate) fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// Writes the `id` member.
pub(crate) fn push_id(out: &mut Vec<u8>, id: Uuid) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = id.as_hyphenated().encode_lower(&mut text);
    if !matches!(out.last(), None | Some(b'{')) {
        out.push(b',');
    }
    out.extend_from_slice(b"\"id\":\"");
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

pub(crate) fn push_pair(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !matches!(out.last(), None | Some(b'{')) {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
}
