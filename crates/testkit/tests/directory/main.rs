//! The fake directory keeps the contract, and the collector reads it whole.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails by panicking is a good test"
)]

mod collect;
mod sample;
mod yielding;

use graph::{Directory, GraphError, Query};
use model::catalogue::OWNER;
use model::{Object, ObjectState, ObjectType};
use testkit::directory::{FakeDirectory, contract};

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let directory = FakeDirectory::new(sample::content()).with_page_size(2);
    contract::check(&directory, &sample::content()).await;
    assert!(directory.counts().writes > 0);
}

#[tokio::test]
async fn what_an_object_contains_is_seen_while_it_is_live() {
    let directory = FakeDirectory::new(sample::content());
    let check = async |expected: &[(ObjectType, u32)]| {
        let mut seen = Vec::new();
        for object_type in [
            ObjectType::AppRoleAssignment,
            ObjectType::FederatedIdentityCredential,
        ] {
            let page = directory.page(&Query::Objects(object_type), None).await;
            for item in page.unwrap().items {
                let object = Object::from_json(object_type, ObjectState::Live, item.get()).unwrap();
                assert!(object.body().contains_key(OWNER));
                seen.push((object_type, object.id));
            }
        }
        let expected = expected
            .iter()
            .map(|(object_type, n)| (*object_type, sample::id(*n)));
        assert_eq!(seen, Vec::from_iter(expected));
    };
    let credential = (ObjectType::FederatedIdentityCredential, 71);
    check(&[(ObjectType::AppRoleAssignment, 62), credential]).await;
    directory.purge(ObjectType::ServicePrincipal, &sample::id(31));
    check(&[credential]).await;
    let key = (
        ObjectType::FederatedIdentityCredential,
        ObjectState::Live,
        sample::id(71),
    );
    let read = directory.read_many(&[key]).await.unwrap().remove(0);
    assert!(matches!(read, Err(GraphError::Refused { .. })), "{read:?}");
}
