//! One contract, every backend.

use store::{StoreError, Vault};
use testkit::store::{contract, tenant};

use crate::kek;

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract::check(&Vault::open("memory:///", kek(1)).unwrap()).await;
}

#[tokio::test]
async fn disk_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/made/on/demand", folder.path().display());
    contract::check(&Vault::open(&url, kek(1)).unwrap()).await;

    // A second process sees the same vault.
    let vault = Vault::open(&url, kek(1)).unwrap();
    let (manifests, problems) = vault
        .tenant(&tenant(1))
        .await
        .unwrap()
        .manifests()
        .await
        .unwrap();
    assert_eq!((manifests.len(), problems.len()), (2, 0));
}

#[tokio::test]
async fn a_half_written_file_has_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let vault = Vault::open(&url, kek(1)).unwrap();
    contract::check(&vault).await;
    // What a process that was killed inside a put leaves beside the final name.
    let base = folder.path().join("tenants").join(tenant(1).as_str());
    for file in [
        "tenant/0000000009.json#1",
        "snapshots/20261120-daily/manifest#1",
        "restores/r1/result#1",
    ] {
        let path = base.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "hal").unwrap();
    }
    let first = vault.tenant(&tenant(1)).await.unwrap();
    assert_eq!(
        vault
            .tenant_record(&tenant(1))
            .await
            .unwrap()
            .unwrap()
            .version,
        2
    );
    let (manifests, problems) = first.manifests().await.unwrap();
    assert_eq!((manifests.len(), problems.len()), (2, 0));
    let names = first.list_names(store::Area::Restores, "r1").await.unwrap();
    assert!(
        !names.iter().any(|name| name.starts_with("result")),
        "{names:?}"
    );
    // Nor is it in the way of the file that was meant.
    let result = first.put(store::Area::Restores, "r1", "result", "whole".into());
    result.await.unwrap();
    let found = first.get(store::Area::Restores, "r1", "result").await;
    assert_eq!(found.unwrap(), "whole");
}

#[test]
fn other_stores_are_refused_by_name() {
    for (url, part) in [
        ("s3://bucket/x?key=hidden", "\"s3\""),
        ("not a url", "cannot be read"),
        ("file://host/x", "no local path"),
    ] {
        let error = Vault::open(url, kek(1)).unwrap_err();
        assert!(
            matches!(&error, StoreError::Invalid(text) if text.contains(part) && !text.contains("hidden")),
            "{error}"
        );
    }
}
