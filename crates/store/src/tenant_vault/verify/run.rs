//! Looks at runs: at their ends, or at every byte; and of a damaged one, which
//! rows can still be read.

use std::sync::Arc;

use object_store::path::Path;
use tokio::runtime::Handle;

use super::super::TenantVault;
use super::super::chain::reader;
use super::{Damage, DamageKind, Depth, Named, Verified};
use crate::blocking;
use crate::error::StoreError;
use crate::file;
use crate::layout;
use crate::manifest::{RunFile, RunKind};
use crate::partial::{Partial, Source};
use crate::run::{LinkRow, ObjectRow, Row, RunReader, Span};

impl TenantVault {
    /// Looks at every run that a snapshot names.
    pub(super) async fn verify_runs(
        &self,
        named: &Named,
        depth: Depth,
        found: &mut Verified,
    ) -> Result<(), StoreError> {
        for (path, (file, snapshots)) in named {
            let whole = depth.reads(&Path::from(path.as_str()));
            let damage = match file.kind {
                RunKind::Objects => self.verify_run::<ObjectRow>(file, whole, named).await?,
                RunKind::Links => self.verify_run::<LinkRow>(file, whole, named).await?,
            };
            if whole {
                found.read(file.bytes);
            }
            if let Some(mut damage) = damage {
                damage.snapshots.clone_from(snapshots);
                damage.snapshots.sort();
                found.damages.push(damage);
            }
        }
        Ok(())
    }

    async fn verify_run<R: Row>(
        &self,
        file: &RunFile,
        whole: bool,
        named: &Named,
    ) -> Result<Option<Damage>, StoreError> {
        let looked = match whole {
            true => self.read_run::<R>(file).await,
            false => self.look_at_run::<R>(file).await,
        };
        match looked {
            Ok(()) => Ok(None),
            Err(StoreError::Corrupt { detail, .. }) => {
                self.diagnose::<R>(file, detail, named).await.map(Some)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a run begins and ends as it was written, and has its size.
    async fn look_at_run<R: Row>(&self, file: &RunFile) -> Result<(), StoreError> {
        let (path, source) = self.open_part::<R>(file).await?;
        let rows = file.rows;
        blocking::run(move || reader::<R>(&path, source, rows).map(drop)).await
    }

    /// Whether every byte of a run is what was written, and every row can be read.
    async fn read_run<R: Row>(&self, file: &RunFile) -> Result<(), StoreError> {
        let (path, source) = self.open_run::<R>(file).await?;
        let file = file.clone();
        blocking::run(move || {
            if let Source::Whole(plain) = &source
                && blake3::hash(plain) != file.plain_hash
            {
                let detail = "what is encrypted in it is not what the manifest says";
                return Err(StoreError::corrupt(path, detail));
            }
            for row in reader::<R>(&path, source, file.rows)?.rows() {
                row?;
            }
            Ok(())
        })
        .await
    }

    /// Says what is wrong with a damaged run, and which rows of it are lost.
    async fn diagnose<R: Row>(
        &self,
        file: &RunFile,
        detail: String,
        named: &Named,
    ) -> Result<Damage, StoreError> {
        let path = layout::run(self.id(), &file.hash);
        let (kind, detail) = match file::read(self.store.as_ref(), &path).await? {
            None => (DamageKind::Missing, detail),
            Some(bytes) => {
                let hash = blake3::hash(&bytes);
                let home = layout::run(self.id(), &hash);
                if hash != file.hash && named.contains_key(home.as_ref()) {
                    let detail = format!("it is the file that belongs at {home}");
                    (DamageKind::Misplaced, detail)
                } else if (bytes.len() as u64) < file.bytes {
                    let detail = format!("{} bytes of {} are left", bytes.len(), file.bytes);
                    (DamageKind::Truncated, detail)
                } else {
                    (DamageKind::Altered, detail)
                }
            }
        };
        Ok(Damage {
            path: path.to_string(),
            kind,
            detail,
            snapshots: Vec::new(),
            holds: Some(file.kind),
            unreadable: self.unreadable::<R>(file).await?,
        })
    }

    /// The rows of a run that cannot be read any more; all of them where it does
    /// not tell where they are.
    async fn unreadable<R: Row>(&self, file: &RunFile) -> Result<Vec<Span>, StoreError> {
        let all = Span {
            name: String::new(),
            first: String::new(),
            last: String::new(),
            rows: file.rows,
        };
        let Some(head) = file.head else {
            return Ok(vec![all]);
        };
        let (store, key) = (Arc::clone(&self.store), Arc::clone(&self.key));
        let (file, runtime) = (file.clone(), Handle::current());
        let spans = blocking::run(move || {
            let path = layout::run(key.tenant(), &file.hash);
            let parts = Partial::open(store, runtime, &key, &file, head)?;
            RunReader::<R>::from_source(path.as_ref(), Source::Parts(parts))?.unreadable()
        });
        match spans.await {
            Err(StoreError::Corrupt { .. }) => Ok(vec![all]),
            other => other,
        }
    }
}
