//! Plans and restores: the list, one plan with its steps, its approval and application,
//! how it went, and the way back.
//!
//! A plan and its restore have one page, since they have one id. Nothing is applied
//! without a plan that could be read on that page, and without a word typed there; what
//! may be approved and applied, the restorer says.

mod act;
mod make;
mod view;

use super::Shared;
use super::asked::Asked;
use super::filters;
use super::frame::{Answer, Frame, Section, page};
use super::parts::Pager;
use super::session::Visit;
use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use proto::v1::{self, OutcomeState, PlanState, RestoreState, Role};
use view::{Consent, Course, Exclusion, Head, Line, Outcome, Step, Whose};

/// How many restores stand on a page,
const PAGE: i32 = 50;
/// and how many steps, exclusions and outcomes.
const PARTS: i32 = 25;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tenants/{tenant}/restores", get(list).post(make::create))
        .route("/tenants/{tenant}/restores/new", get(make::form))
        .route("/tenants/{tenant}/restores/{restore}", get(show))
        .route(
            "/tenants/{tenant}/restores/{restore}/progress",
            get(progress),
        )
        .route(
            "/tenants/{tenant}/restores/{restore}/approve",
            post(act::approve),
        )
        .route(
            "/tenants/{tenant}/restores/{restore}/apply",
            post(act::apply),
        )
        .route(
            "/tenants/{tenant}/restores/{restore}/resume",
            post(act::resume),
        )
        .route(
            "/tenants/{tenant}/restores/{restore}/cancel",
            post(act::cancel),
        )
        .route("/tenants/{tenant}/restores/{restore}/undo", post(act::undo))
}

#[derive(Template)]
#[template(path = "restores/list.html")]
struct List {
    frame: Frame,
    new: String,
    lines: Vec<Line>,
    pager: Pager,
}

async fn list(at: Visit, asked: Asked) -> Answer {
    let token = asked.text("page_token");
    let request = v1::ListRestoresRequest {
        parent: at.name(),
        page_size: PAGE,
        page_token: token.to_owned(),
    };
    let answer = at.session.restores().list_restores(request).await?;
    let answer = answer.into_inner();
    page(&List {
        frame: at.frame(Section::Restores, "Restores"),
        new: at.path("/restores/new"),
        lines: answer.restores.iter().map(Line::of).collect(),
        pager: Pager::new(&at.path("/restores"), &[], token, &answer.next_page_token),
    })
}

/// The resource name of one of the tenant's plans.
fn plan_name(at: &Visit, id: &str) -> String {
    format!("{}/plans/{id}", at.name())
}

/// The resource name of the restore of the plan with this id.
fn restore_name(at: &Visit, id: &str) -> String {
    format!("{}/restores/{id}", at.name())
}

/// How far a plan is: the first message of those who watch it. Of one that could not be
/// made it is the reason.
async fn plan_now(at: &Visit, id: &str) -> Result<v1::WatchPlanResponse, tonic::Status> {
    let request = v1::WatchPlanRequest {
        name: plan_name(at, id),
    };
    let mut watch = at
        .session
        .restores()
        .watch_plan(request)
        .await?
        .into_inner();
    Ok(watch.message().await?.unwrap_or_default())
}

async fn restore_now(at: &Visit, id: &str) -> Result<v1::Restore, tonic::Status> {
    let request = v1::GetRestoreRequest {
        name: restore_name(at, id),
    };
    let answer = at.session.restores().get_restore(request).await?;
    Ok(answer.into_inner().restore.unwrap_or_default())
}

/// What those who watch a restore are told first; why it ended, where it was broken off.
async fn phase_now(at: &Visit, id: &str) -> Result<String, tonic::Status> {
    let request = v1::WatchRestoreRequest {
        name: restore_name(at, id),
    };
    let mut watch = at
        .session
        .restores()
        .watch_restore(request)
        .await?
        .into_inner();
    Ok(watch.message().await?.unwrap_or_default().phase)
}

#[derive(Template)]
#[template(path = "restores/planning.html")]
struct Planning {
    frame: Frame,
    path: String,
    line: String,
    percent: Option<i64>,
    next: String,
}

#[derive(Template)]
#[template(path = "restores/show.html")]
struct Show {
    frame: Frame,
    path: String,
    list: String,
    head: Head,
    course: Course,
    /// What is being done, where somebody is at it.
    line: String,
    percent: Option<i64>,
    next: String,
    /// Why it was interrupted, where that is known.
    broken: Option<String>,
    consent: Consent,
    phrase: String,
    steps: Vec<Step>,
    steps_pager: Pager,
    exclusions: Vec<Exclusion>,
    exclusions_pager: Pager,
    outcomes: Vec<Outcome>,
    outcomes_pager: Pager,
    /// Whether all outcomes are asked for, and not only those that did not succeed.
    all_outcomes: bool,
}

async fn show(at: Visit, Path((_, id)): Path<(String, String)>, asked: Asked) -> Answer {
    let path = at.path(&format!("/restores/{id}"));
    let message = plan_now(&at, &id).await?;
    let plan = message.plan.unwrap_or_default();
    if plan.state() == PlanState::Running {
        return page(&Planning {
            frame: at.frame(Section::Restores, "Planning a restore"),
            path,
            line: view::planning(&message.phase),
            percent: None,
            next: String::new(),
        });
    }
    let restore = restore_now(&at, &id).await?;
    let course = Course::of(&restore);
    let (line, broken) = match restore.state() {
        RestoreState::Running => {
            let phase = phase_now(&at, &id).await.unwrap_or_default();
            (view::applying(&phase, &course), None)
        }
        RestoreState::Interrupted => {
            let why = phase_now(&at, &id).await.err();
            (String::new(), why.map(|status| status.message().to_owned()))
        }
        _ => (String::new(), None),
    };
    let parts = Parts::read(&at, &id, &path, &asked, &course).await?;
    page(&Show {
        frame: at.frame(Section::Restores, format!("Restore {id}")),
        list: at.path("/restores"),
        head: Head::of(&plan),
        consent: Consent::of(
            &plan,
            &at.session.caller.name,
            at.session.may(Role::Approver),
        ),
        phrase: view::phrase(&at.tenant, plan.step_count),
        percent: Some(course.percent),
        line,
        next: String::new(),
        broken,
        steps: parts.steps,
        steps_pager: parts.steps_pager,
        exclusions: parts.exclusions,
        exclusions_pager: parts.exclusions_pager,
        outcomes: parts.outcomes,
        outcomes_pager: parts.outcomes_pager,
        all_outcomes: asked.is_set("outcomes"),
        course,
        path,
    })
}

/// A page of each list that belongs to a plan.
struct Parts {
    steps: Vec<Step>,
    steps_pager: Pager,
    exclusions: Vec<Exclusion>,
    exclusions_pager: Pager,
    outcomes: Vec<Outcome>,
    outcomes_pager: Pager,
}

impl Parts {
    async fn read(
        at: &Visit,
        id: &str,
        path: &str,
        asked: &Asked,
        course: &Course,
    ) -> Result<Self, super::error::PageError> {
        let token = |name: &str| asked.text(name).to_owned();
        let mut restores = at.session.restores();
        let request = v1::ListPlanStepsRequest {
            parent: plan_name(at, id),
            page_size: PARTS,
            page_token: token("steps"),
        };
        let steps = restores.list_plan_steps(request).await?.into_inner();
        let request = v1::ListPlanExclusionsRequest {
            parent: plan_name(at, id),
            page_size: PARTS,
            page_token: token("exclusions"),
        };
        let exclusions = restores.list_plan_exclusions(request).await?.into_inner();
        let outcomes = match course.is_planned() {
            true => v1::ListOutcomesResponse::default(),
            false => {
                let request = v1::ListOutcomesRequest {
                    parent: restore_name(at, id),
                    page_size: PARTS,
                    page_token: token("page_token"),
                    states: match asked.is_set("outcomes") {
                        true => Vec::new(),
                        false => NOT_SUCCEEDED.map(Into::into).to_vec(),
                    },
                };
                restores.list_outcomes(request).await?.into_inner()
            }
        };
        Ok(Self {
            steps: steps.steps.iter().map(Step::of).collect::<Result<_, _>>()?,
            steps_pager: Pager::named(path, "steps", &token("steps"), &steps.next_page_token),
            exclusions: exclusions.exclusions.iter().map(Exclusion::of).collect(),
            exclusions_pager: Pager::named(
                path,
                "exclusions",
                &token("exclusions"),
                &exclusions.next_page_token,
            ),
            outcomes: outcomes.outcomes.iter().map(Outcome::of).collect(),
            outcomes_pager: Pager::new(
                path,
                &[("outcomes", asked.text("outcomes"))],
                &token("page_token"),
                &outcomes.next_page_token,
            ),
        })
    }
}

/// How a step that did not succeed ended.
const NOT_SUCCEEDED: [OutcomeState; 3] = [
    OutcomeState::Conflict,
    OutcomeState::Failed,
    OutcomeState::Skipped,
];

#[derive(Template)]
#[template(path = "restores/progress.html")]
struct Fragment {
    line: String,
    percent: Option<i64>,
    next: String,
}

async fn progress(at: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    page(&fragment(&at, &id).await)
}

/// How far a plan or its restore is; where it has ended, or something is to be said that
/// the page itself says, where that is.
async fn fragment(at: &Visit, id: &str) -> Fragment {
    let ended = Fragment {
        line: String::new(),
        percent: None,
        next: at.path(&format!("/restores/{id}")),
    };
    let Ok(message) = plan_now(at, id).await else {
        return ended;
    };
    if message.plan.unwrap_or_default().state() == PlanState::Running {
        return Fragment {
            line: view::planning(&message.phase),
            percent: None,
            next: String::new(),
        };
    }
    let Ok(restore) = restore_now(at, id).await else {
        return ended;
    };
    if restore.state() != RestoreState::Running {
        return ended;
    }
    let course = Course::of(&restore);
    let phase = phase_now(at, id).await.unwrap_or_default();
    Fragment {
        line: view::applying(&phase, &course),
        percent: Some(course.percent),
        next: String::new(),
    }
}
