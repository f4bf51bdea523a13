//! What the differ remembers: comparisons, live states, reports.
//!
//! A comparison is known by what it depends on and a report never changes, so a
//! hit is never stale; a live state
//! carries the time at which its reading began, and is used only where the
//! caller accepts its age. Loads are single-flight, and each tenant has a share
//! ([`share`]).

mod share;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use model::TenantId;
use model::diff::{AttributeChange, Difference};
use proto::v1::Change;
use serde_json::Value;

use crate::Error;
use crate::create::Compared;
use crate::live::Live;
use crate::metrics::Metrics;

pub(crate) use share::Shared;

/// What a live state takes beside what was added to it, in bytes.
const LIVE_BYTES: u64 = 64 << 10;
/// How often a live state is read for one caller.
const MOST_LOADS: u32 = 3;

/// The name of what a tenant has one of.
pub(crate) const ONLY: &str = "";

/// All caches of the process.
#[derive(Debug, Clone)]
pub(crate) struct Caches {
    differences: Shared<Arc<Compared>>,
    live: Shared<Arc<Live>>,
    changes: Shared<Arc<Vec<Change>>>,
}

impl Caches {
    /// Caches that hold about `bytes` together.
    pub(crate) fn new(bytes: u64, metrics: &Metrics) -> Self {
        Self {
            differences: Shared::new(bytes / 4, metrics.cache("differences"), |compared| {
                weight(&compared.difference)
            }),
            live: Shared::new(bytes / 2, metrics.cache("live"), |live| {
                live.added + LIVE_BYTES
            }),
            changes: Shared::new(bytes / 4, metrics.cache("changes"), |changes| {
                changes.iter().map(prost_len).sum()
            }),
        }
    }

    /// A comparison by what it depends on, made once for all who ask.
    pub(crate) async fn difference(
        &self,
        tenant: &TenantId,
        key: &str,
        make: impl Future<Output = Result<Arc<Compared>, Error>>,
    ) -> Result<Arc<Compared>, Error> {
        self.differences.get_or(tenant, key, make).await
    }

    /// A report's changes, loaded once for all who ask.
    pub(crate) async fn changes(
        &self,
        tenant: &TenantId,
        id: &str,
        load: impl Future<Output = Result<Arc<Vec<Change>>, Error>>,
    ) -> Result<Arc<Vec<Change>>, Error> {
        self.changes.get_or(tenant, id, load).await
    }

    /// The live state that was read last, however old.
    pub(crate) async fn last(&self, tenant: &TenantId) -> Option<Arc<Live>> {
        self.live.get(tenant, ONLY).await
    }

    /// Keeps a live state that was read apart from the others.
    pub(crate) async fn keep(&self, tenant: &TenantId, live: &Arc<Live>) {
        self.live.insert(tenant, ONLY, Arc::clone(live)).await;
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
        let last = self.last(tenant).await;
        if let Some(live) = last.filter(|live| live.dates_from() >= oldest) {
            self.live.hit();
            return Ok((live, Source::Cache));
        }
        for turn in 1.. {
            self.live.forget(tenant, ONLY).await;
            // Joins a load under way; where that began too early, the next turn starts another.
            let load = Box::pin(load());
            let live = self.live.get_or(tenant, ONLY, load).await?;
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

/// About the bytes that a difference holds.
fn weight(difference: &Difference) -> u64 {
    let value = |value: &Value| value.to_string().len() as u64 + 32;
    let attribute = |attribute: &AttributeChange| {
        let sides = attribute.before.iter().chain(&attribute.after);
        let elements = attribute.added.iter().chain(&attribute.removed);
        attribute.path.len() as u64 + 128 + sides.chain(elements).map(value).sum::<u64>()
    };
    let change = |change: &model::diff::Change| {
        let attributes: u64 = change.attributes.iter().map(attribute).sum();
        attributes + change.links.len() as u64 * 128 + 256
    };
    difference.changes.iter().map(change).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ObjectType;
    use model::snapshot::{Completeness, Kind, Method};
    use std::sync::atomic::{AtomicI64, Ordering};
    use store::object_store::memory::InMemory;
    use store::{Aside, Kek, Manifest, Vault};
    use testkit::store::{content, meta, record};

    fn tenant(n: u32) -> TenantId {
        testkit::store::tenant(n)
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("in range")
    }

    /// A state of a small tenant, committed aside of a store in memory.
    async fn state() -> (Manifest, Aside) {
        let vault = Vault::new(
            Arc::new(InMemory::new()),
            Arc::new(Kek::from_bytes([1; 32])),
        );
        let record = record(&tenant(1));
        vault.create_tenant(&record).await.expect("registered");
        let aside = vault.tenant(&record.id).await.expect("opened").aside();
        let mut content = content(3);
        content.completeness.clear();
        let meta = meta("live-1", "a", 0);
        let manifest = aside.vault.commit_content(&meta, &content).await;
        (manifest.expect("committed"), aside)
    }

    fn live((manifest, aside): &(Manifest, Aside), read_at: DateTime<Utc>) -> Arc<Live> {
        Arc::new(Live {
            manifest: manifest.clone(),
            aside: aside.clone(),
            read_at,
            since: None,
            added: 1_000,
        })
    }

    #[tokio::test]
    async fn a_live_state_is_used_only_while_it_is_young_enough() {
        let caches = Caches::new(1 << 20, &Metrics::default());
        let (reads, state) = (AtomicI64::new(0), state().await);
        let load = || async {
            let turn = 1 + reads.fetch_add(1, Ordering::SeqCst);
            Ok(live(&state, at(10 * turn)))
        };
        let ask = async |oldest| {
            caches
                .live(&tenant(1), at(oldest), load)
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
        let caches = Caches::new(1 << 20, &Metrics::default());
        let mut state = state().await;
        let kind = Kind::Objects(ObjectType::ConditionalAccessPolicy);
        let record = Completeness::begun(kind, Method::StableReread, at(3));
        state.0.completeness = vec![record];
        let older = live(&state, at(10));
        assert_eq!(older.older().count(), 1);
        caches.keep(&tenant(1), &older).await;
        state.0.completeness.clear();
        let load = || async { Ok(live(&state, at(20))) };
        let ask = async |oldest| {
            let (live, source) = caches
                .live(&tenant(1), at(oldest), load)
                .await
                .expect("loads");
            (live.read_at, source)
        };
        assert_eq!(ask(3).await, (at(10), Source::Cache));
        assert_eq!(ask(4).await, (at(20), Source::Graph));
    }

    #[tokio::test]
    async fn another_tenants_entry_under_the_same_key_is_not_served() {
        let caches = Caches::new(1 << 20, &Metrics::default());
        let changes = |n| async move { Ok(Arc::new(vec![Change::default(); n])) };
        let key = "0123456789abcdef";
        let of = |tenant: TenantId, n| {
            let caches = caches.clone();
            async move {
                caches
                    .changes(&tenant, key, changes(n))
                    .await
                    .expect("loads")
                    .len()
            }
        };
        assert_eq!(of(tenant(1), 1).await, 1);
        assert_eq!(of(tenant(2), 2).await, 2);
        assert_eq!(of(tenant(1), 3).await, 1);
    }

    #[tokio::test]
    async fn a_failed_load_is_not_kept() {
        let caches = Caches::new(1 << 20, &Metrics::default());
        let failed = caches
            .changes(&tenant(1), "r", async { Err(Error::GivenUp) })
            .await;
        assert!(matches!(failed, Err(Error::Shared(_))));
        let loaded = caches
            .changes(&tenant(1), "r", async { Ok(Arc::default()) })
            .await;
        assert!(loaded.is_ok());
    }
}
