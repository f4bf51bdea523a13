//! One row group's columns, written and read whole.

use std::io::Write;

use parquet::column::reader::ColumnReader as Raw;
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType};
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::SerializedRowGroupWriter;

use super::{Malformed, cannot_write};
use crate::error::StoreError;

/// Takes the columns of a row group in their order.
pub struct ColumnWriter<'g, 'f, W: Write + Send> {
    group: &'g mut SerializedRowGroupWriter<'f, W>,
}

impl<'g, 'f, W: Write + Send> ColumnWriter<'g, 'f, W> {
    pub(super) fn new(group: &'g mut SerializedRowGroupWriter<'f, W>) -> Self {
        Self { group }
    }

    /// Writes the next column, of texts.
    pub(super) fn texts(
        &mut self,
        values: impl IntoIterator<Item = impl Into<ByteArray>>,
    ) -> Result<(), StoreError> {
        let values: Vec<ByteArray> = values.into_iter().map(Into::into).collect();
        let mut column = self.next()?;
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, None, None)
            .map_err(cannot_write)?;
        column.close().map_err(cannot_write)
    }

    /// Writes the next column, of hashes.
    pub(super) fn hashes(
        &mut self,
        values: impl IntoIterator<Item = blake3::Hash>,
    ) -> Result<(), StoreError> {
        let value = |hash: blake3::Hash| FixedLenByteArray::from(hash.as_bytes().to_vec());
        let values: Vec<FixedLenByteArray> = values.into_iter().map(value).collect();
        let mut column = self.next()?;
        column
            .typed::<FixedLenByteArrayType>()
            .write_batch(&values, None, None)
            .map_err(cannot_write)?;
        column.close().map_err(cannot_write)
    }

    fn next(&mut self) -> Result<parquet::file::writer::SerializedColumnWriter<'_>, StoreError> {
        let column = self.group.next_column().map_err(cannot_write)?;
        Ok(column.expect("invariant: a row writes the columns of its schema"))
    }
}

/// Gives the columns of a row group by their index.
pub struct ColumnReader<'g> {
    group: &'g dyn RowGroupReader,
}

impl<'g> ColumnReader<'g> {
    pub(super) fn new(group: &'g dyn RowGroupReader) -> Self {
        Self { group }
    }

    /// How many columns there are.
    pub(super) fn count(&self) -> usize {
        self.group.num_columns()
    }

    /// A column of hashes.
    pub(super) fn hashes(&self, index: usize) -> Result<Vec<blake3::Hash>, Malformed> {
        let rows = usize::try_from(self.group.metadata().num_rows()).map_err(|_| short())?;
        let Raw::FixedLenByteArrayColumnReader(mut column) = self.group.get_column_reader(index)?
        else {
            return Err(Malformed(format!("column {index} holds no hashes")));
        };
        let mut values: Vec<FixedLenByteArray> = Vec::new();
        while values.len() < rows {
            let (records, _, _) =
                column.read_records(rows - values.len(), None, None, &mut values)?;
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
        let rows = usize::try_from(self.group.metadata().num_rows()).map_err(|_| short())?;
        let Raw::ByteArrayColumnReader(mut column) = self.group.get_column_reader(index)? else {
            return Err(Malformed(format!("column {index} holds no text")));
        };
        let mut values: Vec<ByteArray> = Vec::new();
        while values.len() < rows {
            let (records, _, _) =
                column.read_records(rows - values.len(), None, None, &mut values)?;
            if records == 0 {
                return Err(short());
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
