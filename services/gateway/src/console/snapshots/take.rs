//! Taking a snapshot, and watching it being taken.

use super::line::badge;
use crate::console::error::PageError;
use crate::console::filters;
use crate::console::form::Form;
use crate::console::frame::{Answer, Frame, Section, page, see};
use crate::console::parts::Badge;
use crate::console::session::Visit;
use askama::Template;
use axum::extract::Path;
use chrono::{NaiveDateTime, TimeDelta};
use proto::v1;
use proto::v1::{Snapshot, SnapshotState};
use tonic::{Code, Status};

/// How long after its time a snapshot that nothing is known of may still be about to
/// begin, on a replica that was not asked.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// How far it is.
#[derive(Template)]
#[template(path = "snapshots/progress.html")]
struct Progress {
    badge: Badge,
    phase: String,
    read: i64,
    /// Where there is more to see, once it has ended.
    next: Option<String>,
    problem: Option<PageError>,
}

#[derive(Template)]
#[template(path = "snapshots/running.html")]
struct Running {
    frame: Frame,
    fragment: String,
    id: String,
    progress: Progress,
}

pub(super) async fn take(at: Visit, form: Form) -> Answer {
    let request = v1::TakeSnapshotRequest {
        parent: at.name(),
        request_id: form.request_id(),
    };
    let answer = at.session.snapshots().take_snapshot(request).await?;
    let snapshot = answer.into_inner().snapshot.unwrap_or_default();
    see(&format!("/{}", snapshot.name))
}

/// The page of a snapshot that is not done.
pub(super) async fn running(at: &Visit, snapshot: &Snapshot) -> Answer {
    let id = show::text::id_of(&snapshot.name);
    let progress = look(at, id).await;
    shown(at, id, progress)
}

/// The page of a snapshot that nothing is known of yet.
///
/// # Errors
/// The answer that it does not exist, where its time has passed.
pub(super) async fn waiting(at: &Visit, id: &str, missing: Status) -> Answer {
    if !is_recent(at, id) {
        return Err(missing.into());
    }
    let progress = look(at, id).await;
    shown(at, id, progress)
}

fn shown(at: &Visit, id: &str, progress: Progress) -> Answer {
    page(&Running {
        frame: at.frame(Section::Snapshots, format!("Snapshot {id}")),
        fragment: at.path(&format!("/snapshots/{id}/progress")),
        id: id.to_owned(),
        progress,
    })
}

/// Whether the time in the id of a snapshot on demand is now, more or less.
fn is_recent(at: &Visit, id: &str) -> bool {
    let begun = id
        .get(..15)
        .and_then(|text| NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok());
    begun.is_some_and(|begun| (at.session.now() - begun.and_utc()).abs() <= PATIENCE)
}

pub(super) async fn progress(at: Visit, Path((_, id)): Path<(String, String)>) -> Answer {
    page(&look(&at, &id).await)
}

/// How far the snapshot is now: the first word of the stream that tells it.
async fn look(at: &Visit, id: &str) -> Progress {
    let request = v1::WatchSnapshotRequest {
        name: format!("{}/snapshots/{id}", at.name()),
    };
    let first = async {
        let answer = at.session.snapshots().watch_snapshot(request).await?;
        answer.into_inner().message().await
    };
    match first.await {
        Ok(message) => told(at, id, message.unwrap_or_default()),
        Err(status) if status.code() == Code::NotFound && is_recent(at, id) => Progress {
            badge: badge(SnapshotState::Running),
            phase: "about to begin".to_owned(),
            read: 0,
            next: None,
            problem: None,
        },
        Err(status) => Progress {
            badge: badge(SnapshotState::Failed),
            phase: String::new(),
            read: 0,
            next: None,
            problem: Some(status.into()),
        },
    }
}

fn told(at: &Visit, id: &str, message: v1::WatchSnapshotResponse) -> Progress {
    let state = message
        .snapshot
        .as_ref()
        .map_or(SnapshotState::Running, |it| match it.state() {
            SnapshotState::Unspecified => SnapshotState::Running,
            state => state,
        });
    let is_done = matches!(state, SnapshotState::Complete | SnapshotState::Incomplete);
    Progress {
        badge: badge(state),
        phase: message.phase,
        read: message.read_count,
        next: is_done.then(|| at.path(&format!("/snapshots/{id}"))),
        problem: None,
    }
}
