//! Images: unpacked, and each program run from its own as an account without rights.
//!
//! What `cargo xtask test` has built is packed, so that nothing is built here.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::rendered::{list, root, text};

/// How long a program may take to say that it serves; a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
const NAMES: [&str; 5] = [
    "rewind-snapshotter",
    "rewind-differ",
    "rewind-restorer",
    "rewind-gateway",
    "rewind",
];

/// Where cargo put the programs that belong to this test.
pub(crate) fn built() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let folder = test.ancestors().nth(2).expect("cargo's folder");
    folder.to_owned()
}

fn success(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// An image that was unpacked.
struct Unpacked {
    /// The root of its files.
    root: PathBuf,
    configuration: Value,
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// Packs all images and unpacks them again, with the system's tar.
fn images(folder: &Path) -> BTreeMap<&'static str, Unpacked> {
    let xtask = built().join("xtask");
    assert!(
        xtask.exists(),
        "{} is not built; `cargo xtask test` builds it and runs the tests",
        xtask.display()
    );
    let archives = folder.join("archives");
    let told = Command::new(xtask)
        .args(["image", "--profile", "dev", "--no-build", "--output"])
        .arg(&archives)
        .current_dir(root())
        .output()
        .expect("started");
    let told = success(told);
    let version = env!("CARGO_PKG_VERSION");
    NAMES
        .map(|name| {
            assert!(told.contains(&format!("{name} ")), "{told}");
            let layout = folder.join(format!("{name}.layout"));
            untar(&archives.join(format!("{name}-{version}.tar")), &layout);
            let blob = |descriptor: &Value| {
                let digest = text(&descriptor["digest"]).replace(':', "/");
                layout.join("blobs").join(digest)
            };
            let index = json(&layout.join("index.json"));
            let named = &index["manifests"][0]["annotations"]["io.containerd.image.name"];
            assert_eq!(*named, format!("docker.io/library/{name}:{version}"));
            let manifest = json(&blob(&index["manifests"][0]));
            let root = folder.join(name);
            for layer in list(&manifest["layers"]) {
                untar(&blob(layer), &root);
            }
            let configuration = json(&blob(&manifest["config"]));
            (
                name,
                Unpacked {
                    root,
                    configuration,
                },
            )
        })
        .into()
}

fn untar(archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let output = Command::new("tar")
        .arg("-xf")
        .arg(archive)
        .arg("-C")
        .arg(folder)
        .output()
        .expect("tar");
    success(output);
}

impl Unpacked {
    /// The image's program in the image's files, as the image's user.
    fn program(&self) -> Command {
        let user = text(&self.configuration["config"]["User"]);
        // By its path, since the image's environment has no folder of the system's programs.
        let places = ["/usr/sbin/chroot", "/usr/bin/chroot"];
        let chroot = places.into_iter().find(|place| Path::new(place).exists());
        let mut command = Command::new(chroot.expect("coreutils' chroot"));
        command
            .arg(format!("--userspec={user}"))
            .arg(&self.root)
            .arg(text(&self.configuration["config"]["Entrypoint"][0]))
            .env_clear();
        command
    }
}

/// A program that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that is gone already needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a program and waits for a line that `find` makes something of.
    fn start<T: Send + 'static>(mut command: Command, find: fn(&str) -> Option<T>) -> (Self, T) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let (found, was_found) = mpsc::channel();
        let out = child.stdout.take().expect("its output");
        let log = child.stderr.take().expect("its log");
        follow(out, find, found.clone());
        follow(log, find, found);
        let running = Self(child);
        let value = was_found.recv_timeout(PATIENCE);
        (running, value.expect("it says where it serves"))
    }
}

/// Reads to the end, since a program stands still whose output nobody takes.
fn follow<T: Send + 'static>(
    from: impl Read + Send + 'static,
    find: fn(&str) -> Option<T>,
    found: mpsc::Sender<T>,
) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if let Some(value) = find(&line) {
                // Whoever waited may have what they waited for.
                let _ = found.send(value);
            }
        }
    });
}

/// The settings of a service that needs nothing outside of its image but its key and token.
fn settings(service: &str) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("REWIND_LISTEN", "127.0.0.1:0".to_owned()),
        ("REWIND_STORE_URL", "file:///data".to_owned()),
        ("REWIND_KEY_FILE", "/run/rewind/key".to_owned()),
    ];
    let nowhere = || "http://127.0.0.1:1".to_owned();
    match service {
        "rewind-restorer" => settings.push(("REWIND_DIFFER_URL", nowhere())),
        "rewind-gateway" => settings.extend([
            ("REWIND_SNAPSHOTTER_URL", nowhere()),
            ("REWIND_DIFFER_URL", nowhere()),
            ("REWIND_RESTORER_URL", nowhere()),
            (
                "REWIND_DEVELOPMENT_TOKEN_FILE",
                "/run/rewind/token".to_owned(),
            ),
        ]),
        _ => {}
    }
    settings
}

/// What a pod would mount: a folder of the account's own for the store, and its secrets.
fn mount(root: &Path) {
    let data = root.join("data");
    fs::create_dir(&data).expect("a folder");
    std::os::unix::fs::chown(&data, Some(65_532), Some(65_532)).expect("as root");
    fs::create_dir_all(root.join("run/rewind")).expect("a folder");
    let key = "bm90IGEgc2VjcmV0LCBvbmx5IGZvciB0aGlzIHRlc3Q=\n";
    fs::write(root.join("run/rewind/key"), key).expect("written");
    fs::write(root.join("run/rewind/token"), "a-token-for-this-test\n").expect("written");
}

async fn serves(image: &Unpacked, name: &str) {
    let mut command = image.program();
    command.envs(settings(name));
    let (_running, address) = Running::start(command, |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let serves = line["message"].as_str()?.ends_with(" serves");
        serves.then(|| line["address"].as_str().map(str::to_owned))?
    });
    let channel = runtime::connect(&format!("http://{address}"), None).expect("an address");
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    let status = answer.expect("answered").into_inner().status();
    assert_eq!(status, ServingStatus::Serving, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_program_runs_from_its_image_without_rights() {
    let id = Command::new("id").arg("-u").output().expect("id");
    if success(id).trim() != "0" {
        eprintln!("skipped: only root may run a program in an image's files (chroot)");
        return;
    }
    runtime::tls::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    // The account must reach what is below.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), open).expect("its own folder");
    let images = images(folder.path());
    for (name, image) in &images {
        for shell in ["bin/sh", "bin/bash", "usr/bin/env", "bin/busybox"] {
            assert!(!image.root.join(shell).exists(), "{name} holds {shell}");
        }
        let bill = json(&image.root.join(format!("usr/share/sbom/{name}.cdx.json")));
        assert_eq!(bill["metadata"]["component"]["name"], *name);
        assert!(list(&bill["components"]).len() > 100, "{name}");
        let labels = &image.configuration["config"]["Labels"];
        assert_eq!(
            labels["org.opencontainers.image.version"],
            env!("CARGO_PKG_VERSION")
        );
        mount(&image.root);
        if *name == "rewind" {
            let version = image.program().arg("--version").output().expect("started");
            assert_eq!(
                success(version),
                format!("rewind {}\n", env!("CARGO_PKG_VERSION"))
            );
            let mut command = image.program();
            command.args(["simulate", "--listen", "127.0.0.1:0", "--users", "3"]);
            let (_running, url) = Running::start(command, |line| {
                line.strip_prefix("ready ").map(str::to_owned)
            });
            let answer = reqwest::get(format!("{url}/simulator/faults"))
                .await
                .expect("answered");
            assert!(answer.status().is_success(), "{}", answer.status());
            continue;
        }
        let checked = |settings: &[(&str, String)]| {
            let settings = settings.iter().map(|(key, value)| (key, value));
            let mut command = image.program();
            let output = command.arg("--check-config").envs(settings).output();
            output.expect("started").status.code()
        };
        let right = settings(name);
        assert_eq!(checked(&right), Some(0), "{name}");
        assert_eq!(checked(&right[..1]), Some(64), "{name} without a store");
        serves(image, name).await;
    }
}

/// Manifests and images agree about names, ports and the account.
#[test]
fn manifests_name_the_images_that_are_written() {
    let rendered = crate::rendered::overlay("dev");
    let mut used: Vec<&str> = rendered
        .of_kind("Deployment")
        .into_values()
        .map(|object| text(&object["spec"]["template"]["spec"]["containers"][0]["image"]))
        .collect();
    used.sort_unstable();
    let mut written = NAMES.map(|name| format!("{name}:{}", env!("CARGO_PKG_VERSION")));
    written.sort_unstable();
    assert_eq!(used, written);
}
