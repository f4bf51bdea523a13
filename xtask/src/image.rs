//! `cargo xtask image`: container images of the product, without an engine.
//!
//! Owns which images there are and where they are written.
//! Each is an OCI archive of one layer, from scratch: a program, what it links to, the public certificate authorities, an account without rights, and a bill of materials; there is no shell and no package manager.
//! The same programs make the same bytes.
//! Must never need a container engine, a registry or root.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::exec;
use crate::repo::Repo;

mod archive;
mod bom;
mod layer;
mod libraries;

/// What `cargo xtask image` takes.
#[derive(Args)]
pub(crate) struct Request {
    /// The images to write; all where none is named.
    images: Vec<String>,
    /// How the programs are built.
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Where the archives are written; `images` in cargo's target folder by default.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Take the programs as they were built last.
    #[arg(long)]
    no_build: bool,
}

/// How programs are built.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// For production; layers are compressed.
    Release,
    /// For tests; layers are not compressed.
    Dev,
}

impl Profile {
    /// The folder below cargo's target folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

/// One image.
struct Image {
    /// Its name, that of its program, and that of the package.
    name: &'static str,
    about: &'static str,
    /// The ports that it listens on in `k8s/`.
    ports: &'static [u16],
}

/// The images that there are.
const IMAGES: [Image; 5] = [
    Image {
        name: "rewind-snapshotter",
        about: "Takes snapshots of Microsoft Entra ID tenants",
        ports: &[7001, 9090],
    },
    Image {
        name: "rewind-differ",
        about: "Reports what changed in Microsoft Entra ID tenants",
        ports: &[7002, 9090],
    },
    Image {
        name: "rewind-restorer",
        about: "Puts back what changed in Microsoft Entra ID tenants",
        ports: &[7003],
    },
    Image {
        name: "rewind-gateway",
        about: "The one public door of Rewind",
        ports: &[8443, 9090],
    },
    Image {
        name: "rewind",
        about: "Rewind's client for operators, and its practice tenant",
        ports: &[8444],
    },
];

/// Write the images that were asked for, and say how large they are.
pub(crate) fn run(repo: &Repo, request: &Request) -> Result<()> {
    let images = chosen(&request.images)?;
    if !request.no_build {
        build(repo, request.profile)?;
    }
    let output = match &request.output {
        Some(folder) => folder.clone(),
        None => repo.below_target("images"),
    };
    fs::create_dir_all(&output)
        .with_context(|| format!("could not create {}", output.display()))?;
    let release = Release::of(repo)?;
    println!(
        "{:<20} {:>12} {:>12} {:>12} {:>12}  archive",
        "image", "program", "libraries", "unpacked", "archive"
    );
    for image in images {
        let written = write(repo, request.profile, image, &release, &output)?;
        println!(
            "{:<20} {:>12} {:>12} {:>12} {:>12}  {}",
            image.name,
            mebibytes(written.program),
            mebibytes(written.libraries),
            mebibytes(written.unpacked),
            mebibytes(written.archive),
            written.path.display()
        );
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Image>> {
    if names.is_empty() {
        return Ok(IMAGES.iter().collect());
    }
    let find = |name: &String| IMAGES.iter().find(|image| image.name == name);
    names
        .iter()
        .map(|name| {
            find(name).with_context(|| {
                let known = IMAGES.map(|image| image.name).join(", ");
                format!("no image `{name}`; there are: {known}")
            })
        })
        .collect()
}

/// Build all programs, for tests in the same way as the tests themselves, so that nothing is built twice.
fn build(repo: &Repo, profile: Profile) -> Result<()> {
    let mut cargo = repo.cargo(["build", "--locked", "--workspace", "--bins"]);
    match profile {
        Profile::Release => cargo.arg("--release"),
        Profile::Dev => cargo.arg("--tests"),
    };
    exec::run(&mut cargo)
}

/// What all images of one state of the repository have in common.
struct Release {
    version: String,
    revision: String,
    /// When it was made, in seconds since the Unix epoch: of the last commit, or what `SOURCE_DATE_EPOCH` says.
    time: i64,
}

impl Release {
    fn of(repo: &Repo) -> Result<Self> {
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => repo.git(["log", "-1", "--format=%ct"])?,
        };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: repo.git(["rev-parse", "HEAD"])?.trim().to_owned(),
            time: time
                .trim()
                .parse()
                .context("the time of the release is no number of seconds")?,
        })
    }

    /// The time as RFC 3339 writes it.
    fn created(&self) -> Result<String> {
        let time = chrono::DateTime::from_timestamp(self.time, 0);
        let time = time.context("the time of the release is out of range")?;
        Ok(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }
}

/// An image that was written; sizes in bytes.
struct Written {
    path: PathBuf,
    program: usize,
    libraries: usize,
    unpacked: usize,
    archive: usize,
}

fn write(
    repo: &Repo,
    profile: Profile,
    image: &Image,
    release: &Release,
    output: &Path,
) -> Result<Written> {
    let built = repo.below_target(profile.folder()).join(image.name);
    ensure!(
        built.exists(),
        "there is no {}; build it with `cargo build --workspace --bins`",
        built.display()
    );
    let program = stripped(&built)?;
    let libraries = libraries::of(&built)?;
    let bill = bom::bill(repo, image.name, release, &libraries)?;
    let mut layer = layer::Layer::base();
    layer.program(&format!("usr/local/bin/{}", image.name), program.clone());
    for library in &libraries {
        layer.program(library.path.trim_start_matches('/'), library.bytes.clone());
    }
    layer.file(
        &format!("usr/share/sbom/{}.cdx.json", image.name),
        bill.clone(),
    );
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let text = fs::read(repo.root().join(licence))
            .with_context(|| format!("could not read {licence}"))?;
        layer.file(&format!("usr/share/licenses/rewind/{licence}"), text);
    }
    let tar = layer.tar(release.time)?;
    let compression = match profile {
        Profile::Release => archive::Compression::Gzip,
        Profile::Dev => archive::Compression::None,
    };
    let bytes = archive::archive(image, release, &tar, compression)?;
    let path = output.join(format!("{}-{}.tar", image.name, release.version));
    fs::write(&path, &bytes).with_context(|| format!("could not write {}", path.display()))?;
    let beside = output.join(format!("{}-{}.cdx.json", image.name, release.version));
    fs::write(&beside, bill).with_context(|| format!("could not write {}", beside.display()))?;
    Ok(Written {
        path,
        program: program.len(),
        libraries: libraries.iter().map(|library| library.bytes.len()).sum(),
        unpacked: tar.len(),
        archive: bytes.len(),
    })
}

/// A program without what only a debugger reads; the names of functions stay, for backtraces.
fn stripped(program: &Path) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("could not create a folder")?;
    let out = folder.path().join("program");
    let mut strip = std::process::Command::new("strip");
    strip.args(["--strip-debug", "-o"]).arg(&out).arg(program);
    exec::run(&mut strip).context("`strip` comes with a C compiler's binutils")?;
    fs::read(&out).context("could not read the stripped program")
}

fn mebibytes(bytes: usize) -> String {
    let size = bytes as f64 / f64::from(1 << 20);
    format!("{size:.1} MiB")
}

/// What the container tools call this machine's kind of processor.
fn architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no image is made for {other} processors"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_chosen_by_its_name() {
        let names = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
            chosen(&asked).map(|images| images.iter().map(|image| image.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), IMAGES.len());
        assert_eq!(names(&["rewind"]).unwrap(), ["rewind"]);
        let error = names(&["rewind-console"]).unwrap_err().to_string();
        assert!(error.starts_with("no image `rewind-console`; there are: rewind-snapshotter, "));
    }
}
