//! Carries a tenant's snapshots into another store, byte for byte: runs first, the
//! manifest last, with a conditional create.
//!
//! It may be broken off anywhere, repeated, and done by several at once: a snapshot
//! is whole in the copy or it is not there. It must never carry a file whose bytes
//! were not checked, nor change or delete one in the copy. What retention decided
//! stays where it was decided, but for holds, which are carried too: a copy is an
//! archive, and a snapshot that must not go must not go there either.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use model::SnapshotId;
use tokio::sync::Semaphore;

use super::TenantVault;
use super::fate::no_snapshot;
use super::snapshot::Place;
use crate::blocking;
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::layout;
use crate::manifest::{Fate, Manifest, RunFile};

/// How many mebibytes of runs may be in memory at once, over all who copy to one
/// store; a larger run goes alone.
pub(crate) const ROOM: usize = 256;

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// Files were sent; it is in the copy now.
    Copied,
    /// It was there already, with all its files.
    Present,
    /// Retention let go of it in the copy, so it is not brought back.
    LetGo,
}

/// One snapshot that was carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// What became of it.
    pub carried: Carried,
    /// Runs and manifests that were sent.
    pub files: u64,
    /// How large they were.
    pub bytes: u64,
}

impl Copied {
    fn sent(&mut self, bytes: u64) {
        self.carried = Carried::Copied;
        self.files += 1;
        self.bytes += bytes;
    }
}

/// The copying of one tenant.
#[derive(Debug)]
pub struct Copying {
    from: TenantVault,
    to: TenantVault,
    room: Arc<Semaphore>,
    /// The size of each run that the copy has.
    there: HashMap<blake3::Hash, u64>,
    /// What is wrong with runs that cannot be copied, so that none is read for
    /// every snapshot that names it.
    damaged: HashMap<blake3::Hash, String>,
}

impl Copying {
    /// Looks at what the copy has.
    ///
    /// # Errors
    /// `Unavailable`, of the copy.
    pub(crate) async fn begin(
        from: TenantVault,
        to: TenantVault,
        room: Arc<Semaphore>,
    ) -> Result<Self, StoreError> {
        let there = runs(&to).await?;
        Ok(Self {
            from,
            to,
            room,
            there,
            damaged: HashMap::new(),
        })
    }

    /// Carries one snapshot, unless all of it is there.
    ///
    /// # Errors
    /// `NotFound` where there is no such snapshot, or none any more; `Corrupt` where
    /// one of its files is damaged, naming the file and the snapshots that it
    /// belongs to; `InCopy` where the copy has something else in the place of a
    /// file, which stays, or cannot be reached; `Unavailable`. After any of them
    /// the snapshot is not in the copy, or was before.
    pub async fn snapshot(&mut self, id: &SnapshotId) -> Result<Copied, StoreError> {
        let (sealed, manifest) = self.manifest(id).await?;
        let mut done = Copied {
            carried: Carried::Present,
            files: 0,
            bytes: 0,
        };
        let fate = self.to.fate(id).await.map_err(StoreError::in_copy)?.fate;
        if fate == Fate::Pruned {
            done.carried = Carried::LetGo;
            return Ok(done);
        }
        let found = self
            .to
            .raw_manifest(id)
            .await
            .map_err(StoreError::in_copy)?;
        if found.as_ref().is_some_and(|found| *found != sealed) {
            return Err(another(id));
        }
        self.runs(&manifest, &mut done).await?;
        if found.is_none() {
            let size = sealed.len() as u64;
            let path = layout::manifest(self.to.id(), id);
            let created = file::create(self.to.store.as_ref(), &path, sealed).await;
            match created.map_err(StoreError::in_copy)? {
                Created::Ours => done.sent(size),
                Created::Theirs => return Err(another(id)),
            }
            // Whoever prunes the copy at the same time saw no manifest that names
            // them; from now on it is seen.
            self.there = runs(&self.to).await?;
            self.runs(&manifest, &mut done).await?;
        }
        if let Fate::Held { since, reason } = &manifest.fate {
            let held = self.to.hold(id, reason, *since).await;
            held.map_err(StoreError::in_copy)?;
        }
        Ok(done)
    }

    /// A manifest, and the bytes that it was read from.
    async fn manifest(&self, id: &SnapshotId) -> Result<(Bytes, Manifest), StoreError> {
        let fate = self.from.fate(id).await?.fate;
        let sealed = self.from.raw_manifest(id).await?;
        let (Some(sealed), true) = (sealed, fate != Fate::Pruned) else {
            return Err(no_snapshot(id));
        };
        match self.from.opened_place(id, &fate, sealed.clone()).await? {
            Place::Manifest(manifest) => Ok((sealed, *manifest)),
            Place::GivenUp | Place::Nothing => Err(no_snapshot(id)),
        }
    }

    async fn runs(&mut self, manifest: &Manifest, done: &mut Copied) -> Result<(), StoreError> {
        for run in &manifest.runs {
            match self.there.get(&run.hash) {
                Some(size) if *size == run.bytes => {}
                Some(_) => {
                    let path = layout::run(self.to.id(), &run.hash);
                    let detail = "it is not as long as the file that was to be copied";
                    return Err(StoreError::corrupt(path.as_ref(), detail).in_copy());
                }
                None => {
                    self.run(manifest, run).await?;
                    done.sent(run.bytes);
                }
            }
        }
        Ok(())
    }

    async fn run(&mut self, manifest: &Manifest, run: &RunFile) -> Result<(), StoreError> {
        let mebibytes = usize::try_from(run.bytes >> 20)
            .unwrap_or(ROOM)
            .min(ROOM - 1)
            + 1;
        let permits = u32::try_from(mebibytes).expect("invariant: the room is small");
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await;
        let _room = room.expect("invariant: the room is never closed");
        let bytes = self.checked(manifest, run).await?;
        let path = layout::run(self.to.id(), &run.hash);
        let created = file::create(self.to.store.as_ref(), &path, bytes).await;
        match created.map_err(StoreError::in_copy)? {
            Created::Ours => {
                self.there.insert(run.hash, run.bytes);
                Ok(())
            }
            Created::Theirs => {
                let detail = "its content is not that of its name";
                Err(StoreError::corrupt(path.as_ref(), detail).in_copy())
            }
        }
    }

    /// The bytes of a run, which are those that were written.
    async fn checked(&mut self, manifest: &Manifest, run: &RunFile) -> Result<Bytes, StoreError> {
        let path = layout::run(self.from.id(), &run.hash);
        if let Some(detail) = self.damaged.get(&run.hash) {
            return Err(StoreError::corrupt(path.as_ref(), detail));
        }
        let wrong = match self.from.raw_run(&run.hash).await? {
            Some(bytes) => {
                let whole = (run.bytes, run.hash);
                let (bytes, found) = blocking::run(move || {
                    let found = (bytes.len() as u64, blake3::hash(&bytes));
                    Ok((bytes, found))
                })
                .await?;
                if found == whole {
                    return Ok(bytes);
                }
                "its bytes are not those that were written"
            }
            None if self.from.fate(manifest.id()).await?.fate == Fate::Pruned => {
                return Err(StoreError::NotFound {
                    what: format!("snapshot {} (pruned while it was copied)", manifest.id()),
                });
            }
            None => "it is missing",
        };
        let detail = format!("{wrong}; {}", self.named_by(run).await?);
        self.damaged.insert(run.hash, detail.clone());
        Err(StoreError::corrupt(path.as_ref(), detail))
    }

    /// Which snapshots a run belongs to, in words.
    async fn named_by(&self, run: &RunFile) -> Result<String, StoreError> {
        let (manifests, _) = self.from.manifests().await?;
        let naming = |manifest: &Manifest| {
            let named = manifest.runs.iter().any(|other| other.hash == run.hash);
            named.then(|| manifest.id().to_string())
        };
        let ids: Vec<String> = manifests.iter().filter_map(naming).collect();
        Ok(format!("it belongs to snapshots {}", ids.join(", ")))
    }
}

/// The runs in a tenant's folder of the copy, and their sizes.
async fn runs(copy: &TenantVault) -> Result<HashMap<blake3::Hash, u64>, StoreError> {
    let metas = file::metas(copy.store.as_ref(), &layout::runs(copy.id())).await;
    let metas = metas.map_err(StoreError::in_copy)?;
    let sizes = metas
        .into_iter()
        .filter_map(|meta| Some((layout::run_hash(&meta.location)?, meta.size)));
    Ok(sizes.collect())
}

fn another(id: &SnapshotId) -> StoreError {
    let what = format!("another snapshot {id}");
    StoreError::Exists { what }.in_copy()
}
