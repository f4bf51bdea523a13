//! Object stores of others, run for one test: moto speaks Amazon S3, Azurite is
//! Microsoft's emulator of Azure Blob Storage.
//!
//! Owns their start on a free port, what makes a client reach them, and their
//! end with the test, also where it panics. It must never end a process that it
//! did not start, nor go on without a server.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use tempfile::TempDir;

/// How long a server may take to start; a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
/// The account that Azurite is told to have.
const ACCOUNT: &str = "vault";
/// The account's key, as Azurite and its clients take it.
const ACCOUNT_KEY: &[u8] = b"not a secret: only tests use this account";
/// The version of the interface that creates containers.
const AZURE_VERSION: &str = "2023-11-03";

/// A server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    settings: HashMap<String, String>,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// The settings of a client, by the names of its environment variables.
    #[must_use]
    pub fn settings(&self) -> HashMap<String, String> {
        self.settings.clone()
    }

    /// Starts moto. `tools` is where `cargo xtask test` installs programs.
    ///
    /// # Panics
    /// Where it is not installed or does not start.
    #[must_use]
    pub fn moto(tools: &Path) -> Self {
        let program = installed(tools, "moto-", "bin/moto_server");
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(program);
        // Short pages, so that following them is tested.
        command
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("MOTO_S3_DEFAULT_MAX_KEYS", "7");
        let (child, address) = start(command, "Running on http://");
        let settings = [
            ("AWS_ENDPOINT", format!("http://{address}")),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "not a secret".to_owned()),
        ];
        Self::new(child, address, settings, folder)
    }

    /// Starts Azurite. `tools` is where `cargo xtask test` installs programs.
    ///
    /// # Panics
    /// Where it is not installed or does not start.
    #[must_use]
    pub fn azurite(tools: &Path) -> Self {
        let program = installed(tools, "azurite-", "node_modules/.bin/azurite-blob");
        let folder = tempfile::tempdir().expect("a folder");
        let key = BASE64_STANDARD.encode(ACCOUNT_KEY);
        let mut command = Command::new(program);
        command
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0"])
            .args(["--skipApiVersionCheck", "--disableTelemetry", "--location"])
            .arg(folder.path())
            .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{key}"));
        let (child, address) = start(command, "successfully listens on http://");
        let settings = [
            (
                "AZURE_STORAGE_ENDPOINT",
                format!("http://{address}/{ACCOUNT}"),
            ),
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", key),
        ];
        Self::new(child, address, settings, folder)
    }

    fn new<const N: usize>(
        child: Child,
        address: SocketAddr,
        settings: [(&str, String); N],
        folder: TempDir,
    ) -> Self {
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        Self {
            child,
            address,
            settings: settings.into(),
            _folder: folder,
        }
    }

    /// Makes a bucket of moto's; with versions it keeps what is overwritten or
    /// deleted.
    ///
    /// # Panics
    /// Where it is refused.
    pub fn make_bucket(&self, name: &str, versions: Versions) {
        self.put(&format!("/{name}"), &[], "");
        if versions == Versions::Kept {
            let body = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
            self.put(&format!("/{name}?versioning"), &[], body);
        }
    }

    /// Makes a container of Azurite's.
    ///
    /// # Panics
    /// Where it is refused.
    #[expect(
        clippy::disallowed_methods,
        reason = "the server compares a request's date with its own clock"
    )]
    pub fn make_container(&self, name: &str) {
        let date = Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, ACCOUNT_KEY);
        // Eleven standard headers are empty.
        let signed = format!(
            "PUT{}x-ms-date:{date}\nx-ms-version:{AZURE_VERSION}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container",
            "\n".repeat(12)
        );
        let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        let headers = [
            ("x-ms-date", date),
            ("x-ms-version", AZURE_VERSION.to_owned()),
            ("Authorization", format!("SharedKey {ACCOUNT}:{signature}")),
        ];
        self.put(
            &format!("/{ACCOUNT}/{name}?restype=container"),
            &headers,
            "",
        );
    }

    /// A request whose answer must be a success.
    fn put(&self, path: &str, headers: &[(&str, String)], body: &str) {
        let mut stream = TcpStream::connect(self.address).expect("the server answers");
        let mut head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let sent = stream.write_all(format!("{head}\r\n{body}").as_bytes());
        sent.expect("the server listens");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the server answers");
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "200" | "201"), "PUT {path}: {answer}");
    }
}

/// What a bucket does with files that are overwritten or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// They are gone.
    None,
    /// They stay readable as earlier versions.
    Kept,
}

/// A program of a tool that was installed completely, in its newest version.
fn installed(tools: &Path, tool: &str, program: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir(tools)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(tool) && folder.join("installed").exists()
        })
        .collect();
    found.sort();
    let folder = found.pop().unwrap_or_else(|| {
        panic!(
            "there is no {tool}… in {}: `cargo xtask test` installs it",
            tools.display()
        )
    });
    folder.join(program)
}

/// Starts a server that chooses its port, and waits until it says the address
/// behind `mark` and takes a connection there.
fn start(mut command: Command, mark: &'static str) -> (Child, SocketAddr) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let (said, lines) = mpsc::channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as _),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let said = said.clone();
        // Reads to the end, since a server whose output nobody takes would stop.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens once the address is known.
                let _ = said.send(line);
            }
        });
    }
    drop(said);
    let mut heard = Vec::new();
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        if let Some(address) = address_in(&line, mark) {
            TcpStream::connect(address).expect("the server takes connections");
            return (child, address);
        }
        heard.push(line);
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("{command:?} does not serve: {}", heard.join("\n"));
}

fn address_in(line: &str, mark: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(mark)?;
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}
