//! A tenant's snapshots: the list, one of them, and taking one.
//!
//! Owns how a snapshot is told on a line and on a page of its own, and what may be done
//! with it: hold it, let it go again.

mod line;
mod show;
mod take;

use super::Shared;
use super::asked::Asked;
use super::filters;
use super::frame::{Answer, Frame, Section, page};
use super::parts::Pager;
use super::session::Visit;
use askama::Template;
use axum::Router;
use axum::routing::{get, post};
use proto::v1;

pub(super) use line::Line;
pub(super) use show::title;

/// How many snapshots a page of the list has.
const SHOWN: i32 = 50;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tenants/{tenant}/snapshots", get(list).post(take::take))
        .route("/tenants/{tenant}/snapshots/{snapshot}", get(show::show))
        .route(
            "/tenants/{tenant}/snapshots/{snapshot}/progress",
            get(take::progress),
        )
        .route(
            "/tenants/{tenant}/snapshots/{snapshot}/hold",
            post(show::hold),
        )
        .route(
            "/tenants/{tenant}/snapshots/{snapshot}/lift",
            post(show::lift),
        )
}

#[derive(Template)]
#[template(path = "snapshots/list.html")]
struct List {
    frame: Frame,
    path: String,
    lines: Vec<Line>,
    problems: Vec<String>,
    pager: Pager,
}

async fn list(at: Visit, asked: Asked) -> Answer {
    let token = asked.text("page_token");
    let request = v1::ListSnapshotsRequest {
        parent: at.name(),
        page_size: SHOWN,
        page_token: token.to_owned(),
    };
    let answer = at.session.snapshots().list_snapshots(request).await?;
    let answer = answer.into_inner();
    let path = at.path("/snapshots");
    page(&List {
        frame: at.frame(Section::Snapshots, "Snapshots"),
        lines: answer.snapshots.iter().map(Line::of).collect(),
        problems: answer.problems,
        pager: Pager::new(&path, &[], token, &answer.next_page_token),
        path,
    })
}
