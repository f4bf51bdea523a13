//! Signals that reach a webhook on this machine, and a watcher, out of `rewind up`.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::{SignalId, TenantId};
use prost::Message;
use proto::convert::timestamp;
use proto::v1;
use runtime::{Clock, SystemClock};
use serde_json::{Value, json};
use store::{Area, Kek, Vault};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use crate::support::{TENANT, WEBHOOK_SECRET, World, list, text, until};

/// A webhook: what it heard, and what it answers; everything is taken where nothing
/// is left to answer.
#[derive(Clone, Default)]
struct Receiver {
    heard: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
}

async fn hear(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let mut heard = receiver.heard.lock().expect("no panic");
    heard.push((headers, body));
    let mut answers = receiver.answers.lock().expect("no panic");
    answers.pop_front().unwrap_or(StatusCode::OK)
}

impl Receiver {
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let receiver = Self::default();
        let router = Router::new().route("/hook", post(hear));
        let router = router.with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn count(&self) -> usize {
        self.heard.lock().expect("no panic").len()
    }

    /// The body of a letter whose signature is right, and its id.
    fn letter(&self, n: usize) -> (String, Value) {
        let (headers, body) = self.heard.lock().expect("no panic")[n].clone();
        let header = |name: &str| headers[name].to_str().expect("text").to_owned();
        let id = header("webhook-id");
        let key = WEBHOOK_SECRET.strip_prefix("whsec_").expect("its form");
        let key = BASE64_STANDARD.decode(key).expect("base64");
        let content = format!("{id}.{}.{body}", header("webhook-timestamp"));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content.as_bytes());
        let expected = format!("v1,{}", BASE64_STANDARD.encode(tag));
        assert_eq!(header("webhook-signature"), expected);
        (id, serde_json::from_str(&body).expect("JSON"))
    }
}

/// Stores a signal as a process does that ends before it tells anybody.
async fn leave(data: &Path, id: &str) {
    let url = format!("file://{}", data.join("store").display());
    let key = Kek::load(&data.join("key")).expect("a key file");
    let vault = Vault::open(&url, &|_| None, Arc::new(key)).expect("the store opens");
    let tenant = TenantId::parse(TENANT).expect("a GUID");
    let id = SignalId::parse(id).expect("an id");
    let now = Some(timestamp(SystemClock.now()));
    let signal = v1::Signal {
        name: proto::name::signal(&tenant, &id),
        time: now,
        raise_time: now,
        rule: "mass-disable".to_owned(),
        severity: v1::Severity::High.into(),
        title: "Many users were disabled".to_owned(),
        ..v1::Signal::default()
    };
    let vault = vault.tenant(&tenant).await.expect("it is registered");
    let content = signal.encode_to_vec().into();
    let put = vault
        .put(Area::Signals, id.as_str(), "signal", content)
        .await;
    put.expect("it is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_and_not_sent_reaches_webhook_and_watcher() {
    let mut world = World::start(20).await;
    world.register().await;
    let (receiver, url) = Receiver::start().await;
    let webhook = [
        "tenant",
        "update",
        "--webhook",
        &url,
        "--webhook-secret",
        "env:REWIND_CREDENTIAL_WEBHOOK_PRACTICE",
        "--webhook-severity",
        "high",
    ];
    let updated = world.json(&webhook).await;
    assert_eq!(updated["webhook"]["url"], url);
    let shown = world.run(&["tenant", "show"]).await.exits(0).out;
    let line = format!("{url} (env:REWIND_CREDENTIAL_WEBHOOK_PRACTICE), from high on");
    assert!(shown.contains(&line), "{shown}");

    let mut watcher = world.client(&["signals", "watch", "--since", "1h", "--output", "json"]);
    let mut watcher = watcher.stdout(Stdio::piped()).spawn().expect("it runs");
    let out = watcher.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(out).lines();
    let today = SystemClock.now().format("%Y%m%d");
    let [first, second] = ["a", "b"].map(|name| format!("{today}-daily-{name}"));
    leave(&world.data(), &first).await;
    let line = lines.next_line().await.expect("it can be read");
    let told: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
    assert_eq!(told["name"], format!("tenants/{TENANT}/signals/{first}"));
    until("the webhook hears of it", || receiver.count() == 1).await;
    let (id, body) = receiver.letter(0);
    assert_eq!(id, format!("sig_{TENANT}_{first}"));
    assert_eq!(body["name"], told["name"]);
    watcher.kill().await.expect("it is ended");

    // The next one is refused, and the process ends before it is sent again.
    receiver
        .answers
        .lock()
        .expect("no panic")
        .push_back(StatusCode::INTERNAL_SERVER_ERROR);
    leave(&world.data(), &second).await;
    until("the webhook refuses it", || receiver.count() == 2).await;
    world.kill().await;
    world.resume().await;
    let undelivered = world.json(&["signals", "list", "--undelivered"]).await;
    let [waits] = list(&undelivered) else {
        panic!("{undelivered}");
    };
    assert!(text(&waits["name"]).ends_with(&second), "{waits}");
    assert_eq!(waits["delivery"]["state"], "DELIVERY_STATE_PENDING");
    let sent = world.json(&["signals", "redeliver", &second]).await;
    assert_eq!(sent["name"], waits["name"]);
    until("the webhook takes it", || receiver.count() == 3).await;
    assert_eq!(receiver.letter(2).0, receiver.letter(1).0);
    let none = ["signals", "list", "--undelivered"];
    while world.json(&none).await != json!([]) {}
    let shown = world.run(&["signals", "show", &second]).await.exits(0).out;
    let told = |line: &str| line.starts_with("Delivery ") && line.contains(" delivered at ");
    assert!(shown.lines().any(told), "{shown}");

    // Somebody else has to agree that nobody is told any more.
    let asked = world.run_json(&["tenant", "update", "--no-webhook"]).await;
    assert_eq!(asked.exits(3).json()["webhook"]["url"], url);
    world.approve_newest().await;
    while world.json(&["tenant", "show"]).await["webhook"] != Value::Null {}
    let refused = world.run(&["signals", "redeliver", &second]).await;
    refused.fails(1, &["NO_WEBHOOK"]);
}
