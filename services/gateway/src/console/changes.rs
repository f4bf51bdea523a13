//! Guarded changes of a tenant: what somebody asked for that protects it less, agreeing to
//! it, calling it off.
//!
//! Owns how a change is told. That nobody agrees to what they asked for themselves, and
//! when it takes effect, is decided behind the door.

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
use prost_types::Timestamp;
use proto::v1::{self, GuardedChangeKind, GuardedChangeState, Role};
use show::text::id_of;

/// How many changes a page has.
const SHOWN: i32 = 20;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tenants/{tenant}/changes", get(list))
        .route("/tenants/{tenant}/changes/{change}/approve", post(approve))
        .route("/tenants/{tenant}/changes/{change}/cancel", post(cancel))
}

/// One change.
struct Entry {
    number: String,
    path: String,
    what: &'static str,
    badge: Badge,
    effects: Vec<String>,
    settings: Vec<v1::GuardedSetting>,
    author: String,
    asked: Option<Timestamp>,
    approve_by: Option<Timestamp>,
    approver: String,
    approved: Option<Timestamp>,
    effective: Option<Timestamp>,
    ended: Option<Timestamp>,
    detail: String,
    hash: String,
    may_approve: bool,
    may_cancel: bool,
}

#[derive(Template)]
#[template(path = "changes/list.html")]
struct List {
    frame: Frame,
    path: String,
    all: bool,
    entries: Vec<Entry>,
    pager: Pager,
}

async fn list(at: Visit, asked: Asked) -> Answer {
    let (all, token) = (asked.is_set("all"), asked.text("page_token"));
    let request = v1::ListGuardedChangesRequest {
        parent: at.name(),
        page_size: SHOWN,
        page_token: token.to_owned(),
        open: !all,
    };
    let answer = at.session.lifecycle().list_guarded_changes(request).await?;
    let answer = answer.into_inner();
    let path = at.path("/changes");
    let query = [("all", if all { "1" } else { "" })];
    page(&List {
        frame: at.frame(Section::Changes, "Guarded changes"),
        entries: answer
            .changes
            .into_iter()
            .map(|it| entry(&at, it))
            .collect(),
        pager: Pager::new(&path, &query, token, &answer.next_page_token),
        all,
        path,
    })
}

fn entry(at: &Visit, change: v1::GuardedChange) -> Entry {
    let (state, number) = (change.state(), id_of(&change.name).to_owned());
    let is_open = matches!(
        state,
        GuardedChangeState::Pending | GuardedChangeState::Approved
    );
    let approves = at.session.may(Role::Approver);
    Entry {
        path: at.path(&format!("/changes/{number}")),
        what: what(change.kind()),
        badge: badge(state),
        author: model::person::shown(&change.author).to_owned(),
        approver: model::person::shown(&change.approver).to_owned(),
        // Whoever asked for it is not offered what would be refused.
        may_approve: state == GuardedChangeState::Pending
            && approves
            && change.author != at.session.caller.name,
        may_cancel: is_open && (approves || at.session.may(Role::Operator)),
        effects: change.effects,
        settings: change.settings,
        asked: change.create_time,
        approve_by: change.approve_by_time,
        approved: change.approve_time,
        effective: change.effective_time,
        ended: change.end_time,
        detail: change.detail,
        hash: change.hash,
        number,
    }
}

fn what(kind: GuardedChangeKind) -> &'static str {
    match kind {
        GuardedChangeKind::Settings => "Settings that protect less",
        GuardedChangeKind::Suspend => "Suspend the tenant",
        GuardedChangeKind::LiftHold => "Lift the hold of a snapshot",
        GuardedChangeKind::EraseKeys => "Delete the tenant's keys",
        GuardedChangeKind::Offboard => "Erase the tenant",
        GuardedChangeKind::Unspecified => "Something newer than this program",
    }
}

fn badge(state: GuardedChangeState) -> Badge {
    match state {
        GuardedChangeState::Pending => Badge::new(Tone::Warn, "Waits for a second person"),
        GuardedChangeState::Approved => Badge::new(Tone::Warn, "Waits for its time"),
        GuardedChangeState::Applying => Badge::new(Tone::Busy, "Takes effect"),
        GuardedChangeState::Applied => Badge::new(Tone::Plain, "Has taken effect"),
        GuardedChangeState::Cancelled => Badge::new(Tone::Plain, "Called off"),
        GuardedChangeState::Expired => Badge::new(Tone::Plain, "Expired"),
        GuardedChangeState::Stale => Badge::new(Tone::Plain, "Overtaken"),
        GuardedChangeState::Unspecified => Badge::new(Tone::Plain, "Not known"),
    }
}

async fn approve(at: Visit, Path((_, number)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::ApproveGuardedChangeRequest {
        name: format!("{}/changes/{number}", at.name()),
        change_hash: form.text("hash").to_owned(),
        request_id: form.request_id(),
    };
    at.session
        .lifecycle()
        .approve_guarded_change(request)
        .await?;
    see(&at.path("/changes"))
}

async fn cancel(at: Visit, Path((_, number)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::CancelGuardedChangeRequest {
        name: format!("{}/changes/{number}", at.name()),
        reason: form.text("reason").to_owned(),
        request_id: form.request_id(),
    };
    at.session
        .lifecycle()
        .cancel_guarded_change(request)
        .await?;
    see(&at.path("/changes?all=1"))
}
