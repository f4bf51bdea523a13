//! The program itself: how it starts, what it exits with, how it stops.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rewind-gateway");

/// The program with nothing but what it is given here.
fn gateway(dir: &Path, without: &str) -> Command {
    let path = |name: &str| dir.join(name).to_str().expect("text").to_owned();
    std::fs::write(path("token"), "0123456789abcdef\n").expect("written");
    std::fs::write(
        path("key"),
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    )
    .expect("written");
    let settings = [
        ("REWIND_LISTEN", "127.0.0.1:0".to_owned()),
        ("REWIND_STORE_URL", "memory:///".to_owned()),
        ("REWIND_KEY_FILE", path("key")),
        ("REWIND_GRACE", "1s".to_owned()),
        ("REWIND_DEVELOPMENT_TOKEN_FILE", path("token")),
        ("REWIND_SNAPSHOTTER_URL", "http://127.0.0.1:1".to_owned()),
        ("REWIND_DIFFER_URL", "http://127.0.0.1:1".to_owned()),
        ("REWIND_RESTORER_URL", "http://127.0.0.1:1".to_owned()),
    ];
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .envs(settings.into_iter().filter(|(key, _)| *key != without))
        .stderr(Stdio::piped());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program runs");
    assert!(output.stdout.is_empty(), "standard output is for results");
    (
        output.status.code(),
        String::from_utf8(output.stderr).expect("text"),
    )
}

#[test]
fn a_configuration_is_checked_without_serving() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, log) = run(gateway(dir.path(), "").arg("--check-config"));
    assert_eq!(code, Some(0), "{log}");
    for missing in [
        "REWIND_STORE_URL",
        "REWIND_KEY_FILE",
        "REWIND_DEVELOPMENT_TOKEN_FILE",
        "REWIND_DIFFER_URL",
    ] {
        for arguments in [&["--check-config"][..], &[]] {
            let (code, log) = run(gateway(dir.path(), missing).args(arguments));
            assert_eq!(code, Some(64), "{log}");
            let said = match missing {
                "REWIND_KEY_FILE" => {
                    "REWIND_KEY_FILE or REWIND_KEY_VAULT_KEY is not set".to_owned()
                }
                _ => format!("{missing} is not set"),
            };
            assert!(log.contains(&said), "{log}");
        }
    }
    assert_eq!(run(gateway(dir.path(), "").arg("--help")).0, Some(64));
}

#[test]
fn what_is_out_of_reach_at_the_start_has_its_exit_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let nowhere = dir.path().join("nowhere");
    assert_eq!(
        run(gateway(dir.path(), "").env("REWIND_KEY_FILE", &nowhere)).0,
        Some(7)
    );
    assert_eq!(
        run(gateway(dir.path(), "").env("REWIND_STORE_URL", "ftp://x")).0,
        Some(64)
    );
    let tls = [("REWIND_TLS_CERT", &nowhere), ("REWIND_TLS_KEY", &nowhere)];
    assert_eq!(run(gateway(dir.path(), "").envs(tls)).0, Some(64));
}

/// Ends the program if the test does not.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
    }
}

#[test]
fn a_signal_stops_it_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut running = Running(gateway(dir.path(), "").spawn().expect("the program runs"));
    let mut lines = BufReader::new(running.0.stderr.take().expect("piped")).lines();
    let serves = lines.find(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains("the gateway serves"))
    });
    let line = serves.expect("it serves").expect("text");
    let address = line
        .split("\"address\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("an address")
        .to_owned();
    let mut connection = std::net::TcpStream::connect(address).expect("it accepts");
    connection
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .expect("written");

    let kill = Command::new("kill")
        .args(["-TERM", &running.0.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(kill.success());
    let status = running.0.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    assert!(
        rest.iter().any(|line| line.contains("stopping")),
        "{rest:?}"
    );
}
