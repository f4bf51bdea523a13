//! The runs of one kind that make a snapshot: a base and the changes since.

use std::sync::Arc;

use bytes::Bytes;
use model::LinkKind;

use super::TenantVault;
use crate::blocking;
use crate::error::StoreError;
use crate::file;
use crate::layout;
use crate::manifest::{Manifest, RunFile};
use crate::run::{LinkRow, ObjectKey, ObjectRow, Row, RunReader, newest};
use crate::seal;

/// Opened runs, the oldest first.
#[derive(Debug, Clone)]
pub(super) struct Chain<R> {
    runs: Vec<(String, Bytes)>,
    counts: Vec<u64>,
    key: u32,
    rows: std::marker::PhantomData<R>,
}

impl<R: Row> Chain<R> {
    /// How many rows each run has.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of the data key that all runs are sealed with.
    pub(super) fn key(&self) -> u32 {
        self.key
    }

    fn readers(&self) -> Result<Vec<RunReader<R>>, StoreError> {
        let open = |(path, file): &(String, Bytes)| RunReader::open(path, file.clone());
        self.runs.iter().map(open).collect()
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

impl Chain<LinkRow> {
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

impl TenantVault {
    /// Opens the runs of one kind, every byte checked against the manifest.
    ///
    /// # Errors
    /// `Corrupt`, naming the file; `Invalid` for another tenant's manifest;
    /// `Unavailable`.
    pub(super) async fn chain<R: Row>(&self, manifest: &Manifest) -> Result<Chain<R>, StoreError> {
        if manifest.tenant != *self.id() {
            return Err(StoreError::Invalid(
                "the manifest is another tenant's".to_owned(),
            ));
        }
        let (mut runs, mut counts, mut key) = (Vec::new(), Vec::new(), 1);
        for file in manifest.runs.iter().filter(|file| file.kind == R::KIND) {
            runs.push(self.open_run::<R>(file).await?);
            counts.push(file.rows);
            key = file.key;
        }
        Ok(Chain {
            runs,
            counts,
            key,
            rows: std::marker::PhantomData,
        })
    }

    async fn open_run<R: Row>(&self, file: &RunFile) -> Result<(String, Bytes), StoreError> {
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
            Ok((path.to_string(), plain))
        })
        .await
    }
}
