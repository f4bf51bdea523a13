//! Hard-delete protection: the layers as a picture, what was found, the score over time,
//! and the plan that puts right what is missing.
//!
//! What was kept after the newest daily snapshot is shown at once; the tenant is read
//! where somebody asks for it, or where nothing is kept yet.

mod view;

use super::Shared;
use super::asked::Asked;
use super::error::PageError;
use super::filters;
use super::form::Form;
use super::frame::{Answer, Frame, Section, page, see};
use super::session::Visit;
use super::told;
use askama::Template;
use axum::Router;
use axum::routing::{get, post};
use proto::v1::{self, Risk};
use show::text::id_of;
use view::{Chart, Standing};

/// How many postures the chart shows.
const CHARTED: i32 = 60;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tenants/{tenant}/protection", get(show))
        .route("/tenants/{tenant}/protection/plan", post(plan))
}

#[derive(Template)]
#[template(path = "protection/show.html")]
struct Show {
    frame: Frame,
    path: String,
    standing: Standing,
    /// After which snapshot it was kept.
    snapshot: String,
    snapshot_href: String,
    chart: Option<Chart>,
    settings: String,
}

async fn show(at: Visit, asked: Asked) -> Answer {
    let kept = match asked.is_set("now") {
        true => None,
        false => kept(&at).await?,
    };
    let posture = match kept {
        Some(posture) => posture,
        None => posture(&at, "").await?,
    };
    let request = v1::ListPosturesRequest {
        parent: at.name(),
        page_size: CHARTED,
        page_token: String::new(),
    };
    let history = at.session.protection().list_postures(request).await?;
    page(&Show {
        frame: at.frame(Section::Protection, "Hard-delete protection"),
        path: at.path("/protection"),
        standing: Standing::of(&posture),
        snapshot: id_of(&posture.snapshot).to_owned(),
        snapshot_href: told::page_of(&posture.snapshot),
        chart: Chart::of(&history.into_inner().postures),
        settings: at.path("/settings"),
    })
}

/// The newest posture that was kept.
async fn kept(at: &Visit) -> Result<Option<v1::Posture>, PageError> {
    match posture(at, "latest").await.map_err(PageError::from) {
        Ok(posture) => Ok(Some(posture)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn posture(at: &Visit, snapshot: &str) -> Result<v1::Posture, tonic::Status> {
    let request = v1::GetPostureRequest {
        parent: at.name(),
        snapshot: snapshot.to_owned(),
    };
    let answer = at.session.protection().get_posture(request).await?;
    Ok(answer.into_inner().posture.unwrap_or_default())
}

async fn plan(at: Visit, form: Form) -> Answer {
    let lockout = form
        .is_set("accept-lockout")
        .then_some(Risk::Lockout.into());
    let request = v1::PlanProtectionRequest {
        parent: at.name(),
        choices: Some(v1::ProtectionChoices {
            device_filter: form.text("device-filter").to_owned(),
            ..v1::ProtectionChoices::default()
        }),
        accepted_risks: lockout.into_iter().collect(),
        request_id: form.request_id(),
    };
    let answer = at.session.protection().plan_protection(request).await?;
    let plan = answer.into_inner().plan.unwrap_or_default();
    see(&at.path(&format!("/restores/{}", id_of(&plan.name))))
}
