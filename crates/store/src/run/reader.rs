//! Reads a run some rows at a time, so that a large one needs little memory.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use model::{LinkKind, ObjectId, ObjectType};
use parquet::file::metadata::{
    ColumnChunkMask, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedRowGroupReader;
use parquet::file::statistics::Statistics;

use super::column::ColumnReader;
use super::link::{self, LinkRow};
use super::object::{self, ObjectKey, ObjectName, ObjectRow};
use super::{FORMAT, FORMAT_KEY, KIND_KEY, Malformed, Ordered, Row, parsed};
use crate::error::StoreError;
use crate::partial::Source;

/// Rows that are read at once.
const BATCH_ROWS: usize = 10_000;
/// How often that is done ahead, by a thread, while rows are taken.
const AHEAD: usize = 1;

/// An opened run.
pub struct RunReader<R> {
    path: String,
    source: Source,
    metadata: ParquetMetaData,
    rows: PhantomData<R>,
}

/// How row groups are read: which columns that takes, and what becomes of them.
struct Way<T> {
    columns: Range<usize>,
    read: fn(&ColumnReader<'_>) -> Result<Vec<T>, Malformed>,
}

impl<R: Row> RunReader<R> {
    /// Opens a run that is at hand; `path` is for errors only.
    ///
    /// # Errors
    /// `Corrupt`, naming the path, where it is no run of this kind that this
    /// version can read.
    pub fn open(path: &str, file: Bytes) -> Result<Self, StoreError> {
        Self::from_source(path, Source::Whole(file))
    }

    /// The same of a run that is read in parts. Blocks.
    ///
    /// # Errors
    /// As [`RunReader::open`]; `Unavailable`.
    pub(crate) fn from_source(path: &str, source: Source) -> Result<Self, StoreError> {
        let metadata = metadata::<R>(&source).map_err(|error| told(path, &source, error))?;
        Ok(Self {
            path: path.to_owned(),
            source,
            metadata,
            rows: PhantomData,
        })
    }

    /// How many rows the file says it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.metadata.file_metadata().num_rows()).unwrap_or_default()
    }

    /// All rows, in order.
    pub fn rows(self) -> impl Iterator<Item = Result<R, StoreError>> {
        let (all, columns) = (self.all(), 0..self.columns());
        let read = R::read;
        self.groups(all, Way { columns, read })
    }

    /// The parts of the run that cannot be read, whatever of the file is damaged.
    /// Blocks.
    ///
    /// # Errors
    /// `Unavailable`, which says nothing about the file.
    pub(crate) fn unreadable(&self) -> Result<Vec<Span>, StoreError> {
        let mut spans = Vec::new();
        for index in self.all() {
            let bytes = self.bytes_of(index, 0..self.columns());
            let length = usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX);
            let read = self.source.get_bytes(bytes.start, length);
            match read.map_err(|error| told(&self.path, &self.source, error.into())) {
                Ok(_) => {}
                Err(StoreError::Corrupt { .. }) => spans.push(self.span(index)),
                Err(error) => return Err(error),
            }
        }
        Ok(spans)
    }

    fn span(&self, index: usize) -> Span {
        let group = self.metadata.row_group(index);
        let end = |column: usize, of: fn(&Statistics) -> Option<&[u8]>| {
            let value = group.column(column).statistics().and_then(of);
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        let (name, id) = R::NAMED_BY;
        Span {
            name: end(name, Statistics::min_bytes_opt),
            first: end(id, Statistics::min_bytes_opt),
            last: end(id, Statistics::max_bytes_opt),
            rows: u64::try_from(group.num_rows()).unwrap_or_default(),
        }
    }

    fn all(&self) -> Vec<usize> {
        (0..self.metadata.num_row_groups()).collect()
    }

    fn columns(&self) -> usize {
        self.metadata.file_metadata().schema_descr().num_columns()
    }

    /// The groups that may hold what is looked for.
    fn those(&self, may_hold: impl Fn(&RowGroupMetaData) -> bool) -> Vec<usize> {
        let groups = self.metadata.row_groups().iter().enumerate();
        groups
            .filter(|(_, group)| may_hold(group))
            .map(|(index, _)| index)
            .collect()
    }

    fn group(&self, index: usize) -> Result<SerializedRowGroupReader<'_, Source>, Malformed> {
        Ok(SerializedRowGroupReader::new(
            Arc::new(self.source.clone()),
            self.metadata.row_group(index),
            self.metadata.page_index_for_row_group(index),
            Arc::new(ReaderProperties::builder().build()),
        )?)
    }

    /// Reads group after group and checks that the rows are sorted.
    fn groups<T: Ordered + Clone + Send + 'static>(
        self,
        wanted: Vec<usize>,
        way: Way<T>,
    ) -> impl Iterator<Item = Result<T, StoreError>> {
        let (sender, batches) = mpsc::sync_channel(AHEAD);
        let mut thread = Some(std::thread::spawn(move || {
            self.send_groups(wanted, &way, &sender);
        }));
        let mut rows: std::vec::IntoIter<T> = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(row) = rows.next() {
                    return Some(Ok(row));
                }
                match batches.recv() {
                    Ok(Ok(batch)) => rows = batch.into_iter(),
                    Ok(Err(error)) => return Some(Err(error)),
                    Err(mpsc::RecvError) => {
                        if let Some(Err(panic)) = thread.take().map(JoinHandle::join) {
                            std::panic::resume_unwind(panic);
                        }
                        return None;
                    }
                }
            }
        })
    }

    /// Sends the rows of group after group, some at a time, until one is malformed
    /// or nobody listens.
    fn send_groups<T: Ordered + Clone>(
        self,
        wanted: Vec<usize>,
        way: &Way<T>,
        batches: &mpsc::SyncSender<Result<Vec<T>, StoreError>>,
    ) {
        let mut last: Option<T> = None;
        for index in wanted {
            let mut listened = true;
            let read = self.read_group(index, way, |batch| {
                let batch = sorted(last.as_ref(), batch)?;
                last = batch.last().cloned().or_else(|| last.take());
                listened = batches.send(Ok(batch)).is_ok();
                Ok(listened)
            });
            if let Err(error) = read {
                // Whoever stopped listening wants no error either.
                let _unheard = batches.send(Err(told(&self.path, &self.source, error)));
                return;
            }
            if !listened {
                return;
            }
        }
    }

    /// Gives the rows of a group, some at a time, for as long as they are wanted.
    fn read_group<T>(
        &self,
        index: usize,
        way: &Way<T>,
        mut take: impl FnMut(Vec<T>) -> Result<bool, Malformed>,
    ) -> Result<(), Malformed> {
        self.source
            .prefetch(self.bytes_of(index, way.columns.clone()))?;
        let group = self.group(index)?;
        let mut columns = ColumnReader::new(&group);
        let mut left = usize::try_from(self.metadata.row_group(index).num_rows())
            .map_err(|_| Malformed("a row group has no count of rows".to_owned()))?;
        while left > 0 {
            let rows = left.min(BATCH_ROWS);
            columns.turn_to_next(rows);
            if !take((way.read)(&columns)?)? {
                break;
            }
            left -= rows;
        }
        Ok(())
    }

    /// Where some columns of a group lie.
    fn bytes_of(&self, index: usize, columns: Range<usize>) -> Range<u64> {
        let chunks = self.metadata.row_group(index).columns();
        let ranges = chunks[columns].iter().map(|chunk| {
            let (start, length) = chunk.byte_range();
            start..start + length
        });
        let whole = ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        whole.unwrap_or_default()
    }

    /// Learns which pages some groups have.
    fn with_pages(&mut self, groups: &[usize], column: usize) -> Result<(), Malformed> {
        let groups = || groups.iter().copied();
        let mut reader = ParquetMetaDataReader::new_with_metadata(self.metadata.clone())
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_column_index_mask(ColumnChunkMask::row_groups_and_columns(groups(), [column]))
            .with_offset_index_mask(ColumnChunkMask::row_groups(groups()));
        reader.read_page_indexes(&self.source)?;
        self.metadata = reader.finish()?;
        Ok(())
    }

    /// The rows of a group on pages that may hold one of some texts in a column;
    /// all where the group does not know its pages.
    fn rows_on_pages(&self, index: usize, column: usize, texts: &[&[u8]]) -> Vec<Range<usize>> {
        let rows = usize::try_from(self.metadata.row_group(index).num_rows()).unwrap_or_default();
        let pages = self.metadata.page_index_for_row_group(index);
        let (Some(ColumnIndexMetaData::BYTE_ARRAY(values)), Some(places)) =
            (pages.column_index(column), pages.page_locations(column))
        else {
            return std::iter::once(0..rows).collect();
        };
        let first = |page: usize| {
            let place = places.get(page).map(|place| place.first_row_index);
            place.map_or(rows, |row| usize::try_from(row).unwrap_or(rows))
        };
        let may_hold = |page: &usize| match (values.min_value(*page), values.max_value(*page)) {
            (Some(least), Some(most)) => texts.iter().any(|text| least <= *text && *text <= most),
            _ => true,
        };
        let pages = (0..places.len()).filter(may_hold);
        pages.map(|page| first(page)..first(page + 1)).collect()
    }
}

/// Whether a group's column may hold a text from a range of texts.
fn may_hold(group: &RowGroupMetaData, column: usize, from: &[u8], to: Option<&[u8]>) -> bool {
    let statistics = group.column(column).statistics();
    let least = statistics.and_then(Statistics::min_bytes_opt);
    let most = statistics.and_then(Statistics::max_bytes_opt);
    most.is_none_or(|most| from <= most) && least.zip(to).is_none_or(|(least, to)| least <= to)
}

/// The same of one text.
fn may_hold_one(group: &RowGroupMetaData, column: usize, text: &str) -> bool {
    may_hold(group, column, text.as_bytes(), Some(text.as_bytes()))
}

impl RunReader<ObjectRow> {
    /// All rows, in order, without their JSON, which is not even read.
    pub fn keys(self) -> impl Iterator<Item = Result<ObjectKey, StoreError>> {
        let all = self.all();
        self.groups(all, KEYS)
    }

    /// The rows of one type whose ids begin at one and end at another, in order;
    /// groups without any are not even read.
    pub(crate) fn rows_of(
        self,
        object_type: ObjectType,
        ids: &IdRange,
    ) -> impl Iterator<Item = Result<ObjectRow, StoreError>> + use<> {
        let (wanted, columns) = (self.groups_of(object_type, ids), 0..self.columns());
        let read = ObjectRow::read;
        self.groups(wanted, Way { columns, read })
    }

    /// The same with names instead of JSON, as a search wants them.
    pub(crate) fn names_of(
        self,
        object_type: ObjectType,
        ids: &IdRange,
    ) -> impl Iterator<Item = Result<ObjectName, StoreError>> + use<> {
        let wanted = self.groups_of(object_type, ids);
        let way = match object::has_names_in_json(object_type) {
            true => Way {
                columns: 0..self.columns(),
                read: object::read_names_in_json,
            },
            false => Way {
                columns: object::NAME_COLUMNS,
                read: object::read_names,
            },
        };
        self.groups(wanted, way)
    }

    fn groups_of(&self, object_type: ObjectType, ids: &IdRange) -> Vec<usize> {
        let from = ids.from.as_ref().map_or("", ObjectId::as_str).as_bytes();
        let to = ids.to.as_ref().map(|id| id.as_str().as_bytes());
        self.those(|group| {
            may_hold_one(group, object::TYPE, object_type.name())
                && may_hold(group, object::ID, from, to)
        })
    }

    /// What the run says of some objects, each with its type; of each group only
    /// the pages are read that may hold one. Blocks.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Unavailable`.
    pub(crate) fn find(
        mut self,
        wanted: &[(ObjectType, ObjectId)],
    ) -> Result<Vec<ObjectRow>, StoreError> {
        let found = self.look_up(wanted);
        found.map_err(|error| told(&self.path, &self.source, error))
    }

    fn look_up(&mut self, wanted: &[(ObjectType, ObjectId)]) -> Result<Vec<ObjectRow>, Malformed> {
        let mut groups: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        for (object_type, id) in wanted {
            let those = self.those(|group| {
                may_hold_one(group, object::TYPE, object_type.name())
                    && may_hold_one(group, object::ID, id.as_str())
            });
            for index in those {
                let ids = groups.entry(index).or_default();
                ids.push(id.as_str().as_bytes());
            }
        }
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let those: Vec<usize> = groups.keys().copied().collect();
        self.with_pages(&those, object::ID)?;
        let mut rows = Vec::new();
        for (index, mut ids) in groups {
            ids.sort_unstable();
            let group = self.group(index)?;
            let columns = ColumnReader::new(&group);
            let places = self.rows_on_pages(index, object::ID, &ids);
            let stored = columns.texts_at(object::ID, places.iter().cloned())?;
            let hit = |(place, id): (usize, &parquet::data_type::ByteArray)| {
                ids.binary_search(&id.data()).is_ok().then_some(place)
            };
            let hits: Vec<usize> = places
                .into_iter()
                .flatten()
                .zip(&stored)
                .filter_map(hit)
                .collect();
            rows.extend(object::read_rows_at(&columns, &hits)?);
        }
        rows.retain(|row| {
            let is_it = |(object_type, id): &(ObjectType, ObjectId)| {
                (*object_type, id) == (row.object_type, &row.id)
            };
            wanted.iter().any(is_it)
        });
        Ok(rows)
    }
}

/// Rows of a run that lie together: of one type or link kind, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The type, or the link kind; empty where it is not known.
    pub name: String,
    /// The least id, of links that of the source; empty where it is not known.
    pub first: String,
    /// The greatest.
    pub last: String,
    /// How many rows.
    pub rows: u64,
}

/// Ids from one to another, both included; open where an end is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdRange {
    /// The first.
    pub from: Option<ObjectId>,
    /// The last.
    pub to: Option<ObjectId>,
}

impl IdRange {
    /// Whether an id is in it.
    #[must_use]
    pub fn holds(&self, id: &ObjectId) -> bool {
        self.from.as_ref().is_none_or(|from| from <= id)
            && self.to.as_ref().is_none_or(|to| id <= to)
    }
}

const KEYS: Way<ObjectKey> = Way {
    columns: object::KEY_COLUMNS,
    read: object::read_keys,
};

impl RunReader<LinkRow> {
    /// The rows of one kind, in order; other kinds are not even read.
    pub fn rows_of(self, kind: LinkKind) -> impl Iterator<Item = Result<LinkRow, StoreError>> {
        // A group holds one kind; one that does not say which is read as well.
        let wanted = self.those(|group| may_hold_one(group, link::KIND, kind.name()));
        self.links(wanted)
            .filter(move |row| !matches!(row, Ok(row) if row.link.kind != kind))
    }

    /// The rows of links that an object holds, in order; groups without any are
    /// not even read.
    pub(crate) fn rows_from(
        self,
        source: &ObjectId,
    ) -> impl Iterator<Item = Result<LinkRow, StoreError>> + use<> {
        let wanted = self.those(|group| may_hold_one(group, link::SOURCE, source.as_str()));
        let source = source.clone();
        self.links(wanted)
            .filter(move |row| !matches!(row, Ok(row) if row.link.source != source))
    }

    fn links(self, wanted: Vec<usize>) -> impl Iterator<Item = Result<LinkRow, StoreError>> {
        let way = Way {
            columns: 0..self.columns(),
            read: LinkRow::read,
        };
        self.groups(wanted, way)
    }
}

/// The error of a file that cannot be read: damage, unless it could not be fetched.
fn told(path: &str, source: &Source, error: Malformed) -> StoreError {
    source
        .failure()
        .unwrap_or_else(|| StoreError::corrupt(path, error))
}

fn sorted<T: Ordered>(last: Option<&T>, rows: Vec<T>) -> Result<Vec<T>, Malformed> {
    let mut before = last;
    for row in &rows {
        if before.is_some_and(|before| before.order(row) != Ordering::Less) {
            return Err(Malformed(format!(
                "{} is out of order or occurs twice",
                row.label()
            )));
        }
        before = Some(row);
    }
    Ok(rows)
}

fn metadata<R: Row>(source: &Source) -> Result<ParquetMetaData, Malformed> {
    let parquet = ParquetMetaDataReader::new().parse_and_finish(source)?;
    let metadata = parquet.file_metadata();
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
    let known = R::SCHEMAS
        .iter()
        .any(|schema| metadata.schema() == parsed(schema).as_ref());
    if !known {
        return Err(Malformed(
            "its columns are not those of the format".to_owned(),
        ));
    }
    Ok(parquet)
}
