//! One row group's columns, written whole, read whole or in parts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::ColumnReader as Raw;
use parquet::column::writer::{ColumnCloseResult, get_column_writer, get_typed_column_writer};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::SchemaDescriptor;

use super::{Malformed, cannot_write};
use crate::error::StoreError;

/// A row group that is encoded and not yet part of a file.
pub(super) struct Group {
    columns: Vec<(Bytes, ColumnCloseResult)>,
}

impl Group {
    /// Adds the row group to a file.
    pub(super) fn append_to<W: Write + Send>(
        self,
        file: &mut SerializedFileWriter<W>,
    ) -> Result<(), StoreError> {
        let mut group = file.next_row_group().map_err(cannot_write)?;
        for (bytes, about) in self.columns {
            group.append_column(&bytes, about).map_err(cannot_write)?;
        }
        group.close().map(drop).map_err(cannot_write)
    }
}

/// Takes the columns of a row group in their order; needs no file, so that many
/// groups can be encoded at once.
pub struct ColumnWriter {
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    columns: Vec<(Bytes, ColumnCloseResult)>,
}

impl ColumnWriter {
    /// Prepares for a row group of that file.
    pub(super) fn of<W: Write + Send>(file: &SerializedFileWriter<W>) -> Self {
        Self {
            schema: file.schema_descr().clone(),
            properties: Arc::clone(file.properties()),
            columns: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Group {
        Group {
            columns: self.columns,
        }
    }

    /// Writes the next column, of texts.
    pub(super) fn texts(
        &mut self,
        values: impl IntoIterator<Item = impl Into<ByteArray>>,
    ) -> Result<(), StoreError> {
        let values: Vec<ByteArray> = values.into_iter().map(Into::into).collect();
        self.column::<ByteArrayType>(&values).map_err(cannot_write)
    }

    /// Writes the next column, of hashes.
    pub(super) fn hashes(
        &mut self,
        values: impl IntoIterator<Item = blake3::Hash>,
    ) -> Result<(), StoreError> {
        let value = |hash: blake3::Hash| FixedLenByteArray::from(hash.as_bytes().to_vec());
        let values: Vec<FixedLenByteArray> = values.into_iter().map(value).collect();
        self.column::<FixedLenByteArrayType>(&values)
            .map_err(cannot_write)
    }

    fn column<T: DataType>(&mut self, values: &[T::T]) -> Result<(), ParquetError> {
        let about = self.schema.column(self.columns.len());
        let mut bytes = TrackedWrite::new(Vec::new());
        let pages = Box::new(SerializedPageWriter::new(&mut bytes));
        let column = get_column_writer(about, Arc::clone(&self.properties), pages);
        let mut column = get_typed_column_writer::<T>(column);
        column.write_batch(values, None, None)?;
        let closed = column.close()?;
        self.columns.push((bytes.into_inner()?.into(), closed));
        Ok(())
    }
}

/// Gives the columns of a row group by their index, some rows at a time.
pub struct ColumnReader<'g> {
    group: &'g dyn RowGroupReader,
    /// The columns that were begun.
    begun: RefCell<BTreeMap<usize, Raw>>,
    /// How many rows are read next, of each column.
    rows: usize,
}

impl<'g> ColumnReader<'g> {
    /// Before the first row.
    pub(super) fn new(group: &'g dyn RowGroupReader) -> Self {
        Self {
            group,
            begun: RefCell::default(),
            rows: 0,
        }
    }

    /// Goes on to the next so many rows. Columns that were begun must have been
    /// read in each turn.
    pub(super) fn turn_to_next(&mut self, rows: usize) {
        self.rows = rows;
    }

    /// How many columns there are.
    pub(super) fn count(&self) -> usize {
        self.group.num_columns()
    }

    /// A column of hashes.
    pub(super) fn hashes(&self, index: usize) -> Result<Vec<blake3::Hash>, Malformed> {
        let mut begun = self.begun.borrow_mut();
        let Raw::FixedLenByteArrayColumnReader(column) = self.begin(&mut begun, index)? else {
            return Err(Malformed(format!("column {index} holds no hashes")));
        };
        let mut values: Vec<FixedLenByteArray> = Vec::new();
        while values.len() < self.rows {
            let left = self.rows - values.len();
            let (records, _, _) = column.read_records(left, None, None, &mut values)?;
            if records == 0 {
                return Err(short());
            }
        }
        let hash = |value: &FixedLenByteArray| {
            blake3::Hash::from_slice(value.data())
                .map_err(|_| Malformed("a hash has another length".to_owned()))
        };
        values.iter().map(hash).collect()
    }

    /// A column of texts.
    pub(super) fn texts(&self, index: usize) -> Result<Vec<ByteArray>, Malformed> {
        let mut begun = self.begun.borrow_mut();
        let Raw::ByteArrayColumnReader(column) = self.begin(&mut begun, index)? else {
            return Err(Malformed(format!("column {index} holds no text")));
        };
        let mut values: Vec<ByteArray> = Vec::new();
        while values.len() < self.rows {
            let left = self.rows - values.len();
            let (records, _, _) = column.read_records(left, None, None, &mut values)?;
            if records == 0 {
                return Err(short());
            }
        }
        Ok(values)
    }

    /// A column where its reading stands.
    fn begin<'b>(
        &self,
        begun: &'b mut BTreeMap<usize, Raw>,
        index: usize,
    ) -> Result<&'b mut Raw, Malformed> {
        Ok(match begun.entry(index) {
            Entry::Occupied(column) => column.into_mut(),
            Entry::Vacant(place) => place.insert(self.group.get_column_reader(index)?),
        })
    }

    /// The texts of some rows of a column; the rows are counted in the group and
    /// given in order. Pages that hold none of them are not read where the group
    /// knows its pages.
    pub(super) fn texts_at(
        &self,
        index: usize,
        rows: impl IntoIterator<Item = Range<usize>>,
    ) -> Result<Vec<ByteArray>, Malformed> {
        let Raw::ByteArrayColumnReader(mut column) = self.group.get_column_reader(index)? else {
            return Err(Malformed(format!("column {index} holds no text")));
        };
        let (mut at, mut values) = (0, Vec::new());
        for range in rows {
            if column.skip_records(range.start - at)? != range.start - at {
                return Err(short());
            }
            at = range.start;
            while at < range.end {
                let (records, _, _) =
                    column.read_records(range.end - at, None, None, &mut values)?;
                if records == 0 {
                    return Err(short());
                }
                at += records;
            }
        }
        Ok(values)
    }
}

fn short() -> Malformed {
    Malformed("a column is shorter than its row group".to_owned())
}

/// The text in a cell.
pub(super) fn text(cell: &ByteArray) -> Result<&str, Malformed> {
    std::str::from_utf8(cell.data()).map_err(|_| Malformed("a text is not UTF-8".to_owned()))
}
