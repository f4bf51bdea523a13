//! Starting a report.
//!
//! Owns the form and the request that it becomes.

use super::super::asked::{Asked, words};
use super::super::filters;
use super::super::form::Form;
use super::super::frame::{Answer, Frame, Section, page, see};
use super::super::session::{Session, Visit};
use askama::Template;
use model::ObjectType;
use proto::v1;
use show::text::{id_of, utc};
use show::words::title;

/// How many snapshots a form offers; older ones are named by hand.
const OFFERED: i32 = 60;
/// How old what was read of the live tenant may be, unless it shall be read anew.
const MAX_AGE: i64 = 60;

#[derive(Template)]
#[template(path = "reports/new.html")]
struct New {
    frame: Frame,
    path: String,
    snapshots: Vec<Offered>,
    base: String,
    types: Vec<(String, String)>,
    chosen: Vec<String>,
    ids: String,
}

impl New {
    fn is_chosen(&self, name: &str) -> bool {
        self.chosen.iter().any(|it| it == name)
    }
}

/// A snapshot that a form offers.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Offered {
    pub(in super::super) id: String,
    pub(in super::super) label: String,
}

/// The newest snapshots, as a form offers them.
pub(in super::super) fn offered(snapshots: &[v1::Snapshot]) -> Vec<Offered> {
    let made = snapshots.iter().filter(|it| it.end_time.is_some());
    made.map(|snapshot| {
        let id = id_of(&snapshot.name).to_owned();
        let taken = utc(snapshot.start_time.as_ref());
        let taken = taken.map_or_else(String::new, |time| {
            time.format(", %-d %b %Y, %H:%M UTC").to_string()
        });
        let incomplete = match snapshot.state() {
            v1::SnapshotState::Incomplete => " (incomplete)",
            _ => "",
        };
        Offered {
            label: format!("{id}{taken}{incomplete}"),
            id,
        }
    })
    .collect()
}

/// Reads the newest snapshots.
pub(in super::super) async fn snapshots(
    session: &Session,
    tenant: &str,
) -> Result<Vec<v1::Snapshot>, tonic::Status> {
    let request = v1::ListSnapshotsRequest {
        parent: tenant.to_owned(),
        page_size: OFFERED,
        page_token: String::new(),
    };
    let answer = session.snapshots().list_snapshots(request).await?;
    Ok(answer.into_inner().snapshots)
}

/// Graph's names of types, each with what the objects are called.
pub(in super::super) fn types<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<(String, String)> {
    let named = names.into_iter().map(|name| (name.to_owned(), title(name)));
    named.collect()
}

/// The same of every type.
pub(in super::super) fn all_types() -> Vec<(String, String)> {
    types(ObjectType::ALL.iter().map(|of| of.name()))
}

pub(super) async fn form(at: Visit, asked: Asked) -> Answer {
    let snapshots = snapshots(&at.session, &at.name()).await?;
    page(&New {
        frame: at.frame(Section::Reports, "New difference report"),
        path: at.path("/reports"),
        snapshots: offered(&snapshots),
        base: asked.text("base").to_owned(),
        types: all_types(),
        chosen: asked.all("type"),
        ids: asked.all("id").join("\n"),
    })
}

/// What a form asks for.
fn request(parent: String, form: &Form) -> v1::CreateReportRequest {
    let full = form.is_set("full");
    let fresh = full || form.is_set("fresh");
    let target = match form.text("target") {
        "live" => String::new(),
        snapshot => snapshot.to_owned(),
    };
    v1::CreateReportRequest {
        parent,
        base: form.text("base").to_owned(),
        target,
        scope: Some(v1::Scope {
            types: form.all("type"),
            ids: words(form.text("ids")),
        }),
        max_age: (!fresh).then_some(prost_types::Duration {
            seconds: MAX_AGE,
            nanos: 0,
        }),
        request_id: form.request_id(),
        full,
        ..v1::CreateReportRequest::default()
    }
}

pub(super) async fn create(at: Visit, form: Form) -> Answer {
    let request = request(at.name(), &form);
    let answer = at.session.diffs().create_report(request).await?;
    let report = answer.into_inner().report.unwrap_or_default();
    see(&at.path(&format!("/reports/{}", id_of(&report.name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_snapshots_that_are_there_are_offered() {
        let snapshot = |id: &str, ended: bool, state: v1::SnapshotState| v1::Snapshot {
            name: format!("tenants/t/snapshots/{id}"),
            start_time: Some(prost_types::Timestamp {
                seconds: 0,
                nanos: 0,
            }),
            end_time: ended.then_some(prost_types::Timestamp {
                seconds: 60,
                nanos: 0,
            }),
            state: state.into(),
            ..v1::Snapshot::default()
        };
        let all = [
            snapshot("c", false, v1::SnapshotState::Running),
            snapshot("b", true, v1::SnapshotState::Incomplete),
            snapshot("a", true, v1::SnapshotState::Complete),
        ];
        let labels: Vec<String> = offered(&all).into_iter().map(|it| it.label).collect();
        assert_eq!(
            labels,
            [
                "b, 1 Jan 1970, 00:00 UTC (incomplete)",
                "a, 1 Jan 1970, 00:00 UTC"
            ]
        );
    }
}
