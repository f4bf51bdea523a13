//! A store that does not keep its word.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use store::BoxStream;
use store::object_store::path::Path;
use store::object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What a store is wrong about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A create overwrites what is there.
    Overwrites,
    /// A create looks first and writes later, so that racers pass each other.
    LetsRacersThrough,
    /// What was once not found stays so for one more read.
    RemembersAbsence,
    /// Lists lack their last file.
    ListsOneLess,
    /// What is written is missing from the next list, every fifth time.
    ListsLate,
    /// Ranges begin at the beginning.
    IgnoresRanges,
    /// A delete succeeds and changes nothing.
    KeepsDeleted,
    /// A delete is refused.
    RefusesDelete,
    /// Nothing is answered.
    IsAway,
}

/// A store with one lie.
#[derive(Debug)]
pub struct LyingStore {
    inner: Arc<dyn ObjectStore>,
    lie: Lie,
    absent: Mutex<BTreeSet<Path>>,
    /// How many files were written, and the last one that lists do not show yet.
    unlisted: Mutex<(usize, Option<Path>)>,
}

impl LyingStore {
    /// Passes everything on to `inner` but for the lie.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, lie: Lie) -> Self {
        Self {
            inner,
            lie,
            absent: Mutex::default(),
            unlisted: Mutex::default(),
        }
    }
}

impl fmt::Display for LyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LyingStore({:?}, {})", self.lie, self.inner)
    }
}

fn refused(path: &Path) -> Error {
    Error::PermissionDenied {
        path: path.to_string(),
        source: "refused by the test".into(),
    }
}

fn absent(path: &Path) -> Error {
    Error::NotFound {
        path: path.to_string(),
        source: "not yet seen by the test".into(),
    }
}

#[async_trait]
impl ObjectStore for LyingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let creates = options.mode == PutMode::Create;
        match self.lie {
            Lie::IsAway => return Err(refused(location)),
            Lie::Overwrites if creates => options.mode = PutMode::Overwrite,
            Lie::LetsRacersThrough if creates => {
                let there = self.inner.get_opts(location, GetOptions::default()).await;
                if there.is_err() {
                    options.mode = PutMode::Overwrite;
                }
                // Lets the others look before this one writes.
                tokio::task::yield_now().await;
            }
            _ => {}
        }
        let put = self.inner.put_opts(location, payload, options).await?;
        let mut unlisted = self.unlisted.lock();
        unlisted.0 += 1;
        if self.lie == Lie::ListsLate && unlisted.0.is_multiple_of(5) {
            unlisted.1 = Some(location.clone());
        }
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        if self.lie == Lie::RemembersAbsence && self.absent.lock().remove(location) {
            return Err(absent(location));
        }
        if self.lie == Lie::IgnoresRanges
            && let Some(GetRange::Bounded(range)) = options.range.as_mut()
        {
            *range = 0..range.end - range.start;
        }
        let answer = self.inner.get_opts(location, options).await;
        if matches!(answer, Err(Error::NotFound { .. })) {
            self.absent.lock().insert(location.clone());
        }
        answer
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.lie {
            Lie::KeepsDeleted => locations,
            Lie::RefusesDelete => locations
                .map(|location| location.and_then(|path| Err(refused(&path))))
                .boxed(),
            _ => self.inner.delete_stream(locations),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let list = self.inner.list(prefix);
        if let Some(late) = self.unlisted.lock().1.take() {
            let seen = move |meta: &Result<ObjectMeta>| {
                let late = matches!(meta, Ok(meta) if meta.location == late);
                std::future::ready(!late)
            };
            return list.filter(seen).boxed();
        }
        if self.lie != Lie::ListsOneLess {
            return list;
        }
        stream::once(list.try_collect::<Vec<_>>())
            .map_ok(|mut all| {
                all.pop();
                stream::iter(all.into_iter().map(Ok))
            })
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
