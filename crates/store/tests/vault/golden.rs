//! A vault of format 1 as it was once written, and what is to be read from it.
//!
//! `examples/write_golden.rs` wrote the files; nothing writes them again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{SnapshotId, TenantId};
use serde_json::{Value, json};
use store::{Area, Kek, RunKind, TenantVault, Vault};
use testkit::store::record;

/// The tenant of the golden vault.
pub(crate) fn tenant() -> TenantId {
    TenantId::parse("11111111-0000-4000-8000-000000000000").unwrap()
}

/// Where the golden vault is kept.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1")
}

/// What is to be found in its snapshots.
pub(crate) fn expected() -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Copies a folder, so that nothing happens to the one in the repository.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The golden vault, in a copy.
pub(crate) fn golden(copied: &Path) -> Vault {
    copy(&folder(), copied);
    let kek = Kek::load(&copied.join("key")).unwrap();
    let url = url::Url::from_directory_path(copied.join("store")).unwrap();
    Vault::open(url.as_str(), &|_| None, Arc::new(kek)).unwrap()
}

/// A snapshot as the script in `docs/format.md` prints it.
pub(crate) async fn described(vault: &TenantVault, id: &SnapshotId) -> Value {
    let manifest = vault.manifest(id).await.unwrap();
    let content = vault.read(&manifest).await.unwrap();
    let object = |object: &model::Object| {
        json!({
            "type": object.object_type.name(),
            "id": object.id.as_str(),
            "state": match object.state {
                model::ObjectState::Live => "live",
                model::ObjectState::Deleted => "deleted",
            },
            "json": object.body(),
        })
    };
    let link = |link: &model::Link| {
        json!({
            "kind": link.kind.name(),
            "source": link.source.as_str(),
            "target": link.target.as_str(),
        })
    };
    let mut objects: Vec<Value> = content.objects.iter().map(object).collect();
    let mut links: Vec<Value> = content.links.iter().map(link).collect();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    objects.sort_by_key(|one| (text(one, "type"), text(one, "id")));
    links.sort_by_key(|one| (text(one, "kind"), text(one, "source"), text(one, "target")));
    let incomplete = manifest
        .completeness
        .iter()
        .filter_map(|record| Some((record.kind.name(), record.problem.clone()?)));
    json!({
        "snapshot": id.as_str(),
        "incomplete": incomplete.collect::<BTreeMap<_, _>>(),
        "objects": objects,
        "links": links,
    })
}

#[tokio::test]
async fn snapshots_of_format_1_are_read_as_they_were_written() {
    let copied = tempfile::tempdir().unwrap();
    let vault = golden(copied.path());
    let opened = vault.tenant(&tenant()).await.unwrap();
    let expected = expected();
    let (manifests, problems) = opened.manifests().await.unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let ids: Vec<&str> = manifests
        .iter()
        .rev()
        .map(|one| one.id().as_str())
        .collect();
    assert_eq!(ids, expected.keys().collect::<Vec<_>>());
    for manifest in &manifests {
        let found = described(&opened, manifest.id()).await;
        assert_eq!(found, expected[manifest.id().as_str()], "{}", manifest.id());
    }
}

#[tokio::test]
async fn the_golden_snapshots_are_a_base_a_change_and_a_base_of_a_rotated_key() {
    let copied = tempfile::tempdir().unwrap();
    let opened = golden(copied.path()).tenant(&tenant()).await.unwrap();
    let (mut manifests, _) = opened.manifests().await.unwrap();
    manifests.reverse();
    let runs = |kind: RunKind| -> Vec<Vec<(u64, u32)>> {
        let of = |manifest: &store::Manifest| {
            let runs = manifest.runs.iter().filter(|run| run.kind == kind);
            runs.map(|run| (run.rows, run.key)).collect()
        };
        manifests.iter().map(of).collect()
    };
    assert_eq!(
        runs(RunKind::Objects),
        [vec![(17, 1)], vec![(17, 1), (3, 1)], vec![(16, 2)]]
    );
    assert_eq!(
        runs(RunKind::Links),
        [vec![(16, 1)], vec![(16, 1), (3, 1)], vec![(15, 2)]]
    );
    let [first, second, _] = &manifests[..] else {
        panic!("three snapshots are expected: {manifests:?}");
    };
    assert_eq!(
        first.meta,
        testkit::store::meta("20261120-daily", "attempt-1", 0)
    );
    assert_eq!(second.lineage.since.as_ref(), Some(first.id()));
    assert_eq!(second.lineage.incremental, 1);
    assert_eq!(
        first.tokens[0].link,
        "https://graph.example/v1.0/users/delta?$deltatoken=golden"
    );
    assert_eq!(first.unsettled.len(), 1);
    let record = &first.completeness[0];
    assert_eq!((record.count, record.effort.bytes), (12, 4567));
}

#[tokio::test]
async fn registration_and_documents_of_format_1_are_read_as_they_were_written() {
    let copied = tempfile::tempdir().unwrap();
    let vault = golden(copied.path());
    let registered = vault.tenant_record(&tenant()).await.unwrap().unwrap();
    assert_eq!(
        (registered.version, registered.value),
        (1, record(&tenant()))
    );
    let opened = vault.tenant(&tenant()).await.unwrap();
    for (area, name, content) in [
        (Area::Reports, "report", "sealed with key 1"),
        (Area::Reports, "page-00001", "also a document"),
        (Area::Restores, "journal/000001", "sealed with key 2"),
    ] {
        assert_eq!(opened.get(area, "golden", name).await.unwrap(), content);
    }
    let slot = SnapshotId::parse("20261123-daily").unwrap();
    let at = |seconds: i64| testkit::store::moment(3 * 86_400 + seconds);
    let ttl = chrono::TimeDelta::minutes(1);
    let error = opened
        .claim(&slot, "another", at(599), ttl)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "slot 20261123-daily is held by snapshotter-1 until 2026-09-24 14:23:20 UTC"
    );
    let claim = opened.claim(&slot, "another", at(600), ttl).await.unwrap();
    assert_eq!(claim.attempt, 2);
    assert!(opened.lane_holders(at(0)).await.unwrap().is_empty());
}
