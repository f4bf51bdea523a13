//! When deliveries that were tried go on, as far as this process knows.
//!
//! A cache and no more: it saves reading the last attempt of each letter that waits
//! in each turn. An attempt that another replica made has another key.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use model::TenantId;
use parking_lot::Mutex;

use super::ledger::{Delivery, Documents};

/// How many times are known at most.
const MOST: usize = 50_000;

/// A delivery, the number of its last attempt, and whether that is known to have
/// failed.
type Key = (TenantId, Delivery, u32, bool);

/// The times that are known. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Dues {
    known: Arc<Mutex<BTreeMap<Key, DateTime<Utc>>>>,
}

fn key(tenant: &TenantId, delivery: &Delivery, documents: &Documents) -> Key {
    let failed = documents.is_known_to_have_failed();
    (tenant.clone(), delivery.clone(), documents.attempts, failed)
}

impl Dues {
    /// When a delivery goes on, where that is known.
    pub(super) fn get(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        documents: &Documents,
    ) -> Option<DateTime<Utc>> {
        let key = key(tenant, delivery, documents);
        self.known.lock().get(&key).copied()
    }

    /// Keeps when a delivery goes on; where there are too many, those that are over
    /// are forgotten, and all where that does not help.
    pub(super) fn put(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
        documents: &Documents,
        due: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.retain(|_, due| *due > now);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key(tenant, delivery, documents), due);
    }
}

#[cfg(test)]
mod tests {
    use testkit::store::{moment, tenant};

    use super::*;

    #[test]
    fn it_knows_each_attempt_apart_and_never_too_many() {
        let dues = Dues::default();
        let delivery = Delivery::first("a");
        let [first, second] = [1, 2].map(|attempts| Documents {
            attempts,
            ..Documents::default()
        });
        let tenant = tenant(1);
        dues.put(&tenant, &delivery, &first, moment(30), moment(0));
        let known = |documents| dues.get(&tenant, &delivery, documents);
        assert_eq!(known(&first), Some(moment(30)));
        assert_eq!(known(&second), None);
        dues.put(&tenant, &delivery, &second, moment(120), moment(0));
        for n in 2..MOST {
            let other = Delivery::first(&n.to_string());
            dues.put(&tenant, &other, &first, moment(60), moment(0));
        }
        let count = || dues.known.lock().len();
        assert_eq!(count(), MOST);
        // Those go whose time has come.
        let another = Delivery::first("another");
        dues.put(&tenant, &another, &first, moment(90), moment(60));
        assert_eq!(count(), 2);
        assert_eq!(known(&second), Some(moment(120)));
    }
}
