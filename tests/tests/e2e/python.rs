//! Clients in Python, which share no code with this project.
//!
//! `cargo xtask test` installs what they need below cargo's target folder; where it is
//! missing the tests fail, and say so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use simulator::{Fault, FaultResponse, Population};
use store::object_store::memory::InMemory;

use crate::restore::{cloud_user, ids, patch, property, scene};
use crate::sandbox::{Sandbox, TENANT, TOKEN};

/// The Python that has a package: the newest that is installed completely.
fn python(package: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()?
        .join("tools");
    let mut found: Vec<PathBuf> = std::fs::read_dir(tools)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&format!("{package}-")) && folder.join("installed").exists()
        })
        .collect();
    found.sort();
    Some(found.pop()?.join("bin/python"))
}

/// Runs a script that stands beside this file; it must say `done` at last.
async fn run(package: &str, script: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let python = python(package).ok_or_else(|| {
        anyhow::anyhow!("{package} is missing, which `cargo xtask test` installs")
    })?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command
        .arg(here.join("tests/e2e").join(script))
        .args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success() && said.ends_with("done\n"),
        "{said}\n{complained}"
    );
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_sdk_previews_recovers_and_cancels() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let users = ids(&sandbox, "user", cloud_user);
    let [good, bad] = &users[..2] else {
        anyhow::bail!("two users are needed")
    };
    let title = property(&sandbox, "user", good, "jobTitle");
    for user in [good, bad] {
        let change = json!({"jobTitle": "Changed"});
        patch(&intruder, format!("/users/{user}"), change).await?;
    }
    // One of the two cannot be put back.
    let refusal = FaultResponse::Status {
        code: 400,
        retry_after: None,
    };
    let fault = Fault::once("PATCH", &format!("/users/{bad}"), refusal);
    sandbox.simulator.inject(fault.times(50));

    let url = sandbox.gateway.as_str();
    let arguments = [url, TENANT, TOKEN, good.as_str(), bad.as_str()];
    run("msgraph-sdk", "graph_api.py", &arguments).await?;
    assert_eq!(property(&sandbox, "user", good, "jobTitle"), title);
    assert_eq!(
        property(&sandbox, "user", bad, "jobTitle"),
        json!("Changed")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_from_the_protos_does_the_whole_story() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&Population {
        users: 20,
        groups: 5,
        seed: 4,
    });
    sandbox.register(sandbox.registration()).await?;
    let intruder = crate::sandbox::intruder(&sandbox.graph)?;
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let (protos, folder) = (protos.display().to_string(), tempfile::tempdir()?);
    let folder = folder.path();
    let stubs = folder.join("stubs").display().to_string();
    let mark = folder.join("snapshot");
    let user = ids(&sandbox, "user", cloud_user).swap_remove(0);
    let title = property(&sandbox, "user", &user, "jobTitle");

    let address = sandbox.gateway.trim_start_matches("http://");
    let story = |part: &'static str| {
        let mark = mark.display().to_string();
        let (protos, stubs, user) = (protos.clone(), stubs.clone(), user.clone());
        async move {
            let arguments = [part, &protos, &stubs, address, TENANT, TOKEN, &mark, &user];
            run("grpcio-tools", "grpc_client.py", &arguments).await
        }
    };
    story("before").await?;
    let change = json!({"jobTitle": "Changed"});
    patch(&intruder, format!("/users/{user}"), change).await?;
    story("after").await?;
    assert_eq!(property(&sandbox, "user", &user, "jobTitle"), title);
    Ok(())
}
