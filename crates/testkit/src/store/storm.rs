//! A store in a storm: drawn from a seed, operations fail before or after their
//! effect, come late or slowly, reads are cut short, lists are out of date.
//!
//! What is drawn depends on the seed, the process, the operation and how often it
//! came to that place, not on what others do meanwhile, so that a seed goes wrong
//! again in the same way as far as its tasks take the same turns. It must never do
//! what no store does: what was answered as written is there, a create never
//! overwrites, and single reads are up to date.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use store::BoxStream;
use store::object_store::path::Path;
use store::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

/// How often each thing goes wrong, in a thousand operations that it can happen to.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// An error comes back and nothing is done.
    pub refused: u64,
    /// It is done and an error comes back.
    pub lost: u64,
    /// An error comes back, and it is done some operations later.
    pub late: u64,
    /// Others go first: reads wait some turns, everything else some of tokio's time.
    pub slow: u64,
    /// A read ends early, as if that were its end or with an error.
    pub cut: u64,
    /// A list is as it was some changes ago.
    pub stale: u64,
    /// What a list that is out of date may be wrong about.
    pub lag: Lag,
}

/// What a list that is out of date is wrong about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// It still shows what was deleted.
    OfDeletions,
    /// The same, and it does not show yet what was written.
    OfAll,
}

impl Weather {
    /// So many in a thousand of everything.
    #[must_use]
    pub fn of(rate: u64, lag: Lag) -> Self {
        Self {
            refused: rate,
            lost: rate,
            late: rate,
            slow: 4 * rate,
            cut: rate,
            stale: 4 * rate,
            lag,
        }
    }
}

/// How many changes a list may lag behind.
const MEMORY: usize = 8;
/// After how many operations at most what is late is done.
const LATEST: u64 = 40;
/// The longest wait of a slow operation.
const SLOWEST: Duration = Duration::from_secs(600);

/// What goes on over one store; each process has a [`StormStore`] in it.
#[derive(Debug, Clone)]
pub struct Storm {
    inner: Arc<dyn ObjectStore>,
    seed: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// `None` in a calm.
    weather: Option<Weather>,
    operations: u64,
    late: Vec<(u64, Change)>,
    recent: VecDeque<Recent>,
    struck: Struck,
}

/// What a storm did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Struck {
    /// Operations that were asked for.
    pub operations: u64,
    /// Errors before, or without, an effect.
    pub refused: u64,
    /// Errors after the effect.
    pub lost: u64,
    /// Errors long before the effect.
    pub late: u64,
    /// Waits.
    pub slow: u64,
    /// Reads that ended early.
    pub cut: u64,
    /// Lists that were out of date.
    pub stale: u64,
    /// Operations of processes that were cut off.
    pub severed: u64,
}

impl std::ops::AddAssign for Struck {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.refused += other.refused;
        self.lost += other.lost;
        self.late += other.late;
        self.slow += other.slow;
        self.cut += other.cut;
        self.stale += other.stale;
        self.severed += other.severed;
    }
}

/// A change that is still under way when its sender has given up on it.
#[derive(Debug)]
enum Change {
    Put(Path, PutPayload, PutOptions),
    Delete(Path),
}

/// A change that lists may not know of yet.
#[derive(Debug)]
enum Recent {
    Written(Path),
    Deleted(ObjectMeta),
}

/// What happens to one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Refused,
    /// As while somebody else's put is under way.
    Conflict,
    Lost,
    Late(u64),
    Spoilt(u64),
}

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sort {
    Put,
    Delete,
    Read,
    List,
}

/// One step of SplitMix64: spreads a number over all bits.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hashed(text: &str) -> u64 {
    text.bytes().fold(0, |sum, byte| mix(sum ^ u64::from(byte)))
}

/// A path without what is drawn anew each time: the hash that names a run.
fn place(path: &Path) -> String {
    let parts = path.parts().map(|part| part.as_ref().to_owned());
    let drawn = |part: &String| part.len() > 60;
    let parts: Vec<String> = parts.filter(|part| !drawn(part)).collect();
    parts.join("/")
}

fn injected(what: &'static str) -> Error {
    Error::Generic {
        store: "storm",
        source: what.into(),
    }
}

impl Storm {
    /// A calm over `inner`, before a storm.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, seed: u64) -> Self {
        let state = State {
            weather: None,
            operations: 0,
            late: Vec::new(),
            recent: VecDeque::new(),
            struck: Struck::default(),
        };
        Self {
            inner,
            seed,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The store as a process sees it; the same number draws the same.
    #[must_use]
    pub fn process(&self, number: u64) -> Arc<StormStore> {
        Arc::new(StormStore {
            storm: self.clone(),
            draws: mix(self.seed ^ mix(number)),
            own: Arc::default(),
        })
    }

    /// Begins the storm.
    pub fn break_out(&self, weather: Weather) {
        self.state.lock().weather = Some(weather);
    }

    /// Ends the storm: what was late is done, and from now on all goes well, but
    /// for the processes that are cut off.
    pub async fn calm(&self) {
        let late = {
            let mut state = self.state.lock();
            state.weather = None;
            state.recent.clear();
            std::mem::take(&mut state.late)
        };
        for (_, change) in late {
            self.carry_out(change).await;
        }
    }

    /// What the storm did so far.
    #[must_use]
    pub fn struck(&self) -> Struck {
        let state = self.state.lock();
        Struck {
            operations: state.operations,
            ..state.struck
        }
    }

    /// Does what nobody waits for any more; whether it can be is nobody's concern.
    async fn carry_out(&self, change: Change) {
        match change {
            Change::Put(path, payload, options) => {
                if self.inner.put_opts(&path, payload, options).await.is_ok() {
                    self.note(Recent::Written(path));
                }
            }
            Change::Delete(path) => {
                let meta = self.inner.head(&path).await;
                if let (Ok(()), Ok(meta)) = (self.inner.delete(&path).await, meta) {
                    self.note(Recent::Deleted(meta));
                }
            }
        }
    }

    fn note(&self, change: Recent) {
        let mut state = self.state.lock();
        state.recent.push_back(change);
        if state.recent.len() > MEMORY {
            state.recent.pop_front();
        }
    }

    /// The files below a prefix, as a list that is out of date by `draw` has them.
    async fn stale(&self, prefix: Option<&Path>, draw: u64) -> Result<Vec<ObjectMeta>> {
        let found: Vec<ObjectMeta> = self.inner.list(prefix).try_collect().await?;
        let mut found: BTreeMap<Path, ObjectMeta> = found
            .into_iter()
            .map(|meta| (meta.location.clone(), meta))
            .collect();
        let state = self.state.lock();
        let lag = state.weather.map_or(Lag::OfDeletions, |it| it.lag);
        let back = usize::try_from(draw).unwrap_or(0) % MEMORY + 1;
        for change in state.recent.iter().rev().take(back) {
            match change {
                Recent::Written(path) if lag == Lag::OfAll => drop(found.remove(path)),
                Recent::Written(_) => {}
                Recent::Deleted(meta) => {
                    if prefix.is_none_or(|prefix| meta.location.prefix_matches(prefix)) {
                        found.insert(meta.location.clone(), meta.clone());
                    }
                }
            }
        }
        Ok(found.into_values().collect())
    }
}

/// A store as one process sees it in a storm.
#[derive(Debug, Clone)]
pub struct StormStore {
    storm: Storm,
    draws: u64,
    own: Arc<Mutex<Own>>,
}

#[derive(Debug, Default)]
struct Own {
    counts: HashMap<(Sort, String), u64>,
    /// How many operations go through before the process is cut off.
    left: Option<u64>,
}

impl StormStore {
    /// Cuts the process off after so many more operations: it reaches the store
    /// never again, like one that was killed.
    pub fn sever_after(&self, operations: u64) {
        self.own.lock().left = Some(operations);
    }

    /// Whether the process is cut off.
    #[must_use]
    pub fn is_severed(&self) -> bool {
        self.own.lock().left == Some(0)
    }

    /// Whether the process is cut off, or will be.
    #[must_use]
    pub fn is_doomed(&self) -> bool {
        self.own.lock().left.is_some()
    }

    /// Begins an operation: does what is late, waits where it is slow, and draws
    /// what becomes of it.
    async fn begin(&self, sort: Sort, path: &Path) -> Result<Fate> {
        let (draw, weather, due) = {
            let mut own = self.own.lock();
            let mut state = self.storm.state.lock();
            state.operations += 1;
            match own.left.as_mut() {
                Some(0) => {
                    state.struck.severed += 1;
                    return Err(injected("the process is cut off"));
                }
                Some(left) => *left -= 1,
                None => {}
            }
            let place = place(path);
            let count = own.counts.entry((sort, place.clone())).or_default();
            *count += 1;
            let draw = mix(self.draws ^ mix(hashed(&place) ^ mix(*count ^ (sort as u64) << 32)));
            let now = state.operations;
            let (due, later) = std::mem::take(&mut state.late)
                .into_iter()
                .partition(|(at, _)| *at <= now);
            state.late = later;
            (draw, state.weather, due)
        };
        let due: Vec<(u64, Change)> = due;
        for (_, change) in due {
            self.storm.carry_out(change).await;
        }
        let Some(weather) = weather else {
            return Ok(Fate::Done);
        };
        self.wait(sort, weather, mix(draw)).await;
        Ok(self.draw(sort, weather, draw))
    }

    async fn wait(&self, sort: Sort, weather: Weather, draw: u64) {
        if draw % 1000 >= weather.slow {
            return;
        }
        self.storm.state.lock().struck.slow += 1;
        let draw = mix(draw);
        match sort {
            // Some reads are waited for by threads that keep tokio's time from being
            // advanced.
            Sort::Read => {
                for _ in 0..draw % 20 {
                    tokio::task::yield_now().await;
                }
            }
            _ => tokio::time::sleep(SLOWEST.mul_f64((draw % 1000) as f64 / 1000.0)).await,
        }
    }

    fn draw(&self, sort: Sort, weather: Weather, draw: u64) -> Fate {
        let mut state = self.storm.state.lock();
        let changes = matches!(sort, Sort::Put | Sort::Delete);
        let mut rolled = draw % 1000;
        let detail = mix(draw ^ 0x5eed);
        let mut hits = |rate: u64| {
            let hit = rolled < rate;
            rolled = rolled.saturating_sub(rate);
            hit
        };
        if hits(weather.refused) {
            state.struck.refused += 1;
            return match sort == Sort::Put && detail.is_multiple_of(3) {
                true => Fate::Conflict,
                false => Fate::Refused,
            };
        }
        if changes && hits(weather.lost) {
            state.struck.lost += 1;
            return Fate::Lost;
        }
        if changes && hits(weather.late) {
            state.struck.late += 1;
            return Fate::Late(1 + detail % LATEST);
        }
        if sort == Sort::Read && hits(weather.cut) {
            state.struck.cut += 1;
            return Fate::Spoilt(detail);
        }
        if sort == Sort::List && hits(weather.stale) {
            state.struck.stale += 1;
            return Fate::Spoilt(detail);
        }
        Fate::Done
    }

    fn put_off(&self, by: u64, change: Change) {
        let mut state = self.storm.state.lock();
        let due = state.operations + by;
        state.late.push((due, change));
    }

    async fn delete_one(&self, path: Path) -> Result<Path> {
        let fate = self.begin(Sort::Delete, &path).await?;
        match fate {
            Fate::Refused | Fate::Conflict => {
                return Err(injected("the deletion was refused"));
            }
            Fate::Late(by) => {
                self.put_off(by, Change::Delete(path));
                return Err(injected("the deletion was not answered"));
            }
            Fate::Done | Fate::Lost | Fate::Spoilt(_) => {}
        }
        let meta = self.storm.inner.head(&path).await;
        self.storm.inner.delete(&path).await?;
        if let Ok(meta) = meta {
            self.storm.note(Recent::Deleted(meta));
        }
        match fate {
            Fate::Lost => Err(injected("the answer to the deletion was lost")),
            _ => Ok(path),
        }
    }

    async fn listed(self, prefix: Option<Path>) -> Result<Vec<Result<ObjectMeta>>> {
        let root = Path::default();
        match self
            .begin(Sort::List, prefix.as_ref().unwrap_or(&root))
            .await?
        {
            // Some come before the error.
            Fate::Refused => {
                let some = self.storm.inner.list(prefix.as_ref()).take(1);
                let mut some: Vec<Result<ObjectMeta>> = some.collect().await;
                some.push(Err(injected("the list broke off")));
                Ok(some)
            }
            Fate::Spoilt(draw) => {
                let found = self.storm.stale(prefix.as_ref(), draw).await?;
                Ok(found.into_iter().map(Ok).collect())
            }
            _ => Ok(self.storm.inner.list(prefix.as_ref()).collect().await),
        }
    }
}

impl fmt::Display for StormStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StormStore({}, {})", self.storm.seed, self.storm.inner)
    }
}

/// A body that ends early: with an error by odd draws, in silence by even ones.
async fn cut_short(mut found: GetResult, draw: u64) -> Result<GetResult> {
    let nothing = || GetResultPayload::Stream(stream::empty().boxed());
    let whole = GetResult {
        payload: std::mem::replace(&mut found.payload, nothing()),
        meta: found.meta.clone(),
        range: found.range.clone(),
        attributes: found.attributes.clone(),
        extensions: found.extensions.clone(),
    };
    let whole = whole.bytes().await?;
    let kept = usize::try_from(draw >> 1).unwrap_or(0) % whole.len().max(1);
    let mut parts = vec![Ok(whole.slice(..kept))];
    if draw % 2 == 1 {
        parts.push(Err(injected("the answer broke off")));
    }
    found.payload = GetResultPayload::Stream(stream::iter(parts).boxed());
    Ok(found)
}

#[async_trait]
impl ObjectStore for StormStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fate = self.begin(Sort::Put, location).await?;
        match fate {
            Fate::Conflict if options.mode == PutMode::Create => {
                return Err(Error::AlreadyExists {
                    path: location.to_string(),
                    source: "another put is under way".into(),
                });
            }
            Fate::Refused | Fate::Conflict => return Err(injected("the put was refused")),
            Fate::Late(by) => {
                self.put_off(by, Change::Put(location.clone(), payload, options));
                return Err(injected("the put was not answered"));
            }
            Fate::Done | Fate::Lost | Fate::Spoilt(_) => {}
        }
        let put = self
            .storm
            .inner
            .put_opts(location, payload, options)
            .await?;
        self.storm.note(Recent::Written(location.clone()));
        match fate {
            Fate::Lost => Err(injected("the answer to the put was lost")),
            _ => Ok(put),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // The vault creates each file by one request; nothing else is to begin here.
        Err(Error::NotSupported {
            source: format!("{location} is not to be written in parts").into(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        match self.begin(Sort::Read, location).await? {
            Fate::Refused => Err(injected("the read was refused")),
            Fate::Spoilt(draw) if !head => {
                let found = self.storm.inner.get_opts(location, options).await?;
                cut_short(found, draw).await
            }
            _ => self.storm.inner.get_opts(location, options).await,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fate = self.begin(Sort::Read, location).await?;
        if fate == Fate::Refused {
            return Err(injected("the read was refused"));
        }
        let mut found = self.storm.inner.get_ranges(location, ranges).await?;
        if let Fate::Spoilt(draw) = fate {
            let draw = usize::try_from(draw).unwrap_or(0);
            let which = draw % found.len().max(1);
            if let Some(part) = found.get_mut(which) {
                part.truncate((draw >> 8) % part.len().max(1));
            }
        }
        Ok(found)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let own = self.clone();
        let delete = move |location: Result<Path>| {
            let own = own.clone();
            async move { own.delete_one(location?).await }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.clone().listed(prefix.cloned());
        stream::once(listed)
            .map_ok(stream::iter)
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let all: Result<Vec<ObjectMeta>> = self.list(prefix).try_collect().await;
        let root = Path::default();
        let prefix = prefix.unwrap_or(&root);
        let (mut folders, mut objects) = (BTreeSet::new(), Vec::new());
        for meta in all? {
            let Some(mut below) = meta.location.prefix_match(prefix) else {
                continue;
            };
            let first = below.next();
            match (first, below.next()) {
                (Some(folder), Some(_)) => drop(folders.insert(prefix.clone().join(folder))),
                _ => {
                    drop(below);
                    objects.push(meta);
                }
            }
        }
        Ok(ListResult {
            common_prefixes: folders.into_iter().collect(),
            objects,
            extensions: Default::default(),
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotSupported {
            source: format!("{from} is not to be copied to {to} by the store").into(),
        })
    }
}
