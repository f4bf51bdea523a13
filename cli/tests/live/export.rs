//! Reports of an attacked tenant, written in each format.

use std::collections::BTreeMap;
use std::path::Path;

use model::{ObjectType, canonical};
use serde_json::{Map, Value};

use crate::support::{World, list, text};

/// The live objects of an exported snapshot, as they are compared.
fn compared(folder: &Path) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for object_type in ObjectType::ALL {
        let path = folder.join(format!("{object_type}.jsonl"));
        let Ok(lines) = std::fs::read_to_string(path) else {
            continue;
        };
        for line in lines.lines() {
            let body: Map<String, Value> = serde_json::from_str(line).expect("an object");
            let properties = canonical::properties(object_type.spec(), &body);
            let properties = properties.into_iter();
            let value = properties.map(|(name, _, value)| (name, value)).collect();
            all.insert(text(&body["id"]), Value::Object(value));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_an_attack_is_exported() {
    let world = World::with_snapshot(40).await;
    let before = text(&world.json(&["snapshot", "show", "latest"]).await["name"]);
    let deeds = world.attack().await;
    let after = world.snapshot().await;
    let report = ["diff", "create", "--snapshot", &before, "--against", &after];
    let report = text(&world.json(&report).await["name"]);
    let shown = world.json(&["diff", "show", &report]).await;
    let changes = list(&shown["changes"]);
    assert!(changes.len() >= deeds.len(), "{shown}");

    let folder = tempfile::tempdir().expect("a folder");
    let mut documents = BTreeMap::new();
    for format in ["json", "csv", "html", "patch"] {
        let path = folder.path().join(format);
        let to = path.to_str().expect("text");
        let export = ["diff", "export", &report, "--format", format, "--to", to];
        let written = world.json(&export).await;
        assert_eq!(written["objects"], changes.len(), "{format}");
        documents.insert(format, std::fs::read_to_string(&path).expect("a file"));
        let streamed = ["diff", "export", &report, "--format", format];
        let streamed = world.run(&streamed).await.exits(0);
        assert_eq!(streamed.out, documents[format], "{format}");
    }

    let json: Value = serde_json::from_str(&documents["json"]).expect("JSON");
    assert_eq!(json, shown);

    let count = |change: &Value, part: &str| list(&change[part]).len();
    let rows: usize = changes
        .iter()
        .map(|change| (count(change, "attributes") + count(change, "links")).max(1))
        .sum();
    let mut reader = csv::Reader::from_reader(documents["csv"].as_bytes());
    assert_eq!(reader.records().filter(Result::is_ok).count(), rows);

    let html = &documents["html"];
    assert_eq!(html.matches("scope=\"rowgroup\"").count(), changes.len());
    for change in changes {
        let id = text(&change["object"]["id"]);
        assert!(html.contains(&id), "{change}");
    }

    for (name, snapshot) in [("before", &before), ("after", &after)] {
        let to = folder.path().join(name);
        let to = to.to_str().expect("text");
        let export = ["snapshot", "export", "--snapshot", snapshot, "--to", to];
        world
            .json(&[&export[..], &["--format", "jsonl"]].concat())
            .await;
    }
    let before = compared(&folder.path().join("before"));
    let after = compared(&folder.path().join("after"));
    let mut modified = 0;
    let mut patches = documents["patch"].lines();
    for change in changes {
        let line: Value = serde_json::from_str(patches.next().expect("a line")).expect("JSON");
        let id = text(&change["object"]["id"]);
        assert_eq!(line["id"], id);
        if line["kind"] == "modified" {
            let patch: json_patch::Patch =
                serde_json::from_value(line["patch"].clone()).expect("a patch");
            let mut object = before[&id].clone();
            json_patch::patch(&mut object, &patch).expect("it fits");
            assert_eq!(object, after[&id], "{line}");
            modified += 1;
        }
    }
    assert_eq!(patches.next(), None);
    assert!(modified > 5, "only {modified} objects were modified");
}
