//! What a benchmark runs against: the practice tenant, a gateway, a snapshotter and a differ, each a process of its own, over a file store in a temporary folder.
//!
//! Owns their settings. Keys and tokens are constants for a tenant that does not exist, and must never be used elsewhere.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::control::Control;
use super::process::{Process, free_address};
use crate::exec;
use crate::repo::Repo;

/// The practice tenant of `rewind simulate`, and its published reader.
pub(crate) const TENANT: &str = "0a1b2c3d-0000-4000-8000-00000000beef";
pub(crate) const READER: &str = "5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad001";
pub(crate) const SECRET: &str = "practice-reader-secret";
/// The variable that holds the secret.
const SECRET_NAME: &str = "REWIND_CREDENTIAL_READER_PRACTICE";
/// Its published writer.
const WRITER: &str = "5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad002";
const WRITER_SECRET: &str = "practice-writer-secret";
const WRITER_SECRET_NAME: &str = "REWIND_CREDENTIAL_WRITER_PRACTICE";
/// What the client answers where it finished with warnings.
const WARNINGS: i32 = 3;
/// 32 bytes of zero: a key that protects nothing.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The packages that hold the programs.
const PACKAGES: [&str; 5] = [
    "rewind",
    "rewind-gateway",
    "rewind-snapshotter",
    "rewind-differ",
    "rewind-restorer",
];

/// Which quotas a service keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limits {
    /// Those that Microsoft documents.
    Documented,
    /// None.
    Off,
}

impl Limits {
    /// As settings and the practice tenant name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Off => "off",
        }
    }
}

/// The running processes.
pub(crate) struct World {
    rewind: PathBuf,
    snapshotter: PathBuf,
    differ: PathBuf,
    folder: TempDir,
    listen: SocketAddr,
    differ_listen: SocketAddr,
    restorer: PathBuf,
    restorer_listen: SocketAddr,
    gateway: String,
    /// The practice tenant's process.
    pub(crate) simulator: Process,
    /// Where the practice tenant is.
    pub(crate) simulator_url: String,
    /// Its control API.
    pub(crate) control: Control,
    /// How long it took to make up the tenant, in seconds.
    pub(crate) made_in: f64,
    /// The gateway's process.
    pub(crate) door: Process,
}

/// Build what is measured.
pub(crate) fn build(repo: &Repo) -> Result<()> {
    let mut command = repo.cargo(["build", "--release", "--locked"]);
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    exec::run(&mut command)
}

impl World {
    /// Start everything but the snapshotter, the differ and the restorer, and register the tenant.
    pub(crate) fn start(repo: &Repo, users: u64, groups: u64) -> Result<Self> {
        let rewind = repo.released("rewind");
        let folder = tempfile::tempdir().context("no temporary folder")?;
        fs::create_dir(folder.path().join("store"))?;
        fs::write(folder.path().join("key"), KEY)?;
        fs::write(folder.path().join("token"), TOKEN)?;
        let start = Instant::now();
        let mut simulate = command(&rewind);
        simulate
            .args(["simulate", "--listen", "127.0.0.1:0", "--throttle", "off"])
            .args(["--users", &users.to_string()])
            .args(["--groups", &groups.to_string()])
            .stderr(std::process::Stdio::null());
        let (simulator, simulator_url) = Process::announced("the simulator", &mut simulate)?;
        let made_in = start.elapsed().as_secs_f64();
        let (listen, differ_listen) = (free_address()?, free_address()?);
        let (door, restorer_listen) = (free_address()?, free_address()?);
        let mut serve = command(&repo.released("rewind-gateway"));
        common(&mut serve, folder.path(), door)
            .env("REWIND_SNAPSHOTTER_URL", format!("http://{listen}"))
            .env("REWIND_DIFFER_URL", format!("http://{differ_listen}"))
            .env("REWIND_RESTORER_URL", format!("http://{restorer_listen}"))
            .env("REWIND_DEVELOPMENT_TOKEN_FILE", folder.path().join("token"));
        let gateway = Process::listening("the gateway", &mut serve, door)?;
        let world = Self {
            snapshotter: repo.released("rewind-snapshotter"),
            differ: repo.released("rewind-differ"),
            rewind,
            folder,
            listen,
            differ_listen,
            restorer: repo.released("rewind-restorer"),
            restorer_listen,
            gateway: format!("http://{door}"),
            control: Control::at(&simulator_url),
            simulator,
            simulator_url,
            made_in,
            door: gateway,
        };
        world.register()?;
        Ok(world)
    }

    fn register(&self) -> Result<()> {
        let graph = format!("{}/v1.0", self.simulator_url);
        let secret = format!("env:{SECRET_NAME}");
        let writer_secret = format!("env:{WRITER_SECRET_NAME}");
        let mut add = self.client();
        add.args(["tenant", "add", "--id", TENANT, "--name", "Bench"])
            .args(["--graph-url", &graph, "--login-url", &self.simulator_url])
            .args(["--reader-client-id", READER, "--reader-secret", &secret])
            .args([
                "--writer-client-id",
                WRITER,
                "--writer-secret",
                &writer_secret,
            ]);
        exec::output(&mut add).map(drop)
    }

    /// A snapshotter of its own, so that what it used is what its work used.
    pub(crate) fn snapshotter(&self) -> Result<Process> {
        let mut serve = command(&self.snapshotter);
        common(&mut serve, self.folder.path(), self.listen)
            .env("REWIND_SCHEDULE", "off")
            .env("REWIND_GRAPH_LIMITS", "off")
            .env(SECRET_NAME, SECRET);
        Process::listening("the snapshotter", &mut serve, self.listen)
    }

    /// A differ of its own, that remembers nothing.
    pub(crate) fn differ(&self, limits: Limits) -> Result<Process> {
        let mut serve = command(&self.differ);
        common(&mut serve, self.folder.path(), self.differ_listen)
            .env("REWIND_GRAPH_LIMITS", limits.name())
            .env(SECRET_NAME, SECRET);
        Process::listening("the differ", &mut serve, self.differ_listen)
    }

    /// A restorer of its own.
    pub(crate) fn restorer(&self, limits: Limits) -> Result<Process> {
        let mut serve = command(&self.restorer);
        common(&mut serve, self.folder.path(), self.restorer_listen)
            .env(
                "REWIND_DIFFER_URL",
                format!("http://{}", self.differ_listen),
            )
            .env("REWIND_GRAPH_LIMITS", limits.name())
            .env(WRITER_SECRET_NAME, WRITER_SECRET);
        Process::listening("the restorer", &mut serve, self.restorer_listen)
    }

    /// Ask for something of a restore and wait for it; what the client prints, also where it finished with warnings.
    pub(crate) fn restore(&self, words: &[&str]) -> Result<Value> {
        let mut ask = self.client();
        ask.arg("restore").args(words).args(["--output", "json"]);
        let output = ask.output().context("could not start the client")?;
        let good = output.status.success() || output.status.code() == Some(WARNINGS);
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            good,
            "restore {words:?} failed with {}: {said}",
            output.status
        );
        serde_json::from_slice(&output.stdout).context("the client printed no JSON")
    }

    /// Make a report and wait for it; the report as the client prints it.
    pub(crate) fn report(&self, base: &str, more: &[&str]) -> Result<Value> {
        let mut create = self.client();
        create.args(["diff", "create", "--output", "json", "--snapshot", base]);
        let said = exec::output(create.args(more))?;
        serde_json::from_str(&said).context("the client printed no JSON")
    }

    /// Write a snapshot into a folder that is not there yet.
    pub(crate) fn export(&self, snapshot: &str, to: &Path, format: &str) -> Result<()> {
        let mut export = self.client();
        export.args(["snapshot", "export", "--snapshot", snapshot]);
        export.args(["--format", format, "--to"]).arg(to);
        exec::output(&mut export).map(drop)
    }

    /// Take a snapshot and wait for its end; the snapshot, which is complete, as the client prints it.
    pub(crate) fn take(&self) -> Result<Value> {
        let mut take = self.client();
        take.args(["snapshot", "take", "--output", "json"]);
        let said = exec::output(&mut take)?;
        let snapshot: Value = serde_json::from_str(&said).context("the client printed no JSON")?;
        ensure!(
            snapshot["state"] == "SNAPSHOT_STATE_COMPLETE",
            "the snapshot is not complete: {snapshot:#}"
        );
        Ok(snapshot)
    }

    /// What whoever calls at a fixed rate has to know: the snapshotter, the gateway, its token, the key of the services, and what is asked for.
    pub(crate) fn calls_of(&self, snapshot: &str) -> [String; 5] {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        [
            format!("http://{}", self.listen),
            self.gateway.clone(),
            file("token"),
            file("key"),
            snapshot.to_owned(),
        ]
    }

    /// Bytes of all files in the store.
    pub(crate) fn stored(&self) -> Result<u64> {
        size(&self.folder.path().join("store"))
    }

    fn client(&self) -> Command {
        let mut client = command(&self.rewind);
        client
            .env("REWIND_GATEWAY", &self.gateway)
            .env("REWIND_TOKEN_FILE", self.folder.path().join("token"))
            .arg("--no-progress");
        client
    }
}

/// A number of the protobuf JSON, where large ones may be text.
pub(crate) fn number(value: &Value) -> u64 {
    let text = || value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().or_else(text).unwrap_or_default()
}

/// A program with none of our settings.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REWIND_") {
            command.env_remove(name);
        }
    }
    command
}

/// The settings that all services share.
fn common<'c>(command: &'c mut Command, folder: &Path, listen: SocketAddr) -> &'c mut Command {
    let store = format!("file://{}", folder.join("store").display());
    command
        .env("REWIND_LISTEN", listen.to_string())
        .env("REWIND_STORE_URL", store)
        .env("REWIND_KEY_FILE", folder.join("key"))
        .env("REWIND_CUSTOM_CLOUDS", "allow")
        // What goes wrong is told by the client.
        .stderr(std::process::Stdio::null())
}

fn size(path: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() {
            size(&entry.path())?
        } else {
            about.len()
        };
    }
    Ok(sum)
}
