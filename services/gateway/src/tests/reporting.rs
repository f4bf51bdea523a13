//! The console's pages of difference reports and of recycle bins.

use super::stage::{Stage, stage};
use super::support::{A, B, OPERATOR, OWNER_A, READER, UNKNOWN};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use proto::v1::*;
use tonic::Status;

/// A name of everything that must not reach a reader as it is.
const NASTY: &str = "<script>alert(1)</script>\u{202e}evil";

pub(super) fn name(collection: &str, id: &str) -> String {
    format!("tenants/{A}/{collection}/{id}")
}

pub(super) fn path(rest: &str) -> String {
    format!("/tenants/{A}{rest}")
}

pub(super) fn object(id: &str, display_name: &str) -> Option<ObjectRef> {
    Some(ObjectRef {
        r#type: "user".to_owned(),
        id: id.to_owned(),
        display_name: display_name.to_owned(),
    })
}

fn time(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn report(state: ReportState) -> Report {
    let counts = ChangeCounts {
        modified: 2,
        ..ChangeCounts::default()
    };
    Report {
        name: name("reports", "r-1"),
        state: state.into(),
        base: name("snapshots", "20261122-daily"),
        target: "live".to_owned(),
        create_time: time(1_795_000_000),
        counts: Some(counts),
        type_counts: vec![TypeCounts {
            r#type: "user".to_owned(),
            counts: Some(counts),
        }],
        ..Report::default()
    }
}

fn changes() -> Vec<Change> {
    let attribute = AttributeChange {
        path: "jobTitle".to_owned(),
        before_json: Some("\"Clerk\"".to_owned()),
        after_json: Some(serde_json::json!(NASTY).to_string()),
        ..AttributeChange::default()
    };
    let long = AttributeChange {
        path: "department".to_owned(),
        after_json: Some(format!("\"{}\"", "y".repeat(4000))),
        ..AttributeChange::default()
    };
    let by = Initiator {
        r#type: InitiatorType::User.into(),
        id: "u-9".to_owned(),
        display_name: "eve@contoso.example".to_owned(),
        ..Initiator::default()
    };
    vec![
        Change {
            object: object("u-1", NASTY),
            kind: ChangeKind::Modified.into(),
            attributes: vec![attribute],
            activities: vec![Activity {
                initiated_by: Some(by),
                activity: "Update user".to_owned(),
                ..Activity::default()
            }],
            ..Change::default()
        },
        Change {
            object: object("u-2", &"x".repeat(4000)),
            kind: ChangeKind::Modified.into(),
            attributes: vec![long],
            obstacles: vec![Obstacle::OnPremisesSynced.into()],
            ..Change::default()
        },
    ]
}

/// A console where one report is made and says what a test wants.
async fn made() -> Stage {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    let watched = || WatchReportResponse {
        report: Some(report(ReportState::Succeeded)),
        phase: "done".to_owned(),
        ..WatchReportResponse::default()
    };
    let script = &stage.script;
    script.on("DiffService/WatchReport", move |_: WatchReportRequest| {
        Ok(vec![watched()])
    });
    script.on("DiffService/ListReports", |_: ListReportsRequest| {
        Ok(vec![ListReportsResponse {
            reports: vec![report(ReportState::Succeeded), report(ReportState::Running)],
            next_page_token: "after".to_owned(),
        }])
    });
    script.on("DiffService/ListChanges", |request: ListChangesRequest| {
        let (changes, next) = match (request.page_token.as_str(), changes()) {
            ("", mut all) => (all.drain(..1).collect(), "2"),
            (_, mut all) => (all.drain(1..).collect(), ""),
        };
        Ok(vec![ListChangesResponse {
            changes,
            next_page_token: next.to_owned(),
        }])
    });
    script.on(
        "SnapshotService/ListSnapshots",
        |_: ListSnapshotsRequest| {
            let snapshot = |id: &str, end| Snapshot {
                name: name("snapshots", id),
                state: SnapshotState::Complete.into(),
                start_time: time(end - 60),
                end_time: time(end),
                ..Snapshot::default()
            };
            Ok(vec![ListSnapshotsResponse {
                snapshots: vec![
                    snapshot("20261122-daily", 1_795_300_000),
                    snapshot("20261121-daily", 1_795_200_000),
                ],
                ..ListSnapshotsResponse::default()
            }])
        },
    );
    stage
}

#[tokio::test]
async fn the_list_leads_to_each_report_and_to_the_next_page() {
    let stage = made().await;
    let page = stage.browser(OPERATOR).await.get(&path("/reports")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    for expected in [
        format!("href=\"{}\"", path("/reports/r-1")),
        format!("href=\"{}\"", path("/snapshots/20261122-daily")),
        "2 modified".to_owned(),
        "Running".to_owned(),
        format!("href=\"{}?page_token=after\"", path("/reports")),
    ] {
        assert!(page.text.contains(&expected), "{expected} in {}", page.text);
    }
}

#[tokio::test]
async fn a_report_is_started_once_with_what_the_form_says() {
    let stage = made().await;
    stage
        .script
        .on("DiffService/CreateReport", |_: CreateReportRequest| {
            Ok(vec![CreateReportResponse {
                report: Some(report(ReportState::Running)),
            }])
        });
    let browser = stage.browser(OPERATOR).await;
    let form = browser.get(&path("/reports/new?type=user&id=a&id=b")).await;
    assert!(form.text.contains("a\nb</textarea>"), "{}", form.text);
    assert!(form.text.contains("value=\"user\" checked"));
    let (csrf, id) = (form.field("csrf"), form.field("request_id"));
    let fields = [
        ("csrf", csrf.as_str()),
        ("request_id", &id),
        ("base", "20261122-daily"),
        ("target", "live"),
        ("type", "user"),
        ("type", "group"),
        ("ids", "a\r\nb"),
    ];
    for _ in 0..2 {
        let sent = browser.submit(&path("/reports"), &fields).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        assert_eq!(sent.location(), path("/reports/r-1"));
    }
    let asked: Vec<CreateReportRequest> = stage.script.asked("CreateReport");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1], "the same request id: done once");
    let scope = asked[0].scope.clone().expect("a scope");
    assert_eq!(
        (scope.types, scope.ids),
        (
            vec!["user".into(), "group".into()],
            vec!["a".into(), "b".into()]
        )
    );
    assert_eq!(
        (asked[0].base.as_str(), asked[0].target.as_str()),
        ("20261122-daily", "")
    );
    assert_eq!(asked[0].max_age.map(|it| it.seconds), Some(60));
    assert!(!asked[0].request_id.is_empty() && !asked[0].full);

    let full = [fields.as_slice(), &[("full", "1"), ("target", "x")]].concat();
    browser.submit(&path("/reports"), &full).await;
    let asked: Vec<CreateReportRequest> = stage.script.asked("CreateReport");
    assert_eq!((asked[2].full, asked[2].max_age), (true, None));
}

#[tokio::test]
async fn changes_stand_side_by_side_and_say_nothing_by_themselves() {
    let stage = made().await;
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/reports/r-1")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let text = &page.text;
    assert!(!text.contains("<script>alert") && !text.contains('\u{202e}'));
    for expected in [
        "&#60;script&#62;alert(1)&#60;/script&#62;\\u{202e}evil",
        "Clerk",
        "eve@contoso.example",
        "Can be put back",
        "name=\"id\" value=\"u-1\"",
        "page_token=2",
        "?type=user&#38;kind=modified#changes",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let second = browser.get(&path("/reports/r-1?page_token=2")).await.text;
    assert!(second.contains("Cannot be put back"));
    assert!(second.contains("Synchronised from on-premises"));
    assert!(second.contains(&"y".repeat(4000)), "all of it can be read");
}

#[tokio::test]
async fn a_filter_goes_to_the_service_and_on_to_the_next_page() {
    let stage = made().await;
    let query = "type=user&kind=modified&kind=added&attribute=jobTitle&actor=eve&text=a%26b";
    let page = stage
        .browser(OPERATOR)
        .await
        .get(&path(&format!("/reports/r-1?{query}")))
        .await;
    let asked: Vec<ListChangesRequest> = stage.script.asked("ListChanges");
    let request = &asked[0];
    assert_eq!(request.types, ["user"]);
    assert_eq!(
        request.kinds,
        [ChangeKind::Added, ChangeKind::Modified].map(i32::from)
    );
    assert_eq!(
        (request.actor.as_str(), request.text.as_str()),
        ("eve", "a&b")
    );
    assert_eq!(request.attributes, ["jobTitle"]);
    let next = "text=a%26b&#38;page_token=2";
    assert!(page.text.contains(next), "{}", page.text);
    assert!(
        page.text.contains("value=\"a&#38;b\""),
        "the field keeps what was asked for"
    );
}

#[tokio::test]
async fn progress_is_shown_until_the_report_is_made() {
    let stage = made().await;
    stage
        .script
        .on("DiffService/WatchReport", |_: WatchReportRequest| {
            Ok(vec![WatchReportResponse {
                report: Some(report(ReportState::Running)),
                phase: "reading tenant".to_owned(),
                read_count: 25,
                expected_count: 100,
                ..WatchReportResponse::default()
            }])
        });
    stage
        .script
        .on("DiffService/CancelReport", |_: CancelReportRequest| {
            Ok(vec![CancelReportResponse {
                report: Some(report(ReportState::Cancelled)),
            }])
        });
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/reports/r-1")).await.text;
    assert!(
        page.contains("Reading the tenant") && page.contains("value=\"25\""),
        "{page}"
    );
    assert!(page.contains(&format!("data-live=\"{}\"", path("/reports/r-1/progress"))));
    assert!(
        page.contains("http-equiv=\"refresh\""),
        "without a script, too"
    );
    let part = browser.fragment(&path("/reports/r-1/progress")).await.text;
    assert!(
        part.contains("Reading the tenant") && !part.contains("<html"),
        "{part}"
    );
    let sent = browser.post(&path("/reports/r-1/cancel"), &[]).await;
    assert_eq!(sent.location(), path("/reports/r-1"));
    let asked: Vec<CancelReportRequest> = stage.script.asked("CancelReport");
    assert_eq!(asked[0].name, name("reports", "r-1"));

    // One that could not be made says why.
    stage
        .script
        .on("DiffService/WatchReport", |_: WatchReportRequest| {
            Err::<Vec<WatchReportResponse>, _>(Status::unavailable("the tenant does not answer"))
        });
    let part = browser.fragment(&path("/reports/r-1/progress")).await.text;
    assert!(
        part.contains(&format!("data-next=\"{}\"", path("/reports/r-1"))),
        "{part}"
    );
    let page = browser.get(&path("/reports/r-1")).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text.contains("the tenant does not answer"));
}

#[tokio::test]
async fn a_report_goes_out_as_each_document_whole() {
    let stage = made().await;
    stage
        .script
        .on("SnapshotService/GetSnapshot", |_: GetSnapshotRequest| {
            Ok(vec![GetSnapshotResponse::default()])
        });
    let browser = stage.browser(OPERATOR).await;
    for (format, kind, last) in [
        ("json", "application/json", "]}\n"),
        ("csv", "text/csv; charset=utf-8", "\r\n"),
        ("html", "text/html; charset=utf-8", "</html>"),
        ("jsonl", "application/x-ndjson", "}\n"),
    ] {
        let page = browser
            .get(&path(&format!("/reports/r-1/export/{format}")))
            .await;
        assert_eq!(page.status, StatusCode::OK, "{format}: {}", page.text);
        assert_eq!(page.headers[CONTENT_TYPE], kind);
        let file = format!("attachment; filename=\"rewind-report-r-1.{format}\"");
        assert_eq!(page.headers[CONTENT_DISPOSITION], file.as_str());
        assert!(
            page.text.contains("u-1") && page.text.contains("u-2"),
            "{format}: both pages"
        );
        assert!(page.text.ends_with(last), "{format}");
    }
    let none = browser.get(&path("/reports/r-1/export/exe")).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_document_that_cannot_be_finished_breaks_off() {
    let stage = made().await;
    stage.script.on(
        "DiffService/ListChanges",
        |request: ListChangesRequest| match request.page_token.as_str() {
            "" => Ok(vec![ListChangesResponse {
                changes: changes(),
                next_page_token: "2".to_owned(),
            }]),
            _ => Err(Status::unavailable("the differ went away")),
        },
    );
    let browser = stage.browser(OPERATOR).await;
    let broken = browser.broken_off(&path("/reports/r-1/export/json")).await;
    assert!(broken, "nobody takes a part for the whole");
}

#[tokio::test]
async fn whoever_only_reads_is_offered_nothing_that_writes() {
    let stage = made().await;
    stage
        .script
        .on("DiffService/CreateReport", |_: CreateReportRequest| {
            Ok(vec![CreateReportResponse::default()])
        });
    let reader = stage.browser(READER).await;
    for rest in ["/reports", "/reports/r-1", "/reports/new", "/restores/new"] {
        let page = reader.get(&path(rest)).await;
        assert_eq!(page.status, StatusCode::OK, "{rest}: {}", page.text);
        let forms = page.text.matches("method=\"post\"").count();
        assert_eq!(forms, 1, "{rest}: signing out alone");
        assert!(
            !page.text.contains("type=\"checkbox\" name=\"id\""),
            "{rest}"
        );
    }
    let sent = reader.post(&path("/reports"), &[("base", "latest")]).await;
    assert_eq!(sent.status, StatusCode::FORBIDDEN);
    assert!(
        stage
            .script
            .asked::<CreateReportRequest>("CreateReport")
            .is_empty()
    );
}

#[tokio::test]
async fn nothing_of_another_tenant_is_shown_or_done() {
    let stage = made().await;
    stage.register(B, "Fabrikam").await;
    let browser = stage.browser(OWNER_A).await;
    let of = |tenant: &str, rest: &str| format!("/tenants/{tenant}{rest}");
    for rest in [
        "/reports",
        "/reports/new",
        "/reports/x",
        "/reports/x/progress",
        "/reports/x/export/csv",
        "/restores",
        "/restores/new",
        "/restores/x",
        "/restores/x/progress",
        "/deleted",
        "/protection",
        "/signals",
        "/signals/x",
    ] {
        for tenant in [B, UNKNOWN] {
            let page = browser.get(&of(tenant, rest)).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{tenant} {rest}");
            assert!(!page.text.contains("Fabrikam"), "{rest}");
        }
        let page = stage.stranger().get(&of(A, rest)).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{rest}");
        assert!(page.location().starts_with("/login?to="), "{rest}");
    }
    for rest in [
        "/reports",
        "/reports/x/cancel",
        "/restores",
        "/restores/x/approve",
        "/restores/x/apply",
        "/restores/x/resume",
        "/restores/x/cancel",
        "/restores/x/undo",
        "/protection/plan",
        "/signals/x/redeliver",
    ] {
        for tenant in [B, UNKNOWN] {
            let page = browser.post(&of(tenant, rest), &[("scope", "all")]).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{tenant} {rest}");
        }
        let page = stage.stranger().submit(&of(A, rest), &[]).await;
        assert_ne!(page.status, StatusCode::OK, "{rest}");
    }
    assert!(
        stage
            .script
            .asked::<ApplyPlanRequest>("ApplyPlan")
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_given_up_soon_is_told_and_restored_from_before_it_was_deleted() {
    let stage = made().await;
    stage.script.on(
        "DiffService/ListDeletedObjects",
        |_: ListDeletedObjectsRequest| {
            let deleted = DeletedObject {
                object: object("u-1", NASTY),
                delete_time: time(1_795_250_000),
                expire_time: time(1_795_400_000),
                days_left: 2,
                in_latest_snapshot: true,
                expires_soon: true,
                ..DeletedObject::default()
            };
            Ok(vec![ListDeletedObjectsResponse {
                deleted_objects: vec![deleted],
                not_read: vec!["group: denied".to_owned()],
                snapshot: name("snapshots", "20261122-daily"),
                ..ListDeletedObjectsResponse::default()
            }])
        },
    );
    let browser = stage.browser(OPERATOR).await;
    let page = browser.get(&path("/deleted")).await.text;
    for expected in [
        "2 days",
        "group: denied",
        "value=\"u-1@1795250000\"",
        "\\u{202e}evil",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    assert!(!page.contains("<script>alert"));
    let form = browser
        .get(&path("/restores/new?deleted=u-1%401795250000"))
        .await
        .text;
    assert!(form.contains("value=\"20261121-daily\" selected"), "{form}");
    assert!(form.contains("value=\"ids\" checked"));
}
