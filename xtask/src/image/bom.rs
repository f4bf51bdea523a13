//! The bill of materials of an image, as CycloneDX 1.6 in JSON.
//!
//! Owns what is listed: each crate that is linked into the program, as cargo resolves it for this platform, and each shared library by its hash.
//! Crates that only build or test are not in the program and not in the list.
//! Source of the form: the CycloneDX 1.6 JSON schema.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId};
use serde_json::{Value, json};

use super::archive::sha256;
use super::libraries::Library;
use super::{Release, architecture};
use crate::repo::Repo;

/// The bill of one program.
pub(super) fn bill(
    repo: &Repo,
    program: &str,
    release: &Release,
    libraries: &[Library],
) -> Result<Vec<u8>> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = MetadataCommand::new()
        .current_dir(repo.root())
        .other_options([
            "--locked".to_owned(),
            "--filter-platform".to_owned(),
            target,
        ])
        .exec()
        .context("could not read the dependencies")?;
    let bill = document(&metadata, program, release, libraries)?;
    let mut bytes = serde_json::to_vec_pretty(&bill)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn document(
    metadata: &Metadata,
    program: &str,
    release: &Release,
    libraries: &[Library],
) -> Result<Value> {
    let packages: BTreeMap<&PackageId, &Package> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package))
        .collect();
    let resolved = metadata.resolve.as_ref().context("nothing is resolved")?;
    let nodes: BTreeMap<&PackageId, &Node> =
        resolved.nodes.iter().map(|node| (&node.id, node)).collect();
    let root = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| *package.name == program)
        .with_context(|| format!("there is no package `{program}`"))?;

    let mut linked = BTreeSet::from([&root.id]);
    let mut open = vec![&root.id];
    let mut edges = BTreeMap::new();
    while let Some(id) = open.pop() {
        let needs: BTreeSet<&PackageId> = nodes
            .get(id)
            .map_or_else(BTreeSet::new, |&node| linked_by(node));
        let fresh = needs.iter().copied().filter(|need| !linked.contains(need));
        open.extend(fresh.collect::<Vec<_>>());
        linked.extend(&needs);
        edges.insert(
            reference(packages[id]),
            needs
                .iter()
                .map(|need| reference(packages[need]))
                .collect::<BTreeSet<_>>(),
        );
    }
    let crates = linked
        .into_iter()
        .filter(|id| **id != root.id)
        .map(|id| component(packages[id]));
    let mut components: Vec<Value> = crates.chain(libraries.iter().map(shared)).collect();
    components.sort_by_key(|component| component["bom-ref"].to_string());
    let dependencies: Vec<Value> = edges
        .into_iter()
        .map(|(from, to)| json!({ "ref": from, "dependsOn": to }))
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": release.created()?,
            "component": {
                "type": "application",
                "bom-ref": reference(root),
                "name": program,
                "version": release.version,
                "purl": reference(root),
                "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
                "properties": [
                    { "name": "rewind:revision", "value": release.revision },
                    { "name": "rewind:architecture", "value": architecture()? },
                ],
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// What a package links: not what builds or tests it.
fn linked_by(node: &Node) -> BTreeSet<&PackageId> {
    let links = node.deps.iter().filter(|dependency| {
        let mut kinds = dependency.dep_kinds.iter();
        kinds.any(|kind| kind.kind == DependencyKind::Normal)
    });
    links.map(|dependency| &dependency.pkg).collect()
}

/// The package URL, which names a crate all over the world.
fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", *package.name, package.version)
}

fn component(package: &Package) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(package),
        "name": *package.name,
        "version": package.version.to_string(),
        "purl": reference(package),
    });
    // Cargo allowed a slash for "or" before licences had expressions.
    if let Some(licence) = &package.license {
        let expression = licence.replace(" / ", " OR ").replace('/', " OR ");
        component["licenses"] = json!([{ "expression": expression }]);
    }
    component
}

/// A library of the machine that the image was made on.
fn shared(library: &Library) -> Value {
    let name = library.path.rsplit('/').next().unwrap_or(&library.path);
    json!({
        "type": "file",
        "bom-ref": format!("file:{}", library.path),
        "name": name,
        "hashes": [{ "alg": "SHA-256", "content": sha256(&library.bytes) }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_listed_and_what_tests_is_not() {
        let repo = Repo::find().unwrap();
        let release = Release {
            version: "1.2.3".to_owned(),
            revision: "abc".to_owned(),
            time: 0,
        };
        let libraries = [Library {
            path: "/lib/libc.so.6".to_owned(),
            bytes: b"c".to_vec(),
        }];
        let make = || bill(&repo, "rewind-differ", &release, &libraries).unwrap();
        let bytes = make();
        assert_eq!(bytes, make());
        let bill: Value = serde_json::from_slice(&bytes).unwrap();
        let names: BTreeSet<&str> = bill["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|component| component["name"].as_str().unwrap())
            .collect();
        for linked in ["rewind-graph", "rustls", "tonic", "libc.so.6"] {
            assert!(names.contains(linked), "{linked}");
        }
        for absent in [
            "rewind-testkit",
            "rewind-restorer",
            "rewind-differ",
            "insta",
            "protox",
        ] {
            assert!(!names.contains(absent), "{absent}");
        }
        let references: BTreeSet<&str> = bill["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| edge["ref"].as_str().unwrap())
            .collect();
        for component in bill["components"].as_array().unwrap() {
            let reference = component["bom-ref"].as_str().unwrap();
            let known = references.contains(reference) || reference.starts_with("file:");
            assert!(known, "{reference}");
        }
    }
}
