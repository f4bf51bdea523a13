//! The fake directory keeps the contract, and the collector reads it whole.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails by panicking is a good test"
)]

mod collect;
mod sample;

use testkit::directory::{FakeDirectory, contract};

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let directory = FakeDirectory::new(sample::content()).with_page_size(2);
    contract::check(&directory, &sample::content()).await;
    assert!(directory.counts().writes > 0);
}
