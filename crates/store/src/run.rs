//! Runs: sorted rows in a Parquet file, readable with any Parquet tool.
//!
//! Owns the columns, their order and the row groups. A row group holds one type
//! (or link kind) and at most [`GROUP_ROWS`] rows, and has exact statistics of
//! its ids, so that one object can be found without reading the whole file. A
//! run must never hold an unsorted or repeated key, nor JSON that cannot be read
//! back.

mod column;
mod link;
mod object;

use std::cmp::Ordering;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use crate::error::StoreError;
use crate::manifest::RunKind;
use column::{ColumnReader, ColumnWriter};

/// The most rows in a row group.
pub const GROUP_ROWS: usize = 10_000;

const FORMAT_KEY: &str = "rewind.format";
const FORMAT: &str = "1";
const KIND_KEY: &str = "rewind.run";

/// What a run is made of: objects or links.
pub trait Row: Clone + Send + Sync + Sized + 'static {
    /// What a run of these is called.
    const KIND: RunKind;
    /// The columns, as a Parquet message.
    const SCHEMA: &'static str;
    /// The columns that rows of one group are sorted by.
    const SORTED_BY: &'static [i32];

    /// The order of rows in a run.
    fn order(&self, other: &Self) -> Ordering;
    /// Whether both may lie in one row group.
    fn same_group(&self, other: &Self) -> bool;
    /// Names the row in an error.
    fn label(&self) -> String;
    /// Settings of single columns.
    fn columns(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder;
    /// Writes one row group.
    ///
    /// # Errors
    /// `Invalid` where a row cannot be stored.
    fn write<W: Write + Send>(
        rows: Vec<Self>,
        columns: &mut ColumnWriter<'_, '_, W>,
    ) -> Result<(), StoreError>;
    /// Reads one row group.
    ///
    /// # Errors
    /// [`Malformed`].
    fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>, Malformed>;
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl From<ParquetError> for Malformed {
    fn from(error: ParquetError) -> Self {
        Self(format!("it is no readable Parquet file ({error})"))
    }
}

/// Writes a run, group by group, into any output.
pub struct RunWriter<R: Row, W: Write + Send> {
    file: SerializedFileWriter<W>,
    last: Option<R>,
    rows: u64,
}

impl<R: Row, W: Write + Send> RunWriter<R, W> {
    /// Starts a run.
    ///
    /// # Errors
    /// `Internal` where the output refuses.
    pub fn new(output: W) -> Result<Self, StoreError> {
        let file = SerializedFileWriter::new(output, schema::<R>(), Arc::new(properties::<R>()))
            .map_err(cannot_write)?;
        Ok(Self {
            file,
            last: None,
            rows: 0,
        })
    }

    /// Adds one row group, a piece that [`groups`] cut.
    ///
    /// # Errors
    /// `Invalid` where rows are not sorted or cannot be stored; `Internal` where
    /// the output refuses.
    pub fn write_group(&mut self, rows: Vec<R>) -> Result<(), StoreError> {
        let Some(last) = rows.last().cloned() else {
            return Ok(());
        };
        let mut before = self.last.as_ref();
        for row in &rows {
            if before.is_some_and(|before| before.order(row) != Ordering::Less) {
                return Err(StoreError::Invalid(format!(
                    "{} is out of order or occurs twice",
                    row.label()
                )));
            }
            before = Some(row);
        }
        self.rows += rows.len() as u64;
        let mut group = self.file.next_row_group().map_err(cannot_write)?;
        R::write(rows, &mut ColumnWriter::new(&mut group))?;
        group.close().map_err(cannot_write)?;
        self.last = Some(last);
        Ok(())
    }

    /// Ends the run; returns the output and how many rows went there.
    ///
    /// # Errors
    /// `Internal` where the output refuses.
    pub fn finish(self) -> Result<(W, u64), StoreError> {
        Ok((self.file.into_inner().map_err(cannot_write)?, self.rows))
    }
}

/// Cuts sorted rows into row groups.
pub fn groups<R: Row>(rows: &[R]) -> impl Iterator<Item = &[R]> {
    rows.chunk_by(R::same_group)
        .flat_map(|same| same.chunks(GROUP_ROWS))
}

/// A whole run.
///
/// # Errors
/// As [`RunWriter::write_group`].
pub fn encode<R: Row>(rows: &[R]) -> Result<Vec<u8>, StoreError> {
    let mut writer = RunWriter::new(Vec::new())?;
    for group in groups(rows) {
        writer.write_group(group.to_vec())?;
    }
    Ok(writer.finish()?.0)
}

/// The rows of a run; `path` is for the error only.
///
/// # Errors
/// `Corrupt`, naming the path, where the file is no run of this kind, of an
/// unknown format, holds malformed rows or is not sorted.
pub fn decode<R: Row>(path: &str, file: Bytes) -> Result<Vec<R>, StoreError> {
    read_rows(file).map_err(|error| StoreError::corrupt(path, error))
}

fn read_rows<R: Row>(file: Bytes) -> Result<Vec<R>, Malformed> {
    let reader = SerializedFileReader::new(file)?;
    let metadata = reader.metadata().file_metadata();
    let fact = |key: &str| {
        let found = metadata
            .key_value_metadata()
            .and_then(|facts| facts.iter().find(|fact| fact.key == key));
        found
            .and_then(|fact| fact.value.as_deref())
            .unwrap_or_default()
    };
    if fact(FORMAT_KEY) != FORMAT {
        return Err(Malformed(format!(
            "run format {:?} is not known to this version, which reads {FORMAT}",
            fact(FORMAT_KEY)
        )));
    }
    if fact(KIND_KEY) != R::KIND.name() {
        return Err(Malformed(format!(
            "it holds {:?} where {} are expected",
            fact(KIND_KEY),
            R::KIND.name()
        )));
    }
    if metadata.schema() != schema::<R>().as_ref() {
        return Err(Malformed(
            "its columns are not those of the format".to_owned(),
        ));
    }
    let mut rows: Vec<R> = Vec::new();
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index)?;
        rows.extend(R::read(&ColumnReader::new(group.as_ref()))?);
    }
    match rows
        .windows(2)
        .find(|pair| pair[0].order(&pair[1]) != Ordering::Less)
    {
        Some(pair) => Err(Malformed(format!(
            "{} is out of order or occurs twice",
            pair[1].label()
        ))),
        None => Ok(rows),
    }
}

fn schema<R: Row>() -> Arc<Type> {
    Arc::new(parse_message_type(R::SCHEMA).expect("invariant: the schema is a valid message"))
}

fn properties<R: Row>() -> WriterProperties {
    let level = ZstdLevel::try_new(3).expect("invariant: zstd has a level 3");
    let fact = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let sorted_by = R::SORTED_BY.iter().map(|column| SortingColumn {
        column_idx: *column,
        descending: false,
        nulls_first: false,
    });
    let builder = WriterProperties::builder()
        .set_created_by("rewind".to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        // Ids are compared whole, so their statistics must not be cut.
        .set_statistics_truncate_length(None)
        .set_column_index_truncate_length(None)
        .set_sorting_columns(Some(sorted_by.collect()))
        .set_key_value_metadata(Some(vec![
            fact(FORMAT_KEY, FORMAT),
            fact(KIND_KEY, R::KIND.name()),
        ]));
    R::columns(builder).build()
}

fn cannot_write(error: ParquetError) -> StoreError {
    StoreError::Internal(format!("a run cannot be written: {error}"))
}

#[cfg(test)]
mod tests;
