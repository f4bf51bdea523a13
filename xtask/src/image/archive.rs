//! An image as an archive of the OCI image layout.
//!
//! Owns the image's configuration and labels, and the names by which containerd and Docker know it after they took it.
//! The archive also holds the index that `docker load` read before Docker knew the layout.
//! Sources: the OCI image specification 1.1 (`image-layout.md`, `manifest.md`, `config.md`, `annotations.md`), and for `io.containerd.image.name` and `manifest.json` what containerd and Docker write themselves.

use std::io::Write as _;

use anyhow::{Context, Result};
use flate2::{Compression as Level, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::layer::ACCOUNT;
use super::{Image, Release, architecture};

/// Whether a layer is compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
}

/// What is stored under its hash.
struct Blob {
    media_type: &'static str,
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            media_type,
            digest: sha256(&bytes),
            bytes,
        }
    }

    fn of_json(media_type: &'static str, value: &Value) -> Result<Self> {
        Ok(Self::new(media_type, serde_json::to_vec(value)?))
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": format!("sha256:{}", self.digest),
            "size": self.bytes.len(),
        })
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }
}

/// The archive of one image with one layer.
pub(super) fn archive(
    image: &Image,
    release: &Release,
    tar: &[u8],
    compression: Compression,
) -> Result<Vec<u8>> {
    let configuration = configuration(image, release, &sha256(tar))?;
    let configuration = Blob::of_json("application/vnd.oci.image.config.v1+json", &configuration)?;
    let layer = match compression {
        Compression::None => Blob::new("application/vnd.oci.image.layer.v1.tar", tar.to_vec()),
        Compression::Gzip => Blob::new(
            "application/vnd.oci.image.layer.v1.tar+gzip",
            compressed(tar)?,
        ),
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": configuration.descriptor(),
        "layers": [layer.descriptor()],
        "annotations": labels(image, release)?,
    });
    let manifest = Blob::of_json("application/vnd.oci.image.manifest.v1+json", &manifest)?;
    let short = format!("{}:{}", image.name, release.version);
    let mut descriptor = manifest.descriptor();
    descriptor["platform"] = json!({ "architecture": architecture()?, "os": "linux" });
    descriptor["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/library/{short}"),
        "org.opencontainers.image.ref.name": release.version,
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor],
    });
    let older = json!([{
        "Config": configuration.path(),
        "RepoTags": [short],
        "Layers": [layer.path()],
    }]);
    let mut files = vec![
        (
            "oci-layout".to_owned(),
            serde_json::to_vec(&json!({ "imageLayoutVersion": "1.0.0" }))?,
        ),
        ("index.json".to_owned(), serde_json::to_vec(&index)?),
        ("manifest.json".to_owned(), serde_json::to_vec(&older)?),
    ];
    let blobs = [configuration, layer, manifest];
    files.extend(blobs.into_iter().map(|blob| (blob.path(), blob.bytes)));
    files.sort();
    packed(&files)
}

/// How the program is started, and as whom.
fn configuration(image: &Image, release: &Release, layer: &str) -> Result<Value> {
    let ports: serde_json::Map<String, Value> = image
        .ports
        .iter()
        .map(|port| (format!("{port}/tcp"), json!({})))
        .collect();
    Ok(json!({
        "architecture": architecture()?,
        "os": "linux",
        "created": release.created()?,
        "config": {
            "User": format!("{ACCOUNT}:{ACCOUNT}"),
            "Entrypoint": [format!("/usr/local/bin/{}", image.name)],
            "Env": ["PATH=/usr/local/bin"],
            "ExposedPorts": ports,
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": labels(image, release)?,
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{
            "created": release.created()?,
            "created_by": "cargo xtask image",
            "comment": "from scratch: one program and what it needs",
        }],
    }))
}

fn labels(image: &Image, release: &Release) -> Result<Value> {
    Ok(json!({
        "org.opencontainers.image.title": image.name,
        "org.opencontainers.image.description": image.about,
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.revision": release.revision,
        "org.opencontainers.image.created": release.created()?,
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
    }))
}

/// Gzip without a name or a time in its head.
fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Level::default());
    encoder.write_all(bytes)?;
    encoder.finish().context("could not compress a layer")
}

fn packed(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for folder in ["blobs/", "blobs/sha256/"] {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        builder.append_data(&mut header, folder, std::io::empty())?;
    }
    for (path, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(u64::try_from(bytes.len())?);
        builder.append_data(&mut header, path, bytes.as_slice())?;
    }
    builder.into_inner().context("could not finish the archive")
}

/// The hash that names a blob, in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("invariant: a string takes any text");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    fn release() -> Release {
        Release {
            version: "1.2.3".to_owned(),
            revision: "abc".to_owned(),
            time: 1_790_000_000,
        }
    }

    fn image() -> &'static Image {
        &super::super::IMAGES[0]
    }

    fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                (path, bytes)
            })
            .collect()
    }

    #[test]
    fn every_descriptor_leads_to_its_bytes() {
        let tar = b"a layer, as it were".to_vec();
        for compression in [Compression::None, Compression::Gzip] {
            let files = unpacked(&archive(image(), &release(), &tar, compression).unwrap());
            let read = |descriptor: &Value| {
                let digest = descriptor["digest"].as_str().unwrap();
                let bytes = &files[&format!("blobs/{}", digest.replace(':', "/"))];
                assert_eq!(descriptor["size"], bytes.len());
                assert_eq!(digest, format!("sha256:{}", sha256(bytes)));
                bytes.clone()
            };
            let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
            let index = parsed(&files["index.json"]);
            let manifest = parsed(&read(&index["manifests"][0]));
            let configuration = parsed(&read(&manifest["config"]));
            let diff = configuration["rootfs"]["diff_ids"][0].as_str().unwrap();
            assert_eq!(diff, format!("sha256:{}", sha256(&tar)));
            let layer = read(&manifest["layers"][0]);
            assert_eq!(layer == tar, compression == Compression::None);
            let older = parsed(&files["manifest.json"]);
            assert_eq!(older[0]["RepoTags"][0], "rewind-snapshotter:1.2.3");
            for path in [&older[0]["Config"], &older[0]["Layers"][0]] {
                assert!(files.contains_key(path.as_str().unwrap()), "{path}");
            }
        }
    }

    #[test]
    fn a_node_finds_it_by_name_and_it_runs_without_rights() {
        let files = unpacked(&archive(image(), &release(), b"layer", Compression::None).unwrap());
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        assert_eq!(
            index["manifests"][0]["annotations"]["io.containerd.image.name"],
            "docker.io/library/rewind-snapshotter:1.2.3"
        );
        let configuration = configuration(image(), &release(), "x").unwrap();
        assert_eq!(configuration["config"]["User"], "65532:65532");
        assert_eq!(configuration["created"], "2026-09-21T14:13:20Z");
    }

    #[test]
    fn the_same_makes_the_same() {
        let make = || archive(image(), &release(), &[7; 4096], Compression::Gzip).unwrap();
        assert_eq!(make(), make());
    }
}
