//! The objects run: everything that Graph sent, with what is needed to compare
//! two snapshots without reading it.

use std::cmp::Ordering;
use std::io::Write;

use model::object::{MalformedObject, name_of};
use model::{Object, ObjectState, ObjectType};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value};

use super::column::{ColumnReader, ColumnWriter, text};
use super::{Malformed, Row};
use crate::error::StoreError;
use crate::manifest::RunKind;

const TYPE: usize = 0;
const ID: usize = 1;
const STATE: usize = 2;
const JSON: usize = 5;

impl Row for Object {
    const KIND: RunKind = RunKind::Objects;
    const SCHEMA: &'static str = "message objects {
        REQUIRED BYTE_ARRAY type (STRING);
        REQUIRED BYTE_ARRAY id (STRING);
        REQUIRED BYTE_ARRAY state (STRING);
        REQUIRED BYTE_ARRAY name (STRING);
        REQUIRED FIXED_LEN_BYTE_ARRAY(32) hash;
        REQUIRED BYTE_ARRAY json (STRING);
    }";
    const SORTED_BY: &'static [i32] = &[0, 1];

    fn order(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }

    fn same_group(&self, other: &Self) -> bool {
        self.object_type == other.object_type
    }

    fn label(&self) -> String {
        format!("{} {}", self.object_type, self.id)
    }

    fn columns(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        ["id", "name", "hash", "json"]
            .into_iter()
            .fold(properties, |properties, name| {
                properties.set_column_dictionary_enabled(ColumnPath::from(name), false)
            })
            .set_column_statistics_enabled(ColumnPath::from("name"), EnabledStatistics::None)
            .set_column_statistics_enabled(ColumnPath::from("hash"), EnabledStatistics::None)
            .set_column_statistics_enabled(ColumnPath::from("json"), EnabledStatistics::None)
    }

    fn write<W: Write + Send>(
        rows: Vec<Self>,
        columns: &mut ColumnWriter<'_, '_, W>,
    ) -> Result<(), StoreError> {
        let digests: Vec<(String, blake3::Hash)> =
            rows.iter().map(digest).collect::<Result<_, _>>()?;
        columns.texts(rows.iter().map(|object| object.object_type.name()))?;
        columns.texts(rows.iter().map(|object| object.id.as_str()))?;
        columns.texts(rows.iter().map(|object| state_name(object.state)))?;
        let (names, hashes): (Vec<_>, Vec<_>) = digests.into_iter().unzip();
        columns.texts(names.into_iter().map(String::into_bytes))?;
        columns.hashes(hashes)?;
        columns.texts(
            rows.into_iter()
                .map(|object| String::from(object.json).into_bytes()),
        )
    }

    fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>, Malformed> {
        let (types, ids) = (columns.texts(TYPE)?, columns.texts(ID)?);
        let (states, bodies) = (columns.texts(STATE)?, columns.texts(JSON)?);
        let cells = types.iter().zip(&ids).zip(states.iter().zip(&bodies));
        cells
            .map(|((object_type, id), (state, json))| {
                object(text(object_type)?, text(id)?, text(state)?, text(json)?)
            })
            .collect()
    }
}

fn object(object_type: &str, id: &str, state: &str, json: &str) -> Result<Object, Malformed> {
    let object_type = ObjectType::from_name(object_type).ok_or_else(|| {
        Malformed(format!(
            "object type {object_type:?} is not known to this version"
        ))
    })?;
    let state = [ObjectState::Live, ObjectState::Deleted]
        .into_iter()
        .find(|known| state_name(*known) == state)
        .ok_or_else(|| {
            Malformed(format!(
                "object state {state:?} is not known to this version"
            ))
        })?;
    let object = Object::from_json(object_type, state, json).map_err(|error| {
        Malformed(format!(
            "{object_type} {id:?} cannot be read ({})",
            cause(&error)
        ))
    })?;
    if object.id.as_str() != id {
        return Err(Malformed(format!(
            "{object_type} {id:?} holds the body of another object"
        )));
    }
    Ok(object)
}

/// The malformation without any of the object's content, which is not for errors.
fn cause(error: &MalformedObject) -> &'static str {
    match error {
        MalformedObject::Json(_) => "its body is not JSON",
        MalformedObject::NotAnObject => "its body is no JSON object",
        MalformedObject::NoId => "its body has no id",
        MalformedObject::BadId(_) => "its id is not valid",
    }
}

fn state_name(state: ObjectState) -> &'static str {
    match state {
        ObjectState::Live => "live",
        ObjectState::Deleted => "deleted",
    }
}

/// The object's name and the hash of its canonical form, without the read's own
/// context.
fn digest(object: &Object) -> Result<(String, blake3::Hash), StoreError> {
    let unreadable = || {
        StoreError::Invalid(format!(
            "{} has a body that cannot be stored",
            object.label()
        ))
    };
    let mut body: Map<String, Value> =
        serde_json::from_str(&object.json).map_err(|_| unreadable())?;
    body.remove("@odata.context");
    let name = name_of(&body).unwrap_or_else(|| object.id.to_string());
    let canonical = serde_json_canonicalizer::to_vec(&body).map_err(|_| unreadable())?;
    Ok((name, blake3::hash(&canonical)))
}
