//! The console over real HTTP: signing in and out, forms, headers, errors and the pages
//! that only read.

use super::stage::{Browser, stage, stage_with};
use super::support::{A, B, NOBODY, OPERATOR, OWNER_A, OWNER_B, UNKNOWN};
use crate::ConsoleConfig;
use chrono::TimeDelta;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, SET_COOKIE};
use proto::v1::*;
use std::sync::Mutex;
use tonic::Status;

mod oidc;
mod pages;

#[tokio::test]
async fn whoever_is_not_signed_in_is_sent_to_sign_in_and_back() {
    let stage = stage().await;
    let browser = stage.stranger();
    let page = browser
        .get(&format!("/tenants/{A}/snapshots?page_token=x"))
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let to = format!("/login?to=%2Ftenants%2F{A}%2Fsnapshots%3Fpage_token%3Dx");
    assert_eq!(page.location(), to);
    let form = browser.get(page.location()).await;
    assert_eq!(form.status, StatusCode::OK);
    let back = form.field("to");
    let wrong = browser
        .submit("/login", &[("token", "not-a-known-token"), ("to", &back)])
        .await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.text.contains("not known here") && !wrong.text.contains("not-a-known"));
    assert!(browser.cookies.lock().expect("unpoisoned").is_empty());
    let right = browser
        .submit("/login", &[("token", OPERATOR), ("to", &back)])
        .await;
    assert_eq!(right.status, StatusCode::SEE_OTHER);
    assert_eq!(
        right.location(),
        format!("/tenants/{A}/snapshots?page_token=x")
    );
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    // A part of a page that is open elsewhere is not replaced by the form.
    assert_eq!(
        stage.stranger().fragment("/").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_cookie_holds_the_token_and_shows_nothing_of_it() {
    let stage = stage().await;
    let browser = stage.stranger();
    let page = browser.submit("/login", &[("token", OPERATOR)]).await;
    let cookies: Vec<&str> = page
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|it| it.to_str().expect("text"))
        .collect();
    let set = cookies[0];
    assert!(set.starts_with("rewind-session="), "{set}");
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(
            cookies.iter().all(|it| it.contains(attribute)),
            "{cookies:?}"
        );
    }
    assert!(!set.contains("operator") && !set.contains("Secure"));
    // What is changed in it makes it worthless.
    browser.tamper("rewind-session");
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn where_browsers_come_over_tls_cookies_travel_over_nothing_else() {
    let stage = stage_with(ConsoleConfig {
        url: Some("https://backup.example".to_owned()),
        ..ConsoleConfig::default()
    })
    .await;
    let browser = stage.stranger();
    let page = browser.submit("/login", &[("token", OPERATOR)]).await;
    for line in page.headers.get_all(SET_COOKIE) {
        let line = line.to_str().expect("text");
        assert!(line.starts_with("__Host-rewind-session"), "{line}");
        assert!(
            line.contains("; Secure") && line.contains("; Path=/;"),
            "{line}"
        );
    }
    assert!(page.headers.contains_key("strict-transport-security"));
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_ends_when_nobody_is_there_and_after_half_a_day_in_any_case() {
    let stage = stage().await;
    let idle = stage.browser(OPERATOR).await;
    stage.clock.advance(TimeDelta::minutes(59));
    assert_eq!(idle.get("/").await.status, StatusCode::OK);
    stage.clock.advance(TimeDelta::minutes(59));
    // What a page fetches by itself keeps no session alive.
    assert_eq!(idle.fragment("/").await.status, StatusCode::OK);
    stage.clock.advance(TimeDelta::minutes(2));
    assert_eq!(idle.get("/").await.status, StatusCode::SEE_OTHER);

    let busy = stage.browser(OPERATOR).await;
    for _ in 0..23 {
        stage.clock.advance(TimeDelta::minutes(30));
        assert_eq!(busy.get("/").await.status, StatusCode::OK);
    }
    stage.clock.advance(TimeDelta::minutes(30));
    assert_eq!(busy.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn signing_out_takes_the_cookie_away() {
    let stage = stage().await;
    let browser = stage.browser(OPERATOR).await;
    let out = browser.post("/logout", &[]).await;
    assert_eq!(
        (out.status, out.location()),
        (StatusCode::SEE_OTHER, "/login")
    );
    assert!(browser.cookies.lock().expect("unpoisoned").is_empty());
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_key_file_lets_every_replica_open_a_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("key");
    std::fs::write(&path, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("written");
    let config = ConsoleConfig {
        session_key_file: Some(path),
        ..ConsoleConfig::default()
    };
    let (one, other) = (stage_with(config.clone()).await, stage_with(config).await);
    let third = stage().await;
    let carry = |from: &Browser, to: &Browser| {
        let cookies = from.cookies.lock().expect("unpoisoned").clone();
        *to.cookies.lock().expect("unpoisoned") = cookies;
    };
    let browser = one.browser(OPERATOR).await;
    let (known, unknown) = (other.stranger(), third.stranger());
    carry(&browser, &known);
    carry(&browser, &unknown);
    assert_eq!(known.get("/").await.status, StatusCode::OK);
    assert_eq!(unknown.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_from_elsewhere_changes_nothing() {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    let browser = stage.browser(OPERATOR).await;
    let csrf = browser.get("/").await.field("csrf");
    let other = stage.browser(OWNER_A).await.get("/").await.field("csrf");
    let path = format!("/tenants/{A}/settings");
    let change = ("display_name", "Contoso Ltd");
    let url = stage.url.as_str();
    let from: [(&[(&str, &str)], &str); 6] = [
        (&[("origin", url)], ""),
        (&[("origin", url)], &other),
        (&[("origin", "https://evil.example")], &csrf),
        (&[("origin", url), ("sec-fetch-site", "cross-site")], &csrf),
        (&[("origin", "null")], &csrf),
        (&[], &csrf),
    ];
    for (headers, csrf) in from {
        let fields = [("csrf", csrf), change];
        let page = browser.submit_from(headers, &path, &fields).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{headers:?} {csrf}");
        assert!(page.text.contains("Nothing was changed"), "{}", page.text);
        assert!(page.text.contains("Sign out"), "with the navigation");
    }
    let page = browser.get(&path).await;
    assert!(!page.text.contains("Saved."));
    assert_eq!(page.field("display_name"), "Contoso");
    let saved = browser.submit(&path, &[("csrf", &csrf), change]).await;
    assert_eq!(saved.location(), format!("{path}?saved=1"));
    assert_eq!(
        browser.get(&path).await.field("display_name"),
        "Contoso Ltd"
    );
    // Signing in is asked of pages of this server alone, too.
    let sign_in = [("token", OPERATOR)];
    let evil = [("origin", "https://evil.example")];
    let page = stage
        .stranger()
        .submit_from(&evil, "/login", &sign_in)
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_be_careful() {
    let stage = stage().await;
    let (browser, stranger) = (stage.browser(OPERATOR).await, stage.stranger());
    for page in [
        browser.get("/").await,
        browser.get("/nothing/here").await,
        stranger.get("/").await,
        stranger.get("/login").await,
        browser.submit("/logout", &[]).await,
    ] {
        let header = |name: &str| {
            let value = page.headers.get(name).unwrap_or_else(|| panic!("{name}"));
            value.to_str().expect("text").to_owned()
        };
        let policy = header(CONTENT_SECURITY_POLICY.as_str());
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header(CACHE_CONTROL.as_str()), "no-store");
        for inline in ["<style", " style=", " onclick=", "javascript:"] {
            assert!(!page.text.contains(inline), "{inline}");
        }
        // Scripts come from files alone.
        assert_eq!(
            page.text.matches("<script").count(),
            page.text.matches("<script src=\"/assets/").count()
        );
    }
}

#[tokio::test]
async fn style_and_script_are_kept_for_as_long_as_they_stay_the_same() {
    let stage = stage().await;
    let browser = stage.stranger();
    let page = browser.get("/login").await.text;
    let paths = ["href=\"", "src=\""].map(|before| {
        let marked = format!("{before}/assets/console-");
        let (_, rest) = page.split_once(&marked).expect("it is named");
        format!(
            "/assets/console-{}",
            rest.split('"').next().unwrap_or_default()
        )
    });
    for (path, kind) in paths.iter().zip(["text/css", "text/javascript"]) {
        let file = browser.get(path).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        let header = |name: &str| file.headers[name].to_str().expect("text").to_owned();
        assert!(header("content-type").starts_with(kind));
        assert_eq!(
            header("cache-control"),
            "public, max-age=31536000, immutable"
        );
    }
    let old = browser.get("/assets/console-000000000000.css").await;
    assert_eq!(old.status, StatusCode::NOT_FOUND);
}

/// Every page of a tenant, below its path.
const PAGES: [&str; 23] = [
    "",
    "/changes",
    "/check",
    "/settings",
    "/snapshots",
    "/snapshots/20261123-daily",
    "/snapshots/20261123-daily/progress",
    "/snapshots/latest/objects?q=a",
    "/snapshots/20261123-daily/objects/u-1",
    "/objects/user/u-1/history",
    "/reports",
    "/reports/new",
    "/reports/r-1",
    "/reports/r-1/progress",
    "/reports/r-1/export/csv",
    "/restores",
    "/restores/new",
    "/restores/r-1",
    "/restores/r-1/progress",
    "/deleted",
    "/protection",
    "/signals",
    "/signals/s-1",
];
/// Every form of a tenant, likewise.
const FORMS: [&str; 16] = [
    "/changes/1/approve",
    "/changes/1/cancel",
    "/settings",
    "/snapshots",
    "/snapshots/20261123-daily/hold",
    "/snapshots/20261123-daily/lift",
    "/reports",
    "/reports/r-1/cancel",
    "/restores",
    "/restores/r-1/approve",
    "/restores/r-1/apply",
    "/restores/r-1/resume",
    "/restores/r-1/cancel",
    "/restores/r-1/undo",
    "/protection/plan",
    "/signals/s-1/redeliver",
];

#[tokio::test]
async fn another_tenant_and_one_that_is_not_there_look_alike() {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    stage.register(B, "Fabrikam").await;
    let (browser, stranger) = (stage.browser(OWNER_A).await, stage.stranger());
    let page = |id: &str, rest: &str| format!("/tenants/{id}{rest}");
    let text = |page: &super::stage::Page| without_ids(&page.text);
    for rest in PAGES {
        let (other, unknown) = (
            browser.get(&page(B, rest)).await,
            browser.get(&page(UNKNOWN, rest)).await,
        );
        assert_eq!(other.status, StatusCode::FORBIDDEN, "{rest}");
        assert_eq!(unknown.status, StatusCode::FORBIDDEN, "{rest}");
        assert_eq!(text(&other), text(&unknown), "{rest}");
        assert!(!other.text.contains("Fabrikam"));
        let nobody = stranger.get(&page(B, rest)).await;
        assert_eq!(nobody.status, StatusCode::SEE_OTHER, "{rest}");
        assert!(nobody.location().starts_with("/login?to="), "{rest}");
    }
    for rest in FORMS {
        let other = browser.post(&page(B, rest), &[]).await;
        let unknown = browser.post(&page(UNKNOWN, rest), &[]).await;
        assert_eq!(other.status, StatusCode::FORBIDDEN, "{rest}");
        assert_eq!(text(&other), text(&unknown), "{rest}");
        // Without the word of the session nothing is done for one's own tenant either.
        let forged = browser.submit(&page(A, rest), &[]).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "{rest}");
        assert!(forged.text.contains("Nothing was changed"), "{rest}");
        let nobody = stranger.submit(&page(A, rest), &[]).await;
        assert_eq!(nobody.location(), "/login", "{rest}");
    }
    assert_eq!(stage.script.calls(), 0, "no service was asked");
    let overview = browser.get("/").await;
    assert!(overview.text.contains("Contoso") && !overview.text.contains("Fabrikam"));
    let search = browser.get("/?q=fabrikam").await;
    assert!(!search.text.contains(B));
    let other = stage.browser(OWNER_B).await.get("/").await;
    assert!(other.text.contains("Fabrikam"));
}

/// A page without the ids that every rendering draws anew.
fn without_ids(text: &str) -> String {
    let mut parts = text.split("name=\"request_id\" value=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| {
        whole + part.get(36..).unwrap_or_default()
    })
}

#[tokio::test]
async fn a_role_that_shows_nothing_is_shown_nothing() {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    let browser = stage.browser(NOBODY).await;
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(!page.text.contains("Contoso"));
}

#[tokio::test]
async fn an_error_says_what_happened_and_what_to_do() {
    let stage = stage().await;
    stage.register(A, "Contoso").await;
    let browser = stage.browser(OPERATOR).await;
    let answer = Mutex::new(Vec::new());
    let errors = [
        (
            fault(
                tonic::Code::FailedPrecondition,
                "SNAPSHOT_INCOMPLETE",
                "lacks <b>users</b>",
            ),
            StatusCode::CONFLICT,
            "Choose a snapshot that is complete",
        ),
        (
            fault(
                tonic::Code::Unavailable,
                "STORE_UNAVAILABLE",
                "the store cannot be reached",
            ),
            StatusCode::SERVICE_UNAVAILABLE,
            "Load the page again",
        ),
        (
            fault(tonic::Code::NotFound, "NOT_FOUND", "no such snapshot"),
            StatusCode::NOT_FOUND,
            "It may have been removed",
        ),
        (
            Status::unknown("unforeseen"),
            StatusCode::INTERNAL_SERVER_ERROR,
            "finds the cause in the log",
        ),
    ];
    answer
        .lock()
        .expect("unpoisoned")
        .extend(errors.iter().rev().map(|it| it.0.clone()));
    stage.script.on(
        "SnapshotService/GetSnapshot",
        move |_: GetSnapshotRequest| {
            let status = answer.lock().expect("unpoisoned").pop().expect("one each");
            Err::<Vec<GetSnapshotResponse>, _>(status)
        },
    );
    for (status, code, advice) in &errors {
        let page = browser
            .get(&format!("/tenants/{A}/snapshots/20261122-daily"))
            .await;
        assert_eq!(page.status, *code, "{status:?}");
        assert!(page.text.contains(advice), "{}", page.text);
        assert!(!page.text.contains("<b>users</b>"));
        assert!(page.text.contains("What to do"));
    }
}

fn fault(code: tonic::Code, reason: &str, text: &str) -> Status {
    use tonic_types::{ErrorDetails, StatusExt};
    let details = ErrorDetails::with_error_info(reason, "rewind", std::collections::HashMap::new());
    Status::with_error_details(code, text, details)
}
