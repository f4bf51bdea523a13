//! Overlays as `kubectl kustomize` renders them.
//!
//! Owns the list of overlays and the look-up of objects in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Every overlay that there is.
pub(crate) const OVERLAYS: [&str; 7] = [
    "dev",
    "dev-azurite",
    "azure",
    "aws",
    "gcp",
    "mtls",
    "monitoring",
];

/// The overlays of production.
pub(crate) const CLOUDS: [&str; 3] = ["azure", "aws", "gcp"];

/// The components that no overlay uses by itself, since they need what not every cluster has.
pub(crate) const OPTIONAL: [&str; 4] = ["gateway-api", "ingress", "door-tls", "external-secrets"];

/// The services.
pub(crate) const SERVICES: [&str; 4] = ["snapshotter", "differ", "restorer", "gateway"];

/// One rendered overlay.
pub(crate) struct Rendered {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) objects: Vec<Value>,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// Where `cargo xtask test` installs programs.
pub(crate) fn tools() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("cargo's target folder").join("tools")
}

/// A program below that folder, in whatever version is installed.
pub(crate) fn installed(package: &str, program: &str) -> PathBuf {
    let folders = std::fs::read_dir(tools()).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = folders
        .filter(|folder| folder.file_name().to_string_lossy().starts_with(package))
        .map(|folder| folder.path().join(program))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!("{package}… is not installed; `cargo xtask test` installs it and runs the tests")
    })
}

/// Renders an overlay.
pub(crate) fn overlay(name: &str) -> Rendered {
    folder(name, &root().join("k8s/overlays").join(name))
}

/// Renders every overlay, and one of a cloud with all that is optional.
pub(crate) fn all() -> Vec<Rendered> {
    let mut all: Vec<Rendered> = OVERLAYS.map(overlay).into();
    all.push(with_options());
    all
}

/// The overlay of Azure with every optional component, and what is measured.
pub(crate) fn with_options() -> Rendered {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().canonicalize().expect("it is there");
    // Overlays name others by relative paths alone.
    let up = "../".repeat(place.components().count() - 1);
    let k8s = root().canonicalize().expect("it is there").join("k8s");
    let k8s = format!("{up}{}", k8s.display().to_string().trim_start_matches('/'));
    let mut text = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - {k8s}/overlays/azure\ncomponents:\n"
    );
    for component in OPTIONAL.into_iter().chain(["monitoring"]) {
        text.push_str(&format!("  - {k8s}/components/{component}\n"));
    }
    std::fs::write(place.join("kustomization.yaml"), text).expect("written");
    self::folder("azure with options", &place)
}

fn folder(name: &str, path: &Path) -> Rendered {
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(path)
        .output()
        .expect("kubectl, of 1.27 or newer, has to be installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {errors}");
    // Warnings are about what a later version takes no more.
    assert_eq!(errors, "", "{name}");
    let text = String::from_utf8(output.stdout).expect("text");
    let objects = serde_saphyr::from_multiple(&text).expect("YAML");
    Rendered {
        name: name.to_owned(),
        text,
        objects,
    }
}

impl Rendered {
    /// The objects of one kind, by name.
    pub(crate) fn of_kind(&self, kind: &str) -> BTreeMap<&str, &Value> {
        self.objects
            .iter()
            .filter(|object| object["kind"] == kind)
            .map(|object| (text(&object["metadata"]["name"]), object))
            .collect()
    }

    /// One object, whose generated name may have a hash behind it.
    pub(crate) fn object(&self, kind: &str, name: &str) -> &Value {
        let known = self.of_kind(kind);
        let hashed = |found: &str| {
            let hash = found
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('-'));
            hash.is_some_and(|hash| hash.len() == 10 && !hash.contains('-'))
        };
        known
            .get(name)
            .or_else(|| {
                known
                    .iter()
                    .find(|(found, _)| hashed(found))
                    .map(|(_, object)| object)
            })
            .unwrap_or_else(|| panic!("no {kind} {name} in {}", self.name))
    }

    /// The pod of a Deployment.
    pub(crate) fn pod(&self, deployment: &str) -> &Value {
        &self.object("Deployment", deployment)["spec"]["template"]
    }

    /// Everything that a container gets by its environment: from ConfigMaps and as written.
    pub(crate) fn environment(&self, deployment: &str) -> BTreeMap<String, String> {
        let container = &self.pod(deployment)["spec"]["containers"][0];
        let mut environment = BTreeMap::new();
        for source in list(&container["envFrom"]) {
            if let Some(name) = source["configMapRef"]["name"].as_str() {
                let data = self.of_kind("ConfigMap")[name]["data"].as_object();
                for (key, value) in data.expect("data") {
                    environment.insert(key.clone(), text(value).to_owned());
                }
            }
        }
        for variable in list(&container["env"]) {
            let value = variable["value"].as_str().unwrap_or_default();
            environment.insert(text(&variable["name"]).to_owned(), value.to_owned());
        }
        environment
    }
}

/// The items of a list, none where there is no list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text that has to be there.
pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}
