//! The practice tenant alone.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::gateway::{rewind, run};

#[test]
fn it_says_when_it_is_ready_and_stops_when_told() {
    let mut child = rewind()
        .args([
            "simulate",
            "--listen",
            "127.0.0.1:0",
            "--users",
            "3",
            "--seed",
            "7",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rewind runs");
    let mut ready = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut ready)
        .expect("a line");
    let url = ready
        .trim_end()
        .strip_prefix("ready ")
        .expect("a line that begins with ready");
    let address = url.strip_prefix("http://").expect("a plain address");
    std::net::TcpStream::connect(address).expect("it listens");

    let told = Command::new("kill")
        .args(["-s", "TERM", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(told.success());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0));
    let said = String::from_utf8(ended.stderr).expect("text");
    assert!(
        said.contains(&format!("--graph-url {url}/v1.0 --login-url {url}")),
        "{said}"
    );
    assert!(
        said.contains("--reader-secret env:REWIND_CREDENTIAL_READER_PRACTICE"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_loaded_or_bound_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let bound = run(rewind().args(["simulate", "--listen", &address])).exits(1);
    assert!(
        bound
            .err
            .starts_with(&format!("error: cannot listen on {address}: ")),
        "{bound:?}"
    );
    let missing = run(rewind().args([
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--load",
        "no/such/file.json",
    ]))
    .exits(1);
    assert!(
        missing
            .err
            .starts_with("error: cannot load no/such/file.json: "),
        "{missing:?}"
    );
    assert!(missing.out.is_empty(), "{missing:?}");
}
