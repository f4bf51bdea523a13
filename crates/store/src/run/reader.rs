//! Reads a run row group by row group, so that a large one needs little memory.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use model::LinkKind;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;

use super::column::ColumnReader;
use super::link::LinkRow;
use super::object::{self, ObjectKey, ObjectRow};
use super::{FORMAT, FORMAT_KEY, KIND_KEY, Malformed, Ordered, Row, parsed};
use crate::error::StoreError;

/// Groups that are read ahead, by a thread, while rows are taken.
const AHEAD: usize = 1;

/// An opened run.
pub struct RunReader<R> {
    path: String,
    file: SerializedFileReader<Bytes>,
    rows: PhantomData<R>,
}

impl<R: Row> RunReader<R> {
    /// Opens a run; `path` is for errors only.
    ///
    /// # Errors
    /// `Corrupt`, naming the path, where it is no run of this kind that this
    /// version can read.
    pub fn open(path: &str, file: Bytes) -> Result<Self, StoreError> {
        let file = open::<R>(file).map_err(|error| StoreError::corrupt(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            rows: PhantomData,
        })
    }

    /// How many rows the file says it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or_default()
    }

    /// All rows, in order.
    pub fn rows(self) -> impl Iterator<Item = Result<R, StoreError>> {
        let all = self.all();
        self.groups(all, R::read)
    }

    fn all(&self) -> Vec<usize> {
        (0..self.file.num_row_groups()).collect()
    }

    /// Reads group after group with `read` and checks that the rows are sorted.
    fn groups<T: Ordered + Clone + Send + 'static>(
        self,
        wanted: Vec<usize>,
        read: fn(&ColumnReader<'_>) -> Result<Vec<T>, Malformed>,
    ) -> impl Iterator<Item = Result<T, StoreError>> {
        let (sender, groups) = mpsc::sync_channel(AHEAD);
        let mut thread = Some(std::thread::spawn(move || {
            self.send_groups(wanted, read, &sender);
        }));
        let mut rows: std::vec::IntoIter<T> = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(row) = rows.next() {
                    return Some(Ok(row));
                }
                match groups.recv() {
                    Ok(Ok(group)) => rows = group.into_iter(),
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

    /// Sends group after group until one is malformed or nobody listens.
    fn send_groups<T: Ordered + Clone>(
        self,
        wanted: Vec<usize>,
        read: fn(&ColumnReader<'_>) -> Result<Vec<T>, Malformed>,
        groups: &mpsc::SyncSender<Result<Vec<T>, StoreError>>,
    ) {
        let mut last: Option<T> = None;
        for index in wanted {
            let group = self
                .file
                .get_row_group(index)
                .map_err(Malformed::from)
                .and_then(|group| read(&ColumnReader::new(group.as_ref())))
                .and_then(|group| sorted(last.as_ref(), group))
                .map_err(|error| StoreError::corrupt(&self.path, error));
            let failed = group.is_err();
            if let Ok(group) = &group {
                last = group.last().cloned().or(last);
            }
            if groups.send(group).is_err() || failed {
                return;
            }
        }
    }
}

impl RunReader<ObjectRow> {
    /// All rows, in order, without their JSON, which is not even read.
    pub fn keys(self) -> impl Iterator<Item = Result<ObjectKey, StoreError>> {
        let all = self.all();
        self.groups(all, object::read_keys)
    }
}

impl RunReader<LinkRow> {
    /// The rows of one kind, in order; other kinds are not even read.
    pub fn rows_of(self, kind: LinkKind) -> impl Iterator<Item = Result<LinkRow, StoreError>> {
        let groups = self.file.metadata().row_groups();
        // A group holds one kind; one that does not say which is read as well.
        let may_hold = |index: &usize| {
            let least = groups[*index].column(0).statistics();
            let least = least.and_then(Statistics::min_bytes_opt);
            least.is_none_or(|least| least == kind.name().as_bytes())
        };
        let wanted = self.all().into_iter().filter(may_hold).collect();
        self.groups(wanted, LinkRow::read)
            .filter(move |row| !matches!(row, Ok(row) if row.link.kind != kind))
    }
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

fn open<R: Row>(file: Bytes) -> Result<SerializedFileReader<Bytes>, Malformed> {
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
    let known = R::SCHEMAS
        .iter()
        .any(|schema| metadata.schema() == parsed(schema).as_ref());
    if !known {
        return Err(Malformed(
            "its columns are not those of the format".to_owned(),
        ));
    }
    Ok(reader)
}
