//! Alerts and the dashboard: that they work, that what they ask for is measured, and that each has a page.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::rendered::{installed, list, overlay, root, text};

/// The rules of all groups.
fn alerts() -> Vec<Value> {
    let rendered = overlay("monitoring");
    let groups = &rendered.object("PrometheusRule", "rewind")["spec"]["groups"];
    let rules = list(groups).iter().flat_map(|group| list(&group["rules"]));
    rules.cloned().collect()
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let promtool = installed("prometheus-", "usr/bin/promtool");
    let folder = tempfile::tempdir().expect("a folder");
    let rendered = overlay("monitoring");
    // JSON is YAML.
    let spec = rendered.object("PrometheusRule", "rewind")["spec"].to_string();
    std::fs::write(folder.path().join("rules.yaml"), spec).expect("written");
    let cases = root().join("tests/tests/cluster/alerts.yaml");
    std::fs::copy(&cases, folder.path().join("alerts.yaml")).expect("copied");
    for arguments in [
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "alerts.yaml"],
    ] {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("started");
        assert!(
            output.status.success(),
            "{arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // Each is tried.
    let cases = std::fs::read_to_string(cases).expect("text");
    for alert in alerts() {
        let name = text(&alert["alert"]);
        assert!(
            cases.contains(&format!("alertname: {name}\n")),
            "{name} is not tried"
        );
    }
}

#[test]
fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    let mut known = BTreeSet::new();
    for alert in alerts() {
        let name = text(&alert["alert"]).to_owned();
        let page = text(&alert["annotations"]["runbook"]);
        assert_eq!(page, format!("docs/runbooks/{name}.md"));
        let content = std::fs::read_to_string(root().join(page)).expect(page);
        assert!(content.starts_with(&format!("# {name}\n")), "{page}");
        for part in ["## What it means", "## What to do"] {
            assert!(content.contains(part), "{page}: {part}");
        }
        for key in ["summary", "description"] {
            assert!(alert["annotations"][key].is_string(), "{name}: {key}");
        }
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning"].contains(&severity), "{name}");
        known.insert(name);
    }
    let pages = std::fs::read_dir(root().join("docs/runbooks")).expect("the folder");
    let pages: BTreeSet<String> = pages
        .map(|page| {
            page.expect("a page")
                .file_name()
                .to_string_lossy()
                .replace(".md", "")
        })
        .filter(|page| page.starts_with("Rewind"))
        .collect();
    assert_eq!(pages, known);
}

/// The names under which the services register metrics, in their sources.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for service in ["snapshotter", "differ", "restorer", "gateway"] {
        collect(
            &root().join("services").join(service).join("src"),
            &mut names,
        );
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, names);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let literals = text.split("\"rewind_").skip(1);
        names.extend(literals.filter_map(|rest| {
            let name = rest.split('"').next()?;
            let fits = name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            fits.then(|| format!("rewind_{name}"))
        }));
    }
}

/// The names of metrics in an expression.
fn asked(expression: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression
        .split(|c| !word(c))
        .filter(|name| name.starts_with("rewind_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_alerts_and_dashboard_ask_for_is_measured() {
    let registered = registered();
    assert!(registered.len() > 20, "{registered:?}");
    let rendered = overlay("monitoring");
    let dashboard = text(&rendered.object("ConfigMap", "rewind-dashboard")["data"]["rewind.json"]);
    let dashboard: Value = serde_json::from_str(dashboard).expect("JSON");
    let targets = list(&dashboard["panels"])
        .iter()
        .flat_map(|panel| list(&panel["targets"]));
    let mut expressions: Vec<String> = targets
        .map(|target| text(&target["expr"]).to_owned())
        .collect();
    let panels = expressions.len();
    expressions.extend(alerts().iter().map(|alert| text(&alert["expr"]).to_owned()));
    assert!(panels > 15 && expressions.len() > panels + 10);
    for expression in expressions {
        for name in asked(&expression) {
            // What the form of OpenMetrics puts behind a name, and a unit before that.
            let bare = ["_total", "_bucket", "_count", "_sum"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(&name);
            let units = ["_seconds", "_bytes"]
                .iter()
                .filter_map(|unit| bare.strip_suffix(unit));
            let known = [bare]
                .into_iter()
                .chain(units)
                .any(|name| registered.contains(name));
            assert!(known, "{name} in {expression} is measured nowhere");
        }
    }
}
