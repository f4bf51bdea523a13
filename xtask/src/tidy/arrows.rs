//! The arrows between crates: who may depend on whom.
//!
//! Owns the table of allowed edges, which ARCHITECTURE.md draws.
//! Must never look at source text: what cargo resolves is what counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

use super::{Finding, Tree, numbered};

/// The crates whose transitive dependencies keep the model pure.
const IMPURE: [&str; 5] = ["object_store", "prost", "reqwest", "tokio", "tonic"];

const SERVICES: [&str; 4] = ["snapshotter", "differ", "restorer", "gateway"];

/// What a crate may depend on in its product code; `None` for a crate that the table does not know.
fn allowed(krate: &str) -> Option<&'static [&'static str]> {
    Some(match krate {
        "model" | "simulator" | "tests" | "xtask" => &[],
        "proto" | "graph" | "store" => &["model"],
        "runtime" | "show" => &["model", "proto"],
        "testkit" => &["model", "graph", "store"],
        "snapshotter" | "differ" | "restorer" => &["runtime", "graph", "store", "proto", "model"],
        "gateway" => &["runtime", "show", "store", "proto", "model"],
        "cli" => &[
            "snapshotter",
            "differ",
            "restorer",
            "gateway",
            "runtime",
            "show",
            "store",
            "proto",
            "model",
            "simulator",
        ],
        _ => return None,
    })
}

/// Whether a crate's tests may use another crate.
///
/// Tests have more freedom, but a service's tests must not know another service, the simulator must not share code with what it tests, and chores stay apart.
fn allowed_in_tests(from: &str, to: &str) -> bool {
    match from {
        "simulator" | "xtask" => false,
        _ if SERVICES.contains(&from) => !SERVICES.contains(&to),
        _ => true,
    }
}

/// Check every edge between our crates, and what the model pulls in.
pub(super) fn check(crates: &Crates, tree: &Tree) -> Vec<Finding> {
    let edges = crates
        .members
        .iter()
        .flat_map(|member| edges_of(member, tree));
    edges.chain(impurities(crates)).collect()
}

fn edges_of(member: &Member, tree: &Tree) -> Vec<Finding> {
    let Some(allowed) = allowed(&member.name) else {
        let message = format!(
            "crate `{}` is missing in xtask's table of arrows",
            member.name
        );
        return vec![Finding::at(&member.manifest, 1, message)];
    };
    let text = tree.text(&member.manifest).unwrap_or_default();
    member
        .edges
        .iter()
        .filter(|edge| match edge.use_ {
            Use::Product => !allowed.contains(&edge.to.as_str()),
            Use::Tests => !allowed_in_tests(&member.name, &edge.to),
        })
        .map(|edge| {
            let message = match edge.use_ {
                Use::Product => format!("`{}` must not depend on `{}`", member.name, edge.to),
                Use::Tests => format!(
                    "the tests of `{}` must not depend on `{}`",
                    member.name, edge.to
                ),
            };
            Finding::at(&member.manifest, line_of(text, &edge.to), message)
        })
        .collect()
}

/// The line of a manifest that names a dependency.
fn line_of(manifest: &str, dependency: &str) -> usize {
    numbered(manifest)
        .find(|(_, line)| {
            let key = line.split(['.', '=', ' ']).next().unwrap_or_default();
            key.trim_start_matches("rewind-") == dependency
        })
        .map_or(1, |(number, _)| number)
}

fn impurities(crates: &Crates) -> Vec<Finding> {
    let ways = crates.ways_from("rewind-model");
    IMPURE
        .iter()
        .filter_map(|name| ways.get(*name))
        .map(|way| {
            let message = format!("the model must stay pure, but: {}", way.join(" → "));
            Finding::at("crates/model/Cargo.toml", 1, message)
        })
        .collect()
}

/// The part of cargo's answer that the arrows need.
#[derive(Default)]
pub(super) struct Crates {
    pub(super) members: Vec<Member>,
    /// Package name → names of what its product code needs.
    pub(super) needs: BTreeMap<String, BTreeSet<String>>,
}

/// One crate of ours, named by its folder.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) manifest: String,
    pub(super) edges: Vec<Edge>,
}

/// A dependency on another crate of ours.
pub(super) struct Edge {
    pub(super) to: String,
    pub(super) use_: Use,
}

/// What a dependency is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Product,
    Tests,
}

impl From<DependencyKind> for Use {
    fn from(kind: DependencyKind) -> Self {
        match kind {
            DependencyKind::Development => Self::Tests,
            _ => Self::Product,
        }
    }
}

impl From<&Metadata> for Crates {
    fn from(metadata: &Metadata) -> Self {
        let ours = metadata.workspace_packages();
        let members = ours
            .iter()
            .map(|package| Member {
                name: folder_of(package),
                manifest: package
                    .manifest_path
                    .strip_prefix(&metadata.workspace_root)
                    .unwrap_or(&package.manifest_path)
                    .to_string(),
                edges: edges_between(package, &ours),
            })
            .collect();
        Self {
            members,
            needs: needs(metadata),
        }
    }
}

fn folder_of(package: &Package) -> String {
    let folder = package
        .manifest_path
        .parent()
        .and_then(|path| path.file_name());
    folder.unwrap_or_default().to_owned()
}

fn edges_between(package: &Package, ours: &[&Package]) -> Vec<Edge> {
    let folder = |name: &str| {
        let to = ours.iter().find(|candidate| candidate.name == name)?;
        Some(folder_of(to))
    };
    package
        .dependencies
        .iter()
        .filter_map(|dependency| {
            Some(Edge {
                to: folder(&dependency.name)?,
                use_: dependency.kind.into(),
            })
        })
        .collect()
}

fn needs(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<&PackageId, String> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.to_string()))
        .collect();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
        let product = node.deps.iter().filter(|dependency| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| Use::from(kind.kind) == Use::Product)
        });
        needs
            .entry(names[&node.id].clone())
            .or_default()
            .extend(product.map(|dependency| names[&dependency.pkg].clone()));
    }
    needs
}

impl Crates {
    /// A shortest chain of dependencies from a crate to each that it needs.
    fn ways_from(&self, start: &str) -> BTreeMap<String, Vec<String>> {
        let mut ways = BTreeMap::from([(start.to_owned(), vec![start.to_owned()])]);
        let mut queue = VecDeque::from([start.to_owned()]);
        while let Some(name) = queue.pop_front() {
            for next in self.needs.get(&name).into_iter().flatten() {
                if !ways.contains_key(next) {
                    let mut way = ways[&name].clone();
                    way.push(next.clone());
                    ways.insert(next.clone(), way);
                    queue.push_back(next.clone());
                }
            }
        }
        ways
    }
}
