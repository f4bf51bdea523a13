//! Commits a draft: runs first, under the hash of their bytes; the manifest
//! last, with a conditional create, which is what makes the snapshot.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

use age::stream::StreamWriter;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use model::snapshot::{Change, ChangeToken, Completeness, Content, Kind, types_read};
use model::{Link, LinkKind, ObjectId, ObjectType};

use super::TenantVault;
use super::chain::Chain;
use crate::blocking;
use crate::data_key::DataKey;
use crate::draft::{
    Closed, Draft, LinkStep, LinkTally, ObjectStep, ObjectTally, walk_links, walk_objects,
};
use crate::error::StoreError;
use crate::file::{self, Created};
use crate::format::v1;
use crate::layout;
use crate::manifest::{Fate, Head, Lineage, LinkCount, Manifest, RunFile, SnapshotMeta, TypeCount};
use crate::run::{Body, LinkRow, ObjectKey, ObjectRow, Presence, Row, RunWriter, digest};
use crate::seal;

/// The longest chain of runs; a longer one is merged into a new base.
const LONGEST_CHAIN: usize = 8;
/// Changes that add up to more than one row in this many of the base, and to more
/// than one byte in this many of the bases of all kinds, make a new base.
const LARGEST_SHARE: u64 = 4;

/// What a reading of a tenant says about itself.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// One record for each kind; their counts are set by the commit.
    pub completeness: Vec<Completeness>,
    /// Where the next snapshot's changes go on.
    pub tokens: Vec<ChangeToken>,
    /// Objects to be read again by the next snapshot.
    pub unsettled: Vec<(ObjectType, ObjectId)>,
    /// How many snapshots in a row only followed changes.
    pub incremental: u32,
    /// What Graph announced of the kinds that were read as a whole all the same.
    pub announced: Announced,
}

/// What was announced as changed since the snapshot before: of these kinds, any
/// other difference from it is drift.
#[derive(Debug, Clone, Default)]
pub struct Announced {
    /// The kinds that were read as a whole although their changes were followed;
    /// where a kind is not among them, differences are what one expects.
    pub kinds: HashSet<Kind>,
    /// The objects that were announced.
    pub ids: HashSet<ObjectId>,
}

impl Announced {
    /// Whether a difference of this kind, about these objects, is drift.
    fn is_drift(&self, kind: Kind, about: &[&ObjectId]) -> bool {
        self.kinds.contains(&kind) && about.iter().all(|id| !self.ids.contains(*id))
    }

    /// The same of an object: it was in one state and is in the other.
    fn is_object_drift(&self, object_type: ObjectType, id: &ObjectId) -> bool {
        self.is_drift(Kind::Objects(object_type), &[id])
    }

    /// The same of a link: one that comes or goes with an end that was announced
    /// is none.
    fn is_link_drift(&self, link: &Link) -> bool {
        self.is_drift(Kind::Links(link.kind), &[&link.source, &link.target])
    }
}

impl TenantVault {
    /// Commits a draft that was begun from nothing, or from the content of `base`;
    /// it is finished when everything but the manifest is written.
    ///
    /// The same attempt may commit again after an unknown outcome; it then gets
    /// the manifest that is there.
    ///
    /// # Errors
    /// `Exists` where another attempt has committed the slot; `Corrupt` where the
    /// base is damaged; `Invalid` where a row cannot be stored; `Unavailable`,
    /// after which nothing of the snapshot is visible, or all of it.
    pub async fn commit(
        &self,
        meta: &SnapshotMeta,
        draft: Draft,
        taken: Taken,
        base: Option<&Manifest>,
        now: &(dyn Fn() -> DateTime<Utc> + Sync),
    ) -> Result<Manifest, StoreError> {
        let draft = Arc::new(blocking::run(move || draft.close()).await?);
        let (before_objects, before_links) = match base {
            Some(base) => {
                let chains = futures::try_join!(self.chain(base), self.chain(base))?;
                (Some(chains.0), Some(chains.1))
            }
            None => (None, None),
        };
        let bases = before_objects.as_ref().map_or(0, Chain::base_bytes)
            + before_links.as_ref().map_or(0, Chain::base_bytes);
        let read = types_read(&taken.completeness);
        let announced = Arc::new(taken.announced);
        let (key, closed, told) = (
            Arc::clone(&self.key),
            Arc::clone(&draft),
            Arc::clone(&announced),
        );
        let objects = blocking::run(move || {
            write_objects(&key, &closed, before_objects.as_ref(), bases, &read, &told)
        })
        .await?;
        let (key, tally) = (Arc::clone(&self.key), Arc::clone(&objects.tally));
        let links = blocking::run(move || {
            write_links(
                &key,
                &draft,
                before_links.as_ref(),
                bases,
                &tally,
                &announced,
            )
        })
        .await?;
        let mut runs = Vec::new();
        for written in [&objects.run, &links.run] {
            let Some(written) = written else { continue };
            self.store_run(written).await?;
        }
        let before = |kind| {
            let runs = base.map(|base| &base.runs).into_iter().flatten();
            runs.filter(move |run| run.kind == kind).cloned()
        };
        if objects.kept_base {
            runs.extend(before(ObjectRow::KIND));
        }
        runs.extend(objects.run.map(|run| run.file));
        if links.kept_base {
            runs.extend(before(LinkRow::KIND));
        }
        runs.extend(links.run.map(|run| run.file));
        let manifest = Manifest {
            tenant: self.id().clone(),
            meta: SnapshotMeta {
                finished: now(),
                ..meta.clone()
            },
            runs,
            completeness: counted(taken.completeness, &objects.tally, &links.tally),
            counts: type_counts(&objects.tally),
            link_counts: link_counts(&links.tally),
            lineage: Lineage {
                since: base.map(|base| base.id().clone()),
                incremental: taken.incremental,
                drift: objects.drift + links.drift,
            },
            tokens: taken.tokens,
            unsettled: taken.unsettled,
            fate: Fate::Kept,
        };
        self.create_manifest(manifest).await
    }

    /// Commits a content that is at hand as a whole.
    ///
    /// # Errors
    /// As [`TenantVault::commit`].
    pub async fn commit_content(
        &self,
        meta: &SnapshotMeta,
        content: &Content,
    ) -> Result<Manifest, StoreError> {
        let draft = Draft::default();
        for object in &content.objects {
            draft.apply(Change::Put(object.clone()));
        }
        for link in &content.links {
            draft.apply(Change::Linked(link.clone()));
        }
        let taken = Taken {
            completeness: content.completeness.clone(),
            ..Taken::default()
        };
        self.commit(meta, draft, taken, None, &|| meta.finished)
            .await
    }

    async fn create_manifest(&self, manifest: Manifest) -> Result<Manifest, StoreError> {
        let id = manifest.id().clone();
        let path = layout::manifest(self.id(), &id);
        match self
            .create(&path, v1::to_json(&v1::Manifest::from(&manifest))?)
            .await?
        {
            // A slot that is over stays so, however late its writer comes.
            Created::Ours if self.fate(&id).await?.fate == Fate::Pruned => {
                Err(StoreError::GivenUp {
                    slot: id.to_string(),
                })
            }
            Created::Ours => Ok(manifest),
            Created::Theirs => match self.manifest(&id).await {
                Ok(standing) if standing.meta.attempt == manifest.meta.attempt => Ok(standing),
                Ok(_) => Err(StoreError::Exists {
                    what: format!("snapshot {id}"),
                }),
                Err(StoreError::NotFound { .. }) => Err(StoreError::GivenUp {
                    slot: id.to_string(),
                }),
                Err(error) => Err(error),
            },
        }
    }

    async fn store_run(&self, run: &Written) -> Result<(), StoreError> {
        let path = layout::run(self.id(), &run.file.hash);
        match file::create(self.store.as_ref(), &path, run.sealed.clone()).await? {
            Created::Ours => Ok(()),
            Created::Theirs => Err(StoreError::corrupt(
                path.as_ref(),
                "its content is not that of its name",
            )),
        }
    }
}

/// A run, encrypted, not yet stored.
struct Written {
    file: RunFile,
    sealed: Bytes,
}

/// What became of one kind of rows.
struct Outcome<T> {
    tally: Arc<T>,
    /// The run to add; `None` where nothing changed.
    run: Option<Written>,
    /// Whether the runs of the base stay part of the snapshot.
    kept_base: bool,
    drift: u64,
}

/// Whether the runs, with one more of changes, are better written as a new base:
/// since a key was rotated, they are. `bases` are the bytes of the bases of all
/// kinds: a kind that is small beside the others is not worth writing anew, however
/// much of it changes.
fn fold<R: Row>(key: &DataKey, chain: &Chain<R>, changes: Option<&Written>, bases: u64) -> bool {
    let [base, before @ ..] = chain.counts() else {
        return true;
    };
    if chain.key() != key.number() {
        return true;
    }
    let Some(Written { file, .. }) = changes else {
        return false;
    };
    let too_long = chain.counts().len() >= LONGEST_CHAIN;
    let share = |part: u64, whole: u64| part.saturating_mul(LARGEST_SHARE) > whole;
    let rows = before.iter().sum::<u64>() + file.rows;
    let bytes = chain.changed_bytes() + file.bytes;
    too_long || (share(rows, *base) && share(bytes, bases))
}

fn write_objects(
    key: &DataKey,
    draft: &Closed,
    before: Option<&Chain<ObjectRow>>,
    bases: u64,
    read: &HashSet<ObjectType>,
    announced: &Announced,
) -> Result<Outcome<ObjectTally>, StoreError> {
    let mut drift = 0;
    if let Some(before) = before {
        let mut output = Output::<ObjectRow>::new(key)?;
        let mut drifted = |object_type, id: &ObjectId| {
            drift += u64::from(announced.is_object_drift(object_type, id));
        };
        let tally = walk_objects(before.keys()?, draft, read, |step| match step {
            ObjectStep::Kept(_) | ObjectStep::Passed(..) => Ok(()),
            ObjectStep::Gone(object_type, id) => {
                drifted(object_type, &id);
                output.push(ObjectRow {
                    object_type,
                    id,
                    body: None,
                })
            }
            ObjectStep::Put(row, old) => match unlike(row, old.as_ref())? {
                Some(row) => {
                    drifted(row.object_type, &row.id);
                    output.push(row)
                }
                None => Ok(()),
            },
        })?;
        let changes = output.finish_changes()?;
        if !fold(key, before, changes.as_ref(), bases) {
            return Ok(Outcome {
                tally: Arc::new(tally),
                run: changes,
                kept_base: true,
                drift,
            });
        }
    }
    let mut output = Output::<ObjectRow>::new(key)?;
    let rows = before.map(Chain::rows).transpose()?.into_iter().flatten();
    let tally = walk_objects(rows, draft, read, |step| match step {
        ObjectStep::Kept(row) | ObjectStep::Put(row, _) => output.push(row),
        ObjectStep::Gone(..) | ObjectStep::Passed(..) => Ok(()),
    })?;
    Ok(Outcome {
        tally: Arc::new(tally),
        run: Some(output.finish()?),
        kept_base: false,
        drift,
    })
}

/// The row with its digest, unless it is the same as before.
fn unlike(mut row: ObjectRow, old: Option<&ObjectKey>) -> Result<Option<ObjectRow>, StoreError> {
    if let Some(Body {
        state,
        json,
        digest: known,
    }) = &mut row.body
    {
        let digest = digest(row.object_type, &row.id, json)?;
        if old.and_then(|old| old.body) == Some((*state, digest.hash)) {
            return Ok(None);
        }
        *known = Some(digest);
    }
    Ok(Some(row))
}

fn write_links(
    key: &DataKey,
    draft: &Closed,
    before: Option<&Chain<LinkRow>>,
    bases: u64,
    objects: &ObjectTally,
    announced: &Announced,
) -> Result<Outcome<LinkTally>, StoreError> {
    let mut drift = 0;
    if let Some(before) = before {
        let mut output = Output::<LinkRow>::new(key)?;
        let tally = walk_links(before.rows()?, draft, objects, |step| {
            let (link, presence) = match step {
                LinkStep::Kept(_) => return Ok(()),
                LinkStep::New(link) => (link, Presence::Present),
                LinkStep::Gone(link) => (link, Presence::Gone),
            };
            drift += u64::from(announced.is_link_drift(&link));
            output.push(LinkRow { link, presence })
        })?;
        let changes = output.finish_changes()?;
        if !fold(key, before, changes.as_ref(), bases) {
            return Ok(Outcome {
                tally: Arc::new(tally),
                run: changes,
                kept_base: true,
                drift,
            });
        }
    }
    let mut output = Output::<LinkRow>::new(key)?;
    let rows = before.map(Chain::rows).transpose()?.into_iter().flatten();
    let tally = walk_links(rows, draft, objects, |step| match step {
        LinkStep::Kept(link) | LinkStep::New(link) => output.push(link.into()),
        LinkStep::Gone(_) => Ok(()),
    })?;
    Ok(Outcome {
        tally: Arc::new(tally),
        run: Some(output.finish()?),
        kept_base: false,
        drift,
    })
}

/// A run on its way into an encrypted file.
struct Output<R: Row> {
    key: u32,
    run: RunWriter<R, Hashing<StreamWriter<Vec<u8>>>>,
}

impl<R: Row> Output<R> {
    fn new(key: &DataKey) -> Result<Self, StoreError> {
        let output = Hashing::new(seal::encrypt_to(key, Vec::new())?);
        let run = RunWriter::new(output)?;
        let key = key.number();
        Ok(Self { key, run })
    }

    fn push(&mut self, row: R) -> Result<(), StoreError> {
        self.run.push(row)
    }

    /// The run, unless it would be empty.
    fn finish_changes(self) -> Result<Option<Written>, StoreError> {
        match self.run.rows() {
            0 => Ok(None),
            _ => self.finish().map(Some),
        }
    }

    fn finish(self) -> Result<Written, StoreError> {
        let (output, rows) = self.run.finish()?;
        let plain = output.bytes;
        let (encrypting, plain_hash) = output.finish();
        let sealed = encrypting
            .finish()
            .map_err(|error| StoreError::Internal(format!("a run cannot be encrypted: {error}")))?;
        let bytes = sealed.len() as u64;
        let head = bytes - seal::payload_bytes(plain);
        let head_end = usize::try_from(head).expect("invariant: a head is part of the file");
        Ok(Written {
            file: RunFile {
                hash: blake3::hash(&sealed),
                kind: R::KIND,
                bytes,
                rows,
                plain_hash,
                head: Some(Head {
                    bytes: head,
                    hash: blake3::hash(&sealed[..head_end]),
                }),
                key: self.key,
            },
            sealed: Bytes::from(sealed),
        })
    }
}

/// The records with the counts of what is stored.
fn counted(
    mut completeness: Vec<Completeness>,
    objects: &ObjectTally,
    links: &LinkTally,
) -> Vec<Completeness> {
    let of = |object_type: ObjectType| objects.counts.get(&object_type).copied();
    for record in &mut completeness {
        record.count = match record.kind {
            Kind::Objects(object_type) => of(object_type).unwrap_or_default().0,
            Kind::Deleted(object_type) => of(object_type).unwrap_or_default().1,
            Kind::Links(kind) => links.get(&kind).copied().unwrap_or_default(),
        };
    }
    completeness.sort_by_key(|record| record.kind);
    completeness
}

fn type_counts(tally: &ObjectTally) -> Vec<TypeCount> {
    let count = |(object_type, (live, deleted)): (&ObjectType, &(u64, u64))| TypeCount {
        object_type: *object_type,
        live: *live,
        deleted: *deleted,
    };
    tally.counts.iter().map(count).collect()
}

fn link_counts(tally: &LinkTally) -> Vec<LinkCount> {
    let count = |(kind, count): (&LinkKind, &u64)| LinkCount {
        kind: *kind,
        count: *count,
    };
    tally.iter().map(count).collect()
}

/// Passes bytes on, counts and hashes them.
struct Hashing<W> {
    inner: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: blake3::Hasher::new(),
            bytes: 0,
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
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
