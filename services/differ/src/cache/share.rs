//! A cache that no tenant has to itself.
//!
//! Owns how much of it each tenant may fill. While others keep something in it, a
//! tenant has a share, and what it adds beyond that takes the place of what it
//! added first. What is heavier than the share is not kept. Where all is full, the
//! tenant gives way that keeps most. It must never serve a tenant what is another's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::TenantId;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use parking_lot::Mutex;

use crate::Error;
use crate::metrics::Traffic;

/// Of how many equal parts a tenant fills one while others keep something.
const SHARES: u64 = 4;
/// What an entry takes beside its value, in bytes.
const ENTRY_BYTES: u64 = 256;

/// A tenant's thing by id.
type Key = (TenantId, String);

/// A cache whose tenants have shares. A clone is the same cache.
#[derive(Debug, Clone)]
pub(crate) struct Shared<V: Clone + Send + Sync + 'static> {
    cache: Cache<Key, Kept<V>>,
    book: Arc<Book>,
    weigh: fn(&V) -> u64,
}

/// A value in the cache, and its place in the book.
#[derive(Debug, Clone)]
struct Kept<V> {
    value: V,
    place: Arc<Place>,
}

/// Why a load leaves nothing in the cache.
enum Unkept<V> {
    /// It is heavier than the tenant's share.
    Heavy(V),
    Failed(Arc<Error>),
}

impl<V: Clone + Send + Sync + 'static> Shared<V> {
    /// Holds at most that many bytes, as `weigh` tells them.
    pub(crate) fn new(bytes: u64, traffic: Traffic, weigh: fn(&V) -> u64) -> Self {
        let evictions = traffic.evictions.clone();
        let book = Arc::new(Book {
            capacity: bytes,
            pages: Mutex::default(),
            traffic,
        });
        // The book decides what goes. The bound here is a net under it, should an
        // entry ever be kept that the book has lost sight of.
        let cache = Cache::builder()
            .max_capacity(bytes)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, kept: &Kept<V>| u32::try_from(kept.place.weight).unwrap_or(u32::MAX))
            .eviction_listener(move |_, kept, cause| {
                if cause.was_evicted() {
                    evictions.inc();
                }
                kept.place.leave();
            })
            .build();
        Self { cache, book, weigh }
    }

    /// What is kept. Whether it serves the caller, who knows that alone, is to be told
    /// by [`Shared::hit`] or [`Shared::miss`].
    pub(crate) async fn get(&self, tenant: &TenantId, key: &str) -> Option<V> {
        let kept = self.cache.get(&(tenant.clone(), key.to_owned())).await?;
        Some(kept.value)
    }

    /// Counts that what was kept served a caller.
    pub(crate) fn hit(&self) {
        self.book.traffic.hits.inc();
    }

    /// Counts that something had to be loaded or made for a caller.
    pub(crate) fn miss(&self) {
        self.book.traffic.misses.inc();
    }

    /// What is kept, or else what is made now, once for all who ask.
    ///
    /// # Errors
    /// [`Error::Shared`] where it cannot be made; the next call tries again.
    pub(crate) async fn get_or(
        &self,
        tenant: &TenantId,
        key: &str,
        make: impl Future<Output = Result<V, Error>>,
    ) -> Result<V, Error> {
        let key = (tenant.clone(), key.to_owned());
        let missed = AtomicBool::new(false);
        let load = async {
            missed.store(true, Ordering::Relaxed);
            self.miss();
            let value = make
                .await
                .map_err(|error| Unkept::Failed(Arc::new(error)))?;
            self.admit(&key, value).await.map_err(Unkept::Heavy)
        };
        let result = self.cache.try_get_with_by_ref(&key, load).await;
        if !missed.load(Ordering::Relaxed) {
            self.hit();
        }
        match result {
            Ok(kept) => {
                self.check(&key, &kept).await;
                Ok(kept.value)
            }
            Err(unkept) => match unkept.as_ref() {
                Unkept::Heavy(value) => Ok(value.clone()),
                Unkept::Failed(error) => Err(Error::Shared(Arc::clone(error))),
            },
        }
    }

    /// Keeps a value in the place of an earlier one.
    pub(crate) async fn insert(&self, tenant: &TenantId, key: &str, value: V) {
        let key = (tenant.clone(), key.to_owned());
        self.cache.invalidate(&key).await;
        if let Ok(kept) = self.admit(&key, value).await {
            self.cache.insert(key.clone(), kept.clone()).await;
            self.check(&key, &kept).await;
        }
    }

    /// Forgets a value.
    pub(crate) async fn forget(&self, tenant: &TenantId, key: &str) {
        self.cache
            .invalidate(&(tenant.clone(), key.to_owned()))
            .await;
    }

    /// Makes room before a value is kept; gives it back where it is too heavy.
    async fn admit(&self, key: &Key, value: V) -> Result<Kept<V>, V> {
        let weight = (self.weigh)(&value) + ENTRY_BYTES;
        let Some((place, outdone)) = self.book.enter(key, weight) else {
            return Err(value);
        };
        if !outdone.is_empty() {
            let cache = self.cache.clone();
            let clear = async move {
                for outdone in outdone {
                    cache.invalidate(&outdone).await;
                }
            };
            // A task of its own: what has lost its place must go, also where whoever
            // took it gives up.
            if let Err(error) = tokio::spawn(clear).await {
                tracing::error!(%error, "entries that had to go are still there");
            }
        }
        Ok(Kept {
            value,
            place: Arc::new(place),
        })
    }

    /// Takes out a value that lost its place before it was in the cache.
    async fn check(&self, key: &Key, kept: &Kept<V>) {
        if !kept.place.stands() {
            self.cache.invalidate(key).await;
        }
    }
}

/// What each tenant keeps.
#[derive(Debug)]
struct Book {
    /// In bytes.
    capacity: u64,
    pages: Mutex<Pages>,
    traffic: Traffic,
}

#[derive(Debug, Default)]
struct Pages {
    /// The number of the next entry.
    next: u64,
    /// All together, in bytes.
    weight: u64,
    /// Of tenants that keep something.
    tenants: HashMap<TenantId, Page>,
}

/// A tenant's entries by their numbers, the first added first.
#[derive(Debug, Default)]
struct Page {
    /// All together, in bytes.
    weight: u64,
    entries: BTreeMap<u64, (String, u64)>,
}

impl Pages {
    /// What a tenant keeps, in bytes.
    fn weight_of(&self, tenant: &TenantId) -> u64 {
        self.tenants.get(tenant).map_or(0, |page| page.weight)
    }

    /// Who keeps most.
    fn heaviest(&self) -> Option<TenantId> {
        let heaviest = self.tenants.iter().max_by_key(|(_, page)| page.weight);
        heaviest.map(|(tenant, _)| tenant.clone())
    }

    fn add(&mut self, (tenant, id): &Key, weight: u64) -> u64 {
        let number = self.next;
        self.next += 1;
        self.weight += weight;
        let page = self.tenants.entry(tenant.clone()).or_default();
        page.weight += weight;
        page.entries.insert(number, (id.clone(), weight));
        number
    }

    /// Takes out an entry, where it is there.
    fn remove(&mut self, tenant: &TenantId, number: u64) -> Option<String> {
        let page = self.tenants.get_mut(tenant)?;
        let (id, freed) = page.entries.remove(&number)?;
        page.weight -= freed;
        self.weight -= freed;
        if page.entries.is_empty() {
            self.tenants.remove(tenant);
        }
        Some(id)
    }

    /// Takes out what a tenant added first.
    fn remove_first(&mut self, tenant: &TenantId) -> Option<Key> {
        let first = *self.tenants.get(tenant)?.entries.keys().next()?;
        let id = self.remove(tenant, first)?;
        Some((tenant.clone(), id))
    }
}

impl Book {
    /// Gives an entry a place, and names those that have to go for it; `None` where
    /// it is too heavy.
    fn enter(self: &Arc<Self>, key: &Key, weight: u64) -> Option<(Place, Vec<Key>)> {
        let tenant = &key.0;
        let mut pages = self.pages.lock();
        let alone = pages.tenants.keys().all(|other| other == tenant);
        let most = match alone {
            true => self.capacity,
            false => self.capacity / SHARES,
        };
        if weight > most {
            return None;
        }
        let mut outdone = Vec::new();
        while pages.weight_of(tenant) + weight > most {
            outdone.extend(pages.remove_first(tenant));
        }
        while pages.weight + weight > self.capacity
            && let Some(heaviest) = pages.heaviest()
        {
            outdone.extend(pages.remove_first(&heaviest));
        }
        let number = pages.add(key, weight);
        self.traffic.evictions.inc_by(outdone.len() as u64);
        self.traffic.weight.set(signed(pages.weight));
        let place = Place {
            book: Arc::clone(self),
            tenant: tenant.clone(),
            number,
            weight,
        };
        Some((place, outdone))
    }
}

/// An entry's place in the book, which it has until it leaves or is outdone.
#[derive(Debug)]
struct Place {
    book: Arc<Book>,
    tenant: TenantId,
    number: u64,
    /// In bytes.
    weight: u64,
}

impl Place {
    fn stands(&self) -> bool {
        let pages = self.book.pages.lock();
        let page = pages.tenants.get(&self.tenant);
        page.is_some_and(|page| page.entries.contains_key(&self.number))
    }

    /// To leave twice does no harm.
    fn leave(&self) {
        let mut pages = self.book.pages.lock();
        pages.remove(&self.tenant, self.number);
        self.book.traffic.weight.set(signed(pages.weight));
    }
}

/// A load that is given up between its end and the cache leaves nothing behind.
impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
