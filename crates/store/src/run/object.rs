//! The objects run: everything that Graph sent, with what is needed to compare
//! two snapshots without reading it.

use std::cmp::Ordering;
use std::ops::Range;

use model::object::MalformedObject;
use model::{Object, ObjectId, ObjectState, ObjectType};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use serde::Deserialize;
use serde_json::Value;

use super::column::{ColumnReader, ColumnWriter, text};
use super::{Malformed, Ordered, Row};
use crate::error::StoreError;
use crate::manifest::RunKind;

pub(super) const TYPE: usize = 0;
pub(super) const ID: usize = 1;
const STATE: usize = 2;
const NAME: usize = 3;
const HASH: usize = 4;
const JSON: usize = 5;

/// The columns up to the name and up to the hash.
pub(super) const NAME_COLUMNS: Range<usize> = 0..NAME + 1;
pub(super) const KEY_COLUMNS: Range<usize> = 0..HASH + 1;

/// The most ids on a page, so that finding one does not take all of a row group.
const ID_PAGE_ROWS: usize = 1_024;

/// What stands in the state column of an object that is no longer there.
const GONE: &str = "gone";

/// An object in a run, or in a change run the news that it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRow {
    /// The type.
    pub object_type: ObjectType,
    /// The id.
    pub id: ObjectId,
    /// State, JSON and digest; `None` where the object is gone.
    pub body: Option<Body>,
}

/// What a row holds of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Live or soft-deleted.
    pub state: ObjectState,
    /// The JSON as Graph sent it.
    pub json: Box<str>,
    /// Name and hash, where they are known already.
    pub digest: Option<Digest>,
}

/// What is stored of an object beside its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// What a person calls it.
    pub name: String,
    /// BLAKE3 of the canonical form.
    pub hash: blake3::Hash,
}

/// A row without its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKey {
    /// The type.
    pub object_type: ObjectType,
    /// The id.
    pub id: ObjectId,
    /// State and hash; `None` where the object is gone.
    pub body: Option<(ObjectState, blake3::Hash)>,
}

/// A row with what the object is called, as a search wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectName {
    /// The type.
    pub(crate) object_type: ObjectType,
    /// The id.
    pub(crate) id: ObjectId,
    /// `None` where the object is gone.
    pub(crate) body: Option<NamedBody>,
}

/// What an object is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedBody {
    /// Live or soft-deleted.
    pub(crate) state: ObjectState,
    /// What a person calls it.
    pub(crate) name: String,
    /// What else it goes by: a user principal name, an application's id.
    pub(crate) others: Vec<String>,
}

impl Ordered for ObjectName {
    fn order(&self, other: &Self) -> Ordering {
        (self.object_type, &self.id).cmp(&(other.object_type, &other.id))
    }

    fn label(&self) -> String {
        format!("{} {}", self.object_type, self.id)
    }
}

impl From<Object> for ObjectRow {
    fn from(object: Object) -> Self {
        Self {
            object_type: object.object_type,
            id: object.id,
            body: Some(Body {
                state: object.state,
                json: object.json,
                digest: None,
            }),
        }
    }
}

impl ObjectRow {
    /// The object, unless it is gone.
    #[must_use]
    pub fn into_object(self) -> Option<Object> {
        let body = self.body?;
        Some(Object {
            object_type: self.object_type,
            id: self.id,
            state: body.state,
            json: body.json,
        })
    }
}

impl Ordered for ObjectRow {
    fn order(&self, other: &Self) -> Ordering {
        (self.object_type, &self.id).cmp(&(other.object_type, &other.id))
    }

    fn label(&self) -> String {
        format!("{} {}", self.object_type, self.id)
    }
}

impl Ordered for ObjectKey {
    fn order(&self, other: &Self) -> Ordering {
        (self.object_type, &self.id).cmp(&(other.object_type, &other.id))
    }

    fn label(&self) -> String {
        format!("{} {}", self.object_type, self.id)
    }
}

impl Row for ObjectRow {
    const KIND: RunKind = RunKind::Objects;
    const SCHEMAS: &'static [&'static str] = &["message objects {
        REQUIRED BYTE_ARRAY type (STRING);
        REQUIRED BYTE_ARRAY id (STRING);
        REQUIRED BYTE_ARRAY state (STRING);
        REQUIRED BYTE_ARRAY name (STRING);
        REQUIRED FIXED_LEN_BYTE_ARRAY(32) hash;
        REQUIRED BYTE_ARRAY json (STRING);
    }"];
    // Few enough to find one object at little cost.
    const GROUP_ROWS: usize = 10_000;
    const GROUPS_AT_ONCE: usize = 4;
    const SORTED_BY: &'static [i32] = &[0, 1];
    const NAMED_BY: (usize, usize) = (TYPE, ID);

    fn same_group(&self, other: &Self) -> bool {
        self.object_type == other.object_type
    }

    fn columns(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        ["id", "name", "hash", "json"]
            .into_iter()
            .fold(properties, |properties, name| {
                properties.set_column_dictionary_enabled(ColumnPath::from(name), false)
            })
            .set_column_data_page_row_count_limit(ColumnPath::from("id"), ID_PAGE_ROWS)
            .set_column_statistics_enabled(ColumnPath::from("name"), EnabledStatistics::None)
            .set_column_statistics_enabled(ColumnPath::from("hash"), EnabledStatistics::None)
            .set_column_statistics_enabled(ColumnPath::from("json"), EnabledStatistics::None)
    }

    fn write(rows: Vec<Self>, columns: &mut ColumnWriter) -> Result<(), StoreError> {
        let digests: Vec<Digest> = rows.iter().map(digest_of).collect::<Result<_, _>>()?;
        columns.texts(rows.iter().map(|row| row.object_type.name()))?;
        columns.texts(rows.iter().map(|row| row.id.as_str()))?;
        columns.texts(rows.iter().map(|row| {
            row.body
                .as_ref()
                .map_or(GONE, |body| state_name(body.state))
        }))?;
        let (names, hashes): (Vec<_>, Vec<_>) = digests
            .into_iter()
            .map(|digest| (digest.name, digest.hash))
            .unzip();
        columns.texts(names.into_iter().map(String::into_bytes))?;
        columns.hashes(hashes)?;
        columns.texts(rows.into_iter().map(|row| {
            row.body
                .map_or_else(Vec::new, |body| String::from(body.json).into_bytes())
        }))
    }

    fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>, Malformed> {
        let (types, ids) = (columns.texts(TYPE)?, columns.texts(ID)?);
        let (states, bodies) = (columns.texts(STATE)?, columns.texts(JSON)?);
        let cells = types.iter().zip(&ids).zip(states.iter().zip(&bodies));
        cells
            .map(|((object_type, id), (state, json))| {
                row(text(object_type)?, text(id)?, text(state)?, text(json)?)
            })
            .collect()
    }
}

/// Reads the next rows of a group without the JSON.
///
/// # Errors
/// [`Malformed`].
pub(crate) fn read_keys(columns: &ColumnReader<'_>) -> Result<Vec<ObjectKey>, Malformed> {
    let (types, ids) = (columns.texts(TYPE)?, columns.texts(ID)?);
    let (states, hashes) = (columns.texts(STATE)?, columns.hashes(HASH)?);
    let cells = types.iter().zip(&ids).zip(states.iter().zip(hashes));
    cells
        .map(|((object_type, id), (state, hash))| {
            let (object_type, id, state) = key(text(object_type)?, text(id)?, text(state)?)?;
            Ok(ObjectKey {
                object_type,
                id,
                body: state.map(|state| (state, hash)),
            })
        })
        .collect()
}

/// Reads some rows of one group, which are counted in the group and given in order.
///
/// # Errors
/// [`Malformed`].
pub(super) fn read_rows_at(
    columns: &ColumnReader<'_>,
    rows: &[usize],
) -> Result<Vec<ObjectRow>, Malformed> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let cells = |column| columns.texts_at(column, rows.iter().map(|row| *row..*row + 1));
    let (types, ids) = (cells(TYPE)?, cells(ID)?);
    let (states, bodies) = (cells(STATE)?, cells(JSON)?);
    let cells = types.iter().zip(&ids).zip(states.iter().zip(&bodies));
    cells
        .map(|((object_type, id), (state, json))| {
            row(text(object_type)?, text(id)?, text(state)?, text(json)?)
        })
        .collect()
}

/// Reads the next rows of a group with names, without the JSON.
///
/// # Errors
/// [`Malformed`].
pub(super) fn read_names(columns: &ColumnReader<'_>) -> Result<Vec<ObjectName>, Malformed> {
    let (types, ids) = (columns.texts(TYPE)?, columns.texts(ID)?);
    let (states, names) = (columns.texts(STATE)?, columns.texts(NAME)?);
    let cells = types.iter().zip(&ids).zip(states.iter().zip(&names));
    cells
        .map(|((object_type, id), (state, name))| {
            let (object_type, id, state) = key(text(object_type)?, text(id)?, text(state)?)?;
            let name = text(name)?.to_owned();
            Ok(ObjectName {
                object_type,
                id,
                body: state.map(|state| NamedBody {
                    state,
                    name,
                    others: Vec::new(),
                }),
            })
        })
        .collect()
}

/// Whether objects of a type go by more than what the name column holds.
pub(super) fn has_names_in_json(object_type: ObjectType) -> bool {
    matches!(
        object_type,
        ObjectType::User | ObjectType::Application | ObjectType::ServicePrincipal
    )
}

/// Reads the next rows of a group with the names in the JSON, too, of which nothing else is
/// kept.
///
/// # Errors
/// [`Malformed`].
pub(super) fn read_names_in_json(columns: &ColumnReader<'_>) -> Result<Vec<ObjectName>, Malformed> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Names {
        user_principal_name: Value,
        app_id: Value,
    }
    let mut rows = read_names(columns)?;
    for (row, json) in rows.iter_mut().zip(columns.texts(JSON)?) {
        let Some(body) = &mut row.body else { continue };
        let names: Names = serde_json::from_slice(json.data())
            .map_err(|_| Malformed(format!("{} cannot be read (its body is not JSON)", row.id)))?;
        let texts = [names.user_principal_name, names.app_id];
        let text = |value: Value| value.as_str().map(str::to_owned);
        body.others = texts.into_iter().filter_map(text).collect();
    }
    Ok(rows)
}

fn key(
    object_type: &str,
    id: &str,
    state: &str,
) -> Result<(ObjectType, ObjectId, Option<ObjectState>), Malformed> {
    let unknown = |what: &str, word: &str| {
        Malformed(format!(
            "object {what} {word:?} is not known to this version"
        ))
    };
    let object_type =
        ObjectType::from_name(object_type).ok_or_else(|| unknown("type", object_type))?;
    let state = match state {
        GONE => None,
        word => Some(
            [ObjectState::Live, ObjectState::Deleted]
                .into_iter()
                .find(|known| state_name(*known) == word)
                .ok_or_else(|| unknown("state", word))?,
        ),
    };
    let id = ObjectId::parse(id).map_err(|error| Malformed(error.to_string()))?;
    Ok((object_type, id, state))
}

fn row(object_type: &str, id: &str, state: &str, json: &str) -> Result<ObjectRow, Malformed> {
    let (object_type, id, state) = key(object_type, id, state)?;
    let Some(state) = state else {
        return Ok(ObjectRow {
            object_type,
            id,
            body: None,
        });
    };
    let object = Object::from_json(object_type, state, json).map_err(|error| {
        Malformed(format!(
            "{object_type} {:?} cannot be read ({})",
            id.as_str(),
            cause(&error)
        ))
    })?;
    if object.id != id {
        return Err(Malformed(format!(
            "{object_type} {:?} holds the body of another object",
            id.as_str()
        )));
    }
    Ok(object.into())
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

/// The digest of a row; of one that is gone, an empty one.
fn digest_of(row: &ObjectRow) -> Result<Digest, StoreError> {
    match &row.body {
        None => Ok(Digest {
            name: String::new(),
            hash: blake3::Hash::from_bytes([0; 32]),
        }),
        Some(body) => match &body.digest {
            Some(digest) => Ok(digest.clone()),
            None => digest(row.object_type, &row.id, &body.json),
        },
    }
}

/// The object's name and the hash of its canonical form, without the read's own
/// context.
///
/// # Errors
/// `Invalid` where the JSON has no canonical form.
pub(crate) fn digest(
    object_type: ObjectType,
    id: &ObjectId,
    json: &str,
) -> Result<Digest, StoreError> {
    let canonical = model::json::canonical(json).map_err(|_| {
        StoreError::Invalid(format!(
            "{object_type} {id} has a body that cannot be stored"
        ))
    })?;
    Ok(Digest {
        hash: canonical.hash(),
        name: canonical.name.unwrap_or_else(|| id.to_string()),
    })
}
