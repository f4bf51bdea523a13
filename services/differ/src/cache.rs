//! What the differ remembers: decoded snapshots, live states, reports.
//!
//! Snapshots and reports never change, so a hit is never stale; a live state
//! carries the time at which its reading began, and is used only where the
//! caller accepts its age. Loads are single-flight.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use model::TenantId;
use model::snapshot::{Completeness, Content};
use moka::future::Cache;
use proto::v1::Change;

use crate::Error;

/// How often a live state is read for one caller.
const MOST_LOADS: u32 = 3;

/// A live tenant as it was read.
#[derive(Debug)]
pub(crate) struct Live {
    /// The state.
    pub(crate) content: Arc<Content>,
    /// When the reading began.
    pub(crate) read_at: DateTime<Utc>,
}

impl Live {
    /// The records of the kinds that an earlier reading stands in for.
    pub(crate) fn older(&self) -> impl Iterator<Item = &Completeness> {
        let records = self.content.completeness.iter();
        records.filter(|record| record.is_complete() && record.not_after < self.read_at)
    }

    /// To when the oldest part of it dates.
    fn dates_from(&self) -> DateTime<Utc> {
        let older = self.older().map(|record| record.not_before);
        older.min().unwrap_or(self.read_at)
    }
}

/// A tenant's thing by id.
type Key = (TenantId, String);

/// All caches of the process.
#[derive(Debug, Clone)]
pub(crate) struct Caches {
    snapshots: Cache<Key, Arc<Content>>,
    live: Cache<TenantId, Arc<Live>>,
    changes: Cache<Key, Arc<Vec<Change>>>,
}

impl Caches {
    /// Caches that hold about `bytes` together.
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            snapshots: Cache::builder()
                .max_capacity(bytes / 2)
                .weigher(|_, content: &Arc<Content>| weight(content))
                .build(),
            live: Cache::builder()
                .max_capacity(bytes / 4)
                .weigher(|_, live: &Arc<Live>| weight(&live.content))
                .build(),
            changes: Cache::builder()
                .max_capacity(bytes / 4)
                .weigher(|_, changes: &Arc<Vec<Change>>| clamp(changes.iter().map(prost_len).sum()))
                .build(),
        }
    }

    /// A snapshot's content, loaded once for all who ask.
    pub(crate) async fn snapshot(
        &self,
        tenant: &TenantId,
        id: &str,
        load: impl Future<Output = Result<Arc<Content>, Error>>,
    ) -> Result<Arc<Content>, Error> {
        self.snapshots
            .try_get_with((tenant.clone(), id.to_owned()), load)
            .await
            .map_err(Error::Shared)
    }

    /// A report's changes, loaded once for all who ask.
    pub(crate) async fn changes(
        &self,
        tenant: &TenantId,
        id: &str,
        load: impl Future<Output = Result<Arc<Vec<Change>>, Error>>,
    ) -> Result<Arc<Vec<Change>>, Error> {
        self.changes
            .try_get_with((tenant.clone(), id.to_owned()), load)
            .await
            .map_err(Error::Shared)
    }

    /// The live state that was read last, however old.
    pub(crate) async fn last(&self, tenant: &TenantId) -> Option<Arc<Live>> {
        self.live.get(tenant).await
    }

    /// Keeps a live state that was read apart from the others.
    pub(crate) async fn keep(&self, tenant: &TenantId, live: &Arc<Live>) {
        self.live.insert(tenant.clone(), Arc::clone(live)).await;
    }

    /// A live state whose reading began at `oldest` or later; whether it was
    /// there already stands beside it.
    pub(crate) async fn live<F>(
        &self,
        tenant: &TenantId,
        oldest: DateTime<Utc>,
        load: impl Fn() -> F,
    ) -> Result<(Arc<Live>, Source), Error>
    where
        F: Future<Output = Result<Arc<Live>, Error>>,
    {
        if let Some(live) = self
            .live
            .get(tenant)
            .await
            .filter(|live| live.dates_from() >= oldest)
        {
            return Ok((live, Source::Cache));
        }
        for turn in 1.. {
            self.live.invalidate(tenant).await;
            // Joins a load under way; where that began too early, the next turn starts another.
            let live = self
                .live
                .try_get_with(tenant.clone(), load())
                .await
                .map_err(Error::Shared)?;
            // A clock that was set back must not make this go on for ever.
            if live.read_at >= oldest || turn == MOST_LOADS {
                return Ok((live, Source::Graph));
            }
        }
        Err(Error::GivenUp)
    }
}

/// Where a live state came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Read for this call, or for one that ran at the same time.
    Graph,
    /// Read before.
    Cache,
}

fn prost_len(change: &Change) -> u64 {
    prost::Message::encoded_len(change) as u64
}

/// About the bytes that a content holds.
fn weight(content: &Content) -> u32 {
    let objects: u64 = content
        .objects
        .iter()
        .map(|object| object.json.len() as u64 + 96)
        .sum();
    clamp(objects + content.links.len() as u64 * 128)
}

fn clamp(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ObjectType;
    use model::snapshot::{Kind, Method};
    use std::sync::atomic::{AtomicI64, Ordering};

    fn tenant() -> TenantId {
        TenantId::parse("00000000-0000-4000-8000-000000000001").expect("valid")
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("in range")
    }

    #[tokio::test]
    async fn a_live_state_is_used_only_while_it_is_young_enough() {
        let caches = Caches::new(1 << 20);
        let reads = AtomicI64::new(0);
        let load = || async {
            Ok(Arc::new(Live {
                content: Arc::default(),
                read_at: at(10 * (1 + reads.fetch_add(1, Ordering::SeqCst))),
            }))
        };
        let ask = async |oldest| {
            caches
                .live(&tenant(), at(oldest), load)
                .await
                .map(|(live, source)| (live.read_at, source))
                .expect("loads")
        };
        assert_eq!(ask(5).await, (at(10), Source::Graph));
        assert_eq!(ask(10).await, (at(10), Source::Cache));
        assert_eq!(
            ask(11).await,
            (at(20), Source::Graph),
            "too old is read again"
        );
        assert_eq!(
            ask(40).await,
            (at(40), Source::Graph),
            "until it is young enough"
        );
        assert_eq!(reads.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn a_state_is_as_old_as_what_it_took_from_an_earlier_one() {
        let caches = Caches::new(1 << 20);
        let kind = Kind::Objects(ObjectType::ConditionalAccessPolicy);
        let record = Completeness::begun(kind, Method::StableReread, at(3));
        let content = Content {
            completeness: vec![record],
            ..Content::default()
        };
        let live = Arc::new(Live {
            content: Arc::new(content),
            read_at: at(10),
        });
        assert_eq!(live.older().count(), 1);
        caches.keep(&tenant(), &live).await;
        let load = || async {
            Ok(Arc::new(Live {
                content: Arc::default(),
                read_at: at(20),
            }))
        };
        let ask = async |oldest| {
            let (live, source) = caches
                .live(&tenant(), at(oldest), load)
                .await
                .expect("loads");
            (live.read_at, source)
        };
        assert_eq!(ask(3).await, (at(10), Source::Cache));
        assert_eq!(ask(4).await, (at(20), Source::Graph));
    }

    #[tokio::test]
    async fn a_failed_load_is_not_kept() {
        let caches = Caches::new(1 << 20);
        let failed = caches
            .snapshot(&tenant(), "s", async { Err(Error::GivenUp) })
            .await;
        assert!(matches!(failed, Err(Error::Shared(_))));
        let loaded = caches
            .snapshot(&tenant(), "s", async { Ok(Arc::new(Content::default())) })
            .await;
        assert!(loaded.is_ok());
    }
}
