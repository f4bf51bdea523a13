//! A store that tells how much is read from it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use store::BoxStream;
use store::object_store::path::Path;
use store::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// A store that counts what is read, and answers only so many reads where told.
#[derive(Debug)]
pub struct MeterStore {
    inner: Arc<dyn ObjectStore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    reads: usize,
    answered: Option<usize>,
}

impl MeterStore {
    /// Passes everything on to `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            state: Mutex::default(),
        }
    }

    /// Counts from zero; from now on, only so many reads are answered where a
    /// number is given.
    pub fn reset(&self, answered: Option<usize>) {
        *self.state.lock() = State {
            answered,
            ..State::default()
        };
    }

    /// Bytes that were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Reads, of which one may be of several ranges.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.state.lock().reads
    }

    fn read(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.reads += 1;
        match state.answered {
            Some(answered) if state.reads > answered => Err(Error::Generic {
                store: "meter",
                source: "told not to answer".into(),
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for MeterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeterStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for MeterStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read()?;
        let found = self.inner.get_opts(location, options).await?;
        self.state.lock().bytes += found.range.end - found.range.start;
        Ok(found)
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.read()?;
        let found = self.inner.get_ranges(location, ranges).await?;
        self.state.lock().bytes += found.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(found)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
