//! Runs: sorted rows in a Parquet file, readable with any Parquet tool.
//!
//! Owns the columns, their order and the row groups. A row group holds one type
//! (or link kind) and at most [`Row::GROUP_ROWS`] rows, and has exact statistics of
//! its ids, so that one object can be found without reading the whole file. A
//! run must never hold an unsorted or repeated key, nor JSON that cannot be read
//! back.

mod column;
mod link;
mod merge;
mod object;
mod reader;

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use crate::error::StoreError;
use crate::manifest::RunKind;
use column::{ColumnReader, ColumnWriter, Group};

pub use link::{LinkRow, Presence};
pub(crate) use merge::{apart, newest};
pub(crate) use object::digest;
pub use object::{Body, Digest, ObjectKey, ObjectRow};
pub(crate) use object::{NamedBody, ObjectName};
pub use reader::{IdRange, RunReader, Span};

const FORMAT_KEY: &str = "rewind.format";
const FORMAT: &str = "1";
const KIND_KEY: &str = "rewind.run";

/// What has a place in a run.
pub trait Ordered {
    /// The order of rows in a run; two that are equal are about the same thing.
    fn order(&self, other: &Self) -> Ordering;
    /// Names the row in an error.
    fn label(&self) -> String;
}

/// What a run is made of: objects or links.
pub trait Row: Ordered + Clone + Send + Sync + Sized + 'static {
    /// What a run of these is called.
    const KIND: RunKind;
    /// The columns, as Parquet messages: what is written, then what older runs hold.
    const SCHEMAS: &'static [&'static str];
    /// The most rows in a row group.
    const GROUP_ROWS: usize;
    /// The most groups that are encoded at once, each of which takes some tens of
    /// megabytes.
    const GROUPS_AT_ONCE: usize;
    /// The columns that rows of one group are sorted by.
    const SORTED_BY: &'static [i32];

    /// The columns of a group's type or link kind and of what its rows are sorted
    /// by within that.
    const NAMED_BY: (usize, usize);

    /// Whether both may lie in one row group.
    fn same_group(&self, other: &Self) -> bool;
    /// Settings of single columns.
    fn columns(properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder;
    /// Writes one row group.
    ///
    /// # Errors
    /// `Invalid` where a row cannot be stored.
    fn write(rows: Vec<Self>, columns: &mut ColumnWriter) -> Result<(), StoreError>;
    /// Reads the next rows of a group.
    ///
    /// # Errors
    /// [`Malformed`].
    fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>, Malformed>;
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl From<std::io::Error> for Malformed {
    fn from(error: std::io::Error) -> Self {
        Self(format!("it cannot be decrypted ({error})"))
    }
}

impl From<ParquetError> for Malformed {
    fn from(error: ParquetError) -> Self {
        Self(format!("it is no readable Parquet file ({error})"))
    }
}

/// Writes a run, group by group, into any output.
///
/// Groups are encoded by threads of their own, as many at once as there are
/// cores, and written in order.
pub struct RunWriter<R: Row, W: Write + Send> {
    file: SerializedFileWriter<W>,
    group: Vec<R>,
    last: Option<R>,
    rows: u64,
    encoding: VecDeque<JoinHandle<Result<Group, StoreError>>>,
    at_once: usize,
}

impl<R: Row, W: Write + Send> RunWriter<R, W> {
    /// Starts a run.
    ///
    /// # Errors
    /// `Internal` where the output refuses.
    pub fn new(output: W) -> Result<Self, StoreError> {
        let file = SerializedFileWriter::new(output, schema::<R>(), Arc::new(properties::<R>()))
            .map_err(cannot_write)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            file,
            group: Vec::new(),
            last: None,
            rows: 0,
            encoding: VecDeque::new(),
            at_once: cores.min(R::GROUPS_AT_ONCE),
        })
    }

    /// Adds a row behind all others.
    ///
    /// # Errors
    /// `Invalid` where it is out of order, or where this row or one before it
    /// cannot be stored; `Internal` where the output refuses.
    pub fn push(&mut self, row: R) -> Result<(), StoreError> {
        let before = self.group.last().or(self.last.as_ref());
        if before.is_some_and(|before| before.order(&row) != Ordering::Less) {
            return Err(StoreError::Invalid(format!(
                "{} is out of order or occurs twice",
                row.label()
            )));
        }
        let full = self.group.len() == R::GROUP_ROWS;
        if full || self.group.last().is_some_and(|last| !last.same_group(&row)) {
            self.end_group()?;
        }
        self.rows += 1;
        self.group.push(row);
        Ok(())
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.group);
        let Some(last) = rows.last() else {
            return Ok(());
        };
        self.last = Some(last.clone());
        while self.encoding.len() >= self.at_once {
            self.write_next()?;
        }
        let mut columns = ColumnWriter::of(&self.file);
        self.encoding.push_back(std::thread::spawn(move || {
            R::write(rows, &mut columns)?;
            Ok(columns.finish())
        }));
        Ok(())
    }

    /// Writes the group that has been encoded the longest, if any is left.
    fn write_next(&mut self) -> Result<(), StoreError> {
        let Some(encoding) = self.encoding.pop_front() else {
            return Ok(());
        };
        let group = encoding
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        group.append_to(&mut self.file)
    }

    /// Ends the run; returns the output and how many rows went there.
    ///
    /// # Errors
    /// As [`RunWriter::push`].
    pub fn finish(mut self) -> Result<(W, u64), StoreError> {
        self.end_group()?;
        while !self.encoding.is_empty() {
            self.write_next()?;
        }
        Ok((self.file.into_inner().map_err(cannot_write)?, self.rows))
    }
}

/// A whole run.
///
/// # Errors
/// As [`RunWriter::push`].
pub fn encode<R: Row>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, StoreError> {
    let mut writer = RunWriter::new(Vec::new())?;
    for row in rows {
        writer.push(row)?;
    }
    Ok(writer.finish()?.0)
}

/// The rows of a run; `path` is for the error only.
///
/// # Errors
/// `Corrupt`, naming the path, where the file is no run of this kind, of an
/// unknown format, holds malformed rows or is not sorted.
pub fn decode<R: Row>(path: &str, file: Bytes) -> Result<Vec<R>, StoreError> {
    RunReader::<R>::open(path, file)?.rows().collect()
}

/// The most rows in a row group of a run.
pub(crate) fn group_rows(kind: RunKind) -> u64 {
    let rows = match kind {
        RunKind::Objects => ObjectRow::GROUP_ROWS,
        RunKind::Links => LinkRow::GROUP_ROWS,
    };
    rows as u64
}

fn schema<R: Row>() -> Arc<Type> {
    parsed(R::SCHEMAS[0])
}

fn parsed(schema: &str) -> Arc<Type> {
    Arc::new(parse_message_type(schema).expect("invariant: the schema is a valid message"))
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
        .set_max_row_group_row_count(Some(R::GROUP_ROWS))
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
