//! The runs of one kind that make a snapshot: a base and the changes since; opened
//! whole, or to read parts of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use model::{LinkKind, Object, ObjectId, ObjectType};
use tokio::runtime::Handle;

use super::TenantVault;
use crate::blocking;
use crate::error::StoreError;
use crate::file;
use crate::layout;
use crate::manifest::{Manifest, RunFile};
use crate::partial::{Partial, Source};
use crate::run::{IdRange, LinkRow, ObjectKey, ObjectName, ObjectRow, Row, RunReader, newest};
use crate::seal;

/// Opened runs, the oldest first.
#[derive(Debug, Clone)]
pub(super) struct Chain<R> {
    runs: Vec<(String, Source)>,
    counts: Vec<u64>,
    bytes: Vec<u64>,
    key: u32,
    rows: std::marker::PhantomData<R>,
}

impl<R: Row> Chain<R> {
    fn new(runs: Vec<(String, Source)>, files: &[&RunFile]) -> Self {
        Self {
            runs,
            counts: files.iter().map(|file| file.rows).collect(),
            bytes: files.iter().map(|file| file.bytes).collect(),
            key: files.last().map_or(1, |file| file.key),
            rows: std::marker::PhantomData,
        }
    }

    /// How many rows each run has.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many bytes the base has.
    pub(super) fn base_bytes(&self) -> u64 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// How many bytes the changes have.
    pub(super) fn changed_bytes(&self) -> u64 {
        self.bytes.iter().skip(1).sum()
    }

    /// The number of the data key that all runs are sealed with.
    pub(super) fn key(&self) -> u32 {
        self.key
    }

    fn readers(&self) -> Result<Vec<RunReader<R>>, StoreError> {
        let runs = self.runs.iter().zip(&self.counts);
        runs.map(|((path, source), rows)| reader(path, source.clone(), *rows))
            .collect()
    }

    /// The newest row about each thing, in order.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; later ones come as items.
    pub(super) fn rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<R, StoreError>> + use<R>, StoreError> {
        let rows = self.readers()?.into_iter().map(RunReader::rows);
        Ok(newest(rows.collect()))
    }
}

impl Chain<LinkRow> {
    /// The oldest row about each link, in order.
    ///
    /// # Errors
    /// As [`Chain::rows`].
    pub(super) fn oldest_rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<LinkRow, StoreError>> + use<>, StoreError> {
        let rows = self.readers()?.into_iter().rev().map(RunReader::rows);
        Ok(newest(rows.collect()))
    }
}

impl Chain<ObjectRow> {
    /// The same without the JSON.
    ///
    /// # Errors
    /// As [`Chain::rows`].
    pub(super) fn keys(
        &self,
    ) -> Result<impl Iterator<Item = Result<ObjectKey, StoreError>> + use<>, StoreError> {
        let keys = self.readers()?.into_iter().map(RunReader::keys);
        Ok(newest(keys.collect()))
    }
}

impl Chain<ObjectRow> {
    /// The newest row about each object of one type in a range of ids, in order.
    ///
    /// # Errors
    /// As [`Chain::rows`].
    pub(super) fn rows_of(
        &self,
        object_type: ObjectType,
        ids: &IdRange,
    ) -> Result<impl Iterator<Item = Result<ObjectRow, StoreError>> + use<>, StoreError> {
        let readers = self.readers()?.into_iter();
        let rows = readers.map(|run| run.rows_of(object_type, ids)).collect();
        let ids = ids.clone();
        let outside =
            move |object: ObjectType, id: &ObjectId| object != object_type || !ids.holds(id);
        Ok(newest(rows)
            .filter(move |row| !matches!(row, Ok(row) if outside(row.object_type, &row.id))))
    }

    /// The same with names instead of JSON.
    ///
    /// # Errors
    /// As [`Chain::rows`].
    pub(super) fn names_of(
        &self,
        object_type: ObjectType,
        ids: &IdRange,
    ) -> Result<impl Iterator<Item = Result<ObjectName, StoreError>> + use<>, StoreError> {
        let readers = self.readers()?.into_iter();
        let rows = readers.map(|run| run.names_of(object_type, ids)).collect();
        let ids = ids.clone();
        let outside =
            move |object: ObjectType, id: &ObjectId| object != object_type || !ids.holds(id);
        Ok(newest(rows)
            .filter(move |row| !matches!(row, Ok(row) if outside(row.object_type, &row.id))))
    }

    /// Some objects, in order, of those that are there; the runs are asked at once.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Unavailable`.
    pub(super) async fn find(
        self,
        wanted: Vec<(ObjectType, ObjectId)>,
    ) -> Result<Vec<Object>, StoreError> {
        let wanted: Arc<[_]> = wanted.into();
        let asked = self
            .runs
            .into_iter()
            .zip(self.counts)
            .map(|((path, source), rows)| {
                let wanted = Arc::clone(&wanted);
                blocking::run(move || reader::<ObjectRow>(&path, source, rows)?.find(&wanted))
            });
        // The oldest run comes first, so what a newer one says takes its place.
        let rows = try_join_all(asked).await?.into_iter().flatten();
        let newest: BTreeMap<_, _> = rows
            .map(|row: ObjectRow| ((row.object_type, row.id.clone()), row))
            .collect();
        let objects = newest.into_values().filter_map(ObjectRow::into_object);
        Ok(objects.collect())
    }
}

impl Chain<LinkRow> {
    /// The newest row about each link that an object holds, in order.
    ///
    /// # Errors
    /// As [`Chain::rows`].
    pub(super) fn rows_from(
        &self,
        source: &ObjectId,
    ) -> Result<impl Iterator<Item = Result<LinkRow, StoreError>> + use<>, StoreError> {
        let rows = self.readers()?.into_iter().map(|run| run.rows_from(source));
        Ok(newest(rows.collect()))
    }

    /// The newest row about each link of one kind, in order.
    ///
    /// # Errors
    /// As [`Chain::rows`].
    pub(super) fn rows_of(
        &self,
        kind: LinkKind,
    ) -> Result<impl Iterator<Item = Result<LinkRow, StoreError>> + use<>, StoreError> {
        let rows = self.readers()?.into_iter().map(|run| run.rows_of(kind));
        Ok(newest(rows.collect()))
    }
}

/// Opens a run that must hold so many rows.
pub(super) fn reader<R: Row>(
    path: &str,
    source: Source,
    rows: u64,
) -> Result<RunReader<R>, StoreError> {
    let reader = RunReader::from_source(path, source)?;
    if reader.count() == rows {
        return Ok(reader);
    }
    let kind = R::KIND.name();
    Err(StoreError::corrupt(
        path,
        format!(
            "it does not hold as many rows as the manifest says; it holds the snapshot's {kind}"
        ),
    ))
}

impl TenantVault {
    /// Opens the runs of one kind, every byte checked against the manifest.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Invalid` for another tenant's manifest;
    /// `Unavailable`.
    pub(super) async fn chain<R: Row>(&self, manifest: &Manifest) -> Result<Chain<R>, StoreError> {
        let files = self.files::<R>(manifest)?;
        let mut runs = Vec::new();
        for file in &files {
            runs.push(self.open_run::<R>(file).await?);
        }
        Ok(Chain::new(runs, &files))
    }

    /// Opens the runs of one kind to read parts of them: what is read is checked,
    /// and nothing else is fetched. Runs of manifests that pin no head are fetched
    /// whole.
    ///
    /// # Errors
    /// As [`TenantVault::chain`].
    pub(super) async fn parts<R: Row>(&self, manifest: &Manifest) -> Result<Chain<R>, StoreError> {
        self.parts_of(&self.files::<R>(manifest)?).await
    }

    /// The same of some runs, the oldest first.
    ///
    /// # Errors
    /// As [`TenantVault::chain`].
    pub(super) async fn parts_of<R: Row>(
        &self,
        files: &[&RunFile],
    ) -> Result<Chain<R>, StoreError> {
        let runs = try_join_all(files.iter().map(|file| self.open_part::<R>(file))).await?;
        Ok(Chain::new(runs, files))
    }

    /// The runs of one kind that a manifest names, the oldest first.
    ///
    /// # Errors
    /// `Invalid` for another tenant's manifest.
    pub(super) fn files<'m, R: Row>(
        &self,
        manifest: &'m Manifest,
    ) -> Result<Vec<&'m RunFile>, StoreError> {
        if manifest.tenant != *self.id() {
            return Err(StoreError::Invalid(
                "the manifest is another tenant's".to_owned(),
            ));
        }
        let files = manifest.runs.iter().filter(|file| file.kind == R::KIND);
        Ok(files.collect())
    }

    pub(super) async fn open_part<R: Row>(
        &self,
        file: &RunFile,
    ) -> Result<(String, Source), StoreError> {
        let Some(head) = file.head else {
            return self.open_run::<R>(file).await;
        };
        let (store, key) = (Arc::clone(&self.store), Arc::clone(&self.key));
        let (file, runtime) = (file.clone(), Handle::current());
        blocking::run(move || {
            let parts = Partial::open(store, runtime, &key, &file, head)?;
            let path = layout::run(key.tenant(), &file.hash);
            Ok((path.to_string(), Source::Parts(parts)))
        })
        .await
    }

    pub(super) async fn open_run<R: Row>(
        &self,
        file: &RunFile,
    ) -> Result<(String, Source), StoreError> {
        let path = layout::run(self.id(), &file.hash);
        let touched = R::KIND.name();
        let sealed = file::read(self.store.as_ref(), &path)
            .await?
            .ok_or_else(|| {
                StoreError::corrupt(
                    path.as_ref(),
                    format!("it is missing; it holds the snapshot's {touched}"),
                )
            })?;
        let (key, file) = (Arc::clone(&self.key), file.clone());
        blocking::run(move || {
            let damaged = |detail: &str| {
                StoreError::corrupt(
                    path.as_ref(),
                    format!("{detail}; it holds the snapshot's {touched}"),
                )
            };
            if sealed.len() as u64 != file.bytes || blake3::hash(&sealed) != file.hash {
                return Err(damaged("its bytes are not those that were written"));
            }
            let plain = seal::decrypt(&key, &path, &sealed);
            drop(sealed);
            let opened = plain.map(Bytes::from).and_then(|plain| {
                Ok((
                    RunReader::<R>::open(path.as_ref(), plain.clone())?.count(),
                    plain,
                ))
            });
            let (rows, plain) = opened.map_err(|error| match error {
                StoreError::Corrupt { detail, .. } => damaged(&detail),
                other => other,
            })?;
            if rows != file.rows {
                return Err(damaged(
                    "it does not hold as many rows as the manifest says",
                ));
            }
            Ok((path.to_string(), Source::Whole(plain)))
        })
        .await
    }
}
