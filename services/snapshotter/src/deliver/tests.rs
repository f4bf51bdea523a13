//! Signals on their way, with everything that may come between.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use model::SignalId;
use model::drift::Severity;
use model::error::reason;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use proto::convert::timestamp;
use proto::name;
use proto::v1::{
    DeliveryAttempt, DeliveryState, ListSignalsRequest, RedeliverSignalRequest, Severity as Severe,
    SignalDelivery,
};
use runtime::config::{Settings, fixed};
use runtime::{Clock, ManualClock, SeededIds};
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::{Area, Kek, Vault};
use testkit::store::{FaultStore, moment, record, tenant};
use testkit::time;

use super::sending::SILENCE;
use super::*;
use crate::redeliver::redeliver;
use crate::{Config, Deps};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNAL: &str = "20260921-daily-mass-disable";

/// What a webhook heard.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heard {
    id: String,
    at: i64,
    signature: String,
    body: String,
}

/// What a webhook answers.
#[derive(Debug, Clone)]
enum Answer {
    Status(u16),
    RetryAfter(u16, &'static str),
    Redirect(String),
    Never,
}

/// A webhook on this machine: it answers from a script, and then takes everything.
#[derive(Debug, Clone, Default)]
struct Receiver {
    heard: Arc<Mutex<Vec<Heard>>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
    url: String,
}

async fn hear(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: String,
) -> impl IntoResponse {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    assert_eq!(header("content-type"), "application/json");
    receiver.heard.lock().push(Heard {
        id: header("webhook-id"),
        at: header("webhook-timestamp").parse().unwrap(),
        signature: header("webhook-signature"),
        body,
    });
    let answer = receiver.script.lock().pop_front();
    let status = |status| StatusCode::from_u16(status).unwrap();
    let mut more = HeaderMap::new();
    let status = match answer.unwrap_or(Answer::Status(204)) {
        Answer::Status(code) => status(code),
        Answer::RetryAfter(code, after) => {
            more.insert("retry-after", after.parse().unwrap());
            status(code)
        }
        Answer::Redirect(to) => {
            more.insert("location", to.parse().unwrap());
            StatusCode::TEMPORARY_REDIRECT
        }
        Answer::Never => std::future::pending().await,
    };
    (status, more)
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let router = Router::new()
            .route("/hook", post(hear))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().extend(answers);
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }
}

fn webhooks() -> Webhooks {
    runtime::tls::install_provider();
    let source = fixed([
        ("REWIND_STORE_URL", "memory:///"),
        ("REWIND_CUSTOM_CLOUDS", "allow"),
        ("REWIND_CREDENTIAL_WEBHOOK_A", SECRET),
    ]);
    let config = Config::read(&Settings::load(&source).unwrap()).unwrap();
    Webhooks::new(&config, Arc::new(source)).unwrap()
}

fn webhook(url: &str) -> Webhook {
    Webhook {
        url: url.to_owned(),
        secret: "env:REWIND_CREDENTIAL_WEBHOOK_A".to_owned(),
        min_severity: Severity::Medium,
        since: moment(0),
    }
}

struct World {
    store: Arc<FaultStore>,
    clock: Arc<ManualClock>,
    context: Context,
    vault: TenantVault,
    receiver: Receiver,
    webhooks: Webhooks,
}

fn context(vault: &Vault, clock: Arc<dyn Clock>) -> Context {
    Context::new(Deps {
        vault: vault.clone(),
        copies: None,
        differ: None,
        clock,
        ids: Arc::new(SeededIds::new(1)),
        connect: Arc::new(|_| Err(Error::Suspended)),
    })
}

impl World {
    /// Tenant 1 with a webhook for signals from medium severity on.
    async fn new() -> Self {
        let store = Arc::new(FaultStore::new(Arc::new(InMemory::new())));
        let vaults = Vault::new(
            Arc::clone(&store) as Arc<dyn ObjectStore>,
            Arc::new(Kek::from_bytes([1; 32])),
        );
        let receiver = Receiver::start().await;
        let mut record = record(&tenant(1));
        record.webhook = Some(webhook(&receiver.url));
        vaults.create_tenant(&record).await.unwrap();
        let clock = Arc::new(ManualClock::new(moment(100)));
        Self {
            store,
            vault: vaults.tenant(&tenant(1)).await.unwrap(),
            context: context(&vaults, Arc::clone(&clock) as Arc<dyn Clock>),
            clock,
            receiver,
            webhooks: webhooks(),
        }
    }

    async fn raise(&self, id: &str, severity: Severity) {
        raise(&self.context, &self.vault, id, severity).await;
    }

    /// A turn of the tenant, by a process that knows nothing of before.
    async fn turn(&self) -> Turn {
        let context = context(
            &self.context.deps.vault,
            Arc::clone(&self.clock) as Arc<dyn Clock>,
        );
        let context = Context {
            metrics: self.context.metrics.clone(),
            records: self.context.records.clone(),
            ..context
        };
        turn(&context, &self.webhooks, &Dues::default(), &tenant(1)).await
    }

    /// Sets the clock to when the tenant wants its next turn.
    async fn turn_at(&self, next: Next) -> Turn {
        let Next::At(time) = next else {
            panic!("no time but {next:?}");
        };
        self.clock.set(time);
        self.turn().await
    }

    async fn delivery(&self, id: &str) -> Option<SignalDelivery> {
        let full_name = name::signal(&tenant(1), &SignalId::parse(id).unwrap());
        let signal = signals::get(&self.context, &full_name).await.unwrap();
        signal.delivery
    }

    async fn state(&self, id: &str) -> Option<DeliveryState> {
        self.delivery(id).await.map(|delivery| delivery.state())
    }

    async fn undelivered(&self) -> Vec<String> {
        let request = ListSignalsRequest {
            parent: name::tenant(&tenant(1)),
            undelivered: true,
            ..ListSignalsRequest::default()
        };
        let answer = signals::list(&self.context, request).await.unwrap();
        let names = answer.signals.iter().map(|signal| &signal.name);
        names
            .map(|name| name.rsplit('/').next().unwrap().to_owned())
            .collect()
    }

    async fn redeliver(&self, id: &str, request_id: &str) -> Result<Signal, Error> {
        let request = RedeliverSignalRequest {
            name: format!("tenants/{}/signals/{id}", tenant(1)),
            request_id: request_id.to_owned(),
        };
        redeliver(&self.context, request).await
    }

    async fn change(&self, change: impl FnOnce(&mut store::TenantRecord)) {
        let vault = &self.context.deps.vault;
        let mut record = vault.tenant_record(&tenant(1)).await.unwrap().unwrap();
        change(&mut record.value);
        vault.update_tenant(&record).await.unwrap();
    }

    fn metric(&self, series: &str) -> Option<String> {
        let mut registry = Registry::default();
        self.context.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let series = series.replace('@', &tenant(1).to_string());
        let mut lines = text.lines();
        lines.find_map(|line| Some(line.strip_prefix(&series)?.trim().to_owned()))
    }
}

async fn raise(context: &Context, vault: &TenantVault, id: &str, severity: Severity) {
    let id = SignalId::parse(id).unwrap();
    let signal = Signal {
        name: name::signal(vault.id(), &id),
        time: Some(timestamp(moment(50))),
        rule: "mass-disable".to_owned(),
        severity: proto::convert::severity(severity) as i32,
        title: "Many users were disabled".to_owned(),
        ..Signal::default()
    };
    let raised = signals::raise(context, vault, &id, severity, &signal).await;
    raised.unwrap();
}

#[tokio::test]
async fn a_signal_is_delivered_once_and_signed() {
    let world = World::new().await;
    world.raise(SIGNAL, Severity::High).await;
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Pending));
    assert_eq!(world.turn().await.next, Next::Never);
    assert_eq!(world.turn().await.next, Next::Never);

    let heard = world.receiver.heard();
    let [heard] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!(heard.id, format!("sig_{}_{SIGNAL}", tenant(1)));
    assert_eq!(heard.at, moment(100).timestamp());
    let signature = signature::signatures(SECRET, &heard.id, heard.at, &heard.body);
    assert_eq!(Ok(heard.signature.clone()), signature);
    let body: serde_json::Value = serde_json::from_str(&heard.body).unwrap();
    assert_eq!(
        body["name"],
        format!("tenants/{}/signals/{SIGNAL}", tenant(1))
    );
    assert_eq!(body["severity"], "SEVERITY_HIGH");
    assert_eq!(body["raiseTime"], "2026-09-21T14:15:00Z");
    assert_eq!(body["delivery"], serde_json::Value::Null);

    let delivery = world.delivery(SIGNAL).await.unwrap();
    assert_eq!(delivery.state(), DeliveryState::Delivered);
    assert_eq!((delivery.attempts, delivery.next_time), (1, None));
    assert_eq!(delivery.last_attempt.unwrap().http_status, 204);
    assert_eq!(world.undelivered().await, [""; 0]);
    let delivered = "rewind_signal_deliveries_total{tenant=\"@\",outcome=\"delivered\"}";
    assert_eq!(world.metric(delivered).as_deref(), Some("1"));
}

#[tokio::test]
async fn what_was_sent_and_not_noted_is_sent_again_under_the_same_id() {
    let world = World::new().await;
    world.raise(SIGNAL, Severity::High).await;
    // The number of the attempt is taken, and the outcome is not noted.
    world.store.break_after(1);
    let broken = world.turn().await;
    assert_eq!(broken.next, Next::After(REST));
    world.store.mend();
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Pending));
    // Whoever looks at once may not know whether the other is still at it.
    let waits = world.turn().await;
    assert_eq!(world.receiver.heard().len(), 1);
    world.turn_at(waits.next).await;
    let heard = world.receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(
        (&heard[0].id, &heard[0].body),
        (&heard[1].id, &heard[1].body)
    );
    assert_ne!(heard[0].signature, heard[1].signature);
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Delivered));
    assert_eq!(world.delivery(SIGNAL).await.unwrap().attempts, 2);
}

#[tokio::test]
async fn broken_off_anywhere_a_signal_arrives() {
    // The signal, the attempt and its end are three puts.
    for broken in 0..4 {
        let world = World::new().await;
        world.store.break_after(broken);
        let id = SignalId::parse(SIGNAL).unwrap();
        let signal = Signal {
            severity: Severe::High as i32,
            ..Signal::default()
        };
        let raise = || signals::raise(&world.context, &world.vault, &id, Severity::High, &signal);
        assert_eq!(raise().await.is_ok(), broken > 0);
        world.turn().await;
        world.store.mend();
        // Whoever raises it tries again, too.
        raise().await.unwrap();
        let mut turns = 0;
        while world.state(SIGNAL).await != Some(DeliveryState::Delivered) {
            world.clock.advance(TimeDelta::minutes(1));
            world.turn().await;
            turns += 1;
            assert!(turns < 4, "after {broken}");
        }
        let heard = world.receiver.heard();
        assert_eq!(heard.len(), 1 + usize::from(broken == 2), "after {broken}");
    }
}

#[tokio::test]
async fn a_webhook_that_is_away_is_tried_for_a_day_and_then_the_letter_is_kept() {
    let world = World::new().await;
    let away = std::iter::repeat_n(Answer::Status(503), 10);
    world.receiver.answers(away);
    world.raise(SIGNAL, Severity::Critical).await;
    let mut turn = world.turn().await;
    let age = "rewind_signal_undelivered_age_seconds{tenant=\"@\"}";
    let mut times = vec![world.clock.now()];
    while turn.next != Next::Never {
        assert_eq!(turn.oldest, Some(moment(100)));
        assert_eq!(world.undelivered().await, [SIGNAL]);
        let delivery = world.delivery(SIGNAL).await.unwrap();
        assert_eq!(usize::try_from(delivery.attempts).unwrap(), times.len());
        let last = delivery.last_attempt.unwrap();
        assert_eq!(last.problem, "the webhook answered 503");
        assert_eq!(
            delivery
                .next_time
                .as_ref()
                .and_then(proto::convert::time)
                .map(Next::At),
            Some(turn.next)
        );
        turn = world.turn_at(turn.next).await;
        times.push(world.clock.now());
    }
    assert_eq!(times.len(), 10);
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let grows = |pair: &[TimeDelta]| pair[1] > pair[0] * 2 || pair[1] > TimeDelta::hours(3);
    assert!(pauses.windows(2).all(grows), "{pauses:?}");
    let all = times[9] - times[0];
    assert!((17..29).contains(&all.num_hours()), "{all}");

    let heard = world.receiver.heard();
    assert_eq!(heard.len(), 10);
    assert!(heard.iter().all(|it| it.id == heard[0].id));
    let delivery = world.delivery(SIGNAL).await.unwrap();
    assert_eq!(delivery.state(), DeliveryState::Dead);
    assert_eq!((delivery.attempts, delivery.next_time), (10, None));
    assert_eq!(world.undelivered().await, [SIGNAL]);
    for (series, expected) in [
        (
            "rewind_signal_deliveries_total{tenant=\"@\",outcome=\"failed\"}",
            "10",
        ),
        ("rewind_signal_delivery_retries_total{tenant=\"@\"}", "9"),
        ("rewind_signal_dead_letters_total{tenant=\"@\"}", "1"),
    ] {
        assert_eq!(world.metric(series).as_deref(), Some(expected), "{series}");
    }
    assert_eq!(world.metric(age), None, "told by who keeps the turns");
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(world.turn().await.next, Next::Never);
    assert_eq!(world.receiver.heard().len(), 10);

    // Somebody asks for it, twice by the same request.
    for _ in 0..2 {
        let asked = world.redeliver(SIGNAL, "r1").await.unwrap();
        assert_eq!(asked.delivery.unwrap().state(), DeliveryState::Pending);
    }
    world.turn().await;
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Delivered));
    assert_eq!(world.undelivered().await, [""; 0]);
    let heard = world.receiver.heard();
    assert_eq!(heard.len(), 11);
    assert_eq!(heard[10].id, heard[0].id);
    world.redeliver(SIGNAL, "r1").await.unwrap();
    world.turn().await;
    assert_eq!(
        world.receiver.heard().len(),
        11,
        "the same request sends once"
    );
    world.redeliver(SIGNAL, "r2").await.unwrap();
    world.turn().await;
    assert_eq!(world.receiver.heard().len(), 12, "another one sends again");
    let other = "20260921-daily-other";
    world.raise(other, Severity::Low).await;
    world.turn().await;
    assert_eq!(world.state(other).await, Some(DeliveryState::Passed));
    world.redeliver(other, "r2").await.unwrap();
    world.turn().await;
    assert_eq!(world.receiver.heard().len(), 13, "and another signal, too");
}

#[tokio::test]
async fn an_attempt_that_nobody_ended_was_the_last_one_too() {
    let world = World::new().await;
    world.raise(SIGNAL, Severity::High).await;
    let delivery = Delivery::first(SIGNAL);
    for number in 1..=10 {
        let attempt = DeliveryAttempt {
            number,
            time: Some(timestamp(moment(100))),
            ..DeliveryAttempt::default()
        };
        assert!(delivery.attempt(&world.vault, &attempt).await.unwrap());
    }
    let waits = world.turn().await;
    assert_eq!(waits.next, Next::At(moment(100) + SILENCE));
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Pending));
    assert_eq!(world.turn_at(waits.next).await.next, Next::Never);
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Dead));
    assert_eq!(world.receiver.heard(), []);
}

#[tokio::test]
async fn a_webhook_is_asked_again_when_it_says_and_a_redirect_leads_nowhere() {
    let world = World::new().await;
    let elsewhere = Receiver::start().await;
    world.receiver.answers([
        Answer::RetryAfter(429, "3600"),
        Answer::Redirect(elsewhere.url.clone()),
        Answer::RetryAfter(503, "999999"),
    ]);
    world.raise(SIGNAL, Severity::High).await;
    let turn = world.turn().await;
    assert_eq!(turn.next, Next::At(moment(100) + TimeDelta::hours(1)));
    let turn = world.turn_at(turn.next).await;
    assert_eq!(elsewhere.heard(), []);
    let last = world.delivery(SIGNAL).await.unwrap().last_attempt.unwrap();
    assert_eq!(last.problem, "the webhook answered 307");
    let turn = world.turn_at(turn.next).await;
    assert_eq!(turn.next, Next::At(world.clock.now() + TimeDelta::hours(5)));
    world.turn_at(turn.next).await;
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Delivered));
}

#[tokio::test]
async fn only_what_a_webhook_is_for_is_sent() {
    let world = World::new().await;
    let low = "20260921-daily-low";
    world.raise(low, Severity::Low).await;
    // Before there was a webhook.
    world.clock.set(moment(-3_600));
    let early = "20260921-daily-early";
    world.raise(early, Severity::Critical).await;
    world.clock.set(moment(100));
    // Late, under the name of an earlier day.
    let late = "20260825-daily-late";
    world.raise(late, Severity::Medium).await;
    assert_eq!(world.undelivered().await, [late]);
    world.turn().await;
    let heard = world.receiver.heard();
    let ids: Vec<&str> = heard.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, [format!("sig_{}_{late}", tenant(1))]);
    for passed in [low, early] {
        assert_eq!(world.state(passed).await, Some(DeliveryState::Passed));
    }
    assert_eq!(world.undelivered().await, [""; 0]);
    // What a person asks for is sent in any case.
    world.redeliver(early, "r1").await.unwrap();
    world.turn().await;
    assert_eq!(world.state(early).await, Some(DeliveryState::Delivered));
}

#[tokio::test]
async fn of_several_replicas_one_sends() {
    let world = World::new().await;
    for n in 0..8 {
        world
            .raise(&format!("20260921-daily-{n}"), Severity::High)
            .await;
    }
    let turns = (0..4).map(|_| world.turn());
    futures::future::join_all(turns).await;
    assert_eq!(world.receiver.heard().len(), 8);
    assert_eq!(world.undelivered().await, [""; 0]);
}

#[tokio::test]
async fn a_suspended_tenants_signals_wait_and_without_a_webhook_nothing_is_sent() {
    let world = World::new().await;
    world.raise(SIGNAL, Severity::High).await;
    world
        .change(|record| record.state = TenantState::Suspended)
        .await;
    assert_eq!(world.turn().await.next, Next::Never);
    let refused = world.redeliver(SIGNAL, "r1").await.unwrap_err();
    assert_eq!(refused.reason(), reason::PERMISSION_DENIED);
    world
        .change(|record| record.state = TenantState::Active)
        .await;
    world.turn().await;
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Delivered));

    world.change(|record| record.webhook = None).await;
    let other = "20260921-daily-other";
    world.raise(other, Severity::High).await;
    assert_eq!(world.turn().await.next, Next::Never);
    assert_eq!(world.state(other).await, None);
    let refused = world.redeliver(other, "r1").await.unwrap_err();
    assert_eq!(refused.reason(), reason::NO_WEBHOOK);
    let unknown = world.redeliver("20260921-daily-nothing", "r1").await;
    assert_eq!(unknown.unwrap_err().reason(), reason::NOT_FOUND);
    assert_eq!(world.receiver.heard().len(), 1);
}

#[tokio::test]
async fn a_damaged_signal_keeps_no_other_from_its_way() {
    let world = World::new().await;
    let bad = "20260921-daily-bad";
    let nonsense = bytes_of(&[0xff; 9]);
    world
        .vault
        .put(Area::Signals, bad, signals::SIGNAL, nonsense)
        .await
        .unwrap();
    // One that is gone, and was tried or is to be sent again.
    let gone = "20260920-daily-gone";
    let attempt = DeliveryAttempt {
        number: 1,
        time: Some(timestamp(moment(0))),
        ..DeliveryAttempt::default()
    };
    let delivery = Delivery::first(gone);
    assert!(delivery.attempt(&world.vault, &attempt).await.unwrap());
    let asked = Delivery::asked("20260920T000000-r1", gone);
    assert!(asked.begin(&world.vault, moment(0)).await.unwrap());
    world.raise(SIGNAL, Severity::High).await;
    let turn = world.turn().await;
    assert_eq!((turn.next, turn.oldest), (Next::Never, None));
    assert_eq!(world.state(SIGNAL).await, Some(DeliveryState::Delivered));

    // Where nothing can be read, nothing is known of any age.
    world.store.refuse_reads(true);
    let turn = world.turn().await;
    assert_eq!((turn.next, turn.looked), (Next::After(REST), false));
}

#[tokio::test]
async fn a_new_letter_waits_for_none_that_was_tried() {
    let world = World::new().await;
    world
        .receiver
        .answers([Answer::Status(503), Answer::Status(503)]);
    let tried = ["20260920-daily-a", "20260920-daily-b"];
    for id in tried {
        world.raise(id, Severity::High).await;
    }
    world.turn().await;
    // Both are due, and the new one has the last name.
    world.clock.advance(TimeDelta::minutes(1));
    world.raise(SIGNAL, Severity::High).await;
    assert_eq!(world.turn().await.next, Next::Never);
    let heard = world.receiver.heard();
    let ids: Vec<&str> = heard.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids[2], format!("sig_{}_{SIGNAL}", tenant(1)));
    assert_eq!(ids.len(), 5);
    assert_eq!(world.undelivered().await, [""; 0]);
}

#[tokio::test]
async fn what_waits_is_looked_at_once() {
    let world = World::new().await;
    world.receiver.answers([Answer::Status(503)]);
    world.raise(SIGNAL, Severity::High).await;
    let turn = world.turn().await;
    let (webhook, dues) = (webhook(&world.receiver.url), Dues::default());
    let post = Post {
        context: &world.context,
        webhooks: &world.webhooks,
        dues: &dues,
        webhook: &webhook,
        vault: &world.vault,
    };
    let ledger = ledger::recent(&world.vault, moment(100)).await.unwrap();
    let (delivery, documents) = ledger.first_key_value().unwrap();
    let due = post.due(delivery, documents).await.unwrap();
    assert_eq!(turn.next, Next::At(due));
    world.store.refuse_reads(true);
    assert_eq!(post.due(delivery, documents).await.unwrap(), due);
}

#[test]
fn a_webhook_is_for_what_was_raised_since_as_far_as_clocks_agree() {
    let webhook = webhook("https://hooks.example");
    for (raised, severity, wanted) in [
        (0, Severe::High, true),
        (-299, Severe::Medium, true),
        (-301, Severe::High, false),
        (0, Severe::Low, false),
    ] {
        let signal = Signal {
            raise_time: Some(timestamp(moment(raised))),
            severity: severity as i32,
            ..Signal::default()
        };
        assert_eq!(wants(&webhook, &signal), wanted, "{raised} {severity:?}");
    }
}

#[tokio::test]
async fn who_raises_what_is_stored_rings_the_bell() {
    let world = World::new().await;
    world.raise(SIGNAL, Severity::High).await;
    // Another process, which may be the only one that is left.
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let other = context(&world.context.deps.vault, clock);
    raise(&other, &world.vault, SIGNAL, Severity::High).await;
    assert_eq!(other.bell.rung().await, [tenant(1)].into());
}

fn bytes_of(bytes: &[u8]) -> axum::body::Bytes {
    axum::body::Bytes::copy_from_slice(bytes)
}

/// A collector on this machine: what it was told, and how often it refuses before.
#[derive(Debug, Clone, Default)]
struct Collector {
    told: Arc<Mutex<Vec<ResourceLogs>>>,
    refuses: Arc<Mutex<u32>>,
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        let mut refuses = self.refuses.lock();
        if *refuses > 0 {
            *refuses -= 1;
            return Err(tonic::Status::unavailable("it is full"));
        }
        self.told.lock().extend(request.into_inner().resource_logs);
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, Records) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self::default();
        let server = tonic::transport::Server::builder()
            .add_service(LogsServiceServer::new(collector.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        tokio::spawn(server);
        (
            collector,
            Records::to(runtime::connect(&url, None).unwrap()),
        )
    }

    /// The records, as severity, body and attributes.
    fn records(&self) -> Vec<(String, String, Vec<String>)> {
        let told = self.told.lock().clone();
        let scopes = told.into_iter().flat_map(|it| it.scope_logs);
        let text = |value: Option<AnyValue>| match value.and_then(|it| it.value) {
            Some(Value::StringValue(text)) => text,
            other => format!("{other:?}"),
        };
        let records = scopes.flat_map(|it| it.log_records);
        let record = |it: LogRecord| {
            assert_eq!(it.event_name, "rewind.signal");
            assert_eq!(it.time_unix_nano, 1_790_000_050_000_000_000);
            assert_eq!(it.observed_time_unix_nano, 1_790_000_100_000_000_000);
            let attributes = it.attributes.into_iter();
            let attributes = attributes.map(|it| format!("{}={}", it.key, text(it.value)));
            (it.severity_text, text(it.body), attributes.collect())
        };
        records.map(record).collect()
    }
}

#[tokio::test]
async fn a_collector_is_told_of_each_signal_at_least_once() {
    let mut world = World::new().await;
    let (collector, records) = Collector::start().await;
    world.context.records = Some(records);
    // A tenant without a webhook, too.
    world.change(|record| record.webhook = None).await;
    world.raise(SIGNAL, Severity::Low).await;
    *collector.refuses.lock() = 1;
    let turn = world.turn().await;
    assert_eq!(turn.next, Next::At(moment(100) + REST));
    assert_eq!(collector.records(), []);
    // Told, and not noted.
    world.store.break_after(0);
    let turn = world.turn_at(turn.next).await;
    assert_eq!(turn.next, Next::At(moment(160) + REST));
    world.store.mend();
    assert_eq!(world.turn_at(turn.next).await.next, Next::Never);
    assert_eq!(world.turn().await.next, Next::Never);
    let told = collector.records();
    let attributes = [
        format!("rewind.tenant={}", tenant(1)),
        format!("rewind.signal={SIGNAL}"),
        "rewind.rule=mass-disable".to_owned(),
        "rewind.severity=low".to_owned(),
        "rewind.report=".to_owned(),
    ];
    let record = (
        "low".to_owned(),
        "Many users were disabled".to_owned(),
        attributes.to_vec(),
    );
    assert_eq!(told, [record.clone(), record]);
    let counted = world.metric("rewind_signal_records_total{tenant=\"@\"}");
    assert_eq!(counted.as_deref(), Some("2"));
    // That says nothing of a webhook.
    assert_eq!(world.state(SIGNAL).await, None);

    // While it rests after a failure, no tenant asks it; nor are letters held up.
    let other = "20260921-daily-other";
    let url = world.receiver.url.clone();
    world
        .change(|record| record.webhook = Some(webhook(&url)))
        .await;
    let now = world.clock.now();
    world.clock.set(moment(100));
    world.raise(other, Severity::High).await;
    world.clock.set(now);
    let records = world.context.records.clone().unwrap();
    let until = now + TimeDelta::seconds(30);
    records.went(false, until);
    assert_eq!(world.turn().await.next, Next::At(until));
    assert_eq!(collector.records().len(), 2);
    assert_eq!(world.state(other).await, Some(DeliveryState::Delivered));
    // Then one asks, and the others wait for what it hears.
    assert_eq!(records.may_tell(until, REST), Ok(()));
    assert_eq!(records.may_tell(until, REST), Err(until + REST));
    records.went(true, until);
    assert_eq!(world.turn().await.next, Next::Never);
    assert_eq!(collector.records().len(), 3);

    // What is long ago is news to nobody.
    world.raise("20260921-daily-old", Severity::Low).await;
    world.clock.advance(TimeDelta::days(8));
    assert_eq!(world.turn().await.next, Next::Never);
    assert_eq!(collector.records().len(), 3);
}

#[tokio::test]
async fn many_records_are_told_in_several_turns() {
    let mut world = World::new().await;
    let (collector, records) = Collector::start().await;
    world.context.records = Some(records);
    world.change(|record| record.webhook = None).await;
    for n in 0..=MOST_RECORDS {
        let id = format!("20260921-daily-{n}");
        world.raise(&id, Severity::Low).await;
    }
    assert_eq!(world.turn().await.next, Next::Now);
    let told = collector.records().len();
    assert!((1..=MOST_RECORDS).contains(&told), "{told}");
    while world.turn().await.next == Next::Now {}
    assert_eq!(collector.records().len(), MOST_RECORDS + 1);
}

/// The wall time of a simulated run.
#[derive(Debug)]
struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> DateTime<Utc> {
        moment(100) + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }
}

#[test]
fn one_that_never_answers_holds_up_nobody_and_what_others_left_is_found() {
    time::run(Duration::from_millis(5), async {
        let vaults = Vault::new(
            Arc::new(InMemory::new()),
            Arc::new(Kek::from_bytes([1; 32])),
        );
        let (slow, quick) = (Receiver::start().await, Receiver::start().await);
        slow.answers(std::iter::repeat_n(Answer::Never, 1_000));
        for (n, receiver) in [(1, &slow), (2, &quick)] {
            let mut record = record(&tenant(n));
            record.webhook = Some(webhook(&receiver.url));
            vaults.create_tenant(&record).await.unwrap();
        }
        let clock: Arc<dyn Clock> = Arc::new(Wall(Instant::now()));
        let context = Context {
            webhooks: Some(webhooks()),
            delivery_sweep: Duration::from_secs(60),
            ..context(&vaults, clock)
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(context.clone(), stop.clone()));
        let slow_vault = vaults.tenant(&tenant(1)).await.unwrap();
        let quick_vault = vaults.tenant(&tenant(2)).await.unwrap();
        for n in 0..3 {
            let id = format!("20260921-daily-{n}");
            raise(&context, &slow_vault, &id, Severity::High).await;
        }
        while slow.heard().is_empty() {
            time::wait(Duration::from_millis(50)).await;
        }
        raise(&context, &quick_vault, SIGNAL, Severity::High).await;
        while quick.heard().is_empty() {
            time::wait(Duration::from_millis(50)).await;
        }
        assert!(slow.heard().len() < 3, "it had to wait for all of them");
        // A signal of a replica that ended before it sent anything.
        let other = Context::new(context.deps.clone());
        raise(&other, &quick_vault, "20260921-daily-left", Severity::High).await;
        let ids = || -> std::collections::BTreeSet<String> {
            slow.heard().into_iter().map(|it| it.id).collect()
        };
        // Each is tried, also where none is taken.
        while quick.heard().len() < 2 || ids().len() < 3 {
            time::wait(Duration::from_millis(50)).await;
        }
        let age = || -> Option<i64> {
            let mut registry = Registry::default();
            context.metrics.register(&mut registry);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            let name = "rewind_signal_undelivered_age_seconds";
            let series = format!("{name}{{tenant=\"{}\"}} ", tenant(1));
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(&series)?.parse().ok())
        };
        // It grows while nothing is taken.
        while age().is_none_or(|age| age < 120) {
            time::wait(Duration::from_secs(1)).await;
        }
        let since = context.deps.clock.now() - moment(100);
        assert!(age().is_some_and(|age| age <= since.num_seconds()));
        stop.cancel();
        running.await.unwrap();
    });
}
