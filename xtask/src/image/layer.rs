//! The one layer of an image, as a tar.
//!
//! Owns what every image holds beside its program.
//! The order and all attributes follow from the content, never from the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tar::{Builder, EntryType, Header};

/// The account that programs run as, in images and in `k8s/`.
pub(super) const ACCOUNT: u32 = 65_532;

/// Where programs look for the public certificate authorities.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Files by their path without the leading slash.
pub(super) struct Layer {
    files: BTreeMap<String, File>,
}

struct File {
    bytes: Vec<u8>,
    mode: u32,
}

impl Layer {
    /// What every image holds: accounts, how names are found, and public certificate authorities.
    pub(super) fn base() -> Self {
        let mut layer = Self {
            files: BTreeMap::new(),
        };
        let accounts = format!(
            "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:{ACCOUNT}:{ACCOUNT}:nonroot:/tmp:/sbin/nologin\n"
        );
        layer.file("etc/passwd", accounts.into_bytes());
        let groups = format!("root:x:0:\nnonroot:x:{ACCOUNT}:\n");
        layer.file("etc/group", groups.into_bytes());
        layer.file("etc/nsswitch.conf", b"hosts: files dns\n".to_vec());
        layer.file(AUTHORITIES, authorities().into_bytes());
        layer
    }

    pub(super) fn file(&mut self, path: &str, bytes: Vec<u8>) {
        self.put(path, bytes, 0o644);
    }

    pub(super) fn program(&mut self, path: &str, bytes: Vec<u8>) {
        self.put(path, bytes, 0o755);
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>, mode: u32) {
        self.files.insert(path.to_owned(), File { bytes, mode });
    }

    /// The tar, in which everything belongs to root and has one time; only `tmp` may be written to.
    pub(super) fn tar(&self, time: i64) -> Result<Vec<u8>> {
        let time = u64::try_from(time).context("the time of the release is before 1970")?;
        let mut builder = Builder::new(Vec::new());
        for folder in self.folders() {
            let mode = if folder == "tmp" { 0o1777 } else { 0o755 };
            let mut header = header(EntryType::Directory, mode, 0, time);
            builder.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
        }
        for (path, file) in &self.files {
            let size = u64::try_from(file.bytes.len())?;
            let mut header = header(EntryType::Regular, file.mode, size, time);
            builder.append_data(&mut header, path, file.bytes.as_slice())?;
        }
        builder.into_inner().context("could not finish the layer")
    }

    /// All folders, each after the one that holds it.
    fn folders(&self) -> BTreeSet<String> {
        let mut folders = BTreeSet::from(["tmp".to_owned()]);
        for path in self.files.keys() {
            let above = Path::new(path).ancestors().skip(1);
            let above = above.filter(|path| !path.as_os_str().is_empty());
            folders.extend(above.map(|path| path.display().to_string()));
        }
        folders
    }
}

fn header(kind: EntryType, mode: u32, size: u64, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Mozilla's list, in PEM; not this machine's own, which may hold others.
fn authorities() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let encoded = BASE64_STANDARD.encode(certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(64) {
            let line = std::str::from_utf8(line).expect("invariant: base64 is ASCII");
            writeln!(text, "{line}").expect("invariant: a string takes any text");
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(tar: &[u8]) -> Vec<(String, u32, u64, u64)> {
        tar::Archive::new(tar)
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                (
                    entry.path().unwrap().display().to_string(),
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.mtime().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn the_order_of_filling_does_not_show() {
        let filled = |paths: [&str; 2]| {
            let mut layer = Layer::base();
            for path in paths {
                layer.program(path, path.as_bytes().to_vec());
            }
            layer.tar(1_790_000_000).unwrap()
        };
        assert_eq!(
            filled(["usr/local/bin/b", "lib/a"]),
            filled(["lib/a", "usr/local/bin/b"])
        );
    }

    #[test]
    fn folders_come_before_what_they_hold_and_only_tmp_is_open() {
        let mut layer = Layer::base();
        layer.program("usr/local/bin/x", b"x".to_vec());
        let entries = listed(&layer.tar(7).unwrap());
        let at = |path: &str| entries.iter().position(|entry| entry.0 == path).unwrap();
        assert!(at("usr/") < at("usr/local/") && at("usr/local/bin/") < at("usr/local/bin/x"));
        for (path, mode, owner, time) in &entries {
            assert_eq!((*owner, *time), (0, 7), "{path}");
            assert_eq!(
                mode & 0o022 != 0,
                path == "tmp/",
                "{path} has mode {mode:o}"
            );
        }
    }

    #[test]
    fn the_authorities_are_pem() {
        let text = authorities();
        let begins = text.matches("-----BEGIN CERTIFICATE-----\n").count();
        assert!(begins > 50, "{begins}");
        assert_eq!(begins, text.matches("-----END CERTIFICATE-----\n").count());
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}
