//! The pages that only read, each with what the services answer.

use super::super::stage::{Stage, stage};
use super::super::support::{A, B, OPERATOR, OWNER_A};
use http::StatusCode;
use prost_types::Timestamp;
use proto::v1::*;
use tonic::Status;

/// What a tenant may call things to play tricks on a page.
const EVIL: &str = "<script>alert(1)</script>\u{202e}\u{2069}\"'&";
/// 2026-11-23, 07:00 UTC: an hour before the stage's time.
const SEVEN: i64 = 1_795_417_200;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn snapshot(tenant: &str, id: &str, seconds: i64) -> Snapshot {
    let kind = |kind: &str, count, complete| KindRecord {
        kind: kind.to_owned(),
        count,
        complete,
        problem: if complete {
            String::new()
        } else {
            EVIL.to_owned()
        },
        method: "delta".to_owned(),
        not_before: at(seconds),
        not_after: at(seconds + 42),
        ..KindRecord::default()
    };
    Snapshot {
        name: format!("tenants/{tenant}/snapshots/{id}"),
        state: SnapshotState::Complete.into(),
        start_time: at(seconds),
        end_time: at(seconds + 42),
        trigger: "daily".to_owned(),
        licence: "P2".to_owned(),
        object_count: 123_456,
        link_count: 7,
        stored_bytes: 5 << 20,
        kinds: vec![
            kind("user", 120_000, true),
            kind("deleted/user", 12, true),
            kind("group", 3_444, false),
        ],
        ..Snapshot::default()
    }
}

fn user(id: &str, name: &str) -> SnapshotObject {
    SnapshotObject {
        object: Some(ObjectRef {
            r#type: "user".to_owned(),
            id: id.to_owned(),
            display_name: name.to_owned(),
        }),
        state: ObjectState::Live.into(),
        json: serde_json::json!({
            "id": id,
            "displayName": name,
            "jobTitle": EVIL,
            "otherMails": [EVIL, "b@contoso.com"],
            "city": null,
        })
        .to_string(),
    }
}

fn answer<T>(value: T) -> Result<Vec<T>, Status> {
    Ok(vec![value])
}

/// Tenants A, whose newest snapshot is fresh, and B, whose is three days old.
async fn two_tenants() -> Stage {
    let stage = stage().await;
    stage.register(A, EVIL).await;
    stage.register(B, "Fabrikam").await;
    stage.script.on(
        "SnapshotService/ListSnapshots",
        |asked: ListSnapshotsRequest| {
            let day = 86_400;
            let tenant = asked.parent.trim_start_matches("tenants/").to_owned();
            let newest = if tenant == A { SEVEN } else { SEVEN - 3 * day };
            let mut snapshots = vec![
                snapshot(&tenant, "20261123-daily", newest),
                snapshot(&tenant, "20261122-daily", newest - day),
            ];
            snapshots.truncate(usize::try_from(asked.page_size).expect("small"));
            answer(ListSnapshotsResponse {
                snapshots,
                next_page_token: String::new(),
                problems: Vec::new(),
            })
        },
    );
    stage.script.on(
        "SnapshotService/GetSnapshot",
        |asked: GetSnapshotRequest| {
            answer(GetSnapshotResponse {
                snapshot: Some(Snapshot {
                    name: asked.name.replace("/latest", "/20261123-daily"),
                    ..snapshot(A, "20261123-daily", SEVEN)
                }),
            })
        },
    );
    stage
        .script
        .on("SignalService/ListSignals", |_: ListSignalsRequest| {
            answer(ListSignalsResponse::default())
        });
    stage
        .script
        .on("DiffService/ListReports", |_: ListReportsRequest| {
            answer(ListReportsResponse {
                reports: vec![Report {
                    name: format!("tenants/{A}/reports/r-1"),
                    state: ReportState::Succeeded.into(),
                    base: format!("tenants/{A}/snapshots/20261122-daily"),
                    target: format!("tenants/{A}/snapshots/20261123-daily"),
                    counts: Some(ChangeCounts {
                        modified: 1_234,
                        ..ChangeCounts::default()
                    }),
                    ..Report::default()
                }],
                next_page_token: String::new(),
            })
        });
    stage
}

/// That nothing of a tenant's text became markup or steers the text around it.
fn is_tame(text: &str) {
    assert!(!text.contains("<script>alert"), "markup");
    assert!(
        !text.contains('\u{202e}') && !text.contains('\u{2069}'),
        "direction"
    );
}

#[tokio::test]
async fn the_overview_shows_first_what_needs_attention() {
    let stage = two_tenants().await;
    let told = |seconds: i64| TenantSummary {
        last_snapshot: "tenants/x/snapshots/20261123-daily".to_owned(),
        last_snapshot_time: at(seconds),
        last_snapshot_complete: true,
        counts: vec![TypeCount {
            r#type: "user".to_owned(),
            count: 123_456,
        }],
        stored_bytes: 5 << 20,
        posture_score: Some(64),
        ..TenantSummary::default()
    };
    stage.tell(A, &told(SEVEN)).await;
    stage.tell(B, &told(SEVEN - 3 * 86_400)).await;
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    is_tame(&page.text);
    let place = |text: &str| page.text.find(text).unwrap_or_else(|| panic!("{text}"));
    let fresh = format!("href=\"/tenants/{A}\"");
    assert!(place("Fabrikam") < place(&fresh), "late before fresh");
    for text in [
        "no snapshot for 73 hours",
        "Needs attention",
        "In order",
        "123,456",
        "5.0 MiB",
        "64",
    ] {
        assert!(page.text.contains(text), "{text}");
    }
    let by_name = browser.get("/?q=FABRI&order=name").await;
    assert!(by_name.text.contains("Fabrikam") && !by_name.text.contains(A));
    let urgent = browser.get("/?attention=1").await;
    assert!(urgent.text.contains("Fabrikam") && !urgent.text.contains(A));
    let none = browser.get("/?group=gold").await;
    assert!(none.text.contains("in the group") && !none.text.contains("Fabrikam"));
    // No service is asked: what the gateway holds is enough, however many tenants.
    assert_eq!(stage.script.calls(), 0);
}

#[tokio::test]
async fn a_tenant_whose_services_are_down_is_shown_all_the_same() {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    let browser = stage.browser(OPERATOR).await;
    let overview = browser.get("/").await;
    assert_eq!(overview.status, StatusCode::OK);
    assert!(overview.text.contains("Contoso") && overview.text.contains("No snapshot"));
    let page = browser.get(&format!("/tenants/{A}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("A part of this page cannot be shown"));
    assert!(page.text.contains("What the service does here"));
}

#[tokio::test]
async fn a_tenants_page_tells_snapshots_coverage_and_changes() {
    let stage = two_tenants().await;
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&format!("/tenants/{A}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    is_tame(&page.text);
    for text in [
        "Take snapshot",
        "120,000",
        "5.0 MiB",
        "1,234",
        &format!("/tenants/{A}/reports/r-1"),
        &format!("/tenants/{A}/snapshots/20261122-daily"),
        "42 s",
    ] {
        assert!(page.text.contains(text), "{text}");
    }
}

#[tokio::test]
async fn taking_a_snapshot_leads_to_its_progress_and_then_to_it() {
    let stage = two_tenants().await;
    let id = "20261123T080000-0123456789ab";
    let name = format!("tenants/{A}/snapshots/{id}");
    let begun = name.clone();
    stage.script.on(
        "SnapshotService/TakeSnapshot",
        move |_: TakeSnapshotRequest| {
            answer(TakeSnapshotResponse {
                snapshot: Some(Snapshot {
                    name: begun.clone(),
                    state: SnapshotState::Running.into(),
                    ..Snapshot::default()
                }),
            })
        },
    );
    let browser = stage.browser(OPERATOR).await;
    let taken = browser.post(&format!("/tenants/{A}/snapshots"), &[]).await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER, "{}", taken.text);
    assert_eq!(taken.location(), format!("/{name}"));
    let asked = stage.script.asked::<TakeSnapshotRequest>("TakeSnapshot");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].request_id.len(), 36, "the id of the form");

    stage
        .script
        .on("SnapshotService/GetSnapshot", |_: GetSnapshotRequest| {
            Err::<Vec<GetSnapshotResponse>, _>(Status::not_found("not here"))
        });
    stage.script.on(
        "SnapshotService/WatchSnapshot",
        |_: WatchSnapshotRequest| {
            answer(WatchSnapshotResponse {
                snapshot: None,
                phase: "reading".to_owned(),
                read_count: 5_000,
            })
        },
    );
    let page = browser.get(taken.location()).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains("5,000") && page.text.contains("reading"));
    assert!(page.text.contains("data-live=") && page.text.contains("http-equiv=\"refresh\""));
    let fragment = format!("/{name}/progress");
    assert!(!browser.fragment(&fragment).await.text.contains("data-next"));
    stage.script.on(
        "SnapshotService/WatchSnapshot",
        move |_: WatchSnapshotRequest| {
            answer(WatchSnapshotResponse {
                snapshot: Some(snapshot(A, id, SEVEN)),
                phase: "done".to_owned(),
                read_count: 5_000,
            })
        },
    );
    let done = browser.fragment(&fragment).await;
    assert!(
        done.text.contains(&format!("data-next=\"/{name}\"")),
        "{}",
        done.text
    );
    // Long after, a snapshot that is not there is not there.
    stage.clock.advance(chrono::TimeDelta::minutes(11));
    assert_eq!(
        browser.get(taken.location()).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_snapshot_tells_what_is_in_it_and_is_held() {
    let stage = two_tenants().await;
    let browser = stage.browser(OPERATOR).await;
    let path = format!("/tenants/{A}/snapshots/20261123-daily");
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    is_tame(&page.text);
    for text in [
        "Users in the recycle bin",
        "Not complete",
        "3,444",
        "Hold this snapshot",
    ] {
        assert!(page.text.contains(text), "{text}");
    }
    stage
        .script
        .on("SnapshotService/HoldSnapshot", |_: HoldSnapshotRequest| {
            answer(HoldSnapshotResponse::default())
        });
    let held = browser
        .post(&format!("{path}/hold"), &[("reason", " a case ")])
        .await;
    assert_eq!(held.location(), path);
    let asked = stage.script.asked::<HoldSnapshotRequest>("HoldSnapshot");
    assert_eq!(
        (asked[0].name.as_str(), asked[0].reason.as_str()),
        (&path[1..], "a case")
    );
}

#[tokio::test]
async fn what_is_found_in_a_snapshot_cannot_break_the_page() {
    let stage = two_tenants().await;
    let long = "x".repeat(4000);
    let told = long.clone();
    stage.script.on(
        "SnapshotService/SearchSnapshot",
        move |_: SearchSnapshotRequest| {
            answer(SearchSnapshotResponse {
                objects: vec![user("u-1", EVIL), user("u-2", &told)],
                next_page_token: "more&=".to_owned(),
            })
        },
    );
    let browser = stage.browser(OWNER_A).await;
    let path = format!("/tenants/{A}/snapshots/latest/objects");
    let empty = browser.get(&path).await;
    assert!(empty.text.contains("What is in it") && empty.text.contains("120,000"));
    assert!(
        stage
            .script
            .asked::<SearchSnapshotRequest>("SearchSnapshot")
            .is_empty()
    );
    let page = browser
        .get(&format!("{path}?q=%3Cscript%3E&type=user&beginning=1"))
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    is_tame(&page.text);
    assert!(page.text.contains("value=\"&#60;script&#62;\""));
    assert!(!page.text.contains(&long), "it is cut in a list");
    assert!(page.text.contains("page_token=more%26%3D"));
    let object = format!("/tenants/{A}/snapshots/20261123-daily/objects/u-1?type=user");
    assert!(page.text.contains(&object), "{}", page.text);
    let asked = stage
        .script
        .asked::<SearchSnapshotRequest>("SearchSnapshot");
    assert_eq!(
        asked[0].parent,
        format!("tenants/{A}/snapshots/20261123-daily")
    );
    assert_eq!(
        (
            asked[0].text.as_str(),
            &asked[0].types[..],
            asked[0].r#match()
        ),
        ("<script>", &["user".to_owned()][..], SearchMatch::Beginning)
    );
}

#[tokio::test]
async fn an_object_is_told_with_its_links_and_its_history() {
    let stage = two_tenants().await;
    stage.script.on(
        "SnapshotService/GetSnapshotObject",
        |asked: GetSnapshotObjectRequest| {
            if asked.id == "gone" {
                return Err(Status::not_found("not in this snapshot"));
            }
            let link = |target: &str| SnapshotLink {
                relation: "user/sponsors".to_owned(),
                source_id: "u-1".to_owned(),
                target_id: target.to_owned(),
            };
            let mut object = user(&asked.id, EVIL);
            if asked.parent.ends_with("20261122-daily") {
                object.json = object.json.replace("b@contoso.com", "old@contoso.com");
            }
            let mut links = vec![link("gone")];
            links.extend((0..30).map(|n| link(&format!("s-{n}"))));
            answer(GetSnapshotObjectResponse {
                object: Some(object),
                links: if asked.id == "u-1" { links } else { Vec::new() },
            })
        },
    );
    let browser = stage.browser(OWNER_A).await;
    let path = format!("/tenants/{A}/snapshots/20261123-daily/objects/u-1?type=user");
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    is_tame(&page.text);
    for text in [
        "jobTitle",
        "b@contoso.com",
        "not in this snapshot",
        "s-23",
        "Next links",
    ] {
        assert!(page.text.contains(text), "{text}");
    }
    assert!(!page.text.contains("s-24") && !page.text.contains("Previous links"));
    let rest = browser.get(&format!("{path}&links_from=25")).await;
    assert!(rest.text.contains("s-24") && rest.text.contains("Previous links"));
    assert!(!rest.text.contains("Next links"));

    let history = browser
        .get(&format!("/tenants/{A}/objects/user/u-1/history"))
        .await;
    assert_eq!(history.status, StatusCode::OK, "{}", history.text);
    is_tame(&history.text);
    for text in [
        "old@contoso.com",
        "b@contoso.com",
        "The oldest snapshot that is kept.",
    ] {
        assert!(history.text.contains(text), "{text}");
    }
}

#[tokio::test]
async fn settings_are_changed_by_operators_alone_and_errors_name_the_field() {
    let stage = two_tenants().await;
    let browser = stage.browser(OPERATOR).await;
    let evil = browser.get(&format!("/tenants/{A}/settings")).await;
    assert!(!evil.text.contains("<script>alert"));
    let path = format!("/tenants/{B}/settings");
    let wrong = browser.post(&path, &[("approval", "perhaps")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(
        wrong.text.contains("<code>approval</code>"),
        "{}",
        wrong.text
    );
    // One more account protects more, and is named at once.
    let ids = "0a1b2c3d-0000-4000-8000-0000000000e1\r\n0a1b2c3d-0000-4000-8000-0000000000e3";
    let saved = browser.post(&path, &[("break_glass_ids", ids)]).await;
    assert_eq!(saved.location(), format!("{path}?saved=1"));
    let page = browser.get(&path).await;
    assert!(page.text.contains("0000000000e3") && page.text.contains("0000000000e1"));
    is_tame(&page.text);
    // What protects less waits, and is not said to be saved.
    stage.script.on(
        "GuardedChangeService/ProposeChange",
        |_: ProposeChangeRequest| {
            answer(ProposeChangeResponse {
                change: Some(GuardedChange::default()),
            })
        },
    );
    let asked = browser.post(&path, &[("drift_watch", "off")]).await;
    assert_eq!(asked.location(), format!("{path}?pending=1"));
    let page = browser.get(asked.location()).await;
    assert!(page.text.contains("not changed yet") && !page.text.contains("Saved."));
    assert_eq!(page.field("drift_watch"), "on");
}

#[tokio::test]
async fn an_operator_registers_a_tenant() {
    let stage = stage().await;
    let browser = stage.browser(OPERATOR).await;
    let form = browser.get("/tenants/new").await;
    assert_eq!(form.status, StatusCode::OK, "{}", form.text);
    let mut fields = vec![
        ("display_name", "Contoso"),
        ("cloud", "global"),
        ("reader_client_id", "0a1b2c3d-0000-4000-8000-0000000000c1"),
        ("reader_proof", "secret"),
        ("reader_reference", "env:REWIND_CREDENTIAL_READER_CONTOSO"),
    ];
    let wrong = browser.post("/tenants", &fields).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.text);
    fields.push(("id", A));
    let done = browser.post("/tenants", &fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert_eq!(done.location(), format!("/tenants/{A}/check"));
    assert!(browser.get("/").await.text.contains("Contoso"));
    // Whoever sees one tenant alone registers no other.
    fields.pop();
    fields.push(("id", B));
    let refused = stage.browser(OWNER_A).await.post("/tenants", &fields).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_guarded_change_is_agreed_to_by_somebody_else() {
    let stage = two_tenants().await;
    stage.script.on(
        "LifecycleService/ListGuardedChanges",
        |asked: ListGuardedChangesRequest| {
            assert!(asked.open);
            let change = |number: u32, author: &str| GuardedChange {
                name: format!("tenants/{A}/changes/{number}"),
                kind: GuardedChangeKind::Settings.into(),
                author: author.to_owned(),
                effects: vec![EVIL.to_owned()],
                settings: vec![GuardedSetting {
                    field: "drift_watch".to_owned(),
                    before: "on".to_owned(),
                    after: "off".to_owned(),
                }],
                hash: format!("hash-{number}"),
                state: GuardedChangeState::Pending.into(),
                ..GuardedChange::default()
            };
            answer(ListGuardedChangesResponse {
                changes: vec![change(2, "anna"), change(1, "operator")],
                ..ListGuardedChangesResponse::default()
            })
        },
    );
    stage.script.on(
        "LifecycleService/ApproveGuardedChange",
        |_: ApproveGuardedChangeRequest| answer(ApproveGuardedChangeResponse::default()),
    );
    let browser = stage.browser(OPERATOR).await;
    let path = format!("/tenants/{A}/changes");
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    is_tame(&page.text);
    assert!(page.text.contains(&format!("{path}/2/approve")));
    assert!(
        !page.text.contains(&format!("{path}/1/approve")),
        "their own"
    );
    assert!(page.text.contains(&format!("{path}/1/cancel")));
    let done = browser
        .post(&format!("{path}/2/approve"), &[("hash", "hash-2")])
        .await;
    assert_eq!(done.location(), path);
    let asked = stage
        .script
        .asked::<ApproveGuardedChangeRequest>("ApproveGuardedChange");
    assert_eq!(
        (asked[0].name.as_str(), asked[0].change_hash.as_str()),
        (&*format!("tenants/{A}/changes/2"), "hash-2")
    );
}
