//! What others say of the manifests: Kubernetes' schemas, those of the extensions, and a policy checker.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::rendered::{Rendered, all, installed, root, text};

/// The version whose schemas count: that of the oldest cluster that `docs/operations.md` names.
const KUBERNETES: &str = "1.36";

/// Groups of the extensions that manifests use.
const EXTENSIONS: [&str; 4] = [
    "cert-manager.io",
    "monitoring.coreos.com",
    "external-secrets.io",
    "gateway.networking.k8s.io",
];

fn is_extension(object: &Value) -> bool {
    let version = text(&object["apiVersion"]);
    EXTENSIONS.iter().any(|group| version.starts_with(group))
}

fn succeeded(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Writes one file of each rendered overlay, of the objects that are chosen.
fn written(folder: &Path, chosen: impl Fn(&Value) -> bool) -> usize {
    let mut count = 0;
    for rendered in all() {
        let file = rendered.name.replace(' ', "-");
        let objects: Vec<&Value> = rendered
            .objects
            .iter()
            .filter(|object| chosen(object))
            .collect();
        count += objects.len();
        // JSON is YAML, one document to a line.
        let documents: Vec<String> = objects.iter().map(|object| object.to_string()).collect();
        std::fs::write(
            folder.join(format!("{file}.yaml")),
            documents.join("\n---\n"),
        )
        .expect("written");
    }
    count
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

#[test]
fn manifests_fit_the_schemas_of_kubernetes() {
    let program = installed("kubernetes-validate-", "bin/kubernetes-validate");
    let folder = tempfile::tempdir().expect("a folder");
    let count = written(folder.path(), |object| !is_extension(object));
    assert!(count > 200, "{count} objects");
    let output = Command::new(program)
        .args(["--strict", "--kubernetes-version", KUBERNETES])
        .args(files(folder.path()))
        .output()
        .expect("started");
    succeeded("kubernetes-validate", &output);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    // It only warns of what it has no schema for.
    assert!(!told.contains("WARN"), "{told}");
}

#[test]
fn manifests_of_extensions_fit_their_schemas() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = written(folder.path(), is_extension);
    assert!(count > 20, "{count} objects");
    let modules = installed("gateway-api-", "node_modules");
    let output = Command::new("node")
        .arg(root().join("tests/tests/cluster/extensions.mjs"))
        .arg(modules)
        .args(files(folder.path()))
        .output()
        .expect("node, which comes with npm");
    succeeded("the extensions", &output);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(told.trim(), format!("{count} objects fit"));
}

/// Exceptions stand beside what they excuse, as annotations with a reason.
#[test]
fn manifests_pass_the_policy_checker() {
    let program = installed("checkov-", "bin/checkov");
    let folder = tempfile::tempdir().expect("a folder");
    for Rendered { name, text, .. } in all() {
        let file = name.replace(' ', "-");
        std::fs::write(folder.path().join(format!("{file}.yaml")), text).expect("written");
    }
    let output = Command::new(program)
        .args([
            "--framework",
            "kubernetes",
            "--compact",
            "--quiet",
            "--skip-download",
        ])
        .arg("--directory")
        .arg(folder.path())
        .output()
        .expect("started");
    succeeded("checkov", &output);
    let skipped = all();
    let annotations = skipped.iter().flat_map(|rendered| &rendered.objects);
    for object in annotations {
        let Some(annotations) = object["metadata"]["annotations"].as_object() else {
            continue;
        };
        for (key, value) in annotations {
            if key.starts_with("checkov.io/") {
                let (_, reason) = text(value).split_once('=').expect("a reason");
                assert!(reason.len() > 20, "{key}: {reason}");
            }
        }
    }
}
