//! The vault as its users see it, on memory and on disk, whole and damaged.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails by panicking is a good test"
)]

mod backends;
mod chain;
mod check;
mod claims;
mod commit;
mod copy;
mod damage;
mod erasure;
#[cfg(unix)]
mod frozen;
mod golden;
mod import;
mod key_vault;
mod keys;
mod lane;
mod lineage;
mod parts;
mod prune;
mod reports;
mod search;
mod standard_tools;
mod storm;
mod verify;

use std::sync::Arc;

use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::{Kek, KeyWrap, TenantVault, Vault};
use testkit::store::{record, tenant};

/// The key-encryption key of most tests.
fn kek(n: u8) -> Arc<dyn KeyWrap> {
    Arc::new(Kek::from_bytes([n; 32]))
}

/// A vault over `store` with tenants 1 and 2, the first one opened.
async fn opened(store: Arc<dyn ObjectStore>) -> (Vault, TenantVault) {
    let vault = Vault::new(store, kek(1));
    for n in [1, 2] {
        vault.create_tenant(&record(&tenant(n))).await.unwrap();
    }
    let first = vault.tenant(&tenant(1)).await.unwrap();
    (vault, first)
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}
