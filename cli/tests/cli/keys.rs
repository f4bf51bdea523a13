//! Recovery bundles, re-wrapping, rotation and erasure, as far as the client goes.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;

use model::error::reason;
use snapbox::{assert_data_eq, str};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::canned::{OTHER, TENANT};
use crate::fake::Fake;
use crate::gateway::Gateway;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn keyless() -> Fake {
    let status = Status::with_error_details(
        Code::PermissionDenied,
        "the tenant has no data key",
        ErrorDetails::with_error_info(reason::KEY_UNAVAILABLE, "rewind", HashMap::new()),
    );
    Fake {
        keyless: Some((OTHER, status)),
        ..Fake::two_tenants()
    }
}

#[test]
fn a_bundle_of_each_tenant_is_written_for_its_owner_alone_and_never_over_another() {
    let gateway = Gateway::start(Fake::two_tenants());
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("bundles");
    let to_text = to.display().to_string();
    let export = ["keys", "export", "--recipient", RECIPIENT, "--to", &to_text];
    let run = gateway.rewind(&[&export[..], &["--output", "json"]].concat());
    let run = run.exits(0);
    let path = |tenant: &str| to.join(format!("rewind-keys-{tenant}.age"));
    for (index, tenant) in [TENANT, OTHER].into_iter().enumerate() {
        let written = path(tenant);
        assert_eq!(run.json()[index]["name"], format!("tenants/{tenant}"));
        assert_eq!(run.json()[index]["path"], written.display().to_string());
        assert_eq!(std::fs::read(&written).expect("a bundle"), b"sealed");
        let mode = std::fs::metadata(&written).expect("a bundle").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(&to).expect("a folder").count(), 2);
    let asked = gateway.fake.last("ExportKeysRequest");
    assert_eq!(asked["recipients"], serde_json::json!([RECIPIENT]));

    std::fs::write(path(TENANT), "older").expect("written");
    let one = [&export[..], &["--tenant", TENANT]].concat();
    let run = gateway.rewind(&one).exits(1);
    assert!(run.err.contains("there is a file of that name"), "{run:?}");
    assert_eq!(std::fs::read(path(TENANT)).expect("a bundle"), b"older");
}

#[test]
fn a_secret_in_place_of_a_recipient_is_not_repeated() {
    let gateway = Gateway::start(Fake::default());
    let secret = "AGE-SECRET-KEY-1QQPPHUNTER2";
    let run = gateway
        .rewind(&["keys", "export", "--recipient", secret])
        .exits(2);
    assert!(
        run.err.contains("--recipient takes an age public key") && !run.err.contains("HUNTER2"),
        "{run:?}"
    );
    assert_eq!(gateway.fake.calls(), 0);
}

#[test]
fn one_tenant_without_its_key_keeps_no_other_from_it() {
    let gateway = Gateway::start(keyless());
    let run = gateway.rewind(&["keys", "rewrap"]).exits(3);
    assert_data_eq!(
        &run.out,
        str![[r#"
TENANT                                        WRITTEN  DELETED
tenants/0a1b2c3d-0000-4000-8000-000000000001  1        1

"#]]
    );
    assert!(
        run.err.contains(OTHER)
            && run
                .err
                .contains("the tenant has no data key [KEY_UNAVAILABLE]"),
        "{run:?}"
    );
    let run = gateway
        .rewind(&["keys", "rewrap", "--tenant", OTHER])
        .exits(7);
    assert!(run.err.contains("[KEY_UNAVAILABLE]"), "{run:?}");
}

#[test]
fn a_key_is_rotated_for_one_tenant() {
    let gateway = Gateway::start(Fake::two_tenants());
    gateway.rewind(&["keys", "rotate"]).exits(2);
    let run = gateway
        .rewind(&["keys", "rotate", "--tenant", TENANT])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
Name  tenants/0a1b2c3d-0000-4000-8000-000000000001
Key   2

"#]]
    );
    assert!(run.err.contains("export them again"), "{run:?}");
    let asked = gateway.fake.last("RotateKeyRequest");
    assert_eq!(asked["requestId"].as_str().map(str::len), Some(36));
}

#[test]
fn a_tenant_is_erased_only_where_it_is_named_twice() {
    let gateway = Gateway::start(Fake::two_tenants());
    gateway
        .rewind(&["keys", "erase", "--confirm", TENANT])
        .exits(2);
    let run = gateway
        .rewind(&["keys", "erase", "--tenant", TENANT])
        .exits(2);
    assert!(run.err.contains("--confirm must repeat"), "{run:?}");
    assert_eq!(gateway.fake.calls(), 0);

    let run = gateway
        .rewind(&["keys", "erase", "--tenant", TENANT, "--confirm", "Contoso"])
        .exits(0);
    assert_data_eq!(
        &run.out,
        str![[r#"
Name     tenants/0a1b2c3d-0000-4000-8000-000000000001
Deleted  1
Erasure  ok
Detail   what was seen

"#]]
    );
    assert!(run.err.contains("still opens its files"), "{run:?}");
    let asked = gateway.fake.last("EraseKeysRequest");
    assert_eq!(asked["confirm"], "Contoso");
}

#[test]
fn an_erasure_that_the_store_may_not_keep_is_a_warning() {
    let gateway = Gateway::start(Fake::two_tenants());
    let run = gateway
        .rewind(&["keys", "erase", "--tenant", OTHER, "--confirm", OTHER])
        .exits(3);
    assert!(run.out.contains("failed"), "{run:?}");
    assert!(
        run.err.contains(&format!(
            "remove every earlier version below tenants/{OTHER}/keys/ there"
        )),
        "{run:?}"
    );
}

#[test]
fn an_import_needs_a_tenant_a_store_and_one_wrapping_key() {
    let gateway = Gateway::start(Fake::default());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file").display().to_string();
    std::fs::write(&file, "AGE-SECRET-KEY-1HUNTER2").expect("written");
    let base = [
        "keys",
        "import",
        "--bundle",
        &file,
        "--identity",
        &file,
        "--store",
        "memory:///",
    ];
    let both = ["--key-file", &file, "--key-vault-key", "https://v/keys/k/1"];
    let named = ["--tenant", TENANT];
    let key = ["--key-file", &file];
    for (more, code, word) in [
        (&named[..], 2, "--key-file"),
        (&[&named[..], &both[..]].concat(), 2, "cannot be used with"),
        (&key[..], 2, "--tenant must name"),
        (&[&named[..], &key[..]].concat(), 7, "[KEY_UNAVAILABLE]"),
    ] {
        let run = gateway.rewind(&[&base[..], more].concat()).exits(code);
        assert!(run.err.contains(word), "{word}: {run:?}");
        assert!(!run.err.contains("HUNTER2"), "{run:?}");
    }
    assert_eq!(gateway.fake.calls(), 0);
}
