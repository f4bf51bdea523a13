//! For how long what was read of the grants counts.

use super::*;
use chrono::DateTime;
use store::Kek;
use store::object_store::memory::InMemory;
use store::object_store::{ObjectStore, ObjectStoreExt};

fn vault() -> Vault {
    Vault::open("memory:///", &|_| None, Arc::new(Kek::from_bytes([7; 32]))).expect("memory")
}

fn grant(id: &str, holder: Holder) -> Grant {
    Grant {
        id: id.to_owned(),
        holder,
        roles: [Word::Reader].into(),
        scope: Scope::All,
        author: String::new(),
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn identity() -> Identity {
    Identity {
        name: "anna#1".to_owned(),
        called: Some("anna@contoso.com".to_owned()),
        subjects: vec!["s".to_owned(), "o".to_owned()],
        values: vec!["Helpdesk".to_owned()],
    }
}

#[test]
fn a_grant_is_of_whom_it_names() {
    for (holder, expected) in [
        (Holder::Caller("anna@contoso.com".to_owned()), true),
        (Holder::Caller("anna#1".to_owned()), false),
        (Holder::Caller("Helpdesk".to_owned()), false),
        (Holder::Subject("s".to_owned()), true),
        (Holder::Subject("o".to_owned()), true),
        (Holder::Subject("anna@contoso.com".to_owned()), false),
        (Holder::Claim("Helpdesk".to_owned()), true),
        (Holder::Claim("helpdesk".to_owned()), false),
    ] {
        assert_eq!(is_of(&holder, &identity()), expected, "{holder:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_gateway_writes_is_known_after_a_while() {
    let vault = vault();
    let (here, there) = (Grants::new(vault.clone()), Grants::new(vault));
    assert!(here.of(&identity()).await.expect("read").is_empty());
    let mut read = (*there.read().await.expect("read")).clone();
    read.value
        .push(grant("1", Holder::Claim("Helpdesk".to_owned())));
    there.write(&read).await.expect("written");
    assert_eq!(there.of(&identity()).await.expect("read").len(), 1);
    assert!(here.of(&identity()).await.expect("read").is_empty());
    tokio::time::advance(FRESH).await;
    let permits = here.of(&identity()).await.expect("read");
    let expected = Permit {
        roles: [Role::Reader].into(),
        tenants: Tenants::All,
    };
    assert_eq!(permits, [expected]);
    let error = here.write(&read).await.expect_err("there is a newer one");
    assert!(matches!(error, StoreError::Changed { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_left_alone_for_a_while() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let kek = Arc::new(Kek::from_bytes([7; 32]));
    let vault = Vault::new(Arc::clone(&store), kek);
    let grants = Grants::new(vault);
    // No grant that is understood.
    let damaged = "installation/grants/0000000001.json".into();
    let written = store.put(&damaged, "{}".into()).await;
    written.expect("memory");
    assert!(grants.of(&identity()).await.is_err());
    store.delete(&damaged).await.expect("memory");
    assert!(grants.of(&identity()).await.is_err(), "not read yet");
    tokio::time::advance(PAUSE).await;
    assert!(grants.of(&identity()).await.expect("read").is_empty());
    let written = store.put(&damaged, "{}".into()).await;
    written.expect("memory");
    tokio::time::advance(FRESH).await;
    assert!(grants.of(&identity()).await.is_ok(), "what was read counts");
    tokio::time::advance(LASTING).await;
    assert!(grants.of(&identity()).await.is_err());
}
