//! Signals after two days, of which the first is yesterday: beside `rewind up` runs
//! another snapshotter on the same store, whose clock is set.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::{TenantId, slot};
use runtime::config::{Settings, Source};
use runtime::{Clock, Ids, ManualClock, SystemClock, SystemIds};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{Area, Kek, TenantVault, Vault};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::support::{TENANT, World, list, text};

/// The store of `rewind up`, as another process opens it.
fn vault(data: &Path) -> Vault {
    let url = format!("file://{}", data.join("store").display());
    let key = Kek::load(&data.join("key")).expect("a key file");
    Vault::open(&url, &|_| None, Arc::new(key)).expect("the store opens")
}

fn settings() -> BTreeMap<String, String> {
    [
        ("REWIND_STORE_URL", "memory:///"),
        ("REWIND_SCHEDULE", "daily"),
        // What is told of the log has a trial of its own.
        ("REWIND_AUDIT_INTERVAL", "off"),
        ("REWIND_GRAPH_LIMITS", "off"),
        ("REWIND_CUSTOM_CLOUDS", "allow"),
        (
            "REWIND_CREDENTIAL_READER_PRACTICE",
            simulator::READER_SECRET,
        ),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

/// A differ of its own.
async fn differ(vault: &Vault, stop: &CancellationToken) -> Channel {
    let source = settings();
    let config = differ::Config::read(&Settings::load(&source).expect("read")).expect("valid");
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let shared: Arc<dyn Source> = Arc::new(source);
    let deps = differ::Deps {
        vault: vault.clone(),
        clock: Arc::new(SystemClock),
        connect: differ::config::connect(&config, shared, Arc::clone(&ids)).expect("a way"),
        ids,
    };
    let app = differ::App::build(&config, deps, listener().await).expect("it starts");
    let url = format!("http://{}", app.address());
    tokio::spawn(app.run(stop.clone()));
    runtime::connect(&url, None).expect("a URL")
}

/// Lets a snapshotter run on a day until something is there.
async fn a_day(vault: &Vault, differ: &Channel, now: DateTime<Utc>, done: impl AsyncFn() -> bool) {
    let source = settings();
    let config = snapshotter::Config::read(&Settings::load(&source).expect("read")).expect("valid");
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let shared: Arc<dyn Source> = Arc::new(source);
    let deps = snapshotter::Deps {
        vault: vault.clone(),
        clock: Arc::new(ManualClock::new(now)),
        connect: snapshotter::config::connect(&config, shared, Arc::clone(&ids)).expect("a way"),
        ids,
        copies: None,
        differ: Some(differ.clone().into()),
    };
    let app = snapshotter::App::build(&config, deps, listener().await).expect("it starts");
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(stop.clone()));
    let waiting = async {
        while !done().await {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("the day passes in time");
    stop.cancel();
    running.await.expect("it ends").expect("it drains");
}

/// Disables a tenth of the users and a policy.
async fn attack(world: &World) -> usize {
    let select = "/users?$select=id,accountEnabled,onPremisesSyncEnabled&$top=999";
    let users = world.graph("GET", select, None).await;
    let users = list(&users["value"]);
    let free =
        |user: &&Value| user["accountEnabled"] == true && user["onPremisesSyncEnabled"] != true;
    let some = users.len() / 10;
    for user in users.iter().filter(free).take(some) {
        let path = format!("/users/{}", text(&user["id"]));
        let off = json!({"accountEnabled": false});
        world.graph("PATCH", &path, Some(off)).await;
    }
    let policies = "/identity/conditionalAccess/policies";
    let found = world.graph("GET", policies, None).await;
    let path = format!("{policies}/{}", text(&found["value"][0]["id"]));
    let off = json!({"state": "disabled"});
    world.graph("PATCH", &path, Some(off)).await;
    some
}

async fn opened(vault: &Vault) -> TenantVault {
    let tenant = TenantId::parse(TENANT).expect("a GUID");
    vault.tenant(&tenant).await.expect("it is registered")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_between_two_days_is_listed_and_shown() {
    let world = World::start(60).await;
    world.register().await;
    // A day's snapshot is due whenever this runs.
    let early = ["tenant", "update", "--schedule", "00:00-00:01"];
    assert_eq!(world.json(&early).await["schedule"], "00:00-00:01");
    assert_eq!(world.json(&["signals", "list"]).await, json!([]));

    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let vault = vault(&world.data());
    let (differ, tenant) = (differ(&vault, &stop).await, opened(&vault).await);
    let today = SystemClock.now();
    let yesterday = today - TimeDelta::days(1);
    let first = slot::daily(yesterday.date_naive());
    a_day(&vault, &differ, yesterday, async || {
        tenant.manifest(&first).await.is_ok()
    })
    .await;
    let disabled = attack(&world).await;
    a_day(&vault, &differ, today, async || {
        let cursors = tenant.list_ids(Area::Cursors).await;
        !cursors.expect("they can be listed").is_empty()
    })
    .await;

    let signals = world.json(&["signals", "list"]).await;
    let rules: Vec<&Value> = list(&signals)
        .iter()
        .map(|signal| &signal["rule"])
        .collect();
    assert_eq!(rules, ["mass-disable", "conditional-access"], "{signals}");
    assert_eq!(list(&signals[0]["evidence"]).len(), disabled);
    assert_eq!(signals[0]["severity"], "SEVERITY_HIGH");
    let severe = ["signals", "list", "--severity", "critical"];
    assert_eq!(world.json(&severe).await, json!([]));
    let recent = ["signals", "list", "--since", "1h"];
    assert_eq!(world.json(&recent).await, signals);

    let id = text(&signals[1]["name"]);
    assert_eq!(world.json(&["signals", "show", &id]).await, signals[1]);
    let table = world.run(&["signals", "list"]).await.exits(0).out;
    assert!(table.contains("Conditional Access was changed"), "{table}");
    world
        .run(&["signals", "show", "20200101-daily-mass-disable"])
        .await
        .fails(4, &["NOT_FOUND"]);

    let updated = ["tenant", "update", "--drift-rule", "mass-disable=any"];
    let watch = "on,mass-disable=any";
    assert_eq!(world.json(&updated).await["driftWatch"], watch);
    assert_eq!(world.json(&["tenant", "show"]).await["driftWatch"], watch);
    // What sees less waits for somebody else.
    let less = world
        .run(&["tenant", "update", "--drift-watch", "off"])
        .await;
    less.exits(3);
    assert_eq!(world.json(&["tenant", "show"]).await["driftWatch"], watch);
    let pending = world.json(&["tenant", "change", "list", "--open"]).await;
    assert_eq!(
        pending[0]["settings"][0]["field"], "drift_watch",
        "{pending}"
    );
}
