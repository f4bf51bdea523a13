//! Writes audit chains that the tests keep as an example of their format: one of a
//! tenant over a rotated key, and one of the installation.
//!
//! It is run once for each version of the format, by hand, as `write_golden.rs` is:
//!
//! ```sh
//! cargo run -p rewind-store --example write_golden_audit -- crates/store/tests/golden/audit-1
//! ```
//!
//! It refuses a folder that exists, since what was written once must stay as it is.

#![expect(
    clippy::unwrap_used,
    reason = "a generator that ends by panicking has written nothing of use"
)]

use std::path::PathBuf;
use std::sync::Arc;

use model::TenantId;
use store::audit::{Chains, Head};
use store::{Kek, Vault};
use testkit::store::record;

const WRITER: &str = "20261128T040000-0123456789ab";

async fn append(chains: &Chains, end: Head, text: &str) -> Head {
    chains.append(WRITER, end, text.as_bytes()).await.unwrap()
}

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("a folder is named"));
    std::fs::create_dir(&folder).expect("the folder can be made and is new");
    let folder = folder.canonicalize().unwrap();
    let kek = Kek::load_or_create(&folder.join("key")).unwrap();
    let url = url::Url::from_directory_path(folder.join("store")).unwrap();
    let vault = Vault::open(url.as_str(), &|_| None, Arc::new(kek)).unwrap();
    let tenant = TenantId::parse("11111111-0000-4000-8000-000000000000").unwrap();
    vault.create_tenant(&record(&tenant)).await.unwrap();

    let chains = vault.tenant(&tenant).await.unwrap().audit();
    let end = append(&chains, Head::NONE, "sealed with key 1").await;
    let end = append(&chains, end, "").await;
    vault.rotate_key(&tenant, "golden").await.unwrap();
    let chains = vault.tenant(&tenant).await.unwrap().audit();
    append(&chains, end, "sealed with key 2").await;

    let chains = vault.installation_audit().await.unwrap();
    let end = append(&chains, Head::NONE, "of nobody").await;
    append(&chains, end, "a second line\nof it").await;
}
