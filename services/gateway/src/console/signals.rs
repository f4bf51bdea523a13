//! Signals: what in a tenant somebody should look at.

mod view;

use super::Shared;
use super::asked::Asked;
use super::filters;
use super::form::Form;
use super::frame::{Answer, Frame, Section, page, see};
use super::parts::{Badge, Pager, Tone};
use super::session::Visit;
use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use proto::v1::{self, Severity};
use view::{Choice, Line, SEVERITIES, Whole};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tenants/{tenant}/signals", get(list))
        .route("/tenants/{tenant}/signals/{signal}", get(show))
        .route(
            "/tenants/{tenant}/signals/{signal}/redeliver",
            post(redeliver),
        )
}

/// How soon somebody should look.
pub(super) fn severity(severity: Severity) -> Badge {
    match severity {
        Severity::Critical => Badge::new(Tone::Bad, "Critical"),
        Severity::High => Badge::new(Tone::Bad, "High"),
        Severity::Medium => Badge::new(Tone::Warn, "Medium"),
        Severity::Low => Badge::new(Tone::Plain, "Low"),
        Severity::Unspecified => Badge::new(Tone::Plain, "Unknown"),
    }
}

#[derive(Template)]
#[template(path = "signals/list.html")]
struct List {
    frame: Frame,
    path: String,
    choice: Choice,
    lines: Vec<Line>,
    pager: Pager,
}

async fn list(at: Visit, asked: Asked) -> Answer {
    let choice = Choice::of(&asked);
    let request = choice.request(at.name())?;
    let answer = at.session.signals().list_signals(request).await?;
    let answer = answer.into_inner();
    let path = at.path("/signals");
    page(&List {
        frame: at.frame(Section::Signals, "Signals"),
        lines: answer.signals.iter().map(Line::of).collect(),
        pager: Pager::new(
            &path,
            &choice.query(),
            &choice.page_token,
            &answer.next_page_token,
        ),
        choice,
        path,
    })
}

#[derive(Template)]
#[template(path = "signals/show.html")]
struct Show {
    frame: Frame,
    list: String,
    path: String,
    whole: Whole,
}

fn name_of(at: &Visit, signal: &str) -> String {
    format!("{}/signals/{signal}", at.name())
}

async fn show(at: Visit, Path((_, signal)): Path<(String, String)>) -> Answer {
    let request = v1::GetSignalRequest {
        name: name_of(&at, &signal),
    };
    let answer = at.session.signals().get_signal(request).await?;
    let signal = answer.into_inner().signal.unwrap_or_default();
    page(&Show {
        frame: at.frame(Section::Signals, signal.title.clone()),
        list: at.path("/signals"),
        path: format!("/{}", signal.name),
        whole: Whole::of(&signal, &at.path("/restores/new")),
    })
}

async fn redeliver(at: Visit, Path((_, signal)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::RedeliverSignalRequest {
        name: name_of(&at, &signal),
        request_id: form.request_id(),
    };
    at.session.signals().redeliver_signal(request).await?;
    see(&at.path(&format!("/signals/{signal}")))
}
