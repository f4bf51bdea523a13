//! The console's pages of protection and of signals.

use super::reporting::{name, object, path};
use super::stage::{Stage, stage};
use super::support::{A, OPERATOR};
use http::StatusCode;
use proto::v1::*;
use tonic::Status;

fn posture(snapshot: &str, score: i32) -> Posture {
    let check = |id: &str, layer: PostureLayer, status: PostureStatus| PostureCheck {
        id: id.to_owned(),
        layer: layer.into(),
        status: status.into(),
        severity: Severity::Critical.into(),
        points: 15,
        sentence: format!("This is about {id}."),
        remedy: "Do <b>this</b>.".to_owned(),
        ..PostureCheck::default()
    };
    Posture {
        score,
        snapshot: match snapshot {
            "" => String::new(),
            id => name("snapshots", id),
        },
        checks: vec![
            check(
                "hard-delete-protected",
                PostureLayer::Action,
                PostureStatus::Good,
            ),
            check(
                "policy-enabled",
                PostureLayer::Policy,
                PostureStatus::Finding,
            ),
        ],
        ..Posture::default()
    }
}

async fn guarded() -> Stage {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    stage.script.on(
        "ProtectionService/GetPosture",
        |request: GetPostureRequest| {
            let posture = match request.snapshot.as_str() {
                "" => posture("", 90),
                _ => posture("20261122-daily", 60),
            };
            Ok(vec![GetPostureResponse {
                posture: Some(posture),
            }])
        },
    );
    stage.script.on(
        "ProtectionService/ListPostures",
        |_: ListPosturesRequest| {
            Ok(vec![ListPosturesResponse {
                postures: vec![posture("b", 60), posture("a", 40)],
                ..ListPosturesResponse::default()
            }])
        },
    );
    stage
}

#[tokio::test]
async fn the_layers_say_which_of_them_is_open() {
    let stage = guarded().await;
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/protection")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    for expected in [
        "<li class=\"good\"><h3>Protected action</h3>",
        "<li class=\"bad\"><h3>Conditional Access policy</h3>",
        "<li class=\"plain\"><h3>Managed device</h3>",
        "Do &#60;b&#62;this&#60;/b&#62;.",
        "snapshot 20261122-daily",
        "The score went from 40",
    ] {
        assert!(page.text.contains(expected), "{expected} in {}", page.text);
    }
    let fresh = browser.get(&path("/protection?now=1")).await.text;
    assert!(
        fresh.contains("Read just now") && fresh.contains("<b>90</b>"),
        "{fresh}"
    );
}

#[tokio::test]
async fn where_nothing_is_kept_the_tenant_is_read() {
    let stage = guarded().await;
    stage.script.on(
        "ProtectionService/GetPosture",
        |request: GetPostureRequest| match request.snapshot.as_str() {
            "" => Ok(vec![GetPostureResponse {
                posture: Some(posture("", 90)),
            }]),
            _ => Err(Status::not_found("nothing is kept")),
        },
    );
    let page = stage
        .browser(OPERATOR)
        .await
        .get(&path("/protection"))
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains("Read just now"));
}

#[tokio::test]
async fn the_fix_is_a_plan_like_any_other() {
    let stage = guarded().await;
    stage.script.on(
        "ProtectionService/PlanProtection",
        |_: PlanProtectionRequest| {
            Ok(vec![PlanProtectionResponse {
                plan: Some(Plan {
                    name: name("plans", "p-9"),
                    ..Plan::default()
                }),
            }])
        },
    );
    let browser = stage.browser(OPERATOR).await;
    let rule = "device.extensionAttribute1 -eq \"PAW\"";
    let fields = [("device-filter", rule), ("accept-lockout", "1")];
    let sent = browser.post(&path("/protection/plan"), &fields).await;
    assert_eq!(sent.location(), path("/restores/p-9"), "{}", sent.text);
    let asked: Vec<PlanProtectionRequest> = stage.script.asked("PlanProtection");
    let choices = asked[0].choices.clone().expect("choices");
    assert_eq!(choices.device_filter, rule);
    assert_eq!(asked[0].accepted_risks, [i32::from(Risk::Lockout)]);
}

fn signal() -> Signal {
    Signal {
        name: name("signals", "s-1"),
        title: "Three users <i>were</i> deleted".to_owned(),
        rule: "mass-delete".to_owned(),
        severity: Severity::Critical.into(),
        base: name("snapshots", "20261122-daily"),
        actor: Some(Initiator {
            r#type: InitiatorType::User.into(),
            id: "u-9".to_owned(),
            display_name: "eve@contoso.example".to_owned(),
            ip_address: "203.0.113.7".to_owned(),
            is_rewind: false,
        }),
        targets: vec![SignalTarget {
            object: object("u-1", "Ann"),
            in_snapshot: true,
            snapshot_display_name: "Ann".to_owned(),
            ..SignalTarget::default()
        }],
        command: "rewind restore plan --snapshot 20261122-daily --id u-1".to_owned(),
        delivery: Some(SignalDelivery {
            state: DeliveryState::Dead.into(),
            attempts: 10,
            ..SignalDelivery::default()
        }),
        ..Signal::default()
    }
}

async fn alarmed() -> Stage {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    stage
        .script
        .on("SignalService/ListSignals", |_: ListSignalsRequest| {
            Ok(vec![ListSignalsResponse {
                signals: vec![signal()],
                next_page_token: "n".to_owned(),
            }])
        });
    stage
        .script
        .on("SignalService/GetSignal", |_: GetSignalRequest| {
            Ok(vec![GetSignalResponse {
                signal: Some(signal()),
            }])
        });
    stage
}

#[tokio::test]
async fn signals_are_chosen_by_the_service() {
    let stage = alarmed().await;
    let browser = stage.browser(OPERATOR).await;
    let page = browser
        .get(&path(
            "/signals?severity=high&from=2026-11-20&undelivered=1",
        ))
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let asked: Vec<ListSignalsRequest> = stage.script.asked("ListSignals");
    assert_eq!(asked[0].min_severity(), Severity::High);
    assert!(asked[0].undelivered && asked[0].from_time.is_some());
    let next = "severity=high&#38;from=2026-11-20&#38;undelivered=1&#38;page_token=n";
    assert!(page.text.contains(next), "{}", page.text);
    assert!(
        page.text
            .contains("Three users &#60;i&#62;were&#60;/i&#62; deleted")
    );
    let wrong = browser.get(&path("/signals?from=soon")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text.contains("a day such as"));
}

#[tokio::test]
async fn a_signal_says_who_did_what_and_what_helps() {
    let stage = alarmed().await;
    stage.script.on(
        "SignalService/RedeliverSignal",
        |_: RedeliverSignalRequest| {
            Ok(vec![RedeliverSignalResponse {
                signal: Some(signal()),
            }])
        },
    );
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/signals/s-1")).await.text;
    for expected in [
        "eve@contoso.example",
        "203.0.113.7",
        "rewind restore plan --snapshot 20261122-daily --id u-1",
        "/restores/new?snapshot=20261122-daily&#38;id=u-1",
        "/snapshots/20261122-daily/objects/u-1?type=user",
        "Not delivered",
        "10 times",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let sent = browser.post(&path("/signals/s-1/redeliver"), &[]).await;
    assert_eq!(sent.location(), path("/signals/s-1"));
    let asked: Vec<RedeliverSignalRequest> = stage.script.asked("RedeliverSignal");
    assert_eq!(asked[0].name, name("signals", "s-1"));
}
