//! Difference reports: the list, one report with its changes, starting one, its way out
//! as a document.
//!
//! What is shown is decided in `reports/view`, what of it in `reports/choice`. A page of
//! changes is all that is read of a report, however many there are.

mod choice;
mod export;
pub(super) mod start;
pub(super) mod view;

use super::Shared;
use super::asked::Asked;
use super::filters;
use super::form::Form;
use super::frame::{Answer, Frame, Section, page, see};
use super::parts::{Pager, Tone};
use super::session::Visit;
use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use choice::{Choice, KINDS};
use proto::v1::{self, ReportState};
use show::text::id_of;
use show::words;
use view::{Entry, Head, Line, Progress};

/// How many reports stand on a page.
const PAGE: i32 = 50;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tenants/{tenant}/reports", get(list).post(start::create))
        .route("/tenants/{tenant}/reports/new", get(start::form))
        .route("/tenants/{tenant}/reports/{report}", get(show))
        .route("/tenants/{tenant}/reports/{report}/progress", get(progress))
        .route("/tenants/{tenant}/reports/{report}/cancel", post(cancel))
        .route(
            "/tenants/{tenant}/reports/{report}/export/{format}",
            get(export::download),
        )
}

#[derive(Template)]
#[template(path = "reports/list.html")]
struct List {
    frame: Frame,
    new: String,
    lines: Vec<Line>,
    pager: Pager,
}

async fn list(at: Visit, asked: Asked) -> Answer {
    let token = asked.text("page_token");
    let request = v1::ListReportsRequest {
        parent: at.name(),
        page_size: PAGE,
        page_token: token.to_owned(),
    };
    let answer = at.session.diffs().list_reports(request).await?.into_inner();
    page(&List {
        frame: at.frame(Section::Reports, "Difference reports"),
        new: at.path("/reports/new"),
        lines: answer.reports.iter().map(Line::of).collect(),
        pager: Pager::new(&at.path("/reports"), &[], token, &answer.next_page_token),
    })
}

/// The resource name of one of the tenant's reports.
fn name_of(at: &Visit, report: &str) -> String {
    format!("{}/reports/{report}", at.name())
}

#[derive(Template)]
#[template(path = "reports/show.html")]
struct Show {
    frame: Frame,
    list: String,
    head: Head,
    choice: Choice,
    /// Types that the filter offers.
    types: Vec<(String, String)>,
    entries: Vec<Entry>,
    pager: Pager,
    restores: String,
}

#[derive(Template)]
#[template(path = "reports/running.html")]
struct Running {
    frame: Frame,
    list: String,
    head: Head,
    progress: Progress,
    /// Where the page is once the report is made; nothing while it is being made.
    next: String,
}

async fn show(at: Visit, Path((_, report)): Path<(String, String)>, asked: Asked) -> Answer {
    let message = now(&at, &report).await?;
    let report = message.report.clone().unwrap_or_default();
    let head = Head::of(&report);
    let title = format!("Report {}", head.id);
    if head.is_running {
        return page(&Running {
            frame: at.frame(Section::Reports, title),
            list: at.path("/reports"),
            head,
            progress: Progress::of(&message),
            next: String::new(),
        });
    }
    let choice = Choice::of(&asked);
    let changes = match report.state() {
        ReportState::Succeeded => {
            let request = choice.request(&report.name);
            at.session.diffs().list_changes(request).await?.into_inner()
        }
        _ => v1::ListChangesResponse::default(),
    };
    let entries = changes.changes.iter().map(Entry::of);
    let pager = Pager::new(
        &head.path,
        &choice.query(),
        &choice.page_token,
        &changes.next_page_token,
    );
    page(&Show {
        frame: at.frame(Section::Reports, title),
        list: at.path("/reports"),
        types: start::types(report.type_counts.iter().map(|it| it.r#type.as_str())),
        entries: entries.collect::<Result<_, _>>()?,
        choice,
        pager,
        restores: at.path("/restores/new"),
        head,
    })
}

/// How far a report is: the first message of those who watch it. Of one that could not
/// be made it is the reason.
async fn now(at: &Visit, report: &str) -> Result<v1::WatchReportResponse, tonic::Status> {
    let request = v1::WatchReportRequest {
        name: name_of(at, report),
    };
    let mut watch = at.session.diffs().watch_report(request).await?.into_inner();
    Ok(watch.message().await?.unwrap_or_default())
}

#[derive(Template)]
#[template(path = "reports/progress.html")]
struct Fragment {
    progress: Progress,
    next: String,
}

async fn progress(at: Visit, Path((_, report)): Path<(String, String)>) -> Answer {
    let path = at.path(&format!("/reports/{report}"));
    let (progress, next) = match now(&at, &report).await {
        Ok(message) => {
            let running = message.report.as_ref().map(v1::Report::state);
            let next = match running {
                Some(ReportState::Running) => String::new(),
                _ => path,
            };
            (Progress::of(&message), next)
        }
        // The page itself says what happened.
        Err(_) => (Progress::of(&v1::WatchReportResponse::default()), path),
    };
    page(&Fragment { progress, next })
}

async fn cancel(at: Visit, Path((_, report)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::CancelReportRequest {
        name: name_of(&at, &report),
        request_id: form.request_id(),
    };
    let answer = at.session.diffs().cancel_report(request).await?;
    let report = answer.into_inner().report.unwrap_or_default();
    see(&at.path(&format!("/reports/{}", id_of(&report.name))))
}
