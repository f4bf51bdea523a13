//! Exports of a snapshot: what lies where, for whom, and how an interrupted one is
//! known.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use proto::v1::SnapshotState;
use serde_json::{Value, json};

use crate::canned::{self, name};
use crate::fake::Fake;
use crate::gateway::{Gateway, Run};

fn export(gateway: &Gateway, to: &Path, more: &[&str]) -> Run {
    let to = to.to_str().expect("text");
    let arguments = ["snapshot", "export", "--snapshot", "latest", "--to", to];
    gateway.rewind(&[&arguments[..], more].concat())
}

/// Every file below a folder by its path, and that only its owner may read it.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(&inner).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = path.metadata().expect("a file").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
            let place = path.strip_prefix(folder).expect("below").to_owned();
            let place = place.to_str().expect("text").to_owned();
            let content = std::fs::read(&path).expect("a file");
            found.insert(place, String::from_utf8_lossy(&content).into_owned());
        }
    }
    found
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn json_is_laid_out_as_by_entra_exporter() {
    let gateway = Gateway::start(Fake::default());
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("made/on/demand");
    let run = export(&gateway, &to, &["--output", "json"]).exits(0);
    assert_eq!(
        (&run.json()["objects"], &run.json()["links"]),
        (&json!(5), &json!(2))
    );
    let files = files(&to);
    let places: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        places,
        [
            "DeletedItems/Groups/%2E./%2E..json",
            "Groups/g-1/Members/u-1/u-1.json",
            "Groups/g-1/Owners/u-9/u-9.json",
            "Groups/g-1/g-1.json",
            "Identity/Conditional/AccessPolicies/p-1/p-1.json",
            "ServicePrincipals/s-1/Oauth2PermissionGrants/o_1/o_1.json",
            "Users/u-1/u-1.json",
            "complete.json",
        ]
    );
    let [user, ..] = canned::objects();
    assert_eq!(parsed(&files["Users/u-1/u-1.json"]), parsed(&user.json));
    assert_eq!(
        parsed(&files["Groups/g-1/Members/u-1/u-1.json"]),
        json!({"id": "u-1", "displayName": "Ann", "userPrincipalName": "ann@contoso.example"})
    );
    let unknown = parsed(&files["Groups/g-1/Owners/u-9/u-9.json"]);
    assert_eq!(unknown, json!({"id": "u-9"}));
    assert_eq!(
        parsed(&files["complete.json"]),
        json!({
            "snapshot": name("snapshots", "20261123t1"),
            "format": "json",
            "types": [],
            "objects": 5,
            "links": 2,
        })
    );
}

#[test]
fn jsonl_has_an_object_on_each_line() {
    let gateway = Gateway::start(Fake::default());
    let folder = tempfile::tempdir().expect("a folder");
    let more = ["--format", "jsonl", "--type", "user,group"];
    export(&gateway, folder.path(), &more).exits(0);
    let asked = gateway.fake.last("ReadSnapshotRequest");
    assert_eq!(asked["types"], json!(["user", "group"]));
    let files = files(folder.path());
    let lines = |name: &str| -> Vec<Value> { files[name].lines().map(parsed).collect() };
    let [user, deleted, group, ..] = canned::objects().map(|object| parsed(&object.json));
    assert_eq!(lines("user.jsonl"), [user]);
    assert_eq!(lines("group.jsonl"), [group]);
    assert_eq!(lines("deleted-group.jsonl"), [deleted]);
    assert_eq!(
        lines("links.jsonl")[0],
        json!({"relation": "group/members", "source": "g-1", "target": "u-1"})
    );
    assert_eq!(
        parsed(&files["complete.json"])["types"],
        json!(["user", "group"])
    );
}

#[test]
fn parquet_is_what_the_vault_holds() {
    let gateway = Gateway::start(Fake::default());
    let folder = tempfile::tempdir().expect("a folder");
    export(&gateway, folder.path(), &["--format", "parquet"]).exits(0);
    let read = |name: &str| bytes(&folder.path().join(name));
    let objects = store::run::decode::<store::run::ObjectRow>("objects", read("objects.parquet"));
    let objects = objects.expect("a run");
    assert_eq!(objects.len(), 5);
    let links = store::run::decode::<store::run::LinkRow>("links", read("links.parquet"));
    assert_eq!(links.expect("a run").len(), 2);
    assert!(folder.path().join("complete.json").exists());
}

fn bytes(path: &Path) -> bytes::Bytes {
    std::fs::read(path).expect("a file").into()
}

#[test]
fn an_interrupted_export_is_not_complete_and_not_gone_on_with() {
    let gateway = Gateway::start(Fake {
        broken_streams: Mutex::new(1),
        ..Fake::default()
    });
    let folder = tempfile::tempdir().expect("a folder");
    for format in ["json", "jsonl", "parquet"] {
        let to = folder.path().join(format);
        export(&gateway, &to, &["--format", format]).exits(7);
        assert!(!to.join("complete.json").exists(), "{format}");
        let run = export(&gateway, &to, &["--format", format]).exits(2);
        assert!(run.err.contains("is not empty"), "{run:?}");
    }
}

#[test]
fn what_the_snapshot_lacks_is_told() {
    let fake = || Fake {
        snapshot: canned::snapshot("s1", SnapshotState::Incomplete),
        ..Fake::default()
    };
    let gateway = Gateway::start(fake());
    let folder = tempfile::tempdir().expect("a folder");
    let run = export(&gateway, &folder.path().join("all"), &[]).exits(3);
    assert!(run.err.contains("could not be read completely"), "{run:?}");
    let more = ["--type", "namedLocation"];
    export(&gateway, &folder.path().join("some"), &more).exits(0);
}

#[test]
fn a_server_cannot_write_elsewhere() {
    for (place, id) in [("../../evil", "../../evil"), ("..", "a/b")] {
        let [mut object, ..] = canned::objects();
        object.json = json!({"id": id, "displayName": place}).to_string();
        let gateway = Gateway::start(Fake {
            objects: vec![object],
            ..Fake::default()
        });
        let folder = tempfile::tempdir().expect("a folder");
        let run = export(&gateway, &folder.path().join("in"), &[]).exits(1);
        assert!(run.err.contains("cannot be understood"), "{run:?}");
        assert_eq!(files(folder.path()), BTreeMap::new());
    }
}
