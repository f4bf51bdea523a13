//! A snapshot opened as `docs/format.md` says: with the `age` tool and pyarrow,
//! by the very script of that page.
//!
//! `cargo xtask test` installs both; where one is missing the test fails, and says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use model::SnapshotId;
use serde_json::Value;

use crate::golden;

/// The Python that has pyarrow: the newest that is installed completely.
fn python() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()?
        .join("tools");
    let mut found: Vec<PathBuf> = std::fs::read_dir(tools)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("pyarrow-") && folder.join("installed").exists()
        })
        .collect();
    found.sort();
    Some(found.pop()?.join("bin/python"))
}

/// The block of a page that is fenced as `language`.
fn fenced<'page>(page: &'page str, language: &str) -> &'page str {
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[track_caller]
fn succeeds(mut command: Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "{command:?} cannot be started ({error}); `cargo xtask test` installs what is needed"
        )
    });
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complained}");
    output
}

#[tokio::test]
async fn a_snapshot_is_opened_as_the_format_page_says() {
    let python = python().expect("pyarrow, which `cargo xtask test` installs");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format.md");
    let page = std::fs::read_to_string(page).unwrap();
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    std::fs::write(at("open_snapshot.py"), fenced(&page, "python")).unwrap();
    let vault = golden::golden(&at("vault"));

    let mut keygen = Command::new("age-keygen");
    keygen.arg("--output").arg(at("operator.txt"));
    succeeds(keygen);
    let mut public = Command::new("age-keygen");
    public.arg("-y").arg(at("operator.txt"));
    let public = String::from_utf8(succeeds(public).stdout).unwrap();
    let bundle = vault
        .export_keys(&golden::tenant(), &[public.trim().to_owned()])
        .await
        .unwrap();
    std::fs::write(at("bundle.age"), bundle).unwrap();
    let mut age = Command::new("age");
    age.arg("--decrypt")
        .arg("--identity")
        .arg(at("operator.txt"));
    age.arg("--output")
        .arg(at("tenant.txt"))
        .arg(at("bundle.age"));
    succeeds(age);

    let opened = vault.tenant(&golden::tenant()).await.unwrap();
    let expected = golden::expected();
    for (slot, content) in &expected {
        let mut script = Command::new(&python);
        script.arg(at("open_snapshot.py")).arg(at("vault/store"));
        script
            .arg(golden::tenant().as_str())
            .arg(slot)
            .arg(at("tenant.txt"));
        let printed: Value = serde_json::from_slice(&succeeds(script).stdout).unwrap();
        let id = SnapshotId::parse(slot).unwrap();
        assert_eq!(printed, golden::described(&opened, &id).await, "{slot}");
        assert_eq!(printed, *content, "{slot}");
    }
}

#[tokio::test]
async fn the_script_opens_nothing_with_another_key() {
    let python = python().expect("pyarrow, which `cargo xtask test` installs");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format.md");
    let page = std::fs::read_to_string(page).unwrap();
    let work = tempfile::tempdir().unwrap();
    let script = work.path().join("open_snapshot.py");
    std::fs::write(&script, fenced(&page, "python")).unwrap();
    let mut keygen = Command::new("age-keygen");
    keygen.arg("--output").arg(work.path().join("stranger.txt"));
    succeeds(keygen);
    let mut python = Command::new(&python);
    python.arg(&script).arg(golden::folder().join("store"));
    python.arg(golden::tenant().as_str()).arg("20261120-daily");
    let output = python
        .arg(work.path().join("stranger.txt"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
}
