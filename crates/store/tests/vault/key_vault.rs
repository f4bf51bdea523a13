//! Azure Key Vault as the holder of the key that wraps.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use model::ErrorKind;
use model::error::reason;
use store::object_store::{ObjectStore, ObjectStoreExt};
use store::{
    Area, Holder, KeyError, KeyVault, KeyWrap, Place, Rewrapped, StoreError, Vault, layout,
};
use testkit::key_vault::{FEDERATED_TOKEN, FakeKeyVault, Manner, SECRET};
use testkit::store::{content, meta, record, tamper, tenant};

use crate::{kek, memory};

/// The settings of a client.
type Settings = HashMap<String, String>;

fn wrap(identifier: &str, settings: &Settings) -> Arc<dyn KeyWrap> {
    let setting = |name: &str| settings.get(name).cloned();
    Arc::new(KeyVault::new(identifier, &setting).unwrap())
}

/// A fake, one key in it, and the settings of a service that signs in rightly.
async fn fake() -> (FakeKeyVault, String, Settings) {
    let fake = FakeKeyVault::start().await;
    let key = fake.new_version("rewind");
    let settings = fake.with_secret(SECRET);
    (fake, key, settings)
}

/// A vault with tenants 1 and 2, and a report of the first.
async fn filled(store: Arc<dyn ObjectStore>, wrap: Arc<dyn KeyWrap>) -> Vault {
    let vault = Vault::new(store, wrap);
    for n in [1, 2] {
        vault.create_tenant(&record(&tenant(n))).await.unwrap();
    }
    let first = vault.tenant(&tenant(1)).await.unwrap();
    first
        .put(Area::Reports, "r1", "report", "content".into())
        .await
        .unwrap();
    vault
}

async fn read(store: Arc<dyn ObjectStore>, wrap: Arc<dyn KeyWrap>) -> Result<String, StoreError> {
    let first = Vault::new(store, wrap).tenant(&tenant(1)).await?;
    let found = first.get(Area::Reports, "r1", "report").await?;
    Ok(String::from_utf8_lossy(&found).into_owned())
}

/// Every file of the store but those of the keys.
async fn data(store: &dyn ObjectStore) -> Vec<(String, Vec<u8>)> {
    use futures::TryStreamExt;
    let metas: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut files = Vec::new();
    for meta in metas {
        let path = meta.location;
        if !path.as_ref().contains("/keys/") {
            let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
            files.push((path.to_string(), bytes.to_vec()));
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn what_was_wrapped_is_read_by_whoever_may_unwrap() {
    let (fake, key, settings) = fake().await;
    let store = memory();
    let vault = filled(store.clone(), wrap(&key, &settings)).await;
    vault.check_keys().await.unwrap();
    assert_eq!(
        read(store.clone(), wrap(&key, &settings)).await.unwrap(),
        "content"
    );
    // Opened keys are kept, and so is the token of each client.
    let before = fake.calls();
    let again = vault.tenant(&tenant(1)).await.unwrap();
    again.get(Area::Reports, "r1", "report").await.unwrap();
    assert_eq!(fake.calls(), before);
    assert_eq!((before.wraps, before.tokens), (2, 2));

    let id = wrap(&key, &settings).id().to_owned();
    assert!(
        id.len() == 22 && id.starts_with("azure-"),
        "a word of its own: {id}"
    );
    assert!(!id.contains("rewind"), "it tells nothing: {id}");
    let other = fake.new_version("rewind");
    assert_ne!(wrap(&other, &settings).id(), id);
}

#[tokio::test]
async fn a_service_signs_in_as_its_surroundings_offer() {
    let (fake, key, with_secret) = fake().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{FEDERATED_TOKEN}\n")).unwrap();
    let store = memory();
    filled(store.clone(), wrap(&key, &with_secret)).await;
    let ways = [
        with_secret,
        fake.with_token_file(&file),
        fake.with_machine(),
    ];
    for settings in &ways {
        let read = read(store.clone(), wrap(&key, settings)).await;
        assert_eq!(read.unwrap(), "content");
    }
    // The cluster's token comes before a secret.
    let mut both = fake.with_token_file(&file);
    both.extend([("AZURE_CLIENT_SECRET".to_owned(), "old".to_owned())]);
    read(store.clone(), wrap(&key, &both)).await.unwrap();
    // It is read anew: what was renewed works, what is gone is told.
    let renewing = wrap(&key, &fake.with_token_file(&file));
    std::fs::remove_file(&file).unwrap();
    let error = read(store.clone(), Arc::clone(&renewing))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the service cannot sign in to Key Vault 127.0.0.1: the login host: the file of AZURE_FEDERATED_TOKEN_FILE cannot be read: entity not found"
    );
    std::fs::write(&file, FEDERATED_TOKEN).unwrap();
    read(store, renewing).await.unwrap();
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced() {
    let (fake, key, settings) = fake().await;
    let vault = filled(memory(), wrap(&key, &settings)).await;
    fake.revoke_tokens();
    vault.forget(&tenant(1));
    vault.tenant(&tenant(1)).await.unwrap();
    assert_eq!(fake.calls().tokens, 2);
}

#[tokio::test]
async fn a_key_moves_from_a_file_to_key_vault_to_its_next_version_and_back() {
    let (fake, first, settings) = fake().await;
    let second = fake.new_version("rewind");
    let store = memory();
    let vault = filled(store.clone(), kek(1)).await;
    let opened = vault.tenant(&tenant(1)).await.unwrap();
    let manifest = opened
        .commit_content(&meta("20261120-daily", "a", 0), &content(20))
        .await
        .unwrap();
    let before = data(store.as_ref()).await;

    let steps = [
        (kek(1), wrap(&first, &settings)),
        (wrap(&first, &settings), wrap(&second, &settings)),
        (wrap(&second, &settings), kek(2)),
    ];
    for (old, new) in steps {
        let changing = Vault::new(store.clone(), new.clone()).with_old_wrap(old.clone());
        // Before, while and after it is re-wrapped everything is read.
        let reader = changing.tenant(&tenant(1)).await.unwrap();
        assert_eq!(reader.manifest(manifest.id()).await.unwrap(), manifest);
        for n in [1, 2] {
            let done = changing.rewrap_keys(&tenant(n)).await.unwrap();
            let once = Rewrapped {
                written: 1,
                deleted: 1,
            };
            assert_eq!(done, once);
        }
        let again = changing.rewrap_keys(&tenant(1)).await.unwrap();
        assert_eq!(again, Rewrapped::default());
        assert_eq!(read(store.clone(), new).await.unwrap(), "content");
        let error = read(store.clone(), old).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Key(KeyError::Refused)),
            "{error}"
        );
    }
    assert_eq!(data(store.as_ref()).await, before, "no run was touched");
    assert_eq!(
        fake.calls().wraps,
        4,
        "a data key is wrapped once a version"
    );
}

#[tokio::test]
async fn a_wrap_in_the_place_of_another_tenants_opens_nothing() {
    let (_fake, key, settings) = fake().await;
    let (store, wrap) = (memory(), wrap(&key, &settings));
    let vault = filled(store.clone(), wrap.clone()).await;
    let place = |n| layout::data_key(&tenant(n), 1, wrap.id());
    let mut first = Vec::new();
    tamper(store.as_ref(), &place(1), |bytes| first.clone_from(bytes)).await;
    let whole = first.clone();
    tamper(store.as_ref(), &place(2), |bytes| *bytes = first).await;
    vault.forget(&tenant(2));
    let error = vault.tenant(&tenant(2)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Key(KeyError::Refused)),
        "{error}"
    );
    // Nor does what was cut short or changed.
    for harm in [
        |text: &mut String| text.truncate(4),
        |text: &mut String| text.replace_range(8..12, "AAAA"),
        |text: &mut String| text.replace_range(400..404, "AAAA"),
        |text: &mut String| text.clear(),
    ] {
        tamper(store.as_ref(), &place(1), |bytes| {
            let mut file: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            let mut text = file["ciphertext"].as_str().unwrap().to_owned();
            harm(&mut text);
            file["ciphertext"] = text.into();
            *bytes = serde_json::to_vec(&file).unwrap();
        })
        .await;
        vault.forget(&tenant(1));
        let error = vault.tenant(&tenant(1)).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Key(KeyError::Refused)),
            "{error}"
        );
    }
}

/// The error of a reader, which must tell no secret.
async fn error(store: &Arc<dyn ObjectStore>, key: &str, settings: &Settings) -> StoreError {
    let wrap = wrap(key, settings);
    let error = read(store.clone(), wrap.clone()).await.unwrap_err();
    let text = format!("{error} {error:?} {wrap:?}");
    for secret in [SECRET, FEDERATED_TOKEN, "wrong-secret", "token-", "Caller"] {
        assert!(!text.contains(secret), "{text}");
    }
    error
}

fn check(error: &StoreError, kind: ErrorKind, text: &str) {
    assert_eq!(
        (error.kind(), error.reason().0, error.to_string().as_str()),
        (kind, reason::KEY_UNAVAILABLE, text)
    );
}

#[tokio::test]
async fn what_is_refused_is_told_by_its_cause_and_without_a_secret() {
    let (fake, key, settings) = fake().await;
    let store = memory();
    filled(store.clone(), wrap(&key, &settings)).await;

    let cases = [
        (
            Manner::Denies("unwrapKey"),
            "Key Vault 127.0.0.1 does not let the service use the key: the permission unwrapKey is missing, on the identity or on the key",
        ),
        (
            Manner::Closed,
            "the key in Key Vault 127.0.0.1 cannot be used: the vault's firewall does not let this address in",
        ),
        (
            Manner::Distrusts,
            "the service cannot sign in to Key Vault 127.0.0.1: it does not accept the service's token; is the vault in another directory?",
        ),
    ];
    for (manner, text) in cases {
        fake.be(manner);
        let before = fake.calls().unwraps;
        check(
            &error(&store, &key, &settings).await,
            ErrorKind::Denied,
            text,
        );
        let asked = fake.calls().unwraps - before;
        assert!(asked <= 2, "a refusal is final: {asked}");
    }
    fake.be(Manner::Denies("wrapKey"));
    let third = Vault::new(store.clone(), wrap(&key, &settings));
    let denied = third.create_tenant(&record(&tenant(3))).await.unwrap_err();
    check(
        &denied,
        ErrorKind::Denied,
        "Key Vault 127.0.0.1 does not let the service use the key: the permission wrapKey is missing, on the identity or on the key",
    );
    fake.be(Manner::Confuses);
    check(
        &error(&store, &key, &settings).await,
        ErrorKind::Unavailable,
        "the key holder cannot be reached: Key Vault 127.0.0.1: an answer is about another key",
    );
    fake.be(Manner::Well);
    check(
        &error(&store, &key, &fake.with_secret("wrong-secret")).await,
        ErrorKind::Denied,
        "the service cannot sign in to Key Vault 127.0.0.1: the login host: AADSTS7000215",
    );
    let mut stranger = fake.with_machine();
    stranger.insert("AZURE_CLIENT_ID".to_owned(), "another".to_owned());
    check(
        &error(&store, &key, &stranger).await,
        ErrorKind::Denied,
        "the service cannot sign in to Key Vault 127.0.0.1: the managed identity's endpoint: the machine has no such managed identity",
    );
    fake.disable(&key);
    check(
        &error(&store, &key, &settings).await,
        ErrorKind::Denied,
        "the key in Key Vault 127.0.0.1 cannot be used: it is disabled",
    );
    fake.delete(&key);
    check(
        &error(&store, &key, &settings).await,
        ErrorKind::Denied,
        "the key in Key Vault 127.0.0.1 cannot be used: there is no such key or version, or it was deleted",
    );
}

#[tokio::test]
async fn throttling_is_waited_for_as_long_as_a_call_may_last() {
    let (fake, key, settings) = fake().await;
    let store = memory();
    filled(store.clone(), wrap(&key, &settings)).await;
    let throttle = |times, retry_after| fake.be(Manner::Throttles { times, retry_after });
    let text = "Key Vault 127.0.0.1 is asked too often";

    throttle(4, 0);
    read(store.clone(), wrap(&key, &settings)).await.unwrap();
    throttle(5, 0);
    let before = fake.calls().unwraps;
    let told = |seconds| ErrorKind::Throttled {
        retry_after: Some(std::time::Duration::from_secs(seconds)),
    };
    check(&error(&store, &key, &settings).await, told(0), text);
    assert_eq!(fake.calls().unwraps - before, 5, "it is asked five times");
    throttle(1, 3600);
    check(&error(&store, &key, &settings).await, told(3600), text);
    assert_eq!(
        fake.calls().unwraps - before,
        6,
        "an hour is not waited for"
    );
}

#[tokio::test]
async fn a_vault_that_is_away_may_come_back() {
    let (mut fake, key, settings) = fake().await;
    let folder = tempfile::tempdir().unwrap();
    let store_url = url::Url::from_directory_path(folder.path()).unwrap();
    let setting = |name: &str| settings.get(name).cloned();
    let place = Place {
        store_url: store_url.to_string(),
        keys_url: None,
        key: Holder::KeyVault(key.clone()),
        old_key: None,
        setting: &setting,
    };
    let vault = Vault::at(&place).await.unwrap();
    vault.create_tenant(&record(&tenant(1))).await.unwrap();
    let deaf = Vault::at(&place).await.unwrap();

    // What is answered on loopback is there at once, so only the waits pass.
    tokio::time::pause();
    fake.be(Manner::Fails);
    let failing = deaf.tenant(&tenant(1)).await.unwrap_err();
    check(
        &failing,
        ErrorKind::Unavailable,
        "the key holder cannot be reached: Key Vault 127.0.0.1: HTTP 503",
    );
    fake.be(Manner::Well);
    deaf.tenant(&tenant(1)).await.unwrap();

    fake.go_away().await;
    // What is open stays open, and a start goes on: the key may be the right one.
    vault.tenant(&tenant(1)).await.unwrap();
    let started = Vault::at(&place).await.unwrap();
    let away = started.tenant(&tenant(1)).await.unwrap_err();
    check(
        &away,
        ErrorKind::Unavailable,
        "the key holder cannot be reached: the login host: no connection",
    );
}

#[tokio::test]
async fn a_new_key_that_cannot_unwrap_does_not_cost_the_old_wrap() {
    let (fake, key, settings) = fake().await;
    let (store, new) = (memory(), wrap(&key, &settings));
    filled(store.clone(), kek(1)).await;
    let changing = || Vault::new(store.clone(), new.clone()).with_old_wrap(kek(1));
    // A disabled key still wraps, and so does one whose identity may only wrap.
    fake.be(Manner::Denies("unwrapKey"));
    for _ in 0..2 {
        let error = changing().rewrap_keys(&tenant(1)).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Key(KeyError::NotAllowed { .. })),
            "{error}"
        );
        read(store.clone(), kek(1)).await.unwrap();
    }
    fake.be(Manner::Well);
    let done = changing().rewrap_keys(&tenant(1)).await.unwrap();
    assert_eq!((done.written, done.deleted), (0, 1));

    // The only wrap is not deleted either because it cannot be tried just now.
    fake.be(Manner::Denies("unwrapKey"));
    let alone = Vault::new(store.clone(), new.clone());
    alone.rewrap_keys(&tenant(1)).await.unwrap_err();
    alone.rotate_key(&tenant(1), "r1").await.unwrap_err();
    fake.be(Manner::Well);
    assert_eq!(read(store.clone(), new.clone()).await.unwrap(), "content");
}

#[test]
fn what_names_no_version_of_a_key_in_key_vault_is_refused() {
    let open = |key: &str| KeyVault::new(key, &|_| None);
    for good in [
        "https://v.vault.azure.net/keys/rewind/0123456789abcdef0123456789abcdef",
        "https://v.vault.azure.cn/keys/rewind/1",
        "https://v.vault.usgovcloudapi.net/keys/rewind/1/",
        "https://hsm.managedhsm.azure.net/keys/rewind/1",
    ] {
        assert!(open(good).is_ok(), "{good}");
    }
    // The same version, however it is written.
    let id = |key: &str| open(key).unwrap().id().to_owned();
    assert_eq!(
        id("https://V.vault.azure.net/keys/Rewind/AB"),
        id("https://v.vault.azure.net/keys/rewind/ab/")
    );
    let elsewhere = "it does not lead to Key Vault by https";
    let shape = "https://VAULT/keys/NAME/VERSION is expected";
    for (bad, why) in [
        ("hunter2", "it is no URL"),
        ("http://v.vault.azure.net/keys/k/1", elsewhere),
        ("https://v.vault.azure.net:8443/keys/k/1", elsewhere),
        ("https://vault.azure.net/keys/k/1", elsewhere),
        ("https://evilvault.azure.net/keys/k/1", elsewhere),
        ("https://v.vault.azure.net.example.com/keys/k/1", elsewhere),
        (
            "https://v.vault.azure.net/keys/k/1?x=hunter2",
            "it holds more than a place",
        ),
        (
            "https://u:hunter2@v.vault.azure.net/keys/k/1",
            "it holds more than a place",
        ),
        ("https://v.vault.azure.net/secrets/k/1", shape),
        ("https://v.vault.azure.net/keys/k/1/2", shape),
        ("https://v.vault.azure.net/keys/k%20k/1", shape),
        (
            "https://v.vault.azure.net/keys/k",
            "it names no version, and what one version wraps no other opens; `az keyvault key show --query key.kid` prints the whole identifier",
        ),
    ] {
        let error = open(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            error.to_string(),
            format!("the Key Vault key's identifier is not valid: {why}")
        );
    }
}

#[test]
fn settings_that_prove_nobody_are_refused_without_their_values() {
    let key = "https://v.vault.azure.net/keys/rewind/1";
    let open = |pairs: &[(&str, &str)]| {
        let settings: Settings = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        KeyVault::new(key, &|name| settings.get(name).cloned())
    };
    let secret = ("AZURE_CLIENT_SECRET", "hunter2");
    let named = [
        ("AZURE_TENANT_ID", "hunter2"),
        ("AZURE_CLIENT_ID", "hunter2"),
    ];
    assert!(open(&[&named[..], &[secret]].concat()).is_ok());
    assert!(open(&[]).is_ok(), "the machine vouches");
    let together = "to sign in to Key Vault, AZURE_TENANT_ID and AZURE_CLIENT_ID go together with AZURE_FEDERATED_TOKEN_FILE or AZURE_CLIENT_SECRET";
    let url = |name| {
        format!("{name} is not valid: an https URL is expected, or an http URL on this machine")
    };
    let host = |host| [&named[..], &[secret, ("AZURE_AUTHORITY_HOST", host)]].concat();
    for (pairs, text) in [
        (vec![secret], together.to_owned()),
        (vec![secret, named[0]], together.to_owned()),
        (
            host("http://login.example.com/"),
            url("AZURE_AUTHORITY_HOST"),
        ),
        (host("hunter2"), url("AZURE_AUTHORITY_HOST")),
        (
            vec![("IDENTITY_ENDPOINT", "http://example.com/token")],
            url("IDENTITY_ENDPOINT"),
        ),
    ] {
        assert_eq!(open(&pairs).unwrap_err().to_string(), text);
    }
}

#[tokio::test]
async fn a_mounted_secret_is_a_key_file_as_kubernetes_lays_it_out() {
    use base64::Engine;
    let folder = tempfile::tempdir().unwrap();
    let key: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 7).unwrap());
    let text = base64::prelude::BASE64_STANDARD.encode(key);
    // A volume's files are links to a folder that is exchanged at once.
    let mount = |content: &[u8], version: &str| {
        let inner = folder.path().join(format!("..{version}"));
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("key"), content).unwrap();
        let staged = folder.path().join("..data_tmp");
        std::os::unix::fs::symlink(&inner, &staged).unwrap();
        std::fs::rename(&staged, folder.path().join("..data")).unwrap();
        let link = folder.path().join("key");
        if !link.exists() {
            std::os::unix::fs::symlink(Path::new("..data/key"), &link).unwrap();
        }
        store::Kek::load(&link)
    };
    let expected = store::Kek::from_bytes(key);
    let fits: [&[u8]; 4] = [
        &key,
        text.as_bytes(),
        &[text.as_bytes(), b"\n"].concat(),
        &[b" ", text.as_bytes(), b"\r\n\n"].concat(),
    ];
    for (version, content) in fits.into_iter().enumerate() {
        let loaded = mount(content, &version.to_string()).unwrap();
        assert_eq!(loaded.id(), expected.id());
    }
    let unfit: [&[u8]; 5] = [
        b"correct horse battery staple 123",
        &text.as_bytes()[..32],
        &key[..31],
        &[&key[..], b"\n"].concat(),
        b"",
    ];
    for (version, content) in unfit.into_iter().enumerate() {
        let error = mount(content, &format!("x{version}")).unwrap_err();
        assert_eq!(error, KeyError::Malformed, "{version}");
    }
}
