//! The first page of a tenant.
//!
//! Owns what is told of a tenant at a glance: how it stands, its newest snapshots, what
//! they hold, how much changed from day to day. A part that cannot be had is left out
//! and said to be; the others are shown.

mod chart;
mod check;
mod register;
mod settings;

use super::Shared;
use super::error::PageError;
use super::filters::{self, Moment};
use super::frame::{Answer, Frame, Section, page};
use super::overview::{self, Health};
use super::parts::Badge;
use super::session::Visit;
use super::snapshots::Line;
use askama::Template;
use axum::Router;
use axum::routing::{get, post};
use chart::Chart;
use model::ObjectType;
use proto::v1;
use proto::v1::{KindRecord, Role, Snapshot, SnapshotState};
use show::words;

/// How many of the newest snapshots are looked at.
const SNAPSHOTS: i32 = 14;
/// How many of them are listed.
const LISTED: usize = 5;
/// How many of the newest reports are looked through for those between two days.
const REPORTS: i32 = 100;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/tenants", post(register::register))
        .route("/tenants/new", get(register::form))
        .route("/tenants/{tenant}", get(show))
        .route("/tenants/{tenant}/check", get(check::show))
        .route(
            "/tenants/{tenant}/settings",
            get(settings::show).post(settings::change),
        )
}

/// What is covered of a type.
struct Covered {
    title: String,
    live: Option<i64>,
    deleted: Option<i64>,
    links: Option<i64>,
    missing: Vec<String>,
}

#[derive(Template)]
#[template(path = "tenant/show.html")]
struct Show {
    frame: Frame,
    path: String,
    tenant: v1::Tenant,
    health: Option<Health>,
    badge: Option<Badge>,
    newest: Option<Newest>,
    snapshot_count: usize,
    lines: Vec<Line>,
    problems: Vec<String>,
    chart: Option<Chart>,
    covered: Vec<Covered>,
    signals: Option<i64>,
    trouble: Vec<PageError>,
    shows_snapshots: bool,
    restores: bool,
    drift_watch: &'static str,
    audit_watch: &'static str,
    approval: &'static str,
}

/// The newest snapshot in short.
struct Newest {
    line: Line,
    age: String,
    licence: String,
}

async fn show(at: Visit) -> Answer {
    let shows_snapshots = at.session.may(Role::Reader) || at.session.may(Role::Administrator);
    let mut trouble = Vec::new();
    let (mut snapshots, mut reports, mut signals) = Default::default();
    if shows_snapshots {
        let parent = at.name();
        let (s, r, n) = tokio::join!(
            list_snapshots(&at),
            list_reports(&at),
            overview::signals(&at.session, &parent),
        );
        snapshots = kept(s, &mut trouble);
        reports = kept(r, &mut trouble);
        signals = n;
    }
    page(&shown(
        at,
        snapshots,
        reports,
        signals,
        trouble,
        shows_snapshots,
    ))
}

/// What was answered; where it was not, the trouble is told on the page.
fn kept<T>(answer: Result<T, tonic::Status>, trouble: &mut Vec<PageError>) -> Option<T> {
    answer.map_err(|status| trouble.push(status.into())).ok()
}

async fn list_snapshots(at: &Visit) -> Result<v1::ListSnapshotsResponse, tonic::Status> {
    let request = v1::ListSnapshotsRequest {
        parent: at.name(),
        page_size: SNAPSHOTS,
        page_token: String::new(),
    };
    let answer = at.session.snapshots().list_snapshots(request).await?;
    Ok(answer.into_inner())
}

async fn list_reports(at: &Visit) -> Result<Vec<v1::Report>, tonic::Status> {
    let request = v1::ListReportsRequest {
        parent: at.name(),
        page_size: REPORTS,
        ..v1::ListReportsRequest::default()
    };
    let answer = at.session.diffs().list_reports(request).await?;
    Ok(answer.into_inner().reports)
}

fn shown(
    at: Visit,
    snapshots: Option<v1::ListSnapshotsResponse>,
    reports: Option<Vec<v1::Report>>,
    signals: Option<i64>,
    trouble: Vec<PageError>,
    shows_snapshots: bool,
) -> Show {
    let now = at.session.now();
    let health = snapshots.as_ref().map(|answer| {
        let known = overview::of_snapshots(answer, signals);
        overview::judge(&known, now)
    });
    let snapshots = snapshots.unwrap_or_default();
    let newest = snapshots.snapshots.first();
    let complete = snapshots
        .snapshots
        .iter()
        .find(|it| it.state() == SnapshotState::Complete);
    let chart = reports.map(|reports| Chart::of(&snapshots.snapshots, &reports));
    Show {
        frame: at.frame(
            Section::Tenant,
            super::frame::TenantHead::of(&at.id, &at.tenant).name,
        ),
        path: at.path(""),
        badge: health.map(|it| Badge::new(it.tone, it.word)),
        health,
        newest: newest.map(|it| Newest {
            line: Line::of(it),
            age: it.start_time.moment().map_or(String::new(), |time| {
                filters::span((now - time).num_seconds())
            }),
            licence: it.licence.clone(),
        }),
        snapshot_count: snapshots.snapshots.len(),
        lines: snapshots
            .snapshots
            .iter()
            .take(LISTED)
            .map(Line::of)
            .collect(),
        chart: chart.filter(|it| !it.is_empty()),
        covered: complete.or(newest).map(covered).unwrap_or_default(),
        problems: snapshots.problems,
        signals,
        trouble,
        shows_snapshots,
        restores: at.tenant.writer.is_some(),
        drift_watch: switch(&at.tenant.drift_watch),
        audit_watch: switch(&at.tenant.audit_watch),
        approval: switch(&at.tenant.approval),
        tenant: at.tenant,
    }
}

/// Whether a setting such as `on,mass-disable=10%` is on.
fn switch(setting: &str) -> &'static str {
    match setting.split(',').next().unwrap_or_default().trim() {
        "off" => "off",
        "" => "as by default",
        _ => "on",
    }
}

/// What a snapshot holds of each type, in the order of the catalogue.
fn covered(snapshot: &Snapshot) -> Vec<Covered> {
    let kinds = &snapshot.kinds;
    let count = |name: &str| kinds.iter().find(|it| it.kind == name).map(|it| it.count);
    let of_type = ObjectType::ALL.into_iter().map(|object_type| {
        let name = object_type.name();
        let relations = format!("{name}/");
        let belongs = |it: &&KindRecord| {
            it.kind == name
                || it.kind.starts_with(&relations)
                || it.kind.strip_prefix("deleted/") == Some(name)
        };
        let links: Vec<i64> = kinds
            .iter()
            .filter(|it| it.kind.starts_with(&relations))
            .map(|it| it.count)
            .collect();
        let missing = kinds.iter().filter(belongs).filter(|it| !it.complete);
        Covered {
            title: words::title(name),
            live: count(name),
            deleted: count(&format!("deleted/{name}")),
            links: (!links.is_empty()).then(|| links.iter().sum()),
            missing: missing
                .map(|it| super::snapshots::title(&it.kind))
                .collect(),
        }
    });
    let is_known = |it: &Covered| it.live.is_some() || !it.missing.is_empty();
    of_type.filter(is_known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_told_by_type() {
        let record = |kind: &str, count, complete| KindRecord {
            kind: kind.to_owned(),
            count,
            complete,
            ..KindRecord::default()
        };
        let snapshot = Snapshot {
            kinds: vec![
                record("user", 10, true),
                record("deleted/user", 2, true),
                record("user/manager", 7, true),
                record("user/sponsors", 1, false),
                record("group", 3, true),
            ],
            ..Snapshot::default()
        };
        let covered = covered(&snapshot);
        assert_eq!(covered.len(), 2);
        let users = &covered[0];
        assert_eq!(
            (users.title.as_str(), users.live, users.deleted, users.links),
            ("Users", Some(10), Some(2), Some(8))
        );
        assert_eq!(users.missing, ["User: sponsors"]);
        assert_eq!((covered[1].deleted, covered[1].links), (None, None));
    }

    #[test]
    fn a_switch_is_on_whatever_stands_behind() {
        for (setting, word) in [
            ("on", "on"),
            ("on,changes=100", "on"),
            ("off", "off"),
            ("", "as by default"),
        ] {
            assert_eq!(switch(setting), word);
        }
    }
}
