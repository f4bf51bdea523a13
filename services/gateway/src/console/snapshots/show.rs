//! The page of one snapshot.

use super::line::{badge, took};
use super::take;
use crate::console::asked::Asked;
use crate::console::filters::{self, Moment};
use crate::console::form::Form;
use crate::console::frame::{Answer, Frame, Section, page, see};
use crate::console::parts::Badge;
use crate::console::session::Visit;
use crate::console::told::page_of;
use askama::Template;
use axum::extract::Path;
use chrono::{DateTime, Utc};
use model::catalogue::LinkKind;
use model::snapshot::Kind;
use proto::v1;
use proto::v1::{KindRecord, Reading, Snapshot, SnapshotState};
use show::words;

#[derive(Template)]
#[template(path = "snapshots/show.html")]
struct Show {
    frame: Frame,
    id: String,
    path: String,
    badge: Badge,
    took: String,
    reading: &'static str,
    since: String,
    since_href: String,
    new_report: String,
    new_plan: String,
    is_held: bool,
    pending: bool,
    kinds: Vec<KindLine>,
    snapshot: Snapshot,
}

/// A kind of thing that was read.
pub(crate) struct KindLine {
    pub(crate) title: String,
    pub(crate) kind: String,
    pub(crate) record: KindRecord,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) method: &'static str,
}

impl KindLine {
    pub(crate) fn of(record: &KindRecord) -> Self {
        Self {
            title: title(&record.kind),
            kind: record.kind.clone(),
            from: record.not_before.moment(),
            until: record.not_after.moment(),
            method: method(&record.method),
            record: record.clone(),
        }
    }

    /// The window in words: how far apart its ends are.
    pub(crate) fn window(&self) -> String {
        match (self.from, self.until) {
            (Some(from), Some(until)) => filters::span((until - from).num_seconds()),
            _ => String::new(),
        }
    }
}

/// What a kind is called: Users; Users in the recycle bin; Group members.
pub(crate) fn title(kind: &str) -> String {
    if let Some(deleted) = kind.strip_prefix("deleted/") {
        return format!("{} in the recycle bin", words::title(deleted));
    }
    match LinkKind::from_name(kind) {
        Some(link) => {
            let owner = words::one(link.source_type().name());
            format!("{owner}: {}", link.spec().relation)
        }
        None => words::title(kind),
    }
}

/// How a kind was read, for whoever wonders how exact the moment is.
fn method(name: &str) -> &'static str {
    match name {
        "delta" => "followed by change tokens",
        "stable_reread" => "read until two readings agreed",
        "single_read" => "read once",
        _ => "",
    }
}

fn reading(reading: Reading) -> &'static str {
    match reading {
        Reading::Whole => "everything, as if for the first time",
        Reading::Incremental => "what changed since the snapshot before",
        Reading::Reconciliation => "everything, to find what was never announced as changed",
        Reading::Unspecified => "",
    }
}

pub(super) async fn show(at: Visit, Path((_, id)): Path<(String, String)>, asked: Asked) -> Answer {
    let name = format!("{}/snapshots/{id}", at.name());
    let request = v1::GetSnapshotRequest { name };
    let found = at.session.snapshots().get_snapshot(request).await;
    let snapshot = match found {
        Ok(answer) => answer.into_inner().snapshot.unwrap_or_default(),
        // Another replica may be taking it.
        Err(status) if status.code() == tonic::Code::NotFound => {
            return take::waiting(&at, &id, status).await;
        }
        Err(status) => return Err(status.into()),
    };
    if matches!(
        snapshot.state(),
        SnapshotState::Running | SnapshotState::Failed
    ) {
        return take::running(&at, &snapshot).await;
    }
    let id = show::text::id_of(&snapshot.name).to_owned();
    page(&Show {
        frame: at.frame(Section::Snapshots, format!("Snapshot {id}")),
        path: at.path(&format!("/snapshots/{id}")),
        badge: badge(snapshot.state()),
        took: took(&snapshot),
        reading: reading(snapshot.reading()),
        since: show::text::id_of(&snapshot.since).to_owned(),
        since_href: page_of(&snapshot.since),
        new_report: at.path(&format!("/reports/new?base={id}")),
        new_plan: at.path(&format!("/restores/new?snapshot={id}")),
        is_held: snapshot.held_since.is_some(),
        pending: asked.is_set("pending"),
        kinds: kinds(&snapshot),
        id,
        snapshot,
    })
}

/// The kinds, in the order of the catalogue.
fn kinds(snapshot: &Snapshot) -> Vec<KindLine> {
    let place = |line: &KindLine| {
        let all = Kind::all();
        let known = Kind::from_name(&line.kind);
        known
            .and_then(|kind| all.iter().position(|it| *it == kind))
            .unwrap_or(all.len())
    };
    let mut kinds: Vec<KindLine> = snapshot.kinds.iter().map(KindLine::of).collect();
    kinds.sort_by_cached_key(place);
    kinds
}

pub(super) async fn hold(at: Visit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::HoldSnapshotRequest {
        name: format!("{}/snapshots/{id}", at.name()),
        reason: form.text("reason").to_owned(),
        request_id: form.request_id(),
    };
    at.session.snapshots().hold_snapshot(request).await?;
    see(&at.path(&format!("/snapshots/{id}")))
}

pub(super) async fn lift(at: Visit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    let request = v1::LiftHoldRequest {
        name: format!("{}/snapshots/{id}", at.name()),
        request_id: form.request_id(),
    };
    let answer = at.session.snapshots().lift_hold(request).await?;
    // It stays held until a second person has agreed, and a while after.
    let told = match answer.into_inner().pending_change {
        Some(_) => "?pending=1",
        None => "",
    };
    see(&at.path(&format!("/snapshots/{id}{told}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_words_of_its_own() {
        assert_eq!(title("user"), "Users");
        assert_eq!(title("deleted/user"), "Users in the recycle bin");
        assert_eq!(title("group/members"), "Group: members");
        let titles: std::collections::BTreeSet<String> =
            Kind::all().iter().map(|kind| title(&kind.name())).collect();
        assert_eq!(titles.len(), Kind::all().len());
    }
}
