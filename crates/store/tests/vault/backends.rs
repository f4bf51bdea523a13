//! One contract, every backend.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::object_store::ObjectStore;
use store::{StoreError, Vault, open_store};
use testkit::store::{GoogleStore, Keeps, Server, Versions, contract, tenant};

use crate::kek;

/// Where `cargo xtask test` installs programs.
pub(crate) fn tools() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("tools")
}

/// A store with settings as a process's environment would hold them.
pub(crate) fn opened(url: &str, settings: &HashMap<String, String>) -> Arc<dyn ObjectStore> {
    open_store(url, &|name| settings.get(name).cloned()).unwrap()
}

fn local(url: &str) -> Vault {
    Vault::open(url, &|_| None, kek(1)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_the_contract() {
    contract::check_store(&opened("memory:///", &HashMap::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_keeps_the_contract() {
    let server = Server::moto(&tools());
    server.make_bucket("vault", Versions::None);
    contract::check_store(&opened("s3://vault", &server.settings())).await;
    below_its_prefix("s3://vault", &server.settings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_with_versions_keeps_the_contract() {
    let server = Server::moto(&tools());
    server.make_bucket("vault", Versions::Kept);
    contract::check_store(&opened("s3://vault/a/b", &server.settings())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn azure_keeps_the_contract() {
    let server = Server::azurite(&tools());
    server.make_container("vault");
    contract::check_store(&opened("az://vault", &server.settings())).await;
    below_its_prefix("az://vault", &server.settings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn google_keeps_the_contract() {
    let server = GoogleStore::start(Keeps::Nothing).await;
    contract::check_store(&opened("gs://vault", &server.settings())).await;
    below_its_prefix("gs://vault", &server.settings()).await;
}

/// Two prefixes of one bucket know nothing of each other, and the bucket holds
/// nothing of theirs elsewhere.
async fn below_its_prefix(bucket: &str, settings: &HashMap<String, String>) {
    let vault = |prefix: &str| {
        let store = opened(&format!("{bucket}/{prefix}"), settings);
        Vault::new(store, kek(1))
    };
    contract::check(&vault("one/vault")).await;
    contract::check(&vault("one")).await;
    contract::check(&vault("two")).await;
    let whole = Vault::new(opened(&format!("{bucket}/none"), settings), kek(1));
    assert_eq!(whole.tenant_ids().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn disk_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/made/on/demand", folder.path().display());
    contract::check(&local(&url)).await;
    let other = format!("file://{}/other", folder.path().display());
    contract::check_store(&opened(&other, &HashMap::new())).await;

    // A second process sees the same vault.
    let vault = local(&url);
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
    let vault = local(&url);
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

/// What a cause says, with all that is behind it.
fn chain(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn what_a_store_refuses_tells_no_secret() {
    let server = Server::azurite(&tools());
    server.make_container("vault");
    let mut settings = server.settings();
    let key = settings.remove("AZURE_STORAGE_ACCOUNT_KEY").unwrap();
    let signature = "aHVudGVyMg%3D%3D";
    settings.insert(
        "AZURE_STORAGE_SAS_TOKEN".to_owned(),
        format!("sv=2023-11-03&ss=b&srt=co&sp=rwdl&se=2099-01-01T00:00:00Z&sig={signature}"),
    );
    let refused = Vault::new(opened("az://vault", &settings), kek(1));
    let error = refused.tenant_ids().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    for secret in ["aHVudGVyMg", "hunter2"] {
        assert!(!chain(&error).contains(secret), "{}", chain(&error));
    }

    let wrong = "d3Jvbmcga2V5";
    settings.remove("AZURE_STORAGE_SAS_TOKEN");
    settings.insert("AZURE_STORAGE_ACCOUNT_KEY".to_owned(), wrong.to_owned());
    let refused = Vault::new(opened("az://vault", &settings), kek(1));
    let error = refused.tenant_ids().await.unwrap_err();
    for secret in [wrong, &key, "wrong key"] {
        assert!(!chain(&error).contains(secret), "{}", chain(&error));
    }
}
