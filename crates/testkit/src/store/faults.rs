//! A store that fails on demand, and the hand of an attacker.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use store::BoxStream;
use store::object_store::path::Path;
use store::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Semaphore;

/// What goes wrong with a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, and an error comes back.
    Refuse,
    /// The file is written, and an error comes back.
    LoseAnswer,
    /// Nothing is written, and a conflict comes back, as while somebody else's
    /// put is under way.
    Conflict,
    /// The file is written with one bit turned, and success comes back.
    FlipBit,
    /// The first half of the file is written, and success comes back.
    Truncate,
}

/// A store that does what it is told to do to single puts, counted from 1.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    puts: usize,
    faults: BTreeMap<usize, Fault>,
    gates: BTreeMap<Path, Vec<Gate>>,
    changes_left: Option<usize>,
    refuses_reads: bool,
}

/// Where one put waits until it may go on, like a writer that is frozen.
#[derive(Debug, Clone)]
pub struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            reached: closed(),
            open: closed(),
        }
    }

    /// Waits until the put has come.
    ///
    /// # Panics
    /// Never.
    pub async fn reached(&self) {
        let permit = self.reached.acquire().await;
        permit.expect("never closed").forget();
    }

    /// Lets the put go on.
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        let permit = self.open.acquire().await;
        permit.expect("never closed").forget();
    }
}

impl FaultStore {
    /// Passes everything on to `inner` until told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            state: Arc::default(),
        }
    }

    /// Sets a fault for the `nth` put from now on, counted from 1.
    pub fn on_put(&self, nth: usize, fault: Fault) {
        let mut state = self.state.lock();
        let at = state.puts + nth;
        state.faults.insert(at, fault);
    }

    /// How many puts there were.
    #[must_use]
    pub fn puts(&self) -> usize {
        self.state.lock().puts
    }

    /// Makes the next put to a path that has no gate yet wait there.
    pub fn gate(&self, path: &Path) -> Gate {
        let gate = Gate::new();
        let mut state = self.state.lock();
        let gates = state.gates.entry(path.clone()).or_default();
        gates.push(gate.clone());
        gate
    }

    /// Lets so many changes through, puts and deletions, and refuses all others.
    pub fn break_after(&self, changes: usize) {
        self.state.lock().changes_left = Some(changes);
    }

    /// Lets all changes through again.
    pub fn mend(&self) {
        self.state.lock().changes_left = None;
    }

    /// Refuses to read any file, or lets reads through again.
    pub fn refuse_reads(&self, refuses: bool) {
        self.state.lock().refuses_reads = refuses;
    }

    fn gate_at(&self, path: &Path) -> Option<Gate> {
        let mut state = self.state.lock();
        let gates = state.gates.get_mut(path)?;
        (!gates.is_empty()).then(|| gates.remove(0))
    }

    fn next(&self) -> Option<Fault> {
        let mut state = self.state.lock();
        state.puts += 1;
        let nth = state.puts;
        state.faults.remove(&nth)
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({})", self.inner)
    }
}

/// Whether one more change is let through.
fn may_change(state: &Mutex<State>) -> bool {
    let mut state = state.lock();
    match &mut state.changes_left {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    }
}

fn injected() -> Error {
    Error::Generic {
        store: "fault",
        source: "injected by the test".into(),
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let whole = |payload: PutPayload| {
            payload
                .iter()
                .flat_map(|part| part.to_vec())
                .collect::<Vec<u8>>()
        };
        let gate = self.gate_at(location);
        if let Some(gate) = gate {
            gate.pass().await;
        }
        if !may_change(&self.state) {
            return Err(injected());
        }
        match self.next() {
            None => self.inner.put_opts(location, payload, options).await,
            Some(Fault::Refuse) => Err(injected()),
            Some(Fault::Conflict) => Err(Error::AlreadyExists {
                path: location.to_string(),
                source: "injected by the test".into(),
            }),
            Some(Fault::LoseAnswer) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(injected())
            }
            Some(Fault::FlipBit) => {
                let mut bytes = whole(payload);
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                self.inner.put_opts(location, bytes.into(), options).await
            }
            Some(Fault::Truncate) => {
                let mut bytes = whole(payload);
                bytes.truncate(bytes.len() / 2);
                self.inner.put_opts(location, bytes.into(), options).await
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.state.lock().refuses_reads {
            return Err(injected());
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let state = Arc::clone(&self.state);
        let allowed = move |location: Result<Path>| match may_change(&state) {
            true => location,
            false => Err(injected()),
        };
        self.inner.delete_stream(locations.map(allowed).boxed())
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

/// Replaces a stored file by what `change` makes of it, as an attacker with
/// access to the store would.
///
/// # Panics
/// Where the file is not there.
pub async fn tamper(store: &dyn ObjectStore, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let found = store.get(path).await.expect("the file is there");
    let mut bytes = found.bytes().await.expect("the file can be read").to_vec();
    change(&mut bytes);
    store
        .put(path, bytes.into())
        .await
        .expect("the file can be replaced");
}
