//! Rounds of the schedule over tenants in trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use runtime::clock::Clock;
use runtime::ids::SystemIds;
use store::object_store::ObjectStoreExt;
use store::object_store::memory::InMemory;
use store::{Kek, Vault, layout};
use testkit::store::{moment, record, tenant};

use super::*;
use crate::Deps;

/// A clock that is set by hand.
#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        moment(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn an_erased_tenant_rests_and_keeps_no_other_from_its_snapshot() {
    let store = Arc::new(InMemory::new());
    let vault = Vault::new(store.clone(), Arc::new(Kek::from_bytes([7; 32])));
    for n in [1, 2] {
        vault.create_tenant(&record(&tenant(n))).await.expect("new");
    }
    vault
        .erase_keys(&tenant(1), moment(0))
        .await
        .expect("erased");
    let clock = Arc::new(Hand::default());
    let context = Context::new(Deps {
        copies: None,
        differ: None,
        vault,
        clock: clock.clone(),
        ids: Arc::new(SystemIds),
        connect: Arc::new(|_| Err(Error::Suspended)),
    });
    let mut seen = Seen::default();
    round(&context, &mut seen).await.expect("it goes on");
    assert_eq!(seen.erased.get(&tenant(1)), Some(&moment(0)));
    let tried: Vec<_> = seen.tried.keys().cloned().collect();
    assert_eq!(tried, [tenant(2)]);

    // It is not looked at again within the hour: not even a store in which it is
    // back would tell.
    let mark = layout::erasure(&tenant(1));
    store.delete(&mark).await.expect("there is one");
    clock.0.store(3599, Ordering::Relaxed);
    round(&context, &mut seen).await.expect("it goes on");
    assert_eq!(seen.erased.get(&tenant(1)), Some(&moment(0)));
    store.put(&mark, "{}".into()).await.expect("written");
    clock.0.store(3600, Ordering::Relaxed);
    round(&context, &mut seen).await.expect("it goes on");
    assert_eq!(seen.erased.get(&tenant(1)), Some(&moment(3600)));
    assert!(!seen.tried.contains_key(&tenant(1)));
}
