//! What is refused before anybody is called.

use crate::canned::{OTHER, TENANT, name};
use crate::fake::Fake;
use crate::gateway::{Gateway, rewind, run};

#[test]
fn malformed_arguments_exit_2_and_call_nobody() {
    let gateway = Gateway::start(Fake::default());
    let other = format!("tenants/{OTHER}/snapshots/s1");
    let mine = name("snapshots", "s1");
    let cases: &[&[&str]] = &[
        &[],
        &["snapshot"],
        &["snapshot", "show"],
        &["snapshot", "show", "Not An Id"],
        &["snapshot", "show", "tenants/x/snapshots/y"],
        &["snapshot", "show", &name("reports", "r1")],
        &["snapshot", "take", "--wait", "--detach"],
        &["snapshot", "show", "latest", "--id", "a/b"],
        &["snapshot", "show", "latest", "--type", "user"],
        &["snapshot", "search"],
        &["snapshot", "search", "--type", "users", "x"],
        &["snapshot", "export", "--snapshot", "latest"],
        &["snapshot", "export", "--to", "out"],
        &[
            "snapshot",
            "export",
            "--snapshot",
            "latest",
            "--to",
            "out",
            "--format",
            "csv",
        ],
        &["snapshot", "list", "--tenant", "contoso"],
        &["snapshot", "list", "--output", "yaml"],
        &["snapshot", "list", "--gateway", "127.0.0.1:8443"],
        &["snapshot", "list", "--gateway", "https://127.0.0.1:8443"],
        &["diff", "create"],
        &["diff", "create", "--snapshot", "latest", "--type", "users"],
        &["diff", "create", "--snapshot", "latest", "--id", "a/b"],
        &[
            "diff",
            "create",
            "--snapshot",
            "latest",
            "--max-age",
            "soon",
        ],
        &[
            "diff",
            "create",
            "--snapshot",
            "latest",
            "--max-age",
            "1m",
            "--full",
        ],
        &["diff", "create", "--snapshot", &other, "--against", &mine],
        &["diff", "export"],
        &["diff", "export", "r1", "--format", "pdf"],
        &["diff", "export", "r1", "--to", ".."],
        &["diff", "export", &name("snapshots", "s1")],
        &["restore", "plan"],
        &["restore", "plan", "--all"],
        &["restore", "plan", "--report", "r1", "--snapshot", "latest"],
        &[
            "restore", "plan", "--report", "r1", "--all", "--type", "user",
        ],
        &["restore", "plan", "--report", "r1", "--added", "purge"],
        &["restore", "apply"],
        &["restore", "approve"],
        &["restore", "plan", "--report", "r1", "--ca-state", "off"],
        &["restore", "plan", "--report", "r1", "--accept-risk", "all"],
        &["tenant", "add", "--name", "x"],
        &["tenant", "show", "contoso"],
        &["tenant", "update"],
        &["tenant", "update", "--approval", "maybe"],
        &["tenant", "update", "--approval", "on,expires=0h"],
        &["tenant", "update", "--drift-watch", "maybe"],
        &["tenant", "update", "--drift-rule", "mass-disable"],
        &["tenant", "update", "--drift-rule", "mass-disable=x"],
        &["tenant", "update", "--drift-rule", "mass-hysteria=5%"],
        &[
            "tenant",
            "update",
            "--drift-rule",
            "mass-disable=5%,mass-disable=off",
        ],
        &["signals", "list", "--severity", "loud"],
        &["signals", "list", "--since", "yesterday"],
        &["signals", "show", &name("reports", "r1")],
        &["audit", "list", "--limit", "0"],
        &["audit", "list", "--outcome", "maybe"],
        &["keys", "export"],
        &["keys", "export", "--recipient", "age1short"],
        &["simulate", "--listen", "nowhere"],
    ];
    for case in cases {
        let run = gateway.rewind(case).exits(2);
        assert!(
            run.out.is_empty() && !run.err.is_empty(),
            "{case:?}: {run:?}"
        );
    }
    assert_eq!(gateway.fake.calls(), 0);
}

fn add<'a>(secret: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "tenant",
        "add",
        "--id",
        TENANT,
        "--name",
        "Contoso",
        "--reader-client-id",
        "r-1",
        "--reader-secret",
        secret,
    ];
    arguments.extend(more);
    arguments
}

#[test]
fn a_secret_in_place_of_a_reference_is_refused_and_not_repeated() {
    let gateway = Gateway::start(Fake::default());
    let run = gateway.rewind(&add("hunter2~pasted", &[])).exits(2);
    assert!(
        run.err.contains("--reader-secret takes a reference"),
        "{run:?}"
    );
    assert!(!run.err.contains("hunter2"), "{run:?}");
    assert_eq!(gateway.fake.calls(), 0);
}

#[test]
fn pairs_of_flags_belong_together() {
    let gateway = Gateway::start(Fake::default());
    for more in [
        ["--writer-client-id", "w-1"],
        ["--writer-secret", "env:A"],
        ["--graph-url", "http://a"],
        ["--login-url", "http://a"],
    ] {
        gateway.rewind(&add("env:A", &more)).exits(2);
    }
    assert_eq!(gateway.fake.calls(), 0);
}

#[test]
fn without_a_token_nobody_is_called() {
    let run = run(rewind().args(["snapshot", "list"])).exits(2);
    assert!(
        run.err
            .contains("error: no token file is named\nhint: pass --token-file"),
        "{run:?}"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing");
    let refused = |file: &std::path::Path| {
        crate::gateway::run(
            rewind()
                .args(["snapshot", "list", "--token-file"])
                .arg(file),
        )
        .exits(5)
    };
    assert!(refused(&missing).err.contains("cannot be used"));
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "\n").expect("a file");
    assert!(refused(&empty).err.contains("it is empty"));
}

#[test]
fn help_and_version_are_results() {
    for arguments in [["--help"], ["--version"]] {
        let run = run(rewind().args(arguments)).exits(0);
        assert!(run.out.contains("rewind"), "{run:?}");
    }
}
