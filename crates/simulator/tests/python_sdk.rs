//! Microsoft's own Python SDK, unchanged, against the simulator.
//!
//! `cargo xtask test` installs the SDK below cargo's target folder; where it is missing the test
//! fails, and says so.

#![allow(
    clippy::unwrap_used,
    reason = "a test that fails by panicking is a good test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use simulator::{Population, Simulator, TenantSpec, WRITER_CLIENT_ID, WRITER_SECRET};
use tokio::net::TcpListener;

const TENANT: &str = "0f0e0d0c-0b0a-4908-8706-050403020100";

/// The Python that has the SDK: the newest that is installed completely.
fn python() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()?
        .join("tools");
    let mut found: Vec<PathBuf> = std::fs::read_dir(tools)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("msgraph-sdk-") && folder.join("installed").exists()
        })
        .collect();
    found.sort();
    Some(found.pop()?.join("bin/python"))
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_python_sdk_notices_no_difference() {
    let python = python().expect("msgraph-sdk, which `cargo xtask test` installs");
    let simulator = Simulator::new();
    let tenant = simulator.add_tenant(TenantSpec::practice(TENANT));
    tenant.populate(&Population {
        users: 40,
        groups: 15,
        seed: 5,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = simulator.serve(listener).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python_sdk.py");
    let mut command = Command::new(python);
    command.arg(script).args([
        server.url().as_str(),
        TENANT,
        WRITER_CLIENT_ID,
        WRITER_SECRET,
    ]);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.ends_with("done\n"), "{said}");
    server.shutdown().await;
}
