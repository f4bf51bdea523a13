//! Snapshots: committed whole or not there, read back only as they were written.
//!
//! Runs are written first, under the hash of their bytes; the manifest is
//! created last and is what makes the snapshot. A run without a manifest is
//! invisible.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use model::snapshot::Content;
use model::{Link, Object, SnapshotId};

use super::TenantVault;
use crate::blocking;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::format::v1;
use crate::layout;
use crate::manifest::{Manifest, RunFile, SnapshotMeta, count_links, count_objects};
use crate::run::{self, Row, RunWriter};
use crate::seal;

/// How many manifests are read at once.
const MANIFESTS_AT_ONCE: usize = 16;

/// A snapshot that cannot be shown, beside those that can.
#[derive(Debug)]
pub struct Problem {
    /// The slot whose snapshot it is.
    pub slot: SnapshotId,
    /// The damaged file.
    pub path: String,
    /// What is wrong with it.
    pub error: StoreError,
}

impl TenantVault {
    /// Writes a snapshot: runs, then the manifest with a conditional create.
    ///
    /// The same attempt may commit again after an unknown outcome; it then gets
    /// the manifest that is there.
    ///
    /// # Errors
    /// `Exists` where another attempt has committed the slot; `Invalid` where the
    /// content is not sorted or cannot be stored; `Unavailable`, after which
    /// nothing of the snapshot is visible, or all of it.
    pub async fn commit_snapshot(
        &self,
        meta: &SnapshotMeta,
        content: &Content,
    ) -> Result<Manifest, StoreError> {
        let (objects, links) = futures::try_join!(
            self.write_run::<Object>(&content.objects),
            self.write_run::<Link>(&content.links)
        )?;
        let manifest = Manifest {
            tenant: self.id().clone(),
            meta: meta.clone(),
            runs: vec![objects, links],
            completeness: content.completeness.clone(),
            counts: count_objects(content),
            link_counts: count_links(content),
        };
        let path = layout::manifest(self.id(), &meta.id);
        match self
            .create(&path, v1::to_json(&v1::Manifest::from(&manifest))?)
            .await?
        {
            Created::Ours => Ok(manifest),
            Created::Theirs => {
                let standing = self.manifest(&meta.id).await?;
                let ours = standing.meta.attempt == meta.attempt;
                ours.then_some(standing).ok_or_else(|| StoreError::Exists {
                    what: format!("snapshot {}", meta.id),
                })
            }
        }
    }

    /// The manifests of all snapshots, newest first, and those that are damaged.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn manifests(&self) -> Result<(Vec<Manifest>, Vec<Problem>), StoreError> {
        let slots = file::folders(self.store.as_ref(), &layout::snapshots(self.id())).await?;
        let slots: Vec<SnapshotId> = slots
            .iter()
            .filter_map(|name| SnapshotId::parse(name).ok())
            .collect();
        let answers: Vec<_> = futures::stream::iter(slots)
            .map(|slot| async move { (self.manifest(&slot).await, slot) })
            .buffered(MANIFESTS_AT_ONCE)
            .collect()
            .await;
        let (mut manifests, mut problems) = (Vec::new(), Vec::new());
        for (answer, slot) in answers {
            match answer {
                Ok(manifest) => manifests.push(manifest),
                // A folder without a manifest is no snapshot.
                Err(StoreError::NotFound { .. }) => {}
                Err(error @ StoreError::Corrupt { .. }) => {
                    let path = layout::manifest(self.id(), &slot).to_string();
                    problems.push(Problem { slot, path, error });
                }
                Err(error) => return Err(error),
            }
        }
        manifests.sort_by(|a, b| (b.meta.started, b.id()).cmp(&(a.meta.started, a.id())));
        Ok((manifests, problems))
    }

    /// The manifest of one snapshot.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the file; `Unavailable`.
    pub async fn manifest(&self, id: &SnapshotId) -> Result<Manifest, StoreError> {
        let path = layout::manifest(self.id(), id);
        let Some(bytes) = self.open(&path).await? else {
            return Err(StoreError::NotFound {
                what: format!("snapshot {id}"),
            });
        };
        let stored: v1::Manifest = v1::from_json(path.as_ref(), &bytes)?;
        let manifest = stored.into_domain(path.as_ref())?;
        if manifest.tenant != *self.id() || manifest.meta.id != *id {
            return Err(StoreError::corrupt(
                path.as_ref(),
                "it is the manifest of another snapshot",
            ));
        }
        Ok(manifest)
    }

    /// The content of a snapshot, every byte checked against the manifest.
    ///
    /// # Errors
    /// `Corrupt`, naming the file and whether objects or links are touched;
    /// `Invalid` for another tenant's manifest; `Unavailable`.
    pub async fn read(&self, manifest: &Manifest) -> Result<Content, StoreError> {
        let (objects, links) =
            futures::try_join!(self.read_objects(manifest), self.read_links(manifest))?;
        Ok(Content {
            objects,
            links,
            completeness: manifest.completeness.clone(),
        })
    }

    /// The objects of a snapshot.
    ///
    /// # Errors
    /// As [`TenantVault::read`].
    pub async fn read_objects(&self, manifest: &Manifest) -> Result<Vec<Object>, StoreError> {
        self.read_runs(manifest).await
    }

    /// The links of a snapshot.
    ///
    /// # Errors
    /// As [`TenantVault::read`].
    pub async fn read_links(&self, manifest: &Manifest) -> Result<Vec<Link>, StoreError> {
        self.read_runs(manifest).await
    }

    async fn write_run<R: Row>(&self, rows: &[R]) -> Result<RunFile, StoreError> {
        let key = Arc::clone(&self.key);
        let mut writer = blocking::run(move || {
            RunWriter::<R, _>::new(Hashing::new(seal::encrypt_to(&key, Vec::new())?))
        })
        .await?;
        for group in run::groups(rows) {
            // One group at a time leaves the caller its content and needs little memory.
            let group = group.to_vec();
            writer = blocking::run(move || writer.write_group(group).map(|()| writer)).await?;
        }
        let (file, sealed) = blocking::run(move || {
            let (output, rows) = writer.finish()?;
            let (encrypting, plain_hash) = output.finish();
            let sealed = encrypting.finish().map_err(|error| {
                StoreError::Internal(format!("a run cannot be encrypted: {error}"))
            })?;
            let (hash, bytes) = (blake3::hash(&sealed), sealed.len() as u64);
            Ok((
                RunFile {
                    hash,
                    kind: R::KIND,
                    bytes,
                    rows,
                    plain_hash,
                },
                Bytes::from(sealed),
            ))
        })
        .await?;
        let path = layout::run(self.id(), &file.hash);
        match file::create(self.store.as_ref(), &path, sealed).await? {
            Created::Ours => Ok(file),
            Created::Theirs => Err(StoreError::corrupt(
                path.as_ref(),
                "its content is not that of its name",
            )),
        }
    }

    async fn read_runs<R: Row>(&self, manifest: &Manifest) -> Result<Vec<R>, StoreError> {
        if manifest.tenant != *self.id() {
            return Err(StoreError::Invalid(
                "the manifest is another tenant's".to_owned(),
            ));
        }
        let mut files = manifest.runs.iter().filter(|file| file.kind == R::KIND);
        match (files.next(), files.next()) {
            (None, _) => Ok(Vec::new()),
            (Some(file), None) => self.read_run(file).await,
            (Some(_), Some(_)) => {
                let path = layout::manifest(self.id(), manifest.id());
                let detail = format!(
                    "a chain of {} runs is not known to this version",
                    R::KIND.name()
                );
                Err(StoreError::corrupt(path.as_ref(), detail))
            }
        }
    }

    async fn read_run<R: Row>(&self, file: &RunFile) -> Result<Vec<R>, StoreError> {
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
            let opened = seal::decrypt(&key, &path, &sealed);
            drop(sealed);
            let rows = opened.and_then(|plain| run::decode::<R>(path.as_ref(), Bytes::from(plain)));
            let rows = rows.map_err(|error| match error {
                StoreError::Corrupt { detail, .. } => damaged(&detail),
                other => other,
            })?;
            if rows.len() as u64 != file.rows {
                return Err(damaged(
                    "it does not hold as many rows as the manifest says",
                ));
            }
            Ok(rows)
        })
        .await
    }
}

/// Passes bytes on and hashes them.
struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: blake3::Hasher::new(),
        }
    }

    fn finish(self) -> (W, blake3::Hash) {
        (self.inner, self.hasher.finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
