//! The demonstration, as the README's first command shows it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::support::{entries, list, rewind, run, signal, until};

/// The demonstration with its folders in a place that can be looked at.
fn demo(temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = rewind();
    command.arg("demo").args(arguments).env("TMPDIR", temporary);
    command
}

async fn comes_back(users: &str) {
    let temporary = tempfile::tempdir().expect("a folder");
    let arguments = ["--output", "json", "--users", users];
    let told = run(&mut demo(temporary.path(), &arguments)).await.exits(0);
    let summary = told.json();
    assert!(summary.is_object());
    assert_eq!(summary["verified"], true);
    assert_eq!(summary["problems"], serde_json::json!([]));
    assert_eq!(summary["changes"]["made"], summary["changes"]["found"]);
    let made = summary["changes"]["made"].as_object().expect("counts");
    assert!(
        made.values().all(|count| count.as_u64() > Some(0)),
        "{made:?}"
    );
    assert_eq!(summary["restore"]["state"], "RESTORE_STATE_SUCCEEDED");

    let second = summary["secondReport"]["counts"].as_object();
    let left: Vec<(&String, &Value)> = second
        .expect("counts")
        .iter()
        .filter(|(_, count)| **count != 0)
        .collect();
    let gone = &summary["changes"]["made"]["hardDeleted"];
    assert_eq!(left, [(&"hardDeleted".to_owned(), gone)]);
    let kinds: BTreeSet<_> = list(&summary["left"])
        .iter()
        .map(|change| change["kind"].as_str())
        .collect();
    assert_eq!(kinds, [Some("CHANGE_KIND_HARD_DELETED")].into());
    assert_eq!(entries(temporary.path()), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_back() {
    comes_back("100").await;
}

/// In this tenant the intruder purges the manager of somebody who is given
/// another one: a link that is both taken away and lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_manager_is_part_of_his_deletion() {
    comes_back("60").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_it_and_leaves_nothing() {
    // Before the first snapshot, while it is taken, and after it.
    for part in ["operator.token", "store/tenants", "reports"] {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut child = demo(temporary.path(), &["--users", "400"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rewind runs");
        until("it is in the middle", || {
            entries(temporary.path()).iter().any(|folder| {
                let tenants = entries(&folder.join("store/tenants"));
                folder.join(part).exists() || tenants.iter().any(|it| it.join(part).exists())
            })
        })
        .await;
        signal(&child, "INT").await;
        let mut ended = None;
        until("it ends", || {
            ended = child.try_wait().expect("it is a child");
            ended.is_some()
        })
        .await;
        let code = ended.and_then(|status| status.code());
        assert!(code.is_some_and(|code| code != 0), "{part}: {code:?}");
        assert_eq!(
            entries(temporary.path()),
            Vec::<std::path::PathBuf>::new(),
            "{part}"
        );
    }
}
